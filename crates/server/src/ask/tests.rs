//! What is refused, with which code, and where.

use api::authzen::Evaluation;
use api::call::CallAsk;

use super::*;

fn refused<T: DeserializeOwned>(text: &str) -> (String, String) {
    let Err(refusal) = decode::<T>(text.as_bytes()) else { panic!("`{text}` was read") };
    (refusal.0.code.clone(), refusal.0.at.clone().unwrap_or_default())
}

#[test]
fn ambiguous_json_is_malformed() {
    for text in [
        "{",
        "{\"a\":1,\"a\":2}",
        "{} {}",
        "{\"a\":1e400}",
        "{\"a\":\"\\ud800\"}",
        "{\"a\":-0}",
        "\u{feff}{}",
    ] {
        assert_eq!(refused::<CallAsk>(text).0, "malformed_json", "{text}");
    }
}

#[test]
fn a_wrong_member_is_named_by_its_place() {
    assert_eq!(refused::<CallAsk>(r#"{"tool":1}"#), ("bad_request".into(), "/tool".into()));
    assert_eq!(refused::<CallAsk>(r#"{"tool":"a.b","extra":1}"#).0, "bad_request");
    assert_eq!(refused::<CallAsk>("").0, "bad_request");
    let text = r#"{"subject":{"type":"user","id":7},"action":{"name":"x"},"resource":{"type":"r","id":"1"}}"#;
    assert_eq!(refused::<Evaluation>(text), ("bad_request".into(), "/subject/id".into()));
}

#[tokio::test]
async fn a_large_body_is_refused_however_it_comes() {
    let body = || Body::from(vec![b' '; BODY_BYTES_MAX + 1]);
    let refusal = whole(&HeaderMap::new(), body(), BODY_BYTES_MAX).await.unwrap_err();
    assert_eq!(refusal.0.code, "too_large");
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_LENGTH, "99999999".parse().unwrap());
    let refusal = whole(&headers, Body::empty(), BODY_BYTES_MAX).await.unwrap_err();
    assert_eq!(refusal.0.code, "too_large");
}
