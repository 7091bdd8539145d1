//! What is told of a call under way: progress under the client's own token, and the log lines that it asked for.

use serde_json::Value;

use crate::mcp::era::{self, Version};
use crate::mcp::wire::{Members, Message};

/// From the least to the most severe.
pub(super) const LEVELS: [&str; 8] =
    ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"];

#[derive(Clone, Debug)]
pub(super) struct Relay {
    version: Version,
    /// None: the client asked for no progress.
    token: Option<Value>,
    /// Place in `LEVELS`. None: the client asked for no log lines.
    level: Option<usize>,
}

impl Relay {
    /// Of a request that stands alone: it says itself which log lines it wants.
    pub(super) fn of_request(version: Version, params: &Members) -> Relay {
        let name = params.get("_meta").and_then(|meta| meta.get(era::META_LOG_LEVEL)).and_then(Value::as_str);
        let level = name.and_then(|name| LEVELS.iter().position(|level| *level == name));
        Relay { version, token: token(params), level }
    }

    pub(super) fn of_session(version: Version, level: usize, params: &Members) -> Relay {
        Relay { version, token: token(params), level: Some(level) }
    }

    pub(super) fn is_wanted(&self) -> bool {
        self.token.is_some() || self.level.is_some()
    }

    /// The message for the client, if it is to hear of this. A server's own token and `_meta` stay behind.
    pub(super) fn pass(&self, word: Value) -> Option<Message> {
        let Value::Object(mut word) = word else { return None };
        let Some(Value::String(method)) = word.remove("method") else { return None };
        let Some(Value::Object(mut params)) = word.remove("params") else { return None };
        params.remove("_meta");
        match method.as_str() {
            "notifications/progress" => {
                params.insert(era::PROGRESS_TOKEN.to_owned(), self.token.clone()?);
            }
            "notifications/message" => {
                let name = params.get("level").and_then(Value::as_str)?;
                let severity = LEVELS.iter().position(|level| *level == name)?;
                self.level.filter(|least| severity >= *least)?;
            }
            _ => return None,
        }
        let params = era::notification_for(self.version, &method, params)?;
        Some(Message::Notification { method, params })
    }
}

fn token(params: &Members) -> Option<Value> {
    let token = params.get("_meta")?.get(era::PROGRESS_TOKEN)?;
    (token.is_string() || token.is_i64() || token.is_u64()).then(|| token.clone())
}
