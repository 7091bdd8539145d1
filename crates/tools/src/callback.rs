//! Callbacks: an agent that named an address when it asked is told there how its ticket stands, and need not poll.
//!
//! It is told how it stands and nothing of what it was about: no arguments, no result, no words; those it gets
//! where it proves who it is. Agents name only addresses of an origin that the configuration lists for them, in the
//! form and under the signature of webhooks. What is to be told is a file of its own beside the ledger until it
//! was, so that a restart forgets nothing; the same news has the same `webhook-id` for ever.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ::http::{HeaderMap, Method, Request, Uri};
use bytes::Bytes;
use gate::vault::open_reference;
use gate::{Gate, TicketNews};
use http_body_util::Full;
use kernel::id::{CallId, RunId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use stdx::glob;
use tokio::sync::{Notify, Semaphore, watch};

use crate::client::{self, Wire};
use crate::error::Error;
use crate::resolve::Resolver;
use crate::webhook;

const CONNECT_WAIT: Duration = Duration::from_secs(5);
const ANSWER_WAIT: Duration = Duration::from_secs(10);
const IDLE: Duration = Duration::from_secs(30);
/// Tries of one callback; the waits between them double from the first.
const TRIES: u32 = 8;
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// Requests on their way at once.
const AT_ONCE: usize = 16;
/// Tickets that somebody is to be told of.
const WAITING_MAX: usize = 20_000;
const URL_BYTES_MAX: usize = 2_048;
/// Events read at once, and how long to wait for more.
const READ_MAX: usize = 200;
const QUIET: Duration = Duration::from_secs(30);
/// What comes shortly after one another is read at once.
const GATHER: Duration = Duration::from_millis(20);
const RETRY_READ: Duration = Duration::from_secs(1);

/// Where which agents may have themselves told, as the configuration has it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    /// Names of agents; `*` stands for any part of one.
    pub agents: Vec<String>,
    /// `https://name:port`, and no more.
    pub origins: Vec<String>,
    /// Where the secret is kept that it is signed with: `env:NAME`, `file:PATH`.
    pub secret: String,
}

/// Who is told of what. Handles are cheap and alike.
#[derive(Clone)]
pub struct Callbacks(Arc<Inner>);

struct Inner {
    gate: Gate,
    folder: PathBuf,
    wire: Wire,
    kept: Mutex<Kept>,
    /// Something is new that no event of the ledger tells of.
    news: Notify,
    sending: Arc<Semaphore>,
}

#[derive(Default)]
struct Kept {
    places: Vec<Place>,
    wanted: BTreeMap<CallId, Wanted>,
    /// To be looked at, whatever the ledger says.
    fresh: BTreeSet<CallId>,
}

/// Somebody is to be told of a ticket.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Wanted {
    agent: String,
    run: RunId,
    url: String,
    /// It was told that it may come for its permit.
    #[serde(default)]
    approved: bool,
}

impl Callbacks {
    /// Goes on with what was to be told when Remit stopped.
    pub fn open(gate: &Gate, data: &Path, stop: &watch::Receiver<bool>) -> Result<Callbacks, Error> {
        let connector = client::connector(CONNECT_WAIT, Resolver::system())?;
        let folder = data.join("callbacks");
        let wanted = read(&folder);
        let fresh = wanted.keys().copied().collect();
        let callbacks = Callbacks(Arc::new(Inner {
            gate: gate.clone(),
            folder,
            wire: client::wire(connector, 1, IDLE),
            kept: Mutex::new(Kept { places: Vec::new(), wanted, fresh }),
            news: Notify::new(),
            sending: Arc::new(Semaphore::new(AT_ONCE)),
        }));
        let (follower, mut stopping) = (callbacks.clone(), stop.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = follower.follow() => {}
                _ = stopping.wait_for(|stop| *stop) => {}
            }
        });
        Ok(callbacks)
    }

    /// From now on these, and no others. False: they were these before.
    pub fn know(&self, places: &[Place]) -> bool {
        let mut kept = self.kept();
        let changes = kept.places != places;
        kept.places = places.to_vec();
        changes
    }

    /// Whether this agent may be told there; or in words why not.
    pub fn check(&self, agent: &str, url: &str) -> Result<(), String> {
        let kept = self.kept();
        if kept.wanted.len() >= WAITING_MAX {
            return Err("too many tickets wait for somebody to be told of them".to_owned());
        }
        secret_of(&kept.places, agent, url).map(drop)
    }

    /// It is to be told when the ticket ends: on disk before the agent hears of its ticket. Asked for again, the last
    /// address counts.
    pub fn expect(&self, ticket: CallId, run: RunId, agent: &str, url: &str) -> Result<(), String> {
        let wanted = Wanted { agent: agent.to_owned(), run, url: url.to_owned(), approved: false };
        keep(&self.0.folder, ticket, &wanted).map_err(|error| error.to_string())?;
        let mut kept = self.kept();
        kept.wanted.insert(ticket, wanted);
        // It may have ended since.
        kept.fresh.insert(ticket);
        self.0.news.notify_one();
        Ok(())
    }

    /// Reads on in the ledger, for ever.
    async fn follow(&self) {
        let mut next = self.0.gate.counts().head_index;
        loop {
            if self.kept().wanted.is_empty() {
                self.0.news.notified().await;
                // What ended before this is seen when it is looked at as fresh.
                next = self.0.gate.counts().head_index;
            }
            let fresh = std::mem::take(&mut self.kept().fresh);
            self.look_at(fresh).await;
            let events = match self.0.gate.events(next, READ_MAX).await {
                Ok(events) => events,
                Err(error) => {
                    tracing::warn!(%error, "callbacks cannot read the ledger; it is tried again");
                    tokio::time::sleep(RETRY_READ).await;
                    continue;
                }
            };
            if events.is_empty() {
                tokio::select! {
                    _ = self.0.gate.wait_past(next, QUIET) => {}
                    () = self.0.news.notified() => {}
                }
                continue;
            }
            next = events.last().map_or(next, |event| event.index + 1);
            let touched = self.touched(events.iter().map(|event| &event.event));
            self.look_at(touched).await;
            tokio::time::sleep(GATHER).await;
        }
    }

    /// The tickets of which one of these events may be the end.
    fn touched<'e>(&self, events: impl Iterator<Item = &'e Value>) -> BTreeSet<CallId> {
        let runs: BTreeSet<RunId> = events.filter_map(run_of).collect();
        let kept = self.kept();
        let own = kept.wanted.iter().filter(|(_, wanted)| runs.contains(&wanted.run));
        own.map(|(ticket, _)| *ticket).collect()
    }

    async fn look_at(&self, tickets: BTreeSet<CallId>) {
        for ticket in tickets {
            match self.0.gate.ticket_news(ticket).await {
                Ok(Some(news)) => self.tell(ticket, news),
                Ok(None) => {}
                Err(gate::error::Error::NotFound { .. }) => self.forget(ticket),
                Err(error) => {
                    tracing::warn!(%error, %ticket, "how a ticket stands is not known; it is looked at again");
                    tokio::time::sleep(RETRY_READ).await;
                    self.kept().fresh.insert(ticket);
                }
            }
        }
    }

    /// Detached: who is slow to answer holds up nobody else.
    fn tell(&self, ticket: CallId, news: TicketNews) {
        let Some(wanted) = self.taken(ticket, news) else { return };
        let callbacks = self.clone();
        tokio::spawn(async move {
            let told = Told::new(ticket, &wanted, news, callbacks.0.gate.now());
            callbacks.tried(&wanted, &told).await;
            // Asked for again meanwhile: then it is told again.
            if !callbacks.kept().wanted.contains_key(&ticket) {
                let _ = std::fs::remove_file(place(&callbacks.0.folder, ticket));
            }
        });
    }

    /// Whom to tell, once.
    fn taken(&self, ticket: CallId, news: TicketNews) -> Option<Wanted> {
        let mut kept = self.kept();
        if news != TicketNews::Approved {
            // Its file stays until it was told: a restart tells it anew.
            return kept.wanted.remove(&ticket);
        }
        let wanted = kept.wanted.get_mut(&ticket).filter(|wanted| !wanted.approved)?;
        wanted.approved = true;
        let _ = keep(&self.0.folder, ticket, wanted);
        Some(wanted.clone())
    }

    fn forget(&self, ticket: CallId) {
        self.kept().wanted.remove(&ticket);
        let _ = std::fs::remove_file(place(&self.0.folder, ticket));
    }

    async fn tried(&self, wanted: &Wanted, told: &Told) {
        let mut wait = FIRST_WAIT;
        for tried in 1..=TRIES {
            match self.send(wanted, told).await {
                Ok(()) => return,
                Err(why) => tracing::warn!(
                    id = told.id,
                    agent = wanted.agent,
                    tried,
                    why,
                    "a callback was not delivered"
                ),
            }
            if tried < TRIES {
                tokio::time::sleep(wait).await;
                wait *= 2;
            }
        }
        tracing::error!(id = told.id, agent = wanted.agent, "a callback was given up: its agent must poll");
    }

    /// Allowed anew at each try: the configuration of now counts.
    async fn send(&self, wanted: &Wanted, told: &Told) -> Result<(), String> {
        let secret = secret_of(&self.kept().places, &wanted.agent, &wanted.url)?;
        let secret = open_reference(&secret).map_err(|error| error.to_string())?;
        let now_seconds = self.0.gate.now().0 / 1_000;
        let headers = webhook::signed_as(told.id.clone(), now_seconds, &told.body, secret.reveal());
        let request = request(&wanted.url, headers, told.body.clone())?;
        let _turn = self.0.sending.acquire().await.map_err(|error| error.to_string())?;
        match tokio::time::timeout(ANSWER_WAIT, self.0.wire.request(request)).await {
            Ok(Ok(answer)) if answer.status().is_success() => Ok(()),
            Ok(Ok(answer)) => Err(format!("it answered {}", answer.status().as_u16())),
            Ok(Err(error)) if client::is_private(&error) => {
                Err("its name leads to a private address".to_owned())
            }
            Ok(Err(_)) => Err("it cannot be reached".to_owned()),
            Err(_) => Err("it did not answer in time".to_owned()),
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is posted, under an id that is the same for ever.
struct Told {
    id: String,
    body: Bytes,
}

impl Told {
    fn new(ticket: CallId, wanted: &Wanted, news: TicketNews, now: kernel::time::Time) -> Told {
        let (state, ruling, outcome) = match news {
            TicketNews::Approved => ("approved", None, None),
            TicketNews::Ended { ruling, outcome } => ("ended", Some(ruling), outcome),
        };
        let body = json!({
            "type": format!("ticket.{state}"),
            "timestamp": now.to_string(),
            "data": {
                "ticket": ticket.to_string(),
                "run": wanted.run.to_string(),
                "state": state,
                "ruling": ruling.map(|ruling| ruling.name()),
                "outcome": outcome.map(|outcome| outcome.name()),
                "poll": format!("/v1/tickets/{ticket}"),
            },
        });
        Told { id: format!("remit_{ticket}_{state}"), body: Bytes::from(body.to_string()) }
    }
}

fn request(url: &str, headers: HeaderMap, body: Bytes) -> Result<Request<Full<Bytes>>, String> {
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = url.parse().map_err(|_| "its address cannot be read".to_owned())?;
    *request.headers_mut() = headers;
    Ok(request)
}

// ---- Who may be told where --------------------------------------------------------------------------------

/// Where the secret is kept of the first place that lists this agent and this origin. What is not listed is refused.
fn secret_of(places: &[Place], agent: &str, url: &str) -> Result<String, String> {
    let origin = origin_of(url)?;
    let lists = |place: &&Place| {
        place.agents.iter().any(|name| glob::matches(name, agent))
            && place.origins.iter().any(|known| origin_of(known).as_ref() == Ok(&origin))
    };
    let place = places.iter().find(lists);
    let refused = || format!("`callbacks` in remit.yaml does not list `{origin}` for this agent");
    place.map(|place| place.secret.clone()).ok_or_else(refused)
}

/// Scheme, name and port of an address that may be called back, in one spelling.
pub fn origin_of(url: &str) -> Result<String, String> {
    let unreadable = || "an address such as `https://name/path` is wanted".to_owned();
    if url.len() > URL_BYTES_MAX {
        return Err(format!("an address of more than {URL_BYTES_MAX} bytes is not taken"));
    }
    let uri: Uri = url.parse().map_err(|_| unreadable())?;
    let usual = match uri.scheme_str() {
        Some("https") => 443,
        Some("http") => 80,
        _ => return Err(unreadable()),
    };
    let authority = uri.authority().ok_or_else(unreadable)?;
    if authority.as_str().contains('@') {
        return Err("a name or a password in an address is not taken".to_owned());
    }
    let (scheme, host) = (uri.scheme_str().unwrap_or_default(), authority.host().to_ascii_lowercase());
    if host.is_empty() || (authority.port().is_some() && authority.port_u16().is_none()) {
        return Err(unreadable());
    }
    Ok(format!("{scheme}://{host}:{}", authority.port_u16().unwrap_or(usual)))
}

/// The run of an event that may be the end of a ticket, or its last yes.
fn run_of(event: &Value) -> Option<RunId> {
    let kind = event.get("kind").and_then(Value::as_str)?;
    let ends = ["answered", "call_decided", "call_finished", "commit_ended", "run_closed"].contains(&kind);
    let run = event.pointer("/body/run").and_then(Value::as_str).filter(|_| ends)?;
    run.parse().ok()
}

// ---- On disk ----------------------------------------------------------------------------------------------

fn place(folder: &Path, ticket: CallId) -> PathBuf {
    folder.join(format!("{ticket}.json"))
}

/// Beside and renamed, so that no crash leaves half of it.
fn keep(folder: &Path, ticket: CallId, wanted: &Wanted) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let place = place(folder, ticket);
    let beside = place.with_extension("tmp");
    let mut file = std::fs::File::create(&beside)?;
    serde_json::to_writer(&mut file, wanted)?;
    file.sync_all()?;
    std::fs::rename(&beside, &place)
}

fn read(folder: &Path) -> BTreeMap<CallId, Wanted> {
    let Ok(files) = std::fs::read_dir(folder) else { return BTreeMap::new() };
    let read = |path: PathBuf| -> Option<(CallId, Wanted)> {
        let ticket = path.file_name()?.to_str()?.strip_suffix(".json")?.parse().ok()?;
        Some((ticket, serde_json::from_slice(&std::fs::read(&path).ok()?).ok()?))
    };
    files.filter_map(|file| read(file.ok()?.path())).collect()
}

#[cfg(test)]
mod tests;
