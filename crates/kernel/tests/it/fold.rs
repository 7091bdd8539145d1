//! Random histories: the fold of what was written is the state that was decided on, and no account is overdrawn.

use std::collections::BTreeSet;
use std::sync::Arc;

use kernel::account::{Currency, Limits, Used};
use kernel::call::{Carrier, Outcome, Settlement};
use kernel::command::{Closing, Command, OpenRun};
use kernel::decide::decide;
use kernel::event::{Event, Stamp};
use kernel::id::{CallId, RunId};
use kernel::rules::Rules;
use kernel::state::{Control, State};
use kernel::time::Time;
use proptest::prelude::*;

use crate::book::{book, compile, desk};
use crate::script::{START, call};

#[derive(Clone, Debug)]
pub(crate) enum Step {
    Open(u128),
    Close(u128),
    Call { run: u128, tool: usize, key: Option<u8>, executor: bool },
    Settle { nth: usize, outcome: Outcome, used: Option<u64> },
    Refused(u128),
    Sweep,
    Restart,
}

const TOOLS: [(&str, &str); 4] = [
    ("crm.lookup", r#"{"id":"7"}"#),
    ("crm.note", "{}"),
    ("pay.refund", r#"{"cents":1}"#),
    ("crm.erase", "{}"),
];

pub(crate) fn step() -> impl Strategy<Value = Step> {
    let outcome = prop_oneof![
        Just(Outcome::Succeeded),
        Just(Outcome::Failed),
        Just(Outcome::Unknown),
        Just(Outcome::NotDispatched)
    ];
    let settle = (any::<prop::sample::Index>(), outcome, prop::option::of(0..=10u64));
    let call = (1..7u128, 0..4usize, prop::option::weighted(0.3, 0..3u8), any::<bool>());
    prop_oneof![
        2 => (1..7u128).prop_map(Step::Open),
        1 => (1..7u128).prop_map(Step::Close),
        12 => call.prop_map(|(run, tool, key, executor)| Step::Call { run, tool, key, executor }),
        8 => settle.prop_map(|(nth, outcome, used)| Step::Settle { nth: nth.index(1 << 16), outcome, used }),
        1 => (1..7u128).prop_map(Step::Refused),
        1 => Just(Step::Sweep),
        1 => Just(Step::Restart),
    ]
}

fn rules() -> Rules {
    let mut agent = desk();
    agent.executor = true;
    agent.per_run.calls = Some(9);
    agent.per_run.writes = Some(5);
    agent.per_run.irreversible = Some(3);
    agent.per_run.usd_nanos = Some(25);
    let mut book = book(vec![agent]);
    book.house.refusals_per_minute_max = 4;
    book.house.run_ttl_ms = 120_000;
    compile(book)
}

/// Moves one state along, as a desk does, and keeps what was written.
pub(crate) struct World {
    rules: Rules,
    pub(crate) state: State,
    pub(crate) written: Vec<(Stamp, Event)>,
    asked: u128,
    opened: BTreeSet<u128>,
}

impl World {
    fn command(&mut self, step: &Step) -> Option<Command> {
        let agent = || "desk".to_owned();
        Some(match step {
            Step::Open(run) => {
                // Ids are never used twice.
                let run = Some(RunId(*run)).filter(|_| self.opened.insert(*run))?;
                Command::OpenRun(OpenRun {
                    run,
                    agent: agent(),
                    person: None,
                    intent: None,
                    implicit: None,
                    parent: None,
                    budget: None,
                    credential: None,
                })
            }
            Step::Close(run) => {
                let (run, outcome) = (RunId(*run), Closing::Success);
                Command::CloseRun { run, agent: Some(agent()), outcome, workflow: None, by: agent() }
            }
            Step::Call { run, tool, key, executor } => {
                self.asked += 1;
                let (tool, args) = TOOLS[*tool];
                let carrier = if *executor { Carrier::Executor } else { Carrier::Gate };
                let key = key.map(|key| key.to_string());
                let call = call(CallId(self.asked), RunId(*run), "desk", tool, args, key.as_deref(), carrier);
                Command::Propose(Arc::new(call))
            }
            Step::Settle { nth, outcome, used } => {
                let mut open: Vec<_> = self.state.calls.iter().collect();
                open.sort_by_key(|(id, _)| **id);
                let (call, known) = open.get(nth % open.len().max(1))?;
                let known_used = Limits { usd_nanos: *used, ..Limits::default() };
                let used = Used { known: known_used, counts_are_known: false };
                let agent = (known.carrier == Carrier::Executor).then(|| known.agent.clone());
                Command::Settle(Settlement {
                    undo: None,
                    facts: Vec::new(),
                    call: **call,
                    agent,
                    outcome: *outcome,
                    result: None,
                    result_mark: None,
                    transient: false,
                    used,
                    duration_ms: 1,
                    trouble: None,
                })
            }
            Step::Refused(run) => {
                Command::Refused { agent: agent(), run: Some(RunId(*run)), code: "bad".into() }
            }
            Step::Sweep => Command::Sweep,
            Step::Restart => Command::Restarted,
        })
    }

    fn take(&mut self, step: &Step, now: Time) {
        let Some(command) = self.command(step) else { return };
        let decision = decide(&self.state, &Control::default(), &self.rules, &command, now);
        let at = now.max(self.state.last);
        for event in decision.events {
            let stamp = Stamp { at, lane: 1, lane_seq: self.state.seq + 1, tenant: "default".into() };
            self.state.apply(&stamp, &event);
            self.written.push((stamp, event));
            self.nothing_is_overdrawn();
        }
    }

    fn nothing_is_overdrawn(&self) {
        let limits = self.rules.run_limits(self.rules.agent("desk").unwrap());
        for run in self.state.runs.values() {
            for currency in Currency::ALL {
                let taken = run.account.posted.get(currency) + run.account.pending.get(currency);
                assert!(limits.get(currency).is_none_or(|limit| taken <= limit), "{currency:?} {taken}");
            }
        }
    }
}

/// A state as text, with its maps in order.
pub(crate) fn text(state: &State) -> String {
    let mut lines = vec![format!("{} {:?} {:?}", state.seq, state.last, state.due)];
    lines.extend(state.calls.iter().map(|(id, call)| format!("{id} {call:?}")));
    for (id, run) in &state.runs {
        let mut run = run.clone();
        let mut maps: Vec<String> = run.by_tool.drain().map(|tool| format!("{tool:?}")).collect();
        maps.extend(run.keyed.drain().map(|keyed| format!("{keyed:?}")));
        maps.sort();
        lines.push(format!("{id} {run:?} {maps:?}"));
    }
    lines[1..].sort();
    lines.join("\n")
}

pub(crate) fn play(steps: &[(Step, u64)]) -> World {
    let (state, written) = (State::default(), Vec::new());
    let mut world = World { rules: rules(), state, written, asked: 0, opened: BTreeSet::new() };
    let mut now = START;
    (1..4).for_each(|run| world.take(&Step::Open(run), now));
    for (step, wait) in steps {
        now = now.plus_ms(*wait);
        world.take(step, now);
    }
    world
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn the_fold_of_what_was_written_is_the_state(steps in prop::collection::vec((step(), 0..2_000u64), 0..120)) {
        let world = play(&steps);
        let mut folded = State::default();
        for (stamp, event) in &world.written {
            let (stamp, event) = Event::decode(&event.encode(stamp)).unwrap();
            folded.apply(&stamp, &event);
        }
        prop_assert_eq!(text(&folded), text(&world.state));
    }

    #[test]
    fn when_all_is_settled_nothing_is_pending(steps in prop::collection::vec((step(), 0..50u64), 0..120)) {
        let mut world = play(&steps);
        while !world.state.calls.is_empty() {
            let settle = Step::Settle { nth: 0, outcome: Outcome::Succeeded, used: None };
            world.take(&settle, world.state.last);
        }
        for run in world.state.runs.values() {
            prop_assert_eq!(&run.account.pending, &kernel::account::Amount::default());
        }
    }
}
