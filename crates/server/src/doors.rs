//! Doors that speak somebody else's protocol. Who asks is proved here and handed over; the door does the rest.

use api::RUN_HEADER;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::Response;

use crate::ask::{recorded, whole};
use crate::authn;
use crate::house::Shared;
use crate::refusal::Refusal;

/// The doors' routes, each behind the proof of an agent's key, and of a run's token if one is sent.
pub(crate) fn behind_proof(doors: Router, house: &Shared) -> Router<Shared> {
    doors.layer(middleware::from_fn_with_state(house.clone(), prove)).with_state(())
}

/// The door finds a `Caller` in the request's extensions, a `RunId` if a token was sent, and a body that is whole.
async fn prove(State(house): State<Shared>, request: Request, next: Next) -> Result<Response, Refusal> {
    let caller = authn::agent(&house, request.headers())?;
    let run = match request.headers().contains_key(RUN_HEADER) {
        false => None,
        true => match authn::run(&house, &caller, request.headers()) {
            Ok(run) => Some(run),
            Err(refusal) => return Err(recorded(&house, &caller, None, refusal).await),
        },
    };
    let (mut parts, body) = request.into_parts();
    let bytes = match whole(&parts.headers, body, house.options.door_bytes_max).await {
        Ok(bytes) => bytes,
        Err(refusal) => return Err(recorded(&house, &caller, run, refusal).await),
    };
    parts.extensions.insert(caller);
    if let Some(run) = run {
        parts.extensions.insert(run);
    }
    Ok(next.run(Request::from_parts(parts, Body::from(bytes))).await)
}
