//! Grant: the agent is known, and the run is its own, open, and within its time.

use super::{Case, Findings, part};
use crate::call::Carrier;
use crate::id::RunId;
use crate::reason::{Code, Reason};
use crate::run::Run;

pub(super) fn check(case: &Case<'_>, _: &mut Findings) -> Result<(), Box<Reason>> {
    match &case.call.part {
        Some(part) if case.planned.is_none() => part::check(case, part),
        _ => own(case),
    }
}

/// Of what the agent asks for itself.
pub(super) fn own(case: &Case<'_>) -> Result<(), Box<Reason>> {
    let Some(manifest) = case.manifest else {
        return Err(Box::new(Reason::new(Code::AgentUnknown).detail(&case.call.agent)));
    };
    if case.is_question {
        return Ok(());
    }
    if case.call.carrier == Carrier::Executor && !manifest.executor {
        return Err(Box::new(Reason::new(Code::ExecutorRequired)));
    }
    match case.run {
        // Another agent's run is as good as none: its existence is not this agent's business.
        Some(run) if run.agent != case.call.agent => Err(Box::new(Reason::new(Code::RunUnknown))),
        Some(run) if case.now >= run.ends() => Err(Box::new(Reason::new(Code::RunExpired))),
        Some(run) => {
            let over = |(_, run): (RunId, &Run)| case.now >= run.ends();
            if run.parent.is_some() && case.state.lineage(case.call.run).any(over) {
                return Err(Box::new(Reason::new(Code::RunExpired)));
            }
            case.state
                .paused(case.call.run)
                .map_or(Ok(()), |(_, paused)| Err(Box::new(Reason::new(Code::RunPaused).detail(&paused.why))))
        }
        None => Err(Box::new(Reason::new(Code::RunUnknown))),
    }
}
