//! What exists, and the rules people wrote, as the caller hands them in.

use serde_json::Value;

#[derive(Clone, Debug, Default)]
pub struct World {
    pub agents: Vec<AgentDecl>,
    pub tools: Vec<ToolDecl>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AgentDecl {
    pub name: String,
    pub tenant: String,
    pub groups: Vec<String>,
    pub env: String,
    /// Other environments that it may act in.
    pub crosses: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, PartialOrd, Ord)]
pub enum Effect {
    Read,
    Reversible,
    Irreversible,
}

impl Effect {
    pub fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Reversible => "reversible",
            Self::Irreversible => "irreversible",
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, PartialOrd, Ord)]
pub enum Operation {
    Read,
    Write,
    Execute,
    Delegate,
}

impl Operation {
    pub fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Execute => "execute",
            Self::Delegate => "delegate",
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct ToolDecl {
    /// `server.tool`
    pub name: String,
    pub server: String,
    pub env: String,
    pub effect: Effect,
    pub operation: Operation,
    /// The JSON Schema of the arguments.
    pub input: Value,
}

/// A place in a file that a person wrote; both numbers start at 1.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    pub file: String,
    pub line: usize,
    pub column: usize,
}

/// One entry of a manifest's `may`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct May {
    pub agent: String,
    /// For example `refund-desk.may[2]`.
    pub id: String,
    /// A tool's name, or a glob such as `crm.*`.
    pub tool: String,
    pub when: Option<String>,
    pub when_origin: Option<Origin>,
    /// Globs, one of which every destination must match.
    pub to: Vec<String>,
    /// The group that must approve.
    pub ask: Option<String>,
    pub origin: Origin,
}

/// A file of Cedar text beside the manifests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FreeRules {
    pub file: String,
    pub text: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// May free rules permit? Manifests are where permissions belong, so the default is no.
    pub allow_permits: bool,
}
