//! Stop means stop: from the moment a halt is answered nothing in its scope is permitted.

use serde_json::json;

use crate::house::{House, refused_for};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_halt_denies_until_it_is_lifted_and_outlives_a_restart() {
    let mut house = House::up().await;
    let run = house.run().await;
    assert_eq!(run.refund(100).await.unwrap().outcome.as_deref(), Some("succeeded"));

    house.install.remit(&["halt", "agent:refund-desk", "--why", "looks odd"]).ok().holds(&["halted, event "]);
    let denied = run.refund(100).await.unwrap();
    assert_eq!(refused_for(&denied), "halted");
    assert!(denied.receipt.is_some(), "the refusal is in the ledger");
    assert_eq!(house.tools.done("refund_charge"), 1);

    house.serve.signal(rustix::process::Signal::KILL);
    house.serve.ended();
    house.serve = house.install.serve();
    // The run token and the key are still good; so is the halt.
    let run = crate::house::AgentRun {
        agent: api::client::Client::new(&house.serve.agents, Some(house.key.clone()))
            .in_run(&run.opened.token),
        opened: run.opened,
    };
    assert_eq!(refused_for(&run.refund(100).await.unwrap()), "halted");

    house
        .install
        .remit(&["resume", "agent:refund-desk", "--why", "it was me"])
        .ok()
        .holds(&["resumed, event "]);
    assert_eq!(run.refund(100).await.unwrap().outcome.as_deref(), Some("succeeded"));
    assert_eq!(house.tools.done("refund_charge"), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_halt_of_writes_lets_reads_through() {
    let house = House::up().await;
    let run = house.run().await;
    let halted = house.install.remit(&["halt", "writes", "--why", "month end", "--json"]).ok().json();
    assert!(halted["receipt"]["index"].is_u64(), "{halted}");
    assert_eq!(house.install.remit(&["status", "--json"]).ok().json()["halts"], 1);
    assert_eq!(refused_for(&run.refund(100).await.unwrap()), "halted");
    let read = run.call("desk.lookup_ticket", json!({ "ticket_id": "T-1" })).await.unwrap();
    assert_eq!(read.outcome.as_deref(), Some("succeeded"));
    house
        .install
        .remit(&["halt", "agents:refund-desk", "--why", "typo"])
        .fails()
        .holds(&["`agents:refund-desk` is no scope", "expected all, writes, agent:NAME"]);
    for nameless in ["agent:", "tool: "] {
        house.install.remit(&["halt", nameless, "--why", "typo"]).fails().holds(&["is no scope"]);
    }
}
