//! The calendar of the house: how far its clocks are ahead of UTC, and when that changes.
//!
//! The changes are written out in the book, so that a day of years ago is the same day whoever reckons it again.

use serde::{Deserialize, Serialize};

use crate::time::Time;

const MINUTE_MS: u64 = 60_000;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Calendar {
    /// Before the first shift, or always.
    pub east_minutes: i32,
    /// In the order of time.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub shifts: Vec<Shift>,
}

/// From then on the clocks are so far ahead of UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shift {
    pub east_minutes: i32,
    pub from: Time,
}

impl Calendar {
    /// How far the clocks are ahead of UTC, in minutes.
    fn east(&self, at: Time) -> i32 {
        let passed = self.shifts.partition_point(|shift| shift.from <= at);
        let last = passed.checked_sub(1).and_then(|last| self.shifts.get(last));
        last.map_or(self.east_minutes, |shift| shift.east_minutes)
    }

    /// What the clocks show, as milliseconds since 1970 on them.
    pub(crate) fn shown(&self, at: Time) -> u64 {
        ahead(at.0, self.east(at))
    }

    /// When the clocks show this. What they show twice is the first time; what they leave out is the moment of the
    /// shift.
    pub(crate) fn at(&self, shown: u64) -> Time {
        let mut from = self.east_minutes;
        for shift in &self.shifts {
            let by_then = Time(ahead(shown, -from));
            if by_then < shift.from {
                return by_then;
            }
            if Time(ahead(shown, -shift.east_minutes)) < shift.from {
                return shift.from;
            }
            from = shift.east_minutes;
        }
        Time(ahead(shown, -from))
    }
}

fn ahead(ms: u64, minutes: i32) -> u64 {
    let by = u64::from(minutes.unsigned_abs()) * MINUTE_MS;
    if minutes < 0 { ms.saturating_sub(by) } else { ms.saturating_add(by) }
}
