//! What leaves the house: no secret in the file, and in the summary nothing that anybody else wrote.

use serde_json::json;

use super::*;

const SECRET: &str = "ghp_0123456789012345678901234567890123456789";
const MARKUP: &str = "|<img src=x>`@everyone` [x](javascript:alert(1))\n\n# x";

fn incident() -> Incident {
    let reason = json!({ "code": "no_rule_allows", "says": MARKUP, "remedy": MARKUP });
    let verdict = json!({ "ruling": "deny", "reasons": [reason], "rules": [] });
    let call = json!({
        "call": "call_1", "run": "run_1", "agent": "desk", "tool": MARKUP, "at": "2026-11-22T10:00:00.000Z",
        "verdict": verdict, "args": { "note": format!("use {SECRET}"), "api_key": "k".repeat(44) },
        "reason": MARKUP, "reserved_usd_nanos": 0, "cost_usd_nanos": 0, "index": 3, "lane": 1,
        "rules_digest": Digest::of(b"rules").to_string(),
    });
    let run = json!({
        "run": "run_1", "agent": "desk", "person": MARKUP, "intent": format!("{MARKUP} {SECRET}"),
        "opened": "2026-11-22T09:00:00.000Z", "expires": "", "allowed": 0, "denied": 1, "uncounted": 0,
        "unknown": 0, "cost_usd_nanos": 0, "index": 2, "trace_id": "0af7",
    });
    let whole = json!({
        "incident": 1, "made": "2026-11-22T11:00:00.000Z", "by": "olga", "version": "0", "as_of": 4, "run": run,
        "calls": [call], "rules_digests": [Digest::of(b"rules").to_string()],
        "rules_now": Digest::of(b"rules").to_string(), "halts": [], "events": [],
    });
    serde_json::from_value(whole).unwrap()
}

#[test]
fn what_looks_like_a_secret_stays_in_the_house() {
    let report = report(&incident(), "", "http://house");
    let file = String::from_utf8(report.file.to_vec()).unwrap();
    assert!(!file.contains(SECRET) && file.contains("[secret]"), "{file}");
    assert!(!file.contains(&"k".repeat(44)), "{file}");
    assert!(file.contains(&Digest::of(b"rules").to_string()), "digests are no secrets: {file}");
}

#[test]
fn the_summary_holds_no_markup_of_others_and_nothing_that_they_wrote() {
    let report = report(&incident(), "look at this", "http://house");
    let text = &report.summary;
    assert!(text.starts_with("look at this\n\n"), "{text}");
    for part in ["<img", "@everyone`", "](", "\n# x", SECRET, "use ghp"] {
        assert!(!text.contains(part), "{part}: {text}");
    }
    for part in ["`run_1`", "`0af7`", "`no_rule_allows`", "http://house/runs/run_1", "| 3 |", "deny"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    // Each row of the two tables has as many cells as its head.
    for line in text.lines().filter(|line| line.starts_with('|')) {
        let cells = line.matches('|').count();
        assert!(cells == 3 || cells == 8, "{line}");
    }
    assert_eq!(report.title, "Incident: desk in run_1");
}
