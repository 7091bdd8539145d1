//! The HTTP headers of MCP: names, values that survive a header, and what is mirrored from a body into them.
//!
//! A header never decides anything here: it is written from the body, and compared with the body.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kernel::contract::Contract;
use serde_json::Value;

use crate::mcp::wire::Members;

pub const SESSION: &str = "mcp-session-id";
pub const VERSION: &str = "mcp-protocol-version";
pub const METHOD: &str = "mcp-method";
pub const NAME: &str = "mcp-name";
pub const LAST_EVENT: &str = "last-event-id";
pub const PARAM_PREFIX: &str = "mcp-param-";

/// Marks a property of a tool's input schema whose value is mirrored into a header.
const MARK: &str = "x-mcp-header";
/// Marked properties of one schema; a schema with more is treated as one whose marks are invalid.
const MARKS_MAX: usize = 16;
/// Nested properties are looked at down to here.
const DEPTH_MAX: usize = 8;

/// The parameter that `Mcp-Name` mirrors, for the methods that have one.
pub fn name_param(method: &str) -> Option<&'static str> {
    match method {
        "tools/call" | "prompts/get" => Some("name"),
        "resources/read" => Some("uri"),
        "tasks/get" | "tasks/update" | "tasks/cancel" => Some("taskId"),
        _ => None,
    }
}

/// A text as a header can carry it: as it is, or wrapped as `=?base64?…?=`.
pub fn encode(text: &str) -> String {
    let plain = text.bytes().all(|byte| (0x20..=0x7e).contains(&byte)) && text.trim() == text;
    if plain && wrapped(text).is_none() {
        text.to_owned()
    } else {
        format!("=?base64?{}?=", STANDARD.encode(text))
    }
}

/// The text that a header carries; none if it is wrapped wrongly.
pub fn decode(value: &str) -> Option<Cow<'_, str>> {
    match wrapped(value) {
        None => Some(value.into()),
        Some(inner) => String::from_utf8(STANDARD.decode(inner).ok()?).ok().map(Cow::Owned),
    }
}

fn wrapped(value: &str) -> Option<&str> {
    value.strip_prefix("=?base64?")?.strip_suffix("?=")
}

/// One property that is mirrored: the way to it in the arguments, and the header's whole name in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirrored {
    pub path: Vec<String>,
    pub header: String,
}

/// What the schemas of contracts want mirrored: found once for each, and anew when a contract changes.
#[derive(Default)]
pub struct Mirrors(Mutex<HashMap<String, (Arc<Contract>, Wanted)>>);

type Wanted = Option<Arc<[Mirrored]>>;

impl Mirrors {
    pub fn of(&self, contract: &Arc<Contract>) -> Wanted {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match known.get(&contract.name) {
            Some((of, wanted)) if Arc::ptr_eq(of, contract) => wanted.clone(),
            _ => {
                let wanted: Wanted = mirrored(&contract.input).map(Arc::from);
                known.insert(contract.name.clone(), (contract.clone(), wanted.clone()));
                wanted
            }
        }
    }
}

/// What a tool's input schema wants mirrored; none if any of its marks is one that clients must not follow.
pub fn mirrored(schema: &Value) -> Option<Vec<Mirrored>> {
    let mut found = Vec::new();
    walk(schema, &mut Vec::new(), &mut found)?;
    let marks = count_marks(schema);
    (marks == found.len() && marks <= MARKS_MAX).then_some(found)
}

fn walk(schema: &Value, path: &mut Vec<String>, found: &mut Vec<Mirrored>) -> Option<()> {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return Some(()) };
    if path.len() >= DEPTH_MAX {
        return Some(());
    }
    for (name, property) in properties {
        path.push(name.clone());
        if let Some(mark) = property.get(MARK) {
            let header = format!("{PARAM_PREFIX}{}", mark.as_str()?.to_ascii_lowercase());
            let kind = property.get("type").and_then(Value::as_str)?;
            let is_new = found.iter().all(|other| other.header != header);
            let is_name = http::HeaderName::from_bytes(header.as_bytes()).is_ok();
            if !is_name || !is_new || !matches!(kind, "string" | "integer" | "boolean") {
                return None;
            }
            found.push(Mirrored { path: path.clone(), header });
        }
        walk(property, path, found)?;
        path.pop();
    }
    Some(())
}

/// Marks at any place of the schema, so that one at a place that is not followed makes them all invalid.
fn count_marks(schema: &Value) -> usize {
    match schema {
        Value::Object(members) => {
            let data = |name: &str| matches!(name, "default" | "examples" | "const" | "enum");
            let within: usize = members
                .iter()
                .filter(|(name, _)| !data(name))
                .map(
                    |(name, member)| if name == "properties" { in_each(member) } else { count_marks(member) },
                )
                .sum();
            within + usize::from(members.contains_key(MARK))
        }
        Value::Array(items) => items.iter().map(count_marks).sum(),
        _ => 0,
    }
}

/// A property may have any name, also that of a keyword.
fn in_each(properties: &Value) -> usize {
    properties.as_object().into_iter().flatten().map(|(_, property)| count_marks(property)).sum()
}

/// The header's value for these arguments; none where the arguments have no such value.
pub fn mirror(mirrored: &Mirrored, arguments: &Members) -> Option<String> {
    let (first, rest) = mirrored.path.split_first()?;
    let value = rest.iter().try_fold(arguments.get(first)?, |value, name| value.get(name))?;
    match value {
        Value::String(text) => Some(encode(text)),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests;
