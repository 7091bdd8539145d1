//! The tools: the hands that reach the world's tools, and the door by which MCP clients ask for them.
//!
//! - `http.rs`     the reach for JSON over HTTP: one permitted call, one exchange, one outcome that is never guessed
//! - `mcp.rs`      the Model Context Protocol, as Remit speaks it towards servers
//! - `door.rs`     the same protocol towards agents: their clients come in here
//! - `catalog.rs`  what a contract's `via` may say, read strictly
//! - `client.rs`   the HTTP client of all of them
//! - `resolve.rs`  names to addresses, each address checked before anything connects to it
//! - `webhook.rs`  people's systems are told of what happened, signed and tried again
//! - `callback.rs` an agent that named an address is told there that its ticket has ended
//! - `incident.rs` an incident becomes a webhook or an issue on GitHub, once somebody reports it
//! - `redact.rs`   what a tool echoes of its own secret does not come back in

pub mod callback;
pub mod catalog;
mod client;
pub mod door;
mod error;
pub mod http;
pub mod incident;
pub mod mcp;
mod redact;
mod resolve;
pub mod webhook;

pub use self::http::{Http, Options};
pub use error::Error;
