//! Each translation, in rows: what one era says and what the other hears.

use super::*;

fn members(value: Value) -> Members {
    value.as_object().unwrap().clone()
}

fn told(to: Version, method: &str, result: Value) -> Value {
    match reply_for(to, method, Reply::Result(members(result))) {
        Reply::Result(result) => Value::Object(result),
        Reply::Error(error) => json!({ "error": error.value() }),
    }
}

fn refused(to: Version, method: &str, error: RpcError) -> Value {
    match reply_for(to, method, Reply::Error(error)) {
        Reply::Result(result) => Value::Object(result),
        Reply::Error(error) => json!({ "error": error.value() }),
    }
}

#[test]
fn versions_are_read_as_they_are_written_and_stand_in_their_order() {
    for version in Version::ALL {
        assert_eq!(Version::parse(version.text()), Some(version));
    }
    assert!(Version::ALL.is_sorted());
    assert_eq!(Version::parse("2027-01-01"), None);
    assert_eq!(Version::ALL.map(Version::is_stateless), [false, false, false, true]);
}

#[test]
fn a_result_from_an_older_server_is_completed_for_a_newer_client() {
    let new = Version::V2026_07_28;
    assert_eq!(
        told(new, "tools/call", json!({ "content": [] })),
        json!({ "content": [], "resultType": "complete" })
    );
    assert_eq!(
        told(new, "tools/list", json!({ "tools": [] })),
        json!({ "tools": [], "resultType": "complete", "ttlMs": 0, "cacheScope": "private" })
    );
    let whole = json!({ "tools": [], "resultType": "complete", "ttlMs": 9, "cacheScope": "public" });
    assert_eq!(told(new, "tools/list", whole.clone()), whole);
    assert_eq!(
        told(new, "tools/list", json!({ "ttlMs": -1, "cacheScope": "all", "resultType": 3 })),
        json!({ "resultType": "complete", "ttlMs": 0, "cacheScope": "private" })
    );
}

#[test]
fn a_result_from_a_newer_server_holds_nothing_that_an_older_client_would_not_know() {
    let heard = json!({
        "content": [], "structuredContent": [1], "resultType": "complete", "_meta": { META_SERVER_INFO: {} },
    });
    for old in [Version::V2025_03_26, Version::V2025_06_18, Version::V2025_11_25] {
        assert_eq!(
            told(old, "tools/call", heard.clone()),
            json!({ "content": [{ "type": "text", "text": "[1]" }] })
        );
        let list = json!({ "tools": [{ "name": "a", "outputSchema": { "type": "array" } }], "ttlMs": 1 });
        assert_eq!(told(old, "tools/list", list), json!({ "tools": [{ "name": "a" }] }));
    }
    let object = json!({ "content": [{ "type": "text", "text": "x" }], "structuredContent": { "a": 1 } });
    assert_eq!(told(Version::V2025_06_18, "tools/call", object.clone()), object);
    assert_eq!(
        told(Version::V2025_03_26, "tools/call", object),
        json!({ "content": [{ "type": "text", "text": "x" }] })
    );
    let link = json!({ "content": [{ "type": "resource_link", "uri": "file:///a", "name": "a" }] });
    assert_eq!(told(Version::V2025_06_18, "tools/call", link.clone()), link);
    assert_eq!(
        told(Version::V2025_03_26, "tools/call", link),
        json!({ "content": [{ "type": "text", "text": "file:///a" }] })
    );
}

#[test]
fn input_that_is_required_passes_untouched_to_who_can_give_it_and_is_refused_in_words_to_others() {
    let form = json!({
        "resultType": "input_required",
        "inputRequests": { "q": { "method": "elicitation/create", "params": { "mode": "form" } } },
        "requestState": "s",
    });
    assert_eq!(told(Version::V2026_07_28, "tools/call", form.clone()), form);
    for old in [Version::V2025_03_26, Version::V2025_06_18, Version::V2025_11_25] {
        assert_eq!(told(old, "tools/call", form.clone())["error"]["code"], wire::INVALID_REQUEST);
    }
}

#[test]
fn an_address_that_a_person_must_visit_is_told_in_both_eras() {
    let params = json!({ "mode": "url", "url": "https://a.example/pay", "message": "pay" });
    let new = json!({
        "resultType": "input_required",
        "inputRequests": { "e1": { "method": "elicitation/create", "params": params } },
    });
    let old = json!({ "elicitations": [
        { "mode": "url", "elicitationId": "e1", "url": "https://a.example/pay", "message": "pay" },
    ]});
    let heard = told(Version::V2025_11_25, "tools/call", new.clone());
    assert_eq!(heard["error"]["code"], wire::URL_ELICITATION_REQUIRED);
    assert_eq!(heard["error"]["data"], old);
    let error = RpcError { code: wire::URL_ELICITATION_REQUIRED, message: "x".into(), data: Some(old) };
    assert_eq!(refused(Version::V2026_07_28, "tools/call", error.clone()), new);
    let elsewhere = refused(Version::V2026_07_28, "tools/list", error.clone());
    assert_eq!(elsewhere["error"]["code"], wire::INVALID_PARAMS);
    assert_eq!(refused(Version::V2025_06_18, "tools/call", error)["error"]["code"], wire::INVALID_REQUEST);
}

#[test]
fn error_codes_are_those_of_the_revision_they_are_told_in() {
    use wire::*;
    let (new, old) = (Version::V2026_07_28, Version::V2025_11_25);
    for (to, method, heard, said) in [
        (new, "resources/read", RESOURCE_NOT_FOUND, INVALID_PARAMS),
        (old, "resources/read", INVALID_PARAMS, RESOURCE_NOT_FOUND),
        (old, "tools/call", INVALID_PARAMS, INVALID_PARAMS),
        (old, "tools/call", UNSUPPORTED_VERSION, INVALID_REQUEST),
        (old, "tools/call", HEADER_MISMATCH, INVALID_REQUEST),
        (new, "tools/call", -32001, -32001),
    ] {
        let told = refused(to, method, RpcError::new(heard, "why"));
        assert_eq!(told, json!({ "error": { "code": said, "message": "why" } }), "{method} {heard}");
    }
}

#[test]
fn a_notification_that_a_revision_does_not_have_is_not_sent_in_it() {
    let none = Map::new;
    let (new, old) = (Version::V2026_07_28, Version::V2025_11_25);
    assert_eq!(notification_for(old, "notifications/subscriptions/acknowledged", none()), None);
    assert_eq!(notification_for(new, "notifications/elicitation/complete", none()), None);
    let stamped = members(json!({ "uri": "a", "_meta": { META_SUBSCRIPTION: 4 } }));
    assert_eq!(
        notification_for(old, "notifications/resources/updated", stamped.clone()),
        Some(members(json!({ "uri": "a" })))
    );
    assert_eq!(notification_for(new, "notifications/resources/updated", stamped.clone()), Some(stamped));
}
