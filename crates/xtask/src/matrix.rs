//! `cargo xtask matrix`: MCP clients and servers that others wrote, each with each, through a real Remit.
//!
//! Who calls what is in `tests/matrix/plan.json`; the contracts and the manifest are in `tests/matrix/config`. A cell
//! passes if the read is answered, the write is seen in the world, the refused call is told by its rule and changed
//! nothing, and the ledger holds exactly these calls.

mod client;
mod world;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;
use serde_json::Value;

use crate::{peers, process, repo};
use client::{CLIENTS, Client};
use world::House;

/// Environments of the matrix's own; the others are those of `cargo xtask peers`.
const PYTHONS: [&str; 4] = ["sqlite", "openai", "pydantic", "claude"];

const LEDGER_WAIT: Duration = Duration::from_secs(5);

/// What was asked for on the command line; what is left out is all of it.
#[derive(Debug, Default, PartialEq)]
pub struct Asked {
    client: Option<String>,
    server: Option<String>,
}

impl Asked {
    pub fn read(words: &[&str]) -> Result<Asked> {
        let mut asked = Asked::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let name = words.next().with_context(|| format!("`{word}` takes a name"))?;
            match *word {
                "--client" => {
                    let known = CLIENTS.map(|client| client.name);
                    ensure!(known.contains(name), "--client takes one of {}", known.join(", "));
                    asked.client = Some((*name).to_owned());
                }
                "--server" => asked.server = Some((*name).to_owned()),
                word => anyhow::bail!("`matrix` does not take `{word}`"),
            }
        }
        Ok(asked)
    }
}

/// One call, and a piece of what its answer must say.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Call {
    tool: String,
    args: Value,
    says: String,
}

/// What is done with one server.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Plan {
    read: Call,
    write: Vec<Call>,
    refused: Call,
    /// Words that the server's world must hold at the end.
    #[serde(default)]
    present: Vec<String>,
    #[serde(default)]
    absent: Vec<String>,
}

impl Plan {
    /// All plans, as one client carries them out.
    fn all(client: &str) -> Result<BTreeMap<String, Plan>> {
        let text = std::fs::read_to_string(repo::root().join("tests/matrix/plan.json"))?;
        serde_json::from_str(&text.replace("{client}", client)).context("reading tests/matrix/plan.json")
    }

    /// The calls that must be answered, then the one that must be refused.
    fn calls(&self) -> impl Iterator<Item = &Call> {
        std::iter::once(&self.read).chain(&self.write).chain([&self.refused])
    }
}

pub fn run(asked: &Asked) -> Result<()> {
    peers::run()?;
    let (from, to) = (repo::root().join("tests/matrix"), world::folder());
    for name in PYTHONS {
        peers::python(&from.join(format!("requirements-{name}.txt")), &to.join(name))?;
    }
    process::run(process::cargo(&["build", "--quiet", "-p", "remit"]))?;
    let house = House::open()?;
    let (mut table, mut failures) = (String::new(), Vec::new());
    for client in CLIENTS.iter().filter(|client| asked.client.as_ref().is_none_or(|name| name == client.name))
    {
        let plans = Plan::all(client.name)?;
        if let Some(server) = &asked.server {
            let known: Vec<_> = plans.keys().map(String::as_str).collect();
            ensure!(plans.contains_key(server), "--server takes one of {}", known.join(", "));
        }
        for (server, plan) in
            plans.iter().filter(|(name, _)| asked.server.as_ref().is_none_or(|s| s == *name))
        {
            eprintln!("{} with {server}", client.name);
            let write = if plan.write.is_empty() { "has none" } else { "done" };
            let came = cell(&house, client, server, plan);
            let said = if came.is_ok() { "pass" } else { "FAIL" };
            table.push_str(&format!("{:<12}{server:<10}{write:<10}{said}\n", client.name));
            if let Err(error) = came {
                failures.push(format!("{} with {server}: {error:#}", client.name));
            }
        }
    }
    println!("{:<12}{:<10}{:<10}", "client", "server", "write");
    print!("{table}");
    ensure!(failures.is_empty(), "{} failed:\n  {}", failures.len(), failures.join("\n  "));
    Ok(())
}

/// One client with one server.
fn cell(house: &House, client: &Client, server: &str, plan: &Plan) -> Result<()> {
    world::prepare(house, client.name, server)?;
    let before = house.calls(client.name, server)?.len();
    let answers = client.call(house, server, plan.calls())?;
    let calls: Vec<&Call> = plan.calls().collect();
    ensure!(answers.len() == calls.len(), "{} calls, {} answers: {answers:?}", calls.len(), answers.len());
    for (at, (call, answer)) in calls.iter().zip(&answers).enumerate() {
        let is_refused = at + 1 == calls.len();
        ensure!(answer.text.contains(&call.says), "{} lacks `{}`: {}", call.tool, call.says, answer.text);
        let is_as_told = answer.is_error.is_none_or(|is_error| is_error == is_refused);
        ensure!(is_as_told, "{} came as an error or not, wrongly: {}", call.tool, answer.text);
        let has_verdict =
            answer.text.contains("no_rule_allows") || answer.text.contains("it would be allowed");
        ensure!(has_verdict == is_refused, "{} is told otherwise than decided: {}", call.tool, answer.text);
    }
    let holds = world::holds(house, server)?;
    for words in &plan.present {
        ensure!(holds.contains(words), "the world of {server} lacks `{words}`: {holds}");
    }
    for words in &plan.absent {
        ensure!(!holds.contains(words), "the refused call left `{words}` in the world of {server}");
    }
    let until = Instant::now() + LEDGER_WAIT;
    loop {
        match in_ledger(&house.calls(client.name, server)?, before, server, &calls) {
            // The view that the command reads follows the ledger.
            Err(_) if Instant::now() < until => std::thread::sleep(Duration::from_millis(100)),
            said => return said,
        }
    }
}

/// The ledger has one more row for each call: the last is denied, the others went well.
fn in_ledger(rows: &[Value], before: usize, server: &str, calls: &[&Call]) -> Result<()> {
    let new = rows.len().saturating_sub(before);
    ensure!(new == calls.len(), "the ledger has {new} calls of {}", calls.len());
    // Newest first.
    for (at, (row, call)) in rows.iter().zip(calls.iter().rev()).enumerate() {
        let says = |pointer: &str| row.pointer(pointer).and_then(Value::as_str);
        let tool = format!("{server}.{}", call.tool);
        ensure!(says("/tool") == Some(&tool), "the ledger should have {tool}: {row}");
        let (ruling, outcome) = if at == 0 { ("deny", None) } else { ("allow", Some("succeeded")) };
        let is_as_done = says("/verdict/ruling") == Some(ruling) && says("/outcome") == outcome;
        ensure!(is_as_done, "the ledger should say {ruling}, {outcome:?}: {row}");
    }
    Ok(())
}
