//! A plan: what a run means to write, as the agent wrote it, and what is said to it.

mod read;

use serde_json::Value;
use stdx::digest::Digest;

pub(crate) use self::read::small;
pub use self::read::{ordered, parse};
use crate::account::Amount;
use crate::deed::Expect;
use crate::effect::Effect;
use crate::id::Mark;
use crate::reason::Reason;
use crate::verdict::Ruling;

pub const STEPS_MAX: usize = 50;
pub const STEP_ID_BYTES_MAX: usize = 32;

/// As the agent wrote it, strictly read.
#[derive(Clone, Debug, PartialEq)]
pub struct WrittenPlan {
    pub steps: Vec<WrittenStep>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct WrittenStep {
    pub id: String,
    pub tool: String,
    /// May name results of earlier steps: `$steps.ID.result.PATH`.
    pub args: Value,
    /// Steps before it, by their place: those it names, and those whose results it uses.
    pub after: Vec<u16>,
    pub reason: Option<String>,
    /// What the agent expects it to do, in its words.
    pub effect: Option<String>,
    pub expect: Option<Expect>,
}

/// A plan on its way to be decided, with what the gate knows of its bytes.
#[derive(Clone, Debug)]
pub struct DraftedPlan {
    pub plan: WrittenPlan,
    /// Commitment to the plan's canonical bytes.
    pub digest: Digest,
    /// Equality of the plan inside the run.
    pub mark: Mark,
    /// One for each step, in order.
    pub drafts: Vec<StepDraft>,
}

#[derive(Clone, Debug)]
pub struct StepDraft {
    /// Equality inside the run of tool and arguments as planned (references and all).
    pub template: Mark,
    /// What it touches, as far as its arguments tell already: equality in the house.
    pub touches: Vec<Mark>,
    /// The facts that `before` rules want of it (see `before::wants`): none where a reference stands in the way.
    pub facts: Vec<Option<Mark>>,
    pub destinations: Vec<Mark>,
    pub hosts: Vec<Mark>,
}

/// What is said to a plan.
#[derive(Clone, Debug, PartialEq)]
pub struct PlanVerdict {
    pub version: u32,
    pub digest: Digest,
    pub mark: Mark,
    pub ruling: Ruling,
    /// What is wrong with the plan as a whole.
    pub reasons: Vec<Reason>,
    /// In the plan's own order.
    pub steps: Vec<StepVerdict>,
    /// The order in which they run, by their place; steps that do not wait for each other run at once.
    pub order: Vec<u16>,
    pub cost: Amount,
    /// What taking it all back may cost beside.
    pub undo_cost: Amount,
    /// The groups whose yes would be needed.
    pub asks: Vec<String>,
    /// Steps that cannot be taken back, by their id.
    pub cannot_be_undone: Vec<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct StepVerdict {
    pub id: String,
    pub tool: String,
    pub effect: Effect,
    pub ruling: Ruling,
    pub reasons: Vec<Reason>,
    /// It uses results that are not there yet, so some of it is decided when it runs.
    pub later: bool,
    pub cost: Amount,
    /// How it would be taken back: the tool, or why it cannot be.
    pub undo: Option<String>,
    /// Its undo compares versions first.
    pub guarded: bool,
    pub touches: Vec<Mark>,
    /// All that it waits for, by their place.
    pub after: Vec<u16>,
    /// Who else has claimed what it touches; it may be free by the time of the commit.
    pub conflicts: Vec<Reason>,
}

#[cfg(test)]
mod tests;
