//! Views: lists and searches for people, in a disposable database that is rebuilt from the log at will.
//!
//! No verdict ever reads one. Each answer says `as_of` which index it knows; asked to, it waits a second for more.

mod answers;
mod ask;
mod days;
mod fed;
mod observed;
mod project;
mod search;
mod shape;
mod spend;

use std::path::Path;
use std::sync::{Arc, Mutex};

use ledger::Read;
use rusqlite::Connection;
use tokio::sync::watch;

pub use answers::{AskStats, Similar, StatRow};
pub use ask::{CallQuery, Only, Page, RunQuery, RunShown, StoredEvent};
pub use days::{DayRow, DaysBy};
pub(crate) use fed::{Durable, Fed};
pub use observed::ObservedRow;
pub use shape::{CallView, Finished, ReasonView, RunView};
pub use spend::{SpendBy, SpendRow, Tokens, TopRow};

use crate::error::Error;

pub(crate) struct Views {
    /// Readers take turns; a person's question is short.
    pub(crate) reader: Arc<Mutex<Connection>>,
    pub(crate) as_of: watch::Receiver<u64>,
    /// The highest index that somebody has waited for; the projection does not let it wait.
    pub(crate) wanted: watch::Sender<u64>,
}

// A call's row says where its events stand in the log, and what it is searched by; the events say the rest.
const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS seen (one INTEGER PRIMARY KEY CHECK (one = 1), next_index INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS runs (
  id BLOB PRIMARY KEY, agent TEXT NOT NULL, person TEXT, intent BLOB, opened INTEGER NOT NULL,
  expires INTEGER NOT NULL, closed INTEGER, outcome TEXT, closed_by TEXT,
  allowed INTEGER NOT NULL DEFAULT 0, denied INTEGER NOT NULL DEFAULT 0, uncounted INTEGER NOT NULL DEFAULT 0,
  unknown INTEGER NOT NULL DEFAULT 0, usd_nanos INTEGER NOT NULL DEFAULT 0, idx INTEGER NOT NULL,
  root BLOB NOT NULL, workflow TEXT, touched INTEGER NOT NULL DEFAULT 0, minutes INTEGER NOT NULL DEFAULT 0,
  waiting INTEGER NOT NULL DEFAULT 0, parent BLOB, tokens INTEGER NOT NULL DEFAULT 0,
  tokens_in INTEGER NOT NULL DEFAULT 0, tokens_out INTEGER NOT NULL DEFAULT 0,
  tokens_cached INTEGER NOT NULL DEFAULT 0, corrected_by TEXT
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS runs_by_agent ON runs (agent, id);
CREATE INDEX IF NOT EXISTS runs_by_root ON runs (root, id);
CREATE INDEX IF NOT EXISTS runs_by_end ON runs (closed);
CREATE TABLE IF NOT EXISTS calls (
  id BLOB PRIMARY KEY, run BLOB, agent TEXT NOT NULL, tool TEXT NOT NULL, ruling TEXT NOT NULL,
  decided INTEGER NOT NULL, outcome TEXT, finished INTEGER, asked INTEGER, asked_at INTEGER, rule TEXT
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS calls_by_run ON calls (run, id);
CREATE INDEX IF NOT EXISTS calls_by_agent ON calls (agent, id);
CREATE TABLE IF NOT EXISTS days (
  day INTEGER NOT NULL, agent TEXT NOT NULL, tool TEXT NOT NULL, allowed INTEGER NOT NULL, denied INTEGER NOT NULL,
  usd_nanos INTEGER NOT NULL, PRIMARY KEY (day, agent, tool)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS answers (
  idx INTEGER PRIMARY KEY, call BLOB NOT NULL, person TEXT NOT NULL, yes INTEGER NOT NULL, at INTEGER NOT NULL,
  agent TEXT NOT NULL, tool TEXT NOT NULL, edited INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS answers_by_call ON answers (call, idx);
CREATE INDEX IF NOT EXISTS answers_by_tool ON answers (agent, tool, idx);
CREATE INDEX IF NOT EXISTS answers_by_time ON answers (at);
CREATE TABLE IF NOT EXISTS observed (
  day INTEGER NOT NULL, agent TEXT NOT NULL, tool TEXT NOT NULL, code TEXT NOT NULL, rule TEXT NOT NULL,
  times INTEGER NOT NULL, last BLOB NOT NULL, PRIMARY KEY (day, agent, tool, code, rule)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS definitions (tool TEXT PRIMARY KEY, idx INTEGER NOT NULL) WITHOUT ROWID;
";

/// Raised when the tables change: the old file is thrown away and built again.
const VERSION: i64 = 9;

impl Views {
    pub(crate) fn open(
        folder: &Path,
        log: Box<dyn Read>,
        fed: Fed,
        head: watch::Receiver<u64>,
    ) -> Result<Views, Error> {
        let (db, reader) = open(folder, *head.borrow())?;
        let reader = Arc::new(Mutex::new(reader));
        let (sender, as_of) = watch::channel(project::next_index(&db).unwrap_or(0));
        let (wanted, waited_for) = watch::channel(0);
        let (folder, readers) = (folder.to_owned(), reader.clone());
        let projector =
            project::Projector { folder, db, readers, log, fed, head, wanted: waited_for, as_of: sender };
        std::thread::Builder::new()
            .name("remit-views".to_owned())
            .spawn(move || projector.run())
            .map_err(|source| Error::File { path: "a thread".to_owned(), source })?;
        Ok(Views { reader, as_of, wanted })
    }
}

/// Big-endian, so that ids sort in the database as they sort by time.
fn key(id: u128) -> [u8; 16] {
    id.to_be_bytes()
}

/// Whether the file itself is at fault: a power cut may tear what is never synced.
fn is_damaged(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
    matches!(error.sqlite_error_code(), Some(DatabaseCorrupt | NotADatabase))
}

/// The writer and the reader. A file that is damaged, of other tables or ahead of the log is built again.
fn open(folder: &Path, head: u64) -> Result<(Connection, Connection), Error> {
    match usable(folder, head) {
        Ok(Some(db)) => Ok((db, connect(&folder.join("views.db"))?)),
        Ok(None) => anew(folder),
        Err(error) if is_damaged(&error) => anew(folder),
        Err(error) => Err(error.into()),
    }
}

fn usable(folder: &Path, head: u64) -> rusqlite::Result<Option<Connection>> {
    let db = connect(&folder.join("views.db"))?;
    let version: i64 = db.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let ahead = project::next_index(&db).is_some_and(|next| next > head);
    Ok((version == VERSION && !ahead).then_some(db))
}

/// Both on an empty file.
fn anew(folder: &Path) -> Result<(Connection, Connection), Error> {
    let failed = |path: &Path, source| Error::File { path: path.display().to_string(), source };
    for ending in ["views.db", "views.db-wal", "views.db-shm"] {
        let path = folder.join(ending);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(&path, error)),
            _ => {}
        }
    }
    let path = folder.join("views.db");
    let db = connect(&path)?;
    db.execute_batch(SCHEMA)?;
    db.pragma_update(None, "user_version", VERSION)?;
    Ok((db, connect(&path)?))
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let db = Connection::open(path)?;
    db.pragma_update(None, "journal_mode", "WAL")?;
    // Disposable: what a crash takes is built again from the log.
    db.pragma_update(None, "synchronous", "OFF")?;
    db.busy_timeout(std::time::Duration::from_secs(2))?;
    Ok(db)
}
