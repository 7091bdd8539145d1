//! A verdict and a result in words that a model can act on, and in a form that a program can.

use gate::error::Error;
use gate::{Answered, Receipt};
use kernel::call::Outcome;
use kernel::contract::Contract;
use kernel::reason::Reason;
use serde_json::{Map, Value, json};

use super::Visit;
use super::refused::Refused;
use crate::mcp::wire::{self, Members, RpcError};

/// In the `_meta` of every answer to a call.
const META_RECEIPT: &str = "dev.remit/receipt";
/// In the `_meta` of a refusal, as in its structured content.
const META_VERDICT: &str = "dev.remit/verdict";
/// In the `_meta` of a call that did not succeed.
const META_OUTCOME: &str = "dev.remit/outcome";
/// What is ours in a `_meta`: a server cannot speak in our name.
const META_OURS: &str = "dev.remit/";

/// A call that was refused: what, why, by which rule, and what would make it pass.
pub(super) fn refusal(name: &str, contract: Option<&Contract>, answered: &Answered) -> Members {
    let reasons = &answered.verdict.reasons;
    let mut text = format!("Remit refused this call; `{name}` was not called.");
    for reason in reasons {
        text.push_str(&format!("\nWhy: {} [{}].", reason.says(), reason.code));
        text.push_str(&format!("\nWhat would help: {}.", reason.remedy()));
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
    });
    let mut result = tool_error(text, verdict);
    let definition = contract.and_then(|contract| contract.definition.as_ref());
    if definition.is_some_and(|definition| definition.get("outputSchema").is_some()) {
        // Clients hold structured content to the tool's own schema, also when it is an error.
        result.remove("structuredContent");
    }
    result
}

/// What became of a call whose answer has no place for a tool's error: then it is an error of the protocol.
pub(super) fn offered(answered: Answered) -> Result<Members, Refused> {
    let Some(reason) = answered.verdict.reasons.first().filter(|_| !answered.verdict.allows()) else {
        return match (answered.outcome, answered.result) {
            (_, Some(Value::Object(error))) if is_error(&error) => {
                Err(upstream(error, &json!(answered.call.to_string())))
            }
            (Some(Outcome::Succeeded), Some(Value::Object(result))) => Ok(result),
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
    });
    Err(Refused::law(reason).with_data(data).recorded())
}

/// A call whose run could not be opened: it never became a call.
pub(super) async fn unrun(visit: &Visit, refused: &Refused) -> Members {
    visit.door.gate.refused(&visit.caller, None, refused.code()).await;
    let text = format!("Remit refused this call. Why: {}.", refused.error.message);
    tool_error(text, refused.error.data.clone().unwrap_or_default())
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
    let receipt = json!({ "call": answered.call.to_string(), "receipt": answered.receipt.map(receipt) });
    let trouble = answered.trouble.as_deref().unwrap_or("failed");
    let succeeded = answered.outcome == Some(Outcome::Succeeded);
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
        if !succeeded {
            let outcome = answered.outcome.map(Outcome::name);
            meta.insert(META_OUTCOME.to_owned(), json!({ "outcome": outcome, "trouble": answered.trouble }));
        }
    }
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
fn plain(value: Value) -> Members {
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

fn tool_error(text: String, verdict: Value) -> Members {
    let members = [
        ("content", json!([{ "type": "text", "text": text }])),
        ("isError", true.into()),
        ("structuredContent", verdict.clone()),
        ("_meta", json!({ META_VERDICT: verdict })),
    ];
    members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn told(reason: &Reason) -> Value {
    let rule = reason.rule.as_deref();
    json!({
        "at": reason.at,
        "code": reason.code.name(),
        "remedy": reason.remedy(),
        "rule": rule.map(|rule| json!({ "file": rule.file, "id": rule.id, "line": rule.line, "words": rule.words })),
        "says": reason.says(),
    })
}

fn receipt(receipt: Receipt) -> Value {
    json!({ "index": receipt.index, "lane": receipt.lane, "lane_seq": receipt.lane_seq })
}
