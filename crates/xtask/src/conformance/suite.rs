//! One run of the suite, and what it found.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::stage;

/// A scenario that hangs is a failed one.
const SCENARIO_TIMEOUT_MS: &str = "10000";

pub struct Outcome {
    pub scenario: String,
    /// What the failed checks said, in their order.
    pub failures: Vec<String>,
    /// What the suite would rather see otherwise.
    pub warnings: Vec<String>,
}

/// Runs all that a revision requires against a server. What the suite prints stays in a file beside its results.
pub fn run(era: &str, url: &str, label: &str) -> Result<Vec<Outcome>> {
    let folder = stage::folder().join("results").join(format!("{era}-{label}"));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder)?;
    let mut suite = Command::new(stage::node());
    suite.arg(stage::folder().join("node/node_modules/@modelcontextprotocol/conformance/dist/index.js"));
    suite.args(["server", "--url", url, "--requirements", era, "--timeout", SCENARIO_TIMEOUT_MS, "-o"]);
    suite.arg(&folder).current_dir(&folder).stdin(Stdio::null());
    let log = std::fs::File::create(folder.join("suite.log"))?;
    suite.stdout(log.try_clone()?).stderr(log);
    // It fails when a scenario does, which is told by what it wrote.
    suite.status().context("starting the conformance suite")?;
    let outcomes = read(&folder)?;
    ensure!(!outcomes.is_empty(), "the suite ran nothing; see {}", folder.join("suite.log").display());
    Ok(outcomes)
}

/// One folder for each scenario: `server-NAME-TIME/checks.json`.
fn read(folder: &Path) -> Result<Vec<Outcome>> {
    let mut outcomes = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        let Some(scenario) = scenario(&name) else { continue };
        let checks = std::fs::read(path.join("checks.json")).with_context(|| format!("reading {name}"))?;
        let checks: Vec<Value> = serde_json::from_slice(&checks).with_context(|| format!("in {name}"))?;
        let with = |status| checks.iter().filter(|check| text(check, "status") == status).map(said).collect();
        let (failures, warnings) = (with("FAILURE"), with("WARNING"));
        outcomes.push(Outcome { scenario: scenario.to_owned(), failures, warnings });
    }
    outcomes.sort_by(|a, b| a.scenario.cmp(&b.scenario));
    Ok(outcomes)
}

/// `server-tools-list-2026-11-21T17-56-34-780Z` is `tools-list`.
pub fn scenario(folder: &str) -> Option<&str> {
    const TIME: &str = "-0000-00-00T00-00-00-000Z";
    let named = folder.strip_prefix("server-")?;
    named.get(..named.len().checked_sub(TIME.len())?)
}

fn said(check: &Value) -> String {
    format!("{}: {}", text(check, "id"), text(check, "errorMessage").lines().next().unwrap_or_default())
}

fn text<'c>(check: &'c Value, member: &str) -> &'c str {
    check.get(member).and_then(Value::as_str).unwrap_or_default()
}
