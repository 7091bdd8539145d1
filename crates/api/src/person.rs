//! People: their roles, and how they sign in.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a person may do. Written `viewer`, `auditor`, `operator`, `approver:<group>`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Role {
    /// Reads runs, calls, tools, agents and rules.
    Viewer,
    /// Reads the ledger itself too.
    Auditor,
    /// Reads everything, halts, resumes, closes runs, mints and revokes keys, accepts tools.
    Operator,
    /// Reads as a viewer, and answers for this group.
    Approver(String),
}

impl Role {
    pub const KNOWN: [&str; 4] = ["viewer", "auditor", "operator", "approver:<group>"];
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Role::Viewer => f.write_str("viewer"),
            Role::Auditor => f.write_str("auditor"),
            Role::Operator => f.write_str("operator"),
            Role::Approver(group) => write!(f, "approver:{group}"),
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
pub struct NotARole;

impl FromStr for Role {
    type Err = NotARole;

    fn from_str(text: &str) -> Result<Role, NotARole> {
        match text {
            "viewer" => Ok(Role::Viewer),
            "auditor" => Ok(Role::Auditor),
            "operator" => Ok(Role::Operator),
            _ => match text.strip_prefix("approver:") {
                Some(group) if !group.is_empty() => Ok(Role::Approver(group.to_owned())),
                _ => Err(NotARole),
            },
        }
    }
}

/// `POST /v1/logins`
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MintLogin {
    /// A person of the configuration; whoever holds the operator's key, if left out.
    #[serde(default, rename = "as", skip_serializing_if = "Option::is_none")]
    pub person: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct LoginMinted {
    pub person: String,
    /// Signs in once. Shown once; Remit keeps only its hash.
    pub code: String,
    /// The page that takes the code. After the `#`, so that no log and no referrer ever holds it.
    pub path: String,
    pub expires: String,
}

/// `POST /v1/session`
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SignIn {
    /// Of `remit login`.
    pub code: String,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct SignedIn {
    pub person: String,
    /// Goes into the header `Remit-Csrf` of each request that changes something. Shown once.
    pub csrf: String,
    pub expires: String,
}

/// `GET /v1/session`
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Session {
    pub person: String,
    pub roles: Vec<String>,
    /// May read the ledger itself.
    pub may_audit: bool,
    /// May halt, resume, close, mint, revoke and accept.
    pub may_operate: bool,
    /// None for a key.
    pub expires: Option<String>,
}

/// `DELETE /v1/session`
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct SignedOut {
    pub signed_out: bool,
}
