//! Pace, reckoned from the log alone: how fast each agent writes in a lane, and what comes again after it failed.

use std::collections::BTreeMap;

use kernel::call::Outcome;
use kernel::event::{CallDecided, CallFinished, Stamp};
use kernel::id::{CallId, Mark, RunId};
use kernel::rules::Rules;
use kernel::time::Time;

use crate::pipeline::LANES;

const MINUTE_MS: u64 = 60_000;

/// What one run did, by the place of events in the log.
#[derive(Default)]
struct RunPace {
    /// Writes that failed, or whose end nobody knows, and when that was recorded.
    broken: BTreeMap<Mark, u64>,
    replanned: u64,
    /// When the newest read that succeeded was decided.
    read: u64,
}

struct Made {
    run: RunId,
    mark: Mark,
    reads: bool,
    decided: u64,
}

#[derive(Default)]
pub(crate) struct Paces {
    runs: BTreeMap<RunId, RunPace>,
    made: BTreeMap<CallId, Made>,
    writes: BTreeMap<(u16, String), Vec<Time>>,
}

impl Paces {
    pub(crate) fn allowed(
        &mut self,
        index: u64,
        stamp: &Stamp,
        decided: &CallDecided,
        rules: &Rules,
    ) -> Result<(), String> {
        let (call, reads) = (decided.call, decided.effect == "read");
        let Some(manifest) = rules.agent(&decided.agent) else { return Ok(()) };
        let stopping = rules.stopping(manifest);
        let run = self.runs.entry(decided.run).or_default();
        let broken = run.broken.remove(&decided.mark);
        // An observed agent is let through, with a `would`.
        let hinders = decided.would.is_empty();
        let unlearned = broken.is_some_and(|broken| run.replanned < broken || run.read < broken);
        if unlearned && hinders && stopping.replan == Some(true) {
            return Err(format!("{call} comes again after it failed, and nothing was learned"));
        }
        self.made.insert(call, Made { run: decided.run, mark: decided.mark, reads, decided: index });
        if reads {
            return Ok(());
        }
        let times = self.writes.entry((stamp.lane, decided.agent.clone())).or_default();
        times.push(stamp.at);
        let lately = times.iter().filter(|at| stamp.at.since_ms(**at) < MINUTE_MS).count() as u64;
        let lanes = u64::from(LANES);
        let most = stopping.per_minute.writes.map(|limit| limit.div_ceil(lanes));
        match most.filter(|most| lately > *most && hinders) {
            Some(most) => {
                Err(format!("{call} is write {lately} of a minute, and {most} are this lane's part"))
            }
            None => Ok(()),
        }
    }

    pub(crate) fn finished(&mut self, index: u64, finished: &CallFinished) {
        let Some(made) = self.made.get(&finished.call) else { return };
        let run = self.runs.entry(made.run).or_default();
        if made.reads {
            if finished.outcome == Outcome::Succeeded {
                run.read = run.read.max(made.decided);
            }
            return;
        }
        let failed = finished.outcome == Outcome::Failed && !finished.transient;
        match failed || finished.outcome == Outcome::Unknown {
            true => run.broken.insert(made.mark, index),
            false => run.broken.remove(&made.mark),
        };
    }

    pub(crate) fn replanned(&mut self, index: u64, run: RunId) {
        self.runs.entry(run).or_default().replanned = index;
    }
}
