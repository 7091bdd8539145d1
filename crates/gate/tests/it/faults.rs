//! A log that fails, a disk that is full, and callers that flood.

use gate::HaltAsk;
use std::time::{Duration, Instant};

use kernel::call::Outcome;
use kernel::event::Event;
use kernel::halt::Scope;
use kernel::verdict::Ruling;
use ledger::memory::Fault;
use serde_json::json;

use crate::book::{book, desk, manifest};
use crate::stage::{Stage, ask, lookup, rules, stores, until};

async fn fails_and_recovers(fault: Fault) {
    let (stage, memory) = Stage::memory(book(vec![desk()])).await;
    let run = stage.open().await.run;
    let started = Instant::now();
    memory.fail_at(1, fault);
    let calls = (0..20).map(|_| {
        let (gate, caller) = (stage.gate.clone(), stage.caller.clone());
        tokio::spawn(async move { gate.call(&caller, lookup(run)).await })
    });
    let calls: Vec<_> = calls.collect();
    for call in calls {
        assert_eq!(call.await.unwrap().unwrap_err().code(), "log_unwritable");
    }
    assert!(started.elapsed() < Duration::from_secs(5));
    assert_eq!(stage.world.count(), 0);
    assert_eq!(stage.gate.ready().unwrap_err().code(), "log_unwritable");
    until(async || stage.gate.ready().is_ok()).await;
    assert!(stage.gate.call(&stage.caller, lookup(run)).await.unwrap().verdict.allows());
    assert_eq!(stage.world.count(), 1);
    // What was decided and never released is not left open, and is never called a success.
    let permitted = |events: &[Event]| {
        let allowed =
            |event: &&Event| matches!(event, Event::CallDecided(call) if call.ruling == Ruling::Allow);
        events.iter().filter(allowed).count()
    };
    let ended = |events: &[Event], outcome| {
        let ended = |event: &&Event| matches!(event, Event::CallFinished(end) if end.outcome == outcome);
        events.iter().filter(ended).count()
    };
    until(async || {
        let events = stage.events();
        // A read is answered before its outcome is durable.
        ended(&events, Outcome::Succeeded) == 1
            && ended(&events, Outcome::NotDispatched) == permitted(&events) - 1
    })
    .await;
    let events = stage.events();
    assert!((fault == Fault::After) == (permitted(&events) > 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_append_that_failed_refuses_everybody_and_heals() {
    fails_and_recovers(Fault::Before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_append_that_failed_after_its_effect_releases_nothing() {
    fails_and_recovers(Fault::After).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_halt_that_failed_after_its_effect_holds() {
    let (stage, memory) = Stage::memory(book(vec![desk()])).await;
    let run = stage.open().await.run;
    memory.fail_at(1, Fault::After);
    assert!(stage.gate.halt(HaltAsk::new(Scope::All, "smoke", "ann")).await.is_err());
    until(async || stage.gate.ready().is_ok()).await;
    assert!(!stage.gate.call(&stage.caller, lookup(run)).await.unwrap().verdict.allows());
}

/// Rules whose commit failed, before or after its effect: the gate opens again by itself, under what is durable.
async fn rules_fail_and_recover(fault: Fault) {
    let (stage, memory) = Stage::memory(book(vec![desk()])).await;
    let run = stage.open().await.run;
    let before = stage.gate.rules().digest;
    let stricter = rules(book(vec![manifest("desk", Vec::new())]));
    memory.fail_at(1, fault);
    assert!(stage.gate.activate(stricter.clone(), "reload").await.is_err());
    until(async || stage.gate.ready().is_ok()).await;
    let (holds, allows) = match fault {
        Fault::Before => (before, true),
        Fault::After => (stricter.digest, false),
    };
    assert_eq!(stage.gate.rules().digest, holds);
    assert_eq!(stage.gate.call(&stage.caller, lookup(run)).await.unwrap().verdict.allows(), allows);
    let last = stage.events().into_iter().rev().find_map(|event| match event {
        Event::CallDecided(call) => Some(call.rules_digest),
        _ => None,
    });
    assert_eq!(last, Some(holds));
    // And the next change of the rules is one like any other.
    stage.gate.activate(rules(book(vec![desk()])), "reload").await.unwrap();
    assert!(stage.gate.call(&stage.caller, lookup(run)).await.unwrap().verdict.allows());
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_whose_commit_failed_leave_the_old_ones_in_force() {
    rules_fail_and_recover(Fault::Before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_that_became_durable_in_a_failed_commit_are_the_law() {
    rules_fail_and_recover(Fault::After).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outcome_outlives_a_failing_log() {
    let (stage, memory) = Stage::memory(book(vec![desk()])).await;
    let run = stage.open().await.run;
    let (gate, caller) = (stage.gate.clone(), stage.caller.clone());
    let asked = ask(run, "mail.send", json!({ "to": "a@b.example" }));
    let call = tokio::spawn(async move { gate.call(&caller, asked).await });
    stage.world.wait_for(1).await;
    memory.fail_at(1, Fault::Before);
    stage.world.go.notify_one();
    let answered = call.await.unwrap().unwrap();
    assert_eq!(answered.outcome, Some(Outcome::Succeeded));
    let (_, view) = stage.gate.call_view(answered.call, None).await.unwrap();
    assert_eq!(view.finished.unwrap().outcome, "succeeded");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_nearly_full_refuses_calls_but_not_halts_and_outcomes() {
    let memory = ledger::memory::Memory::new();
    let folder = std::sync::Arc::new(tempfile::tempdir().unwrap());
    let stage = Stage::with(Box::new(memory), folder, book(vec![desk()]), 1, u64::MAX).await;
    let run = stage.open().await.run;
    let (gate, caller) = (stage.gate.clone(), stage.caller.clone());
    let asked = ask(run, "mail.send", json!({ "to": "a@b.example" }));
    let call = tokio::spawn(async move { gate.call(&caller, asked).await });
    stage.world.wait_for(1).await;
    until(async || stage.gate.ready().is_err()).await;
    assert_eq!(stage.gate.call(&stage.caller, lookup(run)).await.unwrap_err().code(), "disk_low");
    assert!(stage.gate.halt(HaltAsk::new(Scope::Writes, "disk", "ann")).await.unwrap().is_ok());
    // The halt cut it, and its outcome is recorded all the same.
    assert_eq!(call.await.unwrap().unwrap().outcome, Some(Outcome::Unknown));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_is_counted_in_one_event() {
    for (log, folder) in stores() {
        let stage = Stage::new(log, folder, book(vec![desk()])).await;
        let run = stage.open().await.run;
        for _ in 0..100 {
            let answered = stage.gate.call(&stage.caller, ask(run, "no.such", json!({}))).await.unwrap();
            assert!(!answered.verdict.allows());
        }
        for _ in 0..7 {
            stage.gate.refused(&stage.caller, Some(run), "body_malformed").await;
        }
        let counted = || -> u64 {
            let count = |event: &Event| match event {
                Event::RefusalsCounted(counted) => counted.count,
                _ => 0,
            };
            stage.events().iter().map(count).sum()
        };
        until(async || counted() == 47).await;
        let decided = stage.events().iter().filter(|event| matches!(event, Event::CallDecided(_))).count();
        assert_eq!(decided, 60);
        let shown = stage.gate.run(run, Some(u64::from(u32::MAX))).await.unwrap();
        assert_eq!((shown.run.denied, shown.run.uncounted, shown.calls.len()), (60, 47, 60));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_is_answered_before_its_outcome_is_durable_and_a_write_after() {
    for (tool, args, is_read) in
        [("crm.lookup", json!({ "id": "7" }), true), ("crm.note", json!({ "text": "hello" }), false)]
    {
        let (stage, memory) = Stage::memory(book(vec![desk()])).await;
        let run = stage.open().await.run;
        let ended = |events: &[Event]| events.iter().any(|event| matches!(event, Event::CallFinished(_)));
        // The decision is written, the outcome is not until the lanes have folded again.
        memory.fail_at(2, Fault::Before);
        let answered = stage.gate.call(&stage.caller, ask(run, tool, args)).await.unwrap();
        assert_eq!(answered.outcome, Some(Outcome::Succeeded), "{tool}: {answered:?}");
        assert_eq!(ended(&stage.events()), !is_read, "{tool}");
        until(async || ended(&stage.events())).await;
    }
}
