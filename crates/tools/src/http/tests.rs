//! A tool server that does everything wrong, and what a call to it costs: that one call.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use kernel::call::Outcome;
use kernel::contract::{Effect, Operation};
use serde_json::json;
use tokio::sync::watch;

use super::*;
use hostile::Hostile;

mod hostile;

const CANARY: &str = "sk-canary-\"7f3a";

fn contract(url: &str, path: &str, effect: Effect) -> Contract {
    Contract {
        deed: Default::default(),
        about: String::new(),
        credential: None,
        cost_usd_nanos: 0,
        cost_tokens: 0,
        degrade: Default::default(),
        meter: Default::default(),
        counts: Vec::new(),
        destinations: Vec::new(),
        effect,
        env: "test".to_owned(),
        idempotency_header: Some("Idempotency-Key".to_owned()),
        idempotency_field: None,
        definition: None,
        care: Default::default(),
        redact: Default::default(),
        stamp: None,
        to: Vec::new(),
        input: json!({}),
        labels: Vec::new(),
        name: "desk.tool".to_owned(),
        operation: if effect.writes() { Operation::Write } else { Operation::Read },
        pin: None,
        rate: Default::default(),
        result_bytes_max: 1_000,
        server: "desk".to_owned(),
        timeout_ms: 500,
        tool: "tool".to_owned(),
        via: json!({ "http": { "url": url, "path": path } }),
    }
}

fn order<'p>(contract: &'p Contract, secret: Option<&'p str>) -> Order<'p> {
    let secret = secret.map(str::as_bytes);
    let bytes = Arc::from(br#"{"n":1}"#.as_slice());
    Order { contract, bytes, run: RunId(1), call: CallId(2), key: "deed-1", secret }
}

fn http() -> Http {
    Http::new(Options::default()).unwrap()
}

async fn carry(http: &Http, contract: &Contract, secret: Option<&str>) -> Reached {
    let (_stop, cancel) = watch::channel(false);
    http.wires.carry_out(order(contract, secret), Cancel::new(cancel, None)).await
}

fn told(reached: &Reached) -> (&'static str, &str, &str) {
    let trouble = reached.trouble.as_deref().unwrap_or_default();
    (reached.outcome.name(), trouble, std::str::from_utf8(&reached.body).unwrap())
}

#[tokio::test]
async fn a_hostile_server_gets_one_honest_outcome_for_each_trick() {
    let (server, http) = (Hostile::start().await, http());
    let url = format!("http://{}", server.address);
    // path, read, write, trouble, body
    for (path, read, write, trouble, body) in [
        ("/ok", "succeeded", "succeeded", "", r#"{"a":[true],"b":1}"#),
        ("/redirect", "failed", "failed", "redirect", ""),
        ("/huge", "failed", "unknown", "too_large", ""),
        ("/endless", "failed", "unknown", "too_large", ""),
        ("/endless_head", "failed", "unknown", "reset", ""),
        ("/slow", "failed", "unknown", "timeout", ""),
        ("/drip", "failed", "unknown", "timeout", ""),
        ("/malformed", "failed", "unknown", "malformed_result", ""),
        ("/duplicate", "failed", "unknown", "malformed_result", ""),
        ("/missing", "failed", "failed", "status_404", r#"{"error":"no such charge"}"#),
        ("/broken", "failed", "unknown", "status_500", r#"{"text":"stack trace"}"#),
        ("/cut", "failed", "unknown", "reset", ""),
        ("/hang_up", "failed", "unknown", "reset", ""),
        ("/nonsense", "failed", "unknown", "reset", ""),
    ] {
        for (effect, outcome) in [(Effect::Read, read), (Effect::Irreversible, write)] {
            let started = Instant::now();
            let reached = carry(&http, &contract(&url, path, effect), None).await;
            assert_eq!(told(&reached), (outcome, trouble, body), "{path} {effect:?}");
            assert!(started.elapsed() < Duration::from_secs(2), "{path} took {:?}", started.elapsed());
        }
    }
    let followed = server.heard().iter().filter(|request| request.starts_with("GET")).count();
    assert_eq!(followed, 0);
}

#[tokio::test]
async fn the_request_holds_our_bytes_and_our_headers_and_nothing_else() {
    let server = Hostile::start().await;
    let url = format!("http://{}", server.address);
    carry(&http(), &contract(&url, "/ok", Effect::Reversible), Some("sk-1")).await;
    let heard = server.heard().remove(0);
    let (head, body) = heard.split_once("\r\n\r\n").unwrap();
    assert_eq!(body, r#"{"n":1}"#);
    let mut lines: Vec<&str> = head.lines().collect();
    lines.sort_unstable();
    let call = format!("remit-call: {}", CallId(2));
    let key = "idempotency-key: deed-1".to_owned();
    let (run, host) = (format!("remit-run: {}", RunId(1)), format!("host: {}", server.address));
    let mut expected = vec![
        "POST /ok HTTP/1.1",
        "accept: application/json",
        "authorization: Bearer sk-1",
        "content-length: 7",
        "content-type: application/json",
    ];
    expected.extend([call.as_str(), key.as_str(), run.as_str(), host.as_str()]);
    expected.sort_unstable();
    assert_eq!(lines, expected);
}

#[tokio::test]
async fn a_secret_that_is_echoed_does_not_come_back() {
    let (server, http) = (Hostile::start().await, http());
    let url = format!("http://{}", server.address);
    // A quotation mark in the secret breaks the tool's JSON when it is echoed raw; the other secret does not.
    for secret in [CANARY, "sk-canary-7f3a"] {
        for path in ["/echo", "/echo_error"] {
            let reached = carry(&http, &contract(&url, path, Effect::Read), Some(secret)).await;
            let all = format!("{reached:?} {}", String::from_utf8_lossy(&reached.body));
            assert!(!all.contains("canary"), "{path}: {all}");
            assert!(all.contains("[secret]"), "{path}: {all}");
        }
    }
    assert!(server.heard().iter().all(|request| request.contains("canary")));
}

#[tokio::test]
async fn a_refused_connection_was_never_dispatched() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let reached = carry(&http(), &contract(&url, "/ok", Effect::Irreversible), None).await;
    assert_eq!(told(&reached), ("not_dispatched", "unreachable", ""));
}

#[tokio::test]
async fn a_server_without_tls_gets_no_request() {
    let server = Hostile::start().await;
    let url = format!("https://{}", server.address);
    let mut contract = contract(&url, "/ok", Effect::Irreversible);
    contract.timeout_ms = 300;
    let reached = carry(&http(), &contract, Some("sk-1")).await;
    assert_eq!(reached.outcome, Outcome::NotDispatched);
    assert!(server.heard().is_empty());
}

#[tokio::test]
async fn a_cancel_before_sending_sends_nothing_and_one_after_is_not_guessed() {
    let (server, http) = (Hostile::start().await, http());
    let url = format!("http://{}", server.address);
    let mut slow = contract(&url, "/slow", Effect::Irreversible);
    slow.timeout_ms = 10_000;

    let (_stop, cancel) = watch::channel(true);
    let reached = http.wires.carry_out(order(&slow, None), Cancel::new(cancel, None)).await;
    assert_eq!(told(&reached), ("not_dispatched", "cancelled", ""));
    assert!(server.heard().is_empty());

    let (stop, cancel) = watch::channel(false);
    let under_way = http.wires.carry_out(order(&slow, None), Cancel::new(cancel, None));
    let stopping = async {
        while server.heard().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        stop.send(true).unwrap();
    };
    let (reached, ()) = tokio::join!(under_way, stopping);
    assert_eq!(told(&reached), ("unknown", "cancelled", ""));
}

#[tokio::test]
async fn reads_share_connections_and_writes_do_not() {
    for (effect, connections) in [(Effect::Read, 1), (Effect::Irreversible, 5)] {
        let (server, http) = (Hostile::start().await, http());
        let contract = contract(&format!("http://{}", server.address), "/ok", effect);
        for _ in 0..5 {
            assert_eq!(carry(&http, &contract, None).await.outcome, Outcome::Succeeded);
            // The client puts a connection back in a task of its own.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(server.connections(), connections, "{effect:?}");
    }
}

/// A resolver that gives the next of its answers each time it is asked.
fn flipping(answers: &'static [&'static str]) -> (Http, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let resolver = Resolver::new(Arc::new(move |_| {
        let turn = count.fetch_add(1, Ordering::SeqCst);
        let address = answers[turn.min(answers.len() - 1)].parse().unwrap();
        Box::pin(async move { Ok(vec![SocketAddr::new(address, 0)]) })
    }));
    (Http::with_resolver(Options::default(), resolver).unwrap(), asked)
}

#[tokio::test]
async fn a_name_that_leads_inside_is_refused() {
    let server = Hostile::start().await;
    for address in [&["127.0.0.1"], &["::ffff:127.0.0.1"], &["169.254.169.254"], &["10.0.0.1"], &["fd00::1"]]
    {
        let (http, _) = flipping(address);
        let url = format!("http://inside.example.com:{}", server.address.port());
        let reached = carry(&http, &contract(&url, "/ok", Effect::Read), None).await;
        assert_eq!(told(&reached), ("not_dispatched", "private_address", ""), "{address:?}");
    }
    assert!(server.heard().is_empty());
}

#[tokio::test]
async fn localhost_is_loopback_and_nothing_else() {
    let server = Hostile::start().await;
    let url = format!("http://localhost:{}", server.address.port());
    let contract = contract(&url, "/ok", Effect::Read);
    let (http, asked) = flipping(&["127.0.0.1", "10.0.0.1"]);
    assert_eq!(carry(&http, &contract, None).await.outcome, Outcome::Succeeded);
    assert_eq!(asked.load(Ordering::SeqCst), 1, "resolved once a connection");
    let (http, _) = flipping(&["8.8.8.8"]);
    assert_eq!(carry(&http, &contract, None).await.trouble.as_deref(), Some("private_address"));
}

#[tokio::test]
async fn what_cannot_be_sent_rightly_is_not_sent() {
    let http = http();
    let clear = contract("http://api.example.com", "/ok", Effect::Read);
    assert_eq!(told(&carry(&http, &clear, Some("sk-1")).await), ("not_dispatched", "insecure", ""));

    let mut strange = contract("http://127.0.0.1:1", "/ok", Effect::Read);
    strange.via = json!({ "mcp": {} });
    assert_eq!(told(&carry(&http, &strange, None).await), ("not_dispatched", "contract_unusable", ""));

    let mut stolen = contract("http://127.0.0.1:1", "/ok", Effect::Read);
    stolen.idempotency_header = Some("Authorization".to_owned());
    assert_eq!(told(&carry(&http, &stolen, None).await), ("not_dispatched", "contract_unusable", ""));

    let lines = contract("http://127.0.0.1:1", "/ok", Effect::Read);
    let reached = carry(&http, &lines, Some("sk\r\nHost: other")).await;
    assert_eq!(told(&reached), ("not_dispatched", "credential_unusable", ""));
}
