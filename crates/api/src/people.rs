//! What people ask and do: status, keys, halts, rules, events.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::call::{Receipt, RuleView};

/// `GET /v1/whoami`
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct WhoAmI {
    pub agent: String,
    pub key: String,
    pub executor: bool,
}

/// `GET /v1/status`
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Status {
    pub version: String,
    pub ready: bool,
    /// Why it is not ready.
    pub trouble: Option<String>,
    pub rules_digest: String,
    pub agents: u64,
    pub tools: u64,
    pub rules: u64,
    /// The index that the next event will have.
    pub head_index: u64,
    /// Calls that are being carried out.
    pub in_flight: u64,
    /// Calls that wait for people.
    #[serde(default)]
    pub waiting: u64,
    /// Since this process started:
    pub allowed: u64,
    pub denied: u64,
    /// How calls ended, by outcome.
    pub settled: BTreeMap<String, u64>,
    pub halts: u64,
}

/// `POST /v1/agents/{agent}/keys`
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MintKey {
    /// How long it lives; 90 days if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_seconds: Option<u64>,
    /// The person it is given to: who uses it acts for them, so they may not approve what it asks for.
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    pub person: Option<String>,
    /// What asks for it on the person's behalf; the ledger names it beside them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub through: Option<Through>,
}

/// A program of Remit's own that acts for a person.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Through {
    /// `remit wrap`
    Wrap,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct KeyMinted {
    pub key: String,
    /// Shown once; Remit keeps only its hash.
    pub secret: String,
    pub expires: String,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct KeyView {
    pub key: String,
    pub agent: String,
    pub expires: String,
    /// The person it was given to.
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    pub person: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct KeyList {
    pub items: Vec<KeyView>,
}

/// `?why=` of a revocation or a resumption.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WhyQuery {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// `DELETE /v1/halts?scope=&why=`
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResumeQuery {
    pub scope: String,
    /// The environment that the halt was narrowed to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// `POST /v1/halts`
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Halt {
    /// `all`, `writes`, `irreversible`, `tenant:NAME`, `agent:NAME`, `server:NAME`, `tool:NAME`, or `run:ID` with what
    /// descends from it.
    pub scope: String,
    /// Only with tools of this environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env: Option<String>,
    pub why: String,
    /// When it lifts itself: a time in UTC (`2026-11-21T14:30:00Z`), or in how long (`30m`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// A freeze: what only reads goes on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reads_allowed: bool,
    /// Also by a name that the rules do not hold.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub force: bool,
}

/// The containment report: what a halt met, and what became of it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct HaltReport {
    /// From this event on nothing in the scope is permitted.
    pub receipt: Receipt,
    pub scope: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reads_allowed: bool,
    /// Calls in scope that were permitted and had no end yet.
    pub in_flight: u64,
    /// Of these: stopped, without a lasting effect.
    pub stopped: u64,
    /// Of these: came to their own end meanwhile.
    pub finished: u64,
    /// Of these: nobody knows what they did, or they go on where Remit cannot cut them.
    pub unclear: u64,
    /// Calls in scope that waited for people: nobody is asked about them any more.
    pub cancelled: u64,
    /// Calls in scope whose end was unknown before the halt.
    pub unknown_before: u64,
    /// Nothing in the scope happened from this index of the ledger on; left out while something still may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quiet_from: Option<u64>,
    /// The calls in flight, the unclear ones first; at most 1000.
    pub calls: Vec<HeldCall>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct HeldCall {
    pub call: String,
    pub run: String,
    pub agent: String,
    pub tool: String,
    pub since: String,
    /// `unclear`, `stopped` or `finished`
    pub end: String,
    /// Left out while it is not settled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct HaltView {
    pub scope: String,
    pub why: String,
    pub by: String,
    pub since: String,
    /// When it lifts itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reads_allowed: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct HaltList {
    pub items: Vec<HaltView>,
}

/// `GET /v1/policy`
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Policy {
    pub digest: String,
    pub rules: u64,
    pub cedar: String,
    pub warnings: Vec<Warning>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Warning {
    pub says: String,
    pub file: String,
    pub line: usize,
    pub column: usize,
}

/// `POST /v1/policy/explain`
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyAsk {
    pub agent: String,
    pub tool: String,
    #[serde(default)]
    pub args: Value,
}

/// What the rules alone say: no run, no budget, no halt.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct PolicyAnswer {
    /// `allow`, `ask` or `deny`
    pub decision: String,
    pub rules: Vec<RuleView>,
    /// Rules that would allow it, were their conditions met.
    pub near: Vec<RuleView>,
    pub errors: Vec<RuleError>,
    /// Groups whose yes would make it pass.
    pub ask: Vec<String>,
    pub rules_digest: String,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct RuleError {
    pub rule: RuleView,
    pub error: String,
}

/// `GET /v1/policy/files`
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct PolicyFiles {
    pub items: Vec<PolicyFile>,
}

/// A manifest, a file of contracts or a file of rules.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct PolicyFile {
    pub file: String,
    pub text: String,
}

/// `POST /v1/policy/change`: what would another text of one file do?
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyChange {
    /// Such as `agents/refund-desk.yaml`; one that is not there yet would be new.
    pub file: String,
    pub text: String,
    /// How many past calls are asked about, the newest first; 1000 if left out, at most 10000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calls: Option<usize>,
}

/// Nothing was changed: this is what would be.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct PolicyChanged {
    pub rules_digest: String,
    /// The version that it would be.
    pub would_digest: String,
    pub warnings: Vec<String>,
    /// Past calls that both versions were asked about, by the rules alone.
    pub compared: u64,
    /// Past calls whose arguments were erased.
    pub skipped: u64,
    /// How many of them would get another answer; `calls` holds the newest.
    pub differ: u64,
    pub calls: Vec<CallDiffers>,
    /// Who could do what, and could not any more.
    pub lost: Vec<WhoCan>,
    /// Who could do what they cannot do now.
    pub won: Vec<WhoCan>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct CallDiffers {
    pub call: String,
    pub run: Option<String>,
    pub agent: String,
    pub tool: String,
    pub at: String,
    /// `allow`, `ask` or `deny`
    pub before: String,
    pub after: String,
    /// The rules that would decide.
    pub rules: Vec<RuleView>,
}

/// `GET /v1/who-can`
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WhoCanQuery {
    /// A tool, a pattern, an effect or operation (`irreversible`, `write`), or `to:<pattern>`.
    pub target: String,
    /// Arguments as JSON: conditions that read only them are evaluated exactly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub args: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct WhoCan {
    pub agent: String,
    pub tool: String,
    pub rule: RuleView,
    pub only_if: Vec<String>,
    pub needs_approval: Option<String>,
    pub by_free_permit: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct WhoCanList {
    pub rules_digest: String,
    /// How many there are; `items` holds the first of them.
    pub total: u64,
    pub items: Vec<WhoCan>,
}

/// `GET /v1/events`
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EventsQuery {
    #[serde(default)]
    pub from: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

/// `GET /v1/tail`
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TailQuery {
    /// The first index wanted; what comes next, if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<u64>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct EventView {
    pub index: u64,
    pub event: Value,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct EventPage {
    pub items: Vec<EventView>,
    /// Give it as `from` for the next page.
    pub next: Option<u64>,
}

/// `/readyz` and `/healthz`
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Health {
    pub ok: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}
