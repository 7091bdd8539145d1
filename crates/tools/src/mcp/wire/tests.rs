//! What is read, what is refused, and that what is written is read again.

use serde_json::json;

use super::*;

fn members(value: Value) -> Members {
    value.as_object().unwrap().clone()
}

#[test]
fn each_kind_of_message_is_read_and_written_alike() {
    let id = || Id::Number(7);
    let params = || members(json!({ "a": 1 }));
    for (text, message) in [
        (
            r#"{"id":7,"jsonrpc":"2.0","method":"m","params":{"a":1}}"#,
            Message::Request { id: id(), method: "m".into(), params: params() },
        ),
        (
            r#"{"jsonrpc":"2.0","method":"m","params":{"a":1}}"#,
            Message::Notification { method: "m".into(), params: params() },
        ),
        (
            r#"{"jsonrpc":"2.0","method":"m"}"#,
            Message::Notification { method: "m".into(), params: Map::new() },
        ),
        (
            r#"{"id":"7","jsonrpc":"2.0","result":{"a":1}}"#,
            Message::Result { id: Id::Text("7".into()), result: params() },
        ),
        (
            r#"{"error":{"code":-3,"data":[1],"message":"no"},"id":7,"jsonrpc":"2.0"}"#,
            Message::Error {
                id: Some(id()),
                error: RpcError { code: -3, message: "no".into(), data: Some(json!([1])) },
            },
        ),
        (
            r#"{"error":{"code":-3,"message":"no"},"id":null,"jsonrpc":"2.0"}"#,
            Message::Error { id: None, error: RpcError::new(-3, "no") },
        ),
    ] {
        assert_eq!(read(text.as_bytes()).unwrap(), message, "{text}");
        let written: Value = serde_json::from_slice(&message.bytes()).unwrap();
        assert_eq!(written, serde_json::from_str::<Value>(text).unwrap());
    }
}

#[test]
fn what_has_no_one_reading_is_refused() {
    for (text, code) in [
        (r#"{"jsonrpc":"2.0","id":1,"method":"a","method":"b"}"#, PARSE_ERROR),
        (r#"{"jsonrpc":"2.0","id":1,"method":"a","params":{"x":1,"\u0078":2}}"#, PARSE_ERROR),
        (r#"{"jsonrpc":"2.0","id":1,"method":"a"} {}"#, PARSE_ERROR),
        (r#"{"jsonrpc":"2.0","id":1,"#, PARSE_ERROR),
        (r#"{"id":1,"method":"a"}"#, INVALID_REQUEST),
        (r#"{"jsonrpc":"1.0","id":1,"method":"a"}"#, INVALID_REQUEST),
        (r#"{"jsonrpc":"2.0","id":null,"method":"a"}"#, INVALID_REQUEST),
        (r#"{"jsonrpc":"2.0","id":1.5,"method":"a"}"#, INVALID_REQUEST),
        (r#"{"jsonrpc":"2.0","id":[],"method":"a"}"#, INVALID_REQUEST),
        (r#"{"jsonrpc":"2.0","id":1,"method":3}"#, INVALID_REQUEST),
        (r#"{"jsonrpc":"2.0","id":1,"method":"a","params":[1]}"#, INVALID_REQUEST),
        (r#"{"jsonrpc":"2.0","id":1,"method":"a","result":{}}"#, INVALID_REQUEST),
        (r#"{"jsonrpc":"2.0","id":1,"result":{},"error":{"code":1,"message":""}}"#, INVALID_REQUEST),
        (r#"{"jsonrpc":"2.0","id":1,"result":[]}"#, INVALID_REQUEST),
        (r#"{"jsonrpc":"2.0","result":{}}"#, INVALID_REQUEST),
        (r#"{"jsonrpc":"2.0","id":1,"error":{"code":"1","message":""}}"#, INVALID_REQUEST),
        (r#"{"jsonrpc":"2.0","id":1}"#, INVALID_REQUEST),
        (r#"[{"jsonrpc":"2.0","id":1,"method":"a"}]"#, INVALID_REQUEST),
    ] {
        assert_eq!(read(text.as_bytes()).unwrap_err().code, code, "{text}");
    }
}

#[test]
fn an_array_is_read_only_where_arrays_are_allowed_and_within_its_limit() {
    let one = r#"{"jsonrpc":"2.0","method":"a"}"#;
    let array = |count| format!("[{}]", vec![one; count].join(","));
    assert_eq!(read_batch(one.as_bytes()).unwrap().len(), 1);
    assert_eq!(read_batch(array(2).as_bytes()).unwrap().len(), 2);
    assert_eq!(read_batch(array(BATCH_MAX).as_bytes()).unwrap().len(), BATCH_MAX);
    assert_eq!(read_batch(array(BATCH_MAX + 1).as_bytes()).unwrap_err().code, INVALID_REQUEST);
    assert_eq!(read_batch(b"[]").unwrap_err().code, INVALID_REQUEST);
    assert_eq!(read_batch(b"[1]").unwrap_err().code, INVALID_REQUEST);
}
