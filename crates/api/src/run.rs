//! Runs: one prompt's worth of work, opened and closed by an agent.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::budget::Spend;
use crate::call::{CallView, Receipt};
use crate::plan::PlanShown;

#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OpenRun {
    /// For whom, as the agent says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<String>,
    /// What it is for, in the agent's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent: Option<String>,
    /// With a run token in `Remit-Run`: what the new run borrows from that run, and gives back at its end. Without it,
    /// the new run takes from there call by call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<Spend>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct RunOpened {
    pub run: String,
    /// Goes into the header `Remit-Run`; valid only with this agent's key.
    pub token: String,
    pub expires: String,
    pub receipt: Receipt,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Closing {
    Success,
    Failure,
    Abandoned,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CloseRun {
    pub outcome: Closing,
    /// What kind of work it was: costs and outcomes are compared by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflow: Option<String>,
}

/// `POST /v1/runs/{run}/replan`: what was learned, in the agent's words, before it goes on.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Replan {
    pub learned: String,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Recorded {
    pub receipt: Receipt,
}

/// A run as people read it.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct RunView {
    pub run: String,
    pub agent: String,
    pub person: Option<String>,
    pub intent: Option<String>,
    pub opened: String,
    pub expires: String,
    pub closed: Option<String>,
    /// How it ended: `success`, `failure`, `abandoned`, `expired`.
    pub outcome: Option<String>,
    pub closed_by: Option<String>,
    /// Who said later what it came to: `outcome` is as they say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub corrected_by: Option<String>,
    pub allowed: u64,
    pub denied: u64,
    /// Refusals of a flood, counted and not recorded one by one.
    pub uncounted: u64,
    /// Permitted calls whose outcome is not known.
    pub unknown: u64,
    pub cost_usd_nanos: u64,
    /// Ledger index of the event that opened it.
    pub index: u64,
    /// The run that it was opened under.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// The trace that its calls are spans of: tool servers are told it in `traceparent`.
    #[serde(default)]
    pub trace_id: String,
    /// Where that trace is looked up, if the configuration says so: `listen.traces`. Of one run; lists leave it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
    /// Its newest plan: of one run, and of runs that wait for a person. Lists leave it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<Box<PlanShown>>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct RunPage {
    /// Everything below this ledger index is in the answer.
    pub as_of: u64,
    pub items: Vec<RunView>,
    /// Give it as `before` for the next page.
    pub next: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct RunShown {
    pub as_of: u64,
    pub run: RunView,
    /// The newest calls of the run, oldest of them first.
    pub calls: Vec<CallView>,
    /// There are older calls: give it as `before` to `GET /v1/calls?run=`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub older: Option<String>,
    /// All runs that share its root, itself among them, the oldest first; left out if it is alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub family: Vec<RunView>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Only {
    Denied,
    Unknown,
}

/// `GET /v1/runs`
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RunsQuery {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open: Option<bool>,
    /// Text in the agent's or the person's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub q: Option<String>,
    /// `denied`: with refusals; `unknown`: with calls whose outcome nobody knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only: Option<Only>,
    /// Only those that wait for a person: a plan that is held or left something behind, a call whose outcome nobody
    /// knows. All of them are on one page, and nothing else is asked beside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stuck: Option<bool>,
    /// Text in its intent, in the arguments of its calls, or in the reasons that it gave: the newest runs are searched
    /// first, and `next` goes on from where one search stops.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub words: Option<String>,
    /// With a call of this tool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// How it ended: `success`, `failure`, `abandoned`, `expired`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// Opened then or later: a day (`2026-11-22`) or a time in UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Opened before that; a day is included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// A run id: those before it are listed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Waits up to a second until the answer covers this ledger index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<u64>,
}

/// `?after=`
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AfterQuery {
    /// Waits up to a second until the answer covers this ledger index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<u64>,
}
