//! The gate's nouns in the contract's types: one function a noun, no decisions.

use api::call::{CallView, ObligationKind, ObligationView, ReasonView, Receipt, RuleView, VerdictView};
use api::inbox::Waiting;
use api::run::{RunShown, RunView};
use gate::views;
use kernel::call::Outcome;
use kernel::id::RunId;
use kernel::obligation::{Kind, Level, Obligation};
use kernel::policy::RuleRef;
use kernel::reason::Reason;
use kernel::verdict::Verdict;
use serde_json::Value;
use stdx::difference::Difference;

use crate::budget;

pub(crate) fn receipt(receipt: gate::Receipt) -> Receipt {
    Receipt { index: receipt.index, lane: receipt.lane, lane_seq: receipt.lane_seq }
}

pub(crate) fn rule(rule: &RuleRef) -> RuleView {
    RuleView { id: rule.id.clone(), words: rule.words.clone(), file: rule.file.clone(), line: rule.line }
}

pub(crate) fn difference(one: &Difference) -> api::plan::Difference {
    let Difference { at, before, after, lines } = one.clone();
    api::plan::Difference { at, before, after, lines }
}

pub(crate) fn reason(reason: &Reason) -> ReasonView {
    ReasonView {
        code: reason.code.name().to_owned(),
        says: reason.says(),
        remedy: reason.remedy(),
        at: reason.at.clone(),
        retry_after_seconds: reason.retry_after_seconds,
        rule: reason.rule.as_deref().map(rule),
    }
}

pub(crate) fn verdict(verdict: &Verdict) -> VerdictView {
    VerdictView {
        ruling: verdict.ruling.name().to_owned(),
        reasons: verdict.reasons.iter().map(reason).collect(),
        rules: verdict.rules.iter().map(|it| rule(it)).collect(),
        would: verdict.would.iter().map(reason).collect(),
        obligations: obligations(&verdict.obligations, verdict.level.as_deref()),
    }
}

pub(crate) fn heeded(kind: ObligationKind) -> Kind {
    match kind {
        ObligationKind::Cap => Kind::Cap,
        ObligationKind::Instead => Kind::Instead,
        ObligationKind::Model => Kind::Model,
    }
}

fn obligations(by: &[Obligation], level: Option<&Level>) -> Vec<ObligationView> {
    by.iter().map(|one| obligation(one, level)).collect()
}

fn obligation(one: &Obligation, level: Option<&Level>) -> ObligationView {
    let says = one.says_why(level);
    let view = |kind| ObligationView { kind, says, at: None, most: None, of: None, tool: None, class: None };
    match one {
        Obligation::Cap { most, .. } => {
            ObligationView { at: one.pointer(), most: Some(*most), ..view(ObligationKind::Cap) }
        }
        Obligation::Instead { of, tool } => {
            let (of, tool) = (Some(of.clone()), Some(tool.clone()));
            ObligationView { of, tool, ..view(ObligationKind::Instead) }
        }
        Obligation::Model { class } => {
            ObligationView { class: Some(class.clone()), ..view(ObligationKind::Model) }
        }
    }
}

pub(crate) fn answered(answered: gate::Answered, console: &str) -> api::call::Answered {
    let trouble = answered.trouble.as_deref().unwrap_or("failed");
    let budget = answered.verdict.left.as_deref().map(budget::left);
    let fallback = answered.fallback.map(|instead| stood_in(trouble, instead, console));
    api::call::Answered {
        fallback,
        call: answered.call.to_string(),
        verdict: verdict(&answered.verdict),
        receipt: answered.receipt.map(receipt),
        outcome: answered.outcome.map(|outcome| outcome.name().to_owned()),
        result: answered.result,
        trouble: answered.trouble,
        permit_token: answered.permit_token,
        again: answered.again,
        budget,
        approved: answered.approved,
        words: answered.words,
        edited: answered.edited,
        held: answered.held,
        waiting: answered.ticket.as_ref().map(|ticket| waiting(ticket, console)),
    }
}

pub(crate) fn waiting(ticket: &gate::Ticket, console: &str) -> Waiting {
    Waiting {
        ticket: ticket.call.to_string(),
        run: ticket.run.to_string(),
        tool: ticket.tool.clone(),
        groups: ticket.groups.clone(),
        asked: ticket.asked.to_string(),
        expires: ticket.expires.to_string(),
        poll: format!("/v1/tickets/{}?wait=20s", ticket.call),
        console: format!("{console}/inbox/{}", ticket.call),
        proposed: ticket.proposed,
        replaced_by: ticket.replaced_by.map(|call| call.to_string()),
        callback: false,
    }
}

fn stood_in(trouble: &str, instead: gate::Instead, console: &str) -> api::call::Fallback {
    let why = format!("this is a fallback: the tool could not be reached ({trouble})");
    match instead {
        gate::Instead::Answer(answer) => api::call::Fallback {
            says: format!("{why}; its contract has this fixed answer for that case"),
            answer: Some(answer),
            tool: None,
            answered: None,
        },
        gate::Instead::Tool(tool, stood_in) => api::call::Fallback {
            says: format!("{why}; `{tool}` was called in its place"),
            answer: None,
            answered: Some(Box::new(answered(*stood_in, console))),
            tool: Some(tool),
        },
    }
}

pub(crate) fn outcome(outcome: api::call::Outcome) -> Outcome {
    match outcome {
        api::call::Outcome::Succeeded => Outcome::Succeeded,
        api::call::Outcome::Failed => Outcome::Failed,
        api::call::Outcome::Unknown => Outcome::Unknown,
        api::call::Outcome::NotDispatched => Outcome::NotDispatched,
    }
}

pub(crate) fn closing(outcome: api::run::Closing) -> kernel::command::Closing {
    match outcome {
        api::run::Closing::Success => kernel::command::Closing::Success,
        api::run::Closing::Failure => kernel::command::Closing::Failure,
        api::run::Closing::Abandoned => kernel::command::Closing::Abandoned,
    }
}

pub(crate) fn run_view(view: views::RunView) -> RunView {
    // A run is a trace, and its id says which.
    let trace = view.id.parse::<RunId>().map_or(0, |run| run.0).max(1);
    RunView {
        trace_id: format!("{trace:032x}"),
        trace: None,
        parent: view.parent,
        run: view.id,
        agent: view.agent,
        person: view.person,
        intent: view.intent.map(text),
        opened: view.opened,
        expires: view.expires,
        closed: view.closed,
        outcome: view.outcome,
        closed_by: view.closed_by,
        corrected_by: view.corrected_by,
        allowed: view.allowed,
        denied: view.denied,
        uncounted: view.uncounted,
        unknown: view.unknown,
        cost_usd_nanos: view.usd_nanos,
        index: view.index,
        plan: None,
    }
}

pub(crate) fn run_shown(shown: views::RunShown) -> RunShown {
    RunShown {
        as_of: shown.as_of,
        run: run_view(shown.run),
        calls: shown.calls.into_iter().map(call_view).collect(),
        older: shown.older,
        family: shown.family.into_iter().map(run_view).collect(),
    }
}

pub(crate) fn call_view(view: views::CallView) -> CallView {
    let verdict = VerdictView {
        ruling: view.ruling.to_owned(),
        reasons: view.reasons.into_iter().map(shown).collect(),
        rules: view.rules.iter().map(|it| rule(it)).collect(),
        would: view.would.into_iter().map(shown).collect(),
        obligations: obligations(&view.obliged, view.level.as_deref()),
    };
    let end = view.finished;
    CallView {
        call: view.id,
        run: view.run.map(|run| run.to_string()),
        agent: view.agent,
        by: view.by,
        tool: view.tool,
        effect: view.effect,
        carrier: view.carrier.map(str::to_owned),
        at: view.decided,
        verdict,
        approved: view.approved,
        args: view.args,
        reason: view.reasoning.map(text),
        model: view.model,
        context_tokens: view.context_tokens,
        outcome: end.as_ref().map(|end| end.outcome.clone()),
        trouble: end.as_ref().and_then(|end| end.trouble.clone()),
        result: view.result,
        finished: end.as_ref().map(|end| end.at.clone()),
        settled_by: end.as_ref().map(|end| end.by.clone()),
        duration_ms: end.as_ref().map(|end| end.duration_ms),
        reserved_usd_nanos: view.reserved_usd_nanos,
        cost_usd_nanos: end.as_ref().map_or(0, |end| end.usd_nanos),
        index: view.index,
        lane: view.lane,
        finished_index: end.as_ref().map(|end| end.index),
        rules_digest: view.rules_digest,
    }
}

fn shown(reason: views::ReasonView) -> ReasonView {
    ReasonView {
        code: reason.code.to_owned(),
        says: reason.says,
        remedy: reason.remedy,
        at: reason.at,
        retry_after_seconds: reason.retry_after_seconds,
        rule: reason.rule.as_deref().map(rule),
    }
}

pub(crate) fn text(value: Value) -> String {
    match value {
        Value::String(text) => text,
        other => other.to_string(),
    }
}
