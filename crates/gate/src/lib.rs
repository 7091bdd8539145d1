//! The gate: the clerk who writes, the line all calls walk, permits, secrets, timers and views.
//!
//! Read `line.rs` first: six steps, and a call passes nowhere else. This room knows no protocol of a tool or a model.

pub mod error;
pub mod permit;
pub mod port;
pub mod vault;
