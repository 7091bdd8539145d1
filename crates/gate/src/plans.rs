//! Plans: what an agent means to write is read, priced, looked at beforehand, and carried out when it says so.

use std::sync::Arc;

use kernel::approval::Pending;
use kernel::before;
use kernel::command::{Answer, Command, ControlCommand};
use kernel::id::{CallId, KeyId, Mark, RunId};
use kernel::phase::Phase;
use kernel::plan::{self, DraftedPlan, PlanVerdict, StepDraft, WrittenPlan, WrittenStep};
use kernel::progress::{PlanState, Stage};
use kernel::reason::{Code, Reason};
use kernel::template;
use kernel::verdict::Ruling;
use ledger::{Payload, Receipt};
use serde_json::Value;
use stdx::difference::Difference;
use stdx::json::canonical;
use tokio::task::JoinSet;

use crate::bounds::{NAME_BYTES_MAX, WHY_BYTES_MAX, within};
use crate::caller::Caller;
use crate::committer::Written;
use crate::control::ControlMessage;
use crate::deed::Deed;
use crate::desk::Law;
use crate::error::Error;
use crate::gate::{DECIDE_WAIT, Gate};
use crate::look::Beside;
use crate::seal;
use crate::shown::PlanShown;

/// What a plan touches is its own for so long, if nothing ends it before.
const CLAIM_MS: u64 = 24 * 3_600_000;
/// How often one commit asks for slices that others of its lane then take.
pub(crate) const LEND_ROUNDS_MAX: usize = 16;

/// What is said to a plan, and what it would change.
#[derive(Clone, Debug)]
pub struct Planned {
    pub shown: PlanShown,
    pub verdict: PlanVerdict,
    /// Of the steps whose contracts name a read for it.
    pub previews: Vec<Preview>,
    pub receipt: Receipt,
}

/// What is there before a step, beside what the step would write.
#[derive(Clone, Debug)]
pub struct Preview {
    /// Its id.
    pub step: String,
    pub before: Option<Value>,
    pub after: Value,
    /// What is another then.
    pub differs: Vec<Difference>,
    /// Why there is no `before`.
    pub trouble: Option<String>,
}

/// A plan that is to be carried out.
struct Begin {
    run: RunId,
    agent: String,
    version: u32,
    credential: Option<KeyId>,
    touches: Vec<Mark>,
}

impl Gate {
    /// An agent goes on to another phase, or learns which one it is in.
    pub async fn phase(
        &self,
        caller: &Caller,
        run: RunId,
        to: Phase,
    ) -> Result<Result<Phase, Reason>, Error> {
        let command = Command::Phase { run, agent: caller.agent.clone(), to };
        match self.soon(run, command, Vec::new()).await?.answer {
            Answer::Phase(phase) => Ok(Ok(phase)),
            answer => refused(answer),
        }
    }

    /// Reads, judges and prices a plan, and looks at what it would change. Nothing is written.
    pub async fn plan(
        &self,
        caller: &Caller,
        run: RunId,
        written: Value,
    ) -> Result<Result<Planned, Reason>, Error> {
        let law = self.law();
        let bytes = canonical(&written);
        let plan = match plan::parse(&written) {
            Ok(plan) => plan,
            Err(reason) => return Ok(Err(*reason)),
        };
        let payload = Payload::new("plan", seal::random(), bytes.clone(), false);
        let drafts = plan.steps.iter().map(|step| self.step_draft(&law, &caller.agent, run, step)).collect();
        let mark = self.0.seal.mark(run, "plan", &bytes);
        let drafted = Arc::new(DraftedPlan { plan, digest: payload.commitment, mark, drafts });
        let command = Command::Plan { run, agent: caller.agent.clone(), plan: drafted.clone() };
        let written = self.soon(run, command, vec![payload]).await?;
        let (verdict, receipt) = match (written.answer, written.receipts.first().copied()) {
            (Answer::Plan(verdict), Some(receipt)) => (*verdict, receipt),
            (answer, _) => return refused(answer),
        };
        let previews = self.previews(caller, run, &drafted.plan, &verdict).await?;
        let Some(shown) = self.plan_of(run).await? else { return Ok(Err(Reason::new(Code::PlanUnknown))) };
        Ok(Ok(Planned { shown, verdict, previews, receipt }))
    }

    pub(crate) fn step_draft(&self, law: &Law, agent: &str, run: RunId, step: &WrittenStep) -> StepDraft {
        let template = self.0.seal.mark(
            run,
            "template",
            &[step.tool.as_bytes(), b"\0", &canonical(&step.args)].concat(),
        );
        // What a reference stands for is not there yet, and what is said of it now would be said of its name.
        let is_whole = template::references(&step.args).is_empty();
        let (touches, facts) = self.about(law, run, agent, &step.tool, &step.args);
        let (places, hosts) = law.rules.places(agent, &step.tool, &step.args);
        let facts = match is_whole {
            true => facts,
            false => before::wants(&law.rules, agent, &step.tool, &step.args).iter().map(|_| None).collect(),
        };
        let unless = |marks| if is_whole { marks } else { Vec::new() };
        StepDraft {
            template,
            touches: self.touches_told(law, step, touches),
            facts,
            destinations: unless(self.house_marks("destination", &places)),
            hosts: unless(self.house_marks("host", &hosts)),
        }
    }

    /// What a step touches as far as its arguments tell: a name that is filled in by a reference is claimed by the step
    /// itself when it runs.
    fn touches_told(&self, law: &Law, step: &WrittenStep, touches: Vec<Mark>) -> Vec<Mark> {
        if template::references(&step.args).is_empty() {
            return touches;
        }
        let Some(known) = law.rules.tool(&step.tool) else { return Vec::new() };
        self.touched(&known.contract, &without_references(&step.args))
    }

    /// Asked at once, each a read of its own; what is denied is not looked at.
    async fn previews(
        &self,
        caller: &Caller,
        run: RunId,
        plan: &WrittenPlan,
        verdict: &PlanVerdict,
    ) -> Result<Vec<Preview>, Error> {
        let rules = self.rules();
        let mut looking = JoinSet::new();
        for (place, (step, said)) in plan.steps.iter().zip(&verdict.steps).enumerate() {
            let Some(known) = rules.tool(&step.tool).filter(|tool| tool.contract.deed.preview.is_some())
            else {
                continue;
            };
            if said.ruling == Ruling::Deny || said.later {
                continue;
            }
            let (gate, agent, step) = (self.clone(), caller.agent.clone(), step.clone());
            let contract = known.contract.clone();
            looking.spawn(async move {
                let deed = Deed { run, contract: &contract, args: &step.args, result: None, before: None };
                let beside = Beside { run, agent: &agent, step: u16::try_from(place).ok() };
                let before = gate.preview(beside, &deed).await;
                let trouble = match &before {
                    Ok(Some(_)) => None,
                    Ok(None) => Some("it could not be read".to_owned()),
                    Err(error) => Some(error.to_string()),
                };
                let before = before.ok().flatten();
                let differs = before.as_ref().map(|before| gate.differs(&contract, before, &step.args));
                let differs = differs.unwrap_or_default();
                (place, Preview { step: step.id, before, after: step.args, differs, trouble })
            });
        }
        let mut previews = Vec::new();
        while let Some(looked) = looking.join_next().await {
            previews.push(looked.map_err(|_| Error::Stopping)?);
        }
        previews.sort_by_key(|(place, _)| *place);
        Ok(previews.into_iter().map(|(_, preview)| preview).collect())
    }

    /// Carries the plan out, and waits until nothing more happens by itself. Whoever asked may hang up meanwhile.
    pub async fn commit(
        &self,
        caller: &Caller,
        run: RunId,
        version: Option<u32>,
    ) -> Result<Result<PlanShown, Reason>, Error> {
        let unknown = || Ok(Err(Reason::new(Code::PlanUnknown)));
        let Some(standing) = self.standing(run).filter(|it| it.plan.agent == caller.agent) else {
            return unknown();
        };
        let version = version.unwrap_or(standing.plan.version);
        if standing.plan.version == version && has_begun(&standing.plan) {
            // Whoever lost the answer, or had to wait for people, asks again and begins nothing.
            return self.rested(run).await;
        }
        let gate = self.clone();
        let begin = Begin {
            run,
            agent: caller.agent.clone(),
            version,
            credential: Some(caller.key),
            touches: standing.plan.touches.clone(),
        };
        let begun = tokio::spawn(async move { gate.begun(begin).await });
        if let Err(reason) = begun.await.map_err(|_| Error::Stopping)?? {
            return Ok(Err(reason));
        }
        self.rested(run).await
    }

    /// Claims first, so that no lane begins what another run is at.
    async fn begun(&self, begin: Begin) -> Result<Result<(), Reason>, Error> {
        let Begin { run, agent, version, credential, touches } = begin;
        let ticket = CallId::new(self.0.clock.now(), seal::random());
        if let Err(reason) = self.claimed(run, touches).await? {
            return Ok(Err(reason));
        }
        let mut is_last = false;
        for _ in 0..LEND_ROUNDS_MAX {
            let command = Command::Commit { run, agent: agent.clone(), version, ticket, credential, is_last };
            match self.soon(run, command, Vec::new()).await.map(|written| written.answer) {
                Ok(Answer::Progress(_)) => {
                    self.kick(run);
                    return Ok(Ok(()));
                }
                Ok(Answer::Short(needs)) => is_last = !self.lend(self.lane_of(run), &needs).await?,
                other => {
                    self.disclaimed(run).await?;
                    return refused(other?);
                }
            }
        }
        self.disclaimed(run).await?;
        Err(Error::Overloaded)
    }

    /// People said yes to a plan: it begins, whoever waits for it.
    pub(crate) async fn begun_with_assent(&self, pending: &Pending, version: u32) -> Result<(), Error> {
        let Some(standing) = self.standing(pending.run).filter(|it| it.plan.version == version) else {
            return Ok(());
        };
        let begin = Begin {
            run: pending.run,
            agent: pending.agent.clone(),
            version,
            credential: pending.credential,
            touches: standing.plan.touches,
        };
        if let Err(reason) = self.begun(begin).await? {
            tracing::warn!(run = %pending.run, code = reason.code.name(), "a plan that was approved cannot begin");
        }
        Ok(())
    }

    pub(crate) async fn claimed(&self, run: RunId, marks: Vec<Mark>) -> Result<Result<(), Reason>, Error> {
        if marks.is_empty() {
            return Ok(Ok(()));
        }
        let now = self.0.clock.now();
        let claim = ControlCommand::Claim { run, marks, until: now.plus_ms(CLAIM_MS), now };
        match self.claims(claim).await?.answer {
            Answer::Refused(reason) => Ok(Err(reason)),
            _ => Ok(Ok(())),
        }
    }

    /// Gives back what was claimed for nothing. What a plan that is under way claimed stays its own.
    pub(crate) async fn disclaimed(&self, run: RunId) -> Result<(), Error> {
        match self.standing(run) {
            Some(standing) if standing.plan.stage == Stage::Proposed => {
                self.claims(ControlCommand::Release { run, committed: None }).await.map(drop)
            }
            Some(standing) => self.released(run, &standing.plan).await,
            None => self.claims(ControlCommand::Release { run, committed: None }).await.map(drop),
        }
    }

    /// No barrier: a claim takes nothing from what was decided before, and lanes know it before it is answered.
    pub(crate) async fn claims(&self, command: ControlCommand) -> Result<Written, Error> {
        self.control_now(|waiter| ControlMessage::Claim { command, waiter }).await
    }

    /// The plan is given up: what stands is taken back. `agent` is set when an agent asks.
    pub async fn abort(
        &self,
        run: RunId,
        agent: Option<&str>,
        by: &str,
        why: &str,
    ) -> Result<Result<PlanShown, Reason>, Error> {
        within("a name", by, NAME_BYTES_MAX)?;
        within("the why", why, WHY_BYTES_MAX)?;
        let (by, why) = (by.to_owned(), why.to_owned());
        let command = Command::Abort { run, agent: agent.map(str::to_owned), by, why };
        match self.ask_lane(self.lane_of(run), command, Vec::new()).await?.answer {
            Answer::Progress(plan) => self.released(run, &plan).await?,
            answer => return refused(answer),
        }
        self.kick(run);
        self.rested(run).await
    }

    /// The plan as it is when nothing more happens by itself.
    pub(crate) async fn rested(&self, run: RunId) -> Result<Result<PlanShown, Reason>, Error> {
        let Some(standing) = self.at_rest(run).await else { return Ok(Err(Reason::new(Code::PlanUnknown))) };
        Ok(Ok(self.shown(run, &standing).await?))
    }

    /// For what is new: refused when the house is full, closed or short of disk, and not waited for for ever.
    pub(crate) async fn soon(
        &self,
        run: RunId,
        command: Command,
        payloads: Vec<Payload>,
    ) -> Result<Written, Error> {
        let wait = self.propose(run, command, payloads)?;
        let written = tokio::time::timeout(DECIDE_WAIT, wait).await.map_err(|_| Error::LogUnwritable)?;
        written.map_err(|_| Error::Stopping)?
    }
}

/// Whether its agent has committed it already. A group that is over is none to be committed: another would have been
/// begun; unless people were asked about it, and its agent does not know yet what came of that.
fn has_begun(plan: &PlanState) -> bool {
    match plan.stage {
        Stage::Committing | Stage::Unwinding => true,
        Stage::Committed | Stage::RolledBack | Stage::Quarantined => !plan.grouped || plan.granted.is_some(),
        Stage::Open | Stage::Proposed | Stage::Paused => false,
    }
}

/// What was refused is a value; anything else was not asked for.
pub(crate) fn refused<T>(answer: Answer) -> Result<Result<T, Reason>, Error> {
    match answer {
        Answer::Refused(reason) => Ok(Err(reason)),
        _ => Err(Error::LogUnwritable),
    }
}

/// Members that are references are left out, so that no template takes the name of one for a value.
fn without_references(args: &Value) -> Value {
    match args {
        Value::Object(members) => {
            let whole = members.iter().filter(|(_, value)| !is_reference(value));
            whole.map(|(name, value)| (name.clone(), without_references(value))).collect()
        }
        value => value.clone(),
    }
}

fn is_reference(value: &Value) -> bool {
    value.is_string() && !template::references(value).is_empty()
}
