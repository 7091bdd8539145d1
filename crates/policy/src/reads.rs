//! What a condition reads of the context, found in Cedar's own JSON form of it.

use std::collections::BTreeSet;

use serde_json::Value;

/// The members of the context, in the order of their bits.
pub(crate) const KEYS: [&str; 10] = [
    "args",
    "run",
    "grant",
    "approvals",
    "destinations",
    "destinations_within",
    "env",
    "hour",
    "weekday",
    "tenant",
];

/// What one rule, or a slice of rules, reads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reads {
    /// The context is used in some way other than `context.key` or `context has key`.
    pub(crate) whole: bool,
    pub(crate) keys: BTreeSet<String>,
    /// `args` is used as a whole, or otherwise than by `.name` or `has name`.
    pub(crate) all_args: bool,
    pub(crate) args: BTreeSet<String>,
    /// Arguments that are tested with `has`.
    pub(crate) tested: BTreeSet<String>,
    /// Groups named in `approvals.contains("…")`.
    pub(crate) groups: BTreeSet<String>,
    /// Lists named in `destinations_within.contains("…")`.
    pub(crate) patterns: BTreeSet<String>,
    /// `destinations_within` is used in some other way.
    pub(crate) loose_patterns: bool,
    /// The principal is read beyond the scope.
    pub(crate) entities: bool,
}

impl Reads {
    pub(crate) fn of(expression: &Value) -> Self {
        let mut reads = Self::default();
        reads.walk(expression);
        reads
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.whole |= other.whole;
        self.all_args |= other.all_args;
        self.loose_patterns |= other.loose_patterns;
        self.entities |= other.entities;
        self.keys.extend(other.keys.iter().cloned());
        self.args.extend(other.args.iter().cloned());
        self.tested.extend(other.tested.iter().cloned());
        self.groups.extend(other.groups.iter().cloned());
        self.patterns.extend(other.patterns.iter().cloned());
    }

    pub(crate) fn reads(&self, key: &str) -> bool {
        self.whole || self.keys.contains(key)
    }

    /// Does it read nothing but arguments and what the agent and tool fix?
    pub(crate) fn is_fixed_by_args(&self) -> bool {
        !self.whole && self.keys.iter().all(|key| matches!(key.as_str(), "args" | "env" | "tenant"))
    }

    /// Does it read nothing at all but what the agent and tool fix?
    pub(crate) fn is_fixed(&self) -> bool {
        !self.whole && self.keys.iter().all(|key| matches!(key.as_str(), "env" | "tenant"))
    }

    fn walk(&mut self, node: &Value) {
        match node {
            Value::Array(items) => items.iter().for_each(|item| self.walk(item)),
            Value::Object(members) => {
                if let Some(literal) = contained(node, "approvals") {
                    self.keys.insert("approvals".into());
                    self.groups.insert(literal.to_owned());
                    return;
                }
                if let Some(literal) = contained(node, "destinations_within") {
                    self.keys.insert("destinations_within".into());
                    self.patterns.insert(literal.to_owned());
                    return;
                }
                if self.access(node) {
                    return;
                }
                match members.get("Var").and_then(Value::as_str) {
                    Some("context") => self.whole = true,
                    Some(_) => self.entities = true,
                    None => members.values().for_each(|member| self.walk(member)),
                }
            }
            _ => {}
        }
    }

    /// `context.key…` and `context has key…`, with one more step where the key is `args`.
    fn access(&mut self, node: &Value) -> bool {
        let Some((path, tested)) = context_path(node) else { return false };
        let Some(key) = path.first() else { return false };
        self.keys.insert((*key).to_owned());
        self.loose_patterns |= *key == "destinations_within";
        if *key == "args" {
            match path.get(1) {
                Some(name) => {
                    self.args.insert((*name).to_owned());
                    if tested {
                        self.tested.insert(path.get(1..).unwrap_or_default().join("."));
                    }
                }
                None => self.all_args = true,
            }
        }
        true
    }
}

/// The literal of `context.<key>.contains("literal")`.
pub(crate) fn contained<'a>(node: &'a Value, key: &str) -> Option<&'a str> {
    let members = only(node, "contains")?;
    let (path, tested) = context_path(members.get("left")?)?;
    if tested || path != [key] {
        return None;
    }
    only(members.get("right")?, "Value")?.as_str()
}

/// The one member of an object that has no other.
pub(crate) fn only<'a>(node: &'a Value, name: &str) -> Option<&'a Value> {
    let members = node.as_object()?;
    if members.len() == 1 { members.get(name) } else { None }
}

/// The path of an access that starts at `context`, and whether it ends in a test of presence.
pub(crate) fn context_path(node: &Value) -> Option<(Vec<&str>, bool)> {
    let (inner, tested) = match (only(node, "."), only(node, "has")) {
        (Some(inner), _) => (inner, false),
        (None, Some(inner)) => (inner, true),
        (None, None) => return None,
    };
    let left = inner.get("left")?;
    let mut path = if only(left, "Var").and_then(Value::as_str) == Some("context") {
        Vec::new()
    } else {
        let (path, left_tested) = context_path(left)?;
        if left_tested {
            return None;
        }
        path
    };
    match inner.get("attr")? {
        Value::String(name) => path.push(name),
        Value::Array(names) => {
            for name in names {
                path.push(name.as_str()?);
            }
        }
        _ => return None,
    }
    (!path.is_empty()).then_some((path, tested))
}

#[cfg(test)]
mod tests;
