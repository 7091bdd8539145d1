//! Who is asking: an agent by its key, a run by its token, a person by a session or by the operator's key.

use api::RUN_HEADER;
use api::endpoint::Auth;
use api::person::Role;
use api::problem::Code;
use axum::extract::{FromRequestParts, MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use gate::Caller;
use http::request::Parts;
use http::{HeaderMap, HeaderName, Method, header};
use kernel::id::RunId;
use kernel::time::Time;
use stdx::digest::Digest;

use crate::house::{House, Shared};
use crate::refusal::Refusal;
use crate::roles;
use crate::session::Whose;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// What agents' keys start with.
pub(crate) const AGENT_KEY_PREFIX: &str = "rk_";

pub(crate) fn agent(house: &House, headers: &HeaderMap) -> Result<Caller, Refusal> {
    Ok(house.gate.identify(bearer(headers)?)?)
}

pub(crate) fn run(house: &House, caller: &Caller, headers: &HeaderMap) -> Result<RunId, Refusal> {
    let mut tokens = headers.get_all(RUN_HEADER).iter();
    let token = match (tokens.next(), tokens.next()) {
        (Some(token), None) => token.to_str().unwrap_or_default(),
        (None, _) => return Err(Refusal::new(Code::RunTokenMissing, "the header `Remit-Run` is missing")),
        _ => return Err(Refusal::new(Code::BadRequest, "the header `Remit-Run` was sent twice")),
    };
    Ok(house.gate.run_of(caller, token)?)
}

fn bearer(headers: &HeaderMap) -> Result<&str, Refusal> {
    let mut sent = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (sent.next(), sent.next()) else {
        return Err(Refusal::new(Code::KeyRefused, "exactly one `Authorization` header is needed"));
    };
    let text = value.to_str().unwrap_or_default();
    let (scheme, key) = text.split_once(' ').unwrap_or_default();
    if !scheme.eq_ignore_ascii_case("bearer") || key.is_empty() {
        return Err(Refusal::new(Code::KeyRefused, "the `Authorization` header is not `Bearer <key>`"));
    }
    Ok(key)
}

// ---- Agent, Person ----------------------------------------------------------------------------------------

/// An agent that has proved to be itself.
pub(crate) struct Agent(pub(crate) Caller);

impl FromRequestParts<Shared> for Agent {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, house: &Shared) -> Result<Agent, Refusal> {
        agent(house, &parts.headers).map(Agent)
    }
}

/// A person whom `admit` has let in.
#[derive(Clone, Debug)]
pub(crate) struct Person {
    /// How the ledger names them.
    pub(crate) name: String,
    pub(crate) roles: Vec<Role>,
    /// None: a key, which does not end by itself.
    pub(crate) expires: Option<Time>,
}

impl Person {
    /// How the holder of the operator's key is named in the ledger. Nobody in the configuration may be called so.
    pub(crate) const KEY_HOLDER: &str = "operator";

    /// Whether the operator's key itself asks, and not a session of whoever held it.
    pub(crate) fn is_key(&self) -> bool {
        self.expires.is_none()
    }

    pub(crate) fn may(&self, demand: Auth) -> bool {
        self.roles.iter().any(|role| roles::may(role, demand))
    }
}

/// Only what `admit` has put there: a route that is not in the table of endpoints has no person.
impl FromRequestParts<Shared> for Person {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &Shared) -> Result<Person, Refusal> {
        let person = parts.extensions.get::<Person>().cloned();
        person.ok_or_else(|| Refusal::new(Code::KeyRefused, "nobody was asked who this is"))
    }
}

/// Who asks, and whether their role lets them ask this: before anything else of the request is read.
pub(crate) async fn admit(
    State(house): State<Shared>,
    path: MatchedPath,
    mut request: Request,
    next: Next,
) -> Response {
    let Some(endpoint) = roles::endpoint(request.method(), path.as_str()) else {
        return next.run(request).await;
    };
    // Who signs a message proves it by that: see `hooks`.
    if !matches!(endpoint.auth, Auth::None | Auth::Signed) {
        match admitted(&house, endpoint.auth, request.method(), request.headers()) {
            Ok(person) => drop(request.extensions_mut().insert(person)),
            Err(refusal) => return refusal.into_response(),
        }
    }
    next.run(request).await
}

fn admitted(house: &House, demand: Auth, method: &Method, headers: &HeaderMap) -> Result<Person, Refusal> {
    let key = headers.contains_key(header::AUTHORIZATION);
    let cookie = cookie(headers);
    let person = match cookie.filter(|_| !key) {
        None => by_key(house, headers)?,
        Some(cookie) => by_session(house, &cookie, method, headers)?,
    };
    // The key itself may do everything, and one thing is for it alone.
    if key || person.may(demand) {
        return Ok(person);
    }
    if demand == Auth::OperatorKey {
        return Err(Refusal::new(Code::RoleForbidden, "only the operator's key itself may do this"));
    }
    let has = person.roles.iter().map(Role::to_string).collect::<Vec<_>>().join(", ");
    Err(Refusal::new(Code::RoleForbidden, format!("`{}` has the roles: {has}", person.name)))
}

fn by_key(house: &House, headers: &HeaderMap) -> Result<Person, Refusal> {
    let key = bearer(headers)?;
    if same(&Digest::of(key.as_bytes()), &house.options.operator) {
        return Ok(Person {
            name: Person::KEY_HOLDER.to_owned(),
            roles: vec![Role::Operator],
            expires: None,
        });
    }
    if key.starts_with(AGENT_KEY_PREFIX) && house.gate.identify(key).is_ok() {
        return Err(Refusal::new(Code::Forbidden, "an agent's key opens nothing here: this is for people"));
    }
    Err(Refusal::new(Code::KeyRefused, "this is not the operator's key"))
}

fn by_session(house: &House, cookie: &str, method: &Method, headers: &HeaderMap) -> Result<Person, Refusal> {
    let ended = || Refusal::new(Code::SessionRefused, "nobody is signed in by this cookie");
    let session = house.sessions.of(&house.gate, cookie, house.options.clock.now()).ok_or_else(ended)?;
    // Cookies of one host reach all its ports, so a page of another port is told nothing and may do nothing.
    let from = headers.get(SEC_FETCH_SITE).and_then(|from| from.to_str().ok());
    if from.is_some_and(|from| !["same-origin", "none"].contains(&from)) {
        return Err(Refusal::new(Code::CsrfRefused, "another page asked for this"));
    }
    if method != Method::GET && method != Method::HEAD {
        same_origin(headers)?;
        let token = one(headers, &HeaderName::from_static(api::CSRF_HEADER)).unwrap_or_default();
        if !house.sessions.has_csrf(&session, token) {
            let missing = "the header `Remit-Csrf` is not the one of this session";
            return Err(Refusal::new(Code::CsrfRefused, missing));
        }
    }
    let (name, roles) = match session.whose {
        Whose::KeyHolder => (Person::KEY_HOLDER.to_owned(), vec![Role::Operator]),
        // Whoever was taken out of the configuration is nobody from then on.
        Whose::Named(name) => {
            let roles = house.roles_of(&name).ok_or_else(ended)?;
            (name, roles)
        }
    };
    Ok(Person { name, roles, expires: Some(session.expires) })
}

/// Demands an Origin, and that it is this very host and port.
pub(crate) fn same_origin(headers: &HeaderMap) -> Result<(), Refusal> {
    let host = one(headers, &header::HOST).unwrap_or_default();
    let origin = one(headers, &header::ORIGIN).unwrap_or_default();
    let from = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    if from.is_some_and(|from| !host.is_empty() && from.eq_ignore_ascii_case(host)) {
        return Ok(());
    }
    Err(Refusal::new(Code::CsrfRefused, "the `Origin` of this request is not the console's own"))
}

/// Browsers keep cookies by host and not by port: the port in its name keeps two Remits of one host apart.
pub(crate) fn cookie_name(headers: &HeaderMap) -> String {
    let host = one(headers, &header::HOST).unwrap_or_default();
    let port = host.rsplit_once(':').map(|(_, port)| port).filter(|port| port.parse::<u16>().is_ok());
    format!("remit_{}", port.unwrap_or("0"))
}

/// The session cookie, if exactly one was sent.
pub(crate) fn cookie(headers: &HeaderMap) -> Option<String> {
    let name = cookie_name(headers);
    let sent = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let pairs = sent.flat_map(|text| text.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let mut ours = pairs.filter(|(sent, _)| *sent == name).map(|(_, value)| value.to_owned());
    let first = ours.next();
    first.filter(|_| ours.next().is_none())
}

fn one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut sent = headers.get_all(name).iter();
    let first = sent.next()?.to_str().ok();
    first.filter(|_| sent.next().is_none())
}

/// Compares without stopping at the first difference.
fn same(a: &Digest, b: &Digest) -> bool {
    let differ = a.0.iter().zip(&b.0).fold(0u8, |differ, (a, b)| differ | (a ^ b));
    std::hint::black_box(differ) == 0
}
