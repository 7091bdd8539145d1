//! Errors as problems: what the caller may see, while the log gets the rest.

use std::error::Error as _;

use api::problem::{Code, Problem};
use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use kernel::reason::{self, Reason};

/// What a client that has no key is told in the form that it knows (RFC 6750).
const CHALLENGE: &str =
    r#"Bearer realm="remit", error="invalid_token", error_description="an agent's key is needed""#;

/// A request that gets no answer but a problem.
#[derive(Debug)]
pub(crate) struct Refusal(pub(crate) Box<Problem>);

pub(crate) type Answer<T> = Result<Json<T>, Refusal>;

impl Refusal {
    pub(crate) fn new(code: Code, detail: impl Into<String>) -> Refusal {
        Refusal(Box::new(Problem::new(code, detail)))
    }

    pub(crate) fn at(mut self, at: impl Into<String>) -> Refusal {
        self.0.at = Some(at.into());
        self
    }

    pub(crate) fn not_found(what: &str) -> Refusal {
        Refusal::new(Code::NotFound, format!("{what} was not found"))
    }

    /// The law refused something that is not a call: its code and words, as a problem.
    pub(crate) fn law(reason: &Reason) -> Refusal {
        let status = match reason.code {
            reason::Code::PlanInvalid => 400,
            reason::Code::PlanUnknown
            | reason::Code::RunUnknown
            | reason::Code::CallUnknown
            | reason::Code::KeyUnknown
            | reason::Code::HaltUnknown
            | reason::Code::ApprovalUnknown
            | reason::Code::ScopeUnknown => 404,
            reason::Code::AgentUnknown
            | reason::Code::ExecutorRequired
            | reason::Code::NotAnApprover
            | reason::Code::OwnRequest
            | reason::Code::Halted => 403,
            _ => 409,
        };
        Refusal(Box::new(Problem {
            kind: format!("/errors/{}", reason.code),
            title: "Refused".to_owned(),
            status,
            detail: reason.says(),
            code: reason.code.name().to_owned(),
            remedy: reason.remedy(),
            at: reason.at.clone(),
            call: None,
            receipt: None,
        }))
    }
}

impl From<gate::error::Error> for Refusal {
    fn from(error: gate::error::Error) -> Refusal {
        let code = Code::named(error.code()).unwrap_or(Code::Internal);
        if code.status() >= 500 {
            let mut causes = String::new();
            let mut next = error.source();
            while let Some(cause) = next {
                causes.push_str(": ");
                causes.push_str(&cause.to_string());
                next = cause.source();
            }
            tracing::error!(code = code.name(), "{error}{causes}");
        }
        // What failed inside is for the log: paths and SQL are nobody's business out there.
        let detail = if code == Code::Internal { code.title().to_owned() } else { error.to_string() };
        Refusal::new(code, detail)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&self.0).unwrap_or_default();
        let mut answer = (status, body).into_response();
        let headers = answer.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(Problem::MEDIA_TYPE));
        match status {
            StatusCode::UNAUTHORIZED => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(CHALLENGE));
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            // The rest of a body that was not read must not be taken for the next request.
            StatusCode::PAYLOAD_TOO_LARGE | StatusCode::REQUEST_TIMEOUT => {
                headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            _ => {}
        }
        answer
    }
}
