//! Answers that grow: what is told of a call, and asked of its client, before its result.
//!
//! An answer is plain JSON unless there is something to tell before it, or it takes long.

use std::convert::Infallible;
use std::pin::Pin;
use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream::unfold;
use http::{HeaderValue, StatusCode, header};
use serde_json::Value;
use tokio::sync::{mpsc, watch};

use super::post::{self, Accepts};
use super::relay::Relay;
use crate::mcp::wire::Message;

/// Words of one call that wait for a slow client; more are dropped.
pub(super) const WORDS_WAITING_MAX: usize = 64;
/// Silence after which a stream says that it is alive, so that nothing between us and the client closes it.
pub(super) const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Cancels the call when it is dropped: the client has closed the stream.
pub(super) struct HangUp(pub(super) watch::Sender<bool>);

impl Drop for HangUp {
    fn drop(&mut self) {
        self.0.send_replace(true);
    }
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
    hang_up: Option<HangUp>,
) -> Response {
    let mut reply = Reply { work: Box::pin(work), heard, _hang_up: hang_up };
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
