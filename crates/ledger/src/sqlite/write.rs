//! Writing: the only statements that change a row. Events are inserted, never updated or deleted.

use rusqlite::{Connection, OptionalExtension, params};
use stdx::digest::Digest;

use crate::error::Error;
use crate::log::{Entry, Head, Payload, Receipt};

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

/// The same payload twice is one row. What was once marked to be kept stays so.
pub(super) fn payloads(conn: &Connection, payloads: &[Payload]) -> Result<(), Error> {
    let mut statement = conn.prepare_cached(
        "INSERT INTO payloads (commitment, tag, salt, body, keep, erased) VALUES (?1, ?2, ?3, ?4, ?5, 0)
         ON CONFLICT (commitment) DO UPDATE SET keep = max(keep, excluded.keep)
         RETURNING erased",
    )?;
    for payload in payloads {
        let row = params![payload.commitment.0, payload.tag, payload.salt, payload.body, payload.keep];
        let erased: bool = statement.query_row(row, |row| row.get(0))?;
        // What was forgotten does not come back by being said again.
        if erased {
            return Err(Error::Erased);
        }
    }
    Ok(())
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

pub(super) fn erase(conn: &Connection, commitment: &Digest) -> Result<(), Error> {
    let keep: Option<bool> = conn
        .prepare_cached("SELECT keep FROM payloads WHERE commitment = ?1")?
        .query_row(params![commitment.0], |row| row.get(0))
        .optional()?;
    if keep.ok_or(Error::NotFound)? {
        return Err(Error::Kept);
    }
    conn.prepare_cached("UPDATE payloads SET salt = NULL, body = NULL, erased = 1 WHERE commitment = ?1")?
        .execute(params![commitment.0])?;
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
