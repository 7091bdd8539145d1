//! A verdict and a result in words that a model can act on, and in a form that a program can.

use gate::error::Error;
use gate::{Answered, Instead, Receipt, Ticket};
use kernel::account::Limits;
use kernel::balance::{Balance, Of};
use kernel::call::Outcome;
use kernel::contract::Contract;
use kernel::id::RunId;
use kernel::obligation::Obligation;
use kernel::reason::Reason;
use kernel::threshold::Action;
use kernel::verdict::Verdict;
use serde_json::{Map, Value, json};

use super::Visit;
use super::refused::Refused;
use crate::mcp::wire::{self, Members, RpcError};

/// In the `_meta` of every answer to a call.
pub(super) const META_RECEIPT: &str = "dev.remit/receipt";
/// In the `_meta` of a refusal, as in its structured content.
const META_VERDICT: &str = "dev.remit/verdict";
/// In the `_meta` of a call that did not succeed.
const META_OUTCOME: &str = "dev.remit/outcome";
/// In the `_meta` of an answer that is not the tool's.
const META_FALLBACK: &str = "dev.remit/fallback";
/// In the `_meta` of every answer to a call: what may still be spent.
const META_BUDGET: &str = "dev.remit/budget";
/// In the `_meta` of what is told of a call that waits for people.
pub(super) const META_TICKET: &str = "dev.remit/ticket";
/// In the `_meta` of a call that waits for the commit of its group.
const META_HELD: &str = "dev.remit/held";
/// In the `_meta` of a call that people said yes to.
const META_APPROVAL: &str = "dev.remit/approval";
/// In the `_meta` of a call that was made into something smaller or cheaper.
const META_OBLIGATIONS: &str = "dev.remit/obligations";
/// What is ours in a `_meta`: a server cannot speak in our name.
const META_OURS: &str = "dev.remit/";

/// A call that was refused: what, why, by which rule, and what would make it pass.
pub(super) fn refusal(name: &str, contract: Option<&Contract>, answered: &Answered) -> Members {
    let reasons = &answered.verdict.reasons;
    let mut text = format!("Remit refused this call; `{name}` was not called.");
    if !answered.verdict.obligations.is_empty() {
        text.push_str(&format!("\nBefore it decided, {}", cheaper(&answered.verdict)));
    }
    for reason in reasons {
        text.push_str(&format!("\nWhy: {} [{}].", reason.says(), reason.code));
        text.push_str(&format!("\nWhat would help: {}.", reason.remedy()));
    }
    if let Some(words) = &answered.words {
        text.push_str(&format!("\nThe person who said no writes: “{words}”"));
    }
    text.push_str(&format!("\nThis is {}", answered.call));
    match answered.receipt {
        Some(receipt) => text.push_str(&format!(", event {} of the ledger.", receipt.index)),
        None => text.push('.'),
    }
    let verdict = json!({
        "call": answered.call.to_string(),
        "code": reasons.first().map(|reason| reason.code.name()),
        "reasons": reasons.iter().map(told).collect::<Vec<_>>(),
        "receipt": answered.receipt.map(receipt),
        "words": answered.words,
    });
    let mut result = tool_error(text, verdict);
    if let (Some(Value::Object(meta)), Some(left)) = (result.get_mut("_meta"), budget(answered)) {
        meta.insert(META_BUDGET.to_owned(), left);
    }
    if has_output_schema(contract) {
        // Clients hold structured content to the tool's own schema, also when it is an error.
        result.remove("structuredContent");
    }
    result
}

pub(super) fn has_output_schema(contract: Option<&Contract>) -> bool {
    let definition = contract.and_then(|contract| contract.definition.as_ref());
    definition.is_some_and(|definition| definition.get("outputSchema").is_some())
}

/// A call that waits for people, in a form that a program can act on.
pub(super) fn ticket(ticket: &Ticket, console: &str) -> Value {
    json!({
        "asked": ticket.asked.to_string(),
        "console": format!("{console}/inbox/{}", ticket.call),
        "expires": ticket.expires.to_string(),
        "groups": ticket.groups,
        "proposed": ticket.proposed,
        "replaced_by": ticket.replaced_by.map(|call| call.to_string()),
        "ticket": ticket.call.to_string(),
        "tool": ticket.tool,
    })
}

/// It was written down and not done; the agent goes on. Marked as an error, so that no model takes it for the tool's
/// answer.
pub(super) fn proposed(ticket: &Ticket, told: Value) -> Members {
    let becomes = match (&ticket.replaced_by, ticket.groups.as_slice()) {
        (Some(later), _) => format!("{later}, a later proposal, takes its place: this one will not be done"),
        (None, []) => "People said yes to it, and it is under way".to_owned(),
        (None, groups) => format!(
            "A person of {} will see all that this run proposes as one change, and approves all of it, some or none",
            groups.join(" and ")
        ),
    };
    let text = format!(
        "Proposed, not done: `{}` was not called. {becomes}. Do not wait for it and do not repeat it: read on, and \
         propose what else is to be written; the same tool again for the same thing takes the place of this one. What \
         became of it `remit.status` tells with the ticket {}.",
        ticket.tool, ticket.call
    );
    let members = [
        ("content", json!([{ "type": "text", "text": text }])),
        ("isError", true.into()),
        ("_meta", json!({ META_TICKET: told })),
    ];
    members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// It waits still. Marked as an error, so that no model takes it for the tool's answer.
pub(super) fn pending(ticket: &Ticket, told: Value) -> Members {
    if ticket.proposed {
        return proposed(ticket, told);
    }
    let asked = match ticket.groups.as_slice() {
        [] => format!("people said yes to `{}`, and it is under way", ticket.tool),
        groups => format!(
            "Remit asks a person of {} before `{}` is called; it was not called yet",
            groups.join(" and "),
            ticket.tool
        ),
    };
    let text = format!(
        "Pending: {asked}. This is ticket {}, until {}. \
         Go on with something else; then make the very same call again, which asks nobody anew and gets the outcome, \
         or ask `remit.status` with this ticket.",
        ticket.call, ticket.expires
    );
    let members = [
        ("content", json!([{ "type": "text", "text": text }])),
        ("isError", true.into()),
        ("_meta", json!({ META_TICKET: told })),
    ];
    members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// It waits in its run's group. Marked as an error, so that no model takes it for the tool's answer.
pub(super) fn held(name: &str, step: &str, answered: &Answered) -> Members {
    let text = format!(
        "Held, and not an error: `{name}` cannot be taken back, or needs a person's yes, so it waits as `{step}` \
         of your group. Nothing was called yet. `remit.commit` lets it go; `remit.abort` cancels it. \
         Do not call it again."
    );
    let receipt = json!({ "call": answered.call.to_string(), "receipt": answered.receipt.map(receipt) });
    let members = [
        ("content", json!([{ "type": "text", "text": text }])),
        ("isError", true.into()),
        ("_meta", json!({ META_HELD: { "step": step }, META_RECEIPT: receipt })),
    ];
    members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// The same as an error of the protocol, where an answer has no place for one of a tool.
pub(super) fn unanswered(pending: &Members) -> Refused {
    let words = pending.get("content").and_then(|content| content.pointer("/0/text")).and_then(Value::as_str);
    let data = pending.get("_meta").cloned().unwrap_or_default();
    Refused::new(wire::INVALID_REQUEST, words.unwrap_or("it waits for a person").to_owned())
        .with_data(data)
        .recorded()
}

/// What people said who were asked.
pub(super) struct Said {
    by: Vec<String>,
    edited: Option<Value>,
    words: Option<String>,
}

pub(super) fn said(answered: &mut Answered) -> Said {
    let by = std::mem::take(&mut answered.approved);
    Said { by, edited: answered.edited.take(), words: answered.words.take() }
}

/// The agent is told what people said to its call, above all if they changed it.
pub(super) fn approved(said: Said, mut result: Members) -> Members {
    let Said { by, edited, words } = said;
    if by.is_empty() {
        return result;
    }
    let mut text = format!("Approved by {}.", by.join(" and "));
    if let Some(edited) = &edited {
        text.push_str(&format!(" They changed the arguments; this was called instead: {edited}"));
    }
    if let Some(words) = &words {
        text.push_str(&format!(" They write: “{words}”"));
    }
    let is_worth_a_word = edited.is_some() || words.is_some();
    if let (Some(Value::Array(content)), true) = (result.get_mut("content"), is_worth_a_word) {
        content.insert(0, json!({ "type": "text", "text": text }));
    }
    let meta = result.entry("_meta").or_insert_with(|| json!({}));
    if let Value::Object(meta) = meta {
        meta.insert(META_APPROVAL.to_owned(), json!({ "by": by, "edited": edited, "words": words }));
    }
    result
}

/// The agent is told that it got less than it asked for, and why: else it would take a part for all there is.
pub(super) fn obliged(verdict: &Verdict, mut result: Members) -> Members {
    if verdict.obligations.is_empty() {
        return result;
    }
    let text = cheaper(verdict);
    if let Some(Value::Array(content)) = result.get_mut("content") {
        content.insert(0, json!({ "type": "text", "text": text }));
    }
    let meta = result.entry("_meta").or_insert_with(|| json!({}));
    if let Value::Object(meta) = meta {
        meta.insert(META_OBLIGATIONS.to_owned(), verdict.obligations.iter().map(bound).collect());
    }
    result
}

fn cheaper(verdict: &Verdict) -> String {
    let says: Vec<String> = verdict.obligations.iter().map(Obligation::says).collect();
    let why = verdict.level.as_ref().map(|level| format!(" Why: {}.", level.says())).unwrap_or_default();
    format!("Remit made this call cheaper: {}.{why}", says.join("; "))
}

fn bound(one: &Obligation) -> Value {
    let mut told = serde_json::to_value(one).unwrap_or_default();
    if let Value::Object(members) = &mut told {
        members.insert("says".to_owned(), one.says().into());
    }
    told
}

/// What became of a call whose answer has no place for a tool's error: then it is an error of the protocol.
pub(super) fn offered(mut answered: Answered) -> Result<Members, Refused> {
    let said = said(&mut answered);
    let Some(reason) = answered.verdict.reasons.first().filter(|_| !answered.verdict.allows()) else {
        return match (answered.outcome, answered.result) {
            (_, Some(Value::Object(error))) if is_error(&error) => {
                Err(upstream(error, &json!(answered.call.to_string())))
            }
            (Some(Outcome::Succeeded), Some(Value::Object(result))) => Ok(approved(said, result)),
            (outcome, _) => {
                let trouble = answered.trouble.as_deref().unwrap_or("failed");
                let outcome = outcome.map_or("is not there yet", Outcome::name);
                let message = format!("the server gave nothing ({trouble}); the outcome is: {outcome}");
                Err(Refused::new(wire::INTERNAL_ERROR, message).recorded())
            }
        };
    };
    let data = json!({
        "call": answered.call.to_string(),
        "code": reason.code.name(),
        "reasons": answered.verdict.reasons.iter().map(told).collect::<Vec<_>>(),
        "receipt": answered.receipt.map(receipt),
        "words": said.words,
    });
    let mut refused = Refused::law(reason).with_data(data).recorded();
    if let Some(words) = &said.words {
        refused.error.message.push_str(&format!(". The person who said no writes: “{words}”"));
    }
    Err(refused)
}

/// A call whose run could not be opened: it never became a call.
pub(super) async fn unrun(visit: &Visit, refused: &Refused) -> Members {
    visit.door.gate.refused(&visit.caller, None, refused.code()).await;
    let text = format!("Remit refused this call. Why: {}.", refused.error.message);
    tool_error(text, refused.error.data.clone().unwrap_or_default())
}

/// What was learned is in the ledger.
pub(super) fn replanned(at: Receipt) -> Members {
    let text = format!(
        "Noted, event {} of the ledger. A write that failed may come again once you have read anew.",
        at.index
    );
    let mut result = plain(json!({ "text": text }));
    result.insert("_meta".to_owned(), json!({ META_RECEIPT: { "receipt": receipt(at) } }));
    result
}

/// What may still be spent after this call, if the call had a run of its own.
fn budget(answered: &Answered) -> Option<Value> {
    let left = answered.verdict.left.as_deref()?;
    Some(json!({
        "gate": left.action.map(Action::name),
        "left": limits(&left.left),
        "percent": left.percent,
    }))
}

/// Without zeros that mean nothing, so that what is there is what is limited.
fn limits(limits: &Limits) -> Value {
    serde_json::to_value(limits).unwrap_or_default()
}

pub(super) fn status(run: RunId, balances: &[Balance], waiting: Vec<Value>, about: Members) -> Members {
    let left = balances.iter().fold(Limits::default(), |left, balance| {
        left.within(&balance.limits.minus(&balance.account.taken()))
    });
    let accounts = balances.iter().map(|balance| {
        let name = match &balance.of {
            Of::Run { run, .. } => run.to_string(),
            Of::Account(id) => format!("{} of this {}", id.owner, id.window.name()),
        };
        json!({
            "account": name,
            "gate_percent": balance.crossed,
            "limits": limits(&balance.limits),
            "paused": balance.paused.as_ref().map(|paused| paused.why.as_str()),
            "pending": balance.account.pending,
            "spent": balance.account.posted,
            "until": balance.until.to_string(),
        })
    });
    let accounts: Vec<Value> = accounts.collect();
    let mut told = about;
    let members = [
        ("accounts", accounts.into()),
        ("left", limits(&left)),
        ("run", run.to_string().into()),
        ("waiting", waiting.into()),
    ];
    told.extend(members.map(|(name, value): (_, Value)| (name.to_owned(), value)));
    plain(told.into())
}

/// Remit itself cannot decide at the moment.
pub(super) fn unavailable(error: &Error) -> Members {
    let text =
        format!("Nothing was called: {error}. Try again in a second; the call itself was not refused.");
    tool_error(text, json!({ "code": error.code(), "retry_after_ms": 1_000 }))
}

/// What a permitted call came to.
pub(super) fn outcome(
    name: &str,
    contract: Option<&Contract>,
    answered: Answered,
) -> Result<Members, Refused> {
    let is_mcp = contract.is_some_and(|contract| contract.via.get("mcp").is_some());
    let mut answered = answered;
    if let Some(step) = answered.held.take() {
        return Ok(held(name, &step, &answered));
    }
    if let Some(instead) = answered.fallback.take() {
        return stood_in(name, contract, instead, answered);
    }
    let receipt = json!({ "call": answered.call.to_string(), "receipt": answered.receipt.map(receipt) });
    let trouble = answered.trouble.as_deref().unwrap_or("failed");
    let succeeded = answered.outcome == Some(Outcome::Succeeded);
    let left = budget(&answered);
    let mut result = match answered.result {
        Some(Value::Object(error)) if is_mcp && is_error(&error) => return Err(upstream(error, &receipt)),
        Some(Value::Object(result)) if is_mcp && answered.outcome.is_some_and(has_result) => result,
        result if succeeded => plain(result.unwrap_or_default()),
        result => unhappy(name, answered.outcome, trouble, result),
    };
    let meta = result.entry("_meta").or_insert_with(|| json!({}));
    if !meta.is_object() {
        *meta = json!({});
    }
    if let Value::Object(meta) = meta {
        meta.retain(|name, _| !name.starts_with(META_OURS));
        meta.insert(META_RECEIPT.to_owned(), receipt);
        meta.extend(left.map(|left| (META_BUDGET.to_owned(), left)));
        if !succeeded {
            let outcome = answered.outcome.map(Outcome::name);
            meta.insert(META_OUTCOME.to_owned(), json!({ "outcome": outcome, "trouble": answered.trouble }));
        }
    }
    Ok(result)
}

/// What came in the place of the tool's answer. It is said first, and said to be that.
fn stood_in(
    name: &str,
    contract: Option<&Contract>,
    instead: Instead,
    first: Answered,
) -> Result<Members, Refused> {
    let trouble = first.trouble.as_deref().unwrap_or("failed").to_owned();
    let about = json!({
        "of": name, "trouble": trouble, "call": first.call.to_string(), "receipt": first.receipt.map(receipt),
        "tool": match &instead { Instead::Tool(tool, _) => Some(tool), Instead::Answer(_) => None },
    });
    let (mut result, from) = match instead {
        Instead::Answer(value) => {
            (plain(value), "its contract has this fixed answer for that case".to_owned())
        }
        Instead::Tool(tool, answered) => {
            let from = format!("`{tool}` was called in its place, and this is what that gave");
            match answered.verdict.allows() {
                false => (refusal(&tool, None, &answered), from),
                true => (stand_in(&tool, *answered)?, from),
            }
        }
    };
    if about.get("tool").is_some_and(Value::is_string) && has_output_schema(contract) {
        // Another tool's structure is held to this one's schema, and would break its client.
        result.remove("structuredContent");
    }
    let words = format!("This is a fallback. `{name}` could not be reached ({trouble}); {from}.");
    if let Some(Value::Array(content)) = result.get_mut("content") {
        content.insert(0, json!({ "type": "text", "text": words }));
    }
    let meta = result.entry("_meta").or_insert_with(|| json!({}));
    if let Value::Object(meta) = meta {
        meta.insert(META_FALLBACK.to_owned(), about);
    }
    Ok(result)
}

/// The result of a tool whose contract is not at hand: one that reads like MCP's is taken as that.
fn stand_in(tool: &str, answered: Answered) -> Result<Members, Refused> {
    let succeeded = answered.outcome == Some(Outcome::Succeeded);
    let receipt = json!({ "call": answered.call.to_string(), "receipt": answered.receipt.map(receipt) });
    let trouble = answered.trouble.as_deref().unwrap_or("failed");
    let mut result = match answered.result {
        Some(Value::Object(result)) if result.get("content").is_some_and(Value::is_array) => result,
        result if succeeded => plain(result.unwrap_or_default()),
        result => unhappy(tool, answered.outcome, trouble, result),
    };
    result.insert("_meta".to_owned(), json!({ META_RECEIPT: receipt }));
    Ok(result)
}

/// Whether the server answered, be it with an error of its own.
fn has_result(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Succeeded | Outcome::Failed)
}

fn is_error(result: &Map<String, Value>) -> bool {
    result.len() == 1 && result.get("error").is_some_and(|error| error.get("code").is_some_and(Value::is_i64))
}

/// A server's own error keeps its content.
fn upstream(mut result: Map<String, Value>, receipt: &Value) -> Refused {
    let mut error = match result.remove("error") {
        Some(Value::Object(error)) => error,
        _ => Map::new(),
    };
    let code = error.get("code").and_then(Value::as_i64).unwrap_or_default();
    let message = error.get("message").and_then(Value::as_str).unwrap_or_default().to_owned();
    let data = match error.remove("data") {
        None => Some(json!({ META_RECEIPT: receipt })),
        data => data,
    };
    Refused::from(RpcError { code, message, data }).recorded()
}

/// The JSON of a tool that does not speak MCP.
pub(super) fn plain(value: Value) -> Members {
    let text = match &value {
        Value::Null => "The tool did it, and answered nothing.".to_owned(),
        Value::String(text) => text.clone(),
        value => value.to_string(),
    };
    let mut result = Members::new();
    result.insert("content".to_owned(), json!([{ "type": "text", "text": text }]));
    if !value.is_null() {
        result.insert("structuredContent".to_owned(), value);
    }
    result
}

fn unhappy(name: &str, outcome: Option<Outcome>, trouble: &str, said: Option<Value>) -> Members {
    let words = match outcome {
        Some(Outcome::NotDispatched) => format!("`{name}` was not reached ({trouble}); nothing happened."),
        Some(Outcome::Unknown) => format!(
            "It is not known whether `{name}` did it ({trouble}). Do not repeat it before somebody has looked."
        ),
        None => format!("`{name}` is still at it; its answer is not there yet."),
        Some(_) => format!("`{name}` failed ({trouble})."),
    };
    let mut content = vec![json!({ "type": "text", "text": words })];
    if let Some(said) = said.filter(|said| !said.is_null()) {
        content.push(json!({ "type": "text", "text": said.to_string() }));
    }
    Members::from_iter([("content".to_owned(), content.into()), ("isError".to_owned(), true.into())])
}

/// The words stand in the structured form, too: some clients show their model nothing else.
pub(super) fn tool_error(text: String, mut verdict: Value) -> Members {
    if !verdict.is_object() {
        verdict = json!({});
    }
    if let Value::Object(verdict) = &mut verdict {
        verdict.insert("message".to_owned(), text.as_str().into());
    }
    let members = [
        ("content", json!([{ "type": "text", "text": text }])),
        ("isError", true.into()),
        ("structuredContent", verdict.clone()),
        ("_meta", json!({ META_VERDICT: verdict })),
    ];
    members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

pub(super) fn told(reason: &Reason) -> Value {
    let rule = reason.rule.as_deref();
    json!({
        "at": reason.at,
        "code": reason.code.name(),
        "remedy": reason.remedy(),
        "retry_after_seconds": reason.retry_after_seconds,
        "rule": rule.map(|rule| json!({ "file": rule.file, "id": rule.id, "line": rule.line, "words": rule.words })),
        "says": reason.says(),
    })
}

pub(super) fn receipt(receipt: Receipt) -> Value {
    json!({ "index": receipt.index, "lane": receipt.lane, "lane_seq": receipt.lane_seq })
}
