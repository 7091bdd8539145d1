//! The doors: whole requests through both routers and a real gate, so that credentials, queries and bodies meet the
//! readers that agents and people meet.
//!
//! An input is `FACE METHOD PATH`, lines of `name: value`, an empty line and a body. `$KEY`, `$RUN`, `$TOKEN`, `$SESSION`
//! and `$OPERATOR` stand for real ones; the session is one of the MCP door. Nothing may panic, fail inside, or open without the key that the route demands.
#![no_main]

use std::cell::RefCell;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use gate::clock::Wall;
use gate::{Gate, OpenAsk};
use http::{Request, header};
use http_body_util::BodyExt;
use libfuzzer_sys::fuzz_target;
use tower::ServiceExt;

/// A house that met so many requests is left for a fresh one: its log is in memory, and halts pile up.
const REQUESTS_MAX: u32 = 500;
const OPERATOR: &str = "3b1f0c9a00000000000000000000000000000000000000000000000000000001";
/// Paths that ask nobody who they are.
const OPEN: [&str; 6] =
    ["/", "/healthz", "/readyz", "/openapi.json", "/v1/permit-keys", "/.well-known/authzen-configuration"];
const DESK: [(&str, &str); 4] = [
    ("remit.yaml", include_str!("../../examples/refund-desk/remit.yaml")),
    ("agents/refund-desk.yaml", include_str!("../../examples/refund-desk/agents/refund-desk.yaml")),
    ("tools/desk.yaml", include_str!("../../examples/refund-desk/tools/desk.yaml")),
    ("policies/house.cedar", include_str!("../../examples/refund-desk/policies/house.cedar")),
];

struct House {
    runtime: tokio::runtime::Runtime,
    agents: Router,
    people: Router,
    key: String,
    run: String,
    token: String,
    session: String,
    requests: u32,
    _stop: tokio::sync::watch::Sender<bool>,
    _folder: tempfile::TempDir,
}

thread_local! {
    static HOUSE: RefCell<Option<House>> = const { RefCell::new(None) };
}

fuzz_target!(|text: &str| {
    HOUSE.with_borrow_mut(|house| {
        if house.as_ref().is_some_and(|house| house.requests >= REQUESTS_MAX) {
            *house = None;
        }
        house.get_or_insert_with(House::new).ask(text);
    });
});

impl House {
    fn new() -> House {
        let folder = tempfile::tempdir().expect("a folder");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let rules = remit::check_texts(&DESK).expect("the example");
        let options = gate::Options {
            folder: folder.path().to_owned(),
            lanes: 1,
            disk_reserve_bytes: 0,
            clock: Arc::new(Wall),
            // Nothing is carried out: an allowed call ends as `no_reach`.
            reaches: Vec::new(),
        };
        let (gate, key, run) = runtime.block_on(async {
            let gate = Gate::open(options, Box::new(ledger::memory::Memory::new()), rules).expect("a gate");
            gate.begin().await.expect("a start");
            let minted = gate.key_mint("refund-desk", 86_400_000, "fuzz").await.expect("a log");
            let key = minted.expect("a key").secret;
            let caller = gate.identify(&key).expect("its own key");
            let run = gate.run_open(&caller, OpenAsk::default()).await.expect("a log").expect("a run");
            (gate, key, run)
        });
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let options = server::Options::new(OPERATOR, stopped);
        let mcp = tools::mcp::Mcp::new(&Default::default()).expect("a client for no server");
        let doors = tools::door::router(gate.clone(), mcp.catalogue(), options.console.clone());
        let agents = server::agents_router(gate.clone(), options.clone(), doors);
        let people = server::people_router(gate, options);
        let (run, token) = (run.run.to_string(), run.token);
        let session = runtime.block_on(begin(agents.clone(), &key));
        House { runtime, agents, people, key, run, token, session, requests: 0, _stop: stop, _folder: folder }
    }

    fn ask(&mut self, text: &str) {
        let filled =
            text.replace("$KEY", &self.key).replace("$RUN", &self.run).replace("$TOKEN", &self.token);
        let filled = filled.replace("$OPERATOR", OPERATOR).replace("$SESSION", &self.session);
        let (head, body) = filled.split_once("\n\n").unwrap_or((&filled, ""));
        let mut lines = head.lines();
        let mut first = lines.next().unwrap_or_default().splitn(3, ' ');
        let (Some(face), Some(method), Some(path)) = (first.next(), first.next(), first.next()) else {
            return;
        };
        // Such a question waits on purpose, for a second.
        if path.contains("after") || !path.starts_with('/') {
            return;
        }
        let mut request = Request::builder().method(method).uri(path).header(header::HOST, "127.0.0.1:7470");
        for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
            request = request.header(name, value);
        }
        let Ok(request) = request.body(Body::from(body.to_owned())) else { return };
        let is_head = request.method() == http::Method::HEAD;
        let bare = request.uri().path().to_owned();
        let needed = if face == "people" { OPERATOR } else { &self.key };
        let holds = |value: &http::HeaderValue| value.to_str().is_ok_and(|text| text.ends_with(needed));
        let proven = request.headers().get_all(header::AUTHORIZATION).iter().any(holds);
        let router = if face == "people" { self.people.clone() } else { self.agents.clone() };
        self.requests += 1;
        self.runtime.block_on(async {
            let answer = router.oneshot(request).await.expect("routers answer");
            let status = answer.status().as_u16();
            assert_ne!(status, 500, "{text:?} failed inside");
            assert!(status >= 400 || proven || OPEN.contains(&bare.as_str()), "{text:?} opened: {status}");
            let kind = answer.headers().get(header::CONTENT_TYPE).cloned();
            let is_stream = kind.as_ref().is_some_and(|kind| kind == "text/event-stream");
            // What HEAD asks for has no body, whatever its status.
            if is_stream || is_head || status < 400 {
                return;
            }
            let bytes = answer.into_body().collect().await.expect("a body").to_bytes();
            let is_problem = kind.is_some_and(|kind| kind == "application/problem+json");
            if bare.starts_with("/mcp") && !is_problem {
                // The door speaks its own protocol once a key is proven: an error of it, or nothing but a status.
                assert!(proven, "{text:?} was answered by the door: {status}");
                assert!(bytes.is_empty() || tools::mcp::wire::read(&bytes).is_ok(), "{text:?}");
                return;
            }
            let problem: api::problem::Problem = serde_json::from_slice(&bytes).expect("a problem");
            assert_eq!(problem.status, status, "{text:?}");
        });
    }
}

/// A session of the MCP door, for clients that can be asked.
async fn begin(agents: Router, key: &str) -> String {
    let body = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25",
        "capabilities":{"elicitation":{},"roots":{},"sampling":{}},"clientInfo":{"name":"fuzz","version":"1"}}}"#;
    let request = Request::builder().method("POST").uri("/mcp").header(header::HOST, "127.0.0.1:7470");
    let request = request.header(header::AUTHORIZATION, format!("Bearer {key}"));
    let request = request.header(header::CONTENT_TYPE, "application/json").body(Body::from(body));
    let answer = agents.oneshot(request.expect("a request")).await.expect("routers answer");
    let session = answer.headers().get("mcp-session-id").expect("a session");
    session.to_str().expect("plain text").to_owned()
}
