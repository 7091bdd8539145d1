//! Server-sent events, read within limits.

use std::collections::VecDeque;
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::Incoming;

/// One event; without data it only says its id or how long to wait before coming again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    pub id: Option<String>,
    pub retry_ms: Option<u64>,
    pub data: Vec<u8>,
}

/// How long the end of a stream is waited for when its answer has come.
const END_WAIT: Duration = Duration::from_millis(100);

/// Why no further event comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Closed,
    Cut,
    TooLarge,
}

pub struct Events {
    body: Incoming,
    parser: Parser,
    ready: VecDeque<Event>,
    bytes_left: usize,
}

impl Events {
    /// One event may hold `event_bytes_max`, the whole stream `bytes_max`.
    pub fn new(body: Incoming, event_bytes_max: usize, bytes_max: usize) -> Events {
        Events { body, parser: Parser::new(event_bytes_max), ready: VecDeque::new(), bytes_left: bytes_max }
    }

    pub fn bytes_left(&self) -> usize {
        self.bytes_left
    }

    /// The answer is here. What ends the stream may follow at once, and then its connection can be used again.
    pub fn let_go(mut self) {
        tokio::spawn(async move {
            let ending = async { while let Some(Ok(_)) = self.body.frame().await {} };
            let _ = tokio::time::timeout(END_WAIT, ending).await;
        });
    }

    pub async fn next(&mut self) -> Result<Event, End> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Ok(event);
            }
            let frame = self.body.frame().await.ok_or(End::Closed)?.map_err(|_| End::Cut)?;
            let Ok(chunk) = frame.into_data() else { continue };
            self.bytes_left = self.bytes_left.checked_sub(chunk.len()).ok_or(End::TooLarge)?;
            self.parser.feed(&chunk, &mut self.ready).map_err(|TooLarge| End::TooLarge)?;
        }
    }
}

#[derive(Debug)]
struct TooLarge;

struct Parser {
    line: Vec<u8>,
    event: Event,
    has_data: bool,
    /// Events of other kinds than `message` are not ours.
    is_other: bool,
    after_cr: bool,
    is_first_line: bool,
    event_bytes_max: usize,
}

impl Parser {
    fn new(event_bytes_max: usize) -> Parser {
        Parser {
            line: Vec::new(),
            event: Event::default(),
            has_data: false,
            is_other: false,
            after_cr: false,
            is_first_line: true,
            event_bytes_max,
        }
    }

    fn feed(&mut self, chunk: &[u8], ready: &mut VecDeque<Event>) -> Result<(), TooLarge> {
        let mut rest = chunk;
        if std::mem::take(&mut self.after_cr) {
            // A line may end with both, and a chunk may end between the two.
            if rest.is_empty() {
                self.after_cr = true;
            }
            rest = rest.strip_prefix(b"\n").unwrap_or(rest);
        }
        while let Some(at) = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            let (line, end) = rest.split_at_checked(at).unwrap_or((rest, &[]));
            self.line.extend_from_slice(line);
            rest = end.get(1..).unwrap_or_default();
            if end.first() == Some(&b'\r') {
                self.after_cr = rest.is_empty();
                rest = rest.strip_prefix(b"\n").unwrap_or(rest);
            }
            self.check_size(0)?;
            self.end_line(ready);
        }
        self.check_size(rest.len())?;
        self.line.extend_from_slice(rest);
        Ok(())
    }

    fn check_size(&self, more: usize) -> Result<(), TooLarge> {
        let size = self.line.len() + self.event.data.len() + more;
        if size > self.event_bytes_max.saturating_add(FIELD_BYTES_MAX) { Err(TooLarge) } else { Ok(()) }
    }

    fn end_line(&mut self, ready: &mut VecDeque<Event>) {
        let line = std::mem::take(&mut self.line);
        let mut text = line.as_slice();
        if std::mem::take(&mut self.is_first_line) {
            text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        }
        if text.is_empty() {
            return self.end_event(ready);
        }
        let (name, value) = match text.iter().position(|byte| *byte == b':') {
            Some(at) => {
                let (name, value) = text.split_at_checked(at).unwrap_or((text, &[]));
                let value = value.strip_prefix(b":").unwrap_or(value);
                (name, value.strip_prefix(b" ").unwrap_or(value))
            }
            None => (text, &[] as &[u8]),
        };
        match name {
            b"data" => {
                if std::mem::replace(&mut self.has_data, true) {
                    self.event.data.push(b'\n');
                }
                self.event.data.extend_from_slice(value);
            }
            b"event" => self.is_other = !matches!(value, b"" | b"message"),
            b"id" if value.len() <= FIELD_BYTES_MAX && !value.contains(&0) => {
                self.event.id = String::from_utf8(value.to_vec()).ok();
            }
            b"retry" => self.event.retry_ms = std::str::from_utf8(value).ok().and_then(|ms| ms.parse().ok()),
            _ => {}
        }
    }

    fn end_event(&mut self, ready: &mut VecDeque<Event>) {
        let mut event = std::mem::take(&mut self.event);
        self.has_data = false;
        if std::mem::take(&mut self.is_other) {
            event.data.clear();
        }
        if event != Event::default() {
            ready.push_back(event);
        }
    }
}

/// Room beside the data: a field's name, an event's id.
const FIELD_BYTES_MAX: usize = 1024;

#[cfg(test)]
mod tests;
