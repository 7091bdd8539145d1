//! `remit wrap`: clients that only speak over standard input and output, before the one Remit of a data folder.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};
use serde_json::{Value, json};

use crate::house::House;
use crate::install::{BINARY, Install, Said};
use crate::toolserver::{SILENT, ToolServer};

const MODERN: &str = "2026-07-28";

/// A wrapped client's other end.
struct Wrapped {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Wrapped {
    fn start(install: &Install, args: &[&str]) -> Wrapped {
        let args = [&["wrap", "--agent", "refund-desk"], args].concat();
        let mut command = install.command(&args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let (input, output) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        Wrapped { child, input, output }
    }

    fn say(&mut self, message: &Value) {
        writeln!(self.input.as_mut().unwrap(), "{message}").unwrap();
    }

    /// The next message that is an answer.
    fn hear(&mut self) -> Value {
        loop {
            let mut line = String::new();
            assert_ne!(self.output.read_line(&mut line).unwrap(), 0, "it has ended");
            let message: Value = serde_json::from_str(&line).expect("nothing but the protocol is on stdout");
            assert_eq!(message["jsonrpc"], "2.0");
            if message.get("id").is_some() {
                return message;
            }
        }
    }

    fn ask(&mut self, id: u64, method: &str, params: Value) -> Value {
        self.say(&request(id, method, params));
        let answer = self.hear();
        assert_eq!(answer["id"], id, "{answer}");
        answer
    }

    fn begin(&mut self) {
        let answer = self.ask(0, "initialize", initialize());
        assert_eq!(answer["result"]["protocolVersion"], "2025-11-25", "{answer}");
        self.say(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
    }

    fn signal(&self, signal: Signal) {
        rustix::process::kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    fn ended(&mut self) -> ExitStatus {
        let since = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(since.elapsed() < Duration::from_secs(20), "it lives on");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn hang_up(&mut self) -> ExitStatus {
        self.input = None;
        self.ended()
    }
}

impl Drop for Wrapped {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn request(id: u64, method: &str, params: Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })
}

fn initialize() -> Value {
    json!({ "protocolVersion": "2025-11-25", "capabilities": {},
        "clientInfo": { "name": "test", "version": "1" } })
}

/// Parameters of a request that stands alone.
fn alone(mut params: Value) -> Value {
    params["_meta"] = json!({ "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": { "name": "test", "version": "1" } });
    params
}

fn ticket(id: &str) -> Value {
    json!({ "name": "lookup_ticket", "arguments": { "ticket_id": id } })
}

fn keys(install: &Install) -> Vec<Value> {
    install.remit(&["agent", "keys", "--json"]).ok().json()["items"].as_array().unwrap().clone()
}

/// The calls, newest first, once they are as they must become.
fn calls(install: &Install, are_so: impl Fn(&[Value]) -> bool) -> Vec<Value> {
    let since = Instant::now();
    loop {
        let calls = install.remit(&["calls", "--json"]).ok().json()["items"].as_array().unwrap().clone();
        if are_so(&calls) {
            return calls;
        }
        assert!(since.elapsed() < Duration::from_secs(10), "{calls:#?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Processes by their id and command line.
fn processes(of: impl Fn(u32, &[String]) -> bool) -> Vec<u32> {
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    let ids = all.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    ids.filter(|id| {
        let words = std::fs::read_to_string(format!("/proc/{id}/cmdline")).unwrap_or_default();
        let words: Vec<String> = words.split('\0').map(str::to_owned).collect();
        of(*id, &words)
    })
    .collect()
}

fn children(of: u32) -> Vec<u32> {
    let parent = format!("PPid:\t{of}");
    processes(|id, _| {
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
        status.lines().any(|line| line == parent)
    })
}

fn background(install: &Install) -> Vec<u32> {
    let data = install.data().display().to_string();
    processes(|_, words| words.iter().any(|word| word == "serve") && words.contains(&data))
}

/// Ends what a wrapped client has started, with the test.
struct Background<'i>(&'i Install);

impl Drop for Background<'_> {
    fn drop(&mut self) {
        for id in background(self.0) {
            let pid = Pid::from_raw(i32::try_from(id).unwrap()).unwrap();
            let _ = rustix::process::kill_process(pid, Signal::TERM);
        }
        let since = Instant::now();
        while !background(self.0).is_empty() && since.elapsed() < Duration::from_secs(20) {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_eras_read_and_are_refused_each_in_a_run_of_its_own() {
    let house = House::up().await;
    let mut legacy = Wrapped::start(&house.install, &["--server", "desk"]);
    legacy.begin();
    let read = legacy.ask(1, "tools/call", ticket("t-1"));
    assert!(read.get("result").is_some() && read["result"]["isError"] != true, "{read}");
    let huge = json!({ "name": "refund_charge",
        "arguments": { "charge_id": "ch_1", "amount_cents": 900_000, "currency": "eur" } });
    let refused = legacy.ask(2, "tools/call", huge.clone());
    assert_eq!(refused["result"]["isError"], true, "{refused}");

    let mut modern = Wrapped::start(&house.install, &["--server", "desk"]);
    let listed = modern.ask(1, "tools/list", alone(json!({})));
    assert!(listed["result"]["tools"].as_array().unwrap().len() >= 2, "{listed}");
    let read = modern.ask(2, "tools/call", alone(ticket("t-2")));
    assert_eq!(read["result"]["resultType"], "complete", "{read}");
    let refused = modern.ask(3, "tools/call", alone(huge));
    assert_eq!(refused["result"]["isError"], true, "{refused}");

    let calls = calls(&house.install, |calls| calls.len() == 4);
    let mut runs: Vec<String> = calls.iter().map(|call| call["run"].to_string()).collect();
    runs.sort();
    runs.dedup();
    assert_eq!(runs.len(), 2, "{calls:#?}");
    assert_eq!(house.tools.deeds().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_waits_for_nothing_is_answered_before_it_ends() {
    let house = House::up().await;
    let mut wrapped = Wrapped::start(&house.install, &[]);
    wrapped.say(&request(0, "initialize", initialize()));
    wrapped.say(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
    wrapped.say(&request(1, "tools/list", json!({})));
    let call = json!({ "name": "desk.lookup_ticket", "arguments": { "ticket_id": "t-1" } });
    wrapped.say(&request(2, "tools/call", call));
    wrapped.input = None;
    let mut answers: Vec<Value> = (0..3).map(|_| wrapped.hear()).collect();
    answers.sort_by_key(|answer| answer["id"].as_u64());
    assert!(answers.iter().all(|answer| answer.get("result").is_some()), "{answers:#?}");
    assert_eq!(answers[1]["result"]["tools"][0]["name"].as_str().unwrap().split('.').next(), Some("desk"));
    assert!(wrapped.ended().success());
    assert_eq!(keys(&house.install).len(), 1, "only that of the house");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_of_a_request_that_stands_alone_reaches_its_call() {
    let house = House::up().await;
    let mut wrapped = Wrapped::start(&house.install, &["--server", "desk"]);
    let refund = json!({ "name": "refund_charge",
        "arguments": { "charge_id": SILENT, "amount_cents": 5, "currency": "eur" } });
    wrapped.say(&request(7, "tools/call", alone(refund)));
    house.tools.reached(1).await;
    wrapped
        .say(&json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": 7 } }));
    let listed = wrapped.ask(8, "tools/list", alone(json!({})));
    assert!(listed.get("result").is_some(), "{listed}");
    calls(&house.install, |calls| calls.iter().any(|call| call["outcome"] == "unknown"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_argument_that_its_tool_wants_in_a_header_is_repeated_there_also_after_a_change() {
    let mut house = House::up().await;
    let mut before = Wrapped::start(&house.install, &["--server", "desk"]);
    assert!(before.ask(1, "tools/call", alone(ticket("t-1"))).get("result").is_some());
    let marked = "ticket_id: { type: string, x-mcp-header: Ticket }";
    house.install.edit("tools/desk.yaml", "ticket_id: { type: string }", marked);
    house.serve.said("reloaded");
    let mut after = Wrapped::start(&house.install, &["--server", "desk"]);
    for id in 2..5 {
        let wrapped = if id < 4 { &mut before } else { &mut after };
        let read = wrapped.ask(id, "tools/call", alone(ticket("t-2")));
        assert!(read.get("result").is_some(), "{read}");
    }
    let mut all = Wrapped::start(&house.install, &[]);
    let full = json!({ "name": "desk.lookup_ticket", "arguments": { "ticket_id": "Zoë" } });
    assert!(all.ask(5, "tools/call", alone(full)).get("result").is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_that_start_at_once_start_one_remit() {
    let tools = ToolServer::start().await;
    let install = Install::new(&tools.url());
    let _background = Background(&install);
    let mut both = [Wrapped::start(&install, &["--server", "desk"]), Wrapped::start(&install, &[])];
    for wrapped in &mut both {
        wrapped.begin();
        assert!(wrapped.ask(1, "tools/list", json!({})).get("result").is_some());
    }
    let running = background(&install);
    assert_eq!(running.len(), 1, "{running:?}");
    let pid = Pid::from_raw(i32::try_from(running[0]).unwrap()).unwrap();
    assert_eq!(rustix::process::getsid(Some(pid)).unwrap(), pid, "a session of its own");
    assert_eq!(keys(&install).len(), 2);
    crate::start::only_for_its_owner(&install.data());
    for wrapped in &mut both {
        assert!(wrapped.hang_up().success());
    }
    assert_eq!(keys(&install), Vec::<Value>::new());
    assert_eq!(background(&install), running, "it outlives those who started it");
}

#[test]
fn why_a_remit_cannot_be_started_is_said() {
    let install = Install::new("http://127.0.0.1:9");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    install.edit("remit.yaml", "agents: \"127.0.0.1:0\"", &format!("agents: \"127.0.0.1:{port}\""));
    let said = install.remit(&["wrap", "--agent", "refund-desk"]).fails();
    said.holds(&["Remit did not start", &format!("127.0.0.1:{port} cannot be listened on"), "remit serve"]);
    assert_eq!(said.out, "", "nothing but the protocol is on stdout");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signal_ends_it_with_its_key_revoked_and_nothing_left_behind() {
    let house = House::up().await;
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let mut wrapped = Wrapped::start(&house.install, &["--server", "desk"]);
        wrapped.begin();
        let refund = json!({ "name": "refund_charge",
            "arguments": { "charge_id": SILENT, "amount_cents": 5, "currency": "eur" } });
        wrapped.say(&request(1, "tools/call", refund));
        assert_eq!(keys(&house.install).len(), 2);
        assert_eq!(children(wrapped.child.id()), Vec::<u32>::new());
        wrapped.signal(signal);
        assert!(wrapped.ended().success());
        assert_eq!(keys(&house.install).len(), 1, "only that of the house");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_remit_that_is_gone_is_told_of_and_one_that_comes_again_is_found() {
    let mut house = House::up().await;
    let mut wrapped = Wrapped::start(&house.install, &["--server", "desk"]);
    wrapped.begin();
    house.serve.signal(Signal::KILL);
    house.serve.ended();
    let told = wrapped.ask(1, "tools/call", ticket("t-1"));
    let words = told["error"]["message"].as_str().unwrap();
    let config = house.install.path("remit.yaml").display().to_string();
    assert!(words.contains("nothing was called"), "{words}");
    assert!(words.contains(&format!("remit serve --config {config} --data ")), "{words}");
    // On other ports, and without the session.
    house.serve = house.install.serve();
    let read = wrapped.ask(2, "tools/call", ticket("t-2"));
    assert!(read.get("result").is_some(), "{read}");
    assert_eq!(house.tools.deeds().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_a_person_revokes_is_not_replaced() {
    let house = House::up().await;
    let before = keys(&house.install);
    let mut wrapped = Wrapped::start(&house.install, &["--server", "desk"]);
    wrapped.begin();
    let now = keys(&house.install);
    let own = now.iter().find(|key| !before.contains(key)).unwrap()["key"].as_str().unwrap();
    house.install.remit(&["agent", "revoke", own, "--why", "enough"]).ok();
    for id in 1..3 {
        let told = wrapped.ask(id, "tools/call", ticket("t-1"));
        assert!(told["error"]["message"].as_str().unwrap().contains("key_refused"), "{told}");
    }
    assert_eq!((house.tools.deeds().len(), keys(&house.install)), (0, before));
}

#[test]
fn a_remit_in_the_background_ends_when_nobody_needs_it() {
    let install = Install::new("http://127.0.0.1:9");
    let _background = Background(&install);
    let data = install.data().display().to_string();
    let serve = ["serve", "--data", &data, "--idle-exit", "2s"];
    let mut child = install.command(&serve).stderr(Stdio::null()).spawn().unwrap();
    while !install.data().join("address").exists() {
        std::thread::sleep(Duration::from_millis(5));
    }
    let mut wrapped = Wrapped::start(&install, &[]);
    wrapped.begin();
    std::thread::sleep(Duration::from_secs(4));
    assert!(child.try_wait().unwrap().is_none(), "a client lives");
    assert!(wrapped.ask(1, "ping", json!({})).get("result").is_some());
    assert!(wrapped.hang_up().success());
    let since = Instant::now();
    while child.try_wait().unwrap().is_none() {
        assert!(since.elapsed() < Duration::from_secs(20), "it lives on");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_command_that_no_contract_names_is_refused_with_the_contract_to_write() {
    let install = Install::new("http://127.0.0.1:9");
    let _background = Background(&install);
    let command = ["wrap", "--agent", "refund-desk", "--", "notes-mcp", "--in", "a \"b\""];
    let said = install.remit(&command).fails();
    said.holds(&["no server of", "is started by `notes-mcp --in a \"b\"`", "tools/NAME.yaml"]);
    assert!(!install.data().exists(), "nothing was started");
    // What it says to write is what makes it pass.
    let written: Vec<&str> =
        said.err.lines().skip_while(|line| !line.starts_with("  server:")).take(3).collect();
    let contract = written.iter().map(|line| line.trim_start_matches("  ")).collect::<Vec<_>>().join("\n");
    std::fs::write(install.path("tools/notes.yaml"), contract.replace("NAME", "notes")).unwrap();
    let other = ["wrap", "--agent", "refund-desk", "--", "notes-mcp", "--in", "a b"];
    install.remit(&other).fails().holds(&["There are:", "notes: `notes-mcp --in a \"b\"`", "desk: HTTP"]);
    let named = ["wrap", "--agent", "refund-desk", "--server", "notes", "--", "notes-mcp"];
    install.remit(&named).fails().holds(&["`notes` is not started by `notes-mcp`", "but by `notes-mcp --in"]);
    install
        .remit(&["wrap", "--agent", "refund-desk", "--server", "noted"])
        .fails()
        .holds(&["is called `noted`", "notes: "]);
    let mut wrapped = Wrapped::start(&install, &command[3..]);
    let told = wrapped.ask(0, "initialize", initialize());
    assert!(told["error"]["message"].as_str().unwrap().contains("there is no server `notes`"), "{told}");
}

#[test]
fn an_agent_that_does_not_exist_is_refused_at_once() {
    let install = Install::new("http://127.0.0.1:9");
    let serve = install.serve();
    let said = install.remit(&["wrap", "--agent", "nobody"]).fails();
    said.holds(&["no key could be minted for the agent `nobody`"]);
    install
        .remit(&["wrap", "--agent", "refund-desk", "--url", "http://127.0.0.1:1"])
        .fails()
        .holds(&["--data"]);
    serve.stop();
}

// ---- Clients and servers that others wrote ----------------------------------------------------------------

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// A server that others wrote, behind a Remit that nobody has started, and its command; none without peers.
fn modern() -> Option<(Install, [String; 2])> {
    let peers = root().join("target/peers");
    if !["node", "python"].iter().all(|name| peers.join(name).exists()) {
        assert!(std::env::var_os("REMIT_PEERS").is_none(), "run `cargo xtask peers`");
        return None;
    }
    let python = peers.join("python/bin/python").display().to_string();
    let server = root().join("tests/peers/modern.py").display().to_string();
    let install = Install::new("http://127.0.0.1:9");
    let contract = format!(
        "server: modern\nvia: {{ stdio: {{ command: \"{python}\", args: [\"{server}\"] }} }}\n\
tools:\n  add: {{ effect: read }}\n  count: {{ effect: read }}\n  fails: {{ effect: read }}\n"
    );
    std::fs::write(install.path("tools/modern.yaml"), contract).unwrap();
    let may = "  - tool: modern.add\n    when: args.a < 100\n  - tool: modern.count\n";
    install.edit("agents/refund-desk.yaml", "may:\n", &format!("may:\n{may}"));
    install.remit(&["tool", "accept", "modern", "--yes"]).ok();
    Some((install, [python, server]))
}

/// What `remit` is started with, as a client's configuration has it.
fn words(install: &Install, server: &[String; 2]) -> Vec<String> {
    let config = install.path("remit.yaml").display().to_string();
    let own = ["--config", &config, "wrap", "--agent", "refund-desk", "--"];
    own.into_iter().map(str::to_owned).chain(server.iter().cloned()).collect()
}

#[test]
fn a_client_that_others_wrote_reads_and_is_refused_before_a_server_that_others_wrote() {
    let Some((install, server)) = modern() else { return };
    let _background = Background(&install);
    for (mode, version) in [("legacy", "2025-11-25"), ("auto", MODERN)] {
        let mut client = Command::new(&server[0]);
        client.arg(root().join("tests/peers/clients/wrapped.py")).args([mode, BINARY]);
        client.args(words(&install, &server)).env_remove("REMIT_DATA").env_remove("REMIT_URL");
        let saw = Said::of(&client.output().unwrap()).ok().json();
        assert_eq!(saw["version"], version);
        assert_eq!(
            saw["tools"],
            json!(["add", "count", "remit.replan", "remit.status"]),
            "what it may never do does not exist for it"
        );
        assert_eq!(saw["sums"], json!([0, 2, 4, 6, 8, 10, 12, 14]));
        assert_eq!((&saw["counted"], &saw["progress"]), (&json!("counted to 3"), &json!([1.0, 2.0, 3.0])));
        let refusal = saw["refused"][1].as_str().unwrap();
        assert!(saw["refused"][0] == true && refusal.contains("Remit refused this call"), "{saw}");
    }
    assert_eq!(keys(&install), Vec::<Value>::new());
}

#[test]
fn the_inspector_starts_it_from_a_file_of_servers() {
    let Some((install, server)) = modern() else { return };
    let _background = Background(&install);
    let file = install.path("mcp.json");
    let servers =
        json!({ "mcpServers": { "modern": { "command": BINARY, "args": words(&install, &server) } } });
    std::fs::write(&file, servers.to_string()).unwrap();
    let inspector = |more: &[&str]| {
        let mut command = Command::new(root().join("target/peers/node/node_modules/.bin/mcp-inspector"));
        command.arg("--cli").arg("--config").arg(&file).args(["--server", "modern", "--method"]).args(more);
        Said::of(&command.output().unwrap()).json()
    };
    let list = inspector(&["tools/list"]);
    assert_eq!(list["tools"].as_array().unwrap().len(), 4, "{list}");
    let add =
        |a: &str| inspector(&["tools/call", "--tool-name", "add", "--tool-arg", a, "--tool-arg", "b=3"]);
    assert_eq!(add("a=2")["structuredContent"], json!({ "result": 5 }));
    let refused = add("a=200");
    assert_eq!(refused["_meta"]["dev.remit/verdict"]["code"], "no_rule_allows", "{refused}");
}
