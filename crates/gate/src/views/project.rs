//! Projection: each event, once, in order, into the tables.

use std::time::Duration;

use kernel::call::Outcome;
use kernel::event::{CallDecided, CallFinished, Event, Questioned, RunOpened, Stamp};
use kernel::verdict::Ruling;
use ledger::Read;
use rusqlite::{Connection, Transaction, params};
use tokio::sync::watch;

/// Events in one transaction of the views.
const BATCH_MAX: usize = 4096;
/// Between two batches, so that a busy gate is not slowed by its own lists.
const PAUSE: Duration = Duration::from_millis(20);

pub(super) fn next_index(db: &Connection) -> Option<u64> {
    db.query_row("SELECT next_index FROM seen", [], |row| row.get(0)).ok()
}

/// Follows the log until the gate is gone.
pub(super) fn run(
    mut db: Connection,
    mut log: Box<dyn Read>,
    mut head: watch::Receiver<u64>,
    as_of: watch::Sender<u64>,
) {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().build() else { return };
    loop {
        let next = *as_of.borrow();
        if *head.borrow_and_update() <= next {
            if runtime.block_on(head.changed()).is_err() {
                return;
            }
            continue;
        }
        match advance(&mut db, log.as_mut(), next) {
            Ok(next) => {
                as_of.send_replace(next);
            }
            Err(error) => {
                tracing::error!(%error, "the views fell behind; they are tried again");
                std::thread::sleep(Duration::from_secs(1));
            }
        }
        if head.has_changed().is_err() {
            return;
        }
        std::thread::sleep(PAUSE);
    }
}

fn advance(db: &mut Connection, log: &mut dyn Read, next: u64) -> Result<u64, crate::error::Error> {
    let stored = log.read(next, BATCH_MAX)?;
    let transaction = db.transaction()?;
    let mut end = next;
    for row in &stored {
        match Event::decode(&row.bytes) {
            Ok((stamp, event)) => project(&transaction, row.index, &stamp, &event)?,
            Err(why) => tracing::error!(index = row.index, why, "an event cannot be read"),
        }
        end = row.index + 1;
    }
    transaction
        .prepare_cached("INSERT INTO seen VALUES (1, ?1) ON CONFLICT DO UPDATE SET next_index = ?1")?
        .execute([end])?;
    transaction.commit()?;
    Ok(end)
}

fn project(db: &Transaction<'_>, index: u64, stamp: &Stamp, event: &Event) -> rusqlite::Result<()> {
    match event {
        Event::RunOpened(opened) => run_opened(db, index, stamp, opened),
        Event::RunClosed(closed) => db
            .prepare_cached("UPDATE runs SET closed = ?2, outcome = ?3, closed_by = ?4 WHERE id = ?1")?
            .execute(params![closed.run.to_string(), stamp.at.0, closed.outcome.name(), closed.by])
            .map(drop),
        Event::CallDecided(decided) => call_decided(db, index, stamp, decided),
        Event::CallFinished(finished) => call_finished(db, index, stamp, finished),
        Event::Questioned(asked) => questioned(db, index, stamp, asked),
        Event::RefusalsCounted(counted) => db
            .prepare_cached("UPDATE runs SET uncounted = uncounted + ?2 WHERE id = ?1")?
            .execute(params![counted.run.map(|run| run.to_string()), counted.count])
            .map(drop),
        Event::RulesActivated(_)
        | Event::KeyMinted(_)
        | Event::KeyRevoked(_)
        | Event::Halted(_)
        | Event::Resumed(_)
        | Event::RequestRefused(_) => Ok(()),
    }
}

fn run_opened(db: &Transaction<'_>, index: u64, stamp: &Stamp, opened: &RunOpened) -> rusqlite::Result<()> {
    db.prepare_cached(
        "INSERT OR REPLACE INTO runs (id, agent, person, intent, opened, expires, idx)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute(params![
        opened.run.to_string(),
        opened.agent,
        opened.person,
        opened.intent.map(|digest| digest.to_string()),
        stamp.at.0,
        opened.expires.0,
        index
    ])
    .map(drop)
}

fn call_decided(
    db: &Transaction<'_>,
    index: u64,
    stamp: &Stamp,
    decided: &CallDecided,
) -> rusqlite::Result<()> {
    let (id, run) = (decided.call.to_string(), decided.run.to_string());
    let body = serde_json::to_string(decided).unwrap_or_default();
    insert_call(
        db,
        params![
            id,
            run,
            decided.agent,
            decided.tool,
            decided.ruling.name(),
            stamp.at.0,
            index,
            stamp.lane,
            body
        ],
    )?;
    let column = match decided.ruling {
        Ruling::Allow => "UPDATE runs SET allowed = allowed + 1 WHERE id = ?1",
        Ruling::Deny => "UPDATE runs SET denied = denied + 1 WHERE id = ?1",
    };
    db.prepare_cached(column)?.execute([run]).map(drop)
}

fn questioned(db: &Transaction<'_>, index: u64, stamp: &Stamp, asked: &Questioned) -> rusqlite::Result<()> {
    let body = serde_json::to_string(asked).unwrap_or_default();
    let (id, ruling) = (asked.call.to_string(), asked.verdict.ruling.name());
    let none: Option<String> = None;
    insert_call(db, params![id, none, asked.agent, asked.tool, ruling, stamp.at.0, index, stamp.lane, body])
}

fn insert_call(db: &Transaction<'_>, row: &[&dyn rusqlite::ToSql]) -> rusqlite::Result<()> {
    db.prepare_cached(
        "INSERT OR REPLACE INTO calls (id, run, agent, tool, ruling, decided, idx, lane, body)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?
    .execute(row)
    .map(drop)
}

fn call_finished(
    db: &Transaction<'_>,
    index: u64,
    stamp: &Stamp,
    finished: &CallFinished,
) -> rusqlite::Result<()> {
    let view = super::shape::Finished::new(index, stamp, finished);
    let body = serde_json::to_string(&view).unwrap_or_default();
    let (call, run) = (finished.call.to_string(), finished.run.to_string());
    let before: Option<String> = db
        .prepare_cached("SELECT outcome FROM calls WHERE id = ?1")?
        .query_row([&call], |row| row.get(0))
        .unwrap_or(None);
    db.prepare_cached("UPDATE calls SET outcome = ?2, finished = ?3 WHERE id = ?1")?.execute(params![
        call,
        finished.outcome.name(),
        body
    ])?;
    let unknown = |outcome: &str| i64::from(outcome == Outcome::Unknown.name());
    let change = unknown(finished.outcome.name()) - before.as_deref().map_or(0, unknown);
    db.prepare_cached("UPDATE runs SET usd_nanos = usd_nanos + ?2, unknown = unknown + ?3 WHERE id = ?1")?
        .execute(params![run, finished.posted.usd_nanos, change])
        .map(drop)
}
