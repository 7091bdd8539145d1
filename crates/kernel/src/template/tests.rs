//! Templates keep types where they stand alone, and say what is missing.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use serde_json::json;

use super::{Missing, Values, check, fill, references, resolved, text};

#[test]
fn a_template_alone_keeps_its_type_and_within_text_becomes_text() {
    let (args, result) = (json!({ "a": { "b": 7 }, "on": true }), json!({ "list": [{ "id": "x" }] }));
    let values = Values { args: Some(&args), result: Some(&result), ..Values::default() };
    let template = json!({
        "whole": "{args.a.b}", "text": "no {args.a.b}, {args.on}", "deep": ["{result.list.0.id}"],
        "all": "{args.a}", "braces": "{} {not a path} {args.a.b", "number": 3
    });
    let filled = json!({
        "whole": 7, "text": "no 7, true", "deep": ["x"], "all": { "b": 7 },
        "braces": "{} {not a path} {args.a.b", "number": 3
    });
    assert_eq!(fill(&template, &values).unwrap(), filled);
    assert_eq!(fill(&json!("{args.c}"), &values), Err(Missing("args.c".into())));
    assert_eq!(fill(&json!("{before.c}"), &values), Err(Missing("before.c".into())));
    // A list has no text of its own.
    assert_eq!(text("of {result.list}", &values), Err(Missing("result.list".into())));
    assert_eq!(text("charge:{args.a.b}", &values).unwrap(), "charge:7");
}

#[test]
fn what_fills_a_template_is_never_filled_again() {
    let args = json!({ "a": "{args.b}", "b": "secret" });
    let values = Values { args: Some(&args), ..Values::default() };
    assert_eq!(fill(&json!("{args.a} {args.a}"), &values).unwrap(), json!("{args.b} {args.b}"));
    assert_eq!(fill(&json!("{args.a}"), &values).unwrap(), json!("{args.b}"));
}

#[test]
fn roots_are_checked_when_rules_are_loaded() {
    assert_eq!(check(&json!({ "a": "{args.x} {result.y}" }), &["args", "result"]), Ok(()));
    let said = check(&json!(["{before.x}"]), &["args", "result"]).unwrap_err();
    assert_eq!(said, "there is no `before.x` here; a template begins with `args` or `result`");
}

#[test]
fn references_are_whole_strings_and_are_found_with_their_place() {
    let args = json!({ "to": "$steps.a.result.id", "x/y": [{ "z": "$steps.b.result" }], "no": "$steps.a.result.id!x y",
        "text": "see $steps.a.result.id", "half": "$steps.a.results" });
    let found = references(&args);
    let mut told: Vec<String> =
        found.iter().map(|found| format!("{} {} {:?}", found.at, found.step, found.path)).collect();
    told.sort_unstable();
    assert_eq!(told, ["/no a [\"id!x y\"]", "/to a [\"id\"]", "/x~1y/0/z b []"]);
    let (a, b) = (json!({ "id": 7, "id!x y": null }), json!([1]));
    let filled = resolved(&args, &|step| Some(if step == "a" { &a } else { &b })).unwrap();
    let wanted = json!({ "to": 7, "x/y": [{ "z": [1] }], "no": null,
        "text": "see $steps.a.result.id", "half": "$steps.a.results" });
    assert_eq!(filled, wanted);
    let none = resolved(&args, &|step| (step == "a").then_some(&b));
    assert!(none.unwrap_err().0.starts_with("$steps.a.result.id"));
}
