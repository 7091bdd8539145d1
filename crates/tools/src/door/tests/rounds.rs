//! What a server wants before it goes on: asked of the client, answered on the line, and good for one request only.

use serde_json::{Value, json};

use super::world::{Answer, CLERK, Client, World};
use crate::door::states::{STATE_TTL, States};
use crate::mcp::era::{self, InputRequired};

const TOO_OLD: (u16, i64) = (200, -32602);

/// Asks the tool that wants a name, as a client that can be asked for input and for its folders.
async fn ask(client: &Client, to: &str, again: Value) -> Answer {
    let can = json!({ era::META_CLIENT_CAPABILITIES: { "elicitation": {}, "roots": {} } });
    let mut params = json!({ "name": "mail.ask", "arguments": { "to": to }, "_meta": can });
    params.as_object_mut().unwrap().extend(again.as_object().unwrap().clone());
    client.ask("tools/call", params).await
}

/// The state that comes with the question.
async fn state(client: &Client) -> String {
    let answer = ask(client, "a", json!({})).await;
    assert_eq!(answer.result()["inputRequests"]["name"]["method"], "elicitation/create");
    answer.result()["requestState"].as_str().unwrap().to_owned()
}

fn named(state: &str) -> Value {
    json!({ "requestState": state, "inputResponses": { "name": { "action": "accept" }, "more": {} } })
}

#[tokio::test]
async fn a_server_gets_its_state_back_with_the_answers_to_what_it_asked() {
    let client = World::new().await.client(CLERK).await;
    let first = ask(&client, "a", json!({})).await;
    assert_eq!(first.result()["resultType"], "input_required");
    let told = &first.result()["_meta"]["told"];
    assert_eq!(
        told,
        &json!({ "capabilities": { "elicitation": {} } }),
        "no contract lets it ask for folders"
    );
    let state = first.result()["requestState"].as_str().unwrap();
    assert!(!state.contains("theirs"));
    let second = ask(&client, "a", named(state)).await;
    let told = json!({ "capabilities": { "elicitation": {} }, "inputResponses": { "name": { "action": "accept" } },
        "requestState": "theirs" });
    assert_eq!(second.result()["structuredContent"], told);
}

#[tokio::test]
async fn an_answer_is_a_call_that_can_be_refused() {
    let world = World::new().await;
    let client = world.client(CLERK).await;
    let state = state(&client).await;
    world.halt("tool:mail.elicit").await;
    let answer = ask(&client, "a", named(&state)).await;
    assert_eq!(answer.result()["structuredContent"]["code"], "halted");
    assert!(answer.text.contains("`mail.elicit` was not called"), "{}", answer.text);
}

#[tokio::test]
async fn a_state_is_good_for_one_key_and_one_request() {
    let world = World::new().await;
    let (client, same_agent) = (world.client(CLERK).await, world.client(CLERK).await);
    let state = state(&client).await;
    assert_eq!(ask(&same_agent, "a", named(&state)).await.error(), TOO_OLD);
    assert_eq!(ask(&client, "b", named(&state)).await.error(), TOO_OLD);
    assert_eq!(ask(&client, "a", named(&format!("{state}AAAA"))).await.error(), TOO_OLD);
    assert_eq!(ask(&client, "a", named("theirs")).await.error(), TOO_OLD);
    assert_eq!(ask(&client, "a", json!({ "requestState": 7 })).await.error(), TOO_OLD);
    assert!(ask(&client, "a", named(&state)).await.result()["structuredContent"].is_object());
}

#[tokio::test]
async fn answers_to_nothing_that_was_asked_are_not_passed_on() {
    let client = World::new().await.client(CLERK).await;
    for answers in [json!({ "name": { "action": "accept" } }), json!({ "name": 7 }), Value::Null] {
        let answer = ask(&client, "a", json!({ "inputResponses": answers })).await;
        assert_eq!(answer.result()["resultType"], "input_required");
    }
    let none = json!({ "requestState": state(&client).await, "inputResponses": { "name": 7 } });
    assert_eq!(ask(&client, "a", none).await.result()["resultType"], "input_required");
}

#[tokio::test]
async fn a_client_is_not_asked_for_what_it_cannot_do() {
    let client = World::new().await.client(CLERK).await;
    let answer = client.call("mail.ask", json!({ "to": "a" })).await;
    assert_eq!(answer.error(), (200, -32603));
    assert!(answer.text.contains("elicitation/create"), "{}", answer.text);
}

#[tokio::test(start_paused = true)]
async fn a_state_is_too_old_after_a_while() {
    let (states, wanted) =
        (States::default(), InputRequired { requests: Default::default(), state: Some("theirs".to_owned()) });
    let sealed = states.seal(&wanted, None, b"request").unwrap();
    assert_eq!(states.open(&sealed, b"request"), Some((wanted, None)));
    tokio::time::advance(STATE_TTL * 2).await;
    assert_eq!(states.open(&sealed, b"request"), None);
}
