//! Phase: an agent that works in phases reads before it writes.

use super::{Case, Findings};
use crate::reason::{Code, Reason};

pub(super) fn check(case: &Case<'_>, _: &mut Findings) -> Result<(), Box<Reason>> {
    if case.phase() != "off" && case.run.is_some_and(|run| run.implicit.is_some()) {
        return Err(Box::new(Reason::new(Code::RunRequired)));
    }
    let writes = case.tool.is_none_or(|tool| tool.contract.effect.writes());
    if case.phase() == "explore" && writes && !case.is_question {
        return Err(Box::new(Reason::new(Code::PhaseForbids).detail(case.phase())));
    }
    Ok(())
}
