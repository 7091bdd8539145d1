//! `remit halt`, `remit resume`, `remit halts`: the switch, and the report of what it met.

use std::process::ExitCode;

use anyhow::{Result, bail};
use api::people::{Halt, HaltList, HaltReport};
use serde_json::Value;

use super::agent::done;
use super::remote::{client, query};
use crate::cli::{Scope, Whose};
use crate::out;

impl Scope {
    /// As the API writes it: `agent refund-desk` is `agent:refund-desk`, `effect writes` is `writes`.
    fn text(&self) -> Result<String> {
        Ok(match self.scope.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            [one] => one.strip_prefix("effect:").unwrap_or(one).to_owned(),
            ["effect", effect] => (*effect).to_owned(),
            ["all", name] => bail!("`all` is everything: it takes no name, and `{name}` is one"),
            [kind, name] => format!("{kind}:{name}"),
            _ => bail!("a scope is one word, or a kind and a name"),
        })
    }
}

pub(super) async fn halt(whose: &Whose, scope: &Scope, mut ask: Halt) -> Result<ExitCode> {
    ask.scope = scope.text()?;
    ask.env.clone_from(&scope.env);
    let report: HaltReport = client(whose)?.post("/v1/halts", &ask).await?;
    if whose.json {
        out::json(&report)?;
    } else {
        told(&report);
    }
    Ok(ExitCode::SUCCESS)
}

fn told(report: &HaltReport) {
    let until = report.until.as_ref().map(|until| format!(", until {until}")).unwrap_or_default();
    let reads = if report.reads_allowed { ", reads allowed" } else { "" };
    out::line(format!("halted {}{reads}{until}, event {}", report.scope, report.receipt.index));
    if report.in_flight == 0 {
        out::line("nothing in its scope was under way");
    } else {
        out::line(format!(
            "{} under way: {} stopped, {} finished by themselves, {} unclear",
            report.in_flight, report.stopped, report.finished, report.unclear
        ));
        let rows = report.calls.iter().map(|call| {
            let trouble = call.trouble.clone().unwrap_or_default();
            let outcome = call.outcome.clone().unwrap_or_else(|| "open".to_owned());
            let (id, run) = (call.call.clone(), call.run.clone());
            vec![call.end.clone(), id, call.tool.clone(), call.agent.clone(), run, outcome, trouble]
        });
        out::table(&["end", "call", "tool", "agent", "run", "outcome", "trouble"], rows.collect());
    }
    if report.cancelled > 0 {
        out::line(format!("nobody is asked any more about {}", several(report.cancelled)));
    }
    if report.unknown_before > 0 {
        out::line(format!("of unknown end since before the halt: {}", several(report.unknown_before)));
    }
    match report.quiet_from {
        Some(index) => out::line(format!("nothing in its scope happened from event {index} on")),
        None => {
            out::line("some of it may still happen: see what is unclear with `remit calls --outcome open`")
        }
    }
}

fn several(calls: u64) -> String {
    format!("{calls} {}", if calls == 1 { "call" } else { "calls" })
}

pub(super) async fn resume(whose: &Whose, scope: &Scope, why: &str) -> Result<ExitCode> {
    let asked = [("scope", Some(scope.text()?)), ("env", scope.env.clone()), ("why", Some(why.to_owned()))];
    let path = format!("/v1/halts{}", query(&asked));
    done(whose, client(whose)?.delete::<Value>(&path).await?, "resumed")
}

pub(super) async fn halts(whose: &Whose) -> Result<ExitCode> {
    let halts: HaltList = client(whose)?.get("/v1/halts").await?;
    if whose.json {
        out::json(&halts)?;
        return Ok(ExitCode::SUCCESS);
    }
    if halts.items.is_empty() {
        out::talk("nothing is halted");
        return Ok(ExitCode::SUCCESS);
    }
    let rows = halts.items.into_iter().map(|halt| {
        let until = halt.until.unwrap_or_else(|| "it is lifted".to_owned());
        let reads = if halt.reads_allowed { "go on" } else { "stop" };
        vec![halt.scope, halt.since, until, reads.to_owned(), halt.by, halt.why]
    });
    out::table(&["scope", "since", "until", "reads", "by", "why"], rows.collect());
    Ok(ExitCode::SUCCESS)
}
