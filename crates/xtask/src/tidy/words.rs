//! Words that belong to somebody's machine and not to the repository.

use anyhow::Result;

use super::Findings;
use crate::repo;

/// Spelled in two halves, so that this file passes its own check.
const BANNED: [&str; 7] = [
    concat!("/wo", "rk/"),
    concat!("index.", "crates.io"),
    concat!("static.", "crates.io"),
    concat!("files.", "pythonhosted.org"),
    concat!("registry.", "npmjs.org"),
    concat!("deb.", "debian.org"),
    concat!("proxy.", "golang.org"),
];

pub fn check(findings: &mut Findings) -> Result<()> {
    for file in repo::files(&repo::root())? {
        if file.file_name().is_some_and(|name| name == "Cargo.lock") {
            continue;
        }
        // What is not text has no words.
        let Ok(text) = std::fs::read_to_string(&file) else { continue };
        for (line, word) in banned(&text) {
            let place = format!("{}:{line}", repo::shown(&file));
            findings.wrong(&place, format!("`{word}` is of one machine or network: say it without"));
        }
    }
    Ok(())
}

/// Line and word of each. A path counts only from its root: `docs/x/` inside a longer path is another folder.
pub fn banned(text: &str) -> Vec<(usize, &'static str)> {
    let mut found = Vec::new();
    for (index, line) in text.lines().enumerate() {
        for word in BANNED {
            let inner = |before: char| before.is_alphanumeric() || "._-/}".contains(before);
            let mut starts = line.match_indices(word).map(|(at, _)| line.get(..at).unwrap_or_default());
            if starts.any(|before| !(word.starts_with('/') && before.ends_with(inner))) {
                found.push((index + 1, word));
            }
        }
    }
    found
}
