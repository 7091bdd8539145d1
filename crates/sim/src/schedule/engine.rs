//! The engine of a schedule: it does what the saga says is next, at whatever time chance lets it.

use std::sync::Arc;

use kernel::account::Used;
use kernel::call::{Call, Outcome, Part, Settlement};
use kernel::command::{Command, ControlCommand, Looked};
use kernel::contract::Contract;
use kernel::deed::Undo;
use kernel::id::{CallId, Mark, RunId};
use kernel::progress::{Expectation, PlanState, Stage, Step, StepState};
use kernel::saga::{Move, next};
use kernel::time::Time;
use kernel::undo::UndoKept;

use super::Mutant;
use super::agents::mark;
use super::truth::Arriving;
use super::yard::{Act, Flight, Yard};
use crate::pipeline::Waiter;
use crate::world::lane_of;

/// What a plan claims is its own for so long.
const CLAIM_MS: u64 = 24 * 3_600_000;

impl Yard {
    pub(super) fn moves(&self, run: RunId) -> Vec<Move> {
        let Some(desk) = self.desk(run) else { return Vec::new() };
        let Some(plan) = desk.state.plan(run) else { return Vec::new() };
        let runs = desk.state.chain(run);
        let law = &self.pipe.law;
        let held = |tool: &str| law.control.holds_tool(&law.rules, &plan.agent, tool, runs.clone(), self.now);
        next(plan, self.now, &held)
    }

    /// One move of one plan.
    pub(super) fn engine(&mut self, act: Act) -> Result<(), String> {
        let moves = self.moves(act.run);
        if self.mutant == Some(Mutant::Eager) {
            self.eager(act);
        }
        let Some(wanted) = self.random.pick(&moves).cloned() else { return Ok(()) };
        match wanted {
            Move::Run(step) => self.run_step(act, step),
            Move::Check(step) => {
                self.look(act, step, false);
                Ok(())
            }
            Move::Probe(step) => {
                self.look(act, step, true);
                Ok(())
            }
            Move::Undo(step) => {
                self.undo(act, step);
                Ok(())
            }
            Move::Wait(until) => {
                if self.calm || self.random.percent(50) {
                    self.now = self.now.max(until);
                }
                Ok(())
            }
            Move::Held(_) => self.resume(),
            Move::Unwind(why) => {
                self.ask(lane_of(act.run), Command::Unwind { run: act.run, why }, Waiter::Nobody);
                Ok(())
            }
            Move::Pause(why) => {
                self.ask(lane_of(act.run), Command::Pause { run: act.run, why }, Waiter::Nobody);
                Ok(())
            }
            Move::Finish(_) => {
                self.ask(lane_of(act.run), Command::EndCommit { run: act.run }, Waiter::Nobody);
                self.drain()?;
                self.release(act.run)
            }
            Move::Stuck(step) => {
                self.resolve(act, step);
                Ok(())
            }
        }
    }

    /// A fault of ours: it does not ask.
    fn eager(&mut self, act: Act) {
        let Some(plan) = self.plan(act.run).cloned() else { return };
        let staged = |step: &&Step| step.planned.tool.starts_with("box.mail") && step.call.is_none();
        let Some(step) = plan.steps.iter().find(staged) else { return };
        let part = Part::Step { step: 0, template: step.planned.template, version: plan.version };
        let call = self.call(act, &step.planned.tool, Some(part), Vec::new());
        self.keys.insert(call.id, call.id);
        self.flights.push(Flight { key: call.id, call: Arc::new(call) });
    }

    pub(super) fn begin_commit(&mut self, act: Act, version: u32) -> Result<(), String> {
        let Some(touches) = self.plan(act.run).map(|plan| plan.touches.clone()) else { return Ok(()) };
        self.claim(act.run, touches)?;
        let (run, agent, ticket) = (act.run, act.agent.to_owned(), CallId(u128::MAX));
        let command = Command::Commit { run, agent, version, ticket, credential: None, is_last: true };
        self.ask(lane_of(run), command, Waiter::Nobody);
        self.drain()?;
        self.release(run)
    }

    fn claim(&mut self, run: RunId, marks: Vec<Mark>) -> Result<(), String> {
        if marks.is_empty() {
            return Ok(());
        }
        let until = self.now.plus_ms(CLAIM_MS);
        self.control(ControlCommand::Claim { run, marks, until, now: self.now })
    }

    /// What a run claimed is free when its plan is over, or never began.
    pub(super) fn release(&mut self, run: RunId) -> Result<(), String> {
        let stage = self.plan(run).map(|plan| plan.stage);
        if stage.is_some_and(|stage| stage.is_under_way() || stage == Stage::Paused) {
            return Ok(());
        }
        let stands = matches!(stage, Some(Stage::Committed | Stage::Quarantined));
        let committed: Option<Time> = stands.then(|| self.now.plus_ms(CLAIM_MS));
        self.control(ControlCommand::Release { run, committed })
    }

    fn run_step(&mut self, act: Act, number: u16) -> Result<(), String> {
        let Some(plan) = self.plan(act.run).cloned() else { return Ok(()) };
        let Some(step) = plan.step(number).cloned() else { return Ok(()) };
        if !self.pipe.law.control.has_claimed(act.run, &step.touches, self.now) {
            self.claim(act.run, step.touches.clone())?;
        }
        let part = Part::Step { step: number, template: step.planned.template, version: plan.version };
        let mut call = self.call(act, &step.planned.tool, Some(part), step.touches.clone());
        if let Some(joined) = step.joined.as_ref().filter(|_| step.call.is_none()) {
            (call.id, call.args_mark) = (joined.call, step.planned.template);
        }
        // As the gate does: a try whose commit failed is closed before the same name is used again.
        if self.is_closing(call.id) {
            return Ok(());
        }
        self.send(call, step.call);
        Ok(())
    }

    fn undo(&mut self, act: Act, number: u16) {
        let Some(step) = self.plan(act.run).and_then(|plan| plan.step(number)).cloned() else { return };
        let (Some(kept), Some(of)) = (step.undo, step.call) else { return };
        // Now and then somebody else has changed it since.
        let changed = !self.calm && self.random.percent(5);
        let version = step.version.map(|left| if changed { mark(b"version", b"other") } else { left });
        let part = Part::Undo { of, version };
        let mut call = self.call(act, &kept.tool, Some(part), Vec::new());
        call.args_mark = kept.mark;
        self.send(call, Some(of));
    }

    fn send(&mut self, call: Call, key: Option<CallId>) {
        self.keys.insert(call.id, key.unwrap_or(call.id));
        let (lane, call) = (lane_of(call.run), Arc::new(call));
        self.ask(lane, Command::Propose(call.clone()), Waiter::Call(call));
    }

    fn look(&mut self, act: Act, number: u16, probes: bool) {
        let Some(plan) = self.plan(act.run) else { return };
        let (version, Some(step)) = (plan.version, plan.step(number).cloned()) else { return };
        let silent = !self.calm && self.random.percent(25);
        let (mut expectation, mut happened, mut undo) = (None, None, None);
        if probes {
            let is_there = step.call.is_some_and(|key| self.truth.stands(key));
            let known = if is_there { Expectation::Held } else { Expectation::Failed };
            happened = Some(if silent { Expectation::Unknown } else { known });
            undo = self.kept(&step).filter(|_| is_there && step.undo.is_none());
        } else {
            let fails = !self.calm && self.random.percent(15);
            let known = if fails { Expectation::Failed } else { Expectation::Held };
            expectation = Some(if silent { Expectation::Unknown } else { known });
        }
        let seen = step.planned.guarded.then(|| mark(b"version", &number.to_be_bytes()));
        let (run, barred) = (act.run, None);
        let looked = Looked { run, version, step: number, barred, expectation, happened, seen, undo };
        self.ask(lane_of(run), Command::StepChecked(looked), Waiter::Nobody);
    }

    fn contract(&self, tool: &str) -> Option<Arc<Contract>> {
        self.pipe.law.rules.tool(tool).map(|known| known.contract.clone())
    }

    fn kept(&self, step: &Step) -> Option<UndoKept> {
        let contract = self.contract(&step.planned.tool)?;
        let tool = contract.deed.undo.as_ref().map(Undo::call)?.0.to_owned();
        let digest = self.pipe.law.rules.tool(&tool)?.digest;
        let mark = mark(b"undo", &step.planned.template.0);
        Some(UndoKept { args: digest, contract: digest, mark, tool, until: None })
    }

    /// A person looks, and says what became of it; or leaves it as it is.
    fn resolve(&mut self, act: Act, number: u16) {
        let (run, by, why) = (act.run, "ann".to_owned(), "looked".to_owned());
        if self.random.percent(20) {
            return self.ask(lane_of(run), Command::AcceptResidue { run, by, why }, Waiter::Nobody);
        }
        let Some(step) = self.plan(run).and_then(|plan| plan.step(number)).cloned() else { return };
        let Some(call) = step.unsettled.first().copied() else { return };
        let done = step.call.is_some_and(|key| self.truth.stands(key));
        let undo = self.kept(&step);
        self.ask(lane_of(run), Command::ResolveCall { call, done, undo, by, why }, Waiter::Nobody);
    }

    // ---- What becomes of a call -------------------------------------------------------------------------------

    /// It reaches its tool, or does not, and that is told, or is not.
    pub(super) fn land(&mut self, flight: Flight, is_orphan: bool) -> Result<(), String> {
        let Flight { call, key } = flight;
        let Some(contract) = self.contract(&call.tool) else { return Ok(()) };
        let is_back = matches!(call.part, Some(Part::Undo { .. }));
        let before = if is_back { self.truth.was_taken_back(key) } else { self.truth.has(key) };
        let known = before && contract.repeats() && self.mutant != Some(Mutant::Keyless);
        // 0 to 6: well. 7: refused. 8: done and not told. 9: neither. 10: it never got there.
        let chance = if self.calm { 0 } else { self.random.below(11) };
        let does = match is_orphan {
            true => self.random.percent(50),
            false => matches!(chance, 0..=6 | 8),
        };
        if does && !known && contract.effect.writes() {
            self.takes_effect(&call, key, is_back, &contract)?;
        }
        if is_orphan {
            return Ok(());
        }
        let outcome = match chance {
            8 | 9 => Outcome::Unknown,
            10 => Outcome::NotDispatched,
            7 if !known => Outcome::Failed,
            _ => Outcome::Succeeded,
        };
        let undo = (outcome == Outcome::Succeeded && !is_back).then(|| self.undo_of(&call)).flatten();
        self.outcomes.push((call.run, settlement(call.id, outcome, undo)));
        Ok(())
    }

    fn takes_effect(
        &mut self,
        call: &Call,
        key: CallId,
        is_back: bool,
        contract: &Contract,
    ) -> Result<(), String> {
        self.truth.read(&self.pipe.log)?;
        let is_final = contract.name.starts_with("box.mail");
        let desk = self.pipe.desks.iter().find(|desk| desk.lane == lane_of(call.run));
        let plans = desk.map(|desk| desk.state.plans_of(call.run)).unwrap_or_default();
        let of = |plan: &&PlanState| match &call.part {
            Some(Part::Step { version, .. }) => plan.version == *version,
            Some(Part::Undo { of, .. }) => plan.step_of(*of).is_some(),
            _ => false,
        };
        let Some(plan) = plans.iter().find(of) else {
            return Err(format!("`{}` of {} takes effect outside of any plan", call.tool, call.run));
        };
        let arriving = Arriving { call: call.id, key, run: call.run, is_back, is_final, plan };
        self.truth.takes_effect(&arriving)?;
        let count = match (is_back, is_final) {
            (true, _) => &mut self.played.undone,
            (_, true) => &mut self.played.finals,
            _ => &mut self.played.writes,
        };
        *count += 1;
        Ok(())
    }

    fn undo_of(&self, call: &Call) -> Option<UndoKept> {
        let Some(Part::Step { step, version, .. }) = &call.part else { return None };
        let plans = self.desk(call.run)?.state.plans_of(call.run);
        let plan = plans.iter().find(|plan| plan.version == *version)?;
        self.kept(plan.step(*step)?)
    }
}

/// Nothing more happens by itself, but for a person.
pub(super) fn is_settled(plan: &PlanState) -> bool {
    let is_over = matches!(plan.stage, Stage::Committed | Stage::RolledBack | Stage::Quarantined);
    is_over && !plan.steps.iter().any(|step| step.state == StepState::Running)
}

pub(super) fn settlement(call: CallId, outcome: Outcome, undo: Option<UndoKept>) -> Settlement {
    Settlement {
        call,
        agent: None,
        outcome,
        result: None,
        result_mark: None,
        transient: false,
        used: Used::default(),
        duration_ms: 1,
        trouble: None,
        undo,
        facts: Vec::new(),
    }
}
