//! The seal: what Remit signs and can tell again. Run tokens, permit tokens, agent keys, marks.
//!
//! Everything is derived from one secret of 32 bytes in the data folder, each use under a name of its own.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::hmac;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use kernel::id::{CallId, KeyId, Mark, RunId};
use kernel::obligation::Obligation;
use kernel::time::Time;
use serde::{Deserialize, Serialize};
use serde_json::json;
use stdx::digest::Digest;
use stdx::encode::{base64url, hex, unbase64url, unhex};

use crate::error::Error;

/// Longer tokens are not read: ours are about 200 bytes.
const TOKEN_BYTES_MAX: usize = 1024;

pub(crate) struct Seal {
    run_tokens: hmac::Key,
    marks: hmac::Key,
    states: RandomizedNonceKey,
    permits: Ed25519KeyPair,
    /// The first part of every permit token.
    permit_header: String,
}

fn key_id(permits: &Ed25519KeyPair) -> String {
    Digest::of(permits.public_key().as_ref()).short()
}

/// What a run token says.
#[derive(Debug, Serialize, Deserialize, PartialEq)]
pub(crate) struct RunClaims {
    pub(crate) agent: String,
    pub(crate) exp: Time,
    pub(crate) run: RunId,
}

/// What a permit token says.
pub(crate) struct PermitClaims<'a> {
    pub(crate) agent: &'a str,
    pub(crate) call: CallId,
    pub(crate) tool: &'a str,
    pub(crate) args: Digest,
    pub(crate) obligations: &'a [Obligation],
    pub(crate) rules: Digest,
    pub(crate) now: Time,
    pub(crate) ttl_ms: u64,
}

/// The same, as it is signed.
#[derive(Serialize)]
struct PermitBody<'a> {
    args: Digest,
    exp: u64,
    iat: u64,
    iss: &'a str,
    jti: CallId,
    #[serde(skip_serializing_if = "<[Obligation]>::is_empty")]
    obligations: &'a [Obligation],
    rules: Digest,
    sub: &'a str,
    tool: &'a str,
}

pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    // INVARIANT: the system's randomness does not fail; without it nothing here may go on.
    assert!(aws_lc_rs::rand::fill(&mut bytes).is_ok(), "the system gives no randomness");
    bytes
}

impl Seal {
    /// Reads the secret of this data folder, or makes it at the first start.
    pub(crate) fn open(folder: &Path) -> Result<Seal, Error> {
        let path = folder.join("house.key");
        let failed = |source| Error::File { path: path.display().to_string(), source };
        if !path.exists() {
            let mut file = std::fs::OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&path)
                .map_err(failed)?;
            file.write_all(hex(&random::<32>()).as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
        }
        let text = std::fs::read_to_string(&path).map_err(failed)?;
        let secret = unhex(text.trim()).filter(|secret| secret.len() == 32);
        let secret = secret.ok_or_else(|| failed(std::io::ErrorKind::InvalidData.into()))?;
        Seal::from_secret(&secret).ok_or_else(|| failed(std::io::ErrorKind::InvalidData.into()))
    }

    pub(crate) fn from_secret(secret: &[u8]) -> Option<Seal> {
        let root = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let derive = |name: &str| hmac::sign(&root, name.as_bytes());
        let permits = Ed25519KeyPair::from_seed_unchecked(derive("permit").as_ref()).ok()?;
        let header = json!({ "alg": "EdDSA", "kid": key_id(&permits), "typ": "remit-permit+jwt" });
        Some(Seal {
            run_tokens: hmac::Key::new(hmac::HMAC_SHA256, derive("run-token").as_ref()),
            marks: hmac::Key::new(hmac::HMAC_SHA256, derive("mark").as_ref()),
            states: RandomizedNonceKey::new(&AES_256_GCM, derive("state").as_ref()).ok()?,
            permit_header: base64url(header.to_string().as_bytes()),
            permits,
        })
    }

    pub(crate) fn run_token(&self, claims: &RunClaims) -> String {
        let body = base64url(&serde_json::to_vec(claims).unwrap_or_default());
        let tag = hmac::sign(&self.run_tokens, body.as_bytes());
        format!("rt_{body}.{}", base64url(tag.as_ref()))
    }

    /// The signature is checked before anything inside is read.
    pub(crate) fn read_run_token(&self, token: &str) -> Option<RunClaims> {
        if token.len() > TOKEN_BYTES_MAX {
            return None;
        }
        let (body, tag) = token.strip_prefix("rt_")?.split_once('.')?;
        hmac::verify(&self.run_tokens, body.as_bytes(), &unbase64url(tag)?).ok()?;
        serde_json::from_slice(&unbase64url(body)?).ok()
    }

    /// A compact JWS (EdDSA) that an executor's environment checks against the published key.
    pub(crate) fn permit_token(&self, claims: &PermitClaims<'_>) -> String {
        let seconds = claims.now.0 / 1_000;
        let body = PermitBody {
            args: claims.args,
            exp: seconds + claims.ttl_ms / 1_000,
            iat: seconds,
            iss: "remit",
            jti: claims.call,
            obligations: claims.obligations,
            rules: claims.rules,
            sub: claims.agent,
            tool: claims.tool,
        };
        // INVARIANT: texts and numbers only, so writing them cannot fail.
        let body = serde_json::to_vec(&body).unwrap_or_default();
        let signed = format!("{}.{}", self.permit_header, base64url(&body));
        let signature = self.permits.sign(signed.as_bytes());
        format!("{signed}.{}", base64url(signature.as_ref()))
    }

    /// The public half, as a JSON Web Key.
    pub(crate) fn permit_jwk(&self) -> serde_json::Value {
        let x = base64url(self.permits.public_key().as_ref());
        json!({ "alg": "EdDSA", "crv": "Ed25519", "kid": self.permit_key_id(), "kty": "OKP", "use": "sig", "x": x })
    }

    fn permit_key_id(&self) -> String {
        key_id(&self.permits)
    }

    /// What a client is given to bring back, also after a restart: it cannot read or change it, and it is good for
    /// `bound` alone.
    pub(crate) fn state(&self, words: &[u8], bound: &[u8]) -> Option<String> {
        let mut bytes = words.to_vec();
        let nonce = self.states.seal_in_place_append_tag(Aad::from(bound), &mut bytes).ok()?;
        bytes.extend_from_slice(nonce.as_ref());
        Some(base64url(&bytes))
    }

    pub(crate) fn read_state(&self, state: &str, bound: &[u8]) -> Option<Vec<u8>> {
        let mut bytes = unbase64url(state).filter(|_| state.len() <= TOKEN_BYTES_MAX)?;
        let nonce = bytes.split_off(bytes.len().checked_sub(NONCE_LEN)?);
        let nonce = Nonce::try_assume_unique_for_key(&nonce).ok()?;
        self.states.open_in_place(nonce, Aad::from(bound), &mut bytes).ok().map(|plain| plain.to_vec())
    }

    /// Tells equal from different inside one run, and nothing else to anybody.
    pub(crate) fn mark(&self, run: RunId, what: &str, bytes: &[u8]) -> Mark {
        self.mark_parts(run, what, &[bytes])
    }

    /// The mark of all parts in a row.
    pub(crate) fn mark_parts(&self, run: RunId, what: &str, parts: &[&[u8]]) -> Mark {
        let mut context = hmac::Context::with_key(&self.marks);
        context.update(&run.0.to_be_bytes());
        context.update(what.as_bytes());
        context.update(&[0]);
        parts.iter().for_each(|part| context.update(part));
        let tag = context.sign();
        let mut mark = [0; 16];
        mark.iter_mut().zip(tag.as_ref()).for_each(|(to, from)| *to = *from);
        Mark(mark)
    }
}

/// `rk_<id>_<secret>`: the id names the key, the secret proves it; only the secret's digest is kept.
pub(crate) fn write_key(id: KeyId, secret: &[u8; 32]) -> String {
    let id = id.to_string();
    format!("rk_{}_{}", id.trim_start_matches("key_"), base64url(secret))
}

pub(crate) fn read_key(text: &str) -> Option<(KeyId, Digest)> {
    let (id, secret) = text.strip_prefix("rk_").filter(|_| text.len() <= TOKEN_BYTES_MAX)?.split_once('_')?;
    let id = format!("key_{id}").parse().ok()?;
    Some((id, Digest::of(&unbase64url(secret)?)))
}

#[cfg(test)]
mod tests;
