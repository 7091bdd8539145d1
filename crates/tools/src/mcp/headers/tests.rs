//! Values that must come back as they went, and marks that clients must not follow.

use serde_json::json;

use super::*;

#[test]
fn every_text_survives_its_header() {
    for (text, carried) in [
        ("echo", "echo"),
        ("a b", "a b"),
        ("", ""),
        (" a", "=?base64?IGE=?="),
        ("a\r\nb: c", "=?base64?YQ0KYjogYw==?="),
        ("grüße", "=?base64?Z3LDvMOfZQ==?="),
        ("=?base64?YQ==?=", "=?base64?PT9iYXNlNjQ/WVE9PT89?="),
    ] {
        assert_eq!(encode(text), carried);
        assert_eq!(decode(carried).as_deref(), Some(text));
    }
    for wrong in ["=?base64?YQ?=", "=?base64?YR==?=", "=?base64?/w==?=", "=?base64?*?="] {
        assert_eq!(decode(wrong), None, "{wrong}");
    }
}

#[test]
fn marked_properties_are_mirrored_from_the_arguments() {
    let schema = json!({ "properties": {
        "region": { "type": "string", "x-mcp-header": "Region" },
        "where": { "type": "object", "properties": { "zone": { "type": "integer", "x-mcp-header": "Zone" } } },
        "dry": { "type": "boolean", "x-mcp-header": "Dry" },
        "plain": { "type": "string" },
    }});
    let arguments = json!({ "region": "eu", "where": { "zone": 3 }, "plain": "x", "dry": null });
    let mut headers: Vec<(String, Option<String>)> = mirrored(&schema)
        .unwrap()
        .into_iter()
        .map(|one| (one.header.clone(), mirror(&one, arguments.as_object().unwrap())))
        .collect();
    headers.sort();
    let expected = [("mcp-param-dry", None), ("mcp-param-region", Some("eu")), ("mcp-param-zone", Some("3"))];
    assert_eq!(headers, expected.map(|(name, value)| (name.to_owned(), value.map(str::to_owned))));
}

#[test]
fn one_invalid_mark_makes_all_of_them_invalid() {
    let good = json!({ "type": "string", "x-mcp-header": "Good" });
    for bad in [
        json!({ "type": "number", "x-mcp-header": "A" }),
        json!({ "x-mcp-header": "A" }),
        json!({ "type": "string", "x-mcp-header": 3 }),
        json!({ "type": "string", "x-mcp-header": "a b" }),
        json!({ "type": "string", "x-mcp-header": "GOOD" }),
        json!({ "type": "array", "items": { "type": "string", "x-mcp-header": "A" } }),
        json!({ "anyOf": [{ "type": "string", "x-mcp-header": "A" }] }),
    ] {
        assert_eq!(mirrored(&json!({ "properties": { "a": good, "b": bad } })), None, "{bad}");
    }
    let named = json!({ "properties": { "x-mcp-header": { "type": "string" }, "default": good } });
    assert_eq!(mirrored(&named).unwrap().len(), 1);
}
