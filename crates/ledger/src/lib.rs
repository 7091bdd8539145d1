//! The log and its proofs: append, read, snapshots, erasable payloads. Bytes, no nouns.
//!
//! How to read this crate:
//!
//! - `log` holds the words (entry, payload, batch, head) and the two traits, `Log` for the one writer and
//!   `Read` for many.
//! - `law` decides whether a batch may be appended and how it is numbered. It is pure, and both stores obey
//!   it.
//! - `sqlite` is the store people run; `memory` is the one that tests and simulations break on purpose.
//! - `failpoint` kills the process at a named point, in debug builds only.
//!
//! What is absent, on purpose: nothing here can parse an entry, knows an agent or a call, reads a clock or
//! draws a random number. Salts, times and sequence numbers come from the caller.

mod error;
pub mod failpoint;
mod law;
mod log;
pub mod memory;
mod space;
pub mod sqlite;

pub use error::Error;
pub use log::{
    BATCH_ENTRIES_MAX, Batch, CONTROL_LANE, ENTRY_BYTES_MAX, ENTRY_PAYLOADS_MAX, Entry, Head, Log,
    PAYLOAD_BYTES_MAX, Payload, READ_ROWS_MAX, Read, Receipt, SNAPSHOT_BYTES_MAX, Stored, TAG_BYTES_MAX,
};
pub use space::free_bytes;

#[cfg(test)]
mod tests;
