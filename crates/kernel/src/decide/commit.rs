//! A plan is begun, moved on, given up and ended. What is next the saga says; here it is written down.

use super::Decision;
use super::assent::{self, Assent};
use super::open::under_way;
use super::plan::Desk;
use crate::account::Amount;
use crate::approval::Subject;
use crate::call::{Outcome, Part};
use crate::checks::{Case, room_for};
use crate::command::{Answer, Looked};
use crate::event::{
    CallFinished, CommitEnded, CommitStarted, Event, PhaseChanged, ResidueAccepted, Stamp, StepChecked,
    UnwindStarted,
};
use crate::id::{CallId, RunId};
use crate::phase::Phase;
use crate::progress::{End, Expectation, OnFailure, PlanState, Stage, Step, StepState};
use crate::reason::{Code, Reason};
use crate::run::OpenCall;
use crate::saga::{Move, PARALLEL_MAX, next, residue};
use crate::state::State;
use crate::undo::UndoKept;

type Refused = Box<Reason>;

/// What a probe or a person found out of a call that nobody knew the end of.
const NOT_DONE: &str = "never_happened";

fn refused<T>(code: Code, detail: &str) -> Result<T, Refused> {
    Err(Box::new(Reason::new(code).detail(detail)))
}

fn no<T>(code: Code) -> Result<T, Refused> {
    Err(Box::new(Reason::new(code)))
}

impl Desk<'_> {
    /// The plan as it stands after these events.
    pub(super) fn after(&self, run: RunId, events: Vec<Event>) -> Decision {
        let mut one = State { seq: self.state.seq, last: self.state.last, ..State::default() };
        one.runs.extend(self.state.runs.get(&run).map(|known| (run, known.clone())));
        one.past.extend(self.state.past.get(&run).map(|known| (run, known.clone())));
        let calls = events.iter().filter_map(|event| match event {
            Event::CallFinished(finished) => Some(finished.call),
            _ => None,
        });
        one.calls = calls.filter_map(|call| Some((call, self.state.calls.get(&call)?.clone()))).collect();
        for event in &events {
            let lane_seq = one.seq + 1;
            let tenant = String::new();
            one.apply(&Stamp { at: self.now, lane: self.state.lane, lane_seq, tenant }, event);
        }
        match one.plan(run) {
            Some(plan) => Decision { answer: Answer::Progress(Box::new(plan.clone())), events },
            None => Decision::none(Answer::refused(Code::PlanUnknown)),
        }
    }

    /// What the plan of a run wants, as control stands.
    fn moves(&self, run: RunId, plan: &PlanState) -> Vec<Move> {
        let runs = self.state.chain(run);
        let held =
            |tool: &str| self.control.holds_tool(self.rules, &plan.agent, tool, runs.clone(), self.now);
        next(plan, self.now, &held)
    }

    fn plan(&self, run: RunId) -> Result<&PlanState, Refused> {
        self.state.plan(run).ok_or_else(|| Box::new(Reason::new(Code::PlanUnknown)))
    }

    fn ended(&self, run: RunId, plan: &PlanState, end: End) -> Event {
        let owner = self.rules.agent(&plan.agent).map(|manifest| manifest.owner.clone());
        let owner = owner.filter(|_| end == End::Quarantined);
        Event::CommitEnded(CommitEnded {
            end,
            owner,
            residue: residue(plan, end),
            run,
            version: plan.version,
        })
    }
}

pub(super) fn answered(decided: Result<Decision, Refused>) -> Decision {
    decided.unwrap_or_else(|reason| Decision::none(Answer::Refused(*reason)))
}

pub(super) fn phase(desk: &Desk<'_>, run: RunId, agent: &str, to: Phase) -> Result<Decision, Refused> {
    let Some(known) = desk.state.own_run(run, agent) else { return no(Code::RunUnknown) };
    if known.plans.last().is_some_and(|plan| plan.stage.is_under_way()) {
        return no(Code::CommitUnderWay);
    }
    if to == Phase::Commit {
        return no(Code::PlanUnknown);
    }
    if known.phase == to {
        return Ok(Decision::none(Answer::Phase(to)));
    }
    let changed = PhaseChanged { by: "agent".to_owned(), from: known.phase, run, to, why: None };
    Ok(Decision::one(Answer::Phase(to), Event::PhaseChanged(changed)))
}

/// The plan is good, everything that it touches is its own, and what it may cost is free.
pub(super) fn commit(desk: &Desk<'_>, case: &Case<'_>, version: u32) -> Result<Decision, Refused> {
    let (run, agent) = (case.call.run, &case.call.agent);
    let (Some(known), Some(manifest)) = (desk.state.own_run(run, agent), case.manifest) else {
        return no(Code::RunUnknown);
    };
    let plan = known.plans.last().filter(|plan| plan.version == version);
    let Some(plan) = plan else { return no(Code::PlanUnknown) };
    let others = known.plans.iter().any(|other| other.stage.is_under_way() && other.version != version);
    match plan.stage {
        Stage::Committing | Stage::Unwinding => return Err(Box::new(under_way(Some(plan)))),
        Stage::Proposed | Stage::Paused | Stage::Open if others => return no(Code::CommitUnderWay),
        Stage::Proposed | Stage::Paused | Stage::Open => {}
        _ => return no(Code::PlanUnknown),
    }
    if !plan.allowed {
        return no(Code::PlanDenied);
    }
    // Whoever comes to such a threshold looks at its plan again before it begins.
    let decides = desk.state.lineage(run).map(|(_, above)| above.decide_seq).max().unwrap_or(0);
    if plan.stage == Stage::Proposed && decides > plan.seq {
        return no(Code::PlanStale);
    }
    crate::checks::may_begin(case)?;
    let yes = match assent::assented(desk, case, plan)? {
        Assent::Given(yes) => yes,
        Assent::Asked(decision) => return Ok(decision),
    };
    if manifest.phases && known.phase == Phase::Explore {
        return refused(Code::PhaseForbids, known.phase.name());
    }
    if !desk.control.has_claimed(run, &plan.touches, desk.now) {
        return Err(Box::new(Reason::new(Code::ClaimLost)));
    }
    let (cost, (accounts, needs)) = match plan.is_open() {
        // All of it was set aside when it joined.
        true => (plan.hold.clone(), (plan.accounts.clone(), Vec::new())),
        false => {
            let cost = plan.cost.plus(&plan.undo_cost);
            let room = room_for(case, &cost.minus(&plan.hold))?;
            (cost, room)
        }
    };
    if !needs.is_empty() {
        return Ok(Decision::none(Answer::Short(needs)));
    }
    // What people approved together is done together, or not at all.
    let ticket = yes.as_ref().and_then(|(ticket, _)| desk.state.pending.get(ticket));
    let proposed = ticket.is_some_and(|pending| pending.subject == Subject::Proposals);
    let started = CommitStarted {
        accounts,
        approved: yes.as_ref().map(|(_, by)| by.clone()).unwrap_or_default(),
        control_seq: desk.control.seq,
        cost,
        on_failure: if proposed { OnFailure::Unwind } else { manifest.commits.on_failure },
        on_halt: manifest.commits.on_halt,
        parallel: desk.rules.stopping(manifest).parallel.unwrap_or(PARALLEL_MAX),
        run,
        ticket: yes.map(|(ticket, _)| ticket),
        version,
    };
    Ok(desk.after(run, vec![Event::CommitStarted(started)]))
}

/// Nothing of it remains, unless something was done that cannot be taken back.
pub(super) fn abort(
    desk: &Desk<'_>,
    run: RunId,
    agent: Option<&str>,
    by: &str,
    why: &str,
) -> Result<Decision, Refused> {
    let known = desk.state.runs.get(&run).filter(|run| agent.is_none_or(|agent| agent == run.agent));
    if known.is_none() {
        return no(Code::RunUnknown);
    }
    let plan = desk.plan(run)?;
    match plan.stage {
        Stage::Proposed => {
            let withdrawn = assent::withdrawn(desk, run, "the plan was given up");
            let events = std::iter::once(desk.ended(run, plan, End::RolledBack)).chain(withdrawn).collect();
            Ok(desk.after(run, events))
        }
        Stage::Unwinding => Ok(desk.after(run, Vec::new())),
        Stage::Open | Stage::Committing | Stage::Paused if plan.may_be_past_recall() => {
            refused(Code::CannotUnwind, "a step was done, or may be, that cannot be taken back")
        }
        Stage::Open | Stage::Committing | Stage::Paused => {
            let withdrawn = assent::withdrawn(desk, run, "it was given up");
            let unwound = unwound(run, plan, by, why, None);
            Ok(desk.after(run, std::iter::once(unwound).chain(withdrawn).collect()))
        }
        _ => no(Code::PlanUnknown),
    }
}

pub(super) fn unwound(run: RunId, plan: &PlanState, by: &str, why: &str, taking: Option<Vec<u16>>) -> Event {
    let (by, why) = (by.to_owned(), why.to_owned());
    Event::UnwindStarted(UnwindStarted { by, run, taking, version: plan.version, why })
}

pub(super) fn unwind(desk: &Desk<'_>, run: RunId) -> Result<Decision, Refused> {
    let plan = desk.plan(run)?;
    let wanted = desk.moves(run, plan).into_iter().find_map(|wanted| match wanted {
        Move::Unwind(why) => Some(why),
        _ => None,
    });
    let Some(why) = wanted else { return refused(Code::StepNotDue, plan.stage.name()) };
    Ok(desk.after(run, vec![unwound(run, plan, "saga", &why, None)]))
}

pub(super) fn pause(desk: &Desk<'_>, run: RunId) -> Result<Decision, Refused> {
    let plan = desk.plan(run)?;
    let wanted = desk.moves(run, plan).into_iter().find_map(|wanted| match wanted {
        Move::Pause(why) => Some(why),
        _ => None,
    });
    let Some(why) = wanted else { return refused(Code::StepNotDue, plan.stage.name()) };
    Ok(desk.after(run, vec![back_to_decide(run, "failure", why)]))
}

pub(super) fn back_to_decide(run: RunId, by: &str, why: String) -> Event {
    let (by, why) = (by.to_owned(), Some(why));
    Event::PhaseChanged(PhaseChanged { by, from: Phase::Commit, run, to: Phase::Decide, why })
}

pub(super) fn end(desk: &Desk<'_>, run: RunId) -> Result<Decision, Refused> {
    let plan = desk.plan(run)?;
    let wanted = desk.moves(run, plan).into_iter().find_map(|wanted| match wanted {
        Move::Finish(end) => Some(end),
        _ => None,
    });
    let Some(end) = wanted else { return refused(Code::StepNotDue, plan.stage.name()) };
    Ok(desk.after(run, vec![desk.ended(run, plan, end)]))
}

/// What the engine saw. What a probe knows settles the call first, so that what is kept with it lies there.
pub(super) fn looked(desk: &Desk<'_>, looked: &Looked) -> Result<Decision, Refused> {
    let run = looked.run;
    let plans = desk.state.plans_of(run).iter();
    let plan = plans.rev().find(|plan| plan.version == looked.version && plan.stage.is_under_way());
    let Some(step) = plan.and_then(|plan| plan.step(looked.step)) else {
        return no(Code::PlanUnknown);
    };
    let fits = match (looked.expectation, looked.happened, &looked.barred) {
        (Some(_), None, _) => step.state == StepState::Done,
        (None, Some(_), _) => step.state == StepState::Unknown || step.undo_unknown(),
        (None, None, Some(_)) => true,
        _ => false,
    };
    if !fits {
        return refused(Code::StepNotDue, step.state.name());
    }
    let mut events = match looked.happened {
        Some(Expectation::Held) => probed(desk, step, true, looked.undo.as_ref()),
        Some(Expectation::Failed) => probed(desk, step, false, None),
        _ => Vec::new(),
    };
    events.push(Event::StepChecked(StepChecked {
        barred: looked.barred.clone(),
        expectation: looked.expectation,
        happened: looked.happened,
        run,
        seen: looked.seen,
        step: looked.step,
        version: looked.version,
    }));
    Ok(desk.after(run, events))
}

/// The effect of the deed is there, or is not: that tells of the deed, or of the undo that nobody knew of.
fn probed(desk: &Desk<'_>, step: &Step, is_there: bool, undo: Option<&UndoKept>) -> Vec<Event> {
    let back = step.undo_unknown();
    let calls = if back { &step.undo_unsettled } else { &step.unsettled };
    let mut undo = undo.filter(|_| !back).cloned();
    let known = calls.iter().filter_map(|call| Some((*call, desk.state.calls.get(call)?)));
    let finished =
        known.map(|(call, open)| resolved(desk, call, open, is_there != back, undo.take(), ("probe", None)));
    finished.collect()
}

/// The end of a call that nobody knew the end of.
fn resolved(
    desk: &Desk<'_>,
    call: CallId,
    open: &OpenCall,
    done: bool,
    undo: Option<UndoKept>,
    (by, why): (&str, Option<&str>),
) -> Event {
    Event::CallFinished(CallFinished {
        by: by.to_owned(),
        call,
        duration_ms: desk.now.since_ms(open.decided),
        facts: Vec::new(),
        outcome: if done { Outcome::Succeeded } else { Outcome::Failed },
        posted: if done { open.reserved.clone() } else { Amount::default() },
        result: None,
        result_mark: None,
        run: open.run,
        transient: false,
        trouble: (!done).then(|| NOT_DONE.to_owned()),
        undo: undo.filter(|_| done),
        why: why.map(str::to_owned),
    })
}

/// A person says how a call ended; if it was one of several tries of one deed, that is how they all ended.
pub(super) fn resolve(
    desk: &Desk<'_>,
    call: CallId,
    done: bool,
    undo: Option<&UndoKept>,
    by: &str,
    why: &str,
) -> Result<Decision, Refused> {
    let Some(open) = desk.state.calls.get(&call).filter(|open| open.unknown) else {
        return no(Code::CallUnknown);
    };
    let first = resolved(desk, call, open, done, undo.cloned(), (by, Some(why)));
    let others = tries(desk.state, open, call)
        .into_iter()
        .map(|(other, open)| resolved(desk, other, open, done, None, (by, Some(why))));
    Ok(Decision { answer: Answer::Done, events: std::iter::once(first).chain(others).collect() })
}

/// Other tries of the same deed, or of the same undo, whose end nobody knows.
pub(super) fn tries<'a>(state: &'a State, open: &OpenCall, call: CallId) -> Vec<(CallId, &'a OpenCall)> {
    let plans = state.plans_of(open.run);
    let calls = match &open.part {
        Some(Part::Step { step, version, .. }) => {
            let plan = plans.iter().find(|plan| plan.version == *version);
            plan.and_then(|plan| plan.step(*step)).map(|step| &step.unsettled)
        }
        Some(Part::Undo { of, .. }) => {
            let step = plans.iter().find_map(|plan| plan.step(plan.step_of(*of)?));
            step.map(|step| &step.undo_unsettled)
        }
        _ => None,
    };
    let others = calls.into_iter().flatten().filter(|other| **other != call);
    others.filter_map(|other| Some((*other, state.calls.get(other)?))).collect()
}

/// A person leaves what is left as it is: of a plan that is over, or of one that nothing but a person could move on.
pub(super) fn accept(desk: &Desk<'_>, run: RunId, by: &str, why: &str) -> Result<Decision, Refused> {
    let plan = desk.plan(run)?;
    let accepted = ResidueAccepted { by: by.to_owned(), run, version: plan.version, why: why.to_owned() };
    let accepted = Event::ResidueAccepted(accepted);
    if plan.stage == Stage::Quarantined && !plan.accepted {
        return Ok(desk.after(run, vec![accepted]));
    }
    let rests = |wanted: &Move| matches!(wanted, Move::Stuck(_) | Move::Held(_));
    let moves = desk.moves(run, plan);
    let stuck = plan.stage.is_under_way() && !plan.is_busy() && !moves.is_empty() && moves.iter().all(rests);
    match stuck {
        true => Ok(desk.after(run, vec![desk.ended(run, plan, End::Quarantined), accepted])),
        false => no(Code::NothingStuck),
    }
}
