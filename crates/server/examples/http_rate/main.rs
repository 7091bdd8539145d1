//! What Remit does over HTTP, as its clients see it: a real `remit serve`, real keys, one request in flight per run.
//!
//! `cargo run --release -p server --example http_rate -- rate|runs|events|halts [--rules N] [--seconds N] [--quick]
//! [--remit PATH] [--folder PATH]`, after `cargo build --release -p remit`. Remit is held on core 0 and this
//! program on core 1 where `taskset` can do so.
#![allow(
    clippy::unwrap_used,
    unreachable_pub,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::indexing_slicing,
    reason = "an example talks and may fail"
)]

mod halts;
mod house;
mod wire;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use house::House;
use wire::{Line, Request};

/// Connections that open runs at the same time.
const OPENERS: usize = 64;
/// Runs that ask at the same time where only one number of them is measured.
const RUNS: usize = 64;

struct Wanted {
    what: String,
    rules: usize,
    time: Duration,
    quick: bool,
    remit: PathBuf,
    folder: PathBuf,
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let wanted = Wanted::read();
    let pinned = house::pin_to(1);
    println!("Remit on core 0, load on core 1: {}", if pinned { "yes" } else { "no, `taskset` cannot" });
    match wanted.what.as_str() {
        "rate" => rate(&wanted).await,
        "runs" => runs(&wanted).await,
        "events" => events(&wanted).await,
        "halts" => tokio::task::LocalSet::new().run_until(halted(&wanted)).await,
        other => panic!("`{other}` is not measured here: rate, runs, events or halts"),
    }
}

impl Wanted {
    fn read() -> Wanted {
        let mut wanted = Wanted {
            what: "rate".to_owned(),
            rules: 1_000,
            time: Duration::from_secs(3),
            quick: false,
            remit: "target/release/remit".into(),
            folder: ".".into(),
        };
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            let mut value = || words.next().unwrap_or_else(|| panic!("{word} takes a value"));
            match word.as_str() {
                "--rules" => wanted.rules = value().parse().unwrap(),
                "--seconds" => wanted.time = Duration::from_secs(value().parse().unwrap()),
                "--quick" => wanted.quick = true,
                "--remit" => wanted.remit = value().into(),
                "--folder" => wanted.folder = value().into(),
                _ => wanted.what = word,
            }
        }
        wanted
    }

    fn house(&self) -> House {
        House::start(&self.remit, &self.folder, self.rules, ([127, 0, 0, 1], 9).into())
    }
}

/// Decisions a second by number of runs, each beside the same server answering a constant.
async fn rate(wanted: &Wanted) {
    let house = wanted.house();
    println!("{} rules: up in {} ms, {} KiB resident when idle", wanted.rules, house.up_ms, house.resident());
    let tokens = open_runs(&house, 256).await;
    for runs in [1, 16, 64, 256] {
        let constant = |_: &str, _| Request::health();
        measure(&house, "constant", &tokens[..runs], wanted.time, constant).await;
        let decide = |token: &str, n| Request::decide(&house.key, token, n);
        measure(&house, "decide", &tokens[..runs], wanted.time, decide).await;
    }
    println!("{} KiB resident at the end", house.resident());
}

/// What open runs cost in memory, and whether those that sleep slow down those that ask.
async fn runs(wanted: &Wanted) {
    let house = wanted.house();
    let empty = house.resident();
    let mut tokens = open_runs(&house, RUNS).await;
    for open in if wanted.quick { [1_000, 10_000] } else { [10_000, 100_000] } {
        tokens.extend(open_runs(&house, open - tokens.len()).await);
        let resident = house.resident();
        let each = (resident - empty) * 1024 / open;
        println!("{open} open runs: {resident} KiB resident, {each} bytes a run");
        let decide = |token: &str, n| Request::decide(&house.key, token, n);
        measure(&house, "decide", &tokens[..RUNS], wanted.time, decide).await;
    }
}

/// Whether a long ledger slows decisions down.
async fn events(wanted: &Wanted) {
    let house = wanted.house();
    let tokens = open_runs(&house, RUNS).await;
    let decide = |token: &str, n| Request::decide(&house.key, token, n);
    let mut recorded = RUNS;
    for events in if wanted.quick { [1_000, 10_000] } else { [100_000, 1_000_000] } {
        while recorded < events {
            let mut lines = connect(&house, tokens.len()).await;
            recorded += drive(&mut lines, &tokens, Duration::from_secs(1), decide).await.len();
        }
        println!("{events} events: {} KiB resident", house.resident());
        recorded += measure(&house, "decide", &tokens, wanted.time, decide).await;
    }
}

/// What a halt of one tool does to the calls that it meets, and to those beside them.
async fn halted(wanted: &Wanted) {
    let silent = halts::Silent::start().await;
    let house = House::start(&wanted.remit, &wanted.folder, wanted.rules, silent.address);
    let tokens = open_runs(&house, halts::CALLS + 1).await;
    halts::measure(&house, &silent, &tokens, if wanted.quick { 5 } else { 20 }).await;
}

async fn open_runs(house: &House, count: usize) -> Vec<String> {
    let mut tasks = Vec::new();
    for opener in 0..OPENERS {
        let share = count / OPENERS + usize::from(opener < count % OPENERS);
        let (mut line, request) = (Line::connect(house.agents).await, Request::open(&house.key));
        tasks.push(tokio::spawn(async move {
            let mut tokens = Vec::new();
            for _ in 0..share {
                let answer: serde_json::Value = serde_json::from_slice(line.ask(&request).await).unwrap();
                tokens.push(answer["token"].as_str().unwrap().to_owned());
            }
            tokens
        }));
    }
    let mut tokens = Vec::new();
    for task in tasks {
        tokens.extend(task.await.unwrap());
    }
    tokens
}

/// One request in flight per run for a time, and what that cost; returns how many were answered.
async fn measure<F>(house: &House, what: &str, tokens: &[String], time: Duration, request: F) -> usize
where
    F: Fn(&str, usize) -> Request + Copy,
{
    // Connections, caches and threads are warm before anything is counted.
    let mut lines = connect(house, tokens.len()).await;
    drive(&mut lines, tokens, Duration::from_millis(200), request).await;
    let (before, started) = (house.cpu(), Instant::now());
    let mut times = drive(&mut lines, tokens, time, request).await;
    let (spent, cpu) = (started.elapsed(), house.cpu() - before);
    times.sort_unstable();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100].as_micros();
    println!(
        "{what:9} {:4} runs {:7.0} /s   p50 {:6} µs   p99 {:6} µs   max {:7} µs   \
         cpu {:6.1} µs   core {:3.0} %   {} KiB",
        tokens.len(),
        times.len() as f64 / spent.as_secs_f64(),
        at(50),
        at(99),
        at(100),
        cpu.as_secs_f64() * 1e6 / times.len() as f64,
        cpu.as_secs_f64() * 100.0 / spent.as_secs_f64(),
        house.resident(),
    );
    times.len()
}

async fn connect(house: &House, count: usize) -> Vec<Line> {
    let mut lines = Vec::new();
    for _ in 0..count {
        lines.push(Line::connect(house.agents).await);
    }
    lines
}

async fn drive<F>(lines: &mut [Line], tokens: &[String], time: Duration, request: F) -> Vec<Duration>
where
    F: Fn(&str, usize) -> Request + Copy,
{
    let started = Instant::now();
    let each = lines.iter_mut().zip(tokens).map(|(line, token)| async move {
        let mut times = Vec::new();
        while started.elapsed() < time {
            let asked = request(token, times.len());
            let began = Instant::now();
            line.ask(&asked).await;
            times.push(began.elapsed());
        }
        times
    });
    futures_util::future::join_all(each).await.concat()
}
