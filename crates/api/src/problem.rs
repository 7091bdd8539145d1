//! What an HTTP error says: RFC 9457, with a stable code that has a page in `docs/errors`.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::call::Receipt;

macro_rules! codes {
    ($($variant:ident => $text:literal,)*) => {
        /// Why a request got no answer. A refused call is an answer, and is not among these.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum Code {
            $($variant,)*
        }

        impl Code {
            pub const ALL: &[Code] = &[$(Code::$variant,)*];

            pub fn name(self) -> &'static str {
                match self {
                    $(Code::$variant => $text,)*
                }
            }
        }
    };
}

codes! {
    // codes:start
    MalformedJson => "malformed_json",
    BadRequest => "bad_request",
    TooLarge => "too_large",
    TooSlow => "too_slow",
    KeyRefused => "key_refused",
    SessionRefused => "session_refused",
    LoginRefused => "login_refused",
    SignatureRefused => "signature_refused",
    RunTokenMissing => "run_token_missing",
    RunTokenRefused => "run_token_refused",
    TokenInUrl => "token_in_url",
    ForbiddenHost => "forbidden_host",
    ForbiddenOrigin => "forbidden_origin",
    Forbidden => "forbidden",
    RoleForbidden => "role_forbidden",
    CsrfRefused => "csrf_refused",
    NotFound => "not_found",
    MethodNotAllowed => "method_not_allowed",
    Overloaded => "overloaded",
    LogUnwritable => "log_unwritable",
    DiskLow => "disk_low",
    Stopping => "stopping",
    CredentialMissing => "credential_missing",
    NotDelivered => "not_delivered",
    CallbackRefused => "callback_refused",
    Internal => "internal",
    // codes:end
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Code {
    /// The code of this name, if it is one of ours.
    pub fn named(name: &str) -> Option<Code> {
        Code::ALL.iter().copied().find(|code| code.name() == name)
    }

    pub fn status(self) -> u16 {
        match self {
            Code::MalformedJson | Code::BadRequest | Code::RunTokenMissing | Code::TokenInUrl => 400,
            Code::KeyRefused
            | Code::RunTokenRefused
            | Code::SessionRefused
            | Code::LoginRefused
            | Code::SignatureRefused => 401,
            Code::ForbiddenHost
            | Code::ForbiddenOrigin
            | Code::Forbidden
            | Code::RoleForbidden
            | Code::CallbackRefused
            | Code::CsrfRefused => 403,
            Code::NotFound => 404,
            Code::MethodNotAllowed => 405,
            Code::TooSlow => 408,
            Code::TooLarge => 413,
            Code::Internal => 500,
            Code::CredentialMissing | Code::NotDelivered => 502,
            Code::Overloaded | Code::LogUnwritable | Code::Stopping => 503,
            Code::DiskLow => 507,
        }
    }

    pub fn title(self) -> &'static str {
        match self {
            Code::MalformedJson => "The body is not JSON that has one reading",
            Code::BadRequest => "The request is not what this route takes",
            Code::TooLarge => "The request is too large",
            Code::TooSlow => "The request took too long to arrive",
            Code::KeyRefused => "The key is missing, unknown, expired or revoked",
            Code::SessionRefused => "The session is unknown or has ended",
            Code::LoginRefused => "This link does not sign in",
            Code::SignatureRefused => "This message is not signed as it must be",
            Code::RunTokenMissing => "The run token is missing",
            Code::RunTokenRefused => "The run token is not valid for this agent",
            Code::TokenInUrl => "A secret was sent in the URL",
            Code::ForbiddenHost => "This host name is not served here",
            Code::ForbiddenOrigin => "This web page may not ask Remit",
            Code::Forbidden => "This key may not do this",
            Code::RoleForbidden => "Your roles do not let you do this",
            Code::CsrfRefused => "This request does not come from the console's own page",
            Code::NotFound => "There is no such thing here",
            Code::MethodNotAllowed => "This route does not take this method",
            Code::Overloaded => "Too much is under way",
            Code::LogUnwritable => "The ledger cannot be written",
            Code::DiskLow => "The disk is nearly full",
            Code::Stopping => "Remit is stopping",
            Code::CredentialMissing => "A tool's credential cannot be opened",
            Code::NotDelivered => "It was sent, and not taken",
            Code::CallbackRefused => "Nobody is called back there",
            Code::Internal => "Remit failed",
        }
    }

    /// What would make it pass.
    pub fn remedy(self) -> &'static str {
        match self {
            Code::MalformedJson => {
                "send one JSON document: no duplicate members, no lone surrogates, no inexact numbers"
            }
            Code::BadRequest => "send what /openapi.json describes for this route",
            Code::TooLarge => "send less than 1 MiB",
            Code::TooSlow => "send the whole body at once",
            Code::KeyRefused => "send `Authorization: Bearer <key>`; `remit agent key` mints a new one",
            Code::RunTokenMissing => {
                "open a run with POST /v1/runs and send its token in the header `Remit-Run`"
            }
            Code::RunTokenRefused => "open a new run with this agent's own key",
            Code::SignatureRefused => {
                "sign `id.timestamp.body` anew with HMAC-SHA256, as the guide on budgets shows"
            }
            Code::SessionRefused => "run `remit login` and open the link that it prints",
            Code::LoginRefused => {
                "a link signs in once, within five minutes: run `remit login` for a new one"
            }
            Code::TokenInUrl => {
                "send it in the `Authorization` header, and replace it: URLs are kept in logs"
            }
            Code::ForbiddenHost => "ask for 127.0.0.1 or localhost, or add the name to `hosts` in remit.yaml",
            Code::ForbiddenOrigin => "ask from a program, or from Remit's own console",
            Code::Forbidden => "use a key that was made for this",
            Code::RoleForbidden => "ask somebody who has the role; roles stand under `people` in remit.yaml",
            Code::CsrfRefused => "sign in again in this browser with `remit login`",
            Code::NotFound => "look at /openapi.json for what is here",
            Code::MethodNotAllowed => "look at the `Allow` header for what this route takes",
            Code::Overloaded => "try again in a moment",
            Code::LogUnwritable => "an operator runs `remit doctor`; nothing was permitted",
            Code::DiskLow => "an operator frees disk space; halts and outcomes are still recorded",
            Code::Stopping => "try again when it is back",
            Code::CredentialMissing => "an operator sets the secret that the tool's contract names",
            Code::CallbackRefused => {
                "ask without `callback` and poll the ticket, or have the address listed under `callbacks`"
            }
            Code::NotDelivered => {
                "see what the place answered; the file is on the run's page, and can be sent again"
            }
            Code::Internal => "an operator looks at Remit's own log",
        }
    }
}

/// `application/problem+json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// `/errors/<code>`
    #[serde(rename = "type")]
    pub kind: String,
    pub title: String,
    pub status: u16,
    pub detail: String,
    pub code: String,
    pub remedy: String,
    /// JSON Pointer into the request, or a place in its text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt: Option<Receipt>,
}

impl Problem {
    pub const MEDIA_TYPE: &str = "application/problem+json";

    pub fn new(code: Code, detail: impl Into<String>) -> Problem {
        Problem {
            kind: format!("/errors/{code}"),
            title: code.title().to_owned(),
            status: code.status(),
            detail: detail.into(),
            code: code.name().to_owned(),
            remedy: code.remedy().to_owned(),
            at: None,
            call: None,
            receipt: None,
        }
    }

    pub fn at(mut self, at: impl Into<String>) -> Problem {
        self.at = Some(at.into());
        self
    }

    pub fn remedy(mut self, remedy: impl Into<String>) -> Problem {
        self.remedy = remedy.into();
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.detail)?;
        if let Some(at) = &self.at {
            write!(f, " (at {at})")?;
        }
        write!(f, "; {}", self.remedy)
    }
}
