//! Agents: what their manifests say, and what the rules make of it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::people::{KeyView, WhoCan};

/// `GET /v1/agents`
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct AgentList {
    pub items: Vec<AgentView>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct AgentView {
    pub agent: String,
    /// The person who answers for it.
    pub owner: String,
    pub purpose: String,
    pub env: String,
    /// `enforce`, `observe` or `propose`
    pub mode: String,
    pub executor: bool,
    /// Keys that are valid.
    pub keys: u64,
    /// A halt that covers all it does.
    pub halted: bool,
}

/// `GET /v1/agents/{agent}`
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct AgentShown {
    #[serde(flatten)]
    pub agent: AgentView,
    /// The whole manifest, as it is in force.
    pub manifest: Value,
    /// What the rules let it do, manifest and free rules together.
    pub can: Vec<WhoCan>,
    pub keys_valid: Vec<KeyView>,
    pub rules_digest: String,
}
