//! HTTP/1.1 by hand over kept connections: the load must cost little beside what it measures.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Parcels asked about so far.
static PARCELS: AtomicU64 = AtomicU64::new(0);

pub struct Request {
    bytes: Vec<u8>,
    /// What an answer must hold to count.
    expects: &'static [u8],
}

impl Request {
    pub fn health() -> Request {
        let bytes = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".to_vec();
        Request { bytes, expects: b"\"ok\":true" }
    }

    /// A call of a tool that never answers, which a halt cuts.
    pub fn halted(key: &str, token: &str) -> Request {
        let parcel = PARCELS.fetch_add(1, Ordering::Relaxed);
        let body = format!(
            r#"{{"tool":"crm.tool_0","args":{{"cents":4900,"note":"a refund for parcel {parcel:08}"}},"#
        ) + r#""reason":"it waits"}"#;
        let run = format!("Remit-Run: {token}\r\n");
        Request::post("/v1/calls", key, &run, &body, b"\"trouble\":\"halted\"")
    }

    pub fn halt(operator: &str) -> Request {
        let body = r#"{"scope":"tool:crm.tool_0","why":"to be measured"}"#;
        Request::post("/v1/halts", operator, "", body, b"\"in_flight\":64")
    }

    pub fn resume(operator: &str) -> Request {
        let path = "/v1/halts?scope=tool%3Acrm.tool_0&why=measured";
        let text = format!(
            "DELETE {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {operator}\r\n\
             Content-Length: 0\r\n\r\n",
        );
        Request { bytes: text.into_bytes(), expects: b"\"receipt\"" }
    }

    pub fn open(key: &str) -> Request {
        Request::post("/v1/runs", key, "", "{}", b"\"token\":\"rt_")
    }

    pub fn decide(key: &str, token: &str, n: usize) -> Request {
        // No two alike: a run that repeats itself is stopped.
        let parcel = PARCELS.fetch_add(1, Ordering::Relaxed);
        let body = format!(
            r#"{{"tool":"crm.tool_{}","args":{{"cents":{},"note":"a refund for parcel {parcel:08}, never seen"}},"#,
            n % 4,
            4_900 + n % 100,
        ) + r#""reason":"the customer waited for three weeks","model":"some-model","context_tokens":12000}"#;
        let run = format!("Remit-Run: {token}\r\n");
        Request::post("/v1/decisions", key, &run, &body, b"\"ruling\":\"allow\"")
    }

    fn post(path: &str, key: &str, more: &str, body: &str, expects: &'static [u8]) -> Request {
        let text = format!(
            "POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {key}\r\n{more}\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len(),
        );
        Request { bytes: text.into_bytes(), expects }
    }
}

/// One kept connection.
pub struct Line {
    stream: TcpStream,
    answer: Vec<u8>,
}

impl Line {
    pub async fn connect(to: SocketAddr) -> Line {
        let stream = TcpStream::connect(to).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Line { stream, answer: Vec::new() }
    }

    /// The body of the answer, which is a 200 and holds what was expected.
    pub async fn ask(&mut self, request: &Request) -> &[u8] {
        self.stream.write_all(&request.bytes).await.unwrap();
        self.answer.clear();
        let body = loop {
            let read = self.stream.read_buf(&mut self.answer).await.unwrap();
            assert!(read > 0, "the connection was closed: {}", String::from_utf8_lossy(&self.answer));
            if let Some(body) = whole(&self.answer) {
                break body;
            }
        };
        let fine = self.answer.starts_with(b"HTTP/1.1 200 ") && find(&self.answer, request.expects).is_some();
        assert!(fine, "not the answer expected: {}", String::from_utf8_lossy(&self.answer));
        &self.answer[body..]
    }
}

/// Where the body starts, once all of it is there.
fn whole(answer: &[u8]) -> Option<usize> {
    let body = find(answer, b"\r\n\r\n")? + 4;
    let head = &answer[..body];
    let length = &head[find(head, b"content-length: ")? + 16..];
    let digits = length.iter().take_while(|byte| byte.is_ascii_digit());
    let length = digits.fold(0, |length, digit| length * 10 + usize::from(digit - b'0'));
    (answer.len() >= body + length).then_some(body)
}

fn find(within: &[u8], what: &[u8]) -> Option<usize> {
    within.windows(what.len()).position(|window| window == what)
}
