//! Snapshots save time at a start and change nothing else: over SQLite, with four lanes.

use gate::HaltAsk;
use std::sync::Arc;

use gate::fold::{Folded, fold};
use kernel::halt::Scope;
use ledger::memory::Memory;
use ledger::{BATCH_ENTRIES_MAX, Batch, Entry, Log, Read};
use rusqlite::Connection;
use serde_json::json;
use tempfile::TempDir;

use crate::book::{book, desk};
use crate::stage::{Stage, ask, copy, lookup, sqlite, until};

const LANES: u16 = 4;

/// Runs in every lane, keyed and refused calls, an unknown outcome, a halt.
async fn work(stage: &Stage) {
    for number in 0..12 {
        let run = stage.open().await.run;
        let key = Some(format!("k{number}"));
        stage.gate.call(&stage.caller, gate::CallAsk { idempotency_key: key, ..lookup(run) }).await.unwrap();
        stage.gate.call(&stage.caller, ask(run, "no.such", json!({}))).await.unwrap();
        stage.gate.decide_only(&stage.caller, lookup(run)).await.unwrap();
    }
    stage.gate.halt(HaltAsk::new(Scope::Tool("crm.note".into()), "smoke", "ann")).await.unwrap().unwrap();
}

/// A folder as a clean stop left it, and as it was when its next life had no clean stop: with older snapshots.
async fn stopped_and_behind(lanes: u16, lanes_after: u16) -> (TempDir, TempDir) {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let stage = Stage::with(sqlite(&folder), folder, book(vec![desk()]), lanes, 0).await;
    work(&stage).await;
    let folder = stage.stop().await;
    drop(sqlite(&folder));
    let stopped = copy(folder.path());
    let stage = Stage::with(sqlite(&folder), folder, book(vec![desk()]), lanes_after, 0).await;
    work(&stage).await;
    (stopped, copy(stage.folder.path()))
}

fn folded(folder: &TempDir, lanes: u16) -> Folded {
    fold(sqlite(folder).reader().unwrap().as_mut(), lanes).unwrap()
}

fn told(folded: &Folded) -> Vec<(String, String)> {
    folded.snapshots().map(|(name, bytes)| (name, String::from_utf8(bytes).unwrap())).collect()
}

/// Does as the statement says in a copy, and folds that.
fn spoiled(folder: &TempDir, statement: &str) -> Folded {
    let copy = copy(folder.path());
    let changed = Connection::open(copy.path().join("ledger.db")).unwrap().execute(statement, []).unwrap();
    assert!(changed > 0, "{statement}");
    folded(&copy, LANES)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_that_is_lost_broken_or_strange_changes_nothing_but_time() {
    let (_, folder) = stopped_and_behind(LANES, LANES).await;
    let whole = spoiled(&folder, "DELETE FROM snapshots");
    assert_eq!(whole.events, whole.index);
    let with = folded(&folder, LANES);
    assert!(with.events > 0 && with.events < whole.events, "the snapshots were of use");
    assert_eq!(told(&with), told(&whole));
    let statements = [
        "DELETE FROM snapshots WHERE name = 'lane-2'",
        "DELETE FROM snapshots WHERE name = 'control'",
        "UPDATE snapshots SET bytes = zeroblob(10)",
        "UPDATE snapshots SET bytes = x''",
        "UPDATE snapshots SET bytes = CAST(replace(bytes, '\"seq\":', '\"seq\":1') AS BLOB)",
        "UPDATE snapshots SET bytes = CAST(replace(bytes, 'fold sha256:', 'fold sha256:0') AS BLOB)",
        "UPDATE snapshots SET bytes = CAST(replace(bytes, 'snapshot 1', 'snapshot 2') AS BLOB)",
        "UPDATE snapshots SET idx = idx + 1",
        "UPDATE snapshots SET idx = idx - 1",
        "UPDATE snapshots SET idx = idx + 1000000",
        "UPDATE snapshots SET bytes = (SELECT bytes FROM snapshots WHERE name = 'lane-1')",
    ];
    for statement in statements {
        let folded = spoiled(&folder, statement);
        assert_eq!(told(&folded), told(&whole), "{statement}");
        assert_eq!(folded.events, whole.events, "{statement}");
    }
}

/// Well made, of this build, and not what was durable then.
#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_of_another_moment_than_it_says_is_left_aside() {
    let (stopped, folder) = stopped_and_behind(LANES, LANES).await;
    let whole = spoiled(&folder, "DELETE FROM snapshots");
    let right = folded(&stopped, LANES).index;
    for index in [0, right - 3, right, right + 3, whole.index] {
        let copy = copy(folder.path());
        let mut log = sqlite(&copy);
        let moved = Folded { index, ..folded(&stopped, LANES) };
        for (name, bytes) in moved.snapshots() {
            log.put_snapshot(&name, index, &bytes).unwrap();
        }
        drop(log);
        assert_eq!(told(&folded(&copy, LANES)), told(&whole), "{index}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lanes_may_come_and_go_between_starts() {
    for (before, after) in [(4, 1), (1, 4), (4, 2)] {
        let (_, folder) = stopped_and_behind(before, after).await;
        let whole = spoiled(&folder, "DELETE FROM snapshots");
        assert_eq!(told(&folded(&folder, LANES)), told(&whole), "{before} lanes, then {after}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clean_stop_leaves_nothing_to_fold() {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let stage = Stage::new(sqlite(&folder), folder, book(vec![desk()])).await;
    work(&stage).await;
    let (bearer, run) = (stage.bearer.clone(), stage.open().await.run);
    let folder = stage.stop().await;
    assert_eq!(folded(&folder, LANES).events, 0);
    let stage = Stage::new(sqlite(&folder), folder.clone(), book(vec![desk()])).await;
    let caller = stage.gate.identify(&bearer).unwrap();
    assert!(stage.gate.call(&caller, lookup(run)).await.unwrap().verdict.allows());
    assert!(!stage.gate.call(&caller, ask(run, "crm.note", json!({}))).await.unwrap().verdict.allows());
}

/// So many events of a lane that this gate does not have.
fn pad(log: &mut Memory, count: usize) {
    let first = log.head().unwrap().lane(9) + 1;
    let last = first + u64::try_from(count).unwrap();
    let entry = |lane_seq| Entry {
        lane: 9,
        lane_seq,
        time_ms: 0,
        bytes: Vec::new(),
        bumps_epoch: false,
        payloads: Vec::new(),
    };
    let entries: Vec<Entry> = (first..last).map(entry).collect();
    for entries in entries.chunks(BATCH_ENTRIES_MAX) {
        log.append(&Batch { entries: entries.to_vec(), control_head: None }).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_start_leaves_snapshots_and_a_short_one_none() {
    let (stage, mut memory) = Stage::memory(book(vec![desk()])).await;
    work(&stage).await;
    for (events, written) in [(100, false), (20_000, true)] {
        memory.crash();
        pad(&mut memory, events);
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let head = memory.head().unwrap().next_index;
        let again = Stage::new(Box::new(memory.clone()), folder, book(vec![desk()])).await;
        for name in ["control", "lane-1", "lane-2", "lane-3", "lane-4"] {
            let index = memory.snapshot(name).unwrap().map(|(index, _)| index);
            assert_eq!(index, written.then_some(head), "{name}");
        }
        drop(again);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_many_events_snapshots_are_written_beside_the_work() {
    let (stage, mut memory) = Stage::memory(book(vec![desk()])).await;
    work(&stage).await;
    pad(&mut memory, 200_000);
    assert!(memory.snapshot("lane-1").unwrap().is_none());
    let run = stage.open().await.run;
    until(async || memory.clone().snapshot("lane-4").unwrap().is_some()).await;
    assert!(stage.gate.call(&stage.caller, lookup(run)).await.unwrap().verdict.allows());
    let (index, _) = memory.snapshot("control").unwrap().unwrap();
    assert!(index > 200_000);
}
