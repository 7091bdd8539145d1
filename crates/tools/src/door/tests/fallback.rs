//! What comes in the place of an answer that cannot be had: said to be that, and never over what may have happened.

use serde_json::json;

use super::world::{Answer, CLERK, World};

const META: &str = "dev.remit/fallback";

fn words(answer: &Answer) -> String {
    let content = answer.result()["content"].as_array().unwrap().clone();
    content.iter().map(|block| block["text"].as_str().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn a_fixed_answer_is_said_to_be_a_fallback() {
    let client = World::new().await.client(CLERK).await;
    // The first two find nobody; from then on the tool is left alone, and that is a reason, too.
    for trouble in ["unreachable", "unreachable", "tool_resting"] {
        let answer = client.call("desk.out", json!({})).await;
        let text = words(&answer);
        assert!(
            text.starts_with(&format!("This is a fallback. `desk.out` could not be reached ({trouble})")),
            "{text}"
        );
        assert_eq!(answer.result()["structuredContent"], json!({ "rate": 1 }));
        let about = &answer.result()["_meta"][META];
        assert_eq!(
            (&about["of"], &about["trouble"], &about["tool"]),
            (&json!("desk.out"), &json!(trouble), &json!(null))
        );
    }
}

#[tokio::test]
async fn a_tool_that_stands_in_is_a_call_of_its_own() {
    let world = World::new().await;
    let client = world.client(CLERK).await;
    let before = world.gate.counts().allowed;
    let answer = client.call("desk.down", json!({ "ticket": 7 })).await;
    assert_eq!(world.gate.counts().allowed, before + 2);
    assert_eq!(answer.result()["structuredContent"], json!({ "ticket": 7 }));
    let meta = &answer.result()["_meta"];
    assert_eq!(meta[META]["tool"], "desk.look");
    assert_ne!(meta[META]["call"], meta["dev.remit/receipt"]["call"], "two calls, two receipts");
    assert!(words(&answer).contains("`desk.look` was called in its place"), "{}", answer.text);

    let denied = client.call("desk.down", json!({ "ticket": 700 })).await;
    assert_eq!(denied.result()["isError"], true, "the law of the tool that stands in holds");
    assert_eq!(denied.result()["structuredContent"]["code"], "no_rule_allows");
    assert!(words(&denied).starts_with("This is a fallback."), "{}", denied.text);
}

#[tokio::test]
async fn what_may_have_happened_is_not_covered_up() {
    let client = World::new().await.client(CLERK).await;
    let answer = client.call("desk.lose", json!({})).await;
    assert!(!answer.text.contains("all is well") && !answer.text.contains(META), "{}", answer.text);
    assert!(words(&answer).contains("It is not known whether"), "{}", answer.text);
}

#[tokio::test]
async fn a_halt_is_no_reason_for_a_fallback() {
    let world = World::new().await;
    let client = world.client(CLERK).await;
    world.halt("tool:desk.out").await;
    let answer = client.call("desk.out", json!({})).await;
    assert_eq!(answer.result()["structuredContent"]["code"], "halted", "{}", answer.text);
}
