//! What a door hands in and gets back: who asks, what for, and the answer.

use kernel::account::{Limits, Used};
use kernel::call::Outcome;
use kernel::id::{CallId, KeyId, RunId};
use kernel::time::Time;
use kernel::verdict::Verdict;
use ledger::Receipt;
use serde_json::Value;

/// Who asks; only `Gate::identify` makes one.
#[derive(Clone, Debug)]
pub struct Caller {
    pub agent: String,
    pub key: KeyId,
    pub executor: bool,
}

#[derive(Clone, Debug, Default)]
pub struct OpenAsk {
    pub person: Option<String>,
    pub intent: Option<String>,
    /// The run that it is opened under.
    pub parent: Option<RunId>,
    /// What it borrows from that run.
    pub budget: Option<Limits>,
}

#[derive(Clone, Debug)]
pub struct RunOpened {
    pub run: RunId,
    pub token: String,
    pub expires: Time,
    pub receipt: Receipt,
}

#[derive(Clone, Debug)]
pub struct CallAsk {
    pub run: RunId,
    pub tool: String,
    pub args: Value,
    pub reason: Option<String>,
    pub model: Option<String>,
    pub context_tokens: Option<u64>,
    pub idempotency_key: Option<String>,
}

#[derive(Clone, Debug)]
pub struct Answered {
    pub call: CallId,
    pub verdict: Verdict,
    /// None: one refusal of a flood, counted and not recorded by itself; or the answer of an earlier call.
    pub receipt: Option<Receipt>,
    pub outcome: Option<Outcome>,
    pub result: Option<Value>,
    pub trouble: Option<String>,
    pub permit_token: Option<String>,
    /// The idempotency key was seen before: this is the first call's answer.
    pub again: bool,
    /// What its contract puts in the place of an answer that could not be had.
    pub fallback: Option<Instead>,
    /// It waits for people, or is under way since they said yes: under this name it is asked for again.
    pub ticket: Option<Ticket>,
    /// Who said yes to it.
    pub approved: Vec<String>,
    /// What the person wrote who answered it.
    pub words: Option<String>,
    /// The arguments that an approver put in the place of the agent's.
    pub edited: Option<Value>,
    /// It waits in its run's group, under this name, until that is committed.
    pub held: Option<String>,
}

/// A call that people were asked about, as its agent may know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticket {
    pub call: CallId,
    pub run: RunId,
    pub tool: String,
    /// Who must say yes; none: they did, and it is under way.
    pub groups: Vec<String>,
    pub asked: Time,
    /// No answer until then is a no.
    pub expires: Time,
    /// It was proposed: nobody waits for it, and people see it with all else that its run proposes.
    pub proposed: bool,
    /// A later proposal takes its place.
    pub replaced_by: Option<CallId>,
}

#[derive(Clone, Debug)]
pub enum Instead {
    /// As the contract has it.
    Answer(Value),
    /// What another tool, a call of its own, came to.
    Tool(String, Box<Answered>),
}

/// What an executor says became of a call that it was permitted to carry out.
#[derive(Clone, Debug)]
pub struct Report {
    pub outcome: Outcome,
    pub result: Option<Value>,
    pub duration_ms: u64,
    /// What it took, as far as they know; of the rest, all that was reserved.
    pub used: Used,
}

/// Shown once, kept nowhere.
#[derive(Clone)]
pub struct MintedKey {
    pub key: KeyId,
    pub secret: String,
    pub expires: Time,
}

#[derive(Clone, Debug)]
pub struct KeyInfo {
    pub key: KeyId,
    pub agent: String,
    pub expires: Time,
    /// The person it was given to.
    pub person: Option<String>,
}
