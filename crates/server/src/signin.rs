//! Signing in: a link from the command line becomes a session in a browser, and ends.

use api::person::{LoginMinted, MintLogin, Role, Session, SignIn, SignedIn, SignedOut};
use api::problem::Code;
use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, header};

use crate::ask::{Told, read};
use crate::authn::{Person, cookie, cookie_name, same_origin};
use crate::house::Shared;
use crate::refusal::{Answer, Refusal};
use crate::session::{SESSION_TTL_MS, Whose};

pub(crate) async fn mint(
    _: Person,
    State(house): State<Shared>,
    Told(ask): Told<MintLogin>,
) -> Answer<LoginMinted> {
    let whose = match ask.person {
        None => Whose::KeyHolder,
        Some(name) if house.roles_of(&name).is_some() => Whose::Named(name),
        Some(name) => {
            let detail = format!("nobody under `people` in remit.yaml is called `{name}` and has a role");
            let mut refusal = Refusal::new(Code::NotFound, detail).at("/as");
            "add them there with a role; a running Remit takes that up by itself"
                .clone_into(&mut refusal.0.remedy);
            return Err(refusal);
        }
    };
    let person = whose.name().to_owned();
    let fresh = house.sessions.code(whose, house.options.clock.now()).ok_or_else(no_randomness)?;
    Ok(Json(LoginMinted {
        person,
        path: format!("/login#{}", fresh.secret),
        code: fresh.secret,
        expires: fresh.expires.to_string(),
    }))
}

/// A page of another origin must not sign its visitor in as somebody else, so this asks for an Origin too.
pub(crate) async fn sign_in(State(house): State<Shared>, request: Request) -> Result<Response, Refusal> {
    let headers = request.headers().clone();
    same_origin(&headers)?;
    let ask: SignIn = read(request).await?;
    let now = house.options.clock.now();
    let Some(whose) = house.sessions.redeem(&ask.code, now) else {
        return Err(Refusal::new(Code::LoginRefused, "this link was used, is too old, or never was one"));
    };
    let roles = match &whose {
        Whose::KeyHolder => vec![Role::Operator],
        Whose::Named(name) => house.roles_of(name).unwrap_or_default(),
    };
    let roles = roles.iter().map(ToString::to_string).collect();
    let (begun, signed) = house.sessions.begin(&whose, roles, now).ok_or_else(no_randomness)?;
    // Who is told that they are signed in stands in the ledger.
    house.gate.sign_in(signed).await?;
    if let Some(before) = cookie(&headers) {
        house.gate.sign_out(house.sessions.digest(&before)).await?;
    }
    let person = whose.name().to_owned();
    tracing::info!(person, "signed in");
    let expires = begun.cookie.expires.to_string();
    let set = set_cookie(&headers, &begun.cookie.secret, SESSION_TTL_MS / 1000);
    let answer = Json(SignedIn { person, csrf: begun.csrf, expires });
    Ok(([(header::SET_COOKIE, set)], answer).into_response())
}

pub(crate) async fn session(person: Person) -> Json<Session> {
    use api::endpoint::Auth;
    Json(Session {
        may_audit: person.may(Auth::Auditor),
        may_operate: person.may(Auth::Operator),
        roles: person.roles.iter().map(ToString::to_string).collect(),
        expires: person.expires.map(|expires| expires.to_string()),
        person: person.name,
    })
}

pub(crate) async fn sign_out(
    _: Person,
    State(house): State<Shared>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let signed_out = cookie(&headers);
    if let Some(cookie) = &signed_out {
        house.gate.sign_out(house.sessions.digest(cookie)).await?;
    }
    let set = set_cookie(&headers, "", 0);
    Ok(([(header::SET_COOKIE, set)], Json(SignedOut { signed_out: signed_out.is_some() })).into_response())
}

/// Not for scripts, not for other sites, and over TLS only where it came that way.
fn set_cookie(headers: &HeaderMap, value: &str, seconds: u64) -> HeaderValue {
    let name = cookie_name(headers);
    let tls = headers.get(header::ORIGIN).is_some_and(|origin| origin.as_bytes().starts_with(b"https://"));
    let secure = if tls { "; Secure" } else { "" };
    let text = format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={seconds}{secure}");
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""))
}

fn no_randomness() -> Refusal {
    Refusal::new(Code::Internal, Code::Internal.title())
}
