//! Groups: single calls of a run that are committed or taken back as one. A group is a plan that grows.
//!
//! What can be taken back is done at once and leaves its undo; what cannot, or needs a person's yes, waits for the
//! commit. From there on a group is carried out, unwound and recovered as any other plan.

use super::commit::unwound;
use super::plan::{Desk, beside, kind, may_begin_another, planned_step, undo_of};
use super::{Decision, conclude, refused_at_the_key, seen_before};
use crate::account::Amount;
use crate::call::{Call, Carrier};
use crate::checks::{Case, Judged, judge, may_begin, room_for};
use crate::command::Answer;
use crate::contract::Effect;
use crate::event::{Event, GroupBegun, StepJoined};
use crate::id::{Mark, RunId};
use crate::plan::{STEPS_MAX, StepDraft, WrittenStep, small};
use crate::progress::{OnFailure, PlanState, Stage, Step, StepPlanned, StepState};
use crate::reason::{Code, Reason};
use crate::saga::PARALLEL_MAX;
use crate::state::State;
use crate::verdict::{Ruling, Verdict};

type Refused = Box<Reason>;

pub(super) fn begin(desk: &Desk<'_>, case: &Case<'_>) -> Result<Decision, Refused> {
    let (run, agent) = (case.call.run, &case.call.agent);
    let (Some(known), Some(manifest)) = (desk.state.own_run(run, agent), case.manifest) else {
        return Err(Box::new(Reason::new(Code::RunUnknown)));
    };
    if manifest.phases {
        return Err(Box::new(Reason::new(Code::PhaseForbids).detail(known.phase.name())));
    }
    may_begin(case)?;
    // Asked for again because the answer was lost.
    if known.plans.last().is_some_and(|plan| plan.is_open() && plan.steps.is_empty()) {
        return Ok(desk.after(run, Vec::new()));
    }
    may_begin_another(known)?;
    let begun = GroupBegun {
        agent: agent.clone(),
        control_seq: desk.control.seq,
        on_failure: manifest.commits.on_failure,
        on_halt: manifest.commits.on_halt,
        parallel: desk.rules.stopping(manifest).parallel.unwrap_or(PARALLEL_MAX),
        run,
        version: known.versions.saturating_add(1),
    };
    Ok(desk.after(run, vec![Event::GroupBegun(begun)]))
}

/// What becomes of a single call because of its run's group; none: nothing, it is judged by itself.
pub(super) fn taken(case: &Case<'_>) -> Option<Answer> {
    let run = case.state.own_run(case.call.run, &case.call.agent)?;
    let plan = run.plans.last().filter(|plan| plan.grouped)?;
    if case.call.part.is_some() || !case.writes() {
        return None;
    }
    let denied = |code, detail: &str| Some(Answer::Refused(Reason::new(code).detail(detail)));
    match plan.stage {
        Stage::Open if case.call.carrier == Carrier::Gate => Some(Answer::Joins),
        Stage::Open => denied(Code::PlanDeviates, "a group is open, and Remit carries its writes itself"),
        Stage::Committing | Stage::Unwinding if !plan.lost => Some(Answer::refused(Code::CommitUnderWay)),
        _ if plan.lost => denied(Code::GroupOver, plan.why.as_deref().unwrap_or("it failed")),
        _ => None,
    }
}

pub(super) fn stand(state: &State, run: RunId, version: u32) -> Result<Decision, Refused> {
    let plan = state.plans_of(run).iter().find(|plan| plan.version == version);
    let plan = plan.ok_or_else(|| Box::new(Reason::new(Code::PlanUnknown)))?;
    Ok(Decision::none(Answer::Progress(Box::new(plan.clone()))))
}

/// A call becomes a step. What is denied is refused like any other call, and the group stands as it did.
pub(super) fn join(case: &Case<'_>) -> Decision {
    let Case { state, rules, call, now, .. } = *case;
    let known = state.own_run(call.run, &call.agent);
    let denied = |reason| conclude(case, Judged::denied(reason), None);
    let Some(plan) = known.and_then(|run| run.plans.last()).filter(|plan| plan.is_open()) else {
        return denied(Reason::new(Code::GroupOver).detail("it has ended meanwhile"));
    };
    match seen_before(case) {
        Some(answer @ (Answer::Same { .. } | Answer::Waiting(_))) => return Decision::none(answer),
        Some(conflict) => {
            return Decision { answer: conflict, ..refused_at_the_key(state, rules, call, now) };
        }
        None => {}
    }
    if let Some((place, step)) = keyed(plan, call) {
        if step.planned.template == call.args_mark {
            let verdict = Verdict::allow();
            return Decision::none(Answer::Joined { verdict, step: small(place), version: plan.version });
        }
        let conflict = Verdict::deny(Reason::new(Code::IdempotencyConflict));
        return Decision { answer: Answer::Verdict(conflict), ..refused_at_the_key(state, rules, call, now) };
    }
    let judged = judge(case);
    if judged.verdict.ruling == Ruling::Deny {
        return conclude(case, judged, None);
    }
    joined(case, plan, &judged).unwrap_or_else(|reason| denied(*reason))
}

fn keyed<'a>(plan: &'a PlanState, call: &Call) -> Option<(usize, &'a Step)> {
    let key = call.key_mark?;
    let of = |step: &Step| step.joined.as_ref().is_some_and(|joined| joined.key == Some(key));
    plan.steps.iter().enumerate().find(|(_, step)| of(step))
}

fn joined(case: &Case<'_>, plan: &PlanState, judged: &Judged) -> Result<Decision, Refused> {
    let Case { control, rules, call, .. } = *case;
    let Some(manifest) = case.manifest else { return Err(Box::new(Reason::new(Code::AgentUnknown))) };
    let place = plan.steps.len();
    if place >= STEPS_MAX {
        let limit = u64::try_from(STEPS_MAX).unwrap_or(u64::MAX);
        return Err(Box::new(Reason::new(Code::LimitReached).detail("writes in one group").limit(limit)));
    }
    let contract = case.tool.map(|tool| tool.contract.as_ref());
    let undo = contract.and_then(|contract| undo_of(rules, contract));
    let effect = kind(contract, undo);
    let asks = judged.verdict.reasons.iter().flat_map(|reason| reason.ask.clone()).collect::<Vec<_>>();
    let waits = |step: &&Step| is_staged(step) && overlaps(step, &call.touches);
    let held =
        effect == Effect::Reversible && (!asks.is_empty() || plan.steps.iter().any(|step| waits(&step)));
    let step = WrittenStep {
        id: format!("w{}", place + 1),
        tool: call.tool.clone(),
        args: serde_json::Value::Null,
        after: after(plan, &call.touches, held || effect == Effect::Irreversible),
        reason: None,
        effect: None,
        expect: None,
    };
    let draft = StepDraft {
        template: call.args_mark,
        touches: call.touches.clone(),
        facts: Vec::new(),
        destinations: Vec::new(),
        hosts: Vec::new(),
    };
    let planned = planned_step(&step, &draft, contract, undo, effect);
    let (companions, undo_cost) = beside(case, manifest, contract, undo);
    let reserved = if judged.verdict.asks() { &judged.cost } else { &judged.reserved };
    let cost = reserved.plus(&companions);
    let (accounts, needs) = room_for(case, &wanted(case, plan, &cost.plus(&undo_cost)))?;
    if !needs.is_empty() {
        return Ok(Decision::none(Answer::Short(needs)));
    }
    let joined = StepJoined {
        accounts,
        args: call.args_commitment,
        asks,
        call: call.id,
        control_seq: control.seq,
        cost,
        key: call.key_mark,
        reasoning: call.reasoning,
        rules_digest: rules.digest,
        run: call.run,
        step: StepPlanned { held, ..planned },
        touches: call.touches.clone(),
        undo_cost,
        version: plan.version,
    };
    let verdict = Verdict { reasons: Vec::new(), ruling: Ruling::Allow, ..judged.verdict.clone() };
    let answer = Answer::Joined { verdict, step: small(place), version: plan.version };
    let withdrawn = super::assent::withdrawn(&desk_of(case), call.run, "another call joined the group");
    let events = std::iter::once(Event::StepJoined(Box::new(joined))).chain(withdrawn).collect();
    Ok(Decision { answer, events })
}

fn desk_of<'a>(case: &Case<'a>) -> Desk<'a> {
    Desk { state: case.state, control: case.control, rules: case.rules, now: case.now }
}

/// Where an account's hour or day has ended since the last step, all of the group is held in the next one.
fn wanted(case: &Case<'_>, plan: &PlanState, more: &Amount) -> Amount {
    let accounts = case.rules.accounts(&case.call.agent, case.now);
    let same = accounts.iter().map(|wide| &wide.id).eq(&plan.accounts);
    if same { more.clone() } else { more.plus(&plan.hold) }
}

/// Groups whose agents were waiting when the process ended: they go back, unless the manifest leaves that to the agent.
pub(super) fn lost(state: &State) -> impl Iterator<Item = Event> {
    let open = state.plans().filter(|(_, plan)| plan.is_open() && plan.on_failure == OnFailure::Unwind);
    let mut open: Vec<_> = open.collect();
    open.sort_by_key(|(run, _)| *run);
    open.into_iter().map(|(run, plan)| unwound(run, plan, "restart", "restarted", None))
}

/// It waits for the commit.
fn is_staged(step: &Step) -> bool {
    step.state == StepState::Outbox || (step.state == StepState::Waiting && step.planned.held)
}

fn overlaps(step: &Step, touches: &[Mark]) -> bool {
    step.touches.iter().any(|mark| touches.contains(mark))
}

/// What was done before it, because its agent may have built on that; what touches the same; and, of what waits for the
/// commit, what waited before it: so that the way back is the way there, reversed.
fn after(plan: &PlanState, touches: &[Mark], waits: bool) -> Vec<u16> {
    let before = |step: &Step| match step.state {
        StepState::Done => true,
        StepState::Failed | StepState::Skipped => false,
        _ => (waits && is_staged(step)) || overlaps(step, touches),
    };
    let steps = plan.steps.iter().enumerate().filter(|(_, step)| before(step));
    steps.map(|(place, _)| small(place)).collect()
}
