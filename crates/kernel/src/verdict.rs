//! A verdict: the answer to one call, always with what decided it.

use std::sync::Arc;

use policy::RuleRef;
use serde::{Deserialize, Serialize};

use crate::balance::Left;
use crate::reason::Reason;

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ruling {
    Allow,
    /// People are asked.
    Ask,
    Deny,
}

impl Ruling {
    pub fn name(self) -> &'static str {
        match self {
            Ruling::Allow => "allow",
            Ruling::Ask => "ask",
            Ruling::Deny => "deny",
        }
    }
}

// Fields stand in alphabetical order, so that serde writes the canonical bytes (see `event`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// Why not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<Reason>,
    /// The rules that allowed it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Arc<RuleRef>>,
    pub ruling: Ruling,
    /// In mode `observe`: what `enforce` would have refused it for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub would: Vec<Reason>,
    /// What may still be spent, told with the answer and not stored.
    #[serde(skip)]
    pub left: Option<Box<Left>>,
}

impl Verdict {
    pub fn deny(reason: Reason) -> Verdict {
        Verdict {
            reasons: vec![reason],
            rules: Vec::new(),
            ruling: Ruling::Deny,
            would: Vec::new(),
            left: None,
        }
    }

    pub fn allow() -> Verdict {
        let ruling = Ruling::Allow;
        Verdict { reasons: Vec::new(), rules: Vec::new(), ruling, would: Vec::new(), left: None }
    }

    pub fn asks(&self) -> bool {
        self.ruling == Ruling::Ask
    }

    pub fn allows(&self) -> bool {
        self.ruling == Ruling::Allow
    }
}
