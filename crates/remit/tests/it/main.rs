//! The binary as its users meet it: the real program, real HTTP, a real ledger, and a tool server that keeps its own
//! record of what was done to it.
#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "a test fails by panicking"
)]

mod asks;
mod budgets;
mod callbacks;
mod clients;
mod corpus;
mod crash;
mod degrade;
mod demo;
mod failpoints;
mod halt;
mod help;
mod hooks;
mod house;
mod install;
mod keep;
mod limits;
mod reads;
mod reload;
mod rules;
mod secrets;
mod start;
mod toolserver;
mod transactions;
mod witness;
mod wrap;
