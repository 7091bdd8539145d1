//! What servers offer beside tools: resources, prompts and completions. Lists come from Remit's own catalogue;
//! everything else is a call on the line, of the contract that stands for the method.

use std::sync::Arc;

use gate::CallAsk;
use kernel::contract::Contract;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::methods::{self, Request};
use super::refused::Refused;
use super::rounds::{self, Walked};
use super::tickets::{Wait, Waited};
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
    let (tool, model, context_tokens, idempotency_key) = (contract.name.clone(), None, None, None);
    let ask = CallAsk { run, tool, args, reason: None, model, context_tokens, idempotency_key };
    let uri = request.params.get("uri").and_then(Value::as_str).map(str::to_owned);
    let (session, method) = (request.session, request.method.clone());
    let args = ask.args.clone();
    let mut wait = Wait::of(&request, &ask.tool, move || args.clone());
    if let Some(ticket) = wait.brought_back()? {
        return waited(wait.taken_up(ticket).await?);
    }
    let result = match rounds::walk(&request, Some(&contract), ask, told::offered).await? {
        Walked::Told(result) => result,
        Walked::Asked(answered) => match answered.ticket.clone() {
            Some(ticket) => waited(wait.wait(ticket).await?)?,
            None => told::offered(*answered)?,
        },
        Walked::Denied(_, denied) => told::offered(*denied)?,
        Walked::House(error) => return Err(Refused::house(&error)),
    };
    if let (Some(session), Some(uri)) = (session, uri) {
        match method.as_str() {
            "resources/subscribe" if !session.watch(&uri) => {
                return Err(Refused::params("this session is subscribed to too many resources; end one"));
            }
            "resources/unsubscribe" => session.unwatch(&uri),
            _ => {}
        }
    }
    Ok(result)
}

/// What is read has no place for a ticket in its answer: whoever waited long enough is told it in an error of the
/// protocol, and the very same request waits on. A client that is asked in results comes again with its state.
fn waited(waited: Waited) -> Result<Members, Refused> {
    match waited {
        Waited::Over(answered) => told::offered(*answered),
        Waited::Told(result) if result.contains_key("resultType") => Ok(result),
        Waited::Told(result) => Err(told::unanswered(&result)),
    }
}

/// The name of the tool that stands for what a server asks of clients, if it could ever be allowed to this caller.
pub(super) fn question(visit: &Visit, server: &str, asked: &str) -> Option<String> {
    let rules = visit.door.gate.rules();
    let prefix = format!("{server}.");
    let own = rules.book.tools.range(prefix.clone()..).take_while(|(name, _)| name.starts_with(&prefix));
    let mut named = own.filter(|(_, contract)| method(contract) == Some(asked)).map(|(name, _)| name);
    named.find(|name| rules.policy.can_ever(&visit.caller.agent, name)).cloned()
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

/// The contract of the server whose resource this is: the only one there is, or the only one that lists it.
async fn holder(
    visit: &Visit,
    mut contracts: Vec<Arc<Contract>>,
    uri: &str,
) -> Result<Arc<Contract>, Refused> {
    if let (Some(only), 1) = (contracts.first(), contracts.len()) {
        return Ok(only.clone());
    }
    for kind in [Kind::Resources, Kind::Templates] {
        let lists = lists(visit, contracts.clone(), kind).await;
        if let Some(server) = lister(&lists, kind, uri)? {
            contracts.retain(|contract| contract.server == server);
            return contracts.pop().ok_or_else(|| no_resource(uri));
        }
    }
    Err(no_resource(uri))
}

/// The one server that lists a resource. To pick one of several would be to answer with another's resource.
pub(super) fn lister<'l>(
    lists: &'l [(String, Vec<Value>)],
    kind: Kind,
    uri: &str,
) -> Result<Option<&'l str>, Refused> {
    let member = if kind == Kind::Templates { "uriTemplate" } else { "uri" };
    let has = |list: &[Value]| {
        let mut known = list.iter().filter_map(|item| item.get(member)?.as_str());
        known.any(|known| known == uri || (kind == Kind::Templates && fits(known, uri)))
    };
    let servers: Vec<&str> =
        lists.iter().filter(|(_, list)| has(list)).map(|(name, _)| name.as_str()).collect();
    if let [] | [_] = servers.as_slice() {
        return Ok(servers.first().copied());
    }
    let doors: Vec<String> = servers.iter().map(|server| format!("`{}/{server}`", super::PATH)).collect();
    let words = format!("more than one server has the resource {uri}: ask for it at {}", doors.join(" or "));
    Err(Refused::params(words).with_data(json!({ "uri": uri, "servers": servers })))
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
