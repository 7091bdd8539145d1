//! Waits: who holds a door open until people have answered a call, and is told when something became of it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kernel::id::CallId;
use tokio::sync::watch;

#[derive(Clone, Default)]
pub(crate) struct Waits(Arc<Mutex<HashMap<CallId, watch::Sender<()>>>>);

impl Waits {
    /// Whatever becomes of the call from here on is told; whoever listens looks for itself what it was.
    pub(crate) fn listen(&self, call: CallId) -> watch::Receiver<()> {
        self.doors().entry(call).or_insert_with(|| watch::channel(()).0).subscribe()
    }

    pub(crate) fn tell(&self, call: CallId) {
        let mut doors = self.doors();
        if let Some(door) = doors.get(&call) {
            let _ = door.send(());
            // INVARIANT: a door is kept while somebody stands at it, and no longer than to the next word.
            if door.receiver_count() == 0 {
                doors.remove(&call);
            }
        }
    }

    /// Something may have become of any of them.
    pub(crate) fn tell_all(&self) {
        self.doors().retain(|_, door| {
            let _ = door.send(());
            door.receiver_count() > 0
        });
    }

    fn doors(&self) -> MutexGuard<'_, HashMap<CallId, watch::Sender<()>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
