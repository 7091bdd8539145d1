//! MCP, both eras: the messages, what differs between revisions, and the servers that Remit reaches.
//!
//! - `wire.rs`     JSON-RPC, read strictly
//! - `era.rs`      the revisions, and how an answer of one era is told in the other
//! - `headers.rs`  what a request over HTTP says in its headers
//! - `via.rs`      where a server is, as contracts say it
//! - `reach.rs`    the reach: what a permit asks of a server, and the catalogue of what servers offer
//! - `upstream.rs` one server: its connection, its lists, its processes
//! - `sse.rs`      server-sent events
//! - `keep.rs`     the process that lets no child outlive Remit

use serde_json::{Map, Value};
use stdx::digest::Digest;

pub mod era;
pub mod headers;
pub mod keep;
mod reach;
pub mod sse;
pub mod upstream;
pub mod via;
pub mod wire;

pub use reach::{Catalogue, Mcp, Options};

/// What of a tool's definition is pinned: all that a model or a client acts on.
const PINNED: [&str; 6] = ["annotations", "description", "inputSchema", "name", "outputSchema", "title"];

/// The pinned members of a tool as its server lists it.
pub fn definition(tool: &Value) -> Value {
    let of = |name: &str| tool.get(name).map(|member| (name.to_owned(), member.clone()));
    Value::Object(PINNED.into_iter().filter_map(of).collect::<Map<_, _>>())
}

/// The digest of a tool's definition, whatever else its server lists beside it.
pub fn definition_digest(tool: &Value) -> Digest {
    Digest::of(&stdx::json::canonical(&definition(tool)))
}

#[cfg(test)]
mod tests;
