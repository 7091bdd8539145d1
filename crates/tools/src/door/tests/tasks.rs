//! Tasks: calls whose clients come back for what they came to.

use serde_json::{Value, json};

use super::legacy::{Session, session_with};
use super::world::{CLERK, Client, OTHER, World};
use crate::mcp::era;

fn able(mut params: Value, also: Value) -> Value {
    let mut can = json!({ "extensions": { era::TASKS: {} } });
    can.as_object_mut().unwrap().extend(also.as_object().cloned().unwrap_or_default());
    params["_meta"] = json!({ era::META_CLIENT_CAPABILITIES: can });
    params
}

async fn begin(session: &Session, ms: u64) -> Value {
    let params = json!({ "name": "mail.long", "arguments": { "ms": ms }, "task": { "ttl": 60_000 } });
    let answer = session.ask(1, "tools/call", params).await;
    assert_eq!(answer.result().as_object().unwrap().len(), 1, "{}", answer.text);
    answer.result()["task"].clone()
}

/// Waits for the end of a task, as a client of 2026-07-28.
async fn ended(client: &Client, task: &Value) -> Value {
    for _ in 0..200 {
        let answer = client.ask("tasks/get", able(json!({ "taskId": task }), json!({}))).await;
        if answer.result()["status"] != "working" {
            return answer.result().clone();
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("the task never ended");
}

#[tokio::test]
async fn a_client_of_2025_11_25_asks_for_a_task_and_comes_back() {
    let world = World::new().await;
    let clerk = world.client(CLERK).await;
    let session = session_with(&clerk, "2025-11-25", json!({})).await;
    let task = begin(&session, 200).await;
    assert_eq!((&task["status"], &task["ttl"]), (&json!("working"), &json!(60_000)));
    assert!(task["createdAt"].as_str().unwrap().ends_with('Z') && task["pollInterval"].is_u64());
    let about = json!({ "taskId": task["taskId"] });
    assert_eq!(session.ask(2, "tasks/get", about.clone()).await.result()["status"], "working");
    let result = session.ask(3, "tasks/result", about.clone()).await;
    assert_eq!(result.result()["ms"], 200);
    assert_eq!(result.result()["_meta"]["io.modelcontextprotocol/related-task"], about);
    assert_eq!(session.ask(4, "tasks/get", about.clone()).await.result()["status"], "completed");
    let listed = session.ask(5, "tasks/list", json!({})).await;
    assert_eq!(listed.result()["tasks"][0]["taskId"], task["taskId"]);

    // Another key knows nothing of it, and a tool that does not offer it is not called as one.
    let other = session_with(&world.client(OTHER).await, "2025-11-25", json!({})).await;
    assert_eq!(other.ask(6, "tasks/get", about.clone()).await.error().1, -32602);
    assert_eq!(other.ask(6, "tasks/list", json!({})).await.result()["tasks"], json!([]));
    let params = json!({ "name": "desk.look", "arguments": { "ticket": 1 }, "task": {} });
    assert_eq!(session.ask(7, "tools/call", params).await.error().1, -32601);
    assert_eq!(session.ask(8, "tasks/cancel", about).await.error().1, -32602, "it is over");
    let old = session_with(&clerk, "2025-06-18", json!({})).await;
    assert_eq!(old.ask(1, "tasks/list", json!({})).await.error().1, -32601);
}

#[tokio::test]
async fn a_task_that_is_cancelled_stops_its_call() {
    let world = World::new().await;
    let session = session_with(&world.client(CLERK).await, "2025-11-25", json!({})).await;
    let task = begin(&session, 60_000).await;
    let about = json!({ "taskId": task["taskId"] });
    // So that there is something to stop.
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert_eq!(session.ask(2, "tasks/cancel", about.clone()).await.result()["status"], "cancelled");
    world.told_to_stop(1).await;
    assert_eq!(session.ask(3, "tasks/result", about.clone()).await.error().1, -32600);
    assert_eq!(session.ask(4, "tasks/get", about).await.result()["status"], "cancelled");
}

#[tokio::test]
async fn a_refusal_is_what_a_task_comes_to() {
    let world = World::new().await;
    let session = session_with(&world.client(CLERK).await, "2025-11-25", json!({})).await;
    world.halt("tool:mail.long").await;
    let task = begin(&session, 0).await;
    let result = session.ask(3, "tasks/result", json!({ "taskId": task["taskId"] })).await;
    assert_eq!(result.result()["structuredContent"]["code"], "halted", "{}", result.text);
}

#[tokio::test]
async fn a_call_that_takes_long_becomes_a_task_for_a_client_that_can_wait() {
    let world = World::new().await;
    let clerk = world.client(CLERK).await;
    let call = |ms: u64| json!({ "name": "mail.long", "arguments": { "ms": ms } });
    // Who cannot wait gets the result, however long it takes, and so does who can if it is there soon.
    assert_eq!(clerk.ask("tools/call", call(600)).await.result()["resultType"], "complete");
    assert_eq!(clerk.ask("tools/call", able(call(0), json!({}))).await.result()["resultType"], "complete");

    let answer = clerk.ask("tools/call", able(call(700), json!({}))).await;
    let task = answer.result();
    assert_eq!((&task["resultType"], &task["status"]), (&json!("task"), &json!("working")));
    let end = ended(&clerk, &task["taskId"]).await;
    assert_eq!((&end["resultType"], &end["status"]), (&json!("complete"), &json!("completed")));
    assert_eq!(end["result"]["ms"], 700, "{end}");
    assert_eq!(clerk.ask("tasks/get", json!({ "taskId": task["taskId"] })).await.error().1, -32021);
    let about = able(json!({ "taskId": task["taskId"] }), json!({}));
    assert_eq!(clerk.ask("tasks/list", able(json!({}), json!({}))).await.error().1, -32601);
    let other = world.client(OTHER).await;
    assert_eq!(other.ask("tasks/get", about).await.error().1, -32602);

    let answer = clerk.ask("tools/call", able(call(60_000), json!({}))).await;
    let about = able(json!({ "taskId": answer.result()["taskId"] }), json!({}));
    assert_eq!(clerk.ask("tasks/cancel", about.clone()).await.result()["resultType"], "complete");
    world.told_to_stop(1).await;
    assert_eq!(clerk.ask("tasks/get", about).await.result()["status"], "cancelled");
}

/// What its server asks while it is a task is told with the task, and answered to it.
#[tokio::test]
async fn a_task_may_want_input() {
    let world = World::new().await;
    let clerk = world.client(CLERK).await;
    let can = || json!({ "elicitation": { "form": {} } });
    let call = json!({ "name": "mail.live", "arguments": { "ms": 700, "ask": ["Who?"] } });
    let answer = clerk.ask("tools/call", able(call, can())).await;
    let task = answer.result()["taskId"].clone();
    assert!(task.is_string(), "{}", answer.text);
    let wants = ended(&clerk, &task).await;
    assert_eq!(wants["status"], "input_required", "{wants}");
    let (name, asked) = wants["inputRequests"].as_object().unwrap().iter().next().unwrap();
    assert_eq!(asked["params"]["message"], "Who?");
    let update = |given: Value| able(json!({ "taskId": task, "inputResponses": given }), can());
    let said = json!({ "action": "accept", "content": { "name": "Ann" } });
    // An answer to something else changes nothing.
    assert_eq!(
        clerk.ask("tasks/update", update(json!({ "x": said }))).await.result()["resultType"],
        "complete"
    );
    assert_eq!(ended(&clerk, &task).await["status"], "input_required");
    clerk.ask("tasks/update", update(json!({ name: said }))).await.result();
    let end = ended(&clerk, &task).await;
    assert_eq!(end["result"]["structuredContent"]["heard"][0]["result"], said, "{end}");
}

#[tokio::test]
async fn a_task_is_told_what_it_wants_piece_by_piece() {
    let world = World::new().await;
    let clerk = world.client(CLERK).await;
    let can = || json!({ "elicitation": { "form": {} } });
    let call = json!({ "name": "mail.live", "arguments": { "ms": 700, "ask": ["Who?", "Where?"] } });
    let task = clerk.ask("tools/call", able(call, can())).await.result()["taskId"].clone();
    let wants = ended(&clerk, &task).await;
    let names: Vec<String> = wants["inputRequests"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(names.len(), 2, "{wants}");
    let said = json!({ "action": "accept", "content": { "name": "Ann" } });
    for (place, name) in names.iter().enumerate() {
        let given = json!({ "taskId": task, "inputResponses": { name: said } });
        clerk.ask("tasks/update", able(given, can())).await.result();
        let seen = ended(&clerk, &task).await;
        if place == 0 {
            assert_eq!(seen["status"], "input_required", "{seen}");
            let left: Vec<&String> = seen["inputRequests"].as_object().unwrap().keys().collect();
            assert_eq!(left, [&names[1]], "what was answered is wanted no more");
        } else {
            let heard = seen["result"]["structuredContent"]["heard"].as_array().unwrap();
            assert!(heard.len() == 2 && heard.iter().all(|it| it["result"] == said), "{seen}");
        }
    }
}
