//! Many worlds, one after another: prints the seeds that break a law, and fails if there is one.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a tool for terminals: printing is its work")]

use std::process::ExitCode;

const USAGE: &str = "usage: campaign [--seeds N] [--steps M] [--from S]";

fn main() -> ExitCode {
    let (mut seeds, mut steps, mut from) = (1_000u64, 400u64, 0u64);
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let Some(value) = words.next().and_then(|value| value.parse().ok()) else {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        };
        match word.as_str() {
            "--seeds" => seeds = value,
            "--steps" => steps = value,
            "--from" => from = value,
            _ => {
                eprintln!("{USAGE}");
                return ExitCode::from(2);
            }
        }
    }
    let (mut events, mut effects, mut crashes, mut faults, mut broken) = (0, 0, 0, 0, 0u64);
    let (mut children, mut loans, mut replans) = (0, 0, 0);
    for seed in from..from.saturating_add(seeds) {
        match sim::run(seed, steps) {
            Ok(report) => {
                events += report.events;
                effects += report.effects;
                crashes += report.crashes;
                faults += report.faults;
                children += report.children;
                loans += report.loans;
                replans += report.replans;
            }
            Err(violation) => {
                broken += 1;
                println!("BROKEN {violation}");
            }
        }
    }
    println!(
        "{seeds} worlds of {steps} steps from seed {from}: {events} events, {effects} effects, {crashes} crashes, \
         {faults} failed commits, {children} runs under runs, {loans} loans, {replans} replans, {broken} broken"
    );
    if broken == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
