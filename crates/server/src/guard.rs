//! What every route of both listeners demands, before anything of it is read.

use api::problem::Code;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::uri::Authority;
use http::{HeaderMap, HeaderName, HeaderValue, Uri, header};

use crate::authn::AGENT_KEY_PREFIX;
use crate::house::{Options, Shared};
use crate::refusal::Refusal;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Longer request ids are not echoed.
const REQUEST_ID_BYTES_MAX: usize = 128;
const CONTENT_POLICY: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
/// Query parameters in which people put secrets.
const SECRET_PARAMETERS: [&str; 3] = ["token", "access_token", "run_token"];

pub(crate) async fn guard(State(house): State<Shared>, request: Request, next: Next) -> Response {
    let id = request.headers().get(REQUEST_ID).filter(|id| id.len() <= REQUEST_ID_BYTES_MAX).cloned();
    let mut answer = match check(&house.options, request.uri(), request.headers()) {
        Err(refusal) => refusal.into_response(),
        Ok(()) => match house.seat() {
            None => Refusal::new(Code::Overloaded, "too many requests are under way").into_response(),
            Some(_seat) => next.run(request).await,
        },
    };
    let headers = answer.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // The console's pages say better for themselves.
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(CONTENT_POLICY);
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    if let Some(id) = id {
        headers.insert(REQUEST_ID, id);
    }
    answer
}

fn check(options: &Options, uri: &Uri, headers: &HeaderMap) -> Result<(), Refusal> {
    let host = host(uri, headers)?;
    if !serves(options, &host) {
        return Err(Refusal::new(Code::ForbiddenHost, "the Host of this request is not served here"));
    }
    let mut origins = headers.get_all(header::ORIGIN).iter();
    if let Some(origin) = origins.next() {
        let ours = origin.to_str().is_ok_and(|origin| may_ask(options, origin, &host));
        if !ours || origins.next().is_some() {
            return Err(Refusal::new(Code::ForbiddenOrigin, "the Origin of this request may not ask"));
        }
    }
    if uri.query().is_some_and(carries_secret) {
        return Err(Refusal::new(Code::TokenInUrl, "the URL carries a token"));
    }
    Ok(())
}

/// The one host that is meant: two that differ are how requests are smuggled.
fn host(uri: &Uri, headers: &HeaderMap) -> Result<Authority, Refusal> {
    let refused = || Refusal::new(Code::ForbiddenHost, "exactly one Host is needed");
    let mut named = headers.get_all(header::HOST).iter();
    let (Some(host), None) = (named.next(), named.next()) else { return Err(refused()) };
    let host = Authority::try_from(host.as_bytes()).map_err(|_| refused())?;
    if uri.authority().is_some_and(|authority| *authority != host) || host.as_str().contains('@') {
        return Err(refused());
    }
    Ok(host)
}

fn serves(options: &Options, host: &Authority) -> bool {
    let name = host.host();
    let loopback = ["127.0.0.1", "[::1]"].contains(&name) || name.eq_ignore_ascii_case("localhost");
    let named = |own: &String| own.eq_ignore_ascii_case(name) || own.eq_ignore_ascii_case(host.as_str());
    loopback || options.hosts.iter().any(named)
}

/// A page may ask only the host and port that it came from, or where an operator lets it.
fn may_ask(options: &Options, origin: &str, host: &Authority) -> bool {
    let from = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    from.is_some_and(|from| from.eq_ignore_ascii_case(host.as_str()))
        || options.origins.iter().any(|own| own.eq_ignore_ascii_case(origin))
}

fn carries_secret(query: &str) -> bool {
    query.split('&').any(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        SECRET_PARAMETERS.iter().any(|secret| name.eq_ignore_ascii_case(secret))
            || value.starts_with(AGENT_KEY_PREFIX)
    })
}

/// A path that is nobody's.
pub(crate) async fn unknown_route(uri: Uri) -> Refusal {
    Refusal::new(Code::NotFound, format!("there is no route {}", uri.path()))
}

/// A path that does not take this method.
pub(crate) async fn unknown_method(method: http::Method, uri: Uri) -> Refusal {
    Refusal::new(Code::MethodNotAllowed, format!("{} does not take {method}", uri.path()))
}

#[cfg(test)]
mod tests;
