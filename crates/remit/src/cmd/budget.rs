//! `remit budget`, `top`, `spend`, and what people do about a run's budget.

use std::collections::{BTreeMap, BTreeSet};
use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use api::budget::{
    Balance, Balances, ChargeRun, CorrectRun, ExtendRun, Spend, SpendFigures, SpendReport, SteerRun, Top,
};
use api::client::encode;
use api::run::{Closing, Recorded};
use gate::clock::{Clock, Wall};
use serde::Serialize;

use super::remote::{client, query};
use crate::cli::{Amounts, Run, Whose};
use crate::{config, out};

/// How often a live table is drawn anew.
const REDRAW: Duration = Duration::from_secs(2);
/// Where the column stands that few need.
const LENT: usize = 6;
/// Of terminals: the cursor to the first place, and everything after it away.
const CLEAR: &str = "\u{1b}[H\u{1b}[J";

pub(super) async fn budget(whose: &Whose, of: Option<String>, name: Option<String>) -> Result<ExitCode> {
    let asked = [asked(of.as_deref(), name.as_deref())?];
    let balances: Balances = client(whose)?.get(&format!("/v1/budget{}", query(&asked))).await?;
    if whose.json {
        out::json(&balances)?;
    } else if balances.items.is_empty() {
        let whose = name.or(of).map_or_else(|| "nobody has a".to_owned(), |whose| format!("{whose} has no"));
        out::talk(format!(
            "{whose} budget that is wider than a run: write `budget: {{ per_day: … }}` in a manifest"
        ));
    } else {
        table(&balances);
    }
    Ok(ExitCode::SUCCESS)
}

/// Whose budget is meant, as the API asks for it: `agent NAME`, `agent:NAME`, or a name that can be no other.
fn asked(of: Option<&str>, name: Option<&str>) -> Result<(&'static str, Option<String>)> {
    let (kind, name) = match (of, name) {
        (None, _) => return Ok(("agent", None)),
        (Some(kind), Some(name)) => (kind, name),
        (Some(id), None) if id.starts_with("run_") => ("run", id),
        (Some(one), None) => one.split_once(':').unwrap_or(("agent", one)),
    };
    let name = Some(name.to_owned());
    match kind {
        "run" => Ok(("run", name)),
        "agent" => Ok(("agent", name)),
        "tenant" => Ok(("tenant", name)),
        other => bail!("`{other}` has no budget: name an agent, a tenant or a run, such as `agent {other}`"),
    }
}

fn table(balances: &Balances) {
    let mut head = vec![
        "account", "of", "currency", "limit", "spent", "pending", "left", "an hour", "spent by", "until",
    ];
    let mut rows: Vec<Vec<String>> = balances.items.iter().flat_map(rows).collect();
    // Few runs have lent anything.
    if balances.items.iter().all(|balance| currencies(&balance.lent).is_empty()) {
        rows.iter_mut().for_each(|row| drop(row.remove(LENT)));
    } else {
        head.insert(LENT, "lent");
    }
    if std::io::stdout().is_terminal() {
        blocks(balances, &head, &rows);
    } else {
        out::table(&head, rows);
    }
    for balance in &balances.items {
        if let Some(why) = &balance.paused {
            out::line(format!("{} is paused: {why}", balance.account));
        }
    }
}

/// On a terminal each account has a heading, so that its rows fit.
fn blocks(balances: &Balances, head: &[&str], rows: &[Vec<String>]) {
    let told = |row: &[String]| row.get(2..row.len() - 1).unwrap_or_default().to_vec();
    let head = head.get(2..head.len() - 1).unwrap_or_default();
    for balance in &balances.items {
        let (account, window) = (&balance.account, &balance.window);
        let own = |row: &&Vec<String>| row.starts_with(&[account.clone(), window.clone()]);
        let own: Vec<Vec<String>> = rows.iter().filter(own).map(|row| told(row)).collect();
        out::line(out::safe(&format!("{account}, {window} until {}", balance.until)));
        out::fitting(head, &own, &["an hour", "lent", "pending", "spent by"]);
    }
}

/// One row a currency that is limited or was spent.
fn rows(balance: &Balance) -> Vec<Vec<String>> {
    let of =
        [&balance.limits, &balance.posted, &balance.pending, &balance.lent, &balance.left, &balance.per_hour];
    let of = of.map(currencies);
    let names: BTreeSet<&String> = of.iter().flat_map(BTreeMap::keys).collect();
    let row = |name: &String| {
        let [limit, posted, pending, lent, left, rate] = of.each_ref().map(|one| one.get(name).copied());
        let shown = |value: Option<u64>| match value {
            Some(value) if value > 0 && name == "usd" => out::usd(value),
            Some(value) => value.to_string(),
            None => "-".to_owned(),
        };
        let key = if name == "usd" { "usd_nanos".to_owned() } else { name.replace(' ', "_") };
        let spent_by = match left {
            Some(0) => "now".to_owned(),
            _ => balance.spent_by.get(&key).cloned().unwrap_or_else(|| "-".to_owned()),
        };
        let some = |value: Option<u64>| shown(Some(value.unwrap_or(0)));
        let mut row = vec![balance.account.clone(), balance.window.clone(), name.clone()];
        row.extend([shown(limit), some(posted), some(pending), some(lent), shown(left)]);
        row.extend([some(rate), spent_by, balance.until.clone()]);
        row
    };
    names.into_iter().map(row).collect()
}

/// What is told of each currency, counts of one's own too.
fn currencies(spend: &Spend) -> BTreeMap<String, u64> {
    let fixed = [
        ("usd", spend.usd_nanos),
        ("calls", spend.calls),
        ("writes", spend.writes),
        ("irreversible", spend.irreversible),
        ("tokens", spend.tokens),
        ("tokens in", spend.tokens_in),
        ("tokens out", spend.tokens_out),
        ("tokens cached", spend.tokens_cached),
        ("seconds", spend.seconds),
        ("retries", spend.retries),
        ("human minutes", spend.human_minutes),
    ];
    let fixed = fixed.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    fixed.chain(spend.counted.clone()).collect()
}

pub(super) async fn top(whose: &Whose, limit: usize, once: bool) -> Result<ExitCode> {
    let client = client(whose)?;
    let live = !once && !whose.json && std::io::stdout().is_terminal();
    loop {
        let top: Top = client.get(&format!("/v1/top?limit={limit}")).await?;
        if whose.json {
            out::json(&top)?;
        } else {
            ranked(&top, if live { CLEAR } else { "" });
        }
        if !live {
            return Ok(ExitCode::SUCCESS);
        }
        tokio::time::sleep(REDRAW).await;
    }
}

fn ranked(top: &Top, clear: &str) {
    if !clear.is_empty() {
        let now = Wall.now().to_string();
        let clock = now.split(['T', '.', 'Z']).nth(1).unwrap_or_default();
        out::line(format!("{clear}open runs, {clock} UTC; Ctrl-C ends"));
    } else if top.items.is_empty() {
        out::talk("no run is open");
        return;
    }
    let rows = top.items.iter().map(|run| {
        let counts = [run.allowed, run.denied, run.unknown, run.under].map(|count| count.to_string());
        let mut row = vec![run.run.clone(), run.agent.clone(), run.opened.clone()];
        row.extend([out::usd(run.cost_usd_nanos), out::usd(run.usd_nanos_per_hour)]);
        row.extend(counts);
        row
    });
    let head = ["run", "agent", "opened", "cost", "an hour", "allowed", "denied", "unknown", "under it"];
    let first_to_go = ["opened", "under it", "unknown", "allowed", "agent", "an hour", "denied"];
    out::fitting(&head, &rows.collect::<Vec<_>>(), &first_to_go);
}

pub(super) async fn spend(whose: &Whose, by: &str, within: &str) -> Result<ExitCode> {
    let path = format!("/v1/spend?by={}&within={}", encode(by), encode(within));
    let report: SpendReport = client(whose)?.get(&path).await?;
    if whose.json {
        out::json(&report)?;
        return Ok(ExitCode::SUCCESS);
    }
    let rows = report.items.iter().flat_map(|line| {
        let name = if line.of.is_empty() { "(none named)" } else { &line.of };
        // A run ends once: there is nothing to compare it with.
        let before = (by != "run").then(|| figures("  before", &line.before));
        std::iter::once(figures(name, &line.now)).chain(before)
    });
    let head = [
        by,
        "runs",
        "success",
        "completion",
        "cost",
        "a success",
        "tokens",
        "people",
        "minutes",
        "time to success",
    ];
    out::table(&head, rows.collect());
    Ok(ExitCode::SUCCESS)
}

fn figures(name: &str, figures: &SpendFigures) -> Vec<String> {
    let per_success = figures.cost_per_success_usd_nanos.map_or_else(|| "-".to_owned(), out::usd);
    let seconds = figures.seconds_to_success.map_or_else(|| "-".to_owned(), |seconds| format!("{seconds} s"));
    vec![
        name.to_owned(),
        figures.runs.to_string(),
        figures.success.to_string(),
        format!("{} %", figures.completion_percent),
        out::usd(figures.cost_usd_nanos),
        per_success,
        figures.tokens.to_string(),
        figures.interventions.to_string(),
        figures.human_minutes.to_string(),
        seconds,
    ]
}

pub(super) async fn steer(whose: &Whose, command: Run) -> Result<ExitCode> {
    match command {
        Run::Pause { run, why } => told(whose, &run, "pause", &SteerRun { why }, "paused").await,
        Run::Resume { run, why } => told(whose, &run, "resume", &SteerRun { why }, "it goes on").await,
        Run::Extend { run, by, within, why } => {
            let by = spend_of(by)?;
            told(whose, &run, "extend", &ExtendRun { by, within, why }, "extended").await
        }
        Run::Charge { run, amount, why } => {
            let amount = spend_of(amount)?;
            told(whose, &run, "charge", &ChargeRun { amount, why }, "charged").await
        }
        Run::Correct { run, outcome, why, .. } => {
            let outcome = outcome.map(serde_json::Value::String);
            let outcome = outcome.map(serde_json::from_value::<Closing>).transpose();
            let outcome = outcome.context("an outcome is `success`, `failure` or `abandoned`")?;
            let outcome = outcome.unwrap_or(Closing::Failure);
            told(whose, &run, "correct", &CorrectRun { outcome, why }, "corrected").await
        }
        other => super::plan::plan(whose, other).await,
    }
}

async fn told(whose: &Whose, run: &str, verb: &str, body: &impl Serialize, done: &str) -> Result<ExitCode> {
    let path = format!("/v1/runs/{}/{verb}", encode(run));
    let recorded: Recorded = client(whose)?.post(&path, body).await?;
    if whose.json {
        out::json(&recorded)?;
    } else {
        out::line(format!("{done}, event {}", recorded.receipt.index));
    }
    Ok(ExitCode::SUCCESS)
}

fn spend_of(amounts: Amounts) -> Result<Spend> {
    let usd_nanos = amounts
        .usd
        .map(|text| config::usd_nanos(&text).with_context(|| format!("`{text}` is not an amount of dollars")))
        .transpose()?;
    Ok(Spend {
        calls: amounts.calls,
        human_minutes: amounts.minutes,
        irreversible: amounts.irreversible,
        seconds: amounts.seconds,
        tokens: amounts.tokens,
        tokens_cached: amounts.tokens_cached,
        tokens_in: amounts.tokens_in,
        tokens_out: amounts.tokens_out,
        usd_nanos,
        writes: amounts.writes,
        ..Spend::default()
    })
}
