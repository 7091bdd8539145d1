//! Views: lists and searches for people, in a disposable database that is rebuilt from the log at will.
//!
//! No verdict ever reads one. Each answer says `as_of` which index it knows; asked to, it waits a second for more.

mod ask;
mod project;
mod shape;

use std::path::Path;
use std::sync::{Arc, Mutex};

use ledger::Read;
use rusqlite::Connection;
use tokio::sync::watch;

pub use ask::{CallQuery, Page, RunQuery, RunShown, StoredEvent};
pub use shape::{CallView, Finished, ReasonView, RunView};

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
  unknown INTEGER NOT NULL DEFAULT 0, usd_nanos INTEGER NOT NULL DEFAULT 0, idx INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS runs_by_agent ON runs (agent, id);
CREATE TABLE IF NOT EXISTS calls (
  id BLOB PRIMARY KEY, run BLOB, agent TEXT NOT NULL, tool TEXT NOT NULL, ruling TEXT NOT NULL,
  decided INTEGER NOT NULL, outcome TEXT, finished INTEGER
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS calls_by_run ON calls (run, id);
CREATE INDEX IF NOT EXISTS calls_by_agent ON calls (agent, id);
CREATE TABLE IF NOT EXISTS definitions (tool TEXT PRIMARY KEY, idx INTEGER NOT NULL) WITHOUT ROWID;
";

/// Raised when the tables change: the old file is thrown away and built again.
const VERSION: i64 = 3;

impl Views {
    pub(crate) fn open(
        folder: &Path,
        log: Box<dyn Read>,
        head: watch::Receiver<u64>,
    ) -> Result<Views, Error> {
        let path = folder.join("views.db");
        let mut db = connect(&path)?;
        let version: i64 = db.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        let ahead = project::next_index(&db).is_some_and(|next| next > *head.borrow());
        if version != VERSION || ahead {
            drop(db);
            for ending in ["views.db", "views.db-wal", "views.db-shm"] {
                let _ = std::fs::remove_file(folder.join(ending));
            }
            db = connect(&path)?;
        }
        db.execute_batch(SCHEMA)?;
        db.pragma_update(None, "user_version", VERSION)?;
        let reader = Arc::new(Mutex::new(connect(&path)?));
        let (sender, as_of) = watch::channel(project::next_index(&db).unwrap_or(0));
        let (wanted, waited_for) = watch::channel(0);
        let projector = project::Projector { db, log, head, wanted: waited_for, as_of: sender };
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

fn connect(path: &Path) -> Result<Connection, Error> {
    let db = Connection::open(path)?;
    db.pragma_update(None, "journal_mode", "WAL")?;
    // Disposable: what a crash takes is built again from the log.
    db.pragma_update(None, "synchronous", "OFF")?;
    db.busy_timeout(std::time::Duration::from_secs(2))?;
    Ok(db)
}
