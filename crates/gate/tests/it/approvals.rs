//! Approvals through the whole gate: what waits survives hang-ups and restarts, and is carried out from stored bytes.

use std::sync::Arc;
use std::time::Duration;

use gate::{AnswerAsk, AnswerGiven, Answered, Caller, Report, StandingAsk, Waiting};
use kernel::agent::May;
use kernel::approvers::{Approvals, Group};
use kernel::book::Book;
use kernel::call::Outcome;
use kernel::event::Event;
use kernel::id::CallId;
use kernel::reason::Code;
use kernel::steer::Steer;
use kernel::time::Time;
use kernel::verdict::Ruling;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::book::{book, manifest, may};
use crate::stage::{START, Stage, ask, lookup, sqlite, stores, until};

const NOW: Duration = Duration::ZERO;
const SOON: Duration = Duration::from_secs(10);

/// Notes and refunds need a yes of leads.
pub(crate) fn asking() -> Book {
    let needs = |id: &str, tool: &str| May { ask: Some("leads".into()), ..may(id, tool) };
    let mut desk = manifest(
        "desk",
        vec![
            needs("desk.may[0]", "crm.note"),
            needs("desk.may[1]", "pay.*"),
            may("desk.may[2]", "crm.lookup"),
        ],
    );
    desk.executor = true;
    let mut book = book(vec![desk]);
    let person = |name: &str, group: &str| (name.to_owned(), [group.to_owned()].into());
    book.house.approvals = Approvals {
        people: [person("lee", "leads"), person("lou", "leads")].into(),
        reason_from: 101,
        ..Approvals::default()
    };
    book
}

async fn stage(book: Book) -> Stage {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    Stage::with(sqlite(&folder), folder, book, 4, 0).await
}

async fn again(folder: Arc<TempDir>, book: Book) -> Stage {
    Stage::with(sqlite(&folder), folder, book, 4, 0).await
}

fn only(stage: &Stage) -> Waiting {
    let mut inbox = stage.gate.inbox();
    assert_eq!(inbox.len(), 1, "{inbox:?}");
    inbox.remove(0)
}

fn says(waiting: &Waiting, by: &str, yes: bool) -> AnswerAsk {
    let (call, bound, by) = (waiting.call, waiting.bound, by.to_owned());
    AnswerAsk { call, by, yes, bound, words: None, edit: None, standing: None, only: Vec::new() }
}

async fn given(stage: &Stage, ask: AnswerAsk) -> AnswerGiven {
    stage.gate.answer(ask).await.unwrap().unwrap()
}

async fn ended(stage: &Stage, caller: &Caller, call: CallId) -> Answered {
    let answered = stage.gate.wait_ticket(caller, call, SOON).await.unwrap();
    assert!(answered.ticket.is_none(), "{answered:?}");
    answered
}

#[tokio::test(flavor = "multi_thread")]
async fn a_yes_carries_the_stored_bytes_out_and_once() {
    for (log, folder) in stores() {
        let stage = Stage::new(log, folder, asking()).await;
        let run = stage.open().await.run;
        let args = json!({ "text": "as it was asked" });
        let mut wanted = ask(run, "crm.note", args.clone());
        wanted.reason = Some("they asked for it".into());
        let asked = stage.gate.call(&stage.caller, wanted.clone()).await.unwrap();
        assert_eq!(asked.verdict.ruling, Ruling::Ask);
        assert!(asked.receipt.is_some() && asked.outcome.is_none());
        let ticket = asked.ticket.unwrap();
        assert_eq!((ticket.call, ticket.groups.as_slice()), (asked.call, ["leads".to_owned()].as_slice()));
        assert_eq!(stage.world.count(), 0);

        let waiting = only(&stage);
        assert_eq!((waiting.call, waiting.may_answer.join(" ")), (asked.call, "lee lou".to_owned()));
        let shown = stage.gate.pending(asked.call).await.unwrap().unwrap();
        assert_eq!(shown.args, Some(args.clone()));
        assert_eq!(shown.reasoning, Some(json!("they asked for it")));
        // The same call again asks nobody again.
        let again = stage.gate.call(&stage.caller, wanted.clone()).await.unwrap();
        assert_eq!(again.ticket.unwrap().call, asked.call);
        assert_eq!(stage.gate.inbox().len(), 1);

        assert!(given(&stage, says(&waiting, "lee", true)).await.complete);
        let done = ended(&stage, &stage.caller, asked.call).await;
        assert_eq!((done.outcome, done.result), (Some(Outcome::Succeeded), Some(json!({ "ticket": 7 }))));
        assert_eq!(done.approved, ["lee"]);
        assert_eq!(stage.world.count(), 1);
        assert_eq!(stage.world.reached.lock().unwrap()[0].bytes, stdx::json::canonical(&args));
        let late = stage.gate.answer(says(&waiting, "lou", true)).await.unwrap().unwrap_err();
        assert_eq!(late.code, Code::ApprovalUnknown);
        // Its agent has come for the outcome: the same call is a new one.
        let anew = stage.gate.call(&stage.caller, wanted).await.unwrap();
        assert_eq!((anew.verdict.ruling, anew.call != asked.call), (Ruling::Ask, true));
        assert_eq!(stage.world.count(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_no_brings_its_words_to_the_agent() {
    let stage = stage(asking()).await;
    let run = stage.open().await.run;
    let wanted = ask(run, "crm.note", json!({ "text": "a" }));
    let asked = stage.gate.call(&stage.caller, wanted.clone()).await.unwrap();
    let waiter = (stage.gate.clone(), stage.caller.clone());
    let waits = tokio::spawn(async move { waiter.0.wait_ticket(&waiter.1, asked.call, SOON).await.unwrap() });
    let no = AnswerAsk { words: Some("not on a Saturday".into()), ..says(&only(&stage), "lee", false) };
    given(&stage, no).await;
    let told = waits.await.unwrap();
    assert_eq!(told.verdict.reasons[0].code, Code::ApprovalDenied);
    assert_eq!(told.words.as_deref(), Some("not on a Saturday"));
    assert_eq!((stage.world.count(), stage.gate.inbox().len()), (0, 0));

    // Whoever does not wait hears of it by the same call, once.
    let asked = stage.gate.call(&stage.caller, wanted.clone()).await.unwrap();
    let no = AnswerAsk { words: Some("nor on Sunday".into()), ..says(&only(&stage), "lou", false) };
    given(&stage, no).await;
    let told = stage.gate.call(&stage.caller, wanted.clone()).await.unwrap();
    assert_eq!((told.call, told.words.as_deref()), (asked.call, Some("nor on Sunday")));
    assert_eq!(stage.gate.call(&stage.caller, wanted).await.unwrap().verdict.ruling, Ruling::Ask);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_survives_a_hang_up_and_a_restart() {
    let before = stage(asking()).await;
    let run = before.open().await.run;
    let wanted = ask(run, "crm.note", json!({ "text": "later" }));
    let hung_up = tokio::time::timeout(NOW, before.gate.call(&before.caller, wanted.clone())).await;
    assert!(hung_up.is_err());
    until(async || before.gate.inbox().len() == 1).await;
    let seen = only(&before);
    let stage = again(before.stop().await, asking()).await;
    let waiting = only(&stage);
    // Nothing has changed, so an answer to what was seen before counts.
    assert_eq!((waiting.call, waiting.bound), (seen.call, seen.bound));
    assert_eq!(stage.gate.tickets(&stage.caller, Some(run)).len(), 1);
    given(&stage, says(&seen, "lee", true)).await;
    let done = stage.gate.call(&stage.caller, wanted).await.unwrap();
    let done = if done.ticket.is_some() { ended(&stage, &stage.caller, seen.call).await } else { done };
    assert_eq!((done.call, done.outcome), (seen.call, Some(Outcome::Succeeded)));
    assert_eq!(stage.world.reached.lock().unwrap()[0].bytes, br#"{"text":"later"}"#);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_approved_and_not_released_is_released_after_a_restart() {
    let before = stage(asking()).await;
    let run = before.open().await.run;
    let asked = before.gate.call(&before.caller, ask(run, "crm.note", json!({}))).await.unwrap();
    before.gate.run_steer(run, Steer::Pause, "a look", "ann").await.unwrap().unwrap();
    assert!(given(&before, says(&only(&before), "lee", true)).await.complete);
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    assert_eq!((before.world.count(), before.gate.inbox().len()), (0, 1));
    before.gate.run_steer(run, Steer::Resume, "go on", "ann").await.unwrap().unwrap();
    let stage = again(before.stop().await, asking()).await;
    let done = ended(&stage, &stage.caller, asked.call).await;
    assert_eq!((done.outcome, done.approved.join(" ")), (Some(Outcome::Succeeded), "lee".to_owned()));
    assert_eq!(stage.events().iter().filter(|event| matches!(event, Event::Answered(_))).count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_is_a_no_and_whoever_waits_hears_of_it() {
    let mut book = asking();
    book.house.approvals.expires_ms = 60_000;
    let stage = stage(book).await;
    let run = stage.open().await.run;
    let asked = stage.gate.call(&stage.caller, ask(run, "crm.note", json!({}))).await.unwrap();
    assert_eq!(asked.ticket.unwrap().expires, START.plus_ms(60_000));
    stage.step(60_001);
    let told = ended(&stage, &stage.caller, asked.call).await;
    assert_eq!(told.verdict.reasons[0].code, Code::ApprovalExpired);
    assert_eq!(stage.world.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_must_say_yes_and_one_may_change_it() {
    let mut book = asking();
    book.house.approvals.groups.insert("leads".into(), Group { quorum: 2, ..Group::default() });
    let stage = stage(book).await;
    let run = stage.open().await.run;
    let asked =
        stage.gate.call(&stage.caller, ask(run, "crm.note", json!({ "text": "rude" }))).await.unwrap();
    let first = only(&stage);
    let one = given(&stage, says(&first, "lee", true)).await;
    assert_eq!((one.complete, one.waits_for.join(" ")), (false, "leads".to_owned()));
    let odd = AnswerAsk { edit: Some(json!({ "text": 7 })), ..says(&first, "lou", true) };
    assert_eq!(stage.gate.answer(odd).await.unwrap().unwrap_err().code, Code::EditRefused);
    let kind: Value = json!({ "text": "kind" });
    let edit = AnswerAsk { edit: Some(kind.clone()), ..says(&first, "lou", true) };
    let two = given(&stage, edit).await;
    assert_eq!((two.complete, two.bound == first.bound), (false, false));
    let stale = stage.gate.answer(says(&first, "lee", true)).await.unwrap().unwrap_err();
    assert_eq!(stale.code, Code::ApprovalStale);
    let shown = stage.gate.pending(asked.call).await.unwrap().unwrap();
    assert_eq!((&shown.args, &shown.asked_args), (&Some(kind.clone()), &Some(json!({ "text": "rude" }))));
    assert!(given(&stage, says(&shown.waiting, "lee", true)).await.complete);
    let done = ended(&stage, &stage.caller, asked.call).await;
    assert_eq!((done.edited, done.outcome), (Some(kind.clone()), Some(Outcome::Succeeded)));
    assert_eq!(stage.world.reached.lock().unwrap()[0].bytes, stdx::json::canonical(&kind));
    let (_, view) = stage.gate.call_view(asked.call, None).await.unwrap();
    assert_eq!((view.ruling, view.args), ("allow", Some(kind)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bounded_approval_asks_nobody_for_the_next_ones() {
    let stage = stage(asking()).await;
    let run = stage.open().await.run;
    let note = |text: &str| ask(run, "crm.note", json!({ "text": text }));
    let asked = stage.gate.call(&stage.caller, note("same")).await.unwrap();
    let (same, until) = (vec!["/text".to_owned()], START.plus_ms(600_000));
    let standing = Some(StandingAsk { same, times: 1, until, ..StandingAsk::default() });
    given(&stage, AnswerAsk { standing, ..says(&only(&stage), "lee", true) }).await;
    ended(&stage, &stage.caller, asked.call).await;
    let other = stage.gate.call(&stage.caller, note("other")).await.unwrap();
    assert_eq!(other.verdict.ruling, Ruling::Ask);
    let next = stage.gate.call(&stage.caller, note("same")).await.unwrap();
    assert_eq!(next.outcome, Some(Outcome::Succeeded));
    let third = stage.gate.call(&stage.caller, note("same")).await.unwrap();
    assert_eq!(third.verdict.ruling, Ruling::Ask);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_executor_comes_for_its_permit() {
    let stage = stage(asking()).await;
    let run = stage.open().await.run;
    let wanted = ask(run, "pay.refund", json!({ "cents": 5 }));
    let asked = stage.gate.decide_only(&stage.caller, wanted.clone()).await.unwrap();
    assert!(asked.permit_token.is_none() && asked.ticket.is_some());
    given(&stage, says(&only(&stage), "lee", true)).await;
    // Its permit is short-lived, so nothing is decided before it comes.
    assert_eq!(stage.gate.inbox().len(), 1);
    let permitted = stage.gate.decide_only(&stage.caller, wanted).await.unwrap();
    assert_eq!((permitted.call, permitted.permit_token.is_some()), (asked.call, true));
    let report =
        Report { outcome: Outcome::Succeeded, result: None, duration_ms: 1, used: Default::default() };
    stage.gate.report(&stage.caller, asked.call, report).await.unwrap().unwrap();
    assert_eq!(stage.world.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_is_its_own_agents_only_and_a_revoked_key_asks_no_more() {
    let stage = stage(asking()).await;
    let run = stage.open().await.run;
    let asked = stage.gate.call(&stage.caller, ask(run, "crm.note", json!({}))).await.unwrap();
    let other = Caller { agent: "line".into(), ..stage.caller.clone() };
    assert!(stage.gate.wait_ticket(&other, asked.call, NOW).await.is_err());
    assert!(stage.gate.tickets(&other, None).is_empty());
    stage.gate.key_revoke(stage.caller.key, "lost", "ann").await.unwrap().unwrap();
    let waiting = only(&stage);
    let late = stage.gate.answer(says(&waiting, "lee", true)).await.unwrap().unwrap_err();
    assert_eq!(late.code, Code::ApprovalCancelled);
    until(async || stage.gate.inbox().is_empty()).await;
    assert_eq!(stage.world.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn figures_of_answers_and_calls_that_need_none() {
    let stage = stage(asking()).await;
    let run = stage.open().await.run;
    assert!(stage.gate.call(&stage.caller, lookup(run)).await.unwrap().verdict.allows());
    let asked = stage.gate.call(&stage.caller, ask(run, "crm.note", json!({}))).await.unwrap();
    stage.step(4_000);
    given(&stage, says(&only(&stage), "lee", true)).await;
    ended(&stage, &stage.caller, asked.call).await;
    let stats = stage.gate.asks_stats(START).await.unwrap();
    let row = |rows: &[gate::views::StatRow]| {
        rows.iter().map(|row| (row.name.clone(), row.yes, row.no, row.median_ms)).collect::<Vec<_>>()
    };
    assert_eq!(row(&stats.approvers), [("lee".to_owned(), 1, 0, 4_000)]);
    assert_eq!(row(&stats.rules), [("desk.may[0]".to_owned(), 1, 0, 4_000)]);
    let similar = stage.gate.similar("desk", "crm.note").await.unwrap();
    assert_eq!((similar.len(), similar[0].by.as_str(), similar[0].yes), (1, "lee", true));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_enforce_would_have_done_is_told_by_rule_and_tool() {
    let mut book = asking();
    book.agents.get_mut("desk").unwrap().mode = kernel::agent::Mode::Observe;
    let stage = stage(book).await;
    let run = stage.open().await.run;
    for text in ["a", "b"] {
        let noted =
            stage.gate.call(&stage.caller, ask(run, "crm.note", json!({ "text": text }))).await.unwrap();
        assert!(noted.verdict.allows());
    }
    let (_, rows) = stage.gate.observed(Some("desk".into()), Time(0)).await.unwrap();
    let rows: Vec<_> = rows
        .iter()
        .map(|row| (row.tool.as_str(), row.code.as_str(), row.rule.as_deref(), row.times))
        .collect();
    assert_eq!(rows, [("crm.note", "approval_required", Some("desk.may[0]"), 2)]);
    assert!(stage.gate.observed(Some("another".into()), Time(0)).await.unwrap().1.is_empty());
}

// ---- Plans ------------------------------------------------------------------------------------------------

fn noted(text: &str) -> Value {
    json!({ "steps": [{ "id": "note", "tool": "crm.note", "args": { "text": text } }] })
}

async fn asked_to_commit(stage: &Stage, run: kernel::id::RunId) -> kernel::reason::Reason {
    stage.gate.commit(&stage.caller, run, None).await.unwrap().unwrap_err()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_is_approved_as_one_thing_and_then_begins() {
    let stage = stage(asking()).await;
    let run = stage.open().await.run;
    let planned = stage.gate.plan(&stage.caller, run, noted("x")).await.unwrap().unwrap();
    assert_eq!((planned.verdict.ruling, planned.verdict.asks), (Ruling::Ask, vec!["leads".to_owned()]));
    assert!(stage.gate.inbox().is_empty(), "a plan that nobody wants yet asks nobody");

    let waits = asked_to_commit(&stage, run).await;
    assert_eq!((waits.code, waits.ask), (Code::ApprovalRequired, vec!["leads".to_owned()]));
    let again = asked_to_commit(&stage, run).await;
    assert_eq!((again.code, again.detail), (Code::ApprovalRequired, waits.detail), "nobody is asked twice");
    let waiting = only(&stage);
    assert_eq!((waiting.tool.as_str(), waiting.run), ("remit.commit", run));
    let shown = stage.gate.pending(waiting.call).await.unwrap().unwrap();
    assert_eq!(shown.args, Some(noted("x")));

    let edited = AnswerAsk { edit: Some(noted("y")), ..says(&waiting, "lee", true) };
    assert_eq!(stage.gate.answer(edited).await.unwrap().unwrap_err().code, Code::EditRefused);
    assert!(stage.world.reached.lock().unwrap().is_empty());
    assert!(given(&stage, says(&waiting, "lee", true)).await.complete);
    until(async || stage.world.reached.lock().unwrap().len() == 1).await;
    let stage_of = async || stage.gate.plan_of(run).await.unwrap().unwrap().stage;
    // Its agent waits for it as for a call.
    let done = ended(&stage, &stage.caller, waiting.call).await;
    assert_eq!((done.outcome, done.approved), (Some(Outcome::Succeeded), vec!["lee".to_owned()]));
    assert_eq!(stage_of().await, kernel::progress::Stage::Committed);
    assert!(stage.gate.inbox().is_empty());
    let begun = stage.events().into_iter().find_map(|event| match event {
        Event::CommitStarted(started) => Some(started),
        _ => None,
    });
    let begun = begun.unwrap();
    assert_eq!((begun.approved, begun.ticket), (vec!["lee".to_owned()], Some(waiting.call)));
    // A yes is good for one time: whoever commits it again hears the outcome.
    let again = stage.gate.commit(&stage.caller, run, None).await.unwrap().unwrap();
    assert_eq!((again.stage, stage.world.count()), (kernel::progress::Stage::Committed, 1));
    assert!(stage.gate.inbox().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_yes_to_one_plan_is_none_to_another_and_a_no_holds() {
    let stage = stage(asking()).await;
    let run = stage.open().await.run;
    stage.gate.plan(&stage.caller, run, noted("x")).await.unwrap().unwrap();
    asked_to_commit(&stage, run).await;
    let first = only(&stage);
    stage.gate.plan(&stage.caller, run, noted("y")).await.unwrap().unwrap();
    assert!(stage.gate.inbox().is_empty(), "what was asked is no longer what would be done");
    let late = stage.gate.answer(says(&first, "lee", true)).await.unwrap().unwrap_err();
    assert_eq!(late.code, Code::ApprovalUnknown);
    asked_to_commit(&stage, run).await;
    let second = only(&stage);
    assert_ne!(second.bound, first.bound);
    let no = AnswerAsk { words: Some("not before Monday".into()), ..says(&second, "lou", false) };
    given(&stage, no).await;
    let told = ended(&stage, &stage.caller, second.call).await;
    assert_eq!(told.words.as_deref(), Some("not before Monday"));
    let why = stage.gate.plan_of(run).await.unwrap().unwrap().why.unwrap();
    assert_eq!(why, "lou said no and writes: “not before Monday”");
    assert_eq!(asked_to_commit(&stage, run).await.code, Code::PlanDenied);
    stage.gate.plan(&stage.caller, run, noted("z")).await.unwrap().unwrap();
    asked_to_commit(&stage, run).await;
    let third = only(&stage);
    stage.gate.activate(crate::stage::rules(changed(asking())), "test").await.unwrap();
    let stale = stage.gate.answer(says(&third, "lee", true)).await.unwrap().unwrap_err();
    assert_eq!(stale.code, Code::ApprovalStale);
    assert!(stage.world.reached.lock().unwrap().is_empty());
}

/// The same rules under another digest.
fn changed(mut book: Book) -> Book {
    book.house.refusals_per_minute_max += 1;
    book
}
