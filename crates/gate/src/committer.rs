//! The committer: one thread, one disk. What has queued up while the last batch was being written is the next batch.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender};

use kernel::command::Answer;
use kernel::event::{Event, Stamp};
use ledger::{Batch, Entry, Log, Receipt};
use tokio::sync::{oneshot, watch};

use crate::clerk::Turn;
use crate::counts::{Tally, bump};
use crate::desk::Law;
use crate::error::Error;
use crate::tray::Haste;
use crate::views::{Durable, Fed};

/// Entries written in one transaction; the log's own limit is above it.
const BATCH_ENTRIES_MAX: usize = 2048;

/// What is decided, durable and may be released.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) answer: Answer,
    pub(crate) receipts: Vec<Receipt>,
    /// The snapshot it was decided by.
    pub(crate) law: Arc<Law>,
}

pub(crate) type Waiter = oneshot::Sender<Result<Written, Error>>;

pub(crate) struct Write {
    pub(crate) entries: Vec<Entry>,
    /// The same, for whoever wants to know of them.
    pub(crate) events: Vec<(Stamp, Event)>,
    pub(crate) answer: Answer,
    pub(crate) law: Arc<Law>,
    pub(crate) waiter: Waiter,
    pub(crate) haste: Haste,
    /// Of what came over a lane.
    pub(crate) turn: Option<Turn>,
}

#[allow(
    clippy::large_enum_variant,
    reason = "nearly all are writes; a box would be one more allocation a call"
)]
pub(crate) enum Item {
    Write(Write),
    /// What lanes decided meanwhile, in order.
    Writes(Vec<Write>),
    /// Answered when everything before it is durable, or refused.
    Flush(SyncSender<()>),
    Snapshot(Snapshot),
}

/// A fold of durable events, to be written between two batches.
pub(crate) struct Snapshot {
    pub(crate) name: String,
    pub(crate) index: u64,
    pub(crate) bytes: Vec<u8>,
    /// Answered when it was written, or could not be.
    pub(crate) done: SyncSender<()>,
}

pub(crate) struct Committer {
    pub(crate) log: Box<dyn Log>,
    pub(crate) queue: Receiver<Item>,
    /// Set when a commit failed: everything is refused until the lanes have folded again.
    pub(crate) closed: Arc<AtomicBool>,
    pub(crate) tally: Arc<Tally>,
    pub(crate) head: watch::Sender<u64>,
    pub(crate) views: Fed,
}

/// A write whose entries went into the batch, and the events that they are.
#[allow(
    clippy::large_enum_variant,
    reason = "nearly all are writes; a box would be one more allocation a call"
)]
enum Waiting {
    Write {
        events: Vec<(Stamp, Event)>,
        answer: Answer,
        law: Arc<Law>,
        waiter: Waiter,
        haste: Haste,
        turn: Option<Turn>,
    },
    Flush(SyncSender<()>),
}

impl Committer {
    pub(crate) fn run(mut self) {
        // What was fetched and is not in a batch yet.
        let mut fetched = VecDeque::new();
        loop {
            if fetched.is_empty() {
                let Ok(item) = self.queue.recv() else { return };
                spread(item, &mut fetched);
            }
            while let Ok(item) = self.queue.try_recv() {
                spread(item, &mut fetched);
            }
            let mut batch = Batch::default();
            let mut waiting = Vec::new();
            let mut snapshots = Vec::new();
            while batch.entries.len() < BATCH_ENTRIES_MAX
                && let Some(item) = fetched.pop_front()
            {
                gather(item, &mut batch, &mut waiting, &mut snapshots);
            }
            match self.commit(&batch) {
                Ok(receipts) => self.release(waiting, receipts),
                Err(error) => self.refuse(waiting, &error),
            }
            snapshots.into_iter().for_each(|snapshot| self.keep(snapshot));
        }
    }

    fn keep(&mut self, snapshot: Snapshot) {
        let Snapshot { name, index, bytes, done } = snapshot;
        if let Err(error) = self.log.put_snapshot(&name, index, &bytes) {
            tracing::warn!(%error, name, "no snapshot was written: the next start will take longer");
        }
        let _ = done.send(());
    }

    fn commit(&mut self, batch: &Batch) -> Result<Vec<Receipt>, Error> {
        if self.closed.load(Ordering::Acquire) {
            return Err(Error::LogUnwritable);
        }
        // Answers without an event still wait their turn: what they repeat must be durable before they are given.
        if batch.entries.is_empty() {
            return Ok(Vec::new());
        }
        bump(&self.tally.commits);
        Ok(self.log.append(batch)?)
    }

    fn release(&self, waiting: Vec<Waiting>, receipts: Vec<Receipt>) {
        ledger::failpoint::hit("gate.after_commit");
        let mut durable = Vec::with_capacity(receipts.len());
        let mut receipts = receipts.into_iter();
        let (mut released, mut after) = (Vec::with_capacity(waiting.len()), Vec::new());
        for item in waiting {
            match item {
                Waiting::Write { events, answer, law, waiter, haste, turn } => {
                    drop(turn);
                    let receipts: Vec<Receipt> = receipts.by_ref().take(events.len()).collect();
                    let placed = receipts.iter().zip(events);
                    durable.extend(placed.map(|(receipt, (stamp, event))| Durable {
                        index: receipt.index,
                        stamp,
                        event,
                    }));
                    let written = Written { answer, receipts, law };
                    match haste {
                        Haste::Now => released.push((waiter, written)),
                        Haste::Soon => after.push((waiter, written)),
                    }
                }
                Waiting::Flush(done) => {
                    let _ = done.send(());
                }
            }
        }
        // Whoever is told that it is durable finds it in the head of the log, and the views are fed before they are
        // woken.
        if let Some(end) = durable.last().map(|last| last.index + 1) {
            self.views.put(durable);
            self.head.send_replace(end);
        }
        // Each wakes a thread: first those that somebody waits for.
        for (waiter, written) in released.into_iter().chain(after) {
            // Perhaps nobody waits any more: the line's own deadline has taken care of it.
            let _ = waiter.send(Ok(written));
        }
    }

    fn refuse(&self, waiting: Vec<Waiting>, error: &Error) {
        if !self.closed.swap(true, Ordering::AcqRel) {
            bump(&self.tally.commit_failures);
            let cause = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
            tracing::error!(%error, cause, "a commit failed: nothing is permitted until the lanes have folded again");
        }
        for item in waiting {
            match item {
                Waiting::Write { waiter, .. } => {
                    let _ = waiter.send(Err(Error::LogUnwritable));
                }
                Waiting::Flush(done) => {
                    let _ = done.send(());
                }
            }
        }
    }
}

fn spread(item: Item, fetched: &mut VecDeque<Item>) {
    match item {
        Item::Writes(writes) => fetched.extend(writes.into_iter().map(Item::Write)),
        item => fetched.push_back(item),
    }
}

fn gather(item: Item, batch: &mut Batch, waiting: &mut Vec<Waiting>, snapshots: &mut Vec<Snapshot>) {
    match item {
        Item::Write(Write { mut entries, events, answer, law, waiter, haste, turn }) => {
            batch.control_head = Some(law.epoch);
            // INVARIANT: there is one event for each entry.
            batch.entries.append(&mut entries);
            waiting.push(Waiting::Write { events, answer, law, waiter, haste, turn });
        }
        Item::Writes(writes) => {
            writes.into_iter().for_each(|write| gather(Item::Write(write), batch, waiting, snapshots));
        }
        Item::Flush(done) => waiting.push(Waiting::Flush(done)),
        Item::Snapshot(snapshot) => snapshots.push(snapshot),
    }
}
