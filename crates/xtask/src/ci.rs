//! `cargo xtask ci`: every check a change must pass, cheapest first, each with its time.

use std::time::Instant;

use anyhow::{Result, bail};

use crate::process::{self, Stream, cargo};
use crate::{conformance, console, fuzz, peers, tidy};

/// For each target, and as many targets at a time as there are cores: every seed, and the shallow faults. A nightly run
/// may take longer.
const FUZZ_SECONDS: u32 = 15;

pub fn run(full: bool) -> Result<()> {
    let mut times = Times::default();
    let mut tests = Count::default();
    times.step("format", "run `cargo fmt --all` and commit what it changed", || {
        components()?;
        process::run(cargo(&["fmt", "--all", "--", "--check"]))
    })?;
    times.step(
        "tidy",
        "each line above says what to do; `cargo xtask tidy` repeats them in seconds",
        tidy::run,
    )?;
    times.step("clippy", "mend the warnings; an `#[allow]` needs a reason", clippy)?;
    times.step(
        "peers",
        "npm and pip must reach their registries, once; see tests/peers for what is pinned",
        peers::run,
    )?;
    times.step("tests", "run the one that failed: `cargo nextest run -p CRATE NAME`", || test(&mut tests))?;
    times.step(
        "suite",
        "`cargo xtask conformance SCENARIO` repeats one; what the suite said is in target/conformance/results",
        || conformance::run(&conformance::Asked::default()),
    )?;
    times.step(
        "console",
        "`cargo xtask console NAME` repeats one test; pictures of each page are in target/console/shots",
        || console::run(&console::Asked::All),
    )?;
    if full {
        times.step("deny", "drop the crate, or list it with a reason in deny.toml", deny)?;
    }
    times.step(
        "fuzz",
        "the crashing input is in fuzz/artifacts; make it a unit test, then mend the parser",
        || fuzz::run(FUZZ_SECONDS, None, Some(fuzz::CI_SEED)),
    )?;
    times.close();
    println!("tests: {} passed, 0 failed, {} skipped", tests.passed, tests.skipped);
    if tests.passed == 0 {
        bail!("no test ran: the test step is broken");
    }
    Ok(())
}

#[derive(Default)]
struct Times {
    rows: Vec<(&'static str, f32)>,
}

impl Times {
    fn step(&mut self, name: &'static str, remedy: &str, work: impl FnOnce() -> Result<()>) -> Result<()> {
        println!("\n=== {name} ===");
        let started = Instant::now();
        let outcome = work();
        let seconds = started.elapsed().as_secs_f32();
        if let Err(error) = outcome {
            println!("=== {name} FAILED after {seconds:.1} s ===");
            bail!("{error:#}\nwhat to do: {remedy}");
        }
        println!("=== {name} passed in {seconds:.1} s ===");
        self.rows.push((name, seconds));
        Ok(())
    }

    fn close(&self) {
        println!();
        for (name, seconds) in &self.rows {
            println!("{name:<8} {seconds:>7.1} s");
        }
    }
}

/// The default profile of the toolchain has both; the minimal one has neither.
fn components() -> Result<()> {
    if process::has_cargo("fmt") && process::has_cargo("clippy") {
        return Ok(());
    }
    println!("rustfmt or clippy is missing: installing them");
    let mut rustup = std::process::Command::new("rustup");
    rustup.args(["component", "add", "rustfmt", "clippy"]);
    process::run(rustup)
}

fn clippy() -> Result<()> {
    let mut args = vec!["clippy", "--workspace", "--all-targets"];
    args.extend(locked());
    args.extend(["--", "-D", "warnings"]);
    process::run(cargo(&args))
}

fn locked() -> Option<&'static str> {
    std::env::var_os("CI").map(|_| "--locked")
}

#[derive(Debug, Default, PartialEq)]
struct Count {
    passed: u64,
    skipped: u64,
}

impl Count {
    /// Adds the closing line of a test runner, if this is one: nextest's `Summary`, or `test result:` of libtest.
    fn add(&mut self, line: &str) {
        if !line.contains("Summary [") && !line.contains("test result:") {
            return;
        }
        let words: Vec<&str> = line.split_whitespace().collect();
        for pair in words.windows(2) {
            if let [number, what] = pair
                && let Ok(number) = number.parse::<u64>()
            {
                match what.trim_matches([',', ';']) {
                    "passed" => self.passed += number,
                    "skipped" | "ignored" => self.skipped += number,
                    _ => {}
                }
            }
        }
    }
}

fn test(count: &mut Count) -> Result<()> {
    let (mut args, stream) = if nextest() {
        // On a machine that is busy with other things a test of real processes may run out of patience; one that
        // passes at the second try is named as flaky at the end.
        (vec!["nextest", "run", "--workspace", "--no-fail-fast", "--retries=1", "--color=never"], Stream::Err)
    } else {
        (vec!["test", "--workspace", "--no-fail-fast", "--color=never"], Stream::Out)
    };
    args.extend(locked());
    let mut command = cargo(&args);
    command.env(peers::REQUIRED, "1");
    process::watch(command, stream, |line| count.add(line))
}

/// Has it, or could install it. Without it the tests run all the same, only slower.
fn nextest() -> bool {
    if process::has_cargo("nextest") {
        return true;
    }
    println!("cargo-nextest is missing: installing it (once; minutes)");
    match process::run(cargo(&["install", "--locked", "cargo-nextest"])) {
        Ok(()) => true,
        Err(error) => {
            println!("{error:#}; going on with `cargo test`");
            false
        }
    }
}

fn deny() -> Result<()> {
    if !process::has_cargo("deny") {
        println!("cargo-deny is missing: installing it (once; minutes)");
        process::run(cargo(&["install", "--locked", "cargo-deny"]))?;
    }
    process::run(cargo(&["deny", "check", "bans", "licenses", "sources"]))?;
    let mut unreachable = false;
    let advisories = process::watch(cargo(&["deny", "check", "advisories"]), Stream::Err, |line| {
        unreachable |= line.contains("failed to fetch advisory database");
    });
    if unreachable {
        println!("SKIPPED advisories: their database cannot be reached from here");
        return Ok(());
    }
    advisories
}

#[cfg(test)]
mod tests;
