//! Proposing: a write of an agent that only proposes joins what its run has proposed before, and nobody is held. What
//! people then say yes to becomes one plan: all of it is done, or nothing.

use super::ask::{cancelled, denied, denied_one};
use super::plan::{Desk, decide_plan};
use super::{Case, Decision};
use crate::approval::{Pending, Subject, Ticket};
use crate::call::Carrier;
use crate::command::Answer;
use crate::event::{Collected, Event};
use crate::id::CallId;
use crate::plan::{DraftedPlan, STEPS_MAX};
use crate::proposal::{PROPOSALS_MAX, Proposal, left_out, net};
use crate::reason::{Code, Reason};
use crate::run::Run;
use crate::template;
use crate::verdict::{Ruling, Verdict};

/// Whether this write is put beside the others that its run proposes: Remit would carry it out, and by itself.
pub(super) fn proposes(case: &Case<'_>) -> bool {
    let call = case.call;
    call.part.is_none() && call.carrier == Carrier::Gate && case.rules.proposes(&call.agent, &call.tool)
}

/// What it joins: what its run proposed before, and still waits for somebody.
pub(super) fn joined<'a>(case: &Case<'a>) -> Option<(CallId, &'a Pending)> {
    let (ticket, pending) = case.state.proposals_of(case.call.run)?;
    (!pending.waits_for(ticket, case.rules).is_empty()).then_some((ticket, pending))
}

/// A text that a plan would take for the result of another step.
pub(super) fn misleads(case: &Case<'_>) -> Option<Reason> {
    let found = template::references(&case.call.args).into_iter().next()?;
    Some(Reason::new(Code::PlanInvalid).at(found.at).detail("it reads like the result of a step of a plan"))
}

/// No more than one plan can hold, and what a person can read.
pub(super) fn too_many(run: &Run, ticket: CallId) -> Option<(&'static str, u64)> {
    let waits = run.proposed(ticket).count();
    let kept = net(run.proposed(ticket)).kept.len();
    let number = |most: usize| u64::try_from(most).unwrap_or(u64::MAX);
    match (waits >= PROPOSALS_MAX, kept >= STEPS_MAX) {
        (true, _) => Some(("proposals that wait at once", number(PROPOSALS_MAX))),
        (_, true) => Some(("writes in what a run proposes", number(STEPS_MAX))),
        _ => None,
    }
}

/// The same was proposed before: it waits, or is under way, or this is how it ended. What another took the place of
/// is a new proposal.
pub(super) fn proposed_before(run: &Run, ticket: &Ticket, agent: &str, case: &Case<'_>) -> Option<Decision> {
    let proposal = run.proposal(ticket.call)?;
    let call = proposal.call;
    if proposal.step.is_none() {
        let stands = net(run.proposed(proposal.ticket)).kept.iter().any(|kept| kept.call == call);
        return stands.then(|| Decision::none(Answer::Waiting(call)));
    }
    if !run.is_done_with(proposal) {
        return Some(Decision::none(Answer::Waiting(call)));
    }
    let answer = Answer::Same { call, verdict: Verdict::allow(), ended: None };
    let collected = Collected { agent: agent.to_owned(), call, run: case.call.run };
    Some(Decision::one(answer, Event::Collected(collected)))
}

impl Run {
    /// The plan that it became a step of is over.
    pub(super) fn is_done_with(&self, proposal: &Proposal) -> bool {
        proposal.step.is_some_and(|(version, _)| {
            let plan = self.plans.iter().find(|plan| plan.version == version);
            plan.is_none_or(|plan| plan.ended.is_some())
        })
    }
}

/// What has its yeses becomes a plan, exactly as it was proposed, judged by the rules and the budget of now.
pub(super) fn gather(desk: &Desk<'_>, ticket: CallId, plan: &DraftedPlan) -> Decision {
    let waits = |pending: &&Pending| pending.subject == Subject::Proposals && pending.plan.is_none();
    let Some(pending) = desk.state.pending.get(&ticket).filter(waits) else {
        return Decision::none(Answer::refused(Code::ApprovalUnknown));
    };
    let over = match cancelled(desk.control, desk.rules, pending, desk.now) {
        None if desk.now >= pending.expires => Some(Reason::new(Code::ApprovalExpired)),
        over => over,
    };
    if let Some(reason) = over {
        return ended(desk, ticket, reason);
    }
    let paused = desk.state.paused(pending.run).is_some();
    if paused || !pending.waits_for(ticket, desk.rules).is_empty() {
        return Decision::none(Answer::Waiting(ticket));
    }
    let Some(run) = desk.state.runs.get(&pending.run) else {
        return Decision::none(Answer::refused(Code::RunUnknown));
    };
    let bound = pending.bound(ticket, desk.rules);
    let kept = net(run.proposed(ticket)).kept;
    let calls: Vec<CallId> = kept.iter().map(|one| one.call).collect();
    let picked = pending.picked(bound, &calls);
    let by = pending.approved_by(bound).join(", ");
    if picked.is_empty() {
        return ended(desk, ticket, left_out(&by));
    }
    let chosen: Vec<&Proposal> = kept.into_iter().filter(|one| picked.contains(&one.call)).collect();
    if !is_exactly(plan, &chosen) {
        return Decision::none(Answer::Refused(Reason::new(Code::PlanDeviates).detail("what was proposed")));
    }
    let mut decision = decide_plan(desk, pending.run, &pending.agent, plan, &picked);
    match &decision.answer {
        Answer::Plan(verdict) if verdict.ruling == Ruling::Deny => {
            let of_steps = verdict.steps.iter().filter(|step| step.ruling == Ruling::Deny);
            let reason = verdict.reasons.iter().chain(of_steps.flat_map(|step| &step.reasons)).next();
            let reason = reason.cloned().unwrap_or_else(|| Reason::new(Code::PlanDenied));
            return ended(desk, ticket, reason);
        }
        Answer::Plan(verdict) if !verdict.asks.iter().all(|group| pending.reason.ask.contains(group)) => {
            let reason = Reason::new(Code::ApprovalCancelled).detail("the rules ask other people now");
            return ended(desk, ticket, reason);
        }
        // It can wait until that is over.
        Answer::Refused(reason) if matches!(reason.code, Code::CommitUnderWay | Code::PlanStuck) => {
            return decision;
        }
        Answer::Refused(reason) => return ended(desk, ticket, reason.clone()),
        _ => {}
    }
    let others = run.proposed(ticket).filter(|one| !picked.contains(&one.call));
    let others = others.map(|one| {
        let reason = match calls.contains(&one.call) {
            true => left_out(&by),
            false => Reason::new(Code::ApprovalCancelled).detail("a later proposal took its place"),
        };
        denied_one(desk.rules, desk.control.seq, pending, one, reason)
    });
    decision.events.extend(others);
    decision
}

/// Step for step the tool and the arguments that were proposed, and no reference to what other steps tell.
fn is_exactly(plan: &DraftedPlan, chosen: &[&Proposal]) -> bool {
    let steps = plan.plan.steps.iter().zip(&plan.drafts);
    let same = steps.zip(chosen).all(|((step, draft), one)| {
        step.tool == one.tool && draft.template == one.mark && template::references(&step.args).is_empty()
    });
    same && plan.plan.steps.len() == chosen.len() && plan.drafts.len() == chosen.len()
}

fn ended(desk: &Desk<'_>, ticket: CallId, reason: Reason) -> Decision {
    let answer = Answer::Refused(reason.clone());
    let events = denied(desk.state, desk.control, desk.rules, ticket, reason);
    Decision { answer, events }
}
