//! What accounts add to a decision: `cargo run --release -p kernel --example account_rate [CALLS]`.
//!
//! Each scene decides and folds the same calls and settles them; the first has no budget but the house's cap.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "an example talks and may fail"
)]

use std::sync::Arc;
use std::time::Instant;

use kernel::account::{Amount, Limits};
use kernel::call::{Call, Carrier, Outcome, Settlement};
use kernel::command::{Answer, Command, OpenRun};
use kernel::decide::lend::decide_lend;
use kernel::decide::{Decision, decide};
use kernel::event::{Charged, Event, SlicesLent, Stamp};
use kernel::id::{CallId, Mark, RunId};
use kernel::lending::Part;
use kernel::rules::Rules;
use kernel::state::{Control, State};
use kernel::time::Time;
use kernel::window::{AccountId, Owner, Window};
use serde_json::json;
use stdx::digest::Digest;

#[allow(dead_code, reason = "the builders of the kernel's tests, of which not all are needed here")]
#[path = "../tests/it/book.rs"]
mod book;

const NOW: Time = Time(1_795_262_400_000);
const OTHERS: u64 = 100_000;
const HOT_RUNS: u128 = 256;
/// Calls of one scene before the next has its turn.
const TURN: usize = 256;

/// Far beyond what is spent here, so that each call is permitted and crosses no threshold.
const PLENTY: u64 = 1 << 50;

fn rules(per_run: bool, wide: bool) -> Rules {
    let plenty = Limits { usd_nanos: Some(PLENTY), calls: Some(PLENTY), ..Limits::default() };
    let mut desk = book::desk();
    if per_run {
        desk.per_run = Limits { writes: Some(PLENTY), irreversible: Some(PLENTY), ..plenty.clone() };
    }
    if wide {
        desk.windows = [(Window::Day, plenty.clone()), (Window::Month, plenty.clone())].into();
    }
    let mut book = book::book(vec![desk]);
    if wide {
        book.house.tenants = [("default".to_owned(), [(Window::Month, plenty)].into())].into();
    }
    book.house.calls_per_run_max = PLENTY;
    book.house.depth_max = 8;
    book.house.children_max = 1_000;
    book::compile(book)
}

struct World {
    rules: Rules,
    state: State,
    control: Control,
    calls: u128,
}

impl World {
    fn new(rules: Rules) -> World {
        World { rules, state: State::default(), control: Control::default(), calls: 0 }
    }

    fn fold(&mut self, decision: &Decision) {
        for event in &decision.events {
            let stamp = Stamp { at: NOW, lane: 1, lane_seq: self.state.seq + 1, tenant: "default".into() };
            self.state.apply(&stamp, event);
        }
    }

    fn control(&mut self, event: &Event) {
        let stamp = Stamp { at: NOW, lane: 0, lane_seq: self.control.seq + 1, tenant: "default".into() };
        self.control.apply(&stamp, event);
    }

    fn open(&mut self, run: RunId, parent: Option<RunId>) {
        let open = OpenRun {
            run,
            agent: "desk".into(),
            person: None,
            intent: None,
            implicit: None,
            parent,
            credential: None,
            budget: None,
        };
        let decision = decide(&self.state, &self.control, &self.rules, &Command::OpenRun(open), NOW);
        assert!(matches!(decision.answer, Answer::Opened { .. }), "{decision:?}");
        self.fold(&decision);
    }

    /// Accounts of others, which nobody asks for here.
    fn crowd(&mut self) {
        let amount = Amount { calls: 1, ..Amount::default() };
        for n in 0..OTHERS {
            let owner = Owner::Agent(format!("agent-{n}").into());
            let account = AccountId { owner, window: Window::Day, from: NOW };
            let slices = vec![Part { account: account.clone(), amount: amount.clone() }];
            self.control(&Event::SlicesLent(SlicesLent { slices, to: 1 }));
            let (by, why) = (String::new(), String::new());
            let charged =
                Charged { accounts: vec![account], amount: amount.clone(), by, run: RunId(u128::MAX), why };
            self.fold(&Decision { answer: Answer::Done, events: vec![Event::Charged(charged)] });
        }
    }

    /// Nanoseconds of one decision and of its settling, each with its fold.
    fn call(&mut self, run: RunId) -> u128 {
        self.calls += 1;
        let id = CallId(self.calls);
        let call = Arc::new(Call {
            part: None,
            touches: Vec::new(),
            facts: Vec::new(),
            id,
            run,
            agent: "desk".into(),
            tool: "pay.refund".into(),
            args: json!({ "cents": 7 }),
            args_commitment: Digest([0; 32]),
            args_mark: Mark(self.calls.to_be_bytes()),
            key_mark: None,
            bound: Default::default(),
            reasoning: None,
            model: None,
            context_tokens: None,
            carrier: Carrier::Gate,
            destinations: Vec::new(),
            hosts: Vec::new(),
            credential: None,
            ask_marks: None,
        });
        let command = Command::Propose(call);
        let mut started = Instant::now();
        let mut decision = decide(&self.state, &self.control, &self.rules, &command, NOW);
        if let Answer::Short(needs) = &decision.answer {
            let lent = decide_lend(&self.control, &self.rules, 1, 1, needs, NOW);
            lent.events.iter().for_each(|event| self.control(event));
            started = Instant::now();
            decision = decide(&self.state, &self.control, &self.rules, &command, NOW);
        }
        self.fold(&decision);
        let decided = started.elapsed();
        assert!(decision.answer.ruling() == Some(kernel::verdict::Ruling::Allow), "{decision:?}");
        let settlement = Settlement {
            undo: None,
            facts: Vec::new(),
            call: id,
            agent: None,
            outcome: Outcome::Succeeded,
            result: None,
            used: Default::default(),
            duration_ms: 5,
            trouble: None,
            result_mark: None,
            transient: false,
        };
        let settle = Command::Settle(settlement);
        let started = Instant::now();
        let settled = decide(&self.state, &self.control, &self.rules, &settle, NOW);
        self.fold(&settled);
        (decided + started.elapsed()).as_nanos()
    }
}

struct Scene {
    name: &'static str,
    world: World,
    runs: Vec<RunId>,
    times: Vec<u128>,
}

impl Scene {
    fn new(name: &'static str, world: World, runs: Vec<RunId>) -> Scene {
        Scene { name, world, runs, times: Vec::new() }
    }

    fn play(&mut self, calls: usize) {
        for n in 0..calls {
            let run = self.runs[n % self.runs.len()];
            self.times.push(self.world.call(run));
        }
    }

    fn at(&self, percent: usize) -> u128 {
        self.times[(self.times.len() - 1) * percent / 100]
    }
}

/// Scenes take turns, so that a machine that is slower for a while is so for all of them.
fn main() {
    let calls: usize = std::env::args().nth(1).map_or(20_000, |text| text.parse().unwrap());
    let one = |rules: Rules| {
        let mut world = World::new(rules);
        world.open(RunId(1), None);
        world
    };
    let mut deep = one(rules(true, true));
    for run in 2..=6 {
        deep.open(RunId(run), Some(RunId(run - 1)));
    }
    let mut crowded = one(rules(true, true));
    crowded.crowd();
    let mut hot = World::new(rules(true, true));
    let runs: Vec<RunId> = (1..=HOT_RUNS).map(RunId).collect();
    runs.iter().for_each(|run| hot.open(*run, None));
    let first = || vec![RunId(1)];
    let mut scenes = [
        Scene::new("no budget but the house's cap", one(rules(false, false)), first()),
        Scene::new("a budget of the run", one(rules(true, false)), first()),
        Scene::new("and a day, a month and a tenant's month", one(rules(true, true)), first()),
        Scene::new("the same five runs deep", deep, vec![RunId(6)]),
        Scene::new("the same among 100,000 accounts", crowded, first()),
        Scene::new("the same shared by 256 runs", hot, runs),
    ];
    for _ in 0..calls.div_ceil(TURN) {
        scenes.iter_mut().for_each(|scene| scene.play(TURN));
    }
    scenes.iter_mut().for_each(|scene| scene.times.sort_unstable());
    let base = scenes[0].at(50);
    for scene in &scenes {
        let (name, half, most) = (scene.name, scene.at(50), scene.at(99));
        let added = half.saturating_sub(base);
        println!("{name:44} p50 {half:>7} ns  p99 {most:>7} ns  added {added:>6} ns");
    }
}
