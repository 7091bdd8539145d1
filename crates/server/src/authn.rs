//! Who is asking: an agent by its key, a run by its token, an operator by the operator's key.

use api::RUN_HEADER;
use api::problem::Code;
use axum::extract::FromRequestParts;
use gate::Caller;
use http::request::Parts;
use http::{HeaderMap, header};
use kernel::id::RunId;
use stdx::digest::Digest;

use crate::house::{House, Shared};
use crate::refusal::Refusal;

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

// ---- Agent, Operator --------------------------------------------------------------------------------------

/// An agent that has proved to be itself.
pub(crate) struct Agent(pub(crate) Caller);

impl FromRequestParts<Shared> for Agent {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, house: &Shared) -> Result<Agent, Refusal> {
        agent(house, &parts.headers).map(Agent)
    }
}

/// A person with the operator's key.
pub(crate) struct Operator;

impl Operator {
    /// How the operator is named in the ledger, until people have identities of their own.
    pub(crate) const NAME: &str = "operator";

    pub(crate) fn prove(house: &House, headers: &HeaderMap) -> Result<Operator, Refusal> {
        let key = bearer(headers)?;
        if same(&Digest::of(key.as_bytes()), &house.options.operator) {
            return Ok(Operator);
        }
        if key.starts_with(AGENT_KEY_PREFIX) && house.gate.identify(key).is_ok() {
            return Err(Refusal::new(
                Code::Forbidden,
                "an agent's key opens nothing here: this is for people",
            ));
        }
        Err(Refusal::new(Code::KeyRefused, "this is not the operator's key"))
    }
}

impl FromRequestParts<Shared> for Operator {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, house: &Shared) -> Result<Operator, Refusal> {
        Operator::prove(house, &parts.headers)
    }
}

/// Compares without stopping at the first difference.
fn same(a: &Digest, b: &Digest) -> bool {
    let differ = a.0.iter().zip(&b.0).fold(0u8, |differ, (a, b)| differ | (a ^ b));
    std::hint::black_box(differ) == 0
}
