//! Content: what must not pass in a call's arguments, except to where the contract lets it go.

use serde_json::Value;

use crate::contract::{Contract, Forbidden, Pattern};
use crate::destination::all_within;
use crate::reason::{Code, Reason};

/// A pointer into deep or oddly named arguments is cut, since the names are the caller's.
const POINTER_BYTES_MAX: usize = 256;

pub(crate) fn bounded(pointer: &str) -> String {
    pointer.get(..pointer.floor_char_boundary(POINTER_BYTES_MAX)).unwrap_or_default().to_owned()
}

/// Refuses the first find; the reason says what and where, and never the text.
pub(crate) fn check(contract: &Contract, args: &Value, destinations: &[String]) -> Result<(), Box<Reason>> {
    let barred = |forbidden: &&Forbidden| !all_within(&forbidden.unless_to, destinations);
    let patterns: Vec<Pattern> =
        contract.redact.arguments.iter().filter(barred).map(|forbidden| forbidden.pattern).collect();
    if patterns.is_empty() {
        return Ok(());
    }
    let Some((pattern, pointer)) = find(&patterns, "", args) else { return Ok(()) };
    let reason = Reason::new(Code::ContentForbidden).detail(word(pattern));
    Err(Box::new(reason.at(bounded(&pointer))))
}

/// Which pattern, and where. A name that holds one is found at what it is a name in.
fn find(patterns: &[Pattern], name: &str, value: &Value) -> Option<(Pattern, String)> {
    let held = |text: &str| patterns.iter().find(|pattern| pattern.holds_under(name, text)).copied();
    match value {
        Value::String(text) => held(text).map(|pattern| (pattern, String::new())),
        // A card's number is one without quotes too.
        Value::Number(number) => held(&number.to_string()).map(|pattern| (pattern, String::new())),
        Value::Array(items) => items.iter().enumerate().find_map(|(index, item)| {
            find(patterns, name, item).map(|(pattern, rest)| (pattern, format!("/{index}{rest}")))
        }),
        Value::Object(members) => members.iter().find_map(|(name, member)| {
            if let Some(pattern) = patterns.iter().find(|pattern| pattern.holds(name)) {
                return Some((*pattern, String::new()));
            }
            find(patterns, name, member).map(|(pattern, rest)| (pattern, format!("/{}{rest}", shown(name))))
        }),
        Value::Null | Value::Bool(_) => None,
    }
}

/// A name as a pointer writes it, without what any pattern finds in it: the reason stays in the ledger for ever.
fn shown(name: &str) -> String {
    let clean = Pattern::ALL.iter().fold(name.to_owned(), |clean, pattern| pattern.blot(&clean).into_owned());
    clean.replace('~', "~0").replace('/', "~1")
}

fn word(pattern: Pattern) -> &'static str {
    match pattern {
        Pattern::Secrets => "a secret, such as a key, a token or a password",
        Pattern::Email => "an e-mail address",
        Pattern::CreditCard => "the number of a payment card",
        Pattern::Iban => "the number of a bank account (IBAN)",
        Pattern::Phone => "a telephone number",
    }
}

#[cfg(test)]
mod tests;
