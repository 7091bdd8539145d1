//! The rules as their users meet them.

mod corpus;
mod laws;
mod problems;
mod who;
mod world;
