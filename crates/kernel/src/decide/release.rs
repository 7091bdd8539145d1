//! Releasing: what has its yeses is decided again, on the rules and the budget of now; and once.

use super::ask::{cancelled, denied};
use super::{Decision, conclude};
use crate::approval::{Granted, Pending, Subject};
use crate::checks::{Case, Judged, judge};
use crate::command::Answer;
use crate::event::{Collected, Event};
use crate::id::{CallId, RunId};
use crate::reason::{Code, Reason};
use crate::state::State;
use crate::verdict::Verdict;

pub(super) fn release(case: &Case<'_>) -> Decision {
    let Case { state, control, rules, now, call, .. } = *case;
    let is_it = |pending: &&Pending| pending.subject == Subject::Call && pending.is(call);
    let Some(pending) = state.pending.get(&call.id).filter(is_it) else {
        return Decision::none(Answer::refused(Code::ApprovalUnknown));
    };
    let over = match cancelled(control, rules, pending, now) {
        None if now >= pending.expires => Some(Reason::new(Code::ApprovalExpired)),
        over => over,
    };
    if let Some(reason) = over {
        return ended(case, reason);
    }
    // Nobody can do anything in a run that waits for a person; the yeses keep.
    if state.paused(call.run).is_some() {
        return Decision::none(Answer::Waiting(call.id));
    }
    let granted = granted(pending, case);
    if granted.groups.is_empty() {
        return Decision::none(Answer::Waiting(call.id));
    }
    let case = Case { granted: Some(&granted), ..*case };
    let judged = judge(&case);
    if !judged.verdict.asks() {
        return conclude(&case, judged, None);
    }
    if !judged.needs.is_empty() {
        return Decision::none(Answer::Short(judged.needs));
    }
    // Whom the rules of now ask besides, nobody asked.
    let others = judged.verdict.reasons.iter().flat_map(|reason| &reason.ask);
    match others.clone().all(|group| pending.reason.ask.contains(group)) {
        true => Decision::none(Answer::Waiting(call.id)),
        false => {
            let reason = Reason::new(Code::ApprovalCancelled).detail("the rules ask other people now");
            ended(&case, reason)
        }
    }
}

/// What the yeses of now come to, and whether they begin a bounded approval.
fn granted(pending: &Pending, case: &Case<'_>) -> Granted {
    let call = case.call.id;
    let bound = pending.bound(call, case.rules);
    Granted {
        groups: pending.complete(call, case.rules),
        by: pending.approved_by(bound),
        standing: pending.terms(bound).map(|_| call),
        ends_ask: true,
    }
}

fn ended(case: &Case<'_>, reason: Reason) -> Decision {
    let verdict = Verdict::deny(reason.clone());
    let over = denied(case.state, case.control, case.rules, case.call.id, reason);
    Decision { answer: Answer::Verdict(verdict), events: over }
}

/// The agent was told; from now on the same call is a new one.
pub(super) fn collect(state: &State, call: CallId, run: RunId, agent: &str) -> Decision {
    let own = state.own_run(run, agent);
    let ticket = own.and_then(|run| run.tickets.values().find(|ticket| ticket.call == call));
    let over = ticket.is_some_and(|ticket| {
        let denied = ticket.verdict.as_ref().is_some_and(|verdict| !verdict.allows());
        let of_plan = own.and_then(|run| Some(run.is_done_with(run.proposal(call)?)));
        denied || ticket.ended.is_some() || of_plan.unwrap_or(false)
    });
    if !over {
        return Decision::none(Answer::Done);
    }
    Decision::one(Answer::Done, Event::Collected(Collected { agent: agent.to_owned(), call, run }))
}

impl Judged {
    pub(super) fn denied(reason: Reason) -> Judged {
        Judged {
            verdict: Verdict::deny(reason),
            reserved: Default::default(),
            accounts: Vec::new(),
            seen: Vec::new(),
            needs: Vec::new(),
            exhausted: None,
            cost: Default::default(),
        }
    }
}
