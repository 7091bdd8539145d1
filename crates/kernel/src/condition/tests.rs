//! Conditions hold, do not, or are unknown; what cannot be read says where.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use serde_json::json;

use super::Condition;
use crate::template::Values;

fn holds(text: &str) -> Option<bool> {
    let args = json!({ "n": 7, "s": "x", "b": true, "null": null, "f": 1.5, "big": u64::MAX });
    let result = json!({ "n": 9, "s": "x", "list": [{ "n": 7 }] });
    let values = Values { args: Some(&args), result: Some(&result), ..Values::default() };
    Condition::parse(text).unwrap().holds(&values)
}

#[test]
fn a_condition_holds_or_not_or_is_unknown() {
    let rows = [
        ("result.n >= args.n", Some(true)),
        ("result.n<=args.n", Some(false)),
        ("args.n == 7 and args.s == 'x'", Some(true)),
        ("args.n != 7 and args.s == \"x\"", Some(false)),
        ("args.n < 8 and args.n > -1", Some(true)),
        ("result.list.0.n == args.n", Some(true)),
        ("args.b == true", Some(true)),
        ("args.b != true", Some(false)),
        ("args.big > 7", Some(true)),
        // Not known: missing, null, of another kind, no whole number, no order.
        ("result.nothing == 7", None),
        ("deed.n == 7", None),
        ("args.null == 7", None),
        ("args.s == 7", None),
        ("args.f > 1", None),
        ("args.b < true", None),
        // What is known to be false is false, whatever else is unknown.
        ("result.nothing == 7 and args.n == 8", Some(false)),
        ("result.nothing == 7 and args.n == 7", None),
    ];
    for (text, wanted) in rows {
        assert_eq!(holds(text), wanted, "{text}");
    }
}

#[test]
fn what_is_no_condition_says_so() {
    let rows = [
        "",
        "args.n",
        "args.n ==",
        "7 == args.n",
        "args.n == 7 and",
        "args.n = 7",
        "args.n == 'x",
        "args.n == 7 or args.n == 8",
        "arg.n == 7",
        "args.n == 1.5",
        "args.n == 7 args.n == 8",
        "args. == 7",
    ];
    for text in rows {
        assert!(Condition::parse(text).is_err(), "{text}");
    }
    let said = Condition::parse("args.n == 7 and argh.n == 8").unwrap_err();
    assert!(said.starts_with("`argh.n` is no whole number") && said.ends_with("at column 17"), "{said}");
}
