//! `cargo xtask bench`: every benchmark of the workspace in one run on one machine, so that numbers may be compared.

use anyhow::{Result, bail};

use crate::process::{self, cargo};
use crate::repo;

/// Crate, example, what its numbers say. Each prints its own floors beside its own figures.
const BENCHES: [(&str, &str, &str); 3] = [
    ("policy", "decide_cost", "what one answer of the rules costs, by number of rules"),
    ("ledger", "append_cost", "what a durable event costs, against the bare database"),
    ("remit", "bench", "decisions a second through the whole line, against a server that answers a constant"),
];

pub fn run() -> Result<()> {
    let there = |name: &str, example: &str| {
        let folder = repo::root().join("crates").join(name).join("examples");
        folder.join(format!("{example}.rs")).is_file() || folder.join(example).join("main.rs").is_file()
    };
    for (name, example, says) in BENCHES {
        let state = if there(name, example) { "" } else { " (not written yet)" };
        println!("{name}/{example}: {says}{state}");
    }
    let found: Vec<_> = BENCHES.into_iter().filter(|(name, example, _)| there(name, example)).collect();
    if found.is_empty() {
        bail!("there is no benchmark to run yet");
    }
    // All are built before any is run, so that no compiler runs beside a measurement.
    for (name, example, _) in &found {
        process::run(cargo(&["build", "--quiet", "--release", "-p", name, "--example", example]))?;
    }
    for (name, example, _) in &found {
        println!("\n=== {name}/{example} ===");
        process::run(cargo(&["run", "--quiet", "--release", "-p", name, "--example", example]))?;
    }
    Ok(())
}
