//! What std lacks: digests, strict and canonical JSON, what differs, durations, globs, money, names.
//!
//! No I/O, no clock, no randomness.

pub mod diff;
pub mod difference;
pub mod digest;
pub mod duration;
pub mod encode;
pub mod glob;
pub mod json;
pub mod money;
pub mod nearest;
