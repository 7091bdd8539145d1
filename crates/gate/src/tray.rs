//! The tray: what lanes have decided and the committer has not fetched yet.
//!
//! Whoever puts the first write onto an empty tray has it passed on as soon as its thread has nothing else to do, or
//! has done much: so calls that are decided at the same time become durable in one batch, and one that is alone does
//! not wait. What nobody waits for goes with the next that somebody does, or after a moment by itself.

use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;

use crate::committer::{Item, Write};
use crate::error::Error;

/// How long a write that nobody waits for lies here for another to go with: a sync to disk is dearer than all else.
const SOON: Duration = Duration::from_millis(5);

/// When a write must be on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Haste {
    /// Somebody waits for it.
    Now,
    /// Nobody does.
    Soon,
}

pub(crate) struct Tray {
    lying: Mutex<Lying>,
    committer: SyncSender<Item>,
}

#[derive(Default)]
struct Lying {
    writes: Vec<Write>,
    /// Somebody will pass them on as soon as there is nothing else to do.
    is_called: bool,
    /// Somebody will pass them on in a moment.
    is_timed: bool,
}

impl Tray {
    pub(crate) fn new(committer: SyncSender<Item>) -> Arc<Tray> {
        Arc::new(Tray { lying: Mutex::default(), committer })
    }

    pub(crate) fn put(self: &Arc<Tray>, write: Write) {
        let haste = write.haste;
        let mut lying = self.lying();
        lying.writes.push(write);
        // INVARIANT: a tray that is not empty has somebody who will pass it on.
        let is_due = match haste {
            Haste::Now => std::mem::replace(&mut lying.is_called, true),
            Haste::Soon => lying.is_called || std::mem::replace(&mut lying.is_timed, true),
        };
        drop(lying);
        if is_due {
            return;
        }
        let tray = self.clone();
        match Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn(async move {
                match haste {
                    Haste::Now => tokio::task::yield_now().await,
                    Haste::Soon => {
                        tokio::time::sleep(SOON).await;
                        tray.lying().is_timed = false;
                    }
                }
                tray.pass_on();
            })),
            Err(_) => {
                tray.lying().is_timed = false;
                tray.pass_on();
            }
        }
    }

    /// In order: the lock is held until the committer has them.
    pub(crate) fn pass_on(&self) {
        let mut lying = self.lying();
        lying.is_called = false;
        if lying.writes.is_empty() {
            return;
        }
        // INVARIANT: there are fewer turns than places in this queue, so nobody waits here.
        if let Err(returned) = self.committer.send(Item::Writes(std::mem::take(&mut lying.writes)))
            && let Item::Writes(writes) = returned.0
        {
            writes.into_iter().for_each(|write| drop(write.waiter.send(Err(Error::Stopping))));
        }
    }

    fn lying(&self) -> MutexGuard<'_, Lying> {
        self.lying.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
