//! The reach for tools of MCP servers: one permitted call is one request, and one outcome that is never guessed.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use ::http::HeaderValue;
use gate::Gate;
use gate::permit::Permit;
use gate::port::{Cancel, Feed, Reach, Reached, Reaching};
use gate::vault::Secret;
use kernel::contract::Contract;
use kernel::id::{CallId, RunId};
use serde_json::{Value, json};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, watch};
use tokio::time::Instant;

use crate::catalog;
use crate::client;
use crate::error::Error;
use crate::mcp::era;
use crate::mcp::upstream::{
    Accepted, Asking, Connection, House, Kind, List, News, Stop, Trail, Trouble, Upstream, Watcher, What,
};
use crate::mcp::via::{self, Place};
use crate::mcp::wire::Members;
use crate::resolve::Resolver;

mod judge;
mod questions;
mod tasks;

/// News that nobody has fetched yet; the oldest are dropped, and who lags is told so.
const NEWS_MAX: usize = 1024;
/// What Remit asks for a list that somebody waits for.
const LIST_WAIT: Duration = Duration::from_secs(20);
const RENEW_WAIT: Duration = Duration::from_millis(500);

#[derive(Clone, Debug)]
pub struct Options {
    /// How long one connection may take to come about.
    pub connect_timeout_ms: u64,
    /// How long a server may take to start and to say what it speaks.
    pub start_timeout_ms: u64,
    /// Idle connections kept for each server. They are kept for less time than servers keep them, because a write on
    /// one that is half closed would end as unknown.
    pub idle_per_server_max: usize,
    pub idle_ms_max: u64,
    /// One message of a child process; a call's own limit holds within it.
    pub message_bytes_max: usize,
    /// The command that starts a child and ends it when Remit dies. Followed by our process id and the child's command.
    pub keeper: Vec<String>,
    /// Where a child is started whose contract names no other place, and what a place that it names is relative to.
    pub folder: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            connect_timeout_ms: 5_000,
            start_timeout_ms: 30_000,
            idle_per_server_max: 64,
            idle_ms_max: 1_000,
            message_bytes_max: 16 * 1024 * 1024,
            keeper: Vec::new(),
            folder: None,
        }
    }
}

/// The reach for tools of MCP servers. Cheap to clone: all clones share the same connections.
#[derive(Clone)]
pub struct Mcp(Arc<Inner>);

struct Inner {
    house: House,
    gate: Arc<Told>,
    /// By the contract's name.
    routes: Mutex<HashMap<String, Arc<Route>>>,
    stop: watch::Sender<bool>,
}

/// Where a contract leads. Contracts of one server share its upstream.
struct Route {
    via: Value,
    credential: Option<String>,
    method: Option<String>,
    upstream: Arc<Upstream>,
}

impl Mcp {
    pub fn new(options: &Options) -> Result<Mcp, Error> {
        Mcp::with_resolver(options, Resolver::system())
    }

    fn with_resolver(options: &Options, resolver: Resolver) -> Result<Mcp, Error> {
        let connector = client::connector(Duration::from_millis(options.connect_timeout_ms), resolver)?;
        let idle = Duration::from_millis(options.idle_ms_max);
        let (stop, stopping) = watch::channel(false);
        let gate = Arc::new(Told::default());
        let house = House {
            wire: client::wire(connector, options.idle_per_server_max, idle),
            watcher: gate.clone(),
            news: broadcast::channel(NEWS_MAX).0,
            stop: stopping,
            start_wait: Duration::from_millis(options.start_timeout_ms),
            message_bytes_max: options.message_bytes_max,
            keeper: options.keeper.clone().into(),
            folder: options.folder.clone(),
        };
        Ok(Mcp(Arc::new(Inner { house, gate, routes: Mutex::default(), stop })))
    }

    /// From now on this gate is told when a server describes a tool otherwise than it was accepted.
    pub fn tell(&self, gate: &Gate) {
        // A second gate would be told nothing; there is one.
        if self.0.gate.gate.set(gate.clone()).is_ok() {
            tokio::spawn(renew(Arc::downgrade(&self.0), self.catalogue().news()));
        }
    }

    /// Knows the servers of these contracts, and forgets all others.
    pub fn know<'c>(&self, contracts: impl IntoIterator<Item = &'c Contract>) {
        let mut names = HashSet::new();
        for contract in contracts {
            if self.route(contract).is_ok() {
                names.insert(contract.name.clone());
            }
        }
        let mut routes = self.0.routes();
        let mut before = self.0.upstreams(&routes);
        routes.retain(|name, _| names.contains(name));
        let after = self.0.upstreams(&routes);
        for upstream in &after {
            upstream.may_ask(questions::capabilities(&routes, upstream));
        }
        drop(routes);
        before.retain(|upstream| !after.iter().any(|other| Arc::ptr_eq(other, upstream)));
        for gone in before {
            tokio::spawn(async move { gone.close().await });
        }
    }

    /// What the servers offer.
    pub fn catalogue(&self) -> Catalogue {
        Catalogue(self.0.clone())
    }

    /// Ends all sessions and all children, and waits for that.
    pub async fn close(&self) {
        self.0.stop.send_replace(true);
        let upstreams = self.0.upstreams(&self.0.routes());
        let closing: Vec<_> = upstreams
            .into_iter()
            .map(|upstream| tokio::spawn(async move { upstream.close().await }))
            .collect();
        for one in closing {
            let _ = one.await;
        }
    }

    fn route(&self, contract: &Contract) -> Result<Arc<Route>, Error> {
        let mut routes = self.0.routes();
        if let Some(route) = routes.get(&contract.name)
            && route.via == contract.via
            && route.credential == contract.credential
        {
            return Ok(route.clone());
        }
        let via = via::parse(&contract.via)?;
        let credential = contract.credential.clone();
        let same = |upstream: &Arc<Upstream>| {
            *upstream.name == *via.server && upstream.place == via.place && upstream.credential == credential
        };
        let upstream = self.0.upstreams(&routes).into_iter().find(same);
        let upstream = upstream.unwrap_or_else(|| {
            Upstream::new(&via.server, via.place.clone(), credential.clone(), self.0.house.clone())
        });
        let route = Arc::new(Route { via: contract.via.clone(), credential, method: via.method, upstream });
        routes.insert(contract.name.clone(), route.clone());
        Ok(route)
    }
}

impl Inner {
    fn routes(&self) -> MutexGuard<'_, HashMap<String, Arc<Route>>> {
        self.routes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn upstreams(&self, routes: &HashMap<String, Arc<Route>>) -> Vec<Arc<Upstream>> {
        let by_place: BTreeMap<usize, Arc<Upstream>> = routes
            .values()
            .map(|route| (Arc::as_ptr(&route.upstream).addr(), route.upstream.clone()))
            .collect();
        by_place.into_values().collect()
    }
}

/// What the servers offer, asked for as Remit and not as any agent.
#[derive(Clone)]
pub struct Catalogue(Arc<Inner>);

impl Catalogue {
    /// The server's list, as it is kept or else asked for now.
    pub async fn list(&self, server: &str, kind: Kind) -> Result<Arc<List>, Trouble> {
        self.upstream(server)?.list(kind, &mut self.stop()).await
    }

    /// The connection to a server: what it speaks, what it can do, what it says of itself.
    pub async fn connection(&self, server: &str) -> Result<Arc<Connection>, Trouble> {
        self.upstream(server)?.connected(&mut self.stop()).await
    }

    /// What servers tell without being asked, from now on.
    pub fn news(&self) -> broadcast::Receiver<News> {
        self.0.house.news.subscribe()
    }

    fn upstream(&self, server: &str) -> Result<Arc<Upstream>, Trouble> {
        let routes = self.0.routes();
        let upstream =
            routes.values().map(|route| &route.upstream).find(|upstream| *upstream.name == *server);
        upstream.cloned().ok_or_else(|| Trouble { code: "no_such_server".into(), words: String::new() })
    }

    fn stop(&self) -> Stop {
        let cancel = Cancel::new(self.0.house.stop.clone(), None);
        Stop::new(cancel, Instant::now() + LIST_WAIT)
    }
}

/// Asks for the tools of a server again when it says that they changed, so that nobody has to call one to find out.
async fn renew(mcp: Weak<Inner>, mut news: broadcast::Receiver<News>) {
    loop {
        let server = match news.recv().await {
            Ok(News { server, what: What::ToolsChanged }) => server,
            Ok(_) | Err(RecvError::Lagged(_)) => continue,
            Err(RecvError::Closed) => return,
        };
        let Some(inner) = mcp.upgrade() else { return };
        if let Err(trouble) = Catalogue(inner).list(&server, Kind::Tools).await {
            tracing::warn!(server = &*server, ?trouble, "the tools of a server cannot be listed");
        }
        // A server that says it without end is asked no oftener than this.
        tokio::time::sleep(RENEW_WAIT).await;
    }
}

impl Reach for Mcp {
    fn kind(&self) -> &'static str {
        "mcp"
    }

    fn reach(&self, permit: Permit, secret: Option<Secret>, cancel: Cancel, feed: Feed) -> Reaching {
        let mcp = self.clone();
        Box::pin(async move {
            let order = Order {
                contract: permit.contract(),
                args: &permit.call().args,
                bytes: permit.bytes(),
                run: permit.call().run,
                call: permit.call().id,
                key: permit.key(),
                secret: secret.as_ref().map(Secret::reveal),
                feed,
            };
            mcp.carry_out(order, cancel).await
        })
    }
}

/// What a permit says, for the inside of this room. Only `Mcp::reach` makes one, from a permit.
struct Order<'p> {
    contract: &'p Contract,
    args: &'p Value,
    /// The same, in the form in which the law decided on them: nothing else goes to a tool.
    bytes: &'p [u8],
    run: RunId,
    call: CallId,
    /// The same for each try of one deed.
    key: &'p str,
    secret: Option<&'p [u8]>,
    feed: Feed,
}

impl Mcp {
    async fn carry_out(&self, order: Order<'_>, cancel: Cancel) -> Reached {
        let contract = order.contract;
        let Ok(route) = self.route(contract) else { return judge::not_dispatched("contract_unusable") };
        if route.method.as_deref().is_some_and(|method| via::QUESTIONS.iter().any(|(it, _)| *it == method)) {
            return judge::told_by_client(&order.feed, order.args).await;
        }
        if order.secret.is_some() && matches!(route.upstream.place, Place::Stdio(_)) {
            // A child has its secrets in its environment; there is nowhere to put this one.
            return judge::not_dispatched("credential_unusable");
        }
        let mut asking = match asking(&order, &route) {
            Ok(asking) => asking,
            Err(trouble) => return judge::not_dispatched(trouble),
        };
        let deadline = Instant::now() + Duration::from_millis(contract.timeout_ms);
        let mut stop = Stop::new(cancel, deadline);
        asking.asked = questions::asked(&order, &route, &stop.held);
        let upstream = match &asking.asked {
            Some(_) => route.upstream.called_by(&asking.capabilities, &mut stop).await,
            None => route.upstream.clone(),
        };
        let ended = tasks::call(&upstream, &asking, &mut stop).await;
        judge::judge(contract.effect, ended, &route.upstream.secrets(order.secret))
    }
}

fn asking<'o>(order: &'o Order<'_>, route: &'o Route) -> Result<Asking<'o>, &'static str> {
    const UNUSABLE: &str = "contract_unusable";
    let contract = order.contract;
    let Value::Object(args) = order.args else { return Err(UNUSABLE) };
    let bytes_max = usize::try_from(contract.result_bytes_max).unwrap_or(usize::MAX);
    let mut asking = match route.method.as_deref() {
        Some(method) => Asking::new(method, args.clone(), bytes_max),
        None => {
            let mut params = Members::new();
            params.insert("name".to_owned(), contract.tool.as_str().into());
            let mut asking = Asking::new("tools/call", params, bytes_max);
            asking.arguments = Some((order.bytes, args));
            asking.tool = Some(Accepted { name: &contract.tool, pin: contract.pin });
            if tasks::is_required(contract) {
                asking.params.insert("task".to_owned(), json!({ "ttl": contract.timeout_ms }));
            }
            asking
        }
    };
    let (run, call) = (order.run.to_string(), order.call.to_string());
    asking.trail = Some(Trail { run, call, trace: traceparent(order.run, order.call) });
    if let Some(name) = contract.idempotency_header.as_deref() {
        let name = catalog::parse_idempotency_header(name).map_err(|_| UNUSABLE)?;
        asking.header = Some((name, HeaderValue::from_str(order.key).map_err(|_| UNUSABLE)?));
    }
    asking.secret = order.secret;
    let aside = |name: &str| order.feed.aside().get(name);
    asking.capabilities = aside(via::CAPABILITIES).and_then(Value::as_object).cloned().unwrap_or_default();
    for name in [era::INPUT_RESPONSES, era::REQUEST_STATE] {
        asking.params.extend(aside(name).map(|value| (name.to_owned(), value.clone())));
    }
    asking.feed = order.feed.clone();
    Ok(asking)
}

/// A run is a trace and a call is a span in it, so that what a server logs can be found by either.
fn traceparent(run: RunId, call: CallId) -> String {
    let span = u64::try_from(call.0 & u128::from(u64::MAX)).unwrap_or_default().max(1);
    format!("00-{:032x}-{span:016x}-01", run.0.max(1))
}

/// Tells the gate what servers say of tools that contracts name.
#[derive(Default)]
struct Told {
    gate: OnceLock<Gate>,
}

impl Watcher for Told {
    fn seen(&self, server: &str, tools: Arc<List>) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        let server = server.to_owned();
        Box::pin(async move {
            let Some(gate) = self.gate.get() else { return };
            let rules = gate.rules();
            let quarantined: HashSet<String> = gate.quarantined().into_iter().map(|(name, _)| name).collect();
            for contract in rules.book.tools.values().filter(|contract| contract.server == server) {
                let Some(known) = tools.tools.get(&contract.tool) else { continue };
                let is_news = contract.pin != Some(known.definition) || quarantined.contains(&contract.name);
                if let (Some(_), true, Some(tool)) =
                    (&contract.definition, is_news, tools.tool(&contract.tool))
                    && let Err(error) =
                        gate.tool_seen(&contract.name, known.definition, &crate::mcp::definition(tool)).await
                {
                    tracing::error!(%error, tool = contract.name, "what a server says of a tool is not recorded");
                }
            }
        })
    }
}

#[cfg(test)]
mod tests;
