//! A place gets what it is for, under its own secret; what goes wrong is said without it.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::to_bytes;
use axum::extract::{Request as Asked, State};
use axum::response::{IntoResponse, Response};

use super::*;

const TOKEN: &str = "ghp_0123456789012345678901234567890123456789";

type Seen = Arc<Mutex<Vec<(String, ::http::HeaderMap, Bytes)>>>;

/// A server that answers as GitHub does where an issue is made, and keeps what it was asked.
async fn server(status: u16) -> (String, Seen) {
    let seen = Seen::default();
    async fn answer(State((seen, status)): State<(Seen, u16)>, asked: Asked) -> Response {
        let (parts, body) = asked.into_parts();
        let line = format!("{} {}", parts.method, parts.uri);
        let body = to_bytes(body, 1 << 20).await.unwrap();
        seen.lock().unwrap().push((line, parts.headers, body));
        let told = json!({ "number": 7, "html_url": "https://github.example/acme/agents/issues/7" });
        (::http::StatusCode::from_u16(status).unwrap(), axum::Json(told)).into_response()
    }
    let routes = Router::new().fallback(answer).with_state((seen.clone(), status));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, routes).await });
    (address, seen)
}

fn report() -> Report {
    Report {
        run: "run_1".to_owned(),
        title: "Incident: desk in run_1".to_owned(),
        summary: "what happened".to_owned(),
        file: Bytes::from_static(br#"{"incident":1}"#),
        now_seconds: 1_700_000_000,
    }
}

fn kept(text: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    std::fs::write(&path, text).unwrap();
    let reference = format!("file:{}", path.display());
    (folder, reference)
}

fn github(api: &str, token: &str) -> Place {
    let form = Form::GitHub {
        api: api.to_owned(),
        repository: "acme/agents".to_owned(),
        token: token.to_owned(),
        labels: vec!["incident".to_owned()],
    };
    Place { name: "tracker".to_owned(), form }
}

#[tokio::test]
async fn an_issue_is_made_as_github_takes_it_and_the_token_goes_nowhere_else() {
    let (address, seen) = server(201).await;
    let (_folder, token) = kept(&format!("{TOKEN}\n"));
    let sender = Sender::new(&[github(&address, &token)]).unwrap();
    let url = sender.send("tracker", &report()).await.unwrap();
    assert_eq!(url.as_deref(), Some("https://github.example/acme/agents/issues/7"));
    let seen = seen.lock().unwrap();
    let (line, headers, body) = &seen[0];
    assert_eq!(line, "POST /repos/acme/agents/issues");
    assert_eq!(headers["authorization"], format!("Bearer {TOKEN}"));
    assert_eq!(headers["accept"], "application/vnd.github+json");
    assert_eq!(headers["x-github-api-version"], API_VERSION);
    assert!(headers.contains_key("user-agent"), "GitHub refuses whoever names no program");
    let told: Value = serde_json::from_slice(body).unwrap();
    let expected =
        json!({ "title": "Incident: desk in run_1", "body": "what happened", "labels": ["incident"] });
    assert_eq!(told, expected);
    let said = format!("{:?} {}", sender.places().next().unwrap(), sender.places().next().unwrap().says());
    assert!(!said.contains(TOKEN), "{said}");
}

#[tokio::test]
async fn what_goes_wrong_is_said_in_words_and_without_the_token() {
    for (status, says) in [(401, "token is not valid"), (404, "no such repository"), (302, "not followed")] {
        let (address, _) = server(status).await;
        let (_folder, token) = kept(TOKEN);
        let sender = Sender::new(&[github(&address, &token)]).unwrap();
        let why = sender.send("tracker", &report()).await.unwrap_err();
        assert!(why.contains(says) && !why.contains(TOKEN), "{why}");
    }
    let sender = Sender::new(&[github("http://127.0.0.1:1", "file:/no/such/token")]).unwrap();
    assert!(sender.send("tracker", &report()).await.unwrap_err().contains("file:/no/such/token"));
    let (_folder, token) = kept(TOKEN);
    let sender = Sender::new(&[github("http://127.0.0.1:1", &token)]).unwrap();
    assert_eq!(sender.send("tracker", &report()).await.unwrap_err(), "it cannot be reached");
    assert!(sender.send("elsewhere", &report()).await.is_err());
}

#[tokio::test]
async fn a_webhook_gets_the_whole_file_signed() {
    let (address, seen) = server(204).await;
    let (_folder, secret) = kept("s3cret");
    let form = Form::Webhook { address: format!("{address}/hook"), secret };
    let sender = Sender::new(&[Place { name: "on-call".to_owned(), form }]).unwrap();
    assert_eq!(sender.send("on-call", &report()).await.unwrap(), None);
    let seen = seen.lock().unwrap();
    let (line, headers, body) = &seen[0];
    assert_eq!(
        (line.as_str(), &body[..]),
        ("POST /hook", &br#"{"type":"incident.reported","data":{"incident":1}}"#[..])
    );
    let id = headers["webhook-id"].to_str().unwrap();
    let expected = webhook::signed_as(id.to_owned(), 1_700_000_000, body, b"s3cret");
    assert_eq!(headers["webhook-signature"], expected["webhook-signature"]);
    assert_eq!(headers["webhook-timestamp"], "1700000000");
}

#[test]
fn only_a_plain_address_is_taken_for_where_an_issue_is() {
    let url = |text: &str| issue_url(json!({ "html_url": text }).to_string().as_bytes());
    assert!(url("https://github.com/a/b/issues/1").is_some());
    for text in ["javascript:alert(1)", "https://x/\u{202e}", "", "https://a b"] {
        assert!(url(text).is_none(), "{text}");
    }
    assert!(issue_url(b"no JSON").is_none());
}
