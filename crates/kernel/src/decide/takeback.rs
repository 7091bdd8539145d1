//! What was committed is taken back: within its windows, the last first, and not over the heads of later runs.

use std::collections::BTreeSet;

use super::Decision;
use super::commit::unwound;
use super::open::under_way;
use super::plan::Desk;
use crate::command::Answer;
use crate::effect::Effect;
use crate::id::{Mark, RunId};
use crate::plan::{ordered, small};
use crate::progress::{PlanState, Stage, Step, StepState};
use crate::reason::{Code, Reason};
use crate::time::Time;

type Refused = Box<Reason>;

/// Runs that are named in a refusal.
const NAMED_MAX: usize = 8;

fn refused<T>(code: Code, detail: impl Into<String>) -> Result<T, Refused> {
    Err(Box::new(Reason::new(code).detail(detail)))
}

pub(super) struct Asked<'a> {
    pub(super) run: RunId,
    pub(super) step: Option<&'a str>,
    pub(super) dry: bool,
    pub(super) by: &'a str,
    pub(super) why: &'a str,
}

pub(super) fn take_back(desk: &Desk<'_>, asked: &Asked<'_>) -> Result<Decision, Refused> {
    let run = asked.run;
    let plans = desk.state.plans_of(run);
    let open = |plan: &&PlanState| plan.stage.is_under_way() || plan.stage == Stage::Paused;
    if let Some(plan) = plans.iter().find(open) {
        return Err(Box::new(under_way(Some(plan))));
    }
    let Some(plan) = desk.state.plan_to_take_back(run) else {
        return refused(Code::CannotUnwind, "nothing of this run is committed and stands");
    };
    let taking = taken(plan, asked.step, desk.now)?;
    let touches: Vec<Mark> = {
        let steps = taking.iter().filter_map(|number| plan.step(*number));
        steps.flat_map(|step| step.touches.iter().copied()).collect::<BTreeSet<_>>().into_iter().collect()
    };
    let later = desk.control.touched_later(run, &touches, desk.now);
    if !later.is_empty() {
        let named: Vec<String> = later.iter().take(NAMED_MAX).map(ToString::to_string).collect();
        return refused(Code::TouchedLater, named.join(", "));
    }
    if let Some(other) = desk.control.claimed_by_other(run, &touches, desk.now) {
        return refused(Code::ResourceClaimed, other.to_string());
    }
    if asked.dry {
        let after: Vec<&[u16]> = plan.steps.iter().map(|step| step.planned.after.as_slice()).collect();
        let order = ordered(&after, &|_| false).unwrap_or_default();
        let back = order.into_iter().rev().filter(|number| taking.contains(number)).collect();
        return Ok(Decision::none(Answer::WouldTakeBack(back)));
    }
    let started = unwound(run, plan, asked.by, asked.why, Some(taking));
    Ok(desk.after(run, vec![started]))
}

/// One step with all that builds on it; or everything that can be taken back.
fn taken(plan: &PlanState, step: Option<&str>, now: Time) -> Result<Vec<u16>, Refused> {
    let numbered = || plan.steps.iter().enumerate().filter(|(_, step)| step.stands().is_some());
    let Some(id) = step else {
        let all = numbered().filter(|(place, _)| barred(plan, *place, now).is_none());
        let all: Vec<u16> = all.map(|(place, _)| small(place)).collect();
        return match numbered().find_map(|(place, _)| barred(plan, place, now)) {
            Some(reason) if all.is_empty() => Err(Box::new(reason)),
            _ => Ok(all),
        };
    };
    let Some((place, _)) = numbered().find(|(_, step)| step.planned.id == id) else {
        return refused(Code::CannotUnwind, format!("no step `{id}` of it stands"));
    };
    match barred(plan, place, now) {
        Some(reason) => Err(Box::new(reason)),
        None => {
            let with = numbered().filter(|(other, _)| *other == place || plan.builds_on(*other, place));
            Ok(with.map(|(place, _)| small(place)).collect())
        }
    }
}

/// Why this step, or one that builds on it, cannot be taken back.
fn barred(plan: &PlanState, place: usize, now: Time) -> Option<Reason> {
    let above = |other: &usize| *other == place || plan.builds_on(*other, place);
    let steps = (0..plan.steps.len()).filter(above).filter_map(|other| plan.steps.get(other));
    steps.filter(|step| step.stands().is_some()).find_map(|step| barred_itself(step, now))
}

fn barred_itself(step: &Step, now: Time) -> Option<Reason> {
    let id = &step.planned.id;
    let kept = step.undo.as_ref().filter(|_| step.planned.effect == Effect::Reversible);
    let Some(kept) = kept.filter(|_| step.state == StepState::Done) else {
        return Some(Reason::new(Code::CannotUnwind).detail(format!("step `{id}` leaves no way back")));
    };
    let until = kept.until.filter(|until| *until <= now)?;
    Some(Reason::new(Code::UndoExpired).detail(format!("step `{id}`, until {until}")))
}
