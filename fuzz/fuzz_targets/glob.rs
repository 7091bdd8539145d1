//! Globs against a slow matcher that cannot be wrong: dynamic programming over every prefix.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stdx::glob;

/// Longer inputs only make the oracle slow; every rule shows within a few bytes.
const SIDE_MAX: usize = 64;

fuzz_target!(|pair: (&str, &str)| {
    let (pattern, text) = pair;
    if pattern.len() > SIDE_MAX || text.len() > SIDE_MAX {
        return;
    }
    assert_eq!(
        glob::matches(pattern, text),
        slowly(pattern.as_bytes(), text.as_bytes()),
        "{pattern:?} {text:?}"
    );
});

fn slowly(pattern: &[u8], text: &[u8]) -> bool {
    let mut reached = vec![false; text.len() + 1];
    reached[0] = true;
    for byte in pattern {
        if *byte == b'*' {
            for at in 1..reached.len() {
                reached[at] |= reached[at - 1];
            }
        } else {
            for at in (1..reached.len()).rev() {
                reached[at] = reached[at - 1] && text[at - 1] == *byte;
            }
            reached[0] = false;
        }
    }
    reached[text.len()]
}
