//! Plans: what agents propose and commit, and what people see of it, take back, settle and accept.

use api::plan::{
    AbortPlan, AcceptResidue, BeginGroup, ChangePhase, CommitPlan, Phase, PhaseChanged, PlanEnded, PlanQuery,
    PlanShown, PlanVerdict, ProposePlan, ResidueView, Resolution, ResolveCall, StepShown, StepVerdict,
    UndoAnswer, UndoRun, UndoStep,
};
use api::problem::Code;
use api::run::{Recorded, RunPage};
use axum::Json;
use axum::extract::{Path, Query, State};
use kernel::id::{CallId, RunId};
use kernel::phase;
use kernel::progress::Standing;
use kernel::reason::Reason;

use crate::ask::{InRun, Told, id, recorded};
use crate::authn::{Agent, Person};
use crate::control::{self, NO_WHY};
use crate::house::{House, Shared};
use crate::inbox;
use crate::refusal::{Answer, Refusal};
use crate::words;
use crate::{budget, callback};

// ---- Agents -----------------------------------------------------------------------------------------------

pub(crate) async fn phase(
    State(house): State<Shared>,
    Path(run): Path<String>,
    asked: InRun<ChangePhase>,
) -> Answer<PhaseChanged> {
    own(&house, &run, &asked).await?;
    let to = match asked.body.to {
        Phase::Explore => phase::Phase::Explore,
        Phase::Decide => phase::Phase::Decide,
    };
    let phase = house.gate.phase(&asked.caller, asked.run, to).await?;
    let phase = phase.map_err(|reason| Refusal::law(&reason))?;
    Ok(Json(PhaseChanged { phase: phase.name().to_owned() }))
}

/// A plan with a step that is denied is answered; what is no plan at all is refused.
pub(crate) async fn propose(
    State(house): State<Shared>,
    Path(run): Path<String>,
    asked: InRun<ProposePlan>,
) -> Answer<PlanVerdict> {
    own(&house, &run, &asked).await?;
    let plan = serde_json::to_value(&asked.body)
        .map_err(|error| Refusal::new(Code::BadRequest, error.to_string()))?;
    let planned = house.gate.plan(&asked.caller, asked.run, plan).await?;
    Ok(Json(judged(asked.run, planned.map_err(|reason| Refusal::law(&reason))?)))
}

pub(crate) async fn begin(
    State(house): State<Shared>,
    Path(run): Path<String>,
    asked: InRun<BeginGroup>,
) -> Answer<PlanEnded> {
    own(&house, &run, &asked).await?;
    ended(house.gate.begin_group(&asked.caller, asked.run).await?)
}

pub(crate) async fn commit(
    State(house): State<Shared>,
    Path(run): Path<String>,
    asked: InRun<CommitPlan>,
) -> Answer<PlanEnded> {
    own(&house, &run, &asked).await?;
    let InRun { caller, run, body } = asked;
    callback::check(&house, &caller, run, body.callback.as_deref()).await?;
    let Some(url) = body.callback else {
        return ended(house.gate.commit(&caller, run, body.version).await?);
    };
    let asked = house.clone();
    // Detached: a hang-up loses neither the commit nor whom to tell.
    let committed = tokio::spawn(async move {
        let committed = asked.gate.commit(&caller, run, body.version).await?;
        let waits = asked.gate.tickets(&caller, Some(run)).into_iter().find(|ticket| ticket.is_plan());
        if let (Err(_), Some(ticket)) = (&committed, waits) {
            callback::note(&asked, &caller, &ticket, &url);
        }
        ended(committed)
    });
    committed.await.map_err(|_| Refusal::new(Code::Internal, Code::Internal.title()))?
}

pub(crate) async fn abort(
    State(house): State<Shared>,
    Path(run): Path<String>,
    asked: InRun<AbortPlan>,
) -> Answer<PlanEnded> {
    own(&house, &run, &asked).await?;
    let agent = asked.caller.agent.as_str();
    let why = asked.body.why.as_deref().unwrap_or(NO_WHY);
    ended(house.gate.abort(asked.run, Some(agent), agent, why).await?)
}

/// Another agent's run is answered like one that never was.
pub(crate) async fn own_plan(
    State(house): State<Shared>,
    Agent(caller): Agent,
    Path(run): Path<String>,
) -> Answer<PlanShown> {
    match house.gate.plan_of(id::<RunId>(&run)?).await? {
        Some(plan) if plan.agent == caller.agent => Ok(Json(shown(plan))),
        _ => Err(no_plan(&run)),
    }
}

/// The token that came along is the token of the run in the path.
async fn own<T>(house: &House, run: &str, asked: &InRun<T>) -> Result<(), Refusal> {
    if id::<RunId>(run)? == asked.run {
        return Ok(());
    }
    let refusal = Refusal::new(Code::RunTokenRefused, "this token is of another run");
    Err(recorded(house, &asked.caller, Some(asked.run), refusal).await)
}

fn ended(done: Result<gate::PlanShown, Reason>) -> Answer<PlanEnded> {
    let plan = done.map_err(|reason| Refusal::law(&reason))?;
    Ok(Json(PlanEnded { next: plan.next(), plan: shown(plan) }))
}

fn no_plan(run: &str) -> Refusal {
    Refusal::not_found(&format!("a plan of the run `{run}`"))
}

// ---- People -----------------------------------------------------------------------------------------------

pub(crate) async fn plan(
    _: Person,
    State(house): State<Shared>,
    Path(run): Path<String>,
    Query(query): Query<PlanQuery>,
) -> Answer<PlanShown> {
    let named = id::<RunId>(&run)?;
    let Some(plan) = house.gate.plan_of(named).await? else { return Err(no_plan(&run)) };
    let changes = match query.look {
        Some(true) => house.gate.plan_changes(named).await?,
        _ => Vec::new(),
    };
    Ok(Json(PlanShown { changes: changes.into_iter().map(inbox::change).collect(), ..shown(plan) }))
}

pub(crate) async fn undo(
    person: Person,
    State(house): State<Shared>,
    Path(run): Path<String>,
    Told(body): Told<UndoRun>,
) -> Answer<UndoAnswer> {
    let UndoRun { step, dry, why } = body;
    let why = match why.filter(|why| !why.trim().is_empty()) {
        Some(why) => why,
        None if dry => NO_WHY.to_owned(),
        None => return Err(Refusal::new(Code::BadRequest, "say why it is taken back").at("/why")),
    };
    let ask = gate::TakeBackAsk { run: id::<RunId>(&run)?, step, dry, by: person.name, why };
    let taken = house.gate.take_back(ask).await?.map_err(|reason| Refusal::law(&reason))?;
    let steps: Vec<UndoStep> = taken.steps.into_iter().map(would_undo).collect();
    let says = match &taken.shown {
        Some(plan) => plan.says(),
        None => format!("{} would be taken back, in this order; nothing was done", steps.len()),
    };
    Ok(Json(UndoAnswer { run, dry, steps, says, plan: taken.shown.map(shown) }))
}

pub(crate) async fn accept(
    person: Person,
    State(house): State<Shared>,
    Path(run): Path<String>,
    Told(body): Told<AcceptResidue>,
) -> Answer<Recorded> {
    control::recorded(house.gate.accept(id::<RunId>(&run)?, &person.name, &body.why).await?)
}

pub(crate) async fn resolve(
    person: Person,
    State(house): State<Shared>,
    Path(call): Path<String>,
    Told(body): Told<ResolveCall>,
) -> Answer<Recorded> {
    let done = body.resolution == Resolution::Done;
    control::recorded(house.gate.resolve_call(id::<CallId>(&call)?, done, &person.name, &body.why).await?)
}

/// Plans that wait for somebody, and runs with a call whose outcome nobody knows.
pub(crate) async fn stuck(house: &House) -> Answer<RunPage> {
    let unknown = gate::views::RunQuery {
        only: Some(gate::views::Only::Unknown),
        limit: api::PAGE_ITEMS_MAX,
        // The views are a moment behind what the lanes know: whoever waits is not left out for that.
        after_index: Some(house.gate.counts().head_index),
        ..Default::default()
    };
    let page = house.gate.runs(unknown).await?;
    let mut items = Vec::new();
    for plan in house.gate.stuck().await?.into_iter().take(api::PAGE_ITEMS_MAX) {
        let Ok(found) = house.gate.run(plan.run, None).await else { continue };
        let mut view = words::run_view(found.run);
        view.plan = Some(Box::new(shown(plan)));
        items.push(view);
    }
    for found in page.items {
        let is_told = items.iter().any(|run| run.run == found.id);
        let waits = !is_told && !is_accepted(house, &found).await?;
        items.extend(waits.then(|| words::run_view(found)));
    }
    Ok(Json(RunPage { as_of: page.as_of, items, next: None }))
}

/// Whether a person has left all these calls of unknown end as they are, with the plan that they belong to.
async fn is_accepted(house: &House, run: &gate::views::RunView) -> Result<bool, Refusal> {
    let plan = house.gate.plan_of(id::<RunId>(&run.id)?).await?.filter(|plan| plan.accepted);
    let left = plan.map_or(0, |plan| plan.steps.iter().map(|step| step.unsettled.len()).sum::<usize>());
    Ok(u64::try_from(left).is_ok_and(|left| left > 0 && left >= run.unknown))
}

// ---- Words ------------------------------------------------------------------------------------------------

fn judged(run: RunId, planned: gate::Planned) -> PlanVerdict {
    let gate::Planned { verdict, previews, receipt, .. } = planned;
    let step = |place: &u16| verdict.steps.get(usize::from(*place)).cloned();
    let id_of = |place: &u16| step(place).map(|step| step.id);
    let ordered = verdict.order.iter().filter_map(step).map(|judged| {
        let preview = previews.iter().find(|preview| preview.step == judged.id);
        StepVerdict {
            after: judged.after.iter().filter_map(id_of).collect(),
            before: preview.and_then(|preview| preview.before.clone()),
            differs: preview.map(|it| it.differs.iter().map(words::difference).collect()).unwrap_or_default(),
            args: preview.map(|preview| preview.after.clone()),
            trouble: preview.and_then(|preview| preview.trouble.clone()),
            id: judged.id,
            tool: judged.tool,
            effect: judged.effect.name().to_owned(),
            ruling: judged.ruling.name().to_owned(),
            reasons: judged.reasons.iter().map(words::reason).collect(),
            conflicts: judged.conflicts.iter().map(words::reason).collect(),
            cost: budget::amount(&judged.cost),
            undo: judged.undo,
            guarded: judged.guarded,
            decided_when_it_runs: judged.later,
        }
    });
    PlanVerdict {
        run: run.to_string(),
        version: verdict.version,
        digest: verdict.digest.to_string(),
        ruling: verdict.ruling.name().to_owned(),
        reasons: verdict.reasons.iter().map(words::reason).collect(),
        steps: ordered.collect(),
        cost: budget::amount(&verdict.cost),
        undo_cost: budget::amount(&verdict.undo_cost),
        asks: verdict.asks.clone(),
        cannot_be_undone: verdict.cannot_be_undone.clone(),
        next: gate::next_of(&verdict),
        receipt: Some(words::receipt(receipt)),
    }
}

pub(crate) fn shown(plan: gate::PlanShown) -> PlanShown {
    PlanShown {
        says: plan.says(),
        run: plan.run.to_string(),
        agent: plan.agent,
        owner: plan.owner,
        version: plan.version,
        digest: plan.digest.to_string(),
        stage: plan.stage.name().to_owned(),
        why: plan.why,
        held: plan.held,
        stuck: plan.stuck,
        accepted: plan.accepted,
        grouped: plan.grouped,
        steps: plan.steps.into_iter().map(step).collect(),
        residue: plan.residue.into_iter().map(residue).collect(),
        changes: Vec::new(),
    }
}

fn step(step: gate::StepShown) -> StepShown {
    StepShown {
        id: step.id,
        tool: step.tool,
        effect: step.effect.name().to_owned(),
        after: step.after,
        state: step.state.name().to_owned(),
        call: step.call.map(|call| call.to_string()),
        undo_call: step.undo_call.map(|call| call.to_string()),
        undo: step.undo,
        undo_until: step.until.map(|until| until.to_string()),
        guarded: step.guarded,
        unsettled: step.unsettled.iter().map(ToString::to_string).collect(),
        trouble: step.trouble,
        result: step.result,
    }
}

fn residue(left: gate::ResidueShown) -> ResidueView {
    let call = left.call.map(|call| call.to_string());
    let what = match left.is {
        Standing::Stands => "stands",
        Standing::Unknown => "unknown",
    };
    ResidueView { step: left.step, tool: left.tool, call, what: what.to_owned(), why: left.why }
}

fn would_undo(step: gate::WouldUndo) -> UndoStep {
    UndoStep {
        step: step.step,
        tool: step.tool,
        undo: step.undo,
        args: step.args,
        until: step.until.map(|until| until.to_string()),
        guarded: step.guarded,
    }
}
