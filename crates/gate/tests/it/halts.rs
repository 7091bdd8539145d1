//! Halts: nothing in scope after them, what was under way is cut, and the report says what became of it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use gate::{Answered, HaltAsk, HeldEnd, OpenAsk};
use kernel::book::Book;
use kernel::call::Outcome;
use kernel::contract::Effect;
use kernel::event::Event;
use kernel::halt::Scope;
use kernel::id::RunId;
use kernel::reason::Code;
use kernel::verdict::Ruling;
use serde_json::json;
use tokio::task::JoinHandle;

use crate::approvals::asking;
use crate::book::{anything, book, contract, desk};
use crate::stage::{START, Stage, ask, lookup, stores, until};

fn halt(scope: Scope) -> HaltAsk {
    HaltAsk::new(scope, "smoke", "ann")
}

fn with_slow(mut book: Book) -> Book {
    let slow = contract("crm.slow", Effect::Read, json!({ "type": "object" }));
    book.tools.insert(slow.name.clone(), slow);
    book
}

fn begin(stage: &Stage, run: RunId, tool: &str) -> JoinHandle<Answered> {
    let (gate, caller) = (stage.gate.clone(), stage.caller.clone());
    let args = if tool == "mail.send" { json!({ "to": "ann@example.com" }) } else { json!({}) };
    let asked = ask(run, tool, args);
    tokio::spawn(async move { gate.call(&caller, asked).await.unwrap() })
}

/// A call that nobody cuts would be waited for without end.
async fn ended(call: JoinHandle<Answered>) -> Answered {
    let ended = tokio::time::timeout(Duration::from_secs(20), call).await;
    ended.unwrap_or_else(|_| panic!("it was not cut")).unwrap()
}

/// Calls of two kinds from so many runs at once that no lane is idle, until they are told to stop.
async fn hammer(stage: &Stage, stop: &Arc<AtomicBool>) -> Vec<JoinHandle<()>> {
    let mut tasks = Vec::new();
    for _ in 0..48 {
        let (gate, caller, stop) = (stage.gate.clone(), stage.caller.clone(), stop.clone());
        let run = stage.open().await.run;
        tasks.push(tokio::spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                let _ = gate.call(&caller, lookup(run)).await;
                let _ = gate.call(&caller, ask(run, "crm.note", json!({}))).await;
            }
        }));
    }
    tasks
}

#[tokio::test(flavor = "multi_thread")]
async fn no_allow_in_scope_stands_after_the_halts_index() {
    let mut book = book(vec![desk()]);
    book.house.calls_per_run_max = u64::MAX;
    for (log, folder) in stores() {
        let stage = Stage::new(log, folder, book.clone()).await;
        let stop = Arc::new(AtomicBool::new(false));
        let tasks = hammer(&stage, &stop).await;
        let mut halts = Vec::new();
        for _ in 0..6 {
            tokio::time::sleep(Duration::from_millis(20)).await;
            let report = stage.gate.halt(halt(Scope::Writes)).await.unwrap().unwrap();
            tokio::time::sleep(Duration::from_millis(10)).await;
            let lifted = stage.gate.resume(Scope::Writes, "clear", "ann").await.unwrap().unwrap();
            assert_eq!(report.calls.iter().filter(|call| call.tool != "crm.note").count(), 0);
            assert!(report.calls.iter().all(|call| call.outcome.is_some()), "{:?}", report.calls);
            halts.push((report.receipt.index, report.quiet_from.unwrap(), lifted.index));
        }
        stop.store(true, Ordering::Relaxed);
        for task in tasks {
            task.await.unwrap();
        }
        let (stamps, events): (Vec<_>, Vec<_>) = stage.stamped().into_iter().unzip();
        let busy: BTreeSet<u16> = stamps.iter().map(|stamp| stamp.lane).collect();
        assert_eq!(busy.len(), 5, "the control lane and all four others were in the race: {busy:?}");
        let at = |index: u64| usize::try_from(index).unwrap();
        let (mut reads, mut writes) = (0, 0);
        for (from, quiet, to) in halts {
            for (index, event) in events.iter().enumerate().take(at(to)).skip(at(from)) {
                match event {
                    Event::CallDecided(call) if call.ruling == Ruling::Allow => {
                        assert_eq!(call.tool, "crm.lookup", "event {index} after the halt at {from}");
                        reads += 1;
                    }
                    Event::CallDecided(call) => {
                        assert_eq!((call.tool.as_str(), call.reasons[0].code), ("crm.note", Code::Halted));
                        writes += 1;
                    }
                    _ => {}
                }
            }
            let ended = events.iter().take(at(to)).skip(at(quiet));
            let ended =
                ended.filter(|event| matches!(event, Event::CallFinished(end) if end.posted.writes > 0));
            assert_eq!(ended.count(), 0, "nothing of it happened from {quiet} on");
        }
        assert!(reads > 0 && writes > 0, "{reads} reads went on, {writes} writes were refused");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_under_way_is_cut_and_told() {
    let (stage, _) = Stage::memory(with_slow(book(vec![desk()]))).await;
    let run = stage.open().await.run;
    let (write, read) = (begin(&stage, run, "mail.send"), begin(&stage, run, "crm.slow"));
    stage.world.wait_for(2).await;
    let started = Instant::now();
    let report = stage.gate.halt(halt(Scope::All)).await.unwrap().unwrap();
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
    let (write, read) = (ended(write).await, ended(read).await);
    assert_eq!((write.outcome, write.trouble.as_deref()), (Some(Outcome::Unknown), Some("halted")));
    assert_eq!((read.outcome, read.trouble.as_deref()), (Some(Outcome::Failed), Some("halted")));
    let held = |id| report.calls.iter().find(|call| call.call == id).unwrap();
    assert_eq!((held(write.call).end, held(write.call).outcome), (HeldEnd::Unclear, Some(Outcome::Unknown)));
    assert_eq!((held(read.call).end, held(read.call).outcome), (HeldEnd::Stopped, Some(Outcome::Failed)));
    assert_eq!((held(write.call).agent.as_str(), held(write.call).run), ("desk", run));
    assert_eq!(report.quiet_from, Some(stage.gate.counts().head_index));
    // The next one tells it as unknown from before.
    let again = stage.gate.halt(halt(Scope::Writes)).await.unwrap().unwrap();
    assert_eq!((again.calls.len(), again.unknown_before), (0, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_freeze_cuts_no_read_and_others_go_on() {
    let (stage, _) = Stage::memory(with_slow(book(vec![desk(), anything("other")]))).await;
    let run = stage.open().await.run;
    let read = begin(&stage, run, "crm.slow");
    stage.world.wait_for(1).await;
    let freeze = HaltAsk { reads_allowed: true, ..halt(Scope::All) };
    assert!(stage.gate.halt(freeze).await.unwrap().unwrap().calls.is_empty());
    assert!(stage.gate.halt(halt(Scope::Agent("other".into()))).await.unwrap().unwrap().calls.is_empty());
    tokio::time::sleep(Duration::from_millis(150)).await;
    assert!(!read.is_finished());
    assert!(stage.gate.call(&stage.caller, lookup(run)).await.unwrap().verdict.allows());
    let report = stage.gate.halt(halt(Scope::Run(run.to_string()))).await.unwrap().unwrap();
    assert_eq!(report.calls.len(), 1);
    assert_eq!(ended(read).await.trouble.as_deref(), Some("halted"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_halt_of_a_run_cuts_what_descends_from_it() {
    let (stage, _) = Stage::memory(with_slow(book(vec![desk()]))).await;
    let (top, beside) = (stage.open().await.run, stage.open().await.run);
    let under = OpenAsk { parent: Some(top), ..OpenAsk::default() };
    let child = stage.gate.run_open(&stage.caller, under).await.unwrap().unwrap().run;
    let (cut, kept) = (begin(&stage, child, "crm.slow"), begin(&stage, beside, "crm.slow"));
    stage.world.wait_for(2).await;
    let report = stage.gate.halt(halt(Scope::Run(top.to_string()))).await.unwrap().unwrap();
    assert_eq!(report.calls.iter().map(|call| call.run).collect::<Vec<_>>(), [child]);
    assert_eq!(ended(cut).await.trouble.as_deref(), Some("halted"));
    assert!(!kept.is_finished());
    let refused = stage.gate.call(&stage.caller, lookup(child)).await.unwrap();
    assert_eq!(refused.verdict.reasons[0].code, Code::Halted);
    stage.gate.halt(halt(Scope::All)).await.unwrap().unwrap();
    ended(kept).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_executor_carries_cannot_be_cut_and_is_told() {
    let mut runner = desk();
    runner.executor = true;
    let (stage, _) = Stage::memory(book(vec![runner])).await;
    let run = stage.open().await.run;
    let decided = stage.gate.decide_only(&stage.caller, ask(run, "crm.note", json!({}))).await.unwrap();
    let report = stage.gate.halt(halt(Scope::Agent("desk".into()))).await.unwrap().unwrap();
    let [held] = report.calls.as_slice() else { panic!("{:?}", report.calls) };
    assert_eq!((held.call, held.end, held.outcome), (decided.call, HeldEnd::Unclear, None));
    assert_eq!(held.trouble.as_deref(), Some("carried_by_executor"));
    assert_eq!(report.quiet_from, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_asked_any_more_when_the_report_is_there() {
    let (stage, _) = Stage::memory(asking()).await;
    let runs = [stage.open().await.run, stage.open().await.run, stage.open().await.run];
    for run in runs {
        let asked = stage.gate.call(&stage.caller, ask(run, "crm.note", json!({}))).await.unwrap();
        assert!(asked.ticket.is_some());
    }
    let report = stage.gate.halt(halt(Scope::Run(runs[0].to_string()))).await.unwrap().unwrap();
    assert_eq!((report.cancelled, report.calls.len()), (1, 0));
    let waiting: BTreeSet<RunId> = stage.gate.inbox().into_iter().map(|one| one.run).collect();
    assert_eq!(waiting, [runs[1], runs[2]].into());
    // What the report names as quiet is after that, too.
    let cancelled = |event: &Event| matches!(event, Event::CallDecided(call) if call.ends_ask);
    let last = stage.events().iter().rposition(cancelled).unwrap();
    assert!(report.quiet_from > u64::try_from(last).ok(), "{report:?} after {last}");
    assert_eq!(stage.gate.halt(halt(Scope::All)).await.unwrap().unwrap().cancelled, 2);
    assert!(stage.gate.inbox().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_halt_lifts_itself_and_the_ledger_says_so() {
    let (stage, _) = Stage::memory(book(vec![desk()])).await;
    let run = stage.open().await.run;
    let ask = HaltAsk { until: Some(START.plus_ms(60_000)), ..halt(Scope::All) };
    stage.gate.halt(ask).await.unwrap().unwrap();
    assert!(!stage.gate.call(&stage.caller, lookup(run)).await.unwrap().verdict.allows());
    assert_eq!(stage.gate.halts().len(), 1);
    stage.step(60_000);
    assert!(stage.gate.call(&stage.caller, lookup(run)).await.unwrap().verdict.allows());
    assert!(stage.gate.halts().is_empty());
    let lifted = |event: &Event| matches!(event, Event::Resumed(lifted) if lifted.by == "sweep");
    until(|| async { stage.events().iter().any(lifted) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_was_never_opened_is_not_halted() {
    let (stage, _) = Stage::memory(book(vec![desk()])).await;
    for run in ["run_typo".to_owned(), RunId(7).to_string()] {
        let refused = stage.gate.halt(halt(Scope::Run(run.clone()))).await.unwrap().unwrap_err();
        assert_eq!(refused.code, Code::ScopeUnknown);
        assert!(refused.says().contains(&run), "{}", refused.says());
        let forced = HaltAsk { force: true, ..halt(Scope::Run(run)) };
        stage.gate.halt(forced).await.unwrap().unwrap();
    }
    let run = stage.open().await.run;
    stage.gate.halt(halt(Scope::Run(run.to_string()))).await.unwrap().unwrap();
}
