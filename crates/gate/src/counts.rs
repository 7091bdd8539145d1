//! Counts: what the metrics show. Not state: they start at zero with the process.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) allowed: AtomicU64,
    pub(crate) denied: AtomicU64,
    pub(crate) asked: AtomicU64,
    pub(crate) succeeded: AtomicU64,
    pub(crate) failed: AtomicU64,
    pub(crate) unknown: AtomicU64,
    pub(crate) not_dispatched: AtomicU64,
    pub(crate) refused_requests: AtomicU64,
    pub(crate) commits: AtomicU64,
    pub(crate) commit_failures: AtomicU64,
    pub(crate) in_flight: AtomicU64,
}

/// One reading of the counters.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    pub allowed: u64,
    pub denied: u64,
    pub asked: u64,
    pub settled: Vec<(&'static str, u64)>,
    pub refused_requests: u64,
    pub commits: u64,
    pub commit_failures: u64,
    pub head_index: u64,
    pub in_flight: u64,
}

pub(crate) fn bump(counter: &AtomicU64) {
    counter.fetch_add(1, Relaxed);
}

impl Tally {
    pub(crate) fn read(&self, head_index: u64) -> Counts {
        let read = |counter: &AtomicU64| counter.load(Relaxed);
        Counts {
            allowed: read(&self.allowed),
            denied: read(&self.denied),
            asked: read(&self.asked),
            settled: vec![
                ("succeeded", read(&self.succeeded)),
                ("failed", read(&self.failed)),
                ("unknown", read(&self.unknown)),
                ("not_dispatched", read(&self.not_dispatched)),
            ],
            refused_requests: read(&self.refused_requests),
            commits: read(&self.commits),
            commit_failures: read(&self.commit_failures),
            head_index,
            in_flight: read(&self.in_flight),
        }
    }
}
