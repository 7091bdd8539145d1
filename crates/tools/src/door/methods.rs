//! What is answered to each method. An era only decides which methods there are, and how the answer is written.

use std::sync::Arc;

use gate::port::Feed;
use http::StatusCode;
use kernel::id::RunId;
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};

use super::refused::Refused;
use super::session::Session;
use super::{Visit, offers, tasks, tools};
use crate::mcp::era::{self, Reply, Version};
use crate::mcp::upstream::Kind;
use crate::mcp::wire::{self, Members, Message, RpcError};

/// How long a client may keep a list. Whatever it kept, each call is decided anew.
const LIST_TTL_MS: u64 = 60_000;
const INSTRUCTIONS: &str = "Remit decides every call before it happens and records it. A call that it refuses comes \
    back as a tool error that says why, and what would make it pass: act on that; do not repeat it unchanged.";

/// One request, whichever way it came.
pub(super) struct Request<'v> {
    pub(super) visit: &'v Visit,
    pub(super) version: Version,
    pub(super) method: String,
    pub(super) params: Members,
    /// Where word of the call goes while it is under way.
    pub(super) feed: Feed,
    /// Turns true when the client no longer wants the answer.
    pub(super) unwanted: Option<watch::Receiver<bool>>,
    pub(super) session: Option<&'v Arc<Session>>,
    /// The stream of the answer, where a client with a session can be asked on it.
    pub(super) asks: Option<mpsc::Sender<Message>>,
}

pub(super) async fn answer(request: Request<'_>) -> Result<Members, Refused> {
    let (version, method) = (request.version, request.method.clone());
    let result = match (method.as_str(), version.is_stateless()) {
        ("server/discover", true) => Ok(discover(request.visit)),
        ("ping", false) => Ok(Members::new()),
        ("logging/setLevel", false) => set_level(&request),
        ("tools/list", _) => tools::list(&request).map(kept),
        ("tools/call", _) => tasks::call(request).await,
        (method, _) if tasks::is_known(version, method) => Box::pin(tasks::answer(&request)).await,
        ("resources/list", _) => Box::pin(offers::list(&request, Kind::Resources)).await.map(kept),
        ("resources/templates/list", _) => Box::pin(offers::list(&request, Kind::Templates)).await.map(kept),
        ("prompts/list", _) => Box::pin(offers::list(&request, Kind::Prompts)).await.map(kept),
        ("resources/read" | "prompts/get" | "completion/complete", _)
        | ("resources/subscribe" | "resources/unsubscribe", false) => Box::pin(offers::carry(request)).await,
        _ => Err(RpcError::method_not_found(&method).into()),
    };
    match result {
        Ok(result) => match era::reply_for(version, &method, Reply::Result(result)) {
            Reply::Result(result) if version.is_stateless() => Ok(signed(result)),
            Reply::Result(result) => Ok(result),
            Reply::Error(error) => Err(Refused::from(error).recorded()),
        },
        Err(refused) => match era::reply_for(version, &method, Reply::Error(RpcError::clone(&refused.error)))
        {
            Reply::Result(result) => Ok(signed(result)),
            Reply::Error(error) => Err(refused.told_as(error)),
        },
    }
}

/// What is here, for `initialize` and `server/discover`.
pub(super) fn about(visit: &Visit, version: Version) -> Members {
    let visible = visit.visible();
    let has = |method: &str| visible.iter().any(|contract| offers::method(contract) == Some(method));
    let subscribe = has("resources/subscribe");
    let capabilities = [
        ("completions", has("completion/complete"), json!({})),
        ("logging", true, json!({})),
        ("prompts", has("prompts/get"), json!({ "listChanged": true })),
        ("resources", has("resources/read"), json!({ "listChanged": true, "subscribe": subscribe })),
        ("tools", true, json!({ "listChanged": true })),
    ];
    let capabilities = capabilities.into_iter().filter(|(_, has, _)| *has);
    let capabilities = capabilities.map(|(name, _, about)| (name, about)).chain(tasks::capability(version));
    let capabilities: Members = capabilities.map(|(name, about)| (name.to_owned(), about)).collect();
    let members = [("capabilities", capabilities.into()), ("instructions", INSTRUCTIONS.into())];
    members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

pub(super) fn server_info() -> Value {
    json!({ "name": "remit", "title": "Remit", "version": env!("CARGO_PKG_VERSION") })
}

pub(super) fn all_versions() -> Vec<&'static str> {
    Version::ALL.iter().rev().map(|version| version.text()).collect()
}

/// Those that need no `initialize`.
pub(super) fn stateless_versions() -> Vec<&'static str> {
    let all = Version::ALL.iter().rev().filter(|version| version.is_stateless());
    all.map(|version| version.text()).collect()
}

/// The run of which a token was sent, in a header or in the body; two that differ are an error.
pub(super) fn stated_run(visit: &Visit, params: &Members) -> Result<Option<RunId>, Refused> {
    let Some(token) = params.get("_meta").and_then(|meta| meta.get(era::META_RUN)) else {
        return Ok(visit.run);
    };
    let token =
        token.as_str().ok_or_else(|| Refused::params(format!("`{}` is not a text", era::META_RUN)))?;
    let run = visit.door.gate.run_of(&visit.caller, token).map_err(|error| Refused::house(&error))?;
    match visit.run {
        Some(other) if other != run => {
            let words = format!("the header `Remit-Run` and `_meta[\"{}\"]` name two runs", era::META_RUN);
            Err(Refused::new(wire::INVALID_REQUEST, words).with_status(StatusCode::BAD_REQUEST))
        }
        _ => Ok(Some(run)),
    }
}

/// The run that a call is in: the one it names, the one its session named, or the one that its key has by itself.
pub(super) async fn run(request: &Request<'_>) -> Result<RunId, Refused> {
    let stated = stated_run(request.visit, &request.params)?;
    if let Some(run) = stated.or_else(|| request.session.and_then(|session| session.run)) {
        return Ok(run);
    }
    let implicit = request.visit.door.gate.implicit_run(&request.visit.caller).await;
    implicit.map_err(|error| Refused::house(&error))?.map_err(|reason| Refused::law(&reason))
}

fn discover(visit: &Visit) -> Members {
    let mut result = about(visit, Version::LATEST);
    result.insert("supportedVersions".to_owned(), all_versions().into());
    kept(result)
}

fn set_level(request: &Request<'_>) -> Result<Members, Refused> {
    let name = request.params.get("level").and_then(Value::as_str).unwrap_or_default();
    match request.session {
        Some(session) if session.set_level(name) => Ok(Members::new()),
        _ => Err(Refused::params(format!("`{name}` is not a level: {}", super::relay::LEVELS.join(", ")))),
    }
}

/// A list that was made for one caller is for nobody else.
fn kept(mut result: Members) -> Members {
    result.insert("ttlMs".to_owned(), LIST_TTL_MS.into());
    result.insert("cacheScope".to_owned(), "private".into());
    result
}

fn signed(mut result: Members) -> Members {
    let meta = result.entry("_meta").or_insert_with(|| json!({}));
    if let Value::Object(meta) = meta {
        meta.insert(era::META_SERVER_INFO.to_owned(), server_info());
    }
    result
}
