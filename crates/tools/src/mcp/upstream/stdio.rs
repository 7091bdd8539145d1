//! A server that is a child process: one message a line, many requests under way at once.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gate::port::Feed;
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::process::{ChildStdin, ChildStdout};
use tokio::sync::{mpsc, oneshot, watch};

use crate::mcp::era::{Reply, Version};
use crate::mcp::upstream::House;
use crate::mcp::upstream::ask::{Asked, Asking, Ended, Stop, Trouble, answer_to};
use crate::mcp::upstream::child::{self, LastWords, Started};
use crate::mcp::upstream::http::cancelled;
use crate::mcp::upstream::lines::{Line, Lines, id_in};
use crate::mcp::upstream::news::Inbox;
use crate::mcp::via::Command;
use crate::mcp::wire::{self, Id, Members, Message};

/// Messages that wait for a child to read them.
const QUEUE_MAX: usize = 64;
/// Requests under way at once; the next is refused.
const IN_FLIGHT_MAX: usize = 256;
/// Requests of a server that are being answered at once.
const ASKED_MAX: usize = 16;
/// Lines that are no message; a child that writes more of them is ended.
const JUNK_LINES_MAX: usize = 1_000;

pub(super) struct StdioLink {
    to: mpsc::Sender<Vec<u8>>,
    pending: Arc<Pending>,
    next: AtomicI64,
    words: Arc<LastWords>,
    /// Set when the child's output ended: nothing will be answered any more.
    ended: watch::Receiver<bool>,
    closing: watch::Sender<bool>,
    gone: watch::Receiver<bool>,
}

struct Waiting {
    answer: oneshot::Sender<Ended>,
    feed: Feed,
    asked: Option<Asked>,
    bytes_max: usize,
}

#[derive(Default)]
struct Pending(Mutex<HashMap<i64, Waiting>>);

impl Drop for StdioLink {
    fn drop(&mut self) {
        self.closing.send_replace(true);
    }
}

impl StdioLink {
    pub(super) fn start(command: &Command, house: &House, inbox: Inbox) -> Result<StdioLink, Trouble> {
        let Started { child, stdin, stdout, words } =
            child::start(command, &house.keeper, house.folder.as_deref())?;
        let message_bytes_max = house.message_bytes_max;
        let (to, queue) = mpsc::channel(QUEUE_MAX);
        let (closing, close) = watch::channel(false);
        let (end, ended) = watch::channel(false);
        let pending = Arc::new(Pending::default());
        tokio::spawn(write(stdin, queue, close.clone()));
        let reader = Reader {
            pending: pending.clone(),
            inbox,
            to: to.downgrade(),
            words: words.clone(),
            answering: Arc::new(tokio::sync::Semaphore::new(ASKED_MAX)),
        };
        tokio::spawn(async move {
            reader.read(Lines::new(BufReader::new(stdout), message_bytes_max)).await;
            end.send_replace(true);
        });
        let gone = child::watch_over(child, close, ended.clone());
        Ok(StdioLink { to, pending, next: AtomicI64::new(1), words, ended, closing, gone })
    }

    pub(super) fn secrets(&self) -> &[String] {
        self.words.secrets()
    }

    pub(super) fn is_alive(&self) -> bool {
        !*self.ended.borrow() && !self.to.is_closed()
    }

    pub(super) async fn ask(&self, version: Option<Version>, asking: &Asking<'_>, stop: &mut Stop) -> Ended {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let id = Id::Number(number);
        let (answer, mut answered) = oneshot::channel();
        let (feed, asked) = (asking.feed.clone(), asking.asked.clone());
        let waiting = Waiting { answer, feed, asked, bytes_max: asking.bytes_max };
        let Some(_place) = self.pending.enter(number, waiting) else {
            return Ended::Unsent(Trouble::new("busy"));
        };
        // The reader ends all that wait when it ends; what came after that would wait for nothing.
        if !self.is_alive() {
            return Ended::Unsent(self.words.trouble("connection_lost"));
        }
        let mut asked = asking.message(version, &id);
        asked.push(b'\n');
        let sent = tokio::select! {
            biased;
            trouble = stop.wanted() => return Ended::Unsent(trouble),
            sent = self.to.send(asked) => sent,
        };
        if sent.is_err() {
            return Ended::Unsent(self.words.trouble("connection_lost"));
        }
        tokio::select! {
            biased;
            ended = &mut answered => ended.unwrap_or_else(|_| Ended::Broken(Trouble::new("connection_lost"))),
            trouble = stop.wanted() => {
                self.tell(cancelled(&id, &trouble.code));
                Ended::Broken(trouble)
            }
        }
    }

    /// Tells something that has no answer; a child that does not read is not waited for.
    pub(super) fn tell(&self, message: Message) {
        let _ = self.to.try_send(line(message));
    }

    /// Sends a request whose answer nobody waits for: what it brings are notifications.
    pub(super) fn listen(&self, version: Version, method: &str, params: Members) -> Id {
        let id = Id::Number(self.next.fetch_add(1, Ordering::Relaxed));
        let mut asked = Asking::new(method, params, 0).message(Some(version), &id);
        asked.push(b'\n');
        let _ = self.to.try_send(asked);
        id
    }

    /// Ends the child and all of its group, and waits for that.
    pub(super) async fn close(&self) {
        self.closing.send_replace(true);
        let _ = self.gone.clone().wait_for(|gone| *gone).await;
    }
}

fn line(message: Message) -> Vec<u8> {
    let mut line = message.bytes();
    line.push(b'\n');
    line
}

async fn write(mut stdin: ChildStdin, mut queue: mpsc::Receiver<Vec<u8>>, mut close: watch::Receiver<bool>) {
    loop {
        let line = tokio::select! {
            biased;
            _ = close.wait_for(|close| *close) => return,
            line = queue.recv() => line,
        };
        let Some(line) = line else { return };
        let written = tokio::select! {
            biased;
            _ = close.wait_for(|close| *close) => return,
            written = async { stdin.write_all(&line).await?; stdin.flush().await } => written,
        };
        if written.is_err() {
            return;
        }
    }
}

struct Reader {
    pending: Arc<Pending>,
    inbox: Inbox,
    /// Weak, so that a closed link's child sees the end of its input.
    to: mpsc::WeakSender<Vec<u8>>,
    words: Arc<LastWords>,
    answering: Arc<tokio::sync::Semaphore>,
}

impl Reader {
    async fn read(&self, mut lines: Lines<BufReader<ChildStdout>>) {
        let mut junk_lines = 0;
        loop {
            let line = match lines.next().await {
                Line::Whole(line) => line,
                Line::TooLong { head, tail } => {
                    self.lost(id_in(&head).or_else(|| id_in(&tail)), "too_large");
                    continue;
                }
                Line::End => break,
            };
            if line.trim_ascii().is_empty() {
                continue;
            }
            match wire::read(&line) {
                Ok(message) => self.take(message, line.len()),
                Err(_) => {
                    // Either a server's chatter on the wrong stream, or an answer that cannot be read.
                    junk_lines += 1;
                    if junk_lines > JUNK_LINES_MAX {
                        break;
                    }
                    self.lost(id_in(&line), "malformed_result");
                }
            }
        }
        // What the child said before it went may still be on its way.
        self.words.settled().await;
        self.pending.end_all(&self.words.trouble("connection_lost"));
    }

    fn lost(&self, id: Option<i64>, code: &'static str) {
        if let Some(waiting) = id.and_then(|id| self.pending.leave(id)) {
            let _ = waiting.answer.send(Ended::Broken(Trouble::new(code)));
        }
    }

    fn take(&self, message: Message, length: usize) {
        let (id, reply) = match message {
            Message::Result { id, result } => (id, Reply::Result(result)),
            Message::Error { id: Some(id), error } => (id, Reply::Error(error)),
            Message::Error { id: None, .. } => return,
            Message::Notification { method, params } => return self.notified(&method, params),
            Message::Request { id, method, params } => return self.asked(id, method, params),
        };
        let Id::Number(number) = id else { return };
        let Some(waiting) = self.pending.leave(number) else { return };
        let ended = if length > waiting.bytes_max {
            Ended::Broken(Trouble::new("too_large"))
        } else {
            Ended::Answered(reply)
        };
        let _ = waiting.answer.send(ended);
    }

    fn notified(&self, method: &str, params: Members) {
        let Some(word) = self.inbox.take(method, params) else { return };
        let pending = self.pending.lock();
        let waiting = match word.token {
            Some(token) => pending.get(&token),
            // A log line names no request: it belongs to one only where there is but one.
            None if pending.len() == 1 => pending.values().next(),
            None => None,
        };
        if let Some(waiting) = waiting {
            word.tell(&waiting.feed);
        }
    }

    fn asked(&self, id: Id, method: String, params: Members) {
        let Ok(place) = self.answering.clone().try_acquire_owned() else { return };
        // A request names none of ours: it may be answered for one only where there is but one.
        let pending = self.pending.lock();
        let asked = if pending.len() == 1 { pending.values().next() } else { None };
        let asked = asked.and_then(|waiting| waiting.asked.clone());
        drop(pending);
        let to = self.to.clone();
        tokio::spawn(async move {
            let message = match answer_to(asked, method, params).await {
                Ok(result) => Message::Result { id, result },
                Err(error) => Message::Error { id: Some(id), error },
            };
            if let Some(to) = to.upgrade() {
                let _ = to.send(line(message)).await;
            }
            drop(place);
        });
    }
}

/// A request's place among those under way; given back when it is dropped.
struct Place<'p> {
    pending: &'p Pending,
    number: i64,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.pending.leave(self.number);
    }
}

impl Pending {
    fn lock(&self) -> MutexGuard<'_, HashMap<i64, Waiting>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self, number: i64, waiting: Waiting) -> Option<Place<'_>> {
        let mut all = self.lock();
        if all.len() >= IN_FLIGHT_MAX {
            return None;
        }
        all.insert(number, waiting);
        Some(Place { pending: self, number })
    }

    fn leave(&self, number: i64) -> Option<Waiting> {
        self.lock().remove(&number)
    }

    fn end_all(&self, trouble: &Trouble) {
        for (_, waiting) in self.lock().drain() {
            let _ = waiting.answer.send(Ended::Broken(trouble.clone()));
        }
    }
}
