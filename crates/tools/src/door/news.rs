//! News: streams that tell of changed lists and resources while nobody asks, and how many there may be.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream::unfold;
use gate::error::Error;
use gate::port::Feed;
use http::StatusCode;
use kernel::id::KeyId;
use serde_json::{Value, json};
use stdx::digest::Digest;
use tokio::runtime::Handle;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::Instant;

use super::methods::Request;
use super::post::Accepts;
use super::refused::Refused;
use super::session::Listening;
use super::stream::{KEEP_ALIVE, PRIMER, alive, event, events};
use super::{Visit, offers};
use crate::mcp::era::{self, Version};
use crate::mcp::upstream::{News, What};
use crate::mcp::wire::{self, Id, Members, Message};

/// How soon after a change of the rules a stream tells of it, and after a halt of its agent it ends.
const LOOK: Duration = Duration::from_millis(100);
const STREAMS_PER_KEY_MAX: usize = 32;
const STREAMS_MAX: usize = 1024;
/// Resources that one stream hears of.
const WATCHED_MAX: usize = 256;

/// Whom a stream of news is for.
pub(super) enum Audience {
    Session(Listening),
    /// The id of its `subscriptions/listen`, and what it wants to hear of.
    Subscription(Id, Wants, Box<Watching>),
}

/// Changed lists, by what they list.
#[derive(Clone, Copy)]
pub(super) struct Wants {
    pub(super) tools: bool,
    pub(super) prompts: bool,
    pub(super) resources: bool,
}

struct Stream {
    visit: Visit,
    /// Taken when this is dropped: whoever listens again goes on with it.
    ear: Option<Ear>,
    audience: Audience,
    first: VecDeque<Bytes>,
    _seat: Seat,
}

/// What hears of news for somebody.
pub(super) struct Ear {
    rules: Digest,
    heard: broadcast::Receiver<News>,
}

/// Answers `subscriptions/listen`: what is told is acknowledged first, and nothing else is ever told.
pub(super) async fn subscribe(
    visit: &Visit,
    version: Version,
    id: &Id,
    params: &Members,
    accepts: Accepts,
) -> Result<Response, Refused> {
    if !accepts.events {
        let words = "`subscriptions/listen` is answered by a stream: accept `text/event-stream`";
        return Err(Refused::new(wire::INVALID_REQUEST, words).with_status(StatusCode::NOT_ACCEPTABLE));
    }
    let Some(Value::Object(wanted)) = params.get("notifications") else {
        return Err(Refused::params("`notifications` is missing: say what to tell of"));
    };
    let Some(seat) = Seats::take(&visit.door.seats, visit.caller.key) else {
        let words = "too many streams are open; close one, or try again later";
        return Err(Refused::new(wire::INTERNAL_ERROR, words).with_status(StatusCode::SERVICE_UNAVAILABLE));
    };
    let wants = |name: &str| wanted.get(name) == Some(&Value::Bool(true));
    let offers = |method: &str| !offers::contracts(visit, method).is_empty();
    let wants = Wants {
        tools: wants("toolsListChanged"),
        prompts: wants("promptsListChanged") && offers("prompts/get"),
        resources: wants("resourcesListChanged") && offers("resources/read"),
    };
    let uris = wanted.get("resourceSubscriptions").and_then(Value::as_array);
    let uris = uris.into_iter().flatten().filter_map(Value::as_str);
    let watching = Watching::begin(visit, version, params, uris).await?;
    Ok(listen(visit, Audience::Subscription(id.clone(), wants, Box::new(watching)), seat, None))
}

/// `heard`: the number of the last event that a client heard on the stream before, if it goes on with that.
pub(super) fn listen(visit: &Visit, audience: Audience, seat: Seat, heard: Option<u64>) -> Response {
    let mut first = VecDeque::from([audience.first()]);
    let mut ear = None;
    if let Audience::Session(listening) = &audience {
        let session = listening.session();
        ear = session.ear.lock().unwrap_or_else(PoisonError::into_inner).take().filter(|_| heard.is_some());
        match heard {
            Some(number) => first.extend(session.listened.after(number)),
            None if session.version.has_primers() => first.push_back(session.listened.push(PRIMER)),
            None => {}
        }
    }
    let ear = ear
        .unwrap_or_else(|| Ear { rules: visit.door.gate.rules().digest, heard: visit.door.catalogue.news() });
    let stream = Stream { visit: visit.clone(), ear: Some(ear), first, audience, _seat: seat };
    let frames = unfold(Some(stream), |stream| async move {
        let mut stream = stream?;
        if let Some(first) = stream.first.pop_front() {
            return Some((Ok::<_, Infallible>(first), Some(stream)));
        }
        match stream.next().await {
            Some(frame) => Some((Ok(stream.audience.numbered(frame)), Some(stream))),
            None => Some((Ok(stream.audience.last()?), None)),
        }
    });
    events(Body::from_stream(frames))
}

impl Stream {
    /// None: it is over.
    async fn next(&mut self) -> Option<Bytes> {
        let silent = Instant::now();
        while silent.elapsed() < KEEP_ALIVE {
            let frame = tokio::select! {
                () = tokio::time::sleep(LOOK) => self.look()?,
                heard = self.ear.as_mut()?.heard.recv() => match heard {
                    Ok(news) => told(&self.visit, &self.audience, &news),
                    // Whoever misses one change asks again at the next.
                    Err(RecvError::Lagged(_)) => None,
                    Err(RecvError::Closed) => return None,
                },
                Some(message) = self.audience.asked() => Some(event(message)),
            };
            if frame.is_some() {
                return frame;
            }
        }
        Some(alive())
    }

    /// None: it is over. Tools change with the rules, whatever their servers say of them.
    fn look(&mut self) -> Option<Option<Bytes>> {
        let gate = &self.visit.door.gate;
        let is_halted = gate.is_cut_off(&self.visit.caller.agent);
        if is_halted || matches!(gate.ready(), Err(Error::Stopping)) || self.audience.is_over() {
            return None;
        }
        let rules = gate.rules().digest;
        let is_new = std::mem::replace(&mut self.ear.as_mut()?.rules, rules) != rules;
        Some((is_new && self.audience.wants().tools).then(|| self.audience.changed("tools")))
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if let Audience::Session(listening) = &self.audience
            && !listening.is_over()
        {
            *listening.session().ear.lock().unwrap_or_else(PoisonError::into_inner) = self.ear.take();
        }
    }
}

/// What a server told everybody is told to those who may use of that server what it is about.
pub(super) fn told(visit: &Visit, audience: &Audience, news: &News) -> Option<Bytes> {
    let may = |method: &str| {
        offers::contracts(visit, method).iter().any(|contract| *contract.server == *news.server)
    };
    let wants = audience.wants();
    match &news.what {
        What::PromptsChanged if wants.prompts && may("prompts/get") => Some(audience.changed("prompts")),
        What::ResourcesChanged if wants.resources && may("resources/read") => {
            Some(audience.changed("resources"))
        }
        What::ResourceUpdated { uri } if audience.watches(uri) && may("resources/subscribe") => {
            let params = Members::from_iter([("uri".to_owned(), uri.as_str().into())]);
            let params = audience.with_subscription(params);
            Some(event(notification("notifications/resources/updated", params)))
        }
        _ => None,
    }
}

impl Audience {
    /// What is asked of a client on this stream; nothing ever of one that has no session.
    async fn asked(&mut self) -> Option<Message> {
        match self {
            Audience::Session(listening) => listening.asked().await,
            Audience::Subscription(..) => None,
        }
    }

    /// An event as it is written: with a number, where the client can come back for what it missed.
    fn numbered(&self, frame: Bytes) -> Bytes {
        match self {
            Audience::Session(listening) if !frame.starts_with(b":") => {
                listening.session().listened.push(&frame)
            }
            _ => frame,
        }
    }

    fn wants(&self) -> Wants {
        match self {
            Audience::Session(_) => Wants { tools: true, prompts: true, resources: true },
            Audience::Subscription(_, wants, _) => *wants,
        }
    }

    /// Whether this resource was subscribed to, in the session or for this stream.
    fn watches(&self, uri: &str) -> bool {
        match self {
            Audience::Session(listening) => listening.watches(uri),
            Audience::Subscription(_, _, watching) => watching.uris.contains(uri),
        }
    }

    fn first(&self) -> Bytes {
        let Audience::Subscription(id, wants, watching) = self else { return alive() };
        let all = [
            ("toolsListChanged", wants.tools),
            ("promptsListChanged", wants.prompts),
            ("resourcesListChanged", wants.resources),
        ];
        let mut told: Members = all
            .into_iter()
            .filter(|(_, told)| *told)
            .map(|(name, told)| (name.to_owned(), told.into()))
            .collect();
        if !watching.uris.is_empty() {
            let uris: Vec<&str> = watching.uris.iter().map(String::as_str).collect();
            told.insert("resourceSubscriptions".to_owned(), uris.into());
        }
        let mut params = subscription(id);
        params.insert("notifications".to_owned(), told.into());
        event(notification("notifications/subscriptions/acknowledged", params))
    }

    fn changed(&self, what: &str) -> Bytes {
        let params = self.with_subscription(Members::new());
        event(notification(&format!("notifications/{what}/list_changed"), params))
    }

    fn with_subscription(&self, mut params: Members) -> Members {
        if let Audience::Subscription(id, ..) = self {
            params.extend(subscription(id));
        }
        params
    }

    fn last(&self) -> Option<Bytes> {
        let Audience::Subscription(id, ..) = self else { return None };
        let mut result = subscription(id);
        result.insert("resultType".to_owned(), "complete".into());
        Some(event(Message::Result { id: id.clone(), result }))
    }

    fn is_over(&self) -> bool {
        matches!(self, Audience::Session(listening) if listening.is_over())
    }
}

fn subscription(id: &Id) -> Members {
    let meta = json!({ era::META_SUBSCRIPTION: id.value() });
    Members::from_iter([("_meta".to_owned(), meta)])
}

fn notification(method: &str, params: Members) -> Message {
    Message::Notification { method: method.to_owned(), params }
}

// ---- Watching ---------------------------------------------------------------------------------------------

/// Resources that a stream without a session hears of. Each was subscribed to by a call, and is let go of by one when
/// this is dropped.
#[derive(Default)]
pub(super) struct Watching {
    uris: BTreeSet<String>,
    by: Option<(Visit, Version, Members)>,
}

impl Watching {
    /// Those that the law and their servers let it watch. What is left out of the acknowledgement is not told of.
    pub(super) async fn begin<'u>(
        visit: &Visit,
        version: Version,
        params: &Members,
        uris: impl Iterator<Item = &'u str>,
    ) -> Result<Watching, Refused> {
        let meta = params.get("_meta").map(|meta| ("_meta".to_owned(), meta.clone()));
        let by = (visit.clone(), version, Members::from_iter(meta));
        let mut watching = Watching { uris: BTreeSet::new(), by: Some(by) };
        for uri in uris {
            if watching.uris.len() >= WATCHED_MAX {
                let words = format!("a stream tells of at most {WATCHED_MAX} resources");
                return Err(Refused::params(words));
            }
            if !watching.uris.contains(uri)
                && let Some((visit, version, params)) = &watching.by
                && ask(visit, *version, params, "resources/subscribe", uri).await.is_ok()
            {
                watching.uris.insert(uri.to_owned());
            }
        }
        Ok(watching)
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let uris = std::mem::take(&mut self.uris);
        let (Some((visit, version, params)), false) = (self.by.take(), uris.is_empty()) else { return };
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move {
                for uri in uris {
                    // A server that cannot be told is down, and forgets by itself.
                    let _ = ask(&visit, version, &params, "resources/unsubscribe", &uri).await;
                }
            });
        }
    }
}

async fn ask(
    visit: &Visit,
    version: Version,
    params: &Members,
    method: &str,
    uri: &str,
) -> Result<Members, Refused> {
    let mut params = params.clone();
    params.insert("uri".to_owned(), uri.into());
    let (method, feed, unwanted, session, asks) = (method.to_owned(), Feed::default(), None, None, None);
    offers::carry(Request { visit, version, method, params, feed, unwanted, session, asks }).await
}

// ---- Seats ------------------------------------------------------------------------------------------------

/// How many streams that wait for news are open, by key.
#[derive(Default)]
pub(super) struct Seats(Mutex<HashMap<KeyId, usize>>);

/// Given back when it is dropped.
pub(super) struct Seat(Arc<Seats>, KeyId);

impl Seats {
    pub(super) fn take(seats: &Arc<Seats>, key: KeyId) -> Option<Seat> {
        let mut taken = seats.taken();
        let own = taken.get(&key).copied().unwrap_or(0);
        if own >= STREAMS_PER_KEY_MAX || taken.values().sum::<usize>() >= STREAMS_MAX {
            return None;
        }
        taken.insert(key, own + 1);
        Some(Seat(seats.clone(), key))
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<KeyId, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.0.taken();
        if let Some(own) = taken.get_mut(&self.1) {
            *own = own.saturating_sub(1);
        }
        taken.retain(|_, own| *own > 0);
    }
}
