//! `cargo xtask bench`: every benchmark of the workspace beside its floors, in one run on one machine.
//!
//! Numbers to read, never an assertion: a slow figure is shown, it fails nothing. The table is data and goes to
//! stdout; what the benchmarks say while they run goes to stderr.

mod lines;
mod table;

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};

use crate::process::{self, cargo};
use crate::repo;
use crate::tidy::metadata;
use table::{Row, Table};

/// A part of the table, and what runs for it.
struct Section {
    name: &'static str,
    about: &'static str,
    /// Crate and example.
    example: (&'static str, &'static str),
    /// What each run of the example is told.
    runs: &'static [&'static [&'static str]],
    read: fn(&str, &mut Table),
}

const SECTIONS: [Section; 11] = [
    Section {
        name: "rules",
        about: "what one answer of the rules costs, with few and with all of them in scope",
        example: ("policy", "decide_cost"),
        runs: &[&[]],
        read: lines::rules,
    },
    Section {
        name: "log",
        about: "what a durable event costs, against the bare database committing the same bytes",
        example: ("ledger", "append_cost"),
        runs: &[&["{folder}"]],
        read: lines::log,
    },
    Section {
        name: "process",
        about: "decisions a second in process: decided, written and synced before they are answered",
        example: ("gate", "decide_rate"),
        runs: &[&["{seconds}"]],
        read: lines::process,
    },
    Section {
        name: "accounts",
        about: "what accounts add to a decision of the kernel, reserved and posted",
        example: ("kernel", "account_rate"),
        runs: &[&["{calls}"]],
        read: lines::accounts,
    },
    Section {
        name: "plans",
        about: "what a plan of ten steps costs over its bare calls, taking it back, and a start with plans under way",
        example: ("gate", "plan_cost"),
        runs: &[&["{rounds}", "{plans}"]],
        read: lines::plans,
    },
    Section {
        name: "http",
        about: "decisions a second over HTTP with Remit on one core, against the same server answering a constant",
        example: ("server", "http_rate"),
        runs: &[&["rate", "--rules", "100", "{http}"], &["rate", "--rules", "1000", "{http}"]],
        read: lines::http,
    },
    Section {
        name: "mcp",
        about: "tools/call through Remit on one core with everything on, against the same calls made directly",
        example: ("tools", "mcp_rate"),
        runs: &[
            &["calls", "--rules", "1", "{http}"],
            &["calls", "--rules", "100", "{http}"],
            &["calls", "--rules", "100", "--era", "2025-11-25", "{http}"],
            &["clients", "{http}"],
            &["clients", "--era", "2025-11-25", "{http}"],
            &["tools", "{http}"],
            &["results", "{http}"],
        ],
        read: lines::mcp,
    },
    Section {
        name: "runs",
        about: "what open runs cost in memory and in speed",
        example: ("server", "http_rate"),
        runs: &[&["runs", "{http}"]],
        read: lines::runs,
    },
    Section {
        name: "halts",
        about: "how soon a halt over HTTP cuts 64 calls under way, and what a permitted call beside them costs",
        example: ("server", "http_rate"),
        runs: &[&["halts", "--rules", "100", "{http}"]],
        read: lines::halts,
    },
    Section {
        name: "events",
        about: "what a long ledger costs in memory and in speed",
        example: ("server", "http_rate"),
        runs: &[&["events", "{http}"]],
        read: lines::events,
    },
    Section {
        name: "start",
        about: "how long a start takes from a long ledger",
        example: ("gate", "start_time"),
        runs: &[&["{events}"]],
        read: lines::start,
    },
];

/// What the binary weighs: read from the file, so it has no example.
const SIZE: &str = "size";

pub fn run(words: &[&str]) -> Result<()> {
    let Asked { quick, json, names } = Asked::read(words)?;
    let wanted = |name: &str| names.is_empty() || names.contains(&name);
    let sections: Vec<&Section> = SECTIONS.iter().filter(|it| wanted(it.name) && it.is_there()).collect();
    let target = PathBuf::from(
        metadata()?.get("target_directory").and_then(|path| path.as_str()).context("no target directory")?,
    );
    build(&sections)?;
    let release = target.join("release");
    let mut table = Table::default();
    for section in sections {
        eprintln!("\n=== {}: {} ===", section.name, section.about);
        for run in section.runs {
            let mut command = std::process::Command::new(release.join("examples").join(section.example.1));
            command.args(run.iter().flat_map(|word| fill(word, quick, &target)));
            let said = process::read(command)?;
            eprint!("{said}");
            (section.read)(&said, &mut table);
        }
    }
    if wanted(SIZE) {
        let bytes = std::fs::metadata(release.join("remit"))?.len();
        table.row(Row::new(SIZE, "binary, stripped", bytes as f64 / f64::from(1 << 20), "MiB").aim("<= 40"));
    }
    table.grow();
    println!("{}", if json { table.json().to_string() } else { table.text() });
    Ok(())
}

struct Asked<'a> {
    quick: bool,
    json: bool,
    names: Vec<&'a str>,
}

impl<'a> Asked<'a> {
    fn read(words: &[&'a str]) -> Result<Asked<'a>> {
        let mut asked = Asked { quick: false, json: false, names: Vec::new() };
        for word in words {
            match *word {
                "--quick" => asked.quick = true,
                "--json" => asked.json = true,
                name if name == SIZE || SECTIONS.iter().any(|it| it.name == name) => asked.names.push(name),
                other => {
                    let names: Vec<&str> = SECTIONS.iter().map(|it| it.name).chain([SIZE]).collect();
                    bail!("`bench` does not take `{other}`; its sections are {}", names.join(", "))
                }
            }
        }
        Ok(asked)
    }
}

impl Section {
    fn is_there(&self) -> bool {
        let (name, example) = self.example;
        let folder = repo::root().join("crates").join(name).join("examples");
        folder.join(format!("{example}.rs")).is_file() || folder.join(example).join("main.rs").is_file()
    }
}

/// All are built before any is run, so that no compiler works beside a measurement; the binary by itself, as it
/// is shipped.
fn build(sections: &[&Section]) -> Result<()> {
    process::run(cargo(&["build", "--quiet", "--release", "-p", "remit"]))?;
    if sections.is_empty() {
        return Ok(());
    }
    let mut args = vec!["build", "--quiet", "--release"];
    for section in sections {
        args.extend(["-p", section.example.0, "--example", section.example.1]);
    }
    process::run(cargo(&args))
}

/// What a word in braces stands for. Files of a benchmark lie where the build lies: on a disk, not in memory.
fn fill(word: &str, quick: bool, target: &std::path::Path) -> Vec<String> {
    let seconds = if quick { "1" } else { "3" };
    let folder = target.join("tmp").display().to_string();
    let remit = target.join("release").join("remit").display().to_string();
    let words: &[&str] = match word {
        "{seconds}" => &[seconds],
        "{folder}" => &[&folder],
        "{rounds}" => &[if quick { "10" } else { "50" }],
        "{plans}" => &[if quick { "500" } else { "10000" }],
        "{calls}" => &[if quick { "5000" } else { "50000" }],
        "{events}" => &[if quick { "100000" } else { "1000000" }],
        "{http}" if quick => &["--quick", "--seconds", seconds, "--folder", &folder, "--remit", &remit],
        "{http}" => &["--seconds", seconds, "--folder", &folder, "--remit", &remit],
        word => &[word],
    };
    words.iter().map(|word| (*word).to_owned()).collect()
}

#[cfg(test)]
mod tests;
