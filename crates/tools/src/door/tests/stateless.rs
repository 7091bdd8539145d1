//! 2026-07-28 on the wire: what is refused before it is a call, with which status and code.

use serde_json::{Value, json};

use super::world::{CLERK, Client, World, stateless};
use crate::mcp::era;

/// A good request with some headers changed; an empty value takes the header away.
async fn changed(client: &Client, method: &str, params: Value, changes: &[(&str, &str)]) -> (u16, i64) {
    let (headers, body) = stateless(method, params);
    let mut headers: Vec<(&str, &str)> =
        headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    headers.retain(|(name, _)| changes.iter().all(|(changed, _)| changed != name));
    headers.extend(changes.iter().filter(|(_, value)| !value.is_empty()));
    let answer = client.send("POST", &headers, &body).await;
    if answer.status == 200 { (200, 0) } else { answer.error() }
}

#[tokio::test]
async fn discover_tells_the_versions_and_needs_no_session() {
    let client = World::new().await.client(CLERK).await;
    let answer = client.ask("server/discover", json!({})).await;
    let result = answer.result();
    assert_eq!(result["supportedVersions"], json!(["2026-07-28", "2025-11-25", "2025-06-18", "2025-03-26"]));
    assert_eq!(result["resultType"], "complete");
    assert_eq!(result["cacheScope"], "private");
    assert!(result["capabilities"]["tools"]["listChanged"].as_bool().unwrap());
    assert_eq!(result["_meta"][era::META_SERVER_INFO]["name"], "remit");
    assert!(!answer.headers.contains_key("mcp-session-id"));
}

#[tokio::test]
async fn a_request_says_its_version_and_its_clients_capabilities() {
    let client = World::new().await.client(CLERK).await;
    let headers = [("mcp-protocol-version", "2026-07-28"), ("mcp-method", "server/discover")];
    for params in [
        json!({}),
        json!({ "_meta": { era::META_CLIENT_CAPABILITIES: {} } }),
        json!({ "_meta": { era::META_VERSION: "2026-07-28" } }),
        json!({ "_meta": { era::META_VERSION: 7, era::META_CLIENT_CAPABILITIES: {} } }),
        json!({ "_meta": { era::META_VERSION: "2026-07-28", era::META_CLIENT_CAPABILITIES: [] } }),
    ] {
        let body = json!({ "jsonrpc": "2.0", "id": "a", "method": "server/discover", "params": params });
        let answer = client.send("POST", &headers, &body.to_string()).await;
        assert_eq!(answer.error(), (400, -32602), "{params}");
        assert_eq!(answer.body["id"], "a");
    }
}

#[tokio::test]
async fn headers_are_compared_with_the_body_and_never_believed() {
    let client = World::new().await.client(CLERK).await;
    let call = || json!({ "name": "desk.look", "arguments": { "ticket": 7 } });
    let mismatch = (400, -32020);
    for (name, value) in [
        ("mcp-protocol-version", "2025-11-25"),
        ("mcp-protocol-version", ""),
        ("mcp-method", "tools/list"),
        ("mcp-method", "TOOLS/CALL"),
        ("mcp-method", ""),
        ("mcp-name", "desk.wait"),
        ("mcp-name", ""),
        ("mcp-name", "=?base64?ZGVzay5sb29rIQ==?="),
        ("mcp-name", "=?base64?!?="),
    ] {
        assert_eq!(
            changed(&client, "tools/call", call(), &[(name, value)]).await,
            mismatch,
            "{name}: {value}"
        );
    }
    for name in ["  desk.look  ", "=?base64?ZGVzay5sb29r?="] {
        assert_eq!(changed(&client, "tools/call", call(), &[("mcp-name", name)]).await, (200, 0), "{name}");
    }
    let twice = [("mcp-method", "tools/call"), ("mcp-method", "tools/call")];
    assert_eq!(changed(&client, "tools/call", call(), &twice).await, mismatch);
}

#[tokio::test]
async fn arguments_that_a_schema_mirrors_into_headers_are_the_same_there() {
    let client = World::new().await.client(CLERK).await;
    let call = || json!({ "name": "desk.marked", "arguments": { "region": "eu", "count": 42 } });
    let both = |region, count| [("mcp-param-region", region), ("mcp-param-count", count)];
    for (region, count) in [("eu", "42"), ("=?base64?ZXU=?=", "42.0")] {
        assert_eq!(changed(&client, "tools/call", call(), &both(region, count)).await, (200, 0), "{region}");
    }
    for (region, count) in [("us", "42"), ("eu", "43"), ("", "42"), ("eu", ""), ("=?base64?ZXU?=", "42")] {
        let got = changed(&client, "tools/call", call(), &both(region, count)).await;
        assert_eq!(got, (400, -32020), "{region} {count}");
    }
    let without = json!({ "name": "desk.marked", "arguments": {} });
    let got = changed(&client, "tools/call", without, &[("mcp-param-region", "eu")]).await;
    assert_eq!(got, (400, -32020), "a header for what the body does not say");
}

#[tokio::test]
async fn a_version_that_is_not_spoken_is_answered_with_those_that_are() {
    let client = World::new().await.client(CLERK).await;
    let params = json!({ "_meta": { era::META_VERSION: "v999", era::META_CLIENT_CAPABILITIES: {} } });
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "server/discover", "params": params });
    let headers = [("mcp-protocol-version", "v999"), ("mcp-method", "server/discover")];
    let answer = client.send("POST", &headers, &body.to_string()).await;
    assert_eq!(answer.error(), (400, -32022));
    assert_eq!(answer.body["error"]["data"], json!({ "requested": "v999", "supported": ["2026-07-28"] }));
}

#[tokio::test]
async fn what_this_era_has_not_is_not_found() {
    let world = World::new().await;
    let client = world.client(CLERK).await;
    for method in ["initialize", "ping", "logging/setLevel", "resources/subscribe", "tools/fly"] {
        let answer = client.ask(method, json!({})).await;
        assert_eq!(answer.error(), (404, -32601), "{method}");
        assert_eq!(answer.body["id"], 7);
    }
    for method in ["GET", "DELETE"] {
        let answer = client.send(method, &[("mcp-protocol-version", "2026-07-28")], "").await;
        assert_eq!(
            (answer.status.as_u16(), answer.headers["allow"].as_bytes()),
            (405, &b"POST"[..]),
            "{method}"
        );
        assert_eq!(client.send(method, &[], "").await.status, 405, "{method}");
    }
    assert_eq!(client.send("PUT", &[], "").await.status, 405);
}

#[tokio::test]
async fn what_is_no_request_is_not_answered_like_one() {
    let client = World::new().await.client(CLERK).await;
    let version = [("mcp-protocol-version", "2026-07-28")];
    let notification = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#;
    let answer = client.send("POST", &version, notification).await;
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (202, ""));
    for (body, code) in [
        (r#"{"jsonrpc":"2.0","id":1,"result":{}}"#, -32600),
        (r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#, -32600),
        (r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}"#, -32700),
        ("{", -32700),
    ] {
        assert_eq!(client.send("POST", &version, body).await.error(), (400, code), "{body}");
    }
    let unspoken = [("mcp-protocol-version", "2099-01-01")];
    assert_eq!(client.send("POST", &unspoken, notification).await.error(), (400, -32022));
}

#[tokio::test]
async fn a_body_is_json_and_an_answer_is_something_that_the_client_reads() {
    let client = World::new().await.client(CLERK).await;
    let (headers, body) = stateless("tools/list", json!({}));
    let send = |more: [(&'static str, &'static str); 1]| {
        let (client, headers, body) = (client.clone(), headers.clone(), body.clone());
        async move {
            let all: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (*n, v.as_str())).chain(more).collect();
            client.send("POST", &all, &body).await
        }
    };
    assert_eq!(send([("content-type", "text/plain")]).await.status, 415);
    assert_eq!(send([("accept", "text/html")]).await.status, 406);
    assert_eq!(send([("accept", "*/*")]).await.status, 200);
    let only_events = send([("accept", "text/event-stream")]).await;
    assert!(only_events.is_stream());
    assert_eq!(only_events.messages().len(), 1);
}

#[tokio::test]
async fn what_was_refused_at_the_door_is_in_the_ledger() {
    let world = World::new().await;
    let client = world.client(CLERK).await;
    let before = world.gate.counts().refused_requests;
    client.ask("tools/fly", json!({})).await;
    changed(&client, "tools/list", json!({}), &[("mcp-method", "x")]).await;
    client.send("POST", &[], "{").await;
    assert_eq!(world.gate.counts().refused_requests, before + 3);
}
