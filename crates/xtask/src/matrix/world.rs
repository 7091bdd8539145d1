//! The real Remit of the matrix, and what its servers act on: files, a repository, a database, a graph.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::client::CLIENTS;
use crate::{process, repo};

const START_WAIT: Duration = Duration::from_secs(30);
const KEPT: &str = r#"{"type":"entity","name":"kept","entityType":"note","observations":["what was there"]}"#;
const DATABASE: &str = "import sqlite3
db = sqlite3.connect('notes.db')
db.execute('CREATE TABLE notes (words TEXT)')
db.execute(\"INSERT INTO notes VALUES ('what was there')\")
db.commit()";
const DUMP: &str = "import sqlite3; print('\\n'.join(sqlite3.connect('notes.db').iterdump()))";

pub fn folder() -> PathBuf {
    repo::root().join("target/matrix")
}

/// A Remit that was set up as people set one up. It ends when this is dropped.
pub struct House {
    path: PathBuf,
    pub agents: String,
    keys: BTreeMap<&'static str, String>,
    serve: std::process::Child,
}

impl Drop for House {
    fn drop(&mut self) {
        let _ = self.serve.kill();
        let _ = self.serve.wait();
    }
}

impl House {
    pub fn open() -> Result<House> {
        let path = folder().join("house");
        let _ = std::fs::remove_dir_all(&path);
        let from = repo::root().join("tests/matrix/config");
        for file in repo::files(&from)? {
            let to = path.join(file.strip_prefix(&from)?);
            write(&to, &std::fs::read_to_string(&file)?)?;
        }
        let pattern = path.join("agents/client.yaml");
        let manifest = std::fs::read_to_string(&pattern)?;
        for client in CLIENTS {
            let own = manifest.replacen("agent: client ", &format!("agent: {} ", client.name), 1);
            write(&path.join(format!("agents/{}.yaml", client.name)), &own)?;
        }
        std::fs::remove_file(pattern)?;
        begin(&path)?;
        for file in repo::files(&path.join("tools"))? {
            let server = file.file_stem().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
            let mut accept = remit(&path, &["tool", "accept", &server, "--yes"]);
            accept.stdout(Stdio::null()).stderr(Stdio::null());
            process::run(accept)?;
        }
        let (serve, agents) = serve(&path)?;
        let mut house = House { path, agents, keys: BTreeMap::new(), serve };
        for client in CLIENTS {
            let minted = process::read(remit(&house.path, &["agent", "key", client.name, "--json"]))?;
            let minted: Value = serde_json::from_str(&minted).context("reading the minted key")?;
            let secret = minted.get("secret").and_then(Value::as_str).context("a minted key has a secret")?;
            house.keys.insert(client.name, secret.to_owned());
        }
        Ok(house)
    }

    pub fn key(&self, client: &str) -> Result<String> {
        self.keys.get(client).cloned().with_context(|| format!("{client} has no key"))
    }

    /// What the ledger says an agent has called on a server, newest first.
    pub fn calls(&self, agent: &str, server: &str) -> Result<Vec<Value>> {
        let words = ["calls", "--agent", agent, "--limit", "100", "--json"];
        let rows: Value = serde_json::from_str(&process::read(remit(&self.path, &words))?)?;
        let rows = rows.get("items").and_then(Value::as_array).context("a page of calls has items")?;
        let prefix = format!("{server}.");
        let is_of = |row: &&Value| {
            row.get("tool").and_then(Value::as_str).is_some_and(|tool| tool.starts_with(&prefix))
        };
        Ok(rows.iter().filter(is_of).cloned().collect())
    }
}

fn serve(house: &Path) -> Result<(std::process::Child, String)> {
    let log = house.join("serve.log");
    let mut command = remit(house, &["serve"]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(std::fs::File::create(&log)?);
    let mut child = command.spawn().context("starting remit")?;
    let until = Instant::now() + START_WAIT;
    while Instant::now() < until && child.try_wait()?.is_none() {
        let said = std::fs::read_to_string(&log)?;
        let complete = said.rsplit_once('\n').map(|(lines, _)| lines).unwrap_or_default();
        if let Some(url) = complete.lines().find_map(|line| line.strip_prefix("  agents  ")) {
            return Ok((child, url.trim().to_owned()));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let _ = child.kill();
    let _ = child.wait();
    bail!("Remit did not start; see {}", repo::shown(&log))
}

fn remit(house: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(repo::root().join("target/debug/remit"));
    command.args(words).current_dir(house);
    command
}

// ---- What the servers act on ------------------------------------------------------------------------------

/// What is there before anybody calls.
fn begin(house: &Path) -> Result<()> {
    write(&house.join("files/kept.txt"), "what was there")?;
    std::fs::create_dir_all(house.join("files/open"))?;
    write(&house.join("memory.jsonl"), KEPT)?;
    process::run(script(house, DATABASE))?;
    std::fs::create_dir_all(house.join("repo"))?;
    git(house, &["init", "--quiet"])?;
    git(house, &["config", "user.name", "matrix"])?;
    git(house, &["config", "user.email", "matrix@example.com"])?;
    git(house, &["commit", "--quiet", "--allow-empty", "--message", "begun"]).map(drop)
}

/// What one client needs beside that.
pub fn prepare(house: &House, client: &str, server: &str) -> Result<()> {
    match server {
        "git" => write(&house.path.join("repo").join(format!("{client}.txt")), client),
        _ => Ok(()),
    }
}

/// What a server's world holds now, as text.
pub fn holds(house: &House, server: &str) -> Result<String> {
    match server {
        "files" => repo::files(&house.path.join("files"))?
            .iter()
            .map(|file| Ok(format!("{}: {}\n", file.display(), std::fs::read_to_string(file)?)))
            .collect(),
        "memory" => Ok(std::fs::read_to_string(house.path.join("memory.jsonl"))?),
        "git" => git(&house.path, &["log", "--stat", "--format=%s"]),
        "sqlite" => process::read(script(&house.path, DUMP)),
        _ => Ok(String::new()),
    }
}

fn git(house: &Path, words: &[&str]) -> Result<String> {
    let mut command = Command::new("git");
    command.args(words).current_dir(house.join("repo"));
    process::read(command)
}

fn script(house: &Path, text: &str) -> Command {
    let mut command = Command::new(folder().join("sqlite/bin/python"));
    command.args(["-c", text]).current_dir(house);
    command
}

fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::create_dir_all(path.parent().unwrap_or(path))?;
    std::fs::write(path, text).with_context(|| format!("writing {}", repo::shown(path)))
}
