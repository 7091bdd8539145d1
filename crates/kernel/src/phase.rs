//! Phases: a run reads before it decides, decides before it writes, and writes what it planned.

use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Only reads.
    #[default]
    Explore,
    /// Only reads; a plan is proposed.
    Decide,
    /// The plan is carried out, and nothing else.
    Commit,
}

impl Phase {
    pub fn name(self) -> &'static str {
        match self {
            Phase::Explore => "explore",
            Phase::Decide => "decide",
            Phase::Commit => "commit",
        }
    }
}
