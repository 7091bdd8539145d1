//! Schedules: plans and groups of several runs at once, in whatever order chance gives to agents, engine, disk, tools,
//! people and deaths. The law under test: nothing irreversible before its plan's commit is durable.
//!
//! It drives the desks, the law and the rules of the log on one thread and without sleeping, so that there can be very
//! many of them; `saga` plays fewer, through the whole gate. The same seed is the same schedule.

mod agents;
mod engine;
mod truth;
mod yard;

use std::sync::Arc;

use kernel::rules::Rules;

/// A fault built into the schedule itself, to show that the law would be seen broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    /// The engine sends what cannot be taken back as soon as it is planned.
    Eager,
    /// What was decided leaves before it is durable.
    Early,
    /// What its tool does twice under one key is counted twice.
    Keyless,
}

/// What happened in one schedule, or in many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Played {
    pub schedules: u64,
    pub events: u64,
    pub commits: u64,
    /// Effects that cannot be taken back, other effects, and those that were taken back.
    pub finals: u64,
    pub writes: u64,
    pub undone: u64,
    /// Writes that an agent asked for where it might not.
    pub refused: u64,
    pub crashes: u64,
    pub faults: u64,
    pub halts: u64,
    pub committed: u64,
    pub rolled_back: u64,
    pub quarantined: u64,
}

impl Played {
    #[must_use]
    pub fn plus(self, other: Played) -> Played {
        Played {
            schedules: self.schedules + other.schedules,
            events: self.events + other.events,
            commits: self.commits + other.commits,
            finals: self.finals + other.finals,
            writes: self.writes + other.writes,
            undone: self.undone + other.undone,
            refused: self.refused + other.refused,
            crashes: self.crashes + other.crashes,
            faults: self.faults + other.faults,
            halts: self.halts + other.halts,
            committed: self.committed + other.committed,
            rolled_back: self.rolled_back + other.rolled_back,
            quarantined: self.quarantined + other.quarantined,
        }
    }
}

/// Plays the schedule of this seed to its end, by the rules of `saga::rules`. The error says which law was broken.
pub fn schedule(rules: &Arc<Rules>, seed: u64) -> Result<Played, String> {
    yard::Yard::new(rules.clone(), seed, None)?.play()
}

/// The same with one fault of our own in it.
pub fn schedule_mutant(rules: &Arc<Rules>, seed: u64, mutant: Mutant) -> Result<Played, String> {
    yard::Yard::new(rules.clone(), seed, Some(mutant))?.play()
}
