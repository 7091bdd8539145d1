//! The control lane: halts, keys and rules. Each is a barrier: lanes drain, it commits, lanes learn it, then it is
//! acknowledged. So after the acknowledgement no lane decides by what was before.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use arc_swap::ArcSwap;
use kernel::call::Carrier;
use kernel::command::ControlCommand;
use kernel::decide::lend::{decide_free, decide_lend};
use kernel::decide::{Decision, decide_control};
use kernel::event::{Event, Stamp};
use kernel::halt::Scope;
use kernel::id::CallId;
use kernel::lending::{Need, Part};
use kernel::rules::Rules;
use kernel::run::OpenCall;
use kernel::state::Control;
use ledger::{CONTROL_LANE, Payload, Read};
use tokio::sync::{oneshot, watch};

use crate::clerk::Clerk;
use crate::clock::Clock;
use crate::committer::{Item, Waiter, Write, Written};
use crate::desk::{Law, entries};
use crate::error::Error;
use crate::flight::{Flights, Stage};
use crate::fold::{Folded, fold};
use crate::tray::{Haste, Tray};

/// A call without a known end that a new halt holds, and where to hear what becomes of it, if this process carries it.
pub(crate) struct Held {
    pub(crate) call: CallId,
    pub(crate) open: OpenCall,
    pub(crate) flight: Option<watch::Receiver<Stage>>,
}

pub(crate) enum ControlMessage {
    Ask {
        command: ControlCommand,
        payloads: Vec<Payload>,
        /// The compiled rules that an `Activate` brings.
        rules: Option<Arc<Rules>>,
        /// Who is told which calls a new halt holds.
        census: Option<oneshot::Sender<Vec<Held>>>,
        waiter: Waiter,
    },
    /// A lane is short of slices: no barrier, because nobody may do less than before.
    Lend { to: u16, needs: Vec<Need>, waiter: Waiter },
    /// A lane gave slices back, and that is durable.
    Free { from: u16, returned: Vec<Part>, waiter: Waiter },
    /// What plans claim, or let go; who signs in: no barrier either.
    Claim { command: ControlCommand, waiter: Waiter },
    /// After a failed commit: everything is folded again, and if that works the log is open again.
    Recover { done: oneshot::Sender<Result<(), Error>> },
}

pub(crate) struct ControlClerk {
    pub(crate) control: Control,
    pub(crate) law: Arc<ArcSwap<Law>>,
    pub(crate) inbox: Receiver<ControlMessage>,
    pub(crate) lanes: Arc<[Clerk]>,
    pub(crate) tray: Arc<Tray>,
    pub(crate) committer: SyncSender<Item>,
    pub(crate) closed: Arc<AtomicBool>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) log: Box<dyn Read>,
    pub(crate) flights: Flights,
    /// The rules whose commit was last tried: durable or not, if it failed.
    pub(crate) tried: Option<Arc<Rules>>,
}

impl ControlClerk {
    pub(crate) fn run(mut self) {
        while let Ok(message) = self.inbox.recv() {
            match message {
                ControlMessage::Ask { command, payloads, rules, census, waiter } => {
                    let _ = waiter.send(self.take(&command, payloads, rules, census));
                }
                ControlMessage::Lend { to, needs, waiter } => {
                    let rules = self.law.load().rules.clone();
                    let lanes = u16::try_from(self.lanes.len()).unwrap_or(u16::MAX);
                    let now = self.clock.now();
                    let decision = decide_lend(&self.control, &rules, to, lanes, &needs, now);
                    let _ = waiter.send(self.lend(decision));
                }
                ControlMessage::Free { from, returned, waiter } => {
                    let decision = decide_free(&self.control, from, &returned);
                    let _ = waiter.send(self.lend(decision));
                }
                ControlMessage::Claim { command, waiter } => {
                    let decision = decide_control(&self.control, &self.law.load().rules, &command);
                    let _ = waiter.send(self.lend(decision));
                }
                ControlMessage::Recover { done } => {
                    let _ = done.send(self.recover());
                }
            }
        }
    }

    fn take(
        &mut self,
        command: &ControlCommand,
        payloads: Vec<Payload>,
        rules: Option<Arc<Rules>>,
        told: Option<oneshot::Sender<Vec<Held>>>,
    ) -> Result<Written, Error> {
        if self.closed.load(Ordering::Acquire) {
            return Err(Error::LogUnwritable);
        }
        self.while_lanes_are_held(|control| {
            let written = control.commit(command, payloads, rules)?;
            if let (Some(told), ControlCommand::Halt { scope, .. }) = (told, command) {
                let _ = told.send(control.cut(scope));
            }
            Ok(written)
        })
    }

    /// What a halt holds is cut here and now. Lanes are held, so none of it can be settled before; and under the law of
    /// the halt itself, so whatever is permitted later is not of its scope.
    fn cut(&self, scope: &Scope) -> Vec<Held> {
        let law = self.law.load();
        let held = self.lanes.iter().flat_map(|lane| lane.census(&law, scope));
        held.map(|(call, open)| {
            let carried = open.carrier == Carrier::Gate && !open.unknown;
            Held { call, open, flight: carried.then(|| self.flights.cut(call)).flatten() }
        })
        .collect()
    }

    /// Lanes learn of it before it is answered, and so before whatever is proposed after the answer.
    fn lend(&mut self, decision: Decision) -> Result<Written, Error> {
        if self.closed.load(Ordering::Acquire) {
            return Err(Error::LogUnwritable);
        }
        let changes = !decision.events.is_empty();
        let written = self.write(decision, Vec::new(), None)?;
        for lane in self.lanes.iter().filter(|_| changes) {
            lane.learn(self.law.load_full());
        }
        Ok(written)
    }

    /// What lanes decided before is durable or refused; what comes in waits for the law that is published then: the
    /// new one, or the old one if the work failed.
    fn while_lanes_are_held<T>(&mut self, work: impl FnOnce(&mut Self) -> T) -> T {
        self.lanes.iter().for_each(Clerk::hold);
        self.tray.pass_on();
        let (done, wait) = sync_channel(1);
        if self.committer.send(Item::Flush(done)).is_ok() {
            let _ = wait.recv();
        }
        let worked = work(self);
        self.lanes.iter().for_each(|lane| lane.release(self.law.load_full()));
        worked
    }

    fn commit(
        &mut self,
        command: &ControlCommand,
        payloads: Vec<Payload>,
        rules: Option<Arc<Rules>>,
    ) -> Result<Written, Error> {
        let decision = decide_control(&self.control, &self.law.load().rules, command);
        self.write(decision, payloads, rules)
    }

    fn write(
        &mut self,
        decision: Decision,
        payloads: Vec<Payload>,
        rules: Option<Arc<Rules>>,
    ) -> Result<Written, Error> {
        let law = self.law.load_full();
        let at = self.clock.now().max(self.control.last);
        let tenant = law.rules.book.house.tenant.clone();
        let mut control = self.control.clone();
        let mut stamped: Vec<(Stamp, Event)> = Vec::new();
        for event in decision.events {
            let stamp = Stamp { at, lane: CONTROL_LANE, lane_seq: control.seq + 1, tenant: tenant.clone() };
            control.apply(&stamp, &event);
            stamped.push((stamp, event));
        }
        let bumps = stamped.iter().any(|(_, event)| event.bumps_epoch());
        let entries = entries(&stamped, payloads)?;
        if entries.is_empty() {
            return Ok(Written { answer: decision.answer, receipts: Vec::new(), law });
        }
        if rules.is_some() {
            self.tried.clone_from(&rules);
        }
        ledger::failpoint::hit("gate.in_control");
        let (waiter, wait) = oneshot::channel();
        let (answer, events) = (decision.answer, stamped);
        let write =
            Write { entries, events, answer, law: law.clone(), waiter, haste: Haste::Now, turn: None };
        self.committer.send(Item::Write(write)).map_err(|_| Error::Stopping)?;
        let written = wait.blocking_recv().map_err(|_| Error::Stopping)??;
        let epoch = if bumps { control.seq } else { law.epoch };
        self.control = control;
        let rules = rules.unwrap_or_else(|| law.rules.clone());
        self.law.store(Arc::new(Law { rules, control: Arc::new(self.control.clone()), epoch }));
        Ok(written)
    }

    /// Lanes stand still from before the fold until each has its desk of what is durable.
    fn recover(&mut self) -> Result<(), Error> {
        self.while_lanes_are_held(Self::fold_again)?;
        tracing::warn!("the log was folded again: calls are decided again");
        Ok(())
    }

    fn fold_again(&mut self) -> Result<(), Error> {
        let lanes = u16::try_from(self.lanes.len()).unwrap_or(u16::MAX);
        let Folded { control, epoch, desks, .. } = fold(self.log.as_mut(), lanes)?;
        let durable = control.rules.map(|(digest, _)| digest);
        // The very commit that failed may have made new rules durable: then they are the law.
        let known = [Some(self.law.load().rules.clone()), self.tried.take()];
        let rules = known.into_iter().flatten().find(|rules| durable == Some(rules.digest));
        let Some(rules) = rules else {
            return Err(Error::Rules {
                digest: durable.map(|digest| digest.to_string()).unwrap_or_default(),
                why: "nobody here has read them; restart Remit".to_owned(),
            });
        };
        self.control = control;
        self.law.store(Arc::new(Law { rules, control: Arc::new(self.control.clone()), epoch }));
        self.lanes.iter().zip(desks).for_each(|(lane, desk)| lane.replace(desk));
        self.closed.store(false, Ordering::Release);
        Ok(())
    }
}
