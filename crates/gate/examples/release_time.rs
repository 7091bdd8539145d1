//! How long a yes takes to reach its tool: `cargo run --release -p gate --example release_time [WAITING] [YESES]`.
//!
//! A gate over SQLite in a temporary folder holds many calls that wait for people. Then some are approved one by one;
//! each is timed from the answer to the moment at which the tool gets it, with the ledger's syncs between them.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "an example talks and may fail"
)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use gate::permit::Permit;
use gate::port::{Cancel, Feed, Reach, Reached, Reaching};
use gate::vault::Secret;
use gate::{AnswerAsk, CallAsk, Gate, InboxAsk, OpenAsk, Options};
use kernel::agent::May;
use kernel::approvers::Approvals;
use kernel::call::Outcome;
use serde_json::json;
use tokio::sync::mpsc;

#[allow(dead_code, reason = "the builders of the kernel's tests, of which not all are needed here")]
#[path = "../../kernel/tests/it/book.rs"]
mod book;

/// Calls of one run that wait: a family of asks is small, so there are many runs.
const PER_RUN: usize = 20;

/// As the console asks for it.
const PAGE: InboxAsk<'static> = InboxAsk { person: "lee", run: None, agent: None, is_mine: false, most: 200 };

struct Tool(mpsc::Sender<Instant>);

impl Reach for Tool {
    fn kind(&self) -> &'static str {
        "test"
    }

    fn reach(&self, _: Permit, _: Option<Secret>, _: Cancel, _: Feed) -> Reaching {
        let _ = self.0.try_send(Instant::now());
        let reached = Reached {
            outcome: Outcome::Succeeded,
            body: b"{}".to_vec(),
            trouble: None,
            said: None,
            used: None,
        };
        Box::pin(async { reached })
    }
}

fn rules() -> Arc<kernel::rules::Rules> {
    let ask = May { ask: Some("leads".into()), ..book::may("desk.may[0]", "crm.note") };
    let mut book = book::book(vec![book::manifest("desk", vec![ask])]);
    book.house.approvals = Approvals {
        people: [("lee".to_owned(), ["leads".to_owned()].into())].into(),
        per_agent_hour_max: u64::MAX,
        reason_from: 101,
        ..Approvals::default()
    };
    Arc::new(book::compile(book))
}

async fn fill(gate: &Gate, caller: &gate::Caller, waiting: usize) {
    for _ in 0..waiting.div_ceil(PER_RUN) {
        let run = gate.run_open(caller, OpenAsk::default()).await.unwrap().unwrap().run;
        let call = |number: usize| CallAsk {
            run,
            tool: "crm.note".into(),
            args: json!({ "text": format!("note {number}") }),
            reason: Some("because".into()),
            model: None,
            context_tokens: None,
            idempotency_key: None,
        };
        let asked = (0..PER_RUN).map(|number| {
            let (gate, caller, call) = (gate.clone(), caller.clone(), call(number));
            tokio::spawn(async move { gate.call(&caller, call).await.unwrap() })
        });
        for asked in asked.collect::<Vec<_>>() {
            assert!(asked.await.unwrap().verdict.asks());
        }
    }
}

#[tokio::main]
async fn main() {
    let mut numbers = std::env::args().skip(1).map(|text| text.parse().unwrap());
    let (waiting, yeses) = (numbers.next().unwrap_or(10_000), numbers.next().unwrap_or(200));
    let folder = tempfile::tempdir().unwrap();
    let log = ledger::sqlite::Sqlite::open(folder.path(), &ledger::sqlite::Options::default()).unwrap();
    let (sender, mut reached) = mpsc::channel(1_024);
    let options = Options {
        folder: folder.path().to_owned(),
        lanes: 1,
        disk_reserve_bytes: 0,
        clock: Arc::new(gate::clock::Wall),
        reaches: vec![Arc::new(Tool(sender))],
    };
    let gate = Gate::open(options, Box::new(log), rules()).unwrap();
    gate.begin().await.unwrap();
    let key = gate.key_mint("desk", 3_600_000, "ann").await.unwrap().unwrap();
    let caller = gate.identify(&key.secret).unwrap();
    let started = Instant::now();
    fill(&gate, &caller, waiting).await;
    println!("{} calls wait, asked in {:.1} s", gate.waiting_count(), started.elapsed().as_secs_f64());

    let started = Instant::now();
    let page = gate.inbox_page(&PAGE);
    let took = started.elapsed().as_secs_f64() * 1e3;
    println!("a page of the inbox, {} of {}, is shown in {took:.1} ms", page.items.len(), page.waiting);
    let inbox = gate.inbox();
    let mut took: Vec<Duration> = Vec::new();
    for one in inbox.iter().step_by((inbox.len() / yeses).max(1)).take(yeses) {
        let (call, bound) = (one.call, one.bound);
        let yes = AnswerAsk {
            call,
            by: "lee".into(),
            yes: true,
            bound,
            words: None,
            edit: None,
            standing: None,
            only: Vec::new(),
        };
        let said = Instant::now();
        assert!(gate.answer(yes).await.unwrap().unwrap().complete);
        took.push(reached.recv().await.unwrap().duration_since(said));
    }
    took.sort_unstable();
    let at = |part: usize| took[(took.len() - 1) * part / 100].as_secs_f64() * 1e3;
    println!(
        "{} yeses, each to its tool: median {:.1} ms, 99th {:.1} ms, slowest {:.1} ms",
        took.len(),
        at(50),
        at(99),
        at(100)
    );
}
