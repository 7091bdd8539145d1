//! Strict JSON: nothing panics, and what was accepted has one canonical form that reads back as itself.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stdx::json;

fuzz_target!(|bytes: &[u8]| {
    let Ok(value) = json::parse(bytes) else { return };
    let once = json::canonical(&value);
    let again = json::parse(&once).expect("a canonical document is accepted");
    assert_eq!(once, json::canonical(&again), "canonical bytes are not a fixed point");
});
