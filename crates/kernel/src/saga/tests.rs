//! What is next, row by row: a plan as it stands, and what it wants.
//!
//! A step is `NAME`, `NAME!` if it cannot be taken back, `NAME?` if it only reads; then `<` and what it waits for, `=`
//! and its state, `+` and what else there is to know of it.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use stdx::digest::Digest;

use super::{Move, next, residue};
use crate::account::Amount;
use crate::effect::Effect;
use crate::event::PlanProposed;
use crate::id::{CallId, Mark, RunId};
use crate::progress::{
    Expectation, OnFailure, OnHalt, PlanState, Stage, Standing, Step, StepPlanned, StepState,
};
use crate::time::Time;
use crate::undo::UndoKept;
use crate::verdict::Ruling;

const NOW: Time = Time(1_000_000);

fn plan(text: &str) -> PlanState {
    let (stage, steps) = text.split_once(':').unwrap();
    let steps: Vec<&str> = steps.split_whitespace().collect();
    let names: Vec<String> = steps
        .iter()
        .map(|step| step.chars().take_while(|letter| letter.is_alphanumeric()).collect())
        .collect();
    let planned = steps.iter().zip(&names).map(|(step, name)| {
        let head = step.split('=').next().unwrap();
        let after = head.split_once('<').map_or("", |(_, after)| after);
        let effect = match head.as_bytes().get(name.len()) {
            Some(b'!') => Effect::Irreversible,
            Some(b'?') => Effect::Read,
            _ => Effect::Reversible,
        };
        let place = |id: &str| u16::try_from(names.iter().position(|name| name == id).unwrap()).unwrap();
        let flags: Vec<&str> = step.split('+').skip(1).collect();
        let has = |flag: &str| flags.contains(&flag);
        StepPlanned {
            after: after.split(',').filter(|id| !id.is_empty()).map(place).collect(),
            checked: has("checked") || has("held") || has("wrong") || has("vague"),
            delay_ms: if has("delayed") { 5_000 } else { 0 },
            effect,
            guarded: false,
            held: false,
            id: name.clone(),
            probed: has("probed"),
            repeats: has("repeats"),
            retries: if has("retries") { 2 } else { 0 },
            template: Mark([0; 16]),
            tool: format!("t.{name}"),
            undo_repeats: has("undorepeats"),
        }
    });
    let proposed = PlanProposed {
        asks: Vec::new(),
        agent: "a".into(),
        gathers: Vec::new(),
        control_seq: 0,
        cost: Amount::default(),
        mark: Mark([0; 16]),
        plan: Digest::of(b""),
        reasons: Vec::new(),
        rules_digest: Digest::of(b""),
        ruling: Ruling::Allow,
        run: RunId(1),
        steps: planned.collect(),
        touches: Vec::new(),
        undo_cost: Amount::default(),
        version: 1,
    };
    let mut plan = PlanState::new(NOW, 1, &proposed);
    plan.parallel = 8;
    plan.stood = Some(NOW);
    for word in stage.split('+') {
        match word {
            "committing" => plan.stage = Stage::Committing,
            "unwinding" => plan.stage = Stage::Unwinding,
            "paused" => plan.stage = Stage::Paused,
            "mends" => plan.on_failure = OnFailure::PauseForReplan,
            "unwindsonhalt" => plan.on_halt = OnHalt::Unwind,
            "two" => plan.parallel = 2,
            takes => plan.taking = Some(takes.bytes().map(|letter| u16::from(letter - b'a')).collect()),
        }
    }
    for (step, text) in plan.steps.iter_mut().zip(&steps) {
        stand(step, text.split_once('=').unwrap().1);
    }
    plan
}

fn stand(step: &mut Step, text: &str) {
    let mut words = text.split('+');
    let state = format!("\"{}\"", words.next().unwrap());
    step.state = serde_json::from_str(&state).unwrap();
    let left = matches!(step.state, StepState::Done | StepState::Undoing | StepState::UndoFailed);
    if left && step.planned.effect == Effect::Reversible {
        let digest = Digest::of(b"");
        let (contract, mark, tool) = (digest, Mark([0; 16]), "t.undo".to_owned());
        step.undo = Some(UndoKept { args: digest, contract, mark, tool, until: None });
    }
    for word in words {
        match word {
            "held" => step.expectation = Some(Expectation::Held),
            "wrong" => step.expectation = Some(Expectation::Failed),
            "vague" => step.expectation = Some(Expectation::Unknown),
            "nothingkept" => step.undo = None,
            "worn" => (step.tries, step.probes) = (super::TRIES_MAX, super::LOOKS_MAX),
            "later" => step.again = Some(NOW.plus_ms(700)),
            "lost" => (step.undo_call, step.undo_unsettled) = (Some(CallId(7)), vec![CallId(7)]),
            "tried" => (step.undo_tries, step.undo_ended) = (2, Some(NOW)),
            _ => {}
        }
    }
}

fn said(plan: &PlanState, moves: &[Move]) -> String {
    let id = |step: &u16| plan.steps[usize::from(*step)].planned.id.clone();
    let said = moves.iter().map(|wanted| match wanted {
        Move::Run(step) => format!("run {}", id(step)),
        Move::Check(step) => format!("check {}", id(step)),
        Move::Undo(step) => format!("undo {}", id(step)),
        Move::Probe(step) => format!("probe {}", id(step)),
        Move::Unwind(why) => format!("unwind: {why}"),
        Move::Pause(why) => format!("pause: {why}"),
        Move::Wait(until) => format!("wait {}", until.since_ms(NOW)),
        Move::Held(steps) => format!("held {}", steps.iter().map(id).collect::<String>()),
        Move::Finish(end) => {
            let left = residue(plan, *end).into_iter().map(|left| match left.is {
                Standing::Stands => left.id,
                Standing::Unknown => format!("{}?", left.id),
            });
            format!("{} {}", end.name(), left.collect::<Vec<_>>().join(",")).trim_end().to_owned()
        }
        Move::Stuck(step) => format!("stuck {}", id(step)),
    });
    said.collect::<Vec<_>>().join("; ")
}

#[track_caller]
fn check(rows: &[(&str, &str)]) {
    for (text, wanted) in rows {
        let plan = plan(text);
        // Tools whose step is named `h` are halted.
        let moves = next(&plan, NOW, &|tool| tool == "t.h");
        assert_eq!(said(&plan, &moves), *wanted, "{text}");
    }
}

#[test]
fn forward_what_does_not_wait_goes_at_once() {
    check(&[
        ("committing: a=waiting b=waiting c<a=waiting", "run a; run b"),
        ("committing+two: a=waiting b=waiting c=waiting", "run a; run b"),
        ("committing+two: a=running b=waiting c=waiting", "run b"),
        ("committing: a=running b=waiting", "run b"),
        ("committing: a=done b<a=waiting c<a=waiting d<b,c=waiting", "run b; run c"),
        ("committing: a=done b<a=running", ""),
        ("committing: a=done b<a=done", "committed"),
        ("committing: a?=done b?<a=waiting", "run b"),
        ("committing: a=waiting+later b=done", "wait 700"),
        ("paused: a=waiting", ""),
    ]);
}

#[test]
fn forward_others_wait_for_what_was_to_hold() {
    check(&[
        ("committing: a=done+checked b<a=waiting", "check a"),
        ("committing: a=done+checked+later b<a=waiting", "wait 700"),
        ("committing: a=done+held b<a=waiting", "run b"),
        ("committing: a=done+wrong b<a=waiting", "unwind: expectation_failed"),
        ("committing: a=done+vague b<a=waiting", "unwind: expectation_unknown"),
        ("committing: a=done b=done+checked", "check b"),
    ]);
}

#[test]
fn what_cannot_be_taken_back_waits_for_all_others_and_goes_one_by_one() {
    check(&[
        ("committing: a!=outbox b=waiting", "run b"),
        ("committing: a!=outbox b=running", ""),
        ("committing: a!=outbox b=done+checked", "check b"),
        ("committing: a!=outbox b=done", "run a"),
        ("committing: a!=outbox+delayed b=done", "wait 5000"),
        ("committing: a!=outbox b!=outbox", "run a"),
        ("committing: a!=running b!=outbox", ""),
        ("committing: a!=done b!=outbox", "run b"),
        ("committing: a!=done+checked b!=outbox", "check a"),
        ("committing: a!=unknown b!=outbox", "stuck a"),
        // What builds on it is not waited for.
        ("committing: a!=outbox b<a=waiting c=done", "run a"),
        ("committing: a!=done b<a=waiting c=done", "run b"),
        ("committing: a!=outbox b<a=waiting c!=outbox d<c=waiting", "run a"),
        ("committing: a!=done b<a=done c!=outbox d<c=waiting", "run c"),
        ("committing: a!=done b!=done c=done", "committed"),
    ]);
}

#[test]
fn a_failure_goes_back_until_something_final_was_done() {
    check(&[
        ("committing: a=done b=failed c=running", "unwind: failed"),
        ("committing: a=done b!=failed", "unwind: failed"),
        // Two that are final never go at once, so this one is the only one on its way.
        ("committing: a=failed b!=running", ""),
        ("committing: a=failed b!=unknown", "stuck b"),
        ("committing: a=failed b!=unknown+probed", "probe b"),
        // Forward only: what can still be done is done, and what is left is named.
        ("committing: a=done b!=done c!=failed d<c=waiting", "quarantined a,b"),
        ("committing: a=done b!=done c!=failed d<b=waiting", "run d"),
        ("committing: a=done b!=done c!=failed d!=outbox", "run d"),
        ("committing: a=done b!=done+wrong", "quarantined a,b"),
        ("committing: a=done b!=done c<b=failed d<b=running", ""),
    ]);
}

#[test]
fn a_failure_that_the_agent_may_mend_pauses_once_all_is_still() {
    check(&[
        ("committing+mends: a=done b=failed", "pause: failed"),
        ("committing+mends: a=running b=failed", ""),
        ("committing+mends: a=unknown+repeats b=failed", "run a"),
        ("committing+mends: a=unknown b=failed", "stuck a"),
        ("committing+mends: a!=done b!=failed c=done", "quarantined a,c"),
    ]);
}

#[test]
fn a_halt_holds_or_goes_back() {
    check(&[
        ("committing: h=waiting", "held h"),
        ("committing: h=waiting b=waiting", "run b; held h"),
        ("committing: h=done+checked", "held h"),
        ("committing+unwindsonhalt: h=waiting b=done", "unwind: halted"),
        ("committing+unwindsonhalt: h=waiting b!=done", "held h"),
        // What takes back is not held by the halt of a deed.
        ("unwinding: h=done", "undo h"),
        ("unwinding: h=unknown+repeats", "held h"),
    ]);
}

#[test]
fn what_nobody_knows_is_asked_again_then_probed_then_a_persons() {
    check(&[
        ("committing: a=unknown+repeats+probed", "run a"),
        ("committing: a=unknown+probed", "probe a"),
        ("committing: a=unknown+repeats+probed+later", "wait 700"),
        ("committing: a=unknown+repeats+probed+worn", "stuck a"),
        ("committing: a=unknown b<a=waiting c=waiting", "run c; stuck a"),
        // Going back, what was not done need not be done.
        ("unwinding: a=unknown+repeats+probed", "probe a"),
        ("unwinding: a=unknown+repeats", "run a"),
        ("unwinding: a=unknown b=done", "undo b; stuck a"),
        ("unwinding: a=done b<a=unknown", "stuck b"),
        ("unwinding: a=done b?<a=unknown+repeats", "undo a"),
        ("unwinding: a?=unknown", "rolled_back"),
    ]);
}

#[test]
fn back_the_last_first() {
    check(&[
        ("unwinding: a=done b<a=done c<b=skipped", "undo b"),
        ("unwinding: a=done b=done", "undo a; undo b"),
        ("unwinding: a=done b<a=running", ""),
        ("unwinding: a=done b<a=undone", "undo a"),
        ("unwinding: a=done b<a=failed", "undo a"),
        ("unwinding: a=undone b<a=undone", "rolled_back"),
        // Through a read, too.
        ("unwinding: a=done b?<a=done c<b=done", "undo c"),
        ("unwinding: a=done b?<a=done c<b=undone", "undo a"),
        ("unwinding: a?=done", "rolled_back"),
        ("unwinding: a=undoing b=done", "undo b"),
        ("unwinding: a=undoing", ""),
    ]);
}

#[test]
fn what_cannot_be_undone_is_left_and_named_and_the_others_go_on() {
    check(&[
        ("unwinding: a=done b<a=undo_failed c=done", "undo c"),
        ("unwinding: a=done b<a=undo_failed c=undone", "quarantined a,b"),
        ("unwinding: a=done+nothingkept b=undone", "quarantined a"),
        ("unwinding: a=done+tried+retries", "wait 2000"),
        ("unwinding: a=undoing+lost+undorepeats", "undo a"),
        ("unwinding: a=undoing+lost+probed", "probe a"),
        ("unwinding: a=undoing+lost", "quarantined a?"),
        ("unwinding: a=undoing+lost+probed+worn", "quarantined a?"),
    ]);
}

#[test]
fn taking_back_what_was_committed_leaves_the_rest() {
    check(&[
        ("unwinding+ab: a=done b<a=done c=done", "undo b"),
        ("unwinding+ab: a=undone b<a=undone c=done", "committed"),
        ("unwinding+ab: a=undone b<a=undone c=undone", "rolled_back"),
        ("unwinding+ab: a=done b<a=undo_failed c=done", "quarantined a,b,c"),
        ("unwinding+a: a=undone b!=done", "committed"),
    ]);
}
