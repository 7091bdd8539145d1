//! A log in memory, for tests and simulations: the same law, and faults on demand.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use stdx::digest::Digest;

use crate::error::Error;
use crate::law;
use crate::log::{Batch, Head, Log, Payload, READ_ROWS_MAX, Read, Receipt, Stored};

/// How an append fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing was written.
    Before,
    /// Everything was written and is durable, yet the answer is an error.
    After,
}

/// A handle on one log; clones share it. All that was appended counts as durable.
pub struct Memory {
    disk: Arc<Mutex<Disk>>,
    /// The life of the process that this handle belongs to; a crash ends it.
    life: AtomicU64,
}

#[derive(Default)]
struct Disk {
    head: Head,
    events: Vec<Stored>,
    /// By the index of their entry.
    payloads: HashMap<u64, Vec<Kept>>,
    snapshots: HashMap<String, (u64, Vec<u8>)>,
    faults: BTreeMap<u64, Fault>,
    /// Appends tried so far, refused and failed ones too.
    appends: u64,
    full: bool,
    life: u64,
}

/// An erased payload has lost its content and not its row.
struct Kept {
    commitment: Digest,
    content: Option<Payload>,
    keep: bool,
}

impl Memory {
    pub fn new() -> Memory {
        Memory { disk: Arc::default(), life: AtomicU64::new(0) }
    }

    /// Makes the n-th append from now fail; 1 is the next one. Several may be planned.
    pub fn fail_at(&self, nth: u64, fault: Fault) {
        let mut disk = self.lock();
        let at = disk.appends.saturating_add(nth);
        disk.faults.insert(at, fault);
    }

    /// While full, every append and snapshot is refused with `Error::Full`.
    pub fn set_full(&self, full: bool) {
        self.lock().full = full;
    }

    /// Ends the life of every other handle and reader, as if their process had been killed: what they have
    /// not appended yet will never be. This handle, and clones made of any handle from now on, are the next
    /// life.
    pub fn crash(&self) {
        let mut disk = self.lock();
        disk.life += 1;
        self.life.store(disk.life, Ordering::Relaxed);
    }

    /// Appends tried so far, for planning faults.
    pub fn appends(&self) -> u64 {
        self.lock().appends
    }

    /// Changes one stored byte behind the log's back; false if the payload has no such byte.
    pub fn tamper_payload(&self, index: u64, commitment: &Digest, at: usize) -> bool {
        let mut disk = self.lock();
        let mut rows = disk.payloads_mut(index, commitment);
        let content = rows.next().and_then(|row| row.content.as_mut());
        let byte = content.and_then(|payload| Arc::make_mut(&mut payload.body).get_mut(at));
        byte.map(|byte| *byte ^= 1).is_some()
    }

    /// A panic elsewhere leaves the disk whole, since each change below is made after its last check.
    fn lock(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn live(&self) -> Result<MutexGuard<'_, Disk>, Error> {
        let disk = self.lock();
        if disk.life != self.life.load(Ordering::Relaxed) {
            return Err(injected("this handle's process crashed"));
        }
        Ok(disk)
    }
}

impl Default for Memory {
    fn default() -> Memory {
        Memory::new()
    }
}

impl Clone for Memory {
    fn clone(&self) -> Memory {
        let life = self.lock().life;
        Memory { disk: Arc::clone(&self.disk), life: AtomicU64::new(life) }
    }
}

impl Log for Memory {
    fn append(&mut self, batch: &Batch) -> Result<Vec<Receipt>, Error> {
        let mut disk = self.live()?;
        disk.appends += 1;
        let at = disk.appends;
        let fault = disk.faults.remove(&at);
        if fault == Some(Fault::Before) {
            return Err(injected("the append failed before its effect"));
        }
        law::check_shape(batch)?;
        if disk.full {
            return Err(Error::Full);
        }
        let mut head = disk.head.clone();
        let receipts = law::admit(&mut head, batch)?;
        disk.store(batch, &receipts);
        disk.head = head;
        match fault {
            Some(_) => Err(injected("the append failed after its effect")),
            None => Ok(receipts),
        }
    }

    fn erase(&mut self, index: u64, commitment: &Digest) -> Result<(), Error> {
        let mut disk = self.live()?;
        let rows: Vec<&mut Kept> = disk.payloads_mut(index, commitment).collect();
        if rows.is_empty() {
            return Err(Error::NotFound);
        }
        if rows.iter().any(|row| row.keep) {
            return Err(Error::Kept);
        }
        rows.into_iter().for_each(|row| row.content = None);
        Ok(())
    }

    fn put_snapshot(&mut self, name: &str, index: u64, bytes: &[u8]) -> Result<(), Error> {
        let mut disk = self.live()?;
        if disk.full {
            return Err(Error::Full);
        }
        law::check_snapshot(disk.head.next_index, index, bytes)?;
        disk.snapshots.insert(name.to_owned(), (index, bytes.to_vec()));
        Ok(())
    }

    fn reader(&self) -> Result<Box<dyn Read>, Error> {
        // A reader belongs to the life of the handle that it came from, so it is not a plain clone.
        let life = self.live()?.life;
        Ok(Box::new(Memory { disk: Arc::clone(&self.disk), life: AtomicU64::new(life) }))
    }
}

impl Read for Memory {
    fn head(&mut self) -> Result<Head, Error> {
        Ok(self.live()?.head.clone())
    }

    fn read(&mut self, from: u64, limit: usize) -> Result<Vec<Stored>, Error> {
        let disk = self.live()?;
        let from = usize::try_from(from).unwrap_or(usize::MAX);
        Ok(disk.events.iter().skip(from).take(limit.min(READ_ROWS_MAX)).cloned().collect())
    }

    fn index_of(&mut self, lane: u16, lane_seq: u64) -> Result<Option<u64>, Error> {
        let disk = self.live()?;
        // What is asked for is mostly young.
        let found = disk.events.iter().rev().find(|row| row.lane == lane && row.lane_seq == lane_seq);
        Ok(found.map(|row| row.index))
    }

    fn payload(&mut self, index: u64, commitment: &Digest) -> Result<Vec<u8>, Error> {
        let disk = self.live()?;
        let mut rows = disk.payloads.get(&index).into_iter().flatten();
        let row = rows.find(|row| row.commitment == *commitment).ok_or(Error::NotFound)?;
        let payload = row.content.as_ref().ok_or(Error::Erased)?;
        if !law::verify_payload(commitment, &payload.tag, &payload.salt, &payload.body) {
            let why = format!("the payload {commitment} is not what was committed to");
            return Err(Error::damaged(index, why));
        }
        Ok(payload.body.to_vec())
    }

    fn snapshot(&mut self, name: &str) -> Result<Option<(u64, Vec<u8>)>, Error> {
        Ok(self.live()?.snapshots.get(name).cloned())
    }
}

impl Disk {
    fn payloads_mut(&mut self, index: u64, commitment: &Digest) -> impl Iterator<Item = &mut Kept> {
        let rows = self.payloads.get_mut(&index).into_iter().flatten();
        rows.filter(|row| row.commitment == *commitment)
    }

    fn store(&mut self, batch: &Batch, receipts: &[Receipt]) {
        for (entry, receipt) in batch.entries.iter().zip(receipts) {
            if !entry.payloads.is_empty() {
                self.payloads.insert(receipt.index, entry.payloads.iter().map(Kept::from).collect());
            }
            self.events.push(Stored {
                index: receipt.index,
                lane: receipt.lane,
                lane_seq: receipt.lane_seq,
                time_ms: entry.time_ms,
                bytes: entry.bytes.clone(),
            });
        }
    }
}

impl From<&Payload> for Kept {
    fn from(payload: &Payload) -> Kept {
        Kept { commitment: payload.commitment, content: Some(payload.clone()), keep: payload.keep }
    }
}

fn injected(why: &'static str) -> Error {
    Error::Io(std::io::Error::other(why))
}

#[cfg(test)]
mod tests;
