//! Reading: heads, entries, payloads, snapshots, each checked on its way out.

use std::path::Path;

use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, Row, params};
use stdx::digest::Digest;

use super::write::{payload_keys, signed};
use super::{BUSY_WAIT, schema};
use crate::error::Error;
use crate::law;
use crate::log::{Batch, Head, READ_ROWS_MAX, Read, Stored};

/// A connection that cannot write. It sees what was committed before each of its questions.
pub struct Reader {
    conn: Connection,
}

impl Reader {
    pub(super) fn open(path: &Path) -> Result<Reader, Error> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        Reader::prepare(Connection::open_with_flags(path, flags)?)
    }

    /// Reading a write-ahead file needs a shared index beside it. Where none can be made (a read-only medium)
    /// and there is no write-ahead file, the database alone is the whole log.
    pub(super) fn open_offline(path: &Path) -> Result<Reader, Error> {
        let error = match Reader::open(path) {
            Ok(reader) => return Ok(reader),
            Err(error) => error,
        };
        let unwritable = matches!(&error, Error::Store(error)
            if matches!(error.sqlite_error_code(), Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly)));
        let wal = path.with_extension("db-wal");
        let wal_is_empty = std::fs::metadata(&wal).map_or(true, |file| file.len() == 0);
        if !unwritable || !path.is_file() || !wal_is_empty {
            return Err(error);
        }
        let flags =
            OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
        Reader::prepare(Connection::open_with_flags(immutable_uri(path), flags)?)
    }

    fn prepare(conn: Connection) -> Result<Reader, Error> {
        conn.busy_timeout(BUSY_WAIT)?;
        schema::refuse_strangers(&conn)?;
        Ok(Reader { conn })
    }

    #[cfg(test)]
    pub(super) fn conn_for_tests(&self) -> &Connection {
        &self.conn
    }
}

impl Read for Reader {
    fn head(&mut self) -> Result<Head, Error> {
        let tx = self.conn.transaction()?;
        head_full(&tx)
    }

    fn read(&mut self, from: u64, limit: usize) -> Result<Vec<Stored>, Error> {
        // One transaction, so that the head and the rows are of the same moment.
        let tx = self.conn.transaction()?;
        let next_index = head_row(&tx)?.next_index;
        let rows_due = next_index.saturating_sub(from).min(limit.min(READ_ROWS_MAX) as u64);
        if rows_due == 0 {
            return Ok(Vec::new());
        }
        let mut statement = tx.prepare_cached(
            "SELECT idx, lane, lane_seq, time_ms, bytes FROM events WHERE idx >= ?1 ORDER BY idx LIMIT ?2",
        )?;
        let mut rows = statement.query(params![signed(from)?, signed(rows_due)?])?;
        let mut found = Vec::new();
        for index in from..from + rows_due {
            match rows.next()?.map(stored).transpose()? {
                Some(stored) if stored.index == index => found.push(stored),
                _ => return Err(Error::damaged(index, "an event is missing")),
            }
        }
        Ok(found)
    }

    fn index_of(&mut self, lane: u16, lane_seq: u64) -> Result<Option<u64>, Error> {
        let mut statement =
            self.conn.prepare_cached("SELECT idx FROM events WHERE lane = ?1 AND lane_seq = ?2")?;
        let index: Option<i64> =
            statement.query_row(params![lane, signed(lane_seq)?], |row| row.get(0)).optional()?;
        index.map(number).transpose()
    }

    fn payload(&mut self, index: u64, commitment: &Digest) -> Result<Vec<u8>, Error> {
        type PayloadRow = (String, Option<Vec<u8>>, Option<Vec<u8>>, bool);
        // An index that no log can reach has no payloads.
        let Ok((first, last)) = payload_keys(index) else { return Err(Error::NotFound) };
        let mut statement = self.conn.prepare_cached(
            "SELECT tag, salt, body, erased FROM payloads WHERE key BETWEEN ?1 AND ?2 AND commitment = ?3",
        )?;
        let row: Option<PayloadRow> = statement
            .query_row(params![first, last, commitment.0], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
            })
            .optional()?;
        let (tag, salt, body) = match row {
            None => return Err(Error::NotFound),
            Some((_, _, _, true)) => return Err(Error::Erased),
            Some((tag, salt, body, false)) => (tag, salt, body),
        };
        let salt: Option<[u8; 32]> = salt.and_then(|salt| salt.try_into().ok());
        match (salt, body) {
            (Some(salt), Some(body)) if law::verify_payload(commitment, &tag, &salt, &body) => Ok(body),
            _ => Err(Error::damaged(index, format!("the payload {commitment} is not what was committed to"))),
        }
    }

    fn snapshot(&mut self, name: &str) -> Result<Option<(u64, Vec<u8>)>, Error> {
        let mut statement = self.conn.prepare_cached("SELECT idx, bytes FROM snapshots WHERE name = ?1")?;
        let row: Option<(i64, Vec<u8>)> =
            statement.query_row(params![name], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        row.map(|(index, bytes)| Ok((number(index)?, bytes))).transpose()
    }
}

/// The head with every lane in it.
pub(super) fn head_full(conn: &Connection) -> Result<Head, Error> {
    let mut head = head_row(conn)?;
    let mut statement = conn.prepare_cached("SELECT lane, head FROM lanes")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        head.lanes.insert(row.get(0)?, number(row.get(1)?)?);
    }
    Ok(head)
}

/// The head with only the lanes that the batch touches.
pub(super) fn head_of(conn: &Connection, batch: &Batch) -> Result<Head, Error> {
    let mut head = head_row(conn)?;
    let mut statement = conn.prepare_cached("SELECT head FROM lanes WHERE lane = ?1")?;
    for entry in &batch.entries {
        if head.lanes.contains_key(&entry.lane) {
            continue;
        }
        let last: Option<i64> = statement.query_row(params![entry.lane], |row| row.get(0)).optional()?;
        head.lanes.insert(entry.lane, last.map_or(Ok(0), number)?);
    }
    Ok(head)
}

/// The head without its lanes.
pub(super) fn head_row(conn: &Connection) -> Result<Head, Error> {
    let mut statement = conn.prepare_cached("SELECT next_index, control_epoch FROM log_head WHERE id = 1")?;
    let row: Option<(i64, i64)> = statement.query_row([], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    let (next_index, control_epoch) = row.ok_or_else(|| Error::damaged(None, "the head row is missing"))?;
    Ok(Head { next_index: number(next_index)?, control_epoch: number(control_epoch)?, ..Head::default() })
}

/// We never write a negative number, so reading one means that somebody else did.
pub(super) fn number(stored: i64) -> Result<u64, Error> {
    u64::try_from(stored).map_err(|_| Error::damaged(None, "a number is negative"))
}

fn stored(row: &Row<'_>) -> Result<Stored, Error> {
    Ok(Stored {
        index: number(row.get(0)?)?,
        lane: row.get(1)?,
        lane_seq: number(row.get(2)?)?,
        time_ms: number(row.get(3)?)?,
        bytes: row.get(4)?,
    })
}

fn immutable_uri(path: &Path) -> String {
    use std::os::unix::ffi::OsStrExt;
    let mut uri = String::from("file:");
    for byte in path.as_os_str().as_bytes() {
        match byte {
            b'/' | b'.' | b'-' | b'_' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => {
                uri.push(char::from(*byte))
            }
            _ => uri.push_str(&format!("%{byte:02x}")),
        }
    }
    uri.push_str("?immutable=1");
    uri
}
