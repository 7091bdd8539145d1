//! The tools and those who carry calls to them: they succeed, fail, hang, lose answers, and never report.

use std::sync::Arc;

use kernel::account::{Amount, Limits, Used};
use kernel::call::{Call, Carrier, Outcome};
use kernel::command::Command;
use kernel::id::{CallId, RunId};
use kernel::time::Time;

use super::{World, lane_of};
use crate::pipeline::Waiter;

/// How a tool treats a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Temper {
    Succeeds,
    Cheap,
    Fails,
    /// It does the deed, and its answer is lost.
    Lost,
    /// It answers never; the deed may come late.
    Hangs,
    /// Done, and nobody ever reports.
    Silent,
}

/// A permitted call out in the world.
pub(super) struct Flight {
    run: RunId,
    carrier: Carrier,
    temper: Temper,
    /// An executor's permit is good until then.
    until: Option<Time>,
    done: bool,
    /// Who carried it has died; the bytes are still on the wire.
    orphaned: bool,
}

impl Flight {
    /// The gate's process has died; executors have processes of their own.
    pub(super) fn orphan(&mut self) {
        self.orphaned |= self.carrier == Carrier::Gate;
    }
}

impl World {
    pub(super) fn dispatch(&mut self, call: &Arc<Call>) {
        let temper = match self.random.below(10) {
            0..4 => Temper::Succeeds,
            4 => Temper::Cheap,
            5 => Temper::Fails,
            6 | 7 => Temper::Lost,
            8 => Temper::Hangs,
            _ => Temper::Silent,
        };
        let until = (call.carrier == Carrier::Executor).then(|| self.now.plus_ms(60_000));
        let flight =
            Flight { run: call.run, carrier: call.carrier, temper, until, done: false, orphaned: false };
        self.flights.insert(call.id, flight);
    }

    /// One call that is out goes one stage on: first the deed, then the word of it.
    pub(super) fn fly(&mut self) -> Result<(), String> {
        let ids: Vec<CallId> = self.flights.keys().copied().collect();
        let Some(id) = self.random.pick(&ids).copied() else { return Ok(()) };
        let lazy = self.random.percent(50);
        let Some(flight) = self.flights.get_mut(&id) else { return Ok(()) };
        let expired = flight.until.is_some_and(|until| self.now >= until);
        let idle = flight.temper == Temper::Fails || (flight.temper == Temper::Hangs && lazy);
        let acts = !(flight.done || expired || idle);
        if acts {
            flight.done = true;
            self.audit.read(&self.pipe.log)?;
            return self.audit.effect(id);
        }
        let (run, by, temper, done, orphaned) =
            (flight.run, flight.carrier, flight.temper, flight.done, flight.orphaned);
        self.flights.remove(&id);
        if orphaned {
            return Ok(());
        }
        let outcome = match temper {
            Temper::Silent if by == Carrier::Executor => return Ok(()),
            Temper::Lost | Temper::Hangs | Temper::Silent => Outcome::Unknown,
            _ if by == Carrier::Executor && !done && temper != Temper::Fails => Outcome::NotDispatched,
            Temper::Fails => Outcome::Failed,
            Temper::Succeeds | Temper::Cheap => Outcome::Succeeded,
        };
        let mut settlement = self.settlement(id, by, outcome);
        settlement.transient = outcome == Outcome::Failed && self.random.percent(30);
        if temper == Temper::Cheap {
            settlement.used = Used::all(&Amount { calls: 1, ..Amount::default() });
        }
        if outcome == Outcome::Failed && by == Carrier::Gate {
            // What failed for certain cost nothing, and nothing of it counts.
            let known = Limits { usd_nanos: Some(0), ..Limits::default() };
            settlement.used = Used { known, counts_are_known: true };
        }
        self.outcomes.push((run, settlement));
        Ok(())
    }

    /// One outcome is brought to be recorded; now and then twice.
    pub(super) fn tell(&mut self) {
        let Some((run, settlement)) = self.outcomes.pop() else { return };
        let times = if self.random.percent(20) { 2 } else { 1 };
        for _ in 0..times {
            let command = Command::Settle(settlement.clone());
            self.ask(lane_of(run), command, Vec::new(), Waiter::Settling(run, settlement.clone()));
        }
    }

    /// Somebody finds out what became of a call that was unknown.
    pub(super) fn resolve(&mut self) {
        let unknown = self.audit.unknown();
        let Some((id, run, by)) = self.random.pick(&unknown).copied() else { return };
        if !self.flights.contains_key(&id) {
            self.outcomes.push((run, self.settlement(id, by, Outcome::Succeeded)));
        }
    }
}
