//! How many decisions a second, in process: `cargo run --release -p gate --example decide_rate [SECONDS]`.
//!
//! Each is decided by the kernel, encoded, written to SQLite with its payloads and synced before it is answered.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "an example talks and may fail"
)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use gate::clock::{Clock, Wall};
use gate::permit::Permit;
use gate::port::{Cancel, Feed, Reach, Reached, Reaching};
use gate::vault::Secret;
use gate::{CallAsk, Caller, Gate, OpenAsk, Options};
use kernel::account::Limits;
use kernel::book::{Book, RuleFile};
use kernel::call::{Call, Carrier, Outcome};
use kernel::command::{Command, OpenRun};
use kernel::decide::decide;
use kernel::event::Stamp;
use kernel::id::{CallId, Mark, RunId};
use kernel::rules::Rules;
use kernel::state::{Control, State};
use serde_json::json;
use stdx::digest::Digest;

#[allow(dead_code, reason = "the builders of the kernel's tests, of which not all are needed here")]
#[path = "../../kernel/tests/it/book.rs"]
mod book;

const AGENTS: usize = 20;
const TOOLS: usize = 50;

struct Instantly;

impl Reach for Instantly {
    fn kind(&self) -> &'static str {
        "test"
    }

    fn reach(&self, _: Permit, _: Option<Secret>, _: Cancel, _: Feed) -> Reaching {
        let body = b"{\"ok\":true}".to_vec();
        Box::pin(async {
            Reached { outcome: Outcome::Succeeded, body, trouble: None, said: None, used: None }
        })
    }
}

/// Nine tenths of the rules are lines of twenty manifests, one tenth are free rules about one tool each.
fn rules(count: usize) -> Rules {
    let tool = |n: usize| format!("crm.tool_{}", n % TOOLS);
    let schema = json!({ "type": "object", "required": ["cents", "note"],
        "properties": { "cents": { "type": "integer" }, "note": { "type": "string" } } });
    let agents = (0..AGENTS).map(|agent| {
        let name = if agent == 0 { "desk".to_owned() } else { format!("agent_{agent}") };
        let line = |n| {
            let id = format!("{name}.may[{n}]");
            book::when(&id, &tool(n), &format!("args.cents <= {}", 5_000 + n))
        };
        let mut manifest = book::manifest(&name, (0..count * 9 / 10 / AGENTS).map(line).collect());
        manifest.executor = true;
        manifest.per_run = Limits { usd_nanos: Some(1 << 60), ..Limits::default() };
        manifest
    });
    let mut book: Book = book::book(agents.collect());
    for n in 0..TOOLS {
        let mut contract = book::contract(&tool(n), kernel::contract::Effect::Reversible, schema.clone());
        contract.cost_usd_nanos = 1;
        book.tools.insert(tool(n), contract);
    }
    let free = (0..count / 10).map(|n| {
        let tool = tool(n);
        format!(
            "@id(\"free_{n}\") forbid (principal, action == Remit::Action::\"{tool}\", resource) \
             when {{ context.args.cents > {} }};\n",
            100_000 + n
        )
    });
    book.rules.push(RuleFile { file: "house.cedar".into(), text: free.collect() });
    book.house.calls_per_run_max = u64::MAX;
    book::compile(book)
}

fn ask(run: RunId, n: usize) -> CallAsk {
    CallAsk {
        run,
        tool: format!("crm.tool_{}", n % 4),
        args: json!({ "cents": 4_900 + n % 100, "note": "a refund for a parcel that never came" }),
        reason: Some("the customer waited for three weeks".into()),
        model: Some("some-model".into()),
        context_tokens: Some(12_000),
        idempotency_key: None,
    }
}

fn kernel_alone(rules: &Rules) {
    let (mut state, control, now) = (State::default(), Control::default(), Wall.now());
    let run = RunId(1);
    let open = Command::OpenRun(OpenRun {
        run,
        agent: "desk".into(),
        person: None,
        intent: None,
        implicit: None,
        parent: None,
        budget: None,
        credential: None,
    });
    for event in decide(&state, &control, rules, &open, now).events {
        state.apply(&Stamp { at: now, lane: 1, lane_seq: 1, tenant: "default".into() }, &event);
    }
    let mut times = Vec::new();
    for n in 0..20_000 {
        let CallAsk { tool, args, .. } = ask(run, n);
        let call = Call {
            part: None,
            touches: Vec::new(),
            facts: Vec::new(),
            id: CallId(u128::try_from(n).unwrap()),
            run,
            agent: "desk".into(),
            tool,
            args,
            args_commitment: Digest([0; 32]),
            args_mark: Mark([0; 16]),
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
        };
        let command = Command::Propose(Arc::new(call));
        let started = Instant::now();
        let decision = decide(&state, &control, rules, &command, now);
        times.push(started.elapsed());
        assert!(decision.answer.ruling() == Some(kernel::verdict::Ruling::Allow));
    }
    times.sort();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100].as_nanos();
    println!("kernel `decide` alone: p50 {} ns, p99 {} ns", at(50), at(99));
}

async fn measure(gate: &Gate, caller: &Caller, runs: usize, time: Duration, carried: bool) {
    let commits = gate.counts().commits;
    let started = Instant::now();
    let mut tasks = Vec::new();
    for _ in 0..runs {
        let run = gate.run_open(caller, OpenAsk::default()).await.unwrap().unwrap().run;
        let (gate, caller) = (gate.clone(), caller.clone());
        tasks.push(tokio::spawn(async move {
            let mut times = Vec::new();
            while started.elapsed() < time {
                let began = Instant::now();
                let asked = ask(run, times.len());
                let answered = if carried {
                    gate.call(&caller, asked).await
                } else {
                    gate.decide_only(&caller, asked).await
                };
                assert!(answered.unwrap().verdict.allows());
                times.push(began.elapsed());
            }
            times
        }));
    }
    let mut times = Vec::new();
    for task in tasks {
        times.extend(task.await.unwrap());
    }
    let spent = started.elapsed();
    times.sort();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100].as_micros();
    let rate = u128::try_from(times.len()).unwrap() * 1_000 / spent.as_millis();
    let commits = gate.counts().commits - commits;
    let what = if carried { "call" } else { "decide_only" };
    println!(
        "{what:12} {runs:5} runs {rate:8} /s   p50 {:7} µs   p99 {:7} µs   {commits:6} commits",
        at(50),
        at(99)
    );
}

#[tokio::main]
async fn main() {
    let seconds = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(3);
    for count in [100, 1_000] {
        let rules = rules(count);
        println!("{count} rules");
        kernel_alone(&rules);
        let folder = tempfile::tempdir().unwrap();
        let log = ledger::sqlite::Sqlite::open(folder.path(), &ledger::sqlite::Options::default()).unwrap();
        let options = Options {
            folder: folder.path().to_owned(),
            lanes: 1,
            disk_reserve_bytes: 0,
            clock: Arc::new(Wall),
            reaches: vec![Arc::new(Instantly)],
        };
        let gate = Gate::open(options, Box::new(log), Arc::new(rules)).unwrap();
        gate.begin().await.unwrap();
        let key = gate.key_mint("desk", 3_600_000, "bench").await.unwrap().unwrap();
        let caller = gate.identify(&key.secret).unwrap();
        for carried in [false, true] {
            for runs in [1, 16, 64, 256] {
                measure(&gate, &caller, runs, Duration::from_secs(seconds), carried).await;
            }
        }
        gate.stop(Duration::from_secs(5)).await;
    }
}
