//! What an agent sees of the tools, and how it hears that they changed.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use kernel::contract::Effect;
use serde_json::{Value, json};

use super::world::{CLERK, Client, OTHER, World, book, contract, rules, stateless};
use crate::door::tools;
use crate::mcp::era;

async fn names(client: &Client) -> Vec<String> {
    let answer = client.ask("tools/list", json!({})).await;
    let tools = answer.result()["tools"].as_array().unwrap();
    let names = tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned());
    // The house's own tools are everybody's.
    names.filter(|name| !name.starts_with("remit.")).collect()
}

#[tokio::test]
async fn an_agent_sees_what_it_could_ever_use_and_nothing_else() {
    let world = World::new().await;
    let clerk = world.client(CLERK).await;
    let desk = ["desk.down", "desk.fail", "desk.look", "desk.lose", "desk.marked", "desk.out", "desk.talk"];
    let desk = [desk.as_slice(), &["desk.wait", "desk.why"]].concat();
    let mail = ["mail.ask", "mail.broken", "mail.live", "mail.long", "mail.mail", "mail.sorry"];
    assert_eq!(names(&clerk).await, [desk.as_slice(), &mail].concat());
    assert_eq!(names(&clerk.at("/mcp/mail")).await, ["ask", "broken", "live", "long", "mail", "sorry"]);
    assert_eq!(names(&world.client(OTHER).await).await, ["vault.open"]);
    let answer = clerk.ask("tools/list", json!({})).await;
    assert_eq!(
        (&answer.result()["cacheScope"], &answer.result()["resultType"]),
        (&json!("private"), &json!("complete"))
    );
}

#[tokio::test]
async fn a_server_of_which_nothing_is_visible_is_one_that_does_not_exist() {
    let clerk = World::new().await.client(CLERK).await;
    let (hidden, absent) = (clerk.at("/mcp/vault"), clerk.at("/mcp/nowhere"));
    let (hidden, absent) =
        (hidden.ask("tools/list", json!({})).await, absent.ask("tools/list", json!({})).await);
    assert_eq!((hidden.status.as_u16(), absent.status.as_u16()), (404, 404));
    assert_eq!(hidden.text.replace("vault", "nowhere"), absent.text);
}

#[tokio::test]
async fn a_tool_is_shown_as_it_was_accepted_with_a_place_for_the_reason() {
    let clerk = World::new().await.client(CLERK).await;
    let answer = clerk.ask("tools/list", json!({})).await;
    let tools = answer.result()["tools"].as_array().unwrap().clone();
    let of = |name: &str| tools.iter().find(|tool| tool["name"] == name).unwrap().clone();
    let mail = of("mail.mail");
    assert_eq!((&mail["title"], &mail["description"]), (&json!("Send mail"), &json!("Sends it.")));
    assert_eq!(mail["outputSchema"], json!({ "type": "object" }));
    let look = of("desk.look");
    assert_eq!(look["inputSchema"]["properties"]["remit_reason"]["type"], "string");
    assert_eq!(look["inputSchema"]["required"], json!(["ticket"]));
    assert_eq!(look["annotations"]["readOnlyHint"], true);
    assert_eq!(of("desk.lose")["annotations"]["destructiveHint"], true);
    assert_eq!(of("desk.wait")["inputSchema"]["type"], "object");
    assert_eq!(of("desk.why")["inputSchema"]["properties"]["remit_reason"], json!({ "type": "integer" }));
}

#[test]
fn a_long_list_comes_in_pages_and_whole() {
    let tool = |name: &str| Arc::new(contract("shelf", name, Effect::Read, &json!({})));
    let all: Vec<_> = ["a", "b", "c", "d", "e"].map(tool).into();
    let (mut names, mut after, mut pages) = (Vec::new(), None, 0);
    loop {
        let (page, next) = tools::page(&all, after, 2);
        names.extend(page.iter().map(|contract| contract.tool.as_str()));
        (after, pages) = (next, pages + 1);
        if next.is_none() {
            break;
        }
    }
    assert_eq!((names.concat().as_str(), pages), ("abcde", 3));
    let (rest, _) = tools::page(&all, Some("shelf.bb"), 9);
    assert_eq!(rest.len(), 3, "a name that is gone still has a place");
    assert!(tools::page(&all, Some("shelf.e"), 2).0.is_empty());
    assert!(tools::page(&all[..2], None, 2).1.is_none(), "a full last page is the last");
}

#[tokio::test]
async fn a_cursor_that_nobody_gave_out_is_an_error() {
    let client = World::new().await.client(CLERK).await;
    for cursor in [json!("%"), json!(7)] {
        assert_eq!(client.ask("tools/list", json!({ "cursor": cursor })).await.error(), (200, -32602));
    }
}

#[tokio::test]
async fn a_subscription_is_acknowledged_and_told_of_what_it_asked_for_only() {
    let world = World::new().await;
    let client = world.client(CLERK).await;
    let wants = json!({ "notifications": { "toolsListChanged": true, "resourceSubscriptions": ["m://1"] } });
    let mut tools = listen(&client, wants).await;
    let mut nothing = listen(&client, json!({ "notifications": {} })).await;
    let acknowledged = next(&mut tools).await;
    assert_eq!(acknowledged["method"], "notifications/subscriptions/acknowledged");
    let told = json!({ "toolsListChanged": true, "resourceSubscriptions": ["m://1"] });
    assert_eq!(acknowledged["params"]["notifications"], told);
    assert_eq!(acknowledged["params"]["_meta"][era::META_SUBSCRIPTION], 7);
    assert_eq!(next(&mut nothing).await["params"]["notifications"], json!({}));

    let mut book = book();
    book.tools.remove("desk.hidden");
    world.gate.activate(rules(book), "test").await.unwrap();
    let changed = next(&mut tools).await;
    assert_eq!(changed["method"], "notifications/tools/list_changed");
    assert_eq!(changed["params"]["_meta"][era::META_SUBSCRIPTION], 7);

    world.gate.stop(Duration::from_millis(10)).await;
    for stream in [&mut tools, &mut nothing] {
        let last = next(stream).await;
        assert_eq!((&last["id"], &last["result"]["resultType"]), (&json!(7), &json!("complete")));
        assert!(stream.next().await.is_none(), "it ends");
    }
}

#[tokio::test]
async fn a_halt_of_its_agent_ends_a_stream_and_no_other() {
    let world = World::new().await;
    let (clerk, other) = (world.client(CLERK).await, world.client(OTHER).await);
    let wants = || json!({ "notifications": { "toolsListChanged": true } });
    let (mut cut, mut kept) = (listen(&clerk, wants()).await, listen(&other, wants()).await);
    next(&mut cut).await;
    next(&mut kept).await;
    world.halt(&format!("agent:{CLERK}")).await;
    assert_eq!(next(&mut cut).await["result"]["resultType"], "complete");
    assert!(cut.next().await.is_none(), "it ends");
    let mut book = book();
    book.tools.remove("desk.hidden");
    world.gate.activate(rules(book), "test").await.unwrap();
    assert_eq!(next(&mut kept).await["method"], "notifications/tools/list_changed");
}

#[tokio::test]
async fn a_subscription_needs_a_stream_and_something_to_listen_for() {
    let client = World::new().await.client(CLERK).await;
    let answer = client.ask("subscriptions/listen", json!({})).await;
    assert_eq!(answer.error().1, -32602);
    let (headers, body) = stateless("subscriptions/listen", json!({ "notifications": {} }));
    let mut headers: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
    headers.push(("accept", "application/json"));
    assert_eq!(client.send("POST", &headers, &body).await.status, 406);
}

#[tokio::test]
async fn one_key_cannot_hold_all_streams() {
    let world = World::new().await;
    let (client, other) = (world.client(CLERK).await, world.client(OTHER).await);
    let wants = || json!({ "notifications": {} });
    let mut open = Vec::new();
    for _ in 0..32 {
        open.push(listen(&client, wants()).await);
    }
    let (headers, body) = stateless("subscriptions/listen", wants());
    let headers: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
    assert_eq!(client.response("POST", &headers, &body).await.status(), 503);
    drop(listen(&other, wants()).await);
    open.pop();
    drop(listen(&client, wants()).await);
}

pub(super) type Frames = axum::body::BodyDataStream;

async fn listen(client: &Client, params: Value) -> Frames {
    let (headers, body) = stateless("subscriptions/listen", params);
    let headers: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
    let response = client.response("POST", &headers, &body).await;
    assert_eq!(response.status(), 200);
    response.into_body().into_data_stream()
}

/// The next message of a stream.
pub(super) async fn next(frames: &mut Frames) -> Value {
    loop {
        let frame =
            tokio::time::timeout(Duration::from_secs(5), frames.next()).await.expect("a message in time");
        let text = String::from_utf8(frame.expect("an open stream").unwrap().to_vec()).unwrap();
        if let Some(data) = text.lines().find_map(|line| line.strip_prefix("data: ")) {
            return serde_json::from_str(data).unwrap();
        }
    }
}
