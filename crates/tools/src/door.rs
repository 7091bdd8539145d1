//! The MCP door: agents' MCP clients of either era come in here, and each call of theirs walks the line.
//!
//! How to read this room, in the order a request travels:
//!
//! 1. `post.rs`       what a POST may be, and of which era it is
//! 2. `stateless.rs`  2026-07-28: each request stands alone, its headers agree with its body
//! 3. `legacy.rs`     until 2025-11-25: `initialize`, sessions (`session.rs`), their streams
//! 4. `methods.rs`    what is answered to each method: `tools.rs` lists and calls, `offers.rs` does so for the rest
//! 5. `rounds.rs`     when the server wants to know more; the client is asked in results (`states.rs`, `live.rs`),
//!    or on a stream (`questions.rs`)
//! 6. `tickets.rs`    when people are asked first, and how each kind of client waits
//! 7. `told.rs`       a verdict and a result in words that a model can act on
//! 8. `tasks.rs`      a call that takes long becomes a task, and its client comes back for the result
//! 9. `stream.rs`     an answer that grows: progress before the result; `news.rs`: changed lists and resources;
//!    `replay.rs`: what a client with a session missed of them when its connection broke
//!
//! The door never authenticates: who mounts it hands over a `Caller`, and a `RunId` if a header held its token.

use std::sync::Arc;

use axum::Router;
use axum::body::to_bytes;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use gate::{Caller, Gate};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use kernel::contract::Contract;
use kernel::id::RunId;

use crate::mcp::Catalogue;
use crate::mcp::headers::Mirrors;

mod legacy;
mod live;
mod methods;
mod news;
mod offers;
mod own;
mod post;
mod questions;
mod refused;
mod relay;
mod replay;
mod rounds;
mod session;
mod stateless;
mod states;
mod stream;
mod tasks;
mod tickets;
mod told;
mod tools;

/// Whoever mounts the door holds requests to less.
const BODY_BYTES_MAX: usize = 64 << 20;

/// The path under which all servers are one, and below which each is by itself.
pub const PATH: &str = "/mcp";

/// The routes of the door. A request without a `Caller` in its extensions is answered by an error. `console` is where
/// people answer, without a path at its end.
pub fn router(gate: Gate, catalogue: Catalogue, console: String) -> Router {
    let (sessions, seats, states, parked, tasks, mirrored) = Default::default();
    routes(Arc::new(Door { gate, catalogue, console, sessions, seats, states, parked, tasks, mirrored }))
}

fn routes(door: Arc<Door>) -> Router {
    let one = format!("{PATH}/{{server}}");
    Router::new().route(PATH, any(enter)).route(&one, any(enter)).with_state(door)
}

struct Door {
    gate: Gate,
    catalogue: Catalogue,
    console: String,
    sessions: session::Sessions,
    seats: Arc<news::Seats>,
    states: states::States,
    parked: Arc<live::Parked>,
    tasks: tasks::Tasks,
    mirrored: Mirrors,
}

/// One request: who asks, and through which door.
#[derive(Clone)]
struct Visit {
    door: Arc<Door>,
    caller: Caller,
    /// The run whose token came in a header.
    run: Option<RunId>,
    scope: Scope,
    headers: HeaderMap,
}

async fn enter(State(door): State<Arc<Door>>, server: Option<Path<String>>, request: Request) -> Response {
    let (mut parts, body) = request.into_parts();
    let (caller, run) = (parts.extensions.remove::<Caller>(), parts.extensions.remove::<RunId>());
    // Whoever mounts the door reads bodies within limits; what cannot be read here came from nobody.
    let (Some(caller), Ok(body)) = (caller, to_bytes(body, BODY_BYTES_MAX).await) else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let scope = Scope(server.map(|Path(server)| server));
    let visit = Visit { door, caller, run, scope, headers: parts.headers };
    match parts.method {
        Method::POST => post::post(visit, &body).await,
        Method::GET => legacy::listen(&visit).await,
        Method::DELETE => legacy::end(&visit).await,
        _ => not_allowed("POST, GET, DELETE"),
    }
}

fn not_allowed(allow: &'static str) -> Response {
    let allow = [(header::ALLOW, HeaderValue::from_static(allow))];
    (StatusCode::METHOD_NOT_ALLOWED, allow).into_response()
}

impl Visit {
    /// A tool by its name under this door, if some call of it could ever be allowed to this caller.
    fn tool(&self, name: &str) -> Option<Arc<Contract>> {
        let (rules, name) = (self.door.gate.rules(), self.scope.full_name(name));
        let is_visible = rules.policy.can_ever(&self.caller.agent, &name);
        rules.tool(&name).filter(|_| is_visible).map(|tool| tool.contract.clone())
    }

    /// All that could ever be allowed to this caller behind this door, in the order of their names.
    fn visible(&self) -> Vec<Arc<Contract>> {
        let mut visible = self.door.gate.visible(&self.caller);
        visible.retain(|contract| self.scope.covers(contract));
        visible.sort_by(|a, b| a.name.cmp(&b.name));
        visible
    }
}

// ---- Scope ------------------------------------------------------------------------------------------------

/// One server under its own names, or all of them under full names.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Scope(Option<String>);

impl Scope {
    fn covers(&self, contract: &Contract) -> bool {
        self.0.as_ref().is_none_or(|server| *server == contract.server)
    }

    fn full_name(&self, name: &str) -> String {
        match &self.0 {
            Some(server) => format!("{server}.{name}"),
            None => name.to_owned(),
        }
    }

    /// The same of a name that may be full already.
    fn full_name_once(&self, name: &str) -> String {
        match &self.0 {
            Some(server) if name.starts_with(&format!("{server}.")) => name.to_owned(),
            _ => self.full_name(name),
        }
    }

    fn name_of<'c>(&self, contract: &'c Contract) -> &'c str {
        match &self.0 {
            Some(_) => &contract.tool,
            None => &contract.name,
        }
    }
}

#[cfg(test)]
mod tests;
