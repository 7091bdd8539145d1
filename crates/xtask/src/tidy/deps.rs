//! Dependencies: the bans and the licences of deny.toml, read without cargo-deny.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, bail};

use super::Findings;
use crate::process::{self, cargo};
use crate::repo;

const RULES: &str = "deny.toml";

pub fn check(findings: &mut Findings) -> Result<()> {
    let rules = std::fs::read_to_string(repo::root().join(RULES)).context("reading deny.toml")?;
    let banned = banned(&rules);
    let allowed = strings(list(&rules, "licenses", "allow"));
    if banned.is_empty() || allowed.is_empty() {
        bail!("deny.toml has no [bans] deny or no [licenses] allow: the check would say nothing");
    }
    // The lock file also lists what no feature of ours turns on; the tree lists what is built, on any platform.
    let args = ["tree", "--workspace", "--target=all", "--edges=all", "--prefix=none", "--format={p}|{l}"];
    let tree = process::read(cargo(&args))?;
    let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut licences: BTreeMap<&str, &str> = BTreeMap::new();
    for line in tree.lines() {
        let Some((package, licence)) = line.split_once('|') else { continue };
        let mut words = package.split_whitespace();
        let (Some(name), Some(version)) = (words.next(), words.next()) else { continue };
        versions.entry(name).or_default().insert(version);
        licences.insert(name, licence.trim_end_matches("(*)").trim());
    }
    for name in versions.keys().filter(|name| banned.iter().any(|ban| ban == *name)) {
        findings.wrong(
            RULES,
            format!("`{name}` is banned and in the tree; `cargo tree -i {name}` says who wants it"),
        );
    }
    for (name, licence) in licences {
        if !permitted(licence, &allowed) {
            findings.wrong(
                RULES,
                format!("`{name}` is under `{licence}`, which is not allowed: use another crate"),
            );
        }
    }
    let twice: Vec<&str> = versions.iter().filter(|(_, all)| all.len() > 1).map(|(name, _)| *name).collect();
    if !twice.is_empty() {
        findings.note(RULES, format!("in more than one version: {}", twice.join(", ")));
    }
    Ok(())
}

/// The crates in `deny` of `[bans]`.
pub fn banned(rules: &str) -> Vec<String> {
    let parts = list(rules, "bans", "deny").split("crate = \"").skip(1);
    parts.filter_map(|part| part.split('"').next()).map(str::to_owned).collect()
}

/// The text between the brackets of `key` in `[section]`. No TOML parser: our own file, in our own layout.
pub fn list<'a>(rules: &'a str, section: &str, key: &str) -> &'a str {
    let head = format!("[{section}]\n");
    let body = rules.split_once(&head).map(|(_, rest)| rest).unwrap_or_default();
    let body = body.split("\n[").next().unwrap_or_default();
    let start = format!("{key} = [");
    let rest = body.split_once(&start).map(|(_, rest)| rest).unwrap_or_default();
    rest.split_once("\n]").map(|(inside, _)| inside).unwrap_or_default()
}

pub fn strings(list: &str) -> Vec<String> {
    list.split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

/// Whether an SPDX expression can be met with what is allowed. `/` is the old spelling of OR.
pub fn permitted(expression: &str, allowed: &[String]) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut reader = Reader { words: &words, at: 0, allowed };
    reader.any() && reader.at == words.len()
}

/// OR binds weaker than AND, AND weaker than WITH.
struct Reader<'a> {
    words: &'a [&'a str],
    at: usize,
    allowed: &'a [String],
}

impl Reader<'_> {
    fn any(&mut self) -> bool {
        let mut met = self.all();
        while self.take("OR") {
            met |= self.all();
        }
        met
    }

    fn all(&mut self) -> bool {
        let mut met = self.one();
        while self.take("AND") {
            met &= self.one();
        }
        met
    }

    fn one(&mut self) -> bool {
        if self.take("(") {
            let met = self.any();
            return self.take(")") && met;
        }
        let Some(name) = self.words.get(self.at) else { return false };
        self.at += 1;
        let mut name = (*name).to_owned();
        if self.take("WITH") {
            name = format!("{name} WITH {}", self.words.get(self.at).unwrap_or(&""));
            self.at += 1;
        }
        self.allowed.contains(&name)
    }

    fn take(&mut self, word: &str) -> bool {
        let found = self.words.get(self.at) == Some(&word);
        self.at += usize::from(found);
        found
    }
}
