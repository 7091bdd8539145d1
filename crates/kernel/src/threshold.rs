//! Thresholds: how full an account may get before something changes, and what then changes.

use serde::{Deserialize, Serialize};

use crate::event;
use crate::state::State;
use crate::time::Time;

/// What happens when an account is as full as a threshold says.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// The agent is told to do with less: a cheaper model, smaller pages.
    Degrade,
    /// The agent is told to look at its plan again before it writes.
    Decide,
    /// People are told.
    Notify,
    /// Nothing more is permitted.
    Stop,
}

impl Action {
    pub fn name(self) -> &'static str {
        match self {
            Action::Degrade => "degrade",
            Action::Decide => "decide",
            Action::Notify => "notify",
            Action::Stop => "stop",
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Threshold {
    pub percent: u64,
    pub action: Action,
}

/// What holds where nobody wrote anything else.
pub fn usual() -> Vec<Threshold> {
    use Action::{Decide, Degrade, Notify, Stop};
    let all = [(50, Degrade), (75, Decide), (90, Notify), (100, Stop)];
    all.into_iter().map(|(percent, action)| Threshold { percent, action }).collect()
}

/// The strictest of these actions that an account so full has come to.
pub fn reached(thresholds: &[Threshold], percent: u64) -> Option<Threshold> {
    thresholds.iter().filter(|threshold| threshold.percent <= percent).max().copied()
}

impl State {
    pub(crate) fn threshold_crossed(&mut self, at: Time, crossed: &event::ThresholdCrossed) {
        if let Some(run) = self.runs.get_mut(&crossed.run).filter(|_| crossed.action == Action::Decide) {
            run.decide_seq = self.seq;
        }
        let known = match &crossed.account {
            Some(account) => Some(&mut self.share(at, account).crossed),
            None => self.runs.get_mut(&crossed.run).map(|run| &mut run.crossed),
        };
        if let Some(known) = known {
            *known = crossed.percent.max(*known);
        }
    }
}
