//! Templates: arguments that are filled in from other arguments, from results, and from what was there before.
//!
//! `{args.a.b}` stands for a value: alone in a string it is the value with its type, else it is put into the text.
//! In plans a whole string `$steps.ID.result.a.b` stands for what another step told.

use std::fmt;

use serde_json::{Map, Value};

/// No deeper than this; deeper is left as it is, and what was strictly parsed is never so deep.
const DEPTH_MAX: usize = 128;
const STEPS: &str = "$steps.";

/// What a template may name; what is not given is missing.
#[derive(Clone, Copy, Default, Debug)]
pub struct Values<'a> {
    /// `args`: the deed's arguments.
    pub args: Option<&'a Value>,
    /// `result`: the deed's result in undos; what the read answers in conditions.
    pub result: Option<&'a Value>,
    /// `deed`: the deed's result in conditions and their reads.
    pub deed: Option<&'a Value>,
    /// `before`: what was there before the deed.
    pub before: Option<&'a Value>,
}

impl<'a> Values<'a> {
    /// The value at a path such as `args.a.b`; a list's elements are named by their place.
    pub fn get(&self, path: &str) -> Option<&'a Value> {
        let (root, rest) = path.split_once('.').map_or((path, None), |(root, rest)| (root, Some(rest)));
        let root = match root {
            "args" => self.args,
            "result" => self.result,
            "deed" => self.deed,
            "before" => self.before,
            _ => None,
        }?;
        rest.map_or(Some(root), |rest| at(root, rest.split('.')))
    }
}

/// What a template names is not there, or is no text where text is wanted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Missing(pub String);

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "there is no `{}`", self.0)
    }
}

impl std::error::Error for Missing {}

/// A place in a plan's arguments that stands for what another step told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reference {
    /// JSON Pointer into the arguments.
    pub at: String,
    pub step: String,
    /// Member names from the root of that step's result.
    pub path: Vec<String>,
}

/// Fills every template in it.
pub fn fill(template: &Value, values: &Values<'_>) -> Result<Value, Missing> {
    mapped(template, 0, &|text| match alone(text) {
        Some(path) => values.get(path).cloned().ok_or_else(|| Missing(path.to_owned())),
        None => self::text(text, values).map(Value::String),
    })
}

/// Fills the templates of one text.
pub fn text(template: &str, values: &Values<'_>) -> Result<String, Missing> {
    let mut out = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, path, after)) = first(rest) {
        out.push_str(before);
        match values.get(path) {
            Some(Value::String(value)) => out.push_str(value),
            Some(value @ (Value::Number(_) | Value::Bool(_))) => out.push_str(&value.to_string()),
            _ => return Err(Missing(path.to_owned())),
        }
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

/// Whether each template begins with one of these roots. Said when the configuration is loaded.
pub fn check(template: &Value, roots: &[&str]) -> Result<(), String> {
    let known = |text: &str| {
        let mut rest = text;
        while let Some((_, path, after)) = first(rest) {
            let root = path.split('.').next().unwrap_or_default();
            if !roots.contains(&root) {
                return Err(Missing(format!(
                    "{path}` here; a template begins with `{}",
                    roots.join("` or `")
                )));
            }
            rest = after;
        }
        Ok(Value::Null)
    };
    mapped(template, 0, &known).map(drop).map_err(|missing| missing.to_string())
}

/// Every path that its templates name.
pub fn paths(template: &Value) -> Vec<String> {
    let found = std::cell::RefCell::new(Vec::new());
    let look = |text: &str| {
        let mut rest = text;
        while let Some((_, path, after)) = first(rest) {
            found.borrow_mut().push(path.to_owned());
            rest = after;
        }
        Ok(Value::Null)
    };
    // Nothing is filled, so nothing is missing.
    let _ = mapped(template, 0, &look);
    found.into_inner()
}

/// Every reference to another step, in order.
pub fn references(args: &Value) -> Vec<Reference> {
    let mut found = Vec::new();
    collect(args, "", 0, &mut found);
    found
}

/// The arguments with every reference filled in; `result` knows what a step told.
pub fn resolved<'a>(args: &Value, result: &dyn Fn(&str) -> Option<&'a Value>) -> Result<Value, Missing> {
    mapped(args, 0, &|text| match reference(text) {
        Some((step, path)) => {
            let value =
                result(step).and_then(|result| at(result, path.split('.').filter(|name| !name.is_empty())));
            value.cloned().ok_or_else(|| Missing(text.to_owned()))
        }
        None => Ok(Value::String(text.to_owned())),
    })
}

pub fn at<'a, 'p>(root: &'a Value, mut path: impl Iterator<Item = &'p str>) -> Option<&'a Value> {
    path.try_fold(root, |value, name| match value {
        Value::Array(list) => list.get(name.parse::<usize>().ok()?),
        value => value.get(name),
    })
}

/// The step and the path of a string that is a reference.
fn reference(text: &str) -> Option<(&str, &str)> {
    let (step, rest) = text.strip_prefix(STEPS)?.split_once('.')?;
    let path = rest.strip_prefix("result")?;
    match path.strip_prefix('.') {
        Some(path) => Some((step, path)),
        None => path.is_empty().then_some((step, path)),
    }
}

/// The text before the first template, its path, and the text after it.
fn first(text: &str) -> Option<(&str, &str, &str)> {
    let mut from = 0;
    loop {
        let open = from + text.get(from..)?.find('{')?;
        let close = open + text.get(open..)?.find('}')?;
        let path = text.get(open + 1..close)?;
        let named = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
        if path.contains('.') && path.chars().all(named) {
            return Some((text.get(..open)?, path, text.get(close + 1..)?));
        }
        from = open + 1;
    }
}

/// The path of a string that is one template and nothing else.
fn alone(text: &str) -> Option<&str> {
    first(text).filter(|(before, _, after)| before.is_empty() && after.is_empty()).map(|(_, path, _)| path)
}

type Change<'a> = &'a dyn Fn(&str) -> Result<Value, Missing>;

fn mapped(value: &Value, depth: usize, change: Change<'_>) -> Result<Value, Missing> {
    if depth > DEPTH_MAX {
        return Ok(value.clone());
    }
    Ok(match value {
        Value::String(text) => change(text)?,
        Value::Array(list) => {
            let items = list.iter().map(|item| mapped(item, depth + 1, change));
            Value::Array(items.collect::<Result<_, _>>()?)
        }
        Value::Object(members) => {
            let member =
                |(name, value): (&String, &Value)| Ok((name.clone(), mapped(value, depth + 1, change)?));
            Value::Object(members.iter().map(member).collect::<Result<Map<_, _>, Missing>>()?)
        }
        other => other.clone(),
    })
}

fn collect(value: &Value, pointer: &str, depth: usize, found: &mut Vec<Reference>) {
    if depth > DEPTH_MAX {
        return;
    }
    match value {
        Value::String(text) => {
            let path =
                |path: &str| path.split('.').filter(|name| !name.is_empty()).map(str::to_owned).collect();
            found.extend(reference(text).map(|(step, rest)| Reference {
                at: pointer.to_owned(),
                step: step.to_owned(),
                path: path(rest),
            }));
        }
        Value::Array(list) => {
            for (place, item) in list.iter().enumerate() {
                collect(item, &format!("{pointer}/{place}"), depth + 1, found);
            }
        }
        Value::Object(members) => {
            for (name, item) in members {
                let name = name.replace('~', "~0").replace('/', "~1");
                collect(item, &format!("{pointer}/{name}"), depth + 1, found);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests;
