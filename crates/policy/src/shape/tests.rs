//! Types and values.

use serde_json::json;

use super::*;

#[test]
fn decimals_fit_or_are_absent() {
    for (text, fits) in [
        ("1", Some("1.0")),
        ("1.5", Some("1.5")),
        ("-0.5", Some("-0.5")),
        ("1.2345", Some("1.2345")),
        ("1.23450", Some("1.2345")),
        ("1.23456", None),
        ("1e3", None),
        ("1E-2", None),
        ("922337203685478", None),
    ] {
        assert_eq!(decimal(text).as_deref(), fits, "{text}");
    }
}

#[test]
fn what_cedar_cannot_know_is_left_out_and_said() {
    let mut untyped = Vec::new();
    let schema = json!({ "type": "object", "required": ["a", "d"], "properties": {
        "a": { "type": "string" }, "b": { "type": ["string", "null"] }, "c": { "$ref": "#/x" },
        "d": { "type": "object", "properties": { "e": { "oneOf": [] }, "f/g": { "type": "array" } } },
        "h": { "type": "array", "items": { "type": "integer" } }, "i": { "type": "tuple" } } });
    let members = arguments(&schema, &mut untyped);
    assert_eq!(record_text(&members), "{ \"a\": __cedar::String, \"d\": {}, \"h\"?: Set<__cedar::Long> }");
    let pointers: Vec<&str> = untyped.iter().map(|(pointer, _)| pointer.as_str()).collect();
    assert_eq!(pointers, ["/b", "/c", "/d/e", "/d/f~1g", "/i"]);
    let mut deep = json!({ "type": "string" });
    for _ in 0..100 {
        deep = json!({ "type": "object", "properties": { "x": deep } });
    }
    arguments(&deep, &mut untyped);
    assert_eq!(untyped.len(), 6);
}

#[test]
fn a_set_with_one_foreign_item_is_absent() {
    let set = Shape::Set(Box::new(Shape::Long));
    assert!(value(&set, &json!([1, 2])).is_some());
    assert!(value(&set, &json!([1, "2"])).is_none());
    assert!(value(&Shape::Long, &json!(5.0)).is_some());
    assert!(value(&Shape::Long, &json!(5.5)).is_none());
    assert!(value(&Shape::Long, &json!(u64::MAX)).is_none());
}
