//! Durations: no overflow, and what is written back reads as the same length of time.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stdx::duration;

fuzz_target!(|text: &str| {
    let Some(ms) = duration::parse_ms(text) else { return };
    let written = duration::format_ms(ms);
    assert_eq!(duration::parse_ms(&written), Some(ms), "{text:?} was written back as {written:?}");
});
