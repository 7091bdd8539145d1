//! A lane's desk: its state, and the law applied to one command after another. No thread, no disk, no clock.
//!
//! State moves on as soon as a command is decided, ahead of the disk; so nothing that comes of it may be released
//! before its entries are durable, and after a failed commit the desk is thrown away and folded again from the log.

use std::sync::Arc;

use kernel::command::{Answer, Command};
use kernel::decide::decide;
use kernel::event::{Event, Stamp};
use kernel::rules::Rules;
use kernel::state::{Control, State};
use kernel::time::Time;
use ledger::{Entry, Payload};

use crate::bounds;
use crate::error::Error;

/// One immutable snapshot of what all lanes go by.
#[derive(Clone, Debug)]
pub struct Law {
    pub rules: Arc<Rules>,
    pub control: Arc<Control>,
    /// The control epoch this snapshot has seen; the log refuses a batch that was decided under an older one.
    pub epoch: u64,
}

#[derive(Debug)]
pub struct Desk {
    pub lane: u16,
    pub state: State,
}

/// What one command came to: its answer, and its events as they are and as the log takes them.
#[derive(Debug)]
pub struct Taken {
    pub answer: Answer,
    pub entries: Vec<Entry>,
    pub events: Vec<(Stamp, Event)>,
}

impl Desk {
    /// Decides one command and moves the state on; what the log could not take is refused, and nothing moves.
    pub fn take(
        &mut self,
        law: &Law,
        command: &Command,
        payloads: Vec<Payload>,
        now: Time,
    ) -> Result<Taken, Error> {
        let decision = decide(&self.state, &law.control, &law.rules, command, now);
        let at = now.max(self.state.last);
        let tenant = &law.rules.book.house.tenant;
        let stamps = (self.state.seq + 1..).map(|lane_seq| {
            let tenant = tenant.clone();
            Stamp { at, lane: self.lane, lane_seq, tenant }
        });
        let stamped: Vec<(Stamp, Event)> = stamps.zip(decision.events).collect();
        let entries = entries(&stamped, payloads)?;
        for (stamp, event) in &stamped {
            self.state.apply(stamp, event);
        }
        Ok(Taken { answer: decision.answer, entries, events: stamped })
    }
}

/// The events of one decision as the log takes them. What the decision commits to belongs to its first event;
/// without an event it is dropped.
pub(crate) fn entries(stamped: &[(Stamp, Event)], payloads: Vec<Payload>) -> Result<Vec<Entry>, Error> {
    let entry = |(stamp, event): &(Stamp, Event)| Entry {
        lane: stamp.lane,
        lane_seq: stamp.lane_seq,
        time_ms: stamp.at.0,
        bytes: event.encode(stamp),
        bumps_epoch: event.bumps_epoch(),
        payloads: Vec::new(),
    };
    let mut entries: Vec<Entry> = stamped.iter().map(entry).collect();
    if let Some(first) = entries.first_mut() {
        first.payloads = payloads;
    }
    entries.iter().try_for_each(bounds::entry)?;
    Ok(entries)
}
