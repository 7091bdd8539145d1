//! What a yes is bound to: change any of it, and it is worth nothing. Nobody gets past the quorum, in any order.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use kernel::agent::May;
use kernel::approval::{Pending, Subject};
use kernel::approvers::{Approvals, Group};
use kernel::book::Book;
use kernel::call::{Call, Carrier};
use kernel::command::{Answer, Command, ControlCommand, OpenRun, PersonAnswer};
use kernel::decide::{Decision, decide, decide_control};
use kernel::event::{Event, Stamp};
use kernel::id::{CallId, KeyId, RunId};
use kernel::reason::Code;
use kernel::rules::Rules;
use kernel::state::{Control, State};
use kernel::time::Time;
use kernel::verdict::Ruling;
use proptest::prelude::*;
use stdx::digest::Digest;

use crate::asking::{marks, rebuilt};
use crate::book::{book, compile, manifest, may};
use crate::script::{START, mark};

const ASKED: CallId = CallId(1);
const PEOPLE: [&str; 5] = ["ann", "lee", "lou", "max", "zoe"];

/// Two of leads: lee, lou and max; ann is one too, but it is done for her.
fn two_of_leads() -> Book {
    let ask = May { ask: Some("leads".into()), ..may("desk.may[0]", "pay.refund") };
    let mut book = book(vec![manifest("desk", vec![ask])]);
    let person = |name: &str| {
        let groups = if name == "zoe" { BTreeSet::new() } else { ["leads".to_owned()].into() };
        (name.to_owned(), groups)
    };
    book.house.approvals = Approvals {
        groups: [("leads".to_owned(), Group { quorum: 2, escalate: None })].into(),
        people: PEOPLE.map(person).into(),
        reason_from: 101,
        ..Approvals::default()
    };
    book
}

/// The rules, and others that differ in what bears on nothing here.
static RULES: LazyLock<[Rules; 2]> = LazyLock::new(|| {
    let mut other = two_of_leads();
    other.house.run_ttl_ms += 1;
    [compile(two_of_leads()), compile(other)]
});

/// One lane under rules that are compiled once.
struct Lane {
    state: State,
    control: Control,
    rules: &'static Rules,
}

impl Lane {
    fn lane(&mut self, now: Time, command: &Command) -> Decision {
        let decision = decide(&self.state, &self.control, self.rules, command, now);
        for event in &decision.events {
            let stamp = Stamp { at: now, lane: 1, lane_seq: self.state.seq + 1, tenant: "default".into() };
            self.state.apply(&stamp, event);
        }
        decision
    }

    fn control(&mut self, command: &ControlCommand) {
        for event in &decide_control(&self.control, self.rules, command).events {
            let stamp =
                Stamp { at: START, lane: 0, lane_seq: self.control.seq + 1, tenant: "default".into() };
            self.control.apply(&stamp, event);
        }
    }

    /// Two of leads say yes, and it is not released yet.
    fn approved(&mut self) -> Call {
        let bound = pending(&self.state).bound(ASKED, self.rules);
        says(self, "lou", bound);
        says(self, "max", bound);
        rebuilt(ASKED, pending(&self.state), r#"{"cents":5}"#)
    }
}

/// A run for ann, and a refund of five cents that waits.
fn asked() -> Lane {
    asked_with(None)
}

/// The same, asked for with this key.
fn asked_with(credential: Option<KeyId>) -> Lane {
    let mut stage = Lane { state: State::default(), control: Control::default(), rules: &RULES[0] };
    let (agent, run) = ("desk".to_owned(), RunId(1));
    let open = OpenRun {
        run,
        agent: agent.clone(),
        person: Some("ann".into()),
        intent: None,
        implicit: None,
        parent: None,
        budget: None,
        credential: None,
    };
    stage.lane(START, &Command::OpenRun(open));
    let args = r#"{"cents":5}"#;
    let mut call = crate::script::call(ASKED, run, &agent, "pay.refund", args, None, Carrier::Gate);
    call.ask_marks = Some(marks(stage.rules, &call, &[]));
    call.credential = credential;
    if let Some(key) = credential {
        let (hash, by) = (Digest::of(b"secret"), "ops".to_owned());
        let person = Some("Lee".to_owned());
        let mint = ControlCommand::MintKey {
            key,
            agent: "desk".into(),
            hash,
            expires: START.plus_ms(1),
            by,
            person,
        };
        stage.control(&mint);
    }
    let decision = stage.lane(START, &Command::Propose(Arc::new(call)));
    assert_eq!(decision.answer.ruling(), Some(Ruling::Ask));
    stage
}

fn pending(state: &State) -> &Pending {
    &state.pending[&ASKED]
}

fn says(stage: &mut Lane, by: &str, bound: Digest) -> Answer {
    let answer = PersonAnswer {
        call: ASKED,
        by: by.to_owned(),
        yes: true,
        bound,
        words: None,
        edit: None,
        standing: None,
        only: Vec::new(),
    };
    stage.lane(START, &Command::Answer(Box::new(answer))).answer
}

#[test]
fn a_yes_is_bound_to_all_that_matters() {
    let stage = asked();
    let (waits, rules) = (pending(&stage.state), stage.rules);
    let bound = waits.bound(ASKED, rules);
    let changed = |change: fn(&mut Pending)| {
        let mut other = waits.clone();
        change(&mut other);
        other.bound(ASKED, rules)
    };
    let mutations: [(&str, Digest); 8] = [
        ("the agent", changed(|it| it.agent = "line".into())),
        ("the run", changed(|it| it.run = RunId(9))),
        ("the runs above", changed(|it| it.above.push(RunId(9)))),
        ("whom it is for", changed(|it| it.persons.extend(["bob".to_owned()]))),
        ("the tool", changed(|it| it.tool = "crm.note".into())),
        ("the arguments", changed(|it| it.args = Digest::of(b"others"))),
        ("the time", changed(|it| it.expires = it.expires.plus_ms(1))),
        ("the nonce", waits.bound(CallId(2), rules)),
    ];
    for (what, other) in mutations {
        assert_ne!(other, bound, "a yes is not bound to {what}");
    }
    let under = |change: fn(&mut Book)| {
        let mut book = two_of_leads();
        change(&mut book);
        waits.bound(ASKED, &compile(book))
    };
    let rules: [(&str, Digest); 3] = [
        ("the contract", under(|book| book.tools.get_mut("pay.refund").unwrap().timeout_ms += 1)),
        ("the pin", under(|book| book.tools.get_mut("pay.refund").unwrap().pin = Some(Digest::of(b"x")))),
        ("the rules", under(|book| book.house.run_ttl_ms += 1)),
    ];
    for (what, other) in rules {
        assert_ne!(other, bound, "a yes is not bound to {what}");
    }
    assert_eq!(under(|_| ()), bound, "the same is the same");
}

/// What another part covers, too, counts by itself: no two parts lean on each other.
#[test]
fn each_part_of_what_a_yes_is_bound_to_counts_alone() {
    let stage = asked();
    let waits = pending(&stage.state);
    let with = |change: fn(&mut Pending)| {
        let mut other = waits.clone();
        change(&mut other);
        other.bound(ASKED, stage.rules)
    };
    assert_ne!(with(|it| it.subject = Subject::Plan), waits.bound(ASKED, stage.rules), "a call is no plan");
    let one = with(|it| (it.subject, it.plan) = (Subject::Plan, Some(1)));
    let two = with(|it| (it.subject, it.plan) = (Subject::Plan, Some(2)));
    assert_ne!(one, two, "another version of the plan");
    // Two that no contract tells apart.
    assert_ne!(with(|it| it.tool = "x.one".into()), with(|it| it.tool = "x.two".into()), "another tool");
    // Rules whose digest is said to be the same.
    let lying = |change: fn(&mut Book)| {
        let mut book = two_of_leads();
        change(&mut book);
        let mut rules = compile(book);
        rules.digest = stage.rules.digest;
        waits.bound(ASKED, &rules)
    };
    let bound = waits.bound(ASKED, stage.rules);
    assert_eq!(lying(|_| ()), bound);
    let schema = lying(|book| book.tools.get_mut("pay.refund").unwrap().timeout_ms += 1);
    assert_ne!(schema, bound, "another contract");
}

#[test]
fn only_the_stored_call_is_released() {
    let mut stage = asked();
    let bound = pending(&stage.state).bound(ASKED, stage.rules);
    says(&mut stage, "lee", bound);
    says(&mut stage, "lou", bound);
    let whole = rebuilt(ASKED, pending(&stage.state), r#"{"cents":5}"#);
    let other = |change: fn(&mut Call)| {
        let mut call = whole.clone();
        change(&mut call);
        call
    };
    let others = [
        other(|call| call.args_commitment = Digest::of(b"others")),
        other(|call| call.args_mark = mark("others")),
        other(|call| call.agent = "line".into()),
        other(|call| call.run = RunId(9)),
        other(|call| call.tool = "crm.note".into()),
        other(|call| call.carrier = Carrier::Executor),
        other(|call| call.id = CallId(9)),
    ];
    for call in others {
        let decision = stage.lane(START, &Command::Release(Arc::new(call)));
        match decision.answer {
            Answer::Refused(reason) => assert_eq!(reason.code, Code::ApprovalUnknown),
            other => panic!("{other:?}"),
        }
    }
    let released = stage.lane(START, &Command::Release(Arc::new(whole.clone())));
    assert_eq!(released.answer.ruling(), Some(Ruling::Allow));
    let again = stage.lane(START, &Command::Release(Arc::new(whole)));
    assert!(matches!(again.answer, Answer::Refused(_)));
}

/// A run may be opened with one key, and a call in it asked for with another.
#[test]
fn whom_the_asking_key_was_given_to_may_not_answer() {
    let mut stage = asked_with(Some(KeyId(7)));
    let bound = pending(&stage.state).bound(ASKED, stage.rules);
    assert!(pending(&stage.state).persons.contains("lee"), "{:?}", pending(&stage.state).persons);
    match says(&mut stage, "lee", bound) {
        Answer::Refused(reason) => assert_eq!(reason.code, Code::OwnRequest),
        other => panic!("{other:?}"),
    }
    assert!(matches!(says(&mut stage, "lou", bound), Answer::Given { complete: false, .. }));
}

/// Between the last yes and the release its time runs out, it is halted, its key is revoked.
#[test]
fn what_was_approved_is_not_released_once_it_is_over() {
    let reason_of = |decision: Decision| match decision.events.as_slice() {
        [Event::CallDecided(decided)] => (decided.ruling, decided.reasons[0].code),
        other => panic!("{other:?}"),
    };
    let mut stage = asked();
    let call = stage.approved();
    let late = pending(&stage.state).expires;
    let decision = stage.lane(late, &Command::Release(Arc::new(call)));
    assert_eq!(reason_of(decision), (Ruling::Deny, Code::ApprovalExpired));

    let mut stage = asked();
    let call = stage.approved();
    let (why, by, scope) = ("smoke".to_owned(), "ops".to_owned(), "tool:pay.refund".parse().unwrap());
    stage.control(&ControlCommand::Halt { scope, why, by, until: None, reads_allowed: false, force: false });
    let decision = stage.lane(START, &Command::Release(Arc::new(call)));
    assert_eq!(reason_of(decision), (Ruling::Deny, Code::ApprovalCancelled));

    let mut stage = asked_with(Some(KeyId(7)));
    let call = stage.approved();
    let (why, by) = ("lost".to_owned(), "ops".to_owned());
    stage.control(&ControlCommand::RevokeKey { key: KeyId(7), by, why });
    let decision = stage.lane(START, &Command::Release(Arc::new(call)));
    assert_eq!(reason_of(decision), (Ruling::Deny, Code::ApprovalCancelled));
}

/// Other arguments, and nothing else: not another tool, run or agent.
#[test]
fn an_edit_is_of_the_same_call() {
    let mut stage = asked();
    let bound = pending(&stage.state).bound(ASKED, stage.rules);
    let whole = rebuilt(ASKED, pending(&stage.state), r#"{"cents":4}"#);
    let others: [fn(&mut Call); 3] =
        [|call| call.tool = "crm.note".into(), |call| call.run = RunId(9), |call| call.agent = "line".into()];
    for change in others {
        let mut edit = whole.clone();
        change(&mut edit);
        let (by, edit) = ("lou".to_owned(), Some(Arc::new(edit)));
        let (call, yes, words, standing, only) = (ASKED, true, None, None, Vec::new());
        let answer = PersonAnswer { call, by, yes, bound, words, edit, standing, only };
        let answer = stage.lane(START, &Command::Answer(Box::new(answer))).answer;
        assert!(
            matches!(&answer, Answer::Refused(reason) if reason.code == Code::ApprovalUnknown),
            "{answer:?}"
        );
    }
}

/// What may happen while a call waits.
#[derive(Clone, Debug)]
enum Step {
    /// Somebody says yes to what they saw at a look.
    Yes(usize, usize),
    /// Somebody changes the arguments.
    Edit(usize, u64),
    Look,
    Release,
    Rules,
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..PEOPLE.len(), 0..3_usize).prop_map(|(by, ago)| Step::Yes(by, ago)),
        1 => (0..PEOPLE.len(), 1..9_u64).prop_map(|(by, cents)| Step::Edit(by, cents)),
        3 => Just(Step::Look),
        3 => Just(Step::Release),
        1 => Just(Step::Rules),
        1 => Just(Step::Restart),
    ]
}

proptest! {
    /// Reckoned beside the law: what was released had a yes of two of leads, not of ann, to exactly what it was then.
    #[test]
    fn nothing_is_released_without_its_quorum(steps in prop::collection::vec(step(), 1..40)) {
        let mut stage = asked();
        let mut other = &RULES[1];
        let mut args = r#"{"cents":5}"#.to_owned();
        let mut seen = vec![pending(&stage.state).bound(ASKED, stage.rules)];
        let mut yeses: Vec<(Digest, &str)> = Vec::new();
        for step in steps {
            let now = pending(&stage.state).bound(ASKED, stage.rules);
            let standing: BTreeSet<&str> =
                yeses.iter().filter(|(bound, _)| *bound == now).map(|(_, by)| *by).collect();
            let enough = standing.len() >= 2;
            match step {
                Step::Look => seen.push(now),
                Step::Rules => std::mem::swap(&mut stage.rules, &mut other),
                Step::Restart => {
                    let bytes = kernel::snapshot::write("a lane", &stage.state);
                    stage.state = kernel::snapshot::read("a lane", &bytes).unwrap();
                }
                Step::Yes(by, ago) => {
                    let bound = seen[seen.len().saturating_sub(ago + 1)];
                    let counts = matches!(says(&mut stage, PEOPLE[by], bound), Answer::Given { .. });
                    let may = ["lee", "lou", "max"].contains(&PEOPLE[by]);
                    prop_assert_eq!(counts, may && bound == now && !standing.contains(PEOPLE[by]));
                    yeses.extend(counts.then_some((bound, PEOPLE[by])));
                }
                Step::Edit(by, cents) => {
                    let changed = format!("{{\"cents\":{cents}}}");
                    let mut edit = rebuilt(ASKED, pending(&stage.state), &changed);
                    edit.args_commitment = Digest::of(changed.as_bytes());
                    let (by, edit) = (PEOPLE[by], Some(Arc::new(edit)));
                    let answer = PersonAnswer {
                        call: ASKED, by: by.to_owned(), yes: true, bound: now, words: None, edit, standing: None,
                        only: Vec::new(),
                    };
                    if let Answer::Given { bound, .. } =
                        stage.lane(START, &Command::Answer(Box::new(answer))).answer
                    {
                        prop_assert!(["lee", "lou", "max"].contains(&by));
                        (args, yeses) = (changed, [yeses, vec![(bound, by)]].concat());
                    }
                }
                Step::Release => {
                    let call = rebuilt(ASKED, pending(&stage.state), &args);
                    let decision = stage.lane(START, &Command::Release(Arc::new(call)));
                    let released = decision.answer.ruling() == Some(Ruling::Allow);
                    prop_assert_eq!(released, enough, "{:?}", decision.answer);
                    if released {
                        prop_assert!(stage.state.pending.is_empty() && stage.state.answered.is_empty());
                        return Ok(());
                    }
                }
            }
        }
    }
}
