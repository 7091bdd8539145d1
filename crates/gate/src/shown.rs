//! Plans as people and agents see them: how far each step is, how it is taken back, and what is left of it.

use kernel::effect::Effect;
use kernel::id::{CallId, RunId};
use kernel::progress::{End, PlanState, Stage, Standing as Stands, Step, StepState};
use kernel::saga::{self, Move};
use kernel::time::Time;
use serde_json::Value;
use stdx::digest::Digest;

use crate::error::Error;
use crate::gate::Gate;
use crate::saga::Standing;

#[derive(Clone, Debug)]
pub struct PlanShown {
    pub run: RunId,
    pub agent: String,
    /// Who must look at what nobody else can.
    pub owner: String,
    pub version: u32,
    pub digest: Digest,
    pub stage: Stage,
    /// Why it unwinds or is paused.
    pub why: Option<String>,
    /// Steps that a halt holds, by their id.
    pub held: Vec<String>,
    /// Steps that wait for a person.
    pub stuck: Vec<String>,
    /// Somebody has accepted what is left of it.
    pub accepted: bool,
    /// It is a group of single calls.
    pub grouped: bool,
    pub steps: Vec<StepShown>,
    pub residue: Vec<ResidueShown>,
}

#[derive(Clone, Debug)]
pub struct StepShown {
    pub id: String,
    pub tool: String,
    pub effect: Effect,
    pub state: StepState,
    /// The steps it waits for, by their id.
    pub after: Vec<String>,
    /// Its first call, and the last that tried to take it back.
    pub call: Option<CallId>,
    pub undo_call: Option<CallId>,
    /// Calls of it, and of what takes it back, whose end nobody knows.
    pub unsettled: Vec<CallId>,
    /// The tool that takes it back.
    pub undo: Option<String>,
    /// After this nobody takes it back.
    pub until: Option<Time>,
    pub guarded: bool,
    /// Why it failed, or could not be taken back.
    pub trouble: Option<String>,
    pub result: Option<Value>,
}

/// A step whose effect stands, or may stand, though it was not to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResidueShown {
    pub step: String,
    pub tool: String,
    pub call: Option<CallId>,
    pub is: Stands,
    pub why: Option<String>,
}

/// How far a plan is on its way, for whoever waits.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Progress {
    /// Steps that came to an end, and those that were taken back once more. It never goes back.
    pub ended: usize,
    /// Unless it goes back, which has no end that is known.
    pub of: Option<usize>,
    pub says: String,
}

impl Gate {
    /// How far the plan of a run is; none: it has none, or it is not under way.
    pub fn plan_progress(&self, run: RunId) -> Option<Progress> {
        let plan = self.standing(run)?.plan;
        let count = |is: fn(StepState) -> bool| plan.steps.iter().filter(|step| is(step.state)).count();
        let done = count(|state| matches!(state, StepState::Done | StepState::Undoing));
        let back = count(|state| matches!(state, StepState::Undone | StepState::UndoFailed));
        let over = count(|state| matches!(state, StepState::Failed | StepState::Skipped));
        let all = plan.steps.len();
        let (of, says) = match plan.stage {
            Stage::Unwinding => (None, format!("it is being taken back: {back} of {} steps", back + done)),
            stage if stage.is_under_way() => (Some(all), format!("{done} of {all} steps stand")),
            _ => return None,
        };
        Some(Progress { ended: done + over + 2 * back, of, says })
    }

    /// The phase that a run is in, by its name; `off` where its agent has none.
    pub fn phase_of(&self, run: RunId) -> Option<&'static str> {
        self.0.lanes.get(self.lane_of(run))?.look(|state, law| {
            let run = state.runs.get(&run)?;
            let phases = law.rules.agent(&run.agent).is_some_and(|manifest| manifest.phases);
            Some(if phases { run.phase.name() } else { "off" })
        })?
    }

    /// The newest plan of a run; of a closed run as long as somebody may still take it back or must look at it.
    pub async fn plan_of(&self, run: RunId) -> Result<Option<PlanShown>, Error> {
        match self.standing(run) {
            Some(standing) => self.shown(run, &standing).await.map(Some),
            None => Ok(None),
        }
    }

    /// Runs that wait for a person: what is stuck, held, or quarantined and not accepted. Newest first.
    pub async fn stuck(&self) -> Result<Vec<PlanShown>, Error> {
        let mut runs: Vec<RunId> = Vec::new();
        for lane in self.0.lanes.iter() {
            let owed = lane.look(|state, _| {
                let waits = |plan: &PlanState| {
                    let is_left = plan.stage == Stage::Quarantined && !plan.accepted;
                    is_left || plan.stage.is_under_way()
                };
                let owed = state.plans().filter(|(_, plan)| waits(plan));
                owed.map(|(run, _)| run).collect::<Vec<RunId>>()
            });
            runs.extend(owed.into_iter().flatten());
        }
        runs.sort_unstable_by(|one, other| other.cmp(one));
        let mut stuck = Vec::new();
        for run in runs {
            if let Some(standing) = self.standing(run).filter(Standing::is_at_rest) {
                stuck.push(self.shown(run, &standing).await?);
            }
        }
        Ok(stuck)
    }

    pub(crate) async fn shown(&self, run: RunId, standing: &Standing) -> Result<PlanShown, Error> {
        let Standing { plan, moves } = standing;
        let rules = self.rules();
        let owner = rules.agent(&plan.agent).map(|manifest| manifest.owner.clone()).unwrap_or_default();
        let id = |place: &u16| plan.step(*place).map(|step| step.planned.id.clone());
        let mut steps = Vec::new();
        for step in &plan.steps {
            let result = match step.state {
                StepState::Done => self.step_result(run, step).await?,
                _ => None,
            };
            steps.push(step_shown(step, step.planned.after.iter().filter_map(id).collect(), result));
        }
        let mut why = plan.why.clone();
        // Whoever said no to it may have said why.
        if let (false, Some(ticket), Some(said)) = (plan.allowed, plan.ticket, &mut why)
            && let Some(words) = self.words_to(ticket).await?
        {
            said.push_str(&format!(" and writes: “{words}”"));
        }
        let mut shown = PlanShown {
            run,
            agent: plan.agent.clone(),
            owner,
            version: plan.version,
            digest: plan.digest,
            stage: plan.stage,
            why,
            held: Vec::new(),
            stuck: Vec::new(),
            accepted: plan.accepted,
            grouped: plan.grouped,
            steps,
            residue: Vec::new(),
        };
        for wanted in moves.iter().filter(|_| plan.stage.is_under_way()) {
            match wanted {
                Move::Held(places) => shown.held.extend(places.iter().filter_map(id)),
                Move::Stuck(place) => shown.stuck.extend(id(place)),
                _ => {}
            }
        }
        if plan.stage == Stage::Quarantined {
            let left = saga::residue(plan, End::Quarantined).into_iter().map(|left| {
                let tool = plan.steps.iter().find(|step| step.planned.id == left.id);
                let tool = tool.map(|step| step.planned.tool.clone()).unwrap_or_default();
                ResidueShown { step: left.id, tool, call: left.call, is: left.is, why: left.why }
            });
            shown.residue = left.collect();
        }
        Ok(shown)
    }
}

fn step_shown(step: &Step, after: Vec<String>, result: Option<Value>) -> StepShown {
    let Step { planned, state, call, undo_call, undo, why, unsettled, undo_unsettled, .. } = step;
    StepShown {
        id: planned.id.clone(),
        tool: planned.tool.clone(),
        effect: planned.effect,
        state: *state,
        after,
        call: *call,
        undo_call: *undo_call,
        unsettled: unsettled.iter().chain(undo_unsettled).copied().collect(),
        undo: undo.as_ref().map(|kept| kept.tool.clone()),
        until: undo.as_ref().and_then(|kept| kept.until),
        guarded: planned.guarded,
        trouble: why.clone(),
        result,
    }
}
