//! Plans at this door: shown to whoever works in phases, refused with a remedy, told in words a model can act on.

use kernel::agent::May;
use kernel::contract::Effect;
use kernel::deed::{Deed, Undo};
use serde_json::{Value, json};

use super::world::{Answer, CLERK, Client, OTHER, World, book, contract, rules};

/// The clerk works in phases; what it sets is unset when it is taken back, and what fails fails.
async fn world() -> World {
    world_where(true).await
}

async fn world_where(phases: bool) -> World {
    let world = World::new().await;
    let mut book = book();
    let clerk = book.agents.get_mut(CLERK).unwrap();
    clerk.phases = phases;
    let last = May { id: "clerk.may[last]".to_owned(), tool: "desk.last".to_owned(), ..clerk.may[0].clone() };
    clerk.may.push(last);
    let undo = Undo::Tool {
        args: json!({ "ticket": "{args.ticket}" }),
        retries: 0,
        tool: "desk.unset".to_owned(),
        within_ms: None,
    };
    let input = book.tools["desk.look"].input.clone();
    let mut set = contract("desk", "marked", Effect::Reversible, &input);
    set.deed = Deed { undo: Some(undo.clone()), ..Deed::default() };
    let mut fail = contract("desk", "fail", Effect::Reversible, &input);
    fail.deed = Deed { undo: Some(undo), ..Deed::default() };
    let unset = contract("desk", "unset", Effect::Reversible, &input);
    let last = contract("desk", "last", Effect::Irreversible, &input);
    book.tools.extend([set, fail, unset, last].map(|tool| (tool.name.clone(), tool)));
    world.gate.activate(rules(book), "test").await.unwrap();
    world
}

fn step(id: &str, tool: &str, after: &[&str]) -> Value {
    json!({ "id": id, "tool": tool, "args": { "ticket": 7 }, "after": after })
}

fn words(answer: &Answer) -> String {
    answer.result()["content"][0]["text"].as_str().unwrap().to_owned()
}

async fn own(client: &Client) -> Vec<String> {
    let answer = client.ask("tools/list", json!({})).await;
    let tools = answer.result()["tools"].as_array().unwrap();
    let names = tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned());
    names.filter(|name| name.starts_with("remit.")).collect()
}

#[tokio::test]
async fn only_who_works_in_phases_is_shown_its_tools() {
    let world = world().await;
    let (clerk, other) = (world.client(CLERK).await, world.client(OTHER).await);
    let all = ["remit.replan", "remit.status", "remit.plan", "remit.commit", "remit.abort", "remit.phase"];
    assert_eq!(own(&clerk).await, all);
    assert_eq!(own(&other).await, ["remit.replan", "remit.status"]);
    for tool in ["remit.plan", "remit.phase"] {
        let answer = other.call(tool, json!({})).await;
        assert_eq!(answer.error().1, -32602);
        assert!(answer.text.contains("phases: off"), "{}", answer.text);
    }
    // These end a group, and none was begun.
    for tool in ["remit.commit", "remit.abort"] {
        let answer = other.call(tool, json!({})).await;
        assert_eq!(answer.result()["structuredContent"]["code"], "plan_unknown", "{}", answer.text);
    }
}

#[tokio::test]
async fn a_write_is_refused_with_the_remedy_and_a_plan_of_it_is_committed() {
    let world = world().await;
    let clerk = world.client(CLERK).await;
    let early = clerk.call("desk.marked", json!({ "ticket": 7 })).await;
    assert_eq!(early.result()["structuredContent"]["code"], "phase_forbids", "{}", early.text);
    assert!(words(&early).contains("`remit.plan`"), "{}", words(&early));

    let planned = clerk.call("remit.plan", json!({ "steps": [step("set", "desk.marked", &[])] })).await;
    let told = &planned.result()["structuredContent"];
    assert_eq!((&told["ruling"], &told["version"]), (&json!("allow"), &json!(1)), "{}", planned.text);
    assert!(words(&planned).contains("taken back by desk.unset, unguarded"), "{}", words(&planned));
    assert!(words(&planned).contains("`remit.commit` with version 1"), "{}", words(&planned));
    assert!(planned.result()["_meta"]["dev.remit/receipt"]["receipt"]["index"].is_u64());

    let ended = clerk.call("remit.commit", json!({ "version": 1 })).await;
    assert!(ended.result()["isError"].is_null(), "{}", ended.text);
    assert_eq!(ended.result()["structuredContent"]["stage"], "committed");
    assert!(words(&ended).contains("it answered {\"ticket\":7}"), "{}", words(&ended));
}

#[tokio::test]
async fn a_commit_that_is_rolled_back_is_an_error_that_says_what_to_do() {
    let world = world().await;
    let clerk = world.client(CLERK).await.at("/mcp/desk");
    // Behind the door of one server its tools go by their short names.
    let steps = json!({ "steps": [step("set", "marked", &[]), step("bad", "fail", &["set"])] });
    let planned = clerk.call("remit.plan", steps).await;
    assert_eq!(planned.result()["structuredContent"]["ruling"], "allow", "{}", planned.text);
    let ended = clerk.call("remit.commit", json!({})).await;
    assert_eq!(ended.result()["isError"], true, "what was not committed is no success");
    assert_eq!(ended.result()["structuredContent"]["stage"], "rolled_back", "{}", ended.text);
    let text = words(&ended);
    assert!(text.contains("set `desk.marked`: undone") && text.contains("status_404"), "{text}");
    assert!(text.contains("`remit.replan`"), "{text}");
}

#[tokio::test]
async fn what_is_no_plan_says_where_and_what_is_denied_says_why() {
    let world = world().await;
    let clerk = world.client(CLERK).await;
    let nothing = clerk.call("remit.plan", json!({ "steps": [] })).await;
    let told = &nothing.result()["structuredContent"];
    assert_eq!((&nothing.result()["isError"], &told["code"]), (&json!(true), &json!("plan_invalid")));
    assert_eq!(told["reasons"][0]["at"], "/steps");
    let denied = json!({ "steps": [step("no", "desk.unset", &[])] });
    let denied = clerk.call("remit.plan", denied).await;
    assert_eq!(denied.result()["isError"], true);
    assert!(words(&denied).contains("[no_rule_allows]"), "{}", words(&denied));
    let commit = clerk.call("remit.commit", json!({})).await;
    assert_eq!(commit.result()["structuredContent"]["code"], "plan_denied", "{}", commit.text);
    let none = world.client(CLERK).await;
    let abort = none.call("remit.abort", json!({})).await;
    assert_eq!(abort.result()["structuredContent"]["code"], "plan_unknown", "{}", abort.text);
    for wrong in [json!({}), json!({ "to": "commit" }), json!({ "to": 1 })] {
        assert_eq!(clerk.call("remit.phase", wrong).await.error().1, -32602);
    }
    let phase = clerk.call("remit.phase", json!({ "to": "explore" })).await;
    assert_eq!(phase.result()["structuredContent"]["phase"], "explore");
    let version = clerk.call("remit.commit", json!({ "version": "newest" })).await;
    assert_eq!(version.error().1, -32602);
}

async fn status(client: &Client) -> Value {
    client.call("remit.status", json!({})).await.result()["structuredContent"].clone()
}

#[tokio::test]
async fn the_status_tells_the_phase_the_plan_and_what_is_staged() {
    let world = world().await;
    let clerk = world.client(CLERK).await;
    let told = status(&clerk).await;
    assert_eq!((&told["phase"], &told["plan"]), (&json!("explore"), &Value::Null), "{told}");
    clerk.call("remit.plan", json!({ "steps": [step("set", "desk.marked", &[])] })).await;
    let told = status(&clerk).await;
    assert_eq!((&told["phase"], &told["plan"]["stage"]), (&json!("decide"), &json!("proposed")), "{told}");
    assert_eq!((&told["plan"]["version"], &told["plan"]["grouped"]), (&json!(1), &json!(false)), "{told}");
    assert_eq!(told["plan"]["steps"][0]["id"], "set", "{told}");
    clerk.call("remit.commit", json!({})).await;
    let told = status(&clerk).await;
    assert_eq!(told["plan"]["stage"], "committed", "{told}");
    assert_eq!(told["plan"]["steps"][0]["state"], "done", "{told}");
}

#[tokio::test]
async fn the_status_of_a_group_tells_what_waits_for_its_commit() {
    let world = world_where(false).await;
    let clerk = world.client(CLERK).await;
    clerk.call("remit.begin", json!({})).await;
    for tool in ["desk.marked", "desk.last"] {
        let answer = clerk.call(tool, json!({ "ticket": 7 })).await;
        assert_eq!(answer.result()["structuredContent"]["code"], Value::Null, "{tool}: {}", answer.text);
    }
    let told = status(&clerk).await;
    assert_eq!((&told["phase"], &told["plan"]["stage"]), (&json!("off"), &json!("open")), "{told}");
    assert_eq!(told["plan"]["staged"], json!([{ "id": "w2", "tool": "desk.last" }]), "{told}");
    clerk.call("remit.abort", json!({})).await;
    assert_eq!(status(&clerk).await["plan"]["stage"], "rolled_back");
}
