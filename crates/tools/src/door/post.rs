//! What a POST may be, and of which era it is. The body decides; headers are compared with it.

use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};

use super::refused::Refused;
use super::{Visit, legacy, stateless};
use crate::mcp::era::{self, Version};
use crate::mcp::headers;
use crate::mcp::wire::{self, Id, Members, Message};

/// What a client can read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Accepts {
    pub(super) json: bool,
    pub(super) events: bool,
}

pub(super) async fn post(visit: Visit, body: &[u8]) -> Response {
    let Some(accepts) = accepts(&visit.headers) else {
        let words = "accept `application/json` and `text/event-stream`";
        return error(
            &visit,
            None,
            Refused::new(wire::INVALID_REQUEST, words).with_status(StatusCode::NOT_ACCEPTABLE),
        )
        .await;
    };
    if !is_json(&visit.headers) {
        let refused = Refused::new(wire::INVALID_REQUEST, "the body must be `application/json`");
        return error(&visit, None, refused.with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE)).await;
    }
    if let Err(refused) = known_server(&visit) {
        return error(&visit, None, refused).await;
    }
    let message = match wire::read(body) {
        Ok(message) => message,
        Err(_) if first(body) == Some(b'[') => return Box::pin(legacy::batch(visit, body)).await,
        Err(broken) => return error(&visit, None, broken.into()).await,
    };
    match is_stateless(&visit.headers, &message) {
        Ok(true) => stateless::post(visit, message, accepts).await,
        Ok(false) => Box::pin(legacy::post(visit, message, accepts)).await,
        Err(refused) => error(&visit, id_of(&message), refused).await,
    }
}

/// An error of no session and of no era, told so that either reads it.
pub(super) async fn error(visit: &Visit, id: Option<Id>, refused: Refused) -> Response {
    let status = refused.status(Version::LATEST);
    let status = if status == StatusCode::OK { StatusCode::BAD_REQUEST } else { status };
    json(status, failed(visit, id, refused).await)
}

/// The message that tells of a refusal, which is in the ledger before it is told.
pub(super) async fn failed(visit: &Visit, id: Option<Id>, refused: Refused) -> Message {
    if !refused.is_recorded {
        Box::pin(visit.door.gate.refused(&visit.caller, visit.run, refused.code())).await;
    }
    Message::Error { id, error: *refused.error }
}

pub(super) fn json(status: StatusCode, message: Message) -> Response {
    let kind = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    (status, kind, message.bytes()).into_response()
}

pub(super) fn id_of(message: &Message) -> Option<Id> {
    match message {
        Message::Request { id, .. } => Some(id.clone()),
        _ => None,
    }
}

/// A header that may come once; two of a kind are read differently by different readers.
pub(super) fn once<'h>(headers: &'h HeaderMap, name: &str) -> Result<Option<&'h str>, Refused> {
    let refuse = |why: &str| Refused::new(wire::HEADER_MISMATCH, format!("the header `{name}` {why}"));
    let mut sent = headers.get_all(name).iter();
    match (sent.next(), sent.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => {
            value.to_str().map(|text| Some(text.trim())).map_err(|_| refuse("is not plain text"))
        }
        _ => Err(refuse("was sent twice")),
    }
}

/// Whether a request stands alone: its body says so, or its header names a revision without sessions.
fn is_stateless(headers: &HeaderMap, message: &Message) -> Result<bool, Refused> {
    let none = Members::new();
    let params = match message {
        Message::Request { params, .. } | Message::Notification { params, .. } => params,
        _ => &none,
    };
    if params.get("_meta").is_some_and(|meta| meta.get(era::META_VERSION).is_some()) {
        return Ok(true);
    }
    let has_sessions = |text| Version::parse(text).is_some_and(|version| !version.is_stateless());
    Ok(once(headers, headers::VERSION)?.is_some_and(|text| !has_sessions(text)))
}

fn accepts(headers: &HeaderMap) -> Option<Accepts> {
    let mut sent = headers.get_all(header::ACCEPT).iter().peekable();
    if sent.peek().is_none() {
        return Some(Accepts { json: true, events: false });
    }
    let mut accepts = Accepts { json: false, events: false };
    for part in sent.filter_map(|value| value.to_str().ok()).flat_map(|text| text.split(',')) {
        match part.split(';').next().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
            "*/*" => accepts = Accepts { json: true, events: true },
            "application/json" | "application/*" => accepts.json = true,
            "text/event-stream" | "text/*" => accepts.events = true,
            _ => {}
        }
    }
    (accepts.json || accepts.events).then_some(accepts)
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json")
}

/// A server of which the caller may use nothing is one that does not exist.
fn known_server(visit: &Visit) -> Result<(), Refused> {
    let Some(server) = &visit.scope.0 else { return Ok(()) };
    let rules = visit.door.gate.rules();
    let prefix = format!("{server}.");
    let mut names = rules.book.tools.range(prefix.clone()..).map(|(name, _)| name);
    let mut own = names.by_ref().take_while(|name| name.starts_with(&prefix));
    if own.any(|name| rules.policy.can_ever(&visit.caller.agent, name)) {
        return Ok(());
    }
    let words = format!("there is no server `{server}` for this agent; `/mcp` shows all of its tools");
    Err(Refused::new(wire::INVALID_REQUEST, words).with_status(StatusCode::NOT_FOUND))
}

fn first(body: &[u8]) -> Option<u8> {
    body.iter().copied().find(|byte| !byte.is_ascii_whitespace())
}
