//! Who can do a thing, and under which conditions.

use std::collections::HashMap;

use cedar_policy::{PolicyId, PolicySet};
use serde_json::{Value, json};
use stdx::glob;

use crate::catalog::{Agent, Tool};
use crate::decide::{ask_cedar, fixed_context};
use crate::manifest::pattern_list;
use crate::reads::{Reads, only};
use crate::rule::{self, Clause, Rule, Source};
use crate::ruleset::RuleSet;
use crate::{Effect, Operation, Question, WhoCan};

/// Walks from tools to permits to agents by the index, so that rules that bear on nobody cost nothing.
pub(crate) fn who_can(set: &RuleSet, question: &Question) -> Vec<WhoCan> {
    let target = Target::of(&question.target);
    let agents_of = agents_of(set);
    let mut found = Vec::new();
    for (tool_number, tool) in set.catalog.tools.iter().enumerate() {
        if !target.covers(tool) {
            continue;
        }
        let numbers = set.by_tool.get(tool_number).map_or(&[][..], Vec::as_slice);
        let in_scope: Vec<(u32, &Rule)> = numbers.iter().filter_map(|n| Some((*n, set.rule(*n)?))).collect();
        let mut by_agent: HashMap<usize, Vec<&Rule>> = HashMap::new();
        for (number, rule) in in_scope.iter().filter(|(_, rule)| !rule.about.forbids && target.reaches(rule))
        {
            let index = usize::try_from(*number).unwrap_or(usize::MAX);
            for agent in agents_of.get(index).into_iter().flatten() {
                by_agent.entry(*agent).or_default().push(rule);
            }
        }
        let forbids: Vec<&Rule> =
            in_scope.iter().map(|(_, rule)| *rule).filter(|rule| rule.about.forbids).collect();
        for (agent, permits) in by_agent {
            if let Some(agent) = set.catalog.agents.get(agent) {
                let asked = Asked { set, agent, tool, args: question.args.as_ref() };
                asked.answer(&permits, &forbids, &mut found);
            }
        }
    }
    found.sort_by(|a, b| (&a.agent, &a.tool, &a.rule.id).cmp(&(&b.agent, &b.tool, &b.rule.id)));
    found
}

/// For each rule that is about few, the agents that it covers.
fn agents_of(set: &RuleSet) -> Vec<Vec<usize>> {
    let mut agents = vec![Vec::new(); set.rules.len()];
    for (agent, numbers) in set.by_agent.iter().enumerate() {
        for number in numbers {
            if let Some(list) = usize::try_from(*number).ok().and_then(|index| agents.get_mut(index)) {
                list.push(agent);
            }
        }
    }
    agents
}

// ---- Target --------------------------------------------------------------------------------------------------

enum Target<'a> {
    Tools(&'a str),
    Effect(Effect),
    Operation(Operation),
    Destination(&'a str),
}

impl<'a> Target<'a> {
    fn of(text: &'a str) -> Self {
        match text {
            "read" => Self::Effect(Effect::Read),
            "reversible" => Self::Effect(Effect::Reversible),
            "irreversible" => Self::Effect(Effect::Irreversible),
            "write" => Self::Operation(Operation::Write),
            "execute" => Self::Operation(Operation::Execute),
            "delegate" => Self::Operation(Operation::Delegate),
            text => text.strip_prefix("to:").map_or(Self::Tools(text), Self::Destination),
        }
    }

    fn covers(&self, tool: &Tool) -> bool {
        match self {
            Self::Tools(glob) => glob::matches(glob, &tool.decl.name),
            Self::Effect(effect) => tool.decl.effect == *effect,
            // As in the schema: whatever changes something is a write.
            Self::Operation(Operation::Write) => {
                tool.decl.operation == Operation::Write || tool.decl.effect != Effect::Read
            }
            Self::Operation(operation) => tool.decl.operation == *operation,
            Self::Destination(_) => {
                tool.decl.effect != Effect::Read || tool.decl.operation != Operation::Read
            }
        }
    }

    /// Could this permit let something go there? One without a list lets everything go.
    fn reaches(&self, rule: &Rule) -> bool {
        let Self::Destination(pattern) = self else { return true };
        let patterns = &rule.reads.patterns;
        patterns.is_empty()
            || patterns.iter().flat_map(|list| list.split(',')).any(|own| overlap(own.trim(), pattern))
    }
}

/// Can some text match both globs?
fn overlap(a: &str, b: &str) -> bool {
    let (a, b) = (a.to_ascii_lowercase().into_bytes(), b.to_ascii_lowercase().into_bytes());
    // reach[j]: the first i bytes of `a` and the first j of `b` can match one text.
    let mut reach = vec![false; b.len() + 1];
    for i in 0..=a.len() {
        let mut next = vec![false; b.len() + 1];
        for j in 0..=b.len() {
            let at = |row: &[bool], j: usize| row.get(j).copied().unwrap_or(false);
            let (left, right) =
                (i.checked_sub(1).and_then(|i| a.get(i)), j.checked_sub(1).and_then(|j| b.get(j)));
            let here = (i == 0 && j == 0)
                || left.is_some_and(|c| *c == b'*') && (at(&reach, j) || j > 0 && at(&next, j - 1))
                || right.is_some_and(|c| *c == b'*') && (j > 0 && at(&next, j - 1) || i > 0 && at(&reach, j))
                || left.is_some() && left == right && at(&reach, j - 1);
            if let Some(cell) = next.get_mut(j) {
                *cell = here;
            }
        }
        reach = next;
    }
    reach.last().copied().unwrap_or(false)
}

// ---- One agent and one tool ----------------------------------------------------------------------------------

struct Asked<'a> {
    set: &'a RuleSet,
    agent: &'a Agent,
    tool: &'a Tool,
    args: Option<&'a Value>,
}

enum Known {
    /// It holds, come what may.
    Yes,
    /// It cannot hold, or errs, which denies.
    No,
    Errs,
    /// It holds if all of these do.
    If(Vec<String>),
}

impl Asked<'_> {
    fn answer(&self, permits: &[&Rule], forbids: &[&Rule], found: &mut Vec<WhoCan>) {
        let mut unless = Vec::new();
        for rule in forbids.iter().filter(|rule| rule.scope.covers_agent(self.agent)) {
            match self.known(rule) {
                Known::Yes | Known::Errs => return,
                Known::No => {}
                Known::If(_) => unless.push(format!("unless {}", rule.about.words)),
            }
        }
        let mut open = Vec::new();
        for rule in permits {
            match self.known(rule) {
                // An error of any rule denies, so none of the permits can help.
                Known::Errs => return,
                Known::No => {}
                Known::Yes => open.push((*rule, Vec::new())),
                Known::If(conditions) => open.push((*rule, conditions)),
            }
        }
        for (rule, mut only_if) in open {
            only_if.extend(unless.iter().cloned());
            found.push(WhoCan {
                agent: self.agent.decl.name.clone(),
                tool: self.tool.decl.name.clone(),
                rule: rule.about.clone(),
                only_if,
                needs_approval: rule.reads.groups.first().cloned(),
                by_free_permit: rule.is_free_permit(),
            });
        }
    }

    /// What can be said of a rule's conditions without the rest of the facts.
    fn known(&self, rule: &Rule) -> Known {
        if rule.is_unconditional() {
            return Known::Yes;
        }
        let mut open = false;
        for clause in conjuncts(&rule.clauses) {
            match self.evaluate(&clause) {
                Some(Ok(true)) => {}
                Some(Ok(false)) => return Known::No,
                // Before it, something unknown may yet be false and keep it from being evaluated.
                Some(Err(())) if open => return Known::If(words(rule)),
                Some(Err(())) => return Known::Errs,
                None => open = true,
            }
        }
        if open { Known::If(words(rule)) } else { Known::Yes }
    }

    /// `None` if it reads more than agent, tool and the given arguments.
    fn evaluate(&self, clause: &Clause) -> Option<Result<bool, ()>> {
        let reads = Reads::of(&clause.body);
        let fixed = if self.args.is_some() { reads.is_fixed_by_args() } else { reads.is_fixed() };
        if !fixed {
            return None;
        }
        let kind = if clause.when { "when" } else { "unless" };
        let policy =
            rule::bare(PolicyId::new("0"), false, json!([{ "kind": kind, "body": clause.body }])).ok()?;
        let set = PolicySet::from_policies([policy]).ok()?;
        let context = fixed_context(self.agent, self.tool, self.args)?;
        let entities = self.set.catalog.entities(self.agent, self.tool)?;
        let uids = (self.agent.uid.clone(), self.tool.action.clone(), self.tool.resource.clone());
        let verdict = ask_cedar(&uids, context, &set, &entities)?;
        Some(if verdict.errors.is_empty() { Ok(verdict.allowed) } else { Err(()) })
    }
}

/// `when { a && b }` is `when { a } when { b }`, and so on down its left side, in the same order.
fn conjuncts(clauses: &[Clause]) -> Vec<Clause> {
    let mut out = Vec::new();
    for clause in clauses {
        let mut rest = vec![clause.body.clone()];
        while let Some(body) = rest.pop() {
            match only(&body, "&&").filter(|_| clause.when) {
                Some(both) => {
                    rest.extend(both.get("right").cloned());
                    rest.extend(both.get("left").cloned());
                }
                None => out.push(Clause { when: clause.when, body }),
            }
        }
    }
    out
}

fn words(rule: &Rule) -> Vec<String> {
    match &rule.source {
        Source::Manifest { when, to, ask, .. } => {
            let mut words = Vec::new();
            words.extend(when.as_ref().map(|when| when.original.trim().to_owned()));
            if !to.is_empty() {
                words.push(format!("to {}", pattern_list(to)));
            }
            words.extend(ask.as_ref().map(|group| format!("approved by {group}")));
            words
        }
        _ => vec![rule.about.words.clone()],
    }
}

#[cfg(test)]
mod tests;
