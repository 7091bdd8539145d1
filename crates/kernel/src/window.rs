//! Windows: the hours, days and months that an account wider than a run is counted in, and whose account it is.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::calendar::Calendar;
use crate::time::{Time, civil};

const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 60 * MINUTE_MS;
const DAY_MS: u64 = 24 * HOUR_MS;
/// No clock is set back by more.
const SHIFT_MS_MAX: u64 = 3 * HOUR_MS;

/// How long an account lasts before a new one begins, by the calendar of the house.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Window {
    Minute,
    Hour,
    Day,
    Month,
}

impl Window {
    pub const ALL: [Window; 4] = [Window::Minute, Window::Hour, Window::Day, Window::Month];

    pub fn name(self) -> &'static str {
        match self {
            Window::Minute => "minute",
            Window::Hour => "hour",
            Window::Day => "day",
            Window::Month => "month",
        }
    }

    /// The window that holds `at`: from its start to the start of the next.
    pub fn span(self, at: Time, calendar: &Calendar) -> (Time, Time) {
        let local = calendar.shown(at);
        let (from, length) = match self {
            Window::Minute => return lasting(at, local, MINUTE_MS),
            Window::Hour => return lasting(at, local, HOUR_MS),
            Window::Day => (local - local % DAY_MS, DAY_MS),
            Window::Month => month(local / DAY_MS),
        };
        (calendar.at(from), calendar.at(from.saturating_add(length)))
    }

    /// No window of this kind is longer.
    fn longest_ms(self) -> u64 {
        match self {
            Window::Minute => MINUTE_MS,
            Window::Hour => HOUR_MS,
            Window::Day => DAY_MS + SHIFT_MS_MAX,
            Window::Month => 31 * DAY_MS + SHIFT_MS_MAX,
        }
    }
}

/// So long from where the clocks last showed a round number; the same however they are set meanwhile.
fn lasting(at: Time, local: u64, length: u64) -> (Time, Time) {
    let from = Time(at.0.saturating_sub(local % length));
    (from, from.plus_ms(length))
}

/// The start and the length of the month that holds this day, in milliseconds.
fn month(day: u64) -> (u64, u64) {
    let (year, number, of_month) = civil(day);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match number {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    (day.saturating_sub(of_month - 1) * DAY_MS, days * DAY_MS)
}

/// Whose account. Names are shared, because each reservation is noted at each of its accounts.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Owner {
    Agent(Arc<str>),
    Tenant(Arc<str>),
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Owner::Agent(name) => write!(f, "agent:{name}"),
            Owner::Tenant(name) => write!(f, "tenant:{name}"),
        }
    }
}

/// An account that is wider than a run. Written `agent:NAME/day/MILLISECONDS`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct AccountId {
    pub owner: Owner,
    pub window: Window,
    /// Where its window starts.
    pub from: Time,
}

impl AccountId {
    /// Its window is over at this time. Of a short month this is said some days late, and never too early.
    pub fn is_over(&self, now: Time) -> bool {
        now >= self.kept_until()
    }

    pub fn kept_until(&self) -> Time {
        self.from.plus_ms(self.window.longest_ms())
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.owner, self.window.name(), self.from.0)
    }
}

impl FromStr for AccountId {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<AccountId, &'static str> {
        let read = || {
            // From the right, because a name may hold anything.
            let (rest, from) = text.rsplit_once('/')?;
            let (owner, window) = rest.rsplit_once('/')?;
            let owner = match owner.split_once(':')? {
                ("agent", name) => Owner::Agent(name.into()),
                ("tenant", name) => Owner::Tenant(name.into()),
                _ => return None,
            };
            let window = Window::ALL.into_iter().find(|known| known.name() == window)?;
            Some(AccountId { owner, window, from: Time(from.parse().ok()?) })
        };
        read().ok_or("not an account: expected `agent:NAME/day/MILLISECONDS`")
    }
}

impl Serialize for AccountId {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for AccountId {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<AccountId, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(input)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests;
