//! The fold of the log: control and every lane, each from its newest snapshot, in one pass over what came after.
//!
//! A snapshot saves time and decides nothing. It is taken if it is whole, of this build's fold and not ahead of the
//! log, and the events after it must go on in sequence where it ends. If anything is odd, the log is folded from its
//! first event. A lane is folded by its number, so the number of lanes may change between two starts: the snapshot
//! of lane 2 is the fold of the events of lane 2, whichever runs were dealt to it.

use kernel::event::Event;
use kernel::snapshot::{self, Fold};
use kernel::state::{Control, State};
use ledger::{CONTROL_LANE, Head, Read, Stored};

use crate::desk::Desk;
use crate::error::Error;

/// Events read from the log at once.
const READ_MAX: usize = 4096;

/// What the log says below one index.
#[derive(Debug)]
pub struct Folded {
    pub index: u64,
    pub control: Control,
    /// The control epoch at that index; the log refuses a batch that was decided under an older one.
    pub epoch: u64,
    /// Of the lanes after the control lane, in order.
    pub desks: Vec<Desk>,
    /// Events that were read, because no snapshot held them.
    pub events: u64,
}

/// Folds all that is durable.
pub fn fold(log: &mut dyn Read, lanes: u16) -> Result<Folded, Error> {
    let head = log.head()?;
    match pass(log, &head, lanes, true) {
        Err(Error::Unreadable { index, why }) => {
            tracing::warn!(index, why, "the snapshots do not fit the log: the whole log is folded");
            pass(log, &head, lanes, false)
        }
        folded => folded,
    }
}

impl Folded {
    /// Snapshots by name, one at a time, because each may be large.
    pub fn snapshots(&self) -> impl Iterator<Item = (String, Vec<u8>)> {
        let control = std::iter::once_with(|| {
            let title = title(CONTROL_LANE, self.index);
            (name(CONTROL_LANE), snapshot::write(&title, &self.control))
        });
        control.chain(self.desks.iter().map(|desk| {
            let title = title(desk.lane, self.index);
            (name(desk.lane), snapshot::write(&title, &desk.state))
        }))
    }
}

fn name(lane: u16) -> String {
    if lane == CONTROL_LANE { "control".to_owned() } else { format!("lane-{lane}") }
}

fn title(lane: u16, index: u64) -> String {
    format!("{} below event {index}", name(lane))
}

fn pass(log: &mut dyn Read, head: &Head, lanes: u16, trusting: bool) -> Result<Folded, Error> {
    let mut control: Part<Control> = Part::open(log, CONTROL_LANE, head, trusting);
    let mut parts: Vec<Part<State>> =
        (CONTROL_LANE + 1..=CONTROL_LANE + lanes).map(|lane| Part::open(log, lane, head, trusting)).collect();
    let start = parts.iter().map(|part| part.from).chain([control.from]).min().unwrap_or(0);
    let mut from = start;
    while from < head.next_index {
        let rows = log.read(from, READ_MAX)?;
        let Some(last) = rows.last() else { break };
        from = last.index + 1;
        for row in rows.iter().filter(|row| row.index < head.next_index) {
            if row.lane == CONTROL_LANE {
                control.take(row)?;
            } else if let Some(part) = parts.iter_mut().find(|part| part.lane == row.lane) {
                part.take(row)?;
            }
        }
    }
    let desk = |part: Part<State>| {
        let lane = part.lane;
        // Not of the fold: each lane goes by its part of what all lanes share.
        Ok(Desk { lane, state: State { lane, lanes, ..part.done(head)? } })
    };
    Ok(Folded {
        index: head.next_index,
        control: control.done(head)?,
        epoch: head.control_epoch,
        desks: parts.into_iter().map(desk).collect::<Result<_, Error>>()?,
        events: head.next_index - start,
    })
}

/// The fold of one lane on its way.
struct Part<F> {
    lane: u16,
    fold: F,
    /// Its events below this index are folded.
    from: u64,
}

impl<F: Fold> Part<F> {
    fn open(log: &mut dyn Read, lane: u16, head: &Head, trusting: bool) -> Part<F> {
        let stored = if trusting { log.snapshot(&name(lane)).ok().flatten() } else { None };
        let fits = |(index, fold): &(u64, F)| *index <= head.next_index && fold.seq() <= head.lane(lane);
        let read = stored
            .and_then(|(index, bytes)| Some((index, snapshot::read(&title(lane, index), &bytes)?)))
            .filter(fits);
        let (index, fold) = read.unwrap_or_default();
        // A lane without a newer event needs no event read, however old its snapshot is.
        let from = if fold.seq() == head.lane(lane) { head.next_index } else { index };
        Part { lane, fold, from }
    }

    fn take(&mut self, row: &Stored) -> Result<(), Error> {
        if row.index < self.from {
            return Ok(());
        }
        let unreadable = |why| Error::Unreadable { index: row.index, why };
        if row.lane_seq != self.fold.seq() + 1 {
            let (lane, last, next) = (row.lane, self.fold.seq(), row.lane_seq);
            return Err(unreadable(format!("lane {lane} goes from sequence {last} to {next}")));
        }
        let (stamp, event) = Event::decode(&row.bytes).map_err(unreadable)?;
        self.fold.apply(&stamp, &event);
        Ok(())
    }

    fn done(self, head: &Head) -> Result<F, Error> {
        let (lane, last, end) = (self.lane, self.fold.seq(), head.lane(self.lane));
        if last != end {
            let why = format!("lane {lane} ends at sequence {last}, its head is {end}");
            return Err(Error::Unreadable { index: head.next_index, why });
        }
        Ok(self.fold)
    }
}
