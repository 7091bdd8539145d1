//! The configuration: files as `=== NAME` lines part them, over the refund desk's own. It loads, or says why not.
#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;

const DESK: [(&str, &str); 4] = [
    ("remit.yaml", include_str!("../../examples/refund-desk/remit.yaml")),
    ("agents/refund-desk.yaml", include_str!("../../examples/refund-desk/agents/refund-desk.yaml")),
    ("tools/desk.yaml", include_str!("../../examples/refund-desk/tools/desk.yaml")),
    ("policies/house.cedar", include_str!("../../examples/refund-desk/policies/house.cedar")),
];

fuzz_target!(|text: &str| {
    let mut files: BTreeMap<&str, &str> = DESK.into_iter().collect();
    for part in text.split("=== ").filter(|part| !part.is_empty()) {
        let (name, body) = part.split_once('\n').unwrap_or((part, ""));
        files.insert(name, body);
    }
    let root = files.remove("remit.yaml").unwrap_or_default();
    let mut all = vec![("remit.yaml", root)];
    all.extend(files);
    match remit::check_texts(&all) {
        Ok(rules) => assert_eq!(rules.digest, rules.book.digest(), "the rules are not those of their book"),
        Err(problems) => assert!(!problems.trim().is_empty(), "refused without a word"),
    }
});
