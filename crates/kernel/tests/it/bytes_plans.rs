//! The bytes of events of plans: canonical, read as they were written, and the same for ever.

use expect_test::expect;
use kernel::account::Amount;
use kernel::call::{Carrier, Look, Outcome, Part};
use kernel::event::{
    CallDecided, CallFinished, Claimed, ClaimsReleased, CommitEnded, CommitStarted, Event, GroupBegun,
    PhaseChanged, PlanProposed, ResidueAccepted, Stamp, StepChecked, StepJoined, UnwindStarted,
};
use kernel::id::{CallId, Mark, RunId};
use kernel::phase::Phase;
use kernel::progress::{End, Expectation, OnFailure, OnHalt, Residue, Standing, StepPlanned};
use kernel::time::Time;
use kernel::undo::UndoKept;
use kernel::verdict::Ruling;
use kernel::window::{AccountId, Owner, Window};
use stdx::digest::Digest;

use crate::bytes::reason;

const RUN: RunId = RunId(2);

fn decided(part: Part) -> Event {
    let digest = Digest::of(b"x");
    Event::CallDecided(Box::new(CallDecided {
        accounts: Vec::new(),
        agent: "desk".into(),
        approved: Vec::new(),
        args: digest,
        asked: None,
        call: CallId(3),
        carrier: Carrier::Gate,
        context_tokens: None,
        contract: None,
        control_seq: 1,
        destinations: Vec::new(),
        effect: "read".into(),
        ends_ask: false,
        expires: None,
        facts: vec![Mark([1; 16])],
        hosts: Vec::new(),
        key: None,
        level: None,
        mark: Mark([2; 16]),
        model: None,
        obliged: Vec::new(),
        part: Some(part),
        reasoning: None,
        reasons: Vec::new(),
        reserved: Amount::default(),
        rules: Vec::new(),
        rules_digest: digest,
        ruling: Ruling::Allow,
        run: RUN,
        standing: None,
        tool: "box.put".into(),
        touches: vec![Mark([3; 16])],
        would: Vec::new(),
    }))
}

fn planned() -> StepPlanned {
    StepPlanned {
        after: vec![0, 7],
        checked: true,
        delay_ms: 5,
        effect: kernel::contract::Effect::Reversible,
        guarded: true,
        held: false,
        id: "a".into(),
        probed: true,
        repeats: true,
        retries: 2,
        template: Mark([4; 16]),
        tool: "box.put".into(),
        undo_repeats: true,
    }
}

/// One event of each kind, with every optional field set.
fn one_of_each() -> Vec<Event> {
    let (by, why, digest) = ("ann".to_owned(), "late".to_owned(), Digest::of(b"x"));
    let day = AccountId { owner: Owner::Agent("desk".into()), window: Window::Day, from: Time(86_400_000) };
    let (marks, until) = (vec![Mark([5; 16])], Time(9));
    let kept = UndoKept {
        args: digest,
        contract: digest,
        mark: Mark([6; 16]),
        tool: "box.put".into(),
        until: Some(until),
    };
    let residue =
        Residue { call: Some(CallId(3)), id: "a".into(), is: Standing::Unknown, why: Some(why.clone()) };
    vec![
        decided(Part::Companion { of: "box.put".into(), step: Some(1), what: Look::Before }),
        decided(Part::Step { step: 1, template: Mark([4; 16]), version: 2 }),
        decided(Part::Undo { of: CallId(3), version: Some(Mark([7; 16])) }),
        Event::CallFinished(CallFinished {
            by: "gate".into(),
            call: CallId(3),
            duration_ms: 1,
            facts: marks.clone(),
            outcome: Outcome::Succeeded,
            posted: Amount::default(),
            result: None,
            result_mark: None,
            run: RUN,
            transient: false,
            trouble: None,
            undo: Some(kept),
            why: Some(why.clone()),
        }),
        Event::PhaseChanged(PhaseChanged {
            by: "gates".into(),
            from: Phase::Commit,
            run: RUN,
            to: Phase::Decide,
            why: Some(why.clone()),
        }),
        Event::PlanProposed(Box::new(PlanProposed {
            agent: "desk".into(),
            asks: vec!["leads".into()],
            control_seq: 1,
            cost: Amount { calls: 1, ..Amount::default() },
            gathers: Vec::new(),
            mark: Mark([8; 16]),
            plan: digest,
            reasons: vec![reason("desk", 5)],
            rules_digest: digest,
            ruling: Ruling::Deny,
            run: RUN,
            steps: vec![planned()],
            touches: marks.clone(),
            undo_cost: Amount { writes: 1, ..Amount::default() },
            version: 2,
        })),
        Event::CommitStarted(CommitStarted {
            accounts: vec![day],
            approved: vec!["lee".into()],
            control_seq: 1,
            cost: Amount { calls: 1, ..Amount::default() },
            on_failure: OnFailure::PauseForReplan,
            on_halt: OnHalt::Unwind,
            parallel: 8,
            run: RUN,
            ticket: Some(CallId(4)),
            version: 2,
        }),
        Event::StepChecked(StepChecked {
            barred: Some("no_result".into()),
            expectation: Some(Expectation::Held),
            happened: Some(Expectation::Unknown),
            run: RUN,
            seen: Some(Mark([9; 16])),
            step: 1,
            version: 2,
        }),
        Event::UnwindStarted(UnwindStarted {
            by: by.clone(),
            run: RUN,
            taking: Some(vec![0, 1]),
            version: 2,
            why: why.clone(),
        }),
        Event::CommitEnded(CommitEnded {
            end: End::Quarantined,
            owner: Some("leads".into()),
            residue: vec![residue],
            run: RUN,
            version: 2,
        }),
        Event::ResidueAccepted(ResidueAccepted { by, run: RUN, version: 2, why }),
        Event::Claimed(Claimed { marks, run: RUN, until }),
        Event::ClaimsReleased(ClaimsReleased { committed: Some(until), run: RUN }),
        Event::GroupBegun(GroupBegun {
            agent: "desk".into(),
            control_seq: 1,
            on_failure: OnFailure::Unwind,
            on_halt: OnHalt::Hold,
            parallel: 8,
            run: RUN,
            version: 3,
        }),
        Event::StepJoined(Box::new(StepJoined {
            accounts: vec![AccountId {
                owner: Owner::Agent("desk".into()),
                window: Window::Day,
                from: Time(86_400_000),
            }],
            args: digest,
            asks: vec!["leads".into()],
            call: CallId(5),
            control_seq: 1,
            cost: Amount { calls: 1, ..Amount::default() },
            key: Some(Mark([7; 16])),
            reasoning: Some(digest),
            rules_digest: digest,
            run: RUN,
            step: StepPlanned { held: true, ..planned() },
            touches: vec![Mark([5; 16])],
            undo_cost: Amount { writes: 1, ..Amount::default() },
            version: 3,
        })),
    ]
}

#[test]
fn golden() {
    let stamp = Stamp { at: Time(9), lane: 1, lane_seq: 9, tenant: "default".into() };
    let lines = one_of_each().into_iter().map(|event| {
        let bytes = event.encode(&stamp);
        let value: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(bytes, stdx::json::canonical(&value), "{}", event.kind());
        assert_eq!(Event::decode(&bytes).unwrap(), (stamp.clone(), event));
        String::from_utf8(bytes).unwrap().replace(&Digest::of(b"x").to_string(), "DIGEST")
    });
    let text = lines.collect::<Vec<_>>().join("\n");
    expect![[r#"
        {"at":9,"body":{"agent":"desk","args":"DIGEST","call":"call_00000000000000000000000003","carrier":"gate","control_seq":1,"effect":"read","facts":["01010101010101010101010101010101"],"mark":"02020202020202020202020202020202","part":{"companion":{"of":"box.put","step":1,"what":"before"}},"reserved":{},"rules_digest":"DIGEST","ruling":"allow","run":"run_00000000000000000000000002","tool":"box.put","touches":["03030303030303030303030303030303"]},"kind":"call_decided","lane":1,"lane_seq":9,"tenant":"default","v":1}
        {"at":9,"body":{"agent":"desk","args":"DIGEST","call":"call_00000000000000000000000003","carrier":"gate","control_seq":1,"effect":"read","facts":["01010101010101010101010101010101"],"mark":"02020202020202020202020202020202","part":{"step":{"step":1,"template":"04040404040404040404040404040404","version":2}},"reserved":{},"rules_digest":"DIGEST","ruling":"allow","run":"run_00000000000000000000000002","tool":"box.put","touches":["03030303030303030303030303030303"]},"kind":"call_decided","lane":1,"lane_seq":9,"tenant":"default","v":1}
        {"at":9,"body":{"agent":"desk","args":"DIGEST","call":"call_00000000000000000000000003","carrier":"gate","control_seq":1,"effect":"read","facts":["01010101010101010101010101010101"],"mark":"02020202020202020202020202020202","part":{"undo":{"of":"call_00000000000000000000000003","version":"07070707070707070707070707070707"}},"reserved":{},"rules_digest":"DIGEST","ruling":"allow","run":"run_00000000000000000000000002","tool":"box.put","touches":["03030303030303030303030303030303"]},"kind":"call_decided","lane":1,"lane_seq":9,"tenant":"default","v":1}
        {"at":9,"body":{"by":"gate","call":"call_00000000000000000000000003","duration_ms":1,"facts":["05050505050505050505050505050505"],"outcome":"succeeded","posted":{},"run":"run_00000000000000000000000002","undo":{"args":"DIGEST","contract":"DIGEST","mark":"06060606060606060606060606060606","tool":"box.put","until":9},"why":"late"},"kind":"call_finished","lane":1,"lane_seq":9,"tenant":"default","v":1}
        {"at":9,"body":{"by":"gates","from":"commit","run":"run_00000000000000000000000002","to":"decide","why":"late"},"kind":"phase_changed","lane":1,"lane_seq":9,"tenant":"default","v":1}
        {"at":9,"body":{"agent":"desk","asks":["leads"],"control_seq":1,"cost":{"calls":1},"mark":"08080808080808080808080808080808","plan":"DIGEST","reasons":[{"ask":["desk"],"at":"desk","code":"rule_forbids","detail":"desk","limit":5,"near":[{"file":"house.cedar","forbids":true,"id":"desk","line":3,"words":"desk"}],"rule":{"file":"house.cedar","forbids":true,"id":"desk","line":3,"words":"desk"}}],"rules_digest":"DIGEST","ruling":"deny","run":"run_00000000000000000000000002","steps":[{"after":[0,7],"checked":true,"delay_ms":5,"effect":"reversible","guarded":true,"id":"a","probed":true,"repeats":true,"retries":2,"template":"04040404040404040404040404040404","tool":"box.put","undo_repeats":true}],"touches":["05050505050505050505050505050505"],"undo_cost":{"writes":1},"version":2},"kind":"plan_proposed","lane":1,"lane_seq":9,"tenant":"default","v":1}
        {"at":9,"body":{"accounts":["agent:desk/day/86400000"],"approved":["lee"],"control_seq":1,"cost":{"calls":1},"on_failure":"pause_for_replan","on_halt":"unwind","parallel":8,"run":"run_00000000000000000000000002","ticket":"call_00000000000000000000000004","version":2},"kind":"commit_started","lane":1,"lane_seq":9,"tenant":"default","v":1}
        {"at":9,"body":{"barred":"no_result","expectation":"held","happened":"unknown","run":"run_00000000000000000000000002","seen":"09090909090909090909090909090909","step":1,"version":2},"kind":"step_checked","lane":1,"lane_seq":9,"tenant":"default","v":1}
        {"at":9,"body":{"by":"ann","run":"run_00000000000000000000000002","taking":[0,1],"version":2,"why":"late"},"kind":"unwind_started","lane":1,"lane_seq":9,"tenant":"default","v":1}
        {"at":9,"body":{"end":"quarantined","owner":"leads","residue":[{"call":"call_00000000000000000000000003","id":"a","is":"unknown","why":"late"}],"run":"run_00000000000000000000000002","version":2},"kind":"commit_ended","lane":1,"lane_seq":9,"tenant":"default","v":1}
        {"at":9,"body":{"by":"ann","run":"run_00000000000000000000000002","version":2,"why":"late"},"kind":"residue_accepted","lane":1,"lane_seq":9,"tenant":"default","v":1}
        {"at":9,"body":{"marks":["05050505050505050505050505050505"],"run":"run_00000000000000000000000002","until":9},"kind":"claimed","lane":1,"lane_seq":9,"tenant":"default","v":1}
        {"at":9,"body":{"committed":9,"run":"run_00000000000000000000000002"},"kind":"claims_released","lane":1,"lane_seq":9,"tenant":"default","v":1}
        {"at":9,"body":{"agent":"desk","control_seq":1,"on_failure":"unwind","on_halt":"hold","parallel":8,"run":"run_00000000000000000000000002","version":3},"kind":"group_begun","lane":1,"lane_seq":9,"tenant":"default","v":1}
        {"at":9,"body":{"accounts":["agent:desk/day/86400000"],"args":"DIGEST","asks":["leads"],"call":"call_00000000000000000000000005","control_seq":1,"cost":{"calls":1},"key":"07070707070707070707070707070707","reasoning":"DIGEST","rules_digest":"DIGEST","run":"run_00000000000000000000000002","step":{"after":[0,7],"checked":true,"delay_ms":5,"effect":"reversible","guarded":true,"held":true,"id":"a","probed":true,"repeats":true,"retries":2,"template":"04040404040404040404040404040404","tool":"box.put","undo_repeats":true},"touches":["05050505050505050505050505050505"],"undo_cost":{"writes":1},"version":3},"kind":"step_joined","lane":1,"lane_seq":9,"tenant":"default","v":1}"#]].assert_eq(&text);
}

#[test]
fn a_plan_of_the_most_steps_fits_into_the_log() {
    let steps = (0..50).map(|place| StepPlanned {
        after: (0..place).rev().take(2).collect(),
        delay_ms: 0,
        id: "i".repeat(12),
        tool: "t".repeat(24),
        ..planned()
    });
    let marks = (0..50).map(|byte| Mark([byte; 16])).collect();
    let mut events = one_of_each();
    let Some(Event::PlanProposed(proposed)) = events.get_mut(5) else { panic!() };
    (proposed.steps, proposed.touches) = (steps.collect(), marks);
    let stamp = Stamp { at: Time(9), lane: 1, lane_seq: 9, tenant: "default".into() };
    let length = events[5].encode(&stamp).len();
    assert!(length < 15 * 1_024, "{length}");
}
