//! One request: the slice of rules in scope, the facts they read, Cedar's answer, and what to ask.

use std::collections::BTreeSet;
use std::sync::Arc;

use cedar_policy::{
    AuthorizationError, Authorizer, Context, Entities, EntityUid, PolicySet, Request,
    RestrictedExpression as Expr,
};
use serde_json::Value;

use crate::catalog::{Agent, Catalog, Tool};
use crate::plain::Plain;
use crate::reads::Reads;
use crate::rule::{Rule, RuleRef};
use crate::ruleset::RuleSet;
use crate::within::is_within;
use crate::{Answer, Decision, Facts, shape};

/// The rules that can bear on one agent and one tool, with everything that no request changes.
#[derive(Debug)]
pub(crate) struct Slice {
    pub(crate) numbers: Vec<u32>,
    /// Forbids whose conditions are fixed by agent and tool alone, and hold.
    pub(crate) fixed_forbids: Vec<u32>,
    set: Arc<PolicySet>,
    /// The same rules, if Cedar is not needed for them.
    plain: Option<Plain>,
    pub(crate) reads: Reads,
    entities: Entities,
    uids: (EntityUid, EntityUid, EntityUid),
    pair: (usize, usize),
}

impl Slice {
    pub(crate) fn new(rules: &RuleSet, pair: (usize, usize)) -> Option<Self> {
        let (agent, tool) = members(&rules.catalog, pair)?;
        let mut slice = Self::empty(rules, pair, agent, tool)?;
        let mut kept = Vec::with_capacity(slice.numbers.len());
        for (number, rule) in slice.numbers.iter().filter_map(|number| Some((*number, rules.rule(*number)?)))
        {
            // What agent and tool alone decide need not be asked again by every request. A rule that errs stays.
            let held = rule.reads.is_fixed() && !rule.is_unconditional();
            match held.then(|| slice.holds(rule, agent, tool)).flatten() {
                Some(false) => continue,
                Some(true) if rule.about.forbids => slice.fixed_forbids.push(number),
                _ => {}
            }
            slice.reads.merge(&rule.reads);
            kept.push((number, rule));
        }
        slice.plain = Plain::of(kept.iter().copied());
        let kept = kept.into_iter().map(|(_, rule)| rule.bare.clone());
        slice.set = Arc::new(PolicySet::from_policies(kept).ok()?);
        Some(slice)
    }

    pub(crate) fn whole(rules: &RuleSet, pair: (usize, usize)) -> Option<Self> {
        let (agent, tool) = members(&rules.catalog, pair)?;
        let mut slice = Self::empty(rules, pair, agent, tool)?;
        slice.set = rules.whole.clone();
        slice.reads = rules.whole_reads.clone();
        Some(slice)
    }

    fn empty(rules: &RuleSet, pair: (usize, usize), agent: &Agent, tool: &Tool) -> Option<Self> {
        Some(Self {
            numbers: rules.scope(pair),
            fixed_forbids: Vec::new(),
            set: Arc::default(),
            plain: None,
            reads: Reads::default(),
            entities: rules.catalog.entities(agent, tool)?,
            uids: (agent.uid.clone(), tool.action.clone(), tool.resource.clone()),
            pair,
        })
    }

    /// The condition of a rule that reads nothing of the request; `None` if it errs.
    fn holds(&self, rule: &Rule, agent: &Agent, tool: &Tool) -> Option<bool> {
        let set = PolicySet::from_policies([rule.bare.clone()]).ok()?;
        let context = fixed_context(agent, tool, None)?;
        let verdict = ask_cedar(&self.uids, context, &set, &self.entities)?;
        verdict.errors.is_empty().then_some(!verdict.determining.is_empty())
    }
}

fn members(catalog: &Catalog, (agent, tool): (usize, usize)) -> Option<(&Agent, &Tool)> {
    Some((catalog.agents.get(agent)?, catalog.tools.get(tool)?))
}

/// The part of the context that agent, tool and arguments fix.
pub(crate) fn fixed_context(agent: &Agent, tool: &Tool, args: Option<&Value>) -> Option<Context> {
    let mut pairs = vec![
        ("env".to_owned(), Expr::new_string(tool.decl.env.clone())),
        ("tenant".to_owned(), Expr::new_string(agent.decl.tenant.clone())),
    ];
    if let Some(Value::Object(args)) = args {
        pairs.push(("args".to_owned(), shape::record(&tool.args, args, |_| true)?));
    }
    Context::from_pairs(pairs).ok()
}

// ---- Cedar ---------------------------------------------------------------------------------------------------

/// What Cedar said, by the numbers of our rules.
pub(crate) struct Verdict {
    pub(crate) allowed: bool,
    pub(crate) determining: Vec<u32>,
    pub(crate) errors: Vec<(u32, String)>,
}

pub(crate) fn ask_cedar(
    uids: &(EntityUid, EntityUid, EntityUid),
    context: Context,
    set: &PolicySet,
    entities: &Entities,
) -> Option<Verdict> {
    let (principal, action, resource) = uids.clone();
    let request = Request::new(principal, action, resource, context, None).ok()?;
    let response = Authorizer::new().is_authorized(&request, set, entities);
    let number = |id: &cedar_policy::PolicyId| AsRef::<str>::as_ref(id).parse::<u32>().ok();
    let mut determining: Vec<u32> = response.diagnostics().reason().filter_map(number).collect();
    determining.sort_unstable();
    let mut errors = Vec::new();
    for error in response.diagnostics().errors() {
        let AuthorizationError::PolicyEvaluationError(error) = error;
        errors.push((number(error.policy_id())?, error.inner().to_string()));
    }
    errors.sort();
    Some(Verdict { allowed: response.decision() == cedar_policy::Decision::Allow, determining, errors })
}

/// Of the rules in scope those that bind undos, by themselves: a permit is not asked for.
pub(crate) fn forbids_undo(
    rules: &RuleSet,
    pair: (usize, usize),
    facts: &Facts<'_>,
) -> Option<(Arc<RuleRef>, Option<String>)> {
    let (agent, tool) = members(&rules.catalog, pair)?;
    let scope = rules.scope(pair);
    let bind = |number: &u32| rules.rule(*number).filter(|rule| rule.of_undo && rule.about.forbids);
    let marked: Vec<&Rule> = scope.iter().filter_map(bind).collect();
    let first = marked.first()?.about.clone();
    let unclear = || Some((first, Some("it cannot be evaluated here".to_owned())));
    let Some(mut slice) = Slice::empty(rules, pair, agent, tool) else { return unclear() };
    marked.iter().for_each(|rule| slice.reads.merge(&rule.reads));
    let Ok(set) = PolicySet::from_policies(marked.iter().map(|rule| rule.bare.clone())) else {
        return unclear();
    };
    slice.set = Arc::new(set);
    let given: BTreeSet<&str> = facts.approvals.iter().map(String::as_str).collect();
    let Some(verdict) = judge(rules, &slice, facts, &given) else { return unclear() };
    if let Some((number, why)) = verdict.errors.into_iter().next() {
        return Some((about(rules, number)?, Some(why)));
    }
    Some((about(rules, *verdict.determining.first()?)?, None))
}

// ---- Answer --------------------------------------------------------------------------------------------------

impl Answer {
    /// An agent or a tool that nobody declared: no rule can permit it.
    pub(crate) fn nobody() -> Self {
        Self { decision: Decision::Deny, rules: vec![], near: vec![], errors: vec![], ask: vec![] }
    }
}

pub(crate) fn answer(rules: &RuleSet, slice: &Slice, facts: &Facts<'_>) -> Answer {
    let given: BTreeSet<&str> = facts.approvals.iter().map(String::as_str).collect();
    let Some(first) = judge(rules, slice, facts, &given) else { return Answer::nobody() };
    if !first.errors.is_empty() {
        let errors = first.errors.into_iter().filter_map(|(number, why)| Some((about(rules, number)?, why)));
        let determining = if first.allowed { Vec::new() } else { first.determining };
        return Answer {
            decision: Decision::Deny,
            rules: abouts(rules, &determining),
            near: Vec::new(),
            errors: errors.collect(),
            ask: Vec::new(),
        };
    }
    let mut answer = Answer {
        decision: if first.allowed { Decision::Allow } else { Decision::Deny },
        rules: abouts(rules, &first.determining),
        ..Answer::nobody()
    };
    if first.allowed {
        return answer;
    }
    if let Some((groups, permits)) = groups_to_ask(rules, slice, facts, &given) {
        answer.decision = Decision::Ask;
        answer.ask = groups;
        if answer.rules.is_empty() {
            answer.rules = abouts(rules, &permits);
        }
    } else if answer.rules.is_empty() {
        let permits = slice.numbers.iter().filter_map(|number| rules.rule(*number));
        answer.near = permits.filter(|rule| !rule.about.forbids).map(|rule| rule.about.clone()).collect();
    }
    answer
}

fn about(rules: &RuleSet, number: u32) -> Option<Arc<RuleRef>> {
    rules.rule(number).map(|rule| rule.about.clone())
}

fn abouts(rules: &RuleSet, numbers: &[u32]) -> Vec<Arc<RuleRef>> {
    numbers.iter().filter_map(|number| about(rules, *number)).collect()
}

/// A smallest set of groups whose approval would allow it, and the permits that then would; `None` if even all
/// of them would not do.
fn groups_to_ask(
    rules: &RuleSet,
    slice: &Slice,
    facts: &Facts<'_>,
    given: &BTreeSet<&str>,
) -> Option<(Vec<String>, Vec<u32>)> {
    let open: Vec<&str> =
        slice.reads.groups.iter().map(String::as_str).filter(|group| !given.contains(group)).collect();
    if open.is_empty() {
        return None;
    }
    let with = |extra: &BTreeSet<&str>| {
        let approvals = given.union(extra).copied().collect();
        let verdict = judge(rules, slice, facts, &approvals)?;
        (verdict.allowed && verdict.errors.is_empty()).then_some(verdict.determining)
    };
    let mut asked: BTreeSet<&str> = open.iter().copied().collect();
    let mut permits = with(&asked)?;
    // One group that alone suffices is the usual case, and the least trouble for people.
    for group in &open {
        if open.len() > 1
            && let Some(permits) = with(&BTreeSet::from([*group]))
        {
            return Some((vec![(*group).to_owned()], permits));
        }
    }
    for group in &open {
        if asked.len() == 1 {
            break;
        }
        asked.remove(group);
        match with(&asked) {
            Some(still) => permits = still,
            None => _ = asked.insert(group),
        }
    }
    Some((asked.into_iter().map(str::to_owned).collect(), permits))
}

fn judge(rules: &RuleSet, slice: &Slice, facts: &Facts<'_>, approvals: &BTreeSet<&str>) -> Option<Verdict> {
    let (agent, tool) = members(&rules.catalog, slice.pair)?;
    let plain = slice.plain.as_ref();
    if let Some(verdict) = plain.and_then(|plain| plain.judge(agent, tool, facts, approvals)) {
        return Some(verdict);
    }
    let context = context(&slice.reads, agent, tool, facts, approvals)?;
    ask_cedar(&slice.uids, context, &slice.set, &slice.entities)
}

// ---- Facts ---------------------------------------------------------------------------------------------------

fn texts<'a>(texts: impl IntoIterator<Item = &'a str>) -> Expr {
    Expr::new_set(texts.into_iter().map(|text| Expr::new_string(text.to_owned())))
}

/// Only what the rules of the slice read; they read the context only by its members, which loading saw to.
fn context(
    reads: &Reads,
    agent: &Agent,
    tool: &Tool,
    facts: &Facts<'_>,
    approvals: &BTreeSet<&str>,
) -> Option<Context> {
    let mut pairs: Vec<(String, Expr)> = Vec::with_capacity(10);
    let mut put = |key: &str, value: &dyn Fn() -> Option<Expr>| {
        if reads.reads(key) {
            pairs.push((key.to_owned(), value()?));
        }
        Some(())
    };
    put("args", &|| {
        let all = reads.whole || reads.all_args;
        let nothing = serde_json::Map::new();
        let object = facts.args.as_object().unwrap_or(&nothing);
        shape::record(&tool.args, object, |name| all || reads.args.contains(name))
    })?;
    put("run", &|| {
        let run = [
            ("phase".to_owned(), Expr::new_string(facts.phase.to_owned())),
            ("age_seconds".to_owned(), Expr::new_long(facts.run_age_seconds)),
            ("calls".to_owned(), Expr::new_long(facts.run_calls)),
            ("spent_percent".to_owned(), Expr::new_long(facts.spent_percent)),
            ("labels".to_owned(), texts(facts.labels.iter().map(String::as_str))),
        ];
        Expr::new_record(run).ok()
    })?;
    put("grant", &|| {
        let subject = ("subject".to_owned(), Expr::new_string(facts.subject.to_owned()));
        Expr::new_record([subject, ("depth".to_owned(), Expr::new_long(facts.depth))]).ok()
    })?;
    put("approvals", &|| Some(texts(approvals.iter().copied())))?;
    put("destinations", &|| Some(texts(facts.destinations.iter().map(String::as_str))))?;
    put("destinations_within", &|| {
        let within = reads.patterns.iter().filter(|list| all_within(list, facts.destinations));
        Some(texts(within.map(String::as_str)))
    })?;
    put("env", &|| Some(Expr::new_string(tool.decl.env.clone())))?;
    put("hour", &|| Some(Expr::new_long(facts.hour)))?;
    put("weekday", &|| Some(Expr::new_long(facts.weekday)))?;
    put("tenant", &|| Some(Expr::new_string(agent.decl.tenant.clone())))?;
    Context::from_pairs(pairs).ok()
}

/// Is there a destination, and does each match one of the list's patterns? Where nothing is said of where a deed
/// goes, it is within nothing.
pub(crate) fn all_within(list: &str, destinations: &[String]) -> bool {
    !destinations.is_empty() && destinations.iter().all(|destination| is_within(list.split(','), destination))
}

#[cfg(test)]
mod tests;
