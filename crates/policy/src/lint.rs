//! What is allowed, and yet surely not meant.

use crate::Problem;
use crate::rule::{Part, Rule, Scope};
use crate::ruleset::RuleSet;

pub(crate) fn warn(set: &RuleSet, problems: &mut Vec<Problem>) {
    let covered = covered(set);
    for (number, rule) in set.rules.iter().enumerate().skip(1) {
        let (agents, tools) = covered.get(number).copied().unwrap_or((true, true));
        if !agents || !tools {
            let whom = if agents { "no known tool" } else { "no known agent" };
            let message = format!("`{}` can never match: its scope covers {whom}", rule.about.id);
            problems.push(Problem::warning("never-matches", &rule.place(), message));
            continue;
        }
        if !rule.about.forbids {
            over_broad(rule, problems);
            shadowed(set, number, rule, problems);
        } else {
            evadable(rule, problems);
        }
    }
}

/// For each rule: does it cover some agent, and some tool?
fn covered(set: &RuleSet) -> Vec<(bool, bool)> {
    let mut covered = vec![(false, false); set.rules.len()];
    let index = |number: &u32| usize::try_from(*number).unwrap_or(usize::MAX);
    for number in set.by_agent.iter().flatten() {
        if let Some(entry) = covered.get_mut(index(number)) {
            entry.0 = true;
        }
    }
    for number in set.by_tool.iter().flatten() {
        if let Some(entry) = covered.get_mut(index(number)) {
            entry.1 = true;
        }
    }
    covered
}

fn over_broad(rule: &Rule, problems: &mut Vec<Problem>) {
    let what = match (rule.scope.principal == Part::Any, rule.scope.names_no_tool()) {
        (true, true) => "any agent to use any tool",
        (true, false) => "any agent",
        (false, true) => "the use of any tool, also of tools that are added later",
        (false, false) => return,
    };
    let message = format!("`{}` permits {what}", rule.about.id);
    problems
        .push(Problem::warning("over-broad", &rule.place(), message).help("name the agents and the tools"));
}

fn shadowed(set: &RuleSet, number: usize, rule: &Rule, problems: &mut Vec<Problem>) {
    let by = set.rules.iter().enumerate().find(|(other_number, other)| {
        *other_number != number
            && other.is_unconditional()
            && contains(&other.scope, &rule.scope)
            // Of two equal permits only the later one is superfluous.
            && (other.about.forbids || !rule.is_unconditional() || *other_number < number)
    });
    if let Some((_, other)) = by {
        let how =
            if other.about.forbids { "forbids all that it permits" } else { "permits all of it already" };
        let message = format!("`{}` has no effect: `{}` {how}", rule.about.id, other.about.id);
        problems.push(Problem::warning("shadowed", &rule.place(), message));
    }
}

/// Is the inner scope surely within the outer one? Where it takes the world to know, the answer is no.
fn contains(outer: &Scope, inner: &Scope) -> bool {
    let part = |outer: &Part, inner: &Part| match (outer, inner) {
        (Part::Any, _) => true,
        (Part::In(a), Part::Is(b) | Part::In(b)) | (Part::Is(a), Part::Is(b)) => a == b,
        _ => false,
    };
    part(&outer.principal, &inner.principal)
        && part(&outer.resource, &inner.resource)
        && inner.action.iter().all(|action| outer.action.iter().any(|wider| part(wider, action)))
}

fn evadable(rule: &Rule, problems: &mut Vec<Problem>) {
    for name in &rule.reads.tested {
        let message = format!(
            "`{}` looks at the optional argument `{name}` behind `has`: a call that leaves it out is not forbidden",
            rule.about.id
        );
        problems.push(
            Problem::warning("evadable", &rule.place(), message)
                .help(format!("make `{name}` required in the tool's schema, or forbid its absence too")),
        );
    }
}
