//! Proposals through the whole gate: told at once, seen as one change with what is there before, done as one plan.

use std::sync::Arc;
use std::time::Duration;

use gate::{AnswerAsk, Answered, Waiting};
use kernel::agent::Mode;
use kernel::approval::Subject;
use kernel::approvers::Approvals;
use kernel::book::Book;
use kernel::call::Outcome;
use kernel::command::Closing;
use kernel::contract::Effect;
use kernel::deed::{Companion, Deed, Undo};
use kernel::id::CallId;
use kernel::plan::STEPS_MAX;
use kernel::proposal::PROPOSALS_MAX;
use kernel::reason::Code;
use kernel::verdict::Ruling;
use serde_json::json;

use crate::book::{book, manifest, may};
use crate::stage::{Stage, ask, lookup, sqlite};

const SOON: Duration = Duration::from_secs(10);

/// Notes are only proposed; the customer is looked up before one, and a note is taken back by another note.
fn proposing() -> Book {
    let mut desk = manifest("desk", vec![may("desk.may", "*")]);
    (desk.mode, desk.owner) = (Mode::Propose, "vic".into());
    let mut book = book(vec![desk]);
    book.house.approvals = Approvals {
        people: [("vic".to_owned(), ["none".to_owned()].into())].into(),
        reason_from: 101,
        ..Approvals::default()
    };
    let note = book.tools.get_mut("crm.note").unwrap();
    note.input = json!({ "type": "object" });
    note.deed = Deed {
        preview: Some(Companion { args: json!({ "id": "{args.id}" }), tool: "crm.lookup".into() }),
        touches: vec!["customer:{args.id}".into()],
        undo: Some(Undo::Tool {
            args: json!({ "id": "{args.id}", "gone": true }),
            retries: 0,
            tool: "crm.note".into(),
            within_ms: None,
        }),
        ..Deed::default()
    };
    book
}

async fn stage() -> Stage {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    Stage::with(sqlite(&folder), folder, proposing(), 4, 0).await
}

fn one(stage: &Stage) -> Waiting {
    let mut inbox = stage.gate.inbox();
    assert_eq!(inbox.len(), 1, "{inbox:?}");
    inbox.remove(0)
}

fn says(waiting: &Waiting, yes: bool, only: Vec<CallId>) -> AnswerAsk {
    let (call, bound, by) = (waiting.call, waiting.bound, "vic".to_owned());
    let words = Some("as I said".to_owned());
    AnswerAsk { call, by, yes, bound, words, edit: None, standing: None, only }
}

async fn note(stage: &Stage, run: kernel::id::RunId, id: &str, text: &str) -> Answered {
    stage.gate.call(&stage.caller, ask(run, "crm.note", json!({ "id": id, "text": text }))).await.unwrap()
}

async fn ended(stage: &Stage, call: CallId) -> Answered {
    let answered = stage.gate.wait_ticket(&stage.caller, call, SOON).await.unwrap();
    assert!(answered.ticket.is_none(), "{answered:?}");
    answered
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_proposes_and_reads_on_and_some_of_it_is_done() {
    let stage = stage().await;
    let run = stage.open().await.run;
    let first = note(&stage, run, "1", "a").await;
    let ticket = first.ticket.clone().unwrap();
    assert_eq!(first.verdict.reasons[0].code, Code::Proposed);
    assert!(ticket.proposed && ticket.replaced_by.is_none());
    // It reads on, proposes more, and thinks better of the first.
    assert!(stage.gate.call(&stage.caller, lookup(run)).await.unwrap().verdict.allows());
    let second = note(&stage, run, "2", "b").await;
    let third = note(&stage, run, "1", "better").await;
    let fourth = note(&stage, run, "3", "c").await;
    let before = stage.world.count();
    let again = note(&stage, run, "2", "b").await;
    assert_eq!(again.ticket.unwrap().call, second.call, "the same is proposed once");
    let told = stage.gate.wait_ticket(&stage.caller, first.call, Duration::ZERO).await.unwrap();
    assert_eq!(told.ticket.unwrap().replaced_by, Some(third.call));
    assert_eq!(stage.gate.tickets(&stage.caller, None).len(), 4);

    let waiting = one(&stage);
    assert_eq!((waiting.call, waiting.subject), (first.call, Subject::Proposals));
    let changes = stage.gate.changes(second.call).await.unwrap();
    let of: Vec<(String, bool, bool)> =
        changes.iter().map(|it| (it.id.clone(), it.replaced_by.is_some(), it.before.is_some())).collect();
    let row = |call: &Answered, gone: bool| (call.call.to_string(), gone, !gone);
    assert_eq!(of, [row(&first, true), row(&second, false), row(&third, false), row(&fourth, false)]);
    assert_eq!(changes[2].after, Some(json!({ "id": "1", "text": "better" })));
    assert_eq!(changes[2].undo.as_deref(), Some("crm.note"));
    assert_eq!(stage.world.count(), before + 3, "three were looked at, and nothing was written");

    // A run that has something to say is not done.
    let closed = stage.gate.run_close(run, Some("desk"), Closing::Success, None, "desk").await.unwrap();
    assert_eq!(closed.unwrap_err().code, Code::ProposalsWait);

    let waiting = one(&stage);
    let yes = says(&waiting, true, vec![second.call, third.call]);
    assert!(stage.gate.answer(yes).await.unwrap().unwrap().complete);
    let done = ended(&stage, third.call).await;
    assert_eq!((done.outcome, done.approved.join("")), (Some(Outcome::Succeeded), "vic".to_owned()));
    assert_eq!(done.words.as_deref(), Some("as I said"));
    assert_eq!(ended(&stage, second.call).await.outcome, Some(Outcome::Succeeded));
    let left = ended(&stage, fourth.call).await;
    assert_eq!(left.verdict.reasons[0].code, Code::ApprovalDenied);
    assert_eq!(left.words.as_deref(), Some("as I said"));
    assert_eq!(ended(&stage, first.call).await.verdict.reasons[0].code, Code::ApprovalCancelled);
    let written: Vec<String> = {
        let reached = stage.world.reached.lock().unwrap();
        let bytes = reached.iter().map(|one| String::from_utf8_lossy(&one.bytes).into_owned());
        bytes.filter(|bytes| bytes.contains("text")).collect()
    };
    assert_eq!(written, [r#"{"id":"2","text":"b"}"#, r#"{"id":"1","text":"better"}"#]);
    assert!(stage.gate.inbox().is_empty());
    let plan = stage.gate.plan_of(run).await.unwrap().unwrap();
    assert_eq!((plan.stage, plan.steps.len()), (kernel::progress::Stage::Committed, 2));
    let closed = stage.gate.run_close(run, Some("desk"), Closing::Success, None, "desk").await.unwrap();
    assert!(closed.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_no_to_all_of_it_brings_its_words_and_survives_a_restart() {
    let before = stage().await;
    let run = before.open().await.run;
    let first = note(&before, run, "1", "a").await;
    let second = note(&before, run, "2", "b").await;
    let bound = one(&before).bound;
    let folder = before.stop().await;
    let stage = Stage::with(sqlite(&folder), folder, proposing(), 4, 0).await;
    let waiting = one(&stage);
    assert_eq!((waiting.call, waiting.bound), (first.call, bound));
    // Another of the agent's keys: it is the same agent.
    stage.gate.answer(says(&waiting, false, Vec::new())).await.unwrap().unwrap();
    for call in [first.call, second.call] {
        let told = ended(&stage, call).await;
        assert_eq!(told.verdict.ruling, Ruling::Deny);
        assert_eq!(told.words.as_deref(), Some("as I said"));
    }
    assert_eq!(stage.world.count(), 0);
}

/// The tool that reads what is there fails, or what it needs is not in the arguments.
#[tokio::test(flavor = "multi_thread")]
async fn a_preview_that_fails_is_said_and_hides_nothing() {
    for (preview, args) in
        [("pay.refund", json!({ "cents": 1 })), ("crm.lookup", json!({ "id": "{args.none}" }))]
    {
        let mut book = proposing();
        book.tools.get_mut("pay.refund").unwrap().effect = Effect::Read;
        let written = book.tools.get_mut("crm.note").unwrap();
        written.deed.preview = Some(Companion { args, tool: preview.into() });
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let stage = Stage::with(sqlite(&folder), folder, book, 1, 0).await;
        let run = stage.open().await.run;
        let noted = note(&stage, run, "1", "a").await;
        let changes = stage.gate.changes(noted.call).await.unwrap();
        assert_eq!((changes.len(), &changes[0].before), (1, &None), "{preview}");
        assert_eq!(changes[0].trouble.as_deref(), Some("its preview could not be read"), "{preview}");
        assert_eq!(changes[0].after, Some(json!({ "id": "1", "text": "a" })), "{preview}");
        let waiting = one(&stage);
        assert!(stage.gate.answer(says(&waiting, true, Vec::new())).await.unwrap().unwrap().complete);
        assert_eq!(ended(&stage, noted.call).await.outcome, Some(Outcome::Succeeded), "{preview}");
    }
}

/// No more than a person can read, nor than one plan can hold; whoever proposes on is stopped until somebody looks.
#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_proposals_pauses_its_run() {
    for (most, is_net, says_what) in [
        (STEPS_MAX, true, "writes in what a run proposes"),
        (PROPOSALS_MAX, false, "proposals that wait at once"),
    ] {
        let (stage, _) = Stage::memory(proposing()).await;
        let run = stage.open().await.run;
        // Each touches another customer, or all the same one.
        let id = |number: usize| if is_net { number.to_string() } else { "1".to_owned() };
        for number in 0..most {
            let told = note(&stage, run, &id(number), &format!("{number}")).await;
            assert_eq!(told.verdict.reasons[0].code, Code::Proposed, "{number}");
        }
        let told = note(&stage, run, &id(most), "one too many").await;
        let reason = &told.verdict.reasons[0];
        assert_eq!((told.verdict.ruling, reason.code), (Ruling::Deny, Code::LimitReached), "{says_what}");
        assert!(reason.says().contains(says_what), "{}", reason.says());
        let next = note(&stage, run, "another", "and on").await;
        assert_eq!(next.verdict.reasons[0].code, Code::RunPaused);
        let kept = stage.gate.changes(one(&stage).call).await.unwrap();
        assert_eq!(kept.len(), most, "the one too many is shown to nobody");
        assert_eq!(kept.iter().filter(|it| it.replaced_by.is_none()).count(), if is_net { most } else { 1 });
        assert_eq!(
            stage.world.count(),
            kept.iter().filter(|it| it.before.is_some()).count(),
            "nothing was written"
        );
    }
}
