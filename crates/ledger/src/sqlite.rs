//! The embedded store: one SQLite file, one committer, many readers.

mod check;
mod files;
mod read;
mod schema;
mod write;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, TransactionBehavior};
use stdx::digest::Digest;

use crate::error::Error;
use crate::failpoint;
use crate::law;
use crate::log::{Batch, Log, Read, Receipt};

pub use read::Reader;

const BUSY_WAIT: Duration = Duration::from_millis(250);
/// Sixteen MiB of pages between checkpoints: fewer of their syncs, and still little to replay at start.
const CHECKPOINT_PAGES: u32 = 4096;

#[derive(Clone, Debug)]
pub struct Options {
    /// The write-ahead file is cut back to this size after a checkpoint.
    pub wal_bytes_max: u64,
    /// At open, a file up to this size has every page checked; a larger one only its heads and sequences.
    pub page_check_bytes_max: u64,
}

impl Default for Options {
    fn default() -> Options {
        Options { wal_bytes_max: 64 << 20, page_check_bytes_max: 256 << 20 }
    }
}

/// The writing handle. While it lives no other process, and no other handle, can open the folder for writing.
pub struct Sqlite {
    // Fields drop in order: the database is closed before the lock is let go.
    conn: Connection,
    path: PathBuf,
    /// An erased body may still be in the write-ahead file, because a reader was looking.
    scrub_due: bool,
    _lock: File,
}

impl Sqlite {
    /// Creates the folder (0700) and its files (0600) where missing, takes the lock, upgrades the schema,
    /// checks that the log is whole.
    pub fn open(folder: &Path, options: &Options) -> Result<Sqlite, Error> {
        files::create_folder(folder)?;
        let lock = files::lock(folder)?;
        let path = files::create_database(folder)?;
        let mut conn = Connection::open_with_flags(
            &path,
            OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
        )?;
        configure(&conn, options)?;
        schema::migrate(&mut conn)?;
        check::whole(&conn, &path, options.page_check_bytes_max)?;
        // A crash may have come between an erasure and its scrubbing, so each start scrubs once.
        let mut log = Sqlite { conn, path, scrub_due: true, _lock: lock };
        log.scrub()?;
        Ok(log)
    }

    /// Moves the write-ahead file into the database and empties it, so that erased bytes are in neither.
    fn scrub(&mut self) -> Result<(), Error> {
        let busy: i64 = self.conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
        self.scrub_due = busy != 0;
        Ok(())
    }
}

/// For offline verification: takes no lock, changes nothing, and works on a read-only medium.
pub fn open_read_only(folder: &Path) -> Result<Reader, Error> {
    Reader::open_offline(&files::database(folder))
}

impl Log for Sqlite {
    fn append(&mut self, batch: &Batch) -> Result<Vec<Receipt>, Error> {
        law::check_shape(batch)?;
        failpoint::hit("ledger.before_append");
        // Dropping a transaction rolls it back, so every early return below leaves the log as it was.
        let tx = self.conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        // Heads are read, not remembered: nothing that happened to the file behind our back goes unnoticed.
        let mut head = read::head_of(&tx, batch)?;
        let receipts = law::admit(&mut head, batch)?;
        write::entries(&tx, &batch.entries, &receipts)?;
        write::payloads(&tx, &batch.entries, &receipts)?;
        write::head(&tx, &head)?;
        failpoint::hit("ledger.in_commit");
        tx.commit()?;
        failpoint::hit("ledger.after_commit");
        Ok(receipts)
    }

    fn erase(&mut self, index: u64, commitment: &Digest) -> Result<(), Error> {
        let tx = self.conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        write::erase(&tx, index, commitment)?;
        tx.commit()?;
        self.scrub()
    }

    fn put_snapshot(&mut self, name: &str, index: u64, bytes: &[u8]) -> Result<(), Error> {
        let tx = self.conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let head = read::head_row(&tx)?;
        law::check_snapshot(head.next_index, index, bytes)?;
        write::snapshot(&tx, name, index, bytes)?;
        failpoint::hit("ledger.in_snapshot");
        tx.commit()?;
        // Snapshots are rare and not waited for by any call, so a scrub that a reader held up is tried again
        // here.
        if self.scrub_due {
            self.scrub()?;
        }
        Ok(())
    }

    fn reader(&self) -> Result<Box<dyn Read>, Error> {
        Ok(Box::new(Reader::open(&self.path)?))
    }
}

fn configure(conn: &Connection, options: &Options) -> Result<(), Error> {
    conn.busy_timeout(BUSY_WAIT)?;
    conn.set_prepared_statement_cache_capacity(32);
    schema::refuse_strangers(conn)?;
    let mode: String = conn.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))?;
    if mode != "wal" {
        return Err(Error::Invalid {
            why: "the file system cannot hold a write-ahead log; use a local disk",
        });
    }
    // FULL syncs the write-ahead file at every commit: a receipt means that the power may go.
    conn.pragma_update(None, "synchronous", "FULL")?;
    conn.pragma_update(None, "foreign_keys", false)?;
    conn.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    conn.pragma_update(None, "journal_size_limit", i64::try_from(options.wal_bytes_max).unwrap_or(i64::MAX))?;
    // Freed space is overwritten with zeros, so that an erased body is gone from the file and not merely
    // unlinked.
    conn.pragma_update(None, "secure_delete", true)?;
    Ok(())
}

#[cfg(test)]
mod tests;
