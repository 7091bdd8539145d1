//! Answers that grow: what is told of a call before its result, and streams that tell of changed lists.
//!
//! An answer is plain JSON unless there is something to tell before it, or it takes long.

use std::collections::HashMap;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream::unfold;
use gate::error::Error;
use http::{HeaderValue, StatusCode, header};
use kernel::id::KeyId;
use serde_json::{Value, json};
use stdx::digest::Digest;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, mpsc, watch};
use tokio::time::Instant;

use super::post::{self, Accepts};
use super::refused::Refused;
use super::relay::Relay;
use super::session::Listening;
use super::{Visit, offers};
use crate::mcp::era;
use crate::mcp::upstream::{News, What};
use crate::mcp::wire::{self, Id, Members, Message};

/// Words of one call that wait for a slow client; more are dropped.
pub(super) const WORDS_WAITING_MAX: usize = 64;
/// Silence after which a stream says that it is alive, so that nothing between us and the client closes it.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// How soon after a change of the rules a stream tells of it.
const LOOK: Duration = Duration::from_secs(1);
const STREAMS_PER_KEY_MAX: usize = 32;
const STREAMS_MAX: usize = 1024;

/// Cancels the call when it is dropped: the client has closed the stream.
pub(super) struct HangUp(pub(super) watch::Sender<bool>);

impl Drop for HangUp {
    fn drop(&mut self) {
        self.0.send_replace(true);
    }
}

type Work = Pin<Box<dyn Future<Output = (StatusCode, Message)> + Send>>;

/// A call under way, and the client that waits for it.
struct Reply {
    work: Work,
    heard: mpsc::Receiver<Value>,
    relay: Relay,
    _hang_up: Option<HangUp>,
}

enum Step {
    Told(Message),
    Silence,
    Done(StatusCode, Message),
}

/// Answers in JSON if that is all there is to say in time, else in a stream.
pub(super) async fn reply(
    work: impl Future<Output = (StatusCode, Message)> + Send + 'static,
    heard: mpsc::Receiver<Value>,
    relay: Relay,
    accepts: Accepts,
    hang_up: Option<HangUp>,
) -> Response {
    let mut reply = Reply { work: Box::pin(work), heard, relay, _hang_up: hang_up };
    if !accepts.events {
        let (status, message) = reply.work.as_mut().await;
        return post::json(status, message);
    }
    let first = match reply.step().await {
        Step::Done(status, message) if accepts.json => return post::json(status, message),
        // A stream's status is always 200: the error is in its message.
        Step::Done(_, message) => return events(Body::from(event(message))),
        Step::Told(message) => event(message),
        Step::Silence => alive(),
    };
    let frames = unfold((Some(first), Some(reply)), |(first, reply)| async move {
        let mut reply = reply?;
        if let Some(first) = first {
            return Some((Ok::<_, Infallible>(first), (None, Some(reply))));
        }
        Some(match reply.step().await {
            Step::Told(message) => (Ok(event(message)), (None, Some(reply))),
            Step::Silence => (Ok(alive()), (None, Some(reply))),
            Step::Done(_, message) => (Ok(reply.last(message)), (None, None)),
        })
    });
    events(Body::from_stream(frames))
}

impl Reply {
    async fn step(&mut self) -> Step {
        let silence = tokio::time::sleep(KEEP_ALIVE);
        let mut silence = std::pin::pin!(silence);
        loop {
            tokio::select! {
                biased;
                Some(word) = self.heard.recv() => if let Some(message) = self.relay.pass(word) {
                    return Step::Told(message);
                },
                (status, message) = self.work.as_mut() => return Step::Done(status, message),
                () = silence.as_mut() => return Step::Silence,
            }
        }
    }

    /// The answer, after what was said before it and not yet told.
    fn last(&mut self, message: Message) -> Bytes {
        let mut bytes = Vec::new();
        while let Ok(word) = self.heard.try_recv() {
            bytes.extend(self.relay.pass(word).map(event).unwrap_or_default());
        }
        bytes.extend(event(message));
        bytes.into()
    }
}

fn event(message: Message) -> Bytes {
    [b"event: message\ndata: ".as_slice(), &message.bytes(), b"\n\n"].concat().into()
}

fn alive() -> Bytes {
    Bytes::from_static(b": still here\n\n")
}

fn events(body: Body) -> Response {
    let kind = [(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"))];
    (StatusCode::OK, kind, body).into_response()
}

// ---- News -------------------------------------------------------------------------------------------------

/// Whom a stream of news is for.
pub(super) enum Audience {
    Session(Listening),
    /// The id of its `subscriptions/listen`, and what it wants to hear of.
    Subscription(Id, Wants),
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
    rules: Digest,
    heard: broadcast::Receiver<News>,
    audience: Audience,
    first: Option<Bytes>,
    _seat: Seat,
}

/// Answers `subscriptions/listen`: what is told is acknowledged first, and nothing else is ever told.
pub(super) fn subscribe(
    visit: &Visit,
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
    Ok(listen(visit, Audience::Subscription(id.clone(), wants), seat))
}

pub(super) fn listen(visit: &Visit, audience: Audience, seat: Seat) -> Response {
    let stream = Stream {
        rules: visit.door.gate.rules().digest,
        heard: visit.door.catalogue.news(),
        visit: visit.clone(),
        first: Some(audience.first()),
        audience,
        _seat: seat,
    };
    let frames = unfold(Some(stream), |stream| async move {
        let mut stream = stream?;
        if let Some(first) = stream.first.take() {
            return Some((Ok::<_, Infallible>(first), Some(stream)));
        }
        match stream.next().await {
            Some(frame) => Some((Ok(frame), Some(stream))),
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
                heard = self.heard.recv() => match heard {
                    Ok(news) => told(&self.visit, &self.audience, &news),
                    // Whoever misses one change asks again at the next.
                    Err(RecvError::Lagged(_)) => None,
                    Err(RecvError::Closed) => return None,
                },
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
        if matches!(gate.ready(), Err(Error::Stopping)) || self.audience.is_over() {
            return None;
        }
        let rules = gate.rules().digest;
        let is_new = std::mem::replace(&mut self.rules, rules) != rules;
        Some((is_new && self.audience.wants().tools).then(|| self.audience.changed("tools")))
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
            Some(event(notification("notifications/resources/updated", params)))
        }
        _ => None,
    }
}

impl Audience {
    fn wants(&self) -> Wants {
        match self {
            Audience::Session(_) => Wants { tools: true, prompts: true, resources: true },
            Audience::Subscription(_, wants) => *wants,
        }
    }

    /// Whether this resource was subscribed to in the session.
    fn watches(&self, uri: &str) -> bool {
        matches!(self, Audience::Session(listening) if listening.watches(uri))
    }

    fn first(&self) -> Bytes {
        let Audience::Subscription(id, wants) = self else { return alive() };
        let all = [
            ("toolsListChanged", wants.tools),
            ("promptsListChanged", wants.prompts),
            ("resourcesListChanged", wants.resources),
        ];
        let told: Members = all
            .into_iter()
            .filter(|(_, told)| *told)
            .map(|(name, told)| (name.to_owned(), told.into()))
            .collect();
        let mut params = subscription(id);
        params.insert("notifications".to_owned(), told.into());
        event(notification("notifications/subscriptions/acknowledged", params))
    }

    fn changed(&self, what: &str) -> Bytes {
        let params = match self {
            Audience::Session(_) => Members::new(),
            Audience::Subscription(id, _) => subscription(id),
        };
        event(notification(&format!("notifications/{what}/list_changed"), params))
    }

    fn last(&self) -> Option<Bytes> {
        let Audience::Subscription(id, _) = self else { return None };
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
