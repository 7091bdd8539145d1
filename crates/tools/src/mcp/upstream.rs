//! One server that Remit reaches: connected to when it is needed, kept, shared by all agents, and connected to again.
//!
//! - `ask.rs`         a request, and how it ended
//! - `connection.rs`  agreeing on a revision; calls, and what is watched
//! - `lists.rs`       what the server offers
//! - `http.rs`        streamable HTTP
//! - `stdio.rs`, `child.rs`, `lines.rs`  a child process
//! - `news.rs`        what it tells without being asked; `watched.rs`, which resources that is asked of

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gate::port::Cancel;
use serde_json::json;
use tokio::sync::{broadcast, watch};
use tokio::time::Instant;

use crate::client::Wire;
use crate::mcp::era::Reply;
use crate::mcp::via::Place;
use crate::mcp::wire::{self, Members};

pub use ask::{Accepted, Asked, Asking, Ended, Held, Stop, Trail, Trouble};
pub use connection::Connection;
pub use lists::{Kind, Known, List};
pub use news::{News, What};

use connection::{Around, Link, Probed};
use http::HttpLink;
use news::{Inbox, Stale};
use stdio::StdioLink;
use watched::Watched;

mod ask;
mod child;
mod connection;
mod http;
mod lines;
mod lists;
mod news;
mod stdio;
mod watched;

/// A connection that held this long is no sign of a server that cannot be kept.
const STEADY: Duration = Duration::from_secs(10);
const TELL_WAIT: Duration = Duration::from_secs(5);
const BACKOFF_MS: u64 = 250;
const BACKOFF_MS_MAX: u64 = 30_000;

/// Is told what a server says of its tools, before any of them is called.
pub trait Watcher: Send + Sync + 'static {
    fn seen(&self, server: &str, tools: Arc<List>) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}

/// What an upstream needs of the house.
#[derive(Clone)]
pub(super) struct House {
    pub(super) wire: Wire,
    pub(super) watcher: Arc<dyn Watcher>,
    pub(super) news: broadcast::Sender<News>,
    /// Turns true when Remit leaves.
    pub(super) stop: watch::Receiver<bool>,
    pub(super) start_wait: Duration,
    pub(super) message_bytes_max: usize,
    pub(super) keeper: Arc<[String]>,
    pub(super) folder: Option<PathBuf>,
}

pub(super) struct Upstream {
    pub(super) name: Arc<str>,
    pub(super) place: Place,
    pub(super) credential: Option<String>,
    house: House,
    watched: Arc<Watched>,
    /// What the server may ask of those who call it, as it is told when a session begins.
    questions: Mutex<Members>,
    /// The same server, in sessions of those who can be asked for more; by what that is.
    asked: Mutex<BTreeMap<String, Arc<Upstream>>>,
    slot: Mutex<Slot>,
}

enum Slot {
    Down { failures: u32, not_before: Option<Instant>, trouble: Trouble },
    Connecting(watch::Receiver<Option<Connected>>),
    Up { connection: Arc<Connection>, since: Instant, failures: u32 },
}

type Connected = Result<Arc<Connection>, Trouble>;

enum Stage {
    There(Arc<Connection>),
    Coming(watch::Receiver<Option<Connected>>),
}

impl Upstream {
    pub(super) fn new(name: &str, place: Place, credential: Option<String>, house: House) -> Arc<Upstream> {
        let slot = Slot::Down { failures: 0, not_before: None, trouble: Trouble::new("unreachable") };
        let watched = Arc::default();
        let (name, questions, asked, slot) =
            (name.into(), Mutex::default(), Mutex::default(), Mutex::new(slot));
        Arc::new(Upstream { name, place, credential, house, watched, questions, asked, slot })
    }

    /// Asks; over a new connection, if the one that there was turns out to be gone before anything was done.
    pub(super) async fn ask(self: &Arc<Self>, asking: &Asking<'_>, stop: &mut Stop) -> Ended {
        let mut ended = Ended::SessionLost;
        for _ in 0..2 {
            let connection = match self.connected(stop).await {
                Ok(connection) => connection,
                Err(trouble) => return Ended::Unsent(trouble),
            };
            ended = connection.call(asking, stop).await;
            match &ended {
                Ended::SessionLost => self.lost(&connection),
                Ended::Unsent(trouble) if trouble.code == "connection_lost" => {}
                _ => {
                    if is_other_era(&ended) {
                        self.lost(&connection);
                    }
                    return ended;
                }
            }
        }
        match ended {
            Ended::SessionLost => Ended::Refused(Trouble::new("session_lost")),
            ended => ended,
        }
    }

    /// For what nobody waits for.
    pub(super) async fn tell(self: &Arc<Self>, asking: &Asking<'_>) {
        let cancel = Cancel::new(self.house.stop.clone(), None);
        let mut stop = Stop::new(cancel, Instant::now() + TELL_WAIT);
        let _ = self.ask(asking, &mut stop).await;
    }

    pub(super) async fn list(self: &Arc<Self>, kind: Kind, stop: &mut Stop) -> Result<Arc<List>, Trouble> {
        let connection = self.connected(stop).await?;
        match connection.list(kind, stop).await {
            Err(trouble) if trouble.code == "session_lost" => {
                self.lost(&connection);
                self.connected(stop).await?.list(kind, stop).await
            }
            listed => listed,
        }
    }

    /// The connection, once there is one; all who need it at the same time wait for the same.
    pub(super) async fn connected(self: &Arc<Self>, stop: &mut Stop) -> Connected {
        let mut coming = match self.there_or_coming()? {
            Stage::There(connection) => return Ok(connection),
            Stage::Coming(coming) => coming,
        };
        let came = tokio::select! {
            biased;
            trouble = stop.wanted() => return Err(trouble),
            came = coming.wait_for(Option::is_some) => came,
        };
        match came.as_deref() {
            Ok(Some(connected)) => connected.clone(),
            Ok(None) | Err(_) => Err(Trouble::new("unreachable")),
        }
    }

    fn there_or_coming(self: &Arc<Self>) -> Result<Stage, Trouble> {
        let mut slot = self.slot();
        let failures = match &*slot {
            Slot::Up { connection, .. } if connection.is_alive() => {
                return Ok(Stage::There(connection.clone()));
            }
            Slot::Connecting(coming) => return Ok(Stage::Coming(coming.clone())),
            Slot::Up { since, .. } if since.elapsed() >= STEADY => 0,
            Slot::Up { failures, .. } => failures.saturating_add(1),
            Slot::Down { failures, .. } => *failures,
        };
        if matches!(&*slot, Slot::Up { .. }) && failures > 1 {
            // It came up and went at once, again: the next start waits.
            *slot = down(failures, Trouble::saying("unreachable", "the server ends soon after it starts"));
        }
        if let Slot::Down { not_before: Some(not_before), trouble, .. } = &*slot
            && let Some(wait) = not_before.checked_duration_since(Instant::now())
        {
            let words = format!("{} (tried again in {} s)", trouble.words, wait.as_secs() + 1);
            return Err(Trouble::saying(trouble.code.clone(), words.trim_start()));
        }
        let (tell, coming) = watch::channel(None);
        *slot = Slot::Connecting(coming.clone());
        let upstream = self.clone();
        tokio::spawn(async move {
            let connected = upstream.connect().await;
            *upstream.slot() = match &connected {
                Ok(connection) => {
                    Slot::Up { connection: connection.clone(), since: Instant::now(), failures }
                }
                Err(trouble) => down(failures.saturating_add(1), trouble.clone()),
            };
            tell.send_replace(Some(connected));
        });
        Ok(Stage::Coming(coming))
    }

    async fn connect(self: &Arc<Self>) -> Connected {
        if *self.house.stop.borrow() {
            return Err(Trouble::new("closed"));
        }
        let cancel = Cancel::new(self.house.stop.clone(), None);
        let mut stop = Stop::new(cancel, Instant::now() + self.house.start_wait);
        let stale = Arc::new(Stale::default());
        let mut link = self.link(&stale)?;
        let mut probed = link.discover(&mut stop).await;
        if let Probed::Died = probed {
            link = self.link(&stale)?;
            probed = Probed::OtherEra;
        }
        if let Probed::OtherEra = probed {
            let capabilities = self.questions().clone();
            probed = link.initialize(capabilities, &mut stop).await;
            if let Probed::OtherEra = probed {
                // It was slow to answer, and by now it holds to the new era.
                probed = link.discover(&mut stop).await;
            }
        }
        match probed {
            Probed::Agreed(hello) => {
                let around = Around {
                    name: self.name.clone(),
                    stale,
                    watcher: self.house.watcher.clone(),
                    house: self.house.stop.clone(),
                    watched: self.watched.clone(),
                };
                Ok(Connection::new(link, hello, around))
            }
            Probed::Failed(trouble) => Err(trouble),
            Probed::OtherEra | Probed::Died => Err(Trouble::new("no_common_version")),
        }
    }

    fn link(&self, stale: &Arc<Stale>) -> Result<Link, Trouble> {
        let inbox = Inbox { server: self.name.clone(), news: self.house.news.clone(), stale: stale.clone() };
        match &self.place {
            Place::Http(via) => {
                let (wire, credential) = (self.house.wire.clone(), self.credential.clone());
                Ok(Link::Http(HttpLink::new(wire, via.clone(), credential, inbox)))
            }
            Place::Stdio(command) => Ok(Link::Stdio(StdioLink::start(command, &self.house, inbox)?)),
        }
    }

    /// The server as it is called for somebody who can be asked for this. Before 2026-07-28 a server hears when a
    /// session begins what its client can do, so those who can do other things are in other sessions.
    pub(super) async fn called_by(self: &Arc<Self>, can: &Members, stop: &mut Stop) -> Arc<Upstream> {
        if matches!(self.place, Place::Stdio(_)) || can.is_empty() {
            return self.clone();
        }
        match self.connected(stop).await {
            Ok(connection) if !connection.version.is_stateless() => self.asked_for(can),
            _ => self.clone(),
        }
    }

    fn asked_for(&self, can: &Members) -> Arc<Upstream> {
        let names: Vec<&str> = can.keys().map(String::as_str).collect();
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let of = asked.entry(names.join(",")).or_insert_with(|| {
            let (place, credential, house) =
                (self.place.clone(), self.credential.clone(), self.house.clone());
            let upstream = Upstream::new(&self.name, place, credential, house);
            let can = names.iter().map(|name| ((*name).to_owned(), json!({})));
            *upstream.questions() = can.collect();
            upstream
        });
        of.clone()
    }

    /// What the contracts of a child let it ask: it has one session, so all who call it are told of as one. A session
    /// that was begun otherwise is followed by another; its calls that are under way stay in it.
    pub(super) fn may_ask(&self, questions: Members) {
        if matches!(self.place, Place::Http(_)) {
            return;
        }
        if std::mem::replace(&mut *self.questions(), questions.clone()) == questions {
            return;
        }
        let mut slot = self.slot();
        if let Slot::Up { connection, .. } = &*slot
            && !connection.version.is_stateless()
        {
            *slot = Slot::Down { failures: 0, not_before: None, trouble: Trouble::new("session_lost") };
        }
    }

    fn questions(&self) -> MutexGuard<'_, Members> {
        self.questions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The server no longer knows this connection. Only if nobody has noticed yet.
    fn lost(&self, lost: &Arc<Connection>) {
        let mut slot = self.slot();
        if let Slot::Up { connection, .. } = &*slot
            && Arc::ptr_eq(connection, lost)
        {
            *slot = Slot::Down { failures: 0, not_before: None, trouble: Trouble::new("session_lost") };
        }
    }

    pub(super) async fn close(&self) {
        let down = Slot::Down { failures: 0, not_before: None, trouble: Trouble::new("closed") };
        let slot = std::mem::replace(&mut *self.slot(), down);
        if let Slot::Up { connection, .. } = slot {
            connection.close().await;
        }
        let asked = std::mem::take(&mut *self.asked.lock().unwrap_or_else(PoisonError::into_inner));
        for upstream in asked.into_values() {
            Box::pin(upstream.close()).await;
        }
    }

    /// What the server knows of ours: the secret that it was sent, and those in its environment.
    pub(super) fn secrets(&self, sent: Option<&[u8]>) -> Vec<String> {
        // JSON's strings are UTF-8, so a secret that is not cannot stand in one.
        let sent = sent.and_then(|secret| std::str::from_utf8(secret).ok()).map(str::to_owned);
        let mut secrets = Vec::from_iter(sent);
        if let Slot::Up { connection, .. } = &*self.slot()
            && let Link::Stdio(link) = &connection.link
        {
            secrets.extend_from_slice(link.secrets());
        }
        secrets
    }

    fn slot(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a server says that was put in another era's place: the next call asks it anew what it speaks.
fn is_other_era(ended: &Ended) -> bool {
    match ended {
        Ended::Answered(Reply::Error(error)) => matches!(error.code, wire::UNSUPPORTED_VERSION | -32000),
        Ended::Refused(trouble) => {
            matches!(&*trouble.code, "status_400" | "status_404" | "status_405" | "status_406")
        }
        _ => false,
    }
}

fn down(failures: u32, trouble: Trouble) -> Slot {
    let wait_ms = BACKOFF_MS.saturating_mul(1 << failures.saturating_sub(1).min(10)).min(BACKOFF_MS_MAX);
    Slot::Down { failures, not_before: Some(Instant::now() + Duration::from_millis(wait_ms)), trouble }
}
