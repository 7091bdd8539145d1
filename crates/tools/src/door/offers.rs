//! What servers offer beside tools: resources, prompts and completions. Lists come from Remit's own catalogue;
//! everything else is a call on the line, of the contract that stands for the method.

use std::sync::Arc;

use gate::CallAsk;
use kernel::contract::Contract;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::methods::{self, Request};
use super::refused::Refused;
use super::rounds::{Begun, Round};
use super::{Visit, told};
use crate::mcp::upstream::Kind;
use crate::mcp::wire::{Members, RpcError};

/// Items of all servers together in one answer; what is beyond is left out.
const ITEMS_MAX: usize = 10_000;

/// The method that a contract stands for, if it is not a tool.
pub(super) fn method(contract: &Contract) -> Option<&str> {
    contract.via.get("mcp")?.get("method")?.as_str()
}

/// The contracts behind this door that stand for a method and could ever be allowed to this caller.
pub(super) fn contracts(visit: &Visit, wanted: &str) -> Vec<Arc<Contract>> {
    let mut visible = visit.visible();
    visible.retain(|contract| method(contract) == Some(wanted));
    visible
}

pub(super) async fn list(request: &Request<'_>, kind: Kind) -> Result<Members, Refused> {
    let visit = request.visit;
    let (member, wanted) = match kind {
        Kind::Resources => ("resources", "resources/read"),
        Kind::Templates => ("resourceTemplates", "resources/read"),
        Kind::Prompts | Kind::Tools => ("prompts", "prompts/get"),
    };
    let mut items = Vec::new();
    for (server, mut list) in lists(visit, some(request, wanted)?, kind).await {
        if kind == Kind::Prompts {
            list.iter_mut().for_each(|prompt| rename(visit, &server, prompt));
        }
        items.extend(list);
    }
    items.truncate(ITEMS_MAX);
    Ok(Members::from_iter([(member.to_owned(), items.into())]))
}

/// Carries the request out as a call of the contract that stands for its method on the server that it means.
pub(super) async fn carry(request: Request<'_>) -> Result<Members, Refused> {
    let contracts = some(&request, &request.method)?;
    let (contract, args) = match request.method.as_str() {
        "prompts/get" => prompt(&request, contracts)?,
        "completion/complete" => completion(&request, contracts).await?,
        _ => resource(&request, contracts).await?,
    };
    let run = methods::run(&request).await?;
    let round = Round::of(&request, &contract, &args, run);
    let feed = match Round::begun(round.as_ref(), &request.params, request.feed).await? {
        Begun::With(feed) => feed,
        Begun::Denied(_, denied) => return told::offered(denied),
    };
    let (tool, model, context_tokens, idempotency_key) = (contract.name.clone(), None, None, None);
    let ask = CallAsk { run, tool, args, reason: None, model, context_tokens, idempotency_key };
    let visit = request.visit;
    let answered = visit.door.gate.call_fed(&visit.caller, ask, feed, request.unwanted).await;
    let result = told::offered(answered.map_err(|error| Refused::house(&error))?)?;
    if let (Some(session), Some(uri)) = (request.session, request.params.get("uri").and_then(Value::as_str)) {
        match request.method.as_str() {
            "resources/subscribe" if !session.watch(uri) => {
                return Err(Refused::params("this session is subscribed to too many resources; end one"));
            }
            "resources/unsubscribe" => session.unwatch(uri),
            _ => {}
        }
    }
    Round::ended(round.as_ref(), result)
}

/// A method that nobody here offers to this caller does not exist.
fn some(request: &Request<'_>, wanted: &str) -> Result<Vec<Arc<Contract>>, Refused> {
    let contracts = contracts(request.visit, wanted);
    if contracts.is_empty() {
        return Err(RpcError::method_not_found(&request.method).into());
    }
    Ok(contracts)
}

/// Each server's list. One that cannot be asked costs its own items only.
async fn lists(visit: &Visit, contracts: Vec<Arc<Contract>>, kind: Kind) -> Vec<(String, Vec<Value>)> {
    let mut asking = JoinSet::new();
    for contract in contracts {
        let (catalogue, server) = (visit.door.catalogue.clone(), contract.server.clone());
        asking.spawn(async move {
            let list = catalogue.list(&server, kind).await;
            let list =
                list.inspect_err(|trouble| tracing::warn!(server, ?trouble, "a server's list is missing"));
            (server, list.map(|list| list.items.clone()).unwrap_or_default())
        });
    }
    let mut lists = asking.join_all().await;
    lists.sort_by(|a, b| a.0.cmp(&b.0));
    lists
}

fn rename(visit: &Visit, server: &str, prompt: &mut Value) {
    if visit.scope.0.is_none()
        && let Some(name) = prompt.get("name").and_then(Value::as_str)
    {
        let full = format!("{server}.{name}");
        if let Value::Object(prompt) = prompt {
            prompt.insert("name".to_owned(), full.into());
        }
    }
}

type Meant = (Arc<Contract>, Value);

fn prompt(request: &Request<'_>, contracts: Vec<Arc<Contract>>) -> Result<Meant, Refused> {
    let name = text(&request.params, "name")?;
    let (contract, own) = named(request.visit, contracts, name)?;
    let mut args = Members::from_iter([("name".to_owned(), own.into())]);
    if let Some(arguments) = request.params.get("arguments").filter(|arguments| !arguments.is_null()) {
        args.insert("arguments".to_owned(), arguments.clone());
    }
    Ok((contract, args.into()))
}

/// The contract of the server that a prompt's name begins with, and the name that the server knows.
fn named(
    visit: &Visit,
    contracts: Vec<Arc<Contract>>,
    name: &str,
) -> Result<(Arc<Contract>, String), Refused> {
    let own = |contract: &Contract| match visit.scope.0 {
        Some(_) => Some(name.to_owned()),
        None => name.strip_prefix(&contract.server)?.strip_prefix('.').map(str::to_owned),
    };
    let mut found = contracts.into_iter().filter_map(|contract| own(&contract).map(|own| (contract, own)));
    found.next().ok_or_else(|| Refused::params(format!("Unknown prompt: {name}")))
}

async fn resource(request: &Request<'_>, contracts: Vec<Arc<Contract>>) -> Result<Meant, Refused> {
    let uri = text(&request.params, "uri")?;
    let contract = holder(request.visit, contracts, uri).await?;
    Ok((contract, json!({ "uri": uri })))
}

async fn completion(request: &Request<'_>, contracts: Vec<Arc<Contract>>) -> Result<Meant, Refused> {
    let Some(Value::Object(about)) = request.params.get("ref") else {
        return Err(Refused::params("`ref` is missing: what is completed"));
    };
    let mut about = about.clone();
    let contract = match about.get("uri").and_then(Value::as_str) {
        Some(uri) => holder(request.visit, contracts, uri).await?,
        None => {
            let (contract, own) = named(request.visit, contracts, text(&about, "name")?)?;
            about.insert("name".to_owned(), own.into());
            contract
        }
    };
    let mut args = Members::from_iter([("ref".to_owned(), about.into())]);
    for name in ["argument", "context"] {
        if let Some(value) = request.params.get(name).filter(|value| !value.is_null()) {
            args.insert(name.to_owned(), value.clone());
        }
    }
    Ok((contract, args.into()))
}

/// The contract of the server whose resource this is: the only one there is, or the first that lists it.
async fn holder(
    visit: &Visit,
    mut contracts: Vec<Arc<Contract>>,
    uri: &str,
) -> Result<Arc<Contract>, Refused> {
    if let (Some(only), 1) = (contracts.first(), contracts.len()) {
        return Ok(only.clone());
    }
    for (kind, member) in [(Kind::Resources, "uri"), (Kind::Templates, "uriTemplate")] {
        for (server, list) in lists(visit, contracts.clone(), kind).await {
            let mut known = list.iter().filter_map(|item| item.get(member)?.as_str());
            if known.any(|known| known == uri || (kind == Kind::Templates && fits(known, uri))) {
                contracts.retain(|contract| contract.server == server);
                return contracts.pop().ok_or_else(|| no_resource(uri));
            }
        }
    }
    Err(no_resource(uri))
}

/// Whether a URI begins as a template does, and ends as it ends: enough to tell whose it is.
fn fits(template: &str, uri: &str) -> bool {
    let (Some(head), Some(tail)) = (template.split('{').next(), template.rsplit('}').next()) else {
        return false;
    };
    template.contains('{')
        && !head.is_empty()
        && uri.len() >= head.len() + tail.len()
        && uri.starts_with(head)
        && uri.ends_with(tail)
}

fn no_resource(uri: &str) -> Refused {
    Refused::params(format!("Resource not found: {uri}")).with_data(json!({ "uri": uri }))
}

fn text<'p>(params: &'p Members, name: &str) -> Result<&'p str, Refused> {
    params.get(name).and_then(Value::as_str).ok_or_else(|| Refused::params(format!("`{name}` is missing")))
}
