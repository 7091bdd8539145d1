//! Shape of the source: captions, sizes, names, and what the ground crates may not touch.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::Findings;
use super::scan::Code;
use crate::repo;

pub const FILE_LINES_MAX: usize = 600;
pub const MAP_LINES_MAX: usize = 80;
pub const FUNCTION_LINES_MAX: usize = 70;
pub const LINE_CHARS_MAX: usize = 120;

/// Names that say nothing about what is inside.
const EMPTY_NAMES: [&str; 7] = ["manager", "helper", "util", "support", "handler", "service", "context"];
/// Crates without I/O, clock or randomness: the same input, the same answer, for ever.
const PURE: [&str; 3] = ["stdx", "policy", "kernel"];
/// The crate that counts money.
const EXACT: &str = "kernel";

pub fn check(findings: &mut Findings) -> Result<()> {
    for file in repo::files(&repo::root().join("crates"))? {
        if file.extension().is_some_and(|extension| extension == "rs") {
            let source =
                std::fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))?;
            one(&PathBuf::from(repo::shown(&file)), &source, findings);
        }
    }
    Ok(())
}

/// `path` is relative to the repository: `crates/NAME/src/…`.
pub fn one(path: &Path, source: &str, findings: &mut Findings) {
    let parts: Vec<&str> = path.iter().filter_map(|part| part.to_str()).collect();
    let (Some(name), Some(area)) = (parts.get(1), parts.get(2)) else { return };
    let inside = parts.get(3..).unwrap_or_default();
    let place = path.display().to_string();
    let test = *area == "tests" || inside.iter().any(|part| matches!(*part, "tests.rs" | "tests"));
    if *area == "src" {
        if !source.starts_with("//!") {
            findings.wrong(&place, "open the file with a one-line `//!` caption: what is in here?");
        }
        names(&place, inside, findings);
    }
    if test {
        return;
    }
    let code = Code::of(source);
    sizes(&place, inside == ["lib.rs"], source, &code, findings);
    if *area == "src" && PURE.contains(name) {
        purity(&place, &code, findings);
    }
    if *area == "src" && *name == EXACT {
        exactness(&place, &code, findings);
    }
}

fn names(place: &str, inside: &[&str], findings: &mut Findings) {
    for part in inside {
        let stem = part.strip_suffix(".rs").unwrap_or(part);
        for word in stem.split('_') {
            if EMPTY_NAMES.contains(&word)
                || word.strip_suffix('s').is_some_and(|one| EMPTY_NAMES.contains(&one))
            {
                findings
                    .wrong(place, format!("`{stem}` says nothing: name the thing after what it is or does"));
            }
        }
    }
}

fn sizes(place: &str, map: bool, source: &str, code: &Code, findings: &mut Findings) {
    let lines_max = if map { MAP_LINES_MAX } else { FILE_LINES_MAX };
    if code.lines > lines_max {
        let lines = code.lines;
        findings.wrong(place, format!("{lines} lines, at most {lines_max}: split it along its types"));
    }
    for (index, line) in source.lines().enumerate() {
        let chars = line.chars().count();
        if chars > LINE_CHARS_MAX {
            let at = format!("{place}:{}", index + 1);
            findings.wrong(&at, format!("{chars} characters, at most {LINE_CHARS_MAX}: break the line"));
        }
    }
    for function in code.functions().iter().filter(|function| function.lines > FUNCTION_LINES_MAX) {
        let at = format!("{place}:{}", function.line);
        let (name, lines) = (&function.name, function.lines);
        findings
            .wrong(&at, format!("`{name}` has {lines} lines, at most {FUNCTION_LINES_MAX}: name its parts"));
    }
}

fn purity(place: &str, code: &Code, findings: &mut Findings) {
    const REMEDY: &str = "this crate has no I/O, clock or randomness: take the value as an argument";
    for leaf in ["fs", "net"] {
        for line in code.paths("std", leaf) {
            findings.wrong(&format!("{place}:{line}"), format!("`std::{leaf}`: {REMEDY}"));
        }
    }
    for word in code.words() {
        if ["tokio", "SystemTime", "Instant", "rand"].contains(&word.text.as_str()) {
            findings.wrong(&format!("{place}:{}", word.line), format!("`{}`: {REMEDY}", word.text));
        }
    }
}

fn exactness(place: &str, code: &Code, findings: &mut Findings) {
    let floats = code.words().into_iter().filter(|word| ["f64", "f32"].contains(&word.text.as_str()));
    for line in floats.map(|word| word.line).chain(code.fractions()) {
        findings.wrong(&format!("{place}:{line}"), "a float in the kernel: count in whole units, checked");
    }
}
