//! Callbacks from outside: an agent that named an address is told there how its ticket ended, signed, until it was heard.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use api::call::{Answered, CallAsk};
use api::client::{Client, Error};
use api::inbox::{AnswerCall, AnswerTaken, Inbox, Ticket};
use api::people::KeyMinted;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use stdx::digest::Digest;
use stdx::encode::base64url;

use crate::house::{AgentRun, open_run, people, refund_of};
use crate::install::{CREDENTIAL, Install, Serve};
use crate::toolserver::ToolServer;

/// One thing that an agent's own server was told.
#[derive(Clone, Debug)]
struct Heard {
    id: String,
    at: String,
    signature: String,
    body: String,
}

impl Heard {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// An agent's own server, which refuses so many words before it takes one.
#[derive(Clone, Default)]
struct Ears {
    heard: Arc<Mutex<Vec<Heard>>>,
    deaf: Arc<Mutex<usize>>,
    origin: String,
}

impl Ears {
    async fn open(deaf: usize) -> Ears {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let ears = Ears { origin, deaf: Arc::new(Mutex::new(deaf)), ..Ears::default() };
        let answer = |State(ears): State<Ears>, headers: HeaderMap, body: String| async move {
            let header = |name: &str| headers[name].to_str().unwrap().to_owned();
            let (id, at) = (header("webhook-id"), header("webhook-timestamp"));
            let signature = header("webhook-signature");
            ears.heard.lock().unwrap().push(Heard { id, at, signature, body });
            let mut deaf = ears.deaf.lock().unwrap();
            let hears = *deaf == 0;
            *deaf = deaf.saturating_sub(1);
            if hears { StatusCode::NO_CONTENT } else { StatusCode::BAD_GATEWAY }
        };
        let router = axum::Router::new().fallback(axum::routing::post(answer)).with_state(ears.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        ears
    }

    fn url(&self) -> String {
        format!("{}/tickets?of=desk", self.origin)
    }

    fn heard(&self) -> Vec<Heard> {
        self.heard.lock().unwrap().clone()
    }

    async fn hears(&self, count: usize) -> Vec<Heard> {
        for _ in 0..200 {
            if self.heard().len() >= count {
                return self.heard();
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("not told {count} times: {:?}", self.heard());
    }
}

struct Desk {
    install: Install,
    serve: Serve,
    tools: ToolServer,
    key: String,
}

impl Desk {
    /// The desk may have itself told at this origin.
    async fn up(origin: &str) -> Desk {
        let tools = ToolServer::start().await;
        let install = Install::new(&tools.url());
        let callbacks = format!(
            "callbacks: [{{ agents: [\"refund-*\"], origins: [\"{origin}\"], secret: \"env:DESK_KEY\" }}]\nstore:"
        );
        install.edit("remit.yaml", "store:", &callbacks);
        let serve = install.serve();
        let minted: KeyMinted =
            people(&install, &serve).post("/v1/agents/refund-desk/keys", &json!({})).await.unwrap();
        Desk { install, serve, tools, key: minted.secret }
    }

    async fn run(&self) -> AgentRun {
        open_run(&self.serve.agents, &self.key).await.unwrap()
    }

    async fn answer(&self, ticket: &str, yes: bool) {
        let people = people(&self.install, &self.serve);
        let inbox: Inbox = people.get("/v1/inbox").await.unwrap();
        let item = inbox.items.into_iter().find(|item| item.call == ticket).unwrap();
        let (person, words) = (Some("lee@example.com".to_owned()), Some("the words of Lee".to_owned()));
        let answer = AnswerCall { yes, bound: item.bound, words, person, ..AnswerCall::default() };
        let _: AnswerTaken = people.post(&format!("/v1/inbox/{ticket}/answer"), &answer).await.unwrap();
    }

    fn owed(&self) -> usize {
        std::fs::read_dir(self.install.data().join("callbacks")).map_or(0, |files| files.count())
    }
}

async fn refund(run: &AgentRun, charge: &str, callback: &str) -> Result<Answered, Error> {
    let ask = CallAsk {
        tool: "desk.refund_charge".to_owned(),
        args: refund_of(charge, 9_000),
        reason: Some("the customer is unhappy".to_owned()),
        model: None,
        context_tokens: None,
        idempotency_key: None,
        heeds: Vec::new(),
        callback: Some(callback.to_owned()),
    };
    run.agent.post("/v1/calls", &ask).await
}

/// HMAC-SHA256, written down once more, so that a signature is not checked with what made it.
fn hmac(key: &[u8], message: &[u8]) -> String {
    let mut block = [0u8; 64];
    block[..key.len()].copy_from_slice(key);
    let inner = [&block.map(|byte| byte ^ 0x36)[..], message].concat();
    let outer = [&block.map(|byte| byte ^ 0x5c)[..], &Digest::of(&inner).0].concat();
    base64url(&Digest::of(&outer).0)
}

#[track_caller]
fn is_signed(heard: &Heard) {
    let message = format!("{}.{}.{}", heard.id, heard.at, heard.body);
    let plain = heard.signature.replace('+', "-").replace('/', "_");
    assert_eq!(
        plain.trim_end_matches('='),
        format!("v1,{}", hmac(CREDENTIAL.as_bytes(), message.as_bytes()))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_is_told_how_its_ticket_ended_and_nothing_of_what_it_was() {
    let ears = Ears::open(1).await;
    let desk = Desk::up(&ears.origin).await;
    let run = desk.run().await;
    let asked = refund(&run, "ch_yes", &ears.url()).await.unwrap();
    let waiting = asked.waiting.unwrap();
    assert!(waiting.callback, "{waiting:?}");
    let other = refund(&run, "ch_no", &ears.url()).await.unwrap().waiting.unwrap();
    assert_eq!((ears.heard().len(), desk.owed()), (0, 2), "nothing has ended");
    desk.answer(&waiting.ticket, true).await;
    // The first word is refused, and said again under the same id.
    let heard = ears.hears(2).await;
    assert_eq!((&heard[0].id, &heard[0].body), (&heard[1].id, &heard[1].body));
    heard.iter().for_each(is_signed);
    let told = heard[1].json();
    let data = json!({
        "ticket": waiting.ticket, "run": run.opened.run, "state": "ended", "ruling": "allow",
        "outcome": "succeeded", "poll": format!("/v1/tickets/{}", waiting.ticket),
    });
    assert_eq!((&told["type"], &told["data"]), (&json!("ticket.ended"), &data), "{told}");
    desk.answer(&other.ticket, false).await;
    let heard = ears.hears(3).await;
    let told = heard[2].json();
    assert_eq!((&told["data"]["ticket"], &told["data"]["ruling"]), (&json!(other.ticket), &json!("deny")));
    assert_eq!(told["data"]["outcome"], Value::Null);
    for secret in ["ch_", "9000", "Lee", "unhappy", CREDENTIAL, &desk.key] {
        assert!(heard.iter().all(|one| !one.body.contains(secret)), "{secret}: {heard:?}");
    }
    // Where it proves who it is, it is told the rest.
    let path = format!("/v1/tickets/{}", waiting.ticket);
    let ended: Ticket = Client::new(&desk.serve.agents, Some(desk.key.clone())).get(&path).await.unwrap();
    assert_eq!(ended.answered.unwrap().words.as_deref(), Some("the words of Lee"));
    assert_eq!((desk.tools.done("refund_charge"), desk.owed()), (1, 0), "nothing is owed any more");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_owed_is_told_after_a_death() {
    let ears = Ears::open(0).await;
    let mut desk = Desk::up(&ears.origin).await;
    let run = desk.run().await;
    let yes = refund(&run, "ch_1", &ears.url()).await.unwrap().waiting.unwrap().ticket;
    desk.serve.signal(rustix::process::Signal::KILL);
    desk.serve.ended();
    desk.serve = desk.install.serve();
    assert_eq!(ears.heard().len(), 0);
    desk.answer(&yes, true).await;
    assert_eq!(ears.hears(1).await[0].json()["data"]["ticket"], json!(yes));

    // Nobody listens when it ends: it dies while it tries, and goes on trying.
    *ears.deaf.lock().unwrap() = 1;
    let run = desk.run().await;
    let no = refund(&run, "ch_2", &ears.url()).await.unwrap().waiting.unwrap().ticket;
    desk.answer(&no, false).await;
    let first = ears.hears(2).await[1].clone();
    desk.serve.signal(rustix::process::Signal::KILL);
    desk.serve.ended();
    desk.serve = desk.install.serve();
    let again = ears.hears(3).await[2].clone();
    assert_eq!(first.id, again.id, "the same news has the same id");
    assert_eq!(again.json()["data"]["ruling"], "deny");
    for _ in 0..100 {
        if desk.owed() == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{} are owed for ever", desk.owed());
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_called_back_where_the_configuration_does_not_say_so() {
    let ears = Ears::open(0).await;
    let mut desk = Desk::up(&ears.origin).await;
    let run = desk.run().await;
    let port = ears.origin.rsplit(':').next().unwrap();
    let elsewhere = [
        "https://elsewhere.example/tickets".to_owned(),
        format!("https://127.0.0.1:{port}/tickets"),
        format!("http://127.0.0.2:{port}/tickets"),
        format!("http://127.0.0.1:{port}@169.254.169.254/latest"),
        "http://127.0.0.1:80/tickets".to_owned(),
        "file:///etc/passwd".to_owned(),
        "/tickets".to_owned(),
    ];
    for url in &elsewhere {
        match refund(&run, "ch_1", url).await {
            Err(Error::Problem(problem)) => {
                assert_eq!((problem.status, problem.code.as_str()), (403, "callback_refused"), "{url}");
            }
            other => panic!("{url}: {other:?}"),
        }
    }
    let inbox: Inbox = people(&desk.install, &desk.serve).get("/v1/inbox").await.unwrap();
    assert!(inbox.items.is_empty(), "nobody was asked");
    // Another origin since: what is owed to the one before is not told there.
    let ticket = refund(&run, "ch_1", &ears.url()).await.unwrap().waiting.unwrap().ticket;
    desk.install.edit("remit.yaml", &ears.origin, "https://elsewhere.example");
    desk.serve.said("reloaded: where agents may be called back");
    desk.answer(&ticket, true).await;
    desk.tools.reached(1).await;
    desk.install.edit("remit.yaml", "https://elsewhere.example", "https://another.example");
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert!(ears.heard().is_empty(), "{:?}", ears.heard());
    assert!(desk.install.all_output().contains("a callback was not delivered"));
}
