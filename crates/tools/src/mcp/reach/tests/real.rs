//! Servers that others wrote. `cargo xtask peers` installs them; where they are not, these tests say so and end.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::*;

/// A program of a peer; none where peers are not installed and need not be.
fn peer(path: &str) -> Option<String> {
    let path = root().join("target/peers").join(path);
    if path.exists() {
        return Some(path.display().to_string());
    }
    assert!(
        std::env::var_os("REMIT_PEERS").is_none(),
        "{} is missing: run `cargo xtask peers`",
        path.display()
    );
    eprintln!("SKIPPED: {} is missing; `cargo xtask peers` installs it", path.display());
    None
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn modern() -> String {
    root().join("tests/peers/modern.py").display().to_string()
}

/// A server that listens on a port, ended with the test.
struct Listening {
    child: Child,
    port: u16,
}

impl Drop for Listening {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn listening(mut command: Command, give_port: impl FnOnce(&mut Command, u16)) -> Listening {
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
    give_port(&mut command, port);
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let listening = Listening { child, port };
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    for _ in 0..300 {
        if TcpStream::connect(address).is_ok() {
            return listening;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("the server does not listen");
}

impl Listening {
    fn place(&self) -> Value {
        json!({ "server": "fake", "url": format!("http://127.0.0.1:{}/mcp", self.port) })
    }
}

fn of(place: &Value, tool: &str, effect: Effect) -> Contract {
    Contract { timeout_ms: 30_000, ..contract(place.clone(), tool, effect) }
}

async fn ask(mcp: &Mcp, place: &Value, tool: &str, args: Value) -> Reached {
    call(mcp, &of(place, tool, Effect::Irreversible), args).await
}

fn text(reached: &Reached) -> String {
    body(reached)["content"][0]["text"].as_str().unwrap_or_default().to_owned()
}

async fn version(mcp: &Mcp) -> Version {
    mcp.catalogue().connection("fake").await.unwrap().version
}

#[tokio::test]
async fn everything_over_standard_output() {
    let Some(server) = peer("node/node_modules/.bin/mcp-server-everything") else { return };
    everything(json!({ "server": "fake", "command": server, "args": ["stdio"] })).await;
}

#[tokio::test]
async fn everything_over_http() {
    let Some(server) = peer("node/node_modules/.bin/mcp-server-everything") else { return };
    let mut command = Command::new(server);
    command.arg("streamableHttp");
    let server = listening(command, |command, port| {
        command.env("PORT", port.to_string());
    });
    everything(server.place()).await;
}

async fn everything(place: Value) {
    let mcp = mcp();
    assert_eq!(text(&ask(&mcp, &place, "echo", json!({ "message": "grüße" })).await), "Echo: grüße");
    assert_eq!(version(&mcp).await, Version::V2025_11_25);
    let structured = ask(&mcp, &place, "get-structured-content", json!({ "location": "Chicago" })).await;
    assert!(body(&structured)["structuredContent"]["temperature"].is_number(), "{structured:?}");
    let wrong = ask(&mcp, &place, "get-sum", json!({ "a": "x", "b": 2 })).await;
    assert_eq!(wrong.outcome.name(), "failed", "{wrong:?}");
    assert!(!mcp.catalogue().list("fake", Kind::Prompts).await.unwrap().items.is_empty());
    assert!(!mcp.catalogue().list("fake", Kind::Resources).await.unwrap().items.is_empty());
    assert!(!mcp.catalogue().list("fake", Kind::Templates).await.unwrap().items.is_empty());

    let contract = of(&place, "trigger-long-running-operation", Effect::Read);
    let (listener, mut words) = mpsc::channel(16);
    let args = json!({ "duration": 1, "steps": 4 });
    let order = Order { feed: Feed::new(listener), ..order(&contract, &args) };
    assert_eq!(told(&carry(&mcp, order).await), ("succeeded", ""));
    let mut heard = Vec::new();
    while let Some(word) = words.recv().await {
        if word["method"] == "notifications/progress" {
            heard.push(word["params"]["progress"].clone());
        }
    }
    assert_eq!(heard.first(), Some(&json!(1)), "{heard:?}");

    let get = place_with(&place, "prompts/get");
    let prompt = ask(&mcp, &get, "get_prompt", json!({ "name": "simple-prompt" })).await;
    assert!(body(&prompt)["messages"].is_array(), "{prompt:?}");
    mcp.close().await;
}

fn place_with(place: &Value, method: &str) -> Value {
    let mut place = place.clone();
    place["method"] = method.into();
    place
}

#[tokio::test]
async fn files_are_written_and_read_and_others_refused() {
    let Some(server) = peer("node/node_modules/.bin/mcp-server-filesystem") else { return };
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap();
    let place = json!({ "server": "fake", "command": server, "args": [root] });
    let mcp = mcp();
    let file = root.join("note.txt");
    let written = ask(&mcp, &place, "write_file", json!({ "path": file, "content": "hello" })).await;
    assert_eq!(told(&written), ("succeeded", ""), "{written:?}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "hello");
    assert_eq!(text(&ask(&mcp, &place, "read_text_file", json!({ "path": file })).await), "hello");
    let outside = ask(&mcp, &place, "read_text_file", json!({ "path": "/etc/hostname" })).await;
    assert_eq!(told(&outside), ("failed", "tool_error"));
    mcp.close().await;
}

#[tokio::test]
async fn what_is_remembered_is_found_again_by_a_new_child() {
    let Some(server) = peer("node/node_modules/.bin/mcp-server-memory") else { return };
    let folder = tempfile::tempdir().unwrap();
    let place = json!({
        "server": "fake", "command": server, "env": { "MEMORY_FILE_PATH": folder.path().join("memory.json") },
    });
    let first = mcp();
    let ada = json!({ "entities": [{ "name": "Ada", "entityType": "person", "observations": ["counts"] }] });
    assert_eq!(told(&ask(&first, &place, "create_entities", ada).await), ("succeeded", ""));
    first.close().await;
    let second = mcp();
    let graph = ask(&second, &place, "read_graph", json!({})).await;
    assert!(text(&graph).contains("Ada"), "{graph:?}");
    second.close().await;
}

#[tokio::test]
async fn a_repository_is_committed_to() {
    let Some(server) = peer("python/bin/mcp-server-git") else { return };
    let folder = tempfile::tempdir().unwrap();
    let git = |args: &[&str]| {
        let done = Command::new("git").args(args).current_dir(folder.path()).output().unwrap();
        String::from_utf8(done.stdout).unwrap()
    };
    git(&["init", "-q"]);
    git(&["config", "user.name", "Ada"]);
    git(&["config", "user.email", "ada@example.com"]);
    std::fs::write(folder.path().join("a.txt"), "a").unwrap();
    let place = json!({ "server": "fake", "command": server, "args": ["--repository", folder.path()] });
    let mcp = mcp();
    let path = folder.path();
    let add = ask(&mcp, &place, "git_add", json!({ "repo_path": path, "files": ["a.txt"] })).await;
    assert_eq!(told(&add), ("succeeded", ""), "{add:?}");
    let commit = ask(&mcp, &place, "git_commit", json!({ "repo_path": path, "message": "one" })).await;
    assert_eq!(told(&commit), ("succeeded", ""), "{commit:?}");
    assert_eq!(git(&["log", "--format=%s"]).trim(), "one");
    mcp.close().await;
}

#[tokio::test]
async fn the_time_is_told() {
    let Some(server) = peer("python/bin/mcp-server-time") else { return };
    let mcp = mcp();
    let place = json!({ "server": "fake", "command": server });
    let time = ask(&mcp, &place, "get_current_time", json!({ "timezone": "Asia/Tokyo" })).await;
    assert!(text(&time).contains("+09:00"), "{time:?}");
    mcp.close().await;
}

#[tokio::test]
async fn a_server_of_the_new_era_over_standard_output() {
    let Some(python) = peer("python/bin/python") else { return };
    of_the_new_era(json!({ "server": "fake", "command": python, "args": [modern()] })).await;
}

#[tokio::test]
async fn a_server_of_the_new_era_over_http() {
    let Some(python) = peer("python/bin/python") else { return };
    let mut command = Command::new(python);
    command.arg(modern());
    let server = listening(command, |command, port| {
        command.arg(port.to_string());
    });
    of_the_new_era(server.place()).await;
}

async fn of_the_new_era(place: Value) {
    let mcp = mcp();
    let sum = ask(&mcp, &place, "add", json!({ "a": 2, "b": 3 })).await;
    assert_eq!(body(&sum)["structuredContent"], json!({ "result": 5 }), "{sum:?}");
    assert_eq!(body(&sum)["resultType"], "complete");
    assert_eq!(version(&mcp).await, Version::V2026_07_28);
    assert_eq!(text(&ask(&mcp, &place, "era", json!({})).await), "2026-07-28");
    assert_eq!(told(&ask(&mcp, &place, "fails", json!({})).await), ("failed", "tool_error"));
    let read = ask(&mcp, &place_with(&place, "resources/read"), "read", json!({ "uri": "note://ada" })).await;
    assert_eq!(body(&read)["contents"][0]["text"], "a note about ada", "{read:?}");

    let contract = of(&place, "count", Effect::Read);
    let (listener, mut words) = mpsc::channel(16);
    let args = json!({ "to": 3 });
    let order = Order { feed: Feed::new(listener), ..order(&contract, &args) };
    assert_eq!(told(&carry(&mcp, order).await), ("succeeded", ""));
    let mut heard = 0;
    while let Some(word) = words.recv().await {
        heard += usize::from(word["method"] == "notifications/progress");
    }
    assert_eq!(heard, 3);
    mcp.close().await;
}
