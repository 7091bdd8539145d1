//! `remit budget`, `top`, `spend`, and what people do about a run's budget.

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use api::budget::{
    Balance, Balances, ChargeRun, CorrectRun, ExtendRun, Spend, SpendFigures, SpendReport, SteerRun, Top,
};
use api::client::encode;
use api::run::{Closing, Recorded};
use serde::Serialize;

use super::remote::{client, query};
use crate::cli::{Amounts, Run, Whose};
use crate::{config, out};

/// How often a live table is drawn anew.
const REDRAW: Duration = Duration::from_secs(2);
/// Of terminals: the cursor to the first place, and everything after it away.
const CLEAR: &str = "\u{1b}[H\u{1b}[J";

pub(super) async fn budget(whose: &Whose, of: Option<String>) -> Result<ExitCode> {
    let (mut run, mut agent, mut tenant) = (None, None, None);
    match of {
        None => {}
        Some(id) if id.starts_with("run_") => run = Some(id),
        Some(name) => match name.split_once(':') {
            Some(("tenant", name)) => tenant = Some(name.to_owned()),
            Some(("agent", name)) => agent = Some(name.to_owned()),
            _ => agent = Some(name),
        },
    }
    let asked = [("run", run), ("agent", agent), ("tenant", tenant)];
    let balances: Balances = client(whose)?.get(&format!("/v1/budget{}", query(&asked))).await?;
    if whose.json {
        out::json(&balances)?;
    } else if balances.items.is_empty() {
        out::talk("no budget is wider than a run here: write `budget: { per_day: … }` in a manifest");
    } else {
        let rows = balances.items.iter().flat_map(rows).collect();
        out::table(
            &["account", "of", "currency", "limit", "spent", "pending", "lent", "left", "until"],
            rows,
        );
        for balance in &balances.items {
            notes(balance);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// One row a currency that is limited or was spent.
fn rows(balance: &Balance) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    let columns =
        [&balance.limits, &balance.posted, &balance.pending, &balance.lent, &balance.left].map(currencies);
    for (at, (name, limit)) in columns[0].iter().enumerate() {
        let values = columns.each_ref().map(|column| column.get(at).and_then(|(_, value)| *value));
        if values.iter().all(Option::is_none) {
            continue;
        }
        let shown = |value: Option<u64>, none: &str| match value {
            Some(value) if name == "usd" => out::usd(value),
            Some(value) => value.to_string(),
            None => none.to_owned(),
        };
        let [_, posted, pending, lent, left] = values;
        rows.push(vec![
            balance.account.clone(),
            balance.window.clone(),
            name.clone(),
            shown(*limit, "-"),
            shown(posted, "0"),
            shown(pending, "0"),
            shown(lent, "0"),
            shown(left, "-"),
            balance.until.clone(),
        ]);
    }
    rows
}

/// Every currency in one order; counts of one's own are told as they are named.
fn currencies(spend: &Spend) -> Vec<(String, Option<u64>)> {
    let fixed = [
        ("usd", spend.usd_nanos),
        ("calls", spend.calls),
        ("writes", spend.writes),
        ("irreversible", spend.irreversible),
        ("tokens", spend.tokens),
        ("tokens in", spend.tokens_in),
        ("tokens out", spend.tokens_out),
        ("cached tokens", spend.tokens_cached),
        ("seconds", spend.seconds),
        ("retries", spend.retries),
        ("human minutes", spend.human_minutes),
    ];
    fixed.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn notes(balance: &Balance) {
    let (account, window) = (&balance.account, &balance.window);
    for (name, limit) in &balance.limits.counted {
        let of = |spend: &Spend| spend.counted.get(name).copied().unwrap_or(0);
        let (spent, pending) = (of(&balance.posted), of(&balance.pending));
        out::line(format!("{account} ({window}): {name} {spent} spent, {pending} pending, of {limit}"));
    }
    if let Some(why) = &balance.paused {
        out::line(format!("{account} is paused: {why}"));
    }
    if balance.usd_nanos_per_hour > 0 {
        let rate = out::usd(balance.usd_nanos_per_hour);
        let end = match &balance.runs_out {
            Some(at) => format!("is spent by {at}"),
            None => "lasts until its end".to_owned(),
        };
        out::line(format!("{account} ({window}): {rate} an hour; at this rate it {end}"));
    }
}

pub(super) async fn top(whose: &Whose, limit: usize, once: bool) -> Result<ExitCode> {
    let client = client(whose)?;
    let live = !once && !whose.json && std::io::stdout().is_terminal();
    loop {
        let top: Top = client.get(&format!("/v1/top?limit={limit}")).await?;
        if whose.json {
            out::json(&top)?;
        } else {
            if live {
                out::line(CLEAR);
            }
            let rows = top.items.iter().map(|run| {
                let counts = [run.allowed, run.denied, run.unknown, run.under].map(|count| count.to_string());
                let mut row = vec![run.run.clone(), run.agent.clone(), run.opened.clone()];
                row.extend([out::usd(run.cost_usd_nanos), out::usd(run.usd_nanos_per_hour)]);
                row.extend(counts);
                row
            });
            let head =
                ["run", "agent", "opened", "cost", "an hour", "allowed", "denied", "unknown", "under it"];
            out::table(&head, rows.collect());
        }
        if !live {
            return Ok(ExitCode::SUCCESS);
        }
        tokio::time::sleep(REDRAW).await;
    }
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
