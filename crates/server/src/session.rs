//! Sessions of people in browsers: one-time codes that begin them, and what proves them. Kept in memory, as digests:
//! a restart signs everybody out.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};

use kernel::time::Time;
use stdx::digest::Digest;
use stdx::encode::hex;

/// A link is for now, not for a note.
pub(crate) const CODE_TTL_MS: u64 = 5 * 60_000;
/// A working day; nothing prolongs it.
pub(crate) const SESSION_TTL_MS: u64 = 12 * 3_600_000;
/// The oldest gives way beyond these.
const CODES_MAX: usize = 64;
const SESSIONS_MAX: usize = 1024;

/// Whose session it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Whose {
    /// Whoever held the operator's key.
    KeyHolder,
    /// A person of the configuration. Their roles are looked up at each request.
    Named(String),
}

#[derive(Default)]
pub(crate) struct Sessions(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    codes: HashMap<Digest, (Whose, Time)>,
    sessions: HashMap<Digest, Session>,
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

pub(crate) struct SignedIn {
    pub(crate) whose: Whose,
    pub(crate) cookie: Fresh,
    pub(crate) csrf: String,
}

impl Sessions {
    pub(crate) fn code(&self, whose: Whose, now: Time) -> Option<Fresh> {
        let fresh = fresh(now.plus_ms(CODE_TTL_MS))?;
        let mut kept = self.kept();
        make_room(&mut kept.codes, CODES_MAX, now, |(_, expires)| *expires);
        kept.codes.insert(digest(&fresh.secret), (whose, fresh.expires));
        Some(fresh)
    }

    /// Takes a code away and begins a session for it. A code that is used, late or unknown begins none.
    pub(crate) fn begin(&self, code: &str, now: Time) -> Option<SignedIn> {
        let mut kept = self.kept();
        let (whose, until) = kept.codes.remove(&digest(code))?;
        if now >= until {
            return None;
        }
        let (cookie, csrf) = (fresh(now.plus_ms(SESSION_TTL_MS))?, fresh(now)?.secret);
        make_room(&mut kept.sessions, SESSIONS_MAX, now, |session| session.expires);
        let session = Session { whose: whose.clone(), expires: cookie.expires, csrf: digest(&csrf) };
        kept.sessions.insert(digest(&cookie.secret), session);
        Some(SignedIn { whose, cookie, csrf })
    }

    pub(crate) fn of(&self, cookie: &str, now: Time) -> Option<Session> {
        let kept = self.kept();
        kept.sessions.get(&digest(cookie)).filter(|session| now < session.expires).cloned()
    }

    pub(crate) fn end(&self, cookie: &str) {
        self.kept().sessions.remove(&digest(cookie));
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // Each change is one insertion or removal: what a thread that died leaves behind is whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Session {
    /// Digests are compared, so that time tells nothing of the token.
    pub(crate) fn has_csrf(&self, token: &str) -> bool {
        digest(token) == self.csrf
    }
}

fn digest(secret: &str) -> Digest {
    Digest::of(secret.as_bytes())
}

fn fresh(expires: Time) -> Option<Fresh> {
    let mut bytes = [0u8; 32];
    aws_lc_rs::rand::fill(&mut bytes).ok()?;
    Some(Fresh { secret: hex(&bytes), expires })
}

/// Drops what has expired, and if that is not enough, what expires first.
fn make_room<K: Copy + Eq + Hash, V>(
    map: &mut HashMap<K, V>,
    most: usize,
    now: Time,
    expires: impl Fn(&V) -> Time,
) {
    map.retain(|_, value| now < expires(value));
    while map.len() >= most {
        let Some(first) = map.iter().min_by_key(|(_, value)| expires(value)).map(|(key, _)| *key) else {
            return;
        };
        map.remove(&first);
    }
}

#[cfg(test)]
mod tests;
