//! Undo: how one deed is taken back, resolved when the deed settled. It is its own authority.

use serde::{Deserialize, Serialize};
use stdx::digest::Digest;

use crate::id::Mark;
use crate::time::Time;

// Fields stand in alphabetical order, so that serde writes the canonical bytes (see `event`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UndoKept {
    /// Commitment to its arguments, a payload beside the deed's end.
    pub args: Digest,
    /// Digest of the undo tool's contract as it was then.
    pub contract: Digest,
    /// Equality of its tool and arguments inside the run: the `args_mark` of the call that carries it out.
    pub mark: Mark,
    pub tool: String,
    /// After this nobody takes it back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Time>,
}
