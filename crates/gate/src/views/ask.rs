//! What people ask of the views: pages of runs and calls, one of each, and the log itself.

use std::time::Duration;

use kernel::id::{CallId, RunId};
use kernel::time::Time;
use rusqlite::{Connection, Row, ToSql};
use serde::Serialize;
use serde_json::Value;

use super::shape::{CallView, Place, RunView};
use crate::error::Error;
use crate::gate::Gate;

const PAGE_MAX: usize = 500;
/// How long an answer waits for the index it was asked to know.
const CATCH_UP: Duration = Duration::from_secs(1);

#[derive(Clone, Debug, Default)]
pub struct RunQuery {
    pub agent: Option<String>,
    pub open: Option<bool>,
    /// Runs before this id, newest first.
    pub before: Option<String>,
    pub limit: usize,
    pub after_index: Option<u64>,
}

#[derive(Clone, Debug, Default)]
pub struct CallQuery {
    pub run: Option<String>,
    pub agent: Option<String>,
    pub tool: Option<String>,
    pub ruling: Option<String>,
    pub outcome: Option<String>,
    pub before: Option<String>,
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

#[derive(Clone, Debug, Serialize)]
pub struct StoredEvent {
    pub index: u64,
    pub event: Value,
}

/// Conditions of a query, with what they compare to.
#[derive(Default)]
struct Where {
    text: String,
    values: Vec<Box<dyn ToSql + Send>>,
}

impl Where {
    fn and(&mut self, condition: &str, value: Option<impl ToSql + Send + 'static>) {
        if let Some(value) = value {
            self.values.push(Box::new(value));
            let place = self.values.len();
            let glue = if self.text.is_empty() { "WHERE" } else { "AND" };
            self.text += &format!(" {glue} {condition} ?{place}");
        }
    }

    fn also(&mut self, condition: &str) {
        let glue = if self.text.is_empty() { "WHERE" } else { "AND" };
        self.text += &format!(" {glue} {condition}");
    }

    fn rows<T>(
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

const CALL_COLUMNS: &str = "SELECT id, run, decided, idx, lane, body, finished FROM calls";
const RUN_COLUMNS: &str = "SELECT id, agent, person, intent, opened, expires, closed, outcome, closed_by, allowed, \
                           denied, uncounted, unknown, usd_nanos, idx FROM runs";

impl Gate {
    pub async fn runs(&self, query: RunQuery) -> Result<Page<RunView>, Error> {
        let limit = query.limit.clamp(1, PAGE_MAX);
        let mut filter = Where::default();
        filter.and("agent =", query.agent);
        filter.and("id <", query.before);
        match query.open {
            Some(true) => filter.also("closed IS NULL"),
            Some(false) => filter.also("closed IS NOT NULL"),
            None => {}
        }
        let sql = format!("{RUN_COLUMNS}{} ORDER BY id DESC LIMIT {limit}", filter.text);
        let (as_of, items) = self.ask(query.after_index, move |db| filter.rows(db, &sql, read_run)).await?;
        let next = items.last().filter(|_| items.len() == limit).map(|run| run.id.clone());
        Ok(Page { as_of, items: items.into_iter().map(|run| self.with_intent(run)).collect(), next })
    }

    pub async fn run(
        &self,
        run: RunId,
        after_index: Option<u64>,
    ) -> Result<(u64, RunView, Vec<CallView>), Error> {
        let id = run.to_string();
        let mut filter = Where::default();
        filter.and("id =", Some(id.clone()));
        let sql = format!("{RUN_COLUMNS}{}", filter.text);
        let (as_of, runs) = self.ask(after_index, move |db| filter.rows(db, &sql, read_run)).await?;
        let view = runs.into_iter().next().ok_or(Error::NotFound { what: format!("the run `{id}`") })?;
        let query = CallQuery { run: Some(id), limit: PAGE_MAX, ..CallQuery::default() };
        let mut calls = self.calls(query).await?.items;
        calls.reverse();
        Ok((as_of, self.with_intent(view), calls))
    }

    pub async fn calls(&self, query: CallQuery) -> Result<Page<CallView>, Error> {
        let limit = query.limit.clamp(1, PAGE_MAX);
        let mut filter = Where::default();
        filter.and("run =", query.run);
        filter.and("agent =", query.agent);
        filter.and("tool =", query.tool);
        filter.and("ruling =", query.ruling);
        match query.outcome.as_deref() {
            Some("open") => filter.also("ruling = 'allow' AND run IS NOT NULL AND outcome IS NULL"),
            Some(_) => filter.and("outcome =", query.outcome),
            None => {}
        }
        filter.and("id <", query.before);
        let sql = format!("{CALL_COLUMNS}{} ORDER BY id DESC LIMIT {limit}", filter.text);
        let (as_of, items) = self.ask(query.after_index, move |db| filter.rows(db, &sql, read_call)).await?;
        let next = items.last().filter(|_| items.len() == limit).map(|call| call.id.clone());
        Ok(Page { as_of, items: items.into_iter().map(|call| self.with_payloads(call)).collect(), next })
    }

    pub async fn call_view(&self, call: CallId, after_index: Option<u64>) -> Result<(u64, CallView), Error> {
        let id = call.to_string();
        let mut filter = Where::default();
        filter.and("id =", Some(id.clone()));
        let sql = format!("{CALL_COLUMNS}{}", filter.text);
        // An answer that was just given is found at once: the views are asked to have caught up with the log.
        let after = after_index.or(Some(*self.0.head.borrow()));
        let (as_of, calls) = self.ask(after, move |db| filter.rows(db, &sql, read_call)).await?;
        let view = calls.into_iter().next().ok_or(Error::NotFound { what: format!("the call `{id}`") })?;
        Ok((as_of, self.with_payloads(view)))
    }

    pub async fn events(&self, from: u64, limit: usize) -> Result<Vec<StoredEvent>, Error> {
        let mut log = self.0.payloads.lock().map_err(|_| Error::Stopping)?;
        let stored = log.read(from, limit.clamp(1, PAGE_MAX))?;
        let shown = stored.into_iter().map(|row| {
            let event = serde_json::from_slice(&row.bytes);
            let event =
                event.map_err(|error| Error::Unreadable { index: row.index, why: error.to_string() })?;
            Ok(StoredEvent { index: row.index, event })
        });
        shown.collect()
    }

    async fn ask<T: Send + 'static>(
        &self,
        after: Option<u64>,
        question: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<(u64, T), Error> {
        let mut known = self.0.views.as_of.clone();
        if let Some(after) = after {
            let _ = tokio::time::timeout(CATCH_UP, known.wait_for(|next| *next >= after)).await;
        }
        let as_of = *known.borrow();
        let reader = self.0.views.reader.clone();
        let answer = tokio::task::spawn_blocking(move || {
            let db = reader.lock().map_err(|_| Error::Stopping)?;
            question(&db).map_err(Error::from)
        });
        Ok((as_of, answer.await.map_err(|_| Error::Stopping)??))
    }

    fn with_payloads(&self, mut call: CallView) -> CallView {
        call.args = call.args_commitment.and_then(|digest| self.payload_json(call.index, &digest));
        call.reasoning = call.reasoning_commitment.and_then(|digest| self.payload_json(call.index, &digest));
        call.result =
            call.finished.as_ref().and_then(|end| self.payload_json(end.index, end.result.as_ref()?));
        call
    }

    fn with_intent(&self, mut run: RunView) -> RunView {
        let digest = run.intent.as_ref().and_then(Value::as_str).and_then(|text| text.parse().ok());
        run.intent = digest.and_then(|digest| self.payload_json(run.index, &digest));
        run
    }
}

fn read_run(row: &Row<'_>) -> rusqlite::Result<RunView> {
    let time = |ms: u64| Time(ms).to_string();
    Ok(RunView {
        id: row.get(0)?,
        agent: row.get(1)?,
        person: row.get(2)?,
        intent: row.get::<_, Option<String>>(3)?.map(Value::String),
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
    })
}

fn read_call(row: &Row<'_>) -> rusqlite::Result<CallView> {
    let place = Place { index: row.get(3)?, lane: row.get(4)?, decided: Time(row.get(2)?).to_string() };
    let unreadable = |error: serde_json::Error| {
        rusqlite::Error::FromSqlConversionFailure(5, rusqlite::types::Type::Text, Box::new(error))
    };
    let body: String = row.get(5)?;
    if row.get::<_, Option<String>>(1)?.is_none() {
        return Ok(CallView::of_question(place, serde_json::from_str(&body).map_err(unreadable)?));
    }
    let finished = row.get::<_, Option<String>>(6)?;
    let finished = finished.map(|text| serde_json::from_str(&text)).transpose().map_err(unreadable)?;
    Ok(CallView::of_call(place, serde_json::from_str(&body).map_err(unreadable)?, finished))
}
