//! Tools: what there is, and what their servers say of them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// `GET /v1/tools`
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct ToolList {
    pub items: Vec<ToolView>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct ToolView {
    /// Full name, `server.tool`.
    pub tool: String,
    pub server: String,
    /// `read`, `reversible` or `irreversible`
    pub effect: String,
    pub env: String,
    pub about: String,
    /// The digest of the definition that a person accepted; none for a tool that is declared whole.
    pub accepted: Option<String>,
    /// The digest of what its server said last.
    pub seen: Option<String>,
    /// No call of it is permitted until what was seen is accepted, or its server says again what was.
    pub quarantined: bool,
    /// It failed too often in a row, and is left alone until then.
    pub resting_until: Option<String>,
}

/// `GET /v1/tools/{tool}`
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct ToolShown {
    #[serde(flatten)]
    pub tool: ToolView,
    /// What agents are shown.
    pub definition: Option<Value>,
    /// What its server said last, if that is something else.
    pub now: Option<Value>,
    /// The event of the ledger that says so.
    pub seen_index: Option<u64>,
    /// From the one to the other, line by line: `-` went, `+` came.
    pub diff: Vec<String>,
    /// The whole contract, as it is in force; it names secrets and holds none.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub contract: Value,
}

/// `POST /v1/tools/{tool}/accept`
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AcceptTool {
    /// The digest of the definition that a person has read: `seen` of `GET /v1/tools/{tool}`.
    pub seen: String,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ToolAccepted {
    pub accepted: String,
    /// The rules in force from now on.
    pub rules_digest: String,
}
