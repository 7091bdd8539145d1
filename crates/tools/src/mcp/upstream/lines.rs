//! Lines of a child's output, within a limit: one that is too long costs itself, not the lines after it.

use tokio::io::{AsyncBufRead, AsyncBufReadExt};

/// What is kept of a line that was too long, from each of its ends, so that its id may be found.
const SAMPLE_BYTES: usize = 256;
/// A line that is longer than this many times the limit is no line.
const ENDLESS_TIMES: usize = 8;

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    Whole(Vec<u8>),
    /// Both ends of a line that was too long.
    TooLong {
        head: Vec<u8>,
        tail: Vec<u8>,
    },
    /// The output has ended, or is one endless line.
    End,
}

pub(super) struct Lines<R> {
    from: R,
    bytes_max: usize,
}

impl<R: AsyncBufRead + Unpin> Lines<R> {
    pub(super) fn new(from: R, bytes_max: usize) -> Lines<R> {
        Lines { from, bytes_max }
    }

    pub(super) async fn next(&mut self) -> Line {
        let mut line: Vec<u8> = Vec::new();
        // Of a line that is too long, `line` keeps the head and this the last bytes seen.
        let mut tail: Option<Vec<u8>> = None;
        let mut length = 0usize;
        loop {
            let Ok(chunk) = self.from.fill_buf().await else { return Line::End };
            if chunk.is_empty() {
                return Line::End;
            }
            let end = chunk.iter().position(|byte| *byte == b'\n');
            let part = chunk.get(..end.unwrap_or(chunk.len())).unwrap_or_default();
            length += part.len();
            match &mut tail {
                None => line.extend_from_slice(part),
                Some(tail) => {
                    tail.extend_from_slice(part);
                    tail.drain(..tail.len().saturating_sub(SAMPLE_BYTES));
                }
            }
            if tail.is_none() && line.len() > self.bytes_max {
                tail = Some(line.split_off(line.len().saturating_sub(SAMPLE_BYTES)));
                line.truncate(SAMPLE_BYTES);
            }
            let used = part.len() + usize::from(end.is_some());
            self.from.consume(used);
            if end.is_some() {
                return match tail {
                    None => Line::Whole(line),
                    Some(tail) => Line::TooLong { head: line, tail },
                };
            }
            if length > self.bytes_max.saturating_mul(ENDLESS_TIMES) {
                return Line::End;
            }
        }
    }
}

/// The number after the first `"id":` of a text that cannot be read as a whole.
pub(super) fn id_in(text: &[u8]) -> Option<i64> {
    const MARK: &[u8] = b"\"id\":";
    let at = text.windows(MARK.len()).position(|window| window == MARK)?;
    let rest = text.get(at + MARK.len()..)?.trim_ascii_start();
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    std::str::from_utf8(rest.get(..digits)?).ok()?.parse().ok()
}

#[cfg(test)]
mod tests;
