//! What is found in arguments, where, and what a reason never says.

use serde_json::json;

use super::*;

fn contract(arguments: Value) -> Contract {
    let bare = json!({
        "about": "", "credential": null, "cost_usd_nanos": 0, "destinations": [], "effect": "read", "env": "prod",
        "idempotency_header": null, "input": {}, "labels": [], "name": "a.b", "operation": "read", "pin": null,
        "redact": { "arguments": arguments }, "result_bytes_max": 1, "server": "a", "timeout_ms": 1, "tool": "b",
        "via": {}
    });
    serde_json::from_value(bare).unwrap()
}

#[test]
fn it_is_found_wherever_it_stands_and_never_repeated() {
    let contract = contract(json!([{ "pattern": "secrets" }, { "pattern": "credit_card" }]));
    let secret = format!("ghp_{}", "0123456789".repeat(4));
    let key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
    let rows = [
        (json!({ "a": [{ "b/c": format!("use {secret}") }] }), "/a/0/b~1c"),
        (json!({ "a": { &secret: 1 } }), "/a"),
        (json!({ "n": 4_111_111_111_111_111_u64 }), "/n"),
        (json!({ "aws_secret_access_key": [key] }), "/aws_secret_access_key/0"),
        (json!({ "ann@example.com": { "x": secret } }), "/[email]/x"),
    ];
    for (args, at) in rows {
        let reason = check(&contract, &args, &[]).unwrap_err();
        assert_eq!((reason.code, reason.at.as_deref()), (Code::ContentForbidden, Some(at)), "{args}");
        assert!(!serde_json::to_string(&reason).unwrap().contains(&secret));
    }
    assert!(check(&contract, &json!({ "a": "plain", "n": 4_111_111_111_111_112_u64 }), &[]).is_ok());
    let deep = json!({ "x".repeat(400): secret });
    let reason = check(&contract, &deep, &[]).unwrap_err();
    assert_eq!(reason.at.unwrap().len(), POINTER_BYTES_MAX);
}

#[test]
fn it_may_go_where_all_destinations_are_named() {
    let contract = contract(json!([{ "pattern": "iban", "unless_to": ["*@bank.example"] }]));
    let args = json!({ "text": "DE89 3704 0044 0532 0130 00" });
    let to = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    assert!(check(&contract, &args, &to(&["a@bank.example"])).is_ok());
    assert!(check(&contract, &args, &to(&["a@bank.example", "b@evil.example"])).is_err());
    assert!(check(&contract, &args, &[]).is_err());
}
