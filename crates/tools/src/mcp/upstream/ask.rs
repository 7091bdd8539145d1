//! One request to a server, when it must stop, and how it ended.

use std::borrow::Cow;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gate::port::{Cancel, Feed};
use http::{HeaderName, HeaderValue};
use serde_json::{Value, json};
use stdx::digest::Digest;
use tokio::time::Instant;

use crate::mcp::era::{self, Reply, Version};
use crate::mcp::wire::{Id, Members, RpcError, Writing};

/// How long a call may stand still in all while somebody thinks about what its server asked.
const HELD_MAX: Duration = Duration::from_secs(15 * 60);
/// How often is looked again while it stands still.
const HELD_LOOK: Duration = Duration::from_millis(100);
/// Words of a server's own that are kept with a trouble.
const WORDS_LENGTH_MAX: usize = 600;

/// Answers what a server asks of Remit while a request of ours is under way. Without one, it may ask nothing.
pub type Asked = Arc<
    dyn Fn(String, Members) -> Pin<Box<dyn Future<Output = Result<Members, RpcError>> + Send>> + Send + Sync,
>;

/// Trace context, in `_meta` and as a header.
pub(in crate::mcp) const TRACE: &str = "traceparent";
const EXTENSIONS: &str = "extensions";
/// The same as `client_info`, written.
const CLIENT_INFO: &str = concat!("{\"name\":\"remit\",\"version\":\"", env!("CARGO_PKG_VERSION"), "\"}");

/// What a call is found again by: it travels along in `_meta`, and in headers.
#[derive(Clone, Debug)]
pub struct Trail {
    pub run: String,
    pub call: String,
    pub trace: String,
}

/// One request.
pub struct Asking<'a> {
    pub method: &'a str,
    /// Without `_meta`, and without what stands in `arguments`.
    pub params: Members,
    /// Of `tools/call`: what the law decided on, as bytes and read.
    pub arguments: Option<(&'a [u8], &'a Members)>,
    pub trail: Option<Trail>,
    /// A further header, where the server is reached over HTTP.
    pub header: Option<(HeaderName, HeaderValue)>,
    pub secret: Option<&'a [u8]>,
    pub feed: Feed,
    pub asked: Option<Asked>,
    /// What the server may want of the client, if it is asked in requests that stand alone.
    pub capabilities: Members,
    pub bytes_max: usize,
    /// For `tools/call`: nothing is sent unless the server still lists the tool as it was accepted.
    pub tool: Option<Accepted<'a>>,
}

#[derive(Clone, Copy, Debug)]
pub struct Accepted<'a> {
    pub name: &'a str,
    /// Of the definition, or, where only a schema was accepted, of that.
    pub pin: Option<Digest>,
}

impl<'a> Asking<'a> {
    pub fn new(method: &'a str, params: Members, bytes_max: usize) -> Asking<'a> {
        Asking {
            method,
            params,
            arguments: None,
            trail: None,
            header: None,
            secret: None,
            feed: Feed::default(),
            asked: None,
            capabilities: Members::new(),
            bytes_max,
            tool: None,
        }
    }

    /// The whole message, as this revision wants it; none is that of `initialize`.
    pub(super) fn message(&self, version: Option<Version>, id: &Id) -> Vec<u8> {
        let arguments = self.arguments.map_or(0, |(bytes, _)| bytes.len());
        let mut out = Vec::with_capacity(1024 + arguments);
        let mut message = Writing::begin(&mut out);
        message.raw("jsonrpc", b"\"2.0\"");
        message.member("id", id);
        message.member("method", self.method);
        let mut params = message.object("params");
        let others = self.params.iter().filter(|(name, _)| *name != "_meta");
        others.for_each(|(name, value)| params.member(name, value));
        if let Some((bytes, _)) = self.arguments {
            params.raw("arguments", bytes);
        }
        let is_stateless = version.is_some_and(Version::is_stateless);
        if is_stateless || self.trail.is_some() || self.feed.is_heard() {
            self.write_meta(params.object("_meta"), is_stateless, id);
        }
        params.end();
        message.end();
        out
    }

    fn write_meta(&self, mut meta: Writing<'_>, is_stateless: bool, id: &Id) {
        if let Some(Trail { run, call, trace }) = &self.trail {
            meta.member(era::META_RUN, run);
            meta.member(era::META_CALL, call);
            meta.member(TRACE, trace);
        }
        if self.feed.is_heard() {
            meta.member(era::PROGRESS_TOKEN, id);
        }
        if is_stateless {
            meta.member(era::META_VERSION, Version::LATEST.text());
            meta.raw(era::META_CLIENT_INFO, CLIENT_INFO.as_bytes());
            self.write_capabilities(meta.object(era::META_CLIENT_CAPABILITIES));
            if self.feed.is_heard() {
                meta.member(era::META_LOG_LEVEL, "info");
            }
        }
        meta.end();
    }

    /// What the client can be asked for, and that Remit itself waits for a call that becomes a task.
    fn write_capabilities(&self, mut can: Writing<'_>) {
        let own = self.method == "tools/call" || self.method.starts_with("tasks/");
        let others = self.capabilities.iter().filter(|(name, _)| !own || *name != EXTENSIONS);
        others.for_each(|(name, value)| can.member(name, value));
        if own {
            let mut extensions = can.object(EXTENSIONS);
            let known = self.capabilities.get(EXTENSIONS).and_then(Value::as_object).into_iter().flatten();
            let known = known.filter(|(name, _)| *name != era::TASKS);
            known.for_each(|(name, value)| extensions.member(name, value));
            extensions.raw(era::TASKS, b"{}");
            extensions.end();
        }
        can.end();
    }
}

pub(super) fn client_info() -> Value {
    json!({ "name": "remit", "version": env!("CARGO_PKG_VERSION") })
}

/// When a request must stop: its time is over, or it is no longer wanted.
pub struct Stop {
    pub cancel: Cancel,
    pub deadline: Instant,
    pub held: Held,
}

impl Stop {
    pub fn new(cancel: Cancel, deadline: Instant) -> Stop {
        Stop { cancel, deadline, held: Held::default() }
    }

    pub(in crate::mcp) async fn wanted(&mut self) -> Trouble {
        let Stop { cancel, deadline, held } = self;
        tokio::select! {
            biased;
            () = cancel.wanted() => Trouble::new("cancelled"),
            () = held.past(*deadline) => Trouble::new("timeout"),
        }
    }
}

// ---- Held -------------------------------------------------------------------------------------------------

/// The time in which a server waits for an answer of ours: it is not counted as the server's.
#[derive(Clone, Default)]
pub struct Held(Arc<Mutex<Standing>>);

#[derive(Default)]
struct Standing {
    open: u32,
    since: Option<Instant>,
    before: Duration,
}

/// While one lives, the clock stands still.
pub(in crate::mcp) struct Hold(Held);

impl Held {
    pub(in crate::mcp) fn hold(&self) -> Hold {
        let mut standing = self.lock();
        standing.open += 1;
        standing.since.get_or_insert_with(Instant::now);
        Hold(self.clone())
    }

    /// Ends when the deadline is over, and the time that was not counted after it.
    async fn past(&self, deadline: Instant) {
        loop {
            let (held, is_open) = self.so_far();
            let until = deadline + held;
            if until <= Instant::now() {
                return;
            }
            let look = if is_open { until.max(Instant::now() + HELD_LOOK) } else { until };
            tokio::time::sleep_until(look).await;
        }
    }

    fn so_far(&self) -> (Duration, bool) {
        let standing = self.lock();
        let now = standing.since.map_or(Duration::ZERO, |since| since.elapsed());
        ((standing.before + now).min(HELD_MAX), standing.since.is_some())
    }

    fn lock(&self) -> MutexGuard<'_, Standing> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut standing = self.0.lock();
        standing.open = standing.open.saturating_sub(1);
        if standing.open == 0
            && let Some(since) = standing.since.take()
        {
            standing.before += since.elapsed();
        }
    }
}

/// What went wrong: a short code, and the server's own words if there are any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    pub code: Cow<'static, str>,
    pub words: String,
}

impl Trouble {
    pub(super) fn new(code: impl Into<Cow<'static, str>>) -> Trouble {
        Trouble { code: code.into(), words: String::new() }
    }

    pub(in crate::mcp) fn saying(code: impl Into<Cow<'static, str>>, words: &str) -> Trouble {
        let words = words.chars().map(|c| if c.is_control() { ' ' } else { c });
        Trouble { code: code.into(), words: words.take(WORDS_LENGTH_MAX).collect() }
    }
}

/// How a request ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Ended {
    /// Nothing of it left the house.
    Unsent(Trouble),
    /// The server said that it did not carry it out.
    Refused(Trouble),
    /// It was sent, and there is no answer that can be read.
    Broken(Trouble),
    Answered(Reply),
    /// The server no longer knows the session, so it did not carry it out: a new session may.
    SessionLost,
}

/// What a server asked, answered; a ping always is.
pub(super) async fn answer_to(
    asked: Option<Asked>,
    method: String,
    params: Members,
) -> Result<Members, RpcError> {
    match asked {
        _ if method == "ping" => Ok(Members::new()),
        Some(asked) => asked(method, params).await,
        None => Err(RpcError::method_not_found(&method)),
    }
}
