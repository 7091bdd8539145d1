//! `remit runs`, `run`, `calls`, `tail`, `explain`, `status`: what happened, for people and for pipes.

use std::process::ExitCode;

use anyhow::Result;
use api::call::{CallPage, CallView, CallsQuery};
use api::client::encode;
use api::people::{EventPage, EventView, Status};
use api::run::{RunPage, RunShown, RunView};
use api::story::Story;
use serde_json::{Value, json};

use super::remote::{client, query};
use crate::cli::{Run, Whose};
use crate::out;

/// Without `--from`, the last so many events.
const TAIL_EVENTS: u64 = 10;

pub(super) async fn runs(
    whose: &Whose,
    agent: Option<String>,
    open: bool,
    limit: usize,
    before: Option<String>,
) -> Result<ExitCode> {
    let open = open.then(|| "true".to_owned());
    let asked = [("agent", agent), ("open", open), ("limit", Some(limit.to_string())), ("before", before)];
    let page: RunPage = client(whose)?.get(&format!("/v1/runs{}", query(&asked))).await?;
    if whose.json {
        out::json(&page)?;
    } else if page.items.is_empty() {
        out::talk("no runs yet: an agent opens one with POST /v1/runs");
    } else {
        let rows = page.items.iter().map(run_row).collect();
        out::table(&["run", "opened", "agent", "for", "ended", "allowed", "denied", "unknown", "cost"], rows);
        more(page.next.as_deref());
    }
    Ok(ExitCode::SUCCESS)
}

fn run_row(run: &RunView) -> Vec<String> {
    let ended = run.outcome.clone().unwrap_or_else(|| "open".to_owned());
    let person = run.person.clone().unwrap_or_else(|| "-".to_owned());
    let counts = [run.allowed, run.denied, run.unknown].map(|count| count.to_string());
    let mut row = vec![run.run.clone(), run.opened.clone(), run.agent.clone(), person, ended];
    row.extend(counts);
    row.push(out::usd(run.cost_usd_nanos));
    row
}

pub(super) async fn run(whose: &Whose, command: Run) -> Result<ExitCode> {
    let client = client(whose)?;
    match command {
        Run::Show { run } => {
            let shown: RunShown = client.get(&format!("/v1/runs/{}", encode(&run))).await?;
            if whose.json {
                out::json(&shown)?;
            } else {
                let head = ["run", "opened", "agent", "for", "ended", "allowed", "denied", "unknown", "cost"];
                out::table(&head, vec![run_row(&shown.run)]);
                out::line("");
                if let Some(plan) = &shown.run.plan {
                    super::plan::told(plan);
                    out::line("");
                }
                calls_table(&shown.calls);
                if let Some(older) = &shown.older {
                    out::talk(format!("older: remit calls --run {run} --before {older}"));
                }
            }
        }
        Run::Close { run, outcome, workflow } => {
            let path = format!("/v1/runs/{}/close", encode(&run));
            let body = json!({ "outcome": outcome, "workflow": workflow });
            let answer: Value = client.post(&path, &body).await?;
            if whose.json { out::json(&answer)? } else { out::line("closed") }
        }
        steer => return super::budget::steer(whose, steer).await,
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn calls(whose: &Whose, asked: &CallsQuery) -> Result<ExitCode> {
    let asked = asked.clone();
    let pairs = [
        ("run", asked.run),
        ("agent", asked.agent),
        ("tool", asked.tool),
        ("ruling", asked.ruling),
        ("outcome", asked.outcome),
        ("before", asked.before),
        ("limit", asked.limit.map(|limit| limit.to_string())),
    ];
    let page: CallPage = client(whose)?.get(&format!("/v1/calls{}", query(&pairs))).await?;
    if whose.json {
        out::json(&page)?;
    } else if page.items.is_empty() {
        out::talk("no such calls");
    } else {
        calls_table(&page.items);
        more(page.next.as_deref());
    }
    Ok(ExitCode::SUCCESS)
}

fn calls_table(calls: &[CallView]) {
    let rows = calls.iter().map(|call| {
        let why = match call.verdict.reasons.first() {
            Some(reason) => reason.code.clone(),
            None => call.verdict.rules.first().map(|rule| rule.id.clone()).unwrap_or_default(),
        };
        let ended = match (&call.outcome, call.verdict.ruling.as_str()) {
            (Some(outcome), _) => outcome.clone(),
            (None, "allow") if call.run.is_some() => "open".to_owned(),
            (None, _) => "-".to_owned(),
        };
        let (call_id, at, agent, tool) =
            (call.call.clone(), call.at.clone(), call.agent.clone(), call.tool.clone());
        vec![call_id, at, agent, tool, call.verdict.ruling.clone(), why, ended, out::usd(call.cost_usd_nanos)]
    });
    out::table(&["call", "at", "agent", "tool", "verdict", "why", "ended", "cost"], rows.collect());
}

fn more(next: Option<&str>) {
    if let Some(next) = next {
        out::talk(format!("more: --before {next}"));
    }
}

pub(super) async fn tail(whose: &Whose, follow: bool, from: Option<u64>) -> Result<ExitCode> {
    let client = client(whose)?;
    let status: Status = client.get("/v1/status").await?;
    let mut from = from.unwrap_or_else(|| status.head_index.saturating_sub(TAIL_EVENTS));
    if follow {
        let mut events = client.follow(&format!("/v1/tail?from={from}")).await?;
        while let Some(event) = events.next::<EventView>().await? {
            event_line(whose, &event)?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    loop {
        let page: EventPage = client.get(&format!("/v1/events?from={from}")).await?;
        for event in &page.items {
            event_line(whose, event)?;
        }
        match page.next {
            Some(next) if next > from && !page.items.is_empty() => from = next,
            _ => return Ok(ExitCode::SUCCESS),
        }
    }
}

/// One event a line: index, time, kind, and what tells it from others.
fn event_line(whose: &Whose, event: &EventView) -> Result<()> {
    if whose.json {
        out::line(serde_json::to_string(event)?);
        return Ok(());
    }
    let text =
        |pointer: &str| event.event.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let at = event.event.get("at").and_then(Value::as_u64).map(|ms| kernel::time::Time(ms).to_string());
    let names =
        ["run", "call", "agent", "tool", "ruling", "outcome", "scope", "key", "why", "code", "digest"];
    let told =
        names.iter().filter_map(|name| event.event.pointer(&format!("/body/{name}")).and_then(Value::as_str));
    let told: Vec<&str> = told.collect();
    let reason = text("/body/reasons/0/code");
    let line = format!(
        "{:>8}  {}  {:<16} {} {reason}",
        event.index,
        at.unwrap_or_default(),
        text("/kind"),
        told.join(" ")
    );
    out::line(out::safe(line.trim_end()));
    Ok(())
}

pub(super) async fn explain(whose: &Whose, id: &str) -> Result<ExitCode> {
    let story: Story = client(whose)?.get(&format!("/v1/explain/{}", encode(id))).await?;
    if whose.json {
        out::json(&story)?;
    } else {
        out::line(out::safe(story.text.trim_end()));
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn status(whose: &Whose) -> Result<ExitCode> {
    let status: Status = client(whose)?.get("/v1/status").await?;
    if whose.json {
        out::json(&status)?;
    } else {
        let trouble = status.trouble.clone().unwrap_or_else(|| "ready".to_owned());
        out::line(format!("{trouble}, version {}, rules {}", status.version, status.rules_digest));
        out::line(format!("{} agents, {} tools, {} rules", status.agents, status.tools, status.rules));
        out::line(format!(
            "{} events, {} calls under way, {} allowed and {} denied since the start, {} halts",
            status.head_index, status.in_flight, status.allowed, status.denied, status.halts
        ));
    }
    Ok(if status.ready { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
