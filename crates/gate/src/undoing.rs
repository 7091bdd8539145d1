//! Taking back and clearing up: what people do to plans that are over, or that nobody but them can end.

use kernel::call::Part;
use kernel::command::{Answer, Command};
use kernel::id::{CallId, Mark, RunId};
use kernel::progress::{PlanState, StepState};
use kernel::reason::{Code, Reason};
use kernel::state::State;
use kernel::template;
use kernel::time::Time;
use kernel::undo::UndoKept;
use ledger::Payload;
use serde_json::Value;

use crate::bounds::{NAME_BYTES_MAX, WHY_BYTES_MAX, within};
use crate::deed::Deed;
use crate::error::Error;
use crate::gate::Gate;
use crate::plans::refused;
use crate::redact::inside;
use crate::runs::{Receipted, receipted};
use crate::shown::PlanShown;

/// What was committed is to be taken back.
#[derive(Clone, Debug)]
pub struct TakeBackAsk {
    pub run: RunId,
    /// One step, with what builds on it; none: all of it.
    pub step: Option<String>,
    /// Only told what would be done.
    pub dry: bool,
    pub by: String,
    pub why: String,
}

#[derive(Clone, Debug)]
pub struct TakenBack {
    /// In the order in which they are taken back.
    pub steps: Vec<WouldUndo>,
    /// How it ended; none, if it was only asked.
    pub shown: Option<PlanShown>,
}

/// How one step would be taken back.
#[derive(Clone, Debug)]
pub struct WouldUndo {
    /// Its id.
    pub step: String,
    pub tool: String,
    pub undo: String,
    /// None: they were erased.
    pub args: Option<Value>,
    pub until: Option<Time>,
    pub guarded: bool,
}

impl Gate {
    /// Takes back what was committed, in reverse order, and waits for the end of it.
    pub async fn take_back(&self, ask: TakeBackAsk) -> Result<Result<TakenBack, Reason>, Error> {
        within("a name", &ask.by, NAME_BYTES_MAX)?;
        within("the why", &ask.why, WHY_BYTES_MAX)?;
        let TakeBackAsk { run, step, dry, by, why } = ask;
        let lane = self.lane_of(run);
        if self.standing(run).is_none() {
            return Ok(Err(Reason::new(Code::PlanUnknown)));
        }
        let command = |dry| {
            let (step, by, why) = (step.clone(), by.clone(), why.clone());
            Command::TakeBack { run, step, dry, by, why }
        };
        let places = match self.ask_lane(lane, command(true), Vec::new()).await?.answer {
            Answer::WouldTakeBack(places) => places,
            answer => return refused(answer),
        };
        // Not what was proposed since, or was rolled back.
        let plan = |state: &State| state.plan_to_take_back(run).cloned();
        let plan = self.0.lanes.get(lane).and_then(|lane| lane.look(|state, _| plan(state))?);
        let Some(plan) = plan else { return Ok(Err(Reason::new(Code::PlanUnknown))) };
        let steps = self.would_undo(run, &plan, &places).await?;
        if dry {
            return Ok(Ok(TakenBack { steps, shown: None }));
        }
        let of_steps = plan.steps.iter().flat_map(|step| &step.touches);
        let mut touches: Vec<Mark> = plan.touches.iter().chain(of_steps).copied().collect();
        touches.sort_unstable();
        touches.dedup();
        if let Err(reason) = self.claimed(run, touches).await? {
            return Ok(Err(reason));
        }
        match self.ask_lane(lane, command(false), Vec::new()).await?.answer {
            Answer::Progress(_) => self.kick(run),
            answer => {
                self.disclaimed(run).await?;
                return refused(answer);
            }
        }
        Ok(self.rested(run).await?.map(|shown| TakenBack { steps, shown: Some(shown) }))
    }

    async fn would_undo(
        &self,
        run: RunId,
        plan: &PlanState,
        places: &[u16],
    ) -> Result<Vec<WouldUndo>, Error> {
        let mut would = Vec::new();
        for step in places.iter().filter_map(|place| plan.step(*place)) {
            let Some(kept) = &step.undo else { continue };
            would.push(WouldUndo {
                step: step.planned.id.clone(),
                tool: step.planned.tool.clone(),
                undo: kept.tool.clone(),
                args: self.undo_args(run, step).await?,
                until: kept.until,
                guarded: step.planned.guarded,
            });
        }
        Ok(would)
    }

    /// A person knows what became of a call of unknown end.
    pub async fn resolve_call(&self, call: CallId, done: bool, by: &str, why: &str) -> Receipted {
        within("a name", by, NAME_BYTES_MAX)?;
        within("the why", why, WHY_BYTES_MAX)?;
        let found = (0..self.lane_count()).find_map(|lane| {
            let known = |state: &State, _: &_| {
                state.calls.get(&call).filter(|open| open.unknown).map(|open| (open.run, open.part.clone()))
            };
            Some((lane, self.0.lanes.get(lane)?.look(known)??))
        });
        let Some((lane, (run, part))) = found else { return Ok(Err(Reason::new(Code::CallUnknown))) };
        let (undo, payload) = match part {
            Some(Part::Step { step, .. }) if done => self.undo_of(run, step).await?.unzip(),
            _ => (None, None),
        };
        let (by, why) = (by.to_owned(), why.to_owned());
        let command = Command::ResolveCall { call, done, undo, by, why };
        let receipted = receipted(self.ask_lane(lane, command, payload.into_iter().collect()).await?)?;
        self.kick(run);
        Ok(receipted)
    }

    /// How a step is taken back whose result nobody has; none, where that cannot be told.
    async fn undo_of(&self, run: RunId, place: u16) -> Result<Option<(UndoKept, Payload)>, Error> {
        let Some(standing) = self.standing(run) else { return Ok(None) };
        let (plan, law) = (&standing.plan, self.law());
        let Some(step) = plan.step(place) else { return Ok(None) };
        if plan.grouped {
            let (written, known) = (self.joined_step(run, step).await?, law.rules.tool(&step.planned.tool));
            let Some((written, known)) = written.zip(known) else { return Ok(None) };
            let before = self.step_before(run, step).await?;
            let (contract, before) = (&known.contract, before.as_ref());
            let deed = Deed { run, contract, args: &written.args, result: None, before };
            return Ok(self.kept_undo(&law, &deed));
        }
        let Some(text) = self.plan_text(run, plan).await? else { return Ok(None) };
        let (Some(written), Some(known)) =
            (text.steps.get(usize::from(place)), law.rules.tool(&step.planned.tool))
        else {
            return Ok(None);
        };
        let mut results = Vec::new();
        for (other, written) in plan.steps.iter().zip(&text.steps) {
            let contract = law.rules.tool(&written.tool);
            let result = match other.state {
                StepState::Done => self.step_result(run, other).await?,
                _ => None,
            };
            let result = result.zip(contract).map(|(result, known)| inside(&known.contract, result));
            results.push((written.id.as_str(), result));
        }
        let told = |id: &str| results.iter().find(|(known, _)| *known == id)?.1.as_ref();
        let Ok(args) = template::resolved(&written.args, &told) else { return Ok(None) };
        let before = self.step_before(run, step).await?;
        let deed =
            Deed { run, contract: &known.contract, args: &args, result: None, before: before.as_ref() };
        Ok(self.kept_undo(&law, &deed))
    }

    /// A person accepts what is left of a plan.
    pub async fn accept(&self, run: RunId, by: &str, why: &str) -> Receipted {
        within("a name", by, NAME_BYTES_MAX)?;
        within("the why", why, WHY_BYTES_MAX)?;
        let command = Command::AcceptResidue { run, by: by.to_owned(), why: why.to_owned() };
        let receipted = receipted(self.ask_lane(self.lane_of(run), command, Vec::new()).await?)?;
        if let Some(standing) = self.standing(run) {
            self.released(run, &standing.plan).await?;
        }
        self.kick(run);
        Ok(receipted)
    }
}
