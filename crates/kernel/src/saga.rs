//! Saga: what a plan on its way wants next. Pure: the engine asks, does it through the one line, and asks again.
//!
//! Forward: independent steps at once; what cannot be taken back waits until all others stand, and goes one by one.
//! A failure goes back, the last first, as long as nothing irreversible was done; from then on the way is forward
//! only, and what fails is left and named.

use crate::effect::Effect;
use crate::progress::{
    End, Expectation, OnFailure, OnHalt, PlanState, Residue, Stage, Standing, Step, StepState,
};
use crate::time::Time;

/// Calls for one step of unknown end, the first included.
pub const TRIES_MAX: u32 = 4;
/// Tries of one step whose end nobody knows, those too that ended with Remit: what kills it is not sent for ever.
const UNSETTLED_MAX: usize = 12;
/// Looks at a step, or at whether it happened, without an answer.
pub const LOOKS_MAX: u32 = 3;
/// Times that a step is put off because a limit passes with time.
pub const WAITS_MAX: u32 = 20;
/// Calls of one plan under way at once, whatever its agent may.
pub const PARALLEL_MAX: u64 = 8;
/// Between tries to take a step back; each time twice as long.
const PATIENCE_MS: u64 = 1_000;
const PATIENCE_MS_MAX: u64 = 60_000;

/// What is to be done now. An empty list: wait until a call settles.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Move {
    /// Propose the step's call: `Part::Step`. The same again for a step of unknown end whose tool knows its key.
    Run(u16),
    /// Look after the deed (`expect`, then `version`), and say so with `StepChecked`.
    Check(u16),
    /// Read the version if it is guarded, then propose the kept undo: `Part::Undo`.
    Undo(u16),
    /// Ask the contract's probe whether the deed's effect is there, and say so with `StepChecked`.
    Probe(u16),
    /// `Command::Unwind`: a step failed, and the plan goes back.
    Unwind(String),
    /// `Command::Pause`: a step failed, and the agent may mend the plan.
    Pause(String),
    /// Nothing to do before then.
    Wait(Time),
    /// A halt holds these steps: ask again when control has changed.
    Held(Vec<u16>),
    /// `Command::EndCommit`: it is over.
    Finish(End),
    /// Nobody can know but a person: `ResolveCall`, or `AcceptResidue`.
    Stuck(u16),
}

/// `held` says of a tool whether a halt holds its calls now.
pub fn next(plan: &PlanState, now: Time, held: &dyn Fn(&str) -> bool) -> Vec<Move> {
    let mut look =
        Look { plan, now, held, moves: Vec::new(), waits: None, halted: Vec::new(), stuck: Vec::new() };
    match plan.stage {
        Stage::Open | Stage::Committing => look.forward(),
        Stage::Unwinding => look.back(),
        _ => {}
    }
    look.moves
}

/// What in the world differs from before and was not to, once the plan is over.
pub fn residue(plan: &PlanState, end: End) -> Vec<Residue> {
    if end != End::Quarantined {
        return Vec::new();
    }
    let left = plan.steps.iter().filter_map(|step| {
        let (is, call, id) = (step.stands()?, step.call, step.planned.id.clone());
        Some(Residue { call, id, is, why: step.why.clone() })
    });
    left.collect()
}

impl Step {
    /// Whether its effect is in the world.
    pub fn stands(&self) -> Option<Standing> {
        if !self.planned.effect.writes() {
            return None;
        }
        match self.state {
            StepState::Done | StepState::UndoFailed => Some(Standing::Stands),
            StepState::Undoing if !self.undo_unknown() => Some(Standing::Stands),
            StepState::Undoing | StepState::Unknown => Some(Standing::Unknown),
            // What was under way when it was given up may have happened.
            StepState::Running => Some(Standing::Unknown),
            _ => None,
        }
    }

    /// Whether others may build on it.
    fn is_sound(&self) -> bool {
        self.state == StepState::Done
            && (!self.planned.checked || self.expectation == Some(Expectation::Held))
    }

    fn is_unchecked(&self) -> bool {
        self.state == StepState::Done && self.planned.checked && self.expectation.is_none()
    }

    fn failure(&self) -> Option<String> {
        let why = || self.why.clone().unwrap_or_else(|| "failed".to_owned());
        match (self.state, self.expectation) {
            (StepState::Failed, _) => Some(why()),
            (StepState::Done, Some(Expectation::Failed)) => Some("expectation_failed".to_owned()),
            (StepState::Done, Some(Expectation::Unknown)) => Some("expectation_unknown".to_owned()),
            _ => None,
        }
    }

    fn is_final(&self) -> bool {
        self.planned.effect == Effect::Irreversible
    }

    fn waits(&self) -> bool {
        matches!(self.state, StepState::Waiting | StepState::Outbox)
    }

    /// Nobody knows whether the last try took it back.
    pub fn undo_unknown(&self) -> bool {
        self.state == StepState::Undoing
            && self.undo_call.is_some_and(|call| self.undo_unsettled.contains(&call))
    }

    /// Its tool takes the same again under its key for one deed, and was not asked too often.
    fn may_repeat(&self) -> bool {
        self.planned.repeats && self.tries < TRIES_MAX && self.unsettled.len() < UNSETTLED_MAX
    }

    fn may_probe(&self) -> bool {
        self.planned.probed && self.probes < LOOKS_MAX
    }

    /// It may have happened, and nobody but a person can find out.
    fn is_stuck(&self) -> bool {
        self.state == StepState::Unknown
            && self.planned.effect.writes()
            && !self.may_repeat()
            && !self.may_probe()
    }

    /// A call of it is under way.
    fn is_busy(&self) -> bool {
        self.state == StepState::Running || (self.state == StepState::Undoing && !self.undo_unknown())
    }
}

impl PlanState {
    /// Something was done that cannot be taken back: the way is forward only.
    pub fn is_past_recall(&self) -> bool {
        self.steps.iter().any(|step| step.is_final() && step.state == StepState::Done)
    }

    /// Something that cannot be taken back is under way, or may have happened.
    pub fn may_be_past_recall(&self) -> bool {
        let risky = |state| matches!(state, StepState::Running | StepState::Unknown);
        self.is_past_recall() || self.steps.iter().any(|step| step.is_final() && risky(step.state))
    }

    /// What only a person can say: each step, and the calls of it that may have happened.
    pub fn stuck(&self) -> Option<String> {
        let stuck = self.steps.iter().filter(|_| self.stage.is_under_way()).filter(|step| step.is_stuck());
        let named = stuck.map(|step| {
            let calls: Vec<String> = step.unsettled.iter().map(ToString::to_string).collect();
            format!("`{}` ({})", step.planned.id, calls.join(", "))
        });
        let named: Vec<String> = named.collect();
        (!named.is_empty()).then(|| named.join(", "))
    }

    /// Whether a call of it is under way.
    pub fn is_busy(&self) -> bool {
        self.steps.iter().any(Step::is_busy)
    }

    /// Whether one step waits for another, be it through others.
    pub(crate) fn builds_on(&self, step: usize, other: usize) -> bool {
        let mut seen = vec![step];
        let mut at = 0;
        while let Some(known) = seen.get(at).copied() {
            let after = self.steps.get(known).map(|step| step.planned.after.as_slice()).unwrap_or_default();
            for before in after.iter().map(|before| usize::from(*before)) {
                if before == other {
                    return true;
                }
                if !seen.contains(&before) {
                    seen.push(before);
                }
            }
            at += 1;
        }
        false
    }

    fn is_ready(&self, step: &Step) -> bool {
        let sound = |before: &Step| before.is_sound() || self.forgives(before);
        step.waits() && step.planned.after.iter().all(|before| self.step(*before).is_some_and(sound))
    }

    /// A call of a group that failed and has left nothing: its agent was told, and goes on or gives up.
    fn forgives(&self, step: &Step) -> bool {
        let told = self.grouped && self.on_failure == OnFailure::PauseForReplan;
        let is_wrong = step.state == StepState::Done && step.failure().is_some();
        told && (step.state == StepState::Failed || (is_wrong && self.is_open()))
    }

    /// Whether what became of a step takes the plan back.
    pub fn unwinds(&self, step: &Step) -> bool {
        self.failure(step).is_some()
    }

    fn failure(&self, step: &Step) -> Option<String> {
        if self.forgives(step) { None } else { step.failure() }
    }
}

struct Look<'a> {
    plan: &'a PlanState,
    now: Time,
    held: &'a dyn Fn(&str) -> bool,
    moves: Vec<Move>,
    waits: Option<Time>,
    halted: Vec<u16>,
    stuck: Vec<u16>,
}

impl<'a> Look<'a> {
    fn steps(&self) -> impl Iterator<Item = (u16, &'a Step)> + use<'a> {
        (0u16..).zip(&self.plan.steps)
    }

    fn room(&self) -> u64 {
        let moving = self.plan.steps.iter().filter(|step| step.is_busy()).count() + self.moves.len();
        let cap = self.plan.parallel.clamp(1, PARALLEL_MAX);
        cap.saturating_sub(u64::try_from(moving).unwrap_or(u64::MAX))
    }

    fn wait(&mut self, until: Time) {
        self.waits = Some(self.waits.map_or(until, |known| known.min(until)));
    }

    /// Adds a move of a step, unless it must wait, or is held, or too much is under way.
    fn add(&mut self, number: u16, step: &Step, to: Move) {
        if step.again.is_some_and(|again| again > self.now) {
            return self.wait(step.again.unwrap_or_default());
        }
        // Taking back is not held by a halt of whose deed it is; doing is.
        let does = matches!(to, Move::Run(_)) || self.plan.stage == Stage::Committing;
        if does && (self.held)(&step.planned.tool) {
            self.halted.push(number);
        } else if self.room() > 0 {
            self.moves.push(to);
        }
    }

    fn forward(&mut self) {
        let plan = self.plan;
        let failure = self.steps().find_map(|(_, step)| plan.failure(step));
        for (number, step) in self.steps().filter(|(_, step)| step.state == StepState::Unknown) {
            self.settle(number, step, false);
        }
        // Nobody proposes another version of a group.
        let mends = plan.on_failure == OnFailure::PauseForReplan && !plan.grouped;
        if let Some(why) = failure.clone().filter(|_| !plan.is_past_recall()) {
            if !plan.may_be_past_recall() && !mends {
                self.moves = vec![Move::Unwind(why)];
                return;
            }
            if !plan.may_be_past_recall() && !plan.is_busy() && self.moves.is_empty() && self.stuck.is_empty()
            {
                self.moves = vec![Move::Pause(why)];
                return;
            }
            return self.rest(None);
        }
        for (number, step) in self.steps() {
            if step.is_unchecked() {
                self.add(number, step, Move::Check(number));
            } else if plan.is_ready(step) && !step.is_final() && !(plan.is_open() && step.planned.held) {
                self.add(number, step, Move::Run(number));
            }
        }
        if plan.is_open() {
            let halted = self.steps().filter(|(_, step)| (self.held)(&step.planned.tool));
            self.halted = halted.map(|(number, _)| number).collect();
        } else {
            self.outbox();
        }
        if !self.halted.is_empty() && plan.on_halt == OnHalt::Unwind && !plan.may_be_past_recall() {
            self.moves = vec![Move::Unwind("halted".to_owned())];
            return;
        }
        if plan.is_open() {
            // What a halt holds is done already, or waits for the commit.
            self.halted.clear();
            return self.rest(None);
        }
        let all_stand = plan.steps.iter().all(|step| step.is_sound() || plan.forgives(step));
        let end = if all_stand { End::Committed } else { End::Quarantined };
        self.rest(Some(end));
    }

    /// What cannot be taken back goes one by one, and only when all that does not build on it stands.
    fn outbox(&mut self) {
        let plan = self.plan;
        let pending = |step: &Step| {
            matches!(step.state, StepState::Running | StepState::Unknown) || step.is_unchecked()
        };
        if plan.steps.iter().any(|step| step.is_final() && pending(step)) {
            return;
        }
        for (number, step) in self.steps().filter(|(_, step)| step.is_final() && plan.is_ready(step)) {
            // Nor is anything waited for that builds on another of these.
            let unsent = |other: usize| {
                let mut finals =
                    plan.steps.iter().enumerate().filter(|(_, one)| one.is_final() && one.waits());
                finals.any(|(last, _)| plan.builds_on(other, last))
            };
            let others =
                plan.steps.iter().enumerate().filter(|(other, one)| !one.is_final() && !unsent(*other));
            // Once the way is forward only, what failed is not waited for.
            let past = plan.is_past_recall();
            let settled =
                |one: &Step| one.is_sound() || plan.forgives(one) || (past && !one.waits() && !pending(one));
            let blocked = |one: &Step| past && one.waits() && !plan.is_ready(one);
            if !others.into_iter().all(|(_, one)| settled(one) || blocked(one)) {
                continue;
            }
            let due = plan.stood.unwrap_or(plan.proposed).plus_ms(step.planned.delay_ms);
            if due > self.now {
                self.wait(due);
                continue;
            }
            let moved = self.moves.len();
            self.add(number, step, Move::Run(number));
            if self.moves.len() > moved {
                return;
            }
        }
    }

    /// A step of unknown end: the same again under its key, or its probe, or a person.
    fn settle(&mut self, number: u16, step: &Step, going_back: bool) {
        let repeats = step.may_repeat();
        match (repeats, step.may_probe()) {
            (_, true) if going_back || !repeats => self.add(number, step, Move::Probe(number)),
            (true, _) => self.add(number, step, Move::Run(number)),
            _ => self.stuck.push(number),
        }
    }

    fn back(&mut self) {
        let plan = self.plan;
        for (number, step) in self.steps() {
            match step.state {
                // What a read told is not asked any more.
                StepState::Unknown if step.planned.effect.writes() => self.settle(number, step, true),
                StepState::Undoing if step.undo_unknown() => self.settle_undo(number, step),
                StepState::Done if plan.is_taken(number) && plan.may_undo(number, step) => {
                    self.undo(number, step)
                }
                _ => {}
            }
        }
        let left = self.steps().any(|(number, step)| plan.is_taken(number) && step.stands().is_some());
        let others = plan.steps.iter().any(|step| step.stands().is_some());
        self.rest(Some(match (left, others) {
            (true, _) => End::Quarantined,
            (false, true) => End::Committed,
            (false, false) => End::RolledBack,
        }));
    }

    fn undo(&mut self, number: u16, step: &Step) {
        let patience =
            PATIENCE_MS.saturating_mul(1 << step.undo_tries.saturating_sub(1).min(16)).min(PATIENCE_MS_MAX);
        match step.undo_ended.map(|ended| ended.plus_ms(patience)).filter(|due| *due > self.now) {
            Some(due) => self.wait(due),
            None => self.add(number, step, Move::Undo(number)),
        }
    }

    /// Nobody knows whether a step was taken back: the same again under its key, or the deed's probe; or it is left.
    fn settle_undo(&mut self, number: u16, step: &Step) {
        let tries = step.planned.retries.saturating_add(2);
        let tries = step.undo_tries < tries && step.undo_unsettled.len() < UNSETTLED_MAX;
        if step.planned.undo_repeats && tries {
            self.undo(number, step);
        } else if step.planned.probed && step.probes < LOOKS_MAX {
            self.add(number, step, Move::Probe(number));
        }
    }

    /// When nothing is to be done, what is waited for is said; and when nothing is waited for, it is over.
    fn rest(&mut self, end: Option<End>) {
        if let Some(until) = self.waits {
            self.moves.push(Move::Wait(until));
        }
        if !self.halted.is_empty() {
            self.moves.push(Move::Held(std::mem::take(&mut self.halted)));
        }
        let idle = self.moves.is_empty() && !self.plan.is_busy();
        self.moves.extend(self.stuck.iter().map(|number| Move::Stuck(*number)));
        if let (Some(end), true, true) = (end, idle, self.stuck.is_empty()) {
            self.moves.push(Move::Finish(end));
        }
    }
}

impl PlanState {
    /// Whether a step is to be taken back: all of them, or those that were named.
    fn is_taken(&self, step: u16) -> bool {
        self.taking.as_ref().is_none_or(|taking| taking.contains(&step))
    }

    /// Whether its undo is due: nothing that builds on it stands, and there is something to take it back with.
    fn may_undo(&self, number: u16, step: &Step) -> bool {
        let gone = |other: &Step| other.stands().is_none() && other.state != StepState::Running;
        let mut above =
            self.steps.iter().enumerate().filter(|(other, _)| self.builds_on(*other, usize::from(number)));
        step.planned.effect == Effect::Reversible
            && step.undo.is_some()
            && above.all(|(_, other)| gone(other))
    }
}

#[cfg(test)]
mod tests;
