//! Messages on their way: each line becomes a request to the door, and what the door says becomes lines.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Mutex as Turn, mpsc};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, timeout};
use tools::mcp::wire::{self, Id, Message, RpcError};

use super::door::{Answer, Content, Door, Failure, Session};
use super::lines::{Line, Lines};
use super::said::{Kind, Marks, Said};
use crate::out;

/// Requests of this client that are under way.
const UNDER_WAY_MAX: usize = 128;
/// What has no answer is told in turn; one that is not taken in this time is given up.
const TELL_WAIT: Duration = Duration::from_secs(10);
/// When the client has closed its end, what is under way may still end.
const LAST_WAIT: Duration = Duration::from_secs(60);
/// Between tries to listen again.
const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// As the door says it: the session is not known (any more).
const SESSION_NOT_FOUND: i64 = -32001;
const INITIALIZED: &[u8] = br#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;

pub(super) struct Bridge {
    door: Door,
    marks: Marks,
    out: mpsc::WeakSender<Bytes>,
    /// Of a message, as the door takes it.
    bytes_max: usize,
    begun: Mutex<Begun>,
    /// One task at a time begins a session again.
    renewing: Turn<()>,
    /// Requests that stand alone, by id: a client cancels them with a message, and HTTP by hanging up.
    alone: Mutex<HashMap<Id, AbortHandle>>,
}

/// A session, and the message that it began with.
#[derive(Default)]
struct Begun {
    session: Option<Session>,
    initialize: Option<Said>,
}

impl Bridge {
    pub(super) fn new(door: Door, marks: Marks, out: mpsc::WeakSender<Bytes>, bytes_max: usize) -> Bridge {
        let (begun, renewing, alone) = Default::default();
        Bridge { door, marks, out, bytes_max, begun, renewing, alone }
    }

    /// Carries messages until the client closes its end.
    pub(super) async fn run(self: Arc<Self>, lines: &mut Lines) {
        let (mut calls, mut streams) = (JoinSet::new(), JoinSet::new());
        while let Some(line) = lines.next().await {
            while calls.try_join_next().is_some() {}
            while streams.try_join_next().is_some() {}
            match line {
                Line::Whole(bytes) => {
                    let said = Said::read(bytes, &self.marks);
                    Arc::clone(&self).take(said, &mut calls, &mut streams).await;
                }
                Line::TooLong => {
                    let mb = self.bytes_max >> 20;
                    let words = format!(
                        "a message may be {mb} MiB long (`listen.message_mb`), and this line is longer"
                    );
                    self.error(None, wire::INVALID_REQUEST, words).await;
                }
            }
        }
        drop(streams);
        let _ = timeout(LAST_WAIT, async { while calls.join_next().await.is_some() {} }).await;
    }

    /// Ends the session, if there is one.
    pub(super) async fn end(&self) {
        let session = self.begun().session.take();
        if let Some(session) = session {
            let _ = self.door.end(&session).await;
        }
    }

    async fn take(self: Arc<Self>, said: Said, calls: &mut JoinSet<()>, streams: &mut JoinSet<()>) {
        match &said.kind {
            // Whatever comes after it may need its session.
            Kind::Request { method, .. } if method == "initialize" && said.headers.is_none() => {
                self.initialize(said).await;
            }
            Kind::Request { .. } | Kind::Unread => {
                let set = if said.is_request("subscriptions/listen") { streams } else { calls };
                if set.len() >= UNDER_WAY_MAX {
                    let words = format!("{UNDER_WAY_MAX} requests are under way; wait for an answer");
                    return self.error(said.id().cloned(), wire::INTERNAL_ERROR, words).await;
                }
                self.begin(said, set);
            }
            Kind::Notification { cancels: Some(id), .. } if self.cancel(id) => {}
            Kind::Notification { method, .. } => {
                let begins = method == "notifications/initialized";
                self.tell(&said).await;
                if begins && self.begun().session.is_some() {
                    streams.spawn(self.listen());
                }
            }
            Kind::Answer => self.tell(&said).await,
        }
    }

    fn begin(self: Arc<Self>, said: Said, set: &mut JoinSet<()>) {
        let alone = said.id().filter(|_| said.headers.is_some()).cloned();
        let bridge = Arc::clone(&self);
        // Held until it is entered, so that a task that ends at once finds what it takes out.
        let mut entered = self.alone();
        let task = set.spawn(async move {
            bridge.request(&said).await;
            if let Some(id) = said.id().filter(|_| said.headers.is_some()) {
                bridge.alone().remove(id);
            }
        });
        if let Some(id) = alone {
            entered.insert(id, task);
        }
    }

    /// Hangs up on a request that stands alone; false if it is none.
    fn cancel(&self, id: &Id) -> bool {
        self.alone().remove(id).inspect(AbortHandle::abort).is_some()
    }

    async fn request(&self, said: &Said) {
        if let Err(failure) = self.carry(said).await {
            self.error(said.id().cloned(), wire::INTERNAL_ERROR, failure.to_string()).await;
        }
    }

    async fn carry(&self, said: &Said) -> Result<(), Failure> {
        let session = self.begun().session.clone();
        let answer = self.door.post(said, session.as_ref()).await?;
        match (error_code(&answer), session) {
            (Some(SESSION_NOT_FOUND), Some(session)) if said.headers.is_none() => {
                if !self.renew(&session).await? {
                    return self.pass(said, answer).await;
                }
                let session = self.begun().session.clone();
                self.pass(said, self.door.post(said, session.as_ref()).await?).await
            }
            (Some(wire::HEADER_MISMATCH), _) if self.marks.refresh() => {
                let again = Said::read(said.bytes.clone(), &self.marks);
                self.pass(said, self.door.post(&again, None).await?).await
            }
            _ => self.pass(said, answer).await,
        }
    }

    async fn initialize(&self, said: Said) {
        match self.open(&said).await {
            Ok(answer) => {
                if let Err(failure) = self.pass(&said, answer).await {
                    self.error(said.id().cloned(), wire::INTERNAL_ERROR, failure.to_string()).await;
                }
            }
            Err(failure) => {
                self.error(said.id().cloned(), wire::INTERNAL_ERROR, failure.to_string()).await;
            }
        }
    }

    /// Begins a session, and remembers with what.
    async fn open(&self, initialize: &Said) -> Result<Answer, Failure> {
        let answer = self.door.post(initialize, None).await?;
        if let (Some(id), Content::Message(body)) = (&answer.session, &answer.content)
            && let Ok(Message::Result { result, .. }) = wire::read(body)
            && let Some(version) = result.get("protocolVersion").and_then(serde_json::Value::as_str)
        {
            let session = Some(Session { id: id.clone(), version: version.to_owned() });
            *self.begun() = Begun { session, initialize: Some(initialize.clone()) };
        }
        Ok(answer)
    }

    /// Begins a session again that Remit does not know any more, such as after it was started again. Whether there is
    /// another now.
    async fn renew(&self, gone: &Session) -> Result<bool, Failure> {
        let _turn = self.renewing.lock().await;
        let begun = self.begun().initialize.clone();
        let Some(initialize) = begun else { return Ok(false) };
        if self.begun().session.as_ref() == Some(gone) {
            self.open(&initialize).await?;
            self.tell(&Said::read(Bytes::from_static(INITIALIZED), &self.marks)).await;
        }
        Ok(self.begun().session.as_ref().is_some_and(|session| session != gone))
    }

    /// The stream of a session, for as long as the client is there.
    async fn listen(self: Arc<Self>) {
        let mut pause = PAUSE_MIN;
        loop {
            let session = self.begun().session.clone();
            let Some(session) = session else { return };
            match self.door.listen(&session).await {
                Ok(Answer { content: Content::Events(mut events), .. }) => {
                    pause = PAUSE_MIN;
                    while let Ok(event) = events.next().await {
                        self.say(event.data).await;
                    }
                }
                // Another task of ours listens to this session.
                Ok(answer) if answer.status == http::StatusCode::CONFLICT => return,
                Ok(answer) if error_code(&answer) == Some(SESSION_NOT_FOUND) => {
                    let _ = self.renew(&session).await;
                }
                Ok(_) | Err(_) => {}
            }
            sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// What has no answer.
    async fn tell(&self, said: &Said) {
        let session = self.begun().session.clone();
        let told = timeout(TELL_WAIT, self.door.post(said, session.as_ref())).await;
        match told {
            Ok(Ok(answer)) if answer.status.is_success() => {}
            Ok(Ok(answer)) => out::talk(format!("Remit did not take a notification ({})", answer.status)),
            Ok(Err(failure)) => out::talk(failure),
            Err(_) => out::talk("Remit was too slow to take a notification"),
        }
    }

    async fn pass(&self, said: &Said, answer: Answer) -> Result<(), Failure> {
        match answer.content {
            Content::Message(body) if answer.status.is_success() => self.say(body.into()).await,
            Content::Message(body) => self.say(addressed(body.into(), said.id())).await,
            Content::Nothing if said.id().is_some() => return Err(self.door.broken()),
            Content::Nothing => {}
            Content::Events(mut events) => {
                let mut is_answered = false;
                while let Ok(event) = events.next().await {
                    is_answered |= answers(&event.data, said.id());
                    self.say(event.data).await;
                }
                if !is_answered && said.id().is_some() {
                    return Err(self.door.broken());
                }
            }
        }
        Ok(())
    }

    async fn error(&self, id: Option<Id>, code: i64, words: String) {
        out::talk(&words);
        self.say(Message::Error { id, error: RpcError::new(code, words) }.bytes()).await;
    }

    async fn say(&self, message: Vec<u8>) {
        if let Some(out) = self.out.upgrade().filter(|_| !message.is_empty()) {
            let _ = out.send(message.into()).await;
        }
    }

    fn begun(&self) -> MutexGuard<'_, Begun> {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn alone(&self) -> MutexGuard<'_, HashMap<Id, AbortHandle>> {
        self.alone.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The code of an error that came with a status of its own.
fn error_code(answer: &Answer) -> Option<i64> {
    match &answer.content {
        Content::Message(body) if !answer.status.is_success() => match wire::read(body) {
            Ok(Message::Error { error, .. }) => Some(error.code),
            _ => None,
        },
        _ => None,
    }
}

/// An error of a request that the door refused unread: HTTP tells whose answer it is, and a line does not.
fn addressed(message: Vec<u8>, asked: Option<&Id>) -> Vec<u8> {
    match wire::read(&message) {
        Ok(Message::Error { id: None, error }) => Message::Error { id: asked.cloned(), error }.bytes(),
        _ => message,
    }
}

/// Whether a message is the answer to this request.
fn answers(message: &[u8], asked: Option<&Id>) -> bool {
    match wire::read(message) {
        Ok(Message::Result { id, .. }) => asked == Some(&id),
        Ok(Message::Error { id, .. }) => asked == id.as_ref(),
        _ => false,
    }
}
