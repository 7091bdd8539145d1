//! Whether a batch may be appended, and how it is numbered. Pure, so that both stores obey the same law.

use stdx::digest::Digest;

use crate::error::Error;
use crate::log::{
    BATCH_ENTRIES_MAX, Batch, CONTROL_LANE, ENTRY_BYTES_MAX, ENTRY_PAYLOADS_MAX, Entry, Head,
    PAYLOAD_BYTES_MAX, Payload, Receipt, SNAPSHOT_BYTES_MAX, TAG_BYTES_MAX,
};

/// SQL integers are signed, so numbers stop at half the range of `u64`.
const NUMBER_MAX: u64 = i64::MAX as u64;

/// What can be judged without looking at the log. Errors come in a fixed order: sizes, shape, commitments.
pub(crate) fn check_shape(batch: &Batch) -> Result<(), Error> {
    if batch.entries.len() > BATCH_ENTRIES_MAX {
        return Err(Error::TooLarge);
    }
    batch.entries.iter().try_for_each(check_entry)?;
    batch.entries.iter().flat_map(|entry| &entry.payloads).try_for_each(check_payload)
}

pub(crate) fn check_snapshot(next_index: u64, index: u64, bytes: &[u8]) -> Result<(), Error> {
    if bytes.len() > SNAPSHOT_BYTES_MAX {
        return Err(Error::TooLarge);
    }
    if index > next_index {
        return Err(Error::Invalid { why: "a snapshot is ahead of the log" });
    }
    Ok(())
}

/// Compares a batch with the head, numbers its entries and moves the head. On an error the head is spoilt and
/// must be thrown away. Stale control comes before a conflict, because it is the one that must never be
/// overlooked.
pub(crate) fn admit(head: &mut Head, batch: &Batch) -> Result<Vec<Receipt>, Error> {
    if let Some(seen) = batch.control_head
        && seen != head.control_epoch
    {
        return Err(Error::StaleControl { seen, head: head.control_epoch });
    }
    batch.entries.iter().map(|entry| admit_entry(head, entry)).collect()
}

/// INVARIANT: a stored body always hashes to the commitment it is stored under; asserted before the write and
/// after the read.
pub(crate) fn verify_payload(commitment: &Digest, tag: &str, salt: &[u8; 32], body: &[u8]) -> bool {
    Digest::commit(tag, salt, body) == *commitment
}

fn admit_entry(head: &mut Head, entry: &Entry) -> Result<Receipt, Error> {
    let expected = head.lane(entry.lane) + 1;
    if entry.lane_seq != expected {
        return Err(Error::Conflict { lane: entry.lane, expected, found: entry.lane_seq });
    }
    let receipt = Receipt { index: head.next_index, lane: entry.lane, lane_seq: entry.lane_seq };
    head.next_index += 1;
    head.lanes.insert(entry.lane, entry.lane_seq);
    if entry.bumps_epoch {
        head.control_epoch = entry.lane_seq;
    }
    Ok(receipt)
}

fn check_entry(entry: &Entry) -> Result<(), Error> {
    if entry.bytes.len() > ENTRY_BYTES_MAX || entry.payloads.len() > ENTRY_PAYLOADS_MAX {
        return Err(Error::TooLarge);
    }
    if entry.bumps_epoch && entry.lane != CONTROL_LANE {
        return Err(Error::Invalid { why: "only the control lane may bump the epoch" });
    }
    if entry.time_ms > NUMBER_MAX || entry.lane_seq > NUMBER_MAX {
        return Err(Error::Invalid { why: "a number is over 2^63 - 1" });
    }
    Ok(())
}

fn check_payload(payload: &Payload) -> Result<(), Error> {
    if payload.body.len() > PAYLOAD_BYTES_MAX || payload.tag.len() > TAG_BYTES_MAX {
        return Err(Error::TooLarge);
    }
    // A zero byte ends the tag inside the commitment, so a tag with one could be read in two ways.
    if payload.tag.contains('\0') {
        return Err(Error::Invalid { why: "a tag holds a zero byte" });
    }
    if !verify_payload(&payload.commitment, &payload.tag, &payload.salt, &payload.body) {
        return Err(Error::WrongCommitment);
    }
    Ok(())
}
