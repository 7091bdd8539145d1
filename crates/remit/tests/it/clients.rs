//! MCP clients that others wrote, against the binary, with a server that others wrote behind it.

use std::path::{Path, PathBuf};
use std::process::Command;

use api::people::KeyMinted;
use serde_json::{Value, json};

use crate::house::people;
use crate::install::{Install, Serve};

const AGENT: &str = "\
agent: door
owner: dana@example.com
purpose: try the door
env: prod
mode: enforce
phases: off
may:
  - { tool: modern.add, when: args.a <= 100 }
  - { tool: modern.count }
  - { tool: modern.read_resource }
";

pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// Where the clients and servers of others are; none if they are not, which is an error where they must be.
pub fn peers() -> Option<PathBuf> {
    let peers = root().join("target/peers");
    if !["node", "python", "python-old", "python-fastmcp"].iter().all(|name| peers.join(name).exists()) {
        assert!(std::env::var_os("REMIT_PEERS").is_none(), "run `cargo xtask peers`");
        eprintln!("SKIPPED: peers are missing; `cargo xtask peers` installs them");
        return None;
    }
    Some(peers)
}

/// Remit in front of the SDK's own server, and a key.
struct Desk {
    _install: Install,
    serve: Serve,
    key: String,
}

impl Desk {
    async fn up() -> Option<Desk> {
        let peers = peers()?;
        let install = Install::new("http://127.0.0.1:9");
        let (python, server) = (peers.join("python/bin/python"), root().join("tests/peers/modern.py"));
        let tools = format!(
            "server: modern\nvia: {{ stdio: {{ command: {}, args: [\"{}\"] }} }}\nenv: prod\noffers: [resources]\n\
             tools:\n  add: {{ effect: read }}\n  count: {{ effect: read }}\n  era: {{ effect: read }}\n",
            python.display(),
            server.display()
        );
        std::fs::write(install.path("tools/modern.yaml"), tools).unwrap();
        std::fs::copy(root().join("tests/peers/modern.pins.json"), install.path("tools/modern.pins.json"))
            .unwrap();
        std::fs::write(install.path("agents/door.yaml"), AGENT).unwrap();
        let serve = install.serve();
        let minted: KeyMinted =
            people(&install, &serve).post("/v1/agents/door/keys", &json!({})).await.unwrap();
        Some(Desk { _install: install, serve, key: minted.secret })
    }

    fn url(&self) -> String {
        format!("{}/mcp", self.serve.agents)
    }

    fn said(&self, command: &mut Command) -> Value {
        let output = command.output().unwrap();
        let out = String::from_utf8_lossy(&output.stdout);
        serde_json::from_str(out.trim()).unwrap_or_else(|error| {
            panic!("{error}\n{out}\n{}", String::from_utf8_lossy(&output.stderr));
        })
    }

    /// What a driver of `tests/peers/clients` printed.
    fn python(&self, python: &str, script: &str, more: &[&str]) -> Value {
        let script = root().join("tests/peers/clients").join(script);
        let python = root().join("target/peers").join(python).join("bin/python");
        self.said(Command::new(python).arg(script).args([&self.url(), &self.key]).args(more))
    }

    fn node(&self, mode: &str) -> Value {
        let script = root().join("tests/peers/clients/client.mjs");
        let modules = root().join("target/peers/node");
        self.said(Command::new("node").arg(script).arg(modules).args([&self.url(), &self.key, mode]))
    }

    fn inspector(&self, more: &[&str]) -> Value {
        let inspector = root().join("target/peers/node/node_modules/.bin/mcp-inspector");
        let header = format!("Authorization: Bearer {}", self.key);
        let mut command = Command::new(inspector);
        command.args(["--cli", &self.url(), "--transport", "http", "--header", &header]);
        self.said(command.args(more))
    }
}

/// One read, its progress, one refusal, and one tool that may not be seen.
fn check(said: &Value, version: Option<&str>) {
    assert_eq!(said["version"].as_str(), version, "{said}");
    assert_eq!(
        said["tools"],
        json!(["modern.add", "modern.count", "remit.replan", "remit.status"]),
        "{said}"
    );
    assert_eq!(said["allowed"], json!(["5", { "result": 5 }, false]), "{said}");
    assert_eq!(said["refused"][0], true, "{said}");
    let words = said["refused"][1].as_str().unwrap();
    assert!(words.contains("it would be allowed if `args.a <= 100` (agents/door.yaml:8)"), "{words}");
    assert_eq!(said["counted"][0], "counted to 3", "{said}");
    let progress: Vec<f64> = serde_json::from_value(said["counted"][1].clone()).unwrap();
    assert_eq!(progress, [1.0, 2.0, 3.0]);
    assert_eq!(said["unknown"], -32602, "{said}");
    assert_eq!(said["resource"], "a note about a", "{said}");
}

#[tokio::test]
async fn clients_of_both_eras_call_are_refused_and_hear_progress() {
    let Some(desk) = Desk::up().await else { return };
    check(&desk.python("python", "sdk.py", &["auto"]), Some("2026-07-28"));
    check(&desk.python("python", "sdk.py", &["legacy"]), Some("2025-11-25"));
    check(&desk.python("python-old", "old.py", &[]), Some("2025-11-25"));
    check(&desk.python("python-fastmcp", "fast.py", &[]), None);
    check(&desk.node("auto"), Some("2026-07-28"));
    check(&desk.node("legacy"), Some("2025-11-25"));
}

#[tokio::test]
async fn the_inspector_lists_calls_and_shows_a_refusal() {
    let Some(desk) = Desk::up().await else { return };
    let list = desk.inspector(&["--method", "tools/list"]);
    assert_eq!(list["tools"].as_array().unwrap().len(), 4, "{list}");
    let call = |a: &str| {
        let (a, b) = (format!("a={a}"), "b=3");
        let args = ["--method", "tools/call", "--tool-name", "modern.add", "--tool-arg", &a, "--tool-arg", b];
        desk.inspector(&args)
    };
    assert_eq!(call("2")["structuredContent"], json!({ "result": 5 }));
    let refused = call("200");
    assert_eq!(refused["isError"], true, "{refused}");
    assert_eq!(refused["_meta"]["dev.remit/verdict"]["code"], "no_rule_allows", "{refused}");
}
