//! Stop means stop: from the moment a halt is answered nothing in its scope is permitted.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::house::{House, people, refund_of, refused_for};
use crate::install::Install;
use crate::toolserver::{SILENT, ToolServer};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_halt_denies_until_it_is_lifted_and_outlives_a_restart() {
    let mut house = House::up().await;
    let run = house.run().await;
    assert_eq!(run.refund(100).await.unwrap().outcome.as_deref(), Some("succeeded"));

    house.install.remit(&["halt", "agent:refund-desk", "--why", "looks odd"]).ok().holds(&[
        "halted agent:refund-desk, event ",
        "nothing in its scope was under way",
        "nothing in its scope happened from event ",
    ]);
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
        .holds(&["`agents:refund-desk` is no scope", "expected all, writes, irreversible, tenant:NAME"]);
    for nameless in ["agent:", "tool: "] {
        house.install.remit(&["halt", nameless, "--why", "typo"]).fails().holds(&["is no scope"]);
    }
}

/// A server that is asked to wait, writes down what it hears, and never answers.
const SLOW: &str = r#"
while IFS= read -r line; do
  id=$(printf %s "$line" | sed -n 's/.*"id":\("[^"]*"\|[0-9]*\).*/\1/p')
  case "$line" in
    *'"method":"initialize"'*)
      about='"protocolVersion":"2025-06-18","capabilities":{"tools":{}},"serverInfo":{"name":"slow","version":"1"}'
      printf '{"jsonrpc":"2.0","id":%s,"result":{%s}}\n' "$id" "$about" ;;
    *'"method":"tools/list"'*)
      tools='[{"name":"wait","inputSchema":{"type":"object"}},{"name":"look","inputSchema":{"type":"object"}}]'
      printf '{"jsonrpc":"2.0","id":%s,"result":{"tools":%s}}\n' "$id" "$tools" ;;
    *'"method":"tools/call"'*) echo called >> "$1" ;;
    *'"method":"notifications/cancelled"'*) echo cancelled >> "$1" ;;
    *'"id":'*) printf '{"jsonrpc":"2.0","id":%s,"error":{"code":-32601,"message":"no"}}\n' "$id" ;;
  esac
done
"#;

/// A house whose refund desk may also use a child process that never answers; and what that child heard.
async fn with_slow_child() -> (House, std::path::PathBuf) {
    let tools = ToolServer::start().await;
    let install = Install::new(&tools.url());
    let heard = install.path("heard");
    std::fs::write(install.path("slow.sh"), SLOW).unwrap();
    let args = format!("[\"{}\", \"{}\"]", install.path("slow.sh").display(), heard.display());
    let contract = format!(
        "server: slow\nvia: {{ stdio: {{ command: bash, args: {args} }} }}\n\
tools:\n  wait: {{ effect: irreversible }}\n  look: {{ effect: read }}\n"
    );
    std::fs::write(install.path("tools/slow.yaml"), contract).unwrap();
    install.edit("agents/refund-desk.yaml", "may:\n", "may:\n  - tool: slow.*\n");
    install.remit(&["tool", "accept", "slow", "--yes"]).ok();
    let serve = install.serve();
    let minted: Value =
        people(&install, &serve).post("/v1/agents/refund-desk/keys", &json!({})).await.unwrap();
    let key = minted["secret"].as_str().unwrap().to_owned();
    (House { install, tools, serve, key }, heard)
}

fn count(heard: &std::path::Path, word: &str) -> usize {
    std::fs::read_to_string(heard).unwrap_or_default().lines().filter(|line| *line == word).count()
}

async fn until(mut holds: impl FnMut() -> bool) {
    for _ in 0..500 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it never came to hold");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_halt_cuts_slow_tools_and_tells_what_became_of_each() {
    let (house, heard) = with_slow_child().await;
    let run = std::sync::Arc::new(house.run().await);
    let call = |tool: &'static str, args: Value| {
        let run = run.clone();
        tokio::spawn(async move { (run.call(tool, args).await.unwrap(), Instant::now()) })
    };
    let calls = [
        call("desk.refund_charge", refund_of(SILENT, 100)),
        call("slow.wait", json!({})),
        call("slow.look", json!({})),
    ];
    house.tools.reached(1).await;
    until(|| count(&heard, "called") == 2).await;

    let report =
        house.install.remit(&["halt", "agent", "refund-desk", "--why", "looks odd", "--json"]).ok().json();
    let told = Instant::now();
    let mut ends = Vec::new();
    for call in calls {
        let (answered, at) = call.await.unwrap();
        assert!(at < told + Duration::from_millis(100), "it was answered {:?} after the report", at - told);
        let held =
            report["calls"].as_array().unwrap().iter().find(|held| held["call"] == answered.call).unwrap();
        assert_eq!(held["outcome"], answered.outcome.clone().unwrap(), "{report}");
        ends.push((
            answered.outcome.unwrap(),
            answered.trouble.unwrap(),
            held["end"].as_str().unwrap().to_owned(),
        ));
    }
    let is = |outcome: &str, end: &str| (outcome.to_owned(), "halted".to_owned(), end.to_owned());
    assert_eq!(ends, [is("unknown", "unclear"), is("unknown", "unclear"), is("failed", "stopped")]);
    assert_eq!(
        (&report["in_flight"], &report["unclear"], &report["stopped"]),
        (&json!(3), &json!(2), &json!(1))
    );
    assert!(report["quiet_from"].as_u64() > report["receipt"]["index"].as_u64(), "{report}");
    // The server is told, as its revision tells it.
    until(|| count(&heard, "cancelled") == 2).await;

    // Nothing of the agent happened after the index that the report names.
    let quiet = report["quiet_from"].as_u64().unwrap();
    let denied = run.call("desk.lookup_ticket", json!({ "ticket_id": "T-1" })).await.unwrap();
    assert_eq!(refused_for(&denied), "halted");
    for event in house.events().await.iter().filter(|event| event.index >= quiet) {
        let ruling = &event.event["body"]["ruling"];
        assert!(ruling.is_null() || ruling == "deny", "{:?}", event.event);
        assert_ne!(event.event["kind"], "call_finished");
    }

    // People read it as a table, and lift it by the same name.
    house.install.remit(&["halt", "agent", "refund-desk", "--why", "still odd", "--until", "1h"]).ok().holds(
        &[
            "halted agent:refund-desk, until ",
            "nothing in its scope was under way",
            "of unknown end since before the halt: 2 calls",
        ],
    );
    house.install.remit(&["halts"]).ok().holds(&["SCOPE", "agent:refund-desk", "still odd", "operator"]);
    house
        .install
        .remit(&["resume", "agent", "refund-desk", "--why", "seen"])
        .ok()
        .holds(&["resumed, event "]);
    house
        .install
        .remit(&["resume", "agent", "refund-desk", "--why", "seen"])
        .fails()
        .holds(&["halt_unknown", "nothing is halted by the name of `agent:refund-desk`"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_halt_is_of_what_there_is_and_may_be_narrow_frozen_or_short() {
    let house = House::up().await;
    let run = house.run().await;
    let halt = |args: &[&str]| house.install.remit(&[&["halt"], args, &["--why", "drill"]].concat());
    halt(&["agent", "refund-dek"]).fails().holds(&[
        "scope_unknown",
        "did you mean `refund-desk`?",
        "--force",
    ]);
    halt(&["run", &kernel::id::RunId(7).to_string()]).fails().holds(&["scope_unknown"]);
    halt(&["all", "--until", "yesterday"]).fails().holds(&["bad_request", "a time in UTC"]);
    halt(&["all", "--until", "2020-01-01T00:00:00Z"]).fails().holds(&["`until` is over"]);
    halt(&["agent", "refund-dek", "--force"]).ok();
    halt(&["all", "--env", "dev"]).fails().holds(&["environment `dev`"]);

    halt(&["all", "--reads-allowed"]).ok().holds(&["halted all, reads allowed, event "]);
    let read = run.call("desk.lookup_ticket", json!({ "ticket_id": "T-1" })).await.unwrap();
    assert_eq!(read.outcome.as_deref(), Some("succeeded"));
    assert_eq!(refused_for(&run.refund(100).await.unwrap()), "halted");
    house.install.remit(&["resume", "all", "--why", "done"]).ok();

    halt(&["effect", "writes", "--env", "prod", "--until", "2s"])
        .ok()
        .holds(&["halted writes in prod, until "]);
    assert_eq!(refused_for(&run.refund(100).await.unwrap()), "halted");
    until(|| house.install.remit(&["halts", "--json"]).ok().json()["items"].as_array().unwrap().len() == 1)
        .await;
    assert_eq!(run.refund(100).await.unwrap().outcome.as_deref(), Some("succeeded"));
}
