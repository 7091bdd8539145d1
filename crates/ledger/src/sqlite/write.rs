//! Writing: the only statements that change a row. Events are inserted, never updated or deleted.

use rusqlite::{Connection, params};
use stdx::digest::Digest;

use crate::error::Error;
use crate::log::{ENTRY_PAYLOADS_MAX, Entry, Head, Receipt};

pub(super) fn entries(conn: &Connection, entries: &[Entry], receipts: &[Receipt]) -> Result<(), Error> {
    let mut statement = conn.prepare_cached(
        "INSERT INTO events (idx, lane, lane_seq, time_ms, bytes) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    for (entry, receipt) in entries.iter().zip(receipts) {
        let (index, time_ms) = (signed(receipt.index)?, signed(entry.time_ms)?);
        statement.execute(params![index, entry.lane, signed(entry.lane_seq)?, time_ms, entry.bytes])?;
    }
    Ok(())
}

/// Keys rise with the log, so that a batch fills a few pages at the end instead of touching one page a payload.
pub(super) fn payloads(conn: &Connection, entries: &[Entry], receipts: &[Receipt]) -> Result<(), Error> {
    let mut statement = conn.prepare_cached(
        "INSERT INTO payloads (key, commitment, tag, salt, body, keep, erased) VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0)",
    )?;
    for (entry, receipt) in entries.iter().zip(receipts) {
        for (key, payload) in (payload_keys(receipt.index)?.0..).zip(&entry.payloads) {
            let (commitment, salt) = (payload.commitment.0, payload.salt);
            statement.execute(params![key, commitment, payload.tag, salt, payload.body, payload.keep])?;
        }
    }
    Ok(())
}

/// The first and the last key of the payloads that belong to one entry.
pub(super) fn payload_keys(index: u64) -> Result<(i64, i64), Error> {
    let count = ENTRY_PAYLOADS_MAX as u64;
    let first = signed(index.saturating_mul(count))?;
    Ok((first, first.saturating_add_unsigned(count - 1)))
}

/// Takes the head after the batch; it holds exactly the lanes that the batch touched.
pub(super) fn head(conn: &Connection, head: &Head) -> Result<(), Error> {
    let mut lane_row = conn.prepare_cached(
        "INSERT INTO lanes (lane, head) VALUES (?1, ?2)
         ON CONFLICT (lane) DO UPDATE SET head = excluded.head",
    )?;
    for (lane, last) in &head.lanes {
        lane_row.execute(params![lane, signed(*last)?])?;
    }
    let mut head_row =
        conn.prepare_cached("UPDATE log_head SET next_index = ?1, control_epoch = ?2 WHERE id = 1")?;
    head_row.execute(params![signed(head.next_index)?, signed(head.control_epoch)?])?;
    Ok(())
}

pub(super) fn erase(conn: &Connection, index: u64, commitment: &Digest) -> Result<(), Error> {
    let (first, last) = payload_keys(index)?;
    let keep: Option<bool> = conn
        .prepare_cached("SELECT max(keep) FROM payloads WHERE key BETWEEN ?1 AND ?2 AND commitment = ?3")?
        .query_row(params![first, last, commitment.0], |row| row.get(0))?;
    if keep.ok_or(Error::NotFound)? {
        return Err(Error::Kept);
    }
    conn.prepare_cached(
        "UPDATE payloads SET salt = NULL, body = NULL, erased = 1
         WHERE key BETWEEN ?1 AND ?2 AND commitment = ?3",
    )?
    .execute(params![first, last, commitment.0])?;
    Ok(())
}

pub(super) fn snapshot(conn: &Connection, name: &str, index: u64, bytes: &[u8]) -> Result<(), Error> {
    conn.prepare_cached(
        "INSERT INTO snapshots (name, idx, bytes) VALUES (?1, ?2, ?3)
         ON CONFLICT (name) DO UPDATE SET idx = excluded.idx, bytes = excluded.bytes",
    )?
    .execute(params![name, signed(index)?, bytes])?;
    Ok(())
}

/// SQL integers are signed.
pub(super) fn signed(number: u64) -> Result<i64, Error> {
    i64::try_from(number).map_err(|_| Error::Invalid { why: "a number is over 2^63 - 1" })
}
