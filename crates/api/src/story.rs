//! The story of a call or a run: who asked, for whom, which rule, what it saw, what it cost, what happened.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::call::CallView;
use crate::run::RunView;

/// `GET /v1/explain/{id}`
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Story {
    /// The call or run that was asked about.
    pub id: String,
    pub as_of: u64,
    /// The same, as plain text for a terminal.
    pub text: String,
    /// None for a recorded question.
    pub run: Option<RunView>,
    /// One call, or those of the run, oldest first.
    pub calls: Vec<CallView>,
    /// One line a step, in order.
    pub steps: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Step {
    /// `asked`, `decided`, `saw`, `cost`, `happened`
    pub what: String,
    pub call: Option<String>,
    pub says: String,
}
