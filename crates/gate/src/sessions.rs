//! People at the console: who is signed in, and what they send away; durable before it is answered.

use kernel::command::ControlCommand;
use kernel::event::{IncidentSent, SignedIn};
use kernel::session::Session;
use kernel::time::Time;
use ledger::Receipt;
use stdx::digest::Digest;

use crate::bounds::{NAME_BYTES_MAX, WHY_BYTES_MAX, within};
use crate::committer::Written;
use crate::control::ControlMessage;
use crate::error::Error;
use crate::gate::Gate;

/// Roles that one event names.
const ROLES_MAX: usize = 32;

impl Gate {
    /// Begins a session: from the answer on its cookie is good, after a restart too.
    pub async fn sign_in(&self, mut begun: SignedIn) -> Result<(), Error> {
        within("a name", &begun.by, NAME_BYTES_MAX)?;
        begun.roles.truncate(ROLES_MAX);
        begun.roles.retain(|role| role.len() <= NAME_BYTES_MAX);
        self.beside_the_law(ControlCommand::SignIn(begun)).await.map(drop)
    }

    pub async fn sign_out(&self, hash: Digest) -> Result<(), Error> {
        self.beside_the_law(ControlCommand::SignOut { hash }).await.map(drop)
    }

    /// The session of a cookie with this digest.
    pub fn session(&self, hash: &Digest, now: Time) -> Option<Session> {
        self.law().control.session(hash, now).cloned()
    }

    /// Before a run's incident leaves the house, and once more with how that ended.
    pub async fn incident_sent(&self, sent: IncidentSent) -> Result<Option<Receipt>, Error> {
        within("a name", &sent.by, NAME_BYTES_MAX)?;
        within("a name", &sent.to, NAME_BYTES_MAX)?;
        within("the end", sent.end.as_deref().unwrap_or_default(), WHY_BYTES_MAX)?;
        let written = self.beside_the_law(ControlCommand::SendIncident(sent)).await?;
        Ok(written.receipts.first().copied())
    }

    /// No barrier: no verdict depends on it.
    async fn beside_the_law(&self, command: ControlCommand) -> Result<Written, Error> {
        self.control_now(|waiter| ControlMessage::Claim { command, waiter }).await
    }
}
