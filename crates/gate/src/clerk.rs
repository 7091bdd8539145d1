//! The clerk: one lane's desk, which decides what comes in and hands it to the committer in order.
//!
//! A clerk is no thread. Whoever asks decides, with the lane in hand: that takes microseconds, and the disk is waited
//! for outside. While control commits, the lane is held: what comes in meanwhile keeps its order, and is decided by
//! the law that follows.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use kernel::command::Command;
use kernel::halt::Scope;
use kernel::id::CallId;
use kernel::run::OpenCall;
use kernel::state::State;
use ledger::Payload;

use crate::clock::Clock;
use crate::committer::{Waiter, Write};
use crate::desk::{Desk, Law, Taken};
use crate::error::Error;
use crate::tray::{Haste, Tray};

pub(crate) struct Ask {
    pub(crate) command: Command,
    pub(crate) payloads: Vec<Payload>,
    pub(crate) waiter: Waiter,
    pub(crate) turn: Turn,
    pub(crate) haste: Haste,
}

/// A place among what waits for the disk, given back when the disk has it.
pub(crate) struct Turn(Arc<AtomicUsize>);

pub(crate) struct Clerk {
    lane: Mutex<Lane>,
    tray: Arc<Tray>,
    closed: Arc<AtomicBool>,
    clock: Arc<dyn Clock>,
}

struct Lane {
    desk: Desk,
    law: Arc<Law>,
    /// While the lane is held: what came in, in order.
    held: Option<Vec<Ask>>,
}

impl Turn {
    pub(crate) fn take(waiting: &Arc<AtomicUsize>, most: usize) -> Option<Turn> {
        let turn = Turn(waiting.clone());
        // INVARIANT: each turn adds one here and takes one away in `drop`, also when it is refused below.
        (waiting.fetch_add(1, Ordering::Relaxed) < most).then_some(turn)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Clerk {
    pub(crate) fn new(
        desk: Desk,
        law: Arc<Law>,
        tray: Arc<Tray>,
        closed: Arc<AtomicBool>,
        clock: Arc<dyn Clock>,
    ) -> Clerk {
        Clerk { lane: Mutex::new(Lane { desk, law, held: None }), tray, closed, clock }
    }

    /// The answer comes to the waiter when it is durable.
    pub(crate) fn ask(&self, ask: Ask) {
        let Some(mut lane) = self.lane() else { return drop(ask.waiter.send(Err(Error::Stopping))) };
        match &mut lane.held {
            Some(held) => held.push(ask),
            None => self.take(&mut lane, ask),
        }
    }

    /// From here on nothing is decided until the lane is released.
    pub(crate) fn hold(&self) {
        if let Some(mut lane) = self.lane() {
            lane.held.get_or_insert_default();
        }
    }

    /// Goes on under this law, first with what came in meanwhile.
    pub(crate) fn release(&self, law: Arc<Law>) {
        let Some(mut lane) = self.lane() else { return };
        lane.law = law;
        for ask in lane.held.take().into_iter().flatten() {
            self.take(&mut lane, ask);
        }
    }

    /// More was lent, to this lane or another; what was decided before stands.
    pub(crate) fn learn(&self, law: Arc<Law>) {
        if let Some(mut lane) = self.lane() {
            lane.law = law;
        }
    }

    /// After a failed commit: what the log says, in place of what was decided and is not durable.
    pub(crate) fn replace(&self, desk: Desk) {
        if let Some(mut lane) = self.lane() {
            lane.desk = desk;
        }
    }

    /// The calls without a known end that a halt of this law holds.
    pub(crate) fn census(&self, law: &Law, scope: &Scope) -> Vec<(CallId, OpenCall)> {
        let (Some(lane), Some(halt)) = (self.lane(), law.control.halts.get(scope)) else { return Vec::new() };
        lane.desk.state.held(&law.rules, scope, halt)
    }

    /// What the lane knows now, durable or not.
    pub(crate) fn look<T>(&self, at: impl FnOnce(&State, &Law) -> T) -> Option<T> {
        self.lane().map(|lane| at(&lane.desk.state, &lane.law))
    }

    /// None: a law broke in the middle of a decision. Nobody knows this lane's state before the next start.
    fn lane(&self) -> Option<MutexGuard<'_, Lane>> {
        self.lane.lock().ok()
    }

    fn take(&self, lane: &mut Lane, ask: Ask) {
        let Ask { command, payloads, waiter, turn, haste } = ask;
        if self.closed.load(Ordering::Acquire) {
            let _ = waiter.send(Err(Error::LogUnwritable));
            return;
        }
        ledger::failpoint::hit("gate.before_append");
        let taken = match lane.desk.take(&lane.law, &command, payloads, self.clock.now()) {
            Ok(taken) => taken,
            Err(error) => return drop(waiter.send(Err(error))),
        };
        let Taken { answer, entries, events } = taken;
        let law = lane.law.clone();
        self.tray.put(Write { entries, events, answer, law, waiter, haste, turn: Some(turn) });
    }
}
