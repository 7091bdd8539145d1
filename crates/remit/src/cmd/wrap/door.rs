//! Requests to Remit's MCP door, with the agent's key; answers in the forms that the door has.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use api::problem::Problem;
use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::time::timeout;
use tools::mcp::headers;
use tools::mcp::sse::Events;

use super::said::Said;
use crate::compose;

/// The door says that it is alive well before this.
const HEAD_WAIT: Duration = Duration::from_secs(60);
/// One message of Remit's; contracts allow results that are much smaller.
const MESSAGE_BYTES_MAX: usize = 64 << 20;
/// Of an answer that is nothing the door says.
const STRANGE_CHARS_MAX: usize = 200;
const ACCEPT: HeaderValue = HeaderValue::from_static("application/json, text/event-stream");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// What a client of before 2026-07-28 and the door agreed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Session {
    pub(super) id: String,
    pub(super) version: String,
}

pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) session: Option<String>,
    pub(super) content: Content,
}

pub(super) enum Content {
    Nothing,
    Message(Bytes),
    Events(Box<Events>),
}

/// Why there is no message of the door's.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("Remit does not run, so nothing was called. Start it with `{start}`, then try again")]
    Unreachable { start: String },
    #[error(
        "Remit went away before it answered. Whether the call was made stands in its ledger: start it with `{start}`, \
         then look with `remit calls --limit 5`"
    )]
    Broken { start: String },
    #[error("Remit refused this: {0}")]
    Refused(String),
}

pub(super) struct Door {
    http: Client<HttpConnector, Full<Bytes>>,
    data: PathBuf,
    path: String,
    key: HeaderValue,
    start: String,
}

impl Door {
    /// `start` is the command that starts this Remit, for people to type.
    pub(super) fn new(data: PathBuf, start: String, server: Option<&str>, key: &str) -> Result<Door> {
        let mut key = HeaderValue::from_str(&format!("Bearer {key}")).context("the key is no header")?;
        key.set_sensitive(true);
        let path = match server {
            Some(server) => format!("{}/{}", tools::door::PATH, api::client::encode(server)),
            None => tools::door::PATH.to_owned(),
        };
        Ok(Door { http: Client::builder(TokioExecutor::new()).build_http(), data, path, key, start })
    }

    pub(super) async fn post(&self, said: &Said, session: Option<&Session>) -> Result<Answer, Failure> {
        let session = session.filter(|_| said.headers.is_none());
        let mut request = self.request(Method::POST, session)?.header(header::CONTENT_TYPE, JSON);
        for (name, value) in said.headers.iter().flatten() {
            request = request.header(name, value);
        }
        self.send(request, said.bytes.clone()).await
    }

    /// The stream of a session, for what is not an answer.
    pub(super) async fn listen(&self, session: &Session) -> Result<Answer, Failure> {
        self.send(self.request(Method::GET, Some(session))?, Bytes::new()).await
    }

    pub(super) async fn end(&self, session: &Session) -> Result<Answer, Failure> {
        self.send(self.request(Method::DELETE, Some(session))?, Bytes::new()).await
    }

    /// Where Remit listens is read each time: one that was started again may listen elsewhere.
    fn request(&self, method: Method, session: Option<&Session>) -> Result<http::request::Builder, Failure> {
        let address = std::fs::read_to_string(self.data.join(compose::AGENTS_ADDRESS));
        // Empty for the moment in which a Remit that starts is writing it.
        let address = address.ok().filter(|address| !address.is_empty()).ok_or_else(|| self.unreachable())?;
        let mut request = Request::builder().method(method).uri(format!("{}{}", address.trim(), self.path));
        request = request.header(header::AUTHORIZATION, &self.key).header(header::ACCEPT, ACCEPT);
        if let Some(session) = session {
            request =
                request.header(headers::SESSION, &session.id).header(headers::VERSION, &session.version);
        }
        Ok(request)
    }

    async fn send(&self, request: http::request::Builder, body: Bytes) -> Result<Answer, Failure> {
        let request = request.body(Full::new(body)).map_err(|error| Failure::Refused(error.to_string()))?;
        match timeout(HEAD_WAIT, self.http.request(request)).await {
            Ok(Ok(response)) => self.answer(response).await,
            Ok(Err(error)) if error.is_connect() => Err(self.unreachable()),
            Ok(Err(_)) | Err(_) => Err(self.broken()),
        }
    }

    async fn answer(&self, response: Response<Incoming>) -> Result<Answer, Failure> {
        let (head, body) = response.into_parts();
        let text = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
        let session = text(headers::SESSION).map(str::to_owned);
        let kind = text("content-type").and_then(|kind| kind.split(';').next()).unwrap_or_default();
        if kind == "text/event-stream" {
            let content = Content::Events(Box::new(Events::new(body, MESSAGE_BYTES_MAX, usize::MAX)));
            return Ok(Answer { status: head.status, session, content });
        }
        let body =
            Limited::new(body, MESSAGE_BYTES_MAX).collect().await.map_err(|_| self.broken())?.to_bytes();
        let content = match kind {
            _ if body.is_empty() => Content::Nothing,
            "application/json" => Content::Message(body),
            _ => return Err(Failure::Refused(words(head.status, &body))),
        };
        Ok(Answer { status: head.status, session, content })
    }

    fn unreachable(&self) -> Failure {
        Failure::Unreachable { start: self.start.clone() }
    }

    pub(super) fn broken(&self) -> Failure {
        Failure::Broken { start: self.start.clone() }
    }
}

fn words(status: StatusCode, body: &[u8]) -> String {
    match serde_json::from_slice::<Problem>(body) {
        Ok(problem) => format!("{}. What would help: {} [{}]", problem.detail, problem.remedy, problem.code),
        Err(_) => {
            let text: String = String::from_utf8_lossy(body).chars().take(STRANGE_CHARS_MAX).collect();
            format!("it answered {status} in words that are not its own: {text}")
        }
    }
}
