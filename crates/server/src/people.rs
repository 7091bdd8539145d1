//! Port 7471: what people read. Runs, calls, events, numbers; what they do is in `control`.

use std::convert::Infallible;
use std::sync::LazyLock;
use std::time::Duration;

use api::PAGE_ITEMS_MAX;
use api::call::{CallPage, CallShown, CallsQuery};
use api::endpoint::{self as at, Auth};
use api::people::{EventPage, EventView, EventsQuery, Status, TailQuery};
use api::problem::Code;
use api::run::{AfterQuery, RunPage, RunShown, RunsQuery};
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router, middleware};
use bytes::Bytes;
use gate::Gate;
use gate::views::{CallQuery, Only, RunQuery};
use http::{HeaderMap, HeaderValue, header};
use kernel::id::{CallId, RunId};
use kernel::time::Time;
use serde_json::Value;

use crate::agents::past;
use crate::ask::{Query, id, query_id};
use crate::authn::{self, Person};
use crate::house::{House, Options, Seat, Shared};
use crate::refusal::{Answer, Refusal};
use crate::{
    budget, change, console, control, guard, halts, health, hooks, inbox, incident, metrics, observe, plans,
    report, roster, rules, signin, story, tools, words,
};

/// Events in one answer, and in one piece of a stream.
const EVENTS_MAX: usize = 500;
const EVENTS_USUAL: usize = 100;
const DAY_MS: u64 = 86_400_000;
/// The kinds of events that say what agents did and what holds them: all that a viewer follows. Keys, sign-ins and
/// refused requests are for those who may read the ledger.
const WORK: [&str; 22] = [
    "run_opened",
    "run_closed",
    "call_decided",
    "call_finished",
    "refusals_counted",
    "answered",
    "collected",
    "run_paused",
    "run_resumed",
    "run_extended",
    "phase_changed",
    "plan_proposed",
    "commit_started",
    "step_checked",
    "unwind_started",
    "commit_ended",
    "residue_accepted",
    "rules_activated",
    "halted",
    "resumed",
    "tool_seen",
    "tool_rested",
];
/// A stream with nothing to say says so this often.
const HEARTBEAT: Duration = Duration::from_secs(10);

const FRONT: &str = "\
Remit keeps every agent within its remit. This port is for people.
In a browser it is the console; `remit login` signs in.

  /v1/runs  /v1/calls        what agents did
  /v1/explain/{call or run}  who asked, for whom, which rule, what it saw, what it cost, what happened
  /v1/who-can?target=…       which agents can do a thing, and only if what
  /v1/agents                 what their manifests say, and what the rules make of it
  /v1/runs/{run}/incident    all that is known of a run, as one file
  /v1/inbox                  what waits for a person's yes; /v1/inbox/{call}/answer takes it
  /v1/budget  /v1/spend      what was spent, what is left, what it came to; /v1/top: open runs, the dearest first
  /v1/runs/{run}/plan        what it means to write, what became of each step, how it is taken back
  /v1/tools                  what tools there are, and which their servers describe otherwise than accepted
  /v1/policy  /v1/halts  /v1/keys  /v1/status  /v1/events  /v1/tail  /metrics
  /openapi.json              all of it, described

Send `Authorization: Bearer <operator key>`: the text of `operator.key` in the data folder.
The command line does it for you: `remit runs`, `remit explain <call>`, `remit tail -f`.
";

/// The routes of the people's listener.
pub fn people_router(gate: Gate, options: Options) -> Router {
    let house = House::new(gate, options);
    Router::new()
        .route(at::FRONT, get(front))
        .route(at::SESSION, get(signin::session).post(signin::sign_in).delete(signin::sign_out))
        .route(at::LOGINS, post(signin::mint))
        .route(at::RUNS, get(runs))
        .route(at::RUN, get(run))
        .route(at::RUN_INCIDENT, get(incident::incident).post(report::send))
        .route(at::INCIDENTS, get(report::places))
        .route(at::RUN_CLOSE, post(control::close_run))
        .route(at::RUN_PAUSE, post(budget::pause))
        .route(at::RUN_RESUME, post(budget::resume))
        .route(at::RUN_EXTEND, post(budget::extend))
        .route(at::RUN_CHARGE, post(budget::charge))
        .route(at::RUN_CORRECT, post(budget::correct))
        .route(at::HOOK_CORRECT, post(hooks::correct))
        .route(at::RUN_PLAN, get(plans::plan))
        .route(at::RUN_UNDO, post(plans::undo))
        .route(at::RUN_ACCEPT, post(plans::accept))
        .route(at::BUDGET, get(budget::budget))
        .route(at::SPEND, get(budget::spend_report))
        .route(at::OBSERVED, get(observe::report))
        .route(at::SPEND_DAYS, get(budget::days_report))
        .route(at::TOP, get(budget::top))
        .route(at::CALLS, get(calls))
        .route(at::CALL, get(call))
        .route(at::CALL_RESOLVE, post(plans::resolve))
        .route(at::EXPLAIN, get(story::explain))
        .route(at::EVENTS, get(events))
        .route(at::TAIL, get(tail))
        .route(at::WHO_CAN, get(rules::who_can))
        .route(at::POLICY, get(rules::policy))
        .route(at::POLICY_EXPLAIN, post(rules::explain))
        .route(at::POLICY_FILES, get(change::files))
        .route(at::POLICY_CHANGE, post(change::change))
        .route(at::AGENTS, get(roster::agents))
        .route(at::AGENT, get(roster::agent))
        .route(at::AGENT_KEYS, post(control::mint_key).get(control::agent_keys))
        .route(at::TOOLS, get(tools::tools))
        .route(at::TOOL, get(tools::tool))
        .route(at::TOOL_ACCEPT, post(tools::accept))
        .route(at::KEYS, get(control::keys))
        .route(at::KEY, delete(control::revoke_key))
        .route(at::HALTS, get(halts::halts).post(halts::halt).delete(halts::resume))
        .route(at::INBOX, get(inbox::inbox))
        .route(at::INBOX_STATS, get(inbox::stats))
        .route(at::INBOX_CALL, get(inbox::shown))
        .route(at::INBOX_ANSWER, post(inbox::answer))
        .route(at::STATUS, get(status))
        .route(at::METRICS, get(metrics::metrics))
        .route(at::OPENAPI, get(openapi))
        .route(at::HEALTHZ, get(health::health))
        .route(at::READYZ, get(health::ready))
        .route_layer(middleware::from_fn_with_state(house.clone(), authn::admit))
        .merge(console::routes())
        .fallback(guard::unknown_route)
        .method_not_allowed_fallback(guard::unknown_method)
        .layer(middleware::from_fn_with_state(house.clone(), guard::guard))
        .with_state(house)
}

/// Browsers get the console; whoever asks by hand gets text.
async fn front(headers: HeaderMap) -> Response {
    if console::wanted(&headers) { console::shell(&headers) } else { FRONT.into_response() }
}

async fn runs(_: Person, State(house): State<Shared>, Query(query): Query<RunsQuery>) -> Answer<RunPage> {
    if query.stuck == Some(true) {
        return plans::stuck(&house).await;
    }
    let query = RunQuery {
        agent: query.agent,
        open: query.open,
        text: query.q,
        only: query.only.map(|only| match only {
            api::run::Only::Denied => Only::Denied,
            api::run::Only::Unknown => Only::Unknown,
        }),
        outcome: query.outcome,
        tool: query.tool,
        from: query.from.as_deref().map(|text| moment(text, 0)).transpose()?,
        until: query.until.as_deref().map(|text| moment(text, DAY_MS)).transpose()?,
        words: query.words.filter(|words| !words.is_empty()),
        before: query_id::<RunId>(query.before.as_deref())?,
        limit: page(query.limit),
        after_index: past(query.after),
    };
    let page = house.gate.runs(query).await?;
    let items = page.items.into_iter().map(words::run_view).collect();
    Ok(Json(RunPage { as_of: page.as_of, items, next: page.next }))
}

/// A time, or a day: the day's begin, and so much later.
fn moment(text: &str, day_ms: u64) -> Result<Time, Refusal> {
    let day = || format!("{text}T00:00:00Z").parse::<Time>().map(|day| day.plus_ms(day_ms));
    text.parse::<Time>().or_else(|_| day()).map_err(|_| {
        let detail = format!("`{text}` is no day, such as 2026-11-22, and no time in UTC");
        Refusal::new(Code::BadRequest, detail).at("query")
    })
}

async fn run(
    _: Person,
    State(house): State<Shared>,
    Path(run): Path<String>,
    Query(query): Query<AfterQuery>,
) -> Answer<RunShown> {
    let id = id::<RunId>(&run)?;
    let mut shown = words::run_shown(house.gate.run(id, past(query.after)).await?);
    shown.run.plan = house.gate.plan_of(id).await?.map(|plan| Box::new(plans::shown(plan)));
    Ok(Json(shown))
}

async fn calls(_: Person, State(house): State<Shared>, Query(query): Query<CallsQuery>) -> Answer<CallPage> {
    let query = CallQuery {
        run: query_id::<RunId>(query.run.as_deref())?,
        agent: query.agent,
        tool: query.tool,
        ruling: query.ruling,
        outcome: query.outcome,
        before: query_id::<CallId>(query.before.as_deref())?,
        limit: page(query.limit),
        after_index: past(query.after),
    };
    let page = house.gate.calls(query).await?;
    let items = page.items.into_iter().map(words::call_view).collect();
    Ok(Json(CallPage { as_of: page.as_of, items, next: page.next }))
}

async fn call(
    _: Person,
    State(house): State<Shared>,
    Path(call): Path<String>,
    Query(query): Query<AfterQuery>,
) -> Answer<CallShown> {
    let (as_of, view) = house.gate.call_view(id::<CallId>(&call)?, past(query.after)).await?;
    Ok(Json(CallShown { as_of, call: words::call_view(view) }))
}

async fn events(
    _: Person,
    State(house): State<Shared>,
    Query(query): Query<EventsQuery>,
) -> Answer<EventPage> {
    let limit = query.limit.unwrap_or(EVENTS_USUAL).clamp(1, EVENTS_MAX);
    let events = house.gate.events(query.from, limit).await?;
    let next = events.last().filter(|_| events.len() == limit).map(|event| event.index.saturating_add(1));
    let items = events.into_iter().map(|it| EventView { index: it.index, event: it.event }).collect();
    Ok(Json(EventPage { items, next }))
}

async fn status(_: Person, State(house): State<Shared>) -> Json<Status> {
    let (counts, rules) = (house.gate.counts(), house.gate.rules());
    let ready = house.gate.ready();
    let count = |length: usize| u64::try_from(length).unwrap_or(u64::MAX);
    Json(Status {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ready: ready.is_ok(),
        trouble: ready.err().map(|error| error.to_string()),
        rules_digest: rules.digest.to_string(),
        agents: count(rules.book.agents.len()),
        tools: count(rules.book.tools.len()),
        rules: count(rules.policy.rule_count()),
        head_index: counts.head_index,
        in_flight: counts.in_flight,
        waiting: count(house.gate.waiting_count()),
        allowed: counts.allowed,
        denied: counts.denied,
        settled: counts.settled.into_iter().map(|(name, number)| (name.to_owned(), number)).collect(),
        halts: count(house.gate.halts().len()),
    })
}

/// Built once: whoever asks needs no key, and must not make work.
static OPENAPI: LazyLock<Value> = LazyLock::new(api::openapi::document);

async fn openapi() -> Json<&'static Value> {
    Json(&*OPENAPI)
}

fn page(limit: Option<usize>) -> usize {
    limit.unwrap_or(PAGE_ITEMS_MAX / 4).clamp(1, PAGE_ITEMS_MAX)
}

// ---- Tail -------------------------------------------------------------------------------------------------

struct Tail {
    house: Shared,
    next: u64,
    /// Reads the whole ledger.
    whole: bool,
    _seat: Seat,
}

/// Events as they come, from an index, or from where a client's stream broke off.
async fn tail(
    person: Person,
    State(house): State<Shared>,
    Query(query): Query<TailQuery>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let Some(seat) = house.tail_seat() else {
        return Err(Refusal::new(Code::Overloaded, "too many streams of events are open"));
    };
    let seen = headers.get("last-event-id").and_then(|id| id.to_str().ok()?.parse::<u64>().ok());
    let next = past(seen).or(query.from).unwrap_or_else(|| house.gate.counts().head_index);
    let whole = person.may(Auth::Auditor);
    let pieces = futures_util::stream::unfold(Tail { house, next, whole, _seat: seat }, piece);
    let mut answer = Body::from_stream(pieces).into_response();
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    Ok(answer)
}

async fn piece(mut tail: Tail) -> Option<(Result<Bytes, Infallible>, Tail)> {
    let mut stop = tail.house.options.stop.clone();
    let head = tokio::select! {
        head = tail.house.gate.wait_past(tail.next, HEARTBEAT) => head,
        _ = stop.wait_for(|stop| *stop) => return None,
    };
    if head <= tail.next {
        return Some((Ok(Bytes::from_static(b": nothing new\n\n")), tail));
    }
    let mut text = Vec::new();
    for event in tail.house.gate.events(tail.next, EVENTS_MAX).await.ok()? {
        tail.next = event.index.saturating_add(1);
        if !tail.whole
            && !event
                .event
                .get("kind")
                .and_then(|kind| kind.as_str())
                .is_some_and(|kind| WORK.contains(&kind))
        {
            continue;
        }
        let view = EventView { index: event.index, event: event.event };
        text.extend_from_slice(format!("id: {}\ndata: ", view.index).as_bytes());
        // JSON escapes line breaks, so an event cannot end its own line.
        text.extend_from_slice(&serde_json::to_vec(&view).ok()?);
        text.extend_from_slice(b"\n\n");
    }
    if text.is_empty() {
        text.extend_from_slice(b": nothing for you\n\n");
    }
    Some((Ok(Bytes::from(text)), tail))
}
