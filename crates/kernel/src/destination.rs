//! Destinations: where a call would send something, read from its arguments as its contract says.

use serde_json::Value;

use crate::contract::{Contract, DestinationKind};
use crate::reason::{Code, Reason};

/// Every destination in the arguments, or the first that cannot be read in just one way.
pub(crate) fn destinations(contract: &Contract, args: &Value) -> Result<Vec<String>, Box<Reason>> {
    let mut found = Vec::new();
    for destination in &contract.destinations {
        walk(args, &destination.path, String::new(), destination.kind, &mut found)?;
    }
    Ok(found)
}

fn walk(
    value: &Value,
    path: &[String],
    pointer: String,
    kind: DestinationKind,
    found: &mut Vec<String>,
) -> Result<(), Box<Reason>> {
    if let Value::Array(items) = value {
        for (index, item) in items.iter().enumerate() {
            walk(item, path, format!("{pointer}/{index}"), kind, found)?;
        }
        return Ok(());
    }
    let Some((name, rest)) = path.split_first() else {
        let read = value.as_str().and_then(|text| read(kind, text));
        let refuse =
            || Box::new(Reason::new(Code::DestinationInvalid).at(pointer.clone()).detail(word(kind)));
        found.push(read.ok_or_else(refuse)?);
        return Ok(());
    };
    match value.get(name) {
        Some(inner) => walk(inner, rest, format!("{pointer}/{name}"), kind, found),
        // An optional argument that was left out sends nothing anywhere.
        None => Ok(()),
    }
}

fn word(kind: DestinationKind) -> &'static str {
    match kind {
        DestinationKind::Email => "one e-mail address",
        DestinationKind::Host => "one host name",
        DestinationKind::Url => "one http or https URL",
    }
}

fn read(kind: DestinationKind, text: &str) -> Option<String> {
    match kind {
        DestinationKind::Email => {
            let (local, domain) = text.split_once('@')?;
            let plain = |c: u8| c.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~.".contains(&c);
            let ok = !local.is_empty() && local.bytes().all(plain);
            ok.then(|| host(domain).map(|domain| format!("{local}@{domain}")))?
        }
        DestinationKind::Host => host(text),
        DestinationKind::Url => {
            let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"))?;
            let authority = rest.split(['/', '?', '#']).next()?;
            let name = match authority.rsplit_once(':') {
                Some((name, port)) if port.bytes().all(|c| c.is_ascii_digit()) => name,
                Some(_) => return None,
                None => authority,
            };
            host(name)
        }
    }
}

/// A host in its one spelling: ASCII letters, digits, dots and dashes, in lower case. User names, brackets, escapes and
/// backslashes are refused, not repaired: two parsers would read them differently.
fn host(text: &str) -> Option<String> {
    let label =
        |label: &str| !label.is_empty() && label.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-');
    (text.len() <= 253 && text.split('.').all(label)).then(|| text.to_ascii_lowercase())
}

#[cfg(test)]
mod tests;
