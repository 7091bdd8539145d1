//! Effect: what a call does to the world.

use serde::{Deserialize, Serialize};

/// Each does more than the one before.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    Read,
    Reversible,
    Irreversible,
}

impl Effect {
    pub fn name(self) -> &'static str {
        match self {
            Effect::Read => "read",
            Effect::Reversible => "reversible",
            Effect::Irreversible => "irreversible",
        }
    }

    pub fn writes(self) -> bool {
        self != Effect::Read
    }
}
