//! What a tool echoes of its own secret does not come back in: neither as it is, nor behind JSON's escapes.

use serde_json::Value;

const MASK: &str = "[secret]";

/// Replaces the secret's text wherever it stands.
pub(crate) fn bytes(heard: Vec<u8>, secret: &[u8]) -> Vec<u8> {
    if secret.is_empty() || !heard.windows(secret.len()).any(|window| window == secret) {
        return heard;
    }
    let mut clean = Vec::with_capacity(heard.len());
    let mut rest = heard.as_slice();
    while let Some((first, tail)) = rest.split_first() {
        if let Some(after) = rest.strip_prefix(secret) {
            clean.extend_from_slice(MASK.as_bytes());
            rest = after;
        } else {
            clean.push(*first);
            rest = tail;
        }
    }
    clean
}

/// The same in a document's strings and member names, where escapes may have hidden it from `bytes`.
pub(crate) fn value(heard: Value, secret: &str) -> Value {
    if secret.is_empty() {
        return heard;
    }
    match heard {
        Value::String(text) => Value::String(text.replace(secret, MASK)),
        Value::Array(items) => items.into_iter().map(|item| value(item, secret)).collect(),
        Value::Object(members) => {
            let clean = |(name, member): (String, Value)| (name.replace(secret, MASK), value(member, secret));
            Value::Object(members.into_iter().map(clean).collect())
        }
        plain => plain,
    }
}

#[cfg(test)]
mod tests;
