//! Rates: how often something happened in the last minute, and when it may happen again.
//!
//! Counted by whole seconds and to the safe side: a second counts until all of it is more than a minute ago, so no
//! minute, wherever it begins, holds more than the limit.

use std::collections::{HashMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::id::Mark;
use crate::snapshot::sorted;
use crate::time::Time;

const MINUTE_MS: u64 = 60_000;
/// Memories of single destinations are looked through when so many more have come.
const LOOK_EVERY: usize = 64;

/// Seconds of the last minute in which something happened, and how often, the oldest first.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Rate(VecDeque<(u64, u64)>);

/// What one agent did lately, over all its runs.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgentRates {
    pub calls: Rate,
    pub writes: Rate,
    pub retries: Rate,
    #[serde(serialize_with = "sorted")]
    pub tools: HashMap<String, Rate>,
    /// When each destination and each host was last called; only where a limit asks for it.
    #[serde(serialize_with = "sorted")]
    pub destinations: HashMap<Mark, Time>,
    #[serde(serialize_with = "sorted")]
    pub hosts: HashMap<Mark, Time>,
}

/// How often one tool was called lately, by anybody; and each destination of it, where its contract asks for that.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolRates {
    pub calls: Rate,
    #[serde(serialize_with = "sorted")]
    pub destinations: HashMap<Mark, Rate>,
}

impl Rate {
    pub(crate) fn add(&mut self, at: Time) {
        while self.0.front().is_some_and(|(second, _)| at >= over(*second)) {
            self.0.pop_front();
        }
        match self.0.back_mut() {
            Some((second, count)) if *second == at.0 / 1_000 => *count += 1,
            _ => self.0.push_back((at.0 / 1_000, 1)),
        }
    }

    pub fn count(&self, now: Time) -> u64 {
        self.0.iter().filter(|(second, _)| now < over(*second)).map(|(_, count)| count).sum()
    }

    /// None: one more is within the limit. Else in how many milliseconds it will be; never, for a limit of none.
    pub fn wait_ms(&self, now: Time, limit: u64) -> Option<u64> {
        let mut left = self.count(now);
        if left < limit {
            return None;
        }
        for (second, count) in self.0.iter().filter(|(second, _)| now < over(*second)) {
            left = left.saturating_sub(*count);
            if left < limit {
                return Some(over(*second).since_ms(now));
            }
        }
        Some(u64::MAX)
    }

    fn is_over(&self, now: Time) -> bool {
        self.0.back().is_none_or(|(second, _)| now >= over(*second))
    }
}

/// When a second no longer counts.
fn over(second: u64) -> Time {
    Time(second.saturating_add(1).saturating_mul(1_000)).plus_ms(MINUTE_MS)
}

impl ToolRates {
    pub(crate) fn add(&mut self, at: Time, destinations: &[Mark]) {
        self.calls.add(at);
        for mark in destinations {
            if self.destinations.len() % LOOK_EVERY == LOOK_EVERY - 1 {
                self.destinations.retain(|_, rate| !rate.is_over(at));
            }
            self.destinations.entry(*mark).or_default().add(at);
        }
    }
}

impl AgentRates {
    pub(crate) fn add(&mut self, at: Time, tool: &str, writes: bool, retries: bool) {
        self.calls.add(at);
        if writes {
            self.writes.add(at);
        }
        if retries {
            self.retries.add(at);
        }
        match self.tools.get_mut(tool) {
            Some(rate) => rate.add(at),
            None => self.tools.entry(tool.to_owned()).or_default().add(at),
        }
    }

    pub(crate) fn add_places(&mut self, at: Time, destinations: &[Mark], hosts: &[Mark]) {
        for (known, marks) in [(&mut self.destinations, destinations), (&mut self.hosts, hosts)] {
            if marks.is_empty() {
                continue;
            }
            known.retain(|_, last| lately(*last, at));
            known.extend(marks.iter().map(|mark| (*mark, at)));
        }
    }
}

fn lately(last: Time, now: Time) -> bool {
    now.since_ms(last) < MINUTE_MS
}

/// How many places there are lately, with these; and when the oldest of them is forgotten.
pub(crate) fn places(known: &HashMap<Mark, Time>, marks: &[Mark], now: Time) -> (u64, u64) {
    let recent = known.iter().filter(|(mark, last)| lately(**last, now) && !marks.contains(mark));
    let (mut count, mut oldest) = (0, now);
    for (_, last) in recent {
        count += 1;
        oldest = oldest.min(*last);
    }
    let mut marks = marks.to_vec();
    marks.sort_unstable();
    marks.dedup();
    let new = u64::try_from(marks.len()).unwrap_or(u64::MAX);
    (new.saturating_add(count), oldest.plus_ms(MINUTE_MS).since_ms(now))
}
