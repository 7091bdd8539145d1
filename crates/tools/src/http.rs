//! JSON over HTTP: one permitted call is one POST, and what comes back is one outcome that is never guessed.
//!
//! The tool server is not trusted: its answer is capped in size and time, read strictly, followed nowhere.

use std::sync::Arc;
use std::time::Duration;

use ::http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use ::http::{HeaderName, HeaderValue, Request};
use bytes::Bytes;
use gate::permit::Permit;
use gate::port::{Cancel, Feed, Reach, Reached, Reaching};
use gate::vault::Secret;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Body, Incoming};
use hyper_util::client::legacy::connect::capture_connection;
use kernel::contract::Contract;
use kernel::id::{CallId, RunId};

use crate::catalog;
use crate::client::{self, Wire};
use crate::error::Error;
use crate::resolve::Resolver;
use judge::Ended;

mod judge;

const RUN: HeaderName = HeaderName::from_static("remit-run");
const CALL: HeaderName = HeaderName::from_static("remit-call");

#[derive(Clone, Debug)]
pub struct Options {
    /// How long one connection may take to come about; the contract's timeout holds all the same.
    pub connect_timeout_ms: u64,
    /// Idle connections kept for each tool server.
    pub idle_per_server_max: usize,
    pub idle_secs_max: u64,
}

impl Default for Options {
    fn default() -> Options {
        Options { connect_timeout_ms: 5_000, idle_per_server_max: 32, idle_secs_max: 30 }
    }
}

/// The reach for tools that answer JSON over HTTP.
pub struct Http {
    wires: Arc<Wires>,
}

impl Http {
    pub fn new(options: Options) -> Result<Http, Error> {
        Http::with_resolver(options, Resolver::system())
    }

    fn with_resolver(options: Options, resolver: Resolver) -> Result<Http, Error> {
        let connector = client::connector(Duration::from_millis(options.connect_timeout_ms), resolver)?;
        let idle = Duration::from_secs(options.idle_secs_max);
        let reads = client::wire(connector.clone(), options.idle_per_server_max, idle);
        let writes = client::wire(connector, 0, idle);
        Ok(Http { wires: Arc::new(Wires { reads, writes }) })
    }
}

impl Reach for Http {
    fn kind(&self) -> &'static str {
        "http"
    }

    fn reach(&self, permit: Permit, secret: Option<Secret>, cancel: Cancel, _: Feed) -> Reaching {
        let wires = Arc::clone(&self.wires);
        Box::pin(async move {
            let order = Order {
                contract: permit.contract(),
                bytes: Arc::clone(permit.bytes()),
                run: permit.call().run,
                call: permit.call().id,
                key: permit.key(),
                secret: secret.as_ref().map(Secret::reveal),
            };
            wires.carry_out(order, cancel).await
        })
    }
}

struct Wires {
    reads: Wire,
    /// Keeps no idle connection: one that is half closed would swallow a write and leave it unknown.
    writes: Wire,
}

/// What a permit says, for the inside of this room. Only `Http::reach` makes one, from a permit.
struct Order<'p> {
    contract: &'p Contract,
    bytes: Arc<[u8]>,
    run: RunId,
    call: CallId,
    /// The same for each try of one deed.
    key: &'p str,
    secret: Option<&'p [u8]>,
}

impl Wires {
    async fn carry_out(&self, order: Order<'_>, mut cancel: Cancel) -> Reached {
        let mut request = match request(&order) {
            Ok(request) => request,
            Err(trouble) => return judge::not_dispatched(trouble),
        };
        let contract = order.contract;
        let wire = if contract.effect.writes() { &self.writes } else { &self.reads };
        // Set by the client when it has a connection, before it writes the first byte of the request.
        let connection = capture_connection(&mut request);
        let bytes_max = usize::try_from(contract.result_bytes_max).unwrap_or(usize::MAX);
        let ended = tokio::select! {
            biased;
            () = cancel.wanted() => Ended::Broken("cancelled"),
            () = tokio::time::sleep(Duration::from_millis(contract.timeout_ms)) => Ended::Broken("timeout"),
            ended = exchange(wire, request, bytes_max) => ended,
        };
        let ended = match ended {
            Ended::Broken(trouble) if connection.connection_metadata().is_none() => Ended::Unsent(trouble),
            ended => ended,
        };
        judge::judge(contract.effect, ended, order.secret)
    }
}

/// The whole request, or the trouble that forbids it. Nothing of an agent's own headers can be in it.
fn request(order: &Order<'_>) -> Result<Request<Full<Bytes>>, &'static str> {
    const UNUSABLE: &str = "contract_unusable";
    let via = catalog::parse_via(&order.contract.via).map_err(|_| UNUSABLE)?;
    let id = |id: String| HeaderValue::try_from(id).map_err(|_| UNUSABLE);
    let mut request = Request::new(Full::new(Bytes::from_owner(Arc::clone(&order.bytes))));
    *request.method_mut() = ::http::Method::POST;
    let headers = request.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(RUN, id(order.run.to_string())?);
    headers.insert(CALL, id(order.call.to_string())?);
    if let Some(name) = order.contract.idempotency_header.as_deref() {
        let name = catalog::parse_idempotency_header(name).map_err(|_| UNUSABLE)?;
        headers.insert(name, id(order.key.to_owned())?);
    }
    if let Some(secret) = order.secret {
        if !via.carries_secrets() {
            return Err("insecure");
        }
        let mut value =
            HeaderValue::from_bytes(&[b"Bearer ", secret].concat()).map_err(|_| "credential_unusable")?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    *request.uri_mut() = via.target;
    Ok(request)
}

async fn exchange(wire: &Wire, request: Request<Full<Bytes>>, bytes_max: usize) -> Ended {
    let response = match wire.request(request).await {
        Ok(response) => response,
        Err(error) if client::is_private(&error) => return Ended::Unsent("private_address"),
        Err(error) if error.is_connect() => return Ended::Unsent("unreachable"),
        Err(_) => return Ended::Broken("reset"),
    };
    let status = response.status();
    // A redirect is not followed, so its body is of no use to anyone.
    let body =
        if status.is_redirection() { Ok(Vec::new()) } else { hear(response.into_body(), bytes_max).await };
    Ended::Answered { status, body }
}

async fn hear(body: Incoming, bytes_max: usize) -> Result<Vec<u8>, &'static str> {
    // An answer that is announced too large is not waited for.
    if usize::try_from(body.size_hint().lower()).is_ok_and(|announced| announced > bytes_max) {
        return Err("too_large");
    }
    match Limited::new(body, bytes_max).collect().await {
        Ok(whole) => Ok(whole.to_bytes().into()),
        Err(error) if error.is::<LengthLimitError>() => Err("too_large"),
        Err(_) => Err("reset"),
    }
}

#[cfg(test)]
mod tests;
