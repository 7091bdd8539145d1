//! The law as its users meet it: scripts, the bytes of events, and properties of random histories.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod approvals;
mod asking;
mod book;
mod bytes;
mod bytes_approval;
mod bytes_money;
mod bytes_plans;
mod codes;
mod fold;
mod money;
mod names;
mod people;
mod saga_model;
mod script;
mod scripts_accounts;
mod scripts_approval;
mod scripts_budget;
mod scripts_degrade;
mod scripts_ends;
mod scripts_gateway;
mod scripts_groups;
mod scripts_halt;
mod scripts_limits;
mod scripts_meter;
mod scripts_plan_limits;
mod scripts_plans;
mod scripts_policy;
mod scripts_proposals;
mod snapshot;
