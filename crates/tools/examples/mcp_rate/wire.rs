//! HTTP/1.1 by hand over kept connections: the load must cost little beside what it measures.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

static CALLS: AtomicU64 = AtomicU64::new(0);

/// What comes over one connection, message by message.
#[derive(Default)]
pub struct Incoming {
    read: Vec<u8>,
    /// How much of it was given out already.
    taken: usize,
}

pub struct Message<'m> {
    pub head: &'m [u8],
    pub body: &'m [u8],
}

impl Incoming {
    /// The next message, once all of it is there; none when the other end has closed.
    pub async fn next(&mut self, stream: &mut TcpStream) -> Option<Message<'_>> {
        self.read.drain(..self.taken);
        self.taken = 0;
        let (mut body, mut end) = (0, usize::MAX);
        loop {
            if end == usize::MAX
                && let Some((start, length)) = framed(&self.read)
            {
                (body, end) = (start, start + length);
            }
            if self.read.len() >= end {
                break;
            }
            if stream.read_buf(&mut self.read).await.unwrap_or(0) == 0 {
                return None;
            }
        }
        self.taken = end;
        Some(Message { head: &self.read[..body], body: &self.read[body..end] })
    }
}

/// Where the body starts, and how long it is.
fn framed(read: &[u8]) -> Option<(usize, usize)> {
    let body = find(read, b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(&read[..body]).to_ascii_lowercase();
    let length =
        head.split("content-length: ").nth(1).and_then(|rest| rest.split("\r\n").next()?.parse().ok());
    Some((body, length.unwrap_or(0)))
}

/// Digits of the number that tells one call from another: always so many, so that no length changes with it.
const DIGITS: usize = 12;
const PLACE: [u8; DIGITS] = *b"0number00000";

/// A request that was written once, and where its number goes.
struct Written {
    bytes: Vec<u8>,
    number: usize,
}

/// One client with its own connection.
pub struct Line {
    stream: TcpStream,
    incoming: Incoming,
    host: SocketAddr,
    path: String,
    key: String,
    era: &'static str,
    session: String,
    /// By tool and size: what a client spends on writing JSON is no cost of what is measured.
    written: HashMap<(String, usize), Written>,
}

impl Line {
    /// A client of an era, in a session where that has sessions.
    pub async fn connect(host: SocketAddr, path: &str, key: &str, era: &'static str) -> Line {
        let stream = TcpStream::connect(host).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (path, key, session) = (path.to_owned(), key.to_owned(), String::new());
        let (incoming, written) = Default::default();
        let mut line = Line { stream, incoming, host, path, key, era, session, written };
        if era != "2026-07-28" {
            let params = json!({ "protocolVersion": era, "capabilities": {},
                "clientInfo": { "name": "load", "version": "1" } });
            let body =
                json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params }).to_string();
            line.post("", &body).await;
            let head = String::from_utf8_lossy(line.incoming.head()).to_ascii_lowercase();
            let session = head.split("mcp-session-id: ").nth(1).and_then(|rest| rest.split("\r\n").next());
            line.session = format!("mcp-session-id: {}\r\n", session.unwrap());
            let told = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
            line.post("", told).await;
        }
        line
    }

    /// One call of a tool; the body of its answer.
    pub async fn call(&mut self, tool: &str, bytes: usize) -> &[u8] {
        let key = (tool.to_owned(), bytes);
        if !self.written.contains_key(&key) {
            let note = format!("customer {} waits", std::str::from_utf8(&PLACE).unwrap());
            let arguments = json!({ "bytes": bytes, "note": note, "to": "ada@customers.example" });
            let params = json!({ "name": tool, "arguments": arguments });
            let request = self.request("tools/call", params, &format!("mcp-name: {tool}\r\n"));
            let number = find(&request, &PLACE).unwrap();
            self.written.insert(key.clone(), Written { bytes: request, number });
        }
        let Line { stream, incoming, written, .. } = self;
        let Written { bytes, number } = written.get_mut(&key).unwrap();
        // No two calls are the same: what repeats itself is taken for going in circles.
        let mut rest = CALLS.fetch_add(1, Ordering::Relaxed);
        for digit in bytes[*number..*number + DIGITS].iter_mut().rev() {
            *digit = b'0' + u8::try_from(rest % 10).unwrap();
            rest /= 10;
        }
        stream.write_all(bytes).await.unwrap();
        answered(incoming, stream).await
    }

    pub async fn list(&mut self) -> &[u8] {
        self.ask("tools/list", json!({}), "").await
    }

    async fn ask(&mut self, method: &str, params: serde_json::Value, name: &str) -> &[u8] {
        let request = self.request(method, params, name);
        self.stream.write_all(&request).await.unwrap();
        answered(&mut self.incoming, &mut self.stream).await
    }

    fn request(&self, method: &str, mut params: serde_json::Value, name: &str) -> Vec<u8> {
        let mut more = String::new();
        if self.session.is_empty() {
            params["_meta"] = json!({ "io.modelcontextprotocol/protocolVersion": self.era,
                "io.modelcontextprotocol/clientCapabilities": {} });
            more = format!("mcp-method: {method}\r\n{name}");
        }
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string();
        self.framed(&more, &body)
    }

    async fn post(&mut self, more: &str, body: &str) -> &[u8] {
        let request = self.framed(more, body);
        self.stream.write_all(&request).await.unwrap();
        answered(&mut self.incoming, &mut self.stream).await
    }

    fn framed(&self, more: &str, body: &str) -> Vec<u8> {
        let Line { host, path, key, era, session, .. } = self;
        format!(
            "POST {path} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {key}\r\naccept: application/json\r\n\
             mcp-protocol-version: {era}\r\n{session}{more}content-type: application/json\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len(),
        )
        .into_bytes()
    }
}

async fn answered<'i>(incoming: &'i mut Incoming, stream: &mut TcpStream) -> &'i [u8] {
    let message = incoming.next(stream).await.expect("an answer");
    let fine = message.head.starts_with(b"HTTP/1.1 20");
    assert!(fine, "not an answer: {}", String::from_utf8_lossy(message.body));
    message.body
}

impl Incoming {
    /// Of the message that was given out last.
    fn head(&self) -> &[u8] {
        let end = find(&self.read, b"\r\n\r\n").map_or(0, |end| end + 4);
        &self.read[..end]
    }
}

pub fn find(within: &[u8], what: &[u8]) -> Option<usize> {
    within.windows(what.len()).position(|window| window == what)
}
