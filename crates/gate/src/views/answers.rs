//! Answers: what became of a call that people were asked about, and how people answer, over time.

use std::time::Duration;

use kernel::event::{CallDecided, CallFinished, Event};
use kernel::id::{CallId, RunId};
use kernel::time::Time;
use ledger::Read;
use rusqlite::{Connection, OptionalExtension, params};
use serde_json::Value;

use super::ask::{event_at, payload_json, strange};
use super::key;
use crate::caller::Answered;
use crate::error::Error;
use crate::gate::{DECIDE_WAIT, Gate};
use crate::proposals::is_proposed;

/// How long one look waits for news from the disk.
const LAG: Duration = Duration::from_millis(100);
/// Answers of the same agent and tool that are shown beside one that waits.
const SIMILAR_MAX: usize = 5;
/// Answers that the figures are made of, the newest.
const STATS_MAX: usize = 10_000;

/// What was said to another call of the same agent and tool.
#[derive(Clone, Debug)]
pub struct Similar {
    pub call: CallId,
    pub by: String,
    pub yes: bool,
    pub at: Time,
}

/// How people answer.
#[derive(Clone, Debug, Default)]
pub struct AskStats {
    pub approvers: Vec<StatRow>,
    /// By the rule that asks.
    pub rules: Vec<StatRow>,
}

#[derive(Clone, Debug, Default)]
pub struct StatRow {
    pub name: String,
    pub yes: u64,
    pub no: u64,
    /// From the question to the answer.
    pub median_ms: u64,
}

/// What the log says of a call, where in it, and of what people answered.
struct Told {
    decided: CallDecided,
    finished: Option<(u64, CallFinished)>,
    result: Option<Value>,
    words: Option<String>,
    edited: Option<Value>,
    /// It was proposed with others: the name under which people answered.
    with: Option<CallId>,
}

impl Told {
    fn is_over(&self) -> bool {
        let verdict = self.decided.verdict();
        // A proposal that became a step is told by its plan, as long as that is known.
        let proposed = is_proposed(&verdict);
        proposed || !verdict.asks() && (!verdict.allows() || self.finished.is_some())
    }
}

impl Gate {
    /// What became of a call, as its agent is told; what was erased is left out.
    pub(crate) async fn told(&self, call: CallId) -> Result<Answered, Error> {
        if let Some(answered) = self.told_of_proposal(call).await? {
            return Ok(answered);
        }
        if let Some(answered) = self.told_of_plan(call).await? {
            return Ok(answered);
        }
        let told = self.told_of(call).await?;
        let mut answered = Answered::of(call, told.decided.verdict(), None);
        answered.approved = told.decided.approved;
        answered.outcome = told.finished.as_ref().map(|(_, end)| end.outcome);
        answered.trouble = told.finished.and_then(|(_, end)| end.trouble);
        (answered.result, answered.words, answered.edited) = (told.result, told.words, told.edited);
        if let Some(ticket) = told.with.filter(|ticket| answered.words.is_none() && *ticket != call) {
            answered.words = self.words_to(ticket).await?;
        }
        Ok(answered)
    }

    /// What the last person wrote who answered what waited under this name.
    pub(crate) async fn words_to(&self, ticket: CallId) -> Result<Option<String>, Error> {
        let head = *self.head();
        let find = move |db: &Connection| -> rusqlite::Result<Vec<Row>> { row(db, ticket) };
        let (_, found) = self.ask(Some(head), find, told).await?;
        Ok(found.into_iter().next().and_then(|told| told.words))
    }

    /// Whose call it is, and of which run.
    pub(crate) async fn owner_of(&self, call: CallId) -> Result<(RunId, String), Error> {
        if let Some((run, plan)) = self.plan_of_ticket(call) {
            return Ok((run, plan.agent));
        }
        let told = self.told_of(call).await?;
        Ok((told.decided.run, told.decided.agent))
    }

    /// Lanes are ahead of the disk: what ended there a moment ago is waited for here.
    async fn told_of(&self, call: CallId) -> Result<Told, Error> {
        let until = tokio::time::Instant::now() + DECIDE_WAIT;
        loop {
            let head = *self.head();
            let find = move |db: &Connection| -> rusqlite::Result<Vec<Row>> { row(db, call) };
            let (_, found) = self.ask(Some(head), find, told).await?;
            let told = found.into_iter().next();
            let told = told.ok_or_else(|| Error::NotFound { what: format!("the call `{call}`") })?;
            if told.is_over() {
                return Ok(told);
            }
            if tokio::time::Instant::now() > until {
                return Err(Error::Overloaded);
            }
            self.wait_past(head, LAG).await;
        }
    }

    /// What people last said to calls of this agent and tool.
    pub async fn similar(&self, agent: &str, tool: &str) -> Result<Vec<Similar>, Error> {
        let (agent, tool) = (agent.to_owned(), tool.to_owned());
        let find = move |db: &Connection| -> rusqlite::Result<Vec<Similar>> {
            let mut found = db.prepare_cached(
                "SELECT call, person, yes, at FROM answers WHERE agent = ?1 AND tool = ?2
                 ORDER BY idx DESC LIMIT ?3",
            )?;
            let read = |row: &rusqlite::Row<'_>| {
                let call = CallId(u128::from_be_bytes(row.get(0)?));
                Ok(Similar { call, by: row.get(1)?, yes: row.get(2)?, at: Time(row.get(3)?) })
            };
            found.query_map(params![agent, tool, SIMILAR_MAX as u64], read)?.collect()
        };
        Ok(self.ask(None, find, |similar, _| Ok(similar)).await?.1)
    }

    /// How each person and each rule did since then.
    pub async fn asks_stats(&self, since: Time) -> Result<AskStats, Error> {
        let head = *self.head();
        let find = move |db: &Connection| -> rusqlite::Result<Vec<StatAnswer>> {
            let mut found = db.prepare_cached(
                "SELECT person, rule, yes, max(at - coalesce(asked_at, at), 0) FROM answers
                 LEFT JOIN calls ON calls.id = answers.call WHERE at >= ?1 ORDER BY idx DESC LIMIT ?2",
            )?;
            let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?));
            found.query_map(params![since.0, STATS_MAX as u64], read)?.collect()
        };
        let (_, rows) = self.ask(Some(head), find, |row, _| Ok(row)).await?;
        let people = rows.iter().map(|(person, _, yes, ms)| (person.clone(), *yes, *ms));
        let rules = rows.iter().filter_map(|(_, rule, yes, ms)| Some((rule.clone()?, *yes, *ms)));
        Ok(AskStats { approvers: summed(people), rules: summed(rules) })
    }

    fn head(&self) -> tokio::sync::watch::Ref<'_, u64> {
        self.0.head.borrow()
    }
}

/// Who answered, to which rule, what, and after how long.
type StatAnswer = (String, Option<String>, bool, u64);

fn summed(answers: impl Iterator<Item = (String, bool, u64)>) -> Vec<StatRow> {
    let mut rows = std::collections::BTreeMap::<String, (u64, u64, Vec<u64>)>::new();
    for (name, yes, ms) in answers {
        let row = rows.entry(name).or_default();
        row.0 += u64::from(yes);
        row.1 += u64::from(!yes);
        row.2.push(ms);
    }
    let row = |(name, (yes, no, mut took)): (String, (u64, u64, Vec<u64>))| {
        took.sort_unstable();
        let median_ms = took.get(took.len() / 2).copied().unwrap_or(0);
        StatRow { name, yes, no, median_ms }
    };
    rows.into_iter().map(row).collect()
}

/// Where its last decision, its end and what was asked stand, and the answers to it in order.
type Row = (u64, Option<u64>, Option<u64>, Vec<u64>);

fn row(db: &Connection, call: CallId) -> rusqlite::Result<Vec<Row>> {
    let id = key(call.0);
    let mut answers = db.prepare_cached("SELECT idx FROM answers WHERE call = ?1 ORDER BY idx")?;
    let answers: Vec<u64> = answers.query_map([id], |row| row.get(0))?.collect::<Result<_, _>>()?;
    let mut found =
        db.prepare_cached("SELECT decided, finished, asked FROM calls WHERE id = ?1 AND run IS NOT NULL")?;
    let found: Option<(u64, Option<u64>, Option<u64>)> =
        found.query_row([id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).optional()?;
    Ok(found.map(|(decided, finished, asked)| (decided, finished, asked, answers)).into_iter().collect())
}

fn told((decided, finished, asked, answers): Row, log: &mut dyn Read) -> Result<Told, Error> {
    let (_, event) = event_at(log, decided)?;
    let Event::CallDecided(decision) = event else { return Err(strange(decided, &event)) };
    let (mut words, mut edited) = (None, None);
    for index in answers {
        let (_, event) = event_at(log, index)?;
        let Event::Answered(answered) = event else { return Err(strange(index, &event)) };
        words = answered.words.and_then(|digest| payload_json(log, index, &digest)).or(words);
        let args = answered.edited.and_then(|edit| payload_json(log, index, &edit.args));
        edited = args.or(edited);
    }
    let finished = match finished {
        Some(index) => match event_at(log, index)? {
            (_, Event::CallFinished(end)) => Some((index, end)),
            (_, other) => return Err(strange(index, &other)),
        },
        None => None,
    };
    let result = finished.as_ref().and_then(|(index, end)| payload_json(log, *index, &end.result?));
    let words = words.and_then(|words: Value| words.as_str().map(str::to_owned));
    let with = match asked {
        Some(index) => match event_at(log, index)? {
            (_, Event::CallDecided(asked)) => asked.asked.and_then(|asked| asked.with),
            _ => None,
        },
        None => None,
    };
    Ok(Told { decided: *decision, finished, result, words, edited, with })
}
