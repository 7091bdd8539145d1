//! A run: one prompt's worth of work, as the fold remembers it.

use std::collections::HashMap;

use crate::account::{Account, Amount};
use crate::call::Carrier;
use crate::command::Ended;
use crate::id::{CallId, Mark, RunId};
use crate::time::Time;
use crate::verdict::Verdict;

#[derive(Clone, Debug)]
pub struct Run {
    pub agent: String,
    pub person: Option<String>,
    pub opened: Time,
    pub expires: Time,
    pub account: Account,
    /// Permitted calls by tool.
    pub by_tool: HashMap<String, u64>,
    /// Idempotency keys seen.
    pub keyed: HashMap<Mark, Keyed>,
    /// Refusals recorded since `refusals_since`, to tell a flood.
    pub refusals: u64,
    pub refusals_since: Time,
}

/// Refusals are counted in windows of this length.
pub const REFUSAL_WINDOW_MS: u64 = 60_000;

#[derive(Clone, Debug)]
pub struct Keyed {
    pub call: CallId,
    pub args: Mark,
    pub verdict: Verdict,
    pub ended: Option<Ended>,
}

/// A permitted call whose outcome is not recorded yet, or is recorded as unknown.
#[derive(Clone, Debug)]
pub struct OpenCall {
    pub run: RunId,
    pub agent: String,
    pub tool: String,
    pub reserved: Amount,
    pub carrier: Carrier,
    pub decided: Time,
    pub expires: Option<Time>,
    pub key: Option<Mark>,
    /// Its reservation stays at the maximum until somebody resolves it.
    pub unknown: bool,
}

impl Run {
    /// Whether one more refusal would be one too many to record by itself.
    pub fn is_flooded(&self, now: Time, per_minute_max: u64) -> bool {
        now.since_ms(self.refusals_since) < REFUSAL_WINDOW_MS && self.refusals >= per_minute_max
    }

    pub(crate) fn refused(&mut self, now: Time) {
        if now.since_ms(self.refusals_since) >= REFUSAL_WINDOW_MS {
            self.refusals_since = now;
            self.refusals = 0;
        }
        self.refusals += 1;
    }
}
