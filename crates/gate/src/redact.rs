//! Redaction: what a contract takes out of a result, before it is stored and before it is told.
//!
//! A field that is not where the contract says may be anywhere, so what should hold it is taken out instead.

use kernel::call::Outcome;
use kernel::contract::{Contract, Pattern};
use serde_json::{Map, Value, json};
use stdx::json::canonical_value;

use crate::port::Reached;

const NOT_JSON: &str =
    "[left out: the contract takes fields out of this tool's results, and this is not JSON]";

pub(crate) fn redacted(contract: &Contract, reached: Reached) -> Reached {
    let redact = &contract.redact;
    if reached.body.is_empty() || (redact.fields.is_empty() && redact.results.is_empty()) {
        return reached;
    }
    let mut heard = match serde_json::from_slice::<Value>(&reached.body) {
        Ok(heard) => heard,
        Err(_) => json!(NOT_JSON),
    };
    // What never left the house holds nothing of the tool's.
    if !redact.fields.is_empty() && reached.outcome != Outcome::NotDispatched {
        // Only a result of MCP is an envelope; the fields are named as they stand inside of it.
        heard = match contract.via.get("mcp") {
            Some(_) => envelope(heard, &redact.fields),
            None => without(heard, &redact.fields),
        };
    }
    Reached { body: canonical_value(&blotted(heard, &redact.results)), said: None, ..reached }
}

/// What a tool itself answered: of MCP that is inside of an envelope.
pub(crate) fn inside(contract: &Contract, result: Value) -> Value {
    if contract.via.get("mcp").is_none() {
        return result;
    }
    if let Some(structured) = result.get("structuredContent") {
        return structured.clone();
    }
    let blocks = result.get("content").and_then(Value::as_array).map(Vec::as_slice);
    let text = match blocks {
        Some([only]) => only.get("text").and_then(Value::as_str),
        _ => None,
    };
    text.and_then(document).unwrap_or(result)
}

// ---- Fields ------------------------------------------------------------------------------------------------------

fn without(mut value: Value, fields: &[Vec<String>]) -> Value {
    for field in fields {
        take(&mut value, field);
    }
    value
}

/// A list means each of its elements; null holds nothing.
fn take(value: &mut Value, path: &[String]) {
    let Some((name, rest)) = path.split_first() else { return };
    let is_there = match value {
        Value::Null => true,
        Value::Array(items) => {
            items.iter_mut().for_each(|item| take(item, path));
            true
        }
        Value::Object(members) if rest.is_empty() => members.remove(name).is_some(),
        Value::Object(members) => match members.get_mut(name) {
            Some(inner) => {
                take(inner, rest);
                true
            }
            None => false,
        },
        _ => false,
    };
    if !is_there {
        *value = json!({ "redacted": format!("left out: there is no `{name}` in it to take out") });
    }
}

/// Blocks of content beside the same in structure.
fn envelope(heard: Value, fields: &[Vec<String>]) -> Value {
    let Value::Object(mut members) = heard else { return json!(NOT_JSON) };
    if !members.contains_key("content") && !members.contains_key("structuredContent") {
        return error(members);
    }
    if let Some(structured) = members.get_mut("structuredContent") {
        *structured = without(structured.take(), fields);
    }
    if let Some(content) = members.get_mut("content") {
        *content = match content.take() {
            Value::Array(blocks) => blocks.into_iter().map(|it| block(it, fields)).collect(),
            _ => json!([{ "type": "text", "text": NOT_JSON }]),
        };
    }
    members.into()
}

/// An error has words, and nothing that a field could be taken out of: its code is all that is told.
fn error(members: Map<String, Value>) -> Value {
    let code = members.get("error").and_then(|error| error.get("code")).cloned();
    json!({ "error": { "code": code, "message": NOT_JSON } })
}

fn block(mut block: Value, fields: &[Vec<String>]) -> Value {
    let holder = match block.get("type").and_then(Value::as_str) {
        Some("text") => Some(&mut block),
        Some("resource") => block.get_mut("resource"),
        Some("resource_link") => return block,
        _ => None,
    };
    match holder.and_then(|holder| holder.get_mut("text")) {
        Some(Value::String(text)) => {
            *text = match document(text) {
                Some(value) => without(value, fields).to_string(),
                None => NOT_JSON.to_owned(),
            };
            block
        }
        _ => json!({ "type": "text", "text": NOT_JSON }),
    }
}

/// The document that a text is, if it is one; a bare word or number is none.
fn document(text: &str) -> Option<Value> {
    text.trim_start().starts_with(['{', '[']).then(|| serde_json::from_str(text).ok())?
}

// ---- Patterns ----------------------------------------------------------------------------------------------------

/// Every text, name and number, and what is written as JSON inside of a text.
pub(crate) fn blotted(value: Value, patterns: &[Pattern]) -> Value {
    if patterns.is_empty() { value } else { blot("", value, patterns) }
}

fn blot(name: &str, value: Value, patterns: &[Pattern]) -> Value {
    match value {
        Value::String(text) => Value::String(words(name, text, patterns)),
        Value::Number(number) => {
            let text = number.to_string();
            let clean = words(name, text.clone(), patterns);
            if clean == text { Value::Number(number) } else { Value::String(clean) }
        }
        Value::Array(items) => items.into_iter().map(|item| blot(name, item, patterns)).collect(),
        Value::Object(members) => {
            let mut clean = Map::new();
            for (name, member) in members {
                let member = blot(&name, member, patterns);
                clean.insert(free(&clean, words("", name, patterns)), member);
            }
            Value::Object(clean)
        }
        plain => plain,
    }
}

/// Two names that are blotted alike stay two.
fn free(taken: &Map<String, Value>, name: String) -> String {
    if !taken.contains_key(&name) {
        return name;
    }
    (2..).map(|count| format!("{name} {count}")).find(|name| !taken.contains_key(name)).unwrap_or(name)
}

fn words(name: &str, text: String, patterns: &[Pattern]) -> String {
    let text = match document(&text) {
        Some(value) => {
            let clean = blot(name, value.clone(), patterns);
            if clean == value { text } else { clean.to_string() }
        }
        None => text,
    };
    patterns.iter().fold(text, |text, pattern| pattern.blot_under(name, &text).into_owned())
}

#[cfg(test)]
mod tests;
