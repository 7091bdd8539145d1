//! Calls that wait for people: how each kind of client waits, what its state is good for, and what it is told.

use std::time::Duration;

use gate::AnswerAsk;
use serde_json::{Value, json};

use super::legacy::{Session, session_with};
use super::lists::next;
use super::world::{Answer, CONSOLE, Client, PAYER, TWIN, World, stateless};
use crate::mcp::era;

const TOO_OLD: (u16, i64) = (200, -32602);
const PAY: &str = "vault.pay";

/// A call of a client of 2026-07-28, which can be sent to an address or not.
async fn pay(client: &Client, cents: u64, can: Value, again: Value) -> Answer {
    let meta = json!({ era::META_CLIENT_CAPABILITIES: can });
    let mut params = json!({ "name": PAY, "arguments": { "cents": cents }, "_meta": meta });
    params.as_object_mut().unwrap().extend(again.as_object().unwrap().clone());
    client.ask("tools/call", params).await
}

fn sent() -> Value {
    json!({ "elicitation": { "url": {} } })
}

fn back(answer: &Answer) -> Value {
    json!({ "requestState": answer.result()["requestState"] })
}

/// Fay says it to the one call that waits.
async fn say(world: &World, yes: bool, words: &str) {
    let one = world.gate.inbox().into_iter().next().expect("something waits");
    let (words, by) = (Some(words.to_owned()), "fay".to_owned());
    let ask = AnswerAsk {
        call: one.call,
        by,
        yes,
        bound: one.bound,
        words,
        edit: None,
        standing: None,
        only: Vec::new(),
    };
    world.gate.answer(ask).await.unwrap().unwrap();
}

fn ticket(world: &World) -> String {
    let waiting = world.gate.inbox();
    assert_eq!(waiting.len(), 1, "one call waits");
    waiting[0].call.to_string()
}

#[tokio::test]
async fn a_client_is_sent_to_the_console_and_comes_back_with_its_state() {
    let world = World::new().await;
    let client = world.client(PAYER).await;
    let first = pay(&client, 5, sent(), json!({})).await;
    let ticket = ticket(&world);
    let asked = &first.result()["inputRequests"]["approval"];
    assert_eq!((&asked["method"], &asked["params"]["mode"]), (&json!("elicitation/create"), &json!("url")));
    assert_eq!(asked["params"]["url"], format!("{CONSOLE}/inbox/{ticket}"));
    assert_eq!(first.result()["_meta"]["dev.remit/ticket"]["ticket"], json!(ticket));
    let second = pay(&client, 5, sent(), back(&first)).await;
    assert_eq!(second.result()["resultType"], "input_required");
    assert!(second.result().get("inputRequests").is_none(), "its person is asked once: {}", second.text);
    say(&world, true, "seen").await;
    let last = pay(&client, 5, sent(), back(&second)).await;
    assert_eq!(last.result()["structuredContent"], json!({ "cents": 5 }));
    assert_eq!(last.result()["_meta"]["dev.remit/approval"]["by"], json!(["fay"]));
    assert!(last.text.contains("Approved by fay. They write: “seen”"), "{}", last.text);
}

#[tokio::test]
async fn a_state_is_good_for_one_agent_and_one_request_with_any_key_of_the_agent() {
    let world = World::new().await;
    let (client, same, twin) =
        (world.client(PAYER).await, world.client(PAYER).await, world.client(TWIN).await);
    let state = back(&pay(&client, 5, sent(), json!({})).await);
    assert_eq!(pay(&twin, 5, sent(), state.clone()).await.error(), TOO_OLD, "of another agent");
    assert_eq!(pay(&client, 6, sent(), state.clone()).await.error(), TOO_OLD, "other arguments");
    let text = state["requestState"].as_str().unwrap();
    for broken in [format!("{text}AAAA"), "tk_".to_owned(), text[..text.len() - 2].to_owned()] {
        let answer = pay(&client, 5, sent(), json!({ "requestState": broken })).await;
        assert_eq!(answer.error(), TOO_OLD, "{broken}");
    }
    assert_eq!(world.gate.inbox().len(), 1, "none of these asked anybody anew");
    say(&world, true, "seen").await;
    // A client that is started anew may well have another key.
    assert_eq!(pay(&same, 5, sent(), state).await.result()["structuredContent"], json!({ "cents": 5 }));
}

#[tokio::test]
async fn who_cannot_be_sent_anywhere_is_held_and_comes_back_and_not_for_ever() {
    let world = World::new().await;
    let client = world.client(PAYER).await;
    let mut answer = pay(&client, 5, json!({}), json!({})).await;
    for _ in 0..8 {
        assert_eq!(answer.result()["resultType"], "input_required", "{}", answer.text);
        assert!(answer.result().get("inputRequests").is_none());
        answer = pay(&client, 5, json!({}), back(&answer)).await;
    }
    assert_eq!(answer.result()["isError"], true, "{}", answer.text);
    assert!(answer.text.contains("Pending") && answer.text.contains(&ticket(&world)), "{}", answer.text);
    // Whoever does not want to go there is not held.
    let first = pay(&client, 5, sent(), json!({})).await;
    let mut no = back(&first);
    no["inputResponses"] = json!({ "approval": { "action": "decline" } });
    assert!(pay(&client, 5, sent(), no).await.text.contains("Pending"));
}

#[tokio::test]
async fn a_no_comes_back_as_a_refusal_with_its_words() {
    let world = World::new().await;
    let client = world.client(PAYER).await;
    let first = pay(&client, 5, sent(), json!({})).await;
    say(&world, false, "not this month").await;
    let last = pay(&client, 5, sent(), back(&first)).await;
    assert_eq!(last.result()["structuredContent"]["code"], "approval_denied");
    assert_eq!(last.result()["structuredContent"]["words"], "not this month");
    assert!(last.text.contains("was not called") && last.text.contains("not this month"), "{}", last.text);
}

#[tokio::test]
async fn status_lists_what_waits_and_says_what_became_of_one() {
    let world = World::new().await;
    let (client, twin) = (world.client(PAYER).await, world.client(TWIN).await);
    pay(&client, 5, sent(), json!({})).await;
    let ticket = ticket(&world);
    let listed = client.call("remit.status", json!({})).await;
    assert_eq!(listed.result()["structuredContent"]["waiting"][0]["ticket"], json!(ticket));
    assert_eq!(
        twin.call("remit.status", json!({})).await.result()["structuredContent"]["waiting"],
        json!([])
    );
    let one = json!({ "ticket": ticket });
    assert!(client.call("remit.status", one.clone()).await.text.contains("Pending"));
    assert_eq!(twin.call("remit.status", one.clone()).await.error(), TOO_OLD, "another's is none");
    assert_eq!(client.call("remit.status", json!({ "ticket": "x" })).await.error(), TOO_OLD);
    say(&world, true, "seen").await;
    for _ in 0..100 {
        let told = client.call("remit.status", one.clone()).await;
        if told.result()["structuredContent"] == json!({ "cents": 5 }) {
            return;
        }
        assert!(told.text.contains("Pending"), "{}", told.text);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("it came to no end");
}

// ---- What is read and is no tool --------------------------------------------------------------------------

/// What waits for a yes though it is no tool, and what its answer says of it.
fn reads() -> [(&'static str, Value, Value); 2] {
    [
        ("resources/read", json!({ "uri": "m://1" }), json!({ "uri": "m://1" })),
        ("prompts/get", json!({ "name": "mail.hello" }), json!({ "name": "hello" })),
    ]
}

async fn wants(client: &Client, method: &str, what: &Value, again: Value) -> Answer {
    let mut params = what.clone();
    params["_meta"] = json!({ era::META_CLIENT_CAPABILITIES: sent() });
    params.as_object_mut().unwrap().extend(again.as_object().unwrap().clone());
    let (mut headers, body) = stateless(method, params);
    headers.extend(what["uri"].as_str().map(|uri| ("mcp-name", uri.to_owned())));
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, text)| (*name, text.as_str())).collect();
    client.send("POST", &headers, &body).await
}

#[tokio::test]
async fn what_is_read_waits_for_a_yes_by_its_state_and_is_read_once_they_said_it() {
    for (method, what, told) in reads() {
        let world = World::new().await;
        let client = world.client(PAYER).await;
        let first = wants(&client, method, &what, json!({})).await;
        assert_eq!(first.result()["resultType"], "input_required", "{method}: {}", first.text);
        let url = &first.result()["inputRequests"]["approval"]["params"]["url"];
        assert_eq!(*url, format!("{CONSOLE}/inbox/{}", ticket(&world)), "{method}");
        let second = wants(&client, method, &what, back(&first)).await;
        assert_eq!(second.result()["resultType"], "input_required", "{method}: {}", second.text);
        let mut other = what.clone();
        let name = if method == "prompts/get" { "name" } else { "uri" };
        other[name] = json!(if method == "prompts/get" { "mail.none" } else { "m://2" });
        let stolen = wants(&client, method, &other, back(&first)).await;
        assert_eq!(stolen.error(), TOO_OLD, "{method}: a state is good for one request");
        say(&world, true, "read it").await;
        let last = wants(&client, method, &what, back(&second)).await;
        for (name, value) in told.as_object().unwrap() {
            assert_eq!(&last.result()[name], value, "{method}: {}", last.text);
        }
        let approval = json!({ "by": ["fay"], "edited": null, "words": "read it" });
        assert_eq!(last.result()["_meta"]["dev.remit/approval"], approval, "{method}");
        assert!(world.gate.inbox().is_empty());

        let first = wants(&client, method, &what, json!({})).await;
        say(&world, false, "not today").await;
        let last = wants(&client, method, &what, back(&first)).await;
        assert_eq!(last.body["error"]["data"]["code"], "approval_denied", "{method}: {}", last.text);
        assert!(last.text.contains("not today"), "{method}: {}", last.text);
    }
}

#[tokio::test]
async fn an_older_client_that_reads_is_told_its_ticket_and_the_same_request_reads() {
    for (method, what, told) in reads() {
        let world = World::new().await;
        let session = session(&world, json!({})).await;
        let first = session.ask(9, method, what.clone()).await;
        assert!(
            first.body.get("error").is_some() && first.text.contains(&ticket(&world)),
            "{method}: {}",
            first.text
        );
        say(&world, true, "read it").await;
        let again = session.ask(10, method, what).await;
        for (name, value) in told.as_object().unwrap() {
            assert_eq!(&again.result()[name], value, "{method}: {}", again.text);
        }
        assert!(world.gate.inbox().is_empty(), "{method}: nobody was asked anew");
    }
}

// ---- Clients with a session -------------------------------------------------------------------------------

async fn session(world: &World, can: Value) -> Session {
    session_with(&world.client(PAYER).await, "2025-11-25", can).await
}

fn call(more: &Value) -> String {
    let mut params = json!({ "name": PAY, "arguments": { "cents": 5 } });
    params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({ "jsonrpc": "2.0", "id": 9, "method": "tools/call", "params": params }).to_string()
}

#[tokio::test]
async fn an_older_client_is_held_and_then_told_the_ticket_and_the_same_call_gets_the_outcome() {
    let world = World::new().await;
    let session = session(&world, json!({})).await;
    let first = session.call(PAY, json!({ "cents": 5 })).await;
    assert!(first.text.contains("Pending") && first.text.contains(&ticket(&world)), "{}", first.text);
    say(&world, true, "seen").await;
    let again = session.call(PAY, json!({ "cents": 5 })).await;
    assert!(again.text.contains(r#"{\"cents\":5}"#) && again.text.contains("seen"), "{}", again.text);
    assert!(world.gate.inbox().is_empty(), "nobody was asked anew");
}

#[tokio::test]
async fn an_older_client_that_can_be_is_sent_to_the_console_while_it_is_held() {
    let world = World::holding(Duration::from_secs(20)).await;
    let session = session(&world, sent()).await;
    let response = session.client.response("POST", &session.headers(), &call(&json!({}))).await;
    let mut frames = response.into_body().into_data_stream();
    let asked = next(&mut frames).await;
    assert_eq!(asked["method"], "elicitation/create");
    assert_eq!(asked["params"]["url"], format!("{CONSOLE}/inbox/{}", ticket(&world)));
    assert_eq!(asked["params"]["elicitationId"], json!(ticket(&world)));
    let body = json!({ "jsonrpc": "2.0", "id": asked["id"], "result": { "action": "accept" } });
    session.send("POST", &body.to_string()).await;
    say(&world, true, "seen").await;
    let told = next(&mut frames).await;
    assert_eq!(told["result"]["structuredContent"], json!({ "cents": 5 }), "{told}");
}

#[tokio::test]
async fn a_hang_up_cancels_nothing_and_a_cancelled_request_ends_the_hold() {
    let world = World::holding(Duration::from_secs(20)).await;
    let session = session(&world, json!({})).await;
    let (headers, body) = (session.headers(), call(&json!({})));
    let waiting = session.client.response("POST", &headers, &body);
    let cancel = async {
        while world.gate.inbox().is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let gone =
            json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": 9 } });
        session.send("POST", &gone.to_string()).await;
    };
    let began = std::time::Instant::now();
    tokio::join!(waiting, cancel);
    assert!(began.elapsed() < Duration::from_secs(10), "it is held no longer");
    assert_eq!(world.gate.inbox().len(), 1, "and waits for people all the same");
}
