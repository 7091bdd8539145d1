//! Policy: the rules are asked. Nothing allows it → deny; a rule that errs → deny, with its error.

use std::sync::Arc;

use policy::{Decision, RuleRef};

use super::{Case, DETAIL_CHARS_MAX, Findings};
use crate::call::Part;
use crate::facts::facts;
use crate::reason::{Code, Reason};

const RULES_CITED_MAX: usize = 8;

pub(super) fn check(case: &Case<'_>, findings: &mut Findings) -> Result<(), Box<Reason>> {
    let destinations = std::mem::take(&mut findings.destinations);
    if !case.is_asked() {
        return of_undo(case, &destinations);
    }
    let answer = case.rules.policy.decide(&facts(case, &destinations, case.approvals()));
    if answer.decision != Decision::Allow && is_later(case) {
        return Ok(());
    }
    if let Some((rule, error)) = answer.errors.into_iter().next() {
        let mut reason = Reason::new(Code::RuleErred).detail(masked(&error));
        reason.rule = Some(rule);
        return Err(Box::new(reason));
    }
    match answer.decision {
        Decision::Allow => {
            findings.rules = cited(answer.rules);
            Ok(())
        }
        Decision::Ask => {
            // The rules that would then allow it, or that forbid it without a yes.
            findings.ask = Some((answer.ask, cited(answer.rules)));
            Ok(())
        }
        Decision::Deny => {
            let forbids = answer.rules.into_iter().find(|rule| rule.forbids);
            let code = if forbids.is_some() { Code::RuleForbids } else { Code::NoRuleAllows };
            let mut reason = Reason::new(code);
            reason.rule = forbids;
            reason.near = cited(answer.near);
            Err(Box::new(reason))
        }
    }
}

/// What takes a deed back needs no rule that allows it, and heeds those that say that they bind it.
fn of_undo(case: &Case<'_>, destinations: &[String]) -> Result<(), Box<Reason>> {
    if !matches!(case.call.part, Some(Part::Undo { .. })) {
        return Ok(());
    }
    match case.rules.policy.forbids_undo(&facts(case, destinations, case.approvals())) {
        None => Ok(()),
        Some((rule, error)) => {
            let code = if error.is_some() { Code::RuleErred } else { Code::RuleForbids };
            let mut reason = Reason::new(code);
            reason.detail = error.map(|error| masked(&error));
            reason.rule = Some(rule);
            Err(Box::new(reason))
        }
    }
}

/// Whether the answer may hang on what is not known yet: then it is given when the step runs.
fn is_later(case: &Case<'_>) -> bool {
    let (Some(planned), Some(tool)) = (case.planned, case.tool) else { return false };
    let names: Vec<&str> = planned.names.iter().map(String::as_str).collect();
    let goes = tool.contract.destinations.iter().filter_map(|place| place.path.first());
    let goes = goes.into_iter().any(|name| planned.names.contains(name));
    !names.is_empty() && case.rules.policy.reads_args(&case.call.agent, &case.call.tool, &names, goes)
}

/// The first of them: enough to explain a verdict, few enough for every event to fit into the log.
fn cited(mut rules: Vec<Arc<RuleRef>>) -> Vec<Arc<RuleRef>> {
    rules.truncate(RULES_CITED_MAX);
    rules
}

/// An evaluation error may quote values of the arguments, and a reason holds none: what stands in quotes is left out.
/// Its first line says enough, and its length is bounded.
fn masked(error: &str) -> String {
    let line = error.lines().next().unwrap_or_default();
    let quoted = |at: usize| at % 2 == 1;
    let parts = line.split(['`', '"']).enumerate().map(|(at, part)| if quoted(at) { "…" } else { part });
    parts.collect::<String>().chars().take(DETAIL_CHARS_MAX).collect()
}
