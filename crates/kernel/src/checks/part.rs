//! Part: by what authority a call is made that is part of a plan. A step has its plan, an undo its deed, a companion
//! the contract that names it.

use super::{Case, grant};
use crate::call::{Carrier, Look, Part};
use crate::contract::Effect;
use crate::deed::{Deed, Undo};
use crate::id::{CallId, Mark};
use crate::progress::Stage;
use crate::reason::{Code, Reason};
use crate::saga::{Move, next};

type Found = Result<(), Box<Reason>>;

fn refused(code: Code, detail: &str) -> Found {
    Err(Box::new(Reason::new(code).detail(detail)))
}

pub(super) fn check(case: &Case<'_>, part: &Part) -> Found {
    if case.call.carrier != Carrier::Gate {
        return refused(Code::PlanDeviates, "Remit carries the steps of a plan itself");
    }
    match part {
        Part::Step { step, template, .. } => of_step(case, *step, *template),
        Part::Undo { of, version } => of_undo(case, *of, *version),
        Part::Companion { of, what, .. } => of_companion(case, of, *what),
    }
}

/// Exactly as it was planned, when it is due, and with its claims.
fn of_step(case: &Case<'_>, number: u16, template: Mark) -> Found {
    let Some((plan, step)) = case.step().filter(|(plan, _)| plan.agent == case.call.agent) else {
        return refused(Code::PlanUnknown, "the step");
    };
    // The same again is the same deed: it was granted, and its run may be over by now.
    if !case.is_repeat() {
        grant::own(case)?;
    }
    if step.planned.tool != case.call.tool {
        return refused(Code::PlanDeviates, "its tool");
    }
    if step.planned.template != template {
        return refused(Code::PlanDeviates, "its arguments");
    }
    // Halts are a check of their own.
    if !next(plan, case.now, &|_| false).contains(&Move::Run(number)) {
        return refused(Code::StepNotDue, step.state.name());
    }
    if !case.control.has_claimed(case.call.run, &case.call.touches, case.now) {
        return Err(Box::new(Reason::new(Code::ClaimLost)));
    }
    Ok(())
}

/// With what was kept when the deed settled, and only over what the deed left.
fn of_undo(case: &Case<'_>, of: CallId, version: Option<Mark>) -> Found {
    let Some((plan, step)) = case.step().filter(|(plan, _)| plan.agent == case.call.agent) else {
        return Err(Box::new(Reason::new(Code::UndoUnknown)));
    };
    let Some(kept) = &step.undo else { return Err(Box::new(Reason::new(Code::UndoUnknown))) };
    if kept.tool != case.call.tool || kept.mark != case.call.args_mark {
        return refused(Code::PlanDeviates, "it is not what was kept to take it back with");
    }
    if case.tool.is_some_and(|tool| tool.digest != kept.contract) {
        return refused(Code::UndoChanged, &case.call.tool);
    }
    if let Some(until) = kept.until.filter(|until| *until <= case.now) {
        return refused(Code::UndoExpired, &until.to_string());
    }
    let number = plan.step_of(of).unwrap_or(u16::MAX);
    if plan.stage != Stage::Unwinding || !next(plan, case.now, &|_| false).contains(&Move::Undo(number)) {
        return refused(Code::StepNotDue, step.state.name());
    }
    match (step.version, version) {
        // A try of unknown end may have changed it already.
        (Some(_), _) if step.undo_unknown() => Ok(()),
        (Some(left), Some(found)) if left == found => Ok(()),
        (Some(_), Some(_)) => refused(Code::VersionChanged, "somebody else has changed it since"),
        (Some(_), None) => refused(Code::VersionChanged, "its version cannot be read"),
        (None, _) => Ok(()),
    }
}

/// A read, and one that the contract names for this.
fn of_companion(case: &Case<'_>, of: &str, what: Look) -> Found {
    if case.state.agent_of(case.call.run) != Some(case.call.agent.as_str()) {
        return Err(Box::new(Reason::new(Code::RunUnknown)));
    }
    let named = case.rules.tool(of).is_some_and(|tool| names(&tool.contract.deed, what, &case.call.tool));
    if !named {
        return refused(Code::PlanDeviates, "no contract names this read");
    }
    match case.tool.is_none_or(|tool| tool.contract.effect == Effect::Read) {
        true => Ok(()),
        false => refused(Code::PlanDeviates, "what is looked at is only read"),
    }
}

fn names(deed: &Deed, what: Look, tool: &str) -> bool {
    let named = match what {
        Look::Before => match &deed.undo {
            Some(Undo::Restore { read, .. }) => Some(&read.tool),
            _ => None,
        },
        Look::Expect => deed.expect.as_ref().map(|expect| &expect.tool),
        Look::Preview => deed.preview.as_ref().map(|preview| &preview.tool),
        Look::Probe => deed.probe.as_ref().map(|probe| &probe.tool),
        Look::Version => deed.version.as_ref().map(|version| &version.tool),
    };
    named.is_some_and(|named| named == tool)
}
