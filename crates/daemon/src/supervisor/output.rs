//! What a run prints: read to the end, line by line, the last lines kept, each passed on to the log.
//!
//! The pipe is always read, whatever becomes of the lines, so that no instance ever waits for us.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use smoothserve_protocol::id::{ServiceName, Slot};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::unix::pipe;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Lines kept of a run.
const KEPT: usize = 50;
/// A line without an end is cut here, in bytes.
const LONGEST: usize = 64 * 1024;
/// Bytes kept of a line, for the reports that show it.
const SHOWN: usize = 512;
/// How long after the exit a grandchild that holds the pipe is listened to. Short, because the
/// report of the exit waits for it.
const AFTERMATH: Duration = Duration::from_millis(200);

/// The output of one run.
pub(super) struct Output {
    tail: Arc<Mutex<VecDeque<String>>>,
    readers: JoinSet<()>,
}

impl Output {
    /// Reads both pipes until they end.
    pub(super) fn capture(
        service: &ServiceName,
        slot: Slot,
        pipes: impl IntoIterator<Item = OwnedFd>,
    ) -> Self {
        let tail = Arc::new(Mutex::new(VecDeque::with_capacity(KEPT)));
        let mut readers = JoinSet::new();
        for fd in pipes {
            let lines = Lines {
                instance: format!("{service}-{slot}"),
                tail: Arc::clone(&tail),
                line: Vec::new(),
            };
            match pipe::Receiver::from_owned_fd(fd) {
                Ok(pipe) => drop(readers.spawn(lines.read(pipe))),
                Err(error) => tracing::warn!("{service}-{slot}: output is not captured: {error}"),
            }
        }
        Self { tail, readers }
    }

    /// The last lines, once the pipes have ended or the aftermath is over.
    pub(super) async fn finish(mut self) -> Vec<String> {
        let ended = async { while self.readers.join_next().await.is_some() {} };
        // A grandchild may hold the pipe for ever; its lines are nobody's.
        let _ = timeout(AFTERMATH, ended).await;
        let tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        tail.iter().cloned().collect()
    }
}

struct Lines {
    instance: String,
    tail: Arc<Mutex<VecDeque<String>>>,
    line: Vec<u8>,
}

impl Lines {
    async fn read(mut self, mut pipe: impl AsyncRead + Unpin) {
        let mut buffer = vec![0; 8 * 1024];
        // An error on a pipe is its end as well.
        while let Ok(read @ 1..) = pipe.read(&mut buffer).await {
            self.take(&buffer[..read]);
        }
        if !self.line.is_empty() {
            self.end_line();
        }
    }

    fn take(&mut self, mut bytes: &[u8]) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            self.add(&bytes[..end]);
            self.end_line();
            bytes = &bytes[end + 1..];
        }
        self.add(bytes);
    }

    fn add(&mut self, mut bytes: &[u8]) {
        while self.line.len() + bytes.len() > LONGEST {
            let (now, later) = bytes.split_at(LONGEST - self.line.len());
            self.line.extend_from_slice(now);
            self.end_line();
            bytes = later;
        }
        self.line.extend_from_slice(bytes);
    }

    fn end_line(&mut self) {
        let text = String::from_utf8_lossy(&self.line);
        let text = text.trim_end_matches('\r');
        tracing::info!(target: "instance", "{} | {}", self.instance, Escaped(text));
        let mut shown = text.to_owned();
        if shown.len() > SHOWN {
            shown.truncate(shown.floor_char_boundary(SHOWN));
        }
        let mut tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        if tail.len() == KEPT {
            tail.pop_front();
        }
        tail.push_back(shown);
        drop(tail);
        self.line.clear();
    }
}

/// Control characters made visible: an instance must not steer the operator's terminal.
struct Escaped<'a>(&'a str);

impl std::fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        use std::fmt::Write as _;
        for c in self.0.chars() {
            if c.is_control() && c != '\t' {
                write!(f, "{}", c.escape_default())?;
            } else {
                f.write_char(c)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn tail_of(bytes: &[u8]) -> Vec<String> {
        let tail = Arc::new(Mutex::new(VecDeque::new()));
        let lines = Lines { instance: "x-1".into(), tail: Arc::clone(&tail), line: Vec::new() };
        lines.read(bytes).await;
        let tail = tail.lock().unwrap();
        tail.iter().cloned().collect()
    }

    #[tokio::test]
    async fn lines_are_kept_even_the_last_one_without_an_end() {
        assert_eq!(tail_of(b"one\r\ntwo\n\nthree").await, ["one", "two", "", "three"]);
        assert_eq!(tail_of(b"\xff\xfe\n").await, ["\u{fffd}\u{fffd}"]);
    }

    #[tokio::test]
    async fn a_line_without_an_end_is_cut() {
        let endless = vec![b'x'; 3 * LONGEST + 5];
        let tail = tail_of(&endless).await;
        assert_eq!(tail.len(), 4);
        assert_eq!(tail[3], "xxxxx");
        assert_eq!(tail[0].len(), SHOWN);
    }

    #[tokio::test]
    async fn only_the_last_lines_are_kept() {
        let many: String = (0..200).map(|n| format!("{n}\n")).collect();
        let tail = tail_of(many.as_bytes()).await;
        assert_eq!((tail.len(), tail[0].as_str()), (KEPT, "150"));
    }

    #[test]
    fn escapes_reach_no_terminal() {
        assert_eq!(Escaped("a\u{1b}[31mb\tc").to_string(), "a\\u{1b}[31mb\tc");
    }
}
