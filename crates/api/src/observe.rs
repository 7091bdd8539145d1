//! What would have hindered agents in mode `observe`, had they been in mode `enforce`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `GET /v1/observed`
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ObservedQuery {
    /// How far back, in whole days (UTC): `7d`; 30 days if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
}

/// The most frequent first.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Observed {
    pub within: String,
    pub as_of: u64,
    pub items: Vec<ObservedItem>,
}

/// What one rule, or one check, would have said to one agent's calls of one tool.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ObservedItem {
    pub agent: String,
    pub tool: String,
    /// `deny`, or `ask`: people would have been asked.
    pub would: String,
    /// The code of the reason.
    pub code: String,
    /// The rule that forbids or asks; none: nothing allows it, or a check that knows no rules.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    pub times: u64,
    /// The last of these calls.
    pub call: String,
}
