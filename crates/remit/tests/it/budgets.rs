//! Budgets from outside: real clients over HTTP, a ledger, a tool server that counts what was really done to it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use api::budget::{Balance, Balances, Spend};
use api::call::Answered;
use api::client::{Client, Error};
use api::people::KeyMinted;
use api::run::{OpenRun, RunOpened};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::house::{House, people, refused_for};
use crate::install::{Install, Serve};
use crate::toolserver::{SILENT, ToolServer};

const DESK: &str = "agents/refund-desk.yaml";
const BUDGET: &str = "budget:
  per_run: { calls: 40, usd: 20.00, irreversible: 2 }
gates: { 50: degrade, 75: decide, 90: notify, 100: stop }
";

/// The desk with another budget, and gates or quotas beside it.
async fn house(budget: &str, remit: &str) -> House {
    let tools = ToolServer::start().await;
    let install = Install::new(&tools.url());
    install.edit(DESK, BUDGET, &format!("budget: {budget}\n"));
    let text = std::fs::read_to_string(install.path("remit.yaml")).unwrap();
    std::fs::write(install.path("remit.yaml"), format!("{text}{remit}")).unwrap();
    let serve = install.serve();
    let minted: KeyMinted =
        people(&install, &serve).post("/v1/agents/refund-desk/keys", &json!({})).await.unwrap();
    House { install, tools, serve, key: minted.secret }
}

/// A client inside a run, and what was said when it was opened.
struct Inside {
    client: Client,
    opened: RunOpened,
}

/// Under the run that the client is in, if it is in one.
async fn open(agent: &Client, budget: Option<Spend>) -> Result<Inside, Error> {
    let open = OpenRun { person: None, intent: None, budget };
    let opened: RunOpened = agent.post("/v1/runs", &open).await?;
    Ok(Inside { client: agent.in_run(&opened.token), opened })
}

/// Each call asks for another ticket, so that none is a loop.
async fn lookup(run: &Inside) -> Answered {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let ticket = format!("T-{}", NEXT.fetch_add(1, Ordering::Relaxed));
    let ask = json!({ "tool": "desk.lookup_ticket", "args": { "ticket_id": ticket } });
    run.client.post("/v1/calls", &ask).await.unwrap()
}

fn allowed(answers: &[Answered]) -> usize {
    answers.iter().filter(|answer| answer.verdict.ruling == "allow").count()
}

async fn balance(people: &Client, query: &str, window: &str) -> Balance {
    let balances: Balances = people.get(&format!("/v1/budget?{query}")).await.unwrap();
    let found = balances.items.into_iter().find(|balance| balance.window == window);
    found.unwrap_or_else(|| panic!("no {window} in {query}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_for_a_hundred_permits_exactly_a_hundred_of_two_hundred_at_once() {
    let house = house("{ per_day: { calls: 100 } }", "").await;
    let agent = Client::new(&house.serve.agents, Some(house.key.clone()));
    // In several runs, so that only the day's account stands between them.
    let runs = join_all((0..8).map(|_| open(&agent, None))).await;
    let runs: Vec<Inside> = runs.into_iter().map(Result::unwrap).collect();
    let answers = join_all((0..200).map(|nth| lookup(&runs[nth % runs.len()]))).await;
    assert_eq!(allowed(&answers), 100);
    assert_eq!(house.tools.done("lookup_ticket"), 100);
    for refused in answers.iter().filter(|answer| answer.verdict.ruling == "deny") {
        assert_eq!(refused_for(refused), "budget_exceeded");
        assert!(refused.verdict.reasons[0].says.contains("the day of agent:refund-desk"), "{refused:?}");
    }
    let day = balance(&house.people(), "agent=refund-desk", "day").await;
    assert_eq!((day.posted.calls, day.pending.calls, day.left.calls), (Some(100), None, Some(0)));
    let metrics = house.people().text("/metrics").await.unwrap();
    for (figure, value) in [("limit", 100), ("spent", 100), ("pending", 0)] {
        let labels = r#"{of="agent:refund-desk",window="day",currency="calls"}"#;
        let line = format!("\nremit_budget_{figure}{labels} {value}\n");
        assert!(metrics.contains(&line), "no {line:?} in {metrics}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn five_calls_of_twenty_cents_on_forty_five_are_two() {
    let house = house("{ per_run: { usd: 0.45 } }", "").await;
    house.install.edit(
        "tools/desk.yaml",
        "  lookup_ticket:\n",
        "  lookup_ticket:\n    cost: { usd: 0.20 }\n",
    );
    let serve = restarted(&house.install, house.serve);
    let agent = Client::new(&serve.agents, Some(house.key.clone()));
    let run = open(&agent, None).await.unwrap();
    let answers = join_all((0..5).map(|_| lookup(&run))).await;
    assert_eq!(allowed(&answers), 2);
    let left = answers.iter().filter_map(|answer| answer.budget.as_ref()?.left.usd_nanos).min();
    assert_eq!(left, Some(50_000_000));
}

/// Stops it, and starts it again on what is written now.
fn restarted(install: &Install, serve: Serve) -> Serve {
    serve.stop();
    install.serve()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fans_out_of_one_prompt_spends_one_budget_and_survives_a_kill() {
    let house =
        house("{ per_run: { calls: 150 } }", "delegation: { max_depth: 3, max_children: 30 }\n").await;
    let agent = Client::new(&house.serve.agents, Some(house.key.clone()));
    let root = open(&agent, None).await.unwrap();
    // Three agents of ten sub-runs of ten calls each: three hundred calls, a hundred and fifty of which are paid for.
    let middle = join_all((0..3).map(|_| open(&root.client, None))).await;
    let mut leaves = Vec::new();
    for run in middle {
        let run = run.unwrap();
        leaves
            .extend(join_all((0..10).map(|_| open(&run.client, None))).await.into_iter().map(Result::unwrap));
    }
    let calls = leaves.iter().flat_map(|leaf| (0..10).map(move |_| lookup(leaf)));
    let answers = join_all(calls).await;
    assert_eq!(allowed(&answers), 150);
    assert_eq!(house.tools.done("lookup_ticket"), 150);
    let id = root.opened.run.clone();
    let before = balance(&house.people(), &format!("run={id}"), "run").await;
    assert_eq!((before.posted.calls, before.left.calls), (Some(150), Some(0)));

    let House { install, tools, mut serve, key } = house;
    serve.signal(rustix::process::Signal::KILL);
    serve.ended();
    let serve = install.serve();
    let after = balance(&people(&install, &serve), &format!("run={id}"), "run").await;
    assert_eq!((&after.posted, &after.pending, &after.left), (&before.posted, &before.pending, &before.left));
    let client = Client::new(&serve.agents, Some(key)).in_run(&leaves[0].opened.token);
    let again = Inside { client, opened: leaves[0].opened.clone() };
    assert_eq!(refused_for(&lookup(&again).await), "budget_exceeded");
    assert_eq!(tools.done("lookup_ticket"), 150);
}

/// What was posted to a hook, in order: id, signature, time, body.
type Told = Arc<Mutex<Vec<(String, String, String, String)>>>;

/// A system of people's own that refuses the first word, and writes down what it is told.
async fn hook() -> (String, Told) {
    let told = Told::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/hook", listener.local_addr().unwrap());
    let answer = |State(told): State<Told>, headers: HeaderMap, body: String| async move {
        let header = |name: &str| headers[name].to_str().unwrap().to_owned();
        let mut told = told.lock().unwrap();
        told.push((header("webhook-id"), header("webhook-signature"), header("webhook-timestamp"), body));
        if told.len() == 1 { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK }
    };
    let router = axum::Router::new().route("/hook", axum::routing::post(answer)).with_state(told.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (address, told)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_wants_more_is_paused_people_are_told_and_extend_it() {
    let (address, told) = hook().await;
    let remit = format!(
        "quotas: {{ circuit_breaker: pause_and_notify }}\n\
         notify: [{{ webhook: \"{address}\", secret: \"env:DESK_KEY\", on: [gate, pause] }}]\n"
    );
    let house = house("{ per_run: { calls: 2 } }", &remit).await;
    let agent = Client::new(&house.serve.agents, Some(house.key.clone()));
    let run = open(&agent, None).await.unwrap();
    let first = lookup(&run).await;
    assert_eq!(first.budget.as_ref().map(|left| (left.left.calls, left.percent)), Some((Some(1), 50)));
    assert_eq!(first.budget.unwrap().gate.as_deref(), Some("degrade"));
    assert_eq!(lookup(&run).await.budget.unwrap().gate.as_deref(), Some("stop"));
    assert_eq!(refused_for(&lookup(&run).await), "budget_exceeded");
    assert_eq!(refused_for(&lookup(&run).await), "run_paused");

    // The crossing came first, and again because it was refused; then the pause.
    for _ in 0..100 {
        if told.lock().unwrap().len() >= 3 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let heard = told.lock().unwrap().clone();
    let types: Vec<String> = heard
        .iter()
        .map(|(.., body)| serde_json::from_str::<Value>(body).unwrap()["type"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(types, ["gate.crossed", "gate.crossed", "run.paused"]);
    assert_eq!(heard[0].0, heard[1].0, "the same event has the same id");
    assert_ne!(heard[1].0, heard[2].0);
    assert!(heard.iter().all(|(_, signature, ..)| signature.starts_with("v1,")));

    let id = &run.opened.run;
    let said = house.install.remit(&["budget", id]).ok();
    said.holds(&["calls", "is paused", id]);
    house.install.remit(&["run", "extend", id, "--calls", "3", "--why", "urgent"]).fails();
    house.install.remit(&["run", "extend", id, "--calls", "1", "--within", "1h", "--why", "urgent"]).ok();
    assert_eq!(lookup(&run).await.verdict.ruling, "allow");
    assert_eq!(refused_for(&lookup(&run).await), "budget_exceeded");
    house.install.remit(&["run", "close", id, "--outcome", "success", "--workflow", "refund"]).ok();
    let spend = house.install.remit(&["--json", "spend", "--by", "workflow"]).ok().json();
    assert_eq!(spend["items"][0]["of"], "refund");
    assert_eq!(spend["items"][0]["now"]["success"], 1);
    assert_eq!(spend["items"][0]["now"]["interventions"], 1);
    house.install.remit(&["run", "correct", id, "--was-wrong", "--why", "the customer came back"]).ok();
    let spend = house.install.remit(&["--json", "spend", "--by", "workflow"]).ok().json();
    assert_eq!(spend["items"][0]["now"]["success"], 0);
    assert_eq!(spend["items"][0]["now"]["failure"], 1);
    let spend = house.install.remit(&["--json", "spend", "--by", "run"]).ok().json();
    assert_eq!(spend["items"][0]["of"], id.as_str());
    assert_eq!(spend["items"][0]["now"]["failure"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_changes_whom_webhooks_tell() {
    let (first, told_first) = hook().await;
    let (second, told_second) = hook().await;
    let notify =
        |to: &str| format!("notify: [{{ webhook: \"{to}\", secret: \"env:DESK_KEY\", on: [halt] }}]\n");
    let mut house = house("{ per_run: { calls: 2 } }", &notify(&first)).await;
    house.install.remit(&["halt", "writes", "--why", "a drill"]).ok();
    heard(&told_first, 2).await;
    house.install.edit("remit.yaml", &first, &second);
    house.serve.said("reloaded: whom webhooks tell");
    house.install.remit(&["resume", "writes", "--why", "over"]).ok();
    heard(&told_second, 2).await;
    let kinds = |told: &Told| -> Vec<Value> {
        let told = told.lock().unwrap();
        told.iter().map(|(.., body)| serde_json::from_str::<Value>(body).unwrap()["type"].clone()).collect()
    };
    // Each refuses the first word, and is told again.
    assert_eq!(kinds(&told_first), ["halt.began", "halt.began"]);
    assert_eq!(kinds(&told_second), ["halt.ended", "halt.ended"]);
}

/// Waits until so many words came.
async fn heard(told: &Told, count: usize) {
    for _ in 0..100 {
        if told.lock().unwrap().len() >= count {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("not told {count} times: {:?}", told.lock().unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_goes_on_with_the_day_and_an_unknown_call_holds_its_part() {
    let house = house("{ per_day: { calls: 3 } }", "").await;
    let agent = Client::new(&house.serve.agents, Some(house.key.clone()));
    let run = open(&agent, None).await.unwrap();
    assert_eq!(lookup(&run).await.verdict.ruling, "allow");
    let silent = json!({ "tool": "desk.refund_charge", "args": crate::house::refund_of(SILENT, 100) });
    let waiting = run.client.clone();
    let silent = tokio::spawn(async move { waiting.post::<Value, Answered>("/v1/calls", &silent).await });
    house.tools.reached(2).await;
    let House { install, mut serve, key, .. } = house;
    serve.signal(rustix::process::Signal::KILL);
    serve.ended();
    silent.abort();
    let serve = install.serve();
    let day = balance(&people(&install, &serve), "agent=refund-desk", "day").await;
    assert_eq!((day.posted.calls, day.pending.calls, day.left.calls), (Some(1), Some(1), Some(1)));
    let client = Client::new(&serve.agents, Some(key)).in_run(&run.opened.token);
    let again = Inside { client, opened: run.opened.clone() };
    assert_eq!(lookup(&again).await.verdict.ruling, "allow");
    assert_eq!(refused_for(&lookup(&again).await), "budget_exceeded");
}
