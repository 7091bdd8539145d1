//! The line, from the ask to the answer.

use gate::Report;
use kernel::call::Outcome;
use kernel::event::Event;
use serde_json::json;

use crate::book::{anything, book, desk, manifest, may};
use crate::stage::{Stage, ask, lookup, stores, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_permitted_call_is_durable_then_reached_then_settled() {
    for (log, folder) in stores() {
        let stage = Stage::new(log, folder, book(vec![desk()])).await;
        let run = stage.open().await.run;
        let asked = gate::CallAsk { reason: Some("to greet her".into()), ..lookup(run) };
        let answered = stage.gate.call(&stage.caller, asked).await.unwrap();
        assert!(answered.verdict.allows() && answered.receipt.is_some());
        assert_eq!(
            (answered.outcome, answered.result),
            (Some(Outcome::Succeeded), Some(json!({ "ticket": 7 })))
        );
        assert_eq!(stage.world.reached.lock().unwrap()[0].bytes, br#"{"id":"7"}"#);
        let (_, view) = stage.gate.call_view(answered.call, None).await.unwrap();
        assert_eq!(view.args, Some(json!({ "id": "7" })));
        assert_eq!(view.result, Some(json!({ "ticket": 7 })));
        assert_eq!(view.reasoning, Some(json!("to greet her")));
        assert_eq!(view.finished.unwrap().outcome, "succeeded");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_out_there_is_an_outcome() {
    let (stage, _) = Stage::memory(book(vec![desk()])).await;
    let run = stage.open().await.run;
    let answered =
        stage.gate.call(&stage.caller, ask(run, "pay.refund", json!({ "cents": 1 }))).await.unwrap();
    assert!(answered.verdict.allows());
    assert_eq!((answered.outcome, answered.trouble.as_deref()), (Some(Outcome::Failed), Some("status_402")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_never_reaches() {
    for (log, folder) in stores() {
        let stage = Stage::new(log, folder, book(vec![manifest("desk", vec![may("a", "crm.lookup")])])).await;
        let run = stage.open().await.run;
        for tool in ["crm.note", "pay.refund", "no.such"] {
            let answered = stage.gate.call(&stage.caller, ask(run, tool, json!({}))).await.unwrap();
            assert!(!answered.verdict.allows() && answered.receipt.is_some() && answered.outcome.is_none());
        }
        assert_eq!(stage.world.count(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_without_a_reach_is_not_dispatched() {
    let mut book = book(vec![desk()]);
    book.tools.get_mut("crm.lookup").unwrap().via = json!({ "smoke_signals": {} });
    let (stage, _) = Stage::memory(book).await;
    let run = stage.open().await.run;
    let answered = stage.gate.call(&stage.caller, lookup(run)).await.unwrap();
    assert_eq!(answered.outcome, Some(Outcome::NotDispatched));
    assert_eq!(answered.trouble.as_deref(), Some("no_reach"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hang_up_cancels_nothing() {
    for (log, folder) in stores() {
        let stage = Stage::new(log, folder, book(vec![desk()])).await;
        let run = stage.open().await.run;
        let (gate, caller) = (stage.gate.clone(), stage.caller.clone());
        let asked = ask(run, "mail.send", json!({ "to": "a@b.example" }));
        let waiting = tokio::spawn(async move { gate.call(&caller, asked).await });
        stage.world.wait_for(1).await;
        waiting.abort();
        assert!(waiting.await.unwrap_err().is_cancelled());
        stage.world.go.notify_one();
        until(async || {
            stage
                .events()
                .iter()
                .any(|event| matches!(event, Event::CallFinished(end) if end.outcome == Outcome::Succeeded))
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idempotency_key_reaches_once() {
    for (log, folder) in stores() {
        let stage = Stage::new(log, folder, book(vec![desk()])).await;
        let run = stage.open().await.run;
        let keyed = || gate::CallAsk { idempotency_key: Some("k".into()), ..lookup(run) };
        let both =
            tokio::join!(stage.gate.call(&stage.caller, keyed()), stage.gate.call(&stage.caller, keyed()));
        let (first, second) = (both.0.unwrap(), both.1.unwrap());
        assert_eq!(first.call, second.call);
        assert!(first.again != second.again);
        let third = stage.gate.call(&stage.caller, keyed()).await.unwrap();
        assert!(third.again && third.outcome == Some(Outcome::Succeeded));
        assert_eq!(third.result, Some(json!({ "ticket": 7 })));
        let other = gate::CallAsk { args: json!({ "id": "8" }), ..keyed() };
        assert!(!stage.gate.call(&stage.caller, other).await.unwrap().verdict.allows());
        assert_eq!(stage.world.count(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_executor_gets_a_permit_token_and_reports_once() {
    let mut agent = desk();
    agent.executor = true;
    let (stage, _) = Stage::memory(book(vec![agent, anything("other")])).await;
    let run = stage.open().await.run;
    let answered = stage.gate.decide_only(&stage.caller, lookup(run)).await.unwrap();
    assert_eq!(answered.permit_token.unwrap().split('.').count(), 3);
    assert_eq!(stage.world.count(), 0);
    let report = || Report {
        outcome: Outcome::Succeeded,
        result: Some(json!(1)),
        duration_ms: 3,
        used: Default::default(),
    };
    let key = stage.gate.key_mint("other", 1_000, "ann").await.unwrap().unwrap();
    let other = stage.gate.identify(&key.secret).unwrap();
    assert!(stage.gate.report(&other, answered.call, report()).await.unwrap().is_err());
    assert!(stage.gate.report(&stage.caller, answered.call, report()).await.unwrap().is_ok());
    assert!(stage.gate.report(&stage.caller, answered.call, report()).await.unwrap().is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_and_run_tokens_are_their_agents_own() {
    let (stage, _) = Stage::memory(book(vec![desk(), anything("other")])).await;
    let opened = stage.open().await;
    assert_eq!(stage.gate.run_of(&stage.caller, &opened.token).unwrap(), opened.run);
    let key = stage.gate.key_mint("other", 1_000, "ann").await.unwrap().unwrap();
    let other = stage.gate.identify(&key.secret).unwrap();
    assert_eq!(stage.gate.run_of(&other, &opened.token).unwrap_err().code(), "run_token_refused");
    let forged = opened.token.replace("rt_", "rt_A");
    assert_eq!(stage.gate.run_of(&stage.caller, &forged).unwrap_err().code(), "run_token_refused");
    // Not even with the bare id of the run.
    assert!(!stage.gate.call(&other, lookup(opened.run)).await.unwrap().verdict.allows());
    stage.step(1_000);
    assert_eq!(stage.gate.identify(&key.secret).unwrap_err().code(), "key_refused");
    assert!(stage.gate.identify(&stage.bearer).is_ok());
    stage.gate.key_revoke(stage.caller.key, "lost", "ann").await.unwrap().unwrap();
    assert_eq!(stage.gate.identify(&stage.bearer).unwrap_err().code(), "key_refused");
    assert!(stage.gate.identify("rk_nonsense").is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_goes_into_the_world_and_nowhere_else() {
    let canary = "canary-5f2e9c";
    let folder = std::sync::Arc::new(tempfile::tempdir().unwrap());
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), format!("{canary}\n")).unwrap();
    let mut book = book(vec![desk()]);
    book.tools.get_mut("crm.lookup").unwrap().credential = Some(format!("file:{}", file.path().display()));
    book.tools.get_mut("crm.note").unwrap().credential = Some("env:REMIT_TEST_NOT_SET".into());
    let stage = Stage::new(crate::stage::sqlite(&folder), folder, book).await;
    let run = stage.open().await.run;
    let answered = stage.gate.call(&stage.caller, lookup(run)).await.unwrap();
    assert_eq!(answered.outcome, Some(Outcome::Succeeded));
    assert_eq!(stage.world.reached.lock().unwrap()[0].secret.as_deref(), Some(canary.as_bytes()));
    let answered = stage.gate.call(&stage.caller, ask(run, "crm.note", json!({}))).await.unwrap();
    assert_eq!(answered.outcome, Some(Outcome::NotDispatched));
    assert_eq!(answered.trouble.as_deref(), Some("credential_missing"));
    let folder = stage.stop().await;
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap_or_default();
        assert!(!bytes.windows(canary.len()).any(|window| window == canary.as_bytes()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_that_breaks_its_own_schema_is_not_passed_on() {
    let schema = json!({ "outputSchema": { "type": "object", "required": ["ticket"] } });
    for (tool, outcome) in [("crm.lookup", Outcome::Failed), ("crm.note", Outcome::Unknown)] {
        let mut book = book(vec![desk()]);
        book.tools.get_mut(tool).unwrap().definition = Some(schema.clone());
        let (stage, _) = Stage::memory(book).await;
        let run = stage.open().await.run;
        // This world's tools answer without structured content.
        let args = if tool == "crm.lookup" { json!({ "id": "7" }) } else { json!({ "text": "hello" }) };
        let answered = stage.gate.call(&stage.caller, ask(run, tool, args)).await.unwrap();
        assert_eq!(answered.outcome, Some(outcome), "{tool}: {answered:?}");
        assert_eq!(answered.trouble.as_deref(), Some("malformed_result"));
        assert!(!answered.result.unwrap().to_string().contains("ticket\":7"), "what it said is not told");
    }
}
