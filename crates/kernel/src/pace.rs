//! Pace: what a run did so far, as far as its stopping rules ask: how much, how wide, and whether it goes in circles.
//!
//! All of it is bounded: a run remembers so many calls and no more, and forgets the one it has not seen for longest.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::call::Outcome;
use crate::event::{CallDecided, CallFinished};
use crate::id::{Mark, RunId};
use crate::run::OpenCall;
use crate::state::{Due, State};
use crate::time::Time;

/// Calls, and results, that a run remembers.
const REMEMBERED_MAX: usize = 128;

/// What a run did so far.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pace {
    pub calls: u64,
    pub writes: u64,
    pub retries: u64,
    pub replans: u64,
    /// Calls under way.
    pub open: u64,
    /// Counted only where a limit asks for it, and then never more than it.
    pub destinations: BTreeSet<Mark>,
    pub hosts: BTreeSet<Mark>,
    /// Calls by what they were, and how often each was made.
    pub made: Seen,
    /// What tools that read have told, and how often each.
    pub told: Seen,
    /// What each of them told last.
    pub last_told: BTreeMap<String, Mark>,
    /// Two calls that take turns: the last, the one before it, and how many calls of this kind there were in a row.
    pub turns: Turns,
    /// Sequence of the decision of the newest read that succeeded.
    pub read_seq: u64,
    /// Sequence of the newest replan.
    pub replan_seq: u64,
}

/// How often each of the latest was seen.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(from = "Kept")]
pub struct Seen {
    known: BTreeMap<Mark, Times>,
    count: u64,
    /// The same marks, those that are forgotten first in front. It follows from `known`, so no snapshot holds it.
    #[serde(skip_serializing)]
    ages: BTreeSet<(bool, u64, Mark)>,
}

/// What a snapshot holds of it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    known: BTreeMap<Mark, Times>,
    count: u64,
}

impl From<Kept> for Seen {
    fn from(Kept { known, count }: Kept) -> Seen {
        let ages = known.iter().map(|(mark, times)| times.age(*mark)).collect();
        Seen { known, count, ages }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Times {
    pub count: u64,
    /// When it was last seen, in the order of this memory.
    last: u64,
    /// It last ended otherwise than well.
    pub failed: bool,
    /// A write that failed, for a reason that does not pass: the sequence of that end.
    pub broken_seq: Option<u64>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Turns {
    last: Option<Mark>,
    before: Option<Mark>,
    in_a_row: u64,
}

impl Times {
    /// What was not seen for longest is the oldest; but a write that failed is forgotten last.
    fn age(&self, mark: Mark) -> (bool, u64, Mark) {
        (self.broken_seq.is_some(), self.last, mark)
    }
}

impl Seen {
    pub fn get(&self, mark: &Mark) -> Times {
        self.known.get(mark).copied().unwrap_or_default()
    }

    fn add(&mut self, mark: Mark) {
        self.count += 1;
        let known = self.known.get(&mark).copied();
        if known.is_none() && self.known.len() >= REMEMBERED_MAX {
            let oldest = self.ages.pop_first();
            oldest.map(|(_, _, oldest)| self.known.remove(&oldest));
        }
        let before = known.unwrap_or_default();
        self.set(mark, Times { count: before.count + 1, last: self.count, ..before })
    }

    fn change(&mut self, mark: &Mark, change: impl FnOnce(&mut Times)) {
        let Some(mut times) = self.known.get(mark).copied() else { return };
        change(&mut times);
        self.set(*mark, times);
    }

    // INVARIANT: each of `known` stands in `ages` as old as it is.
    fn set(&mut self, mark: Mark, times: Times) {
        if let Some(before) = self.known.insert(mark, times) {
            self.ages.remove(&before.age(mark));
        }
        self.ages.insert(times.age(mark));
    }
}

impl Turns {
    /// How many calls in a row there are with this one, two taking turns. One call that repeats itself is no turn.
    pub fn with(&self, mark: Mark) -> u64 {
        match (self.before, self.last) {
            (_, Some(last)) if last == mark => 0,
            (Some(before), Some(_)) if before == mark => self.in_a_row + 1,
            (_, Some(_)) => 2,
            _ => 1,
        }
    }

    fn add(&mut self, mark: Mark) {
        *self = Turns { in_a_row: self.with(mark), before: self.last, last: Some(mark) };
    }
}

/// A permitted call, as the pace of its run sees it.
struct Step<'a> {
    mark: Mark,
    writes: bool,
    destinations: &'a [Mark],
    hosts: &'a [Mark],
}

/// How a call ended, as the pace of its run sees it.
struct End<'a> {
    mark: Mark,
    tool: &'a str,
    reads: bool,
    /// Sequence of its decision, and of this end.
    decided_seq: u64,
    seq: u64,
    succeeded: bool,
    /// It may have done something, and trying again is not known to be harmless.
    broken: bool,
    result: Option<Mark>,
}

impl State {
    /// A call of an open run was permitted.
    pub(crate) fn paced(&mut self, at: Time, decided: &CallDecided) {
        let writes = !decided.reads();
        let Some(run) = self.runs.get_mut(&decided.run) else { return };
        let retries = run.pace.is_retry(&decided.mark);
        run.pace.step(&Step {
            mark: decided.mark,
            writes,
            destinations: &decided.destinations,
            hosts: &decided.hosts,
        });
        let agent = match self.agent_rates.get_mut(&decided.agent) {
            Some(rates) => rates,
            None => self.agent_rates.entry(decided.agent.clone()).or_default(),
        };
        agent.add(at, &decided.tool, writes, retries);
        agent.add_places(at, &decided.destinations, &decided.hosts);
        let tool = match self.tool_rates.get_mut(&decided.tool) {
            Some(rates) => rates,
            None => self.tool_rates.entry(decided.tool.clone()).or_default(),
        };
        tool.add(at, &decided.destinations);
    }

    /// None of these runs is idle. A call that came too late does not bring a run back.
    pub(crate) fn touch(&mut self, at: Time, runs: &[RunId]) {
        for id in runs {
            let Some(run) = self.runs.get_mut(id).filter(|run| run.idle_ms.is_some() && at < run.ends())
            else {
                continue;
            };
            self.due.remove(&(run.ends(), Due::Run(*id)));
            run.touched = at;
            self.due.insert((run.ends(), Due::Run(*id)));
        }
    }

    /// This lane's part of a limit that all lanes share: the parts add up to the limit, and never to more.
    pub(crate) fn share_of(&self, limit: u64) -> u64 {
        let lanes = u64::from(self.lanes.max(1));
        let place = u64::from(self.lane.max(1)) - 1;
        limit / lanes + u64::from(place < limit % lanes)
    }
}

impl Pace {
    /// A call of this run ended, or what was unknown of it is known; that was under way only once.
    pub(crate) fn ended(&mut self, open: &OpenCall, finished: &CallFinished, seq: u64) {
        let (failed, unknown) = (finished.outcome == Outcome::Failed, finished.outcome == Outcome::Unknown);
        let end = End {
            mark: open.mark,
            tool: &open.tool,
            reads: open.reads,
            decided_seq: open.seq,
            seq,
            succeeded: finished.outcome == Outcome::Succeeded,
            // Nobody knows what a write of unknown end has done, whatever was in the way of its answer.
            broken: !open.reads && (unknown || (failed && !finished.transient)),
            result: finished.result_mark,
        };
        self.end(&end, !open.unknown);
    }

    /// How often a tool has told what it told last.
    pub fn told_again(&self, tool: &str) -> u64 {
        self.last_told.get(tool).map_or(0, |result| self.told.get(result).count)
    }

    /// Whether a call like this one was made before, and did not succeed.
    pub fn is_retry(&self, mark: &Mark) -> bool {
        self.made.get(mark).failed
    }

    /// Whether the same write failed, and nothing was learned since: no replan, or no fresh read.
    pub fn needs_replan(&self, mark: &Mark) -> bool {
        let broken = self.made.get(mark).broken_seq;
        broken.is_some_and(|broken| self.replan_seq < broken || self.read_seq < broken)
    }

    fn step(&mut self, step: &Step<'_>) {
        self.calls += 1;
        self.open += 1;
        self.writes += u64::from(step.writes);
        self.retries += u64::from(self.is_retry(&step.mark));
        self.destinations.extend(step.destinations);
        self.hosts.extend(step.hosts);
        self.turns.add(step.mark);
        self.made.add(step.mark);
        self.made.change(&step.mark, |times| (times.failed, times.broken_seq) = (false, None));
    }

    fn end(&mut self, end: &End<'_>, under_way: bool) {
        if under_way {
            self.open = self.open.saturating_sub(1);
        }
        self.made.change(&end.mark, |times| {
            times.failed = !end.succeeded;
            times.broken_seq = end.broken.then_some(end.seq);
        });
        if end.succeeded && end.reads {
            self.read_seq = self.read_seq.max(end.decided_seq);
            if let Some(result) = end.result {
                self.told.add(result);
                self.last_told.insert(end.tool.to_owned(), result);
            }
        }
    }

    pub(crate) fn replan(&mut self, seq: u64) {
        self.replans += 1;
        self.replan_seq = seq;
        // Whoever says what it learned begins anew; what failed stays known.
        self.made.known.values_mut().for_each(|times| times.count = 0);
        (self.told, self.turns) = (Seen::default(), Turns::default());
        self.last_told.clear();
    }
}
