//! A call: anything an agent asks for. One noun, one line it walks.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use stdx::digest::Digest;

use crate::account::Used;
use crate::approval::AskMarks;
use crate::id::{CallId, KeyId, Mark, RunId};
use crate::obligation::Bound;
use crate::undo::UndoKept;

/// Who carries the call out into the world.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Carrier {
    /// Remit does.
    Gate,
    /// The agent's own executor does, with a permit token.
    Executor,
}

/// What a call is to a plan. A call without a part is a single call.
// Fields stand in alphabetical order, so that serde writes the canonical bytes (see `event`).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// A read that the contract of a step's tool names. The contract is its authority.
    Companion {
        /// The tool whose contract names it.
        of: String,
        /// The step of the run's plan that it is made for; none: before there is a plan.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        step: Option<u16>,
        what: Look,
    },
    /// A step of the run's plan, exactly as it was planned.
    Step {
        step: u16,
        /// Equality of its tool and of its arguments as planned, references and all.
        template: Mark,
        /// Of the plan.
        version: u32,
    },
    /// Takes a deed back.
    Undo {
        /// The deed.
        of: CallId,
        /// Equality of the version that was read just before; none: it was not, or could not be read.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        version: Option<Mark>,
    },
}

/// What a companion looks at.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Look {
    /// What is there before the deed, to be written back.
    Before,
    Expect,
    Preview,
    Probe,
    Version,
}

/// What was asked, strictly parsed; the digests stand for the payloads that the ledger keeps beside it.
#[derive(Clone, Debug)]
pub struct Call {
    pub id: CallId,
    pub run: RunId,
    pub agent: String,
    /// Full name, `server.tool`.
    pub tool: String,
    pub args: Value,
    /// Commitment to the canonical bytes of the arguments.
    pub args_commitment: Digest,
    /// Equality of arguments inside the run.
    pub args_mark: Mark,
    /// Equality of idempotency keys inside the run.
    pub key_mark: Option<Mark>,
    /// Commitment to the agent's stated reason: its own words, untrusted.
    pub reasoning: Option<Digest>,
    pub model: Option<String>,
    pub context_tokens: Option<u64>,
    pub carrier: Carrier,
    /// Where it goes, and to which hosts, where a limit asks: equality in the house.
    pub destinations: Vec<Mark>,
    pub hosts: Vec<Mark>,
    /// The credential that asks.
    pub credential: Option<KeyId>,
    /// Only of calls that people are asked about.
    pub ask_marks: Option<AskMarks>,
    /// What it was made into since it was asked for, because an account is as full as it is.
    pub bound: Bound,
    pub part: Option<Part>,
    /// What it touches: equality in the house.
    pub touches: Vec<Mark>,
    /// What `before` rules want of it (see `before::wants`), in their order: equality inside the run.
    pub facts: Vec<Option<Mark>>,
}

/// How a permitted call ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Succeeded,
    Failed,
    /// It may or may not have happened. Never guessed.
    Unknown,
    /// It certainly never left the house.
    NotDispatched,
}

impl Outcome {
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Succeeded => "succeeded",
            Outcome::Failed => "failed",
            Outcome::Unknown => "unknown",
            Outcome::NotDispatched => "not_dispatched",
        }
    }
}

/// The end of a call, as it is settled: by the gate for what it carries, by an agent for what its executor carried.
#[derive(Clone, Debug)]
pub struct Settlement {
    pub call: CallId,
    /// The agent that says so. None: Remit saw it itself.
    pub agent: Option<String>,
    pub outcome: Outcome,
    /// Commitment to the result's bytes.
    pub result: Option<Digest>,
    /// Equality of the tool and its result inside the run.
    pub result_mark: Option<Mark>,
    /// It failed for a reason that passes.
    pub transient: bool,
    /// What it took, as far as that is known to be less than was reserved.
    pub used: Used,
    pub duration_ms: u64,
    /// A short code of what went wrong outside: `timeout`, `http_500`.
    pub trouble: Option<String>,
    /// How it is taken back, where its contract says so and it succeeded.
    pub undo: Option<UndoKept>,
    /// What it told (see `before::tells`), where it is a read that rules ask for: equality inside the run.
    pub facts: Vec<Mark>,
}

impl Settlement {
    pub fn carrier(&self) -> Carrier {
        match self.agent {
            Some(_) => Carrier::Executor,
            None => Carrier::Gate,
        }
    }
}
