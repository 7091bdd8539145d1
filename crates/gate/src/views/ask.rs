//! What people ask of the views: pages of runs and calls, one of each, and the log itself.

use std::time::Duration;

use kernel::event::Event;
use kernel::id::{CallId, RunId};
use kernel::time::Time;
use ledger::Read;
use rusqlite::{Connection, Row, ToSql};
use serde::Serialize;
use serde_json::Value;
use stdx::digest::Digest;

use super::key;
use super::shape::{CallView, Finished, Place, RunView};
use crate::error::Error;
use crate::gate::Gate;

const PAGE_MAX: usize = 500;
/// Runs of one family that are shown with each of them.
const FAMILY_MAX: usize = 200;
/// How long an answer waits for the index it was asked to know.
const CATCH_UP: Duration = Duration::from_secs(1);

#[derive(Clone, Debug, Default)]
pub struct RunQuery {
    pub agent: Option<String>,
    pub open: Option<bool>,
    /// Runs whose agent or person holds this text, capitals or not.
    pub text: Option<String>,
    /// Runs with refusals only, or with calls whose outcome nobody knows.
    pub only: Option<Only>,
    /// How it ended.
    pub outcome: Option<String>,
    /// Runs with a call of this tool.
    pub tool: Option<String>,
    /// Opened at this time or later, and before that one.
    pub from: Option<Time>,
    pub until: Option<Time>,
    /// Text in the intent, or in the arguments of a call: looked for in the newest runs, as far as one search goes.
    pub words: Option<String>,
    /// Runs before this id, newest first.
    pub before: Option<RunId>,
    pub limit: usize,
    pub after_index: Option<u64>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Only {
    Denied,
    Unknown,
}

#[derive(Clone, Debug, Default)]
pub struct CallQuery {
    pub run: Option<RunId>,
    pub agent: Option<String>,
    pub tool: Option<String>,
    pub ruling: Option<String>,
    pub outcome: Option<String>,
    /// Calls before this id, newest first.
    pub before: Option<CallId>,
    pub limit: usize,
    pub after_index: Option<u64>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Page<T> {
    /// Everything below this index of the ledger is in the answer.
    pub as_of: u64,
    pub items: Vec<T>,
    /// Pass as `before` for the next page.
    pub next: Option<String>,
}

/// A run and its newest calls, oldest of them first.
#[derive(Clone, Debug, Serialize)]
pub struct RunShown {
    pub as_of: u64,
    pub run: RunView,
    pub calls: Vec<CallView>,
    /// There are older calls: they come before this id.
    pub older: Option<String>,
    /// All runs that share its root, the root first, itself among them; empty if it is alone.
    pub family: Vec<RunView>,
}

#[derive(Clone, Debug, Serialize)]
pub struct StoredEvent {
    pub index: u64,
    pub event: Value,
}

/// Conditions of a query, with what they compare to.
#[derive(Default)]
pub(super) struct Where {
    pub(super) text: String,
    pub(super) values: Vec<Box<dyn ToSql + Send>>,
}

impl Where {
    pub(super) fn and(&mut self, condition: &str, value: Option<impl ToSql + Send + 'static>) {
        if let Some(value) = value {
            self.values.push(Box::new(value));
            let place = self.values.len();
            let glue = if self.text.is_empty() { "WHERE" } else { "AND" };
            self.text += &format!(" {glue} {condition} ?{place}");
        }
    }

    /// `condition` is left open, and closed behind the text that is looked for.
    fn held(&mut self, condition: &str, text: Option<String>) {
        if let Some(text) = text {
            self.values.push(Box::new(text));
            self.also(&format!("{condition}?{})) > 0", self.values.len()));
        }
    }

    fn also(&mut self, condition: &str) {
        let glue = if self.text.is_empty() { "WHERE" } else { "AND" };
        self.text += &format!(" {glue} {condition}");
    }

    pub(super) fn rows<T>(
        &self,
        db: &Connection,
        sql: &str,
        read: impl Fn(&Row<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<Vec<T>> {
        let values: Vec<&dyn ToSql> =
            self.values.iter().map(|value| -> &dyn ToSql { value.as_ref() }).collect();
        db.prepare_cached(sql)?.query_map(values.as_slice(), |row| read(row))?.collect()
    }
}

impl RunQuery {
    /// What is asked of columns.
    pub(super) fn filter(self) -> Where {
        let mut filter = Where::default();
        filter.and("agent =", self.agent);
        filter.and("outcome =", self.outcome);
        filter.and("opened >=", self.from.map(|from| from.0));
        filter.and("opened <", self.until.map(|until| until.0));
        filter.and("id <", self.before.map(|run| key(run.0)));
        if let Some(tool) = self.tool {
            filter.values.push(Box::new(tool));
            let place = filter.values.len();
            filter.also(&format!("id IN (SELECT run FROM calls WHERE tool = ?{place})"));
        }
        match self.open {
            Some(true) => filter.also("closed IS NULL"),
            Some(false) => filter.also("closed IS NOT NULL"),
            None => {}
        }
        match self.only {
            Some(Only::Denied) => filter.also("denied + uncounted > 0"),
            Some(Only::Unknown) => filter.also("unknown > 0"),
            None => {}
        }
        let person = "instr(lower(agent || char(10) || coalesce(person, '')), lower(";
        filter.held(person, self.text);
        filter
    }
}

const CALL_COLUMNS: &str = "SELECT decided, finished, asked, \
    (SELECT max(idx) FROM answers WHERE answers.call = calls.id AND edited) FROM calls";
pub(super) const RUN_COLUMNS: &str = "SELECT id, agent, person, intent, opened, expires, closed, outcome, closed_by, \
                                      allowed, denied, uncounted, unknown, usd_nanos, idx, parent, \
                                      corrected_by FROM runs";

impl Gate {
    pub async fn runs(&self, query: RunQuery) -> Result<Page<RunView>, Error> {
        let limit = query.limit.clamp(1, PAGE_MAX);
        if query.words.is_some() {
            return self.searched(query, limit).await;
        }
        let after_index = query.after_index;
        let filter = query.filter();
        let sql = format!("{RUN_COLUMNS}{} ORDER BY id DESC LIMIT {}", filter.text, limit + 1);
        let rows = move |db: &Connection| filter.rows(db, &sql, read_run);
        let (as_of, items) = self.ask(after_index, rows, shown_run).await?;
        Ok(page(as_of, items, limit, |run| run.id.clone()))
    }

    pub async fn run(&self, run: RunId, after_index: Option<u64>) -> Result<RunShown, Error> {
        let mut filter = Where::default();
        filter.and("id =", Some(key(run.0)));
        let sql = format!("{RUN_COLUMNS}{}", filter.text);
        let rows = move |db: &Connection| filter.rows(db, &sql, read_run);
        let (as_of, runs) = self.ask(after_index, rows, shown_run).await?;
        let view = runs.into_iter().next().ok_or(Error::NotFound { what: format!("the run `{run}`") })?;
        let query = CallQuery { run: Some(run), limit: PAGE_MAX, ..CallQuery::default() };
        let Page { items: mut calls, next: older, .. } = self.calls(query).await?;
        calls.reverse();
        Ok(RunShown { as_of, run: view, calls, older, family: self.family(run).await? })
    }

    /// The runs that share this one's root, if there are others.
    async fn family(&self, run: RunId) -> Result<Vec<RunView>, Error> {
        let sql = format!(
            "{RUN_COLUMNS} WHERE root = (SELECT root FROM runs WHERE id = ?1) ORDER BY id LIMIT {FAMILY_MAX}"
        );
        let rows = move |db: &Connection| -> rusqlite::Result<Vec<RunRow>> {
            db.prepare_cached(&sql)?.query_map([key(run.0)], read_run)?.collect()
        };
        let (_, runs) = self.ask(None, rows, shown_run).await?;
        Ok(if runs.len() > 1 { runs } else { Vec::new() })
    }

    pub async fn calls(&self, query: CallQuery) -> Result<Page<CallView>, Error> {
        let limit = query.limit.clamp(1, PAGE_MAX);
        let mut filter = Where::default();
        filter.and("run =", query.run.map(|run| key(run.0)));
        filter.and("agent =", query.agent);
        filter.and("tool =", query.tool);
        filter.and("ruling =", query.ruling);
        match query.outcome.as_deref() {
            Some("open") => filter.also("ruling = 'allow' AND run IS NOT NULL AND outcome IS NULL"),
            Some(_) => filter.and("outcome =", query.outcome),
            None => {}
        }
        filter.and("id <", query.before.map(|call| key(call.0)));
        let sql = format!("{CALL_COLUMNS}{} ORDER BY id DESC LIMIT {}", filter.text, limit + 1);
        let rows = move |db: &Connection| filter.rows(db, &sql, read_call);
        let (as_of, items) = self.ask(query.after_index, rows, shown_call).await?;
        Ok(page(as_of, items, limit, |call| call.id.clone()))
    }

    pub async fn call_view(&self, call: CallId, after_index: Option<u64>) -> Result<(u64, CallView), Error> {
        let mut filter = Where::default();
        filter.and("id =", Some(key(call.0)));
        let sql = format!("{CALL_COLUMNS}{}", filter.text);
        // An answer that was just given is found at once: its outcome is durable by now, and the views are asked to
        // have caught up with the log.
        self.0.flights.recorded(call).await;
        let after = after_index.or(Some(*self.0.head.borrow()));
        let rows = move |db: &Connection| filter.rows(db, &sql, read_call);
        let (as_of, calls) = self.ask(after, rows, shown_call).await?;
        let view = calls.into_iter().next().ok_or(Error::NotFound { what: format!("the call `{call}`") })?;
        Ok((as_of, view))
    }

    pub async fn events(&self, from: u64, limit: usize) -> Result<Vec<StoredEvent>, Error> {
        let log = self.0.payloads.clone();
        let events = tokio::task::spawn_blocking(move || {
            let stored = log.lock().map_err(|_| Error::Stopping)?.read(from, limit.clamp(1, PAGE_MAX))?;
            let shown = stored.into_iter().map(|row| {
                let event = serde_json::from_slice(&row.bytes);
                let event =
                    event.map_err(|error| Error::Unreadable { index: row.index, why: error.to_string() })?;
                Ok(StoredEvent { index: row.index, event })
            });
            shown.collect()
        });
        events.await.map_err(|_| Error::Stopping)?
    }

    /// Finds rows in the views, then shows each with what the log holds; off the threads that serve calls.
    pub(super) async fn ask<R: Send + 'static, T: Send + 'static>(
        &self,
        after: Option<u64>,
        rows: impl FnOnce(&Connection) -> rusqlite::Result<Vec<R>> + Send + 'static,
        show: fn(R, &mut dyn Read) -> Result<T, Error>,
    ) -> Result<(u64, Vec<T>), Error> {
        if let Some(after) = after {
            self.catch_up(after).await;
        }
        let as_of = *self.0.views.as_of.borrow();
        let (reader, log) = (self.0.views.reader.clone(), self.0.payloads.clone());
        let answer = tokio::task::spawn_blocking(move || {
            let found = rows(&*reader.lock().map_err(|_| Error::Stopping)?)?;
            let mut log = log.lock().map_err(|_| Error::Stopping)?;
            found.into_iter().map(|row| show(row, log.as_mut())).collect::<Result<Vec<T>, Error>>()
        });
        Ok((as_of, answer.await.map_err(|_| Error::Stopping)??))
    }

    /// What a tool's server last said of it, and where in the ledger that stands.
    pub async fn definition_seen(&self, tool: &str) -> Result<Option<(u64, Value)>, Error> {
        let tool = tool.to_owned();
        let find = move |db: &Connection| -> rusqlite::Result<Vec<u64>> {
            let mut found = db.prepare_cached("SELECT idx FROM definitions WHERE tool = ?1")?;
            found.query_map([tool], |row| row.get(0))?.collect()
        };
        let head = *self.0.head.borrow();
        let (_, found) = self.ask(Some(head), find, shown_definition).await?;
        Ok(found.into_iter().next().flatten())
    }

    /// Waits until the views know what is below an index, but not for long.
    pub(super) async fn catch_up(&self, after: u64) {
        // Only what is durable can be hurried; the rest is waited for.
        let durable = after.min(*self.0.head.borrow());
        self.0.views.wanted.send_if_modified(|wanted| {
            let more = durable > *wanted;
            *wanted = durable.max(*wanted);
            more
        });
        let mut known = self.0.views.as_of.clone();
        let _ = tokio::time::timeout(CATCH_UP, known.wait_for(|next| *next >= after)).await;
    }
}

/// One more was asked for than is shown, to tell whether there are more.
fn page<T>(as_of: u64, mut items: Vec<T>, limit: usize, id: impl Fn(&T) -> String) -> Page<T> {
    let more = items.len() > limit;
    items.truncate(limit);
    Page { as_of, next: items.last().filter(|_| more).map(id), items }
}

/// The run, and the commitment to its intent.
pub(super) type RunRow = (RunView, Option<Digest>);

pub(super) fn read_run(row: &Row<'_>) -> rusqlite::Result<RunRow> {
    let time = |ms: u64| Time(ms).to_string();
    let view = RunView {
        id: RunId(u128::from_be_bytes(row.get(0)?)).to_string(),
        agent: row.get(1)?,
        person: row.get(2)?,
        intent: None,
        opened: time(row.get(4)?),
        expires: time(row.get(5)?),
        closed: row.get::<_, Option<u64>>(6)?.map(time),
        outcome: row.get(7)?,
        closed_by: row.get(8)?,
        allowed: row.get(9)?,
        denied: row.get(10)?,
        uncounted: row.get(11)?,
        unknown: row.get(12)?,
        usd_nanos: row.get(13)?,
        index: row.get(14)?,
        corrected_by: row.get(16)?,
        parent: row.get::<_, Option<[u8; 16]>>(15)?.map(|id| RunId(u128::from_be_bytes(id)).to_string()),
    };
    Ok((view, row.get::<_, Option<[u8; 32]>>(3)?.map(Digest)))
}

pub(super) fn shown_run((mut run, intent): RunRow, log: &mut dyn Read) -> Result<RunView, Error> {
    run.intent = intent.and_then(|digest| payload_json(log, run.index, &digest));
    Ok(run)
}

fn shown_definition(index: u64, log: &mut dyn Read) -> Result<Option<(u64, Value)>, Error> {
    let (_, event) = event_at(log, index)?;
    let Event::ToolSeen(seen) = event else { return Err(strange(index, &event)) };
    Ok(payload_json(log, index, &seen.definition).map(|definition| (index, definition)))
}

/// Where a call's decision stands in the log, and its end; where people were asked, and where one last changed it.
type CallRow = (u64, Option<u64>, Option<u64>, Option<u64>);

fn read_call(row: &Row<'_>) -> rusqlite::Result<CallRow> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
}

fn shown_call((decided, finished, asked, answered): CallRow, log: &mut dyn Read) -> Result<CallView, Error> {
    let (place, event) = event_at(log, decided)?;
    let mut call = match event {
        Event::CallDecided(decided) => CallView::of_call(place, *decided),
        Event::Questioned(asked) => CallView::of_question(place, *asked),
        other => return Err(strange(decided, &other)),
    };
    // What people were asked about is committed to where they were asked, or where one of them changed it.
    let places = [Some(decided), asked, answered];
    let mut payload = |digest| places.iter().flatten().find_map(|index| payload_json(log, *index, &digest));
    call.args = call.args_commitment.and_then(&mut payload);
    call.reasoning = call.reasoning_commitment.and_then(&mut payload);
    if let Some(index) = finished {
        let (place, event) = event_at(log, index)?;
        let Event::CallFinished(end) = event else { return Err(strange(index, &event)) };
        call.result = end.result.and_then(|digest| payload_json(log, index, &digest));
        call.finished = Some(Finished::new(place, end));
    }
    Ok(call)
}

pub(super) fn event_at(log: &mut dyn Read, index: u64) -> Result<(Place, Event), Error> {
    let unreadable = |why: String| Error::Unreadable { index, why };
    let stored = log.read(index, 1)?.into_iter().next();
    let stored = stored.ok_or_else(|| unreadable("the log ends before it".to_owned()))?;
    let (stamp, event) = Event::decode(&stored.bytes).map_err(unreadable)?;
    Ok((Place { index, lane: stored.lane, at: stamp.at.to_string() }, event))
}

pub(super) fn strange(index: u64, event: &Event) -> Error {
    Error::Unreadable { index, why: format!("the views take `{}` for another kind of event", event.kind()) }
}

/// A payload of one event read back as JSON, if it was not erased.
pub(super) fn payload_json(log: &mut dyn Read, index: u64, commitment: &Digest) -> Option<Value> {
    let bytes = log.payload(index, commitment).ok()?;
    serde_json::from_slice(&bytes).ok()
}
