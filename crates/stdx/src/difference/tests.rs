//! What differs is told, and not more than that.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use serde_json::json;

use super::*;

fn said(differences: &Differences) -> Vec<String> {
    differences.told.iter().flat_map(Difference::says).collect()
}

#[test]
fn what_went_what_came_and_what_is_another() {
    let before = json!({ "a": 1, "gone": [1], "deep": { "x/y": "old", "same": true }, "list": [1, 2] });
    let after = json!({ "a": 2, "deep": { "x/y": "new", "same": true }, "list": [1, 3, 4], "new": null });
    let all = between(&before, &after);
    assert_eq!(
        said(&all),
        [
            "/a: 1 → 2",
            "/deep/x~1y: \"old\" → \"new\"",
            "/gone: [1] goes",
            "/list/1: 2 → 3",
            "/list/2: 4 comes",
            "/new: null comes",
        ]
    );
    assert_eq!(between(&before, &before), Differences::default());
    assert_eq!(said(&between(&json!("a"), &json!(7))), ["all of it: \"a\" → 7"]);
}

#[test]
fn only_what_both_speak_of() {
    let before = json!({ "status": "open", "owner": { "name": "ann", "age": 3 }, "size": 9 });
    let after = json!({ "id": 7, "status": "closed", "owner": { "name": "bea" } });
    assert_eq!(
        said(&where_shared(&before, &after)),
        ["/owner/age: 3 goes", "/owner/name: \"ann\" → \"bea\"", "/status: \"open\" → \"closed\""]
    );
    assert!(where_shared(&json!("text"), &after).told.is_empty());
}

#[test]
fn texts_line_by_line() {
    let (before, after) = (json!({ "t": "one\ntwo\nthree\n" }), json!({ "t": "one\n2\nthree\n" }));
    assert_eq!(said(&between(&before, &after)), ["/t:", "    one", "  - two", "  + 2", "    three"]);
    // No line tells of the last line's end.
    let (before, after) = (json!("one\ntwo\n"), json!("one\ntwo"));
    assert_eq!(said(&between(&before, &after)), ["all of it: \"one\\ntwo\\n\" → \"one\\ntwo\""]);
}

#[test]
fn however_much_differs_little_is_told() {
    let many = |value: i64| (0..500).map(|place| (format!("m{place}"), json!(value))).collect::<Value>();
    let all = between(&many(1), &many(2));
    assert_eq!((all.told.len(), all.is_cut), (DIFFERENCES_MAX, true));

    let long = "x".repeat(100_000);
    let all = between(&json!({ "a": long }), &json!({ "b": [long] }));
    assert!(said(&all).iter().all(|line| line.chars().count() < 2 * CHARS_MAX), "{all:?}");

    let text = |word: &str| Value::from((0..900).map(|line| format!("{word} {line}\n")).collect::<String>());
    let all = between(&text("a"), &text("b"));
    assert_eq!(all.told[0].lines.len(), LINES_MAX + 1);
    assert_eq!(all.told[0].lines[LINES_MAX], "… 1680 more lines");
    // Too many pairs of lines: as one.
    let longer = |word: &str| Value::from(format!("{word}\n").repeat(1_500));
    let all = between(&longer("a"), &longer("b"));
    assert!(all.told[0].lines.is_empty() && all.told[0].before.is_some());

    let deep = |value: i64| (0..100).fold(json!(value), |inner, _| json!({ "d": inner }));
    assert_eq!(between(&deep(1), &deep(2)).told[0].at, "/d/d/d/d/d/d/d/d");
}
