//! Each error code one page, each page one code.

use std::collections::BTreeMap;

use anyhow::Result;

use super::Findings;
use crate::repo;

/// Files that list codes; others may too, with the same marks.
const LISTS: [&str; 2] = ["crates/kernel/src/reason.rs", "crates/api/src/problem.rs"];
// Spelled in two halves, so that this file is not itself taken for a list.
const START: &str = concat!("// codes:", "start");
const END: &str = concat!("// codes:", "end");

pub fn check(findings: &mut Findings) -> Result<()> {
    let root = repo::root();
    let mut codes: BTreeMap<String, String> = BTreeMap::new();
    let mut lists = Vec::new();
    for file in repo::files(&root.join("crates"))? {
        let place = repo::shown(&file);
        if !place.ends_with(".rs") || place.starts_with("crates/xtask/") {
            continue;
        }
        let source = std::fs::read_to_string(&file)?;
        let Some(listed) = listed(&source) else { continue };
        if listed.is_empty() {
            findings.wrong(&place, "no `Variant => \"the_code\"` between the marks of its codes");
        }
        for code in listed {
            if !is_code(&code) {
                findings.wrong(&place, format!("`{code}`: a code is in snake_case"));
            }
            codes.insert(code, place.clone());
        }
        lists.push(place);
    }
    for missing in LISTS.iter().filter(|list| !lists.iter().any(|found| found == *list)) {
        findings.note(missing, format!("no codes found (no `{START}` there yet): skipped"));
    }
    pages(&codes, lists.is_empty(), findings)
}

fn pages(codes: &BTreeMap<String, String>, unlisted: bool, findings: &mut Findings) -> Result<()> {
    let folder = repo::root().join("docs/errors");
    for (code, place) in codes {
        if !folder.join(format!("{code}.md")).is_file() {
            findings.wrong(place, format!("code `{code}` has no page: write docs/errors/{code}.md"));
        }
    }
    for file in repo::files(&folder)? {
        let place = repo::shown(&file);
        let Some(stem) = file.file_stem().and_then(|stem| stem.to_str()) else { continue };
        if stem == "README" || unlisted {
            continue;
        }
        if !codes.contains_key(stem) {
            findings.wrong(&place, "no code has this name: delete the page, or list the code");
        }
        let heading = std::fs::read_to_string(&file)?;
        if !heading.lines().next().unwrap_or_default().contains(stem) {
            findings.wrong(&place, format!("open the page with the heading # `{stem}`"));
        }
    }
    Ok(())
}

/// The codes between the marks, in their order; `None` for a file without marks.
pub fn listed(source: &str) -> Option<Vec<String>> {
    if !source.contains(START) {
        return None;
    }
    let blocks = source.split(START).skip(1).map(|rest| rest.split(END).next().unwrap_or_default());
    let arms = blocks.flat_map(|block| block.split("=>").skip(1));
    let codes = arms.filter_map(|arm| arm.trim_start().strip_prefix('"')?.split('"').next());
    Some(codes.map(str::to_owned).collect())
}

fn is_code(text: &str) -> bool {
    let plain = text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    plain && text.starts_with(|c: char| c.is_ascii_lowercase())
}
