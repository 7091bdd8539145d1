//! What a hook is told of, and that its words are signed.

use serde_json::json;

use super::{On, sentence, signed, wanted};

#[test]
fn a_hook_is_told_of_what_it_wants_and_of_nothing_else() {
    let crossed = |action: &str| json!({ "kind": "threshold_crossed", "body": { "action": action } });
    assert_eq!(wanted(&[On::Gate], &crossed("notify")), Some("gate.crossed"));
    assert_eq!(wanted(&[On::Gate], &crossed("stop")), Some("gate.crossed"));
    assert_eq!(wanted(&[On::Gate], &crossed("degrade")), None);
    assert_eq!(wanted(&[On::Halt], &crossed("stop")), None);
    assert_eq!(wanted(&[On::Pause], &json!({ "kind": "run_paused" })), Some("run.paused"));
    assert_eq!(wanted(&[On::Gate, On::Pause], &json!({ "kind": "halted" })), None);
    assert_eq!(wanted(&[On::Halt], &json!({ "kind": "call_decided" })), None);
    let decided = |ruling: &str| json!({ "kind": "call_decided", "body": { "ruling": ruling } });
    assert_eq!(wanted(&[On::Ask], &decided("ask")), Some("ask.waits"));
    assert_eq!(wanted(&[On::Ask], &decided("allow")), None);
    let proposed = |call: &str| {
        let body = json!({ "ruling": "ask", "call": call, "asked": { "with": "call_1" } });
        json!({ "kind": "call_decided", "body": body })
    };
    assert_eq!(wanted(&[On::Ask], &proposed("call_1")), Some("ask.waits"));
    assert_eq!(wanted(&[On::Ask], &proposed("call_2")), None, "what joins others is no news");
    let link = |what: &str| super::link(what, &proposed("call_1"), "https://r.example");
    assert_eq!(link("ask.waits").as_deref(), Some("https://r.example/inbox/call_1"));
    assert_eq!(link("halt.began"), None);
    assert_eq!(wanted(&[On::Halt], &decided("ask")), None);
    assert_eq!(wanted(&[On::Ask], &json!({ "kind": "ask_escalated" })), Some("ask.escalated"));
}

/// As the Standard Webhooks have it, reckoned by hand with another program:
/// `printf 'remit_7.1700000000.{"a":1}' | openssl dgst -sha256 -hmac s3cret -binary | base64`
#[test]
fn the_signature_is_over_the_id_the_time_and_the_body() {
    let headers = signed(7, 1_700_000_000, br#"{"a":1}"#, b"s3cret");
    assert_eq!(headers["webhook-id"], "remit_7");
    assert_eq!(headers["webhook-timestamp"], "1700000000");
    assert_eq!(headers["webhook-signature"], "v1,fUgQJ8j4y3Z4DHlGRtyACCwoKrXjgkwpP+B82XUQ9wc=");
    let other = signed(7, 1_700_000_000, br#"{"a":2}"#, b"s3cret");
    assert_ne!(headers["webhook-signature"], other["webhook-signature"]);
}

#[test]
fn a_chat_is_told_in_a_sentence_that_nobody_can_write_markup_into() {
    let asked = json!({ "kind": "call_decided", "body": {
        "agent": "desk", "call": "call_1", "tool": "pay.refund", "reasons": [{ "ask": ["leads", "finance"] }],
    } });
    let says = sentence("ask.waits", &asked, "http://127.0.0.1:7471");
    assert_eq!(says, "desk asks leads and finance for a yes: pay.refund. http://127.0.0.1:7471/inbox/call_1");
    let mut proposed = asked.clone();
    proposed["body"]["asked"] = json!({ "with": "call_1" });
    let says = sentence("ask.waits", &proposed, "http://r");
    assert_eq!(
        says,
        "desk proposes to write, and leads and finance may say yes or no: first pay.refund. http://r/inbox/call_1"
    );
    let late = json!({ "body": {
        "agent": "desk", "call": "call_1", "tool": "pay.refund", "group": "leads", "to": "management",
    } });
    let says = sentence("ask.escalated", &late, "http://r");
    assert_eq!(
        says,
        "desk still waits for leads; management may answer too: pay.refund. http://r/inbox/call_1"
    );
    let paused =
        json!({ "body": { "by": "ask_quota", "why": "<!channel> & <http://evil|look>", "run": "run_1" } });
    let says = sentence("run.paused", &paused, "http://r");
    assert!(
        says.contains("&lt;!channel&gt; &amp; &lt;http://evil|look&gt;") && !says.contains('<'),
        "{says}"
    );
}
