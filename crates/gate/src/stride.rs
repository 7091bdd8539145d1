//! A stride: one move of one step, from what the ledger knows to what it is told.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use kernel::call::{Look, Outcome, Part};
use kernel::command::{Answer, Command, Looked};
use kernel::contract::Contract;
use kernel::deed::Undo;
use kernel::id::RunId;
use kernel::plan::{WrittenPlan, WrittenStep};
use kernel::progress::{Expectation, PlanState, Step, StepState};
use kernel::reason::Code;
use kernel::saga::Move;
use kernel::template::{self, Missing};
use ledger::Payload;
use serde_json::Value;
use tokio::sync::OnceCell;

use crate::caller::{Answered, CallAsk};
use crate::deed::Deed;
use crate::draft::Role;
use crate::error::Error;
use crate::gate::Gate;
use crate::look::Beside;
use crate::port::Feed;
use crate::redact::inside;

/// What became of a move. That it was refused is in the ledger already.
pub(crate) struct Told {
    pub(crate) step: u16,
    pub(crate) result: Result<(), Error>,
}

/// One plan on its way, and what is remembered of it only to save reading it again.
#[derive(Clone)]
pub(crate) struct Stride {
    pub(crate) gate: Gate,
    pub(crate) run: RunId,
    text: Arc<OnceCell<Arc<WrittenPlan>>>,
    /// Results of steps, by their place.
    results: Arc<Mutex<HashMap<u16, Value>>>,
}

/// A step as its contract and its plan have it.
struct Known<'a> {
    place: u16,
    step: &'a Step,
    written: &'a WrittenStep,
    contract: Arc<Contract>,
}

impl Stride {
    pub(crate) fn new(gate: Gate, run: RunId) -> Stride {
        Stride { gate, run, text: Arc::default(), results: Arc::default() }
    }

    pub(crate) async fn take(&self, plan: &PlanState, place: u16, wanted: Move) -> Result<(), Error> {
        let Some(step) = plan.step(place) else { return Ok(()) };
        if matches!(wanted, Move::Undo(_)) && step.undo.is_some() && !step.planned.guarded {
            return self.undo(plan, step, None).await;
        }
        let Some(contract) = self.contract(&step.planned.tool) else {
            return self.barred(plan, place, "contract_missing").await;
        };
        let Some((written, args)) = self.written(plan, place, step).await? else {
            return self.barred(plan, place, "reference_missing").await;
        };
        let known = Known { place, step, written: &written, contract };
        match wanted {
            Move::Run(_) => self.run(plan, &known, args).await,
            Move::Check(_) => self.check(plan, &known, &args).await,
            Move::Probe(_) => self.probe(plan, &known, &args).await,
            Move::Undo(_) => self.guarded_undo(plan, &known, &args).await,
            _ => Ok(()),
        }
    }

    async fn run(&self, plan: &PlanState, known: &Known<'_>, args: Value) -> Result<(), Error> {
        let Known { place, step, written, contract } = known;
        let deed = self.deed(contract, &args, None, None);
        let beside = self.beside(plan, *place);
        let before = match restores(contract) {
            false => None,
            // Whatever it did may be there already: then what was there before is what was read then.
            true if step.state == StepState::Unknown => self.gate.step_before(self.run, step).await?,
            true => self.gate.before_image(beside, &deed).await?,
        };
        if restores(contract) && before.is_none() {
            return self.barred(plan, *place, "before_missing").await;
        }
        if !self.claimed(contract, &args).await? {
            return self.barred(plan, *place, Code::ResourceClaimed.name()).await;
        }
        let template = step.planned.template;
        let part = Part::Step { step: *place, template, version: plan.version };
        let key = step.call.map(|first| first.to_string());
        // A call that joined a group has its name already, for its first try.
        let joined = step.joined.as_ref().filter(|_| step.call.is_none());
        let known = joined.map(|joined| (joined.call, template));
        let role = Role { key, before, known, ..Role::part(part) };
        let ask = CallAsk { reason: written.reason.clone(), ..self.ask(&step.planned.tool, args) };
        let draft = self.gate.draft(&plan.agent, ask, role)?;
        let answered = self.gate.carried(draft, Feed::default(), None).await?;
        self.learned(*place, contract, &answered);
        Ok(())
    }

    /// What could not be told before other steps had run is claimed now.
    async fn claimed(&self, contract: &Contract, args: &Value) -> Result<bool, Error> {
        let (law, now) = (self.gate.law(), self.gate.0.clock.now());
        let mut touches = self.gate.touched(contract, args);
        touches.retain(|mark| !law.control.has_claimed(self.run, &[*mark], now));
        Ok(touches.is_empty() || self.gate.claimed(self.run, touches).await?.is_ok())
    }

    fn learned(&self, place: u16, contract: &Contract, answered: &Answered) {
        if let (Some(Outcome::Succeeded), Some(result)) = (answered.outcome, &answered.result) {
            let mut results = self.results.lock().unwrap_or_else(PoisonError::into_inner);
            results.insert(place, inside(contract, result.clone()));
        }
    }

    /// Looks after a deed: what is expected of it, and the version that it left.
    async fn check(&self, plan: &PlanState, known: &Known<'_>, args: &Value) -> Result<(), Error> {
        let Known { place, step, written, contract } = known;
        let result = self.result(known).await?;
        let deed = self.deed(contract, args, result.as_ref(), None);
        let beside = self.beside(plan, *place);
        let mut expectation = None;
        for expect in [contract.deed.expect.as_ref(), written.expect.as_ref()].into_iter().flatten() {
            let one = self.gate.expectation(beside, &deed, expect, Look::Expect).await?;
            expectation = Some(expectation.map_or(one, |so_far| worse(so_far, one)));
        }
        let seen = match step.planned.guarded {
            true => self.gate.version_mark(beside, &deed).await?,
            false => None,
        };
        // Where nothing is expected, a version that was read is enough; one that cannot be read is unknown.
        let read = match step.planned.guarded && seen.is_none() {
            true => Expectation::Unknown,
            false => Expectation::Held,
        };
        let expectation = Some(expectation.map_or(read, |seen_so_far| worse(seen_so_far, read)));
        let looked = Looked { expectation, seen, ..self.looked(plan, *place) };
        self.told(looked, None).await
    }

    /// Asks the contract's probe whether the effect is there.
    async fn probe(&self, plan: &PlanState, known: &Known<'_>, args: &Value) -> Result<(), Error> {
        let Known { place, step, contract, .. } = known;
        let deed = self.deed(contract, args, None, None);
        let beside = self.beside(plan, *place);
        let happened = match &contract.deed.probe {
            Some(probe) => self.gate.expectation(beside, &deed, probe, Look::Probe).await?,
            None => Expectation::Unknown,
        };
        let before = self.gate.step_before(self.run, step).await?;
        let deed = Deed { before: before.as_ref(), ..deed };
        let wanted = happened == Expectation::Held && step.undo.is_none();
        let kept = wanted.then(|| self.gate.kept_undo(&self.gate.law(), &deed)).flatten();
        let (undo, payload) = kept.unzip();
        let looked = Looked { happened: Some(happened), undo, ..self.looked(plan, *place) };
        self.told(looked, payload).await
    }

    async fn guarded_undo(&self, plan: &PlanState, known: &Known<'_>, args: &Value) -> Result<(), Error> {
        let result = self.result(known).await?;
        let deed = self.deed(&known.contract, args, result.as_ref(), None);
        let version = self.gate.version_mark(self.beside(plan, known.place), &deed).await?;
        self.undo(plan, known.step, version).await
    }

    async fn undo(
        &self,
        plan: &PlanState,
        step: &Step,
        version: Option<kernel::id::Mark>,
    ) -> Result<(), Error> {
        let (Some(kept), Some(of)) = (&step.undo, step.call) else { return Ok(()) };
        // What was erased is not what was kept: the law sees that by its mark.
        let args = self.gate.undo_args(self.run, step).await?.unwrap_or_default();
        let key = Some(format!("{of}-undo"));
        let role = Role { key, ..Role::part(Part::Undo { of, version }) };
        let draft = self.gate.draft(&plan.agent, self.ask(&kept.tool, args), role)?;
        self.gate.carried(draft, Feed::default(), None).await.map(drop)
    }

    /// A step that cannot even be asked.
    async fn barred(&self, plan: &PlanState, place: u16, why: &str) -> Result<(), Error> {
        let looked = Looked { barred: Some(why.to_owned()), ..self.looked(plan, place) };
        self.told(looked, None).await
    }

    async fn told(&self, looked: Looked, payload: Option<Payload>) -> Result<(), Error> {
        let lane = self.gate.lane_of(self.run);
        let command = Command::StepChecked(looked);
        let written = self.gate.ask_lane(lane, command, payload.into_iter().collect()).await?;
        match written.answer {
            Answer::Refused(reason) => {
                tracing::debug!(code = reason.code.name(), run = %self.run, "what was seen of a step came too late");
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// A step as its agent wrote it, and its arguments with what other steps have told; none: something of it is gone.
    async fn written(
        &self,
        plan: &PlanState,
        place: u16,
        step: &Step,
    ) -> Result<Option<(WrittenStep, Value)>, Error> {
        if plan.grouped {
            let written = self.gate.joined_step(self.run, step).await?;
            return Ok(written.map(|written| (written.clone(), written.args)));
        }
        let text = self.text(plan).await?;
        let Some(written) = text.steps.get(usize::from(place)) else { return Ok(None) };
        let results = self.results(plan, &text, written).await?;
        let told = |id: &str| {
            let place = text.steps.iter().position(|step| step.id == id)?;
            results.get(&u16::try_from(place).ok()?)
        };
        match template::resolved(&written.args, &told) {
            Ok(args) => Ok(Some((written.clone(), args))),
            Err(Missing(_)) => Ok(None),
        }
    }

    // ---- What is known ---------------------------------------------------------------------------------------

    fn beside<'a>(&self, plan: &'a PlanState, place: u16) -> Beside<'a> {
        Beside { run: self.run, agent: &plan.agent, step: Some(place) }
    }

    fn looked(&self, plan: &PlanState, step: u16) -> Looked {
        let (run, version) = (self.run, plan.version);
        Looked { run, version, step, barred: None, expectation: None, happened: None, seen: None, undo: None }
    }

    fn deed<'a>(
        &self,
        contract: &'a Contract,
        args: &'a Value,
        result: Option<&'a Value>,
        before: Option<&'a Value>,
    ) -> Deed<'a> {
        Deed { run: self.run, contract, args, result, before }
    }

    fn ask(&self, tool: &str, args: Value) -> CallAsk {
        CallAsk {
            run: self.run,
            tool: tool.to_owned(),
            args,
            reason: None,
            model: None,
            context_tokens: None,
            idempotency_key: None,
        }
    }

    fn contract(&self, tool: &str) -> Option<Arc<Contract>> {
        self.gate.rules().tool(tool).map(|known| known.contract.clone())
    }

    async fn text(&self, plan: &PlanState) -> Result<Arc<WrittenPlan>, Error> {
        let text = self.text.get_or_try_init(|| async {
            let text = self.gate.plan_text(self.run, plan).await?;
            let gone = || Error::NotFound { what: format!("the plan of the run `{}`", self.run) };
            text.map(Arc::new).ok_or_else(gone)
        });
        text.await.cloned()
    }

    async fn result(&self, known: &Known<'_>) -> Result<Option<Value>, Error> {
        let remembered = self.remembered(known.place);
        if remembered.is_some() {
            return Ok(remembered);
        }
        let result = self.gate.step_result(self.run, known.step).await?;
        Ok(result.map(|result| inside(&known.contract, result)))
    }

    fn remembered(&self, place: u16) -> Option<Value> {
        self.results.lock().unwrap_or_else(PoisonError::into_inner).get(&place).cloned()
    }

    /// The results that a step's arguments name.
    async fn results(
        &self,
        plan: &PlanState,
        text: &WrittenPlan,
        written: &WrittenStep,
    ) -> Result<HashMap<u16, Value>, Error> {
        let mut results = HashMap::new();
        for reference in template::references(&written.args) {
            let Some(place) = text.steps.iter().position(|step| step.id == reference.step) else { continue };
            let Some((place, step)) =
                u16::try_from(place).ok().and_then(|place| Some((place, plan.step(place)?)))
            else {
                continue;
            };
            let known = match self.remembered(place) {
                Some(result) => Some(result),
                None => {
                    let result = self.gate.step_result(self.run, step).await?;
                    let contract = self.contract(&step.planned.tool);
                    result.zip(contract).map(|(result, contract)| inside(&contract, result))
                }
            };
            results.extend(known.map(|result| (place, result)));
        }
        Ok(results)
    }
}

/// What failed is worse than what nobody knows.
fn worse(one: Expectation, other: Expectation) -> Expectation {
    use Expectation::{Failed, Held, Unknown};
    match (one, other) {
        (Failed, _) | (_, Failed) => Failed,
        (Unknown, _) | (_, Unknown) => Unknown,
        (Held, Held) => Held,
    }
}

/// Whether what was there before is read first, to be written back.
fn restores(contract: &Contract) -> bool {
    contract.takes_back() && matches!(contract.deed.undo, Some(Undo::Restore { .. }))
}
