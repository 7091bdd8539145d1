//! Half a budget is spent: smaller pages, a cheaper tool, a cheaper model; what a call took, and what a failure costs.

use api::budget::{Balances, Spend};
use api::call::{Answered, CallAsk, ObligationKind, OutcomeReport};
use api::run::Recorded;
use serde_json::{Value, json};

use crate::house::{AgentRun, House, open_run, people, refund_of, refused_for};
use crate::install::Install;
use crate::toolserver::{REFUSED, ToolServer};

/// Reads that do with less, and one that takes tokens.
const TOOLS: &str = "tools:
  list_tickets:
    effect: read
    input:
      type: object
      properties: { limit: { type: integer, minimum: 1 } }
      additionalProperties: false
    degrade: { cap: { args.limit: 20 } }
  search_deep:
    effect: read
    input: &words { type: object, properties: { words: { type: string } }, additionalProperties: false }
    cost: { usd: 0.10 }
    degrade: { tool: desk.search }
  search:
    effect: read
    input: { type: object, properties: { words: { type: string } }, additionalProperties: false }
  summarise:
    effect: read
    input: { type: object, properties: { words: { type: string } }, additionalProperties: false }
    cost:
      tokens_in: 100
      tokens_out: 50
      tokens_cached: 20
      told: { tokens_in: result.usage.in, tokens_out: result.usage.out, tokens_cached: result.usage.cached }
    degrade: { model: small }
";

const MAY: &str = "may:
  - tool: desk.list_tickets
  - tool: desk.search*
  - tool: desk.summarise
";

async fn house(budget: &str) -> House {
    let tools = ToolServer::start().await;
    let install = Install::new(&tools.url());
    install.edit("tools/desk.yaml", "tools:\n", &TOOLS.replace("&words ", ""));
    install.edit("agents/refund-desk.yaml", "may:\n", &format!("roles: [executor]\n{MAY}"));
    install.edit("agents/refund-desk.yaml", "per_run: { calls: 40, usd: 20.00, irreversible: 2 }", budget);
    let serve = install.serve();
    let minted: api::people::KeyMinted =
        people(&install, &serve).post("/v1/agents/refund-desk/keys", &json!({})).await.unwrap();
    House { install, tools, serve, key: minted.secret }
}

async fn spent(run: &AgentRun) -> Spend {
    let path = format!("/v1/runs/{}/budget", run.opened.run);
    let balances: Balances = run.agent.get(&path).await.unwrap();
    balances.items.into_iter().find(|balance| balance.window == "run").unwrap().posted
}

fn kinds(answered: &Answered) -> Vec<ObligationKind> {
    answered.verdict.obligations.iter().map(|one| one.kind).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn from_half_of_a_budget_on_reads_are_smaller_and_cheaper() {
    let house = house("per_run: { calls: 8 }").await;
    let run = open_run(&house.serve.agents, &house.key).await.unwrap();
    for n in 0..4 {
        let full = run.call("desk.list_tickets", json!({ "limit": 100 + n })).await.unwrap();
        assert_eq!((full.verdict.ruling.as_str(), kinds(&full)), ("allow", vec![]));
    }
    let capped = run.call("desk.list_tickets", json!({ "limit": 200 })).await.unwrap();
    assert_eq!(kinds(&capped), [ObligationKind::Cap]);
    let one = &capped.verdict.obligations[0];
    assert_eq!((one.at.as_deref(), one.most), (Some("/limit"), Some(20)));
    let half = "50 % of the run's budget of 8 calls is spent or set aside, and its gate `degrade` is at 50 %";
    assert_eq!(one.says, format!("`limit` is 20 at most, because {half}"));
    let deeper = run.call("desk.search_deep", json!({ "words": "a" })).await.unwrap();
    assert_eq!(kinds(&deeper), [ObligationKind::Instead]);
    assert_eq!(deeper.verdict.obligations[0].tool.as_deref(), Some("desk.search"));

    let limits = house.tools.deeds().into_iter().filter_map(|deed| deed.args["limit"].as_u64());
    assert_eq!(limits.collect::<Vec<_>>(), [100, 101, 102, 103, 20]);
    assert_eq!((house.tools.done("search_deep"), house.tools.done("search")), (0, 1));
    // It is in the ledger, and whoever asks later reads what was sent and why.
    let told = house.install.remit(&["explain", &capped.call]).ok();
    told.holds(&["bound", "`limit` is 20 at most, because", half, r#"{"limit":20}"#]);
    let events = house.events().await;
    assert!(
        events.iter().any(|event| event.event.to_string().contains(r#""obliged":[{"cap""#)),
        "{events:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_executor_that_heeds_nothing_is_refused_and_one_that_does_is_told() {
    let house = house("per_run: { calls: 4 }").await;
    let run = open_run(&house.serve.agents, &house.key).await.unwrap();
    let ask = |words: &str, heeds: Vec<ObligationKind>| CallAsk {
        tool: "desk.summarise".to_owned(),
        args: json!({ "words": words }),
        reason: None,
        model: None,
        context_tokens: None,
        idempotency_key: None,
        callback: None,
        heeds,
    };
    let decide = async |ask: CallAsk| run.agent.post::<_, Answered>("/v1/decisions", &ask).await.unwrap();
    let free = decide(ask("a", Vec::new())).await;
    assert_eq!((free.verdict.ruling.as_str(), kinds(&free)), ("allow", vec![]));
    decide(ask("b", Vec::new())).await;
    let deaf = decide(ask("c", Vec::new())).await;
    assert_eq!(refused_for(&deaf), "obligation_undeclared");
    let says = &deaf.verdict.reasons[0].says;
    assert!(says.starts_with("50 % of the run's budget of 4 calls is spent or set aside"), "{says}");
    assert!(says.ends_with("; this executor does not say that it heeds `model`"), "{says}");
    assert_eq!(refused_for(&decide(ask("c", vec![ObligationKind::Cap])).await), "obligation_undeclared");
    let bound = decide(ask("c", vec![ObligationKind::Model])).await;
    assert_eq!(kinds(&bound), [ObligationKind::Model]);
    assert_eq!(bound.verdict.obligations[0].class.as_deref(), Some("small"));
    let token = bound.permit_token.unwrap();
    let claims = stdx::encode::unbase64url(token.split('.').nth(1).unwrap()).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    assert_eq!(claims["obligations"], json!([{ "model": { "class": "small" } }]));

    // What an executor says that it took is posted, and no more than was set aside.
    let used = Spend { tokens_in: Some(60), tokens_out: Some(500), ..Spend::default() };
    for (call, used) in [(free.call, Some(used)), (bound.call, None)] {
        let outcome = api::call::Outcome::Succeeded;
        let report = OutcomeReport { outcome, result: None, duration_ms: 5, used };
        let _: Recorded = run.agent.post(&format!("/v1/calls/{call}/outcome"), &report).await.unwrap();
    }
    let spent = spent(&run).await;
    // 60 and 50 of the first; all that was set aside of the second.
    assert_eq!((spent.tokens_in, spent.tokens_out), (Some(160), Some(100)));
    assert_eq!((spent.tokens_cached, spent.tokens), (Some(20), Some(340)));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_result_tells_is_posted_and_what_failed_is_given_back() {
    let house = house("per_run: { usd: 2.00, tokens_in: 150, refunded_cents: 1000 }").await;
    let run = open_run(&house.serve.agents, &house.key).await.unwrap();
    let first = run.call("desk.summarise", json!({ "words": "a" })).await.unwrap();
    assert_eq!(first.verdict.ruling, "allow");
    let told = spent(&run).await;
    assert_eq!((told.tokens_in, told.tokens_out, told.tokens_cached), (Some(70), Some(30), Some(5)));
    assert_eq!(told.tokens, Some(105));
    // A hundred more might not fit: eighty are left.
    let second = run.call("desk.summarise", json!({ "words": "b" })).await.unwrap();
    assert_eq!(refused_for(&second), "budget_exceeded");

    let failed = run.call("desk.refund_charge", refund_of(REFUSED, 900)).await.unwrap();
    assert_eq!(failed.outcome.as_deref(), Some("failed"));
    let after = spent(&run).await;
    assert_eq!((after.usd_nanos, after.counted.get("refunded_cents")), (None, None));
    assert_eq!((after.calls, after.writes), (Some(2), Some(1)));
    let done = run.call("desk.refund_charge", refund_of("ch_1", 800)).await.unwrap();
    assert_eq!(done.outcome.as_deref(), Some("succeeded"));
    let after = spent(&run).await;
    assert_eq!(after.counted.get("refunded_cents"), Some(&800));
    assert_eq!(after.usd_nanos, Some(300_000_000));

    house
        .install
        .remit(&[
            "run",
            "charge",
            &run.opened.run,
            "--tokens-in",
            "10",
            "--tokens-out",
            "2",
            "--why",
            "a review",
        ])
        .ok();
    let charged = spent(&run).await;
    assert_eq!((charged.tokens_in, charged.tokens_out, charged.tokens), (Some(80), Some(32), Some(117)));
    house.install.remit(&["budget", &run.opened.run]).ok().holds(&[
        "tokens in",
        "tokens out",
        "tokens cached",
    ]);
    house.install.remit(&["run", "close", &run.opened.run, "--outcome", "success"]).ok();
    let spend = house.install.remit(&["--json", "spend"]).ok().json();
    let now = &spend["items"][0]["now"];
    assert_eq!((&now["tokens"], &now["tokens_in"]), (&json!(117), &json!(80)));
    assert_eq!((&now["tokens_out"], &now["tokens_cached"]), (&json!(32), &json!(5)));
}
