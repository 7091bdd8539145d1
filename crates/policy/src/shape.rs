//! A tool's JSON Schema as Cedar types, and its arguments as Cedar values.

use std::collections::{BTreeMap, BTreeSet};

use cedar_policy::RestrictedExpression as Expr;
use serde_json::{Map, Value};

/// What Cedar can know of a JSON value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Text,
    Long,
    Decimal,
    Bool,
    Set(Box<Shape>),
    Record(BTreeMap<String, Member>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) shape: Shape,
    pub(crate) required: bool,
}

/// Nesting past this is left untyped: schemas come from servers that we do not trust.
const DEPTH_MAX: usize = 16;

/// The arguments of a tool; `untyped` collects the JSON Pointer of each property that Cedar cannot know,
/// with the reason.
pub(crate) fn arguments(schema: &Value, untyped: &mut Vec<(String, String)>) -> BTreeMap<String, Member> {
    match typed(schema, "", 0, untyped) {
        Ok(Shape::Record(members)) => members,
        Ok(_) => {
            untyped.push((String::new(), "its input is not an object".into()));
            BTreeMap::new()
        }
        Err(why) => {
            untyped.push((String::new(), why));
            BTreeMap::new()
        }
    }
}

fn typed(
    schema: &Value,
    at: &str,
    depth: usize,
    untyped: &mut Vec<(String, String)>,
) -> Result<Shape, String> {
    let Value::Object(schema) = schema else { return Err("its schema is not an object".into()) };
    if depth >= DEPTH_MAX {
        return Err(format!("it nests deeper than {DEPTH_MAX} levels"));
    }
    for word in ["anyOf", "oneOf", "allOf", "$ref", "prefixItems", "not", "if"] {
        if schema.contains_key(word) {
            return Err(format!("its schema uses `{word}`"));
        }
    }
    match schema.get("type").and_then(Value::as_str) {
        Some("string") => Ok(Shape::Text),
        Some("integer") => Ok(Shape::Long),
        Some("number") => Ok(Shape::Decimal),
        Some("boolean") => Ok(Shape::Bool),
        Some("array") => match schema.get("items") {
            Some(items @ Value::Object(_)) => {
                typed(items, &format!("{at}/*"), depth + 1, untyped).map(|item| Shape::Set(Box::new(item)))
            }
            _ => Err("its items have no single schema".into()),
        },
        Some("object") => Ok(Shape::Record(members(schema, at, depth, untyped))),
        Some(other) => Err(format!("its type `{other}` is unknown")),
        // MCP servers often leave `type` out at the top, where only an object can stand.
        None if depth == 0 => Ok(Shape::Record(members(schema, at, depth, untyped))),
        None if is_text_enum(schema) => Ok(Shape::Text),
        None => Err("its schema names no single type".into()),
    }
}

fn is_text_enum(schema: &Map<String, Value>) -> bool {
    let words = schema.get("enum").and_then(Value::as_array);
    words.is_some_and(|words| !words.is_empty() && words.iter().all(Value::is_string))
}

fn members(
    schema: &Map<String, Value>,
    at: &str,
    depth: usize,
    untyped: &mut Vec<(String, String)>,
) -> BTreeMap<String, Member> {
    let required: BTreeSet<&str> = match schema.get("required") {
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        _ => BTreeSet::new(),
    };
    let mut members = BTreeMap::new();
    if let Some(Value::Object(properties)) = schema.get("properties") {
        for (name, property) in properties {
            let at = format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
            match typed(property, &at, depth + 1, untyped) {
                Ok(shape) => {
                    let required = required.contains(name.as_str());
                    members.insert(name.clone(), Member { shape, required });
                }
                Err(why) => untyped.push((at, why)),
            }
        }
    }
    members
}

/// The type as Cedar's schema language writes it.
pub(crate) fn type_text(shape: &Shape) -> String {
    match shape {
        Shape::Text => "__cedar::String".into(),
        Shape::Long => "__cedar::Long".into(),
        Shape::Decimal => "__cedar::decimal".into(),
        Shape::Bool => "__cedar::Bool".into(),
        Shape::Set(item) => format!("Set<{}>", type_text(item)),
        Shape::Record(members) => record_text(members),
    }
}

pub(crate) fn record_text(members: &BTreeMap<String, Member>) -> String {
    let members: Vec<String> = members
        .iter()
        .map(|(name, member)| {
            let mark = if member.required { "" } else { "?" };
            format!("{}{mark}: {}", quoted(name), type_text(&member.shape))
        })
        .collect();
    if members.is_empty() { "{}".into() } else { format!("{{ {} }}", members.join(", ")) }
}

/// A Cedar string literal.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if c.is_control() || ('\u{2028}'..='\u{202e}').contains(&c) => {
                out.extend(c.escape_unicode());
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// The value, if it is what the schema promised. Anything else is absent, so that a rule that reads it errs.
pub(crate) fn value(shape: &Shape, value: &Value) -> Option<Expr> {
    match (shape, value) {
        (Shape::Text, Value::String(text)) => Some(Expr::new_string(text.clone())),
        (Shape::Long, Value::Number(number)) => long(number).map(Expr::new_long),
        (Shape::Decimal, Value::Number(number)) => decimal(&number.to_string()).map(Expr::new_decimal),
        (Shape::Bool, Value::Bool(yes)) => Some(Expr::new_bool(*yes)),
        // One item of another type makes the whole set absent: a set that silently lost a member would let
        // `containsAll` or `isEmpty` pass.
        (Shape::Set(item), Value::Array(values)) => {
            let values: Option<Vec<Expr>> = values.iter().map(|each| self::value(item, each)).collect();
            values.map(Expr::new_set)
        }
        (Shape::Record(members), Value::Object(object)) => record(members, object, |_| true),
        _ => None,
    }
}

/// Only the members that the schema knows and `wanted` asks for.
pub(crate) fn record(
    members: &BTreeMap<String, Member>,
    object: &Map<String, Value>,
    wanted: impl Fn(&str) -> bool,
) -> Option<Expr> {
    let fields = members.iter().filter(|(name, _)| wanted(name)).filter_map(|(name, member)| {
        let value = object.get(name)?;
        Some((name.clone(), value_of(&member.shape, value)?))
    });
    Expr::new_record(fields).ok()
}

fn value_of(shape: &Shape, json: &Value) -> Option<Expr> {
    value(shape, json)
}

/// JSON Schema calls `5.0` an integer too.
pub(crate) fn long(number: &serde_json::Number) -> Option<i64> {
    if let Some(long) = number.as_i64() {
        return Some(long);
    }
    let text = number.to_string();
    let (whole, fraction) = text.split_once('.')?;
    fraction.bytes().all(|digit| digit == b'0').then(|| whole.parse().ok())?
}

/// Cedar's decimals have one to four places, and no exponent. A fifth place that is not 0 does not fit.
fn decimal(text: &str) -> Option<String> {
    if text.contains(['e', 'E']) {
        return None;
    }
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let fraction = match fraction.trim_end_matches('0') {
        "" => "0",
        rest if rest.len() <= 4 => rest,
        _ => return None,
    };
    // The range: 922337203685477.5807 on either side of nought. Cedar checks the edge exactly when it evaluates, so
    // keep one unit away from it here.
    let size: i64 = whole.parse().ok()?;
    (size.unsigned_abs() < 922_337_203_685_477).then(|| format!("{whole}.{fraction}"))
}

#[cfg(test)]
mod tests;
