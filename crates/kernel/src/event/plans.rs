//! The events of plans; their encoding is that of all events.

use serde::{Deserialize, Serialize};
use stdx::digest::Digest;

use crate::account::Amount;
use crate::id::{CallId, Mark, RunId};
use crate::phase::Phase;
use crate::progress::{End, Expectation, OnFailure, OnHalt, Residue, StepPlanned};
use crate::reason::Reason;
use crate::time::Time;
use crate::verdict::Ruling;
use crate::window::AccountId;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PhaseChanged {
    /// `agent`, `plan`, `commit`, `gates`: who, or what, moved it.
    pub by: String,
    pub from: Phase,
    pub run: RunId,
    pub to: Phase,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// An agent proposed a plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlanProposed {
    pub agent: String,
    /// The groups whose yes it needs before it may begin.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub asks: Vec<String>,
    pub control_seq: u64,
    /// What its steps and their companions may cost.
    pub cost: Amount,
    /// The proposals that it was made of when people said yes to them, one for each step.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gathers: Vec<CallId>,
    /// Equality inside the run.
    pub mark: Mark,
    /// Commitment to its canonical bytes.
    pub plan: Digest,
    /// The first that were found, of the plan or of its steps.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<Reason>,
    pub rules_digest: Digest,
    pub ruling: Ruling,
    pub run: RunId,
    pub steps: Vec<StepPlanned>,
    /// What it claims when it is committed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub touches: Vec<Mark>,
    /// What taking all of it back may cost beside.
    pub undo_cost: Amount,
    pub version: u32,
}

/// From here on what the run writes belongs to one group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GroupBegun {
    pub agent: String,
    pub control_seq: u64,
    pub on_failure: OnFailure,
    pub on_halt: OnHalt,
    /// Calls of it under way at once.
    pub parallel: u64,
    pub run: RunId,
    pub version: u32,
}

/// A call that writes became a step of its run's group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepJoined {
    /// Accounts wider than a run that all of the group is held in from here on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accounts: Vec<AccountId>,
    /// Commitment to its arguments.
    pub args: Digest,
    /// The groups of people whose yes it needs before the commit may begin.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub asks: Vec<String>,
    pub call: CallId,
    pub control_seq: u64,
    /// What it and its companions may cost.
    pub cost: Amount,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Mark>,
    /// Commitment to the agent's stated reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<Digest>,
    pub rules_digest: Digest,
    pub run: RunId,
    pub step: StepPlanned,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub touches: Vec<Mark>,
    /// What taking it back may cost beside.
    pub undo_cost: Amount,
    pub version: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CommitStarted {
    /// Accounts wider than a run that it is held in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accounts: Vec<AccountId>,
    /// Who said yes to it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approved: Vec<String>,
    pub control_seq: u64,
    /// What is held from here to its end.
    pub cost: Amount,
    pub on_failure: OnFailure,
    pub on_halt: OnHalt,
    /// Calls of it under way at once.
    pub parallel: u64,
    pub run: RunId,
    /// What waited for those who said yes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<CallId>,
    pub version: u32,
}

/// Somebody looked after a step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepChecked {
    /// It could not even be asked: a code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub barred: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expectation: Option<Expectation>,
    /// Whether its effect is there, asked when nobody knew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub happened: Option<Expectation>,
    pub run: RunId,
    /// Equality of the version read after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<Mark>,
    pub step: u16,
    /// Of the plan.
    pub version: u32,
}

/// A plan goes back: its steps are taken back, the last first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UnwindStarted {
    pub by: String,
    pub run: RunId,
    /// It was committed, and these steps of it are taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taking: Option<Vec<u16>>,
    /// Of the plan.
    pub version: u32,
    pub why: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CommitEnded {
    pub end: End,
    /// Who must look at what is left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// What in the world differs from before and was not to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub residue: Vec<Residue>,
    pub run: RunId,
    pub version: u32,
}

/// A person has seen what is left of a plan, and leaves it so.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ResidueAccepted {
    pub by: String,
    pub run: RunId,
    pub version: u32,
    pub why: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Claimed {
    pub marks: Vec<Mark>,
    pub run: RunId,
    pub until: Time,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClaimsReleased {
    /// It was committed, and until then somebody may take it back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub committed: Option<Time>,
    pub run: RunId,
}
