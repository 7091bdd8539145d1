//! From how an exchange ended to what may be claimed: a write that may have happened is `Unknown`.

use gate::port::Reached;
use http::StatusCode;
use kernel::account::Amount;
use kernel::call::Outcome;
use kernel::contract::Effect;
use serde_json::{Value, json};

use crate::redact;

/// A tool's error that is not JSON is shown up to this many characters.
const TEXT_LENGTH_MAX: usize = 2_000;

/// How the exchange ended.
pub(super) enum Ended {
    /// No byte of the request left the house.
    Unsent(&'static str),
    /// It ended before an answer's head was read.
    Broken(&'static str),
    /// There was a status; the body came whole, or broke off.
    Answered { status: StatusCode, body: Result<Vec<u8>, &'static str> },
}

pub(super) fn not_dispatched(trouble: &str) -> Reached {
    // Nothing was sent, so it is known to have cost nothing.
    let used = Some(Amount::default());
    Reached {
        outcome: Outcome::NotDispatched,
        body: Vec::new(),
        trouble: Some(trouble.to_owned()),
        said: None,
        used,
    }
}

pub(super) fn judge(effect: Effect, ended: Ended, secret: Option<&[u8]>) -> Reached {
    let (status, body) = match ended {
        Ended::Unsent(trouble) => return not_dispatched(trouble),
        Ended::Broken(trouble) => return unclear(effect, trouble, Vec::new()),
        Ended::Answered { status, body } => (status, body),
    };
    let body = body.map(|heard| redact::bytes(heard, secret.unwrap_or_default()));
    let code = format!("status_{}", status.as_u16());
    match (status, body) {
        // It says of itself that there is no body.
        (StatusCode::NO_CONTENT, Ok(_)) => succeeded(&Value::Null),
        (status, Ok(heard)) if status.is_success() => match read(&heard, secret) {
            Some(value) => succeeded(&value),
            None => unclear(effect, "malformed_result", Vec::new()),
        },
        (status, Err(trouble)) if status.is_success() => unclear(effect, trouble, Vec::new()),
        // By its definition the request was carried out, and the answer is elsewhere.
        (StatusCode::SEE_OTHER, _) => unclear(effect, "redirect", Vec::new()),
        (status, _) if status.is_redirection() => failed("redirect", Vec::new()),
        (status, body) if status.is_client_error() => failed(&code, complaint(body, secret)),
        (_, body) => unclear(effect, &code, complaint(body, secret)),
    }
}

fn succeeded(value: &Value) -> Reached {
    let body = stdx::json::canonical(value);
    Reached { outcome: Outcome::Succeeded, body, trouble: None, said: None, used: None }
}

fn failed(trouble: &str, body: Vec<u8>) -> Reached {
    Reached { outcome: Outcome::Failed, body, trouble: Some(trouble.to_owned()), said: None, used: None }
}

/// A read that gave nothing has failed; a write may have happened all the same.
fn unclear(effect: Effect, trouble: &str, body: Vec<u8>) -> Reached {
    let outcome = if effect.writes() { Outcome::Unknown } else { Outcome::Failed };
    Reached { outcome, body, trouble: Some(trouble.to_owned()), said: None, used: None }
}

fn read(heard: &[u8], secret: Option<&[u8]>) -> Option<Value> {
    let value = stdx::json::parse(heard).ok()?;
    match secret.map(std::str::from_utf8) {
        Some(Ok(secret)) => Some(redact::value(value, secret)),
        // JSON's strings are UTF-8, so a secret that is not cannot stand in one.
        Some(Err(_)) | None => Some(value),
    }
}

/// What the tool says of its own failure, as canonical JSON; empty if it said nothing.
fn complaint(body: Result<Vec<u8>, &'static str>, secret: Option<&[u8]>) -> Vec<u8> {
    let Ok(heard) = body else { return Vec::new() };
    if heard.is_empty() {
        return heard;
    }
    let value = read(&heard, secret).unwrap_or_else(|| {
        let text: String = String::from_utf8_lossy(&heard).chars().take(TEXT_LENGTH_MAX).collect();
        json!({ "text": text })
    });
    stdx::json::canonical(&value)
}

#[cfg(test)]
mod tests;
