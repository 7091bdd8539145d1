//! One question at a time: claims, versions, halts, expectations, people, taking back.

use std::time::Duration;

use gate::{HaltAsk, TakeBackAsk};
use kernel::command::Closing;
use kernel::halt::Scope;
use kernel::id::RunId;
use kernel::progress::{OnFailure, Stage, Standing, StepState};
use kernel::verdict::Ruling;
use serde_json::{Value, json};
use sim::saga::{Fault, Scene, Side, rules, rules_where};

async fn scene() -> Scene {
    Scene::new(rules().unwrap()).await.unwrap()
}

fn take_back(run: RunId, step: Option<&str>, dry: bool) -> TakeBackAsk {
    let (step, by, why) = (step.map(str::to_owned), "ann".to_owned(), "a mistake".to_owned());
    TakeBackAsk { run, step, dry, by, why }
}

fn one(tool: &str, args: Value) -> Value {
    json!({ "steps": [{ "id": "a", "tool": tool, "args": args }] })
}

async fn until(mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..2_000 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("it never came to hold");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_written_outside_of_a_plan() {
    let scene = scene().await;
    let run = scene.open().await.unwrap();
    let args = json!({ "id": "x", "amount": 1, "note": "n" });
    let early = scene.call(run, "box.take", args.clone()).await.unwrap();
    assert!(!early.verdict.allows() && scene.world().done("n") == 0);
    assert!(scene.call(run, "box.look", json!({ "id": "x" })).await.unwrap().verdict.allows());
    let planned = scene.plan(run, one("box.take", args)).await.unwrap();
    assert_eq!(planned.verdict.ruling, Ruling::Allow);
    let preview = &planned.previews[0];
    assert_eq!(preview.before.as_ref().unwrap()["value"], json!(100));
    assert_eq!(preview.after["amount"], json!(1));
    assert_eq!(scene.world().done("n"), 0, "a proposal writes nothing");
    let shown = scene.commit(run).await.unwrap().unwrap();
    assert_eq!((shown.stage, scene.world().done("n")), (Stage::Committed, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_plan_claims_another_waits_for() {
    let scene = scene().await;
    let args = |note: &str| json!({ "id": "shared", "amount": 1, "note": note });
    let later = |note: &str| {
        json!({ "steps": [{ "id": "a", "tool": "box.take", "args": args(note) },
                          { "id": "b", "tool": "box.mail_later", "args": { "to": "ann", "note": format!("m{note}") } }] })
    };
    let (first, second) = (scene.open().await.unwrap(), scene.open().await.unwrap());
    scene.world().will("first", Side::Deed, &[Fault::Hang]);
    scene.plan(first, later("first")).await.unwrap();
    scene.plan(second, one("box.take", args("second"))).await.unwrap();
    let (gate, caller) = (scene.gate().clone(), scene.caller().clone());
    let going = tokio::spawn(async move { gate.commit(&caller, first, None).await });
    until(async || scene.gate().plan_of(first).await.unwrap().unwrap().stage == Stage::Committing).await;
    let refused = scene.commit(second).await.unwrap().unwrap_err();
    assert_eq!(refused.code.name(), "resource_claimed");
    assert_eq!(going.await.unwrap().unwrap().unwrap().stage, Stage::Committed);
    assert_eq!(scene.commit(second).await.unwrap().unwrap().stage, Stage::Committed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_committed_is_taken_back_unless_somebody_built_on_it() {
    let scene = scene().await;
    let empty = scene.world().holdings();
    let run = scene.proposed("a:take b:set<a c:make<b", "t").await.unwrap();
    assert_eq!(scene.commit(run).await.unwrap().unwrap().stage, Stage::Committed);
    let would = scene.gate().take_back(take_back(run, None, true)).await.unwrap().unwrap();
    let order: Vec<&str> = would.steps.iter().map(|step| step.step.as_str()).collect();
    assert_eq!((order.as_slice(), would.shown.is_none()), (["c", "b", "a"].as_slice(), true));
    assert_eq!(would.steps[1].args.as_ref().unwrap()["value"], json!(100), "what was there before");
    assert_ne!(scene.world().holdings(), empty);

    let scene = scene.reborn().await.unwrap();
    let back = scene.gate().take_back(take_back(run, None, false)).await.unwrap().unwrap();
    assert_eq!(back.shown.unwrap().stage, Stage::RolledBack);
    assert_eq!(scene.world().holdings(), empty);
    let again = scene.gate().take_back(take_back(run, None, true)).await.unwrap();
    assert!(again.is_err(), "twice is not once more: {again:?}");

    let args = |note: &str| json!({ "id": "shared", "amount": 1, "note": note });
    let (older, newer) = (scene.open().await.unwrap(), scene.open().await.unwrap());
    for (run, note) in [(older, "older"), (newer, "newer")] {
        scene.plan(run, one("box.take", args(note))).await.unwrap();
        assert_eq!(scene.commit(run).await.unwrap().unwrap().stage, Stage::Committed);
    }
    let refused = scene.gate().take_back(take_back(older, None, false)).await.unwrap().unwrap_err();
    assert!(refused.detail.unwrap_or_default().contains(&newer.to_string()), "{:?}", refused.code);
    assert!(scene.world().stands("older"));
    for run in [newer, older] {
        let back = scene.gate().take_back(take_back(run, None, false)).await.unwrap().unwrap();
        assert_eq!(back.shown.unwrap().stage, Stage::RolledBack);
    }
    assert_eq!(scene.world().holdings(), empty);
}

/// What stands is taken back, whatever was planned after it and came to nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_committed_is_taken_back_whatever_was_planned_since() {
    let scene = scene().await;
    let empty = scene.world().holdings();
    let args = |note: &str| json!({ "id": "shared", "amount": 1, "note": note });
    let run = scene.open().await.unwrap();
    scene.plan(run, one("box.take", args("first"))).await.unwrap();
    assert_eq!(scene.commit(run).await.unwrap().unwrap().stage, Stage::Committed);
    scene.world().will_always("second", Side::Deed, Fault::Refusal);
    let other = json!({ "steps": [{ "id": "other", "tool": "box.make", "args": { "name": "m", "note": "second" } }] });
    for is_rolled_back in [false, true] {
        scene.plan(run, other.clone()).await.unwrap();
        if is_rolled_back {
            assert_eq!(scene.commit(run).await.unwrap().unwrap().stage, Stage::RolledBack);
        }
        let would = scene.gate().take_back(take_back(run, None, true)).await.unwrap().unwrap();
        assert_eq!((would.steps.len(), would.steps[0].step.as_str()), (1, "a"));
        assert_eq!(would.steps[0].args, Some(args("first")));
    }
    scene.plan(run, other).await.unwrap();
    let agent = Some(scene.caller().agent.clone());
    let closed = scene.gate().run_close(run, agent.as_deref(), Closing::Success, None, "writer").await;
    closed.unwrap().unwrap();
    let shown = scene.gate().plan_of(run).await.unwrap().unwrap();
    assert_eq!(shown.stage, Stage::Committed, "what was only proposed went with its run");
    let back = scene.gate().take_back(take_back(run, None, false)).await.unwrap().unwrap();
    assert_eq!(back.shown.unwrap().stage, Stage::RolledBack);
    assert_eq!(scene.world().holdings(), empty);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_somebody_else_changed_meanwhile_is_not_forced_back() {
    let scene = scene().await;
    let run = scene.proposed("a:set", "t").await.unwrap();
    assert_eq!(scene.commit(run).await.unwrap().unwrap().stage, Stage::Committed);
    scene.world().meddle("t-a", 7);
    let back = scene.gate().take_back(take_back(run, None, false)).await.unwrap().unwrap().shown.unwrap();
    assert_eq!((back.stage, back.residue[0].is), (Stage::Quarantined, Standing::Stands));
    assert_eq!(scene.world().holdings().boxes["t-a"], 7);
    let stuck = scene.gate().stuck().await.unwrap();
    assert_eq!((stuck.len(), stuck[0].run, stuck[0].owner.as_str()), (1, run, "leads"));
    scene.gate().accept(run, "ann", "they meant it").await.unwrap().unwrap();
    assert!(scene.gate().stuck().await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_expected_and_does_not_come_is_taken_back() {
    let scene = scene().await;
    let empty = scene.world().holdings();
    let run = scene.open().await.unwrap();
    let expect = json!({ "tool": "box.look", "args": { "id": "{args.id}" }, "that": "result.value == 1" });
    let plan = json!({ "steps": [
        { "id": "a", "tool": "box.make", "args": { "name": "a", "note": "a" } },
        { "id": "b", "tool": "box.take", "after": ["a"], "expect": expect,
          "args": { "id": "x", "amount": 5, "note": "b" } }] });
    scene.plan(run, plan).await.unwrap();
    let shown = scene.commit(run).await.unwrap().unwrap();
    assert_eq!((shown.stage, scene.world().done("b")), (Stage::RolledBack, 1), "{shown:#?}");
    assert_eq!(scene.world().holdings(), empty);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_result_that_lacks_what_a_later_step_names_is_a_failure() {
    let scene = scene().await;
    let run = scene.open().await.unwrap();
    let plan = json!({ "steps": [
        { "id": "a", "tool": "box.make", "args": { "name": "a", "note": "a" } },
        { "id": "b", "tool": "box.take", "args": { "id": "$steps.a.result.no_such", "amount": 5, "note": "b" } }] });
    scene.plan(run, plan).await.unwrap();
    let shown = scene.commit(run).await.unwrap().unwrap();
    assert_eq!((shown.stage, scene.world().done("b")), (Stage::RolledBack, 0));
    assert_eq!(shown.steps[1].trouble.as_deref(), Some("reference_missing"));
    assert!(!scene.world().stands("a"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_outbox_can_be_aborted_and_nothing_leaves_it() {
    let scene = scene().await;
    let empty = scene.world().holdings();
    let run = scene.open().await.unwrap();
    // So long that it is certainly aborted before.
    let plan = json!({ "steps": [
        { "id": "a", "tool": "box.take", "args": { "id": "x", "amount": 5, "note": "a" } },
        { "id": "b", "tool": "box.mail_late", "args": { "to": "ann", "note": "b" } }] });
    scene.plan(run, plan).await.unwrap();
    let (gate, caller) = (scene.gate().clone(), scene.caller().clone());
    let going = tokio::spawn(async move { gate.commit(&caller, run, None).await });
    until(async || scene.world().done("a") == 1).await;
    let shown = scene.gate().abort(run, None, "ann", "not now").await.unwrap().unwrap();
    assert_eq!(shown.stage, Stage::RolledBack);
    assert_eq!((scene.world().done("b"), scene.world().holdings()), (0, empty));
    assert_eq!(going.await.unwrap().unwrap().unwrap().stage, Stage::RolledBack);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_halt_holds_what_has_not_run_and_hinders_no_undo_of_its_run() {
    let scene = scene().await;
    let run = scene.proposed("a:take b:mail_later<a", "t").await.unwrap();
    let halt = |scope| HaltAsk::new(scope, "a fire", "ann");
    scene.gate().halt(halt(Scope::Tool("box.mail_later".into()))).await.unwrap().unwrap();
    let shown = scene.commit(run).await.unwrap().unwrap();
    assert_eq!((shown.stage, shown.held), (Stage::Committing, vec!["b".to_owned()]));
    assert_eq!(scene.gate().stuck().await.unwrap().len(), 1);
    scene.gate().resume(Scope::Tool("box.mail_later".into()), "out", "ann").await.unwrap().unwrap();
    until(async || scene.gate().plan_of(run).await.unwrap().unwrap().stage == Stage::Committed).await;

    let run = scene.proposed("a:take b:mail_later<a", "u").await.unwrap();
    scene.gate().halt(halt(Scope::Tool("box.mail_later".into()))).await.unwrap().unwrap();
    assert_eq!(scene.commit(run).await.unwrap().unwrap().held, ["b"]);
    // The whole run is halted, and so is its agent: what it did can be taken back all the same.
    for scope in [Scope::Run(run.to_string()), Scope::Agent("writer".into())] {
        scene.gate().halt(halt(scope)).await.unwrap().unwrap();
    }
    let shown = scene.gate().abort(run, None, "ann", "a fire").await.unwrap().unwrap();
    assert_eq!((shown.stage, scene.world().stands("u/a")), (Stage::RolledBack, false));
}

/// What was allowed when it was planned is asked again when it runs; and taking back needs no grant.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_longer_granted_fails_and_what_was_done_goes_back() {
    for is_gone in [false, true] {
        let scene = scene().await;
        let empty = scene.world().holdings();
        let run = scene.proposed("a:take b:mail_later<a", "t").await.unwrap();
        let tool = Scope::Tool("box.mail_later".into());
        scene.gate().halt(HaltAsk::new(tool.clone(), "a fire", "ann")).await.unwrap().unwrap();
        assert_eq!(scene.commit(run).await.unwrap().unwrap().held, ["b"]);
        let changed = rules_where(|book| match is_gone {
            true => drop(book.agents.remove("writer")),
            false => book.agents.get_mut("writer").unwrap().may[0].tool = "box.take".to_owned(),
        });
        scene.gate().activate(changed.unwrap(), "test").await.unwrap();
        scene.gate().resume(tool, "out", "ann").await.unwrap().unwrap();
        let ended = async || scene.gate().plan_of(run).await.unwrap().unwrap();
        until(async || ended().await.stage == Stage::RolledBack).await;
        let why = if is_gone { "agent_unknown" } else { "no_rule_allows" };
        assert_eq!(ended().await.steps[1].trouble.as_deref(), Some(why));
        assert_eq!((scene.world().done("t/b"), scene.world().holdings()), (0, empty));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_knows_waits_for_a_person_across_a_restart() {
    let scene = scene().await;
    scene.world().will("t/a", Side::Deed, &[Fault::Lost]);
    let run = scene.proposed("a:take_plain b:mail<a", "t").await.unwrap();
    let shown = scene.commit(run).await.unwrap().unwrap();
    assert_eq!((shown.stage, shown.stuck.as_slice()), (Stage::Committing, ["a".to_owned()].as_slice()));
    let scene = scene.reborn().await.unwrap();
    let stuck = scene.gate().stuck().await.unwrap();
    assert_eq!((stuck.len(), stuck[0].steps[0].state), (1, StepState::Unknown));
    let call = stuck[0].steps[0].unsettled[0];
    scene.gate().resolve_call(call, true, "ann", "it is there").await.unwrap().unwrap();
    until(async || scene.gate().plan_of(run).await.unwrap().unwrap().stage == Stage::Committed).await;

    // What a person said happened is taken back as if it had been seen.
    let empty = scene.world().holdings();
    scene.world().will("u/a", Side::Deed, &[Fault::Lost]);
    scene.world().will_always("u/b", Side::Deed, Fault::Error);
    let run = scene.proposed("a:take_plain b:mail<a", "u").await.unwrap();
    let stuck = scene.commit(run).await.unwrap().unwrap();
    let call = stuck.steps[0].unsettled[0];
    scene.gate().resolve_call(call, true, "ann", "it is there").await.unwrap().unwrap();
    until(async || scene.gate().plan_of(run).await.unwrap().unwrap().stage == Stage::RolledBack).await;
    assert_eq!(scene.world().holdings(), empty);
}

/// The sweep takes it back, and its engine, which had nothing to do any more, must be woken for that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_plan_whose_run_is_over_is_taken_back() {
    let pauses = rules_where(|book| {
        // Five seconds here: long enough to commit on a busy machine.
        book.house.run_ttl_ms = 1_000_000;
        for agent in book.agents.values_mut() {
            agent.commits.on_failure = OnFailure::PauseForReplan;
        }
    });
    let scene = Scene::new(pauses.unwrap()).await.unwrap();
    let empty = scene.world().holdings();
    let run = scene.proposed("a:take b:take<a", "t").await.unwrap();
    scene.world().will_always("t/b", Side::Deed, Fault::Refusal);
    assert_eq!(scene.commit(run).await.unwrap().unwrap().stage, Stage::Paused);
    assert_ne!(scene.world().holdings(), empty);
    until(async || scene.gate().plan_of(run).await.unwrap().unwrap().stage == Stage::RolledBack).await;
    assert_eq!(scene.world().holdings(), empty);
}

/// A version is read once after the deed and once before the undo, whether or not something is expected, too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_without_an_expectation_is_enough() {
    let plain = rules_where(|book| book.tools.get_mut("box.set").unwrap().deed.expect = None);
    let scene = Scene::new(plain.unwrap()).await.unwrap();
    let run = scene.proposed("a:set", "t").await.unwrap();
    let before = scene.world().requests();
    assert_eq!(scene.commit(run).await.unwrap().unwrap().stage, Stage::Committed);
    // What was there, the deed, the version.
    assert_eq!(scene.world().requests() - before, 3);
    scene.world().meddle("t-a", 7);
    let back = scene.gate().take_back(take_back(run, None, false)).await.unwrap().unwrap().shown.unwrap();
    assert_eq!(back.stage, Stage::Quarantined, "the version guards it all the same");
}
