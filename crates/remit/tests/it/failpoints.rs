//! The list of failpoints, frozen: a new one in the sources must be added here, and to the crashes.

use std::path::Path;

/// Every name, and where in these tests it strikes.
const NAMES: [&str; 15] = [
    "gate.after_commit",
    "gate.after_gather",
    "gate.after_parse",
    "gate.before_answer",
    "gate.before_append",
    "gate.before_dispatch",
    "gate.before_release",
    "gate.before_settle",
    "gate.in_control",
    "gate.in_reload",
    "ledger.after_commit",
    "ledger.before_append",
    "ledger.in_commit",
    "ledger.in_migration",
    "ledger.in_snapshot",
];

fn names_below(folder: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            names_below(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            let hits = text.split("failpoint::hit(\"").skip(1);
            found.extend(hits.filter_map(|rest| rest.split_once('"')).map(|(name, _)| name.to_owned()));
        }
    }
}

#[test]
fn every_failpoint_of_the_sources_is_listed_and_struck() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut found = Vec::new();
    for entry in std::fs::read_dir(&crates).unwrap() {
        let source = entry.unwrap().path().join("src");
        if source.is_dir() {
            names_below(&source, &mut found);
        }
    }
    found.sort();
    assert_eq!(found, NAMES, "one place each; add a new one here and let crash.rs strike it");
    let crash = include_str!("crash.rs");
    for name in NAMES {
        let struck = crash.contains(&format!("\"{name}\"")) || crash.contains(&format!("\"{name}:"));
        assert!(struck, "{name}: crash.rs must strike it");
    }
}
