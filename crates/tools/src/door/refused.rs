//! A request that is answered by a JSON-RPC error, and with which HTTP status.

use gate::error::Error;
use http::StatusCode;
use kernel::reason::Reason;
use serde_json::{Value, json};

use crate::mcp::era::Version;
use crate::mcp::wire::{self, RpcError};

/// Of our own range: the law or the house said no to something that has no result to say it in.
pub(super) const REFUSED: i64 = -32003;
/// As others' servers say it, too.
pub(super) const SESSION_NOT_FOUND: i64 = -32001;

#[derive(Debug)]
pub(super) struct Refused {
    pub(super) error: Box<RpcError>,
    /// Set where the error's code alone does not tell it.
    status: Option<StatusCode>,
    /// The law's own code, if it was the law that said no.
    law: Option<&'static str>,
    /// Whether the ledger knows of it already.
    pub(super) is_recorded: bool,
}

impl Refused {
    pub(super) fn new(code: i64, message: impl Into<String>) -> Refused {
        RpcError::new(code, message).into()
    }

    pub(super) fn params(message: impl Into<String>) -> Refused {
        Refused::new(wire::INVALID_PARAMS, message)
    }

    pub(super) fn with_status(mut self, status: StatusCode) -> Refused {
        self.status = Some(status);
        self
    }

    pub(super) fn with_data(mut self, data: Value) -> Refused {
        self.error.data = Some(data);
        self
    }

    pub(super) fn recorded(mut self) -> Refused {
        self.is_recorded = true;
        self
    }

    /// The same refusal in another revision's words.
    pub(super) fn told_as(self, error: RpcError) -> Refused {
        Refused { error: Box::new(error), ..self }
    }

    pub(super) fn law(reason: &Reason) -> Refused {
        let message = format!("{}. What would help: {}", reason.says(), reason.remedy());
        let data = json!({ "code": reason.code.name(), "remedy": reason.remedy() });
        let refused = Refused::new(REFUSED, message).with_data(data);
        Refused { law: Some(reason.code.name()), ..refused }
    }

    pub(super) fn is_law(&self) -> bool {
        self.law.is_some()
    }

    /// What failed inside is for the log, and for nobody else.
    pub(super) fn house(error: &Error) -> Refused {
        let (code, retry) = (error.code(), "try again in a second");
        match error {
            Error::RunTokenRefused => {
                let remedy = "send the token of a run that this agent opened, or none";
                let refused = Refused::new(wire::INVALID_REQUEST, format!("{error}: {remedy}"));
                refused.with_status(StatusCode::UNAUTHORIZED).with_data(json!({ "code": code }))
            }
            Error::TooLong { .. } => Refused::params(error.to_string()),
            Error::LogUnwritable | Error::DiskLow | Error::Overloaded | Error::Stopping => {
                let data = json!({ "code": code, "remedy": retry });
                let refused = Refused::new(wire::INTERNAL_ERROR, format!("{error}; {retry}"));
                refused.with_status(StatusCode::SERVICE_UNAVAILABLE).with_data(data).recorded()
            }
            _ => Refused::new(wire::INTERNAL_ERROR, "Remit failed at this; its log says why")
                .with_data(json!({ "code": code }))
                .recorded(),
        }
    }

    /// Until 2025-11-25 what a request comes to, once it is a call, is told inside HTTP 200; since then some errors
    /// have a status.
    pub(super) fn status(&self, version: Version) -> StatusCode {
        match (self.status, self.error.code) {
            (Some(status), _) => status,
            (None, code) if version.is_stateless() => status_of(code),
            (None, wire::PARSE_ERROR | wire::INVALID_REQUEST) if !self.is_recorded => StatusCode::BAD_REQUEST,
            _ => StatusCode::OK,
        }
    }

    /// The name under which the ledger keeps it.
    pub(super) fn code(&self) -> &'static str {
        if let Some(code) = self.law {
            return code;
        }
        match self.error.code {
            wire::PARSE_ERROR => "malformed_json",
            wire::METHOD_NOT_FOUND | SESSION_NOT_FOUND => "not_found",
            _ if self.status == Some(StatusCode::UNAUTHORIZED) => "run_token_refused",
            _ => "bad_request",
        }
    }
}

impl From<RpcError> for Refused {
    fn from(error: RpcError) -> Refused {
        Refused { error: Box::new(error), status: None, law: None, is_recorded: false }
    }
}

/// The HTTP status of an error since 2026-07-28.
pub(super) fn status_of(code: i64) -> StatusCode {
    match code {
        wire::PARSE_ERROR
        | wire::INVALID_REQUEST
        | wire::HEADER_MISMATCH
        | wire::MISSING_CLIENT_CAPABILITY
        | wire::UNSUPPORTED_VERSION => StatusCode::BAD_REQUEST,
        wire::METHOD_NOT_FOUND => StatusCode::NOT_FOUND,
        _ => StatusCode::OK,
    }
}
