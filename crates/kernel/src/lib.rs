//! The nouns and the law: `decide(&State, &Control, &Rules, &Command, now) → Decision`, `State::apply(&Event)`.
//!
//! How to read this crate: `checks/mod.rs` is one array of words, and that array is the product. `decide.rs` says what
//! a command leads to, `event.rs` what can have happened, `apply.rs` what is then remembered. The rest are nouns, a
//! file each. There is no I/O here, no clock, no randomness, no float: the same inputs give the same answer for ever,
//! and so anybody can recompute a past verdict from the ledger.

pub mod account;
pub mod agent;
mod apply;
pub mod approval;
pub mod approvers;
pub mod balance;
pub mod before;
pub mod book;
pub mod calendar;
pub mod call;
pub mod checks;
pub mod claim;
pub mod command;
pub mod condition;
mod content;
pub mod contract;
pub mod decide;
pub mod deed;
mod destination;
pub mod effect;
pub mod event;
mod facts;
pub mod family;
pub mod follow;
mod group;
pub mod habit;
pub mod halt;
pub mod held;
pub mod id;
pub mod lending;
pub mod obligation;
pub mod pace;
pub mod pattern;
pub mod phase;
pub mod plan;
pub mod price;
pub mod progress;
pub mod proposal;
mod quorum;
pub mod rate;
pub mod reason;
pub mod risk;
pub mod rules;
pub mod run;
pub mod saga;
pub mod session;
pub mod snapshot;
mod standing;
pub mod state;
pub mod steer;
pub mod stopping;
pub mod template;
pub mod threshold;
pub mod time;
pub mod undo;
pub mod verdict;
pub mod window;

pub use policy;
