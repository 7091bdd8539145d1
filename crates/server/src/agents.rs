//! Port 7470: what agents ask. Runs, calls, decisions, outcomes.

use api::call::{Answered, CallAsk, CallShown, OutcomeReport, OwnCallQuery};
use api::endpoint as at;
use api::people::WhoAmI;
use api::problem::Code;
use api::run::{AfterQuery, CloseRun, OpenRun, Recorded, Replan, RunOpened, RunShown};
use axum::extract::{Path, State};
use axum::routing::{get, post};
use axum::{Json, Router, middleware};
use gate::Gate;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use kernel::id::{CallId, RunId};
use serde_json::Value;

use crate::ask::{Asked, InRun, PerhapsInRun, Query, id, recorded};
use crate::authn::Agent;
use crate::house::{House, Options, Shared};
use crate::refusal::{Answer, Refusal};
use crate::{authzen, budget, callback, doors, guard, health, inbox, plans, words};

/// The routes of the agents' listener. `doors` speak protocols of their own; who asks is proved before them.
pub fn agents_router(gate: Gate, options: Options, doors: Router) -> Router {
    let house = House::new(gate, options);
    Router::new()
        .route(at::RUNS, post(open_run))
        .route(at::RUN, get(own_run))
        .route(at::RUN_CLOSE, post(close_run))
        .route(at::RUN_BUDGET, get(budget::own))
        .route(at::RUN_REPLAN, post(replan))
        .route(at::RUN_PHASE, post(plans::phase))
        .route(at::RUN_PLAN, post(plans::propose).get(plans::own_plan))
        .route(at::RUN_BEGIN, post(plans::begin))
        .route(at::RUN_COMMIT, post(plans::commit))
        .route(at::RUN_ABORT, post(plans::abort))
        .route(at::CALLS, post(call))
        .route(at::CALL, get(own_call))
        .route(at::CALL_OUTCOME, post(report))
        .route(at::DECISIONS, post(decide))
        .route(at::TICKETS, get(inbox::own_tickets))
        .route(at::TICKET, get(inbox::own_ticket))
        .route(at::WHOAMI, get(who_am_i))
        .route(at::PERMIT_KEYS, get(permit_keys))
        .route(at::EVALUATION, post(authzen::evaluate))
        .route(at::EVALUATIONS, post(authzen::evaluate_many))
        .route(at::AUTHZEN_CONFIGURATION, get(authzen::configuration))
        .route(at::HEALTHZ, get(health::health))
        .route(at::READYZ, get(health::ready))
        .merge(doors::behind_proof(doors, &house))
        .fallback(guard::unknown_route)
        .method_not_allowed_fallback(guard::unknown_method)
        .layer(middleware::from_fn_with_state(house.clone(), guard::guard))
        .with_state(house)
}

async fn call(State(house): State<Shared>, asked: InRun<CallAsk>) -> Timed<Answered> {
    let InRun { caller, run, mut body } = asked;
    callback::check(&house, &caller, run, body.callback.as_deref()).await?;
    let Some(url) = body.callback.take() else {
        return Ok(told(&house, house.gate.call(&caller, call_ask(run, body)).await?, false));
    };
    let (gate, by) = (house.gate.clone(), caller.clone());
    let asking = async move { gate.call(&by, call_ask(run, body)).await };
    let (answered, noted) = callback::noted(&house, caller, url, asking).await?;
    Ok(told(&house, answered, noted))
}

async fn decide(State(house): State<Shared>, asked: InRun<CallAsk>) -> Timed<Answered> {
    let InRun { caller, run, mut body } = asked;
    callback::check(&house, &caller, run, body.callback.as_deref()).await?;
    let heeds = body.heeds.iter().map(|kind| words::heeded(*kind)).collect();
    let Some(url) = body.callback.take() else {
        let answered = house.gate.decide_heeding(&caller, call_ask(run, body), heeds).await?;
        return Ok(told(&house, answered, false));
    };
    let (gate, by) = (house.gate.clone(), caller.clone());
    let asking = async move { gate.decide_heeding(&by, call_ask(run, body), heeds).await };
    let (answered, noted) = callback::noted(&house, caller, url, asking).await?;
    Ok(told(&house, answered, noted))
}

/// With a header that says when to come again, if time alone helps.
type Timed<T> = Result<(StatusCode, HeaderMap, Json<T>), Refusal>;

/// What waits for people was taken and not done: 202, and where to ask for it. `called`: the agent is told of its end.
fn told(house: &House, answered: gate::Answered, called: bool) -> (StatusCode, HeaderMap, Json<Answered>) {
    let mut headers = retry_after(&answered);
    let mut answered = words::answered(answered, &house.options.console);
    let Some(waiting) = &mut answered.waiting else { return (StatusCode::OK, headers, Json(answered)) };
    waiting.callback = called;
    if let Ok(place) = HeaderValue::from_str(&waiting.poll) {
        headers.insert(header::LOCATION, place);
    }
    (StatusCode::ACCEPTED, headers, Json(answered))
}

fn retry_after(answered: &gate::Answered) -> HeaderMap {
    let seconds = answered.verdict.reasons.iter().filter_map(|reason| reason.retry_after_seconds).max();
    seconds.map(|seconds| (header::RETRY_AFTER, seconds.into())).into_iter().collect()
}

fn call_ask(run: RunId, ask: CallAsk) -> gate::CallAsk {
    gate::CallAsk {
        run,
        tool: ask.tool,
        args: ask.args,
        reason: ask.reason,
        model: ask.model,
        context_tokens: ask.context_tokens,
        idempotency_key: ask.idempotency_key,
    }
}

async fn report(
    State(house): State<Shared>,
    Path(call): Path<String>,
    asked: Asked<OutcomeReport>,
) -> Answer<Recorded> {
    let Asked { caller, body } = asked;
    let report = gate::Report {
        outcome: words::outcome(body.outcome),
        result: body.result,
        duration_ms: body.duration_ms,
        used: body.used.map(budget::used).unwrap_or_default(),
    };
    let receipt = house.gate.report(&caller, id::<CallId>(&call)?, report).await?;
    let receipt = receipt.map_err(|reason| Refusal::law(&reason))?;
    Ok(Json(Recorded { receipt: words::receipt(receipt) }))
}

/// Under a run token it is opened below that run, and takes from its budget.
async fn open_run(State(house): State<Shared>, asked: PerhapsInRun<OpenRun>) -> Answer<RunOpened> {
    let OpenRun { person, intent, budget } = asked.body;
    let budget = budget.map(budget::limits);
    let ask = gate::OpenAsk { person, intent, parent: asked.run, budget };
    let opened = house.gate.run_open(&asked.caller, ask).await?.map_err(|reason| Refusal::law(&reason))?;
    Ok(Json(RunOpened {
        run: opened.run.to_string(),
        token: opened.token,
        expires: opened.expires.to_string(),
        receipt: words::receipt(opened.receipt),
    }))
}

async fn close_run(
    State(house): State<Shared>,
    Path(run): Path<String>,
    asked: InRun<CloseRun>,
) -> Answer<Recorded> {
    if id::<RunId>(&run)? != asked.run {
        let refusal = Refusal::new(Code::RunTokenRefused, "this token is of another run");
        return Err(recorded(&house, &asked.caller, Some(asked.run), refusal).await);
    }
    let (agent, outcome) = (asked.caller.agent.as_str(), words::closing(asked.body.outcome));
    let workflow = asked.body.workflow.clone();
    let receipt = house.gate.run_close(asked.run, Some(agent), outcome, workflow, agent).await?;
    let receipt = receipt.map_err(|reason| Refusal::law(&reason))?;
    Ok(Json(Recorded { receipt: words::receipt(receipt) }))
}

async fn replan(
    State(house): State<Shared>,
    Path(run): Path<String>,
    asked: InRun<Replan>,
) -> Answer<Recorded> {
    if id::<RunId>(&run)? != asked.run {
        let refusal = Refusal::new(Code::RunTokenRefused, "this token is of another run");
        return Err(recorded(&house, &asked.caller, Some(asked.run), refusal).await);
    }
    if asked.body.learned.trim().is_empty() {
        let refusal = Refusal::new(Code::BadRequest, "nothing was learned: say it in words").at("/learned");
        return Err(recorded(&house, &asked.caller, Some(asked.run), refusal).await);
    }
    let receipt = house.gate.replan(&asked.caller, asked.run, &asked.body.learned).await?;
    let receipt = receipt.map_err(|reason| Refusal::law(&reason))?;
    Ok(Json(Recorded { receipt: words::receipt(receipt) }))
}

/// Another agent's run is answered like one that never was.
async fn own_run(
    State(house): State<Shared>,
    Agent(caller): Agent,
    Path(run): Path<String>,
    Query(query): Query<AfterQuery>,
) -> Answer<RunShown> {
    let shown = house.gate.run(id::<RunId>(&run)?, past(query.after)).await?;
    if shown.run.agent != caller.agent {
        return Err(Refusal::not_found(&format!("the run `{}`", shown.run.id)));
    }
    Ok(Json(words::run_shown(shown)))
}

async fn own_call(
    State(house): State<Shared>,
    Agent(caller): Agent,
    Path(call): Path<String>,
    Query(query): Query<OwnCallQuery>,
) -> Answer<CallShown> {
    let (call, mut after) = (id::<CallId>(&call)?, past(query.after));
    if let Some(wait) = query.wait.as_deref() {
        let wait = inbox::wait(Some(wait))?;
        // One that never waited is read as it is.
        if house.gate.wait_ticket(&caller, call, wait).await.is_ok() {
            after = after.max(Some(house.gate.counts().head_index));
        }
    }
    let (as_of, view) = house.gate.call_view(call, after).await?;
    if view.agent != caller.agent {
        return Err(Refusal::not_found(&format!("the call `{}`", view.id)));
    }
    Ok(Json(CallShown { as_of, call: words::call_view(view) }))
}

async fn who_am_i(Agent(caller): Agent) -> Json<WhoAmI> {
    Json(WhoAmI { key: caller.key.to_string(), agent: caller.agent, executor: caller.executor })
}

async fn permit_keys(State(house): State<Shared>) -> Json<Value> {
    Json(house.gate.permit_keys())
}

/// People name the last index that they saw; the views count what they know from below.
pub(crate) fn past(after: Option<u64>) -> Option<u64> {
    after.map(|index| index.saturating_add(1))
}
