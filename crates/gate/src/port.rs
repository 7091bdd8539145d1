//! The port: what a room of the outside world offers to the line.

use std::future::{Future, pending};
use std::pin::Pin;

use kernel::account::Amount;
use kernel::call::Outcome;
use kernel::contract::{Pattern, Redact};
use serde_json::Value;
use tokio::sync::{mpsc, watch};

use crate::permit::Permit;
use crate::redact::blotted;
use crate::vault::Secret;

/// Says when a call must stop: Remit leaves, or its caller no longer wants it.
#[derive(Clone, Debug)]
pub struct Cancel {
    house: watch::Receiver<bool>,
    caller: Option<watch::Receiver<bool>>,
}

impl Cancel {
    pub fn new(house: watch::Receiver<bool>, caller: Option<watch::Receiver<bool>>) -> Cancel {
        Cancel { house, caller }
    }

    /// Ends when the call must stop; who can no longer say so is not waited for, and says nothing.
    pub async fn wanted(&mut self) {
        let Cancel { house, caller } = self;
        tokio::select! {
            () = turned(house) => {}
            () = async { match caller { Some(caller) => turned(caller).await, None => pending().await } } => {}
        }
    }
}

async fn turned(signal: &mut watch::Receiver<bool>) {
    if signal.wait_for(|stop| *stop).await.is_err() {
        pending::<()>().await;
    }
}

/// Word from a call under way, for whoever waits at the door: progress, log lines. What finds no room is dropped.
#[derive(Clone, Debug, Default)]
pub struct Feed {
    listener: Option<mpsc::Sender<Value>>,
    blot: Vec<Pattern>,
    aside: Value,
}

impl Feed {
    pub fn new(listener: mpsc::Sender<Value>) -> Feed {
        Feed { listener: Some(listener), ..Feed::default() }
    }

    /// What a door tells its own room of the client that waits. The line does not read it: it is no argument.
    #[must_use]
    pub fn with_aside(self, aside: Value) -> Feed {
        Feed { aside, ..self }
    }

    pub fn aside(&self) -> &Value {
        &self.aside
    }

    /// What a result may not show, no word before it shows. Fields cannot be told in words, so then there are none.
    pub(crate) fn redacted(self, redact: &Redact) -> Feed {
        let listener = self.listener.filter(|_| redact.fields.is_empty());
        Feed { listener, blot: redact.results.clone(), aside: self.aside }
    }

    pub fn is_heard(&self) -> bool {
        self.listener.is_some()
    }

    pub fn send(&self, word: Value) {
        if let Some(listener) = &self.listener {
            let _ = listener.try_send(blotted(word, &self.blot));
        }
    }
}

pub type Reaching = Pin<Box<dyn Future<Output = Reached> + Send>>;

/// One kind of world: HTTP tools, MCP servers, models. It owns no lane and keeps no permit.
pub trait Reach: Send + Sync + 'static {
    /// Whether this room reads contracts whose `via` has this one member (`http`, `mcp`, …).
    fn kind(&self) -> &'static str;

    /// Carries one permitted call out. Never panics, never outlives the contract's timeout.
    fn reach(&self, permit: Permit, secret: Option<Secret>, cancel: Cancel, feed: Feed) -> Reaching;
}

/// How it went out there.
#[derive(Debug)]
pub struct Reached {
    pub outcome: Outcome,
    /// The result as canonical JSON, or the tool's own error in the same form.
    pub body: Vec<u8>,
    /// What went wrong, as a short code: `timeout`, `refused`, `status_500`, `malformed_result`, `too_large`.
    pub trouble: Option<String>,
    /// What it cost, if that is known to be less than was reserved.
    pub used: Option<Amount>,
}
