//! The port: what a room of the outside world offers to the line.

use std::future::Future;
use std::pin::Pin;

use kernel::account::Amount;
use kernel::call::Outcome;
use tokio::sync::watch;

use crate::permit::Permit;
use crate::vault::Secret;

/// Turns true when the call must stop: a halt, a shutdown.
pub type Cancel = watch::Receiver<bool>;

pub type Reaching = Pin<Box<dyn Future<Output = Reached> + Send>>;

/// One kind of world: HTTP tools, MCP servers, models. It owns no lane and keeps no permit.
pub trait Reach: Send + Sync + 'static {
    /// Whether this room reads contracts whose `via` has this one member (`http`, `mcp`, …).
    fn kind(&self) -> &'static str;

    /// Carries one permitted call out. Never panics, never outlives the contract's timeout.
    fn reach(&self, permit: Permit, secret: Option<Secret>, cancel: Cancel) -> Reaching;
}

/// How it went out there.
#[derive(Debug)]
pub struct Reached {
    pub outcome: Outcome,
    /// The result as canonical JSON, or the tool's own error in the same form.
    pub body: Vec<u8>,
    /// What went wrong, as a short code: `timeout`, `refused`, `status_500`, `malformed_result`, `too_large`.
    pub trouble: Option<String>,
    /// What it cost, if that is known to be less than was reserved.
    pub used: Option<Amount>,
}
