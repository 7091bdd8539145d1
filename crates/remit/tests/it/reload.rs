//! New rules while it runs: checked whole, one event, and the next decision cites them.

use std::time::Duration;

use rustix::process::Signal;

use crate::house::{AgentRun, House, refused_for};

/// The digests that were activated, in order.
async fn activated(house: &House) -> Vec<String> {
    let events = house.events().await;
    let of_rules = events.iter().filter(|event| event.event["kind"] == "rules_activated");
    of_rules.map(|event| event.event["body"]["digest"].as_str().unwrap().to_owned()).collect()
}

async fn cited(house: &House, run: &AgentRun) -> String {
    let call = run.refund(100).await.unwrap().call;
    let events = house.events().await;
    let decided = events.iter().rfind(|event| event.event["body"]["call"] == call.as_str());
    let decided = events.iter().find(|event| {
        event.event["kind"] == "call_decided"
            && Some(&event.event["body"]["call"]) == decided.map(|it| &it.event["body"]["call"])
    });
    decided.unwrap().event["body"]["rules_digest"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_file_becomes_one_event_and_a_bad_one_changes_nothing() {
    let mut house = House::up().await;
    let run = house.run().await;
    let first = activated(&house).await;
    assert_eq!(first, [cited(&house, &run).await]);
    assert_eq!(run.refund(5_001).await.unwrap().verdict.ruling, "ask");

    // A careless save: nothing changes, whoever asks.
    house.install.edit("agents/refund-desk.yaml", "args.amount_cents <= 5000", "args.amount_cent <= 6000");
    house.serve.said("reload refused");
    house.serve.signal(Signal::HUP);
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(activated(&house).await, first);
    assert_eq!(cited(&house, &run).await, first[0]);
    let said = house.install.all_output();
    assert!(said.contains("agents/refund-desk.yaml:12") && said.contains("amount_cent"), "{said}");

    house.install.edit("agents/refund-desk.yaml", "args.amount_cent <= 6000", "args.amount_cents <= 6000");
    house.serve.said("reloaded: rules");
    let both = activated(&house).await;
    assert_eq!(both.len(), 2, "{both:?}");
    assert_eq!(both[1], cited(&house, &run).await);
    assert_eq!(run.refund(5_002).await.unwrap().outcome.as_deref(), Some("succeeded"));
    assert_eq!(house.install.remit(&["status", "--json"]).ok().json()["rules_digest"], both[1]);

    house.serve.signal(Signal::HUP);
    house.serve.said("reload: nothing changed");
    assert_eq!(activated(&house).await, both);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sighup_reloads_what_the_watcher_does_not_see() {
    let mut house = House::up().await;
    let run = house.run().await;
    // The first SIGHUP may find the watcher at work already; either way it is one event.
    house.install.edit(
        "policies/house.cedar",
        "context.args.currency == \"eur\"",
        "context.args.currency == \"usd\"",
    );
    house.serve.signal(Signal::HUP);
    house.serve.said("reloaded: rules");
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(activated(&house).await.len(), 2);
    assert_eq!(refused_for(&run.refund(100).await.unwrap()), "rule_forbids");
    house.serve.stop();
    // The same rules after a restart are no new event.
    house.serve = house.install.serve();
    assert_eq!(activated(&house).await.len(), 2);
}
