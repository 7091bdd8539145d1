//! Resources that agents watch: they share one connection, so the server is told only of the first and the last.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Resources of one server that are watched at once.
const WATCHED_MAX: usize = 1_000;

/// How many watch each. It outlives a connection: the next one watches them too.
#[derive(Default)]
pub(super) struct Watched(Mutex<BTreeMap<String, u32>>);

impl Watched {
    /// One more or one fewer; whether that is the first or was the last. None: there is no room.
    pub(super) fn note(&self, on: bool, uri: &str) -> Option<bool> {
        let mut all = self.lock();
        let is_full = all.len() >= WATCHED_MAX;
        match (all.get_mut(uri), on) {
            (None, true) if is_full => None,
            (None, true) => Some(all.insert(uri.to_owned(), 1).is_none()),
            (None, false) => Some(false),
            (Some(count), true) => {
                *count = count.saturating_add(1);
                Some(false)
            }
            (Some(count @ 2..), false) => {
                *count -= 1;
                Some(false)
            }
            (Some(_), false) => Some(all.remove(uri).is_some()),
        }
    }

    pub(super) fn uris(&self) -> Vec<String> {
        self.lock().keys().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, u32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
