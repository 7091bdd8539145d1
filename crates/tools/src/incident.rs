//! Incidents on their way to people's own systems: a signed webhook, or an issue on GitHub.
//!
//! Secrets are opened here, for one request, and no error repeats them. A place is tried once: whoever reports an
//! incident sees at once what became of it.

use std::collections::BTreeMap;
use std::time::Duration;

use ::http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use ::http::{HeaderName, HeaderValue, Method, Request, Uri};
use bytes::Bytes;
use gate::vault::open_reference;
use http_body_util::{BodyExt, Full, Limited};
use serde_json::{Value, json};

use crate::client::{self, Wire};
use crate::error::Error;
use crate::resolve::Resolver;
use crate::webhook;

const CONNECT_WAIT: Duration = Duration::from_secs(5);
const ANSWER_WAIT: Duration = Duration::from_secs(20);
const IDLE: Duration = Duration::from_secs(30);
/// An answer says where the issue is; more of it is not read.
const ANSWER_BYTES_MAX: usize = 1 << 20;
/// GitHub takes no longer text for an issue.
const ISSUE_CHARS_MAX: usize = 60_000;
const URL_BYTES_MAX: usize = 400;
/// The version of GitHub's API that this is written for.
const API_VERSION: &str = "2022-11-28";

/// Where an incident may be sent, as the configuration has it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    pub name: String,
    pub form: Form,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Form {
    /// The whole file, signed. The secret is kept there: `env:NAME`, `file:PATH`; so may be the address.
    Webhook { address: String, secret: String },
    /// A summary as an issue. The token is kept there: `env:NAME`, `file:PATH`.
    GitHub { api: String, repository: String, token: String, labels: Vec<String> },
}

impl Place {
    pub fn kind(&self) -> &'static str {
        match self.form {
            Form::Webhook { .. } => "webhook",
            Form::GitHub { .. } => "github",
        }
    }

    /// What is sent there.
    pub fn says(&self) -> String {
        match &self.form {
            Form::Webhook { .. } => "the whole file, without what looks like a secret, signed".to_owned(),
            Form::GitHub { repository, .. } => {
                format!(
                    "an issue in {repository}: a summary without arguments, results and the agent's words"
                )
            }
        }
    }
}

/// What is sent.
#[derive(Clone, Debug)]
pub struct Report {
    pub run: String,
    pub title: String,
    /// Markdown.
    pub summary: String,
    /// JSON.
    pub file: Bytes,
    pub now_seconds: u64,
}

/// The places by name, and the client that reaches them.
pub struct Sender {
    places: BTreeMap<String, Place>,
    wire: Wire,
}

impl Sender {
    pub fn new(places: &[Place]) -> Result<Sender, Error> {
        let connector = client::connector(CONNECT_WAIT, Resolver::system())?;
        let places = places.iter().map(|place| (place.name.clone(), place.clone())).collect();
        Ok(Sender { places, wire: client::wire(connector, 0, IDLE) })
    }

    pub fn places(&self) -> impl Iterator<Item = &Place> {
        self.places.values()
    }

    /// Where it is found then, if the place says so; or in words why it was not taken.
    pub async fn send(&self, to: &str, report: &Report) -> Result<Option<String>, String> {
        let place = self.places.get(to).ok_or_else(|| format!("no place is called `{to}`"))?;
        let request = match &place.form {
            Form::Webhook { address, secret } => hook(address, secret, report)?,
            Form::GitHub { api, repository, token, labels } => issue(api, repository, token, labels, report)?,
        };
        let (status, answer) = self.ask(request).await?;
        match &place.form {
            _ if !(200..300).contains(&status) => Err(refused(&place.form, status)),
            Form::Webhook { .. } => Ok(None),
            Form::GitHub { .. } => Ok(issue_url(&answer)),
        }
    }

    async fn ask(&self, request: Request<Full<Bytes>>) -> Result<(u16, Bytes), String> {
        let asked = async {
            let answer =
                self.wire.request(request).await.map_err(|error| match client::is_private(&error) {
                    true => "its name leads to a private address".to_owned(),
                    false => "it cannot be reached".to_owned(),
                })?;
            let status = answer.status().as_u16();
            // What is too long or breaks off says less, and the status still counts.
            let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await;
            Ok((status, body.map(|body| body.to_bytes()).unwrap_or_default()))
        };
        let late = |_| "it did not answer in time".to_owned();
        tokio::time::timeout(ANSWER_WAIT, asked).await.map_err(late)?
    }
}

fn hook(address: &str, secret: &str, report: &Report) -> Result<Request<Full<Bytes>>, String> {
    let secret = open_reference(secret).map_err(|error| error.to_string())?;
    let mut body = br#"{"type":"incident.reported","data":"#.to_vec();
    body.extend_from_slice(&report.file);
    body.push(b'}');
    let id = format!("remit_incident_{}", stdx::digest::Digest::of(&report.file).short());
    let headers = webhook::signed_as(id, report.now_seconds, &body, secret.reveal());
    let mut request = Request::new(Full::new(Bytes::from(body)));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = webhook::address(address)?;
    *request.headers_mut() = headers;
    Ok(request)
}

fn issue(
    api: &str,
    repository: &str,
    token: &str,
    labels: &[String],
    report: &Report,
) -> Result<Request<Full<Bytes>>, String> {
    let token = open_reference(token).map_err(|error| error.to_string())?;
    let bearer = [b"Bearer ", token.reveal()].concat();
    let mut bearer =
        HeaderValue::from_bytes(&bearer).map_err(|_| "its token cannot stand in a header".to_owned())?;
    bearer.set_sensitive(true);
    let uri: Uri = format!("{}/repos/{repository}/issues", api.trim_end_matches('/'))
        .parse()
        .map_err(|_| "its address cannot be read".to_owned())?;
    let text: String = report.summary.chars().take(ISSUE_CHARS_MAX).collect();
    let body = json!({ "title": report.title, "body": text, "labels": labels });
    let mut request = Request::new(Full::new(Bytes::from(body.to_string())));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = uri;
    let headers = request.headers_mut();
    headers.insert(AUTHORIZATION, bearer);
    headers.insert(ACCEPT, HeaderValue::from_static("application/vnd.github+json"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(USER_AGENT, HeaderValue::from_static("remit"));
    headers.insert(HeaderName::from_static("x-github-api-version"), HeaderValue::from_static(API_VERSION));
    Ok(request)
}

/// What an answer means for whoever set this up; its body may repeat what was sent, so it is not shown.
fn refused(form: &Form, status: u16) -> String {
    let why = match (form, status) {
        (Form::GitHub { .. }, 401) => ": the token is not valid",
        (Form::GitHub { .. }, 403 | 404) => {
            ": the token may not write issues there, or there is no such repository"
        }
        (Form::GitHub { .. }, 410) => ": the repository has no issues",
        (Form::GitHub { .. }, 422) => ": it does not take this issue; are the labels known?",
        (_, 300..=399) => ": it leads elsewhere, and that is not followed",
        _ => "",
    };
    format!("it answered {status}{why}")
}

fn issue_url(answer: &[u8]) -> Option<String> {
    let answer: Value = serde_json::from_slice(answer).ok()?;
    let url = answer.get("html_url")?.as_str()?;
    let plain = url.len() <= URL_BYTES_MAX && url.chars().all(|letter| letter.is_ascii_graphic());
    (plain && (url.starts_with("https://") || url.starts_with("http://"))).then(|| url.to_owned())
}

#[cfg(test)]
mod tests;
