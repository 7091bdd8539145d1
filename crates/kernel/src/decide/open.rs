//! How runs begin, under others too, and how they end with all that is below them.

use std::collections::BTreeSet;

use super::Decision;
use super::ask::denied;
use crate::account::Limits;
use crate::command::{Answer, Closing, OpenRun};
use crate::event::{Event, RunClosed, RunOpened};
use crate::id::{CallId, RunId};
use crate::progress::{PlanState, Stage};
use crate::reason::{Code, Reason};
use crate::rules::Rules;
use crate::run::Run;
use crate::state::{Control, State};
use crate::time::Time;

/// Open runs of one family, all of which are closed with the first in one batch.
const FAMILY_MAX: usize = 500;

pub(super) fn open_run(
    state: &State,
    control: &Control,
    rules: &Rules,
    open: &OpenRun,
    now: Time,
) -> Decision {
    let standing = open.implicit.and_then(|key| state.implicit.get(&key));
    if let Some((run, known)) = standing.and_then(|run| state.runs.get_key_value(run))
        && known.ends() > now
    {
        return Decision::none(Answer::Opened { run: *run, expires: known.expires });
    }
    let Some(manifest) = rules.agent(&open.agent) else {
        return Decision::none(Answer::Refused(Reason::new(Code::AgentUnknown).detail(&open.agent)));
    };
    let above = open.parent.map(|parent| state.chain(parent)).unwrap_or_default();
    if let Some((scope, halt)) = control.closed_to(&open.agent, &manifest.tenant, &above, now) {
        return Decision::none(Answer::Refused(Reason::new(Code::Halted).detail(halt.says(scope))));
    }
    let (house, stopping) = (&rules.book.house, rules.stopping(manifest));
    let mut expires = now.plus_ms(stopping.duration_ms.unwrap_or(u64::MAX).min(house.run_ttl_ms));
    if let Some(parent) = open.parent {
        match may_open_under(state, rules, open, parent, now) {
            Ok(ends) => expires = expires.min(ends),
            Err(reason) => return Decision::none(Answer::Refused(*reason)),
        }
    }
    let (agent, person) = (open.agent.clone(), open.person.clone());
    let idle_ms = [open.implicit.map(|_| house.implicit_idle_ms), stopping.idle_ms];
    let idle_ms = idle_ms.into_iter().flatten().min();
    let implicit = open.implicit;
    let budget = open.budget.clone().filter(|budget| !budget.is_none());
    let opened = RunOpened {
        agent,
        budget,
        expires,
        idle_ms,
        implicit,
        intent: open.intent,
        parent: open.parent,
        person,
        run: open.run,
        vouched: control.given_to(open.credential.or(open.implicit)).map(str::to_owned),
    };
    Decision::one(Answer::Opened { run: open.run, expires }, Event::RunOpened(opened))
}

/// Whether a run may be opened under this one, and when that one ends. A parent is as good as unknown to others.
fn may_open_under(
    state: &State,
    rules: &Rules,
    open: &OpenRun,
    parent: RunId,
    now: Time,
) -> Result<Time, Box<Reason>> {
    let refused = |code, limit| Err(Box::new(Reason::new(code).limit(limit)));
    let Some(above) = state.own_run(parent, &open.agent) else {
        return Err(Box::new(Reason::new(Code::RunUnknown)));
    };
    if state.lineage(parent).any(|(_, run)| now >= run.ends()) {
        return Err(Box::new(Reason::new(Code::RunExpired)));
    }
    if let Some((_, paused)) = state.paused(parent) {
        return Err(Box::new(Reason::new(Code::RunPaused).detail(&paused.why)));
    }
    let house = &rules.book.house;
    if above.depth >= house.depth_max {
        return refused(Code::DepthReached, house.depth_max);
    }
    if u64::try_from(above.children.len()).unwrap_or(u64::MAX) >= house.children_max {
        return refused(Code::ChildrenReached, house.children_max);
    }
    let first = state.lineage(parent).last().map_or(parent, |(id, _)| id);
    if state.descent(first).len() >= FAMILY_MAX {
        return refused(Code::ChildrenReached, FAMILY_MAX as u64);
    }
    if let Some(budget) = &open.budget {
        lendable(state, rules, parent, budget, now)?;
    }
    // Calls below keep it from being idle.
    Ok(above.expires)
}

/// How a run is closed, and by whom.
pub(super) struct Closer<'a> {
    pub(super) outcome: Closing,
    pub(super) workflow: Option<&'a str>,
    pub(super) by: &'a str,
}

/// `agent` is who asks; a person may close any run. What is open below it is closed first.
pub(super) fn close_run(
    state: &State,
    control: &Control,
    rules: &Rules,
    run: RunId,
    agent: Option<&str>,
    closer: &Closer<'_>,
) -> Decision {
    let own = |open: &&Run| agent.is_none_or(|agent| agent == open.agent);
    if state.runs.get(&run).filter(own).is_none() {
        return Decision::none(Answer::refused(Code::RunUnknown));
    }
    if let Some(open) = state.descent(run).into_iter().find(|one| is_open(state, *one)) {
        return Decision::none(Answer::Refused(under_way(state.plan(open))));
    }
    // What an agent proposed is answered first, unless it gives up what it was about.
    let proposed = |one: &RunId| state.proposals_of(*one).is_some();
    if agent.is_some() && closer.outcome == Closing::Success && state.descent(run).iter().any(proposed) {
        return Decision::none(Answer::refused(Code::ProposalsWait));
    }
    Decision { answer: Answer::Done, events: closed_with_children(state, control, rules, run, closer) }
}

/// Whether a plan of the run is not over, though something of it may stand.
pub(super) fn is_open(state: &State, run: RunId) -> bool {
    let plan = state.plan(run).map(|plan| plan.stage);
    plan.is_some_and(|stage| stage.is_under_way() || stage == Stage::Paused)
}

/// Why nothing else is begun: a plan is on its way, and whether it goes on without a person.
pub(super) fn under_way(plan: Option<&PlanState>) -> Reason {
    match plan.and_then(PlanState::stuck) {
        Some(stuck) => Reason::new(Code::PlanStuck).detail(stuck),
        None => Reason::new(Code::CommitUnderWay),
    }
}

/// What waits for people in it is cancelled first.
pub(super) fn closed_with_children(
    state: &State,
    control: &Control,
    rules: &Rules,
    run: RunId,
    closer: &Closer<'_>,
) -> Vec<Event> {
    let runs = state.descent(run);
    let closed = |one: &RunId| {
        let workflow = closer.workflow.filter(|_| *one == run).map(str::to_owned);
        let outcome = if *one == run { closer.outcome } else { Closing::Abandoned };
        Event::RunClosed(RunClosed { by: closer.by.to_owned(), outcome, run: *one, workflow })
    };
    let waiting = state.runs.get(&run).is_some_and(|run| run.waiting > 0);
    let asks = if waiting { asks_of(state, &runs) } else { Vec::new() };
    let cancelled = |id| {
        let reason = Reason::new(Code::ApprovalCancelled).detail("its run was closed");
        denied(state, control, rules, id, reason)
    };
    asks.into_iter().flat_map(cancelled).chain(runs.iter().map(closed)).collect()
}

fn asks_of(state: &State, runs: &[RunId]) -> Vec<CallId> {
    let runs: BTreeSet<&RunId> = runs.iter().collect();
    let of_them = state.pending.iter().filter(|(_, pending)| runs.contains(&pending.run));
    let mut asks: Vec<CallId> = of_them.map(|(id, _)| *id).collect();
    asks.sort_unstable();
    asks
}

/// What a child may borrow: no more than every run above it has room for.
fn lendable(
    state: &State,
    rules: &Rules,
    parent: RunId,
    budget: &Limits,
    now: Time,
) -> Result<(), Box<Reason>> {
    state.family_check(rules, parent, &budget.amount(), now).map_err(|short| {
        let reason = Reason::new(Code::BudgetExceeded).detail(short.short.currency);
        Box::new(reason.limit(short.short.limit))
    })
}
