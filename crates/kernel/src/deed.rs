//! Deed: what a contract says of a call as a step: how to look at it, to check it, and to take it back.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// All of it is optional; what says nothing can neither be checked nor taken back.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Deed {
    /// Template over `args`: what the preview's answer becomes. None: the arguments tell, where they share names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub becomes: Option<Value>,
    /// How long it waits in the outbox after all others stand, where it cannot be taken back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay_ms: Option<u64>,
    /// What must hold afterwards.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expect: Option<Expect>,
    /// What the world looks like before it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preview: Option<Companion>,
    /// Whether it happened, asked when nobody knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probe: Option<Expect>,
    /// Templates of what it touches, as in `charge:{args.charge_id}`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub touches: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub undo: Option<Undo>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<VersionRead>,
}

impl Deed {
    pub fn is_plain(&self) -> bool {
        *self == Deed::default()
    }
}

/// A read, and what must hold of its answer: see `condition`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Expect {
    /// Templates over `args` (the deed's) and `deed` (the deed's result).
    pub args: Value,
    /// A condition over `args` (the deed's), `deed` (the deed's result) and `result` (what the read answers).
    pub that: String,
    pub tool: String,
}

/// A call that belongs to a deed; its arguments are templates.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Companion {
    pub args: Value,
    pub tool: String,
}

/// How a deed is taken back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Undo {
    /// Another tool makes up for it; templates over `args` and `result`, the deed's.
    Tool {
        args: Value,
        #[serde(default)]
        retries: u32,
        tool: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        within_ms: Option<u64>,
    },
    /// What was there is read before the deed, and written back: its arguments may also use `before`.
    Restore {
        read: Companion,
        #[serde(default)]
        retries: u32,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        within_ms: Option<u64>,
        write: Companion,
    },
}

impl Undo {
    /// The tool that takes back, and the template of its arguments.
    pub fn call(&self) -> (&str, &Value) {
        match self {
            Undo::Tool { tool, args, .. } => (tool, args),
            Undo::Restore { write, .. } => (&write.tool, &write.args),
        }
    }

    /// Tries after the first.
    pub fn retries(&self) -> u32 {
        match self {
            Undo::Tool { retries, .. } | Undo::Restore { retries, .. } => *retries,
        }
    }

    pub fn within_ms(&self) -> Option<u64> {
        match self {
            Undo::Tool { within_ms, .. } | Undo::Restore { within_ms, .. } => *within_ms,
        }
    }
}

/// Where the version of what a deed touched is read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VersionRead {
    pub args: Value,
    pub tool: String,
    /// Member names from the root of the answer.
    pub value: Vec<String>,
}
