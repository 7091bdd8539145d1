//! What people do at the console itself: they sign in and out, and send a run away to be looked at.

use serde::{Deserialize, Serialize};
use stdx::digest::Digest;

use crate::id::RunId;
use crate::time::Time;

/// A person signed in at a browser. Of its secrets only digests are kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SignedIn {
    pub by: String,
    /// Of what proves that a request is the page's own.
    pub csrf: Digest,
    pub expires: Time,
    /// Of the cookie.
    pub hash: Digest,
    /// What they might do at that moment.
    pub roles: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SignedOut {
    pub by: String,
    /// Of the cookie that is no longer good.
    pub hash: Digest,
}

/// All that is known of a run leaves the house: once before it is sent, and once with how that ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IncidentSent {
    pub by: String,
    /// Of the bytes that are sent.
    pub digest: Digest,
    /// How it ended: where it is found now, or what went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<String>,
    pub run: RunId,
    /// The name of the place in the configuration.
    pub to: String,
}
