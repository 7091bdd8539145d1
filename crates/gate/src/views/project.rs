//! Projection: each event, once, in order. A batch is gathered into a sheet, so that each row is written once.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kernel::approvers::ASK_QUOTA;
use kernel::call::Outcome;
use kernel::command::Closing;
use kernel::event::{
    Answered, CallDecided, CallFinished, Charged, Event, PlanProposed, Questioned, RunClosed, RunOpened,
    RunSteered, Stamp,
};
use kernel::id::{CallId, RunId};
use kernel::time::Time;
use kernel::verdict::Ruling;
use ledger::{READ_ROWS_MAX, Read};
use rusqlite::{Connection, OptionalExtension, Statement, Transaction, params};
use tokio::sync::watch;

use super::days::Days;
use super::fed::{Durable, Fed};
use super::observed::Observed;
use super::spend::Tokens;
use super::{anew, is_damaged, key};
use crate::error::Error;

/// Events in one transaction of the views.
const BATCH_MAX: u64 = 4096;
/// How long news may gather before it is written, unless somebody waits for it: pages of the views are touched
/// once for many calls.
const GATHER: Duration = Duration::from_millis(100);
/// Who pauses a run by itself.
const BREAKER: &str = "circuit_breaker";
const RETRY: Duration = Duration::from_secs(1);

pub(super) struct Projector {
    pub(super) folder: PathBuf,
    pub(super) db: Connection,
    /// Whoever reads goes on with the new file if this one is damaged.
    pub(super) readers: Arc<Mutex<Connection>>,
    pub(super) log: Box<dyn Read>,
    pub(super) fed: Fed,
    /// Where the log ends.
    pub(super) head: watch::Receiver<u64>,
    /// What somebody waits for.
    pub(super) wanted: watch::Receiver<u64>,
    pub(super) as_of: watch::Sender<u64>,
}

pub(super) fn next_index(db: &Connection) -> Option<u64> {
    db.query_row("SELECT next_index FROM seen", [], |row| row.get(0)).ok()
}

impl Projector {
    /// Follows the log until the gate is gone.
    pub(super) fn run(mut self) {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_time().build() else { return };
        loop {
            let next = *self.as_of.borrow();
            let behind = self.head.borrow_and_update().saturating_sub(next);
            if behind == 0 {
                if runtime.block_on(self.head.changed()).is_err() {
                    return;
                }
                continue;
            }
            if behind < BATCH_MAX {
                let wanted = self.wanted.wait_for(|wanted| *wanted > next);
                let _ = runtime.block_on(async { tokio::time::timeout(GATHER, wanted).await });
            }
            match advance(&mut self.db, self.log.as_mut(), &self.fed, next) {
                Ok(next) => drop(self.as_of.send_replace(next)),
                Err(Error::Views(error)) if is_damaged(&error) => self.build_again(),
                Err(error) => {
                    tracing::error!(%error, "the views fell behind; they are tried again");
                    std::thread::sleep(RETRY);
                }
            }
            if self.head.has_changed().is_err() {
                return;
            }
        }
    }

    /// Nothing is lost: all that the views say is in the log.
    fn build_again(&mut self) {
        tracing::warn!("views.db is damaged; it is built again from the log");
        match anew(&self.folder) {
            Ok((db, reader)) => {
                self.db = db;
                *self.readers.lock().unwrap_or_else(PoisonError::into_inner) = reader;
                self.as_of.send_replace(0);
            }
            Err(error) => {
                tracing::error!(%error, "the views cannot be built again; it is tried once more");
                std::thread::sleep(RETRY);
            }
        }
    }
}

fn advance(db: &mut Connection, log: &mut dyn Read, fed: &Fed, next: u64) -> Result<u64, Error> {
    let (events, end) = fed.following(log, next, usize::try_from(BATCH_MAX).unwrap_or(READ_ROWS_MAX))?;
    let mut sheet = Sheet::default();
    for Durable { index, stamp, event } in events {
        sheet.take(index, &stamp, event);
    }
    let transaction = db.transaction()?;
    sheet.write(&transaction)?;
    transaction
        .prepare_cached("INSERT INTO seen VALUES (1, ?1) ON CONFLICT DO UPDATE SET next_index = ?1")?
        .execute([end])?;
    transaction.commit()?;
    Ok(end)
}

/// What a batch of events changes, row by row and in the order of the tables.
#[derive(Default)]
struct Sheet {
    runs: BTreeMap<RunId, RunChange>,
    calls: BTreeMap<CallId, CallChange>,
    /// Where a server last described a tool.
    definitions: BTreeMap<String, u64>,
    days: Days,
    observed: Observed,
    /// What people answered, where and when.
    answers: Vec<(u64, Time, Answered)>,
}

#[derive(Default)]
struct RunChange {
    opened: Option<(u64, Time, RunOpened)>,
    closed: Option<(Time, RunClosed)>,
    allowed: u64,
    denied: u64,
    uncounted: u64,
    usd_nanos: u64,
    tokens: Tokens,
    /// More or fewer calls whose outcome nobody knows.
    unknown: i64,
    /// How often a person took a hand in it.
    touched: u64,
    /// Minutes of people that were charged to it.
    minutes: u64,
    /// What it came to in truth, said later.
    corrected: Option<(Closing, String)>,
    /// More or fewer calls that wait for people.
    waiting: i64,
}

#[derive(Default)]
struct CallChange {
    asked: Option<Asked>,
    decided: Option<Decided>,
    finished: Option<Ended>,
}

struct Decided {
    index: u64,
    /// None for a question.
    run: Option<RunId>,
    agent: String,
    tool: String,
    ruling: Ruling,
}

/// Where people were asked, when, and by which rule.
struct Asked {
    index: u64,
    at: Time,
    rule: Option<String>,
}

struct Ended {
    index: u64,
    run: RunId,
    outcome: Outcome,
}

impl Sheet {
    fn take(&mut self, index: u64, stamp: &Stamp, event: Event) {
        match event {
            Event::RunOpened(opened) => {
                let run = opened.run;
                self.runs.entry(run).or_default().opened = Some((index, stamp.at, opened));
            }
            Event::RunClosed(closed) => {
                let run = closed.run;
                self.runs.entry(run).or_default().closed = Some((stamp.at, closed));
            }
            Event::CallDecided(decided) => {
                self.days.decided(stamp.at, &decided);
                self.observed.decided(stamp.at, &decided);
                self.decided(index, stamp.at, *decided);
            }
            Event::Answered(answered) => {
                self.runs.entry(answered.run).or_default().touched += 1;
                self.answers.push((index, stamp.at, *answered));
            }
            Event::CallFinished(finished) => {
                self.days.finished(stamp.at, &finished);
                self.finished(index, &finished);
            }
            Event::Questioned(asked) => self.questioned(index, *asked),
            Event::RefusalsCounted(counted) => {
                if let Some(run) = counted.run {
                    self.runs.entry(run).or_default().uncounted += counted.count;
                }
            }
            Event::RunPaused(steered) | Event::RunResumed(steered) => self.steered(&steered),
            Event::RunExtended(extended) => self.runs.entry(extended.run).or_default().touched += 1,
            Event::RunCorrected(corrected) => {
                let change = self.runs.entry(corrected.run).or_default();
                change.touched += 1;
                change.corrected = Some((corrected.outcome, corrected.by));
            }
            Event::ResidueAccepted(accepted) => self.runs.entry(accepted.run).or_default().touched += 1,
            Event::Charged(charged) => self.charged(stamp.at, &charged),
            Event::CommitStarted(started) => {
                self.runs.entry(started.run).or_default().waiting -= i64::from(started.ticket.is_some());
            }
            Event::PlanProposed(proposed) => self.gathered(&proposed),
            Event::ToolSeen(seen) => drop(self.definitions.insert(seen.tool, index)),
            Event::RulesActivated(_)
            | Event::KeyMinted(_)
            | Event::KeyRevoked(_)
            | Event::Halted(_)
            | Event::Resumed(_)
            | Event::ToolRested(_)
            | Event::Replanned(_)
            | Event::SlicesLent(_)
            | Event::SlicesFreed(_)
            | Event::SlicesReturned(_)
            | Event::ThresholdCrossed(_)
            | Event::PhaseChanged(_)
            | Event::GroupBegun(_)
            | Event::StepJoined(_)
            | Event::StepChecked(_)
            | Event::UnwindStarted(_)
            | Event::CommitEnded(_)
            | Event::Claimed(_)
            | Event::ClaimsReleased(_)
            | Event::RequestRefused(_)
            | Event::AskEscalated(_)
            | Event::SignedIn(_)
            | Event::SignedOut(_)
            | Event::IncidentSent(_)
            | Event::Collected(_) => {}
        }
    }

    /// Proposals waited each for itself, and as a plan they wait as one.
    fn gathered(&mut self, proposed: &PlanProposed) {
        let more = proposed.gathers.len().saturating_sub(1);
        self.runs.entry(proposed.run).or_default().waiting -= i64::try_from(more).unwrap_or(0);
    }

    fn steered(&mut self, steered: &RunSteered) {
        // The circuit breaker is no person, and neither is the quota of asks.
        let touched = u64::from(steered.by != BREAKER && steered.by != ASK_QUOTA);
        self.runs.entry(steered.run).or_default().touched += touched;
    }

    fn questioned(&mut self, index: u64, asked: Questioned) {
        let Questioned { call, agent, tool, verdict, .. } = asked;
        let decided = Decided { index, run: None, agent, tool, ruling: verdict.ruling };
        self.calls.entry(call).or_default().decided = Some(decided);
    }

    fn charged(&mut self, at: Time, charged: &Charged) {
        self.days.charged(at, charged);
        let change = self.runs.entry(charged.run).or_default();
        change.touched += u64::from(charged.amount.human_minutes > 0);
        change.usd_nanos += charged.amount.usd_nanos;
        change.tokens.add(&charged.amount);
        change.minutes += charged.amount.human_minutes;
    }

    fn decided(&mut self, index: u64, at: Time, decided: CallDecided) {
        let CallDecided { call, run, agent, tool, ruling, ends_ask, reasons, .. } = decided;
        let change = self.runs.entry(run).or_default();
        match ruling {
            Ruling::Allow => change.allowed += 1,
            Ruling::Ask => change.waiting += 1,
            Ruling::Deny => change.denied += 1,
        }
        change.waiting -= i64::from(ends_ask);
        let decided = Decided { index, run: Some(run), agent, tool, ruling };
        let change = self.calls.entry(call).or_default();
        change.decided = Some(decided);
        if ruling == Ruling::Ask {
            let rule = reasons.first().and_then(|reason| reason.near.first()).map(|rule| rule.id.clone());
            change.asked = Some(Asked { index, at, rule });
        }
    }

    fn finished(&mut self, index: u64, finished: &CallFinished) {
        let change = self.runs.entry(finished.run).or_default();
        change.usd_nanos += finished.posted.usd_nanos;
        change.tokens.add(&finished.posted);
        let ended = Ended { index, run: finished.run, outcome: finished.outcome };
        self.calls.entry(finished.call).or_default().finished = Some(ended);
    }

    fn write(mut self, db: &Transaction<'_>) -> rusqlite::Result<()> {
        // Asked for once: a batch has thousands of calls.
        let (mut insert, mut finish) = (db.prepare_cached(INSERT_CALL)?, db.prepare_cached(FINISH_CALL)?);
        for (call, change) in &self.calls {
            // A call that was unknown and now has its outcome leaves the count of its run.
            let was_unknown = match change.decided {
                Some(_) => false,
                None => stored_outcome(db, *call)?.as_deref() == Some(Outcome::Unknown.name()),
            };
            if let Some(ended) = &change.finished {
                let is_unknown = ended.outcome == Outcome::Unknown;
                self.runs.entry(ended.run).or_default().unknown +=
                    i64::from(is_unknown) - i64::from(was_unknown);
            }
            match &change.decided {
                Some(decided) => insert_call(&mut insert, *call, decided, change)?,
                None => finish_call(&mut finish, *call, change)?,
            }
        }
        for (index, at, answered) in &self.answers {
            write_answer(db, *index, *at, answered)?;
        }
        for (tool, index) in &self.definitions {
            db.prepare_cached("INSERT OR REPLACE INTO definitions (tool, idx) VALUES (?1, ?2)")?
                .execute(params![tool, index])?;
        }
        // Parents before children, because a child is of its parent's root.
        let mut runs: Vec<_> = self.runs.iter().collect();
        runs.sort_by_key(|(_, change)| change.opened.as_ref().map(|(index, ..)| *index));
        runs.into_iter().try_for_each(|(run, change)| write_run(db, *run, change))?;
        // After the calls and the runs, which say whose each amount was.
        self.observed.write(db)?;
        self.days.write(db)
    }
}

fn stored_outcome(db: &Transaction<'_>, call: CallId) -> rusqlite::Result<Option<String>> {
    let mut statement = db.prepare_cached("SELECT outcome FROM calls WHERE id = ?1")?;
    let row: Option<Option<String>> = statement.query_row([key(call.0)], |row| row.get(0)).optional()?;
    Ok(row.flatten())
}

const FINISH_CALL: &str = "UPDATE calls SET outcome = ?2, finished = ?3 WHERE id = ?1";
const INSERT_CALL: &str =
    "INSERT INTO calls (id, run, agent, tool, ruling, decided, outcome, finished, asked, asked_at, rule)
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
     ON CONFLICT (id) DO UPDATE SET ruling = ?5, decided = ?6, outcome = ?7, finished = ?8";

fn finish_call(statement: &mut Statement<'_>, call: CallId, change: &CallChange) -> rusqlite::Result<()> {
    let outcome = change.finished.as_ref().map(|ended| ended.outcome.name());
    let finished = change.finished.as_ref().map(|ended| ended.index);
    statement.execute(params![key(call.0), outcome, finished]).map(drop)
}

fn insert_call(
    statement: &mut Statement<'_>,
    call: CallId,
    decided: &Decided,
    change: &CallChange,
) -> rusqlite::Result<()> {
    let parameters = params![
        key(call.0),
        decided.run.map(|run| key(run.0)),
        decided.agent,
        decided.tool,
        decided.ruling.name(),
        decided.index,
        change.finished.as_ref().map(|ended| ended.outcome.name()),
        change.finished.as_ref().map(|ended| ended.index),
        change.asked.as_ref().map(|asked| asked.index),
        change.asked.as_ref().map(|asked| asked.at.0),
        change.asked.as_ref().and_then(|asked| asked.rule.as_deref()),
    ];
    statement.execute(parameters).map(drop)
}

fn write_answer(db: &Transaction<'_>, index: u64, at: Time, answered: &Answered) -> rusqlite::Result<()> {
    db.prepare_cached("INSERT OR REPLACE INTO answers VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?
        .execute(params![
            index,
            key(answered.call.0),
            answered.by,
            answered.yes,
            at.0,
            answered.agent,
            answered.tool,
            answered.edited.is_some()
        ])
        .map(drop)
}

fn write_run(db: &Transaction<'_>, run: RunId, change: &RunChange) -> rusqlite::Result<()> {
    let id = key(run.0);
    if let Some((index, at, opened)) = &change.opened {
        let intent = opened.intent.map(|digest| digest.0);
        db.prepare_cached(
            "INSERT OR REPLACE INTO runs (id, agent, person, intent, opened, expires, idx, root, parent)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, coalesce((SELECT root FROM runs WHERE id = ?8), ?1), ?8)",
        )?
        .execute(params![
            id,
            opened.agent,
            opened.person,
            intent,
            at.0,
            opened.expires.0,
            index,
            opened.parent.map(|parent| key(parent.0)),
        ])?;
    }
    if let Some((at, closed)) = &change.closed {
        db.prepare_cached(
            "UPDATE runs SET closed = ?2, outcome = ?3, closed_by = ?4, workflow = ?5 WHERE id = ?1",
        )?
        .execute(params![id, at.0, closed.outcome.name(), closed.by, closed.workflow])?;
    }
    if let Some((outcome, by)) = &change.corrected {
        db.prepare_cached("UPDATE runs SET outcome = ?2, corrected_by = ?3 WHERE id = ?1")?
            .execute(params![id, outcome.name(), by])?;
    }
    let RunChange {
        allowed, denied, uncounted, usd_nanos, unknown, touched, minutes, waiting, tokens, ..
    } = change;
    db.prepare_cached(
        "UPDATE runs SET allowed = allowed + ?2, denied = denied + ?3, uncounted = uncounted + ?4,
         usd_nanos = usd_nanos + ?5, unknown = unknown + ?6, touched = touched + ?7, minutes = minutes + ?8,
         waiting = waiting + ?9, tokens = tokens + ?10, tokens_in = tokens_in + ?11,
         tokens_out = tokens_out + ?12, tokens_cached = tokens_cached + ?13
         WHERE id = ?1",
    )?
    .execute(params![
        id,
        allowed,
        denied,
        uncounted,
        usd_nanos,
        unknown,
        touched,
        minutes,
        waiting,
        tokens.all,
        tokens.read,
        tokens.written,
        tokens.cached,
    ])
    .map(drop)
}
