//! Both listeners over a real gate.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod authzen;
mod calls;
mod change;
mod connections;
mod console;
mod days;
mod doors;
mod hooks;
mod inbox;
mod plans;
mod report;
mod roles;
mod routes;
mod sessions;
mod tools;
mod world;
