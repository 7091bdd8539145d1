//! A tool server that misbehaves on request: the path names the trick, and it writes raw HTTP.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

pub(super) struct Hostile {
    pub(super) address: SocketAddr,
    /// Every request it was sent, head and body.
    heard: Arc<Mutex<Vec<String>>>,
    connections: Arc<AtomicUsize>,
}

impl Hostile {
    pub(super) async fn start() -> Hostile {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let connections = Arc::new(AtomicUsize::new(0));
        let (notes, count) = (Arc::clone(&heard), Arc::clone(&connections));
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(talk(socket, Arc::clone(&notes)));
            }
        });
        Hostile { address, heard, connections }
    }

    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    pub(super) fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }
}

async fn talk(mut socket: TcpStream, notes: Arc<Mutex<Vec<String>>>) {
    while let Some(request) = read_request(&mut socket).await {
        notes.lock().unwrap().push(request.clone());
        if misbehave(&mut socket, &request).await.is_none() {
            return;
        }
    }
}

async fn read_request(socket: &mut TcpStream) -> Option<String> {
    let mut text = String::new();
    loop {
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                return Some(text);
            }
        }
        let mut chunk = [0; 4096];
        match socket.read(&mut chunk).await {
            Ok(0) | Err(_) => return None,
            Ok(n) => text.push_str(&String::from_utf8_lossy(&chunk[..n])),
        }
    }
}

/// `None` ends the connection.
async fn misbehave(socket: &mut TcpStream, request: &str) -> Option<()> {
    let path = request.split(' ').nth(1)?;
    let header = |name: &str| {
        let line = request.lines().find(|line| line.to_lowercase().starts_with(name))?;
        line.split_once(": ").map(|(_, value)| value.to_owned())
    };
    match path {
        "/ok" => answer(socket, "200 OK", r#"{"b": 1, "a": [true]}"#).await,
        "/redirect" => raw(socket, "HTTP/1.1 307 Go\r\nlocation: /ok\r\ncontent-length: 0\r\n\r\n").await,
        "/huge" => raw(socket, "HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n[").await,
        "/endless" => {
            raw(socket, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await?;
            loop {
                raw(socket, "8\r\n[[[[[[[[\r\n").await?;
            }
        }
        "/endless_head" => {
            raw(socket, "HTTP/1.1 200 OK\r\n").await?;
            loop {
                raw(socket, "x-more: and more\r\n").await?;
            }
        }
        "/slow" => std::future::pending().await,
        "/drip" => {
            raw(socket, "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n").await?;
            loop {
                raw(socket, " ").await?;
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        }
        "/malformed" => answer(socket, "200 OK", "{'a': 1}").await,
        "/duplicate" => answer(socket, "200 OK", r#"{"a":1,"a":2}"#).await,
        "/missing" => answer(socket, "404 Not Found", r#"{"error": "no such charge"}"#).await,
        "/broken" => answer(socket, "500 Oops", "stack trace").await,
        "/cut" => {
            raw(socket, "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{\"a\":").await?;
            None
        }
        "/hang_up" => None,
        "/nonsense" => raw(socket, "220 smtp.example.com ESMTP\r\n").await.and(None),
        "/echo" => {
            let secret = header("authorization")?;
            let escaped: String = secret.chars().map(|c| format!("\\u{:04x}", u32::from(c))).collect();
            answer(socket, "200 OK", &format!(r#"{{"heard":"{secret}","{secret}":"{escaped}"}}"#)).await
        }
        "/echo_error" => answer(socket, "403 No", &format!("bad key {}", header("authorization")?)).await,
        _ => answer(socket, "404 Not Found", "?").await,
    }
}

async fn answer(socket: &mut TcpStream, status: &str, body: &str) -> Option<()> {
    raw(socket, &format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len())).await
}

async fn raw(socket: &mut TcpStream, text: &str) -> Option<()> {
    socket.write_all(text.as_bytes()).await.ok()
}
