//! Half of a budget is spent: what an agent is told that got less than it asked for, and why.

use std::time::Duration;

use kernel::book::Book;
use kernel::obligation::{Cap, Degrade};
use serde_json::{Value, json};

use super::world::{Answer, CLERK, Client, World, book};

const META: &str = "dev.remit/obligations";
const HALF: &str =
    "50 % of the run's budget of 4 calls is spent or set aside, and its gate `degrade` is at 50 %.";

/// From half of its four calls on the clerk gets small tickets, and one tool for another.
fn tight() -> Book {
    let mut book = book();
    book.agents.get_mut(CLERK).unwrap().per_run.calls = Some(4);
    let cheaper = |tool: &str| Degrade { tool: Some(tool.to_owned()), ..Degrade::default() };
    let cap = Cap { at: vec!["ticket".to_owned()], most: 3 };
    let degrades = [
        ("desk.look", Degrade { caps: vec![cap], ..Degrade::default() }),
        ("desk.fail", cheaper("desk.why")),
        ("desk.talk", cheaper("desk.hidden")),
    ];
    for (tool, degrade) in degrades {
        book.tools.get_mut(tool).unwrap().degrade = degrade;
    }
    book
}

async fn half_spent() -> (World, Client) {
    let world = World::of(tight(), Duration::from_millis(100)).await;
    let client = world.client(CLERK).await;
    for ticket in [70, 71] {
        let full = client.call("desk.look", json!({ "ticket": ticket })).await;
        assert_eq!(full.result()["structuredContent"], json!({ "ticket": ticket }));
        assert!(full.result()["_meta"].get(META).is_none(), "{}", full.text);
    }
    (world, client)
}

fn words(answer: &Answer) -> Vec<Value> {
    let content = answer.result()["content"].as_array().unwrap();
    content.iter().map(|block| block["text"].clone()).collect()
}

#[tokio::test]
async fn a_smaller_page_is_said_to_be_smaller_before_it_is_read() {
    let (_world, client) = half_spent().await;
    let answer = client.call("desk.look", json!({ "ticket": 72 })).await;
    let said = format!("Remit made this call cheaper: `ticket` is 3 at most. Why: {HALF}");
    assert_eq!(words(&answer), [json!(said), json!("{\"ticket\":3}")]);
    let result = answer.result();
    assert_eq!(result["structuredContent"], json!({ "ticket": 3 }));
    let told = json!([{ "cap": { "at": ["ticket"], "most": 3 }, "says": "`ticket` is 3 at most" }]);
    assert_eq!(result["_meta"][META], told);
    let left = &result["_meta"]["dev.remit/budget"];
    assert_eq!((&left["percent"], &left["gate"]), (&json!(75), &json!("decide")));
    // What is small enough by itself is nobody's business.
    let small = client.call("desk.look", json!({ "ticket": 2 })).await;
    assert_eq!(words(&small), [json!("{\"ticket\":2}")]);
    assert!(small.result()["_meta"].get(META).is_none(), "{}", small.text);
}

#[tokio::test]
async fn a_tool_that_stands_in_is_named_also_where_it_is_refused() {
    let (_world, client) = half_spent().await;
    let refused = client.call("desk.talk", json!({ "ticket": 7 })).await;
    assert_eq!(refused.result()["isError"], true);
    let text = words(&refused)[0].as_str().unwrap().to_owned();
    let made = "Remit made this call cheaper: `desk.hidden` stands in the place of `desk.talk`.";
    assert!(text.contains(&format!("{made} Why: {HALF}")), "{text}");
    assert!(text.contains("[no_rule_allows]"), "{text}");

    let answer = client.call("desk.fail", json!({ "region": "north" })).await;
    let said = "Remit made this call cheaper: `desk.why` stands in the place of `desk.fail`.";
    assert_eq!(words(&answer)[0], json!(format!("{said} Why: {HALF}")));
    assert_eq!(answer.result()["_meta"][META][0]["instead"]["tool"], "desk.why");
}
