//! Standard input and output: a message a line, in threads of their own, because neither can be waited for otherwise.

use std::io::{BufRead, Read as _, Write as _};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Lines that wait; who writes faster than we read, or reads more slowly than we write, waits too.
const IN_WAITING_MAX: usize = 4;
const OUT_WAITING_MAX: usize = 64;
/// For a client that reads no more to take the last words.
const FINISH_WAIT: Duration = Duration::from_millis(300);

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    Whole(Bytes),
    TooLong,
}

/// What the client writes.
pub(super) struct Lines(mpsc::Receiver<Line>);

impl Lines {
    /// A longer line is refused, as its message would be.
    pub(super) fn of_stdin(bytes_max: usize) -> Lines {
        let (sender, receiver) = mpsc::channel(IN_WAITING_MAX);
        tokio::task::spawn_blocking(move || {
            let mut input = std::io::stdin().lock();
            while let Some(line) = read(&mut input, bytes_max) {
                if sender.blocking_send(line).is_err() {
                    return;
                }
            }
        });
        Lines(receiver)
    }

    /// None: the client has closed its end.
    pub(super) async fn next(&mut self) -> Option<Line> {
        self.0.recv().await
    }
}

/// The next line that is not empty. Of one that is too long, the rest is skipped.
fn read(input: &mut impl BufRead, bytes_max: usize) -> Option<Line> {
    loop {
        let mut line = Vec::new();
        let limit = u64::try_from(bytes_max).unwrap_or(u64::MAX).saturating_add(1);
        input.by_ref().take(limit).read_until(b'\n', &mut line).ok().filter(|read| *read > 0)?;
        if line.len() > bytes_max && !line.ends_with(b"\n") {
            input.skip_until(b'\n').ok()?;
            return Some(Line::TooLong);
        }
        let message = line.trim_ascii();
        if !message.is_empty() {
            return Some(Line::Whole(Bytes::copy_from_slice(message)));
        }
    }
}

/// What the client reads: messages, and nothing else.
pub(super) struct Out {
    sender: mpsc::Sender<Bytes>,
    writing: JoinHandle<()>,
}

impl Out {
    pub(super) fn to_stdout() -> Out {
        let (sender, mut receiver) = mpsc::channel::<Bytes>(OUT_WAITING_MAX);
        let writing = tokio::task::spawn_blocking(move || {
            let mut output = std::io::stdout().lock();
            while let Some(message) = receiver.blocking_recv() {
                let written = output.write_all(&one_line(message)).and_then(|()| output.flush());
                if written.is_err() {
                    return;
                }
            }
        });
        Out { sender, writing }
    }

    pub(super) fn sender(&self) -> mpsc::WeakSender<Bytes> {
        self.sender.downgrade()
    }

    /// Returns when the client reads no more.
    pub(super) async fn closed(&self) {
        self.sender.closed().await;
    }

    pub(super) async fn finish(self) {
        drop(self.sender);
        let _ = tokio::time::timeout(FINISH_WAIT, self.writing).await;
    }
}

/// Between the tokens of JSON a line may end; inside of a text it cannot.
fn one_line(message: Bytes) -> Vec<u8> {
    let mut line = Vec::from(message);
    line.iter_mut().filter(|byte| matches!(byte, b'\n' | b'\r')).for_each(|byte| *byte = b' ');
    line.push(b'\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(mut input: &[u8], bytes_max: usize) -> Vec<Line> {
        std::iter::from_fn(|| read(&mut input, bytes_max)).collect()
    }

    fn whole(text: &'static str) -> Line {
        Line::Whole(Bytes::from_static(text.as_bytes()))
    }

    #[test]
    fn lines_come_trimmed_and_empty_ones_not_at_all() {
        assert_eq!(all(b"{}\r\n\n  \n[1]\n{\"a\":1}", 100), [whole("{}"), whole("[1]"), whole("{\"a\":1}")]);
    }

    #[test]
    fn a_line_that_is_too_long_is_refused_and_the_next_one_is_read() {
        assert_eq!(all(b"12345678\n1234\n12345\n", 4), [Line::TooLong, whole("1234"), Line::TooLong]);
        assert_eq!(all(b"12345678", 4), [Line::TooLong]);
    }

    #[test]
    fn a_message_is_one_line_whatever_it_came_as() {
        assert_eq!(one_line(Bytes::from_static(b"{\n\"a\":\r\n1}")), b"{ \"a\":  1}\n");
    }
}
