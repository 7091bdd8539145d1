//! Calls that wait for people, made by MCP clients that others wrote, of both eras, against the binary.

use std::collections::BTreeMap;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use api::client::Client;
use api::inbox::{AnswerCall, AnswerTaken, Inbox, InboxItem, InboxShown};
use api::people::KeyMinted;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

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
/// The same, and people are asked about the first step.
const ASKED: &str = "\
agent: door
owner: dana@example.com
purpose: try the door
env: prod
mode: enforce
phases: on
may:
  - { tool: modern.add, ask: finance }
  - { tool: modern.era }
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
        self.client_at(&self.serve.agents, words)
    }

    fn client_at(&self, agents: &str, words: &[&str]) -> Started {
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
        command.args([&format!("{agents}/mcp"), &self.key]).args(more);
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

    /// The tickets of so many calls, by the number that each asks for.
    async fn all_waiting(&self, count: usize) -> BTreeMap<u64, String> {
        let since = Instant::now();
        loop {
            let inbox: Inbox = self.people.get("/v1/inbox").await.unwrap();
            if inbox.items.len() == count {
                let mut tickets = BTreeMap::new();
                for item in inbox.items {
                    let path = format!("/v1/inbox/{}", item.call);
                    let shown: InboxShown = self.people.get(&path).await.unwrap();
                    tickets.insert(shown.args.unwrap()["a"].as_u64().unwrap(), item.call);
                }
                return tickets;
            }
            assert!(since.elapsed() < Duration::from_secs(40), "{} of {count} wait", inbox.items.len());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn answer(&self, yes: bool, words: &str) -> AnswerTaken {
        let ticket = self.waiting().await.call;
        self.answer_one(&ticket, yes, words).await
    }

    async fn answer_one(&self, ticket: &str, yes: bool, words: &str) -> AnswerTaken {
        let shown: InboxShown = self.people.get(&format!("/v1/inbox/{ticket}")).await.unwrap();
        let (words, person) = (Some(words.to_owned()), Some(LEE.to_owned()));
        let answer = AnswerCall { yes, bound: shown.item.bound, words, person, ..AnswerCall::default() };
        self.people.post(&format!("/v1/inbox/{ticket}/answer"), &answer).await.unwrap()
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
    // Nobody has answered: it comes back, is held, and is told to come again. Meanwhile somebody tries its state.
    let second = desk.client(&["asks.py", "manual", "7", &state]);
    let other = desk.client(&["asks.py", "manual", "8", &state]).0.wait_with_output().unwrap();
    let second = second.said();
    assert_eq!((&second["wanted"], second["state"].is_string()), (&json!({}), true), "{second}");
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

/// A client that is held: its script and mode, the version that it comes to agree on, and how it learns that it waits.
struct Held {
    words: &'static [&'static str],
    version: &'static str,
    hears: Hears,
}

enum Hears {
    /// It is sent to the page.
    Sent,
    /// It can be sent nowhere, and is told who is asked.
    Progress,
    /// It hears nothing, and waits.
    Nothing,
}

const HELD: [Held; 5] = [
    Held { words: &["asks.mjs", "auto"], version: "2026-07-28", hears: Hears::Sent },
    Held { words: &["asks.mjs", "legacy"], version: "2025-11-25", hears: Hears::Sent },
    Held { words: &["asks.py", "sent"], version: "2025-11-25", hears: Hears::Sent },
    Held { words: &["asks.py", "legacy"], version: "2025-11-25", hears: Hears::Nothing },
    Held { words: &["asks_old.py"], version: "2025-11-25", hears: Hears::Progress },
];

/// All at once, each with a number of its own: what takes long is to start them, and what is said every five seconds.
#[tokio::test]
async fn clients_that_are_held_wait_get_and_are_denied_an_approval() {
    let Some(desk) = Desk::up("45s").await else { return };
    for yes in [true, false] {
        let first = if yes { 1 } else { 11 };
        let clients = HELD.iter().zip(first..).map(|(held, number): (&Held, u64)| {
            let (mut words, text) = (held.words.to_vec(), number.to_string());
            words.push(&text);
            (held, number, desk.client(&words))
        });
        let clients: Vec<_> = clients.collect();
        let tickets = desk.all_waiting(HELD.len()).await;
        // Long enough to be sent somewhere, and to hear that it still waits.
        tokio::time::sleep(Duration::from_millis(5_500)).await;
        for ticket in tickets.values() {
            desk.answer_one(ticket, yes, "a word").await;
        }
        for (Held { words, version, hears }, number, client) in clients {
            let said = client.said();
            assert_eq!(
                (&said["version"], &said["error"]),
                (&json!(version), &json!(!yes)),
                "{words:?} {said}"
            );
            assert!(said["text"].as_str().unwrap().contains("a word"), "{words:?} {said}");
            match hears {
                Hears::Sent => {
                    let ticket = &tickets[&number];
                    assert!(said["sent"][0]["url"].as_str().unwrap().ends_with(ticket), "{words:?} {said}");
                }
                Hears::Progress => {
                    assert!(said["progress"][0].as_str().unwrap().contains("finance"), "{said}")
                }
                Hears::Nothing => assert_eq!(said["sent"], json!([])),
            }
        }
        assert!(desk.is_empty().await);
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
    // It may still be under way when it comes again: a server that is started takes its time.
    let mut second = desk.client(&["asks.py", "legacy", "7"]).said();
    for _ in 0..5 {
        if second["text"].as_str().unwrap().starts_with("Pending") {
            second = desk.client(&["asks.py", "legacy", "7"]).said();
        }
    }
    assert_eq!(second["structured"], json!({ "result": 8 }), "{second}");
    assert!(desk.is_empty().await, "the same call asks nobody anew");
}

/// What lies between a client and Remit: it cuts, once, a connection on which an answer is streamed, after its first event.
struct Torn {
    url: String,
    cuts: Arc<AtomicUsize>,
    /// Requests for the rest of a stream.
    resumed: Arc<AtomicUsize>,
}

impl Torn {
    async fn before(agents: &str) -> Torn {
        let to = agents.trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (cuts, resumed) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let torn = Torn { url, cuts: cuts.clone(), resumed: resumed.clone() };
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(&to).await.unwrap();
                tokio::spawn(passed(client, server, cuts.clone(), resumed.clone()));
            }
        });
        torn
    }
}

async fn passed(
    mut client: TcpStream,
    mut server: TcpStream,
    cuts: Arc<AtomicUsize>,
    resumed: Arc<AtomicUsize>,
) {
    let (mut asked, mut answered) = ([0; 16_384], [0; 16_384]);
    let (mut is_post, mut is_stream) = (false, false);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).to_lowercase();
    loop {
        tokio::select! {
            Ok(count) = client.read(&mut asked) => {
                if count == 0 || server.write_all(&asked[..count]).await.is_err() {
                    return;
                }
                let request = text(&asked[..count]);
                if request.starts_with("post ") || request.starts_with("get ") {
                    (is_post, is_stream) = (request.starts_with("post "), false);
                    resumed.fetch_add(usize::from(request.contains("last-event-id:")), Ordering::Relaxed);
                }
            }
            Ok(count) = server.read(&mut answered) => {
                if count == 0 || client.write_all(&answered[..count]).await.is_err() {
                    return;
                }
                let answer = text(&answered[..count]);
                is_stream |= is_post && answer.contains("content-type: text/event-stream");
                if is_stream && answer.contains("id: ") && cuts.fetch_add(1, Ordering::Relaxed) == 0 {
                    return;
                }
            }
            else => return,
        }
    }
}

/// The official TypeScript client comes again by itself, and names the last event that it heard.
#[tokio::test]
async fn a_client_whose_connection_is_cut_while_it_is_held_hears_the_rest() {
    let Some(desk) = Desk::up("45s").await else { return };
    let torn = Torn::before(&desk.serve.agents).await;
    let client = desk.client_at(&torn.url, &["asks.mjs", "legacy", "7"]);
    let ticket = desk.waiting().await.call;
    let since = Instant::now();
    while torn.resumed.load(Ordering::Relaxed) == 0 {
        assert!(since.elapsed() < Duration::from_secs(30), "cut: {:?}, and nobody came again", torn.cuts);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(desk.answer_one(&ticket, true, "go on").await.state, "released");
    let said = tokio::task::spawn_blocking(|| client.said()).await.unwrap();
    assert_eq!((&said["error"], &said["structured"]), (&json!(false), &json!({ "result": 8 })), "{said}");
    assert!(torn.cuts.load(Ordering::Relaxed) > 0 && desk.is_empty().await);
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
    for (script, version) in [
        (["asks.mjs", "auto", "plan"].as_slice(), "2026-07-28"),
        (&["asks.mjs", "legacy", "plan"], "2025-11-25"),
        (&["asks_old.py", "plan"], "2025-11-25"),
    ] {
        let said = desk.client(script).said();
        let (stage, progress) = (&said["structured"]["stage"], said["progress"].to_string());
        assert_eq!((&said["version"], stage), (&json!(version), &json!("committed")), "{said}");
        assert!(progress.contains("1 of 2 steps stand"), "{script:?} {said}");
    }
}

/// People are asked about a plan as one thing, and whoever commits it waits like whoever makes a call.
#[tokio::test]
async fn clients_wait_for_people_with_a_plan_as_with_a_call() {
    let Some(desk) = Desk::of("45s", ASKED, DELAYED).await else { return };
    for Held { words, version, hears } in &HELD {
        let client = desk.client(&[*words, &["plan"]].concat());
        let ticket = desk.waiting().await.call;
        // Long enough to be sent somewhere, or to hear that it still waits.
        let wait = if matches!(hears, Hears::Progress) { 5_500 } else { 2_000 };
        tokio::time::sleep(Duration::from_millis(wait)).await;
        desk.answer_one(&ticket, true, "a word").await;
        let said = client.said();
        assert_eq!(
            (&said["version"], &said["error"], &said["structured"]["stage"]),
            (&json!(version), &json!(false), &json!("committed")),
            "{words:?} {said}"
        );
        assert!(said["text"].as_str().unwrap().contains("a word"), "{words:?} {said}");
        match hears {
            Hears::Sent => {
                assert!(said["sent"][0]["url"].as_str().unwrap().ends_with(&ticket), "{words:?} {said}");
            }
            Hears::Progress => assert!(said["progress"][0].as_str().unwrap().contains("finance"), "{said}"),
            Hears::Nothing => assert_eq!(said["sent"], json!([])),
        }
    }
    // A client of 2026-07-28 brings its state back, and hears a yes or a no.
    for (yes, told) in [(true, "committed: all 2 steps stand"), (false, "approval_denied")] {
        let first = desk.client(&["asks.py", "manual", "plan"]).said();
        assert_eq!(first["version"], "2026-07-28", "{first}");
        let ticket = desk.waiting().await.call;
        let url = first["wanted"]["approval"]["params"]["url"].as_str().unwrap();
        assert!(url.ends_with(&ticket) && first["waiting"] == json!([ticket]), "{first}");
        desk.answer_one(&ticket, yes, "a word").await;
        let last = desk.client(&["asks.py", "manual", "plan", first["state"].as_str().unwrap()]).said();
        let text = last["text"].as_str().unwrap();
        assert_eq!((&last["error"], &last["waiting"]), (&json!(!yes), &json!([])), "{last}");
        assert!(last.to_string().contains(told) && last.to_string().contains("a word"), "{text}");
    }
    assert!(desk.is_empty().await);
}

#[tokio::test]
async fn a_commit_that_is_held_no_longer_is_made_again_for_its_outcome() {
    let Some(desk) = Desk::of("1s", ASKED, DELAYED).await else { return };
    let first = desk.client(&["asks.py", "legacy", "plan"]).said();
    let ticket = desk.waiting().await.call;
    let text = first["text"].as_str().unwrap();
    assert!(text.starts_with("Pending") && text.contains(&ticket), "{text}");
    desk.answer_one(&ticket, true, "go on").await;
    for _ in 0..2 {
        let again = desk.client(&["asks.py", "legacy", "commit"]).said();
        assert_eq!(again["structured"]["stage"], "committed", "{again}");
    }
    assert!(desk.is_empty().await, "the same plan asks nobody anew");
}
