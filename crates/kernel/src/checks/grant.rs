//! Grant: the agent is known, and the run is its own, open, and within its time.

use super::{Case, Findings};
use crate::call::Carrier;
use crate::reason::{Code, Reason};

pub(super) fn check(case: &Case<'_>, _: &mut Findings) -> Result<(), Box<Reason>> {
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
        Some(_) => Ok(()),
        None => Err(Box::new(Reason::new(Code::RunUnknown))),
    }
}
