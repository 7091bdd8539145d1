//! `cargo xtask fuzz`: builds fuzz/ with coverage and runs its targets, on the stable toolchain.
//!
//! libFuzzer's loop comes with the crate `libfuzzer-sys`; the coverage it steers by is a plain LLVM pass. So neither
//! a nightly compiler nor the cargo-fuzz binary is needed, though the folder keeps cargo-fuzz's layout for whoever
//! wants its sanitizers.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::thread;

use anyhow::{Context as _, Result, bail};

use crate::{process, repo};

pub const SECONDS_DEFAULT: u32 = 60;
/// ci tries the same inputs for the same code, as far as time goes: a change is not refused for what it did not touch.
pub const CI_SEED: u32 = 1;
/// One input may take this long, in seconds, before it counts as a hang.
const INPUT_SECONDS_MAX: u32 = 10;
/// Resident memory of a target, in MiB, before it counts as a leak.
const MEMORY_MIB_MAX: u32 = 2048;

const COVERAGE: &str = "--cfg fuzzing -Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares";

/// Without a seed, other inputs each time.
pub fn run(seconds: u32, wanted: Option<&str>, seed: Option<u32>) -> Result<()> {
    let folder = repo::root().join("fuzz");
    let targets = targets(&folder)?;
    let chosen: Vec<&String> =
        targets.iter().filter(|name| wanted.is_none_or(|want| want == *name)).collect();
    if chosen.is_empty() {
        bail!("no such fuzz target; there are: {}", targets.join(", "));
    }
    let compiler = std::env::var("CXX").unwrap_or_else(|_| "c++".to_owned());
    if !process::present(&compiler, &["--version"]) {
        println!("SKIPPED fuzz: no C++ compiler (`{compiler}`); install g++ or clang to run it");
        return Ok(());
    }
    let built = build(&folder, wanted)?;
    println!("{} targets, {seconds} s of inputs each", chosen.len());
    // A target keeps one core busy: as many at a time as there are cores.
    let waiting = Mutex::new(chosen.into_iter());
    let take = || waiting.lock().ok()?.next();
    let work = || -> Result<()> {
        while let Some(name) = take() {
            fuzz(&folder, &built, name, seconds, seed)?;
        }
        Ok(())
    };
    let cores = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..cores).map(|_| scope.spawn(work)).collect();
        let outcomes =
            workers.into_iter().map(|worker| worker.join().unwrap_or_else(|_| bail!("a worker died")));
        outcomes.collect()
    })
}

/// The files in fuzz_targets, each of which must be a `[[bin]]`: a target that nobody builds finds nothing.
fn targets(folder: &Path) -> Result<Vec<String>> {
    let manifest = folder.join("Cargo.toml");
    let manifest =
        std::fs::read_to_string(&manifest).with_context(|| format!("reading {}", repo::shown(&manifest)))?;
    let mut names = Vec::new();
    for file in repo::files(&folder.join("fuzz_targets"))? {
        let Some(name) = file.file_stem().and_then(|stem| stem.to_str()) else { continue };
        if !manifest.contains(&format!("path = \"fuzz_targets/{name}.rs\"")) {
            bail!("{} is not built: add a [[bin]] with that path to fuzz/Cargo.toml", repo::shown(&file));
        }
        names.push(name.to_owned());
    }
    Ok(names)
}

/// Returns the folder with the binaries. A `--target` keeps the flags away from build scripts and macros.
fn build(folder: &Path, wanted: Option<&str>) -> Result<PathBuf> {
    let host = host()?;
    let output = folder.join("target");
    let mut command = process::cargo(&["build", "--release", "--target", &host, "--target-dir"]);
    command.arg(&output).current_dir(folder).env("RUSTFLAGS", COVERAGE).env_remove("CARGO_ENCODED_RUSTFLAGS");
    match wanted {
        Some(name) => command.args(["--bin", name]),
        None => command.arg("--bins"),
    };
    process::run(command)?;
    Ok(output.join(host).join("release"))
}

fn host() -> Result<String> {
    let mut rustc = Command::new(std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned()));
    rustc.arg("-vV");
    let version = process::read(rustc)?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc -vV names no host")?.to_owned())
}

/// New inputs go to corpus/ (kept on this machine); seeds/ is read only and belongs to the repository.
fn fuzz(folder: &Path, built: &Path, name: &str, seconds: u32, seed: Option<u32>) -> Result<()> {
    let (corpus, artifacts) = (folder.join("corpus").join(name), folder.join("artifacts").join(name));
    std::fs::create_dir_all(&corpus)?;
    std::fs::create_dir_all(&artifacts)?;
    let mut command = Command::new(built.join(name));
    command.current_dir(folder);
    command.arg(format!("-max_total_time={seconds}"));
    command.args(seed.map(|seed| format!("-seed={seed}")));
    command.arg(format!("-timeout={INPUT_SECONDS_MAX}"));
    command.arg(format!("-rss_limit_mb={MEMORY_MIB_MAX}"));
    command.arg(format!("-artifact_prefix={}/", artifacts.display()));
    command.args(["-verbosity=0", "-print_final_stats=1"]);
    command.arg(&corpus);
    let seeds = folder.join("seeds").join(name);
    if seeds.is_dir() {
        command.arg(seeds);
    }
    let output = command.output().with_context(|| format!("starting fuzz target `{name}`"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        println!("{said}");
        bail!("fuzz target `{name}` failed; its input is in {}", repo::shown(&artifacts));
    }
    let inputs = said.lines().find_map(|line| line.strip_prefix("stat::number_of_executed_units:"));
    println!("{name}: {} inputs, nothing found", inputs.unwrap_or("an unknown number of").trim());
    Ok(())
}
