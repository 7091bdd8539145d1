//! What the strict reader refuses, and what the canonical writer gives.

use super::*;

#[test]
fn refuses_what_two_parsers_read_differently() {
    let refused = [
        (r#"{"a":1,"a":2}"#, "duplicate member"),
        (r#"{"a":1,"\u0061":2}"#, "duplicate member"),
        (r#"{"x":{"b":1,"b":1}}"#, "duplicate member"),
        (r#""\ud800""#, "hex escape"),
        (r#""\udc00x""#, "surrogate"),
        ("1e400", "number out of range"),
        ("9007199254740993", "beyond"),
        ("-9007199254740993", "beyond"),
        ("123456789012345678901234567890", "beyond"),
        ("1e20", "beyond"),
        ("1.00000000000000000001", "does not survive"),
        ("0.1000000000000000055511151231257827", "does not survive"),
        ("-0", "does not survive"),
        ("-0.0", "does not survive"),
        ("1e-400", "does not survive"),
        // Halfway between two decimals of equal length: the canonical writer ends in 2.
        ("100395972222203.13", "does not survive"),
        ("{} {}", "trailing"),
        ("[1,]", "trailing comma"),
        ("NaN", "expected"),
        ("'a'", "expected"),
        ("\u{feff}{}", "expected"),
        ("", "EOF"),
        ("01", "number"),
    ];
    for (text, why) in refused {
        let error = parse(text.as_bytes()).expect_err(text);
        assert!(error.why.contains(why), "{text}: expected `{why}`, got `{error}`");
    }
    assert!(parse(b"\"\xff\"").is_err(), "not UTF-8");
}

#[test]
fn refuses_depth_and_crowds() {
    let deep = "[".repeat(DEPTH_MAX + 1) + &"]".repeat(DEPTH_MAX + 1);
    assert!(parse(deep.as_bytes()).expect_err("too deep").why.contains("deeper"));
    let fits = "[".repeat(DEPTH_MAX) + &"]".repeat(DEPTH_MAX);
    assert!(parse(fits.as_bytes()).is_ok());
    let crowd = format!("[{}1]", "1,".repeat(NODES_MAX));
    assert!(parse(crowd.as_bytes()).expect_err("too many").why.contains("more than"));
}

#[test]
fn keeps_what_is_plain() {
    for text in [
        "0",
        "1.5",
        "-12.25",
        "1e3",
        "0.1",
        "1.0",
        "[1.10, 2]",
        "9007199254740991",
        "100395972222203.12",
        r#""a\"1.00000000000000000001""#,
    ] {
        assert!(parse(text.as_bytes()).is_ok(), "{text}");
    }
}

#[test]
fn canonical_form_is_rfc_8785() {
    let value = parse(r#"{"\u20ac":1,"a":[1.0,1e3,0.000001],"A":"\u000f\n"}"#.as_bytes()).expect("valid");
    let text = String::from_utf8(canonical(&value)).expect("UTF-8");
    assert_eq!(text, r#"{"A":"\u000f\n","a":[1,1000,0.000001],"€":1}"#);
}

proptest::proptest! {
    #[test]
    fn canonical_bytes_read_back_to_themselves(text in "\\PC{0,40}", number in -1e9f64..1e9, whole in -9007199254740991i64..9007199254740991) {
        let value = serde_json::json!({ "t": text, "n": number, "w": whole, "l": [text.clone(), null_or(whole)] });
        let bytes = canonical(&value);
        if let Ok(again) = parse(&bytes) {
            proptest::prop_assert_eq!(canonical(&again), bytes);
        }
    }

    #[test]
    fn no_input_panics(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
        let _ = parse(&bytes);
    }
}

fn null_or(whole: i64) -> Value {
    if whole % 2 == 0 { Value::Null } else { whole.into() }
}
