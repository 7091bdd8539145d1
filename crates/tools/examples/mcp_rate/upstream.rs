//! A fast MCP server of either era, by hand: what it costs must be little beside what is measured.

use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

use crate::wire::{Incoming, find};

/// What it offers, in the words it is asked for them.
struct Offer {
    era: &'static str,
    tools: Value,
}

/// Listens from now on, with so many tools.
pub async fn start(era: &'static str, tools: usize) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let tools: Vec<Value> = (0..tools).map(tool).collect();
    let offer = Arc::new(Offer { era, tools: tools.into() });
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let _ = stream.set_nodelay(true);
            tokio::spawn(talk(stream, offer.clone()));
        }
    });
    address
}

pub fn name(number: usize) -> String {
    format!("read_{number}")
}

fn tool(number: usize) -> Value {
    let to = json!({ "type": "string", "pattern": "^[^@]+@[^@]+$" });
    let properties =
        json!({ "bytes": { "type": "integer", "minimum": 0 }, "note": { "type": "string" }, "to": to });
    json!({ "name": name(number), "description": "Gives back as many bytes as it is asked for.",
        "inputSchema": { "type": "object", "required": ["bytes", "note", "to"], "properties": properties,
            "additionalProperties": false } })
}

async fn talk(mut stream: TcpStream, offer: Arc<Offer>) {
    let mut incoming = Incoming::default();
    while let Some(message) = incoming.next(&mut stream).await {
        if let Some(answer) = quickly(message.body) {
            if stream.write_all(&answer).await.is_err() {
                return;
            }
            continue;
        }
        let Ok(body) = serde_json::from_slice::<Value>(message.body) else {
            // A GET or a DELETE of the older era: there is no stream, and nothing to end.
            let _ = stream.write_all(b"HTTP/1.1 405 Not Allowed\r\ncontent-length: 0\r\n\r\n").await;
            continue;
        };
        if stream.write_all(&offer.answer(&body)).await.is_err() {
            return;
        }
    }
}

/// A call of a tool, answered without reading all of it: what a server spends on reading JSON is no cost of what is
/// measured. Numbers stand behind their names, as the writers of JSON here write them.
fn quickly(asked: &[u8]) -> Option<Vec<u8>> {
    find(asked, b"\"method\":\"tools/call\"")?;
    let id = number(asked, b"\"id\":")?;
    let bytes: usize = number(asked, b"\"bytes\":")?.parse().ok()?;
    let note = &asked[find(asked, b"\"note\":\"")? + 8..];
    let note = std::str::from_utf8(&note[..find(note, b"\"")?]).ok()?;
    let head = format!(
        "{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{{\"content\":[{{\"type\":\"text\",\"text\":\"{note}"
    );
    let tail = "\"}],\"resultType\":\"complete\"}}";
    let length = head.len() + bytes + tail.len();
    let mut answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{head}"
    )
    .into_bytes();
    answer.resize(answer.len() + bytes, b'x');
    answer.extend_from_slice(tail.as_bytes());
    Some(answer)
}

fn number<'a>(asked: &'a [u8], name: &[u8]) -> Option<&'a str> {
    let rest = &asked[find(asked, name)? + name.len()..];
    let end = rest.iter().position(|byte| !byte.is_ascii_digit())?;
    std::str::from_utf8(&rest[..end]).ok().filter(|digits| !digits.is_empty())
}

impl Offer {
    fn answer(&self, asked: &Value) -> Vec<u8> {
        let is_new = self.era == "2026-07-28";
        let about = json!({ "tools": {} });
        let result = match (asked["method"].as_str().unwrap_or_default(), is_new) {
            ("tools/call", _) => called(&asked["params"]["arguments"]),
            ("tools/list", _) => json!({ "tools": self.tools, "resultType": "complete", "ttlMs": 3_600_000,
                "cacheScope": "public" }),
            ("server/discover", true) => json!({ "supportedVersions": [self.era], "capabilities": about,
                "resultType": "complete", "ttlMs": 3_600_000, "cacheScope": "public" }),
            ("initialize", false) => json!({ "protocolVersion": self.era, "capabilities": about,
                "serverInfo": { "name": "upstream", "version": "1" } }),
            _ if asked.get("id").is_none() => {
                return b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n".to_vec();
            }
            _ => {
                let error = json!({ "code": -32601, "message": "there is no such method" });
                let body = json!({ "jsonrpc": "2.0", "id": asked["id"], "error": error }).to_string();
                return framed("404 Not Found", "", &body);
            }
        };
        let session = if asked["method"] == "initialize" { "mcp-session-id: one\r\n" } else { "" };
        framed(
            "200 OK",
            session,
            &json!({ "jsonrpc": "2.0", "id": asked["id"], "result": result }).to_string(),
        )
    }
}

fn called(arguments: &Value) -> Value {
    let bytes = usize::try_from(arguments["bytes"].as_u64().unwrap_or_default()).unwrap();
    let text = arguments["note"].as_str().unwrap_or_default().to_owned() + &"x".repeat(bytes);
    json!({ "content": [{ "type": "text", "text": text }], "resultType": "complete" })
}

fn framed(status: &str, more: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\n{more}content-length: {length}\r\n\r\n"
    );
    (head + body).into_bytes()
}

/// Whether an answer is what `called` gives.
pub fn is_called(answer: &[u8]) -> bool {
    find(answer, b"\"content\":[{").is_some() && find(answer, b"\"isError\":true").is_none()
}
