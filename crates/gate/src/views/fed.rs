//! What the projection is fed: events as they become durable, so that they need not be read back from the log.
//!
//! It is a short cut and nothing else: what is not here is in the log.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kernel::event::{Event, Stamp};
use ledger::Read;

use crate::error::Error;

/// Events that lie here; what finds no room is read back.
const LYING_MAX: usize = 8_192;

/// One event, and where it stands in the log.
#[derive(Debug)]
pub(crate) struct Durable {
    pub(crate) index: u64,
    pub(crate) stamp: Stamp,
    pub(crate) event: Event,
}

#[derive(Clone, Default)]
pub(crate) struct Fed(Arc<Mutex<VecDeque<Durable>>>);

impl Fed {
    /// Takes what is durable from here on, in the order of the log.
    pub(crate) fn put(&self, events: Vec<Durable>) {
        let mut lying = self.lying();
        if lying.len() + events.len() <= LYING_MAX {
            lying.extend(events);
        }
    }

    /// Up to so many events from `next` on, and the index after the last of them. One that cannot be read is left out.
    pub(super) fn following(
        &self,
        log: &mut dyn Read,
        next: u64,
        most: usize,
    ) -> Result<(Vec<Durable>, u64), Error> {
        let (told, gap) = self.told(next, most);
        if let Some(last) = told.last() {
            let end = last.index + 1;
            return Ok((told, end));
        }
        let stored = log.read(next, gap.map_or(most, |gap| gap.min(most)))?;
        let end = stored.last().map_or(next, |row| row.index + 1);
        let read = stored.into_iter().filter_map(|row| match Event::decode(&row.bytes) {
            Ok((stamp, event)) => Some(Durable { index: row.index, stamp, event }),
            Err(why) => {
                tracing::error!(index = row.index, why, "an event cannot be read");
                None
            }
        });
        Ok((read.collect(), end))
    }

    /// Those that follow without a gap; or none, and how wide the gap is to what lies here.
    fn told(&self, next: u64, most: usize) -> (Vec<Durable>, Option<usize>) {
        let mut lying = self.lying();
        while lying.front().is_some_and(|durable| durable.index < next) {
            lying.pop_front();
        }
        let mut told = Vec::new();
        for place in (next..).take(most) {
            match lying.pop_front_if(|durable| durable.index == place) {
                Some(durable) => told.push(durable),
                None => break,
            }
        }
        let gap = lying.front().map(|durable| usize::try_from(durable.index - next).unwrap_or(usize::MAX));
        (told, gap)
    }

    fn lying(&self) -> MutexGuard<'_, VecDeque<Durable>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
