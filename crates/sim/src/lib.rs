//! A seeded world: clock, disk, tools that lie; drives the real desks, the real law and the real log's rules.
//!
//! `pipeline.rs` plays the committer and the barrier, `world.rs` the agents, people, tools and weather, `audit.rs`
//! reads the log alone and asserts what must hold after every step. All chance comes from one seed: the same seed
//! gives the same trace, byte for byte. `saga` is another kind of world: plans through the whole gate, with its own
//! threads, judged by the server that they write to. `schedule` plays plans on one thread, for one law, often.

mod audit;
mod books;
mod money;
mod pace;
mod pipeline;
mod random;
pub mod saga;
pub mod schedule;
mod world;

use std::fmt;

use stdx::digest::Digest;

/// A fault built into the sim itself, to show that the audit would see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    /// Permits leave before their decision is durable.
    ReleaseEarly,
    /// A halt is acknowledged without waiting for what lanes had decided before.
    NoBarrier,
    /// After a crash nobody asks what had been under way.
    ForgetRestart,
    /// The second answer to an idempotency key is carried out too.
    CarryTwice,
}

/// What happened in one world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Over every event and every effect, in order.
    pub trace: Digest,
    pub events: u64,
    pub allowed: u64,
    pub denied: u64,
    pub effects: u64,
    pub crashes: u64,
    pub faults: u64,
    pub halts: u64,
    /// Runs that were opened under others.
    pub children: u64,
    /// Slices of accounts that lanes were lent.
    pub loans: u64,
    pub replans: u64,
}

/// A law was broken: which, and how to see it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    pub seed: u64,
    pub step: u64,
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seed {}, step {}: {}", self.seed, self.step, self.what)
    }
}

impl std::error::Error for Violation {}

/// Lives through so many steps of the world of this seed.
pub fn run(seed: u64, steps: u64) -> Result<Report, Violation> {
    world::live(seed, steps, None)
}

/// The same world with one fault of our own in it.
pub fn run_mutant(seed: u64, steps: u64, mutant: Mutant) -> Result<Report, Violation> {
    world::live(seed, steps, Some(mutant))
}
