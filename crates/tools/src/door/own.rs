//! Remit's own tools at this door. They are no calls: they reach nobody, and what they do is an event of its own.

mod plans;
mod said;

use std::time::Duration;

use gate::error::Error;
use kernel::balance::{Balance, Of, Whose};
use kernel::id::CallId;
use kernel::reason::{Code, Reason};
use serde_json::{Value, json};

use super::Visit;
use super::methods::{self, Request};
use super::refused::Refused;
use super::told;
use crate::mcp::wire::Members;

const REPLAN: &str = "remit.replan";
const STATUS: &str = "remit.status";
const STATUS_ABOUT: &str = "What you may still spend in this run, what you have spent, whether anything was decided \
    about that, which of your calls wait for a person, the phase that you are in, and how far your plan or group is; \
    with `ticket`: what became of that call. It costs nothing to ask.";
const REPLAN_ABOUT: &str = "Say what you learned, before you go on. Remit asks for this when a write failed and \
    you want to make the very same call again, or when you go in circles. After a write that failed, also read anew \
    what it should have changed: it may have happened.";

/// Whether a name is one of ours, whatever servers call theirs.
pub(super) fn is_own(name: &str) -> bool {
    name == REPLAN || name == STATUS || plans::is_of_plans(name)
}

/// What is shown after the tools of servers, to whoever has any.
pub(super) fn list(visit: &Visit) -> Vec<Value> {
    if visit.visible().is_empty() {
        return Vec::new();
    }
    let learned =
        json!({ "type": "string", "description": "What you learned, and what you do differently now." });
    let replan = json!({
        "name": REPLAN,
        "title": "Say what was learned",
        "description": REPLAN_ABOUT,
        "inputSchema": {
            "type": "object",
            "properties": { "learned": learned },
            "required": ["learned"],
            "additionalProperties": false,
        },
        "annotations": { "readOnlyHint": true, "destructiveHint": false, "openWorldHint": false },
    });
    let mut all = vec![replan, status()];
    all.extend(plans::list(visit));
    all
}

fn status() -> Value {
    json!({
        "name": STATUS,
        "title": "Ask what may still be spent, and what waits",
        "description": STATUS_ABOUT,
        "inputSchema": {
            "type": "object",
            "properties": { "ticket": { "type": "string", "description": "Of a call that waited for a person." } },
            "additionalProperties": false,
        },
        "annotations": { "readOnlyHint": true, "destructiveHint": false, "openWorldHint": false },
    })
}

pub(super) async fn call(request: &Request<'_>) -> Result<Members, Refused> {
    match request.params.get("name").and_then(Value::as_str) {
        Some(STATUS) => {
            let ticket = request.params.get("arguments").and_then(|arguments| arguments.get("ticket"));
            return match ticket.filter(|ticket| !ticket.is_null()) {
                Some(ticket) => told_ticket(request.visit, ticket).await,
                None => told_status(request).await,
            };
        }
        Some(name) if plans::is_of_plans(name) => return plans::call(request, name).await,
        _ => {}
    }
    let visit = request.visit;
    let learned = request.params.get("arguments").and_then(|arguments| arguments.get("learned"));
    let Some(learned) = learned.and_then(Value::as_str).filter(|text| !text.trim().is_empty()) else {
        return Err(Refused::params("`learned` is missing: say in words what was learned"));
    };
    let run = match methods::run(request).await {
        Ok(run) => run,
        Err(refused) if refused.is_law() => return Ok(told::unrun(visit, &refused).await),
        Err(refused) => return Err(refused),
    };
    match visit.door.gate.replan(&visit.caller, run, learned).await {
        Ok(Ok(receipt)) => Ok(told::replanned(receipt)),
        Ok(Err(reason)) => Ok(told::unrun(visit, &Refused::law(&reason)).await),
        Err(error) => Err(Refused::house(&error)),
    }
}

/// What became of one call that waited for people.
async fn told_ticket(visit: &Visit, ticket: &Value) -> Result<Members, Refused> {
    let unknown = || Refused::params("`ticket` is none of yours: call_… as Remit told it");
    let call = ticket.as_str().and_then(|text| text.parse::<CallId>().ok()).ok_or_else(unknown)?;
    let answered = match visit.door.gate.wait_ticket(&visit.caller, call, Duration::ZERO).await {
        Ok(answered) => answered,
        Err(Error::NotFound { .. }) => return Err(unknown()),
        Err(error) => return Err(Refused::house(&error)),
    };
    let Some(ticket) = answered.ticket.clone() else {
        let (mut answered, name) = (answered, call.to_string());
        if !answered.verdict.allows() {
            return Ok(told::refusal(&name, None, &answered));
        }
        let said = told::said(&mut answered);
        return told::outcome(&name, None, answered).map(|result| told::approved(said, result));
    };
    Ok(told::pending(&ticket, told::ticket(&ticket, &visit.door.console)))
}

/// Every account that counts for the run of the one who asks.
async fn told_status(request: &Request<'_>) -> Result<Members, Refused> {
    let visit = request.visit;
    let run = match methods::run(request).await {
        Ok(run) => run,
        Err(refused) if refused.is_law() => return Ok(told::unrun(visit, &refused).await),
        Err(refused) => return Err(refused),
    };
    let own =
        |balance: &Balance| matches!(&balance.of, Of::Run { agent, .. } if *agent == visit.caller.agent);
    match visit.door.gate.balances(Whose::Run(run)).await {
        Ok(Ok(balances)) if balances.first().is_some_and(own) => {
            let tickets = visit.door.gate.tickets(&visit.caller, None);
            let waiting = tickets.iter().map(|ticket| told::ticket(ticket, &visit.door.console));
            let plan = visit.door.gate.plan_of(run).await.map_err(|error| Refused::house(&error))?;
            let about = plans::about(visit, run, plan.as_ref());
            Ok(told::status(run, &balances, waiting.collect(), about))
        }
        Ok(_) => {
            let reason = Reason::new(Code::RunUnknown);
            Ok(told::unrun(visit, &Refused::law(&reason)).await)
        }
        Err(error) => Err(Refused::house(&error)),
    }
}
