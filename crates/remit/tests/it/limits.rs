//! Stopping rules from outside: refusals over HTTP that say when to come again, loops, and replans.

use api::problem::Problem;
use serde_json::{Value, json};

use crate::house::{House, people, refund_of, refused_for};
use crate::install::Install;
use crate::toolserver::{HALF, ToolServer};

const DESK: &str = "agents/refund-desk.yaml";

async fn house(limits: &str, of_house: &str) -> House {
    // What takes too long is over soon, and is not tried again.
    let quick = "limits: { timeout: 300ms }\n    care: { retries: 0 }\n";
    let tools = ToolServer::start().await;
    let install = Install::new(&tools.url());
    install.edit(DESK, "may:\n", &format!("limits: {limits}\nmay:\n"));
    install.edit("tools/desk.yaml", "limits: { timeout: 10s }\n", quick);
    let text = std::fs::read_to_string(install.path("remit.yaml")).unwrap();
    std::fs::write(install.path("remit.yaml"), format!("{text}{of_house}")).unwrap();
    let serve = install.serve();
    let minted: Value =
        people(&install, &serve).post("/v1/agents/refund-desk/keys", &json!({})).await.unwrap();
    House { install, tools, serve, key: minted["secret"].as_str().unwrap().to_owned() }
}

/// A POST of a call, and all that came back.
async fn posted(agents: &str, key: &str, token: &str, body: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let address = agents.strip_prefix("http://").unwrap();
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST /v1/calls HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {key}\r\nremit-run: {token}\r\n\
         content-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    let mut said = String::new();
    stream.read_to_string(&mut said).await.unwrap();
    said
}

fn ticket(number: usize) -> Value {
    json!({ "ticket_id": format!("T-{number}") })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rate_holds_over_runs_and_a_restart_and_says_when_to_come_again() {
    let mut house = house("{ per_minute: { calls: 3 } }", "").await;
    for number in 0..3 {
        let read = house.run().await.call("desk.lookup_ticket", ticket(number)).await.unwrap();
        assert_eq!(read.outcome.as_deref(), Some("succeeded"));
    }
    let run = house.run().await;
    assert_eq!(refused_for(&run.call("desk.lookup_ticket", ticket(4)).await.unwrap()), "limit_reached");
    house.serve.signal(rustix::process::Signal::KILL);
    house.serve.ended();
    house.serve = house.install.serve();
    // As any HTTP client would ask, to see the header.
    let body = json!({ "tool": "desk.lookup_ticket", "args": ticket(5) }).to_string();
    let said = posted(&house.serve.agents, &house.key, &run.opened.token, &body).await;
    let (head, body) = said.split_once("\r\n\r\n").unwrap();
    let verdict: Value = serde_json::from_str::<Value>(body).unwrap()["verdict"].clone();
    let seconds = verdict["reasons"][0]["retry_after_seconds"].as_u64().unwrap();
    assert!((1..=61).contains(&seconds), "{verdict}");
    assert!(head.to_ascii_lowercase().contains(&format!("retry-after: {seconds}")), "{head}");
    assert_eq!(verdict["reasons"][0]["remedy"], format!("try again in {seconds} s"));
    assert_eq!(house.tools.done("lookup_ticket"), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_loop_ends_and_begins_anew_with_what_was_learned() {
    let house =
        house("{ same_call_max: 2 }", "limits: { same_result_max: 4, per_run: { replans: 1 } }\n").await;
    let run = house.run().await;
    for _ in 0..2 {
        assert!(run.call("desk.lookup_ticket", ticket(1)).await.unwrap().outcome.is_some());
    }
    let refused = run.call("desk.lookup_ticket", ticket(1)).await.unwrap();
    assert_eq!(refused_for(&refused), "loop_detected");
    assert!(refused.verdict.reasons[0].says.contains("the same call with the same arguments, 2 times"));
    // The house's rule holds beside the manifest's: every ticket of this server reads the same.
    for number in 2..4 {
        assert!(run.call("desk.lookup_ticket", ticket(number)).await.unwrap().outcome.is_some());
    }
    let refused = run.call("desk.lookup_ticket", ticket(5)).await.unwrap();
    assert_eq!(refused_for(&refused), "loop_detected");
    assert!(refused.verdict.reasons[0].says.contains("the same result of this tool, 4 times"));

    let replan = format!("/v1/runs/{}/replan", run.opened.run);
    let said = json!({ "learned": "tickets are archived" });
    let recorded: Value = run.agent.post(&replan, &said).await.unwrap();
    assert!(recorded["receipt"]["index"].is_u64());
    assert!(run.call("desk.lookup_ticket", ticket(1)).await.unwrap().outcome.is_some());
    let problem = |result: Result<Value, api::client::Error>| match result {
        Err(api::client::Error::Problem(problem)) => *problem,
        other => panic!("{other:?}"),
    };
    let again: Problem = problem(run.agent.post(&replan, &said).await);
    assert_eq!((again.code.as_str(), again.status), ("limit_reached", 409));
    let nothing: Problem = problem(run.agent.post(&replan, &json!({ "learned": " " })).await);
    assert_eq!(nothing.code, "bad_request");
    let other = house.run().await;
    let other: Problem = problem(other.agent.post(&replan, &said).await);
    assert_eq!(other.code, "run_token_refused");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_nobody_knows_the_end_of_does_not_come_again_by_itself() {
    let house = house("{}", "").await;
    let run = house.run().await;
    let refund = || run.call("desk.refund_charge", refund_of(HALF, 100));
    assert_eq!(refund().await.unwrap().outcome.as_deref(), Some("unknown"));
    assert_eq!(refused_for(&refund().await.unwrap()), "replan_required");
    assert_eq!(house.tools.done("refund_charge"), 1);
    let replan = format!("/v1/runs/{}/replan", run.opened.run);
    let _: Value = run.agent.post(&replan, &json!({ "learned": "the desk is slow" })).await.unwrap();
    assert_eq!(refused_for(&refund().await.unwrap()), "replan_required");
    assert!(run.call("desk.lookup_ticket", ticket(1)).await.unwrap().outcome.is_some());
    assert_eq!(refund().await.unwrap().outcome.as_deref(), Some("unknown"));
    assert_eq!(house.tools.done("refund_charge"), 2);
}
