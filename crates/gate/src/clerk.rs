//! The clerk: a thread that owns one lane's desk, decides what comes in, and hands it to the committer in order.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender};

use kernel::command::Command;
use kernel::time::Time;
use ledger::Payload;

use crate::clock::Clock;
use crate::committer::{Item, Waiter, Write};
use crate::desk::{Desk, Law};
use crate::error::Error;

pub(crate) struct Ask {
    pub(crate) command: Command,
    pub(crate) payloads: Vec<Payload>,
    pub(crate) waiter: Waiter,
}

pub(crate) enum Message {
    Ask(Box<Ask>),
    /// Drains: everything decided so far is durable before `drained` is answered. Then the lane waits for the new law.
    Barrier {
        drained: SyncSender<()>,
        resume: Receiver<Resume>,
    },
}

/// What a lane goes on with after a barrier.
pub(crate) struct Resume {
    pub(crate) law: Arc<Law>,
    /// After a failed commit: what the log says, in place of what was decided and is not durable.
    pub(crate) desk: Option<Desk>,
}

pub(crate) struct Clerk {
    pub(crate) desk: Desk,
    pub(crate) law: Arc<Law>,
    pub(crate) inbox: Receiver<Message>,
    pub(crate) depth: Arc<AtomicUsize>,
    pub(crate) committer: SyncSender<Item>,
    pub(crate) closed: Arc<AtomicBool>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Clerk {
    pub(crate) fn run(mut self) {
        while let Ok(message) = self.inbox.recv() {
            match message {
                Message::Ask(ask) => {
                    self.depth.fetch_sub(1, Ordering::Relaxed);
                    self.take(*ask);
                }
                Message::Barrier { drained, resume } => {
                    self.flush();
                    let _ = drained.send(());
                    // The control thread may have failed to commit: then the old law stands.
                    if let Ok(Resume { law, desk }) = resume.recv() {
                        self.law = law;
                        self.desk = desk.unwrap_or(self.desk);
                    }
                }
            }
        }
    }

    fn take(&mut self, ask: Ask) {
        let Ask { command, payloads, waiter } = ask;
        if self.closed.load(Ordering::Acquire) {
            let _ = waiter.send(Err(Error::LogUnwritable));
            return;
        }
        ledger::failpoint::hit("gate.before_append");
        let now: Time = self.clock.now();
        let (answer, entries) = match self.desk.take(&self.law, &command, payloads, now) {
            Ok(taken) => taken,
            Err(error) => {
                let _ = waiter.send(Err(error));
                return;
            }
        };
        let law = self.law.clone();
        let write = Write { entries, answer, law, waiter: Some(waiter) };
        if let Err(returned) = self.committer.send(Item::Write(write))
            && let Item::Write(Write { waiter: Some(waiter), .. }) = returned.0
        {
            let _ = waiter.send(Err(Error::Stopping));
        }
    }

    fn flush(&self) {
        let (done, wait) = std::sync::mpsc::sync_channel(1);
        if self.committer.send(Item::Flush(done)).is_ok() {
            let _ = wait.recv();
        }
    }
}
