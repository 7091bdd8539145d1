//! Plain conditions: comparisons of arguments with literals and the like, answered without Cedar.
//!
//! A slice all of whose rules are plain need not be put to Cedar, as long as each condition can be told here. Whatever
//! cannot, an argument that is absent, say, is `None`: then Cedar is asked about all of it. The oracle of the slices'
//! tests is Cedar alone, so they hold both to one answer.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use serde_json::Value;

use crate::Facts;
use crate::catalog::{Agent, Tool};
use crate::decide::{Verdict, all_within};
use crate::reads::{contained, context_path, only};
use crate::rule::Rule;
use crate::shape::{Shape, long};

/// The rules of a slice, ascending.
#[derive(Debug)]
pub(crate) struct Plain(Vec<PlainRule>);

#[derive(Debug)]
struct PlainRule {
    number: u32,
    forbids: bool,
    /// Each with whether it is a `when`.
    clauses: Vec<(bool, Term)>,
}

#[derive(Debug)]
enum Term {
    Both(Box<Term>, Box<Term>),
    Either(Box<Term>, Box<Term>),
    Not(Box<Term>),
    Compare(Compare, Operand, Operand),
    OneOf(Vec<Literal>, Operand),
    Approved(String),
    Within(String),
}

#[derive(Clone, Copy, Debug)]
enum Compare {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Debug)]
enum Operand {
    Arg(String),
    Env,
    Tenant,
    Hour,
    Weekday,
    Literal(Literal),
}

#[derive(Debug)]
enum Literal {
    Long(i64),
    Text(String),
    Bool(bool),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Seen<'a> {
    Long(i64),
    Text(&'a str),
    Bool(bool),
}

/// What one request brings.
struct Asked<'a> {
    agent: &'a Agent,
    tool: &'a Tool,
    facts: &'a Facts<'a>,
    approvals: &'a BTreeSet<&'a str>,
}

impl Plain {
    /// None: some rule needs Cedar.
    pub(crate) fn of<'a>(rules: impl Iterator<Item = (u32, &'a Rule)>) -> Option<Plain> {
        let plain = rules.map(|(number, rule)| {
            let clauses = rule.clauses.iter().map(|clause| Some((clause.when, term(&clause.body)?)));
            Some(PlainRule { number, forbids: rule.about.forbids, clauses: clauses.collect::<Option<_>>()? })
        });
        plain.collect::<Option<_>>().map(Plain)
    }

    /// What Cedar would say; None: it must be asked.
    pub(crate) fn judge(
        &self,
        agent: &Agent,
        tool: &Tool,
        facts: &Facts<'_>,
        approvals: &BTreeSet<&str>,
    ) -> Option<Verdict> {
        let asked = Asked { agent, tool, facts, approvals };
        let (mut permits, mut forbids) = (Vec::new(), Vec::new());
        for rule in &self.0 {
            if rule.holds(&asked)? {
                if rule.forbids { &mut forbids } else { &mut permits }.push(rule.number);
            }
        }
        let allowed = forbids.is_empty() && !permits.is_empty();
        let determining = if forbids.is_empty() { permits } else { forbids };
        Some(Verdict { allowed, determining, errors: Vec::new() })
    }
}

impl PlainRule {
    /// Clauses are looked at in their order, and none after the first that does not hold, as Cedar does.
    fn holds(&self, asked: &Asked<'_>) -> Option<bool> {
        for (when, term) in &self.clauses {
            if term.holds(asked)? != *when {
                return Some(false);
            }
        }
        Some(true)
    }
}

impl Term {
    fn holds(&self, asked: &Asked<'_>) -> Option<bool> {
        Some(match self {
            Term::Both(one, other) => one.holds(asked)? && other.holds(asked)?,
            Term::Either(one, other) => one.holds(asked)? || other.holds(asked)?,
            Term::Not(inner) => !inner.holds(asked)?,
            Term::Compare(compare, left, right) => compare.holds(left.seen(asked)?, right.seen(asked)?)?,
            Term::OneOf(literals, item) => {
                let item = item.seen(asked)?;
                literals.iter().any(|literal| literal.seen() == item)
            }
            Term::Approved(group) => asked.approvals.contains(group.as_str()),
            Term::Within(list) => all_within(list, asked.facts.destinations),
        })
    }
}

impl Compare {
    /// Values of two types are left to Cedar, and so is an order of what has none.
    fn holds(self, left: Seen<'_>, right: Seen<'_>) -> Option<bool> {
        let order = match (left, right) {
            (Seen::Long(left), Seen::Long(right)) => left.cmp(&right),
            (Seen::Text(left), Seen::Text(right)) if self.is_equality() => left.cmp(right),
            (Seen::Bool(left), Seen::Bool(right)) if self.is_equality() => left.cmp(&right),
            _ => return None,
        };
        Some(match self {
            Compare::Equal => order == Ordering::Equal,
            Compare::Unequal => order != Ordering::Equal,
            Compare::Less => order == Ordering::Less,
            Compare::LessOrEqual => order != Ordering::Greater,
            Compare::Greater => order == Ordering::Greater,
            Compare::GreaterOrEqual => order != Ordering::Less,
        })
    }

    fn is_equality(self) -> bool {
        matches!(self, Compare::Equal | Compare::Unequal)
    }
}

impl Operand {
    fn seen<'a>(&'a self, asked: &Asked<'a>) -> Option<Seen<'a>> {
        Some(match self {
            Operand::Arg(name) => {
                // What the schema did not promise is absent to Cedar, too.
                match (&asked.tool.args.get(name)?.shape, asked.facts.args.get(name)?) {
                    (Shape::Text, Value::String(text)) => Seen::Text(text),
                    (Shape::Long, Value::Number(number)) => Seen::Long(long(number)?),
                    (Shape::Bool, Value::Bool(yes)) => Seen::Bool(*yes),
                    _ => return None,
                }
            }
            Operand::Env => Seen::Text(&asked.tool.decl.env),
            Operand::Tenant => Seen::Text(&asked.agent.decl.tenant),
            Operand::Hour => Seen::Long(asked.facts.hour),
            Operand::Weekday => Seen::Long(asked.facts.weekday),
            Operand::Literal(literal) => literal.seen(),
        })
    }
}

impl Literal {
    fn seen(&self) -> Seen<'_> {
        match self {
            Literal::Long(value) => Seen::Long(*value),
            Literal::Text(value) => Seen::Text(value),
            Literal::Bool(value) => Seen::Bool(*value),
        }
    }
}

// ---- Read from Cedar's JSON form -----------------------------------------------------------------------------

fn term(node: &Value) -> Option<Term> {
    if let Some(group) = contained(node, "approvals") {
        return Some(Term::Approved(group.to_owned()));
    }
    if let Some(list) = contained(node, "destinations_within") {
        return Some(Term::Within(list.to_owned()));
    }
    let (key, inner) = sole(node)?;
    let pair = || Some((inner.get("left")?, inner.get("right")?));
    let both = || {
        let (left, right) = pair()?;
        Some((Box::new(term(left)?), Box::new(term(right)?)))
    };
    let compare = match key {
        "&&" => return both().map(|(left, right)| Term::Both(left, right)),
        "||" => return both().map(|(left, right)| Term::Either(left, right)),
        "!" => return Some(Term::Not(Box::new(term(inner.get("arg")?)?))),
        "contains" => {
            let (left, right) = pair()?;
            let literals = only(left, "Set")?.as_array()?.iter().map(literal).collect::<Option<_>>()?;
            return Some(Term::OneOf(literals, operand(right)?));
        }
        "==" => Compare::Equal,
        "!=" => Compare::Unequal,
        "<" => Compare::Less,
        "<=" => Compare::LessOrEqual,
        ">" => Compare::Greater,
        ">=" => Compare::GreaterOrEqual,
        _ => return None,
    };
    let (left, right) = pair()?;
    Some(Term::Compare(compare, operand(left)?, operand(right)?))
}

fn sole(node: &Value) -> Option<(&str, &Value)> {
    let members = node.as_object().filter(|members| members.len() == 1)?;
    members.iter().next().map(|(key, inner)| (key.as_str(), inner))
}

fn operand(node: &Value) -> Option<Operand> {
    if let Some(literal) = literal(node) {
        return Some(Operand::Literal(literal));
    }
    match context_path(node)? {
        (path, false) => match path.as_slice() {
            ["args", name] => Some(Operand::Arg((*name).to_owned())),
            ["env"] => Some(Operand::Env),
            ["tenant"] => Some(Operand::Tenant),
            ["hour"] => Some(Operand::Hour),
            ["weekday"] => Some(Operand::Weekday),
            _ => None,
        },
        (_, true) => None,
    }
}

fn literal(node: &Value) -> Option<Literal> {
    match only(node, "Value")? {
        Value::Number(number) => number.as_i64().map(Literal::Long),
        Value::String(text) => Some(Literal::Text(text.clone())),
        Value::Bool(yes) => Some(Literal::Bool(*yes)),
        _ => None,
    }
}
