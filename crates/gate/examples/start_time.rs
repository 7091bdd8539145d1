//! How long a start takes, with and without snapshots, and what the state weighs:
//! `cargo run --release -p gate --example start_time [EVENTS] [OPEN_RUNS]`.
//!
//! The log is made by the real kernel on a real desk and written to SQLite in batches. Each start is measured in a
//! process of its own, so that its peak of memory is its own.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "an example talks and may fail"
)]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gate::clock::Wall;
use gate::desk::{Desk, Law};
use gate::views::RunQuery;
use gate::{Gate, Options};
use kernel::call::{Call, Carrier, Outcome, Settlement};
use kernel::command::{Closing, Command, ControlCommand, OpenRun};
use kernel::event::Stamp;
use kernel::id::{CallId, Mark, RunId};
use kernel::state::{Control, State};
use kernel::time::Time;
use ledger::sqlite::Sqlite;
use ledger::{Batch, CONTROL_LANE, Entry, Log, Payload};
use serde_json::json;

#[allow(dead_code, reason = "the builders of the kernel's tests, of which not all are needed here")]
#[path = "../../kernel/tests/it/book.rs"]
mod book;

const CALLS_PER_RUN: u128 = 12;
const CALLS_PER_OPEN_RUN: u128 = 3;
const START: Time = Time(1_795_262_400_000);

fn rules() -> Arc<kernel::rules::Rules> {
    let mut book = book::book(vec![book::desk()]);
    // Ten years: nothing expires while this runs.
    book.house.run_ttl_ms = 315_360_000_000;
    Arc::new(book::compile(book))
}

fn open_log(folder: &Path) -> Sqlite {
    Sqlite::open(folder, &ledger::sqlite::Options::default()).unwrap()
}

/// Writes what one desk decides, in batches.
struct Maker {
    log: Sqlite,
    desk: Desk,
    law: Law,
    batch: Vec<Entry>,
    written: u64,
    calls: u128,
    runs: u128,
}

impl Maker {
    fn new(folder: &Path) -> Maker {
        let (mut log, rules) = (open_log(folder), rules());
        let payload = Payload::new("rules", [7; 32], rules.book.text(), true);
        let activate = ControlCommand::Activate {
            digest: rules.digest,
            payload: payload.commitment,
            agents: 1,
            tools: 1,
            by: "start".into(),
        };
        let mut control = Control::default();
        let event = kernel::decide::decide_control(&control, &rules, &activate).events.remove(0);
        let stamp = Stamp { at: START, lane: CONTROL_LANE, lane_seq: 1, tenant: "default".into() };
        control.apply(&stamp, &event);
        let entry = Entry {
            lane: CONTROL_LANE,
            lane_seq: 1,
            time_ms: START.0,
            bytes: event.encode(&stamp),
            bumps_epoch: true,
            payloads: vec![payload],
        };
        log.append(&Batch { entries: vec![entry], control_head: Some(0) }).unwrap();
        let law = Law { rules, control: Arc::new(control), epoch: 1 };
        let desk = Desk { lane: 1, state: State::default() };
        Maker { log, desk, law, batch: Vec::new(), written: 1, calls: 0, runs: 0 }
    }

    fn take(&mut self, command: &Command, payloads: Vec<Payload>) {
        let now = START.plus_ms(self.written);
        let entries = self.desk.take(&self.law, command, payloads, now).unwrap().entries;
        self.written += u64::try_from(entries.len()).unwrap();
        self.batch.extend(entries);
        if self.batch.len() > 2_000 {
            self.flush();
        }
    }

    fn flush(&mut self) {
        let entries = std::mem::take(&mut self.batch);
        self.log.append(&Batch { entries, control_head: Some(1) }).unwrap();
    }

    fn open_run(&mut self) -> RunId {
        self.runs += 1;
        let run = RunId::new(START, u80(self.runs));
        let open = OpenRun {
            run,
            agent: "desk".into(),
            person: None,
            intent: None,
            implicit: None,
            parent: None,
            credential: None,
            budget: None,
        };
        self.take(&Command::OpenRun(open), Vec::new());
        run
    }

    /// Every third call has an idempotency key, as writes have.
    fn call(&mut self, run: RunId) {
        self.calls += 1;
        let id = CallId::new(START, u80(self.calls));
        let args = json!({ "id": format!("{}", self.calls) });
        let payload = Payload::new("args", [7; 32], stdx::json::canonical(&args), false);
        let call = Call {
            part: None,
            touches: Vec::new(),
            facts: Vec::new(),
            id,
            run,
            agent: "desk".into(),
            tool: "crm.lookup".into(),
            args,
            args_commitment: payload.commitment,
            args_mark: Mark(self.calls.to_be_bytes()),
            key_mark: self.calls.is_multiple_of(3).then(|| Mark(self.calls.to_be_bytes())),
            bound: Default::default(),
            reasoning: None,
            model: Some("some-model".into()),
            context_tokens: Some(12_000),
            carrier: Carrier::Gate,
            destinations: Vec::new(),
            hosts: Vec::new(),
            credential: None,
            ask_marks: None,
        };
        self.take(&Command::Propose(Arc::new(call)), vec![payload]);
        let body = Payload::new("result", [7; 32], b"{\"ok\":true}".to_vec(), false);
        let settlement = Settlement {
            undo: None,
            facts: Vec::new(),
            call: id,
            agent: None,
            outcome: Outcome::Succeeded,
            result: Some(body.commitment),
            result_mark: None,
            transient: false,
            used: Default::default(),
            duration_ms: 5,
            trouble: None,
        };
        self.take(&Command::Settle(settlement), vec![body]);
    }

    fn fill(&mut self, events: u64, open_runs: u64) {
        let of_open = open_runs * (1 + 2 * u64::try_from(CALLS_PER_OPEN_RUN).unwrap());
        while self.written + of_open < events {
            let run = self.open_run();
            (0..CALLS_PER_RUN).for_each(|_| self.call(run));
            let (outcome, by) = (Closing::Success, "desk".into());
            let close = Command::CloseRun { run, agent: None, outcome, workflow: None, by };
            self.take(&close, Vec::new());
        }
        for _ in 0..open_runs {
            let run = self.open_run();
            (0..CALLS_PER_OPEN_RUN).for_each(|_| self.call(run));
        }
        self.flush();
    }
}

fn u80(number: u128) -> [u8; 10] {
    number.to_be_bytes()[6..].try_into().unwrap()
}

fn timed<T>(what: &str, run: impl FnOnce() -> T) -> T {
    let started = Instant::now();
    let made = run();
    println!("  {what:44} {:9.1} ms", started.elapsed().as_secs_f64() * 1_000.0);
    made
}

/// Of this process so far.
fn print_memory() {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line =
        |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned();
    println!("  resident {}, at most {}", line("VmRSS:"), line("VmHWM:"));
}

#[tokio::main]
async fn start(folder: &Path) {
    let log = timed("the log's own check at open", || open_log(folder));
    let options = Options {
        folder: folder.to_owned(),
        lanes: 1,
        disk_reserve_bytes: 0,
        clock: Arc::new(Wall),
        reaches: Vec::new(),
    };
    let rules = rules();
    let gate = timed("`Gate::open`", || Gate::open(options, Box::new(log), rules).unwrap());
    let began = Instant::now();
    gate.begin().await.unwrap();
    println!("  {:44} {:9.1} ms", "`Gate::begin`", began.elapsed().as_secs_f64() * 1_000.0);
    print_memory();
    let head = gate.counts().head_index;
    while gate.runs(RunQuery { limit: 1, ..RunQuery::default() }).await.unwrap().as_of < head {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    println!("  {:44} {:9.1} ms", "until the views have caught up", began.elapsed().as_secs_f64() * 1_000.0);
    let stopping = Instant::now();
    gate.stop(Duration::from_secs(5)).await;
    println!("  {:44} {:9.1} ms", "`Gate::stop`", stopping.elapsed().as_secs_f64() * 1_000.0);
}

/// The parts of a start by themselves.
fn parts(folder: &Path) {
    let mut log = open_log(folder);
    let mut reader = log.reader().unwrap();
    ["control", "lane-1"].iter().for_each(|name| log.put_snapshot(name, 0, b"").unwrap());
    let folded = timed("fold of every event", || gate::fold::fold(reader.as_mut(), 1).unwrap());
    print_memory();
    timed("clone of the state", || drop(folded.desks[0].state.clone()));
    let snapshots: Vec<_> = timed("snapshots as bytes", || folded.snapshots().collect());
    for (name, bytes) in &snapshots {
        println!("  {name}: {} bytes", bytes.len());
        timed("written to disk", || log.put_snapshot(name, folded.index, bytes).unwrap());
        timed("written once more, over itself", || log.put_snapshot(name, folded.index, bytes).unwrap());
    }
    timed("fold from the snapshots", || gate::fold::fold(reader.as_mut(), 1).unwrap());
    ["control", "lane-1"].iter().for_each(|name| log.put_snapshot(name, 0, b"").unwrap());
}

fn alone(what: &str, folder: &Path) {
    let program = std::env::current_exe().unwrap();
    let ended = std::process::Command::new(program).arg(what).arg(folder).status().unwrap();
    assert!(ended.success());
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["parts", folder] => return parts(Path::new(folder)),
        ["start", folder] => return start(Path::new(folder)),
        _ => {}
    }
    let number = |at: usize, default| args.get(at).map_or(default, |text| text.parse().unwrap());
    let (events, open_runs) = (number(0, 1_000_000), number(1, 100_000));
    // In this folder, since a temporary folder may be memory.
    for open_runs in [100, open_runs] {
        let folder = tempfile::tempdir_in(".").unwrap();
        let mut maker = Maker::new(folder.path());
        maker.fill(events, open_runs);
        println!("{} events, {open_runs} open runs", maker.written);
        drop(maker);
        println!("{} MiB of log", std::fs::metadata(folder.path().join("ledger.db")).unwrap().len() >> 20);
        alone("parts", folder.path());
        for what in ["without a snapshot, and without views", "again"] {
            println!("a start {what}");
            alone("start", folder.path());
        }
    }
}
