//! What a person reads.

use serde_json::json;

use super::*;

#[test]
fn an_agents_words_cannot_draw_on_a_terminal() {
    let run = RunView { intent: Some("\u{1b}[2J\u{202e}evil\nrun".into()), ..RunView::default() };
    let story = tell("run_1".into(), 1, Some(run), None, Vec::new());
    assert!(story.text.contains("\\u{1b}[2J\\u{202e}evil\\u{a}run"), "{}", story.text);
}

#[test]
fn a_refusal_is_told_with_its_remedy() {
    let mut call = CallView { call: "call_1".into(), tool: "stripe.refund".into(), ..CallView::default() };
    call.verdict.ruling = "deny".into();
    call.args = Some(json!({"amount_cents": 9000}));
    call.verdict.reasons.push(ReasonView {
        code: "no_rule_allows".into(),
        says: "no rule allows this call".into(),
        remedy: "ask for less".into(),
        ..ReasonView::default()
    });
    let text = tell("call_1".into(), 1, None, None, vec![call]).text;
    assert!(
        text.contains("refused      no_rule_allows: no rule allows this call. What would help: ask for less")
    );
    assert!(text.contains("saw          {\"amount_cents\":9000}"));
    assert!(!text.contains("happened"));
}
