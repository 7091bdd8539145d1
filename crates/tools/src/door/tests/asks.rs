//! What a server asks while its call is under way: of clients with a session on their streams, of others in results.

use std::time::Duration;

use futures_util::StreamExt;
use serde_json::{Value, json};

use super::legacy::{Session, session_with};
use super::lists::{Frames, next};
use super::world::{Answer, CLERK, Client, World};
use crate::door::live::PARKED_TTL;
use crate::mcp::era;

const LEGACY: &str = "2025-11-25";

fn can() -> Value {
    json!({ "elicitation": {} })
}

async fn halt_answers(world: &World) {
    world.halt("tool:mail.elicit").await;
}

/// A call in a session, and the stream of its answer.
async fn begin(session: &Session, tool: &str, arguments: Value) -> Frames {
    let params = json!({ "name": tool, "arguments": arguments });
    let body = json!({ "jsonrpc": "2.0", "id": 9, "method": "tools/call", "params": params });
    let response = session.client.response("POST", &session.headers(), &body.to_string()).await;
    assert_eq!(response.status(), 200);
    response.into_body().into_data_stream()
}

async fn say(session: &Session, id: &Value, name: &str) {
    let result = json!({ "action": "accept", "content": { "name": name } });
    let body = json!({ "jsonrpc": "2.0", "id": id, "result": result });
    assert_eq!(session.send("POST", &body.to_string()).await.status, 202);
}

fn accepted(name: &str) -> Value {
    json!({ "action": "accept", "content": { "name": name } })
}

// ---- On a stream ------------------------------------------------------------------------------------------

#[tokio::test]
async fn a_client_with_a_session_is_asked_on_the_stream_of_its_call() {
    let world = World::new().await;
    let session = session_with(&world.client(CLERK).await, LEGACY, can()).await;
    let mut frames = begin(&session, "mail.live", json!({ "ask": ["Who?"] })).await;
    let asked = next(&mut frames).await;
    assert_eq!(
        (&asked["method"], &asked["params"]),
        (&json!("elicitation/create"), &json!({ "message": "Who?" }))
    );
    say(&session, &asked["id"], "Ada").await;
    let told = next(&mut frames).await;
    let heard = &told["result"]["structuredContent"];
    assert_eq!(heard, &json!({ "can": can(), "heard": [{ "result": accepted("Ada") }] }), "{told}");
    assert!(frames.next().await.is_none());
}

#[tokio::test]
async fn an_answer_of_another_session_answers_nothing() {
    let client = World::new().await.client(CLERK).await;
    let own = session_with(&client, LEGACY, can()).await;
    let other = session_with(&client, LEGACY, can()).await;
    let mut frames = begin(&own, "mail.live", json!({ "ask": ["Who?"] })).await;
    let asked = next(&mut frames).await;
    say(&other, &asked["id"], "Mallory").await;
    say(&own, &json!("1"), "the text is another id").await;
    assert!(tokio::time::timeout(Duration::from_millis(200), frames.next()).await.is_err(), "it still waits");
    say(&own, &asked["id"], "Ada").await;
    let heard = next(&mut frames).await["result"]["structuredContent"]["heard"].clone();
    assert_eq!(heard, json!([{ "result": accepted("Ada") }]));
}

#[tokio::test]
async fn questions_are_asked_at_once_and_answered_in_any_order() {
    let session = session_with(&World::new().await.client(CLERK).await, LEGACY, can()).await;
    let mut frames = begin(&session, "mail.live", json!({ "ask": ["a", "b"] })).await;
    let (one, two) = (next(&mut frames).await, next(&mut frames).await);
    assert_ne!(one["id"], two["id"]);
    for asked in [&two, &one] {
        say(&session, &asked["id"], asked["params"]["message"].as_str().unwrap()).await;
    }
    let heard = next(&mut frames).await["result"]["structuredContent"]["heard"].clone();
    assert_eq!(heard, json!([{ "result": accepted("a") }, { "result": accepted("b") }]));
}

#[tokio::test]
async fn nobody_is_asked_what_the_law_does_not_let_servers_ask() {
    let world = World::new().await;
    let session = session_with(&world.client(CLERK).await, LEGACY, can()).await;
    halt_answers(&world).await;
    let told = session.call("mail.live", json!({ "ask": ["Who?"] })).await;
    let error = &told.result()["structuredContent"]["heard"][0]["error"];
    assert_eq!(error["code"], -32003, "{}", told.text);
    assert!(error["message"].as_str().unwrap().contains("`mail.elicit` is refused"), "{error}");
}

#[tokio::test]
async fn a_client_that_cannot_be_asked_is_not() {
    let client = World::new().await.client(CLERK).await;
    for (version, can) in [(LEGACY, json!({ "roots": {} })), ("2025-03-26", can())] {
        let session = session_with(&client, version, can).await;
        let told = session.call("mail.live", json!({ "ask": ["Who?"] })).await;
        assert!(!told.is_stream() && !told.text.contains("elicitation/create"), "{}", told.text);
    }
}

#[tokio::test]
async fn a_client_that_reads_no_stream_is_asked_on_the_one_it_listens_on() {
    let session = session_with(&World::new().await.client(CLERK).await, LEGACY, can()).await;
    let call = json!({ "name": "mail.live", "arguments": { "ask": ["Who?"] } });
    let body = json!({ "jsonrpc": "2.0", "id": 9, "method": "tools/call", "params": call }).to_string();
    let mut headers = session.headers().to_vec();
    headers.push(("accept", "application/json"));
    let unheard = session.client.send("POST", &headers, &body).await;
    assert_eq!(unheard.result()["structuredContent"]["heard"], json!([null]), "it listens nowhere");

    let listening = session.client.response("GET", &session.headers(), "").await;
    let mut frames = listening.into_body().into_data_stream();
    let answering = async {
        let asked = next(&mut frames).await;
        say(&session, &asked["id"], "Ada").await;
    };
    let (answer, ()) = tokio::join!(session.client.send("POST", &headers, &body), answering);
    assert_eq!(answer.result()["structuredContent"]["heard"], json!([{ "result": accepted("Ada") }]));
}

#[tokio::test]
async fn a_question_that_nobody_waits_for_is_taken_back() {
    let world = World::new().await;
    let session = session_with(&world.client(CLERK).await, LEGACY, can()).await;
    let mut frames = begin(&session, "mail.live", json!({ "ask": ["Who?"] })).await;
    let asked = next(&mut frames).await;
    let cancel =
        json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": 9 } });
    session.send("POST", &cancel.to_string()).await;
    world.told_to_stop(1).await;
    let mut rest = String::new();
    while let Some(frame) = frames.next().await {
        rest.push_str(&String::from_utf8_lossy(&frame.unwrap()));
    }
    assert!(rest.contains("notifications/cancelled") && rest.contains("isError"), "{rest}");
    assert!(rest.contains(&format!("\"requestId\":{}", asked["id"])), "{rest}");
}

#[tokio::test]
async fn what_a_server_wants_in_its_result_is_asked_of_a_client_with_a_session() {
    let world = World::new().await;
    let session = session_with(&world.client(CLERK).await, LEGACY, can()).await;
    let mut frames = begin(&session, "mail.ask", json!({})).await;
    let asked = next(&mut frames).await;
    assert_eq!(asked["params"], json!({ "message": "Who?" }));
    say(&session, &asked["id"], "Ada").await;
    let told = next(&mut frames).await["result"]["structuredContent"].clone();
    let expected = json!({ "capabilities": can(), "inputResponses": { "name": accepted("Ada") },
        "requestState": "theirs" });
    assert_eq!(told, expected);

    let mut frames = begin(&session, "mail.ask", json!({})).await;
    let asked = next(&mut frames).await;
    let no = json!({ "jsonrpc": "2.0", "id": asked["id"], "error": { "code": -1, "message": "not today" } });
    session.send("POST", &no.to_string()).await;
    let told = next(&mut frames).await;
    assert!(told["error"]["message"].as_str().unwrap_or_default().contains("not today"), "{told}");
}

// ---- In results -------------------------------------------------------------------------------------------

async fn ask(client: &Client, arguments: &Value, again: Value) -> Answer {
    let can = json!({ era::META_CLIENT_CAPABILITIES: can() });
    let mut params = json!({ "name": "mail.live", "arguments": arguments, "_meta": can });
    params.as_object_mut().unwrap().extend(again.as_object().unwrap().clone());
    client.ask("tools/call", params).await
}

fn wanted(answer: &Answer) -> (String, Vec<(String, String)>) {
    assert_eq!(answer.result()["resultType"], "input_required", "{}", answer.text);
    let requests = answer.result()["inputRequests"].as_object().unwrap();
    let words = |asked: &Value| asked["params"]["message"].as_str().unwrap().to_owned();
    let requests = requests.iter().map(|(name, asked)| (name.clone(), words(asked))).collect();
    (answer.result()["requestState"].as_str().unwrap().to_owned(), requests)
}

#[tokio::test]
async fn a_client_without_a_session_is_told_and_goes_on_with_the_same_call() {
    let client = World::new().await.client(CLERK).await;
    let args = json!({ "ask": ["a", "b"] });
    let first = ask(&client, &args, json!({})).await;
    let (state, requests) = wanted(&first);
    assert_eq!(requests.iter().map(|(_, words)| words.as_str()).collect::<String>(), "ab");
    let one = json!({ &requests[0].0: accepted("A"), "more": {} });
    let second = ask(&client, &args, json!({ "requestState": state, "inputResponses": one })).await;
    let (state, rest) = wanted(&second);
    assert_eq!(rest, requests[1..], "what was not answered is asked again");
    let two = json!({ &requests[1].0: accepted("B") });
    let third = ask(&client, &args, json!({ "requestState": state, "inputResponses": two })).await;
    let heard = &third.result()["structuredContent"]["heard"];
    assert_eq!(heard, &json!([{ "result": accepted("A") }, { "result": accepted("B") }]));
    let again = ask(&client, &args, json!({ "requestState": state, "inputResponses": two })).await;
    assert_eq!(again.error(), (200, -32602), "a call goes on once");
}

#[tokio::test]
async fn a_call_that_waits_is_its_keys_and_its_arguments() {
    let world = World::new().await;
    let (client, same_agent) = (world.client(CLERK).await, world.client(CLERK).await);
    let args = json!({ "ask": ["a"] });
    let (state, requests) = wanted(&ask(&client, &args, json!({})).await);
    let answers = json!({ "requestState": state, "inputResponses": { &requests[0].0: accepted("A") } });
    assert_eq!(ask(&same_agent, &args, answers.clone()).await.error(), (200, -32602));
    assert_eq!(ask(&client, &json!({ "ask": ["b"] }), answers.clone()).await.error(), (200, -32602));
    assert!(ask(&client, &args, answers).await.result()["structuredContent"].is_object());
}

#[tokio::test]
async fn an_answer_that_may_not_be_given_is_told_to_the_server_as_an_error() {
    let world = World::new().await;
    let client = world.client(CLERK).await;
    let args = json!({ "ask": ["a"] });
    let (state, requests) = wanted(&ask(&client, &args, json!({})).await);
    halt_answers(&world).await;
    let answers = json!({ "requestState": state, "inputResponses": { &requests[0].0: accepted("A") } });
    let told = ask(&client, &args, answers).await;
    assert_eq!(told.result()["structuredContent"]["heard"][0]["error"]["code"], -32003, "{}", told.text);
}

#[tokio::test]
async fn a_call_whose_client_does_not_come_back_is_cancelled() {
    let world = World::new().await;
    let client = world.client(CLERK).await;
    let args = json!({ "ask": ["a"] });
    let (state, requests) = wanted(&ask(&client, &args, json!({})).await);
    // Whoever will forget it has looked at the clock by then.
    tokio::time::sleep(Duration::from_millis(50)).await;
    tokio::time::pause();
    tokio::time::advance(PARKED_TTL + Duration::from_secs(1)).await;
    tokio::time::resume();
    world.told_to_stop(1).await;
    let answers = json!({ "requestState": state, "inputResponses": { &requests[0].0: accepted("A") } });
    assert_eq!(ask(&client, &args, answers).await.error(), (200, -32602));
}
