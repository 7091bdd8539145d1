//! Approval: what needs a person's yes waits for one. Until approvals are built, nobody can give it.

use stdx::glob;

use super::{Case, Findings};
use crate::agent::Mode;
use crate::reason::{Code, Reason};

pub(super) fn check(case: &Case<'_>, findings: &mut Findings) -> Result<(), Box<Reason>> {
    let mut reason = Reason::new(Code::ApprovalUnavailable);
    if let Some((groups, near)) = findings.ask.take() {
        reason.ask = groups;
        reason.near = near;
        return Err(Box::new(reason));
    }
    if proposes(case) {
        reason.ask = case.manifest.map(|manifest| manifest.owner.clone()).into_iter().collect();
        return Err(Box::new(reason));
    }
    Ok(())
}

/// A write of an agent, or on a line of its manifest, in mode `propose`.
fn proposes(case: &Case<'_>) -> bool {
    let (Some(manifest), Some(tool)) = (case.manifest, case.tool) else { return false };
    let line = manifest.may.iter().filter(|may| glob::matches(&may.tool, &case.call.tool));
    let proposed = line.filter_map(|may| may.mode).any(|mode| mode == Mode::Propose);
    tool.contract.effect.writes() && (proposed || manifest.mode == Mode::Propose)
}
