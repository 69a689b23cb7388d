//! The daemon's own log file: appended to, rotated by size, and never waited for.
//!
//! Lines go through a bounded channel to one thread, so that a full disk or a slow one costs lines,
//! counted, and never a request. What a line says is tracing's business, how a file is rotated that
//! of [`rotation`](crate::rotation).

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvError, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::SystemTime;

use tracing_subscriber::fmt::MakeWriter;

use crate::config::LogConfig;
use crate::rotation::{Keep, Rotation, Trouble};

/// Lines that may wait for the disk; more are dropped.
const QUEUE: usize = 8192;

/// A way to write lines; clones write to the same file.
#[derive(Clone, Debug)]
pub struct LogFile {
    lines: SyncSender<Message>,
    dropped: Arc<AtomicU64>,
}

/// Keeps the file's thread; when it is dropped, every line written so far is in the file.
#[derive(Debug)]
pub struct LogGuard {
    lines: SyncSender<Message>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
enum Message {
    Line(Vec<u8>),
    /// The guard is gone; nothing after this counts.
    End,
}

/// Opens the log file, making its folder if need be, and starts the thread that writes it.
///
/// The file may have become full while nobody ran, and old files too old: both are seen to now.
///
/// # Errors
/// The folder cannot be made, the file cannot be opened for appending, or no thread be started.
pub fn open(config: &LogConfig) -> io::Result<(LogFile, LogGuard)> {
    let LogConfig { max_size, max_backups, max_age, compress, .. } = *config;
    let keep = Keep { max_size, max_backups, max_age, compress };
    let rotation = Rotation::open(config.file.clone(), keep)?;
    rotation.remove_old(SystemTime::now());
    let (lines, queue) = sync_channel(QUEUE);
    let dropped = Arc::new(AtomicU64::new(0));
    let mut writer = Writer { rotation, dropped: dropped.clone(), told: 0, is_failing: false };
    let thread =
        std::thread::Builder::new().name("log".into()).spawn(move || writer.run(&queue))?;
    let guard = LogGuard { lines: lines.clone(), thread: Some(thread) };
    Ok((LogFile { lines, dropped }, guard))
}

impl LogFile {
    /// Lines that did not reach the file since the daemon began.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

/// One call is one line, as tracing's formatter does it. Never waits and never fails.
impl Write for LogFile {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match self.lines.try_send(Message::Line(line.to_owned())) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'writer> MakeWriter<'writer> for LogFile {
    type Writer = Self;

    fn make_writer(&'writer self) -> Self {
        self.clone()
    }
}

impl Drop for LogGuard {
    fn drop(&mut self) {
        // Waits for room: the thread is still taking lines. Gone already: it has nothing to write.
        if self.lines.send(Message::End).is_ok()
            && let Some(thread) = self.thread.take()
        {
            // A panic of the thread has been told by the panic hook.
            let _ = thread.join();
        }
    }
}

/// The thread's side.
struct Writer {
    rotation: Rotation,
    dropped: Arc<AtomicU64>,
    /// Dropped lines that a warning has spoken of.
    told: u64,
    /// The last write met trouble, and a warning was given.
    is_failing: bool,
}

impl Writer {
    fn run(&mut self, queue: &Receiver<Message>) {
        while let Ok(Message::Line(line)) = self.next(queue) {
            let result = self.rotation.write(&line);
            self.note(result);
        }
        self.tell_dropped();
    }

    /// A burst that was too fast is told when it is over, and not at every line of it.
    fn next(&mut self, queue: &Receiver<Message>) -> Result<Message, RecvError> {
        match queue.try_recv() {
            Ok(message) => Ok(message),
            Err(_) => {
                self.tell_dropped();
                queue.recv()
            }
        }
    }

    fn note(&mut self, result: Result<(), Trouble>) {
        match result {
            Ok(()) => self.is_failing = false,
            Err(trouble) => {
                if let Trouble::Lost(_) = trouble {
                    self.dropped.fetch_add(1, Ordering::Relaxed);
                }
                if !self.is_failing {
                    self.is_failing = true;
                    self.warn(&trouble.to_string());
                }
            }
        }
    }

    fn tell_dropped(&mut self) {
        let dropped = self.dropped.load(Ordering::Relaxed);
        if dropped > self.told && !self.is_failing {
            self.warn(&format!("{} lines were dropped", dropped - self.told));
            self.told = dropped;
        }
    }

    /// To standard error, as a line in this log would come back here.
    fn warn(&self, text: &str) {
        let path = self.rotation.file().display();
        // Nobody is left to tell that standard error is closed.
        let _ = writeln!(io::stderr(), "smoothserve: log file {path}: {text}");
    }
}

#[cfg(test)]
mod tests;
