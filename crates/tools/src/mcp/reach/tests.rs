//! Servers that do everything wrong, and servers that others wrote: what a call to each costs and gives.

use std::sync::Arc;
use std::time::{Duration, Instant};

use kernel::contract::{Care, Effect, Operation, Redact};
use serde_json::json;
use stdx::digest::Digest;
use tokio::sync::{mpsc, watch};

use super::*;
use crate::mcp::era::Version;
use crate::mcp::upstream::What;
use fake::Fake;

mod children;
mod fake;
mod quarantine;
mod real;
mod tasks;

fn contract(place: Value, tool: &str, effect: Effect) -> Contract {
    Contract {
        deed: Default::default(),
        about: String::new(),
        care: Care::default(),
        credential: None,
        cost_usd_nanos: 0,
        cost_tokens: 0,
        degrade: Default::default(),
        meter: Default::default(),
        counts: Vec::new(),
        definition: None,
        destinations: Vec::new(),
        effect,
        env: "test".to_owned(),
        idempotency_header: None,
        idempotency_field: None,
        input: json!({}),
        labels: Vec::new(),
        name: format!("fake.{tool}"),
        operation: if effect.writes() { Operation::Write } else { Operation::Read },
        pin: None,
        redact: Redact::default(),
        rate: Default::default(),
        result_bytes_max: 100_000,
        stamp: None,
        to: Vec::new(),
        server: "fake".to_owned(),
        timeout_ms: 700,
        tool: tool.to_owned(),
        via: json!({ "mcp": place }),
    }
}

fn over_http(fake: &Fake, tool: &str, effect: Effect) -> Contract {
    contract(json!({ "server": "fake", "url": fake.url() }), tool, effect)
}

fn mcp() -> Mcp {
    Mcp::new(&Options::default()).unwrap()
}

fn order<'o>(contract: &'o Contract, args: &'o Value) -> Order<'o> {
    let (run, call, bytes) = (RunId(7), CallId(9), stdx::json::canonical_value(args).leak());
    Order { contract, args, bytes, run, call, key: "deed-1", secret: None, feed: Feed::default() }
}

async fn carry(mcp: &Mcp, order: Order<'_>) -> Reached {
    let (_stop, house) = watch::channel(false);
    mcp.carry_out(order, Cancel::new(house, None)).await
}

async fn call(mcp: &Mcp, contract: &Contract, args: Value) -> Reached {
    carry(mcp, order(contract, &args)).await
}

fn body(reached: &Reached) -> Value {
    serde_json::from_slice(&reached.body).unwrap_or(Value::Null)
}

fn told(reached: &Reached) -> (&'static str, &str) {
    (reached.outcome.name(), reached.trouble.as_deref().unwrap_or_default())
}

#[tokio::test]
async fn a_hostile_server_of_either_era_gets_one_honest_outcome_for_each_trick() {
    for version in Version::ALL {
        let (fake, mcp) = (Fake::start(version).await, mcp());
        for (tool, read, write, trouble) in [
            ("ok", "succeeded", "succeeded", ""),
            ("tool_error", "failed", "failed", "tool_error"),
            ("rpc_error", "failed", "failed", "rpc_32603"),
            ("slow", "failed", "unknown", "timeout"),
            ("silent", "failed", "unknown", "timeout"),
            ("endless", "failed", "unknown", "too_large"),
            ("malformed", "failed", "unknown", "malformed_result"),
            ("duplicate", "failed", "unknown", "malformed_result"),
            ("wrong_id", "failed", "unknown", "wrong_id"),
            ("huge", "failed", "unknown", "too_large"),
            ("cut", "failed", "unknown", "reset"),
            ("hang_up", "failed", "unknown", "reset"),
            ("broken", "failed", "unknown", "status_500"),
            ("refused", "failed", "failed", "status_403"),
            ("redirect", "failed", "failed", "redirect"),
            ("no_answer", "failed", "unknown", "malformed_result"),
            ("text", "failed", "unknown", "malformed_result"),
        ] {
            for (effect, outcome) in [(Effect::Read, read), (Effect::Irreversible, write)] {
                let started = Instant::now();
                let reached = call(&mcp, &over_http(&fake, tool, effect), json!({})).await;
                assert_eq!(told(&reached), (outcome, trouble), "{version:?} {tool} {effect:?}");
                assert!(started.elapsed() < Duration::from_secs(3), "{tool} took {:?}", started.elapsed());
            }
        }
        assert_eq!(fake.count("tools/list"), 1, "{version:?}");
        assert_eq!(told(&call(&mcp, &over_http(&fake, "ok", Effect::Read), json!({})).await).0, "succeeded");
    }
}

#[tokio::test]
async fn each_era_is_spoken_to_as_it_wants() {
    let args = json!({ "text": "a", "region": "eu\n1" });
    for version in Version::ALL {
        let (fake, mcp) = (Fake::start(version).await, mcp());
        let reached = call(&mcp, &over_http(&fake, "ok", Effect::Read), args.clone()).await;
        assert_eq!(body(&reached), json!({ "content": [], "n": 1 }));
        let heard = fake.last("tools/call");
        let meta = &heard.body["params"]["_meta"];
        assert_eq!(heard.body["params"]["arguments"], args);
        assert_eq!(meta["dev.remit/run"], RunId(7).to_string());
        assert_eq!(meta["dev.remit/call"], CallId(9).to_string());
        assert_eq!(meta["traceparent"], "00-00000000000000000000000000000007-0000000000000009-01");
        assert_eq!(heard.header("remit-run-id"), Some(RunId(7).to_string().as_str()));
        assert_eq!(heard.header("remit-call-id"), Some(CallId(9).to_string().as_str()));
        assert_eq!(heard.header("authorization"), None);
        let header = heard.header("mcp-protocol-version");
        assert_eq!(header, (version != Version::V2025_03_26).then_some(version.text()), "{version:?}");
        if version.is_stateless() {
            assert_eq!(fake.count("initialize"), 0);
            assert_eq!(meta["io.modelcontextprotocol/protocolVersion"], version.text());
            let can = json!({ "extensions": { "io.modelcontextprotocol/tasks": {} } });
            assert_eq!(meta["io.modelcontextprotocol/clientCapabilities"], can);
            assert_eq!(heard.header("mcp-session-id"), None);
            assert_eq!(heard.header("mcp-method"), Some("tools/call"));
            assert_eq!(heard.header("mcp-name"), Some("ok"));
            assert_eq!(heard.header("mcp-param-region"), Some("=?base64?ZXUKMQ==?="));
        } else {
            assert_eq!(fake.count("notifications/initialized"), 1);
            assert_eq!(meta.get("io.modelcontextprotocol/protocolVersion"), None);
            assert_eq!(heard.header("mcp-session-id"), Some("session-1"));
            assert_eq!(heard.header("mcp-name"), None);
            mcp.close().await;
            assert!(fake.heard().iter().any(|heard| heard.method == "DELETE"));
        }
    }
}

#[tokio::test]
async fn a_session_that_its_server_forgot_is_begun_anew_and_the_call_is_made_once() {
    for version in [Version::V2025_03_26, Version::V2025_06_18, Version::V2025_11_25] {
        let (fake, mcp) = (Fake::start(version).await, mcp());
        let contract = over_http(&fake, "ok", Effect::Irreversible);
        assert_eq!(told(&call(&mcp, &contract, json!({})).await).0, "succeeded");
        fake.forget_session();
        assert_eq!(told(&call(&mcp, &contract, json!({})).await), ("succeeded", ""), "{version:?}");
        assert_eq!((fake.count("initialize"), fake.count("tools/list")), (2, 2));
        assert_eq!(fake.last("tools/call").header("mcp-session-id"), Some("session-2"));
    }
}

#[tokio::test]
async fn a_tool_that_is_described_otherwise_is_not_called() {
    for version in [Version::V2025_11_25, Version::V2026_07_28] {
        let (fake, mcp) = (Fake::start(version).await, mcp());
        let mut contract = over_http(&fake, "ok", Effect::Read);
        mcp.know([&contract]);
        let list = mcp.catalogue().list("fake", Kind::Tools).await.unwrap();
        contract.definition = list.tool("ok").cloned();
        contract.pin = Some(list.tools["ok"].definition);
        assert_eq!(told(&call(&mcp, &contract, json!({})).await), ("succeeded", ""));

        let mut news = mcp.catalogue().news();
        tokio::time::sleep(Duration::from_millis(100)).await;
        fake.change_tools("sends everything to somebody else");
        let what = tokio::time::timeout(Duration::from_secs(5), news.recv()).await.unwrap().unwrap().what;
        assert_eq!(what, What::ToolsChanged);
        assert_eq!(told(&call(&mcp, &contract, json!({})).await), ("not_dispatched", "tool_changed"));
        assert_eq!(fake.count("tools/call"), 1);

        contract.pin = Some(Digest::of(&stdx::json::canonical(&list.tool("ok").unwrap()["inputSchema"])));
        contract.definition = None;
        assert_eq!(
            told(&call(&mcp, &contract, json!({})).await),
            ("succeeded", ""),
            "only the schema is pinned"
        );
        let missing = over_http(&fake, "missing", Effect::Read);
        assert_eq!(told(&call(&mcp, &missing, json!({})).await), ("not_dispatched", "tool_missing"));
    }
}

#[tokio::test]
async fn a_server_that_does_not_list_its_tools_is_not_called() {
    let (fake, mcp) = (Fake::start(Version::LATEST).await, mcp());
    let contract = over_http(&fake, "ok", Effect::Irreversible);
    fake.refuse_lists(Some(500));
    assert_eq!(told(&call(&mcp, &contract, json!({})).await), ("not_dispatched", "status_500"));
    assert_eq!(fake.count("tools/call"), 0);
    fake.refuse_lists(None);
    assert_eq!(told(&call(&mcp, &contract, json!({})).await), ("succeeded", ""));
}

#[tokio::test]
async fn progress_is_told_to_the_call_that_it_is_of_and_to_no_other() {
    for version in [Version::V2025_06_18, Version::V2026_07_28] {
        let (fake, mcp) = (Fake::start(version).await, mcp());
        let contract = over_http(&fake, "progress", Effect::Read);
        let (listener, mut words) = mpsc::channel(16);
        let args = json!({});
        let order = Order { feed: Feed::new(listener), ..order(&contract, &args) };
        assert_eq!(told(&carry(&mcp, order).await), ("succeeded", ""));
        let mut heard = Vec::new();
        while let Some(word) = words.recv().await {
            assert_eq!(word["method"], "notifications/progress");
            heard.push(word["params"]["progress"].clone());
        }
        assert_eq!(heard, [json!(1), json!(3)]);
    }
}

#[tokio::test]
async fn a_stream_that_broke_off_is_resumed_where_its_server_can() {
    let mcp = mcp();
    let fake = Fake::start(Version::V2025_11_25).await;
    let reached = call(&mcp, &over_http(&fake, "resume", Effect::Irreversible), json!({})).await;
    assert_eq!(body(&reached), json!({ "content": [], "resumed": true }));
    assert_eq!(fake.count("tools/call"), 1);

    let mcp = Mcp::new(&Options::default()).unwrap();
    let fake = Fake::start(Version::V2026_07_28).await;
    let reached = call(&mcp, &over_http(&fake, "resume", Effect::Irreversible), json!({})).await;
    assert_eq!(told(&reached), ("unknown", "connection_lost"));
}

#[tokio::test]
async fn what_a_server_asks_is_refused_and_its_pings_are_answered() {
    let (fake, mcp) = (Fake::start(Version::V2025_11_25).await, mcp());
    let reached = call(&mcp, &over_http(&fake, "asks", Effect::Read), json!({})).await;
    let said = body(&reached);
    assert_eq!(said["asked"]["error"]["code"], crate::mcp::wire::METHOD_NOT_FOUND, "{said}");
    assert_eq!(said["pinged"]["result"], json!({}));
}

/// A call whose client can sample, and answers so much later.
async fn call_asking(contract: &Contract, can: Value, after: Duration) -> (Reached, Vec<Value>) {
    let (to, mut questions) = mpsc::channel(4);
    let feed = Feed::default().with_aside(json!({ "capabilities": can })).with_questions(to);
    let args = json!({});
    let order = Order { secret: Some(b"sk-1"), feed, ..order(contract, &args) };
    let answering = async {
        let mut heard = Vec::new();
        while let Some(question) = questions.recv().await {
            heard.push(question.asked);
            tokio::time::sleep(after).await;
            question.answer.send(json!({ "result": { "content": "Paris" } })).unwrap();
        }
        heard
    };
    let mcp = mcp();
    tokio::join!(carry(&mcp, order), answering)
}

#[tokio::test]
async fn what_a_server_asks_is_answered_by_whoever_waits_for_the_call() {
    let fake = Fake::start(Version::V2025_11_25).await;
    let contract = over_http(&fake, "asks", Effect::Irreversible);
    let (reached, heard) = call_asking(&contract, json!({ "sampling": {} }), Duration::ZERO).await;
    assert_eq!(body(&reached)["asked"]["result"], json!({ "content": "Paris" }));
    assert_eq!(heard, [json!({ "method": "sampling/createMessage", "params": {} })]);
}

#[tokio::test]
async fn the_time_in_which_somebody_thinks_is_not_the_servers() {
    let fake = Fake::start(Version::V2025_11_25).await;
    let contract = over_http(&fake, "asks", Effect::Irreversible);
    let late = Duration::from_millis(contract.timeout_ms + 500);
    let (reached, _) = call_asking(&contract, json!({ "sampling": {} }), late).await;
    assert_eq!(told(&reached), ("succeeded", ""));
}

#[tokio::test]
async fn a_client_that_cannot_do_it_is_not_asked() {
    let fake = Fake::start(Version::V2025_11_25).await;
    let contract = over_http(&fake, "asks", Effect::Read);
    let (reached, heard) = call_asking(&contract, json!({ "roots": {} }), Duration::ZERO).await;
    assert_eq!(body(&reached)["asked"]["error"]["code"], crate::mcp::wire::METHOD_NOT_FOUND);
    assert!(heard.is_empty(), "{heard:?}");
}

#[tokio::test]
async fn a_server_is_told_what_those_of_a_session_can_do() {
    let fake = Fake::start(Version::V2025_11_25).await;
    let contract = over_http(&fake, "asks", Effect::Irreversible);
    call_asking(&contract, json!({ "sampling": { "tools": {} } }), Duration::ZERO).await;
    let begun: Vec<Value> = fake
        .heard()
        .into_iter()
        .filter(|heard| heard.body["method"] == "initialize")
        .map(|heard| heard.body["params"]["capabilities"].clone())
        .collect();
    assert_eq!(begun, [json!({}), json!({ "sampling": {} })]);
}

#[tokio::test]
async fn input_that_a_server_requires_is_a_result_like_any() {
    let (fake, mcp) = (Fake::start(Version::LATEST).await, mcp());
    let reached = call(&mcp, &over_http(&fake, "wants", Effect::Irreversible), json!({})).await;
    assert_eq!(told(&reached), ("succeeded", ""));
    let wanted = json!({ "resultType": "input_required", "inputRequests": {}, "requestState": "s" });
    assert_eq!(body(&reached), wanted);
}

#[tokio::test]
async fn a_call_that_is_no_longer_wanted_is_cancelled_as_its_era_does_it() {
    for version in [Version::V2025_11_25, Version::V2026_07_28] {
        let (fake, mcp) = (Fake::start(version).await, mcp());
        let contract = over_http(&fake, "silent", Effect::Irreversible);
        let args = json!({});
        let ((_house_stays, house), (cancel, cancelled)) = (watch::channel(false), watch::channel(false));
        let carried = mcp.carry_out(order(&contract, &args), Cancel::new(house, Some(cancelled)));
        let (reached, ()) = tokio::join!(carried, async {
            while fake.count("tools/call") == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            cancel.send_replace(true);
        });
        assert_eq!(told(&reached), ("unknown", "cancelled"));
        tokio::time::sleep(Duration::from_millis(200)).await;
        let told_so = fake.count("notifications/cancelled");
        assert_eq!(told_so, usize::from(!version.is_stateless()), "{version:?}");
        if told_so == 1 {
            let id = &fake.last("tools/call").body["id"];
            assert_eq!(fake.last("notifications/cancelled").body["params"]["requestId"], *id);
        }
    }
}

#[tokio::test]
async fn the_secret_goes_where_it_may_and_an_echo_of_it_does_not_come_back() {
    let (fake, mcp) = (Fake::start(Version::LATEST).await, mcp());
    let contract = over_http(&fake, "echo", Effect::Read);
    let args = json!({ "text": "sk-\"canary" });
    let order = Order { secret: Some(b"sk-\"canary"), ..order(&contract, &args) };
    let reached = carry(&mcp, order).await;
    assert_eq!(fake.last("tools/call").header("authorization"), Some("Bearer sk-\"canary"));
    let text = String::from_utf8(reached.body.clone()).unwrap();
    assert!(!text.contains("canary"), "{text}");
    assert_eq!(body(&reached)["params"]["arguments"]["text"], "[secret]");
}

#[tokio::test]
async fn a_secret_does_not_travel_in_the_clear() {
    let contract =
        contract(json!({ "server": "fake", "url": "http://tools.example/mcp" }), "ok", Effect::Read);
    let args = json!({});
    // Not even to begin with: what Remit asks for itself carries the same secret.
    let secret = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(secret.path(), "sk-1").unwrap();
    let credential = Some(format!("file:{}", secret.path().display()));
    let contract = Contract { credential, ..contract };
    let order = Order { secret: Some(b"sk-1"), ..order(&contract, &args) };
    assert_eq!(told(&carry(&mcp(), order).await), ("not_dispatched", "insecure"));
}

#[tokio::test]
async fn a_name_that_leads_inside_is_not_connected_to() {
    let inside = Resolver::new(Arc::new(|_| Box::pin(async { Ok(vec!["127.0.0.1:0".parse().unwrap()]) })));
    let mcp = Mcp::with_resolver(&Options::default(), inside).unwrap();
    let fake = Fake::start(Version::LATEST).await;
    let url = format!("http://tools.example:{}/mcp", fake.address.port());
    let contract = contract(json!({ "server": "fake", "url": url }), "ok", Effect::Read);
    assert_eq!(told(&call(&mcp, &contract, json!({})).await), ("not_dispatched", "private_address"));
    assert!(fake.heard().is_empty());
}

#[tokio::test]
async fn resources_are_read_and_watched_in_either_era() {
    for version in [Version::V2025_11_25, Version::V2026_07_28] {
        let (fake, mcp) = (Fake::start(version).await, mcp());
        let of = |method: &str| {
            contract(json!({ "server": "fake", "url": fake.url(), "method": method }), method, Effect::Read)
        };
        let reached = call(&mcp, &of("resources/read"), json!({ "uri": "a:b" })).await;
        assert_eq!(body(&reached)["contents"][0]["text"], "hello");
        if version.is_stateless() {
            assert_eq!(fake.last("resources/read").header("mcp-name"), Some("a:b"));
            assert_eq!(
                told(&call(&mcp, &of("resources/subscribe"), json!({ "uri": "a:b" })).await).0,
                "succeeded"
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
            let filter = &fake.last("subscriptions/listen").body["params"]["notifications"];
            assert_eq!(filter["resourceSubscriptions"], json!(["a:b"]));
        }
    }
}

#[tokio::test]
async fn many_calls_at_once_get_each_its_own_answer() {
    for version in [Version::V2025_11_25, Version::V2026_07_28] {
        let (fake, mcp) = (Fake::start(version).await, mcp());
        let contract = Contract { timeout_ms: 10_000, ..over_http(&fake, "echo", Effect::Read) };
        let calls = (0..100).map(|n| {
            let (mcp, contract) = (&mcp, &contract);
            async move {
                let args = json!({ "text": n.to_string() });
                assert_eq!(body(&call(mcp, contract, args.clone()).await)["params"]["arguments"], args);
            }
        });
        futures_util::future::join_all(calls).await;
        assert_eq!(fake.count("tools/list"), 1);
        let ids: HashSet<String> = fake.heard().iter().map(|heard| heard.body["id"].to_string()).collect();
        assert!(ids.len() >= 100, "each request has an id of its own");
    }
}

#[tokio::test]
async fn a_resource_is_watched_as_long_as_anybody_watches_it_also_over_the_next_session() {
    let (fake, mcp) = (Fake::start(Version::V2025_11_25).await, mcp());
    let of = |method: &str| {
        contract(json!({ "server": "fake", "url": fake.url(), "method": method }), method, Effect::Read)
    };
    let (on, off) = (of("resources/subscribe"), of("resources/unsubscribe"));
    let count = || (fake.count("resources/subscribe"), fake.count("resources/unsubscribe"));
    let uri = json!({ "uri": "a:b" });
    call(&mcp, &on, uri.clone()).await;
    call(&mcp, &on, uri.clone()).await;
    assert_eq!(told(&call(&mcp, &off, uri.clone()).await), ("succeeded", ""));
    assert_eq!(count(), (2, 0));

    fake.forget_session();
    call(&mcp, &of("resources/read"), uri.clone()).await;
    for _ in 0..100 {
        if count().0 == 3 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(count(), (3, 0));
    assert_eq!(fake.last("resources/subscribe").header("mcp-session-id"), Some("session-2"));
    call(&mcp, &off, uri).await;
    assert_eq!(count(), (3, 1));
}

#[tokio::test]
async fn contracts_of_one_server_share_one_connection_and_those_that_are_gone_end_it() {
    let (fake, mcp) = (Fake::start(Version::V2025_11_25).await, mcp());
    let contracts = ["ok", "echo", "wants"].map(|tool| over_http(&fake, tool, Effect::Read));
    let calls = contracts.iter().map(|contract| call(&mcp, contract, json!({})));
    for reached in futures_util::future::join_all(calls).await {
        assert_eq!(told(&reached).0, "succeeded");
    }
    assert_eq!(fake.count("initialize"), 1);
    let other = Fake::start(Version::V2025_11_25).await;
    assert_eq!(told(&call(&mcp, &over_http(&other, "asks", Effect::Read), json!({})).await).0, "succeeded");
    assert_eq!(
        (fake.count("tools/call"), other.count("tools/call")),
        (3, 1),
        "a place of its own is not shared"
    );
    mcp.know([&contracts[0]]);
    assert!(!fake.heard().iter().any(|heard| heard.method == "DELETE"));
    mcp.know([]);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(fake.heard().iter().any(|heard| heard.method == "DELETE"));
    assert!(mcp.catalogue().list("fake", Kind::Tools).await.is_err());
}
