//! What the version of a snapshot covers.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use super::SOURCES;

#[test]
fn the_version_covers_every_file_that_the_fold_is_made_of() {
    for (name, text) in SOURCES {
        for used in text.split("crate::").skip(1) {
            let used: String = used.chars().take_while(|letter| letter.is_ascii_lowercase()).collect();
            let listed = used.is_empty() || SOURCES.iter().any(|(source, _)| *source == used);
            assert!(listed, "{name}.rs uses {used}.rs: name it in SOURCES too");
        }
    }
}
