//! The contract kept: two listeners over HTTP, who is asking, and what they are told. No law lives here.
//!
//! How to read this crate, in the order a request travels:
//!
//! 1. `serve`    connections: header limits, how many, how they end
//! 2. `guard`    what every route demands: Host, Origin, no secret in the URL, a free seat
//! 3. `authn`    whose key, whose run, which person; `roles`, `session` what people may do and how they stay signed
//!    in; `ask` reads bodies and queries strictly
//! 4. `agents`, `authzen`, `callback`, `doors`     port 7470
//! 5. `people`, `control`, `inbox`, `roster`, `rules`, `tools`, `change`, `story`, `incident`, `report`, `signin`,
//!    `metrics`, `hooks`   port 7471; `console` is what a browser gets there
//! 6. `words`    the gate's nouns as the contract's types; `refusal` the same for errors
//!
//! Endpoints are a few lines each: read, ask the gate, answer. A refused call is an answer, not an error.

mod agents;
mod ask;
mod authn;
mod authzen;
mod budget;
mod callback;
mod change;
mod console;
mod control;
mod doors;
mod guard;
mod halts;
mod health;
mod hooks;
mod house;
mod inbox;
mod incident;
mod metrics;
mod observe;
mod people;
mod plans;
mod refusal;
mod report;
mod roles;
mod roster;
mod rules;
mod serve;
mod session;
mod signin;
mod story;
mod tools;
mod words;

pub use agents::agents_router;
pub use hooks::Inbound;
pub use house::{Accepting, Accepts, Callbacks, Changes, Options, Report, Reports, Sending};
pub use people::people_router;
pub use roles::People;
pub use serve::serve;
