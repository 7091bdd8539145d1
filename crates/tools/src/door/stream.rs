//! Answers that grow: what is told of a call, and asked of its client, before its result.
//!
//! An answer is plain JSON unless there is something to tell before it, or it takes long.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream::unfold;
use http::{HeaderValue, StatusCode, header};
use serde_json::Value;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::post::{self, Accepts};
use super::relay::Relay;
use super::replay::{Reader, Told};
use super::session::Session;
use crate::mcp::wire::Message;

/// Words of one call that wait for a slow client; more are dropped.
pub(super) const WORDS_WAITING_MAX: usize = 64;
/// Silence after which a stream says that it is alive, so that nothing between us and the client closes it.
pub(super) const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// The same before the first word, where a stream that breaks can be taken up again: until then it cannot.
const FIRST: Duration = Duration::from_secs(2);
/// An event of no words: from its id on the client can ask for the rest.
pub(super) const PRIMER: &[u8] = b"data:\n\n";

/// Cancels the call when it is dropped: the client has closed the stream.
pub(super) struct HangUp(pub(super) watch::Sender<bool>);

impl Drop for HangUp {
    fn drop(&mut self) {
        self.0.send_replace(true);
    }
}

/// Who waits for an answer.
pub(super) enum Whose {
    /// A request that stands alone: closing its stream cancels it.
    Alone(HangUp),
    /// A client that comes again when its connection broke.
    Session(Arc<Session>),
}

type Work = Pin<Box<dyn Future<Output = (StatusCode, Message)> + Send>>;

/// What a call says before it is over: words in passing, and what is asked of a client with a session.
pub(super) struct Heard {
    pub(super) words: mpsc::Receiver<Value>,
    pub(super) asks: Option<mpsc::Receiver<Message>>,
    pub(super) relay: Relay,
}

/// A call under way, and the client that waits for it.
struct Reply {
    work: Work,
    heard: Heard,
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
    heard: Heard,
    accepts: Accepts,
    whose: Whose,
) -> Response {
    let (hang_up, session) = match whose {
        Whose::Alone(hang_up) => (Some(hang_up), None),
        Whose::Session(session) => (None, Some(session)),
    };
    let mut reply = Reply { work: Box::pin(work), heard, _hang_up: hang_up };
    if !accepts.events {
        let (status, message) = reply.work.as_mut().await;
        return post::json(status, message);
    }
    let primes = session.as_ref().is_some_and(|session| session.version.has_primers());
    let first = match reply.step(if primes { FIRST } else { KEEP_ALIVE }).await {
        Step::Done(status, message) if accepts.json => return post::json(status, message),
        // A stream's status is always 200: the error is in its message.
        Step::Done(_, message) => return events(Body::from(event(message))),
        Step::Told(message) => event(message),
        Step::Silence => alive(),
    };
    if let Some(told) = session.and_then(|session| session.replays.begin()) {
        return kept(reply, first, told, primes);
    }
    let frames = unfold((Some(first), Some(reply)), |(first, reply)| async move {
        let mut reply = reply?;
        if let Some(first) = first {
            return Some((Ok::<_, Infallible>(first), (None, Some(reply))));
        }
        Some(match reply.step(KEEP_ALIVE).await {
            Step::Told(message) => (Ok(event(message)), (None, Some(reply))),
            Step::Silence => (Ok(alive()), (None, Some(reply))),
            Step::Done(_, message) => (Ok(reply.last(message)), (None, None)),
        })
    });
    events(Body::from_stream(frames))
}

/// A stream that goes on when its client's connection breaks, so that the client can hear the rest.
fn kept(mut reply: Reply, first: Bytes, told: Arc<Told>, primes: bool) -> Response {
    let reader = told.read(0);
    if primes {
        told.push(PRIMER);
    }
    // What is said so that the connection stays open is of the connection alone.
    if !first.starts_with(b":") {
        told.push(&first);
    }
    tokio::spawn(async move {
        loop {
            match reply.step(KEEP_ALIVE).await {
                Step::Told(message) => drop(told.push(&event(message))),
                Step::Silence => {}
                Step::Done(_, message) => return told.end(&reply.last(message)),
            }
        }
    });
    read(reader)
}

/// What a reader hears, until its stream is over.
pub(super) fn read(reader: Reader) -> Response {
    let frames = unfold(reader, |mut reader| async move {
        let frame = reader.next().await?;
        Some((Ok::<_, Infallible>(frame), reader))
    });
    events(Body::from_stream(frames))
}

impl Reply {
    async fn step(&mut self, wait: Duration) -> Step {
        let mut silence = std::pin::pin!(tokio::time::sleep_until(Instant::now() + wait));
        loop {
            tokio::select! {
                biased;
                Some(word) = self.heard.words.recv() => if let Some(message) = self.heard.relay.pass(word) {
                    return Step::Told(message);
                },
                Some(message) = next(&mut self.heard.asks) => return Step::Told(message),
                (status, message) = self.work.as_mut() => return Step::Done(status, message),
                () = silence.as_mut() => return Step::Silence,
            }
        }
    }

    /// The answer, after what was said before it and not yet told.
    fn last(&mut self, message: Message) -> Bytes {
        let mut bytes = Vec::new();
        while let Ok(word) = self.heard.words.try_recv() {
            bytes.extend(self.heard.relay.pass(word).map(event).unwrap_or_default());
        }
        // A question that the call no longer waits for is taken back here, too.
        while let Some(Ok(message)) = self.heard.asks.as_mut().map(mpsc::Receiver::try_recv) {
            bytes.extend(event(message));
        }
        bytes.extend(event(message));
        bytes.into()
    }
}

async fn next(asks: &mut Option<mpsc::Receiver<Message>>) -> Option<Message> {
    asks.as_mut()?.recv().await
}

pub(super) fn event(message: Message) -> Bytes {
    [b"event: message\ndata: ".as_slice(), &message.bytes(), b"\n\n"].concat().into()
}

pub(super) fn alive() -> Bytes {
    Bytes::from_static(b": still here\n\n")
}

pub(super) fn events(body: Body) -> Response {
    let kind = [(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"))];
    (StatusCode::OK, kind, body).into_response()
}
