//! Steering a run from outside: it is paused, goes on, may spend more for a while, is charged, is judged again.

use serde::{Deserialize, Serialize};

use crate::account::Amount;
use crate::command::Closing;
use crate::event::{Charged, RunCorrected, RunExtended, RunSteered};
use crate::id::{Mark, RunId};
use crate::state::State;
use crate::time::Time;

/// A message that is older is not taken, however it is signed; until then it is remembered.
const DELIVERY_MS: u64 = 15 * 60_000;

/// Why a run waits for a person.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Paused {
    pub by: String,
    pub why: String,
    pub since: Time,
}

/// More to spend, for a while.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Extension {
    pub amount: Amount,
    pub until: Time,
}

/// What somebody does to a run from outside.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Steer {
    Pause,
    Resume,
    /// Lets it spend more until then, and go on if it was paused.
    Extend {
        amount: Amount,
        until: Time,
    },
    /// What it cost beside its calls. Recorded whatever is left: it has been spent.
    Charge {
        amount: Amount,
    },
    /// What it came to, in truth; for a run that is closed.
    Correct {
        outcome: Closing,
        /// Of the message that says so, where it is none of a person's: it says so once.
        delivery: Option<Mark>,
    },
}

impl State {
    /// The nearest run above, or itself, that waits for a person.
    pub fn paused(&self, run: RunId) -> Option<(RunId, &Paused)> {
        self.lineage(run).find_map(|(id, run)| Some((id, run.paused.as_ref()?)))
    }

    pub(crate) fn run_paused(&mut self, at: Time, paused: &RunSteered) {
        let pause = Paused { by: paused.by.clone(), why: paused.why.clone(), since: at };
        self.runs.entry(paused.run).and_modify(|run| run.paused = Some(pause));
    }

    pub(crate) fn run_resumed(&mut self, run: RunId) {
        // Whoever lets it go on lets it ask again, too.
        self.runs.entry(run).and_modify(|run| (run.paused, run.asks) = (None, 0));
    }

    pub(crate) fn run_extended(&mut self, extended: &RunExtended) {
        let extension = Extension { amount: extended.amount.clone(), until: extended.until };
        if let Some(run) = self.runs.get_mut(&extended.run) {
            run.extensions.push(extension);
            (run.paused, run.asks) = (None, 0);
        }
    }

    pub(crate) fn corrected(&mut self, at: Time, corrected: &RunCorrected) {
        if let Some(delivery) = corrected.delivery {
            self.deliveries.retain(|_, seen| at.since_ms(*seen) < DELIVERY_MS);
            self.deliveries.insert(delivery, at);
        }
    }

    pub(crate) fn charged(&mut self, at: Time, charged: &Charged) {
        let path = self.chain(charged.run);
        self.family_post(&path, &Amount::default(), &charged.amount);
        for account in &charged.accounts {
            self.share(at, account).account.post(&Amount::default(), &charged.amount);
        }
    }
}
