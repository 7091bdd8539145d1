//! A server of our own over HTTP, of either era, that misbehaves by the name of the tool that is called.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use crate::mcp::era::Version;

pub(super) const TOOLS: [&str; 27] = [
    "ok",
    "tool_error",
    "rpc_error",
    "slow",
    "silent",
    "endless",
    "malformed",
    "duplicate",
    "wrong_id",
    "huge",
    "cut",
    "hang_up",
    "asks",
    "progress",
    "resume",
    "broken",
    "refused",
    "redirect",
    "no_answer",
    "wants",
    "echo",
    "text",
    "task",
    "task_error",
    "task_lost",
    "task_forever",
    "task_wants",
];

#[derive(Clone, Debug)]
pub(super) struct Heard {
    pub(super) method: String,
    pub(super) head: String,
    pub(super) body: Value,
}

pub(super) struct Fake {
    pub(super) address: SocketAddr,
    state: Arc<State>,
}

struct State {
    version: Version,
    heard: Mutex<Vec<Heard>>,
    session: Mutex<u32>,
    description: Mutex<&'static str>,
    lists: Mutex<Option<u16>>,
    streams: Notify,
}

impl Fake {
    pub(super) async fn start(version: Version) -> Fake {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State {
            version,
            heard: Mutex::default(),
            session: Mutex::new(1),
            description: Mutex::new("does as it is named"),
            lists: Mutex::new(None),
            streams: Notify::new(),
        });
        let shared = state.clone();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(talk(socket, shared.clone()));
            }
        });
        Fake { address, state }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/mcp", self.address)
    }

    pub(super) fn heard(&self) -> Vec<Heard> {
        self.state.heard.lock().unwrap().clone()
    }

    pub(super) fn count(&self, method: &str) -> usize {
        self.heard().iter().filter(|heard| heard.body["method"] == method).count()
    }

    pub(super) fn last(&self, method: &str) -> Heard {
        self.heard().into_iter().rev().find(|heard| heard.body["method"] == method).unwrap()
    }

    /// Forgets its session, as after a restart; how it says so differs between SDKs.
    pub(super) fn forget_session(&self) {
        *self.state.session.lock().unwrap() += 1;
    }

    /// Describes its tools in other words from now on, and says that they changed.
    pub(super) fn change_tools(&self, description: &'static str) {
        *self.state.description.lock().unwrap() = description;
        self.state.streams.notify_waiters();
    }

    pub(super) fn refuse_lists(&self, status: Option<u16>) {
        *self.state.lists.lock().unwrap() = status;
    }
}

async fn talk(mut socket: TcpStream, state: Arc<State>) {
    while let Some((head, body)) = read_request(&mut socket).await {
        let method = head.split(' ').next().unwrap_or_default().to_owned();
        let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
        let heard = Heard { method, head, body };
        state.heard.lock().unwrap().push(heard.clone());
        let answered = match heard.method.as_str() {
            "GET" => get(&mut socket, &state, &heard).await,
            "POST" => post(&mut socket, &state, &heard).await,
            _ => status(&mut socket, "200 OK", "").await,
        };
        if answered.is_none() {
            return;
        }
    }
}

async fn read_request(socket: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
            let body = &bytes[end + 4..];
            if body.len() >= length.unwrap_or(0) {
                return Some((String::from_utf8_lossy(&bytes[..end]).into_owned(), body.to_vec()));
            }
        }
        let mut chunk = [0; 4096];
        match socket.read(&mut chunk).await {
            Ok(0) | Err(_) => return None,
            Ok(length) => bytes.extend_from_slice(&chunk[..length]),
        }
    }
}

impl Heard {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let line = self.head.lines().find(|line| line.to_lowercase().starts_with(&format!("{name}: ")))?;
        line.split_once(": ").map(|(_, value)| value)
    }
}

impl State {
    fn session(&self) -> String {
        format!("session-{}", self.session.lock().unwrap())
    }

    fn knows(&self, heard: &Heard) -> bool {
        self.version.is_stateless() || heard.header("mcp-session-id") == Some(&self.session())
    }
}

/// `None` ends the connection.
async fn get(socket: &mut TcpStream, state: &State, heard: &Heard) -> Option<()> {
    if state.version.is_stateless() || !state.knows(heard) {
        return status(socket, "405 Method Not Allowed", "").await;
    }
    stream_head(socket).await?;
    if heard.header("last-event-id") == Some("resume-1") {
        let id =
            state.heard.lock().unwrap().iter().rev().find_map(|heard| {
                (heard.body["params"]["name"] == "resume").then(|| heard.body["id"].clone())
            });
        event(socket, &result(&id.unwrap(), json!({ "content": [], "resumed": true }))).await?;
        return None;
    }
    loop {
        state.streams.notified().await;
        event(socket, &json!({ "jsonrpc": "2.0", "method": "notifications/tools/list_changed" })).await?;
    }
}

async fn post(socket: &mut TcpStream, state: &State, heard: &Heard) -> Option<()> {
    let (id, params) = (&heard.body["id"], &heard.body["params"]);
    let method = heard.body["method"].as_str().unwrap_or_default();
    if id.is_null() || method.is_empty() {
        return status(socket, "202 Accepted", "").await;
    }
    let stateless = state.version.is_stateless();
    let said = json!({ "name": "fake", "version": "1" });
    let capabilities = json!({ "tools": { "listChanged": true }, "resources": { "subscribe": true } });
    match method {
        "server/discover" if stateless => {
            let result_of = json!({
                "supportedVersions": [state.version.text()], "capabilities": capabilities, "resultType": "complete",
                "ttlMs": 0, "cacheScope": "private", "_meta": { "io.modelcontextprotocol/serverInfo": said },
            });
            return answer(socket, &result(id, result_of)).await;
        }
        "initialize" if !stateless => {
            let result_of = json!({
                "protocolVersion": state.version.text(), "capabilities": capabilities, "serverInfo": said,
            });
            let body = result(id, result_of).to_string();
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nmcp-session-id: {}\r\ncontent-length: {}\r\n\r\n",
                state.session(),
                body.len()
            );
            return raw(socket, &(head + &body)).await;
        }
        "initialize" | "server/discover" => {
            return status(socket, "400 Bad Request", &refusal(id, -32000, "Bad Request: no such thing"))
                .await;
        }
        _ => {}
    }
    if !state.knows(heard) {
        let word = if state.version == Version::V2025_06_18 { "400 Bad Request" } else { "404 Not Found" };
        return status(socket, word, &refusal(id, -32000, "no valid session")).await;
    }
    match method {
        "tools/list" => {
            let refused = *state.lists.lock().unwrap();
            if let Some(code) = refused {
                return status(socket, &format!("{code} No"), "").await;
            }
            answer(socket, &result(id, json!({ "tools": tools(*state.description.lock().unwrap()) }))).await
        }
        "resources/subscribe" | "resources/unsubscribe" if !stateless => {
            answer(socket, &result(id, json!({}))).await
        }
        "resources/list" => answer(socket, &result(id, json!({ "resources": [{ "uri": "a:b" }] }))).await,
        "resources/read" => {
            let text = json!({ "uri": params["uri"], "text": "hello" });
            answer(socket, &result(id, json!({ "contents": [text] }))).await
        }
        "subscriptions/listen" => {
            stream_head(socket).await?;
            loop {
                state.streams.notified().await;
                event(socket, &json!({ "jsonrpc": "2.0", "method": "notifications/tools/list_changed" }))
                    .await?;
            }
        }
        "tools/call" => match params["name"].as_str().unwrap_or_default() {
            // Until 2025-11-25 a task is asked for.
            name if name.starts_with("task") && (stateless || params["task"].is_object()) => {
                let working = task(stateless, name, "working", json!({}));
                let task = if stateless { working } else { json!({ "task": working }) };
                let kind = if stateless { json!({ "resultType": "task" }) } else { json!({}) };
                answer(socket, &result(id, merged(task, &kind))).await
            }
            _ => misbehave(socket, state, heard).await,
        },
        "tasks/get" => answer(socket, &about_task(id, state, params)).await,
        "tasks/result" if params["taskId"] == "task_error" => {
            answer_text(socket, &refusal(id, -32603, "sorry")).await
        }
        "tasks/result" => answer(socket, &result(id, json!({ "content": [], "n": 2 }))).await,
        "tasks/cancel" | "tasks/update" => answer(socket, &result(id, json!({}))).await,
        _ => status(socket, "404 Not Found", &refusal(id, -32601, "no such method")).await,
    }
}

/// Over at the third look; what it then came to is in its name.
fn about_task(id: &Value, state: &State, params: &Value) -> Value {
    let stateless = state.version.is_stateless();
    let name = params["taskId"].as_str().unwrap_or_default();
    let heard = state.heard.lock().unwrap();
    let count = |method: &str| heard.iter().filter(|heard| heard.body["method"] == method).count();
    let told = count("tasks/update") > 0;
    let (status, more) = match name {
        "task_lost" => return serde_json::from_str(&refusal(id, -32602, "Task not found")).unwrap(),
        "task_wants" if !told => {
            let asks = json!({ "method": "sampling/createMessage", "params": { "n": 1 } });
            ("input_required", json!({ "inputRequests": { "one": asks } }))
        }
        "task_forever" => ("working", json!({})),
        _ if count("tasks/get") < 3 => ("working", json!({})),
        "task_error" => ("failed", json!({ "error": { "code": -32603, "message": "sorry" } })),
        _ => ("completed", json!({ "result": { "content": [], "n": 2 } })),
    };
    let more = if stateless || status == "input_required" { more } else { json!({}) };
    result(id, merged(task(stateless, name, status, more), &json!({ "resultType": "complete" })))
}

fn task(stateless: bool, name: &str, status: &str, more: Value) -> Value {
    let (ttl, poll) = if stateless { ("ttlMs", "pollIntervalMs") } else { ("ttl", "pollInterval") };
    let at = "2026-11-21T12:00:00Z";
    let task = json!({ "taskId": name, "status": status, "createdAt": at, "lastUpdatedAt": at, ttl: 60_000, poll: 50 });
    merged(task, &more)
}

fn merged(mut one: Value, other: &Value) -> Value {
    one.as_object_mut().unwrap().extend(other.as_object().unwrap().clone());
    one
}

fn tools(description: &str) -> Vec<Value> {
    let marked = json!({ "type": "object", "properties": {
        "text": { "type": "string" }, "region": { "type": "string", "x-mcp-header": "Region" },
    }});
    TOOLS
        .iter()
        .map(|name| json!({ "name": name, "description": description, "inputSchema": marked }))
        .collect()
}

async fn misbehave(socket: &mut TcpStream, state: &State, heard: &Heard) -> Option<()> {
    let (id, params) = (&heard.body["id"], &heard.body["params"]);
    match params["name"].as_str().unwrap_or_default() {
        "ok" => answer(socket, &result(id, json!({ "content": [], "n": 1 }))).await,
        "echo" => answer(socket, &result(id, json!({ "head": heard.head, "params": params }))).await,
        "text" => {
            raw(socket, "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n\r\nok").await
        }
        "tool_error" => answer(socket, &result(id, json!({ "content": [], "isError": true }))).await,
        "rpc_error" => answer_text(socket, &refusal(id, -32603, "sorry")).await,
        "wants" => {
            let wanted = json!({ "resultType": "input_required", "inputRequests": {}, "requestState": "s" });
            answer(socket, &result(id, wanted)).await
        }
        "slow" => std::future::pending().await,
        "silent" => {
            stream_head(socket).await?;
            std::future::pending().await
        }
        "endless" => {
            stream_head(socket).await?;
            let still_here = format!(": {}\n", "x".repeat(50_000));
            loop {
                raw(socket, &still_here).await?;
            }
        }
        "malformed" => answer_text(socket, "{\"jsonrpc\":").await,
        "duplicate" => {
            answer_text(socket, &format!(r#"{{"jsonrpc":"2.0","id":{id},"id":1,"result":{{}}}}"#)).await
        }
        "wrong_id" => answer(socket, &result(&json!(999_999), json!({ "content": [] }))).await,
        "huge" => {
            let head =
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 99999999999\r\n\r\n{";
            raw(socket, head).await
        }
        "cut" => {
            raw(socket, "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{")
                .await?;
            None
        }
        "hang_up" => None,
        "broken" => status(socket, "500 Oops", &refusal(id, -32603, "stack trace")).await,
        "refused" => status(socket, "403 Forbidden", "not you").await,
        "redirect" => raw(socket, "HTTP/1.1 307 Go\r\nlocation: /else\r\ncontent-length: 0\r\n\r\n").await,
        "no_answer" => status(socket, "202 Accepted", "").await,
        "progress" => {
            stream_head(socket).await?;
            let token = &params["_meta"]["progressToken"];
            for (token, progress) in [(token, 1), (&json!(12_345), 2), (token, 3)] {
                let told = json!({ "progressToken": token, "progress": progress });
                let word = json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": told });
                event(socket, &word).await?;
            }
            event(socket, &result(id, json!({ "content": [] }))).await?;
            None
        }
        "resume" => {
            stream_head(socket).await?;
            raw(socket, "id: resume-1\nretry: 20\ndata:\n\n").await?;
            None
        }
        "asks" => {
            stream_head(socket).await?;
            let asks =
                json!({ "jsonrpc": "2.0", "id": "q", "method": "sampling/createMessage", "params": {} });
            event(socket, &asks).await?;
            event(socket, &json!({ "jsonrpc": "2.0", "id": "p", "method": "ping" })).await?;
            let replies = || {
                let heard = state.heard.lock().unwrap();
                let of = |id: &str| {
                    heard.iter().find(|heard| heard.body["id"] == id).map(|heard| heard.body.clone())
                };
                Some(json!({ "asked": of("q")?, "pinged": of("p")? }))
            };
            for _ in 0..300 {
                tokio::time::sleep(Duration::from_millis(10)).await;
                if let Some(replies) = replies() {
                    event(socket, &result(id, replies)).await?;
                    return None;
                }
            }
            event(socket, &result(id, json!({ "asked": null }))).await?;
            None
        }
        other => panic!("no trick `{other}`"),
    }
}

fn result(id: &Value, result: Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "result": result })
}

fn refusal(id: &Value, code: i64, message: &str) -> String {
    json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code, "message": message } }).to_string()
}

async fn answer(socket: &mut TcpStream, message: &Value) -> Option<()> {
    answer_text(socket, &message.to_string()).await
}

async fn answer_text(socket: &mut TcpStream, text: &str) -> Option<()> {
    status(socket, "200 OK", text).await
}

async fn status(socket: &mut TcpStream, status: &str, body: &str) -> Option<()> {
    let length = body.len();
    let head =
        format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n");
    raw(socket, &(head + body)).await
}

async fn stream_head(socket: &mut TcpStream) -> Option<()> {
    raw(socket, "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n").await
}

async fn event(socket: &mut TcpStream, message: &Value) -> Option<()> {
    raw(socket, &format!("event: message\ndata: {message}\n\n")).await
}

async fn raw(socket: &mut TcpStream, text: &str) -> Option<()> {
    socket.write_all(text.as_bytes()).await.ok()
}
