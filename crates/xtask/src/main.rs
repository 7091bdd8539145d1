//! `cargo xtask`: the repository's own automation. One command is the whole of CI; the others are its parts.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a tool for terminals: printing is its work")]
#![allow(unreachable_pub, reason = "a binary exports nothing; `pub` says what a module offers to the others")]

mod bench;
mod ci;
mod conformance;
mod console;
mod dist;
mod fuzz;
mod matrix;
mod peers;
mod process;
mod repo;
mod sim;
mod tidy;

use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};

const HELP: &str = "\
The repository's automation.

Usage: cargo xtask <COMMAND>

Commands:
  ci [--full]                     every check that a change must pass, in the order of their price:
                                  format, tidy, clippy, tests, a short fuzz run. Stops at the first
                                  failure and says what to do. Installs cargo-nextest if it is missing.
                                  --full (or REMIT_FULL=1) adds cargo-deny: licences, bans, sources,
                                  advisories; installing it takes minutes
  tidy                            what compilers do not check: who may depend on whom, sizes of files and
                                  functions, names, purity of the kernel, a page per error code, banned
                                  dependencies, licences. Seconds; run it often
  peers                           MCP servers that others wrote, for the tests that talk to them: npm and pip
                                  install what tests/peers pins into target/peers. Part of ci
  conformance [--era 2025-11-25|2026-07-28] [--upstream same|other] [SCENARIO...]
                                  the official MCP conformance suite against Remit, in front of a server
                                  that passes it, in each pairing of eras; what came of it is compared with
                                  tests/conformance/expected.txt. Needs npm; half a minute. Part of ci
  console [NAME | --paint [RUNS] [--release]]
                                  the console in a real browser: each page's main task by keyboard and by mouse,
                                  hostile words, accessibility, pictures into target/console/shots; NAME is a
                                  part of a test's name; --paint measures how soon something is seen with 100000
                                  runs in the store. Needs npm; installs Debian's Chromium if it is missing
  matrix [--client NAME] [--server NAME]
                                  MCP clients and servers that others wrote, each with each through a real
                                  Remit: one read, one write, one refused call, what came of them in the
                                  world and in the ledger. Needs npm and Python 3.11; minutes
  fuzz [--seconds N] [TARGET]     fuzz each target (or one) for N seconds, 60 if not said; the targets are
                                  the files in fuzz/fuzz_targets. Stable toolchain and a C++ compiler
  sim [--seeds N] [--steps M] [--from S]
                                  seeded worlds with faults, crashes and lying tools; prints the seeds that
                                  break a law. 1000 worlds of 400 steps if not said
  sim --saga [--random N] [--from S] [--only faults|deaths|random]
                                  plans of 36 shapes with a fault at every step, on its way and on its way
                                  back, and a death at every append; then plays by chance. Minutes
  dist                            the release binary as it is shipped, and its size
  bench [--quick] [--json] [SECTION...]
                                  the benchmarks beside their floors, in one run on this machine; numbers to
                                  read, never an assertion. Sections: rules, log, process, accounts, plans, http,
                                  mcp, runs, halts, events, start, size; all if none is named

Environment:
  REMIT_FULL=1                    as ci --full
  REMIT_PEERS=1                   tests fail where the peers are missing; ci sets it
  CI                              set: Cargo.lock must be up to date (--locked)

Exit code 0 if all is well, 1 if a check failed, 2 if the command line was not understood.";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    if words.iter().any(|word| matches!(*word, "--help" | "-h" | "help")) {
        println!("{HELP}");
        return ExitCode::SUCCESS;
    }
    let command = match parse(&words) {
        Ok(command) => command,
        Err(error) => {
            eprintln!("error: {error:#}\n\n{HELP}");
            return ExitCode::from(2);
        }
    };
    match run(command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[derive(Debug, PartialEq)]
enum Command {
    Ci { full: bool },
    Tidy,
    Peers,
    Conformance(conformance::Asked),
    Console(console::Asked),
    Matrix(matrix::Asked),
    Fuzz { seconds: u32, target: Option<String> },
    Sim { words: Vec<String> },
    Dist,
    Bench { words: Vec<String> },
}

fn parse(words: &[&str]) -> Result<Command> {
    Ok(match words {
        ["ci"] => Command::Ci { full: std::env::var("REMIT_FULL").is_ok_and(|value| value == "1") },
        ["ci", "--full"] => Command::Ci { full: true },
        ["tidy"] => Command::Tidy,
        ["peers"] => Command::Peers,
        ["conformance", rest @ ..] => Command::Conformance(conformance::Asked::read(rest)?),
        ["console", rest @ ..] => Command::Console(console::Asked::read(rest)?),
        ["matrix", rest @ ..] => Command::Matrix(matrix::Asked::read(rest)?),
        ["fuzz", rest @ ..] => parse_fuzz(rest)?,
        ["sim", rest @ ..] => Command::Sim { words: rest.iter().map(|word| (*word).to_owned()).collect() },
        ["dist"] => Command::Dist,
        ["bench", rest @ ..] => {
            Command::Bench { words: rest.iter().map(|word| (*word).to_owned()).collect() }
        }
        [] => bail!("which command?"),
        [first, rest @ ..] if ["ci", "tidy", "peers", "dist"].contains(first) => {
            bail!("`{first}` does not take `{}`", rest.join(" "))
        }
        [first, ..] => bail!("there is no command `{first}`"),
    })
}

fn parse_fuzz(words: &[&str]) -> Result<Command> {
    let (mut seconds, mut target) = (fuzz::SECONDS_DEFAULT, None);
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if *word == "--seconds" {
            let value = words.next().context("--seconds takes a number")?;
            seconds = value.parse().with_context(|| format!("--seconds takes a number, not `{value}`"))?;
        } else if word.starts_with('-') || target.is_some() {
            bail!("`fuzz` does not take `{word}` here");
        } else {
            target = Some((*word).to_owned());
        }
    }
    if seconds == 0 {
        bail!("--seconds 0 would fuzz for ever");
    }
    Ok(Command::Fuzz { seconds, target })
}

fn run(command: Command) -> Result<()> {
    match command {
        Command::Ci { full } => ci::run(full),
        Command::Tidy => tidy::run(),
        Command::Peers => peers::run(),
        Command::Conformance(asked) => conformance::run(&asked),
        Command::Console(asked) => console::run(&asked),
        Command::Matrix(asked) => matrix::run(&asked),
        Command::Fuzz { seconds, target } => fuzz::run(seconds, target.as_deref(), None),
        Command::Sim { words } => sim::run(&words.iter().map(String::as_str).collect::<Vec<_>>()),
        Command::Dist => dist::run(),
        Command::Bench { words } => bench::run(&words.iter().map(String::as_str).collect::<Vec<_>>()),
    }
}
