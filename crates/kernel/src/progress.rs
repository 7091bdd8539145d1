//! Progress: a plan on its way, as the fold remembers it.

use serde::{Deserialize, Serialize};
use stdx::digest::Digest;

use crate::account::Amount;
use crate::approval::Granted;
use crate::effect::Effect;
use crate::id::{CallId, Mark, RunId};
use crate::state::State;
use crate::time::Time;
use crate::undo::UndoKept;
use crate::window::AccountId;

/// What a failed step leads to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    #[default]
    Unwind,
    /// What stands stays; the agent may mend the plan or abort it.
    PauseForReplan,
}

/// What a halt of a step that has not run leads to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnHalt {
    #[default]
    Hold,
    Unwind,
}

/// Where a plan is. That a halt holds it is not stored: it is seen from the control state.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// A group of single calls: it grows, what can be taken back is done at once, and the rest waits for its commit.
    Open,
    Proposed,
    Committing,
    /// A step failed and what stands stays, until a new version or an abort.
    Paused,
    Unwinding,
    Committed,
    RolledBack,
    Quarantined,
}

impl Stage {
    pub fn name(self) -> &'static str {
        match self {
            Stage::Open => "open",
            Stage::Proposed => "proposed",
            Stage::Committing => "committing",
            Stage::Paused => "paused",
            Stage::Unwinding => "unwinding",
            Stage::Committed => "committed",
            Stage::RolledBack => "rolled_back",
            Stage::Quarantined => "quarantined",
        }
    }

    /// Whether it holds its run open and its engine running.
    pub fn is_under_way(self) -> bool {
        matches!(self, Stage::Open | Stage::Committing | Stage::Unwinding)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    Committed,
    RolledBack,
    Quarantined,
}

impl End {
    pub fn name(self) -> &'static str {
        match self {
            End::Committed => "committed",
            End::RolledBack => "rolled_back",
            End::Quarantined => "quarantined",
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepState {
    Waiting,
    /// It cannot be taken back, and waits until all others stand.
    Outbox,
    Running,
    Done,
    Failed,
    /// It may or may not have happened.
    Unknown,
    Undoing,
    Undone,
    /// It stands, and nobody tries any more to take it back.
    UndoFailed,
    /// It will not be run.
    Skipped,
}

impl StepState {
    pub fn name(self) -> &'static str {
        match self {
            StepState::Waiting => "waiting",
            StepState::Outbox => "outbox",
            StepState::Running => "running",
            StepState::Done => "done",
            StepState::Failed => "failed",
            StepState::Unknown => "unknown",
            StepState::Undoing => "undoing",
            StepState::Undone => "undone",
            StepState::UndoFailed => "undo_failed",
            StepState::Skipped => "skipped",
        }
    }
}

/// What came of looking after a deed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Expectation {
    Held,
    Failed,
    Unknown,
}

/// What a plan says of one step, as it is stored: no content, so that it fits into the log.
// Fields stand in alphabetical order, so that serde writes the canonical bytes (see `event`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepPlanned {
    /// Steps that must stand before it, by their place in the plan.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<u16>,
    /// Something is looked at after it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub checked: bool,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub delay_ms: u64,
    /// As the plan sees it: a write without an undo is irreversible.
    pub effect: Effect,
    /// The version is read after the deed, and compared before it is taken back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub guarded: bool,
    /// Of a group: it waits for the commit, though it can be taken back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub held: bool,
    pub id: String,
    /// Its contract can tell whether it happened.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub probed: bool,
    /// It may be sent again under its key.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub repeats: bool,
    /// Tries after the first to take it back.
    #[serde(default, skip_serializing_if = "is_none")]
    pub retries: u32,
    /// Equality of its tool and its arguments as they were planned, inside the run.
    pub template: Mark,
    pub tool: String,
    /// The tool that takes it back may be called again under its key.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub undo_repeats: bool,
}

fn is_zero(value: &u64) -> bool {
    *value == 0
}

fn is_none(value: &u32) -> bool {
    *value == 0
}

/// A step on its way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    pub planned: StepPlanned,
    pub state: StepState,
    /// Its first call, whose id is the idempotency key upstream for it and for its undo.
    pub call: Option<CallId>,
    /// Its last call, if it was repeated.
    pub last: Option<CallId>,
    /// Calls that were asked for it.
    pub tries: u32,
    /// Those of its calls whose end nobody knows.
    pub unsettled: Vec<CallId>,
    /// It may come again then: a limit, or a look without an answer, passes with time.
    pub again: Option<Time>,
    pub ended: Option<Time>,
    /// Sequence of its last call's end, and its result: a payload there.
    pub ended_seq: u64,
    pub result: Option<Digest>,
    pub undo: Option<UndoKept>,
    /// Sequence of the event that brought the undo: its arguments are a payload there.
    pub undo_seq: u64,
    /// The call that read what was there before its first try, the sequence of its end, and its result there.
    pub before: Option<CallId>,
    pub before_seq: u64,
    pub before_result: Option<Digest>,
    pub version: Option<Mark>,
    pub expectation: Option<Expectation>,
    /// How often it was looked at without an answer.
    pub checks: u32,
    /// How often its probe gave no answer.
    pub probes: u32,
    /// The last call that tries to take it back, and how many there were.
    pub undo_call: Option<CallId>,
    pub undo_tries: u32,
    /// When the last of them ended.
    pub undo_ended: Option<Time>,
    /// Those of them whose end nobody knows.
    pub undo_unsettled: Vec<CallId>,
    /// What it touches: equality in the house.
    pub touches: Vec<Mark>,
    /// Why it failed, as a code.
    pub why: Option<String>,
    /// Of a group: how it came to be a step of it.
    pub joined: Option<Joined>,
}

/// A call that became a step of its run's group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Joined {
    pub call: CallId,
    /// Sequence of the event: what these commit to are payloads there.
    pub seq: u64,
    pub args: Digest,
    pub reasoning: Option<Digest>,
    /// The idempotency key that it came with.
    pub key: Option<Mark>,
}

/// A plan on its way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanState {
    pub agent: String,
    /// Sequence of its proposal: its bytes are a payload there.
    pub seq: u64,
    pub version: u32,
    /// Commitment to the plan's canonical bytes, a payload.
    pub digest: Digest,
    /// Equality of the plan inside the run.
    pub mark: Mark,
    pub proposed: Time,
    /// Whether it may be committed as it is, once those said yes who are asked.
    pub allowed: bool,
    /// The groups whose yes it needs, as one thing.
    pub asks: Vec<String>,
    /// Under this name people were asked about it.
    pub ticket: Option<CallId>,
    /// The yes that it was begun with: its steps have it too.
    pub granted: Option<Granted>,
    pub stage: Stage,
    pub steps: Vec<Step>,
    /// What its steps may cost, and what taking them all back may cost beside.
    pub cost: Amount,
    pub undo_cost: Amount,
    /// What is held for it and not taken yet.
    pub hold: Amount,
    /// The accounts wider than a run that it is held in.
    pub accounts: Vec<AccountId>,
    /// What it claims: equality in the house.
    pub touches: Vec<Mark>,
    pub on_failure: OnFailure,
    pub on_halt: OnHalt,
    /// Calls of it under way at once.
    pub parallel: u64,
    /// When the last step ended that can be taken back: the outbox waits from then on.
    pub stood: Option<Time>,
    pub ended: Option<Time>,
    /// Why it unwinds or is paused.
    pub why: Option<String>,
    /// It was committed and is being taken back: only these steps.
    pub taking: Option<Vec<u16>>,
    /// Somebody has accepted what is left of it.
    pub accepted: bool,
    /// It is a group of single calls.
    pub grouped: bool,
    /// A group that went back though its agent did not say so: what was meant for it must not happen alone.
    pub lost: bool,
}

/// A step whose effect stands, or may stand, though it was not to.
// Fields stand in alphabetical order, so that serde writes the canonical bytes (see `event`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Residue {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<CallId>,
    pub id: String,
    /// `stands` or `unknown`.
    pub is: Standing,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    Stands,
    Unknown,
}

impl PlanState {
    pub fn step(&self, step: u16) -> Option<&Step> {
        self.steps.get(usize::from(step))
    }

    /// Something was left of it, and nobody has accepted that.
    pub fn is_left(&self) -> bool {
        self.stage == Stage::Quarantined && !self.accepted
    }

    /// A group that takes what its run writes.
    pub fn is_open(&self) -> bool {
        self.stage == Stage::Open
    }
}

impl State {
    /// The plan of a run that counts now, be the run open, or closed and not forgotten yet: see `foremost`.
    pub fn plan(&self, run: RunId) -> Option<&PlanState> {
        foremost(self.plans_of(run))
    }

    /// The plan that a take-back of the run takes back: only the last that left something, because what came before it
    /// is taken back after it.
    pub fn plan_to_take_back(&self, run: RunId) -> Option<&PlanState> {
        let stands = |plan: &&PlanState| {
            let is_done = |step: &Step| step.state == StepState::Done;
            plan.stage == Stage::Committed && plan.steps.iter().any(is_done)
        };
        self.plans_of(run).iter().rev().find(stands)
    }

    /// That of each run that has one.
    pub fn plans(&self) -> impl Iterator<Item = (RunId, &PlanState)> {
        let open = self.runs.iter().filter_map(|(run, open)| Some((*run, foremost(&open.plans)?)));
        open.chain(self.past.iter().filter_map(|(run, past)| Some((*run, foremost(&past.plans)?))))
    }

    /// Runs whose plan is being carried out or taken back.
    pub fn plans_under_way(&self) -> impl Iterator<Item = RunId> {
        self.plans().filter(|(_, plan)| plan.stage.is_under_way()).map(|(run, _)| run)
    }
}

/// What is under way, before what somebody must look at, before what was proposed last.
fn foremost(plans: &[PlanState]) -> Option<&PlanState> {
    let under_way = plans.iter().rev().find(|plan| plan.stage.is_under_way());
    let left = || plans.iter().rev().find(|plan| plan.is_left());
    under_way.or_else(left).or_else(|| plans.last())
}
