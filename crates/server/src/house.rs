//! What every endpoint is handed: the gate, the options, and the seats.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use api::incident::IncidentPlace;
use api::person::Role;
use bytes::Bytes;
use gate::Gate;
use gate::clock::{Clock, Wall};
use kernel::id::{CallId, RunId};
use kernel::rules::Rules;
use serde_json::Value;
use stdx::digest::Digest;
use tokio::sync::watch;

use crate::hooks::Inbound;
use crate::roles::People;
use crate::session::Sessions;

/// Requests under way on one listener; more are told to come back.
pub(crate) const REQUESTS_MAX: usize = 4096;
/// Streams of events under way on one listener.
pub(crate) const TAILS_MAX: usize = 64;

/// The rules in force once something is accepted, or in words what is in the way.
pub type Accepting<'a> = Pin<Box<dyn Future<Output = Result<Digest, String>> + Send + 'a>>;

/// Whoever owns the configuration: puts into force what a person accepts of a tool.
pub trait Accepts: Send + Sync {
    fn accept(&self, tool: String, definition: Value, by: String) -> Accepting<'_>;
}

/// What leaves the house when an incident is reported.
#[derive(Clone, Debug)]
pub struct Report {
    pub run: String,
    pub title: String,
    /// Markdown that holds nothing an agent, a tool or a customer wrote.
    pub summary: String,
    /// All that is known, as JSON, without what looks like a secret.
    pub file: Bytes,
}

/// Where it is found then, if the place says so; or in words what went wrong.
pub type Sending<'a> = Pin<Box<dyn Future<Output = Result<Option<String>, String>> + Send + 'a>>;

/// Whoever knows the places that incidents may be sent to, and their secrets.
pub trait Reports: Send + Sync {
    fn places(&self) -> Vec<IncidentPlace>;

    fn send(&self, to: String, report: Report) -> Sending<'_>;
}

/// Whoever tells agents, at an address that they named, that what they asked about has ended.
pub trait Callbacks: Send + Sync {
    /// Whether this agent may be told there; or in words why not.
    fn check(&self, agent: &str, url: &str) -> Result<(), String>;

    /// From now on it is owed, over restarts, too.
    fn expect(&self, ticket: CallId, run: RunId, agent: &str, url: &str) -> Result<(), String>;
}

/// Whoever can read the configuration with one file written otherwise. Nothing is changed by it.
pub trait Changes: Send + Sync {
    /// The files that rules are made of, by name.
    fn files(&self) -> Result<Vec<(String, String)>, String>;

    /// The rules as they would be, with what is odd about them; or what is wrong with the text.
    fn changed(&self, file: &str, text: String) -> Result<(Arc<Rules>, Vec<String>), String>;
}

#[derive(Clone)]
pub struct Options {
    /// Host names served beside the loopback ones, with or without a port.
    pub hosts: Vec<String>,
    /// Web origins that may ask beside the listener's own, as `https://name:port`.
    pub origins: Vec<String>,
    /// SHA-256 of the operator key's text.
    pub operator: Digest,
    /// How agents reach this listener, if that is not by the Host they name.
    pub public_url: Option<String>,
    /// Where people find the console, without a path at its end: agents are told whom to send there.
    pub console: String,
    /// Where people look up a trace; `{trace}` stands for its id.
    pub traces: Option<String>,
    pub requests_max: usize,
    /// The largest request body that doors of other protocols take.
    pub door_bytes_max: usize,
    /// The people who may sign in. Whoever is taken out is signed out.
    pub people: watch::Receiver<Arc<People>>,
    /// Systems that may correct what a run came to.
    pub inbound: watch::Receiver<Arc<Inbound>>,
    /// None: what is accepted cannot be kept.
    pub accepts: Option<Arc<dyn Accepts>>,
    /// None: incidents are files, and sent nowhere.
    pub reports: Option<Arc<dyn Reports>>,
    /// None: agents poll.
    pub callbacks: Option<Arc<dyn Callbacks>>,
    /// None: the configuration is in no file.
    pub changes: Option<Arc<dyn Changes>>,
    pub clock: Arc<dyn Clock>,
    /// Turns true when Remit stops: streams end.
    pub stop: watch::Receiver<bool>,
}

impl Options {
    /// Loopback only, with the defaults.
    pub fn new(operator_key: &str, stop: watch::Receiver<bool>) -> Options {
        Options {
            hosts: Vec::new(),
            origins: Vec::new(),
            operator: Digest::of(operator_key.as_bytes()),
            public_url: None,
            console: String::new(),
            traces: None,
            requests_max: REQUESTS_MAX,
            door_bytes_max: api::BODY_BYTES_MAX,
            people: watch::channel(Arc::default()).1,
            inbound: watch::channel(Arc::default()).1,
            accepts: None,
            reports: None,
            callbacks: None,
            changes: None,
            clock: Arc::new(Wall),
            stop,
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("hosts", &self.hosts)
            .field("origins", &self.origins)
            .finish_non_exhaustive()
    }
}

pub(crate) type Shared = Arc<House>;

pub(crate) struct House {
    pub(crate) gate: Gate,
    pub(crate) options: Options,
    pub(crate) sessions: Sessions,
    /// Held while somebody looks at a change of the rules.
    pub(crate) changing: tokio::sync::Mutex<()>,
    requests: AtomicUsize,
    tails: AtomicUsize,
}

impl House {
    pub(crate) fn new(gate: Gate, options: Options) -> Shared {
        let (requests, tails) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let sessions = Sessions::new(options.operator);
        let changing = tokio::sync::Mutex::new(());
        Arc::new(House { gate, options, sessions, changing, requests, tails })
    }

    /// A person's roles, if the configuration knows them and gives them any.
    pub(crate) fn roles_of(&self, name: &str) -> Option<Vec<Role>> {
        let people = self.options.people.borrow();
        people.get(name).filter(|roles| !roles.is_empty()).cloned()
    }

    /// A seat for one request, if one is free.
    pub(crate) fn seat(self: &Arc<House>) -> Option<Seat> {
        Seat::take(self, |house| &house.requests, self.options.requests_max)
    }

    /// A seat for one stream of events, if one is free.
    pub(crate) fn tail_seat(self: &Arc<House>) -> Option<Seat> {
        Seat::take(self, |house| &house.tails, TAILS_MAX)
    }

    pub(crate) fn requests_now(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }

    pub(crate) fn tails_now(&self) -> usize {
        self.tails.load(Ordering::Relaxed)
    }
}

// ---- Seat -------------------------------------------------------------------------------------------------

type Counter = fn(&House) -> &AtomicUsize;

/// Given back when it is dropped.
pub(crate) struct Seat {
    house: Shared,
    counter: Counter,
}

impl Seat {
    fn take(house: &Shared, counter: Counter, most: usize) -> Option<Seat> {
        let seat = Seat { house: house.clone(), counter };
        // INVARIANT: each seat adds one here and takes one away in `drop`, also when it is refused below.
        let before = counter(house).fetch_add(1, Ordering::Relaxed);
        (before < most).then_some(seat)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        (self.counter)(&self.house).fetch_sub(1, Ordering::Relaxed);
    }
}
