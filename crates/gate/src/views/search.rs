//! Search in what agents wrote: intents, and the arguments of calls. These are payloads, and may be erased one day; so
//! no copy of them stands in the views. Each search reads them where they are, the newest runs first.

use std::time::{Duration, Instant};

use kernel::event::Event;
use kernel::id::RunId;
use ledger::Read;
use rusqlite::Connection;
use stdx::digest::Digest;

use super::ask::{Page, RUN_COLUMNS, RunQuery, event_at, read_run, shown_run};
use super::key;
use super::shape::RunView;
use crate::error::Error;
use crate::gate::Gate;

/// Runs that one search looks at, texts that it reads, and how long it takes at most: whichever is first. The next page
/// goes on from there.
const RUNS_MAX: usize = 10_000;
const TEXTS_MAX: usize = 20_000;
const SEARCH_MAX: Duration = Duration::from_secs(1);
/// Runs that a search looks at whatever the time: each page comes further.
const RUNS_MIN: usize = 100;
/// Calls of one run that are looked into, the newest first.
const CALLS_MAX: usize = 200;

/// What is looked for, and how many texts may still be read.
struct Search {
    words: String,
    left: usize,
}

impl Gate {
    /// `next` is where it stopped: at a full page, or at the end of its breath.
    pub(super) async fn searched(&self, mut query: RunQuery, limit: usize) -> Result<Page<RunView>, Error> {
        let words = query.words.take().unwrap_or_default().to_lowercase();
        if let Some(after) = query.after_index {
            self.catch_up(after).await;
        }
        let filter = query.filter();
        let sql = format!("{RUN_COLUMNS}{} ORDER BY id DESC LIMIT {RUNS_MAX}", filter.text);
        let as_of = *self.0.views.as_of.borrow();
        let (reader, log) = (self.0.views.reader.clone(), self.0.payloads.clone());
        let work = tokio::task::spawn_blocking(move || {
            let rows = filter.rows(&*reader.lock().map_err(|_| Error::Stopping)?, &sql, read_run)?;
            let begun = Instant::now();
            let mut search = Search { words, left: TEXTS_MAX };
            let mut page = Page { as_of, items: Vec::new(), next: None };
            let more = rows.len() == RUNS_MAX;
            let last = rows.last().map(|(run, _)| run.id.clone()).filter(|_| more);
            for (row, looked) in rows.into_iter().zip(1..) {
                // Both locks are let go of between runs, so that nobody else waits for a search.
                let calls = calls_of(&*reader.lock().map_err(|_| Error::Stopping)?, &row.0.id)?;
                let mut log = log.lock().map_err(|_| Error::Stopping)?;
                let run = shown_run(row, log.as_mut())?;
                let id = run.id.clone();
                if search.finds(&run, &calls, log.as_mut()) {
                    page.items.push(run);
                }
                let late = looked >= RUNS_MIN && begun.elapsed() > SEARCH_MAX;
                if page.items.len() >= limit || search.left == 0 || late {
                    page.next = Some(id);
                    return Ok(page);
                }
            }
            page.next = last;
            Ok(page)
        });
        work.await.map_err(|_| Error::Stopping)?
    }
}

/// Where the calls of a run were decided.
fn calls_of(db: &Connection, run: &str) -> Result<Vec<u64>, Error> {
    let Ok(run) = run.parse::<RunId>() else { return Ok(Vec::new()) };
    let sql = format!("SELECT decided FROM calls WHERE run = ?1 ORDER BY id DESC LIMIT {CALLS_MAX}");
    let mut found = db.prepare_cached(&sql)?;
    let calls = found.query_map([key(run.0)], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    Ok(calls)
}

impl Search {
    fn finds(&mut self, run: &RunView, calls: &[u64], log: &mut dyn Read) -> bool {
        self.left = self.left.saturating_sub(1);
        let intent = run.intent.as_ref().and_then(|intent| intent.as_str()).unwrap_or_default();
        intent.to_lowercase().contains(&self.words) || calls.iter().any(|index| self.finds_in(*index, log))
    }

    /// In the arguments of a call, or in the reason that its agent gave.
    fn finds_in(&mut self, index: u64, log: &mut dyn Read) -> bool {
        let Ok((_, Event::CallDecided(decided))) = event_at(log, index) else { return false };
        let mut has = |commitment: Digest| {
            self.left = self.left.saturating_sub(1);
            let text = log.payload(index, &commitment).unwrap_or_default();
            String::from_utf8_lossy(&text).to_lowercase().contains(&self.words)
        };
        has(decided.args) || decided.reasoning.is_some_and(has)
    }
}
