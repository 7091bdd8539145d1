//! What a server says of itself while nobody asks: the GET stream, and since 2026-07-28 `subscriptions/listen`.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use gate::port::Feed;
use http::{Method, StatusCode};
use hyper::body::Incoming;

use super::{HttpLink, Media, RESUME_WAIT_MS_MAX, media_type, mirror};
use crate::mcp::era::Version;
use crate::mcp::sse::Events;
use crate::mcp::upstream::ask::Asking;
use crate::mcp::wire::{self, Id, Members};

const EVENT_BYTES_MAX: usize = 256 * 1024;
/// A stream that has carried this much is opened anew.
const STREAM_BYTES_MAX: usize = 64 * 1024 * 1024;
const WAIT_MS: u64 = 1_000;
const WAIT_MS_MAX: u64 = 60_000;
/// Streams in a row that could not be opened; then lists are only as fresh as their time to live.
const FAILURES_MAX: u32 = 20;

/// Why there is no stream: for now, or because this server has none.
enum NoStream {
    Now,
    Ever,
}

impl HttpLink {
    /// Listens from now on, in the place of what listened before.
    pub(in crate::mcp::upstream) fn listen(self: &Arc<Self>, version: Version, params: Members) {
        // The link must not be kept by what listens on it.
        let link = Arc::downgrade(self);
        let task = tokio::spawn(async move {
            let (mut wait_ms, mut failures, mut was_open) = (WAIT_MS, 0, false);
            while failures < FAILURES_MAX {
                let Some(this) = link.upgrade() else { return };
                match this.stream(version, params.clone()).await {
                    Ok(body) => {
                        if std::mem::replace(&mut was_open, true) {
                            this.inbox.missed();
                        }
                        drop(this);
                        failures = 0;
                        wait_ms = attend(&link, version, body).await.unwrap_or(WAIT_MS);
                    }
                    Err(NoStream::Ever) => return,
                    Err(NoStream::Now) => {
                        drop(this);
                        failures += 1;
                        wait_ms = wait_ms.saturating_mul(2).min(WAIT_MS_MAX);
                    }
                }
                tokio::time::sleep(Duration::from_millis(wait_ms)).await;
            }
        });
        let mut listening = self.listening.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(before) = listening.replace(task.abort_handle()) {
            before.abort();
        }
    }

    async fn stream(&self, version: Version, params: Members) -> Result<Incoming, NoStream> {
        let head = self.head(Some(version)).map_err(|_| NoStream::Ever)?;
        if !version.is_stateless() {
            return self.open_stream(head, None).await.map_err(|status| none(status.as_ref()));
        }
        const METHOD: &str = "subscriptions/listen";
        let id = Id::Number(self.next.fetch_add(1, Ordering::Relaxed));
        let asking = Asking::new(METHOD, params, EVENT_BYTES_MAX);
        let mut head = head;
        mirror(&mut head, &asking, &[]).map_err(|_| NoStream::Ever)?;
        self.authorize(&mut head, None).map_err(|_| NoStream::Now)?;
        let request = self.built(Method::POST, head, Bytes::from(asking.message(Some(version), &id)));
        let response = self.wire.request(request).await.map_err(|_| NoStream::Now)?;
        match (response.status(), media_type(&response)) {
            (StatusCode::OK, Media::Events) => Ok(response.into_body()),
            // A document in place of a stream is an error: this server has no such method.
            (StatusCode::OK, _) => Err(NoStream::Ever),
            (status, _) => Err(none(Some(&status))),
        }
    }
}

fn none(status: Option<&StatusCode>) -> NoStream {
    if status.is_some_and(StatusCode::is_client_error) { NoStream::Ever } else { NoStream::Now }
}

/// Takes what comes until the stream ends; how long the server wants us to stay away then, if it said so.
async fn attend(link: &std::sync::Weak<HttpLink>, version: Version, body: Incoming) -> Option<u64> {
    let mut events = Events::new(body, EVENT_BYTES_MAX, STREAM_BYTES_MAX);
    let mut wait_ms = None;
    // No request of ours has this id, so nothing that comes here is taken for one's progress.
    let nobody = Id::Number(0);
    while let Ok(event) = events.next().await {
        wait_ms = event.retry_ms.map(|ms| ms.clamp(WAIT_MS, RESUME_WAIT_MS_MAX)).or(wait_ms);
        let Ok(message) = wire::read(&event.data) else { continue };
        let Some(link) = link.upgrade() else { break };
        link.heard(Some(version), message, &Feed::default(), link.asked_alone(), &nobody);
    }
    wait_ms
}
