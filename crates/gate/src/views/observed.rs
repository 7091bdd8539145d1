//! Observed: what would have hindered agents that are only watched, day by day (UTC), by the rule and the tool.

use std::collections::BTreeMap;

use kernel::event::CallDecided;
use kernel::id::CallId;
use kernel::reason::Reason;
use kernel::time::Time;
use rusqlite::{Connection, Transaction, params};

use super::key;
use crate::error::Error;
use crate::gate::Gate;

const DAY_MS: u64 = 86_400_000;
/// More rows than anybody reads.
const ROWS_MAX: u64 = 1_000;

/// What one rule, or one check without a rule, would have said to one agent's calls of one tool.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ObservedRow {
    pub agent: String,
    pub tool: String,
    /// Of the reason; an ask is `approval_required`.
    pub code: String,
    pub rule: Option<String>,
    pub times: u64,
    /// The last of them.
    pub call: CallId,
}

/// What a batch of events adds.
#[derive(Default)]
pub(super) struct Observed(BTreeMap<Row, (u64, CallId)>);

/// Day, agent, tool, code and rule.
type Row = (u64, String, String, String, String);

impl Observed {
    pub(super) fn decided(&mut self, at: Time, decided: &CallDecided) {
        for reason in &decided.would {
            let (code, rule) = (reason.code.name().to_owned(), rule_of(reason));
            let row = (at.0 / DAY_MS, decided.agent.clone(), decided.tool.clone(), code, rule);
            let (times, last) = self.0.entry(row).or_insert((0, decided.call));
            (*times, *last) = (*times + 1, decided.call);
        }
    }

    pub(super) fn write(self, db: &Transaction<'_>) -> rusqlite::Result<()> {
        for ((day, agent, tool, code, rule), (times, last)) in self.0 {
            db.prepare_cached(
                "INSERT INTO observed VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
                 ON CONFLICT DO UPDATE SET times = times + ?6, last = ?7",
            )?
            .execute(params![day, agent, tool, code, rule, times, key(last.0)])?;
        }
        Ok(())
    }
}

/// The rule that forbids, or asks; none: nothing allows it, or a check that knows no rules.
fn rule_of(reason: &Reason) -> String {
    let asks = reason.near.first().filter(|_| !reason.ask.is_empty());
    reason.rule.as_ref().or(asks).map(|rule| rule.id.clone()).unwrap_or_default()
}

impl Gate {
    /// What `enforce` would have done to watched agents since the day that holds `from`, the most frequent first.
    pub async fn observed(
        &self,
        agent: Option<String>,
        from: Time,
    ) -> Result<(u64, Vec<ObservedRow>), Error> {
        let rows = move |db: &Connection| -> rusqlite::Result<Vec<ObservedRow>> {
            let read = |row: &rusqlite::Row<'_>| {
                let rule: String = row.get(3)?;
                Ok(ObservedRow {
                    agent: row.get(0)?,
                    tool: row.get(1)?,
                    code: row.get(2)?,
                    rule: (!rule.is_empty()).then_some(rule),
                    times: row.get(4)?,
                    call: CallId(u128::from_be_bytes(row.get(5)?)),
                })
            };
            db.prepare_cached(
                "SELECT agent, tool, code, rule, sum(times), max(last) FROM observed
                 WHERE day >= ?1 AND (?2 IS NULL OR agent = ?2)
                 GROUP BY 1, 2, 3, 4 ORDER BY 5 DESC, 1, 2, 3, 4 LIMIT ?3",
            )?
            .query_map(params![from.0 / DAY_MS, agent, ROWS_MAX], read)?
            .collect()
        };
        let head = *self.0.head.borrow();
        self.ask(Some(head), rows, |row, _| Ok(row)).await
    }
}
