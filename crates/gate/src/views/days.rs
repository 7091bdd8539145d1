//! Days: what each agent spent with each tool, day by day (UTC), for people who want to see where it goes.

use std::collections::BTreeMap;

use kernel::event::{CallDecided, CallFinished, Charged};
use kernel::id::{CallId, RunId};
use kernel::time::Time;
use kernel::verdict::Ruling;
use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::key;
use crate::error::Error;
use crate::gate::Gate;

const DAY_MS: u64 = 86_400_000;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DaysBy {
    Agent,
    Tool,
}

/// What one agent, or all with one tool, did on one day. What was charged to a run is of no tool.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DayRow {
    /// Where it begins.
    pub day: Time,
    pub of: String,
    pub allowed: u64,
    pub denied: u64,
    pub usd_nanos: u64,
}

/// What a batch of events adds to the days.
#[derive(Default)]
pub(super) struct Days {
    decided: BTreeMap<(u64, String, String), (u64, u64)>,
    /// Whose it was is in the tables by the time that they are written.
    spent: BTreeMap<(u64, CallId), u64>,
    charged: BTreeMap<(u64, RunId), u64>,
}

impl Days {
    pub(super) fn decided(&mut self, at: Time, decided: &CallDecided) {
        let row = (at.0 / DAY_MS, decided.agent.clone(), decided.tool.clone());
        let (allowed, denied) = self.decided.entry(row).or_default();
        match decided.ruling {
            Ruling::Allow => *allowed += 1,
            Ruling::Deny => *denied += 1,
            // What people are asked about is decided once more.
            Ruling::Ask => {}
        }
    }

    pub(super) fn finished(&mut self, at: Time, finished: &CallFinished) {
        if finished.posted.usd_nanos > 0 {
            *self.spent.entry((at.0 / DAY_MS, finished.call)).or_default() += finished.posted.usd_nanos;
        }
    }

    pub(super) fn charged(&mut self, at: Time, charged: &Charged) {
        *self.charged.entry((at.0 / DAY_MS, charged.run)).or_default() += charged.amount.usd_nanos;
    }

    pub(super) fn write(self, db: &Transaction<'_>) -> rusqlite::Result<()> {
        for ((day, agent, tool), (allowed, denied)) in self.decided {
            add(db, day, &agent, &tool, [allowed, denied, 0])?;
        }
        for ((day, call), nanos) in self.spent {
            let mut of = db.prepare_cached("SELECT agent, tool FROM calls WHERE id = ?1")?;
            let of = of.query_row([key(call.0)], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
            let Some((agent, tool)): Option<(String, String)> = of else { continue };
            add(db, day, &agent, &tool, [0, 0, nanos])?;
        }
        for ((day, run), nanos) in self.charged {
            let mut of = db.prepare_cached("SELECT agent FROM runs WHERE id = ?1")?;
            let Some(agent) = of.query_row([key(run.0)], |row| row.get::<_, String>(0)).optional()? else {
                continue;
            };
            add(db, day, &agent, "", [0, 0, nanos])?;
        }
        Ok(())
    }
}

fn add(db: &Transaction<'_>, day: u64, agent: &str, tool: &str, more: [u64; 3]) -> rusqlite::Result<()> {
    let [allowed, denied, nanos] = more;
    db.prepare_cached(
        "INSERT INTO days VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO UPDATE SET allowed = allowed + ?4,
         denied = denied + ?5, usd_nanos = usd_nanos + ?6",
    )?
    .execute(params![day, agent, tool, allowed, denied, nanos])
    .map(drop)
}

impl Gate {
    /// Day by day from the day that holds `from`, in the order of days and names.
    pub async fn spend_days(&self, by: DaysBy, from: Time) -> Result<(u64, Vec<DayRow>), Error> {
        let of = match by {
            DaysBy::Agent => "agent",
            DaysBy::Tool => "tool",
        };
        let sql = format!(
            "SELECT day, {of}, sum(allowed), sum(denied), sum(usd_nanos) FROM days WHERE day >= ?1
             GROUP BY 1, 2 ORDER BY 1, 2"
        );
        let rows = move |db: &Connection| -> rusqlite::Result<Vec<DayRow>> {
            let read = |row: &rusqlite::Row<'_>| {
                let day: u64 = row.get(0)?;
                let (of, allowed, denied, usd_nanos) = (row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?);
                Ok(DayRow { day: Time(day * DAY_MS), of, allowed, denied, usd_nanos })
            };
            db.prepare_cached(&sql)?.query_map([from.0 / DAY_MS], read)?.collect()
        };
        let head = *self.0.head.borrow();
        self.ask(Some(head), rows, |rows, _| Ok(rows)).await
    }
}
