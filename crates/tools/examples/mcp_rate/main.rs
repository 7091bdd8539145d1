//! What `tools/call` costs through Remit, beside the same calls made directly: a real `remit serve` between clients and
//! a fast MCP server, with a schema, a destination, rules and the ledger on disk.
//!
//! `cargo run --release -p tools --example mcp_rate -- calls|clients|tools|results [--rules N] [--era ERA]
//! [--seconds N] [--quick] [--remit PATH] [--folder PATH]`, after `cargo build --release -p remit`. Remit is held on
//! core 0; this program, which is the load and the server too, on core 1 where `taskset` can do so.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    unreachable_pub,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::indexing_slicing,
    reason = "an example talks and may fail"
)]

mod house;
mod upstream;
mod wire;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use house::House;
use wire::Line;

const NEW: &str = "2026-07-28";
const OLD: &str = "2025-11-25";
const BYTES: usize = 200;
const TOOLS: usize = 10;

struct Wanted {
    what: String,
    rules: usize,
    era: &'static str,
    time: Duration,
    quick: bool,
    remit: PathBuf,
    folder: PathBuf,
}

/// Where calls are made: at the server itself, or at Remit's door.
struct Target<'t> {
    name: &'static str,
    host: SocketAddr,
    path: &'static str,
    key: &'t str,
    house: Option<&'t House>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let wanted = Wanted::read();
    std::fs::create_dir_all(&wanted.folder).unwrap();
    let wanted = Wanted { folder: wanted.folder.canonicalize().unwrap(), ..wanted };
    let pinned = house::pin_to(1);
    println!(
        "Remit on core 0, load and server on core 1: {}",
        if pinned { "yes" } else { "no, `taskset` cannot" }
    );
    match wanted.what.as_str() {
        "calls" => calls(&wanted).await,
        "clients" => clients(&wanted).await,
        "tools" => tools(&wanted).await,
        "results" => results(&wanted).await,
        other => panic!("`{other}` is not measured here: calls, clients, tools or results"),
    }
}

impl Wanted {
    fn read() -> Wanted {
        let mut wanted = Wanted {
            what: "calls".to_owned(),
            rules: 1,
            era: NEW,
            time: Duration::from_secs(3),
            quick: false,
            remit: "target/release/remit".into(),
            folder: ".".into(),
        };
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            let mut next = || words.next().unwrap_or_else(|| panic!("{word} needs a value"));
            match word.as_str() {
                "--rules" => wanted.rules = next().parse().unwrap(),
                "--era" => wanted.era = if next() == OLD { OLD } else { NEW },
                "--seconds" => wanted.time = Duration::from_secs(next().parse().unwrap()),
                "--quick" => wanted.quick = true,
                "--remit" => wanted.remit = next().into(),
                "--folder" => wanted.folder = next().into(),
                what => wanted.what = what.to_owned(),
            }
        }
        wanted
    }

    /// The server, and Remit before it, which has called it once. A Remit starts only where something answers it, so
    /// it is started while this program goes on.
    async fn house(&self, tools: usize) -> (SocketAddr, House) {
        let server = upstream::start(self.era, tools).await;
        let (remit, folder, rules) = (self.remit.clone(), self.folder.clone(), self.rules);
        let start = move || House::start(&remit, &folder, server, tools, rules);
        (server, tokio::task::spawn_blocking(start).await.unwrap())
    }
}

impl Target<'_> {
    async fn line(&self, era: &'static str) -> Line {
        Line::connect(self.host, self.path, self.key, era).await
    }
}

fn direct(host: SocketAddr) -> Target<'static> {
    Target { name: "direct", host, path: "/mcp", key: "none", house: None }
}

fn through(house: &House) -> Target<'_> {
    Target { name: "remit", host: house.agents, path: "/mcp/bench", key: &house.key, house: Some(house) }
}

/// Calls by number of clients, each beside the same calls made directly.
async fn calls(wanted: &Wanted) {
    let (server, house) = wanted.house(TOOLS).await;
    println!("{} rules, era {}: {} KiB resident when idle", wanted.rules, wanted.era, house.memory("VmRSS"));
    for clients in [1, 16, 64] {
        for target in [direct(server), through(&house)] {
            measure(&target, wanted, clients, BYTES, TOOLS).await;
        }
    }
}

/// What a client that is there and has called once costs in memory.
async fn clients(wanted: &Wanted) {
    let (_, house) = wanted.house(TOOLS).await;
    let target = through(&house);
    let mut open = vec![target.line(wanted.era).await];
    open[0].call(&upstream::name(0), BYTES).await;
    let before = house.memory("VmRSS");
    // An older client has a session, and one key has at most 64 of them.
    let most = if wanted.era == OLD { 64 } else { 512 };
    while open.len() < most {
        let mut line = target.line(wanted.era).await;
        line.call(&upstream::name(0), BYTES).await;
        open.push(line);
    }
    let after = house.memory("VmRSS");
    let each = after.saturating_sub(before) * 1024 / (open.len() - 1);
    println!("{} open clients: {after} KiB resident, {each} bytes a client", open.len());
}

/// Whether more tools make each call dearer, and what their list costs.
async fn tools(wanted: &Wanted) {
    for tools in if wanted.quick { [10, 500] } else { [10, 5_000] } {
        let (_, house) = wanted.house(tools).await;
        let target = through(&house);
        let mut line = target.line(NEW).await;
        let began = Instant::now();
        let bytes = line.list().await.len();
        let took = began.elapsed().as_micros();
        println!(
            "{tools} tools: {} KiB resident, a page of {bytes} bytes in {took} µs",
            house.memory("VmRSS")
        );
        measure(&target, wanted, 16, BYTES, tools).await;
    }
}

/// What larger results cost, in time and at most in memory.
async fn results(wanted: &Wanted) {
    let (server, house) = wanted.house(TOOLS).await;
    let sizes: &[usize] =
        if wanted.quick { &[1_000, 1_000_000] } else { &[1_000, 100_000, 1_000_000, 10_000_000] };
    for bytes in sizes {
        for target in [direct(server), through(&house)] {
            measure(&target, wanted, 1, *bytes, TOOLS).await;
        }
        println!("results of {bytes} bytes: {} KiB at most", house.memory("VmHWM"));
    }
}

/// One call in flight per client for a time, and what that cost.
async fn measure(target: &Target<'_>, wanted: &Wanted, clients: usize, bytes: usize, tools: usize) {
    let mut lines = Vec::new();
    for _ in 0..clients {
        lines.push(target.line(wanted.era).await);
    }
    // Connections, caches and threads are warm before anything is counted.
    drive(&mut lines, Duration::from_millis(200), bytes, tools).await;
    let cpu = || target.house.map_or(Duration::ZERO, House::cpu);
    let (before, started) = (cpu(), Instant::now());
    let mut times = drive(&mut lines, wanted.time, bytes, tools).await;
    let (spent, cpu) = (started.elapsed(), cpu() - before);
    times.sort_unstable();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100].as_micros();
    println!(
        "{:7} {clients:3} clients {bytes:9} bytes {:7.0} /s   p50 {:6} µs   p99 {:6} µs   \
         cpu {:6.1} µs   core {:3.0} %",
        target.name,
        times.len() as f64 / spent.as_secs_f64(),
        at(50),
        at(99),
        cpu.as_secs_f64() * 1e6 / times.len() as f64,
        cpu.as_secs_f64() * 100.0 / spent.as_secs_f64(),
    );
}

async fn drive(lines: &mut [Line], time: Duration, bytes: usize, tools: usize) -> Vec<Duration> {
    let started = Instant::now();
    let each = lines.iter_mut().enumerate().map(|(client, line)| async move {
        let mut times = Vec::new();
        while started.elapsed() < time {
            let tool = upstream::name((client + times.len()) % tools);
            let began = Instant::now();
            let answer = line.call(&tool, bytes).await;
            times.push(began.elapsed());
            // Where results are large, looking for words in them would be what is measured.
            let head = &answer[..answer.len().min(2_000)];
            assert!(
                upstream::is_called(head) || bytes > 1_000,
                "no result: {}",
                String::from_utf8_lossy(head)
            );
        }
        times
    });
    futures_util::future::join_all(each).await.concat()
}
