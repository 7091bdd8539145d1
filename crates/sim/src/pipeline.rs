//! The pipeline: desks decide, one committer writes, nothing is released before it is durable. Plays the gate's
//! threads on one thread, so that their order is chance of ours.

use std::collections::VecDeque;
use std::sync::Arc;

use gate::desk::{Desk, Law, Taken};
use gate::fold::{Folded, fold};
use kernel::call::{Call, Settlement};
use kernel::command::{Answer, Command, ControlCommand};
use kernel::decide::{Decision, decide_control};
use kernel::event::{Event, Stamp};
use kernel::id::{CallId, RunId};
use kernel::rules::Rules;
use kernel::time::Time;
use ledger::memory::Memory;
use ledger::{Batch, CONTROL_LANE, Entry, Error, Log, Payload, Receipt};

pub(crate) const LANES: u16 = 4;

/// Who waits for a write.
#[allow(clippy::large_enum_variant, reason = "a short queue of a simulation")]
#[derive(Clone, Debug)]
pub(crate) enum Waiter {
    Opening,
    Call(Arc<Call>),
    /// What people said yes to, decided a second time.
    Release(Arc<Call>),
    /// A person, about this call.
    Answer(CallId, RunId),
    Settling(RunId, Settlement),
    /// What a lane gives back, control is told.
    Returning(u16),
    Nobody,
}

pub(crate) struct Write {
    entries: Vec<Entry>,
    pub(crate) answer: Answer,
    pub(crate) waiter: Waiter,
    epoch: u64,
}

/// Receipts, each with the bytes that it is for.
pub(crate) type Receipts = Vec<(Receipt, Vec<u8>)>;

/// What is durable, and so may be told.
pub(crate) struct Released {
    pub(crate) answer: Answer,
    pub(crate) waiter: Waiter,
    pub(crate) receipts: Receipts,
}

pub(crate) enum Committed {
    Done(Vec<Released>),
    /// The commit failed; nobody is told anything, and the desks are folded again.
    Refused(Vec<Write>),
}

pub(crate) struct Pipeline {
    pub(crate) log: Memory,
    pub(crate) law: Law,
    pub(crate) desks: Vec<Desk>,
    pub(crate) queue: VecDeque<Write>,
    /// A fault of ours: batches do not say which control they have seen.
    pub(crate) unfenced: bool,
    /// What went wrong while deciding; told by the next commit.
    trouble: Option<String>,
}

impl Pipeline {
    pub(crate) fn start(log: Memory, rules: Arc<Rules>) -> Result<Pipeline, String> {
        let law = Law { rules, control: Arc::default(), epoch: 0 };
        let mut pipeline =
            Pipeline { log, law, desks: Vec::new(), queue: VecDeque::new(), unfenced: false, trouble: None };
        pipeline.refold()?;
        Ok(pipeline)
    }

    /// Forgets all that is not durable.
    pub(crate) fn refold(&mut self) -> Result<(), String> {
        self.queue.clear();
        let Folded { control, epoch, desks, .. } = self.folded()?;
        self.law = Law { rules: self.law.rules.clone(), control: Arc::new(control), epoch };
        self.desks = desks;
        Ok(())
    }

    fn folded(&self) -> Result<Folded, String> {
        fold(&mut self.log.clone(), LANES).map_err(|error| format!("the log cannot be folded: {error}"))
    }

    /// Writes so many of the snapshots of what is durable, as if the process died before it wrote the others.
    pub(crate) fn snapshot(&mut self, count: usize) -> Result<(), String> {
        let folded = self.folded()?;
        for (name, bytes) in folded.snapshots().take(count) {
            self.log.put_snapshot(&name, folded.index, &bytes).map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// Whether the log names other rules than those that are decided by: only a restart can mend that.
    pub(crate) fn wants_restart(&self) -> bool {
        self.law.control.rules.map(|(digest, _)| digest) != Some(self.law.rules.digest)
    }

    /// Decides now, to be written later.
    pub(crate) fn ask(
        &mut self,
        lane: u16,
        command: &Command,
        payloads: Vec<Payload>,
        waiter: Waiter,
        now: Time,
    ) {
        let desk = self.desks.iter_mut().find(|desk| desk.lane == lane);
        let Some(desk) = desk else { return };
        let Taken { answer, entries, .. } = match desk.take(&self.law, command, payloads, now) {
            Ok(taken) => taken,
            Err(error) => {
                self.trouble = Some(format!("a desk refuses what is well within bounds: {error}"));
                return;
            }
        };
        self.queue.push_back(Write { entries, answer, waiter, epoch: self.law.epoch });
    }

    /// Writes the oldest so many as one batch.
    pub(crate) fn commit(&mut self, count: usize) -> Result<Committed, String> {
        if let Some(trouble) = self.trouble.take() {
            return Err(trouble);
        }
        let count = count.min(self.queue.len());
        let writes: Vec<Write> = self.queue.drain(..count).collect();
        let mut batch = Batch::default();
        for write in &writes {
            batch.control_head = Some(write.epoch).filter(|_| !self.unfenced);
            batch.entries.extend(write.entries.iter().cloned());
        }
        match self.append(&batch)? {
            Some(receipts) => Ok(Committed::Done(release(writes, receipts))),
            None => {
                let refused = writes.into_iter().chain(self.queue.drain(..)).collect();
                self.refold()?;
                Ok(Committed::Refused(refused))
            }
        }
    }

    /// None: an injected fault. Any other error means that we wrote what the log must refuse.
    fn append(&mut self, batch: &Batch) -> Result<Option<Vec<Receipt>>, String> {
        if batch.entries.is_empty() {
            return Ok(Some(Vec::new()));
        }
        match self.log.append(batch) {
            Ok(receipts) => Ok(Some(receipts)),
            Err(Error::Io(_)) => Ok(None),
            Err(error) => Err(format!("the log refuses a batch of ours: {error}")),
        }
    }

    /// The barrier's second half, after the lanes have drained. The receipts, or None if the commit failed.
    pub(crate) fn control(
        &mut self,
        command: &ControlCommand,
        payloads: Vec<Payload>,
        rules: Option<Arc<Rules>>,
        now: Time,
    ) -> Result<Option<Receipts>, String> {
        let decision = decide_control(&self.law.control, &self.law.rules, command);
        let written = self.write_control(&decision, payloads, rules, now)?;
        if written.is_none() {
            self.refold()?;
        }
        Ok(written)
    }

    /// What control lends, or counts as free again: no barrier, and lanes know it before anybody is told. None if the
    /// commit failed, with all that was refused with it.
    pub(crate) fn lend(
        &mut self,
        decision: &Decision,
        now: Time,
    ) -> Result<Result<Option<Receipts>, Vec<Write>>, String> {
        if decision.events.is_empty() {
            return Ok(Ok(None));
        }
        match self.write_control(decision, Vec::new(), None, now)? {
            Some(receipts) => Ok(Ok(Some(receipts))),
            None => {
                let refused = self.queue.drain(..).collect();
                self.refold()?;
                Ok(Err(refused))
            }
        }
    }

    fn write_control(
        &mut self,
        decision: &Decision,
        payloads: Vec<Payload>,
        rules: Option<Arc<Rules>>,
        now: Time,
    ) -> Result<Option<Receipts>, String> {
        let at = now.max(self.law.control.last);
        let tenant = self.law.rules.book.house.tenant.clone();
        let mut control = (*self.law.control).clone();
        let mut batch = Batch { control_head: Some(self.law.epoch), ..Batch::default() };
        for event in &decision.events {
            let stamp = Stamp { at, lane: CONTROL_LANE, lane_seq: control.seq + 1, tenant: tenant.clone() };
            batch.entries.push(Entry {
                lane: CONTROL_LANE,
                lane_seq: stamp.lane_seq,
                time_ms: at.0,
                bytes: event.encode(&stamp),
                bumps_epoch: event.bumps_epoch(),
                payloads: Vec::new(),
            });
            control.apply(&stamp, event);
        }
        if let Some(first) = batch.entries.first_mut() {
            first.payloads = payloads;
        }
        let Some(receipts) = self.append(&batch)? else { return Ok(None) };
        let bumps = decision.events.iter().any(Event::bumps_epoch);
        let epoch = if bumps { control.seq } else { self.law.epoch };
        let rules = rules.unwrap_or_else(|| self.law.rules.clone());
        self.law = Law { rules, control: Arc::new(control), epoch };
        Ok(Some(receipts.into_iter().zip(batch.entries.into_iter().map(|entry| entry.bytes)).collect()))
    }
}

fn release(writes: Vec<Write>, receipts: Vec<Receipt>) -> Vec<Released> {
    let mut receipts = receipts.into_iter();
    let released = writes.into_iter().map(|write| Released {
        receipts: write
            .entries
            .into_iter()
            .filter_map(|entry| Some((receipts.next()?, entry.bytes)))
            .collect(),
        answer: write.answer,
        waiter: write.waiter,
    });
    released.collect()
}
