//! The sweep: what is overdue ends, and what waits for people although nobody may be asked any more.

use std::collections::BTreeSet;

use super::ask::{cancelled, denied};
use super::commit::unwound;
use super::open::{Closer, closed_with_children, is_open};
use super::{Decision, SWEEP_MAX, unknown};
use crate::approval::Pending;
use crate::command::{Answer, Closing};
use crate::event::{AskEscalated, CommitEnded, Event};
use crate::id::{CallId, RunId};
use crate::progress::{End, Stage};
use crate::reason::{Code, Reason};
use crate::rules::Rules;
use crate::saga::residue;
use crate::state::{Control, Due, State};
use crate::time::Time;

/// What ended in this sweep already: a run may be due with a run above it, and an ask with its run.
#[derive(Default)]
struct Ended {
    events: Vec<Event>,
    runs: BTreeSet<RunId>,
    asks: BTreeSet<CallId>,
}

impl Ended {
    fn add(&mut self, event: Event) {
        let is_new = match &event {
            Event::RunClosed(closed) => self.runs.insert(closed.run),
            Event::CallDecided(decided) => self.asks.insert(decided.call),
            _ => true,
        };
        self.events.extend(is_new.then_some(event));
    }
}

pub(super) fn sweep(state: &State, control: &Control, rules: &Rules, now: Time) -> Decision {
    let mut ended = Ended::default();
    let closer = Closer { outcome: Closing::Expired, workflow: None, by: "sweep" };
    let due = state.due.iter().take_while(|(at, _)| *at <= now).map(|(_, due)| due);
    // A run is not closed over its plan: that is ended first.
    let busy = |due: &&Due| matches!(due, Due::Run(run) if under_way(state, *run));
    for due in due.filter(|due| !busy(due)).take(SWEEP_MAX) {
        match due {
            Due::Call(id) => {
                let open = state.calls.get(id);
                ended.events.extend(open.map(|open| unknown(*id, open, now, "sweep")));
            }
            Due::Ask(id) => {
                let reason = Reason::new(Code::ApprovalExpired);
                let over = denied(state, control, rules, *id, reason);
                over.into_iter().for_each(|event| ended.add(event));
            }
            Due::Run(run) if state.descent(*run).iter().any(|one| is_open(state, *one)) => {
                let given_up = state.descent(*run).into_iter().filter_map(|one| given_up(rules, state, one));
                ended.events.extend(given_up);
            }
            Due::Run(run) => {
                let closed = closed_with_children(state, control, rules, *run, &closer);
                closed.into_iter().for_each(|event| ended.add(event));
                if ended.events.len() >= SWEEP_MAX {
                    break;
                }
            }
        }
    }
    for (id, reason) in barred(state, control, rules, now) {
        let over = denied(state, control, rules, id, reason);
        over.into_iter().for_each(|event| ended.add(event));
    }
    let escalated = escalated(state, rules, now);
    let waits = |event: &AskEscalated| !ended.asks.contains(&event.call);
    let told: Vec<Event> = escalated.into_iter().filter(waits).map(Event::AskEscalated).collect();
    ended.events.extend(told);
    Decision { answer: Answer::Done, events: ended.events }
}

fn under_way(state: &State, run: RunId) -> bool {
    let is_under_way =
        |run: &RunId| state.plan(*run).is_some_and(|plan| plan.stage.is_under_way() && !plan.is_open());
    state.descent(run).iter().any(is_under_way)
}

/// A paused plan, or an open group, whose run is over goes back; or is left as it is, if something of it cannot be
/// taken back.
fn given_up(rules: &Rules, state: &State, run: RunId) -> Option<Event> {
    let plan = state.plan(run).filter(|plan| plan.stage == Stage::Paused || plan.is_open())?;
    if !plan.may_be_past_recall() {
        return Some(unwound(run, plan, "sweep", "run_expired", None));
    }
    let (end, version) = (End::Quarantined, plan.version);
    let owner = rules.agent(&plan.agent).map(|manifest| manifest.owner.clone());
    Some(Event::CommitEnded(CommitEnded { end, owner, residue: residue(plan, end), run, version }))
}

/// Asks that a halt holds, or whose credential is gone: nobody need answer them. In order, and not all at once.
fn barred(state: &State, control: &Control, rules: &Rules, now: Time) -> Vec<(CallId, Reason)> {
    let barred = |(id, pending): (&CallId, &Pending)| Some((*id, cancelled(control, rules, pending, now)?));
    let mut barred: Vec<(CallId, Reason)> = state.pending.iter().filter_map(barred).collect();
    barred.sort_by_key(|(id, _)| *id);
    barred.truncate(SWEEP_MAX);
    barred
}

/// Asks that nobody answered for so long that others may. In order, and not all at once.
fn escalated(state: &State, rules: &Rules, now: Time) -> Vec<AskEscalated> {
    let house = &rules.book.house.approvals;
    if house.groups.values().all(|group| group.escalate.is_none()) {
        return Vec::new();
    }
    let mut escalated = Vec::new();
    for (id, pending) in &state.pending {
        for group in &pending.reason.ask {
            let due = house.escalation(group).filter(|one| now >= pending.asked.plus_ms(one.after_ms));
            let due = due.filter(|_| !pending.escalated.contains(group));
            escalated.extend(due.map(|one| AskEscalated {
                agent: pending.agent.clone(),
                call: *id,
                group: group.clone(),
                run: pending.run,
                to: one.to.clone(),
                tool: pending.tool.clone(),
            }));
        }
    }
    escalated.sort_by(|one, other| (one.call, &one.group).cmp(&(other.call, &other.group)));
    escalated.truncate(SWEEP_MAX);
    escalated
}
