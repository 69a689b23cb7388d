//! The pipes of a run: read to their end, whatever becomes of the lines, so that no instance ever
//! waits for us.

use std::io;
use std::os::fd::OwnedFd;
use std::process::Child;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::fs::fstat;
use smoothserve_protocol::log::Stream;
use tokio::net::unix::pipe;
use tokio::task::JoinSet;
use tokio::task::coop::consume_budget;
use tokio::time::timeout;

use super::ring::Tail;
use super::split::{Piece, Splitter};
use super::{Origin, Outputs, Recorder};
use crate::config::Pattern;

/// Read at once.
const PORTION: usize = 16 * 1024;
/// How long after the exit a grandchild that holds the pipe is listened to. Short, because the
/// report of the exit waits for it.
const AFTERMATH: Duration = Duration::from_millis(200);

/// The output of one run; taken until this is dropped.
pub(in crate::supervisor) struct Capture {
    tail: Arc<Mutex<Tail>>,
    readers: JoinSet<()>,
    pipes: Vec<u64>,
}

/// Says once that a line of the run has matched.
pub(in crate::supervisor) struct Awaited {
    /// What is waited for.
    pub pattern: Pattern,
    /// Called at the first line that matches.
    pub seen: Box<dyn FnOnce() + Send>,
}

impl Capture {
    /// Reads both pipes of `child` until they end.
    pub(in crate::supervisor) fn begin(
        child: &mut Child,
        origin: Origin,
        outputs: &Arc<Outputs>,
        awaited: Option<Awaited>,
    ) -> Self {
        let instance = format!("{}-{}", origin.service, origin.slot);
        let run = Arc::new(RunOutput {
            recorder: outputs.recorder(origin),
            awaited: Mutex::new(awaited),
            tail: Arc::default(),
        });
        let pipes = [
            (Stream::Out, child.stdout.take().map(OwnedFd::from)),
            (Stream::Err, child.stderr.take().map(OwnedFd::from)),
        ];
        let (mut readers, mut inodes) = (JoinSet::new(), Vec::new());
        for (stream, fd) in pipes {
            let Some(fd) = fd else { continue };
            inodes.extend(fstat(&fd).ok().map(|found| found.st_ino));
            match pipe::Receiver::from_owned_fd(fd) {
                Ok(pipe) => drop(readers.spawn(Arc::clone(&run).read(stream, pipe))),
                Err(error) => tracing::warn!("{instance}: output is not captured: {error}"),
            }
        }
        Self { tail: Arc::clone(&run.tail), readers, pipes: inodes }
    }

    /// Waits until the pipes have ended, or the aftermath is over; whether they have ended.
    ///
    /// What comes later is taken as long as this lives, and reaches files and followers.
    pub(in crate::supervisor) async fn ended(&mut self) -> bool {
        let ended = async { while self.readers.join_next().await.is_some() {} };
        // A grandchild may hold the pipe for ever.
        timeout(AFTERMATH, ended).await.is_ok()
    }

    /// The numbers of the pipes, by which whoever holds the other ends is known.
    pub(in crate::supervisor) fn pipes(&self) -> Vec<u64> {
        self.pipes.clone()
    }

    /// The last lines so far.
    pub(in crate::supervisor) fn tail(&self) -> Vec<String> {
        self.tail.lock().unwrap_or_else(PoisonError::into_inner).lines()
    }
}

/// What both readers of a run share.
struct RunOutput {
    recorder: Recorder,
    awaited: Mutex<Option<Awaited>>,
    tail: Arc<Mutex<Tail>>,
}

impl RunOutput {
    async fn read(self: Arc<Self>, stream: Stream, pipe: pipe::Receiver) {
        let mut splitter = Splitter::default();
        // An error on a pipe is its end as well.
        while pipe.readable().await.is_ok() {
            match self.take(stream, &pipe, &mut splitter) {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => break,
            }
            // Others want to run, however much this one prints.
            consume_budget().await;
        }
        if let Some(piece) = splitter.finish() {
            self.add(stream, piece);
        }
    }

    /// One portion. The buffer lives for this call alone: there are many pipes, and most are quiet.
    fn take(
        &self,
        stream: Stream,
        pipe: &pipe::Receiver,
        splitter: &mut Splitter,
    ) -> io::Result<usize> {
        let mut buffer = [0; PORTION];
        let read = pipe.try_read(&mut buffer)?;
        splitter.take(&buffer[..read], |piece| self.add(stream, piece));
        Ok(read)
    }

    fn add(&self, stream: Stream, piece: Piece) {
        self.tail.lock().unwrap_or_else(PoisonError::into_inner).push(&piece.bytes);
        let mut awaited = self.awaited.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = awaited.take_if(|awaited| awaited.pattern.matches(&piece.bytes));
        drop(awaited);
        self.recorder.record(stream, piece);
        if let Some(awaited) = seen {
            (awaited.seen)();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use tokio::sync::mpsc;

    use super::super::tests::{origin, outputs, question};
    use super::*;

    fn shell(script: &str) -> Child {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    }

    #[tokio::test]
    async fn the_last_words_of_a_run_are_kept_even_those_without_an_end() {
        let mut child = shell("echo one; echo two >&2; printf three");
        let mut capture = Capture::begin(&mut child, origin("shop"), &outputs(), None);
        child.wait().unwrap();
        capture.ended().await;
        let mut tail = capture.tail();
        tail.sort();
        assert_eq!(tail, ["one", "three", "two"]);
    }

    #[tokio::test]
    async fn the_first_line_that_is_waited_for_is_told_once() {
        let mut child = shell("echo starting; echo listening on 80; echo listening on 81");
        let (sender, mut seen) = mpsc::unbounded_channel();
        let awaited = Awaited {
            pattern: Pattern::new("^listening on [0-9]+$").unwrap(),
            seen: Box::new(move || sender.send(()).unwrap()),
        };
        let mut capture = Capture::begin(&mut child, origin("shop"), &outputs(), Some(awaited));
        assert_eq!(seen.recv().await, Some(()));
        child.wait().unwrap();
        capture.ended().await;
        assert_eq!(seen.recv().await, None);
    }

    #[tokio::test]
    async fn a_hundred_megabytes_without_an_end_pass_through() {
        let mut child = shell("head -c 100000000 /dev/zero; exit 7");
        let outputs = outputs();
        let mut capture = Capture::begin(&mut child, origin("shop"), &outputs, None);
        // It can only exit when everything it wrote was taken.
        let exit = tokio::task::spawn_blocking(move || child.wait().unwrap()).await.unwrap();
        assert_eq!(exit.code(), Some(7));
        capture.ended().await;
        assert_eq!(capture.tail().len(), 50);
        let batch = outputs.ask(question("shop")).await;
        let held: usize = batch.lines.iter().map(|line| line.bytes.len()).sum();
        assert!((1..=64 * 1024).contains(&held), "{held}");
    }
}
