//! Budgets: what may be spent, what was, what is left, and what people do about it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::call::Receipt;
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
    /// Of models: in, out and cached together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    /// What models found in a cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens_cached: Option<u64>,
    /// What they read anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens_in: Option<u64>,
    /// What they wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens_out: Option<u64>,
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
    /// What was spent in an hour, on the average since it began; rounded down.
    pub per_hour: Spend,
    /// When the first of its limits is reached at this rate, if before its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runs_out: Option<String>,
    /// The same of each limit, by its currency.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub spent_by: BTreeMap<String, String>,
    /// Why it waits for a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<String>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Balances {
    pub items: Vec<Balance>,
}

/// `GET /v1/budget`: of one of these; without any, of every agent and tenant that has one.
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

/// `GET /v1/spend`
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SpendQuery {
    /// `agent` (the default), `workflow`, or `run`: the 200 dearest that ended
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<SpendBy>,
    /// How far back from now, such as `30d`, which is the default. The time as long before it is the baseline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SpendBy {
    Agent,
    Workflow,
    Run,
}

/// What the runs of one agent or workflow came to, or one run. A run stands for all that fanned out of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SpendFigures {
    /// Runs that ended.
    pub runs: u64,
    pub success: u64,
    pub failure: u64,
    pub abandoned: u64,
    pub expired: u64,
    /// Successes of a hundred runs.
    pub completion_percent: u64,
    pub cost_usd_nanos: u64,
    /// All that was spent, failures too, for each success; none without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_per_success_usd_nanos: Option<u64>,
    /// How often a person took a hand in them.
    pub interventions: u64,
    /// Minutes of people that were charged to them.
    pub human_minutes: u64,
    /// Tokens of models: all of them, then by kind.
    #[serde(default)]
    pub tokens: u64,
    #[serde(default)]
    pub tokens_cached: u64,
    #[serde(default)]
    pub tokens_in: u64,
    #[serde(default)]
    pub tokens_out: u64,
    /// From opening to a successful end, on average.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds_to_success: Option<u64>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct SpendLine {
    /// The agent, the workflow or the run; empty for runs that named no workflow.
    pub of: String,
    pub now: SpendFigures,
    /// The same in the time before, as long.
    pub before: SpendFigures,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct SpendReport {
    /// Everything below this ledger index is in the answer.
    pub as_of: u64,
    pub from: String,
    pub until: String,
    pub items: Vec<SpendLine>,
}

/// `GET /v1/spend/days`
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DaysQuery {
    /// `agent` (the default) or `tool`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<DaysBy>,
    /// How many days back, such as `30d`, which is the default; at most a year.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DaysBy {
    Agent,
    Tool,
}

/// What one agent, or one tool, came to on one day; days on which nothing happened are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DaySpent {
    /// The day of the ledger, in UTC: `2026-11-21`.
    pub day: String,
    /// The agent or the tool; empty by tool for what was charged to runs beside their calls.
    pub of: String,
    pub allowed: u64,
    pub denied: u64,
    pub cost_usd_nanos: u64,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct DaysReport {
    /// Everything below this ledger index is in the answer.
    pub as_of: u64,
    /// The first day and today.
    pub from: String,
    pub until: String,
    pub items: Vec<DaySpent>,
}

/// An open run with all that is under it.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct TopRun {
    pub run: String,
    pub agent: String,
    pub opened: String,
    pub cost_usd_nanos: u64,
    pub usd_nanos_per_hour: u64,
    /// Of models, of every kind.
    #[serde(default)]
    pub tokens: u64,
    pub allowed: u64,
    pub denied: u64,
    pub unknown: u64,
    /// Runs under it, open or not.
    pub under: u64,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Top {
    /// Everything below this ledger index is in the answer.
    pub as_of: u64,
    pub items: Vec<TopRun>,
}

/// `GET /v1/top`
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TopQuery {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

/// `POST /v1/hooks/{hook}/correct`: a system of people's own says what a closed run came to in truth.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HookCorrection {
    pub run: String,
    pub outcome: Closing,
    pub why: String,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct HookHeeded {
    /// None: this very message came before.
    pub receipt: Option<Receipt>,
    /// It came before, and was heeded then.
    pub again: bool,
}
