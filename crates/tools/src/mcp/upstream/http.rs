//! A server over streamable HTTP: one POST a request, its answer a document or a stream of events.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use gate::port::Feed;
use gate::vault;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper_util::client::legacy::connect::capture_connection;
use serde_json::Value;
use tokio::task::AbortHandle;

use crate::catalog::HttpVia;
use crate::client::{self, Wire};
use crate::mcp::era::{self, Reply, Version};
use crate::mcp::headers::{self, Mirrored};
use crate::mcp::sse::{End, Events};
use crate::mcp::upstream::ask::{self, Asked, Asking, Ended, Stop, Trail, Trouble, answer_to};
use crate::mcp::upstream::news::Inbox;
use crate::mcp::wire::{self, Id, Members, Message};

mod listen;

/// A server's refusal is read up to here.
const COMPLAINT_BYTES_MAX: usize = 64 * 1024;
/// What a stream may hold beside its answer: progress, log lines, keep-alives.
const STREAM_EXTRA_BYTES_MAX: usize = 4 * 1024 * 1024;
/// A notification or an answer of ours is given up after this.
const TELL_WAIT: Duration = Duration::from_secs(5);
/// Requests of a server within one stream; further ones are not answered.
const ASKED_MAX: usize = 64;
/// A stream that broke off is asked for again this often in a row, after this long.
const RESUMES_MAX: usize = 3;
const RESUME_WAIT_MS: u64 = 1_000;
const RESUME_WAIT_MS_MIN: u64 = 20;
const RESUME_WAIT_MS_MAX: u64 = 10_000;
const SESSION_BYTES_MAX: usize = 1024;
/// Headers of most requests.
const HEADERS_USUAL: usize = 12;
const RUN: HeaderName = HeaderName::from_static("remit-run-id");
const CALL: HeaderName = HeaderName::from_static("remit-call-id");
const TRACE: HeaderName = HeaderName::from_static(ask::TRACE);
const METHOD: HeaderName = HeaderName::from_static(headers::METHOD);
const NAME: HeaderName = HeaderName::from_static(headers::NAME);
const VERSION: HeaderName = HeaderName::from_static(headers::VERSION);

pub(super) struct HttpLink {
    wire: Wire,
    via: HttpVia,
    /// What Remit asks for itself is asked with the same credential as the calls.
    credential: Option<String>,
    session: OnceLock<HeaderValue>,
    next: AtomicI64,
    inbox: Inbox,
    listening: Mutex<Option<AbortHandle>>,
    /// Calls under way, by the ids of their requests, and who answers what is asked of each.
    under_way: Mutex<HashMap<i64, Option<Asked>>>,
}

impl Drop for HttpLink {
    fn drop(&mut self) {
        self.stop_listening();
    }
}

impl HttpLink {
    pub(super) fn new(wire: Wire, via: HttpVia, credential: Option<String>, inbox: Inbox) -> Arc<HttpLink> {
        Arc::new(HttpLink {
            wire,
            via,
            credential,
            session: OnceLock::new(),
            next: AtomicI64::new(1),
            inbox,
            listening: Mutex::new(None),
            under_way: Mutex::default(),
        })
    }

    pub(super) async fn ask(
        self: &Arc<Self>,
        version: Option<Version>,
        asking: &Asking<'_>,
        mirrored: &[Mirrored],
        stop: &mut Stop,
    ) -> Ended {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let id = Id::Number(number);
        let _under_way = era::may_want(asking.method).then(|| self.enter(number, asking.asked.clone()));
        let mut request = match self.request(version, asking, mirrored, &id) {
            Ok(request) => request,
            Err(trouble) => return Ended::Unsent(trouble),
        };
        // Set by the client when it has a connection, before it writes the first byte of the request.
        let connection = capture_connection(&mut request);
        let mut stopped = false;
        let ended = tokio::select! {
            biased;
            trouble = stop.wanted() => {
                stopped = true;
                Ended::Broken(trouble)
            }
            ended = self.exchange(version, request, asking, &id) => ended,
        };
        match ended {
            Ended::Broken(trouble) if connection.connection_metadata().is_none() => Ended::Unsent(trouble),
            Ended::Broken(trouble) => {
                // Since 2026-07-28 the closed stream says it; before, a closed stream says nothing.
                if stopped && version.is_some_and(|version| !version.is_stateless()) {
                    self.tell_soon(version, cancelled(&id, &trouble.code));
                }
                Ended::Broken(trouble)
            }
            ended => ended,
        }
    }

    fn enter(&self, number: i64, asked: Option<Asked>) -> UnderWay<'_> {
        self.under_way().insert(number, asked);
        UnderWay { link: self, number }
    }

    /// Who answers what is asked of no call in particular: it may be answered for one only where there is but one.
    fn asked_alone(&self) -> Option<Asked> {
        let under_way = self.under_way();
        if under_way.len() == 1 { under_way.values().next()?.clone() } else { None }
    }

    fn under_way(&self) -> MutexGuard<'_, HashMap<i64, Option<Asked>>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells something that has no answer, as well as can be.
    pub(super) fn tell_soon(self: &Arc<Self>, version: Option<Version>, message: Message) {
        let link = self.clone();
        tokio::spawn(async move { link.tell(version, message).await });
    }

    pub(super) async fn tell(&self, version: Option<Version>, message: Message) {
        let Ok(mut head) = self.head(version) else { return };
        if self.authorize(&mut head, None).is_err() {
            return;
        }
        let request = self.built(Method::POST, head, Bytes::from(message.bytes()));
        if let Ok(Ok(response)) = tokio::time::timeout(TELL_WAIT, self.wire.request(request)).await {
            let _ = tokio::time::timeout(TELL_WAIT, hear(response.into_body(), COMPLAINT_BYTES_MAX)).await;
        }
    }

    /// Ends the session, if there is one, and what listens on it.
    pub(super) async fn close(&self, version: Version) {
        self.stop_listening();
        if self.session.get().is_none() {
            return;
        }
        let Ok(mut head) = self.head(Some(version)) else { return };
        if self.authorize(&mut head, None).is_ok() {
            let request = self.built(Method::DELETE, head, Bytes::new());
            let _ = tokio::time::timeout(TELL_WAIT, self.wire.request(request)).await;
        }
    }

    fn request(
        &self,
        version: Option<Version>,
        asking: &Asking<'_>,
        mirrored: &[Mirrored],
        id: &Id,
    ) -> Result<Request<Full<Bytes>>, Trouble> {
        let mut head = self.head(version)?;
        if let Some(Trail { run, call, trace }) = &asking.trail {
            for (name, text) in [(RUN, run), (CALL, call), (TRACE, trace)] {
                head.insert(name, HeaderValue::from_str(text).map_err(|_| unusable())?);
            }
        }
        if let Some((name, value)) = &asking.header {
            head.insert(name.clone(), value.clone());
        }
        if version.is_some_and(Version::is_stateless) {
            mirror(&mut head, asking, mirrored)?;
        }
        self.authorize(&mut head, asking.secret)?;
        Ok(self.built(Method::POST, head, Bytes::from(asking.message(version, id))))
    }

    fn head(&self, version: Option<Version>) -> Result<HeaderMap, Trouble> {
        let mut head = HeaderMap::with_capacity(HEADERS_USUAL);
        head.insert(ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
        if let Some(version) = version.filter(|version| version.has_version_header()) {
            head.insert(VERSION, HeaderValue::from_static(version.text()));
        }
        // INVARIANT: there is a session only where `initialize` gave one.
        if let Some(session) = self.session.get() {
            head.insert(headers::SESSION, session.clone());
        }
        Ok(head)
    }

    /// The permit's secret, or, for what Remit asks for itself, the one behind the same reference.
    fn authorize(&self, head: &mut HeaderMap, secret: Option<&[u8]>) -> Result<(), Trouble> {
        let opened = match (secret, self.credential.as_deref()) {
            (None, Some(reference)) => {
                Some(vault::open_reference(reference).map_err(|error| Trouble::new(error.code()))?)
            }
            _ => None,
        };
        let Some(secret) = secret.or(opened.as_ref().map(vault::Secret::reveal)) else { return Ok(()) };
        if !self.via.carries_secrets() {
            return Err(Trouble::new("insecure"));
        }
        let mut value = HeaderValue::from_bytes(&[b"Bearer ", secret].concat())
            .map_err(|_| Trouble::new("credential_unusable"))?;
        value.set_sensitive(true);
        head.insert(AUTHORIZATION, value);
        Ok(())
    }

    fn built(&self, method: Method, head: HeaderMap, body: Bytes) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(body));
        *request.headers_mut() = head;
        if method == Method::POST {
            request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        *request.method_mut() = method;
        *request.uri_mut() = self.via.target.clone();
        request
    }

    async fn exchange(
        self: &Arc<Self>,
        version: Option<Version>,
        request: Request<Full<Bytes>>,
        asking: &Asking<'_>,
        id: &Id,
    ) -> Ended {
        let response = match self.wire.request(request).await {
            Ok(response) => response,
            Err(error) if client::is_private(&error) => {
                return Ended::Unsent(Trouble::new("private_address"));
            }
            Err(error) if error.is_connect() => return Ended::Unsent(Trouble::new("unreachable")),
            Err(_) => return Ended::Broken(Trouble::new("reset")),
        };
        if !response.status().is_success() {
            return self.refused(response).await;
        }
        if asking.method == "initialize"
            && let Some(session) = response.headers().get(headers::SESSION)
            && session.len() <= SESSION_BYTES_MAX
        {
            let mut session = session.clone();
            session.set_sensitive(true);
            let _ = self.session.set(session);
        }
        match media_type(&response) {
            Media::Json => match hear(response.into_body(), asking.bytes_max).await {
                Ok(heard) => answer_in(&heard, id),
                Err(trouble) => Ended::Broken(Trouble::new(trouble)),
            },
            Media::Events => self.follow(version, response.into_body(), asking, id).await,
            Media::Other => Ended::Broken(Trouble::new("malformed_result")),
        }
    }

    /// An answer that is not a success: whether the server says that it did nothing.
    async fn refused(&self, response: Response<Incoming>) -> Ended {
        let status = response.status();
        if status == StatusCode::SEE_OTHER {
            return Ended::Broken(Trouble::new("redirect"));
        }
        if status.is_redirection() {
            return Ended::Refused(Trouble::new("redirect"));
        }
        let complaint = hear(response.into_body(), COMPLAINT_BYTES_MAX).await.unwrap_or_default();
        let error = match wire::read(&complaint) {
            Ok(Message::Error { error, .. }) => Some(error),
            _ => None,
        };
        // -32000 is what servers of the TypeScript SDK say of a session that they do not know.
        let unknown_session = status == StatusCode::NOT_FOUND
            || (status == StatusCode::BAD_REQUEST && error.as_ref().is_none_or(|error| error.code == -32000));
        if unknown_session && self.session.get().is_some() {
            return Ended::SessionLost;
        }
        let code = format!("status_{}", status.as_u16());
        match error {
            Some(error) if status.is_client_error() => Ended::Answered(Reply::Error(error)),
            Some(error) => Ended::Broken(Trouble::saying(code, &error.message)),
            None => {
                let trouble = Trouble::saying(code, &String::from_utf8_lossy(&complaint));
                if status.is_client_error() { Ended::Refused(trouble) } else { Ended::Broken(trouble) }
            }
        }
    }

    /// Follows a stream to the answer; one that breaks off is resumed where its server can do that.
    async fn follow(
        self: &Arc<Self>,
        version: Option<Version>,
        body: Incoming,
        asking: &Asking<'_>,
        id: &Id,
    ) -> Ended {
        let whole_bytes_max = asking.bytes_max.saturating_add(STREAM_EXTRA_BYTES_MAX);
        let mut events = Events::new(body, asking.bytes_max, whole_bytes_max);
        let (mut last, mut wait_ms, mut tries, mut asked_count) = (None, RESUME_WAIT_MS, 0, 0);
        loop {
            let event = match events.next().await {
                Ok(event) => event,
                Err(End::TooLarge) => return Ended::Broken(Trouble::new("too_large")),
                Err(End::Closed | End::Cut) => {
                    let resumable = version.is_none_or(|version| !version.is_stateless());
                    let Some(place) = last.clone().filter(|_| resumable && tries < RESUMES_MAX) else {
                        return Ended::Broken(Trouble::new("connection_lost"));
                    };
                    tries += 1;
                    tokio::time::sleep(Duration::from_millis(wait_ms)).await;
                    if let Some(body) = self.resumed(version, place, asking.secret).await {
                        events = Events::new(body, asking.bytes_max, events.bytes_left());
                    }
                    continue;
                }
            };
            if let Some(place) = event.id {
                tries = if last.as_ref() == Some(&place) { tries } else { 0 };
                last = Some(place);
            }
            if let Some(ms) = event.retry_ms {
                wait_ms = ms.clamp(RESUME_WAIT_MS_MIN, RESUME_WAIT_MS_MAX);
            }
            if event.data.is_empty() {
                continue;
            }
            match wire::read(&event.data) {
                Err(_) => return Ended::Broken(Trouble::new("malformed_result")),
                Ok(Message::Result { id: other, result }) if other == *id => {
                    events.let_go();
                    return Ended::Answered(Reply::Result(result));
                }
                Ok(Message::Error { id: other, error }) if other.as_ref().is_none_or(|other| other == id) => {
                    return Ended::Answered(Reply::Error(error));
                }
                Ok(Message::Result { .. } | Message::Error { .. }) => {}
                Ok(message) => {
                    asked_count += usize::from(matches!(message, Message::Request { .. }));
                    if asked_count <= ASKED_MAX {
                        self.heard(version, message, &asking.feed, asking.asked.clone(), id);
                    }
                }
            }
        }
    }

    /// Takes a notification or a request that came beside an answer.
    fn heard(
        self: &Arc<Self>,
        version: Option<Version>,
        message: Message,
        feed: &Feed,
        asked: Option<Asked>,
        id: &Id,
    ) {
        match message {
            Message::Notification { method, params } => {
                let word = self.inbox.take(&method, params);
                let ours = |token: &Option<i64>| token.is_none_or(|token| Id::Number(token) == *id);
                if let Some(word) = word.filter(|word| ours(&word.token)) {
                    word.tell(feed);
                }
            }
            // Since 2026-07-28 a server may not ask: it says in its result what it wants to know.
            Message::Request { .. } if version.is_some_and(Version::is_stateless) => {}
            Message::Request { id, method, params } => {
                let link = self.clone();
                tokio::spawn(async move {
                    let message = match answer_to(asked, method, params).await {
                        Ok(result) => Message::Result { id, result },
                        Err(error) => Message::Error { id: Some(id), error },
                    };
                    link.tell(version, message).await;
                });
            }
            Message::Result { .. } | Message::Error { .. } => {}
        }
    }

    async fn resumed(
        &self,
        version: Option<Version>,
        last: String,
        secret: Option<&[u8]>,
    ) -> Option<Incoming> {
        let mut head = self.head(version).ok()?;
        head.insert(headers::LAST_EVENT, HeaderValue::try_from(last).ok()?);
        self.open_stream(head, secret).await.ok()
    }

    /// The stream of a GET, or the status that there is instead.
    async fn open_stream(
        &self,
        mut head: HeaderMap,
        secret: Option<&[u8]>,
    ) -> Result<Incoming, Option<StatusCode>> {
        head.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
        self.authorize(&mut head, secret).map_err(|_| None)?;
        let request = self.built(Method::GET, head, Bytes::new());
        let response = self.wire.request(request).await.map_err(|_| None)?;
        match (response.status(), media_type(&response)) {
            (StatusCode::OK, Media::Events) => Ok(response.into_body()),
            (status, _) => Err(Some(status)),
        }
    }

    fn stop_listening(&self) {
        if let Some(task) = self.listening.lock().unwrap_or_else(PoisonError::into_inner).take() {
            task.abort();
        }
    }
}

/// One call among those under way, until this is dropped.
struct UnderWay<'l> {
    link: &'l HttpLink,
    number: i64,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.link.under_way().remove(&self.number);
    }
}

pub(super) fn cancelled(id: &Id, why: &str) -> Message {
    let mut params = Members::new();
    params.insert("requestId".to_owned(), id.value());
    params.insert("reason".to_owned(), why.into());
    Message::Notification { method: "notifications/cancelled".to_owned(), params }
}

/// Headers that say again what the body says, so that proxies need not read bodies.
fn mirror(head: &mut HeaderMap, asking: &Asking<'_>, mirrored: &[Mirrored]) -> Result<(), Trouble> {
    let value = |text: &str| HeaderValue::from_str(text).map_err(|_| unusable());
    head.insert(METHOD, value(asking.method)?);
    let name = headers::name_param(asking.method).and_then(|name| asking.params.get(name));
    if let Some(name) = name.and_then(Value::as_str) {
        head.insert(NAME, value(&headers::encode(name))?);
    }
    if let Some((_, arguments)) = asking.arguments {
        for one in mirrored {
            if let (Some(text), Ok(name)) =
                (headers::mirror(one, arguments), HeaderName::try_from(one.header.as_str()))
            {
                head.insert(name, value(&text)?);
            }
        }
    }
    Ok(())
}

fn unusable() -> Trouble {
    Trouble::saying("contract_unusable", "a name cannot be sent")
}

enum Media {
    Json,
    Events,
    Other,
}

fn media_type(response: &Response<Incoming>) -> Media {
    let value =
        response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
        "application/json" => Media::Json,
        "text/event-stream" => Media::Events,
        _ => Media::Other,
    }
}

fn answer_in(heard: &[u8], id: &Id) -> Ended {
    match wire::read(heard) {
        Ok(Message::Result { id: other, result }) if other == *id => Ended::Answered(Reply::Result(result)),
        Ok(Message::Error { id: other, error }) if other.as_ref().is_none_or(|other| other == id) => {
            Ended::Answered(Reply::Error(error))
        }
        Ok(Message::Result { .. } | Message::Error { .. }) => Ended::Broken(Trouble::new("wrong_id")),
        Ok(_) | Err(_) => Ended::Broken(Trouble::new("malformed_result")),
    }
}

async fn hear(mut body: Incoming, bytes_max: usize) -> Result<Vec<u8>, &'static str> {
    // An answer that is announced too large is not waited for.
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > bytes_max {
        return Err("too_large");
    }
    // Into one place as it comes: a large answer is never there twice.
    let mut heard = Vec::with_capacity(announced);
    while let Some(frame) = body.frame().await {
        let Ok(chunk) = frame.map_err(|_| "reset")?.into_data() else { continue };
        if chunk.len() > bytes_max - heard.len() {
            return Err("too_large");
        }
        heard.extend_from_slice(&chunk);
    }
    Ok(heard)
}
