//! The port: what a room of the outside world offers to the line.

use std::future::{Future, pending};
use std::pin::Pin;

use kernel::account::Amount;
use kernel::call::Outcome;
use kernel::contract::{Pattern, Redact};
use serde_json::Value;
use tokio::sync::{mpsc, oneshot, watch};

use crate::flight::Stage;
use crate::permit::Permit;
use crate::redact::blotted;
use crate::vault::Secret;

/// Says when a call must stop: Remit leaves, its caller no longer wants it, or it is halted.
#[derive(Clone, Debug)]
pub struct Cancel {
    house: watch::Receiver<bool>,
    caller: Option<watch::Receiver<bool>>,
    flight: Option<watch::Receiver<Stage>>,
}

impl Cancel {
    pub fn new(house: watch::Receiver<bool>, caller: Option<watch::Receiver<bool>>) -> Cancel {
        Cancel { house, caller, flight: None }
    }

    /// A halt can end it, too.
    #[must_use]
    pub(crate) fn within(self, flight: watch::Receiver<Stage>) -> Cancel {
        Cancel { flight: Some(flight), ..self }
    }

    /// Ends when the call must stop; who can no longer say so is not waited for, and says nothing.
    pub async fn wanted(&mut self) {
        let Cancel { house, caller, flight } = self;
        tokio::select! {
            () = turned(house) => {}
            () = async { match caller { Some(caller) => turned(caller).await, None => pending().await } } => {}
            () = cut(flight) => {}
        }
    }

    /// Ends when a halt wants the call to end.
    pub(crate) async fn halted(&mut self) {
        cut(&mut self.flight).await;
    }

    pub(crate) fn is_halted(&self) -> bool {
        self.flight.as_ref().is_some_and(|flight| *flight.borrow() == Stage::Cut)
    }
}

async fn cut(flight: &mut Option<watch::Receiver<Stage>>) {
    let Some(flight) = flight else { return pending().await };
    if flight.wait_for(|stage| *stage == Stage::Cut).await.is_err() {
        pending::<()>().await;
    }
}

async fn turned(signal: &mut watch::Receiver<bool>) {
    if signal.wait_for(|stop| *stop).await.is_err() {
        pending::<()>().await;
    }
}

/// What a call under way wants to know of whoever waits at the door. Dropped without an answer: there is none.
#[derive(Debug)]
pub struct Question {
    pub asked: Value,
    pub answer: oneshot::Sender<Value>,
}

/// Word from a call under way, for whoever waits at the door: progress, log lines. What finds no room is dropped.
#[derive(Clone, Debug, Default)]
pub struct Feed {
    listener: Option<mpsc::Sender<Value>>,
    questions: Option<mpsc::Sender<Question>>,
    blot: Vec<Pattern>,
    aside: Value,
}

impl Feed {
    pub fn new(listener: mpsc::Sender<Value>) -> Feed {
        Feed { listener: Some(listener), ..Feed::default() }
    }

    /// Whoever waits at the door can be asked, too.
    #[must_use]
    pub fn with_questions(self, questions: mpsc::Sender<Question>) -> Feed {
        Feed { questions: Some(questions), ..self }
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
        let has_words = redact.fields.is_empty();
        let (listener, questions) =
            (self.listener.filter(|_| has_words), self.questions.filter(|_| has_words));
        Feed { listener, questions, blot: redact.results.clone(), aside: self.aside }
    }

    pub fn is_heard(&self) -> bool {
        self.listener.is_some()
    }

    pub fn send(&self, word: Value) {
        if let Some(listener) = &self.listener {
            let _ = listener.try_send(blotted(word, &self.blot));
        }
    }

    /// Asks, and waits for the answer; none, if nobody can be asked or nobody answers.
    pub async fn ask(&self, asked: Value) -> Option<Value> {
        let questions = self.questions.as_ref()?;
        let (answer, answered) = oneshot::channel();
        questions.send(Question { asked: blotted(asked, &self.blot), answer }).await.ok()?;
        answered.await.ok()
    }

    pub fn can_ask(&self) -> bool {
        self.questions.is_some()
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
    /// The same as `body`, where it was read already: nobody need read it again.
    pub said: Option<Value>,
    /// What went wrong, as a short code: `timeout`, `refused`, `status_500`, `malformed_result`, `too_large`.
    pub trouble: Option<String>,
    /// What it cost, if that is known to be less than was reserved.
    pub used: Option<Amount>,
}
