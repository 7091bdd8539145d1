//! A contract: what Remit knows of a tool. No contract, no such tool.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use stdx::digest::Digest;
use stdx::json::canonical;

use crate::deed::Deed;
pub use crate::effect::Effect;
use crate::obligation::Degrade;
use crate::price::{Count, Meter};

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
    /// A chat channel: its name, or its id.
    Channel,
    Email,
    Host,
    /// A file.
    Path,
    /// A repository of code, as `owner/name` or as an address.
    Repository,
    /// Content: each URL and e-mail address within it is a place.
    Text,
    Url,
    /// A URL whose path counts too.
    Webhook,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DestinationPath {
    pub kind: DestinationKind,
    /// Of repositories: the host that `owner/name` alone means, if it is not `github.com`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Of repositories: where the name is, if `path` holds the owner alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Vec<String>>,
    /// Member names from the arguments' root; a list on the way means each of its elements.
    pub path: Vec<String>,
}

/// What answers in the place of a tool that cannot be reached, and is said to be that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fallback {
    Answer(Value),
    /// The full name of another tool, which gets the same arguments in a call of its own.
    Tool(String),
}

/// How gently a tool is called.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Care {
    /// Calls of it under way at once.
    pub concurrent: u32,
    /// Failures in a row after which it is left alone for a while.
    pub failures_max: u32,
    /// What answers in its place while it cannot be reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fallback: Option<Fallback>,
    /// Calls that may wait for their turn; the next is told when to come again.
    pub queue: u32,
    /// Tries after the first, of reads and of calls with an idempotency key.
    pub retries: u32,
}

impl Default for Care {
    fn default() -> Care {
        Care { concurrent: 64, failures_max: 5, fallback: None, queue: 1024, retries: 2 }
    }
}

/// How often a tool may be called, by all agents together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ToolRate {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_destination_per_minute: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_minute: Option<u64>,
    /// Of one run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_run: Option<u64>,
}

impl ToolRate {
    fn is_open(&self) -> bool {
        *self == ToolRate::default()
    }
}

/// What a text may be searched for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pattern {
    /// Keys and tokens in the forms that their issuers give them, private keys, passwords in addresses.
    Secrets,
    Email,
    CreditCard,
    Iban,
    Phone,
}

/// A pattern that no argument may hold, unless everything it is sent to is among these.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forbidden {
    pub pattern: Pattern,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unless_to: Vec<String>,
}

/// What must not pass in a tool's arguments, and what its results must not show.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Redact {
    pub arguments: Vec<Forbidden>,
    /// Fields of the result, as member names from its root, that agents do not see.
    pub fields: Vec<Vec<String>>,
    /// Patterns that are blotted out of every text of the result.
    pub results: Vec<Pattern>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Contract {
    pub about: String,
    #[serde(default)]
    pub care: Care,
    /// Where the vault finds the secret: `env:NAME` or `file:PATH`. Never the secret.
    pub credential: Option<String>,
    pub cost_usd_nanos: u64,
    /// The most that one call takes of a model.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cost_tokens: u64,
    /// Arguments that are a currency of their own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub counts: Vec<Count>,
    /// What a tool server says of this tool, as a person has accepted it: what agents are shown, and nothing newer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub definition: Option<Value>,
    /// What a call of it must do with less of, once an account is as full as its gate `degrade` says.
    #[serde(default, skip_serializing_if = "Degrade::is_none")]
    pub degrade: Degrade,
    /// What makes a call of it a step that can be checked and taken back.
    #[serde(default, skip_serializing_if = "Deed::is_plain")]
    pub deed: Deed,
    pub destinations: Vec<DestinationPath>,
    pub effect: Effect,
    pub env: String,
    /// The header that carries the idempotency key, if the tool honours one.
    pub idempotency_header: Option<String>,
    /// The argument that carries it, if the tool reads it there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_field: Option<String>,
    /// JSON Schema of the arguments.
    pub input: Value,
    pub labels: Vec<String>,
    /// What else a call costs at most, and how it is known what it took.
    #[serde(default, skip_serializing_if = "Meter::is_none")]
    pub meter: Meter,
    /// `server.tool`
    pub name: String,
    pub operation: Operation,
    /// The digest that a person has accepted: of `definition` where there is one, else of `input`.
    pub pin: Option<Digest>,
    #[serde(default)]
    pub redact: Redact,
    #[serde(default, skip_serializing_if = "ToolRate::is_open")]
    pub rate: ToolRate,
    pub result_bytes_max: u64,
    /// Member names from the arguments' root: where the run's id is written, so that what it did can be searched by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stamp: Option<Vec<String>>,
    pub server: String,
    pub timeout_ms: u64,
    /// Patterns, one of which each destination must match, whatever a manifest says; empty: any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub to: Vec<String>,
    pub tool: String,
    /// How the tool is reached; only the room that reaches it can read this.
    pub via: Value,
}

fn is_zero(value: &u64) -> bool {
    *value == 0
}

impl Contract {
    pub fn digest(&self) -> Digest {
        Digest::of(&canonical(self))
    }

    /// Whether Remit can take it back. Every other write counts as irreversible in a plan, whatever it claims.
    pub fn takes_back(&self) -> bool {
        self.effect == Effect::Reversible && self.deed.undo.is_some()
    }

    /// What it does to the world as a plan sees it.
    pub fn effect_planned(&self) -> Effect {
        match self.effect {
            Effect::Reversible if !self.takes_back() => Effect::Irreversible,
            effect => effect,
        }
    }

    /// Whether a call that is sent again under its key is one call to the tool.
    pub fn repeats(&self) -> bool {
        !self.effect.writes() || self.idempotency_header.is_some() || self.idempotency_field.is_some()
    }

    pub fn input_digest(&self) -> Digest {
        Digest::of(&canonical(&self.input))
    }
}
