//! Until 2025-11-25: a client begins with `initialize`, and its session is in a header from then on.

use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use gate::port::Feed;
use http::{HeaderName, HeaderValue, StatusCode};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::methods::{self, Request};
use super::post::{self, Accepts, once};
use super::refused::{Refused, SESSION_NOT_FOUND};
use super::relay::Relay;
use super::session::Session;
use super::stream::Heard;
use super::{Visit, news, not_allowed, questions, replay, stream};
use crate::mcp::era::Version;
use crate::mcp::headers;
use crate::mcp::wire::{self, Id, Members, Message};

pub(super) async fn post(visit: Visit, message: Message, accepts: Accepts) -> Response {
    if let Message::Request { id, method, params } = message {
        if method == "initialize" {
            return initialize(&visit, id, &params).await;
        }
        return match session(&visit) {
            Ok(session) => request(visit, session, id, method, params, accepts).await,
            Err(refused) => post::error(&visit, Some(id), refused).await,
        };
    }
    match session(&visit) {
        Ok(session) => {
            notified(&session, message);
            StatusCode::ACCEPTED.into_response()
        }
        Err(refused) => post::error(&visit, None, refused).await,
    }
}

async fn request(
    visit: Visit,
    session: Arc<Session>,
    id: Id,
    method: String,
    params: Members,
    accepts: Accepts,
) -> Response {
    let Some((under_way, unwanted)) = session.begin(&id) else {
        return post::error(&visit, Some(id), taken()).await;
    };
    let version = session.version;
    let relay = Relay::of_session(version, session.level(), &params);
    let (to, words) = mpsc::channel(stream::WORDS_WAITING_MAX);
    let feed = if accepts.events { Feed::new(to) } else { Feed::default() };
    let (to, asks) = mpsc::channel(questions::QUEUED_MAX);
    let (to, asks) = (accepts.events.then_some(to), Some(asks));
    let whose = stream::Whose::Session(session.clone());
    let work = async move {
        let _under_way = under_way;
        let (session, unwanted, asks) = (Some(&session), Some(unwanted), to);
        let request = Request { visit: &visit, version, method, params, feed, unwanted, session, asks };
        match methods::answer(request).await {
            Ok(result) => (StatusCode::OK, Message::Result { id, result }),
            Err(refused) => (refused.status(version), post::failed(&visit, Some(id), refused).await),
        }
    };
    stream::reply(work, Heard { words, asks, relay }, accepts, whose).await
}

/// An array of messages: in 2025-03-26, and in no other revision.
pub(super) async fn batch(visit: Visit, body: &[u8]) -> Response {
    let session = match session(&visit) {
        Ok(session) if session.version.has_batches() => session,
        Ok(session) => {
            let words =
                format!("MCP {} has no arrays of messages: send one at a time", session.version.text());
            return post::error(&visit, None, Refused::new(wire::INVALID_REQUEST, words)).await;
        }
        Err(refused) => return post::error(&visit, None, refused).await,
    };
    let messages = match wire::read_batch(body) {
        Ok(messages) => messages,
        Err(broken) => return post::error(&visit, None, broken.into()).await,
    };
    let mut answers = Vec::new();
    for message in messages {
        match message {
            Message::Request { id, method, params } => {
                answers.push(one_of_batch(&visit, &session, id, method, params).await.bytes());
            }
            message => notified(&session, message),
        }
    }
    if answers.is_empty() {
        return StatusCode::ACCEPTED.into_response();
    }
    let body = [b"[".as_slice(), &answers.join(&b","[..]), b"]"].concat();
    (StatusCode::OK, [(http::header::CONTENT_TYPE, "application/json")], body).into_response()
}

async fn one_of_batch(
    visit: &Visit,
    session: &Arc<Session>,
    id: Id,
    method: String,
    params: Members,
) -> Message {
    let Some((_under_way, unwanted)) = session.begin(&id) else {
        return post::failed(visit, Some(id), taken()).await;
    };
    let (version, feed) = (session.version, Feed::default());
    let (session, unwanted, asks) = (Some(session), Some(unwanted), None);
    let request = Request { visit, version, method, params, feed, unwanted, session, asks };
    match methods::answer(request).await {
        Ok(result) => Message::Result { id, result },
        Err(refused) => post::failed(visit, Some(id), refused).await,
    }
}

async fn initialize(visit: &Visit, id: Id, params: &Members) -> Response {
    let Some(asked) = params.get("protocolVersion").and_then(Value::as_str) else {
        return post::error(visit, Some(id), Refused::params("`protocolVersion` is missing")).await;
    };
    let known = Version::parse(asked).filter(|version| !version.is_stateless());
    let version = known.unwrap_or(Version::LATEST_INITIALIZED);
    let run = match methods::stated_run(visit, params) {
        Ok(run) => run,
        Err(refused) => return post::error(visit, Some(id), refused).await,
    };
    let can = params.get("capabilities").and_then(Value::as_object).cloned().unwrap_or_default();
    let opened = visit.door.sessions.open(visit.caller.key, visit.scope.clone(), version, run, can);
    let Some(session) = opened else {
        let words = "too many sessions of this key are busy; end one with DELETE, or wait";
        let refused = Refused::new(wire::INTERNAL_ERROR, words).with_status(StatusCode::SERVICE_UNAVAILABLE);
        return post::error(visit, Some(id), refused).await;
    };
    let mut result = methods::about(visit, version);
    result.insert("protocolVersion".to_owned(), version.text().into());
    result.insert("serverInfo".to_owned(), methods::server_info());
    let mut response = post::json(StatusCode::OK, Message::Result { id, result });
    if let Ok(value) = HeaderValue::from_str(&session.id) {
        response.headers_mut().insert(HeaderName::from_static(headers::SESSION), value);
    }
    response
}

/// The one stream of a session, for what is not an answer.
pub(super) async fn listen(visit: &Visit) -> Response {
    let session = match session_of_stream(visit) {
        Ok(Some(session)) => session,
        Ok(None) => return not_allowed("POST"),
        Err(refused) => return post::error(visit, None, refused).await,
    };
    let heard = match once(&visit.headers, headers::LAST_EVENT) {
        Ok(heard) => heard.map(replay::place),
        Err(refused) => return post::error(visit, None, refused).await,
    };
    let heard = match heard {
        None => None,
        Some(Some((0, number))) => Some(number),
        Some(place) => {
            let told = place.and_then(|(stream, number)| Some((session.replays.find(stream)?, number)));
            return match told {
                Some((told, number)) => stream::read(told.read(number.saturating_add(1))),
                None => post::error(visit, None, forgotten()).await,
            };
        }
    };
    let (Some(listening), Some(seat)) =
        (session.listen(), news::Seats::take(&visit.door.seats, visit.caller.key))
    else {
        let refused = Refused::new(wire::INVALID_REQUEST, "this session's stream is open already");
        return post::error(visit, None, refused.with_status(StatusCode::CONFLICT)).await;
    };
    news::listen(visit, news::Audience::Session(listening), seat, heard)
}

/// The client leaves.
pub(super) async fn end(visit: &Visit) -> Response {
    match session_of_stream(visit) {
        Ok(Some(session)) => {
            visit.door.sessions.end(&session);
            StatusCode::NO_CONTENT.into_response()
        }
        Ok(None) => not_allowed("POST"),
        Err(refused) => post::error(visit, None, refused).await,
    }
}

/// None: this is no client with a session, and others only POST.
fn session_of_stream(visit: &Visit) -> Result<Option<Arc<Session>>, Refused> {
    let stated = once(&visit.headers, headers::VERSION)?.and_then(Version::parse);
    let has_session = visit.headers.contains_key(headers::SESSION);
    if stated.is_some_and(Version::is_stateless) || (!has_session && stated.is_none()) {
        return Ok(None);
    }
    session(visit).map(Some)
}

fn session(visit: &Visit) -> Result<Arc<Session>, Refused> {
    let Some(id) = once(&visit.headers, headers::SESSION)? else {
        let data = json!({ "supported": methods::all_versions() });
        let words = "this request has no session: begin with `initialize`, or send requests of 2026-07-28";
        return Err(Refused::new(wire::INVALID_REQUEST, words).with_data(data));
    };
    let session = visit.door.sessions.find(id, visit.caller.key, &visit.scope).ok_or_else(|| {
        let words = "there is no such session: begin again with `initialize`";
        Refused::new(SESSION_NOT_FOUND, words).with_status(StatusCode::NOT_FOUND)
    })?;
    match once(&visit.headers, headers::VERSION)? {
        Some(stated) if stated != session.version.text() => {
            let words = format!("this session speaks MCP {}, not `{stated}`", session.version.text());
            Err(Refused::new(wire::INVALID_REQUEST, words))
        }
        _ => Ok(session),
    }
}

/// What is no request: word that one is no longer wanted, or an answer to what was asked in this session.
fn notified(session: &Session, message: Message) {
    match message {
        Message::Notification { method, params } if method == "notifications/cancelled" => {
            if let Some(id) = params.get("requestId").and_then(Id::read) {
                session.cancel(&id);
            }
        }
        answer => session.open.answered(answer),
    }
}

fn forgotten() -> Refused {
    let words =
        "what was told on that stream is no longer kept: ask again; a call that was made is in the ledger";
    Refused::new(wire::INVALID_REQUEST, words)
}

fn taken() -> Refused {
    Refused::new(
        wire::INVALID_REQUEST,
        "a request of this id is under way, or too many are: wait for an answer",
    )
}
