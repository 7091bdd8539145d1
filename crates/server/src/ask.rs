//! Reading what was sent: bodies and queries, strictly, within limits of bytes and time.

use std::time::Duration;

use api::BODY_BYTES_MAX;
use api::problem::Code;
use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, Request};
use bytes::Bytes;
use gate::Caller;
use http::request::Parts;
use http::{HeaderMap, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use kernel::id::RunId;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use serde_path_to_error::{Path, Segment};

use crate::authn::{self, Person};
use crate::house::{House, Shared};
use crate::refusal::Refusal;

/// A body that takes longer to arrive is not waited for.
const BODY_WAIT: Duration = Duration::from_secs(10);

/// What an agent sent.
pub(crate) struct Asked<T> {
    pub(crate) caller: Caller,
    pub(crate) body: T,
}

/// What an agent sent inside a run.
pub(crate) struct InRun<T> {
    pub(crate) caller: Caller,
    pub(crate) run: RunId,
    pub(crate) body: T,
}

/// What an agent sent, inside a run or not.
pub(crate) struct PerhapsInRun<T> {
    pub(crate) caller: Caller,
    pub(crate) run: Option<RunId>,
    pub(crate) body: T,
}

/// What a person sent.
pub(crate) struct Told<T>(pub(crate) T);

/// The query of a URL.
pub(crate) struct Query<T>(pub(crate) T);

impl<T: DeserializeOwned + Send> FromRequest<Shared> for Asked<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, house: &Shared) -> Result<Asked<T>, Refusal> {
        let caller = authn::agent(house, request.headers())?;
        match read(request).await {
            Ok(body) => Ok(Asked { caller, body }),
            Err(refusal) => Err(recorded(house, &caller, None, refusal).await),
        }
    }
}

impl<T: DeserializeOwned + Send> FromRequest<Shared> for InRun<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, house: &Shared) -> Result<InRun<T>, Refusal> {
        let caller = authn::agent(house, request.headers())?;
        let run = match authn::run(house, &caller, request.headers()) {
            Ok(run) => run,
            Err(refusal) => return Err(recorded(house, &caller, None, refusal).await),
        };
        match read(request).await {
            Ok(body) => Ok(InRun { caller, run, body }),
            Err(refusal) => Err(recorded(house, &caller, Some(run), refusal).await),
        }
    }
}

impl<T: DeserializeOwned + Send> FromRequest<Shared> for PerhapsInRun<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, house: &Shared) -> Result<PerhapsInRun<T>, Refusal> {
        if request.headers().contains_key(api::RUN_HEADER) {
            let InRun { caller, run, body } = InRun::from_request(request, house).await?;
            return Ok(PerhapsInRun { caller, run: Some(run), body });
        }
        let Asked { caller, body } = Asked::from_request(request, house).await?;
        Ok(PerhapsInRun { caller, run: None, body })
    }
}

impl<T: DeserializeOwned + Send> FromRequest<Shared> for Told<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, house: &Shared) -> Result<Told<T>, Refusal> {
        let (mut parts, body) = request.into_parts();
        Person::from_request_parts(&mut parts, house).await?;
        read(Request::from_parts(parts, body)).await.map(Told)
    }
}

impl<T: DeserializeOwned> FromRequestParts<Shared> for Query<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &Shared) -> Result<Query<T>, Refusal> {
        let query = axum::extract::Query::<T>::try_from_uri(&parts.uri);
        query
            .map(|query| Query(query.0))
            .map_err(|e| Refusal::new(Code::BadRequest, e.body_text()).at("query"))
    }
}

/// Puts into the ledger that a known agent was refused before its request became a call.
pub(crate) async fn recorded(
    house: &House,
    caller: &Caller,
    run: Option<RunId>,
    refusal: Refusal,
) -> Refusal {
    if refusal.0.status < 500 {
        house.gate.refused(caller, run, &refusal.0.code).await;
    }
    refusal
}

/// An id in a query.
pub(crate) fn query_id<T>(text: Option<&str>) -> Result<Option<T>, Refusal>
where
    T: std::str::FromStr,
    T::Err: std::fmt::Display,
{
    let parsed = text.map(str::parse).transpose();
    parsed.map_err(|error: T::Err| Refusal::new(Code::BadRequest, error.to_string()).at("query"))
}

/// An id in a path. One that cannot be an id names nothing.
pub(crate) fn id<T: std::str::FromStr>(text: &str) -> Result<T, Refusal> {
    text.parse().map_err(|_| Refusal::not_found("what this path names"))
}

pub(crate) async fn read<T: DeserializeOwned>(request: Request) -> Result<T, Refusal> {
    let (parts, body) = request.into_parts();
    check_kind(&parts.headers)?;
    let bytes = whole(&parts.headers, body, BODY_BYTES_MAX).await?;
    decode(&bytes)
}

fn check_kind(headers: &HeaderMap) -> Result<(), Refusal> {
    let json = |value: &http::HeaderValue| {
        let text = value.to_str().unwrap_or_default();
        text.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json")
    };
    match headers.get(header::CONTENT_TYPE) {
        Some(value) if !json(value) => {
            Err(Refusal::new(Code::BadRequest, "the body must be `application/json`").at("Content-Type"))
        }
        _ => Ok(()),
    }
}

/// The whole body, within limits of bytes and time.
pub(crate) async fn whole(headers: &HeaderMap, body: Body, bytes_max: usize) -> Result<Bytes, Refusal> {
    let too_large = || Refusal::new(Code::TooLarge, format!("the body is larger than {bytes_max} bytes"));
    let stated =
        headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if stated.is_some_and(|bytes| bytes > bytes_max) {
        return Err(too_large());
    }
    match tokio::time::timeout(BODY_WAIT, Limited::new(body, bytes_max).collect()).await {
        Ok(Ok(whole)) => Ok(whole.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(_)) => Err(Refusal::new(Code::BadRequest, "the body broke off")),
        Err(_) => Err(Refusal::new(Code::TooSlow, "the body did not arrive in time")),
    }
}

/// No body at all means an empty object, which suits the routes whose members are all optional.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Refusal> {
    let value = if bytes.is_empty() { Value::Object(Map::new()) } else { strict(bytes)? };
    serde_path_to_error::deserialize(value).map_err(|error| {
        let at = pointer(error.path());
        Refusal::new(Code::BadRequest, error.into_inner().to_string()).at(at)
    })
}

/// One JSON document, or the place where it stops being one.
pub(crate) fn strict(bytes: &[u8]) -> Result<Value, Refusal> {
    stdx::json::parse(bytes).map_err(|refused| {
        let at = format!("line {}, column {}", refused.line, refused.column);
        Refusal::new(Code::MalformedJson, refused.why).at(at)
    })
}

fn pointer(path: &Path) -> String {
    let mut out = String::new();
    for segment in path {
        out.push('/');
        match segment {
            Segment::Seq { index } => out.push_str(&index.to_string()),
            Segment::Map { key } => out.push_str(&key.replace('~', "~0").replace('/', "~1")),
            Segment::Enum { variant } => out.push_str(variant),
            Segment::Unknown => out.push('?'),
        }
    }
    out
}

#[cfg(test)]
mod tests;
