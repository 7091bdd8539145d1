//! An incident: one file with all that is known of a run, for whoever must look into it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::call::{CallView, Receipt};
use crate::people::{EventView, HaltView};
use crate::run::RunView;

/// `GET /v1/runs/{run}/incident`
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Incident {
    /// The form of this file.
    pub incident: u64,
    /// When it was made, and by whom.
    pub made: String,
    pub by: String,
    /// The Remit that made it.
    pub version: String,
    /// Everything below this ledger index was known.
    pub as_of: u64,
    pub run: RunView,
    /// The runs that share its root, where there are others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub family: Vec<RunView>,
    /// Oldest first.
    pub calls: Vec<CallView>,
    /// There are calls before this one, which are not in here.
    pub older: Option<String>,
    /// The versions of the rules that its calls were decided by.
    pub rules_digests: Vec<String>,
    /// The version in force now.
    pub rules_now: String,
    pub halts: Vec<HaltView>,
    /// The events of the run, word for word; an event's index is its receipt.
    pub events: Vec<EventView>,
}

/// `GET /v1/incidents`
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct IncidentPlaces {
    /// Where the configuration lets incidents be sent.
    pub items: Vec<IncidentPlace>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IncidentPlace {
    pub name: String,
    /// `webhook` or `github`
    pub kind: String,
    /// What is sent there, in words.
    pub says: String,
}

/// `POST /v1/runs/{run}/incident`
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SendIncident {
    /// One of `GET /v1/incidents`.
    pub to: String,
    /// What whoever reports it has to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct IncidentSent {
    pub to: String,
    /// Where it is found now, if the place says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// SHA-256 of what was sent.
    pub digest: String,
    /// Of the event that says that it was sent.
    pub receipt: Option<Receipt>,
}
