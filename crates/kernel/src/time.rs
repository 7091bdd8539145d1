//! Wall-clock time as the ledger keeps it: milliseconds since 1970, UTC. Read by nobody here; always given.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
pub struct Time(pub u64);

impl Time {
    pub fn plus_ms(self, ms: u64) -> Time {
        Time(self.0.saturating_add(ms))
    }

    /// Milliseconds since `earlier`; zero if the clock went back.
    pub fn since_ms(self, earlier: Time) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Hour of the day, UTC.
    pub fn hour(self) -> i64 {
        i64::try_from(self.0 / 3_600_000 % 24).unwrap_or(0)
    }

    /// 1 is Monday, 7 is Sunday, UTC.
    pub fn weekday(self) -> i64 {
        // 1970-01-01 was a Thursday.
        i64::try_from((self.0 / 86_400_000 + 3) % 7).unwrap_or(0) + 1
    }
}

/// RFC 3339 with milliseconds: `2026-11-21T14:24:32.000Z`.
impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, ms) = (self.0 / 86_400_000, self.0 % 86_400_000);
        let (year, month, day) = civil(days);
        let (hour, minute, second) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1_000 % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", ms % 1_000)
    }
}

/// The Gregorian date of a day counted from 1970-01-01, by eras of 400 years that start on the first of March.
pub(crate) fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    (year, month, day)
}

#[derive(Debug, PartialEq, Eq)]
pub struct NotATime;

impl fmt::Display for NotATime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no time: write it in UTC, as 2026-11-21T14:30:00Z")
    }
}

impl std::error::Error for NotATime {}

/// RFC 3339 in UTC: `2026-11-21T14:24Z`, with seconds, or with milliseconds too.
impl FromStr for Time {
    type Err = NotATime;

    fn from_str(text: &str) -> Result<Time, NotATime> {
        let (date, clock) = text.strip_suffix('Z').and_then(|text| text.split_once('T')).ok_or(NotATime)?;
        let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "000"));
        let date = numbers(date.split('-'), &[4, 2, 2])?;
        let clock = numbers(clock.split(':'), &[2, 2, 2]).or_else(|_| numbers(clock.split(':'), &[2, 2]))?;
        let ms = numbers(std::iter::once(fraction), &[3])?;
        let at = |parts: &[u64], index: usize| parts.get(index).copied().unwrap_or(0);
        let (year, month, day) = (at(&date, 0), at(&date, 1), at(&date, 2));
        let days =
            days(year, month, day).filter(|days| civil(*days) == (year, month, day)).ok_or(NotATime)?;
        let (hour, minute, second) = (at(&clock, 0), at(&clock, 1), at(&clock, 2));
        if hour > 23 || minute > 59 || second > 59 {
            return Err(NotATime);
        }
        Ok(Time(days * 86_400_000 + hour * 3_600_000 + minute * 60_000 + second * 1_000 + at(&ms, 0)))
    }
}

fn numbers<'a>(parts: impl Iterator<Item = &'a str>, lengths: &[usize]) -> Result<Vec<u64>, NotATime> {
    let parts: Vec<&str> = parts.collect();
    if !parts.iter().map(|part| part.len()).eq(lengths.iter().copied()) {
        return Err(NotATime);
    }
    let number = |part: &&str| match part.bytes().all(|byte| byte.is_ascii_digit()) {
        true => part.parse().map_err(|_| NotATime),
        false => Err(NotATime),
    };
    parts.iter().map(number).collect()
}

/// Days from 1970-01-01 to a date from then on; whether there is such a day, `civil` tells.
fn days(year: u64, month: u64, day: u64) -> Option<u64> {
    let year = if month <= 2 { year.checked_sub(1)? } else { year };
    let (era, year_of_era) = (year / 400, year % 400);
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day.checked_sub(1)?;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    (era * 146_097 + day_of_era).checked_sub(719_468)
}
