//! What is asked of the rules, and what they answer.

use std::sync::Arc;

use serde_json::Value;

use crate::RuleRef;

/// Everything that a rule can know about one call.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    pub agent: &'a str,
    pub tool: &'a str,
    pub args: &'a Value,
    pub phase: &'a str,
    pub run_age_seconds: i64,
    pub run_calls: i64,
    pub spent_percent: i64,
    pub labels: &'a [String],
    /// The person on whose behalf.
    pub subject: &'a str,
    pub depth: i64,
    /// The groups whose quorum approved this very call.
    pub approvals: &'a [String],
    pub destinations: &'a [String],
    pub hour: i64,
    pub weekday: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Decision {
    Allow,
    Ask,
    Deny,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    pub decision: Decision,
    /// The rules that determined it.
    pub rules: Vec<Arc<RuleRef>>,
    /// On a default deny: permits in scope for this agent and tool that were not satisfied.
    pub near: Vec<Arc<RuleRef>>,
    pub errors: Vec<(Arc<RuleRef>, String)>,
    /// A smallest set of groups whose yes would make it pass.
    pub ask: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Question {
    /// A tool's name, a glob, an effect or operation (`irreversible`, `write`), or `to:<pattern>`.
    pub target: String,
    /// With arguments, conditions that read only them are evaluated exactly.
    pub args: Option<Value>,
}

/// One permit through which one agent can use one tool.
#[derive(Clone, Debug, PartialEq)]
pub struct WhoCan {
    pub agent: String,
    pub tool: String,
    pub rule: Arc<RuleRef>,
    /// In words: the permit's own conditions, and `unless …` for each conditional forbid in scope.
    pub only_if: Vec<String>,
    pub needs_approval: Option<String>,
    pub by_free_permit: bool,
}
