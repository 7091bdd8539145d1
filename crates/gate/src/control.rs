//! The control lane: halts, keys and rules. Each is a barrier: lanes drain, it commits, lanes learn it, then it is
//! acknowledged. So after the acknowledgement no lane decides by what was before.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use arc_swap::ArcSwap;
use kernel::command::ControlCommand;
use kernel::decide::decide_control;
use kernel::event::{Event, Stamp};
use kernel::rules::Rules;
use kernel::state::Control;
use ledger::{CONTROL_LANE, Payload, Read};
use tokio::sync::oneshot;

use crate::clerk::{Message, Resume};
use crate::clock::Clock;
use crate::committer::{Item, Waiter, Write, Written};
use crate::desk::{Law, entries};
use crate::error::Error;
use crate::fold::{Folded, fold};

pub(crate) enum ControlMessage {
    Ask {
        command: ControlCommand,
        payloads: Vec<Payload>,
        /// The compiled rules that an `Activate` brings.
        rules: Option<Arc<Rules>>,
        waiter: Waiter,
    },
    /// After a failed commit: everything is folded again, and if that works the log is open again.
    Recover { done: oneshot::Sender<Result<(), Error>> },
}

pub(crate) struct ControlClerk {
    pub(crate) control: Control,
    pub(crate) law: Arc<ArcSwap<Law>>,
    pub(crate) inbox: Receiver<ControlMessage>,
    pub(crate) lanes: Vec<SyncSender<Message>>,
    pub(crate) committer: SyncSender<Item>,
    pub(crate) closed: Arc<AtomicBool>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) log: Box<dyn Read>,
    /// The rules whose commit was last tried: durable or not, if it failed.
    pub(crate) tried: Option<Arc<Rules>>,
}

impl ControlClerk {
    pub(crate) fn run(mut self) {
        while let Ok(message) = self.inbox.recv() {
            match message {
                ControlMessage::Ask { command, payloads, rules, waiter } => {
                    let _ = waiter.send(self.take(&command, payloads, rules));
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
    ) -> Result<Written, Error> {
        if self.closed.load(Ordering::Acquire) {
            return Err(Error::LogUnwritable);
        }
        let resumes = self.drain();
        let written = self.commit(command, payloads, rules);
        // Lanes go on with whatever law is published now: the new one, or the old one if the commit failed.
        for resume in resumes {
            let _ = resume.send(Resume { law: self.law.load_full(), desk: None });
        }
        written
    }

    /// Stops every lane behind what it has decided.
    fn drain(&self) -> Vec<SyncSender<Resume>> {
        let mut resumes = Vec::new();
        let mut waits = Vec::new();
        for lane in &self.lanes {
            let (drained, wait) = sync_channel(1);
            let (resume, resumed) = sync_channel(1);
            if lane.send(Message::Barrier { drained, resume: resumed }).is_ok() {
                resumes.push(resume);
                waits.push(wait);
            }
        }
        for wait in waits {
            let _ = wait.recv();
        }
        resumes
    }

    fn commit(
        &mut self,
        command: &ControlCommand,
        payloads: Vec<Payload>,
        rules: Option<Arc<Rules>>,
    ) -> Result<Written, Error> {
        let law = self.law.load_full();
        let decision = decide_control(&self.control, command);
        let at = self.clock.now().max(self.control.last);
        let tenant = law.rules.book.house.tenant.clone();
        let mut control = self.control.clone();
        let mut stamped: Vec<(Stamp, Event)> = Vec::new();
        for event in decision.events {
            let stamp = Stamp { at, lane: CONTROL_LANE, lane_seq: control.seq + 1, tenant: tenant.clone() };
            control.apply(&stamp, &event);
            stamped.push((stamp, event));
        }
        let entries = entries(&stamped, payloads)?;
        if entries.is_empty() {
            return Ok(Written { answer: decision.answer, receipts: Vec::new(), law });
        }
        if rules.is_some() {
            self.tried.clone_from(&rules);
        }
        ledger::failpoint::hit("gate.in_control");
        let (waiter, wait) = oneshot::channel();
        let write = Write { entries, answer: decision.answer, law: law.clone(), waiter: Some(waiter) };
        self.committer.send(Item::Write(write)).map_err(|_| Error::Stopping)?;
        let written = wait.blocking_recv().map_err(|_| Error::Stopping)??;
        let epoch = control.seq;
        self.control = control;
        let rules = rules.unwrap_or_else(|| law.rules.clone());
        self.law.store(Arc::new(Law { rules, control: Arc::new(self.control.clone()), epoch }));
        Ok(written)
    }

    /// Lanes stand still from before the fold until each has its desk of what is durable.
    fn recover(&mut self) -> Result<(), Error> {
        let resumes = self.drain();
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
        if resumes.len() != desks.len() {
            return Err(Error::Stopping);
        }
        self.control = control;
        self.law.store(Arc::new(Law { rules, control: Arc::new(self.control.clone()), epoch }));
        for (resume, desk) in resumes.into_iter().zip(desks) {
            let resumed = Resume { law: self.law.load_full(), desk: Some(desk) };
            resume.send(resumed).map_err(|_| Error::Stopping)?;
        }
        self.closed.store(false, Ordering::Release);
        tracing::warn!("the log was folded again: calls are decided again");
        Ok(())
    }
}
