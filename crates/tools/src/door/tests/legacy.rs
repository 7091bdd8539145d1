//! Until 2025-11-25 on the wire: `initialize`, sessions, their stream, and what each revision has not.

use std::time::Duration;

use futures_util::StreamExt;
use serde_json::{Value, json};

use super::lists::next;
use super::world::{Answer, CLERK, Client, OTHER, World, book, rules};

/// A client in its session.
pub(super) struct Session {
    pub(super) client: Client,
    id: String,
    version: String,
}

async fn initialize(client: &Client, version: &str) -> Answer {
    initialize_with(client, version, json!({})).await
}

async fn initialize_with(client: &Client, version: &str, can: Value) -> Answer {
    let params = json!({ "protocolVersion": version, "capabilities": can, "clientInfo": { "name": "t", "version": "1" } });
    let body = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params });
    client.send("POST", &[], &body.to_string()).await
}

async fn session(client: &Client, version: &str) -> Session {
    session_with(client, version, json!({})).await
}

/// The session of a client that can be asked.
pub(super) async fn session_with(client: &Client, version: &str, can: Value) -> Session {
    let answer = initialize_with(client, version, can).await;
    let version = answer.result()["protocolVersion"].as_str().unwrap().to_owned();
    let id = answer.headers["mcp-session-id"].to_str().unwrap().to_owned();
    let session = Session { client: client.clone(), id, version };
    let answer = session.send("POST", r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#).await;
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (202, ""));
    session
}

impl Session {
    pub(super) fn headers(&self) -> [(&str, &str); 2] {
        [("mcp-session-id", &self.id), ("mcp-protocol-version", &self.version)]
    }

    pub(super) async fn send(&self, method: &str, body: &str) -> Answer {
        self.client.send(method, &self.headers(), body).await
    }

    pub(super) async fn ask(&self, id: u64, method: &str, params: Value) -> Answer {
        let body = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        self.send("POST", &body.to_string()).await
    }

    pub(super) async fn call(&self, tool: &str, arguments: Value) -> Answer {
        self.ask(9, "tools/call", json!({ "name": tool, "arguments": arguments })).await
    }
}

#[tokio::test]
async fn initialize_agrees_on_a_version_and_opens_a_session() {
    let client = World::new().await.client(CLERK).await;
    for (asked, agreed) in [
        ("2025-03-26", "2025-03-26"),
        ("2025-06-18", "2025-06-18"),
        ("2025-11-25", "2025-11-25"),
        ("2026-07-28", "2025-11-25"),
        ("2024-11-05", "2025-11-25"),
    ] {
        let answer = initialize(&client, asked).await;
        assert_eq!(answer.result()["protocolVersion"], agreed, "{asked}");
        assert_eq!(answer.result()["serverInfo"]["name"], "remit");
        assert!(answer.result()["instructions"].as_str().unwrap().contains("refuses"));
        assert_eq!(answer.headers["mcp-session-id"].len(), 32);
    }
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}"#;
    assert_eq!(client.send("POST", &[], body).await.error().1, -32602);
}

#[tokio::test]
async fn what_a_call_came_to_is_told_inside_http_200() {
    let session = session(&World::new().await.client(CLERK).await, "2025-11-25").await;
    let answer = session.call("mail.ask", json!({})).await;
    assert_eq!(answer.error(), (200, -32600));
    assert!(answer.text.contains("the server asks for input"), "{}", answer.text);
}

#[tokio::test]
async fn tools_are_listed_and_called_in_a_session() {
    let session = session(&World::new().await.client(CLERK).await, "2025-11-25").await;
    let answer = session.ask(1, "tools/list", json!({})).await;
    let list = answer.result();
    assert!(list["tools"].as_array().unwrap().len() >= 14);
    assert!(list.get("resultType").is_none() && list.get("cacheScope").is_none(), "{list}");
    let answer = session.call("desk.look", json!({ "ticket": 7 })).await;
    assert_eq!(answer.body["id"], 9);
    assert_eq!(answer.result()["structuredContent"], json!({ "ticket": 7 }));
    assert!(answer.result().get("resultType").is_none());
    let refused = session.call("desk.look", json!({ "ticket": 700 })).await;
    assert_eq!(
        (&refused.result()["isError"], &refused.result()["structuredContent"]["code"]),
        (&json!(true), &json!("no_rule_allows"))
    );
    let text = &refused.result()["content"][0]["text"];
    assert_eq!(&refused.result()["structuredContent"]["message"], text);
    assert_eq!(session.call("desk.hidden", json!({})).await.error(), (200, -32602));
}

#[tokio::test]
async fn an_old_client_gets_nothing_that_its_revision_has_not() {
    let session = session(&World::new().await.client(CLERK).await, "2025-03-26").await;
    let answer = session.call("desk.look", json!({ "ticket": 7 })).await;
    assert!(answer.result().get("structuredContent").is_none(), "{}", answer.text);
    assert_eq!(answer.result()["content"][0]["text"], "{\"ticket\":7}");
    let list = session.ask(1, "tools/list", json!({})).await;
    assert!(!list.text.contains("outputSchema"), "{}", list.text);
    let mail = session.call("mail.mail", json!({})).await;
    assert!(!mail.text.contains("resource_link"), "{}", mail.text);
}

#[tokio::test]
async fn a_session_is_its_keys_alone_and_its_doors_alone() {
    let world = World::new().await;
    let (client, other) = (world.client(CLERK).await, world.client(OTHER).await);
    let own = session(&client, "2025-11-25").await;
    let second_key = world.client(CLERK).await;
    for stranger in [other, second_key, client.at("/mcp/desk")] {
        let stolen = Session { client: stranger, id: own.id.clone(), version: own.version.clone() };
        assert_eq!(stolen.ask(1, "ping", json!({})).await.error(), (404, -32001));
        assert_eq!(stolen.send("DELETE", "").await.status, 404);
        assert_eq!(stolen.send("GET", "").await.status, 404);
    }
    assert_eq!(own.ask(1, "ping", json!({})).await.result(), &json!({}));
}

#[tokio::test]
async fn a_session_that_was_ended_is_not_found() {
    let session = session(&World::new().await.client(CLERK).await, "2025-11-25").await;
    assert_eq!(session.send("DELETE", "").await.status, 204);
    assert_eq!(session.ask(1, "ping", json!({})).await.error(), (404, -32001));
    assert_eq!(session.send("DELETE", "").await.status, 404);
}

#[tokio::test]
async fn without_a_session_only_initialize_is_answered() {
    let client = World::new().await.client(CLERK).await;
    for body in [
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#,
        r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
    ] {
        assert_eq!(client.send("POST", &[], body).await.error(), (400, -32600), "{body}");
    }
    let legacy = [("mcp-protocol-version", "2025-11-25")];
    assert_eq!(client.send("GET", &legacy, "").await.error(), (400, -32600));
}

#[tokio::test]
async fn a_version_header_says_what_was_agreed_on() {
    let session = session(&World::new().await.client(CLERK).await, "2025-11-25").await;
    let ping = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
    let id = ("mcp-session-id", session.id.as_str());
    let other = [id, ("mcp-protocol-version", "2025-06-18")];
    assert_eq!(session.client.send("POST", &other, ping).await.error(), (400, -32600));
    assert_eq!(session.client.send("POST", &[id], ping).await.status, 200, "2025-03-26 has no such header");
}

#[tokio::test]
async fn methods_of_the_other_era_are_not_found() {
    let session = session(&World::new().await.client(CLERK).await, "2025-11-25").await;
    for method in ["server/discover", "subscriptions/listen", "tools/fly"] {
        assert_eq!(session.ask(1, method, json!({})).await.error(), (200, -32601), "{method}");
    }
}

#[tokio::test]
async fn log_lines_are_those_that_the_session_asked_for() {
    let session = session(&World::new().await.client(CLERK).await, "2025-11-25").await;
    let heard = |answer: Answer| answer.messages().iter().any(|one| one["method"] == "notifications/message");
    assert!(heard(session.call("desk.talk", json!({})).await));
    assert_eq!(session.ask(2, "logging/setLevel", json!({ "level": "error" })).await.result(), &json!({}));
    assert!(!heard(session.call("desk.talk", json!({})).await));
    assert_eq!(session.ask(2, "logging/setLevel", json!({ "level": "loud" })).await.error(), (200, -32602));
}

#[tokio::test]
async fn a_cancelled_request_stops_its_call_and_no_other_session_can() {
    let world = World::new().await;
    let client = world.client(CLERK).await;
    let (own, other) = (session(&client, "2025-11-25").await, session(&client, "2025-11-25").await);
    let cancel = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":9}}"#;
    let waiting = own.call("desk.wait", json!({}));
    let cancelling = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(other.send("POST", cancel).await.status, 202);
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(world.cancelled.load(std::sync::atomic::Ordering::SeqCst), 0);
        let taken = own.ask(9, "ping", json!({})).await;
        assert_eq!(taken.error(), (400, -32600), "the id is under way");
        assert_eq!(own.send("POST", cancel).await.status, 202);
    };
    let (answer, ()) = tokio::join!(waiting, cancelling);
    world.told_to_stop(1).await;
    assert_eq!(answer.result()["isError"], true);
    assert_eq!(own.ask(9, "ping", json!({})).await.status, 200, "the id is free again");
}

#[tokio::test]
async fn a_client_that_hangs_up_cancels_nothing() {
    let world = World::new().await;
    let session = session(&world.client(CLERK).await, "2025-11-25").await;
    let body = r#"{"jsonrpc":"2.0","id":9,"method":"tools/call","params":{"name":"desk.wait"}}"#;
    let headers = session.headers();
    let waiting = session.client.response("POST", &headers, body);
    assert!(tokio::time::timeout(Duration::from_millis(200), waiting).await.is_err());
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(world.cancelled.load(std::sync::atomic::Ordering::SeqCst), 0);
}

#[tokio::test]
async fn arrays_of_messages_are_of_one_revision_only() {
    let client = World::new().await.client(CLERK).await;
    let batch = r#"[{"jsonrpc":"2.0","id":1,"method":"ping"},
        {"jsonrpc":"2.0","method":"notifications/x"},{"jsonrpc":"2.0","id":2,"method":"nothing"},
        {"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"desk.look","arguments":{"ticket":7}}}]"#;
    let old = session(&client, "2025-03-26").await;
    let answer = old.send("POST", batch).await;
    assert_eq!(answer.status, 200);
    let ids: Vec<_> = answer.body.as_array().unwrap().iter().map(|one| one["id"].as_u64().unwrap()).collect();
    assert_eq!(ids, [1, 2, 3]);
    assert_eq!(answer.body[1]["error"]["code"], -32601);
    assert_eq!(answer.body[2]["result"]["content"][0]["text"], "{\"ticket\":7}");
    let silent = old.send("POST", r#"[{"jsonrpc":"2.0","method":"notifications/x"}]"#).await;
    assert_eq!(silent.status, 202);
    assert_eq!(old.send("POST", "[]").await.error(), (400, -32600));
    for version in ["2025-06-18", "2025-11-25"] {
        let newer = session(&client, version).await;
        assert_eq!(newer.send("POST", batch).await.error(), (400, -32600), "{version}");
    }
}

#[tokio::test]
async fn a_session_has_one_stream_that_tells_of_changed_tools() {
    let world = World::new().await;
    let session = session(&world.client(CLERK).await, "2025-11-25").await;
    let response = session.client.response("GET", &session.headers(), "").await;
    assert_eq!(response.status(), 200);
    let mut frames = response.into_body().into_data_stream();
    assert_eq!(session.send("GET", "").await.status, 409);

    let mut book = book();
    book.tools.remove("desk.hidden");
    world.gate.activate(rules(book), "test").await.unwrap();
    assert_eq!(
        next(&mut frames).await,
        json!({ "jsonrpc": "2.0", "method": "notifications/tools/list_changed" })
    );

    assert_eq!(session.send("DELETE", "").await.status, 204);
    let ended = async { while frames.next().await.is_some() {} };
    assert!(
        tokio::time::timeout(Duration::from_secs(5), ended).await.is_ok(),
        "the stream ends with its session"
    );
}

#[tokio::test]
async fn the_run_that_initialize_named_is_the_sessions() {
    let world = World::new().await;
    let mut client = world.client(CLERK).await;
    let (run, _) = world.run(&client.caller).await;
    client.run = Some(run);
    let mut session = session(&client, "2025-11-25").await;
    session.client.run = None;
    let answer = session.call("desk.look", json!({ "ticket": 7 })).await;
    let receipt = &answer.result()["_meta"]["dev.remit/receipt"];
    let index = receipt["receipt"]["index"].as_u64().unwrap() + 1;
    let id = receipt["call"].as_str().unwrap().parse().unwrap();
    assert_eq!(world.gate.call_view(id, Some(index)).await.unwrap().1.run, Some(run));
}

/// The ids and the messages of the next events, up to one that is a result.
async fn rest(response: http::Response<axum::body::Body>) -> Vec<(String, Value)> {
    assert_eq!(response.status(), 200);
    let mut frames = response.into_body().into_data_stream();
    let mut heard = Vec::new();
    while let Some(frame) = frames.next().await {
        let text = String::from_utf8(frame.unwrap().to_vec()).unwrap();
        for event in text.split("\n\n") {
            let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name));
            let Some(id) = field("id: ") else { continue };
            let message = field("data: ").map(|data| serde_json::from_str(data).unwrap());
            heard.push((id.to_owned(), message.unwrap_or_default()));
        }
    }
    heard
}

#[tokio::test]
async fn a_client_whose_connection_broke_hears_the_rest() {
    let world = World::new().await;
    let client = world.client(CLERK).await;
    let session = session(&client, "2025-11-25").await;
    let params =
        json!({ "name": "desk.talk", "arguments": { "text": "hi" }, "_meta": { "progressToken": 1 } });
    let body = json!({ "jsonrpc": "2.0", "id": 5, "method": "tools/call", "params": params }).to_string();
    let response = session.client.response("POST", &session.headers(), &body).await;
    let mut frames = response.into_body().into_data_stream();
    let first = String::from_utf8(frames.next().await.unwrap().unwrap().to_vec()).unwrap();
    assert_eq!(first, "id: 1-0\ndata:\n\n", "an id before there are words");
    drop(frames);

    let resume = |id: &str| {
        let (session, id) = (&session, id.to_owned());
        async move {
            let headers = session.headers();
            let headers = [headers[0], headers[1], ("last-event-id", id.as_str())];
            session.client.response("GET", &headers, "").await
        }
    };
    let heard = rest(resume("1-0").await).await;
    assert!(heard.len() >= 2, "{heard:?}");
    assert_eq!(heard[0].1["method"], "notifications/progress");
    assert_eq!(heard.last().unwrap().1["result"]["structuredContent"], json!({ "text": "hi" }));
    let again = rest(resume(&heard[0].0).await).await;
    assert_eq!(again, heard[1..], "only what came after");

    for strange in ["9-0", "nonsense", "1"] {
        assert_eq!(resume(strange).await.status(), 400, "{strange}");
    }
    let other = self::session(&client, "2025-11-25").await;
    let headers = other.headers();
    let headers = [headers[0], headers[1], ("last-event-id", "1-0")];
    let status = other.client.response("GET", &headers, "").await.status();
    assert_eq!(status, 400, "a stream is its session's own");
}

#[tokio::test]
async fn news_that_came_while_nobody_listened_are_told_to_who_comes_again() {
    let world = World::new().await;
    let session = session(&world.client(CLERK).await, "2025-11-25").await;
    let response = session.client.response("GET", &session.headers(), "").await;
    let mut frames = response.into_body().into_data_stream();
    let mut heard = String::new();
    while !heard.contains("id: ") {
        heard.push_str(std::str::from_utf8(&frames.next().await.unwrap().unwrap()).unwrap());
    }
    assert!(heard.contains("id: 0-0\n"), "{heard}");
    drop(frames);
    let mut book = book();
    book.tools.remove("desk.hidden");
    world.gate.activate(rules(book), "test").await.unwrap();

    let headers = session.headers();
    let headers = [headers[0], headers[1], ("last-event-id", "0-0")];
    let response = session.client.response("GET", &headers, "").await;
    let mut frames = response.into_body().into_data_stream();
    let told = next(&mut frames).await;
    assert_eq!(told["method"], "notifications/tools/list_changed", "{told}");
    drop(frames);
    // Heard or not, what came after the last that the client says it heard is told again.
    let response = session.client.response("GET", &headers, "").await;
    let mut frames = response.into_body().into_data_stream();
    assert_eq!(next(&mut frames).await["method"], "notifications/tools/list_changed");
}
