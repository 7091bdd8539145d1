//! The world: time, the disk's faults, crashes, and what becomes of everything that the pipeline releases.

use std::collections::BTreeMap;
use std::sync::Arc;

use kernel::call::{Call, Carrier, Outcome, Settlement};
use kernel::command::{Answer, Command, ControlCommand};
use kernel::halt::Scope;
use kernel::id::{CallId, RunId};
use kernel::lending::Part;
use kernel::rules::Rules;
use kernel::time::Time;
use ledger::Payload;
use ledger::memory::{Fault, Memory};
use stdx::digest::Digest;

use crate::audit::Audit;
use crate::pipeline::{Committed, LANES, Pipeline, Released, Waiter, Write};
use crate::random::Random;
use crate::{Mutant, Report, Violation, books};

mod agents;
mod asks;
mod loans;
mod people;
mod tools;

pub(crate) use asks::field_marks;
use loans::Parked;
use tools::Flight;

pub(crate) struct World {
    random: Random,
    now: Time,
    books: [Arc<Rules>; 2],
    pipe: Pipeline,
    audit: Audit,
    mutant: Option<Mutant>,
    runs: Vec<(RunId, String)>,
    /// Calls that were sent, for agents to send again.
    sent: Vec<Arc<Call>>,
    flights: BTreeMap<CallId, Flight>,
    /// Outcomes that are not recorded yet; the gate's own are lost with its process.
    /// Outcomes that are still to be told, with the run whose lane they belong to.
    outcomes: Vec<(RunId, Settlement)>,
    halts: Vec<Scope>,
    /// Calls whose lane is short, and what lanes gave back that control does not know yet.
    parked: Vec<Parked>,
    returned: Vec<(u16, Vec<Part>)>,
    /// What people saw when they last looked, and what they said is enough.
    looked: BTreeMap<CallId, Digest>,
    ready: Vec<(CallId, RunId)>,
    /// No faults, so that an end can be reached.
    calm: bool,
    crashes: u64,
    faults: u64,
    halted: u64,
}

pub(crate) fn live(seed: u64, steps: u64, mutant: Option<Mutant>) -> Result<Report, Violation> {
    let violation = |step: u64| move |what: String| Violation { seed, step, what };
    let mut world = World::new(seed, mutant).map_err(violation(0))?;
    for step in 1..=steps {
        world.step().and_then(|()| world.check(step % 16 == 0)).map_err(violation(step))?;
    }
    world.end().map_err(violation(steps + 1))?;
    Ok(Report {
        trace: world.audit.trace(),
        events: world.audit.events(),
        allowed: world.audit.allowed,
        denied: world.audit.denied,
        effects: world.audit.effects(),
        crashes: world.crashes,
        faults: world.faults,
        halts: world.halted,
        children: world.audit.children,
        loans: world.audit.loans,
        replans: world.audit.replans,
        asked: world.audit.asks().figures(),
    })
}

pub(crate) fn lane_of(run: RunId) -> u16 {
    1 + u16::try_from(run.0 % u128::from(LANES)).unwrap_or(0)
}

impl World {
    fn new(seed: u64, mutant: Option<Mutant>) -> Result<World, String> {
        let books = books::both()?;
        let mut pipe = Pipeline::start(Memory::new(), books[0].clone())?;
        pipe.unfenced = mutant == Some(Mutant::NoBarrier);
        let mut world = World {
            random: Random::new(seed),
            now: Time(1_795_000_000_000),
            books,
            pipe,
            audit: Audit::default(),
            mutant,
            runs: Vec::new(),
            sent: Vec::new(),
            flights: BTreeMap::new(),
            outcomes: Vec::new(),
            halts: Vec::new(),
            parked: Vec::new(),
            returned: Vec::new(),
            looked: BTreeMap::new(),
            ready: Vec::new(),
            calm: false,
            crashes: 0,
            faults: 0,
            halted: 0,
        };
        world.begin()?;
        Ok(world)
    }

    fn step(&mut self) -> Result<(), String> {
        self.now = self.now.plus_ms(self.random.below(3_000));
        if self.random.percent(25) {
            self.propose_asked();
        }
        if self.random.percent(20) {
            self.answer();
        }
        if self.random.percent(if self.ready.is_empty() { 3 } else { 50 }) {
            self.release_some();
        }
        match self.random.below(100) {
            0..7 => self.open_run(),
            7..32 => self.propose(),
            32..39 => self.again(),
            39..44 => return self.lend(),
            44..61 => {
                let count = 1 + self.random.below(6);
                return self.commit(usize::try_from(count).unwrap_or(1));
            }
            61 => self.steer(),
            62..78 => return self.fly(),
            78 | 79 => self.replan(),
            80..84 => self.tell(),
            84..87 => self.sweep(),
            87..90 => return self.halt(),
            90..94 => return self.resume(),
            94 => return self.change_rules(),
            95 => self.now = self.jumped(),
            96 => return self.crash(),
            97 => self.close_run(),
            98 if self.random.percent(50) => {
                let count = self.random.below(2 + u64::from(LANES));
                return self.pipe.snapshot(usize::try_from(count).unwrap_or(0));
            }
            98 => self.aside(),
            _ => self.resolve(),
        }
        Ok(())
    }

    fn check(&mut self, thorough: bool) -> Result<(), String> {
        self.audit.read(&self.pipe.log)?;
        if thorough && self.pipe.queue.is_empty() {
            self.audit.compare(&self.pipe.desks, &self.pipe.law.control)?;
        }
        Ok(())
    }

    /// A day forth or back; the machine's clock does what it likes.
    fn jumped(&mut self) -> Time {
        const DAY_MS: u64 = 86_400_000;
        let forth = self.random.percent(50);
        if forth { self.now.plus_ms(DAY_MS) } else { Time(self.now.0.saturating_sub(DAY_MS)) }
    }

    fn ask(&mut self, lane: u16, command: Command, payloads: Vec<Payload>, waiter: Waiter) {
        self.pipe.ask(lane, &command, payloads, waiter, self.now);
        if self.mutant == Some(Mutant::ReleaseEarly)
            && let Some(Write { answer: Answer::Verdict(verdict), waiter: Waiter::Call(call), .. }) =
                self.pipe.queue.back()
            && verdict.allows()
        {
            let call = call.clone();
            self.dispatch(&call);
        }
    }

    /// A fault of ours: a yes is taken for a permit.
    fn dispatch_unreleased(&mut self, call: CallId) {
        let sent = self.sent.iter().find(|sent| sent.id == call).cloned();
        if let Some(sent) = sent.filter(|_| self.mutant == Some(Mutant::SkipRelease)) {
            self.dispatch(&sent);
        }
    }

    fn plan_fault(&mut self) {
        if !self.calm && self.random.percent(4) {
            let fault = if self.random.percent(50) { Fault::Before } else { Fault::After };
            self.pipe.log.fail_at(1, fault);
        }
    }

    fn commit(&mut self, count: usize) -> Result<(), String> {
        self.plan_fault();
        match self.pipe.commit(count)? {
            Committed::Done(released) => {
                self.audit.read(&self.pipe.log)?;
                released.into_iter().for_each(|one| self.release(one));
                Ok(())
            }
            Committed::Refused(writes) => {
                self.faults += 1;
                writes.into_iter().for_each(|write| self.refuse(write));
                self.recovered()
            }
        }
    }

    /// After the log failed: rules that became durable in the failing commit need a restart.
    fn recovered(&mut self) -> Result<(), String> {
        if self.pipe.wants_restart() {
            return self.crash();
        }
        self.check(true)
    }

    fn release(&mut self, released: Released) {
        let Released { answer, waiter, receipts } = released;
        self.audit.acknowledge(&receipts);
        match (answer, waiter) {
            (Answer::Opened { .. }, _) | (_, Waiter::Opening | Waiter::Settling(..) | Waiter::Nobody) => {}
            (Answer::Verdict(verdict), Waiter::Call(call)) if verdict.allows() && !receipts.is_empty() => {
                self.dispatch(&call);
            }
            (Answer::Verdict(verdict), Waiter::Release(call)) if verdict.allows() && !receipts.is_empty() => {
                self.dispatch(&call);
            }
            (Answer::Short(_), Waiter::Release(call)) => {
                let waiter = Waiter::Release(call.clone());
                self.ask(lane_of(call.run), Command::ReleaseLast(call), Vec::new(), waiter);
            }
            (Answer::Given { complete: true, .. }, Waiter::Answer(call, run)) => {
                self.ready.push((call, run));
                self.dispatch_unreleased(call);
            }
            (Answer::Marks(fields), Waiter::Call(call)) => self.propose_marked(&call, &fields),
            (Answer::Short(needs), Waiter::Call(call)) => self.park(call, needs),
            (Answer::Returned(parts), Waiter::Returning(lane)) if !parts.is_empty() => {
                self.returned.push((lane, parts));
            }
            (Answer::Same { verdict, .. }, Waiter::Call(call)) => {
                if verdict.allows() && self.mutant == Some(Mutant::CarryTwice) {
                    self.dispatch(&call);
                }
            }
            (_, Waiter::Call(_) | Waiter::Release(_) | Waiter::Answer(..) | Waiter::Returning(_)) => {}
        }
    }

    /// Nobody learns what was decided. A permit that may yet be durable is closed, an outcome is told again.
    fn refuse(&mut self, write: Write) {
        let permitted = matches!(&write.answer, Answer::Verdict(verdict) if verdict.allows());
        match write.waiter {
            Waiter::Call(call) | Waiter::Release(call)
                if permitted && !self.flights.contains_key(&call.id) =>
            {
                self.outcomes
                    .push((call.run, self.settlement(call.id, call.carrier, Outcome::NotDispatched)));
            }
            Waiter::Settling(run, settlement) => self.outcomes.push((run, settlement)),
            _ => {}
        }
    }

    /// Drains the lanes. False if the log failed on the way.
    fn drain(&mut self) -> Result<bool, String> {
        let faults = (self.faults, self.crashes);
        while !self.pipe.queue.is_empty() && self.mutant != Some(Mutant::NoBarrier) {
            self.commit(64)?;
        }
        Ok((self.faults, self.crashes) == faults)
    }

    /// A barrier: lanes drain, it commits, lanes learn it. True if it is acknowledged.
    pub(crate) fn control(
        &mut self,
        command: ControlCommand,
        rules: Option<Arc<Rules>>,
    ) -> Result<bool, String> {
        if !self.drain()? {
            return Ok(false);
        }
        let mut payloads = Vec::new();
        let mut command = command;
        if let (Some(rules), ControlCommand::Activate { payload, .. }) = (&rules, &mut command) {
            let text = Payload::new("rules", self.random.bytes(), rules.book.text(), true);
            *payload = text.commitment;
            payloads.push(text);
        }
        self.plan_fault();
        match self.pipe.control(&command, payloads, rules, self.now)? {
            Some(receipts) => {
                self.audit.acknowledge(&receipts);
                self.audit.read(&self.pipe.log)?;
                Ok(true)
            }
            None => {
                self.faults += 1;
                self.recovered()?;
                Ok(false)
            }
        }
    }

    /// The process dies: what is not in the log, and what only it knew, is gone.
    pub(crate) fn crash(&mut self) -> Result<(), String> {
        self.crashes += 1;
        self.pipe.log.crash();
        self.pipe.queue.clear();
        (self.parked, self.returned, self.ready) = (Vec::new(), Vec::new(), Vec::new());
        self.outcomes.retain(|(_, told)| told.agent.is_some() && told.outcome != Outcome::NotDispatched);
        self.flights.values_mut().for_each(Flight::orphan);
        let mut rules = self.pipe.law.rules.clone();
        // Whoever starts it again may bring other rules.
        if self.random.percent(20) {
            rules = self.random.pick(&self.books).cloned().unwrap_or(rules);
        }
        self.pipe.law.rules = rules;
        self.pipe.refold()?;
        self.begin()
    }

    /// What a start has to say: its rules, and that what was under way is unknown.
    fn begin(&mut self) -> Result<(), String> {
        let calm = self.calm;
        self.calm = true;
        if self.pipe.wants_restart() {
            let rules = self.pipe.law.rules.clone();
            if !self.activate(rules)? {
                self.calm = calm;
                return self.crash();
            }
        }
        if self.mutant != Some(Mutant::ForgetRestart) {
            for lane in 1..=LANES {
                self.ask(lane, Command::Restarted, Vec::new(), Waiter::Nobody);
            }
        }
        // A fault that was planned before the crash may strike the start: then it is started once more.
        self.return_all();
        let drained = self.drain()? && self.free_all()?;
        self.calm = calm;
        if !drained {
            return self.crash();
        }
        self.check(true)?;
        self.audit.closed(false)
    }

    /// All that is under way comes to its end, and then the ledger must know how.
    fn end(&mut self) -> Result<(), String> {
        self.calm = true;
        while !self.flights.is_empty() {
            self.fly()?;
        }
        // A fault that was planned before all was calm strikes once: what it refused is told again.
        while !self.outcomes.is_empty() {
            while !self.outcomes.is_empty() {
                self.tell();
            }
            self.drain()?;
        }
        self.parked.clear();
        self.crash()?;
        let last = self.pipe.desks.iter().map(|desk| desk.state.last).max().unwrap_or_default();
        self.now = last.max(self.now).plus_ms(86_400_000);
        self.sweep();
        if self.mutant == Some(Mutant::NoBarrier) {
            self.commit(64)?;
        }
        // A fault that was planned before may strike the sweep; as in the house, it comes again.
        while !self.drain()? {
            self.sweep();
        }
        self.check(true)?;
        self.audit.closed(true)
    }

    fn settlement(&self, call: CallId, by: Carrier, outcome: Outcome) -> Settlement {
        let sent = self.sent.iter().rev().find(|sent| sent.id == call && by == Carrier::Executor);
        let agent = sent.map(|sent| sent.agent.clone());
        Settlement {
            undo: None,
            facts: Vec::new(),
            call,
            agent,
            outcome,
            result: None,
            result_mark: None,
            transient: false,
            used: Default::default(),
            duration_ms: 1,
            trouble: None,
        }
    }
}
