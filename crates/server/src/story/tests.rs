//! What a person reads.

use api::plan::{ResidueView, StepShown};
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

#[test]
fn a_plan_is_told_step_by_step_with_how_it_is_taken_back_and_what_was_left() {
    let step = |id: &str, state: &str| StepShown {
        id: id.into(),
        state: state.into(),
        tool: "a.b".into(),
        ..Default::default()
    };
    let done = StepShown { call: Some("call_1".into()), undo: Some("a.back".into()), ..step("one", "done") };
    let failed = StepShown { trouble: Some("timeout".into()), ..step("two", "failed") };
    let left =
        ResidueView { step: "one".into(), tool: "a.b".into(), what: "stands".into(), ..Default::default() };
    let plan = PlanShown {
        says: "quarantined: `one` stands".into(),
        version: 3,
        owner: "dana@example.com".into(),
        steps: vec![done, failed],
        residue: vec![left],
        ..PlanShown::default()
    };
    let run = RunView { plan: Some(Box::new(plan)), ..RunView::default() };
    let text = tell("run_1".into(), 1, Some(run), None, Vec::new()).text;
    for line in [
        "plan         version 3 (): quarantined: `one` stands",
        "step         `one` a.b done, call_1; a.back takes it back",
        "step         `two` a.b failed (timeout)",
        "left behind  `one` a.b stands; dana@example.com looks at it",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
}
