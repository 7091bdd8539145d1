//! Approval: what needs a person's yes waits for one, if there are people who can give it.

use super::{Case, Findings};
use crate::approval::plain_name;
use crate::approvers::Approvals;
use crate::reason::{Code, Reason};

pub(super) fn check(case: &Case<'_>, findings: &mut Findings) -> Result<(), Box<Reason>> {
    let (mut groups, near) = findings.ask.take().unwrap_or_default();
    if let Some(manifest) = case.manifest.filter(|_| proposes(case)) {
        let owner = Approvals::owner_group(&manifest.owner);
        if !case.approvals().contains(&owner) {
            groups.push(owner);
        }
    }
    if groups.is_empty() {
        return Ok(());
    }
    let house = &case.rules.book.house.approvals;
    let mut persons = case.state.persons(case.call.run);
    persons.extend(case.control.given_to(case.call.credential).map(plain_name));
    // A plan is approved as one thing, and not step by step.
    let alone = case.call.part.is_none() || case.planned.is_some();
    // Nobody waits for people who are not there, or who may not answer for themselves.
    let can = alone && groups.iter().all(|group| house.can_approve(group, &persons));
    let code = if can { Code::ApprovalRequired } else { Code::ApprovalUnavailable };
    Err(Box::new(Reason { ask: groups, near, ..Reason::new(code) }))
}

/// A write in mode `propose`.
fn proposes(case: &Case<'_>) -> bool {
    case.rules.proposes(&case.call.agent, &case.call.tool)
}
