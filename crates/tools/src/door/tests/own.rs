//! Remit's own tools: an agent says what it learned, and is told when to come again.

use kernel::stopping::Caps;
use serde_json::{Value, json};

use super::world::{CLERK, Client, OTHER, World, book, rules};

async fn own(client: &Client) -> Vec<String> {
    let answer = client.ask("tools/list", json!({})).await;
    let tools = answer.result()["tools"].as_array().unwrap();
    let names = tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned());
    names.filter(|name| name.starts_with("remit.")).collect()
}

fn words(answer: &super::world::Answer) -> String {
    answer.result()["content"][0]["text"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_write_that_failed_comes_again_once_something_was_learned() {
    let world = World::new().await;
    let clerk = world.client(CLERK).await;
    assert_eq!(own(&clerk).await, ["remit.replan", "remit.status"]);
    assert_eq!(own(&world.client(OTHER).await).await, ["remit.replan", "remit.status"]);

    clerk.call("desk.lose", json!({})).await;
    let refused = clerk.call("desk.lose", json!({})).await;
    let verdict = &refused.result()["structuredContent"];
    assert_eq!((&refused.result()["isError"], &verdict["code"]), (&json!(true), &json!("replan_required")));
    assert!(words(&refused).contains("`remit.replan`"), "{}", words(&refused));

    let noted = clerk.call("remit.replan", json!({ "learned": "it may have arrived" })).await;
    assert!(noted.result()["isError"].is_null() && words(&noted).contains("event"), "{}", words(&noted));
    let index = noted.result()["_meta"]["dev.remit/receipt"]["receipt"]["index"].as_u64().unwrap();
    let event = &world.gate.events(index, 1).await.unwrap()[0].event;
    assert_eq!((&event["kind"], &event["body"]["agent"]), (&json!("replanned"), &json!(CLERK)));
    assert!(!event.to_string().contains("arrived"), "its words are beside the ledger, not in it");
    // To have said so is not enough: what the write may have done is read anew.
    assert_eq!(clerk.call("desk.lose", json!({})).await.result()["isError"], true);
    clerk.call("desk.look", json!({ "ticket": 1 })).await;
    let again = clerk.call("desk.lose", json!({})).await;
    assert!(!again.text.contains("replan_required"), "{}", again.text);

    for nothing in [json!({}), json!({ "learned": "  " }), json!({ "learned": 7 })] {
        assert_eq!(clerk.call("remit.replan", nothing).await.error().1, -32602);
    }
}

#[tokio::test]
async fn a_rate_says_when_to_come_again() {
    let world = World::new().await;
    let mut book = book();
    let clerk = book.agents.get_mut(CLERK).unwrap();
    clerk.limits.per_minute = Caps { calls: Some(1), ..Caps::default() };
    world.gate.activate(rules(book), "test").await.unwrap();
    let clerk = world.client(CLERK).await;
    clerk.call("desk.look", json!({ "ticket": 1 })).await;
    let refused = clerk.call("desk.look", json!({ "ticket": 2 })).await;
    let reason: &Value = &refused.result()["structuredContent"]["reasons"][0];
    assert_eq!(reason["code"], "limit_reached");
    let seconds = reason["retry_after_seconds"].as_u64().unwrap();
    assert!((1..=61).contains(&seconds), "{seconds}");
    assert!(words(&refused).contains(&format!("try again in {seconds} s")), "{}", words(&refused));
}
