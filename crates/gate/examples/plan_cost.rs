//! What a plan costs over its bare calls: `cargo run --release -p gate --example plan_cost [ROUNDS] [PLANS]`.
//!
//! Ten writes over SQLite, each synced before it is answered: as single calls one after the other and side by side, as
//! a plan of ten steps in a chain and side by side, and as a plan whose last step fails, so that nine are taken back.
//! With PLANS so many runs are left in the middle of a plan, and a start goes on with all of them.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "an example talks and may fail")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use gate::clock::Wall;
use gate::permit::Permit;
use gate::port::{Cancel, Feed, Reach, Reached, Reaching};
use gate::vault::Secret;
use gate::{CallAsk, Caller, Gate, OpenAsk, Options};
use kernel::call::Outcome;
use kernel::contract::Effect;
use kernel::deed::{Deed, Undo};
use kernel::id::RunId;
use kernel::phase::Phase;
use kernel::progress::Stage;
use kernel::rules::Rules;
use serde_json::{Value, json};

#[allow(dead_code, reason = "the builders of the kernel's tests, of which not all are needed here")]
#[path = "../../kernel/tests/it/book.rs"]
mod book;

const STEPS: usize = 10;

/// Answers at once; what is to fail says so in its arguments.
struct Instantly;

impl Reach for Instantly {
    fn kind(&self) -> &'static str {
        "test"
    }

    fn reach(&self, permit: Permit, _: Option<Secret>, _: Cancel, _: Feed) -> Reaching {
        let fails = permit.call().args.get("fails") == Some(&json!(true));
        let outcome = if fails { Outcome::Failed } else { Outcome::Succeeded };
        Box::pin(async move {
            Reached { outcome, body: b"{\"id\":7}".to_vec(), trouble: None, said: None, used: None }
        })
    }
}

fn rules() -> Rules {
    let schema =
        json!({ "type": "object", "properties": { "n": {}, "fails": {}, "key": {} }, "required": ["n"] });
    let mut planner = book::anything("planner");
    planner.phases = true;
    let mut book = book::book(vec![book::desk(), planner]);
    let undo = Undo::Tool {
        tool: "box.take".into(),
        args: json!({ "n": "{args.n}", "id": "{result.id}" }),
        retries: 0,
        within_ms: None,
    };
    let mut put = book::contract("box.put", Effect::Reversible, schema);
    put.deed = Deed { undo: Some(undo), touches: vec!["box:{args.n}".into()], ..Deed::default() };
    let take = book::contract("box.take", Effect::Reversible, json!({ "type": "object" }));
    // What waits for an hour keeps its plan in the middle.
    let mut send = book::contract("box.send", Effect::Irreversible, json!({ "type": "object" }));
    send.deed = Deed { delay_ms: Some(3_600_000), ..Deed::default() };
    for contract in [put, take, send] {
        book.tools.insert(contract.name.clone(), contract);
    }
    book.house.calls_per_run_max = u64::MAX;
    book::compile(book)
}

fn opened(folder: &std::path::Path) -> Gate {
    let log = ledger::sqlite::Sqlite::open(folder, &ledger::sqlite::Options::default()).unwrap();
    let options = Options {
        folder: folder.to_owned(),
        lanes: 1,
        disk_reserve_bytes: 0,
        clock: Arc::new(Wall),
        reaches: vec![Arc::new(Instantly)],
    };
    Gate::open(options, Box::new(log), Arc::new(rules())).unwrap()
}

/// A run whose first step stands, and whose second waits.
async fn left_in_the_middle(gate: Gate, caller: Caller) {
    let run = gate.run_open(&caller, OpenAsk::default()).await.unwrap().unwrap().run;
    let steps = json!([{ "id": "put", "tool": "box.put", "args": { "n": run.to_string() } },
                       { "id": "send", "tool": "box.send", "args": {}, "after": ["put"] }]);
    gate.phase(&caller, run, Phase::Decide).await.unwrap().unwrap();
    gate.plan(&caller, run, json!({ "steps": steps })).await.unwrap().unwrap();
    let going = tokio::spawn({
        let (gate, caller) = (gate.clone(), caller.clone());
        async move { gate.commit(&caller, run, None).await }
    });
    while gate.plan_progress(run).is_none_or(|progress| progress.ended == 0) {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    going.abort();
}

/// How long a start takes that finds so many plans under way, and gives each its engine again.
async fn recovery(plans: usize) {
    let folder = tempfile::tempdir().unwrap();
    let gate = opened(folder.path());
    gate.begin().await.unwrap();
    let key = gate.key_mint("planner", 3_600_000, "ann").await.unwrap().unwrap();
    let caller = gate.identify(&key.secret).unwrap();
    let turns = Arc::new(tokio::sync::Semaphore::new(64));
    let mut leaving = tokio::task::JoinSet::new();
    for _ in 0..plans {
        let (gate, caller, turns) = (gate.clone(), caller.clone(), turns.clone());
        leaving.spawn(async move {
            let _turn = turns.acquire_owned().await;
            left_in_the_middle(gate, caller).await;
        });
    }
    while let Some(left) = leaving.join_next().await {
        left.unwrap();
    }
    gate.stop(Duration::from_secs(1)).await;
    drop(gate);
    // The engines of plans let go of the folder when they next look.
    while ledger::sqlite::Sqlite::open(folder.path(), &ledger::sqlite::Options::default()).is_err() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let started = Instant::now();
    let gate = opened(folder.path());
    gate.begin().await.unwrap();
    println!("a start with {plans} plans under way: {:.2} ms", started.elapsed().as_secs_f64() * 1_000.0);
    gate.stop(Duration::from_secs(1)).await;
}

struct Stage10 {
    gate: Gate,
    desk: Caller,
    planner: Caller,
}

impl Stage10 {
    async fn new(folder: &std::path::Path) -> Stage10 {
        let gate = opened(folder);
        gate.begin().await.unwrap();
        let mut callers = Vec::new();
        for agent in ["desk", "planner"] {
            let key = gate.key_mint(agent, 3_600_000, "ann").await.unwrap().unwrap();
            callers.push(gate.identify(&key.secret).unwrap());
        }
        let planner = callers.pop().unwrap();
        Stage10 { gate, desk: callers.pop().unwrap(), planner }
    }

    async fn open(&self, caller: &Caller) -> RunId {
        self.gate.run_open(caller, OpenAsk::default()).await.unwrap().unwrap().run
    }

    async fn bare(&self, run: RunId, n: usize) {
        let ask = CallAsk {
            run,
            tool: "box.put".into(),
            args: json!({ "n": n }),
            reason: None,
            model: None,
            context_tokens: None,
            idempotency_key: None,
        };
        let answered = self.gate.call(&self.desk, ask).await.unwrap();
        assert_eq!(answered.outcome, Some(Outcome::Succeeded));
    }

    async fn one_by_one(&self) -> Duration {
        let run = self.open(&self.desk).await;
        let started = Instant::now();
        for n in 0..STEPS {
            self.bare(run, n).await;
        }
        started.elapsed()
    }

    async fn at_once(self: &Arc<Self>) -> Duration {
        let run = self.open(&self.desk).await;
        let started = Instant::now();
        let calls = (0..STEPS).map(|n| {
            let stage = self.clone();
            tokio::spawn(async move { stage.bare(run, n).await })
        });
        for call in calls.collect::<Vec<_>>() {
            call.await.unwrap();
        }
        started.elapsed()
    }

    /// The time of the proposal, and that of the commit.
    async fn plan(&self, is_chain: bool, fails: bool) -> (Duration, Duration) {
        let run = self.open(&self.planner).await;
        self.gate.phase(&self.planner, run, Phase::Decide).await.unwrap().unwrap();
        let step = |n: usize| {
            let after: Vec<String> = (is_chain && n > 0).then(|| format!("s{}", n - 1)).into_iter().collect();
            json!({ "id": format!("s{n}"), "tool": "box.put", "after": after,
                    "args": { "n": n, "fails": fails && n + 1 == STEPS } })
        };
        let written = json!({ "steps": (0..STEPS).map(step).collect::<Vec<Value>>() });
        let started = Instant::now();
        self.gate.plan(&self.planner, run, written).await.unwrap().unwrap();
        let proposed = started.elapsed();
        let started = Instant::now();
        let shown = self.gate.commit(&self.planner, run, None).await.unwrap().unwrap();
        assert_eq!(shown.stage, if fails { Stage::RolledBack } else { Stage::Committed });
        (proposed, started.elapsed())
    }
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or_default().as_secs_f64() * 1_000.0
}

#[tokio::main]
async fn main() {
    let rounds: usize = std::env::args().nth(1).and_then(|word| word.parse().ok()).unwrap_or(50);
    let folder = tempfile::tempdir().unwrap();
    let stage = Arc::new(Stage10::new(folder.path()).await);
    let (mut one, mut once) = (Vec::new(), Vec::new());
    let (mut proposals, mut chain, mut fan, mut back) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let commits = |stage: &Stage10| stage.gate.counts().commits;
    let mut syncs = (0, 0);
    for _ in 0..rounds {
        let before = commits(&stage);
        one.push(stage.one_by_one().await);
        let between = commits(&stage);
        let (proposal, committed) = stage.plan(true, false).await;
        syncs = (syncs.0 + between - before, syncs.1 + commits(&stage) - between);
        proposals.push(proposal);
        chain.push(committed);
        once.push(stage.at_once().await);
        fan.push(stage.plan(false, false).await.1);
        back.push(stage.plan(true, true).await.1);
    }
    let rounds = u64::try_from(rounds).unwrap();
    println!("{STEPS} writes over SQLite, median of {rounds} rounds");
    println!(
        "single calls, one after the other: {:.2} ms, {} commits",
        median(one.clone()),
        syncs.0 / rounds
    );
    println!(
        "a plan, as a chain: {:.2} ms, {} commits with its proposal",
        median(chain.clone()),
        syncs.1 / rounds
    );
    println!("single calls at once: {:.2} ms", median(once.clone()));
    println!("a plan, side by side: {:.2} ms", median(fan.clone()));
    println!("its proposal: {:.2} ms", median(proposals));
    println!("a plan that fails at the end and is taken back: {:.2} ms", median(back));
    let steps = f64::from(u32::try_from(STEPS).unwrap());
    println!("added to a step of a chain: {:.2} ms", (median(chain) - median(one)) / steps);
    println!("added to a step side by side: {:.2} ms", (median(fan) - median(once)) / steps);
    if let Some(plans) = std::env::args().nth(2).and_then(|word| word.parse().ok()) {
        recovery(plans).await;
    }
}
