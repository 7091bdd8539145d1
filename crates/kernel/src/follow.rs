//! Follow: how events move a plan on.

use crate::account::Amount;
use crate::approval::Granted;
use crate::call::{Outcome, Part};
use crate::effect::Effect;
use crate::event::{
    CallDecided, CallFinished, CommitEnded, CommitStarted, PhaseChanged, PlanProposed, ResidueAccepted,
    StepChecked, UnwindStarted,
};
use crate::id::{CallId, RunId};
use crate::phase::Phase;
use crate::progress::{End, Expectation, OnFailure, OnHalt, PlanState, Stage, Step, StepPlanned, StepState};
use crate::reason::Code;
use crate::run::{OpenCall, Past, Run};
use crate::saga::{LOOKS_MAX, TRIES_MAX, WAITS_MAX};
use crate::state::State;
use crate::time::Time;
use crate::verdict::Ruling;

/// Between looks that gave no answer.
const LOOK_AGAIN_MS: u64 = 1_000;
/// Who says of a call that nobody knows its end, because Remit died meanwhile.
pub(crate) const RESTART: &str = "restart";
/// How long a plan whose undo has no end can be taken back, and a quarantined one is remembered.
pub const PAST_MS_MAX: u64 = 30 * 24 * 3_600_000;
/// Facts of reads that a run remembers, for `before` rules.
const FACTS_MAX: usize = 1_024;

impl Step {
    pub(crate) fn new(planned: StepPlanned) -> Step {
        let state = match planned.effect {
            Effect::Irreversible => StepState::Outbox,
            _ => StepState::Waiting,
        };
        Step {
            planned,
            state,
            call: None,
            last: None,
            tries: 0,
            unsettled: Vec::new(),
            again: None,
            ended: None,
            ended_seq: 0,
            result: None,
            undo: None,
            undo_seq: 0,
            before: None,
            before_seq: 0,
            before_result: None,
            version: None,
            expectation: None,
            checks: 0,
            probes: 0,
            undo_call: None,
            undo_tries: 0,
            undo_ended: None,
            undo_unsettled: Vec::new(),
            touches: Vec::new(),
            why: None,
            joined: None,
        }
    }

    fn decided(&mut self, at: Time, decided: &CallDecided) {
        let refused = decided.reasons.first().filter(|_| decided.ruling != Ruling::Allow);
        let waits = matches!(self.state, StepState::Waiting | StepState::Outbox | StepState::Unknown);
        if refused.is_some_and(|reason| !waits || reason.code == Code::StepNotDue) {
            // Whoever asks out of turn is refused, and the step stands as it did.
            return;
        }
        self.tries = self.tries.saturating_add(1);
        self.again = None;
        if decided.ruling == Ruling::Allow {
            self.state = StepState::Running;
            self.call = self.call.or(Some(decided.call));
            self.last = Some(decided.call);
            self.touches = decided.touches.clone();
            return;
        }
        let Some(reason) = refused else { return };
        let passes = reason.retry_after_seconds.filter(|_| self.tries < WAITS_MAX);
        if self.is_lost_read() {
            (self.state, self.why) = (StepState::Failed, Some(reason.code.name().to_owned()));
        } else if self.state == StepState::Unknown {
            // The same again was refused, and what came of the first is as unknown as before.
        } else if reason.code == Code::Halted {
            self.tries = self.tries.saturating_sub(1);
        } else if let Some(seconds) = passes {
            self.again = Some(at.plus_ms(seconds.saturating_mul(1_000)));
        } else {
            self.state = StepState::Failed;
            self.why = Some(reason.code.name().to_owned());
        }
    }

    fn finished(&mut self, at: Time, seq: u64, finished: &CallFinished) {
        self.unsettled.retain(|call| *call != finished.call);
        // A try that never came through says nothing of the one before it.
        let vague = finished.transient || finished.outcome == Outcome::NotDispatched;
        if self.state == StepState::Running && vague && !self.unsettled.is_empty() {
            self.state = StepState::Unknown;
            if self.is_lost_read() {
                (self.state, self.why) = (StepState::Failed, Some(Outcome::Unknown.name().to_owned()));
            }
            return;
        }
        if !matches!(self.state, StepState::Running | StepState::Unknown) {
            return;
        }
        (self.ended, self.ended_seq, self.result) = (Some(at), seq, finished.result);
        match finished.outcome {
            Outcome::Succeeded => {
                self.state = StepState::Done;
                (self.undo, self.undo_seq) = (finished.undo.clone(), seq);
            }
            Outcome::Unknown => {
                self.state = StepState::Unknown;
                self.unsettled.push(finished.call);
                // That Remit died says nothing of the tool, and takes no try from it.
                self.tries = self.tries.saturating_sub(u32::from(finished.by == RESTART));
                if self.is_lost_read() {
                    (self.state, self.why) = (StepState::Failed, Some(finished.outcome.name().to_owned()));
                }
            }
            Outcome::Failed | Outcome::NotDispatched => {
                self.state = StepState::Failed;
                let why = finished.trouble.clone();
                self.why = Some(why.unwrap_or_else(|| finished.outcome.name().to_owned()));
            }
        }
    }

    /// A read that never told anything: nobody need know more of it, because it has changed nothing.
    fn is_lost_read(&self) -> bool {
        self.state == StepState::Unknown && !self.planned.effect.writes() && self.tries >= TRIES_MAX
    }

    fn undo_decided(&mut self, at: Time, decided: &CallDecided) {
        if decided.ruling == Ruling::Allow {
            self.state = StepState::Undoing;
            self.undo_call = Some(decided.call);
            self.undo_tries = self.undo_tries.saturating_add(1);
        } else if let Some(reason) = decided.reasons.first() {
            let stands = self.state == StepState::Done || self.undo_unknown();
            if !stands || reason.code == Code::StepNotDue {
                return;
            }
            if let Some(seconds) = reason.retry_after_seconds {
                self.again = Some(at.plus_ms(seconds.saturating_mul(1_000)));
                return;
            }
            self.state = StepState::UndoFailed;
            self.why = Some(reason.code.name().to_owned());
        }
    }

    fn undo_finished(&mut self, at: Time, finished: &CallFinished) {
        self.undo_unsettled.retain(|call| *call != finished.call);
        if !matches!(self.state, StepState::Undoing | StepState::UndoFailed) {
            return;
        }
        self.undo_ended = Some(at);
        // A try that never came through says nothing of the one before it.
        let vague = finished.transient || finished.outcome == Outcome::NotDispatched;
        if let (true, Some(before)) = (vague, self.undo_unsettled.last()) {
            self.undo_call = Some(*before);
            return;
        }
        match finished.outcome {
            Outcome::Succeeded => self.state = StepState::Undone,
            Outcome::Unknown => {
                self.state = StepState::Undoing;
                self.undo_unsettled.push(finished.call);
                self.undo_tries = self.undo_tries.saturating_sub(u32::from(finished.by == RESTART));
            }
            Outcome::Failed | Outcome::NotDispatched => {
                let more = self.undo_tries <= self.planned.retries;
                self.state = if more { StepState::Done } else { StepState::UndoFailed };
                let why = finished.trouble.clone();
                self.why = Some(why.unwrap_or_else(|| finished.outcome.name().to_owned()));
            }
        }
    }

    fn checked(&mut self, at: Time, checked: &StepChecked) {
        self.again = None;
        if self.planned.guarded {
            self.version = checked.seen.or(self.version);
        }
        match checked.expectation {
            Some(Expectation::Unknown) => {
                self.checks = self.checks.saturating_add(1);
                self.again = Some(at.plus_ms(LOOK_AGAIN_MS));
                if self.checks >= LOOKS_MAX {
                    (self.expectation, self.again) = (Some(Expectation::Unknown), None);
                }
            }
            Some(known) => self.expectation = Some(known),
            None => {}
        }
        if let Some(why) = &checked.barred {
            match self.state {
                StepState::Waiting | StepState::Outbox => {
                    (self.state, self.why) = (StepState::Failed, Some(why.clone()));
                }
                _ => self.probes = self.probes.saturating_add(1),
            }
        }
        if checked.happened == Some(Expectation::Unknown) {
            self.probes = self.probes.saturating_add(1);
            self.again = Some(at.plus_ms(LOOK_AGAIN_MS));
        }
    }
}

impl PlanState {
    pub(crate) fn new(at: Time, seq: u64, proposed: &PlanProposed) -> PlanState {
        PlanState {
            seq,
            agent: proposed.agent.clone(),
            version: proposed.version,
            digest: proposed.plan,
            mark: proposed.mark,
            proposed: at,
            allowed: proposed.ruling != Ruling::Deny,
            asks: proposed.asks.clone(),
            ticket: None,
            granted: None,
            stage: Stage::Proposed,
            steps: proposed.steps.iter().cloned().map(Step::new).collect(),
            cost: proposed.cost.clone(),
            undo_cost: proposed.undo_cost.clone(),
            hold: Amount::default(),
            accounts: Vec::new(),
            touches: proposed.touches.clone(),
            on_failure: OnFailure::default(),
            on_halt: OnHalt::default(),
            parallel: 1,
            stood: None,
            ended: None,
            why: None,
            taking: None,
            accepted: false,
            grouped: false,
            lost: false,
        }
    }

    /// The step whose deed, or whose last try, this call is.
    pub fn step_of(&self, call: CallId) -> Option<u16> {
        let of = |(_, step): &(u16, &Step)| {
            step.call == Some(call) || step.last == Some(call) || step.unsettled.contains(&call)
        };
        (0u16..).zip(&self.steps).find(of).map(|(number, _)| number)
    }

    pub(crate) fn step_mut(&mut self, step: u16) -> Option<&mut Step> {
        self.steps.get_mut(usize::from(step))
    }

    /// The steps of the version before that stand and are planned again as they were.
    fn carry(&mut self, before: &PlanState) {
        for step in &mut self.steps {
            let known =
                before.steps.iter().find(|known| known.planned.id == step.planned.id && known.carries());
            if let Some(known) = known {
                *step = Step { planned: step.planned.clone(), ..known.clone() };
                if step.expectation != Some(Expectation::Held) {
                    // The plan was mended since, so it is looked at again.
                    (step.expectation, step.checks) = (None, 0);
                }
            }
        }
        (self.hold, self.accounts) = (before.hold.clone(), before.accounts.clone());
        self.stood = before.stood;
        self.stage = Stage::Paused;
    }

    /// Until when it may be taken back, or must be looked at.
    fn remembered_until(&self, at: Time) -> Option<Time> {
        let most = at.plus_ms(PAST_MS_MAX);
        match self.stage {
            Stage::Quarantined if !self.accepted => Some(most),
            Stage::Committed | Stage::Quarantined => {
                let kept = self.steps.iter().filter(|step| step.state == StepState::Done);
                kept.filter_map(|step| Some(step.undo.as_ref()?.until.unwrap_or(most).min(most))).max()
            }
            stage => stage.is_under_way().then_some(most),
        }
    }
}

impl Step {
    /// It was done, so a new version of the plan must hold it as it was.
    pub(crate) fn carries(&self) -> bool {
        self.state == StepState::Done
    }
}

impl State {
    fn plans_mut(&mut self, run: RunId) -> Option<&mut Vec<PlanState>> {
        match self.runs.get_mut(&run) {
            Some(run) => Some(&mut run.plans),
            None => self.past.get_mut(&run).map(|past| &mut past.plans),
        }
    }

    pub(crate) fn plan_mut(&mut self, run: RunId, version: u32) -> Option<&mut PlanState> {
        self.plans_mut(run)?.iter_mut().find(|plan| plan.version == version)
    }

    /// The plans of a run, open or past.
    pub fn plans_of(&self, run: RunId) -> &[PlanState] {
        let open = self.runs.get(&run).map(|run| run.plans.as_slice());
        open.or_else(|| self.past.get(&run).map(|past| past.plans.as_slice())).unwrap_or_default()
    }

    /// Whose run it is, be it open or past.
    pub(crate) fn agent_of(&self, run: RunId) -> Option<&str> {
        let open = self.runs.get(&run).map(|run| run.agent.as_str());
        open.or_else(|| self.past.get(&run).map(|past| past.agent.as_str()))
    }

    pub(crate) fn phase_changed(&mut self, changed: &PhaseChanged) {
        let Some(run) = self.runs.get_mut(&changed.run) else { return };
        run.phase = changed.to;
        if let Some(plan) = run.plans.last_mut().filter(|plan| plan.stage == Stage::Committing) {
            plan.stage = Stage::Paused;
            plan.why.clone_from(&changed.why);
        }
    }

    pub(crate) fn plan_proposed(&mut self, at: Time, proposed: &PlanProposed) {
        let seq = self.seq;
        let Some(run) = self.runs.get_mut(&proposed.run) else { return };
        run.versions = run.versions.max(proposed.version);
        if proposed.ruling == Ruling::Deny {
            run.refusals.add(at);
        }
        let mut plan = PlanState::new(at, seq, proposed);
        let replaces =
            |known: &PlanState| matches!(known.stage, Stage::Proposed | Stage::Paused | Stage::RolledBack);
        if run.plans.last().is_some_and(|known| known.stage == Stage::Paused && !plan.allowed) {
            // What stands still needs its plan: a version that may not run does not take its place.
            return;
        }
        if let Some(known) = run.plans.pop_if(|known| replaces(known))
            && known.stage == Stage::Paused
        {
            plan.carry(&known);
        }
        run.plans.push(plan);
        self.proposals_gathered(proposed);
    }

    pub(crate) fn commit_started(&mut self, at: Time, started: &CommitStarted) {
        let path = self.chain(started.run);
        let Some(plan) = self.plan_mut(started.run, started.version) else { return };
        let (held, accounts) = (std::mem::take(&mut plan.hold), std::mem::take(&mut plan.accounts));
        plan.stage = Stage::Committing;
        (plan.on_failure, plan.on_halt, plan.parallel) =
            (started.on_failure, started.on_halt, started.parallel);
        (plan.hold, plan.accounts) = (started.cost.clone(), started.accounts.clone());
        plan.why = None;
        if plan.grouped {
            // What waits in its outbox could be cancelled until now, and still can for its own delay.
            plan.stood = Some(at);
        }
        if started.ticket.is_some() {
            let (groups, by) = (plan.asks.clone(), started.approved.clone());
            plan.granted = Some(Granted { groups, by, ..Granted::default() });
        }
        self.void(&path, &held, &accounts);
        started.ticket.into_iter().for_each(|ticket| self.plan_released(ticket));
        self.family_reserve(&path, &started.cost);
        self.shares_reserve(at, &started.accounts, &started.cost);
        if let Some(run) = self.runs.get_mut(&started.run) {
            run.phase = Phase::Commit;
        }
    }

    pub(crate) fn void(&mut self, path: &[RunId], held: &Amount, accounts: &[crate::window::AccountId]) {
        if !held.is_zero() {
            self.family_post(path, held, &Amount::default());
            self.shares_post(accounts, held, &Amount::default());
        }
    }

    pub(crate) fn step_checked(&mut self, at: Time, checked: &StepChecked) {
        let step = self.plan_mut(checked.run, checked.version).and_then(|plan| plan.step_mut(checked.step));
        if let Some(step) = step {
            step.checked(at, checked);
        }
    }

    pub(crate) fn unwind_started(&mut self, started: &UnwindStarted) {
        let Some(plan) = self.plan_mut(started.run, started.version) else { return };
        plan.lost = plan.is_open() && started.by != plan.agent;
        plan.stage = Stage::Unwinding;
        plan.why = Some(started.why.clone());
        plan.taking.clone_from(&started.taking);
        plan.skip();
        for step in &mut plan.steps {
            step.again = None;
        }
        if let Some(run) = self.runs.get_mut(&started.run) {
            run.phase = Phase::Commit;
        }
    }

    pub(crate) fn commit_ended(&mut self, at: Time, ended: &CommitEnded) {
        let path = self.chain(ended.run);
        let Some(plan) = self.plan_mut(ended.run, ended.version) else { return };
        plan.stage = match ended.end {
            End::Committed => Stage::Committed,
            End::RolledBack => Stage::RolledBack,
            End::Quarantined => Stage::Quarantined,
        };
        plan.ended = Some(at);
        plan.taking = None;
        plan.skip();
        let (held, accounts) = (std::mem::take(&mut plan.hold), std::mem::take(&mut plan.accounts));
        self.void(&path, &held, &accounts);
        if let Some(run) = self.runs.get_mut(&ended.run) {
            run.phase = Phase::Decide;
        }
    }

    pub(crate) fn residue_accepted(&mut self, accepted: &ResidueAccepted) {
        if let Some(plan) = self.plan_mut(accepted.run, accepted.version) {
            plan.accepted = true;
        }
    }

    /// A part of a plan was decided. What is held for it goes over to the call.
    pub(crate) fn part_decided(&mut self, at: Time, decided: &CallDecided) {
        let path = self.chain(decided.run);
        let Some(plan) = self.plan_of_part(decided.run, decided.part.as_ref()) else { return };
        match &decided.part {
            Some(Part::Step { step, .. }) => {
                if let Some(step) = plan.step_mut(*step) {
                    step.decided(at, decided);
                }
            }
            Some(Part::Undo { of, .. }) => {
                let step = plan.step_of(*of).and_then(|step| plan.step_mut(step));
                if let Some(step) = step {
                    step.undo_decided(at, decided);
                }
            }
            _ => {}
        }
        if decided.ruling == Ruling::Allow {
            let covered = decided.reserved.min(&plan.hold);
            plan.hold = plan.hold.minus(&covered);
            let accounts = plan.accounts.clone();
            self.void(&path, &covered, &accounts);
        }
    }

    /// A part of a plan ended.
    pub(crate) fn part_finished(&mut self, at: Time, call: &OpenCall, finished: &CallFinished) {
        let seq = self.seq;
        let Some(plan) = self.plan_of_part(call.run, call.part.as_ref()) else { return };
        match &call.part {
            Some(Part::Step { step, .. }) => {
                let Some(step) = plan.step_mut(*step) else { return };
                step.finished(at, seq, finished);
                let stood = step.state == StepState::Done && step.planned.effect != Effect::Irreversible;
                if stood {
                    plan.stood = Some(at);
                }
            }
            Some(Part::Undo { of, .. }) => {
                let step = plan.step_of(*of).and_then(|step| plan.step_mut(step));
                if let Some(step) = step {
                    step.undo_finished(at, finished);
                }
            }
            Some(Part::Companion { step: Some(step), what: crate::call::Look::Before, .. }) => {
                let succeeded = finished.outcome == Outcome::Succeeded;
                // What was there before the first try is what was there before the deed.
                if let Some(step) = plan.step_mut(*step).filter(|step| succeeded && step.call.is_none()) {
                    (step.before, step.before_seq) = (Some(finished.call), seq);
                    step.before_result = finished.result;
                }
            }
            _ => {}
        }
    }

    fn plan_of_part(&mut self, run: RunId, part: Option<&Part>) -> Option<&mut PlanState> {
        let plans = self.plans_mut(run)?;
        match part? {
            Part::Step { version, .. } => plans.iter_mut().find(|plan| plan.version == *version),
            Part::Undo { of, .. } => plans.iter_mut().rev().find(|plan| plan.step_of(*of).is_some()),
            Part::Companion { step, .. } => plans.last_mut().filter(|_| step.is_some()),
        }
    }

    /// What a read told is remembered from the time that it was asked.
    pub(crate) fn told(&mut self, call: &OpenCall, finished: &CallFinished) {
        let Some(run) = self.runs.get_mut(&call.run).filter(|_| !finished.facts.is_empty()) else { return };
        for fact in &finished.facts {
            if run.facts.len() >= FACTS_MAX && !run.facts.contains_key(fact) {
                let oldest = run.facts.iter().min_by_key(|(mark, at)| (**at, **mark)).map(|(mark, _)| *mark);
                oldest.map(|oldest| run.facts.remove(&oldest));
            }
            let known = run.facts.entry(*fact).or_default();
            *known = call.decided.max(*known);
        }
    }

    /// A run is closed: what of its plans may be taken back, or must be looked at, is remembered for a while.
    pub(crate) fn remember(&mut self, at: Time, id: RunId, mut run: Run) {
        // Nothing of it happened, and nothing will: it must not stand before what did.
        run.plans.retain(|plan| plan.stage != Stage::Proposed);
        while let Some((until, over)) = self.past_ends.first().copied().filter(|(until, _)| *until <= at) {
            self.past_ends.remove(&(until, over));
            self.past.remove(&over);
        }
        let Some(until) = run.plans.iter().filter_map(|plan| plan.remembered_until(at)).max() else { return };
        self.past_ends.insert((until, id));
        self.past.insert(id, Past { agent: run.agent, plans: run.plans, until });
    }
}

impl PlanState {
    fn skip(&mut self) {
        for step in &mut self.steps {
            if matches!(step.state, StepState::Waiting | StepState::Outbox) {
                step.state = StepState::Skipped;
            }
        }
    }
}
