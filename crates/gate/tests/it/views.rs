//! Lists for people: pages, filters, and how far they have read.

use gate::views::{CallQuery, RunQuery};
use gate::{CallAsk, OpenAsk};
use kernel::command::Closing;
use serde_json::json;

use crate::book::{book, desk};
use crate::stage::{Stage, ask, lookup, sqlite, stores, until};

#[tokio::test(flavor = "multi_thread")]
async fn calls_come_in_pages_and_by_filter() {
    for (log, folder) in stores() {
        let stage = Stage::new(log, folder, book(vec![desk()])).await;
        let run = stage.open().await.run;
        for _ in 0..5 {
            stage.step(1);
            stage.gate.call(&stage.caller, lookup(run)).await.unwrap();
        }
        stage.step(1);
        stage.gate.call(&stage.caller, ask(run, "pay.refund", json!({ "cents": 1 }))).await.unwrap();
        let denied = stage.gate.call(&stage.caller, ask(run, "no.such", json!({}))).await.unwrap();
        let after_index = denied.receipt.map(|receipt| receipt.index + 1);
        let query = |limit| CallQuery { limit, after_index, ..CallQuery::default() };
        let mut seen = Vec::new();
        let mut before = None;
        loop {
            let page = stage.gate.calls(CallQuery { before, ..query(3) }).await.unwrap();
            assert!(page.as_of >= after_index.unwrap());
            seen.extend(page.items.into_iter().map(|call| call.id));
            before = page.next.map(|id| id.parse().unwrap());
            if before.is_none() {
                break;
            }
        }
        assert_eq!(seen.len(), 7);
        assert!(seen.is_sorted_by(|a, b| a > b), "newest first, each once");
        let count = async |query: CallQuery| stage.gate.calls(query).await.unwrap().items.len();
        assert_eq!(count(CallQuery { tool: Some("crm.lookup".into()), ..query(100) }).await, 5);
        assert_eq!(count(CallQuery { ruling: Some("deny".into()), ..query(100) }).await, 1);
        assert_eq!(count(CallQuery { outcome: Some("failed".into()), ..query(100) }).await, 1);
        assert_eq!(count(CallQuery { outcome: Some("open".into()), ..query(100) }).await, 0);
        assert_eq!(count(CallQuery { agent: Some("other".into()), ..query(100) }).await, 0);
        assert_eq!(count(CallQuery { run: Some(run), ..query(0) }).await, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_are_open_or_closed() {
    let (stage, _) = Stage::memory(book(vec![desk()])).await;
    let (first, second) = (stage.open().await, stage.open().await);
    let closed =
        stage.gate.run_close(first.run, Some("desk"), Closing::Success, None, "desk").await.unwrap().unwrap();
    let query =
        |open| RunQuery { open, limit: 10, after_index: Some(closed.index + 1), ..RunQuery::default() };
    let ids = async |open| -> Vec<String> {
        stage.gate.runs(query(open)).await.unwrap().items.into_iter().map(|run| run.id).collect()
    };
    assert_eq!(ids(Some(true)).await, [second.run.to_string()]);
    assert_eq!(ids(Some(false)).await, [first.run.to_string()]);
    assert_eq!(ids(None).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_is_read_from_an_index() {
    let (stage, _) = Stage::memory(book(vec![desk()])).await;
    let opened = stage.open().await;
    let events = stage.gate.events(opened.receipt.index, 10).await.unwrap();
    assert_eq!((events.len(), &events[0].event["kind"]), (1, &json!("run_opened")));
    assert_eq!(stage.gate.events(opened.receipt.index + 1, 10).await.unwrap().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_is_listed_without_a_run() {
    let (stage, _) = Stage::memory(book(vec![desk()])).await;
    let answered =
        stage.gate.question(&stage.caller, "desk", "crm.lookup", json!({ "id": "7" })).await.unwrap();
    assert!(answered.verdict.allows());
    let (_, view) = stage.gate.call_view(answered.call, None).await.unwrap();
    assert!(view.run.is_none() && view.finished.is_none());
    assert_eq!(view.by.as_deref(), Some("desk"));
    assert_eq!((stage.world.count(), view.args), (0, Some(json!({ "id": "7" }))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_says_that_it_has_more_calls_than_are_shown() {
    let mut book = book(vec![desk()]);
    book.house.calls_per_run_max = 1_000;
    let (stage, _) = Stage::memory(book).await;
    let run = stage.open().await.run;
    for _ in 0..500 {
        stage.step(1);
        stage.gate.call(&stage.caller, lookup(run)).await.unwrap();
    }
    let head = Some(stage.gate.counts().head_index);
    let shown = stage.gate.run(run, head).await.unwrap();
    assert_eq!((shown.run.allowed, shown.calls.len(), shown.older), (500, 500, None));
    stage.step(1);
    stage.gate.call(&stage.caller, lookup(run)).await.unwrap();
    let shown = stage.gate.run(run, Some(stage.gate.counts().head_index)).await.unwrap();
    assert_eq!((shown.run.allowed, shown.calls.len()), (501, 500));
    let before = shown.older.map(|id| id.parse().unwrap());
    assert!(before.is_some());
    let query = CallQuery { run: Some(run), before, limit: 10, ..CallQuery::default() };
    assert_eq!(stage.gate.calls(query).await.unwrap().items.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_just_given_is_found_without_waiting_for_more_news() {
    let (stage, _) = Stage::memory(book(vec![desk()])).await;
    let run = stage.open().await.run;
    let mut waits = Vec::new();
    for _ in 0..9 {
        let answered = stage.gate.call(&stage.caller, lookup(run)).await.unwrap();
        let asked = std::time::Instant::now();
        let (_, view) = stage.gate.call_view(answered.call, None).await.unwrap();
        waits.push(asked.elapsed());
        assert_eq!(view.finished.unwrap().outcome, "succeeded");
    }
    waits.sort();
    // News gathers for 100 ms when nobody asks.
    assert!(waits[4] < std::time::Duration::from_millis(60), "{waits:?}");
}

/// `from`: the first page is where a file says what it is, the others hold the rows.
async fn torn_views_are_built_again(from: usize) {
    let folder = std::sync::Arc::new(tempfile::tempdir().unwrap());
    let stage = Stage::new(sqlite(&folder), folder, book(vec![desk()])).await;
    let run = stage.open().await.run;
    for _ in 0..40 {
        stage.gate.call(&stage.caller, lookup(run)).await.unwrap();
    }
    let whole = |after_index| CallQuery { limit: 100, after_index, ..CallQuery::default() };
    let last = stage.gate.calls(whole(Some(stage.events().len() as u64))).await.unwrap();
    assert_eq!(last.items.len(), 40);
    let folder = stage.stop().await;
    let path = folder.path().join("views.db");
    // Into one file, as a checkpoint would.
    let db = rusqlite::Connection::open(&path).unwrap();
    db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    drop(db);
    let mut bytes = std::fs::read(&path).unwrap();
    assert!(bytes.len() > 2 * 4096);
    bytes[from..].fill(0xA5);
    std::fs::write(&path, bytes).unwrap();

    let stage = Stage::new(sqlite(&folder), folder, book(vec![desk()])).await;
    stage.gate.call(&stage.caller, lookup(stage.open().await.run)).await.unwrap();
    let events = stage.events().len() as u64;
    until(async || stage.gate.calls(whole(Some(events))).await.is_ok_and(|page| page.items.len() == 41))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn views_whose_file_is_no_database_are_built_again() {
    torn_views_are_built_again(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn views_that_are_found_damaged_while_they_are_written_are_built_again() {
    torn_views_are_built_again(4096).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_are_found_by_what_agents_wrote_and_by_how_they_ended() {
    let (stage, _) = Stage::memory(book(vec![desk()])).await;
    let open = async |intent: &str| {
        stage.step(1_000);
        let ask = OpenAsk { intent: Some(intent.to_owned()), ..OpenAsk::default() };
        stage.gate.run_open(&stage.caller, ask).await.unwrap().unwrap().run
    };
    let start = stage.gate.now();
    let (lamp, chair) = (open("refund the Lamp").await, open("a chair").await);
    let looked = ask(chair, "crm.lookup", json!({ "id": "T-1001" }));
    stage
        .gate
        .call(&stage.caller, CallAsk { reason: Some("the table broke".into()), ..looked })
        .await
        .unwrap();
    stage.gate.run_close(lamp, Some("desk"), Closing::Failure, None, "desk").await.unwrap().unwrap();
    let after_index = Some(stage.gate.counts().head_index);
    let found = async |query: RunQuery| -> Vec<String> {
        let query = RunQuery { limit: 10, after_index, ..query };
        stage.gate.runs(query).await.unwrap().items.into_iter().map(|run| run.id).collect()
    };
    let words =
        async |words: &str| found(RunQuery { words: Some(words.into()), ..RunQuery::default() }).await;
    assert_eq!(words("LAMP").await, [lamp.to_string()], "an intent, capitals or not");
    assert_eq!(words("t-1001").await, [chair.to_string()], "the arguments of a call");
    assert_eq!(words("table broke").await, [chair.to_string()], "an agent's reason");
    assert_eq!(words("nowhere").await, [] as [String; 0]);
    let tool = Some("crm.lookup".to_owned());
    assert_eq!(found(RunQuery { tool, ..RunQuery::default() }).await, [chair.to_string()]);
    let outcome = Some("failure".to_owned());
    assert_eq!(found(RunQuery { outcome, ..RunQuery::default() }).await, [lamp.to_string()]);
    let from = Some(start.plus_ms(1_500));
    assert_eq!(found(RunQuery { from, ..RunQuery::default() }).await, [chair.to_string()]);
    assert_eq!(found(RunQuery { until: from, ..RunQuery::default() }).await, [lamp.to_string()]);
    // A full page says where the next one goes on.
    let query = RunQuery { words: Some("a".into()), limit: 1, after_index, ..RunQuery::default() };
    let page = stage.gate.runs(query).await.unwrap();
    assert_eq!((page.items[0].id.clone(), page.next), (chair.to_string(), Some(chair.to_string())));
    let query = RunQuery { words: Some("a".into()), before: Some(chair), limit: 10, ..RunQuery::default() };
    assert_eq!(stage.gate.runs(query).await.unwrap().items[0].id, lamp.to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_shows_the_runs_of_its_root() {
    let (stage, _) = Stage::memory(book(vec![desk()])).await;
    let under = async |parent| {
        stage.step(1);
        let ask = OpenAsk { parent, ..OpenAsk::default() };
        stage.gate.run_open(&stage.caller, ask).await.unwrap().unwrap().run
    };
    let root = under(None).await;
    let (child, alone) = (under(Some(root)).await, under(None).await);
    let grandchild = under(Some(child)).await;
    let head = Some(stage.gate.counts().head_index);
    let family = async |run| -> Vec<(String, Option<String>)> {
        let shown = stage.gate.run(run, head).await.unwrap();
        shown.family.into_iter().map(|run| (run.id, run.parent)).collect()
    };
    let expected = [
        (root.to_string(), None),
        (child.to_string(), Some(root.to_string())),
        (grandchild.to_string(), Some(child.to_string())),
    ];
    for run in [root, child, grandchild] {
        assert_eq!(family(run).await, expected);
    }
    assert_eq!(family(alone).await, []);
}
