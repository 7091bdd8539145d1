//! What is taken out, and what is left out because it cannot be.

use super::*;

fn contract(fields: Value, results: Value, via: Value) -> Contract {
    let bare = json!({
        "about": "", "credential": null, "cost_usd_nanos": 0, "destinations": [], "effect": "read", "env": "prod",
        "idempotency_header": null, "input": {}, "labels": [], "name": "a.b", "operation": "read", "pin": null,
        "redact": { "fields": fields, "results": results }, "result_bytes_max": 1, "server": "a", "timeout_ms": 1,
        "tool": "b", "via": via
    });
    serde_json::from_value(bare).unwrap()
}

fn after(contract: &Contract, outcome: Outcome, heard: &Value) -> Value {
    let reached = Reached { outcome, body: canonical_value(heard), trouble: None, said: None, used: None };
    serde_json::from_slice(&redacted(contract, reached).body).unwrap()
}

#[test]
fn a_field_is_taken_out_of_each_element_and_where_it_is_missing_its_holder_is_left_out() {
    let contract = contract(json!([["people", "email"], ["key"]]), json!([]), json!({ "http": {} }));
    let clean = |heard| after(&contract, Outcome::Succeeded, &heard);
    assert_eq!(
        clean(json!({ "people": [{ "name": "Ann", "email": "a@b.example" }, null], "key": 1, "x": 2 })),
        json!({ "people": [{ "name": "Ann" }, null], "x": 2 })
    );
    let left_out =
        |name: &str| json!({ "redacted": format!("left out: there is no `{name}` in it to take out") });
    assert_eq!(
        clean(json!({ "people": [{ "name": "Ann", "mail": "a@b.example" }], "key": 1 })),
        json!({ "people": [left_out("email")] })
    );
    assert_eq!(
        clean(json!({ "people": "Ann <a@b.example>", "key": 1 })),
        json!({ "people": left_out("email") })
    );
    assert_eq!(clean(json!({ "persons": [{ "email": "a@b.example" }], "key": 1 })), left_out("key"));
    assert_eq!(clean(json!("Ann <a@b.example>")), left_out("key"));
}

#[test]
fn patterns_are_blotted_from_texts_names_numbers_and_documents_within_texts() {
    let contract = contract(json!([]), json!(["email", "credit_card", "secrets"]), json!({ "http": {} }));
    let heard = json!({
        "text": "to ann@a.example", "card": 4_111_111_111_111_111_u64, "count": 7,
        "by": { "ann@a.example": 1, "bob@a.example": 2 },
        "inner": "{\"to\":\"ann\\u0040a.example\"}", "plain": "{ not json",
        "secret_key": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
    });
    let clean = json!({
        "text": "to [email]", "card": "[credit card]", "count": 7, "by": { "[email]": 1, "[email] 2": 2 },
        "inner": "{\"to\":\"[email]\"}", "plain": "{ not json", "secret_key": "[secret]"
    });
    assert_eq!(after(&contract, Outcome::Succeeded, &heard), clean);
    assert_eq!(after(&contract, Outcome::Failed, &json!("no ann@a.example")), json!("no [email]"));
}

#[test]
fn blocks_of_content_are_searched_as_the_structure_beside_them_is() {
    let contract = contract(json!([["email"]]), json!(["phone"]), json!({ "mcp": {} }));
    let heard = json!({
        "content": [
            { "type": "text", "text": "{\"name\": \"Ann\", \"email\": \"a@b.example\", \"phone\": \"+14155552671\"}" },
            { "type": "text", "text": "Ann <a@b.example>" },
            { "type": "resource", "resource": { "uri": "a://b", "text": "[{\"email\":\"a@b.example\"}]" } },
            { "type": "resource", "resource": { "uri": "a://b", "blob": "YUBiLmV4YW1wbGU=" } },
            { "type": "resource_link", "uri": "a://b", "name": "b" },
            { "type": "image", "data": "AAAA", "mimeType": "image/png" }
        ],
        "structuredContent": { "name": "Ann", "email": "a@b.example" }, "isError": false
    });
    let left_out = json!({ "type": "text", "text": NOT_JSON });
    let clean = json!({
        "content": [
            { "type": "text", "text": "{\"name\":\"Ann\",\"phone\":\"[phone]\"}" },
            left_out,
            { "type": "resource", "resource": { "uri": "a://b", "text": "[{}]" } },
            left_out,
            { "type": "resource_link", "uri": "a://b", "name": "b" },
            left_out
        ],
        "structuredContent": { "name": "Ann" }, "isError": false
    });
    assert_eq!(after(&contract, Outcome::Succeeded, &heard), clean);
    let refused =
        json!({ "error": { "code": -32602, "message": "no a@b.example", "data": { "email": "x" } } });
    assert_eq!(
        after(&contract, Outcome::Failed, &refused),
        json!({ "error": { "code": -32602, "message": NOT_JSON } })
    );
    let own = json!({ "error": { "code": "no_reach", "message": "nothing here reaches it" } });
    assert_eq!(after(&contract, Outcome::NotDispatched, &own), own);
}

#[test]
fn a_contract_that_takes_nothing_out_changes_no_byte() {
    let contract = contract(json!([]), json!([]), json!({ "http": {} }));
    let body = b"{ \"a\": \"ann@a.example\" }".to_vec();
    let reached =
        Reached { outcome: Outcome::Succeeded, body: body.clone(), trouble: None, said: None, used: None };
    assert_eq!(redacted(&contract, reached).body, body);
}

#[tokio::test]
async fn a_word_on_the_way_shows_no_more_than_the_result() {
    let (listener, mut heard) = tokio::sync::mpsc::channel(4);
    let feed = || crate::port::Feed::new(listener.clone());
    let word = json!({ "message": "asking ann@a.example" });
    let patterns = contract(json!([]), json!(["email"]), json!({ "mcp": {} }));
    feed().redacted(&patterns.redact).send(word.clone());
    assert_eq!(heard.try_recv().unwrap(), json!({ "message": "asking [email]" }));
    let fields = contract(json!([["email"]]), json!([]), json!({ "mcp": {} }));
    let muted = feed().redacted(&fields.redact);
    muted.send(word);
    assert!(!muted.is_heard() && heard.try_recv().is_err());
}
