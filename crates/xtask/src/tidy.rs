//! `cargo xtask tidy`: the house rules that no compiler checks. Every finding says what to do.

mod codes;
mod deps;
mod layers;
mod scan;
mod sources;
mod words;

use anyhow::{Context as _, Result, bail};

use crate::process::{self, cargo};
use crate::repo;

/// What was found wrong, and what could not be checked yet.
#[derive(Default)]
pub struct Findings {
    wrong: Vec<String>,
    notes: Vec<String>,
}

impl Findings {
    fn wrong(&mut self, place: &str, what: impl std::fmt::Display) {
        self.wrong.push(format!("{place}: {what}"));
    }

    fn note(&mut self, place: &str, what: impl std::fmt::Display) {
        self.notes.push(format!("{place}: {what}"));
    }
}

pub fn run() -> Result<()> {
    let mut findings = Findings::default();
    layers::check(&metadata()?, &mut findings)?;
    sources::check(&mut findings)?;
    codes::check(&mut findings)?;
    words::check(&mut findings)?;
    deps::check(&mut findings)?;
    for name in ["README.md", "CHANGELOG.md", "LICENSE"] {
        if !repo::root().join(name).is_file() {
            findings.wrong(name, "is missing: write it");
        }
    }
    for note in &findings.notes {
        println!("note  {note}");
    }
    for wrong in &findings.wrong {
        println!("WRONG {wrong}");
    }
    match findings.wrong.len() {
        0 => println!("tidy: nothing wrong"),
        count => bail!("tidy: {count} found wrong"),
    }
    Ok(())
}

/// What cargo knows of the workspace's own packages.
pub fn metadata() -> Result<serde_json::Value> {
    let text = process::read(cargo(&["metadata", "--no-deps", "--format-version", "1"]))?;
    serde_json::from_str(&text).context("cargo metadata printed something else than JSON")
}

#[cfg(test)]
mod tests;
