//! What an answer means: succeeded, failed, or nobody knows.

use super::*;

fn row(effect: Effect, status: u16, body: Result<&str, &'static str>) -> (&'static str, String, String) {
    let body = body.map(|text| text.as_bytes().to_vec());
    let status = StatusCode::from_u16(status).unwrap();
    let reached = judge(effect, Ended::Answered { status, body }, Some(b"sk-1"));
    let body = String::from_utf8(reached.body).unwrap();
    (reached.outcome.name(), reached.trouble.unwrap_or_default(), body)
}

#[test]
fn every_status_has_one_outcome_for_reads_and_one_for_writes() {
    // Status, body, read, write, trouble, body that comes back.
    type Row =
        (u16, Result<&'static str, &'static str>, &'static str, &'static str, &'static str, &'static str);
    let table: [Row; 18] = [
        (200, Ok(r#"{"b":1,"a":2}"#), "succeeded", "succeeded", "", r#"{"a":2,"b":1}"#),
        (201, Ok("null"), "succeeded", "succeeded", "", "null"),
        (204, Ok(""), "succeeded", "succeeded", "", "null"),
        (200, Ok(""), "failed", "unknown", "malformed_result", ""),
        (200, Ok(r#"{"a":1,"a":2}"#), "failed", "unknown", "malformed_result", ""),
        (200, Ok("1e400"), "failed", "unknown", "malformed_result", ""),
        (200, Err("too_large"), "failed", "unknown", "too_large", ""),
        (200, Err("reset"), "failed", "unknown", "reset", ""),
        (200, Ok(r#""sk\u002d1""#), "succeeded", "succeeded", "", r#""[secret]""#),
        (302, Ok(""), "failed", "failed", "redirect", ""),
        (303, Ok(""), "failed", "unknown", "redirect", ""),
        (400, Ok(r#"{"error":"sk-1"}"#), "failed", "failed", "status_400", r#"{"error":"[secret]"}"#),
        (
            404,
            Ok("<b>\u{1b}[2J sk-1"),
            "failed",
            "failed",
            "status_404",
            r#"{"text":"<b>\u001b[2J [secret]"}"#,
        ),
        (404, Ok(""), "failed", "failed", "status_404", ""),
        (422, Err("too_large"), "failed", "failed", "status_422", ""),
        (500, Ok("oops"), "failed", "unknown", "status_500", r#"{"text":"oops"}"#),
        (503, Err("reset"), "failed", "unknown", "status_503", ""),
        (101, Ok(""), "failed", "unknown", "status_101", ""),
    ];
    for (status, heard, read, write, trouble, body) in table {
        for (effect, outcome) in
            [(Effect::Read, read), (Effect::Reversible, write), (Effect::Irreversible, write)]
        {
            let expected = (outcome, trouble.to_owned(), body.to_owned());
            assert_eq!(row(effect, status, heard), expected, "{status} {heard:?} {effect:?}");
        }
    }
}

#[test]
fn what_was_never_sent_has_cost_nothing() {
    let reached = judge(Effect::Irreversible, Ended::Unsent("unreachable"), None);
    assert_eq!((reached.outcome, reached.used), (Outcome::NotDispatched, Some(Amount::default())));
}

#[test]
fn a_tools_long_complaint_is_cut() {
    let body = complaint(Ok(vec![0xff; 10_000]), None);
    let text = String::from_utf8(body).unwrap();
    assert_eq!(text.chars().filter(|c| *c == '\u{fffd}').count(), TEXT_LENGTH_MAX);
}
