//! The yard: where a schedule is played. Chance says who is next; at the end all is calm, and all must be over.

use std::collections::HashMap;
use std::sync::Arc;

use gate::desk::Desk;
use kernel::call::{Call, Outcome, Settlement};
use kernel::command::{Answer, Closing, Command, ControlCommand};
use kernel::decide::decide_control;
use kernel::halt::Scope;
use kernel::id::{CallId, RunId};
use kernel::progress::Stage;
use kernel::rules::Rules;
use kernel::time::Time;
use ledger::memory::{Fault, Memory};

use super::engine::{is_settled, settlement};
use super::truth::Truth;
use super::{Mutant, Played};
use crate::pipeline::{Committed, LANES, Pipeline, Released, Waiter, Write};
use crate::random::Random;
use crate::world::lane_of;

const START: Time = Time(1_795_262_400_000);
/// Turns of a schedule before all is calm, and turns after which it must be over.
const TURNS: u64 = 110;
const CALM_TURNS_MAX: u64 = 4_000;

#[derive(Clone, Copy)]
pub(super) struct Act {
    pub(super) run: RunId,
    pub(super) agent: &'static str,
}

/// A call that has left the house.
pub(super) struct Flight {
    pub(super) call: Arc<Call>,
    pub(super) key: CallId,
}

pub(super) struct Yard {
    pub(super) random: Random,
    pub(super) now: Time,
    pub(super) pipe: Pipeline,
    pub(super) truth: Truth,
    pub(super) acts: Vec<Act>,
    /// The key upstream of each call of a plan.
    pub(super) keys: HashMap<CallId, CallId>,
    pub(super) flights: Vec<Flight>,
    pub(super) outcomes: Vec<(RunId, Settlement)>,
    pub(super) calm: bool,
    pub(super) mutant: Option<Mutant>,
    pub(super) played: Played,
    /// Writes that were asked for by themselves.
    pub(super) asked: u64,
    halts: Vec<Scope>,
}

impl Yard {
    pub(super) fn new(rules: Arc<Rules>, seed: u64, mutant: Option<Mutant>) -> Result<Yard, String> {
        Ok(Yard {
            random: Random::new(seed),
            now: START,
            pipe: Pipeline::start(Memory::new(), rules)?,
            truth: Truth::default(),
            acts: Vec::new(),
            keys: HashMap::new(),
            flights: Vec::new(),
            outcomes: Vec::new(),
            calm: false,
            mutant,
            played: Played { schedules: 1, ..Played::default() },
            asked: 0,
            halts: Vec::new(),
        })
    }

    pub(super) fn play(mut self) -> Result<Played, String> {
        self.open_all();
        self.drain()?;
        for _ in 0..TURNS {
            self.turn()?;
        }
        self.settle_down()?;
        self.truth.read(&self.pipe.log)?;
        let mut played = Played { events: self.truth.events(), ..self.played };
        for act in &self.acts {
            let plans = self.desk(act.run).map(|desk| desk.state.plans_of(act.run)).unwrap_or_default();
            self.truth.judge(act.run, plans).map_err(|why| format!("{why}\n{plans:#?}"))?;
            let count = |stage| plans.iter().filter(|plan| plan.stage == stage).count() as u64;
            played.committed += count(Stage::Committed);
            played.rolled_back += count(Stage::RolledBack);
            played.quarantined += count(Stage::Quarantined);
        }
        Ok(played)
    }

    fn turn(&mut self) -> Result<(), String> {
        self.now = self.now.plus_ms(self.random.below(400));
        let act = self.random.pick(&self.acts).copied();
        let Some(act) = act else { return Ok(()) };
        match self.random.below(100) {
            0..16 => return self.act(act),
            16..48 => return self.engine(act),
            48..68 => {
                let count = 1 + self.random.below(4);
                return self.commit(usize::try_from(count).unwrap_or(1));
            }
            68..82 => return self.fly(),
            82..89 => self.tell_outcome(),
            89 => self.sweep(),
            90 => return self.halt(act),
            91 | 92 => return self.resume(),
            93 | 94 => return self.crash(),
            95 | 96 => self.take_back(act),
            97 => self.accept(act),
            98 => self.close(act),
            _ => self.now = self.now.plus_ms(60_000),
        }
        Ok(())
    }

    /// No more faults, no more wishes: what is under way comes to its end.
    fn settle_down(&mut self) -> Result<(), String> {
        self.calm = true;
        for _ in 0..CALM_TURNS_MAX {
            self.now = self.now.plus_ms(200);
            while !self.halts.is_empty() {
                self.resume()?;
            }
            while !self.flights.is_empty() {
                self.fly()?;
            }
            while !self.outcomes.is_empty() {
                self.tell_outcome();
            }
            self.drain()?;
            let mut is_over = self.flights.is_empty() && self.outcomes.is_empty();
            for act in self.acts.clone() {
                let Some(stage) = self.plan(act.run).map(|plan| plan.stage) else { continue };
                match stage {
                    Stage::Proposed | Stage::Paused | Stage::Open => self.abort(act),
                    _ if self.plan(act.run).is_some_and(is_settled) => continue,
                    _ => self.engine(act)?,
                }
                is_over = false;
            }
            if is_over {
                return Ok(());
            }
        }
        let plans = self.acts.iter().filter_map(|act| self.plan(act.run));
        Err(format!("it does not end: {:#?}", plans.collect::<Vec<_>>()))
    }

    pub(super) fn desk(&self, run: RunId) -> Option<&Desk> {
        self.pipe.desks.iter().find(|desk| desk.lane == lane_of(run))
    }

    // ---- The disk ---------------------------------------------------------------------------------------------

    pub(super) fn ask(&mut self, lane: u16, command: Command, waiter: Waiter) {
        self.pipe.ask(lane, &command, Vec::new(), waiter, self.now);
        if self.mutant == Some(Mutant::Early)
            && let Some(Write { answer: Answer::Verdict(verdict), waiter: Waiter::Call(call), .. }) =
                self.pipe.queue.back()
            && verdict.allows()
        {
            let call = call.clone();
            self.takes_off(&call);
        }
    }

    fn weather(&mut self) {
        if !self.calm && self.random.percent(4) {
            let fault = if self.random.percent(50) { Fault::Before } else { Fault::After };
            self.pipe.log.fail_at(1, fault);
        }
    }

    fn commit(&mut self, count: usize) -> Result<(), String> {
        self.weather();
        self.played.commits += 1;
        match self.pipe.commit(count)? {
            Committed::Done(released) => released.into_iter().try_for_each(|one| self.released(one)),
            Committed::Refused(writes) => {
                self.played.faults += 1;
                writes.into_iter().for_each(|write| self.refused(write));
                Ok(())
            }
        }
    }

    pub(super) fn drain(&mut self) -> Result<(), String> {
        while !self.pipe.queue.is_empty() {
            self.commit(64)?;
        }
        Ok(())
    }

    fn released(&mut self, released: Released) -> Result<(), String> {
        let Released { answer, waiter, receipts } = released;
        match (answer, waiter) {
            (Answer::Verdict(verdict), Waiter::Call(call)) if verdict.allows() => {
                if receipts.is_empty() {
                    return Err("an allow without a receipt".to_owned());
                }
                if self.mutant != Some(Mutant::Early) {
                    self.takes_off(&call);
                }
            }
            (Answer::Verdict(_) | Answer::Refused(_), Waiter::Call(call)) if call.part.is_none() => {
                self.played.refused += 1;
            }
            (Answer::Joins, Waiter::Call(call)) => {
                self.ask(lane_of(call.run), Command::Join(call.clone()), Waiter::Call(call));
            }
            _ => {}
        }
        Ok(())
    }

    fn takes_off(&mut self, call: &Arc<Call>) {
        let key = self.keys.get(&call.id).copied().unwrap_or(call.id);
        self.flights.push(Flight { call: call.clone(), key });
    }

    /// Nobody learns what was decided; a permit that may yet be durable is closed, an outcome is told again.
    fn refused(&mut self, write: Write) {
        let permitted = matches!(&write.answer, Answer::Verdict(verdict) if verdict.allows());
        match write.waiter {
            Waiter::Call(call) if permitted => {
                self.outcomes.push((call.run, settlement(call.id, Outcome::NotDispatched, None)));
            }
            Waiter::Settling(run, settlement) => self.outcomes.push((run, settlement)),
            _ => {}
        }
    }

    /// Its permit was never made, and that is on its way to be recorded.
    pub(super) fn is_closing(&self, call: CallId) -> bool {
        let is_it = |told: &Settlement| told.call == call && told.outcome == Outcome::NotDispatched;
        let waits = |write: &Write| matches!(&write.waiter, Waiter::Settling(_, told) if is_it(told));
        self.outcomes.iter().any(|(_, told)| is_it(told)) || self.pipe.queue.iter().any(waits)
    }

    /// Claims and their ends: no barrier.
    pub(super) fn control(&mut self, command: ControlCommand) -> Result<(), String> {
        self.weather();
        let decision = decide_control(&self.pipe.law.control, &self.pipe.law.rules, &command);
        if let Err(writes) = self.pipe.lend(&decision, self.now)? {
            self.played.faults += 1;
            writes.into_iter().for_each(|write| self.refused(write));
        }
        Ok(())
    }

    /// The process dies. What had left the house arrives, or does not.
    fn crash(&mut self) -> Result<(), String> {
        self.played.crashes += 1;
        self.pipe.log.crash();
        self.pipe.queue.clear();
        self.outcomes.clear();
        for flight in std::mem::take(&mut self.flights) {
            self.land(flight, true)?;
        }
        // A fault that was planned before may strike the start: then it is started once more.
        let (calm, mut faults) = (std::mem::replace(&mut self.calm, true), None);
        while faults != Some(self.played.faults) {
            faults = Some(self.played.faults);
            self.pipe.refold()?;
            for lane in 1..=LANES {
                self.ask(lane, Command::Restarted, Waiter::Nobody);
            }
            self.drain()?;
        }
        self.calm = calm;
        let claimants: Vec<RunId> = self.pipe.law.control.claims.runs().collect();
        claimants.into_iter().try_for_each(|run| self.release(run))
    }

    // ---- Everybody else ---------------------------------------------------------------------------------------

    fn fly(&mut self) -> Result<(), String> {
        let place = usize::try_from(self.random.below(self.flights.len() as u64)).unwrap_or(0);
        if place >= self.flights.len() {
            return Ok(());
        }
        let flight = self.flights.swap_remove(place);
        self.land(flight, false)
    }

    fn tell_outcome(&mut self) {
        let Some((run, settlement)) = self.outcomes.pop() else { return };
        let command = Command::Settle(settlement.clone());
        self.ask(lane_of(run), command, Waiter::Settling(run, settlement));
    }

    fn sweep(&mut self) {
        for lane in 1..=LANES {
            self.ask(lane, Command::Sweep, Waiter::Nobody);
        }
    }

    fn halt(&mut self, act: Act) -> Result<(), String> {
        self.drain()?;
        let scope = match self.random.below(5) {
            0 => Scope::Writes,
            1 => Scope::Irreversible,
            2 => Scope::Tool("box.mail".to_owned()),
            3 => Scope::Agent(act.agent.to_owned()),
            _ => Scope::Run(act.run.to_string()),
        };
        self.halts.push(scope.clone());
        self.played.halts += 1;
        let (why, by) = ("enough".to_owned(), "ops".to_owned());
        let halt = ControlCommand::Halt { scope, why, by, until: None, reads_allowed: true, force: true };
        self.pipe.control(&halt, Vec::new(), None, self.now).map(drop)
    }

    pub(super) fn resume(&mut self) -> Result<(), String> {
        let Some(scope) = self.halts.first().cloned() else { return Ok(()) };
        self.drain()?;
        let (why, by) = ("better".to_owned(), "ops".to_owned());
        let resume = ControlCommand::Resume { scope, why, by };
        if self.pipe.control(&resume, Vec::new(), None, self.now)?.is_some() {
            self.halts.remove(0);
        }
        Ok(())
    }

    fn take_back(&mut self, act: Act) {
        let (run, by, why) = (act.run, "ann".to_owned(), "a mistake".to_owned());
        let command = Command::TakeBack { run, step: None, dry: false, by, why };
        self.ask(lane_of(run), command, Waiter::Nobody);
    }

    fn accept(&mut self, act: Act) {
        let (run, by, why) = (act.run, "ann".to_owned(), "so be it".to_owned());
        self.ask(lane_of(run), Command::AcceptResidue { run, by, why }, Waiter::Nobody);
    }

    /// One run is over, and another begins.
    fn close(&mut self, act: Act) {
        let (run, agent) = (act.run, act.agent);
        let (by, outcome) = (agent.to_owned(), Closing::Success);
        let close = Command::CloseRun { run, agent: Some(by.clone()), outcome, workflow: None, by };
        self.ask(lane_of(run), close, Waiter::Nobody);
        self.open(agent);
    }
}
