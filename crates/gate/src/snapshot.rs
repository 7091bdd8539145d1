//! When snapshots are written, and from what.
//!
//! A lane's state runs ahead of the disk, so it is never written down. A snapshot is made by folding the log once
//! more, from the snapshot before it, with a reader of its own: so it describes exactly what is durable below its
//! index, and no lane waits while its state is copied: a hundred thousand open runs take half a second to copy. It
//! costs another core some ten microseconds an event. The committer, who alone owns the log, writes one lane's
//! snapshot at a time between two batches; one that would hold the batches up is left to the next stop or start.
//!
//! They are written after a start that had to fold many events, at a clean stop, and when many events have passed and
//! nobody waits for a decision. To lose one, or all of them, costs the next start time and nothing else.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};

use ledger::{Log, Read};

use crate::committer::{Item, Snapshot};
use crate::error::Error;
use crate::fold::{Folded, fold};
use crate::gate::Gate;

/// A start that folded more events than this writes snapshots at once, before it takes calls.
const START_EVENTS_MAX: u64 = 20_000;
/// After so many events snapshots are written in a moment without waiting calls.
const EVENTS_BETWEEN: u64 = 200_000;
/// After so many they are written whoever waits.
const EVENTS_BETWEEN_MAX: u64 = 5 * EVENTS_BETWEEN;
/// A larger one is not written beside the work, because calls wait while the disk takes it: some ten thousand runs.
const BYTES_BESIDE_WORK_MAX: usize = 8 << 20;

pub(crate) struct Snapshots {
    log: Mutex<Box<dyn Read>>,
    committer: SyncSender<Item>,
    lanes: u16,
    /// What is below it was folded when snapshots were last written.
    index: AtomicU64,
}

impl Snapshots {
    /// Takes over from a start, and writes what was long in folding.
    pub(crate) fn open(
        log: &mut dyn Log,
        folded: &Folded,
        committer: SyncSender<Item>,
    ) -> Result<Snapshots, Error> {
        let long = folded.events > START_EVENTS_MAX;
        if long {
            for (name, bytes) in folded.snapshots() {
                if let Err(error) = log.put_snapshot(&name, folded.index, &bytes) {
                    tracing::warn!(%error, name, "no snapshot was written: the next start will take as long");
                }
            }
        }
        let index = if long { folded.index } else { folded.index.saturating_sub(folded.events) };
        let lanes = u16::try_from(folded.desks.len()).unwrap_or(u16::MAX);
        Ok(Snapshots { log: Mutex::new(log.reader()?), committer, lanes, index: AtomicU64::new(index) })
    }

    /// Folds what is durable and has the committer write it.
    fn write(&self, bytes_max: usize) -> Result<(), Error> {
        let Ok(mut log) = self.log.try_lock() else { return Ok(()) };
        let folded = fold(log.as_mut(), self.lanes)?;
        self.index.store(folded.index, Ordering::Relaxed);
        for (name, bytes) in folded.snapshots().filter(|(_, bytes)| bytes.len() <= bytes_max) {
            let (done, wait) = sync_channel(1);
            let snapshot = Snapshot { name, index: folded.index, bytes, done };
            self.committer.send(Item::Snapshot(snapshot)).map_err(|_| Error::Stopping)?;
            let _ = wait.recv();
        }
        Ok(())
    }
}

impl Gate {
    /// Begins to write snapshots if it is time.
    pub(crate) fn snapshot_when_due(&self) {
        let passed = self.0.head.borrow().saturating_sub(self.0.snapshots.index.load(Ordering::Relaxed));
        let idle = self.0.waiting.load(Ordering::Relaxed) == 0;
        if self.ready().is_ok() && (passed > EVENTS_BETWEEN_MAX || passed > EVENTS_BETWEEN && idle) {
            let gate = self.clone();
            drop(tokio::task::spawn_blocking(move || gate.write_snapshots(BYTES_BESIDE_WORK_MAX)));
        }
    }

    /// Writes snapshots of all that is durable, unless nothing is new.
    pub(crate) async fn snapshot_now(&self) {
        let gate = self.clone();
        if *self.0.head.borrow() != self.0.snapshots.index.load(Ordering::Relaxed) {
            let _ = tokio::task::spawn_blocking(move || gate.write_snapshots(usize::MAX)).await;
        }
    }

    fn write_snapshots(&self, bytes_max: usize) {
        if let Err(error) = self.0.snapshots.write(bytes_max) {
            tracing::warn!(%error, "no snapshot was written: the next start will take longer");
        }
    }
}
