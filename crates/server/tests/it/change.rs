//! What a change of the rules would do: past calls asked again, and who could do what.

use std::sync::Arc;

use kernel::rules::Rules;
use serde_json::json;

use crate::world::{CLERK, Side, World, book, get, post};

/// Takes one tool away from the clerk, whatever the text.
struct Without;

impl server::Changes for Without {
    fn files(&self) -> Result<Vec<(String, String)>, String> {
        Ok(vec![("agents/clerk.yaml".to_owned(), "agent: clerk".to_owned())])
    }

    fn changed(&self, file: &str, text: String) -> Result<(Arc<Rules>, Vec<String>), String> {
        if text.contains("broken") {
            return Err(format!("{file}:1:1: it cannot be read"));
        }
        let mut book = book();
        let clerk = book.agents.get_mut(CLERK).unwrap();
        clerk.may.retain(|may| may.tool != "desk.look");
        Ok((Arc::new(Rules::compile(book).unwrap()), vec!["it is odd".to_owned()]))
    }
}

#[tokio::test]
async fn a_change_says_which_calls_would_be_decided_otherwise_and_who_loses_what() {
    let world = World::with(Side { changes: Some(Arc::new(Without)), ..Side::default() }).await;
    let (key, token) = world.run(CLERK).await;
    for tool in ["desk.look", "desk.nothing"] {
        let ask = post("/v1/calls", &json!({ "tool": tool, "args": { "ticket": 7 } }))
            .key(&key)
            .with("remit-run", &token);
        ask.send(&world.agents).await;
    }
    let browser = world.sign_in(Some("vera")).await;
    let (_, files) = get("/v1/policy/files").page(&browser).send(&world.people).await;
    assert_eq!(files["items"][0]["file"], "agents/clerk.yaml");
    let ask = |text: &str| post("/v1/policy/change", &json!({ "file": "agents/clerk.yaml", "text": text }));
    world.catch_up().await;
    let (status, found) = ask("agent: clerk").page(&browser).send(&world.people).await;
    assert_eq!(status, 200, "{found}");
    assert_eq!((&found["compared"], &found["differ"]), (&json!(2), &json!(1)), "{found}");
    let differs = &found["calls"][0];
    assert_eq!(
        (&differs["tool"], &differs["before"], &differs["after"]),
        (&json!("desk.look"), &json!("allow"), &json!("deny"))
    );
    assert_eq!(found["lost"][0]["tool"], "desk.look", "{found}");
    assert_eq!((&found["won"], &found["warnings"]), (&json!([]), &json!(["it is odd"])));
    assert_ne!(found["rules_digest"], found["would_digest"]);
    assert_eq!(found["rules_digest"], world.gate.rules().digest.to_string(), "nothing was changed");
    let (status, problem) = ask("broken").page(&browser).send(&world.people).await;
    assert_eq!((status.as_u16(), &problem["at"]), (400, &json!("/text")), "{problem}");
}

#[tokio::test]
async fn without_files_there_is_nothing_to_change() {
    let world = World::new().await;
    let (_, files) = get("/v1/policy/files").operator().send(&world.people).await;
    assert_eq!(files["items"], json!([]));
    let ask = post("/v1/policy/change", &json!({ "file": "agents/clerk.yaml", "text": "" })).operator();
    ask.problem(&world.people, 404, "not_found").await;
}
