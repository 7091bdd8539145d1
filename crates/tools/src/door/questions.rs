//! What is asked of a client with a session: requests on a stream of its own, and answers that it posts.
//!
//! The stream is that of the call that it is asked for, or else the one that the session listens on. An answer is
//! looked for in the session that it came in, and nowhere else.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

use super::session::Session;
use crate::mcp::wire::{self, Id, Members, Message, RpcError};

/// How long a client has for an answer: people think.
pub(super) const ANSWER_WAIT: Duration = Duration::from_secs(5 * 60);
/// Questions that are open in one session.
const OPEN_MAX: usize = 64;
/// Questions that wait to be written to one stream.
pub(super) const QUEUED_MAX: usize = 16;

type Answer = Result<Members, RpcError>;

/// The questions of one session that wait for an answer, by the ids that its client knows them by.
#[derive(Default)]
pub(super) struct Open(Mutex<Table>);

#[derive(Default)]
struct Table {
    next: i64,
    waiting: HashMap<i64, oneshot::Sender<Answer>>,
}

impl Open {
    fn begin(&self) -> Option<(i64, oneshot::Receiver<Answer>)> {
        let mut table = self.lock();
        if table.waiting.len() >= OPEN_MAX {
            return None;
        }
        table.next += 1;
        let (answer, answered) = oneshot::channel();
        let number = table.next;
        table.waiting.insert(number, answer);
        Some((number, answered))
    }

    /// Takes what may be an answer; one to nothing that is asked in this session changes nothing.
    pub(super) fn answered(&self, message: Message) {
        let (id, answer) = match message {
            Message::Result { id, result } => (id, Ok(result)),
            Message::Error { id: Some(id), error } => (id, Err(error)),
            _ => return,
        };
        let Id::Number(number) = id else { return };
        if let Some(waiting) = self.lock().waiting.remove(&number) {
            let _ = waiting.send(answer);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// ---- Client -----------------------------------------------------------------------------------------------

/// A client that can be asked while its call is under way.
#[derive(Clone)]
pub(super) struct Client {
    session: Arc<Session>,
    /// The stream that its call is answered by, if it is one.
    own: Option<mpsc::Sender<Message>>,
}

impl Client {
    /// None: there is no stream that it could be asked on.
    pub(super) fn of(session: &Arc<Session>, own: Option<mpsc::Sender<Message>>) -> Option<Client> {
        (own.is_some() || session.stream().is_some()).then(|| Client { session: session.clone(), own })
    }

    /// Asks, and waits for the answer. Whoever stops waiting takes the question back.
    pub(super) async fn ask(&self, method: &str, params: Members) -> Answer {
        let unasked = |why: &str| RpcError::new(wire::INTERNAL_ERROR, why);
        let Some((number, answered)) = self.session.open.begin() else {
            return Err(unasked("too many questions are open in the session of the client"));
        };
        let mut asked = Asked { client: self, number, is_over: false };
        let (id, method) = (Id::Number(number), method.to_owned());
        if !self.send(Message::Request { id, method, params }).await {
            asked.is_over = true;
            return Err(unasked("the client has no open stream on which it can be asked"));
        }
        match tokio::time::timeout(ANSWER_WAIT, answered).await {
            Ok(Ok(answer)) => {
                asked.is_over = true;
                answer
            }
            Ok(Err(_)) => Err(unasked("the client's session has ended")),
            Err(_) => Err(unasked("the client did not answer in time")),
        }
    }

    /// On the call's own stream while that is open, else on the session's.
    async fn send(&self, message: Message) -> bool {
        let message = match &self.own {
            Some(own) => match own.send(message).await {
                Ok(()) => return true,
                Err(unsent) => unsent.0,
            },
            None => message,
        };
        match self.session.stream() {
            Some(stream) => stream.send(message).await.is_ok(),
            None => false,
        }
    }

    fn take_back(&self, number: i64) {
        let params = Members::from_iter([
            ("requestId".to_owned(), Value::from(number)),
            ("reason".to_owned(), "nobody waits for the answer any more".into()),
        ]);
        let message = Message::Notification { method: "notifications/cancelled".to_owned(), params };
        let to = self.own.clone().filter(|own| !own.is_closed()).or_else(|| self.session.stream());
        if let Some(to) = to {
            let _ = to.try_send(message);
        }
    }
}

/// A question that is open; when it is dropped unanswered, the client is told that nobody waits.
struct Asked<'c> {
    client: &'c Client,
    number: i64,
    is_over: bool,
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        self.client.session.open.lock().waiting.remove(&self.number);
        if !self.is_over {
            self.client.take_back(self.number);
        }
    }
}
