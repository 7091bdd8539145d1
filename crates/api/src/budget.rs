//! Budgets: what may be spent, what was, what is left, and what people do about it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::run::Closing;

/// Amounts by currency. In a limit, what is absent is not limited; in an amount, it is none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spend {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calls: Option<u64>,
    /// Counts of one's own, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub counted: BTreeMap<String, u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub human_minutes: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub irreversible: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retries: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usd_nanos: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub writes: Option<u64>,
}

/// What an agent may still spend, told with every answer: the least of all accounts that its call takes from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BudgetLeft {
    pub left: Spend,
    /// How full the fullest account is.
    pub percent: u64,
    /// What the gate did about that: `degrade` (do with less), `decide` (look at the plan again before you write),
    /// `notify` (people were told), `stop`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<String>,
}

/// One account as it stands.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Balance {
    /// A run's id, or `agent:NAME` or `tenant:NAME`.
    pub account: String,
    /// `run`, `hour`, `day` or `month`
    pub window: String,
    pub from: String,
    /// When a new one begins, or the run ends.
    pub until: String,
    pub limits: Spend,
    /// What was spent.
    pub posted: Spend,
    /// What calls under way may still spend.
    pub pending: Spend,
    /// What is set aside for runs below that opened with a budget of their own.
    pub lent: Spend,
    pub left: Spend,
    /// How full the fullest currency is.
    pub percent: u64,
    /// The highest threshold that it has crossed, in percent.
    pub crossed: u64,
    /// Nano-dollars an hour since it began.
    pub usd_nanos_per_hour: u64,
    /// When its dollars are spent at this rate, if before its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runs_out: Option<String>,
    /// Why it waits for a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<String>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Balances {
    pub items: Vec<Balance>,
}

/// `GET /v1/budget`: of exactly one of these.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BudgetQuery {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
}

/// Pauses a run, or lets it go on.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SteerRun {
    pub why: String,
}

/// Lets a run spend more for a while, and go on if it was paused.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExtendRun {
    /// At most as much as the run began with, all extensions together.
    pub by: Spend,
    /// For how long, such as `30m`; at most a day, and no longer than the run.
    pub within: String,
    pub why: String,
}

/// What a run cost beside its calls.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChargeRun {
    pub amount: Spend,
    pub why: String,
}

/// What a closed run came to, in truth.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CorrectRun {
    pub outcome: Closing,
    pub why: String,
}
