//! The tables, and how an older file becomes a current one. Names are portable to PostgreSQL.

use rusqlite::{Connection, TransactionBehavior, params};

use crate::error::Error;
use crate::failpoint;

/// "Rmit": tells our files from any other SQLite file.
const APPLICATION_ID: i64 = 0x526d_6974;

/// One step per version, each run in a transaction of its own; a step that was ever released is never edited.
pub(super) const MIGRATIONS: [&str; 2] = [EVENTS, SNAPSHOTS];

const EVENTS: &str = "
    CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE events (
        idx INTEGER PRIMARY KEY,
        lane INTEGER NOT NULL,
        lane_seq INTEGER NOT NULL,
        time_ms INTEGER NOT NULL,
        bytes BLOB NOT NULL,
        UNIQUE (lane, lane_seq)
    ) STRICT;
    CREATE TABLE lanes (lane INTEGER PRIMARY KEY, head INTEGER NOT NULL) STRICT;
    CREATE TABLE log_head (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        next_index INTEGER NOT NULL,
        control_epoch INTEGER NOT NULL
    ) STRICT;
    INSERT INTO log_head (id, next_index, control_epoch) VALUES (1, 0, 0);
    CREATE TABLE payloads (
        key INTEGER PRIMARY KEY,
        commitment BLOB NOT NULL,
        tag TEXT NOT NULL,
        salt BLOB,
        body BLOB,
        keep INTEGER NOT NULL,
        erased INTEGER NOT NULL
    ) STRICT;
";

const SNAPSHOTS: &str = "
    CREATE TABLE snapshots (name TEXT PRIMARY KEY NOT NULL, idx INTEGER NOT NULL, bytes BLOB NOT NULL) STRICT;
";

/// Refuses, before anything is written, a file that is not ours or that a newer build wrote.
pub(super) fn refuse_strangers(conn: &Connection) -> Result<u32, Error> {
    let application: i64 = conn.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let tables: i64 = conn.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if application != APPLICATION_ID && (application != 0 || tables != 0) {
        return Err(Error::damaged(None, "the file is a database, but not a log of ours"));
    }
    let found: i64 = conn.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let found = u32::try_from(found).map_err(|_| Error::damaged(None, "the schema version is negative"))?;
    let known = u32::try_from(MIGRATIONS.len()).unwrap_or(u32::MAX);
    if found > known {
        return Err(Error::SchemaTooNew { found, known });
    }
    Ok(found)
}

pub(super) fn migrate(conn: &mut Connection) -> Result<(), Error> {
    let found = refuse_strangers(conn)?;
    for (version, step) in (1u32..).zip(MIGRATIONS).skip_while(|(version, _)| *version <= found) {
        migrate_one(conn, version, step)?;
    }
    Ok(())
}

pub(super) fn migrate_one(conn: &mut Connection, version: u32, step: &str) -> Result<(), Error> {
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    tx.execute_batch(step)?;
    // SQLite reads its own number; `meta` is the same fact where PostgreSQL would keep it.
    tx.execute(
        "INSERT INTO meta (key, value) VALUES ('schema_version', ?1)
         ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        params![version.to_string()],
    )?;
    tx.pragma_update(None, "application_id", APPLICATION_ID)?;
    tx.pragma_update(None, "user_version", version)?;
    failpoint::hit("ledger.in_migration");
    tx.commit()?;
    Ok(())
}
