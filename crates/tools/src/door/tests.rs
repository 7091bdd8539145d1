//! The door over a real gate: what clients of each era send, and what they get.

mod calls;
mod legacy;
mod lists;
mod offers;
mod rounds;
mod sessions;
mod stateless;
mod world;
