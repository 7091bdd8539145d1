//! 2026-07-28: each request stands alone. What it says of itself in headers must be what its body says.

use std::borrow::Cow;
use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use gate::port::Feed;
use http::StatusCode;
use kernel::contract::Contract;
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};

use super::methods::{self, Request};
use super::post::{self, Accepts, once};
use super::refused::Refused;
use super::relay::Relay;
use super::stream::Heard;
use super::{Visit, news, stream};
use crate::mcp::era::{self, Version};
use crate::mcp::headers::{self, Mirrored};
use crate::mcp::wire::{self, Id, Members, Message};

pub(super) async fn post(visit: Visit, message: Message, accepts: Accepts) -> Response {
    match message {
        Message::Request { id, method, params } => match check(&visit, &method, &params) {
            Ok(version) => answer(visit, version, id, method, params, accepts).await,
            Err(refused) => post::error(&visit, Some(id), refused).await,
        },
        // A client cancels by closing the stream: no notification has anything to act upon here.
        Message::Notification { .. } => match notified(&visit) {
            Ok(()) => StatusCode::ACCEPTED.into_response(),
            Err(refused) => post::error(&visit, None, refused).await,
        },
        Message::Result { .. } | Message::Error { .. } => {
            let words = "nothing was asked of this client, so it has nothing to answer";
            post::error(&visit, None, Refused::new(wire::INVALID_REQUEST, words)).await
        }
    }
}

async fn answer(
    visit: Visit,
    version: Version,
    id: Id,
    method: String,
    params: Members,
    accepts: Accepts,
) -> Response {
    if method == "subscriptions/listen" {
        return match Box::pin(news::subscribe(&visit, version, &id, &params, accepts)).await {
            Ok(response) => response,
            Err(refused) => reject(&visit, version, id, refused).await,
        };
    }
    let relay = Relay::of_request(version, &params);
    let (words, heard) = mpsc::channel(stream::WORDS_WAITING_MAX);
    let feed = if accepts.events && relay.is_wanted() { Feed::new(words) } else { Feed::default() };
    // Closing the stream drops this end with what holds it, and that cancels the call.
    let (hang_up, unwanted) = watch::channel(false);
    let work = async move {
        let (unwanted, session, asks) = (Some(unwanted), None, None);
        let request = Request { visit: &visit, version, method, params, feed, unwanted, session, asks };
        match methods::answer(request).await {
            Ok(result) => (StatusCode::OK, Message::Result { id, result }),
            Err(refused) => (refused.status(version), post::failed(&visit, Some(id), refused).await),
        }
    };
    let whose = stream::Whose::Alone(stream::HangUp(hang_up));
    stream::reply(work, Heard { words: heard, asks: None, relay }, accepts, whose).await
}

async fn reject(visit: &Visit, version: Version, id: Id, refused: Refused) -> Response {
    let status = refused.status(version);
    post::json(status, post::failed(visit, Some(id), refused).await)
}

/// The rungs in their order; the first that fails is told.
fn check(visit: &Visit, method: &str, params: &Members) -> Result<Version, Refused> {
    let bad = |words: String| Refused::params(words).with_status(StatusCode::BAD_REQUEST);
    let Some(Value::Object(meta)) = params.get("_meta") else {
        return Err(bad(format!("`_meta` with `{}` is missing", era::META_VERSION)));
    };
    for name in [era::META_VERSION, era::META_CLIENT_CAPABILITIES] {
        if !meta.contains_key(name) {
            return Err(bad(format!("`_meta` has no `{name}`")));
        }
    }
    let stated = meta.get(era::META_VERSION).and_then(Value::as_str);
    let Some(stated) = stated else { return Err(bad(format!("`{}` is not a text", era::META_VERSION))) };
    if !meta.get(era::META_CLIENT_CAPABILITIES).is_some_and(Value::is_object) {
        return Err(bad(format!("`{}` is not an object", era::META_CLIENT_CAPABILITIES)));
    }
    agrees(visit, headers::VERSION, Some(stated))?;
    agrees(visit, headers::METHOD, Some(method))?;
    if let Some(param) = headers::name_param(method) {
        agrees(visit, headers::NAME, params.get(param).and_then(Value::as_str))?;
    }
    let version = supported(stated)?;
    // A tool that nobody may see has no schema, so nothing can be asked of its headers.
    let name = params.get("name").and_then(Value::as_str).unwrap_or_default();
    if method == "tools/call"
        && let Some(contract) = visit.tool(name)
    {
        mirrors(visit, &contract, params)?;
    }
    Ok(version)
}

fn supported(stated: &str) -> Result<Version, Refused> {
    match Version::parse(stated) {
        Some(version) if version.is_stateless() => Ok(version),
        _ => {
            let data = json!({ "requested": stated, "supported": methods::stateless_versions() });
            let words = format!("MCP `{stated}` is not spoken here in requests that stand alone");
            Err(Refused::new(wire::UNSUPPORTED_VERSION, words).with_data(data))
        }
    }
}

fn notified(visit: &Visit) -> Result<(), Refused> {
    once(&visit.headers, headers::VERSION)?.map_or(Ok(()), |stated| supported(stated).map(drop))
}

/// Whether a header carries exactly what the body says; one that the body has no value for must not be there.
fn agrees(visit: &Visit, name: &str, body: Option<&str>) -> Result<(), Refused> {
    let header = once(&visit.headers, name)?;
    let decoded = match header {
        Some(value) => Some(headers::decode(value).ok_or_else(|| mismatch(name, "is wrapped wrongly"))?),
        None => None,
    };
    match (decoded.as_deref(), body) {
        (Some(header), Some(body)) if header == body => Ok(()),
        (None, None) => Ok(()),
        (None, Some(_)) => Err(mismatch(name, "is missing")),
        (Some(_), _) => Err(mismatch(name, "is not what the body says")),
    }
}

/// Arguments that the tool's schema wants mirrored into headers must stand there as they stand in the body.
fn mirrors(visit: &Visit, contract: &Arc<Contract>, params: &Members) -> Result<(), Refused> {
    let mirrored = visit.door.mirrored.of(contract);
    let Some(mirrored) = mirrored.as_deref() else { return Ok(()) };
    let none = Members::new();
    let arguments = params.get("arguments").and_then(Value::as_object).unwrap_or(&none);
    mirrored.iter().try_for_each(|one| mirror(visit, one, arguments))
}

fn mirror(visit: &Visit, one: &Mirrored, arguments: &Members) -> Result<(), Refused> {
    let (header, body) = (once(&visit.headers, &one.header)?, headers::mirror(one, arguments));
    let header = header.map(|value| decoded(one, value)).transpose()?;
    let body = body.as_deref().map(|value| decoded(one, value)).transpose()?;
    match (&header, &body) {
        (None, None) => Ok(()),
        (Some(header), Some(body)) if header == body || is_same_number(header, body) => Ok(()),
        (None, Some(_)) => Err(mismatch(&one.header, "is missing")),
        (Some(_), _) => Err(mismatch(&one.header, "is not what the body says")),
    }
}

fn decoded<'v>(one: &Mirrored, value: &'v str) -> Result<Cow<'v, str>, Refused> {
    headers::decode(value).ok_or_else(|| mismatch(&one.header, "is wrapped wrongly"))
}

/// `42` and `42.0` are one number; what is not written plainly is compared as text alone.
fn is_same_number(a: &str, b: &str) -> bool {
    let whole = |text: &str| {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let is_plain = text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'-' | b'.'));
        (is_plain && fraction.bytes().all(|byte| byte == b'0')).then(|| whole.parse::<i64>().ok()).flatten()
    };
    whole(a).is_some_and(|number| whole(b) == Some(number))
}

fn mismatch(name: &str, why: &str) -> Refused {
    Refused::new(wire::HEADER_MISMATCH, format!("the header `{name}` {why}"))
}
