//! `tools/list` and `tools/call`.

use std::sync::Arc;

use gate::error::Error;
use gate::{Answered, CallAsk};
use kernel::contract::{Contract, Effect};
use kernel::obligation::{Kind, Obligation};
use serde_json::{Map, Value, json};
use stdx::encode::{base64url, unbase64url};

use super::methods::{self, Request};
use super::refused::Refused;
use super::rounds::{self, Walked};
use super::tickets::{Wait, Waited};
use super::{Scope, Visit, offers, own, told};
use crate::mcp::wire::Members;

/// Tools on one page.
const PAGE_TOOLS_MAX: usize = 500;
/// What a model may say of why it calls: taken out before the arguments are looked at, and kept as its own words.
const REASON: &str = "remit_reason";
const REASON_ABOUT: &str = "Why you do this, in a sentence. For the record; the tool does not see it.";

pub(super) fn list(request: &Request<'_>) -> Result<Members, Refused> {
    let after = after(request.params.get("cursor"))?;
    let mut visible = request.visit.visible();
    visible.retain(|contract| is_tool(contract));
    let (page, next) = page(&visible, after.as_deref(), PAGE_TOOLS_MAX);
    let mut tools: Vec<Value> = page.iter().map(|contract| shown(contract, &request.visit.scope)).collect();
    if next.is_none() {
        tools.extend(own::list(request.visit));
    }
    let mut result = Members::from_iter([("tools".to_owned(), tools.into())]);
    if let Some(next) = next {
        result.insert("nextCursor".to_owned(), base64url(next.as_bytes()).into());
    }
    Ok(result)
}

pub(super) async fn call(request: Request<'_>) -> Result<Members, Refused> {
    let visit = request.visit;
    let Some(name) = request.params.get("name").and_then(Value::as_str).map(str::to_owned) else {
        return Err(Refused::params("`name` is missing: which tool is called"));
    };
    if own::is_own(&name) {
        return Box::pin(own::call(&request)).await;
    }
    let contract = visit.tool(&name);
    if contract.as_deref().is_some_and(|contract| !is_tool(contract)) {
        return Err(unknown(&name));
    }
    let (args, reason) = arguments(request.params.get("arguments"), contract.as_deref())?;
    let run = match methods::run(&request).await {
        Ok(run) => run,
        Err(refused) if refused.is_law() => return Ok(Box::pin(told::unrun(visit, &refused)).await),
        Err(refused) => return Err(refused),
    };
    let tool = visit.scope.full_name(&name);
    let (model, context_tokens, idempotency_key) = (None, None, None);
    let ask = CallAsk { run, tool, args, reason, model, context_tokens, idempotency_key };
    let told = |answered: Answered| match &contract {
        None if !answered.verdict.allows() => Err(unknown(&name).recorded()),
        _ if !answered.verdict.allows() => Ok(told::refusal(&name, contract.as_deref(), &answered)),
        _ => {
            let mut answered = answered;
            let said = told::said(&mut answered);
            let verdict = answered.verdict.clone();
            let called = called(visit, &verdict.obligations).or(contract.clone());
            let result = told::outcome(&name, called.as_deref(), answered)?;
            let is_anothers = verdict.obligations.iter().any(|one| one.kind() == Kind::Instead);
            let mut result = told::approved(said, told::obliged(&verdict, result));
            if is_anothers && told::has_output_schema(contract.as_deref()) {
                // Another tool's structure is held to this one's schema, and would break its client.
                result.remove("structuredContent");
            }
            Ok(result)
        }
    };
    let sent = || arguments(request.params.get("arguments"), contract.as_deref());
    let mut wait = Wait::of(&request, &ask.tool, || sent().map(|(args, _)| args).unwrap_or_default());
    if let Some(ticket) = wait.brought_back()? {
        return waited(Box::pin(wait.taken_up(ticket)).await?, told);
    }
    match rounds::walk(&request, contract.as_deref(), ask, &told).await? {
        Walked::Told(result) => Ok(result),
        Walked::Asked(answered) => match answered.ticket.clone() {
            Some(ticket) => waited(Box::pin(wait.wait(ticket)).await?, told),
            None => told(*answered),
        },
        Walked::Denied(tool, denied) => Ok(told::refusal(&tool, None, &denied)),
        Walked::House(error @ (Error::LogUnwritable | Error::DiskLow | Error::Overloaded)) => {
            Ok(told::unavailable(&error))
        }
        Walked::House(error) => Err(Refused::house(&error)),
    }
}

/// The contract of the tool that was called in the place of the one that was asked for.
fn called(visit: &Visit, by: &[Obligation]) -> Option<Arc<Contract>> {
    let tool = by.iter().find_map(|one| match one {
        Obligation::Instead { tool, .. } => Some(tool),
        _ => None,
    })?;
    visit.door.gate.rules().tool(tool).map(|known| known.contract.clone())
}

fn waited(waited: Waited, told: impl Fn(Answered) -> Result<Members, Refused>) -> Result<Members, Refused> {
    match waited {
        Waited::Told(result) => Ok(result),
        Waited::Over(answered) => told(*answered),
    }
}

/// A tool that a caller may never use is one that does not exist.
fn unknown(name: &str) -> Refused {
    Refused::params(format!("Unknown tool: {name}"))
}

/// Whether this is a tool of its server, and not another thing that the server offers.
fn is_tool(contract: &Contract) -> bool {
    offers::method(contract).is_none()
}

fn after(cursor: Option<&Value>) -> Result<Option<String>, Refused> {
    let Some(cursor) = cursor.filter(|cursor| !cursor.is_null()) else { return Ok(None) };
    let name = cursor.as_str().and_then(unbase64url).and_then(|bytes| String::from_utf8(bytes).ok());
    name.map(Some).ok_or_else(|| Refused::params("this cursor is none that was given out; begin without one"))
}

/// What comes after a name, in the order of names, and the name after which there is more.
pub(super) fn page<'c>(
    all: &'c [Arc<Contract>],
    after: Option<&str>,
    max: usize,
) -> (&'c [Arc<Contract>], Option<&'c str>) {
    let from = after.map_or(0, |after| all.partition_point(|contract| contract.name.as_str() <= after));
    let rest = all.get(from..).unwrap_or_default();
    match rest.get(..max) {
        Some(page) if page.len() < rest.len() => (page, page.last().map(|last| last.name.as_str())),
        _ => (rest, None),
    }
}

/// The arguments as the tool gets them, and the reason that was among them.
fn arguments(sent: Option<&Value>, contract: Option<&Contract>) -> Result<(Value, Option<String>), Refused> {
    let mut args = match sent {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(args)) => args.clone(),
        Some(_) => return Err(Refused::params("`arguments` is not an object")),
    };
    if contract.is_some_and(has_reason_of_its_own) {
        return Ok((args.into(), None));
    }
    match args.remove(REASON) {
        None | Some(Value::Null) => Ok((args.into(), None)),
        Some(Value::String(reason)) => Ok((args.into(), Some(reason))),
        Some(_) => Err(Refused::params(format!("`{REASON}` is not a text"))),
    }
}

fn has_reason_of_its_own(contract: &Contract) -> bool {
    contract.input.get("properties").is_some_and(|properties| properties.get(REASON).is_some())
}

/// A tool as its definition was accepted, under its name behind this door, and with a place for the reason.
fn shown(contract: &Contract, scope: &Scope) -> Value {
    let mut tool = match &contract.definition {
        Some(Value::Object(accepted)) => accepted.clone(),
        _ => described(contract),
    };
    tool.insert("name".to_owned(), scope.name_of(contract).into());
    let schema = tool.entry("inputSchema").or_insert_with(|| contract.input.clone());
    if !schema.is_object() {
        *schema = json!({});
    }
    if let Value::Object(schema) = schema {
        schema.entry("type").or_insert_with(|| "object".into());
        let properties = schema.entry("properties").or_insert_with(|| json!({}));
        if let (Value::Object(properties), false) = (properties, has_reason_of_its_own(contract)) {
            let about = json!({ "type": "string", "description": REASON_ABOUT });
            properties.insert(REASON.to_owned(), about);
        }
    }
    tool.into()
}

/// A tool that no server describes is described by its contract.
fn described(contract: &Contract) -> Members {
    let hints = json!({
        "readOnlyHint": !contract.effect.writes(),
        "destructiveHint": contract.effect == Effect::Irreversible,
    });
    let members = [
        ("description", Value::from(contract.about.as_str())),
        ("inputSchema", contract.input.clone()),
        ("annotations", hints),
    ];
    members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
