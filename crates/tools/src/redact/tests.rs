//! No spelling of the secret comes back.

use serde_json::json;

use super::*;

#[test]
fn every_occurrence_in_the_bytes_is_masked() {
    for (heard, secret, clean) in [
        ("a sk-1 b sk-1", "sk-1", "a [secret] b [secret]"),
        ("sk-1", "sk-1", "[secret]"),
        ("sk-sk-1", "sk-1", "sk-[secret]"),
        ("aaaa", "aa", "[secret][secret]"),
        ("nothing", "sk-1", "nothing"),
        ("short", "longer than it", "short"),
        ("kept", "", "kept"),
    ] {
        assert_eq!(String::from_utf8(bytes(heard.into(), secret.as_bytes())).unwrap(), clean);
    }
}

#[test]
fn strings_and_names_inside_a_document_are_masked() {
    let heard = json!({ "a sk-1": ["sk-1", { "b": "xsk-1x" }, 1, null] });
    assert_eq!(value(heard, "sk-1"), json!({ "a [secret]": ["[secret]", { "b": "x[secret]x" }, 1, null] }));
}
