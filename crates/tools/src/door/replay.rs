//! Replay: what was told on the streams of one session is kept for a while, so that a client whose connection broke
//! hears the rest. It says with `Last-Event-ID` how far it has heard.
//!
//! What is kept is bounded, and the oldest is forgotten first. A call goes on whether anybody hears of it or not.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::stream::{KEEP_ALIVE, alive};

/// Streams of one session whose words are kept, beside the one that it listens on.
const STREAMS_MAX: usize = 8;
/// Of one stream; its last words are kept until they were written once, however long they are.
const KEPT_BYTES_MAX: usize = 128 * 1024;
/// How long the words of a stream that is over are kept.
const KEPT: Duration = Duration::from_secs(5 * 60);

/// The streams of one session, the oldest first.
#[derive(Default)]
pub(super) struct Replays {
    next: AtomicU64,
    streams: Mutex<VecDeque<Arc<Told>>>,
}

/// What was told on one stream.
pub(super) struct Told {
    number: u64,
    lines: Mutex<Lines>,
    grown: watch::Sender<()>,
}

#[derive(Default)]
struct Lines {
    /// The number of the first that is kept.
    first: u64,
    frames: VecDeque<Bytes>,
    bytes: usize,
    /// Set with the last words.
    over: Option<Instant>,
    /// Which reader is the one: a client that comes again has left its connection before.
    reader: u64,
}

impl Replays {
    /// None: as much is kept as can be. Such a stream cannot be resumed.
    pub(super) fn begin(&self) -> Option<Arc<Told>> {
        let mut streams = self.streams();
        streams.retain(|told| told.lines().over.is_none_or(|over| over.elapsed() < KEPT));
        if streams.len() >= STREAMS_MAX {
            let over = streams.iter().position(|told| told.lines().over.is_some())?;
            streams.remove(over);
        }
        // Number 0 is the stream that the session listens on.
        let told = Arc::new(Told::new(self.next.fetch_add(1, Ordering::Relaxed) + 1));
        streams.push_back(told.clone());
        Some(told)
    }

    pub(super) fn find(&self, number: u64) -> Option<Arc<Told>> {
        self.streams().iter().find(|told| told.number == number).cloned()
    }

    fn streams(&self) -> MutexGuard<'_, VecDeque<Arc<Told>>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Told {
    pub(super) fn new(number: u64) -> Told {
        Told { number, lines: Mutex::default(), grown: watch::channel(()).0 }
    }

    /// Keeps an event, and gives it back as it is written: with its number.
    pub(super) fn push(&self, event: &[u8]) -> Bytes {
        self.keep(event, false)
    }

    /// The last words of the stream.
    pub(super) fn end(&self, event: &[u8]) {
        self.keep(event, true);
    }

    fn keep(&self, event: &[u8], is_last: bool) -> Bytes {
        let mut lines = self.lines();
        let number = lines.first + lines.frames.len() as u64;
        let frame = Bytes::from([format!("id: {}-{number}\n", self.number).as_bytes(), event].concat());
        lines.bytes += frame.len();
        lines.frames.push_back(frame.clone());
        while lines.bytes > KEPT_BYTES_MAX && lines.frames.len() > 1 {
            lines.forget();
        }
        lines.over = is_last.then(Instant::now);
        drop(lines);
        self.grown.send_replace(());
        frame
    }

    /// What came after the event of a number, as far as it is kept.
    pub(super) fn after(&self, number: u64) -> Vec<Bytes> {
        let lines = self.lines();
        let known = usize::try_from((number + 1).saturating_sub(lines.first)).unwrap_or(usize::MAX);
        lines.frames.iter().skip(known).cloned().collect()
    }

    /// Reads from the event of a number on, in the place of whoever read before.
    pub(super) fn read(self: &Arc<Told>, from: u64) -> Reader {
        let mut lines = self.lines();
        lines.reader += 1;
        let number = lines.reader;
        drop(lines);
        self.grown.send_replace(());
        Reader { grown: self.grown.subscribe(), told: self.clone(), next: from, number }
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lines {
    fn forget(&mut self) {
        if let Some(oldest) = self.frames.pop_front() {
            self.bytes -= oldest.len();
            self.first += 1;
        }
    }
}

/// One connection to a stream.
pub(super) struct Reader {
    told: Arc<Told>,
    grown: watch::Receiver<()>,
    next: u64,
    number: u64,
}

enum Look {
    Frame(Bytes),
    Nothing,
    Over,
}

impl Reader {
    /// None: that was all, or the client reads over another connection by now.
    pub(super) async fn next(&mut self) -> Option<Bytes> {
        loop {
            self.grown.mark_unchanged();
            match self.look() {
                Look::Frame(frame) => return Some(frame),
                Look::Over => return None,
                Look::Nothing => {}
            }
            match timeout(KEEP_ALIVE, self.grown.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return None,
                Err(_) => return Some(alive()),
            }
        }
    }

    fn look(&mut self) -> Look {
        let mut lines = self.told.lines();
        if lines.reader != self.number {
            return Look::Over;
        }
        self.next = self.next.max(lines.first);
        let place = usize::try_from(self.next - lines.first).unwrap_or(usize::MAX);
        if let Some(frame) = lines.frames.get(place).cloned() {
            self.next += 1;
            return Look::Frame(frame);
        }
        if lines.over.is_none() {
            return Look::Nothing;
        }
        while lines.bytes > KEPT_BYTES_MAX {
            lines.forget();
        }
        Look::Over
    }
}

/// `2-17`: the stream and the event in it, as an event's id says it.
pub(super) fn place(id: &str) -> Option<(u64, u64)> {
    let (stream, number) = id.split_once('-')?;
    Some((stream.parse().ok()?, number.parse().ok()?))
}

#[cfg(test)]
mod tests;
