//! Incidents that are sent: to places of the configuration only, and never without the ledger.

use std::sync::{Arc, Mutex};

use api::incident::IncidentPlace;
use serde_json::json;

use crate::world::{CLERK, Side, World, get, post};

/// Keeps what it is sent, or takes nothing.
#[derive(Default)]
struct Tracker {
    sent: Mutex<Vec<server::Report>>,
    is_down: bool,
}

impl server::Reports for Tracker {
    fn places(&self) -> Vec<IncidentPlace> {
        let (name, kind) = ("tracker".to_owned(), "github".to_owned());
        vec![IncidentPlace { name, kind, says: "an issue".to_owned() }]
    }

    fn send(&self, _: String, report: server::Report) -> server::Sending<'_> {
        self.sent.lock().unwrap().push(report);
        Box::pin(async move {
            if self.is_down {
                Err("it answered 401".to_owned())
            } else {
                Ok(Some("https://t.example/7".to_owned()))
            }
        })
    }
}

async fn world(tracker: &Arc<Tracker>) -> (World, String) {
    let world = World::with(Side { reports: Some(tracker.clone()), ..Side::default() }).await;
    let (key, token) = world.run(CLERK).await;
    let ask = post("/v1/calls", &json!({ "tool": "desk.look", "args": { "ticket": 7 } }))
        .key(&key)
        .with("remit-run", &token);
    ask.send(&world.agents).await;
    world.catch_up().await;
    let (_, runs) = get("/v1/runs").operator().send(&world.people).await;
    let run = runs["items"][0]["run"].as_str().unwrap().to_owned();
    (world, run)
}

async fn told(world: &World) -> Vec<serde_json::Value> {
    let (_, page) = get("/v1/events?limit=500").operator().send(&world.people).await;
    let events = page["items"].as_array().unwrap().iter().map(|item| item["event"].clone());
    events.filter(|event| event["kind"] == "incident_sent").map(|event| event["body"].clone()).collect()
}

#[tokio::test]
async fn one_is_sent_where_the_configuration_says_and_the_ledger_says_who_sent_it_and_where_it_is() {
    let tracker = Arc::new(Tracker::default());
    let (world, run) = world(&tracker).await;
    let browser = world.sign_in(Some("olga")).await;
    let send = |to: &str| post(&format!("/v1/runs/{run}/incident"), &json!({ "to": to, "note": "see" }));
    send("elsewhere").page(&browser).problem(&world.people, 404, "not_found").await;
    assert!(told(&world).await.is_empty() && tracker.sent.lock().unwrap().is_empty());
    let (status, answer) = send("tracker").page(&browser).send(&world.people).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["place"], "https://t.example/7");
    let events = told(&world).await;
    assert_eq!(events.len(), 2);
    assert_eq!(
        (&events[0]["by"], &events[0]["to"], &events[0]["run"]),
        (&json!("olga"), &json!("tracker"), &json!(run))
    );
    assert!(events[0]["end"].is_null(), "it is recorded before it leaves");
    assert_eq!(events[1]["end"], "arrived: https://t.example/7");
    assert_eq!(events[0]["digest"], answer["digest"]);
    let sent = tracker.sent.lock().unwrap();
    assert_eq!(stdx::digest::Digest::of(&sent[0].file).to_string(), answer["digest"].as_str().unwrap());
    assert!(sent[0].summary.starts_with("see\n"));
}

#[tokio::test]
async fn what_was_not_taken_is_said_and_recorded() {
    let tracker = Arc::new(Tracker { is_down: true, ..Tracker::default() });
    let (world, run) = world(&tracker).await;
    let send = post(&format!("/v1/runs/{run}/incident"), &json!({ "to": "tracker" })).operator();
    let problem = send.problem(&world.people, 502, "not_delivered").await;
    assert!(problem["detail"].as_str().unwrap().contains("it answered 401"), "{problem}");
    assert_eq!(told(&world).await[1]["end"], "failed: it answered 401");
}
