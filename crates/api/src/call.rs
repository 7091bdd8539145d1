//! Calls: anything an agent asks for, the verdict on it, and how it ended.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::budget::{BudgetLeft, Spend};
use crate::inbox::Waiting;

/// Proof that an event is in the ledger.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Receipt {
    pub index: u64,
    pub lane: u16,
    pub lane_seq: u64,
}

/// `POST /v1/calls` and `POST /v1/decisions`
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CallAsk {
    /// Full name, `server.tool`.
    pub tool: String,
    #[serde(default = "no_args")]
    pub args: Value,
    /// Why the agent wants it, in its own words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The model that proposed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// How much the model had before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context_tokens: Option<u64>,
    /// The same key in the same run gets the same answer, and is carried out once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
    /// If people are asked: where the agent is told that its ticket has ended, instead of polling. Only addresses that
    /// `callbacks` in remit.yaml lists for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub callback: Option<String>,
    /// Decide only: the obligations that the executor does. One that it does not name is a refusal.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub heeds: Vec<ObligationKind>,
}

/// What an Allow may be bound to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ObligationKind {
    /// An argument is smaller than it was asked for.
    Cap,
    /// A cheaper tool was called in the place of the one that was asked for.
    Instead,
    /// A cheaper class of model.
    Model,
}

/// What this Allow is bound to, because a budget has come to its gate `degrade`. Remit has made the call into that
/// before it decided; an executor does it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ObligationView {
    pub kind: ObligationKind,
    pub says: String,
    /// JSON Pointer to the argument.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// The most that it may be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub most: Option<u64>,
    /// The tool that was asked for, and the one that was called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// The class of model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
}

fn no_args() -> Value {
    Value::Object(serde_json::Map::new())
}

/// One rule, in words, and where a person wrote it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RuleView {
    pub id: String,
    pub words: String,
    pub file: String,
    pub line: usize,
}

/// One check's finding.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReasonView {
    pub code: String,
    pub says: String,
    /// What would make it pass.
    pub remedy: String,
    /// JSON Pointer into the arguments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// When the same call may come again, if time alone helps. Also in the header `Retry-After`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_seconds: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<RuleView>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct VerdictView {
    /// `allow`, `deny`, or `ask`: it waits for people
    pub ruling: String,
    /// Why not.
    pub reasons: Vec<ReasonView>,
    /// The rules that allowed it.
    pub rules: Vec<RuleView>,
    /// In mode `observe`: what `enforce` would have refused it for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub would: Vec<ReasonView>,
    /// What it is bound to, because a budget has come to its gate `degrade`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub obligations: Vec<ObligationView>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Answered {
    pub call: String,
    pub verdict: VerdictView,
    pub receipt: Option<Receipt>,
    /// `succeeded`, `failed`, `unknown` or `not_dispatched`; none for a refused or merely decided call.
    pub outcome: Option<String>,
    /// What the tool answered.
    pub result: Option<Value>,
    /// What went wrong outside, as a short code: `timeout`, `status_500`.
    pub trouble: Option<String>,
    /// Decide only: proof of this Allow, for the executor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permit_token: Option<String>,
    /// This idempotency key was seen before: the first answer stands.
    pub again: bool,
    /// What the agent may still spend.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<BudgetLeft>,
    /// What the contract puts in the place of an answer that could not be had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback: Option<Fallback>,
    /// Who said yes to it, where somebody was asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approved: Vec<String>,
    /// What they wrote, or whoever said no.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub words: Option<String>,
    /// The arguments that were sent, where they changed them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edited: Option<Value>,
    /// The step of the run's group that it waits as: it goes when the group is committed, and `abort` cancels it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<String>,
    /// It waits for people: where to ask what became of it. Nothing was called yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<Waiting>,
}

/// What came in the place of a tool's answer: a fixed answer, or what another tool came to.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Fallback {
    /// In words: that this is a fallback, of what, and why.
    pub says: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Value>,
    /// The tool that stood in, by a call of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered: Option<Box<Answered>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Succeeded,
    Failed,
    Unknown,
    NotDispatched,
}

/// `POST /v1/calls/{call}/outcome`
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OutcomeReport {
    pub outcome: Outcome,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
    #[serde(default)]
    pub duration_ms: u64,
    /// What it took, as far as that is known: tokens, dollars. Of what is left out, all that was set aside is posted,
    /// and never more than that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used: Option<Spend>,
}

/// A call as people read it.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct CallView {
    pub call: String,
    /// None for a recorded question.
    pub run: Option<String>,
    pub agent: String,
    /// Who asked a recorded question, about this agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    pub tool: String,
    /// `read`, `reversible` or `irreversible`
    pub effect: Option<String>,
    /// Who carries it out: `gate` or `executor`.
    pub carrier: Option<String>,
    /// When it was decided.
    pub at: String,
    pub verdict: VerdictView,
    /// Who said yes to it, where people were asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approved: Vec<String>,
    /// None if they were erased.
    pub args: Option<Value>,
    /// Why the agent wanted it, in its own words.
    pub reason: Option<String>,
    pub model: Option<String>,
    pub context_tokens: Option<u64>,
    pub outcome: Option<String>,
    pub trouble: Option<String>,
    pub result: Option<Value>,
    pub finished: Option<String>,
    /// Whose word the outcome is: `gate` saw it, `executor` claims it, `restart` and `sweep` do not know.
    pub settled_by: Option<String>,
    pub duration_ms: Option<u64>,
    /// What was set aside for it before.
    pub reserved_usd_nanos: u64,
    /// What it cost in the end; 0 while that is open.
    pub cost_usd_nanos: u64,
    /// Ledger index of the decision.
    pub index: u64,
    pub lane: u16,
    /// Ledger index of its end.
    pub finished_index: Option<u64>,
    /// The version of the rules that it was decided by.
    pub rules_digest: String,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct CallPage {
    /// Everything below this ledger index is in the answer.
    pub as_of: u64,
    pub items: Vec<CallView>,
    /// Give it as `before` for the next page.
    pub next: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct CallShown {
    pub as_of: u64,
    pub call: CallView,
}

/// `GET /v1/calls/{call}` of one's own call
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OwnCallQuery {
    /// Waits up to a second until the answer covers this ledger index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<u64>,
    /// While it waits for people: holds the answer back until that has ended, at most so long: `10s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<String>,
}

/// `GET /v1/calls`
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CallsQuery {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// `allow`, `deny` or `ask`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ruling: Option<String>,
    /// `succeeded`, `failed`, `unknown` or `not_dispatched`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// A call id: those before it are listed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Waits up to a second until the answer covers this ledger index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<u64>,
}
