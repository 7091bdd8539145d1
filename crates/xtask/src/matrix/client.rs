//! The clients: each is given a list of calls and says what it was told.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Call;
use super::world::{self, House};
use crate::repo;

pub struct Client {
    pub name: &'static str,
    by: By,
}

/// How a client is driven.
enum By {
    /// A script of `tests/matrix/clients`, in a Python environment below `target`.
    Python {
        environment: &'static str,
        script: &'static str,
    },
    Node,
    /// One process for each call.
    Inspector,
}

const fn python(name: &'static str, environment: &'static str, script: &'static str) -> Client {
    Client { name, by: By::Python { environment, script } }
}

pub const CLIENTS: [Client; 8] = [
    python("sdk", "peers/python", "sdk.py"),
    python("sdk-1x", "peers/python-old", "old.py"),
    python("fastmcp", "peers/python-fastmcp", "fast.py"),
    Client { name: "typescript", by: By::Node },
    Client { name: "inspector", by: By::Inspector },
    python("openai", "matrix/openai", "openai_agents.py"),
    python("pydantic", "matrix/pydantic", "pydantic_agent.py"),
    python("claude-code", "matrix/claude", "claude_code.py"),
];

/// What a client told of one call.
#[derive(Debug, Deserialize)]
pub struct Answer {
    /// Absent where the client does not tell.
    pub is_error: Option<bool>,
    pub text: String,
}

impl Client {
    /// Whether it uses one server under its own names, rather than all under full names. Both doors are for clients.
    fn is_narrow(&self) -> bool {
        self.name == "openai" || self.name == "pydantic"
    }

    pub fn call<'a>(
        &self,
        house: &House,
        server: &str,
        calls: impl Iterator<Item = &'a Call>,
    ) -> Result<Vec<Answer>> {
        let (url, prefix) = match self.is_narrow() {
            true => (format!("{}/mcp/{server}", house.agents), String::new()),
            false => (format!("{}/mcp", house.agents), format!("{server}.")),
        };
        let key = house.key(self.name)?;
        let calls: Vec<(String, &Value)> =
            calls.map(|call| (format!("{prefix}{}", call.tool), &call.args)).collect();
        let mut command = match &self.by {
            By::Inspector => {
                return calls.iter().map(|(tool, args)| inspect(&url, &key, tool, args)).collect();
            }
            By::Python { environment, script } => {
                let mut command = Command::new(target(environment).join("bin/python"));
                command.arg(drivers().join(script));
                command
            }
            By::Node => {
                let mut command = Command::new("node");
                command.arg(drivers().join("client.mjs")).arg(target("peers/node"));
                command
            }
        };
        let calls: Vec<Value> =
            calls.iter().map(|(tool, args)| json!({ "tool": tool, "args": args })).collect();
        command.args([&url, &key, &Value::from(calls).to_string()]);
        let said = said(command, self.name)?;
        serde_json::from_value(said).context("a client says a list of pairs")
    }
}

fn inspect(url: &str, key: &str, tool: &str, args: &Value) -> Result<Answer> {
    let mut command = Command::new(target("peers/node/node_modules/.bin/mcp-inspector"));
    let header = format!("Authorization: Bearer {key}");
    command.args(["--cli", url, "--transport", "http", "--header", &header]);
    command.args(["--method", "tools/call", "--tool-name", tool]);
    for (name, value) in args.as_object().into_iter().flatten() {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        command.args(["--tool-arg", &format!("{name}={value}")]);
    }
    let said = said(command, "inspector")?;
    let parts = said.get("content").and_then(Value::as_array).context("a result has content")?;
    let text = parts.iter().filter_map(|part| part.get("text").and_then(Value::as_str)).collect();
    let is_error = said.get("isError").and_then(Value::as_bool).unwrap_or_default();
    Ok(Answer { is_error: Some(is_error), text })
}

/// What a client printed. It may end with a failure after a refused call; what it printed counts.
fn said(mut command: Command, name: &str) -> Result<Value> {
    let log = world::folder().join(format!("{name}.log"));
    let output = command.stdin(Stdio::null()).stderr(std::fs::File::create(&log)?).output();
    let output = output.with_context(|| format!("starting {name}"))?;
    let out = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(out.trim())
        .with_context(|| format!("{name} ended with {}; see {}: {out}", output.status, repo::shown(&log)))
}

fn drivers() -> PathBuf {
    repo::root().join("tests/matrix/clients")
}

fn target(name: &str) -> PathBuf {
    repo::root().join("target").join(name)
}
