//! Both listeners over a real gate.

mod authzen;
mod calls;
mod connections;
mod routes;
mod world;
