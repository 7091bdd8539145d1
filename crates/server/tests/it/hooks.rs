//! Messages from systems of people's own: what is not signed, not of now, or not the first is not heeded.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gate::clock::{Clock, Wall};
use serde_json::{Value, json};

use crate::world::{Ask, HOOK_SECRET, World, get, post, raw};

const CRM: &str = "/v1/hooks/crm/correct";
const CLERK: &str = "clerk";

/// A run that its agent closed as a success.
async fn closed(world: &World) -> String {
    let (key, token) = world.run(CLERK).await;
    world.catch_up().await;
    let (_, runs) = get("/v1/runs").operator().send(&world.people).await;
    let run = runs["items"][0]["run"].as_str().unwrap().to_owned();
    let close = post(&format!("/v1/runs/{run}/close"), &json!({ "outcome": "success" }));
    assert_eq!(close.key(&key).with("remit-run", &token).send(&world.agents).await.0, 200);
    run
}

fn seconds_ago(seconds: u64) -> u64 {
    Wall.now().0 / 1_000 - seconds
}

fn signature(secret: &str, id: &str, at: u64, body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let tag = hmac::sign(&key, format!("{id}.{at}.{body}").as_bytes());
    format!("v1,{}", STANDARD.encode(tag))
}

fn message(path: &str, id: &str, at: u64, body: &Value, signature: &str) -> Ask {
    let ask = raw(path, body.to_string()).with("webhook-id", id).with("webhook-timestamp", &at.to_string());
    ask.with("webhook-signature", signature)
}

fn signed(id: &str, at: u64, body: &Value) -> Ask {
    message(CRM, id, at, body, &signature(HOOK_SECRET, id, at, &body.to_string()))
}

fn wrong(run: &str) -> Value {
    json!({ "run": run, "outcome": "failure", "why": "the customer came back" })
}

async fn outcome(world: &World, run: &str) -> Value {
    world.catch_up().await;
    get(&format!("/v1/runs/{run}")).operator().send(&world.people).await.1["run"]["outcome"].clone()
}

#[tokio::test]
async fn a_signed_message_corrects_an_outcome_once() {
    let world = World::new().await;
    let run = closed(&world).await;
    let now = seconds_ago(0);
    let (status, heeded) = signed("m1", now, &wrong(&run)).send(&world.people).await;
    assert_eq!((status.as_u16(), &heeded["again"]), (200, &json!(false)), "{heeded}");
    assert_eq!(outcome(&world, &run).await, "failure");
    let index = heeded["receipt"]["index"].as_u64().unwrap();
    let events = get(&format!("/v1/events?from={index}&limit=1")).operator().send(&world.people).await.1;
    assert!(events.to_string().contains("webhook:crm"), "{events}");

    // A person knows better, and the message that comes once more changes nothing.
    let right = json!({ "outcome": "success", "why": "it was another order" });
    let correct = post(&format!("/v1/runs/{run}/correct"), &right).operator();
    assert_eq!(correct.send(&world.people).await.0, 200);
    let (status, again) = signed("m1", now, &wrong(&run)).send(&world.people).await;
    assert_eq!((status.as_u16(), again), (200, json!({ "again": true, "receipt": null })));
    assert_eq!(outcome(&world, &run).await, "success");
    // The same words under another id are another message.
    let (_, other) = signed("m2", now, &wrong(&run)).send(&world.people).await;
    assert_eq!(other["again"], false);
    assert_eq!(outcome(&world, &run).await, "failure");
}

#[tokio::test]
async fn what_is_signed_otherwise_is_not_heeded() {
    let world = World::new().await;
    let run = closed(&world).await;
    let (now, body) = (seconds_ago(0), wrong(&run));
    let ours = signature(HOOK_SECRET, "m1", now, &body.to_string());
    let others = json!({ "run": run, "outcome": "abandoned", "why": "the customer came back" });
    let refused = [
        message(CRM, "m1", now, &body, &signature("another secret", "m1", now, &body.to_string())),
        message(CRM, "m1", now, &others, &ours),
        message(CRM, "m2", now, &body, &ours),
        message(CRM, "m1", now + 1, &body, &ours),
        message(CRM, "m1", now, &body, ours.trim_start_matches("v1,")),
        message("/v1/hooks/nobody/correct", "m1", now, &body, &ours),
        message(CRM, "m1", now, &body, &ours).with("webhook-id", "m1"),
        raw(CRM, body.to_string()).operator(),
    ];
    for ask in refused {
        ask.problem(&world.people, 401, "signature_refused").await;
    }
    assert_eq!(outcome(&world, &run).await, "success");
    // Whoever changes the secret signs with both for a while.
    let both = format!("{} {ours}", signature("the next secret", "m1", now, &body.to_string()));
    assert_eq!(message(CRM, "m1", now, &body, &both).send(&world.people).await.0, 200);
}

#[tokio::test]
async fn what_is_not_of_now_is_not_heeded() {
    let world = World::new().await;
    let run = closed(&world).await;
    signed("m1", seconds_ago(301), &wrong(&run)).problem(&world.people, 401, "signature_refused").await;
    let ahead = Wall.now().0 / 1_000 + 320;
    signed("m1", ahead, &wrong(&run)).problem(&world.people, 401, "signature_refused").await;
    assert_eq!(outcome(&world, &run).await, "success");
    assert_eq!(signed("m1", seconds_ago(280), &wrong(&run)).send(&world.people).await.0, 200);
    // Once it is too old to be signed it need not be remembered.
    world.clock.forward_ms(60_000);
    signed("m1", seconds_ago(280), &wrong(&run)).problem(&world.people, 401, "signature_refused").await;
}

#[tokio::test]
async fn it_may_correct_a_closed_run_and_nothing_else() {
    let world = World::new().await;
    let (_, _) = world.run(CLERK).await;
    world.catch_up().await;
    let (_, runs) = get("/v1/runs").operator().send(&world.people).await;
    let open = runs["items"][0]["run"].as_str().unwrap().to_owned();
    let now = seconds_ago(0);
    let (status, refused) = signed("m1", now, &wrong(&open)).send(&world.people).await;
    assert_eq!((status.as_u16(), &refused["code"]), (409, &json!("run_open")), "{refused}");
    let never = wrong("run_00000000000000000000000001");
    let (status, refused) = signed("m2", now, &never).send(&world.people).await;
    assert_eq!((status.as_u16(), &refused["code"]), (404, &json!("run_unknown")), "{refused}");
    let silent = json!({ "run": open, "outcome": "failure", "why": " " });
    signed("m3", now, &silent).problem(&world.people, 400, "bad_request").await;
    let more = json!({ "run": open, "outcome": "failure", "why": "x", "amount": {} });
    signed("m4", now, &more).problem(&world.people, 400, "bad_request").await;
    let ours = signature(HOOK_SECRET, "m5", now, &wrong(&open).to_string());
    for path in ["close", "charge", "extend", "correct"] {
        let ask = message(&format!("/v1/runs/{open}/{path}"), "m5", now, &wrong(&open), &ours);
        ask.problem(&world.people, 401, "key_refused").await;
    }
}
