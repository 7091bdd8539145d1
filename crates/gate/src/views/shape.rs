//! What people are shown of a run and of a call.

use std::sync::Arc;

use kernel::event::{CallDecided, CallFinished, Questioned};
use kernel::obligation::{Level, Obligation};
use kernel::policy::RuleRef;
use kernel::reason::Reason;
use serde::Serialize;
use serde_json::Value;

#[derive(Clone, Debug, Serialize)]
pub struct RunView {
    pub id: String,
    pub agent: String,
    /// For whom, as the agent said.
    pub person: Option<String>,
    /// What for, in the agent's words.
    pub intent: Option<Value>,
    pub opened: String,
    pub expires: String,
    pub closed: Option<String>,
    pub outcome: Option<String>,
    pub closed_by: Option<String>,
    /// Who said later what it came to.
    pub corrected_by: Option<String>,
    pub allowed: u64,
    pub denied: u64,
    /// Refusals of a flood, counted and not recorded one by one.
    pub uncounted: u64,
    pub unknown: u64,
    pub usd_nanos: u64,
    pub index: u64,
    /// The run that it was opened under.
    pub parent: Option<String>,
}

/// A reason with its words: the same everywhere.
#[derive(Clone, Debug, Serialize)]
pub struct ReasonView {
    pub code: &'static str,
    pub says: String,
    pub remedy: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_seconds: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<Arc<RuleRef>>,
}

impl From<&Reason> for ReasonView {
    fn from(reason: &Reason) -> ReasonView {
        ReasonView {
            code: reason.code.name(),
            says: reason.says(),
            remedy: reason.remedy(),
            at: reason.at.clone(),
            retry_after_seconds: reason.retry_after_seconds,
            rule: reason.rule.clone(),
        }
    }
}

#[derive(Clone, Debug, Serialize)]
pub struct CallView {
    pub id: String,
    /// None: a question, which reserves and permits nothing.
    #[serde(serialize_with = "shown")]
    pub run: Option<kernel::id::RunId>,
    pub agent: String,
    /// Who asked a question; a call is asked by its agent.
    pub by: Option<String>,
    pub tool: String,
    pub effect: Option<String>,
    pub carrier: Option<&'static str>,
    pub ruling: &'static str,
    pub reasons: Vec<ReasonView>,
    pub rules: Vec<Arc<RuleRef>>,
    /// Observed only: what `enforce` would have refused it for.
    pub would: Vec<ReasonView>,
    /// What it was made into before it was decided.
    pub obliged: Vec<Obligation>,
    /// Why.
    pub level: Option<Box<Level>>,
    /// Who said yes to it, where people were asked.
    pub approved: Vec<String>,
    /// Null when the payload was erased.
    pub args: Option<Value>,
    /// The agent's stated reason: its own words, untrusted.
    pub reasoning: Option<Value>,
    pub model: Option<String>,
    pub context_tokens: Option<u64>,
    pub reserved_usd_nanos: u64,
    pub decided: String,
    pub rules_digest: String,
    pub contract_digest: Option<String>,
    pub index: u64,
    pub lane: u16,
    /// None: permitted, and not settled yet; or refused.
    pub finished: Option<Finished>,
    pub result: Option<Value>,
    #[serde(skip)]
    pub(crate) args_commitment: Option<stdx::digest::Digest>,
    #[serde(skip)]
    pub(crate) reasoning_commitment: Option<stdx::digest::Digest>,
}

fn shown<S: serde::Serializer>(run: &Option<kernel::id::RunId>, out: S) -> Result<S::Ok, S::Error> {
    run.map(|run| run.to_string()).serialize(out)
}

#[derive(Clone, Debug, Serialize)]
pub struct Finished {
    pub outcome: String,
    pub at: String,
    /// `gate` saw it; `executor` claims it; `restart` and `sweep` do not know.
    pub by: String,
    pub duration_ms: u64,
    pub usd_nanos: u64,
    pub trouble: Option<String>,
    pub index: u64,
    pub result: Option<stdx::digest::Digest>,
}

impl Finished {
    pub(super) fn new(place: Place, finished: CallFinished) -> Finished {
        Finished {
            outcome: finished.outcome.name().to_owned(),
            at: place.at,
            by: finished.by,
            duration_ms: finished.duration_ms,
            usd_nanos: finished.posted.usd_nanos,
            trouble: finished.trouble,
            index: place.index,
            result: finished.result,
        }
    }
}

/// Where in the log an event stands.
pub(super) struct Place {
    pub(super) index: u64,
    pub(super) lane: u16,
    pub(super) at: String,
}

impl CallView {
    pub(super) fn of_call(place: Place, decided: CallDecided) -> CallView {
        CallView {
            id: decided.call.to_string(),
            run: Some(decided.run),
            agent: decided.agent,
            by: None,
            tool: decided.tool,
            effect: Some(decided.effect),
            carrier: Some(match decided.carrier {
                kernel::call::Carrier::Gate => "gate",
                kernel::call::Carrier::Executor => "executor",
            }),
            ruling: decided.ruling.name(),
            reasons: decided.reasons.iter().map(ReasonView::from).collect(),
            rules: decided.rules,
            would: decided.would.iter().map(ReasonView::from).collect(),
            level: decided.level,
            obliged: decided.obliged,
            approved: decided.approved,
            args: None,
            reasoning: None,
            model: decided.model,
            context_tokens: decided.context_tokens,
            reserved_usd_nanos: decided.reserved.usd_nanos,
            decided: place.at,
            rules_digest: decided.rules_digest.to_string(),
            contract_digest: decided.contract.map(|digest| digest.to_string()),
            index: place.index,
            lane: place.lane,
            finished: None,
            result: None,
            args_commitment: Some(decided.args),
            reasoning_commitment: decided.reasoning,
        }
    }

    pub(super) fn of_question(place: Place, asked: Questioned) -> CallView {
        CallView {
            id: asked.call.to_string(),
            run: None,
            agent: asked.agent,
            by: Some(asked.by),
            tool: asked.tool,
            effect: None,
            carrier: None,
            ruling: asked.verdict.ruling.name(),
            reasons: asked.verdict.reasons.iter().map(ReasonView::from).collect(),
            rules: asked.verdict.rules,
            would: asked.verdict.would.iter().map(ReasonView::from).collect(),
            level: None,
            obliged: Vec::new(),
            approved: Vec::new(),
            args: None,
            reasoning: None,
            model: None,
            context_tokens: None,
            reserved_usd_nanos: 0,
            decided: place.at,
            rules_digest: asked.rules_digest.to_string(),
            contract_digest: None,
            index: place.index,
            lane: place.lane,
            finished: None,
            result: None,
            args_commitment: Some(asked.args),
            reasoning_commitment: None,
        }
    }
}
