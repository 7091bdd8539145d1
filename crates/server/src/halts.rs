//! Halts: who may stop what, for how long, and the report of what it met.

use api::endpoint::Auth;
use api::people::{Halt, HaltList, HaltReport, HaltView, HeldCall, ResumeQuery};
use api::problem::Code;
use api::run::Recorded;
use axum::Json;
use axum::extract::State;
use gate::{Contained, Gate, HaltAsk, HeldEnd};
use kernel::halt::Scope;
use kernel::time::Time;

use crate::ask::{Query, Told};
use crate::authn::Person;
use crate::control::{NO_WHY, recorded};
use crate::house::Shared;
use crate::refusal::{Answer, Refusal};
use crate::words;

/// Calls named in one report; the counts are of all.
const CALLS_SHOWN_MAX: usize = 1_000;

pub(crate) async fn halts(_: Person, State(house): State<Shared>) -> Json<HaltList> {
    Json(HaltList { items: halt_views(&house.gate) })
}

pub(crate) fn halt_views(gate: &Gate) -> Vec<HaltView> {
    let view = |(scope, halt): (Scope, kernel::halt::Halt)| HaltView {
        scope: scope.to_string(),
        why: halt.why,
        by: halt.by,
        since: halt.since.to_string(),
        until: halt.until.map(|until| until.to_string()),
        reads_allowed: halt.reads_allowed,
    };
    gate.halts().into_iter().map(view).collect()
}

pub(crate) async fn halt(
    person: Person,
    State(house): State<Shared>,
    Told(body): Told<Halt>,
) -> Answer<HaltReport> {
    let scope = scope(&body.scope, body.env.as_deref(), "/scope")?;
    if !person.may(Auth::Operator) && !owns(&house.gate, &person, &scope) {
        return Err(not_theirs(&person));
    }
    let now = house.options.clock.now();
    let until = body.until.as_deref().map(|text| until(text, now)).transpose()?;
    let (why, by, reads_allowed) = (body.why, person.name, body.reads_allowed);
    let ask = HaltAsk { scope: scope.clone(), why, by, until, reads_allowed, force: body.force };
    let contained = house.gate.halt(ask).await?.map_err(|reason| Refusal::law(&reason))?;
    let report = HaltReport {
        scope: scope.to_string(),
        until: until.map(|until| until.to_string()),
        reads_allowed,
        ..report(contained)
    };
    Ok(Json(report))
}

pub(crate) async fn resume(
    person: Person,
    State(house): State<Shared>,
    Query(query): Query<ResumeQuery>,
) -> Answer<Recorded> {
    let scope = scope(&query.scope, query.env.as_deref(), "query")?;
    if !person.may(Auth::Operator) {
        let halts = house.gate.halts();
        let own = halts.iter().any(|(known, halt)| *known == scope && halt.by == person.name);
        if !own || !owns(&house.gate, &person, &scope) {
            return Err(not_theirs(&person));
        }
    }
    recorded(house.gate.resume(scope, query.why.as_deref().unwrap_or(NO_WHY), &person.name).await?)
}

/// Whoever answers for an agent may always halt it.
fn owns(gate: &Gate, person: &Person, scope: &Scope) -> bool {
    match scope {
        Scope::In(scope, _) => owns(gate, person, scope),
        Scope::Agent(name) => gate.rules().agent(name).is_some_and(|manifest| manifest.owner == person.name),
        _ => false,
    }
}

fn not_theirs(person: &Person) -> Refusal {
    let detail = format!("`{}` may halt the agents that they own, and lift what they halted", person.name);
    Refusal::new(Code::RoleForbidden, detail)
}

fn scope(text: &str, env: Option<&str>, at: &str) -> Result<Scope, Refusal> {
    // A blank before a name would make a halt that covers nothing.
    let text = text.trim().replace(": ", ":");
    let text = env.map_or(text.clone(), |env| format!("{text} in {env}"));
    text.parse::<Scope>().map_err(|error| Refusal::new(Code::BadRequest, error.to_string()).at(at))
}

/// A time to come, or in how long.
fn until(text: &str, now: Time) -> Result<Time, Refusal> {
    let refused = |why: String| Refusal::new(Code::BadRequest, why).at("/until");
    if let Some(ms) = stdx::duration::parse_ms(text).filter(|ms| *ms > 0) {
        return Ok(now.plus_ms(ms));
    }
    match text.parse::<Time>() {
        Ok(until) if until > now => Ok(until),
        Ok(_) => Err(refused(format!("`until` is over: it is {now}"))),
        Err(_) => Err(refused(
            "`until` is a time in UTC, such as 2026-11-21T14:30:00Z, or a duration, such as 30m".to_owned(),
        )),
    }
}

fn report(contained: Contained) -> HaltReport {
    let Contained { receipt, mut calls, cancelled, unknown_before, quiet_from } = contained;
    let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    let count = |end: HeldEnd| number(calls.iter().filter(|call| call.end == end).count());
    let (stopped, finished) = (count(HeldEnd::Stopped), count(HeldEnd::Finished));
    let (unclear, in_flight) = (count(HeldEnd::Unclear), number(calls.len()));
    calls.sort_by_key(|call| (call.end != HeldEnd::Unclear, call.end == HeldEnd::Finished, call.call));
    calls.truncate(CALLS_SHOWN_MAX);
    let shown = |call: gate::HeldCall| HeldCall {
        call: call.call.to_string(),
        run: call.run.to_string(),
        agent: call.agent,
        tool: call.tool,
        since: call.since.to_string(),
        end: call.end.name().to_owned(),
        outcome: call.outcome.map(|outcome| outcome.name().to_owned()),
        trouble: call.trouble,
    };
    HaltReport {
        receipt: words::receipt(receipt),
        scope: String::new(),
        until: None,
        reads_allowed: false,
        in_flight,
        stopped,
        finished,
        unclear,
        cancelled: number(cancelled),
        unknown_before: number(unknown_before),
        quiet_from,
        calls: calls.into_iter().map(shown).collect(),
    }
}
