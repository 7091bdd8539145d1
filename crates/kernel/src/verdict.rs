//! A verdict: the answer to one call, always with what decided it.

use std::sync::Arc;

use policy::RuleRef;
use serde::{Deserialize, Serialize};

use crate::balance::Left;
use crate::event::CallDecided;
use crate::obligation::{Level, Obligation};
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
    /// Why it is bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<Box<Level>>,
    /// What an Allow is bound to: the call was made into that before it was decided.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub obligations: Vec<Obligation>,
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
        Verdict { reasons: vec![reason], ruling: Ruling::Deny, ..Verdict::allow() }
    }

    pub fn allow() -> Verdict {
        Verdict {
            level: None,
            obligations: Vec::new(),
            reasons: Vec::new(),
            rules: Vec::new(),
            ruling: Ruling::Allow,
            would: Vec::new(),
            left: None,
        }
    }

    pub fn asks(&self) -> bool {
        self.ruling == Ruling::Ask
    }

    pub fn allows(&self) -> bool {
        self.ruling == Ruling::Allow
    }
}

impl CallDecided {
    pub fn verdict(&self) -> Verdict {
        Verdict {
            level: self.level.clone(),
            obligations: self.obliged.clone(),
            reasons: self.reasons.clone(),
            rules: self.rules.clone(),
            ruling: self.ruling,
            would: self.would.clone(),
            left: None,
        }
    }
}
