//! An incident: one file with all that is known of a run, for whoever must look into it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::call::CallView;
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
