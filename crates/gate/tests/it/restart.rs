//! What a restart keeps, and what it cannot know.

use gate::HaltAsk;
use kernel::call::Outcome;
use kernel::event::Event;
use kernel::halt::Scope;
use serde_json::json;
use stdx::digest::Digest;

use crate::book::{book, desk};
use crate::stage::{Stage, ask, copy, lookup, sqlite};

#[tokio::test(flavor = "multi_thread")]
async fn keys_halts_runs_and_tokens_survive_and_what_was_under_way_is_unknown() {
    let folder = std::sync::Arc::new(tempfile::tempdir().unwrap());
    let stage = Stage::new(sqlite(&folder), folder, book(vec![desk()])).await;
    let (opened, bearer) = (stage.open().await, stage.bearer.clone());
    let keyed = || gate::CallAsk { idempotency_key: Some("k".into()), ..lookup(opened.run) };
    let first = stage.gate.call(&stage.caller, keyed()).await.unwrap();
    let (gate, caller) = (stage.gate.clone(), stage.caller.clone());
    let asked = ask(opened.run, "mail.send", json!({ "to": "a@b.example" }));
    let hanging = tokio::spawn(async move { gate.call(&caller, asked).await });
    stage.world.wait_for(2).await;
    stage.gate.halt(HaltAsk::new(Scope::Tool("crm.note".into()), "smoke", "ann")).await.unwrap().unwrap();
    hanging.abort();
    let _ = hanging.await;
    // A clean stop waits; this one gives up on the call and lets the process go on.
    let world = stage.world.clone();
    stage.gate.stop(std::time::Duration::from_millis(50)).await;
    let copy = copy(stage.folder.path());
    world.go.notify_one();

    let copy = std::sync::Arc::new(copy);
    let stage = Stage::new(sqlite(&copy), copy, book(vec![desk()])).await;
    let caller = stage.gate.identify(&bearer).unwrap();
    assert_eq!(stage.gate.run_of(&caller, &opened.token).unwrap(), opened.run);
    assert_eq!(stage.gate.halts()[0].0, Scope::Tool("crm.note".into()));
    let again = stage.gate.call(&caller, keyed()).await.unwrap();
    assert!(again.again && again.call == first.call && again.outcome == Some(Outcome::Succeeded));
    let halted = stage.gate.call(&caller, ask(opened.run, "crm.note", json!({}))).await.unwrap();
    assert!(!halted.verdict.allows());
    assert!(stage.gate.call(&caller, lookup(opened.run)).await.unwrap().verdict.allows());
    let unknown = |event: &&Event| matches!(event, Event::CallFinished(end) if end.by == "restart" && end.outcome == Outcome::Unknown);
    assert_eq!(stage.events().iter().filter(unknown).count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn more_calls_under_way_than_a_batch_holds_are_all_marked() {
    const CALLS: usize = ledger::BATCH_ENTRIES_MAX + 100;
    let mut book = book(vec![desk()]);
    book.house.calls_per_run_max = u64::MAX;
    book.tools.get_mut("mail.send").unwrap().care.concurrent = 100_000;
    let memory = ledger::memory::Memory::new();
    let folder = || std::sync::Arc::new(tempfile::tempdir().unwrap());
    let stage = Stage::with(Box::new(memory.clone()), folder(), book.clone(), 1, 0).await;
    let run = stage.open().await.run;
    for started in 0..CALLS {
        let (gate, caller) = (stage.gate.clone(), stage.caller.clone());
        let asked = ask(run, "mail.send", json!({ "to": "a@b.example" }));
        tokio::spawn(async move { gate.call(&caller, asked).await });
        if started % 1_000 == 0 {
            stage.world.wait_for(started).await;
        }
    }
    stage.world.wait_for(CALLS).await;
    memory.crash();
    let stage = Stage::with(Box::new(memory.clone()), folder(), book, 1, 0).await;
    let unknown =
        |event: &&Event| matches!(event, Event::CallFinished(end) if end.outcome == Outcome::Unknown);
    assert_eq!(stage.events().iter().filter(unknown).count(), CALLS);
}

#[tokio::test(flavor = "multi_thread")]
async fn views_are_built_again_from_the_log() {
    let folder = std::sync::Arc::new(tempfile::tempdir().unwrap());
    let stage = Stage::new(sqlite(&folder), folder, book(vec![desk()])).await;
    let run = stage.open().await.run;
    for tool in ["crm.note", "pay.refund", "no.such"] {
        stage.gate.call(&stage.caller, ask(run, tool, json!({}))).await.unwrap();
    }
    let everything = async |stage: &Stage| {
        let head = stage.gate.counts().head_index;
        let shown = stage.gate.run(run, Some(head)).await.unwrap();
        serde_json::to_value((shown.run, shown.calls)).unwrap()
    };
    let before = everything(&stage).await;
    let folder = stage.stop().await;
    drop(sqlite(&folder));
    for ending in ["views.db", "views.db-wal", "views.db-shm"] {
        let _ = std::fs::remove_file(folder.path().join(ending));
    }
    let stage = Stage::new(sqlite(&folder), folder, book(vec![desk()])).await;
    assert_eq!(everything(&stage).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_signed_in_stays_so_and_who_signed_out_does_not_come_back() {
    let folder = std::sync::Arc::new(tempfile::tempdir().unwrap());
    let stage = Stage::new(sqlite(&folder), folder, book(vec![desk()])).await;
    let now = stage.gate.now();
    let begun = |name: &str| kernel::event::SignedIn {
        by: name.to_owned(),
        csrf: Digest::of(b"csrf"),
        expires: now.plus_ms(60_000),
        hash: Digest::of(name.as_bytes()),
        roles: vec!["viewer".to_owned()],
    };
    for name in ["ann", "bob"] {
        stage.gate.sign_in(begun(name)).await.unwrap();
    }
    stage.gate.sign_out(Digest::of(b"bob")).await.unwrap();
    // Whoever was never signed in leaves nothing behind.
    stage.gate.sign_out(Digest::of(b"nobody")).await.unwrap();
    let folder = stage.stop().await;
    let stage = Stage::new(sqlite(&folder), folder, book(vec![desk()])).await;
    let known = |name: &str, ms: u64| stage.gate.session(&Digest::of(name.as_bytes()), now.plus_ms(ms));
    assert_eq!(known("ann", 0).unwrap().by, "ann");
    assert!(known("bob", 0).is_none() && known("ann", 60_000).is_none());
    let kinds: Vec<&str> =
        stage.events().iter().map(Event::kind).filter(|kind| kind.contains("signed")).collect();
    assert_eq!(kinds, ["signed_in", "signed_in", "signed_out"]);
}
