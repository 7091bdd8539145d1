//! A contract: what Remit knows of a tool. No contract, no such tool.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use stdx::digest::Digest;
use stdx::json::canonical;

/// What a call does to the world.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
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

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Operation {
    Read,
    Write,
    Execute,
    Delegate,
}

/// How a destination is written in the arguments.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DestinationKind {
    Email,
    Host,
    Url,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DestinationPath {
    pub kind: DestinationKind,
    /// Member names from the arguments' root; a list on the way means each of its elements.
    pub path: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Contract {
    pub about: String,
    /// Where the vault finds the secret: `env:NAME` or `file:PATH`. Never the secret.
    pub credential: Option<String>,
    pub cost_usd_nanos: u64,
    pub destinations: Vec<DestinationPath>,
    pub effect: Effect,
    pub env: String,
    /// The header that carries the idempotency key, if the tool honours one.
    pub idempotency_header: Option<String>,
    /// JSON Schema of the arguments.
    pub input: Value,
    pub labels: Vec<String>,
    /// `server.tool`
    pub name: String,
    pub operation: Operation,
    /// The digest of `input` that a person has accepted.
    pub pin: Option<Digest>,
    pub result_bytes_max: u64,
    pub server: String,
    pub timeout_ms: u64,
    pub tool: String,
    /// How the tool is reached; only the room that reaches it can read this.
    pub via: Value,
}

impl Contract {
    pub fn digest(&self) -> Digest {
        Digest::of(&canonical(self))
    }

    pub fn input_digest(&self) -> Digest {
        Digest::of(&canonical(&self.input))
    }
}
