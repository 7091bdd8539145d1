//! What runs cost and came to: by agent, by workflow, and which open ones spend the most.

use kernel::account::Amount;
use kernel::id::RunId;
use kernel::time::Time;
use ledger::Read;
use rusqlite::Connection;

use crate::error::Error;
use crate::gate::Gate;

const TOP_MAX: usize = 200;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SpendBy {
    Agent,
    Workflow,
    /// Each run that ended, the dearest.
    Run,
}

/// Tokens of models, all of them and by their kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Tokens {
    pub all: u64,
    pub read: u64,
    pub written: u64,
    pub cached: u64,
}

impl Tokens {
    pub(super) fn add(&mut self, amount: &Amount) {
        self.all += amount.tokens;
        self.read += amount.tokens_in;
        self.written += amount.tokens_out;
        self.cached += amount.tokens_cached;
    }

    /// Four columns from this one on.
    fn read(row: &rusqlite::Row<'_>, at: usize) -> rusqlite::Result<Tokens> {
        let (all, read, written) = (row.get(at)?, row.get(at + 1)?, row.get(at + 2)?);
        Ok(Tokens { all, read, written, cached: row.get(at + 3)? })
    }
}

/// What the runs of one agent or workflow came to that were closed in a time, or one of them. A run stands for all
/// that fanned out of it: what those under it cost is its cost, and their ends are no ends of their own.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SpendRow {
    pub of: String,
    pub runs: u64,
    pub success: u64,
    pub failure: u64,
    pub abandoned: u64,
    pub expired: u64,
    pub usd_nanos: u64,
    /// How often a person took a hand in them.
    pub interventions: u64,
    pub human_minutes: u64,
    pub tokens: Tokens,
    /// From opening to a successful end, together.
    pub success_ms: u64,
}

/// An open run, with all that is under it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TopRow {
    pub run: RunId,
    pub agent: String,
    pub opened: Time,
    pub usd_nanos: u64,
    pub tokens: Tokens,
    pub allowed: u64,
    pub denied: u64,
    pub unknown: u64,
    pub under: u64,
}

impl Gate {
    /// Runs that nobody opened under another, closed from `from` and before `until`, the dearest first.
    pub async fn spend(&self, by: SpendBy, from: Time, until: Time) -> Result<(u64, Vec<SpendRow>), Error> {
        let (of, limit) = match by {
            SpendBy::Agent => ("agent", -1),
            SpendBy::Workflow => ("coalesce(workflow, '')", -1),
            SpendBy::Run => ("id", TOP_MAX as i64),
        };
        let sql = format!(
            "SELECT {of}, count(*), sum(outcome = 'success'), sum(outcome = 'failure'),
                    sum(outcome = 'abandoned'), sum(outcome = 'expired'),
                    sum((SELECT sum(usd_nanos) FROM runs family WHERE family.root = runs.id)) AS cost,
                    sum((SELECT sum(touched) FROM runs family WHERE family.root = runs.id)),
                    sum((SELECT sum(minutes) FROM runs family WHERE family.root = runs.id)),
                    sum(CASE WHEN outcome = 'success' THEN closed - opened ELSE 0 END),
                    sum((SELECT sum(tokens) FROM runs family WHERE family.root = runs.id)),
                    sum((SELECT sum(tokens_in) FROM runs family WHERE family.root = runs.id)),
                    sum((SELECT sum(tokens_out) FROM runs family WHERE family.root = runs.id)),
                    sum((SELECT sum(tokens_cached) FROM runs family WHERE family.root = runs.id))
             FROM runs WHERE closed >= ?1 AND closed < ?2 AND root = id GROUP BY 1 ORDER BY cost DESC, 1
             LIMIT {limit}"
        );
        let rows = move |db: &Connection| -> rusqlite::Result<Vec<SpendRow>> {
            let mut found = db.prepare_cached(&sql)?;
            let read = |row: &rusqlite::Row<'_>| {
                Ok(SpendRow {
                    of: match by {
                        SpendBy::Run => RunId(u128::from_be_bytes(row.get(0)?)).to_string(),
                        SpendBy::Agent | SpendBy::Workflow => row.get(0)?,
                    },
                    runs: row.get(1)?,
                    success: row.get(2)?,
                    failure: row.get(3)?,
                    abandoned: row.get(4)?,
                    expired: row.get(5)?,
                    usd_nanos: row.get(6)?,
                    interventions: row.get(7)?,
                    human_minutes: row.get(8)?,
                    success_ms: row.get(9)?,
                    tokens: Tokens::read(row, 10)?,
                })
            };
            found.query_map([from.0, until.0], read)?.collect()
        };
        let head = *self.0.head.borrow();
        self.ask(Some(head), rows, as_it_is).await
    }

    /// Open runs that nobody opened under another, the dearest first.
    pub async fn top(&self, limit: usize) -> Result<(u64, Vec<TopRow>), Error> {
        let limit = limit.clamp(1, TOP_MAX);
        let sql = format!(
            "SELECT head.id, head.agent, head.opened, sum(family.usd_nanos) AS cost, sum(family.allowed),
                    sum(family.denied + family.uncounted), sum(family.unknown), count(*) - 1, sum(family.tokens),
                    sum(family.tokens_in), sum(family.tokens_out), sum(family.tokens_cached)
             FROM runs head JOIN runs family ON family.root = head.id
             WHERE head.closed IS NULL AND head.root = head.id
             GROUP BY head.id ORDER BY cost DESC, 5 DESC, head.id LIMIT {limit}"
        );
        let rows = move |db: &Connection| -> rusqlite::Result<Vec<TopRow>> {
            let mut found = db.prepare_cached(&sql)?;
            let read = |row: &rusqlite::Row<'_>| {
                Ok(TopRow {
                    run: RunId(u128::from_be_bytes(row.get(0)?)),
                    agent: row.get(1)?,
                    opened: Time(row.get(2)?),
                    usd_nanos: row.get(3)?,
                    allowed: row.get(4)?,
                    denied: row.get(5)?,
                    unknown: row.get(6)?,
                    under: row.get(7)?,
                    tokens: Tokens::read(row, 8)?,
                })
            };
            found.query_map([], read)?.collect()
        };
        let head = *self.0.head.borrow();
        self.ask(Some(head), rows, as_it_is).await
    }
}

fn as_it_is<T>(row: T, _: &mut dyn Read) -> Result<T, Error> {
    Ok(row)
}
