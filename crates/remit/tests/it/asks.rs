//! Calls that wait for people, made by MCP clients that others wrote, of both eras, against the binary.

use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use api::client::Client;
use api::inbox::{AnswerCall, AnswerTaken, Inbox, InboxItem};
use api::people::KeyMinted;
use serde_json::{Value, json};

use crate::clients::{peers, root};
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
  - { tool: modern.add, when: args.a <= 100, ask: finance }
";
const LEE: &str = "lee@example.com";

const PLANNER: &str = "\
agent: door
owner: dana@example.com
purpose: try the door
env: prod
mode: enforce
phases: on
may:
  - { tool: modern.* }
";
/// The last step waits so long that a client hears of the first one meanwhile.
const DELAYED: &str = "\
tools:
  add: { effect: reversible, undo: { tool: modern.add, args: { a: \"{args.a}\", b: \"{args.b}\" } } }
  era: { effect: irreversible, delay: 2s }
";

/// Remit in front of the SDK's own server, whose tool is asked for.
struct Desk {
    install: Install,
    serve: Serve,
    people: Client,
    key: String,
}

impl Desk {
    /// `hold` is how long a client is held.
    async fn up(hold: &str) -> Option<Desk> {
        let tools = "tools:\n  add: { effect: reversible, limits: { timeout: 60s } }\n";
        Desk::of(hold, AGENT, tools).await
    }

    async fn of(hold: &str, agent: &str, tools: &str) -> Option<Desk> {
        let peers = peers()?;
        let install = Install::new("http://127.0.0.1:9");
        let (python, server) = (peers.join("python/bin/python"), root().join("tests/peers/modern.py"));
        let tools = format!(
            "server: modern\nvia: {{ stdio: {{ command: {}, args: [\"{}\"] }} }}\nenv: prod\n{tools}",
            python.display(),
            server.display()
        );
        std::fs::write(install.path("tools/modern.yaml"), tools).unwrap();
        std::fs::copy(root().join("tests/peers/modern.pins.json"), install.path("tools/modern.pins.json"))
            .unwrap();
        std::fs::write(install.path("agents/door.yaml"), agent).unwrap();
        install.edit("remit.yaml", "store:", &format!("approvals: {{ hold: {hold} }}\nstore:"));
        let serve = install.serve();
        let people = people(&install, &serve);
        let minted: KeyMinted = people.post("/v1/agents/door/keys", &json!({})).await.unwrap();
        Some(Desk { install, serve, people, key: minted.secret })
    }

    fn client(&self, words: &[&str]) -> Started {
        let clients = root().join("tests/peers/clients");
        let (script, more) = words.split_first().unwrap();
        let (mut command, url) = match *script {
            "asks.mjs" => {
                (Command::new("node"), vec![root().join("target/peers/node").display().to_string()])
            }
            "asks_old.py" => (Command::new(root().join("target/peers/python-old/bin/python")), Vec::new()),
            _ => (Command::new(root().join("target/peers/python/bin/python")), Vec::new()),
        };
        command.arg(clients.join(script)).args(url);
        command.args([&format!("{}/mcp", self.serve.agents), &self.key]).args(more);
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        Started(child.unwrap())
    }

    /// What waits, once something does.
    async fn waiting(&self) -> InboxItem {
        let since = Instant::now();
        loop {
            let inbox: Inbox = self.people.get("/v1/inbox").await.unwrap();
            if let Some(item) = inbox.items.into_iter().next() {
                return item;
            }
            assert!(since.elapsed() < Duration::from_secs(30), "nothing waits");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn answer(&self, yes: bool, words: &str) -> AnswerTaken {
        let item = self.waiting().await;
        let path = format!("/v1/inbox/{}/answer", item.call);
        let (words, person) = (Some(words.to_owned()), Some(LEE.to_owned()));
        let answer = AnswerCall { yes, bound: item.bound, words, person, ..AnswerCall::default() };
        self.people.post(&path, &answer).await.unwrap()
    }

    async fn is_empty(&self) -> bool {
        let inbox: Inbox = self.people.get("/v1/inbox").await.unwrap();
        inbox.items.is_empty()
    }
}

struct Started(Child);

impl Started {
    fn said(self) -> Value {
        let Output { stdout, stderr, .. } = self.0.wait_with_output().unwrap();
        let out = String::from_utf8_lossy(&stdout);
        serde_json::from_str(out.trim())
            .unwrap_or_else(|error| panic!("{error}\n{out}\n{}", String::from_utf8_lossy(&stderr)))
    }
}

#[tokio::test]
async fn a_client_of_2026_waits_by_a_sealed_state_and_is_restarted_as_remit_is() {
    let Some(mut desk) = Desk::up("1s").await else { return };
    let first = desk.client(&["asks.py", "manual", "7"]).said();
    assert_eq!(first["version"], "2026-07-28", "{first}");
    let ticket = desk.waiting().await.call;
    let params = &first["wanted"]["approval"]["params"];
    assert_eq!(
        (&params["mode"], &params["url"]),
        (&json!("url"), &json!(format!("{}/inbox/{ticket}", desk.serve.people)))
    );
    assert_eq!(first["waiting"], json!([ticket]), "{first}");
    let state = first["state"].as_str().unwrap().to_owned();
    assert!(state.starts_with("tk_") && !state.contains(&ticket[5..]), "{state}");
    // Nobody has answered: it comes back, is held, and is told to come again.
    let second = desk.client(&["asks.py", "manual", "7", &state]).said();
    assert_eq!((&second["wanted"], second["state"].is_string()), (&json!({}), true), "{second}");
    let other = desk.client(&["asks.py", "manual", "8", &state]).0.wait_with_output().unwrap();
    assert!(!other.status.success(), "a state is good for one request");
    drop(desk.serve);
    desk.serve = desk.install.serve();
    desk.people = people(&desk.install, &desk.serve);
    let third = desk.client(&["asks.py", "manual", "7", &state]).said();
    assert_eq!((&third["wanted"], &third["waiting"]), (&json!({}), &json!([ticket])), "{third}");
    assert_eq!(desk.answer(true, "go on").await.state, "released");
    let last = desk.client(&["asks.py", "manual", "7", third["state"].as_str().unwrap()]).said();
    assert_eq!((&last["error"], &last["structured"]), (&json!(false), &json!({ "result": 8 })), "{last}");
    assert_eq!(last["meta"]["dev.remit/approval"]["by"], json!([LEE]));
    assert!(last["text"].as_str().unwrap().contains("go on"), "{last}");
    assert_eq!(last["waiting"], json!([]));

    let denied = desk.client(&["asks.py", "manual", "9"]).said();
    assert_eq!(desk.answer(false, "nine is too much").await.state, "denied");
    let told = desk.client(&["asks.py", "manual", "9", denied["state"].as_str().unwrap()]).said();
    assert_eq!(told["error"], true, "{told}");
    let text = told["text"].as_str().unwrap();
    assert!(text.contains("approval_denied") && text.contains("nine is too much"), "{text}");
    assert!(desk.is_empty().await);
}

#[tokio::test]
async fn clients_that_are_held_wait_get_and_are_denied_an_approval() {
    let Some(desk) = Desk::up("20s").await else { return };
    for (words, version) in [
        (&["asks.mjs", "auto", "1"][..], "2026-07-28"),
        (&["asks.mjs", "legacy", "2"], "2025-11-25"),
        (&["asks.py", "sent", "3"], "2025-11-25"),
        (&["asks.py", "legacy", "4"], "2025-11-25"),
        (&["asks_old.py", "5"], "2025-11-25"),
    ] {
        for yes in [true, false] {
            let client = desk.client(words);
            let ticket = desk.waiting().await.call;
            // Long enough to be sent somewhere, or to hear that it still waits.
            tokio::time::sleep(Duration::from_millis(if words[0] == "asks_old.py" { 5_500 } else { 700 }))
                .await;
            desk.answer(yes, "a word").await;
            let said = client.said();
            assert_eq!(
                (&said["version"], &said["error"]),
                (&json!(version), &json!(!yes)),
                "{words:?} {said}"
            );
            assert!(said["text"].as_str().unwrap().contains("a word"), "{words:?} {said}");
            match words[0] {
                "asks_old.py" => assert!(said["progress"][0].as_str().unwrap().contains("finance"), "{said}"),
                _ if words[1] == "legacy" && words[0] == "asks.py" => assert_eq!(said["sent"], json!([])),
                _ => assert!(said["sent"][0]["url"].as_str().unwrap().ends_with(&ticket), "{words:?} {said}"),
            }
        }
    }
}

#[tokio::test]
async fn a_client_that_is_held_no_longer_is_told_the_ticket_and_asks_again() {
    let Some(desk) = Desk::up("1s").await else { return };
    let first = desk.client(&["asks.py", "legacy", "7"]).said();
    let ticket = desk.waiting().await.call;
    let text = first["text"].as_str().unwrap();
    assert!(text.starts_with("Pending") && text.contains(&ticket), "{text}");
    assert_eq!((&first["error"], &first["waiting"]), (&json!(true), &json!([ticket])), "{first}");
    assert_eq!(desk.answer(true, "go on").await.state, "released");
    let second = desk.client(&["asks.py", "legacy", "7"]).said();
    assert_eq!(second["structured"], json!({ "result": 8 }), "{second}");
    assert!(desk.is_empty().await, "the same call asks nobody anew");
}

/// A commit may take long: clients of both eras hear how far it is before it is answered.
#[tokio::test]
async fn clients_hear_how_far_a_commit_is() {
    let Some(desk) = Desk::of("1s", PLANNER, DELAYED).await else { return };
    for (mode, version) in [("auto", "2026-07-28"), ("legacy", "2025-11-25")] {
        let said = desk.client(&["commits.py", mode]).said();
        assert_eq!(
            (&said["version"], &said["planned"], &said["stage"], &said["plan"]),
            (&json!(version), &json!("allow"), &json!("committed"), &json!("committed")),
            "{said}"
        );
        assert_eq!(said["progress"], json!([[1.0, 2.0, "1 of 2 steps stand"]]), "{said}");
    }
}
