//! From how a request ended to what may be claimed: a write that may have happened is `Unknown`.

use gate::port::{Feed, Reached};
use kernel::account::Amount;
use kernel::call::Outcome;
use kernel::contract::Effect;
use serde_json::{Value, json};

use crate::mcp::era::Reply;
use crate::mcp::upstream::{Ended, Trouble};
use crate::mcp::via::ANSWER;
use crate::redact;

pub(super) fn not_dispatched(code: &str) -> Reached {
    // Nothing was sent, so it is known to have cost nothing.
    let used = Some(Amount::default());
    Reached {
        outcome: Outcome::NotDispatched,
        body: Vec::new(),
        trouble: Some(code.to_owned()),
        said: None,
        used,
    }
}

/// What a client says is the result: it has answered already, at the door, or it is asked now.
pub(super) async fn told_by_client(feed: &Feed, asked: &Value) -> Reached {
    if let Some(answer) = feed.aside().get(ANSWER) {
        return reached(Outcome::Succeeded, None, stdx::json::canonical(answer));
    }
    let Some(mut said) = feed.ask(asked.clone()).await else { return not_dispatched("not_asked") };
    match said.get_mut("result").map(Value::take) {
        Some(answer) => reached(Outcome::Succeeded, None, stdx::json::canonical(&answer)),
        None => reached(Outcome::Failed, Some("not_answered"), stdx::json::canonical(&said)),
    }
}

/// `secrets` are what the server knows of ours: what it echoes of them does not come back in.
pub(super) fn judge(effect: Effect, ended: Ended, secrets: &[String]) -> Reached {
    match ended {
        Ended::Unsent(trouble) => Reached { body: words(&trouble, secrets), ..not_dispatched(&trouble.code) },
        Ended::Refused(trouble) => reached(Outcome::Failed, Some(&trouble.code), words(&trouble, secrets)),
        Ended::Broken(trouble) => {
            // A read that gave nothing has failed; a write may have happened all the same.
            let outcome = if effect.writes() { Outcome::Unknown } else { Outcome::Failed };
            reached(outcome, Some(&trouble.code), words(&trouble, secrets))
        }
        Ended::SessionLost => reached(Outcome::Failed, Some("session_lost"), Vec::new()),
        Ended::Answered(Reply::Result(result)) => {
            let failed = result.get("isError") == Some(&Value::Bool(true));
            let said = clean(result.into(), secrets);
            let body = stdx::json::canonical_value(&said);
            let reached = match failed {
                true => reached(Outcome::Failed, Some("tool_error"), body),
                false => reached(Outcome::Succeeded, None, body),
            };
            Reached { said: Some(said), ..reached }
        }
        Ended::Answered(Reply::Error(error)) => {
            let code = format!("rpc_{}", error.code.unsigned_abs());
            reached(Outcome::Failed, Some(&code), body(json!({ "error": error.value() }), secrets))
        }
    }
}

fn reached(outcome: Outcome, trouble: Option<&str>, body: Vec<u8>) -> Reached {
    Reached { outcome, body, trouble: trouble.map(str::to_owned), said: None, used: None }
}

fn words(trouble: &Trouble, secrets: &[String]) -> Vec<u8> {
    if trouble.words.is_empty() { Vec::new() } else { body(json!({ "text": trouble.words }), secrets) }
}

fn body(value: Value, secrets: &[String]) -> Vec<u8> {
    stdx::json::canonical_value(&clean(value, secrets))
}

fn clean(value: Value, secrets: &[String]) -> Value {
    secrets.iter().fold(value, |value, secret| redact::value(value, secret))
}

#[cfg(test)]
mod tests;
