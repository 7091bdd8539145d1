//! Who may depend on whom. The table is the design; an edge outside it is refused.

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::Findings;
use crate::repo;

/// A crate, and all of ours that it may name. In the order of the layers: no row names a later row.
pub const LAYERS: [(&str, &[&str]); 11] = [
    ("stdx", &[]),
    ("policy", &["stdx"]),
    ("ledger", &["stdx"]),
    ("api", &["stdx"]),
    ("kernel", &["policy", "stdx"]),
    ("gate", &["kernel", "ledger", "stdx"]),
    ("tools", &["gate", "kernel", "stdx"]),
    ("server", &["gate", "api", "kernel", "stdx"]),
    ("remit", &["stdx", "policy", "ledger", "api", "kernel", "gate", "tools", "server"]),
    ("sim", &["gate", "tools", "kernel", "ledger", "stdx"]),
    ("xtask", &[]),
];

/// Edges that only tests may have: a door's tests run over a real gate, and a gate needs a log.
const TEST_ONLY: [(&str, &str); 2] = [("server", "ledger"), ("tools", "ledger")];

const MAP: &str = "ARCHITECTURE.md";

pub fn check(metadata: &Value, findings: &mut Findings) -> Result<()> {
    let packages =
        metadata.get("packages").and_then(Value::as_array).context("cargo metadata has no packages")?;
    let names: Vec<&str> = packages.iter().filter_map(|package| package.get("name")?.as_str()).collect();
    for package in packages {
        one(package, &names, findings);
    }
    for (name, _) in LAYERS.iter().filter(|(name, _)| !names.contains(name)) {
        findings.wrong("layers", format!("crate `{name}` is gone: take its row out of xtask's layer table"));
    }
    map(&names, findings);
    Ok(())
}

fn one(package: &Value, ours: &[&str], findings: &mut Findings) {
    let text = |key: &str| package.get(key).and_then(Value::as_str).unwrap_or_default();
    let name = text("name");
    let place = format!("crates/{name}/Cargo.toml");
    if !text("manifest_path").ends_with(&place) {
        findings.wrong(&place, "crate and folder must have one name");
    }
    if text("version") != "0.0.0" || package.get("publish").is_none_or(Value::is_null) {
        findings.wrong(&place, "write `version.workspace = true` and `publish.workspace = true`");
    }
    let manifest = std::fs::read_to_string(text("manifest_path")).unwrap_or_default();
    if !manifest.contains("[lints]\nworkspace = true") {
        findings.wrong(&place, "write `[lints]` with `workspace = true`");
    }
    let Some((_, allowed)) = LAYERS.iter().find(|(row, _)| *row == name) else {
        findings
            .wrong(&place, "a new crate: give it a row in xtask's layer table and a paragraph in the map");
        return;
    };
    let edges = package.get("dependencies").and_then(Value::as_array).into_iter().flatten();
    for edge in edges {
        let to = edge.get("name").and_then(Value::as_str).unwrap_or_default();
        let is_test = edge.get("kind").and_then(Value::as_str) == Some("dev");
        if is_test && TEST_ONLY.contains(&(name, to)) {
            continue;
        }
        if ours.contains(&to) && to != name && !allowed.contains(&to) {
            let list = if allowed.is_empty() { "nothing of ours".to_owned() } else { allowed.join(", ") };
            findings
                .wrong(&place, format!("`{name}` may not depend on `{to}`, only on {list}: move the code"));
        }
    }
}

fn map(names: &[&str], findings: &mut Findings) {
    let Ok(text) = std::fs::read_to_string(repo::root().join(MAP)) else {
        findings.wrong(MAP, "is missing: write the map of the crates");
        return;
    };
    for name in names {
        let named = [format!("`{name}`"), format!("`{name}/`"), format!("crates/{name}"), format!("{name}/")];
        if !named.iter().any(|spelling| text.contains(spelling)) {
            findings.wrong(MAP, format!("does not name the crate `{name}`: say in a paragraph what it is"));
        }
    }
    if text.lines().count() > 200 {
        findings.wrong(MAP, "is longer than 200 lines: a map that nobody reads");
    }
}
