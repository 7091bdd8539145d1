//! Groups: what a run writes between `begin` and `commit` goes back as one. The kernel makes each call a step; the
//! engine of the group carries it out, and here its agent waits for what came of it.

use std::time::Duration;

use kernel::call::Outcome;
use kernel::command::{Answer, Command};
use kernel::id::RunId;
use kernel::progress::{PlanState, Step, StepState};
use kernel::reason::{Code, Reason};
use kernel::state::State;
use kernel::verdict::Verdict;
use ledger::Receipt;

use crate::caller::{Answered, Caller};
use crate::draft::Draft;
use crate::error::Error;
use crate::gate::Gate;
use crate::plans::{LEND_ROUNDS_MAX, refused};
use crate::shown::PlanShown;

/// Nobody looks less often whether a step has ended.
const LOOK: Duration = Duration::from_millis(500);

/// A step that its agent waits for.
struct Awaited {
    run: RunId,
    version: u32,
    step: u16,
}

impl Gate {
    /// From here on what the run writes is one group: committed as one, or taken back as one.
    pub async fn begin_group(&self, caller: &Caller, run: RunId) -> Result<Result<PlanShown, Reason>, Error> {
        let command = Command::Begin { run, agent: caller.agent.clone() };
        match self.soon(run, command, Vec::new()).await?.answer {
            Answer::Progress(_) => {}
            answer => return refused(answer),
        }
        match self.standing(run) {
            Some(standing) => Ok(Ok(self.shown(run, &standing).await?)),
            None => Ok(Err(Reason::new(Code::PlanUnknown))),
        }
    }

    /// A run is to be closed: what its groups, and those of runs below it, did goes back first.
    pub(crate) async fn groups_given_up(
        &self,
        run: RunId,
        agent: Option<&str>,
        by: &str,
    ) -> Result<(), Error> {
        let open = |state: &State| -> Vec<RunId> {
            let own = agent.is_none_or(|agent| state.own_run(run, agent).is_some());
            let below = state.descent(run).into_iter().filter(|_| own);
            below.filter(|one| state.plan(*one).is_some_and(PlanState::is_open)).collect()
        };
        let open = self.0.lanes.get(self.lane_of(run)).and_then(|lane| lane.look(|state, _| open(state)));
        for run in open.unwrap_or_default() {
            // What is not over then is said when the run is closed.
            let _ = self.abort(run, None, by, "its run was closed").await?;
        }
        Ok(())
    }

    /// A call becomes a step of its run's group. What can be taken back is answered when it is done, the rest at once.
    pub(crate) async fn joined(&self, mut draft: Draft) -> Result<Answered, Error> {
        let run = draft.call.run;
        let mut is_last = false;
        for _ in 0..LEND_ROUNDS_MAX {
            draft.renew(draft.call.ask_marks.clone());
            let call = draft.call.clone();
            let command = if is_last { Command::JoinLast(call) } else { Command::Join(call) };
            let written = self.soon(run, command, std::mem::take(&mut draft.payloads)).await?;
            let receipt = written.receipts.first().copied();
            match written.answer {
                Answer::Short(needs) => is_last = !self.lend(self.lane_of(run), &needs).await?,
                Answer::Joined { verdict, step, version } => {
                    return self.step_ended(Awaited { run, version, step }, verdict, receipt).await;
                }
                Answer::Verdict(verdict) => {
                    let answered = Answered::new(&draft.call, verdict, receipt);
                    self.refused_call(&draft.call, &answered);
                    return Ok(answered);
                }
                answer => return self.answered_before(answer, &written.receipts).await,
            }
        }
        Err(Error::Overloaded)
    }

    async fn step_ended(
        &self,
        awaited: Awaited,
        verdict: Verdict,
        receipt: Option<Receipt>,
    ) -> Result<Answered, Error> {
        self.kick(awaited.run);
        let plan = loop {
            let mut turns = self.turns(awaited.run);
            turns.iter_mut().for_each(|turns| drop(turns.borrow_and_update()));
            let Some(standing) = self.standing(awaited.run) else { return Err(Error::Stopping) };
            let rests = standing.is_at_rest();
            if has_ended(&standing.plan, &awaited, rests) {
                break self.stood(&awaited).await?;
            }
            if *self.0.stop.borrow() {
                return Err(Error::Stopping);
            }
            match turns {
                Some(mut turns) => drop(tokio::time::timeout(LOOK, turns.changed()).await),
                None => {
                    tokio::time::sleep(LOOK).await;
                    self.kick(awaited.run);
                }
            }
        };
        let Some(step) = plan.step(awaited.step) else { return Err(Error::Stopping) };
        let Some(joined) = &step.joined else { return Err(Error::Stopping) };
        let call = step.call.unwrap_or(joined.call);
        let held = is_staged(&plan, step).then(|| step.planned.id.clone());
        let outcome = outcome(step).filter(|_| held.is_none());
        let result = self.step_result(awaited.run, step).await?;
        let taken_back = matches!(step.state, StepState::Undone | StepState::UndoFailed | StepState::Skipped);
        let trouble = match (&step.why, &plan.why) {
            (Some(why), _) => Some(why.clone()),
            (None, Some(why)) if taken_back => Some(format!("the group was taken back: {why}")),
            _ => step.expectation.filter(|seen| *seen != kernel::progress::Expectation::Held).map(|seen| {
                format!(
                    "its expectation {}",
                    if seen == kernel::progress::Expectation::Failed { "failed" } else { "is unknown" }
                )
            }),
        };
        Ok(Answered { outcome, result, trouble, held, ..Answered::of(call, verdict, receipt) })
    }

    /// The plan as it is in the ledger.
    async fn stood(&self, awaited: &Awaited) -> Result<PlanState, Error> {
        let command = Command::Stand { run: awaited.run, version: awaited.version };
        match self.ask_lane(self.lane_of(awaited.run), command, Vec::new()).await?.answer {
            Answer::Progress(plan) => Ok(*plan),
            _ => Err(Error::Stopping),
        }
    }
}

/// Nothing more becomes of it by itself before the commit. After a failure that takes the group back, its agent hears
/// of that when it is over.
fn has_ended(plan: &PlanState, awaited: &Awaited, rests: bool) -> bool {
    if plan.version != awaited.version {
        return true;
    }
    let Some(step) = plan.step(awaited.step) else { return true };
    if plan.stage != kernel::progress::Stage::Open {
        return rests;
    }
    match step.state {
        StepState::Waiting => step.planned.held,
        StepState::Running => false,
        StepState::Unknown => rests,
        StepState::Done => {
            let is_checked = !step.planned.checked || step.expectation.is_some();
            is_checked && !plan.unwinds(step)
        }
        StepState::Failed => !plan.unwinds(step),
        _ => true,
    }
}

fn is_staged(plan: &PlanState, step: &Step) -> bool {
    plan.is_open() && matches!(step.state, StepState::Outbox | StepState::Waiting)
}

fn outcome(step: &Step) -> Option<Outcome> {
    match step.state {
        StepState::Done | StepState::Undoing | StepState::Undone | StepState::UndoFailed => {
            Some(if step.why.is_some() && step.call.is_none() {
                Outcome::NotDispatched
            } else {
                Outcome::Succeeded
            })
        }
        StepState::Failed if step.call.is_none() => Some(Outcome::NotDispatched),
        StepState::Failed => Some(Outcome::Failed),
        StepState::Unknown | StepState::Running => Some(Outcome::Unknown),
        StepState::Waiting | StepState::Outbox | StepState::Skipped => Some(Outcome::NotDispatched),
    }
}
