//! Sessions of people in browsers: one-time codes that begin them, and what proves them.
//!
//! Codes are kept in memory, as digests: a restart takes them away. Sessions are events of the ledger, as digests too,
//! so a restart signs nobody out. The digests are made with the operator's key, so a new key signs everybody out.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use gate::Gate;
use kernel::event::SignedIn;
use kernel::time::Time;
use stdx::digest::Digest;
use stdx::encode::hex;

use crate::authn::Person;

/// A link is for now, not for a note.
pub(crate) const CODE_TTL_MS: u64 = 5 * 60_000;
/// A working day; nothing prolongs it.
pub(crate) const SESSION_TTL_MS: u64 = 12 * 3_600_000;
/// The oldest gives way beyond these.
const CODES_MAX: usize = 64;

/// Whose session it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Whose {
    /// Whoever held the operator's key.
    KeyHolder,
    /// A person of the configuration. Their roles are looked up at each request.
    Named(String),
}

impl Whose {
    /// How the ledger names them. Nobody in the configuration may be called as the holder of the key is.
    pub(crate) fn name(&self) -> &str {
        match self {
            Whose::KeyHolder => Person::KEY_HOLDER,
            Whose::Named(name) => name,
        }
    }

    fn named(name: String) -> Whose {
        if name == Person::KEY_HOLDER { Whose::KeyHolder } else { Whose::Named(name) }
    }
}

pub(crate) struct Sessions {
    /// Of the operator's key.
    operator: Digest,
    codes: Mutex<HashMap<Digest, (Whose, Time)>>,
}

#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) whose: Whose,
    pub(crate) expires: Time,
    csrf: Digest,
}

/// A secret that was just made; only its digest is kept.
pub(crate) struct Fresh {
    pub(crate) secret: String,
    pub(crate) expires: Time,
}

/// What a browser is told once.
pub(crate) struct Begun {
    pub(crate) cookie: Fresh,
    pub(crate) csrf: String,
}

impl Sessions {
    pub(crate) fn new(operator: Digest) -> Sessions {
        Sessions { operator, codes: Mutex::default() }
    }

    pub(crate) fn code(&self, whose: Whose, now: Time) -> Option<Fresh> {
        let fresh = fresh(now.plus_ms(CODE_TTL_MS))?;
        let mut codes = self.codes();
        make_room(&mut codes, now);
        codes.insert(self.digest(&fresh.secret), (whose, fresh.expires));
        Some(fresh)
    }

    /// Takes a code away, whatever comes of it. One that is used, late or unknown is nobody's.
    pub(crate) fn redeem(&self, code: &str, now: Time) -> Option<Whose> {
        let (whose, until) = self.codes().remove(&self.digest(code))?;
        (now < until).then_some(whose)
    }

    /// The secrets of a new session, and the event that makes them good once it is durable.
    pub(crate) fn begin(&self, whose: &Whose, roles: Vec<String>, now: Time) -> Option<(Begun, SignedIn)> {
        let (cookie, csrf) = (fresh(now.plus_ms(SESSION_TTL_MS))?, fresh(now)?.secret);
        let signed = SignedIn {
            by: whose.name().to_owned(),
            csrf: self.digest(&csrf),
            expires: cookie.expires,
            hash: self.digest(&cookie.secret),
            roles,
        };
        Some((Begun { cookie, csrf }, signed))
    }

    pub(crate) fn of(&self, gate: &Gate, cookie: &str, now: Time) -> Option<Session> {
        let known = gate.session(&self.digest(cookie), now)?;
        Some(Session { whose: Whose::named(known.by), expires: known.expires, csrf: known.csrf })
    }

    /// Whether this is the token that the session's own page was told. Digests are compared, so that time tells
    /// nothing of it.
    pub(crate) fn has_csrf(&self, session: &Session, token: &str) -> bool {
        self.digest(token) == session.csrf
    }

    pub(crate) fn digest(&self, secret: &str) -> Digest {
        Digest::commit("session", &self.operator.0, secret.as_bytes())
    }

    fn codes(&self) -> MutexGuard<'_, HashMap<Digest, (Whose, Time)>> {
        // Each change is one insertion or removal: what a thread that died leaves behind is whole.
        self.codes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn fresh(expires: Time) -> Option<Fresh> {
    let mut bytes = [0u8; 32];
    aws_lc_rs::rand::fill(&mut bytes).ok()?;
    Some(Fresh { secret: hex(&bytes), expires })
}

/// Drops what has expired, and if that is not enough, what expires first.
fn make_room(codes: &mut HashMap<Digest, (Whose, Time)>, now: Time) {
    codes.retain(|_, (_, until)| now < *until);
    while codes.len() >= CODES_MAX {
        let Some(first) = codes.iter().min_by_key(|(_, (_, until))| *until).map(|(code, _)| *code) else {
            return;
        };
        codes.remove(&first);
    }
}

#[cfg(test)]
mod tests;
