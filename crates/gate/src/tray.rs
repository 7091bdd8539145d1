//! The tray: what lanes have decided and the committer has not fetched yet.
//!
//! Whoever puts the first write onto an empty tray has it passed on as soon as its thread has nothing else to do, or
//! has done much: so calls that are decided at the same time become durable in one batch, and one that is alone does
//! not wait.

use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::runtime::Handle;

use crate::committer::{Item, Write};
use crate::error::Error;

pub(crate) struct Tray {
    writes: Mutex<Vec<Write>>,
    committer: SyncSender<Item>,
}

impl Tray {
    pub(crate) fn new(committer: SyncSender<Item>) -> Arc<Tray> {
        Arc::new(Tray { writes: Mutex::default(), committer })
    }

    pub(crate) fn put(self: &Arc<Tray>, write: Write) {
        let mut writes = self.writes.lock().unwrap_or_else(PoisonError::into_inner);
        writes.push(write);
        // INVARIANT: a tray that is not empty has somebody who will pass it on.
        let is_first = writes.len() == 1;
        drop(writes);
        if !is_first {
            return;
        }
        let tray = self.clone();
        match Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn(async move {
                tokio::task::yield_now().await;
                tray.pass_on();
            })),
            Err(_) => tray.pass_on(),
        }
    }

    /// In order: the lock is held until the committer has them.
    pub(crate) fn pass_on(&self) {
        let mut writes = self.writes.lock().unwrap_or_else(PoisonError::into_inner);
        if writes.is_empty() {
            return;
        }
        // INVARIANT: there are fewer turns than places in this queue, so nobody waits here.
        if let Err(returned) = self.committer.send(Item::Writes(std::mem::take(&mut *writes)))
            && let Item::Writes(writes) = returned.0
        {
            writes.into_iter().for_each(|write| drop(write.waiter.send(Err(Error::Stopping))));
        }
    }
}
