//! Plans: what a run means to write, the verdict on it, what became of each step, and how it is taken back.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::budget::Spend;
use crate::call::{ReasonView, Receipt};
use crate::inbox::Change;

/// `POST /v1/runs/{run}/phase`
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangePhase {
    pub to: Phase,
}

/// `commit` is entered by committing a plan, and by nothing else.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    Explore,
    Decide,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct PhaseChanged {
    /// `explore`, `decide` or `commit`: where the run is now.
    pub phase: String,
}

/// `POST /v1/runs/{run}/plan`: what the run means to write, all of it, before any of it happens.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProposePlan {
    pub steps: Vec<StepAsk>,
}

/// One write of a plan.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StepAsk {
    /// A name of its own in the plan.
    pub id: String,
    /// Full name, `server.tool`.
    pub tool: String,
    /// A text that is `$steps.ID.result.PATH` stands for what that step will answer.
    #[serde(default)]
    pub args: Map<String, Value>,
    /// Steps that must stand before it. A reference to a step's result is one by itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<String>,
    /// Why, in the agent's own words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What it will change, in the agent's own words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect: Option<String>,
    /// A read, and what must hold of it once the step is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect: Option<ExpectAsk>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExpectAsk {
    /// The full name of a tool that reads.
    pub tool: String,
    /// Texts may hold `{args.NAME}` and `{result.NAME}` of the step.
    #[serde(default)]
    pub args: Map<String, Value>,
    /// Such as `result.status == "paid"`: comparisons with `and` between them.
    pub that: String,
}

/// The answer to a plan. Nothing of it has happened yet.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct PlanVerdict {
    pub run: String,
    /// Each proposal of a run has the next number.
    pub version: u32,
    /// What exactly was judged: the same steps have the same digest.
    pub digest: String,
    /// `allow` or `deny`; of one that is denied, no step can run.
    pub ruling: String,
    /// What is wrong with the plan as a whole.
    pub reasons: Vec<ReasonView>,
    /// In the order in which they will go.
    pub steps: Vec<StepVerdict>,
    /// What all of it costs at most. It is set aside when the plan is committed.
    pub cost: Spend,
    /// What taking all of it back may cost beside.
    pub undo_cost: Spend,
    /// Whose yes is needed.
    pub asks: Vec<String>,
    /// Steps that can not be taken back. They wait until all others stand.
    pub cannot_be_undone: Vec<String>,
    /// What to do next.
    pub next: String,
    pub receipt: Option<Receipt>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct StepVerdict {
    pub id: String,
    pub tool: String,
    /// `reversible` or `irreversible`, as Remit takes it: what names no undo cannot be taken back.
    pub effect: String,
    /// `allow` or `deny`
    pub ruling: String,
    pub reasons: Vec<ReasonView>,
    /// Steps that must stand before it.
    pub after: Vec<String>,
    pub cost: Spend,
    /// How it will be taken back, in words; none: it can not be.
    pub undo: Option<String>,
    /// Whether it is seen, before it is taken back, that somebody else has changed the same thing since.
    pub guarded: bool,
    /// Who else has claimed what it touches; it may be free by the time of the commit.
    pub conflicts: Vec<ReasonView>,
    /// Whether something is known only when it runs, because its arguments hold results of other steps.
    pub decided_when_it_runs: bool,
    /// How things are now, as its contract's preview reads them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// What of it becomes another.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub differs: Vec<Difference>,
    /// What it would write, as far as that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub args: Option<Value>,
    /// Why `before` could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}

/// One place at which things become others. Long values and texts are cut.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Difference {
    /// A JSON Pointer; empty: the whole.
    pub at: String,
    /// Left out: it is not there now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// Left out: it will not be there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
    /// In the place of both, of a text of several lines: each behind its mark, `-` goes, `+` comes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<String>,
}

/// `POST /v1/runs/{run}/begin`
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BeginGroup {}

/// `POST /v1/runs/{run}/commit`
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CommitPlan {
    /// The newest if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
    /// If people are asked: where the agent is told how that ended, as with a call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub callback: Option<String>,
}

/// `POST /v1/runs/{run}/abort`
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AbortPlan {
    /// In the agent's own words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// Where a commit or an abort has led to.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct PlanEnded {
    pub plan: PlanShown,
    /// What to do next.
    pub next: String,
}

/// `GET /v1/runs/{run}/plan`: the plan of a run, and what became of each step.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct PlanShown {
    pub run: String,
    pub agent: String,
    /// The person who answers for the agent.
    pub owner: String,
    pub version: u32,
    pub digest: String,
    /// Of a group of single calls `open` until its commit; else `proposed`, `committing`, `paused`, `unwinding`,
    /// `committed`, `rolled_back` or `quarantined`
    pub stage: String,
    /// The same in words, with what is in the way.
    pub says: String,
    /// Why it unwinds or is paused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Steps that a halt holds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub held: Vec<String>,
    /// Steps that nobody but a person can settle.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stuck: Vec<String>,
    /// A person has accepted what is left of it.
    #[serde(default)]
    pub accepted: bool,
    /// It is a group of single calls.
    #[serde(default)]
    pub grouped: bool,
    pub steps: Vec<StepShown>,
    /// What in the world is not as it was before, and not as it was meant to be.
    pub residue: Vec<ResidueView>,
    /// What each step would change of what is there now, if `look` asks for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Change>,
}

/// `?look=`
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlanQuery {
    /// Of a plan that is only proposed, `changes` are told, too: what is there now is read for that, and those reads
    /// are calls of its run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub look: Option<bool>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct StepShown {
    pub id: String,
    pub tool: String,
    /// What its contract says: `reversible` or `irreversible`.
    pub effect: String,
    pub after: Vec<String>,
    /// `waiting`, `running`, `done`, `failed`, `unknown`, `outbox`, `undoing`, `undone`, `undo_failed` or `skipped`
    pub state: String,
    /// The call that it became.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<String>,
    /// The call that took it back, or tried to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo_call: Option<String>,
    /// The tool that takes it back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<String>,
    /// Until when it can be taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo_until: Option<String>,
    /// Whether it is looked, before it is taken back, if somebody else has changed the same thing since.
    pub guarded: bool,
    /// Calls of it, or of what takes it back, whose end nobody knows: a person may resolve each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unsettled: Vec<String>,
    /// Why it failed, or was left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// What its tool answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
}

/// One thing that was left behind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ResidueView {
    pub step: String,
    pub tool: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<String>,
    /// `stands`: it was done and was not taken back. `unknown`: it may have been.
    pub what: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// `POST /v1/runs/{run}/undo`
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UndoRun {
    /// One step, with those that build on it. Without it: the whole plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// Only say what would be done.
    #[serde(default)]
    pub dry: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// What was taken back, or would be, in order.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct UndoAnswer {
    pub run: String,
    pub dry: bool,
    /// In the order in which they are taken back.
    pub steps: Vec<UndoStep>,
    /// What it came to, in words.
    pub says: String,
    /// None if it was only asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<PlanShown>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct UndoStep {
    pub step: String,
    /// The tool of the step.
    pub tool: String,
    /// The tool that takes it back.
    pub undo: String,
    /// Its arguments, if they were not erased.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub args: Option<Value>,
    /// Until when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    pub guarded: bool,
}

/// `POST /v1/runs/{run}/accept`: a person has seen what was left behind, and it stays.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AcceptResidue {
    pub why: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Resolution {
    /// It happened.
    Done,
    /// It did not.
    NotDone,
}

/// `POST /v1/calls/{call}/resolve`: a person found out what became of a call that nobody knew the end of.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResolveCall {
    #[serde(rename = "as")]
    pub resolution: Resolution,
    pub why: String,
}
