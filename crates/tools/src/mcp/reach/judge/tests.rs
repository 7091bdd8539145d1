//! What may be claimed of each ending, for a read and for a write.

use super::*;
use crate::mcp::wire::RpcError;

#[test]
fn a_write_is_unknown_exactly_where_it_may_have_happened() {
    let trouble = || Trouble { code: "why".into(), words: "because sk-1".to_owned() };
    let result = |value: Value| Ended::Answered(Reply::Result(value.as_object().unwrap().clone()));
    let said = r#"{"text":"because [secret]"}"#;
    for (ended, read, write, code, body) in [
        (Ended::Unsent(trouble()), "not_dispatched", "not_dispatched", "why", said),
        (Ended::Refused(trouble()), "failed", "failed", "why", said),
        (Ended::Broken(trouble()), "failed", "unknown", "why", said),
        (result(json!({ "b": 1, "a": "sk-1" })), "succeeded", "succeeded", "", r#"{"a":"[secret]","b":1}"#),
        (result(json!({ "isError": true })), "failed", "failed", "tool_error", r#"{"isError":true}"#),
        (
            Ended::Answered(Reply::Error(RpcError::new(-32602, "no"))),
            "failed",
            "failed",
            "rpc_32602",
            r#"{"error":{"code":-32602,"message":"no"}}"#,
        ),
    ] {
        for (effect, outcome) in [(Effect::Read, read), (Effect::Irreversible, write)] {
            let reached = judge(effect, ended.clone(), &["sk-1".to_owned()]);
            let told = (reached.outcome.name(), reached.trouble.unwrap_or_default());
            assert_eq!(told, (outcome, code.to_owned()), "{ended:?}");
            assert_eq!(std::str::from_utf8(&reached.body).unwrap(), body);
        }
    }
}
