//! A run: one prompt's worth of work, as the fold remembers it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::{Deserialize, Serialize};

use crate::account::{Account, Amount};
use crate::approval::Ticket;
use crate::call::{Carrier, Part};
use crate::command::Ended;
use crate::event::is_own;
use crate::family::Loan;
use crate::id::{CallId, KeyId, Mark, RunId};
use crate::pace::Pace;
use crate::phase::Phase;
use crate::progress::PlanState;
use crate::proposal::Proposal;
use crate::snapshot::sorted;
use crate::steer::{Extension, Paused};
use crate::time::Time;
use crate::verdict::Verdict;
use crate::window::AccountId;

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    pub agent: String,
    /// For whom, as the agent says; and as the credential proves that opened it.
    pub person: Option<String>,
    pub vouched: Option<String>,
    pub opened: Time,
    pub expires: Time,
    /// Set for the run of calls that named none: whose they are, and how long it may be idle.
    pub implicit: Option<(KeyId, u64)>,
    /// How long it may be without a call.
    pub idle_ms: Option<u64>,
    /// The last call.
    pub touched: Time,
    pub account: Account,
    /// Permitted calls by tool.
    #[serde(serialize_with = "sorted")]
    pub by_tool: HashMap<String, u64>,
    /// Idempotency keys seen.
    #[serde(serialize_with = "sorted")]
    pub keyed: HashMap<Mark, Keyed>,
    pub refusals: Refusals,
    pub pace: Pace,
    /// The run that it was opened under.
    pub parent: Option<RunId>,
    /// How many runs are above it.
    pub depth: u64,
    /// Its open children.
    pub children: BTreeSet<RunId>,
    pub loan: Option<Loan>,
    /// The highest threshold that it has crossed, in percent.
    pub crossed: u64,
    /// Sequence of the newest crossing whose action is `decide`.
    pub decide_seq: u64,
    pub paused: Option<Paused>,
    pub extensions: Vec<Extension>,
    /// How often people were asked.
    pub asks: u64,
    /// Calls of this run, and of runs under it, that wait for people: meanwhile it is not idle.
    pub waiting: u64,
    /// Calls that people were asked about, by what they were: the agent comes again for the outcome.
    pub tickets: BTreeMap<Mark, Ticket>,
    /// What it means to write, told and not done, or done since.
    pub proposals: Vec<Proposal>,
    pub phase: Phase,
    /// Its plans, the last one last; of earlier ones those that were committed.
    pub plans: Vec<PlanState>,
    /// Versions that were proposed.
    pub versions: u32,
    /// What its reads told, and when, where `before` rules ask for it.
    #[serde(serialize_with = "sorted")]
    pub facts: HashMap<Mark, Time>,
}

/// A closed run whose plans may still be taken back, or must still be looked at.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Past {
    pub agent: String,
    pub plans: Vec<PlanState>,
    pub until: Time,
}

/// Refusals are counted in windows of this length.
pub const REFUSAL_WINDOW_MS: u64 = 60_000;

/// Refusals recorded since the window began, to tell a flood: in a run, or of an agent outside its own runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refusals {
    pub count: u64,
    pub since: Time,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Keyed {
    pub call: CallId,
    pub args: Mark,
    pub verdict: Verdict,
    pub ended: Option<Ended>,
}

/// A permitted call whose outcome is not recorded yet, or is recorded as unknown.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenCall {
    pub run: RunId,
    pub agent: String,
    pub tool: String,
    pub reserved: Amount,
    pub carrier: Carrier,
    pub decided: Time,
    pub expires: Option<Time>,
    pub key: Option<Mark>,
    /// Equality of its tool and arguments inside the run.
    pub mark: Mark,
    pub reads: bool,
    /// Sequence of its decision.
    pub seq: u64,
    /// Its reservation stays at the maximum until somebody resolves it.
    pub unknown: bool,
    /// The runs above its run.
    pub above: Vec<RunId>,
    /// The accounts wider than a run that it reserved in.
    pub accounts: Vec<AccountId>,
    /// People were asked about it: by what it was then, its agent comes again for the outcome.
    pub asked_mark: Option<Mark>,
    pub part: Option<Part>,
}

impl OpenCall {
    pub(crate) fn is_paced(&self) -> bool {
        is_own(self.part.as_ref())
    }
}

impl Run {
    /// Whether it has a limit of its own: the first of a family has its manifest's, another one what it borrowed.
    pub(crate) fn is_limited(&self) -> bool {
        self.parent.is_none() || self.loan.is_some()
    }

    /// When it ends by itself, as things stand.
    pub fn ends(&self) -> Time {
        let idle_ms = self.idle_ms.filter(|_| self.waiting == 0);
        idle_ms.map_or(self.expires, |idle_ms| self.touched.plus_ms(idle_ms).min(self.expires))
    }
}

impl Refusals {
    /// Whether one more refusal would be one too many to record by itself.
    pub fn is_flood(&self, now: Time, per_minute_max: u64) -> bool {
        now.since_ms(self.since) < REFUSAL_WINDOW_MS && self.count >= per_minute_max
    }

    pub(crate) fn add(&mut self, now: Time) {
        if now.since_ms(self.since) >= REFUSAL_WINDOW_MS {
            *self = Refusals { count: 0, since: now };
        }
        self.count += 1;
    }
}
