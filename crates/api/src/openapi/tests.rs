//! OpenAPI is generated; the copy in `docs/reference` is its golden.

use std::collections::BTreeSet;

use expect_test::expect_file;

use super::*;

#[test]
fn the_document_is_the_golden_one() {
    let text = serde_json::to_string_pretty(&document()).unwrap() + "\n";
    expect_file!["../../../../docs/reference/openapi.json"].assert_eq(&text);
}

#[test]
fn every_operation_has_a_name_of_its_own() {
    let names: BTreeSet<&str> = ENDPOINTS.iter().map(|endpoint| endpoint.id).collect();
    assert_eq!(names.len(), ENDPOINTS.len());
}

#[test]
fn every_reference_leads_somewhere() {
    let document = document();
    let mut rest = vec![&document];
    while let Some(value) = rest.pop() {
        match value {
            Value::Object(members) => {
                if let Some(at) = members.get("$ref").and_then(Value::as_str) {
                    let found = at.strip_prefix('#').and_then(|pointer| document.pointer(pointer));
                    assert!(found.is_some(), "{at} leads nowhere");
                }
                rest.extend(members.values());
            }
            Value::Array(items) => rest.extend(items),
            _ => {}
        }
    }
}
