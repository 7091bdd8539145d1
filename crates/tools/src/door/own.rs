//! Remit's own tools at this door. They are no calls: they reach nobody, and what they do is an event of its own.

mod plans;
mod said;

use kernel::balance::{Balance, Of, Whose};
use kernel::reason::{Code, Reason};
use serde_json::{Value, json};

use super::Visit;
use super::methods::{self, Request};
use super::refused::Refused;
use super::told;
use crate::mcp::wire::Members;

const REPLAN: &str = "remit.replan";
const STATUS: &str = "remit.status";
const STATUS_ABOUT: &str = "What you may still spend in this run, what you have spent, and whether anything was \
    decided about that. It costs nothing to ask.";
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
    if plans::works_in_phases(visit) {
        all.extend(plans::list());
    }
    all
}

fn status() -> Value {
    json!({
        "name": STATUS,
        "title": "Ask what may still be spent",
        "description": STATUS_ABOUT,
        "inputSchema": { "type": "object", "properties": {}, "additionalProperties": false },
        "annotations": { "readOnlyHint": true, "destructiveHint": false, "openWorldHint": false },
    })
}

pub(super) async fn call(request: &Request<'_>) -> Result<Members, Refused> {
    match request.params.get("name").and_then(Value::as_str) {
        Some(STATUS) => return told_status(request).await,
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
        Ok(Ok(balances)) if balances.first().is_some_and(own) => Ok(told::status(run, &balances)),
        Ok(_) => {
            let reason = Reason::new(Code::RunUnknown);
            Ok(told::unrun(visit, &Refused::law(&reason)).await)
        }
        Err(error) => Err(Refused::house(&error)),
    }
}
