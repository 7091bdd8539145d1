//! Every way the log can say no, each with a stable code.

use std::io;

use rusqlite::ErrorCode;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Somebody else appended to this lane since the decider looked.
    #[error("lane {lane} expects sequence {expected}, the batch carries {found}")]
    Conflict { lane: u16, expected: u64, found: u64 },
    /// A halt, a revocation or new rules were committed that the decider has not seen.
    #[error("the batch was decided at control epoch {seen}, the log is at {head}")]
    StaleControl { seen: u64, head: u64 },
    #[error(
        "over a limit of the log: 16 KiB an entry, 16 MiB a payload, 256 MiB a snapshot, 64 bytes a tag, \
         16 payloads an entry, 4096 entries a batch"
    )]
    TooLarge,
    #[error("not a well-formed batch: {why}")]
    Invalid { why: &'static str },
    #[error("the payload's commitment does not match its tag, salt and body")]
    WrongCommitment,
    #[error("the payload was erased")]
    Erased,
    #[error("the payload may never be erased")]
    Kept,
    #[error("no such payload")]
    NotFound,
    #[error(
        "the data folder is in use by {}; stop that process, or choose another folder",
        holder_words(holder)
    )]
    Locked { holder: Option<u32> },
    #[error(
        "the log has schema {found}, this build knows up to {known}; run the newer build that wrote it, or \
         restore a backup taken before the upgrade"
    )]
    SchemaTooNew { found: u32, known: u32 },
    /// `index` is the first entry in doubt, where one can be named.
    #[error(
        "the log is damaged{}: {why}; keep the folder as it is and restore a backup beside it",
        at_words(index)
    )]
    Damaged { index: Option<u64>, why: String },
    #[error("the disk is full; free some space, then go on")]
    Full,
    #[error("the log's database failed")]
    Store(#[source] rusqlite::Error),
    #[error("the log's files failed")]
    Io(
        #[source]
        #[from]
        io::Error,
    ),
}

impl Error {
    pub fn code(&self) -> &'static str {
        match self {
            Error::Conflict { .. } => "LOG_CONFLICT",
            Error::StaleControl { .. } => "LOG_STALE_CONTROL",
            Error::TooLarge => "LOG_TOO_LARGE",
            Error::Invalid { .. } => "LOG_INVALID",
            Error::WrongCommitment => "LOG_WRONG_COMMITMENT",
            Error::Erased => "LOG_ERASED",
            Error::Kept => "LOG_KEPT",
            Error::NotFound => "LOG_NOT_FOUND",
            Error::Locked { .. } => "LOG_LOCKED",
            Error::SchemaTooNew { .. } => "LOG_SCHEMA_TOO_NEW",
            Error::Damaged { .. } => "LOG_DAMAGED",
            Error::Full => "LOG_FULL",
            Error::Store(_) => "LOG_STORE",
            Error::Io(_) => "LOG_IO",
        }
    }

    pub(crate) fn damaged(index: impl Into<Option<u64>>, why: impl Into<String>) -> Error {
        Error::Damaged { index: index.into(), why: why.into() }
    }
}

/// A torn file and a full disk are told apart from other failures, because a person does different things
/// about them.
impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Error {
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                Error::damaged(None, error.to_string())
            }
            Some(ErrorCode::DiskFull) => Error::Full,
            _ => Error::Store(error),
        }
    }
}

fn holder_words(holder: &Option<u32>) -> String {
    match holder {
        Some(pid) => format!("process {pid}"),
        None => "another process".to_owned(),
    }
}

fn at_words(index: &Option<u64>) -> String {
    index.map(|index| format!(" at index {index}")).unwrap_or_default()
}
