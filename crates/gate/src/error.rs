//! What can go wrong inside the gate. A refusal is not an error: it is a verdict.

use thiserror::Error as ThisError;

#[derive(Debug, ThisError)]
pub enum Error {
    /// The log cannot be written: everything is refused until it can.
    #[error("the ledger cannot be written")]
    LogUnwritable,
    #[error("the disk is nearly full: calls are refused, halts and outcomes are still recorded")]
    DiskLow,
    #[error("too many calls are waiting for a decision")]
    Overloaded,
    #[error("Remit is stopping")]
    Stopping,
    #[error("the key is unknown, expired or revoked")]
    KeyRefused,
    #[error("the run token is not valid for this agent")]
    RunTokenRefused,
    #[error("the credential `{reference}` cannot be opened")]
    Credential { reference: String },
    #[error("{what} was not found")]
    NotFound { what: String },
    #[error("{what} is too long: at most {max} bytes")]
    TooLong { what: &'static str, max: usize },
    #[error("the ledger failed")]
    Ledger(#[from] ledger::Error),
    #[error("the views failed")]
    Views(#[from] rusqlite::Error),
    #[error("the file `{path}` failed")]
    File { path: String, source: std::io::Error },
    #[error("event {index} of the ledger cannot be read: {why}")]
    Unreadable { index: u64, why: String },
    #[error("the rules {digest} that the ledger names cannot be used: {why}")]
    Rules { digest: String, why: String },
}

impl Error {
    /// Stable, with a page in `docs/errors`.
    pub fn code(&self) -> &'static str {
        match self {
            Error::LogUnwritable | Error::Ledger(_) => "log_unwritable",
            Error::DiskLow => "disk_low",
            Error::Overloaded => "overloaded",
            Error::Stopping => "stopping",
            Error::KeyRefused => "key_refused",
            Error::RunTokenRefused => "run_token_refused",
            Error::Credential { .. } => "credential_missing",
            Error::NotFound { .. } => "not_found",
            Error::TooLong { .. } => "bad_request",
            Error::Views(_) | Error::File { .. } | Error::Unreadable { .. } | Error::Rules { .. } => {
                "internal"
            }
        }
    }
}
