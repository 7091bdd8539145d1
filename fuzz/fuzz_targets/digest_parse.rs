//! Digests: one text per digest, so that equal digests are equal text in every log and URL.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stdx::digest::Digest;

fuzz_target!(|text: &str| {
    let Ok(digest) = text.parse::<Digest>() else { return };
    assert_eq!(digest.to_string(), text, "a second spelling of a digest was accepted");
});
