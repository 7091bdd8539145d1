//! Sessions of people in browsers: a fold of who signed in and out, so that a restart signs nobody out.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use stdx::digest::Digest;

use crate::event::SignedIn;
use crate::state::Control;
use crate::time::Time;

/// The one that ends first gives way beyond these.
pub const SESSIONS_MAX: usize = 1024;

/// One browser's session; its secrets are known by their digests only.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Session {
    pub by: String,
    pub csrf: Digest,
    pub expires: Time,
}

impl Control {
    /// The session of a cookie with this digest, if it is not over.
    pub fn session(&self, hash: &Digest, now: Time) -> Option<&Session> {
        self.sessions.get(hash).filter(|session| now < session.expires)
    }

    pub(crate) fn signed_in(&mut self, at: Time, begun: &SignedIn) {
        let sessions = Arc::make_mut(&mut self.sessions);
        sessions.retain(|_, session| at < session.expires);
        while sessions.len() >= SESSIONS_MAX {
            let first = sessions.iter().min_by_key(|(_, session)| session.expires).map(|(hash, _)| *hash);
            first.and_then(|hash| sessions.remove(&hash));
        }
        let SignedIn { by, csrf, expires, hash, .. } = begun;
        sessions.insert(*hash, Session { by: by.clone(), csrf: *csrf, expires: *expires });
    }

    pub(crate) fn signed_out(&mut self, hash: &Digest) {
        Arc::make_mut(&mut self.sessions).remove(hash);
    }
}
