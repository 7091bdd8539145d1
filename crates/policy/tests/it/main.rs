//! The rules as their users meet them.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod corpus;
mod laws;
mod problems;
mod who;
mod world;
