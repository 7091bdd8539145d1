//! The gate as its doors meet it, over both stores.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod ahead;
mod approvals;
mod barriers;
#[allow(dead_code, reason = "the builders of the kernel's tests, of which not all are needed here")]
#[path = "../../../kernel/tests/it/book.rs"]
mod book;
mod bounds;
mod faults;
mod gateway;
mod halts;
mod limits;
mod line;
mod proposals;
mod redaction;
mod restart;
mod snapshots;
mod stage;
mod views;
