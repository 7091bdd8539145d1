//! What happened, read back through the commands: for people and for pipes.

use serde_json::{Value, json};

use crate::house::{House, refused_for};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_can_be_read_back_in_every_way() {
    let house = House::up().await;
    let run = house.run().await;
    let read = run.call("desk.lookup_ticket", json!({ "ticket_id": "T-1" })).await.unwrap();
    let refund = run.refund(4_200).await.unwrap();
    let big = run.refund(900_000).await.unwrap();
    assert_eq!([&read, &refund].map(|answered| answered.outcome.as_deref()), [Some("succeeded"); 2]);
    assert_eq!(refund.result, Some(json!({ "status": "done", "told": "nothing" })));
    assert_eq!(refused_for(&big), "no_rule_allows");
    assert_eq!((house.tools.done("refund_charge"), house.tools.done("lookup_ticket")), (1, 1));
    let deed = &house.tools.deeds()[1];
    assert_eq!((deed.call.as_str(), deed.args["amount_cents"].as_u64()), (refund.call.as_str(), Some(4_200)));
    settle(&house, &refund.call).await;

    explained(&house, &refund.call, &big.call, &run.opened.run);
    listed(&house, &run.opened.run, &refund.call, &big.call);
    tailed(&house, &refund.call);
    let closed = house.install.remit(&["run", "close", &run.opened.run]).ok();
    closed.holds(&["closed"]);
    assert_eq!(refused_for(&run.refund(1).await.unwrap()), "run_unknown");
    house.serve.stop();
}

/// The views follow the ledger a moment behind.
async fn settle(house: &House, call: &str) {
    for _ in 0..200 {
        let calls = house.install.remit(&["calls", "--outcome", "succeeded", "--json"]).ok().json();
        if calls["items"].as_array().unwrap().iter().any(|item| item["call"] == call) {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("the views never showed {call}");
}

fn explained(house: &House, allowed: &str, denied: &str, run: &str) {
    let said = house.install.remit(&["explain", allowed]).ok();
    said.holds(&[
        allowed,
        "refund-desk",
        "ana@customers.example",
        "agents/refund-desk.yaml:",
        "allow",
        "succeeded",
    ]);
    said.holds(&["the ticket asks for it", "a-model", "4200", "0.30 usd"]);
    let story = house.install.remit(&["explain", allowed, "--json"]).ok().json();
    assert_eq!(story["calls"][0]["verdict"]["ruling"], "allow");
    let rule = &story["calls"][0]["verdict"]["rules"][0];
    assert_eq!(
        (rule["file"].as_str(), rule["line"].as_u64().is_some()),
        (Some("agents/refund-desk.yaml"), true)
    );
    house.install.remit(&["explain", denied]).ok().holds(&["deny", "no_rule_allows", "What would help"]);
    house.install.remit(&["explain", run]).ok().holds(&[allowed, denied, run, "answer a ticket"]);
    let unknown = house.install.remit(&["explain", "call_nothing"]);
    assert_eq!(unknown.code, Some(1), "{unknown:?}");
}

fn listed(house: &House, run: &str, allowed: &str, denied: &str) {
    let remit = |args: &[&str]| house.install.remit(args).ok();
    remit(&["runs"]).holds(&[run, "refund-desk", "open"]);
    let runs = remit(&["runs", "--json", "--open", "--agent", "refund-desk"]).json();
    let first = &runs["items"][0];
    assert_eq!(
        (first["run"].as_str(), first["allowed"].as_u64(), first["denied"].as_u64()),
        (Some(run), Some(2), Some(1))
    );
    remit(&["run", "show", run]).holds(&[run, allowed, denied, "no_rule_allows"]);
    let shown = remit(&["run", "show", run, "--json"]).json();
    assert_eq!(shown["calls"].as_array().unwrap().len(), 3);
    remit(&["calls"]).holds(&[allowed, denied, "desk.refund_charge"]);
    let one =
        remit(&["calls", "--json", "--ruling", "deny", "--run", run, "--tool", "desk.refund_charge"]).json();
    assert_eq!(one["items"].as_array().unwrap().len(), 1);
    assert_eq!(one["items"][0]["call"], denied);
    let page = remit(&["calls", "--json", "--limit", "1"]).json();
    assert_eq!((page["items"][0]["call"].as_str(), page["next"].is_string()), (Some(denied), true));
    let next = remit(&["calls", "--json", "--limit", "1", "--before", page["next"].as_str().unwrap()]).json();
    assert_eq!(next["items"][0]["call"], allowed);
    assert_eq!(remit(&["calls", "--outcome", "unknown", "--json"]).json()["items"], json!([]));
}

fn tailed(house: &House, call: &str) {
    let remit = |args: &[&str]| house.install.remit(args).ok();
    remit(&["tail", "--from", "0"]).holds(&[
        "rules_activated",
        "key_minted",
        "run_opened",
        "call_decided",
        "call_finished",
    ]);
    let lines = remit(&["tail", "--from", "0", "--json"]).out;
    let events: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(events[0]["event"]["kind"], "rules_activated");
    assert!(events.iter().any(|event| event["event"]["body"]["call"] == call));
    let status = remit(&["status", "--json"]).json();
    assert_eq!(
        (status["ready"].as_bool(), status["head_index"].as_u64()),
        (Some(true), Some(events.len() as u64))
    );
    remit(&["status"]).holds(&["ready", "rules sha256:", "1 agents, 5 tools"]);
    let keys = remit(&["agent", "keys", "--json"]).json();
    assert_eq!(keys["items"][0]["agent"], "refund-desk");
    remit(&["agent", "keys"]).holds(&["refund-desk", "key_"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tail_follows_as_it_happens() {
    let house = House::up().await;
    let mut follow = house.people().follow("/v1/tail?from=0").await.unwrap();
    let run = house.run().await;
    let call = run.refund(100).await.unwrap().call;
    let wait = std::time::Duration::from_secs(10);
    loop {
        let event: api::people::EventView =
            tokio::time::timeout(wait, follow.next()).await.unwrap().unwrap().unwrap();
        if event.event["kind"] == "call_finished" && event.event["body"]["call"] == call.as_str() {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_minted_listed_and_revoked_from_the_command_line() {
    let house = House::up().await;
    let minted = house.install.remit(&["agent", "key", "refund-desk", "--ttl", "10m", "--json"]).ok().json();
    let (key, secret) = (minted["key"].as_str().unwrap(), minted["secret"].as_str().unwrap());
    crate::house::open_run(&house.serve.agents, secret).await.unwrap();
    house.install.remit(&["agent", "revoke", key, "--why", "leaked"]).ok().holds(&["revoked"]);
    assert!(
        crate::house::open_run(&house.serve.agents, secret).await.is_err(),
        "a revoked key still opens a run"
    );
    house.install.remit(&["agent", "key", "refund-desc"]).fails().holds(&["refund-desc"]);
    house.install.remit(&["agent", "key", "refund-desk", "--ttl", "soon"]).fails().holds(&["90d"]);
}
