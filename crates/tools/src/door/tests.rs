//! The door over a real gate: what clients of each era send, and what they get.

mod asks;
mod calls;
mod fallback;
mod legacy;
mod lists;
mod obliged;
mod offers;
mod own;
mod plans;
mod rounds;
mod sessions;
mod stateless;
mod tasks;
mod tickets;
mod world;
