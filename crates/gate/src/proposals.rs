//! Proposals: what a run means to write is told to its agent as proposed, shown to people as one change, and carried
//! out as one plan when they said yes.

use std::sync::Arc;

use kernel::approval::Pending;
use kernel::call::Outcome;
use kernel::command::{Answer, Command};
use kernel::id::{CallId, RunId};
use kernel::plan::{self, DraftedPlan, WrittenStep};
use kernel::progress::{PlanState, Stage, StepState};
use kernel::proposal::{Proposal, net};
use kernel::reason::Code;
use kernel::run::Run;
use kernel::state::State;
use kernel::verdict::{Ruling, Verdict};
use ledger::Payload;
use serde_json::json;
use stdx::json::canonical;

use crate::caller::{Answered, Caller, Ticket};
use crate::desk::Law;
use crate::error::Error;
use crate::gate::Gate;
use crate::seal;

/// One proposal of a run, and what became of it.
pub(crate) struct Proposed {
    pub(crate) proposal: Proposal,
    run: RunId,
    pub(crate) agent: String,
    /// As long as it waits for people.
    pending: Option<Pending>,
    /// A later one takes its place.
    replaced_by: Option<CallId>,
    /// The plan that it is a step of since people said yes.
    plan: Option<PlanState>,
}

impl Gate {
    /// What is known of this call as a proposal of a run that is open.
    pub(crate) fn proposal(&self, call: CallId) -> Option<Proposed> {
        let of_run = |state: &State, (id, run): (&RunId, &Run)| {
            let proposal = run.proposal(call)?;
            let replaced = net(run.proposed(proposal.ticket)).replaced;
            let version = proposal.step.map(|(version, _)| version);
            Some(Proposed {
                proposal: proposal.clone(),
                run: *id,
                agent: run.agent.clone(),
                pending: state.pending.get(&proposal.ticket).cloned(),
                replaced_by: replaced.iter().find(|(one, _)| one.call == call).map(|(_, later)| *later),
                plan: run.plans.iter().find(|plan| Some(plan.version) == version).cloned(),
            })
        };
        let find = |state: &State| {
            let mut runs = state.runs.iter().filter(|(_, run)| !run.proposals.is_empty());
            runs.find_map(|run| of_run(state, run))
        };
        self.0.lanes.iter().find_map(|lane| lane.look(|state, _| find(state))?)
    }

    /// The name under which people find it: of a proposal, that of all that its run proposed with it.
    pub(crate) fn ticket_of(&self, call: CallId) -> CallId {
        match self.find_pending(call) {
            Some(_) => call,
            None => self.proposal(call).map_or(call, |known| known.proposal.ticket),
        }
    }

    /// What this agent proposed and was not answered yet, or is being done.
    pub(crate) fn proposed_by(&self, caller: &Caller, run: Option<RunId>) -> Vec<Ticket> {
        let of = |state: &State| {
            let own = state.runs.iter().filter(|(id, open)| {
                open.agent == caller.agent && run.is_none_or(|run| run == **id) && !open.proposals.is_empty()
            });
            own.flat_map(|(_, run)| run.proposals.iter().map(|one| one.call)).collect::<Vec<CallId>>()
        };
        let calls = self.0.lanes.iter().filter_map(|lane| lane.look(|state, _| of(state))).flatten();
        let calls: Vec<CallId> = calls.collect();
        let known = calls.into_iter().filter_map(|call| self.proposal(call));
        known.filter(|known| !known.is_over()).map(|known| known.ticket()).collect()
    }

    /// What became of a proposal that people said yes to; none: it is no such call.
    pub(crate) async fn told_of_proposal(&self, call: CallId) -> Result<Option<Answered>, Error> {
        let Some(known) = self.proposal(call) else { return Ok(None) };
        let (Some((_, place)), Some(plan)) = (known.proposal.step, &known.plan) else {
            return Ok(Some(known.answered()));
        };
        let mut answered = Answered::of(call, Verdict::allow(), None);
        answered.approved = plan.granted.as_ref().map(|granted| granted.by.clone()).unwrap_or_default();
        answered.words = self.words_to(known.proposal.ticket).await?;
        let Some(step) = plan.step(place) else { return Ok(Some(answered)) };
        answered.trouble = step.why.clone();
        answered.outcome = Some(match step.state {
            StepState::Done => Outcome::Succeeded,
            StepState::Unknown | StepState::Running | StepState::Undoing => Outcome::Unknown,
            StepState::Failed | StepState::UndoFailed => Outcome::Failed,
            StepState::Undone => Outcome::Failed,
            StepState::Waiting | StepState::Outbox | StepState::Skipped => Outcome::NotDispatched,
        });
        if answered.outcome != Some(Outcome::Succeeded) && answered.trouble.is_none() {
            answered.trouble = Some(plan.stage.name().to_owned());
        }
        answered.result = self.step_result(known.run, step).await?;
        Ok(Some(answered))
    }

    /// The plan that people were asked about under this name and said yes to, and whose run it is.
    pub(crate) fn plan_of_ticket(&self, ticket: CallId) -> Option<(RunId, PlanState)> {
        let is_it = |plan: &&PlanState| plan.ticket == Some(ticket) && plan.granted.is_some();
        let find = |state: &State| {
            let found = state.plans().find(|(_, plan)| is_it(plan));
            found.map(|(run, plan)| (run, plan.clone()))
        };
        self.0.lanes.iter().find_map(|lane| lane.look(|state, _| find(state))?)
    }

    /// What became of a plan that people were asked about; none: it is no such name.
    pub(crate) async fn told_of_plan(&self, ticket: CallId) -> Result<Option<Answered>, Error> {
        let Some((_, plan)) = self.plan_of_ticket(ticket) else { return Ok(None) };
        let mut answered = Answered::of(ticket, Verdict::allow(), None);
        answered.approved = plan.granted.as_ref().map(|granted| granted.by.clone()).unwrap_or_default();
        answered.words = self.words_to(ticket).await?;
        answered.outcome = Some(match plan.stage {
            Stage::Committed => Outcome::Succeeded,
            Stage::Proposed | Stage::Paused | Stage::RolledBack => Outcome::Failed,
            Stage::Open | Stage::Committing | Stage::Unwinding | Stage::Quarantined => Outcome::Unknown,
        });
        answered.trouble = (plan.stage != Stage::Committed).then(|| plan.stage.name().to_owned());
        Ok(Some(answered))
    }

    /// What has its yeses becomes a plan from the stored bytes, and begins.
    pub(crate) async fn gathered(&self, ticket: CallId, pending: &Pending) -> Result<(), Error> {
        let law = self.law();
        let chosen = self.chosen(ticket, pending, &law);
        let mut steps = Vec::new();
        for (place, one) in chosen.iter().enumerate() {
            let gone = || Error::NotFound { what: format!("the arguments of `{}`", one.call) };
            let args = self.recalled(pending.run, one.seq, one.args).await?.ok_or_else(gone)?;
            let after = after(&chosen, place);
            steps.push(json!({ "id": step_id(place), "tool": one.tool, "args": args, "after": after }));
        }
        let written = json!({ "steps": steps });
        let bytes = canonical(&written);
        let plan = plan::parse(&written).map_err(|reason| Error::NotFound { what: reason.says() })?;
        let draft = |step: &WrittenStep| {
            let template = self.args_mark(pending.run, &step.tool, &canonical(&step.args));
            plan::StepDraft { template, ..self.step_draft(&law, &pending.agent, pending.run, step) }
        };
        let drafts = plan.steps.iter().map(draft).collect();
        let payload = Payload::new("plan", seal::random(), bytes.clone(), false);
        let mark = self.0.seal.mark(pending.run, "plan", &bytes);
        let plan = Arc::new(DraftedPlan { plan, digest: payload.commitment, mark, drafts });
        let command = Command::Gather { ticket, plan };
        let written = self.ask_lane(self.lane_of(pending.run), command, vec![payload]).await?;
        ledger::failpoint::hit("gate.after_gather");
        if let Answer::Plan(verdict) = written.answer {
            self.begun_with_assent(pending, verdict.version).await?;
        }
        self.0.waits.tell_all();
        Ok(())
    }

    /// What everybody picked who said yes, in order.
    fn chosen(&self, ticket: CallId, pending: &Pending, law: &Law) -> Vec<Proposal> {
        let bound = pending.bound(ticket, &law.rules);
        let find = |state: &State| {
            let run = state.runs.get(&pending.run)?;
            let kept = net(run.proposed(ticket)).kept;
            let calls: Vec<CallId> = kept.iter().map(|one| one.call).collect();
            let picked = pending.picked(bound, &calls);
            Some(kept.into_iter().filter(|one| picked.contains(&one.call)).cloned().collect())
        };
        let lane = self.0.lanes.get(self.lane_of(pending.run));
        lane.and_then(|lane| lane.look(|state, _| find(state))?).unwrap_or_default()
    }

    /// The first decision of a proposal, as its agent is told.
    pub(crate) fn proposal_ticket(&self, call: CallId) -> Option<Ticket> {
        self.proposal(call).map(|known| known.ticket())
    }
}

fn step_id(place: usize) -> String {
    format!("p{}", place + 1)
}

/// In the order in which they were proposed: what can be taken back one after the other, then the rest; and whatever
/// touches the same never the other way round.
fn after(chosen: &[Proposal], place: usize) -> Vec<String> {
    let Some(one) = chosen.get(place) else { return Vec::new() };
    let before = || chosen.iter().enumerate().take(place);
    let last_like_it = before().rev().find(|(_, other)| other.effect == one.effect).map(|(place, _)| place);
    let meets = |other: &Proposal| other.touches.iter().any(|mark| one.touches.contains(mark));
    let same = before().filter(|(_, other)| meets(other)).map(|(place, _)| place);
    let mut places: Vec<usize> = same.chain(last_like_it).collect();
    places.sort_unstable();
    places.dedup();
    places.into_iter().map(step_id).collect()
}

impl Proposed {
    /// Nothing more becomes of it by itself.
    pub(crate) fn is_over(&self) -> bool {
        match (&self.proposal.step, &self.plan) {
            (None, _) => self.pending.is_none(),
            (Some(_), Some(plan)) => plan.ended.is_some(),
            (Some(_), None) => true,
        }
    }

    pub(crate) fn ticket(&self) -> Ticket {
        let waits = self.pending.as_ref().filter(|_| self.proposal.step.is_none());
        Ticket {
            call: self.proposal.call,
            run: self.run,
            tool: self.proposal.tool.clone(),
            groups: waits.map(|pending| pending.reason.ask.clone()).unwrap_or_default(),
            asked: self.proposal.at,
            expires: waits.map_or(self.proposal.at, |pending| pending.expires),
            proposed: true,
            replaced_by: self.replaced_by,
        }
    }

    /// As its agent is told while it has no end.
    pub(crate) fn answered(&self) -> Answered {
        let verdict = match self.proposal.step {
            None => Verdict { ruling: Ruling::Ask, ..Verdict::deny(self.proposal.reason.clone()) },
            Some(_) => Verdict::allow(),
        };
        let ticket = Some(self.ticket());
        Answered { again: true, ticket, ..Answered::of(self.proposal.call, verdict, None) }
    }
}

/// Whether a call was only proposed.
pub(crate) fn is_proposed(verdict: &Verdict) -> bool {
    verdict.asks() && verdict.reasons.iter().any(|reason| reason.code == Code::Proposed)
}
