//! Phase: an agent that works in phases reads before it writes, and writes what it planned. What is to be read before
//! a write was read; what another run has claimed is left alone.

use super::{Case, Findings};
use crate::before;
use crate::reason::{Code, Reason};

pub(super) fn check(case: &Case<'_>, _: &mut Findings) -> Result<(), Box<Reason>> {
    let planned = case.call.part.is_some();
    if !planned && !case.is_question && case.phase() != "off" && case.writes() {
        return Err(Box::new(Reason::new(Code::PhaseForbids).detail(case.phase())));
    }
    before(case)?;
    let touches = &case.call.touches;
    if touches.is_empty() || case.control.claims.is_empty() || case.planned.is_some() {
        return Ok(());
    }
    match case.control.claimed_by_other(case.call.run, touches, case.now) {
        Some(run) => Err(Box::new(Reason::new(Code::ResourceClaimed).detail(run.to_string()))),
        None => Ok(()),
    }
}

/// Each read that a rule wants before this call was made in this run, of the same, and lately enough.
fn before(case: &Case<'_>) -> Result<(), Box<Reason>> {
    let (Some(manifest), Some(run)) = (case.manifest, case.run) else { return Ok(()) };
    for (place, rule) in before::wanted(manifest, &case.call.tool).enumerate() {
        let fact = case.call.facts.get(place).copied().flatten();
        let read = fact.and_then(|fact| run.facts.get(&fact));
        let fresh = |at: &crate::time::Time| rule.within_ms.is_none_or(|ms| case.now.since_ms(*at) <= ms);
        // What another step tells is not known yet.
        let later = fact.is_none() && case.planned.is_some_and(|planned| !planned.pointers.is_empty());
        if !read.is_some_and(fresh) && !later {
            return Err(Box::new(Reason::new(Code::ReadRequired).detail(&rule.read)));
        }
    }
    Ok(())
}
