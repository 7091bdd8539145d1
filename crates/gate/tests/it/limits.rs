//! Stopping rules through the gate: they outlive a restart, hold over all lanes, and a replan is an event.

use gate::Report;
use kernel::call::Outcome;
use kernel::contract::ToolRate;
use kernel::event::Event;
use kernel::reason::Code;
use kernel::stopping::{Caps, StoppingRules};
use serde_json::json;

use crate::book::{book, desk};
use crate::stage::{Stage, ask, lookup, sqlite, stores};

#[tokio::test(flavor = "multi_thread")]
async fn a_rate_outlives_a_restart() {
    let mut agent = desk();
    agent.limits.per_minute = Caps { calls: Some(2), ..Caps::default() };
    let (log, folder) = stores().remove(1);
    let stage = Stage::with(log, folder, book(vec![agent.clone()]), 1, 0).await;
    for _ in 0..2 {
        let run = stage.open().await.run;
        assert!(stage.gate.call(&stage.caller, lookup(run)).await.unwrap().verdict.allows());
    }
    let folder = stage.stop().await;
    let stage = Stage::with(sqlite(&folder), folder.clone(), book(vec![agent]), 1, 0).await;
    stage.step(30_000);
    let run = stage.open().await.run;
    let refused = stage.gate.call(&stage.caller, lookup(run)).await.unwrap().verdict;
    assert_eq!((refused.reasons[0].code, refused.reasons[0].limit), (Code::LimitReached, Some(2)));
    assert_eq!(refused.reasons[0].retry_after_seconds, Some(31));
    stage.step(31_000);
    assert!(stage.gate.call(&stage.caller, lookup(run)).await.unwrap().verdict.allows());
}

#[tokio::test(flavor = "multi_thread")]
async fn all_lanes_together_never_exceed_a_rate() {
    let mut book = book(vec![desk()]);
    book.tools.get_mut("crm.lookup").unwrap().rate = ToolRate { per_minute: Some(10), ..ToolRate::default() };
    let (stage, _) = Stage::memory(book).await;
    let mut allowed = 0;
    for _ in 0..40 {
        let run = stage.open().await.run;
        let (one, two) = tokio::join!(
            stage.gate.call(&stage.caller, lookup(run)),
            stage.gate.call(&stage.caller, lookup(run))
        );
        allowed += [one, two].iter().filter(|call| call.as_ref().unwrap().verdict.allows()).count();
    }
    // Each of the four lanes has its part of it, and forty runs meet all of them.
    assert_eq!(allowed, 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_write_comes_again_after_a_replan_and_a_fresh_read() {
    let mut agent = desk();
    agent.limits = StoppingRules { replan: Some(true), ..StoppingRules::default() };
    let (stage, _) = Stage::memory(book(vec![agent])).await;
    let run = stage.open().await.run;
    let refund = || ask(run, "pay.refund", json!({ "cents": 1 }));
    let call = async |asked| stage.gate.call(&stage.caller, asked).await.unwrap();
    assert_eq!(call(refund()).await.outcome, Some(Outcome::Failed));
    assert_eq!(call(refund()).await.verdict.reasons[0].code, Code::ReplanRequired);
    call(lookup(run)).await;
    assert_eq!(call(refund()).await.verdict.reasons[0].code, Code::ReplanRequired);
    let receipt = stage.gate.replan(&stage.caller, run, "the account was empty").await.unwrap().unwrap();
    assert_eq!(call(refund()).await.outcome, Some(Outcome::Failed));
    assert_eq!(call(refund()).await.verdict.reasons[0].code, Code::ReplanRequired);
    let events = stage.events();
    let Event::Replanned(replanned) = &events[usize::try_from(receipt.index).unwrap()] else { panic!() };
    assert_eq!((replanned.agent.as_str(), replanned.run), ("desk", run));
    let other = stage.gate.replan(&stage.caller, kernel::id::RunId(9), "x").await.unwrap().unwrap_err();
    assert_eq!(other.code, Code::RunUnknown);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_result_is_known_again_whatever_its_salt() {
    let mut agent = desk();
    agent.limits = StoppingRules { same_result_max: Some(3), ..StoppingRules::default() };
    let (stage, _) = Stage::memory(book(vec![agent])).await;
    let run = stage.open().await.run;
    let mut codes = Vec::new();
    for id in ["1", "2", "3", "4"] {
        let asked = ask(run, "crm.lookup", json!({ "id": id }));
        let verdict = stage.gate.call(&stage.caller, asked).await.unwrap().verdict;
        codes.push(verdict.reasons.first().map(|reason| reason.code));
    }
    assert_eq!(codes, [None, None, None, Some(Code::LoopDetected)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_executor_is_told_counts_too() {
    let mut agent = desk();
    agent.executor = true;
    agent.limits = StoppingRules { same_result_max: Some(3), ..StoppingRules::default() };
    let (stage, _) = Stage::memory(book(vec![agent])).await;
    let run = stage.open().await.run;
    let mut codes = Vec::new();
    for id in ["1", "2", "3", "4"] {
        let asked = ask(run, "crm.lookup", json!({ "id": id }));
        let decided = stage.gate.decide_only(&stage.caller, asked).await.unwrap();
        codes.push(decided.verdict.reasons.first().map(|reason| reason.code));
        if decided.verdict.allows() {
            let result = Some(json!({ "ticket": 7 }));
            let report =
                Report { outcome: Outcome::Succeeded, result, duration_ms: 1, used: Default::default() };
            stage.gate.report(&stage.caller, decided.call, report).await.unwrap().unwrap();
        }
    }
    assert_eq!(codes, [None, None, None, Some(Code::LoopDetected)]);
}
