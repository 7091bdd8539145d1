//! What is said to a plan, in words that a model can act on, and in a form that a program can.

use gate::{PlanShown, Planned, StepShown, next_of};
use kernel::phase::Phase;
use kernel::plan::StepVerdict;
use kernel::reason::Reason;
use kernel::verdict::Ruling;
use serde_json::{Value, json};
use stdx::difference::Difference;
use stdx::money::usd;

use super::super::told::{META_RECEIPT, plain, receipt, told, tool_error};
use crate::mcp::wire::Members;

/// Longer results are not repeated to a model that has to read the outcome.
const RESULT_CHARS_MAX: usize = 2_000;
/// Lines of what one step would change, in the words for a model.
const DIFFERENCE_LINES_MAX: usize = 40;

pub(super) fn phase(phase: Phase) -> Members {
    let words = match phase {
        Phase::Explore => {
            "You are in `explore`: read what you need, then propose what you mean to write with `remit.plan`."
        }
        Phase::Decide => {
            "You are in `decide`: propose what you mean to write with `remit.plan`; you may still read."
        }
        Phase::Commit => "You are in `commit`: the plan is being carried out; you may read meanwhile.",
    };
    with_text(words.to_owned(), json!({ "phase": phase.name() }))
}

/// It was refused before it could be judged: what is wrong, and where.
pub(super) fn refused(reason: &Reason) -> Members {
    let text = format!(
        "Remit refused this; nothing has happened.\nWhy: {} [{}].\nWhat would help: {}.",
        reason.says(),
        reason.code,
        reason.remedy()
    );
    let reasons = [told(reason)];
    tool_error(text, json!({ "code": reason.code.name(), "reasons": reasons }))
}

/// The verdict on a plan. A plan that is denied is an error to a model, so that it mends it.
pub(super) fn planned(planned: &Planned) -> Members {
    let verdict = &planned.verdict;
    let is_denied = verdict.ruling == Ruling::Deny;
    let mut text = format!(
        "Plan version {}: {}. Nothing of it has happened yet.",
        verdict.version,
        match verdict.ruling {
            Ruling::Allow => "allowed",
            Ruling::Ask => "allowed once people say yes to it",
            Ruling::Deny => "denied",
        }
    );
    verdict.reasons.iter().for_each(|reason| text.push_str(&reasoned(reason)));
    let ordered = verdict.order.iter().filter_map(|place| verdict.steps.get(usize::from(*place)));
    for step in ordered {
        text.push_str(&step_text(step));
        let preview = planned.previews.iter().find(|preview| preview.step == step.id);
        if let Some(before) = preview.and_then(|preview| preview.before.as_ref()) {
            text.push_str(&format!("\n  As things are now: {}", cut(before)));
        }
        let differs = preview.into_iter().flat_map(|preview| &preview.differs);
        for line in differs.flat_map(|one| one.says()).take(DIFFERENCE_LINES_MAX) {
            text.push_str(&format!("\n  It would change {line}"));
        }
    }
    if !verdict.asks.is_empty() {
        text.push_str(&format!("\nSomebody of {} would have to say yes.", verdict.asks.join(", ")));
    }
    if !verdict.cannot_be_undone.is_empty() {
        let ids = verdict.cannot_be_undone.join(", ");
        text.push_str(&format!("\nCannot be taken back, so it waits until all others stand: {ids}."));
    }
    text.push_str(&format!(
        "\nIt costs at most {}.\nNext: {}.",
        usd(verdict.cost.usd_nanos),
        next_of(verdict)
    ));
    let steps = verdict.steps.iter().map(|step| step_told(planned, step)).collect::<Vec<_>>();
    let value = json!({
        "asks": verdict.asks,
        "cannot_be_undone": verdict.cannot_be_undone,
        "cost": verdict.cost,
        "digest": verdict.digest.to_string(),
        "next": next_of(verdict),
        "reasons": verdict.reasons.iter().map(told).collect::<Vec<_>>(),
        "ruling": verdict.ruling.name(),
        "steps": steps,
        "version": verdict.version,
    });
    let mut result = if is_denied { tool_error(text, value) } else { with_text(text, value) };
    if let Value::Object(meta) = result.entry("_meta").or_insert_with(|| json!({})) {
        meta.insert(META_RECEIPT.to_owned(), json!({ "receipt": receipt(planned.receipt) }));
    }
    result
}

fn differs(differs: &[Difference]) -> Vec<Value> {
    let told = |one: &Difference| match one.lines.is_empty() {
        true => json!({ "after": one.after, "at": one.at, "before": one.before }),
        false => json!({ "at": one.at, "lines": one.lines }),
    };
    differs.iter().map(told).collect()
}

fn cut(value: &Value) -> String {
    value.to_string().chars().take(RESULT_CHARS_MAX).collect()
}

fn reasoned(reason: &Reason) -> String {
    format!("\n  Why: {} [{}].\n  What would help: {}.", reason.says(), reason.code, reason.remedy())
}

fn step_text(step: &StepVerdict) -> String {
    let mut text = format!("\n- {} `{}`: {}", step.id, step.tool, step.ruling.name());
    match &step.undo {
        Some(undo) if step.guarded => text.push_str(&format!("; taken back by {undo}")),
        Some(undo) => text.push_str(&format!("; taken back by {undo}, unguarded")),
        None => text.push_str("; cannot be taken back"),
    }
    if step.later {
        text.push_str("; some of it is decided when it runs");
    }
    step.reasons.iter().for_each(|reason| text.push_str(&reasoned(reason)));
    step.conflicts.iter().for_each(|reason| text.push_str(&reasoned(reason)));
    text
}

fn step_told(planned: &Planned, step: &StepVerdict) -> Value {
    let preview = planned.previews.iter().find(|preview| preview.step == step.id);
    json!({
        "before": preview.and_then(|preview| preview.before.as_ref()),
        "differs": preview.map(|preview| differs(&preview.differs)).unwrap_or_default(),
        "conflicts": step.conflicts.iter().map(told).collect::<Vec<_>>(),
        "cost": step.cost,
        "decided_when_it_runs": step.later,
        "effect": step.effect.name(),
        "guarded": step.guarded,
        "id": step.id,
        "reasons": step.reasons.iter().map(told).collect::<Vec<_>>(),
        "ruling": step.ruling.name(),
        "tool": step.tool,
        "undo": step.undo,
    })
}

/// Where a commit or an abort has led to. What was not committed is an error to a model, so that it does not go on as
/// if it had been.
pub(super) fn ended(plan: &PlanShown) -> Members {
    let noun = if plan.grouped { "Group" } else { "Plan" };
    let mut text = format!("{noun} version {}: {}.", plan.version, plan.says());
    for step in &plan.steps {
        let trouble = step.trouble.as_ref().map(|trouble| format!(" ({trouble})")).unwrap_or_default();
        text.push_str(&format!("\n- {} `{}`: {}{trouble}", step.id, step.tool, step.state.name()));
        if let Some(result) = &step.result {
            text.push_str(&format!("; it answered {}", cut(result)));
        }
    }
    text.push_str(&format!("\nNext: {}.", plan.next()));
    let value = json!({
        "next": plan.next(),
        "residue": plan.residue.iter().map(|left| &left.step).collect::<Vec<_>>(),
        "says": plan.says(),
        "stage": plan.stage.name(),
        "steps": plan.steps.iter().map(step_ended).collect::<Vec<_>>(),
        "version": plan.version,
    });
    match plan.stage {
        kernel::progress::Stage::Committed | kernel::progress::Stage::Open => with_text(text, value),
        _ => tool_error(text, value),
    }
}

fn step_ended(step: &StepShown) -> Value {
    json!({
        "call": step.call.map(|call| call.to_string()),
        "id": step.id,
        "result": step.result,
        "state": step.state.name(),
        "tool": step.tool,
        "trouble": step.trouble,
        "undo": step.undo,
    })
}

fn with_text(text: String, value: Value) -> Members {
    let mut result = plain(value);
    result.insert("content".to_owned(), json!([{ "type": "text", "text": text }]));
    result
}
