//! The events of approvals; their encoding is that of all events.

use serde::{Deserialize, Serialize};
use stdx::digest::Digest;

use crate::approval::{Edited, Terms};
use crate::id::{CallId, RunId};

/// A person's answer to a call that waits. Whether it was enough, the next decision of that call tells.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answered {
    pub agent: String,
    /// What it is worth anything for.
    pub bound: Digest,
    pub by: String,
    pub call: CallId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edited: Option<Edited>,
    /// The asked groups that it counts for.
    pub groups: Vec<String>,
    /// Of proposals: those that it is a yes to; none named: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub only: Vec<CallId>,
    pub run: RunId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standing: Option<Terms>,
    pub tool: String,
    /// Commitment to what the person wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub words: Option<Digest>,
    pub yes: bool,
}

/// The agent was told what became of a call that people were asked about; the same call is now a new one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Collected {
    pub agent: String,
    pub call: CallId,
    pub run: RunId,
}

/// Nobody answered for so long that others may, too.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AskEscalated {
    pub agent: String,
    pub call: CallId,
    /// The group that was asked.
    pub group: String,
    pub run: RunId,
    /// The group that may answer for it from now on.
    pub to: String,
    pub tool: String,
}
