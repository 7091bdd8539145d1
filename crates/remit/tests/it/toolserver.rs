//! A tool server in the test's own process. It trusts nobody and writes down what was really done to it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use futures_util::StreamExt;
use serde_json::{Value, json};

/// A charge of this name gets half an answer, and then nothing for ever.
pub const HALF: &str = "ch_half";
/// A charge of this name gets no answer at all.
pub const SILENT: &str = "ch_silent";
/// A charge of this name is refused: nothing was given back.
pub const REFUSED: &str = "ch_refused";
/// A ticket of this name makes the tool server tell the secret that it was shown.
pub const TELLS: &str = "T-tells";

#[derive(Clone, Debug)]
pub struct Deed {
    pub tool: String,
    /// The call that Remit says this is.
    pub call: String,
    pub bearer: String,
    pub args: Value,
}

#[derive(Clone, Default)]
pub struct ToolServer {
    deeds: Arc<Mutex<Vec<Deed>>>,
    pub address: Option<SocketAddr>,
}

impl ToolServer {
    pub async fn start() -> ToolServer {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = ToolServer { address: Some(listener.local_addr().unwrap()), ..ToolServer::default() };
        let router = Router::new().route("/{tool}", post(answer)).with_state(server.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        server
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address.unwrap())
    }

    pub fn deeds(&self) -> Vec<Deed> {
        self.deeds.lock().unwrap().clone()
    }

    pub fn done(&self, tool: &str) -> usize {
        self.deeds().iter().filter(|deed| deed.tool == tool).count()
    }

    /// Waits until `count` deeds were done.
    pub async fn reached(&self, count: usize) {
        for _ in 0..500 {
            if self.deeds().len() >= count {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the tool server saw {} deeds, not {count}", self.deeds().len());
    }
}

async fn answer(
    State(server): State<ToolServer>,
    Path(tool): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let header = |name: &str| headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
    let Ok(args) = serde_json::from_slice::<Value>(&body) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let charge = args["charge_id"].as_str().unwrap_or_default().to_owned();
    let told = (args["ticket_id"] == TELLS).then(|| header("authorization"));
    let is_model = tool == "summarise";
    let deed = Deed { tool, call: header("remit-call"), bearer: header("authorization"), args };
    server.deeds.lock().unwrap().push(deed);
    match charge.as_str() {
        SILENT => std::future::pending().await,
        REFUSED => StatusCode::CONFLICT.into_response(),
        _ if is_model => Json(json!({ "usage": { "in": 70, "out": 30, "cached": 5 } })).into_response(),
        HALF => {
            let half =
                futures_util::stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(b"{\"refund_id\":"))]);
            let body = Body::from_stream(half.chain(futures_util::stream::pending()));
            ([("content-type", "application/json")], body).into_response()
        }
        _ => Json(json!({ "status": "done", "told": told.as_deref().unwrap_or("nothing") })).into_response(),
    }
}
