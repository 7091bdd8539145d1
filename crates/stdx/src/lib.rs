//! What std lacks: digests, strict and canonical JSON, durations, globs, money, nearest names.
//!
//! No I/O, no clock, no randomness.

pub mod diff;
pub mod digest;
pub mod duration;
pub mod encode;
pub mod glob;
pub mod json;
pub mod money;
pub mod nearest;
