//! What a client is given to bring back with its answers: sealed, good for one key and one request, and not for long.

use std::time::Duration;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::rand;
use serde_json::json;
use stdx::encode::{base64url, unbase64url};
use tokio::time::Instant;

use crate::mcp::era::InputRequired;
use crate::mcp::wire::Members;

/// A person may take their time.
pub(super) const STATE_TTL: Duration = Duration::from_secs(15 * 60);
/// What a server may want, and its state, together.
const STATE_BYTES_MAX: usize = 64 * 1024;

type Plain = (String, Members, Option<String>, Option<String>);

/// Seals what a client gives back. The key is of this process: after a restart the client begins again.
pub(super) struct States {
    key: Option<RandomizedNonceKey>,
    began: Instant,
}

impl Default for States {
    fn default() -> States {
        let mut key = [0; 32];
        let key = rand::fill(&mut key).and_then(|()| RandomizedNonceKey::new(&AES_256_GCM, &key)).ok();
        States { key, began: Instant::now() }
    }
}

impl States {
    /// `parked` is the call that waits for the answers, if one does. None: it is too long.
    pub(super) fn seal(&self, wanted: &InputRequired, parked: Option<&str>, bound: &[u8]) -> Option<String> {
        let until = (self.began.elapsed() + STATE_TTL).as_millis().to_string();
        let mut bytes = stdx::json::canonical(&json!([until, wanted.requests, wanted.state, parked]));
        if bytes.len() > STATE_BYTES_MAX {
            return None;
        }
        let nonce = self.key.as_ref()?.seal_in_place_append_tag(Aad::from(bound), &mut bytes).ok()?;
        bytes.extend_from_slice(nonce.as_ref());
        Some(base64url(&bytes))
    }

    /// None: it is not ours, not for this request, or too old.
    pub(super) fn open(&self, state: &str, bound: &[u8]) -> Option<(InputRequired, Option<String>)> {
        let mut bytes = unbase64url(state)?;
        let nonce = bytes.split_off(bytes.len().checked_sub(NONCE_LEN)?);
        let nonce = Nonce::try_assume_unique_for_key(&nonce).ok()?;
        let plain = self.key.as_ref()?.open_in_place(nonce, Aad::from(bound), &mut bytes).ok()?;
        let (until, requests, state, parked): Plain = serde_json::from_slice(plain).ok()?;
        let until = Duration::from_millis(until.parse().ok()?);
        (self.began.elapsed() <= until).then_some((InputRequired { requests, state }, parked))
    }
}
