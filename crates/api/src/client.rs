//! A small typed client: JSON over HTTP to one Remit, and its stream of events.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client as Http;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error as ThisError;

use crate::RUN_HEADER;
use crate::problem::Problem;

/// Larger answers are refused.
const ANSWER_BYTES_MAX: usize = 64 << 20;
/// A longer line of an event stream is refused.
const LINE_BYTES_MAX: usize = 4 << 20;
const ANSWER_WAIT: Duration = Duration::from_secs(120);

#[derive(Debug, ThisError)]
pub enum Error {
    #[error("`{url}` cannot be asked: {why}")]
    Url { url: String, why: String },
    #[error("Remit does not answer at {url}")]
    Unreachable {
        url: String,
        #[source]
        source: hyper_util::client::legacy::Error,
    },
    #[error("Remit took too long to answer at {url}")]
    TooSlow { url: String },
    #[error("{0}")]
    Problem(Box<Problem>),
    #[error("Remit answered {status} in words that are not its own: {text}")]
    Strange { status: StatusCode, text: String },
    #[error("the answer broke off: {why}")]
    Broken { why: String },
    #[error("the answer is not what was expected")]
    Unexpected(#[from] serde_json::Error),
}

/// One Remit, as one caller.
#[derive(Clone)]
pub struct Client {
    http: Http<HttpConnector, Full<Bytes>>,
    base: String,
    bearer: Option<String>,
    run_token: Option<String>,
}

impl Client {
    /// `base` is `http://127.0.0.1:7471`, without a path.
    pub fn new(base: &str, bearer: Option<String>) -> Client {
        let http = Http::builder(TokioExecutor::new()).build_http();
        Client { http, base: base.trim_end_matches('/').to_owned(), bearer, run_token: None }
    }

    /// The same caller, inside a run.
    pub fn in_run(&self, token: &str) -> Client {
        Client { run_token: Some(token.to_owned()), ..self.clone() }
    }

    pub fn base(&self) -> &str {
        &self.base
    }

    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        self.ask(Method::GET, path, Bytes::new()).await
    }

    pub async fn delete<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        self.ask(Method::DELETE, path, Bytes::new()).await
    }

    pub async fn post<B: Serialize, T: DeserializeOwned>(&self, path: &str, body: &B) -> Result<T, Error> {
        let body = serde_json::to_vec(body)?;
        self.ask(Method::POST, path, body.into()).await
    }

    /// An answer that is not JSON: metrics.
    pub async fn text(&self, path: &str) -> Result<String, Error> {
        let bytes = self.whole(Method::GET, path, Bytes::new()).await?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// A stream of server-sent events.
    pub async fn follow(&self, path: &str) -> Result<Follow, Error> {
        let answer = self.send(Method::GET, path, Bytes::new()).await?;
        let status = answer.status();
        if !status.is_success() {
            return Err(refused(status, &collect(answer.into_body()).await?));
        }
        Ok(Follow { body: answer.into_body(), seen: BytesMut::new() })
    }

    async fn ask<T: DeserializeOwned>(&self, method: Method, path: &str, body: Bytes) -> Result<T, Error> {
        let bytes = self.whole(method, path, body).await?;
        Ok(serde_json::from_slice(&bytes)?)
    }

    async fn whole(&self, method: Method, path: &str, body: Bytes) -> Result<Bytes, Error> {
        let answer = self.send(method, path, body).await?;
        let status = answer.status();
        let bytes = collect(answer.into_body()).await?;
        if status.is_success() { Ok(bytes) } else { Err(refused(status, &bytes)) }
    }

    async fn send(&self, method: Method, path: &str, body: Bytes) -> Result<http::Response<Incoming>, Error> {
        let url = format!("{}{path}", self.base);
        let mut request = Request::builder().method(method).uri(&url);
        if let Some(bearer) = &self.bearer {
            request = request.header(header::AUTHORIZATION, format!("Bearer {bearer}"));
        }
        if let Some(token) = &self.run_token {
            request = request.header(RUN_HEADER, token);
        }
        if !body.is_empty() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let request =
            request.body(Full::new(body)).map_err(|e| Error::Url { url: url.clone(), why: e.to_string() })?;
        match tokio::time::timeout(ANSWER_WAIT, self.http.request(request)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(source)) => Err(Error::Unreachable { url: self.base.clone(), source }),
            Err(_) => Err(Error::TooSlow { url: self.base.clone() }),
        }
    }
}

async fn collect(body: Incoming) -> Result<Bytes, Error> {
    let whole = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
    whole.map(|whole| whole.to_bytes()).map_err(|e| Error::Broken { why: e.to_string() })
}

fn refused(status: StatusCode, bytes: &[u8]) -> Error {
    match serde_json::from_slice::<Problem>(bytes) {
        Ok(problem) => Error::Problem(Box::new(problem)),
        Err(_) => Error::Strange { status, text: String::from_utf8_lossy(bytes).chars().take(200).collect() },
    }
}

/// Text made safe for one part of a path or a query.
pub fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push_str(&stdx::encode::hex(&[byte]).to_ascii_uppercase());
        }
    }
    out
}

// ---- Follow -----------------------------------------------------------------------------------------------

/// Events as they come.
pub struct Follow {
    body: Incoming,
    seen: BytesMut,
}

impl Follow {
    /// The next event's data; `None` when the stream has ended.
    pub async fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>, Error> {
        while let Some(line) = self.line().await? {
            if let Some(data) = line.strip_prefix(b"data:") {
                return Ok(Some(serde_json::from_slice(data)?));
            }
        }
        Ok(None)
    }

    async fn line(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            if let Some(end) = self.seen.iter().position(|byte| *byte == b'\n') {
                let mut line = self.seen.split_to(end + 1);
                line.truncate(end);
                return Ok(Some(line.freeze()));
            }
            if self.seen.len() > LINE_BYTES_MAX {
                return Err(Error::Broken { why: "a line without an end".to_owned() });
            }
            match self.body.frame().await {
                Some(Ok(frame)) => self.seen.extend_from_slice(frame.data_ref().map_or(&[], |data| data)),
                Some(Err(error)) => return Err(Error::Broken { why: error.to_string() }),
                None => return Ok(None),
            }
        }
    }
}

#[cfg(test)]
mod tests;
