//! The words of the log, and the two traits that a store keeps.

use std::collections::BTreeMap;
use std::sync::Arc;

use stdx::digest::Digest;

use crate::error::Error;

/// An entry is small and holds digests; what is large or personal is a payload.
pub const ENTRY_BYTES_MAX: usize = 16 * 1024;
pub const PAYLOAD_BYTES_MAX: usize = 16 * 1024 * 1024;
pub const SNAPSHOT_BYTES_MAX: usize = 256 * 1024 * 1024;
pub const TAG_BYTES_MAX: usize = 64;
pub const BATCH_ENTRIES_MAX: usize = 4096;
/// The most payloads that one entry brings. Part of the stored format: a payload's key is the index of its
/// entry times this, plus its place.
pub const ENTRY_PAYLOADS_MAX: usize = 16;
/// The most rows one `read` returns, whatever its limit.
pub const READ_ROWS_MAX: usize = 16 * 1024;
/// The lane whose epoch fences all the others.
pub const CONTROL_LANE: u16 = 0;

/// One event on its way into the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub lane: u16,
    /// The head of the lane, plus one; a lane's first entry is 1.
    pub lane_seq: u64,
    pub time_ms: u64,
    /// Stored verbatim, at most `ENTRY_BYTES_MAX`.
    pub bytes: Vec<u8>,
    /// Whoever has not seen this entry may no longer append. Only in the control lane.
    pub bumps_epoch: bool,
    /// The bodies that `bytes` commit to.
    pub payloads: Vec<Payload>,
}

/// A body kept beside the log, committed to by an entry, erasable without breaking a proof. It belongs to that
/// entry and is found under its index.
#[derive(Clone, PartialEq, Eq)]
pub struct Payload {
    /// `Digest::commit(tag, salt, body)`; a batch with any other digest is refused.
    pub commitment: Digest,
    pub salt: [u8; 32],
    pub tag: String,
    /// Shared: whoever may have to write it again keeps it, and it may be large.
    pub body: Arc<Vec<u8>>,
    /// Never erased: the text of rules, which past decisions are recomputed from.
    pub keep: bool,
}

impl Payload {
    pub fn new(tag: &str, salt: [u8; 32], body: impl Into<Arc<Vec<u8>>>, keep: bool) -> Payload {
        let body = body.into();
        Payload { commitment: Digest::commit(tag, &salt, &body), salt, tag: tag.to_owned(), body, keep }
    }
}

/// Bodies and salts stay out of debug output, because debug output ends in logs that nobody erases.
impl std::fmt::Debug for Payload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Payload")
            .field("commitment", &self.commitment)
            .field("tag", &self.tag)
            .field("body_bytes", &self.body.len())
            .field("keep", &self.keep)
            .finish_non_exhaustive()
    }
}

/// What becomes durable together or not at all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    pub entries: Vec<Entry>,
    /// The control epoch (see `Head`) that the decider had seen; `None` leaves it unchecked.
    pub control_head: Option<u64>,
}

/// Proof that one entry is in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Dense over all lanes, from 0, given at commit.
    pub index: u64,
    pub lane: u16,
    pub lane_seq: u64,
}

/// One event, read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    pub index: u64,
    pub lane: u16,
    pub lane_seq: u64,
    pub time_ms: u64,
    pub bytes: Vec<u8>,
}

/// Where the log ends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// The index that the next entry will get, so also the number of entries.
    pub next_index: u64,
    /// The last sequence of each lane that has an entry.
    pub lanes: BTreeMap<u16, u64>,
    /// The control lane's sequence of its last entry with `bumps_epoch`; 0 if there is none.
    pub control_epoch: u64,
}

impl Head {
    /// The last sequence of a lane; 0 if it is empty.
    pub fn lane(&self, lane: u16) -> u64 {
        self.lanes.get(&lane).copied().unwrap_or(0)
    }
}

/// The writing side. Exactly one committer thread owns it.
pub trait Log: Send + 'static {
    /// One transaction and one sync to disk, all or nothing. After an error the caller knows nothing about
    /// the batch, must read the log again, and must not simply retry.
    fn append(&mut self, batch: &Batch) -> Result<Vec<Receipt>, Error>;

    /// Destroys the body and the salt that entry `index` brought; the row and the entry stay. Twice is once.
    fn erase(&mut self, index: u64, commitment: &Digest) -> Result<(), Error>;

    /// Replaces the snapshot of that name: a fold of the entries below `index`.
    fn put_snapshot(&mut self, name: &str, index: u64, bytes: &[u8]) -> Result<(), Error>;

    fn reader(&self) -> Result<Box<dyn Read>, Error>;
}

/// The reading side. There may be many; each sees only what is durable, and only whole batches.
pub trait Read: Send {
    fn head(&mut self) -> Result<Head, Error>;

    /// Entries in order from an index on. Nothing means the end; less than `limit` alone does not
    /// (see `READ_ROWS_MAX`).
    fn read(&mut self, from: u64, limit: usize) -> Result<Vec<Stored>, Error>;

    /// The index of the entry with this sequence in its lane, if there is one.
    fn index_of(&mut self, lane: u16, lane_seq: u64) -> Result<Option<u64>, Error>;

    /// The body that entry `index` brought, after checking it against its commitment.
    fn payload(&mut self, index: u64, commitment: &Digest) -> Result<Vec<u8>, Error>;

    fn snapshot(&mut self, name: &str) -> Result<Option<(u64, Vec<u8>)>, Error>;
}
