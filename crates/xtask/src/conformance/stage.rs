//! What the suite is run against: the fixture server, a real Remit in front of it, and who adds the agent's key.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::{peers, process, repo};

const FIXTURE: &str = "tests/conformance/fixture";
const START_WAIT: Duration = Duration::from_secs(30);

const HOUSE: &str = r#"policy_engine: { mode: zero_trust, evaluation: per_action, fallback: deny }
audit: { storage: append_only, schema_version: "1.0", capture_reasoning: true }
quotas: { enforcement_level: prompt, max_actions_per_prompt: 100000 }
identity: { shared_keys: disabled }
listen: { agents: "127.0.0.1:0", people: "127.0.0.1:0" }
store: { sqlite: ./data }
people:
  - { name: dana@example.com, roles: [operator] }
"#;
const AGENT: &str = r#"agent: suite
owner: dana@example.com
purpose: the conformance suite
env: prod
mode: enforce
phases: off
may:
  - tool: "fixture.*"
budget:
  per_run: { calls: 100000 }
"#;

pub fn folder() -> PathBuf {
    repo::root().join("target/conformance")
}

/// The pinned one where npm has one for this machine, else whichever there is.
pub fn node() -> PathBuf {
    let pinned = folder().join("node/node_modules/.bin/node");
    if pinned.exists() { pinned } else { PathBuf::from("node") }
}

/// What is pinned, installed, and the fixture laid beside it, where its imports are found.
pub fn install() -> Result<()> {
    let (from, to) = (repo::root().join("tests/conformance"), folder().join("node"));
    peers::npm(&from, &to)?;
    for file in repo::files(&repo::root().join(FIXTURE))? {
        let name = file.file_name().context("a file has a name")?;
        std::fs::copy(&file, to.join(name)).with_context(|| format!("copying {}", repo::shown(&file)))?;
    }
    Ok(())
}

// ---- Processes --------------------------------------------------------------------------------------------

/// A process that ends when this is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Running {
    /// Starts one that prints its URL as the first line.
    fn with_url(mut command: Command) -> Result<(Running, String)> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut running = Running(command.spawn().context("starting Node.js 22 or newer")?);
        let mut url = String::new();
        if let Some(said) = running.0.stdout.take() {
            BufReader::new(said).read_line(&mut url)?;
        }
        if url.trim().is_empty() {
            bail!("{:?} did not start", command.get_args().collect::<Vec<_>>());
        }
        Ok((running, url.trim().to_owned()))
    }
}

fn script(name: &str, argument: &str) -> Command {
    let mut command = Command::new(node());
    command.arg(folder().join("node").join(name)).arg(argument);
    command
}

/// The server that the suite passes by itself.
pub struct Fixture {
    pub url: String,
    _process: Running,
}

impl Fixture {
    pub fn start(era: &str) -> Result<Fixture> {
        let (process, url) = Running::with_url(script("server.mjs", era))?;
        Ok(Fixture { url, _process: process })
    }
}

/// The same server behind a Remit that was set up as people set one up. Dropped in this order.
pub struct Through {
    pub url: String,
    _keyed: Running,
    _remit: Running,
    _fixture: Fixture,
}

impl Through {
    pub fn start(era: &str) -> Result<Through> {
        let fixture = Fixture::start(era)?;
        let house = folder().join("house");
        let _ = std::fs::remove_dir_all(&house);
        write(&house.join("remit.yaml"), HOUSE)?;
        write(&house.join("agents/suite.yaml"), AGENT)?;
        contract(&house, &fixture.url)?;
        let (remit, agents) = serve(&house)?;
        let minted = process::read(remit_command(&house, &["agent", "key", "suite", "--json"]))?;
        let minted: Value = serde_json::from_str(&minted).context("reading the minted key")?;
        let mut keyed = script("keyed.mjs", &format!("{agents}/mcp/fixture"));
        let secret = minted.get("secret").and_then(Value::as_str).context("a minted key has a secret")?;
        keyed.env("KEY", secret);
        let (keyed, url) = Running::with_url(keyed)?;
        Ok(Through { url, _keyed: keyed, _remit: remit, _fixture: fixture })
    }
}

/// A contract for each tool that the server offers, accepted as it is described.
fn contract(house: &Path, url: &str) -> Result<()> {
    let offers = "resources, prompts, completions, elicitation, sampling, roots";
    let head = format!("server: fixture\nvia: {{ mcp: {{ url: \"{url}\" }} }}\noffers: [{offers}]\n");
    let file = house.join("tools/fixture.yaml");
    write(&file, &format!("{head}tools: {{}}\n"))?;
    let offered = process::read(remit_command(house, &["tool", "offers", "fixture", "--json"]))?;
    let offered: serde_json::Map<String, Value> = serde_json::from_str(&offered)?;
    let tools: String = offered.keys().map(|tool| format!("  {tool}: {{ effect: read }}\n")).collect();
    write(&file, &format!("{head}tools:\n{tools}"))?;
    let mut accept = remit_command(house, &["tool", "accept", "fixture", "--yes"]);
    accept.stderr(Stdio::null());
    process::read(accept).map(drop)
}

fn serve(house: &Path) -> Result<(Running, String)> {
    let log = house.join("serve.log");
    let mut command = remit_command(house, &["serve"]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(std::fs::File::create(&log)?);
    let mut remit = Running(command.spawn().context("starting remit")?);
    let until = Instant::now() + START_WAIT;
    while Instant::now() < until && remit.0.try_wait()?.is_none() {
        let said = std::fs::read_to_string(&log)?;
        let complete = said.rsplit_once('\n').map(|(lines, _)| lines).unwrap_or_default();
        if let Some(url) = complete.lines().find_map(|line| line.strip_prefix("  agents  ")) {
            return Ok((remit, url.trim().to_owned()));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    bail!("Remit did not start; see {}", repo::shown(&log))
}

fn remit_command(house: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(repo::root().join("target/debug/remit"));
    command.args(words).current_dir(house);
    command
}

fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::create_dir_all(path.parent().unwrap_or(path))?;
    std::fs::write(path, text).with_context(|| format!("writing {}", repo::shown(path)))
}
