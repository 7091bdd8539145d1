//! What can be wrong with a tool's description, or with this room's own setting up.

use thiserror::Error as ThisError;

#[derive(Debug, ThisError)]
pub enum Error {
    #[error("the tool's `via` cannot be used: {why}")]
    Via { why: String },
    #[error("the idempotency header `{name}` cannot be used: {why}")]
    Header { name: String, why: &'static str },
    #[error("TLS cannot be set up")]
    Tls(#[from] rustls::Error),
}

impl Error {
    /// Stable, with a page in `docs/errors`.
    pub fn code(&self) -> &'static str {
        match self {
            Error::Via { .. } => "via_unusable",
            Error::Header { .. } => "idempotency_header_unusable",
            Error::Tls(_) => "tls_unusable",
        }
    }
}
