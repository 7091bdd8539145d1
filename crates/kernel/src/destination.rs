//! Destinations: where a call would send something, read from its arguments as its contract says.
//!
//! A place has one spelling here. What two readers could take for two places is refused, not repaired.

mod place;
mod text;

use serde_json::Value;

use crate::contract::{Contract, DestinationKind, DestinationPath};
use crate::reason::{Code, Reason};

/// Enough for any address or path; a pattern is matched against nothing longer.
const BYTES_MAX: usize = 4_096;
/// More places than this in one call are not one deed.
const COUNT_MAX: usize = 1_024;
const DETAIL_CHARS_MAX: usize = 120;

/// Every destination in the arguments, or why the call may not go there.
pub(crate) fn destinations(contract: &Contract, args: &Value) -> Result<Vec<String>, Box<Reason>> {
    let mut walk = Walk { contract, found: Vec::new() };
    for destination in &contract.destinations {
        match &destination.name {
            Some(name) => walk.join(destination, args, name)?,
            None => walk.follow(destination, args, &destination.path, "")?,
        }
    }
    let says_where = |path: &DestinationPath| path.kind != DestinationKind::Text;
    if !contract.to.is_empty() && walk.found.is_empty() && contract.destinations.iter().any(says_where) {
        return Err(outside(contract, ""));
    }
    Ok(walk.found)
}

/// The host of a place, if it has one.
pub(crate) fn host_of(place: &str) -> Option<&str> {
    let host = match place.rsplit_once('@') {
        Some((_, domain)) => domain,
        None => place.split('/').next().unwrap_or_default(),
    };
    (!host.starts_with('#') && host.contains('.')).then_some(host)
}

/// A list of patterns and nowhere to go: that is outside of it.
pub(crate) fn all_within(patterns: &[String], destinations: &[String]) -> bool {
    !destinations.is_empty()
        && destinations.iter().all(|it| policy::is_within(patterns.iter().map(String::as_str), it))
}

struct Walk<'a> {
    contract: &'a Contract,
    found: Vec<String>,
}

impl Walk<'_> {
    fn follow(
        &mut self,
        destination: &DestinationPath,
        value: &Value,
        path: &[String],
        at: &str,
    ) -> Result<(), Box<Reason>> {
        match (value, path.split_first()) {
            // An optional argument that was left out sends nothing anywhere.
            (Value::Null, _) => Ok(()),
            (Value::Array(items), _) => items
                .iter()
                .enumerate()
                .try_for_each(|(index, item)| self.follow(destination, item, path, &format!("{at}/{index}"))),
            (Value::Object(members), Some((name, rest))) => match members.get(name) {
                Some(inner) => self.follow(destination, inner, rest, &format!("{at}/{name}")),
                None => Ok(()),
            },
            (Value::String(text), None) => self.read(destination, text, at),
            // The content of a message may be blocks of many shapes: all their words are content.
            (Value::Object(members), None) if destination.kind == DestinationKind::Text => {
                members.iter().try_for_each(|(name, inner)| {
                    self.read(destination, name, at)?;
                    self.follow(destination, inner, path, at)
                })
            }
            (_, None) if destination.kind == DestinationKind::Text => Ok(()),
            _ => Err(unreadable(destination.kind, at)),
        }
    }

    /// A repository whose owner and name are arguments of their own.
    fn join(
        &mut self,
        destination: &DestinationPath,
        args: &Value,
        name: &[String],
    ) -> Result<(), Box<Reason>> {
        let inner = |path: &[String]| path.iter().try_fold(args, |value, name| value.get(name));
        let (owner, last) = match (inner(&destination.path), inner(name)) {
            (None | Some(Value::Null), None | Some(Value::Null)) => return Ok(()),
            (owner, last) => (owner.and_then(Value::as_str), last.and_then(Value::as_str)),
        };
        let at = format!("/{}", name.join("/"));
        let short = |text: &&str| text.len() <= BYTES_MAX;
        let place = owner
            .filter(short)
            .zip(last.filter(short))
            .and_then(|(owner, last)| place::repository_of(destination.host.as_deref(), owner, last));
        self.add(place.ok_or_else(|| unreadable(destination.kind, &at))?, &at)
    }

    fn read(&mut self, destination: &DestinationPath, text: &str, at: &str) -> Result<(), Box<Reason>> {
        let kind = destination.kind;
        let read = match kind {
            DestinationKind::Text => text::places(text),
            _ if text.len() > BYTES_MAX => None,
            _ => place::read(kind, destination.host.as_deref(), text).map(|place| vec![place]),
        };
        read.ok_or_else(|| unreadable(kind, at))?.into_iter().try_for_each(|place| self.add(place, at))
    }

    fn add(&mut self, place: String, at: &str) -> Result<(), Box<Reason>> {
        let to = self.contract.to.iter().map(String::as_str);
        if !self.contract.to.is_empty() && !policy::is_within(to, &place) {
            return Err(outside(self.contract, at));
        }
        if !self.found.contains(&place) {
            self.found.push(place);
        }
        if self.found.len() > COUNT_MAX {
            let reason = Reason::new(Code::DestinationInvalid).at(at);
            return Err(Box::new(reason.detail(format!("one of at most {COUNT_MAX} in a call"))));
        }
        Ok(())
    }
}

fn unreadable(kind: DestinationKind, at: &str) -> Box<Reason> {
    Box::new(Reason::new(Code::DestinationInvalid).at(at).detail(word(kind)))
}

fn outside(contract: &Contract, at: &str) -> Box<Reason> {
    let to: String = contract.to.join(", ").chars().take(DETAIL_CHARS_MAX).collect();
    Box::new(Reason::new(Code::DestinationForbidden).at(at).detail(to))
}

fn word(kind: DestinationKind) -> &'static str {
    match kind {
        DestinationKind::Channel => "one channel: `#name` or its id",
        DestinationKind::Email => "one e-mail address",
        DestinationKind::Host => "one host name",
        DestinationKind::Path => "one absolute file path without `..`, escapes or odd characters",
        DestinationKind::Repository => "one repository: `owner/name` or its address",
        DestinationKind::Text => "text whose links and addresses are spelt out plainly",
        DestinationKind::Url => "one http or https URL",
        DestinationKind::Webhook => "one http or https URL with a plain path",
    }
}

#[cfg(test)]
mod tests;
