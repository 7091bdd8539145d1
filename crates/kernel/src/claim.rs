//! Claims: what a plan touches is its own while it is carried out. All of a plan's at once, with an end.

use serde::{Deserialize, Serialize};

use crate::id::RunId;
use crate::time::Time;

/// Marks that one run may claim.
pub const CLAIMS_MAX: usize = 64;

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    pub run: RunId,
    pub until: Time,
}

/// The last committed run that touched something, and until when somebody may ask.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Touched {
    pub run: RunId,
    pub until: Time,
}
