//! Policy: the rules are asked. Nothing allows it → deny; a rule that errs → deny, with its error.

use policy::Decision;

use super::{Case, Findings};
use crate::facts::facts;
use crate::reason::{Code, Reason};

pub(super) fn check(case: &Case<'_>, findings: &mut Findings) -> Result<(), Box<Reason>> {
    let destinations = std::mem::take(&mut findings.destinations);
    let answer = case.rules.policy.decide(&facts(case, &destinations, &[]));
    if let Some((rule, error)) = answer.errors.into_iter().next() {
        let mut reason = Reason::new(Code::RuleErred).detail(first_line(&error));
        reason.rule = Some(rule);
        return Err(Box::new(reason));
    }
    match answer.decision {
        Decision::Allow => {
            findings.rules = answer.rules;
            Ok(())
        }
        Decision::Ask => {
            findings.ask = Some((answer.ask, answer.near));
            Ok(())
        }
        Decision::Deny => {
            let forbids = answer.rules.into_iter().find(|rule| rule.forbids);
            let code = if forbids.is_some() { Code::RuleForbids } else { Code::NoRuleAllows };
            let mut reason = Reason::new(code);
            reason.rule = forbids;
            reason.near = answer.near;
            Err(Box::new(reason))
        }
    }
}

/// An evaluation error names types and attributes; its first line says enough.
fn first_line(error: &str) -> &str {
    error.lines().next().unwrap_or_default()
}
