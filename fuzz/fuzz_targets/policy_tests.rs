//! Tests of rules: a YAML file of them is read or refused, never a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Err(why) = remit::read_policy_tests(text) {
        assert!(!why.is_empty(), "refused without a word");
    }
});
