//! Sessions of clients that began with `initialize`: each belongs to one key, and ends when nobody uses it.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_lc_rs::rand;
use kernel::id::{KeyId, RunId};
use stdx::encode::hex;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::Scope;
use super::news::Ear;
use super::questions::{Open, QUEUED_MAX};
use super::relay::LEVELS;
use super::replay::{Replays, Told};
use crate::mcp::era::Version;
use crate::mcp::wire::{Id, Members, Message};

/// A session that is used by nobody for this long is forgotten.
const IDLE: Duration = Duration::from_secs(30 * 60);
/// Of one key; beyond this the one that was idle longest makes room.
const SESSIONS_PER_KEY_MAX: usize = 64;
const SESSIONS_MAX: usize = 8192;
/// Requests under way in one session.
const CALLS_MAX: usize = 128;
/// Resources that one session hears of.
const WATCHED_MAX: usize = 256;

#[derive(Default)]
pub(super) struct Sessions(Mutex<HashMap<String, Arc<Session>>>);

/// What a client and this door agreed on when it began.
pub(super) struct Session {
    pub(super) id: String,
    pub(super) version: Version,
    owner: KeyId,
    scope: Scope,
    /// The run that `initialize` named: that of later requests, unless they name one.
    pub(super) run: Option<RunId>,
    /// Place in `LEVELS` of the least log line that the client wants.
    level: AtomicUsize,
    used: Mutex<Instant>,
    calls: Mutex<HashMap<Id, watch::Sender<bool>>>,
    /// Resources that the client subscribed to.
    watched: Mutex<HashSet<String>>,
    listens: AtomicBool,
    /// Where the stream takes what is asked of the client, while it is open.
    stream: Mutex<Option<mpsc::Sender<Message>>>,
    /// What the client can be asked for.
    pub(super) capabilities: Members,
    pub(super) open: Open,
    /// What was told on the streams of its answers.
    pub(super) replays: Replays,
    /// What was told on the stream that it listens on.
    pub(super) listened: Told,
    /// What listened for it, while nobody does.
    pub(super) ear: Mutex<Option<Ear>>,
    ended: watch::Sender<bool>,
}

impl Sessions {
    /// None: there are too many, and each of this key's own is busy.
    pub(super) fn open(
        &self,
        owner: KeyId,
        scope: Scope,
        version: Version,
        run: Option<RunId>,
        capabilities: Members,
    ) -> Option<Arc<Session>> {
        let mut bytes = [0; 16];
        rand::fill(&mut bytes).ok()?;
        let mut all = self.all();
        all.retain(|_, session| session.is_busy() || session.idle() < IDLE);
        let own = all.values().filter(|session| session.owner == owner);
        if own.clone().count() >= SESSIONS_PER_KEY_MAX || all.len() >= SESSIONS_MAX {
            let idlest = own.filter(|session| !session.is_busy()).max_by_key(|session| session.idle())?;
            let idlest = idlest.id.clone();
            if let Some(session) = all.remove(&idlest) {
                session.end();
            }
        }
        let session = Arc::new(Session {
            id: hex(&bytes),
            version,
            owner,
            scope,
            run,
            level: AtomicUsize::new(0),
            used: Mutex::new(Instant::now()),
            calls: Mutex::default(),
            watched: Mutex::default(),
            listens: AtomicBool::new(false),
            stream: Mutex::default(),
            capabilities,
            open: Open::default(),
            replays: Replays::default(),
            listened: Told::new(0),
            ear: Mutex::default(),
            ended: watch::channel(false).0,
        });
        all.insert(session.id.clone(), session.clone());
        Some(session)
    }

    /// The session of this id, if it is this key's and of this door: another's is answered like one that never was.
    pub(super) fn find(&self, id: &str, owner: KeyId, scope: &Scope) -> Option<Arc<Session>> {
        let mut all = self.all();
        let session =
            all.get(id).filter(|session| session.owner == owner && session.scope == *scope)?.clone();
        if !session.is_busy() && session.idle() >= IDLE {
            all.remove(id);
            return None;
        }
        session.touch();
        Some(session)
    }

    pub(super) fn end(&self, session: &Session) {
        self.all().remove(&session.id);
        session.end();
    }

    fn all(&self) -> MutexGuard<'_, HashMap<String, Arc<Session>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Session {
    /// None: this id is under way already, or too much is.
    pub(super) fn begin(self: &Arc<Session>, id: &Id) -> Option<(UnderWay, watch::Receiver<bool>)> {
        let mut calls = self.calls();
        if calls.contains_key(id) || calls.len() >= CALLS_MAX {
            return None;
        }
        let (cancel, unwanted) = watch::channel(false);
        calls.insert(id.clone(), cancel);
        Some((UnderWay { session: self.clone(), id: id.clone() }, unwanted))
    }

    pub(super) fn cancel(&self, id: &Id) {
        if let Some(cancel) = self.calls().get(id) {
            cancel.send_replace(true);
        }
    }

    /// None: its one stream is open already.
    pub(super) fn listen(self: &Arc<Session>) -> Option<Listening> {
        if self.listens.swap(true, Ordering::AcqRel) {
            return None;
        }
        let (to, asks) = mpsc::channel(QUEUED_MAX);
        *self.stream.lock().unwrap_or_else(PoisonError::into_inner) = Some(to);
        Some(Listening { session: self.clone(), asks })
    }

    /// The stream that the client listens on, if it does.
    pub(super) fn stream(&self) -> Option<mpsc::Sender<Message>> {
        self.stream.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether there is room to hear of one more resource.
    pub(super) fn watch(&self, uri: &str) -> bool {
        let mut watched = self.watched();
        let has_room = watched.len() < WATCHED_MAX || watched.contains(uri);
        if has_room {
            watched.insert(uri.to_owned());
        }
        has_room
    }

    pub(super) fn unwatch(&self, uri: &str) {
        self.watched().remove(uri);
    }

    fn watched(&self) -> MutexGuard<'_, HashSet<String>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn level(&self) -> usize {
        self.level.load(Ordering::Relaxed)
    }

    /// Whether there is such a level.
    pub(super) fn set_level(&self, name: &str) -> bool {
        let place = LEVELS.iter().position(|level| *level == name);
        place.inspect(|place| self.level.store(*place, Ordering::Relaxed)).is_some()
    }

    fn end(&self) {
        self.ended.send_replace(true);
    }

    fn touch(&self) {
        *self.used.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn idle(&self) -> Duration {
        self.used.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }

    fn is_busy(&self) -> bool {
        self.listens.load(Ordering::Acquire) || !self.calls().is_empty()
    }

    fn calls(&self) -> MutexGuard<'_, HashMap<Id, watch::Sender<bool>>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// ---- UnderWay, Listening ----------------------------------------------------------------------------------

/// A request under way; its id is free again when this is dropped.
pub(super) struct UnderWay {
    session: Arc<Session>,
    id: Id,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.session.calls().remove(&self.id);
        self.session.touch();
    }
}

/// The one stream of a session; another can be opened when this is dropped.
pub(super) struct Listening {
    session: Arc<Session>,
    asks: mpsc::Receiver<Message>,
}

impl Listening {
    /// What the client is asked next on this stream.
    pub(super) async fn asked(&mut self) -> Option<Message> {
        self.asks.recv().await
    }

    pub(super) fn watches(&self, uri: &str) -> bool {
        self.session.watched().contains(uri)
    }

    pub(super) fn session(&self) -> &Arc<Session> {
        &self.session
    }

    /// Whether the session has ended.
    pub(super) fn is_over(&self) -> bool {
        *self.session.ended.borrow()
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        *self.session.stream.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.session.listens.store(false, Ordering::Release);
        self.session.touch();
    }
}
