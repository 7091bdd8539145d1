//! Calls through the door: results, refusals in words, progress, and clients that hang up.

use futures_util::StreamExt;
use serde_json::{Value, json};

use super::lists::next;
use super::world::{CLERK, OTHER, World, stateless};
use crate::mcp::era;

#[tokio::test]
async fn a_result_comes_as_text_and_structured_with_its_receipt() {
    let client = World::new().await.client(CLERK).await;
    let answer = client.call("desk.look", json!({ "ticket": 7 })).await;
    let result = answer.result();
    assert_eq!(result["structuredContent"], json!({ "ticket": 7 }));
    assert_eq!(result["content"], json!([{ "type": "text", "text": "{\"ticket\":7}" }]));
    assert_eq!(result["resultType"], "complete");
    assert!(result.get("isError").is_none());
    let receipt = &result["_meta"]["dev.remit/receipt"];
    assert!(receipt["call"].as_str().unwrap().starts_with("call_"), "{receipt}");
    assert!(receipt["receipt"]["index"].is_u64(), "{receipt}");
}

#[tokio::test]
async fn a_refusal_says_why_and_what_would_help() {
    let world = World::new().await;
    let client = world.client(CLERK).await;
    let answer = client.call("desk.look", json!({ "ticket": 700 })).await;
    let result = answer.result();
    assert_eq!(result["isError"], true);
    let text = result["content"][0]["text"].as_str().unwrap();
    for part in
        ["`desk.look` was not called", "no rule allows this call", "args.ticket <= 100", "clerk.yaml:4"]
    {
        assert!(text.contains(part), "`{part}` is not in: {text}");
    }
    let verdict = &result["structuredContent"];
    assert_eq!(verdict, &result["_meta"]["dev.remit/verdict"]);
    assert_eq!(verdict["message"], text, "some clients show their model the structure alone");
    assert_eq!(
        (&verdict["code"], &verdict["reasons"][0]["code"]),
        (&json!("no_rule_allows"), &json!("no_rule_allows"))
    );
    assert!(verdict["reasons"][0]["remedy"].as_str().unwrap().contains("args.ticket <= 100"));
    assert!(verdict["receipt"]["index"].is_u64() && verdict["call"].is_string(), "{verdict}");
    let answer = client.call("desk.look", json!({ "ticket": "x" })).await;
    assert_eq!(answer.result()["structuredContent"]["reasons"][0]["at"], "/ticket");
}

#[tokio::test]
async fn a_refusal_never_breaks_a_tools_own_output_schema() {
    let client = World::new().await.client(CLERK).await;
    let answer = client.call("mail.mail", json!({ "to": 7 })).await;
    let result = answer.result();
    assert_eq!(result["isError"], true, "{result}");
    assert!(result.get("structuredContent").is_none(), "{result}");
    assert_eq!(result["_meta"]["dev.remit/verdict"]["code"], "schema_mismatch");
}

#[tokio::test]
async fn a_tool_that_may_not_be_seen_is_answered_like_one_that_is_not_there_and_recorded() {
    let world = World::new().await;
    let client = world.client(CLERK).await;
    let before = world.gate.counts().denied;
    let hidden = client.call("desk.hidden", json!({ "ticket": 1 })).await;
    let absent = client.call("desk.absent", json!({ "ticket": 1 })).await;
    assert_eq!(hidden.error(), (200, -32602));
    assert_eq!(hidden.text.replace("hidden", "absent"), absent.text);
    assert_eq!(world.gate.counts().denied, before + 2, "the line has refused both");
    let (one, bare) = (client.at("/mcp/desk"), client.at("/mcp/mail"));
    assert_eq!(bare.call("look", json!({})).await.error(), (200, -32602), "another server's name");
    assert_eq!(
        one.call("desk.look", json!({})).await.error(),
        (200, -32602),
        "a full name at one server's door"
    );
    assert_eq!(one.call("look", json!({ "ticket": 1 })).await.result()["structuredContent"]["ticket"], 1);
}

#[tokio::test]
async fn what_another_thing_of_a_server_is_called_names_no_tool() {
    let client = World::new().await.client(CLERK).await;
    assert_eq!(client.call("mail.read_resource", json!({})).await.error(), (200, -32602));
}

#[tokio::test]
async fn a_servers_own_result_and_its_own_errors_keep_their_content() {
    let client = World::new().await.client(CLERK).await;
    let answer = client.call("mail.mail", json!({ "to": "a" })).await;
    let result = answer.result();
    assert_eq!(result["content"][1]["uri"], "m://1");
    assert_eq!(result["structuredContent"], json!({ "to": "a" }));
    assert_eq!(result["_meta"]["own"], 1);
    assert!(result["_meta"]["dev.remit/receipt"]["call"].is_string(), "a server cannot forge what is ours");
    let answer = client.call("mail.sorry", json!({})).await;
    assert_eq!(answer.result()["content"], json!([{ "type": "text", "text": "no such box" }]));
    assert_eq!(answer.result()["isError"], true);
    let answer = client.call("mail.broken", json!({})).await;
    assert_eq!(answer.error(), (200, -32055));
    assert_eq!(answer.body["error"]["message"], "their own");
    assert_eq!(answer.body["error"]["data"], json!({ "n": 1 }));
}

#[tokio::test]
async fn what_failed_and_what_is_unknown_are_told_apart() {
    let client = World::new().await.client(CLERK).await;
    let answer = client.call("desk.fail", json!({})).await;
    let result = answer.result();
    assert_eq!(result["isError"], true);
    assert!(result["content"][0]["text"].as_str().unwrap().contains("failed (status_404)"), "{result}");
    assert!(result["content"][1]["text"].as_str().unwrap().contains("no such ticket"), "{result}");
    let answer = client.call("desk.lose", json!({})).await;
    let result = answer.result();
    assert!(result["content"][0]["text"].as_str().unwrap().contains("Do not repeat it"), "{result}");
    assert_eq!(result["_meta"]["dev.remit/outcome"], json!({ "outcome": "unknown", "trouble": "timeout" }));
}

#[tokio::test]
async fn the_reason_is_kept_as_a_reason_and_does_not_reach_the_tool() {
    let world = World::new().await;
    let client = world.client(CLERK).await;
    let args = json!({ "ticket": 7, "remit_reason": "the customer asked" });
    let answer = client.call("desk.look", args).await;
    assert_eq!(answer.result()["structuredContent"], json!({ "ticket": 7 }), "a closed schema takes it, too");
    let receipt = &answer.result()["_meta"]["dev.remit/receipt"];
    let (id, index) = (receipt["call"].as_str().unwrap(), receipt["receipt"]["index"].as_u64().unwrap());
    let (_, view) = world.gate.call_view(id.parse().unwrap(), Some(index + 1)).await.unwrap();
    assert_eq!(view.reasoning, Some(json!("the customer asked")));
    let answer = client.call("desk.look", json!({ "ticket": 7, "remit_reason": 1 })).await;
    assert_eq!(answer.error(), (200, -32602));
    let answer = client.call("desk.why", json!({ "remit_reason": 1 })).await;
    assert_eq!(
        answer.result()["structuredContent"],
        json!({ "remit_reason": 1 }),
        "the tool's own stays its own"
    );
}

#[tokio::test]
async fn what_is_no_call_is_told_so() {
    let client = World::new().await.client(CLERK).await;
    let no_name = client.ask("tools/call", json!({ "arguments": {} })).await;
    assert_eq!(no_name.error(), (200, -32602));
    let listed = client.ask("tools/call", json!({ "name": "desk.look", "arguments": [] })).await;
    assert_eq!(listed.error(), (200, -32602));
}

#[tokio::test]
async fn progress_comes_before_the_result_under_the_clients_own_token() {
    let client = World::new().await.client(CLERK).await;
    let params =
        json!({ "name": "desk.talk", "_meta": { "progressToken": "mine", era::META_LOG_LEVEL: "info" } });
    let answer = client.ask("tools/call", params).await;
    assert!(answer.is_stream());
    let messages = answer.messages();
    let methods: Vec<_> = messages.iter().map(|one| one["method"].as_str().unwrap_or("result")).collect();
    assert_eq!(methods, ["notifications/progress", "notifications/message", "result"]);
    assert_eq!(messages[0]["params"], json!({ "progress": 1, "progressToken": "mine" }));
    assert_eq!(messages[2]["id"], 7);

    let quiet = client.call("desk.talk", json!({})).await;
    assert!(!quiet.is_stream(), "nobody asked to be told");
    let severe = json!({ "name": "desk.talk", "_meta": { era::META_LOG_LEVEL: "error" } });
    assert!(!client.ask("tools/call", severe).await.is_stream(), "an info is no error");
}

#[tokio::test]
async fn a_client_that_closes_the_stream_cancels_its_call() {
    let world = World::new().await;
    let client = world.client(CLERK).await;
    let (headers, body) = stateless("tools/call", json!({ "name": "desk.wait" }));
    let headers: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
    let waiting = client.response("POST", &headers, &body);
    assert!(tokio::time::timeout(std::time::Duration::from_millis(300), waiting).await.is_err());
    world.told_to_stop(1).await;
}

#[tokio::test]
async fn two_tokens_of_two_runs_are_an_error_and_one_is_enough() {
    let world = World::new().await;
    let mut client = world.client(CLERK).await;
    let ((first, token), (second, _)) = (world.run(&client.caller).await, world.run(&client.caller).await);
    let call = |token: &str| json!({ "name": "desk.look", "arguments": { "ticket": 7 }, "_meta": { era::META_RUN: token } });
    let run_of = |result: &Value| {
        let receipt = &result["_meta"]["dev.remit/receipt"];
        (receipt["call"].as_str().unwrap().to_owned(), receipt["receipt"]["index"].as_u64().unwrap() + 1)
    };
    let answer = client.ask("tools/call", call(&token)).await;
    let (id, index) = run_of(answer.result());
    let (_, view) = world.gate.call_view(id.parse().unwrap(), Some(index)).await.unwrap();
    assert_eq!(view.run, Some(first));
    client.run = Some(second);
    assert_eq!(client.ask("tools/call", call(&token)).await.error(), (400, -32600));
    client.run = Some(first);
    assert_eq!(client.ask("tools/call", call(&token)).await.status, 200);
    client.run = None;
    let (_, others) = world.run(&world.client(OTHER).await.caller).await;
    for token in [others.as_str(), "rt_forged.x"] {
        assert_eq!(client.ask("tools/call", call(token)).await.error(), (401, -32600), "{token}");
    }
}

#[tokio::test]
async fn calls_that_name_no_run_share_the_one_of_their_key() {
    let world = World::new().await;
    let client = world.client(CLERK).await;
    let mut runs = Vec::new();
    for _ in 0..2 {
        let answer = client.call("desk.look", json!({ "ticket": 7 })).await;
        let receipt = &answer.result()["_meta"]["dev.remit/receipt"];
        let index = receipt["receipt"]["index"].as_u64().unwrap() + 1;
        let id = receipt["call"].as_str().unwrap().parse().unwrap();
        runs.push(world.gate.call_view(id, Some(index)).await.unwrap().1.run.unwrap());
    }
    assert_eq!(runs[0], runs[1]);
}

#[tokio::test]
async fn a_call_while_nothing_can_be_decided_is_told_to_come_again() {
    let world = World::new().await;
    let client = world.client(CLERK).await;
    world.gate.stop(std::time::Duration::from_millis(10)).await;
    let answer = client.call("desk.look", json!({ "ticket": 7 })).await;
    assert_eq!(answer.status, 503, "{}", answer.text);
    assert_eq!(answer.body["error"]["data"]["code"], "stopping");
}

#[tokio::test]
async fn a_slow_stream_of_events_is_one_answer() {
    let client = World::new().await.client(CLERK).await;
    let params = json!({ "name": "desk.talk", "_meta": { "progressToken": 3 } });
    let (headers, body) = stateless("tools/call", params);
    let headers: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
    let mut frames = client.response("POST", &headers, &body).await.into_body().into_data_stream();
    assert_eq!(next(&mut frames).await["params"]["progressToken"], 3);
    assert_eq!(next(&mut frames).await["id"], 7);
    assert!(frames.next().await.is_none());
}
