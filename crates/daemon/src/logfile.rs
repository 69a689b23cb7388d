//! The daemon's own log file: appended to, rotated by size, and never waited for.
//!
//! Lines go through a bounded channel to one thread, so that a full disk or a slow one costs lines,
//! counted, and never a request. It knows files and sizes; what a line says is tracing's business.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvError, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use flate2::Compression;
use flate2::write::GzEncoder;
use tracing_subscriber::fmt::MakeWriter;

use crate::config::LogConfig;

/// Lines that may wait for the disk; more are dropped.
const QUEUE: usize = 8192;

/// More old files than any limit; a file with a higher number is not ours.
const HIGHEST: usize = 100_001;

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
    let rotation = Rotation::open(config)?;
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
        let path = self.rotation.config.file.display();
        // Nobody is left to tell that standard error is closed.
        let _ = writeln!(io::stderr(), "smoothserve: log file {path}: {text}");
    }
}

/// What went wrong with a line.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    /// It is not in the file, or only a part of it.
    #[error("cannot be written, lines are dropped: {0}")]
    Lost(io::Error),
    /// It is in the file, which should have been a new one.
    #[error("cannot be rotated, it grows beyond its size: {0}")]
    NotRotated(io::Error),
}

/// The open file and its older ones: `app.log`, `app.log.1` or `app.log.1.gz`, the newest first.
struct Rotation {
    config: LogConfig,
    file: File,
    size: u64,
}

impl Rotation {
    fn open(config: &LogConfig) -> io::Result<Self> {
        if let Some(folder) = config.file.parent() {
            fs::create_dir_all(folder)?;
        }
        let file = append(&config.file)?;
        let size = file.metadata()?.len();
        let rotation = Self { config: config.clone(), file, size };
        rotation.remove_old(SystemTime::now());
        Ok(rotation)
    }

    fn write(&mut self, line: &[u8]) -> Result<(), Trouble> {
        let length = line.len() as u64;
        // A line longer than a whole file gets one to itself.
        let is_full = self.size > 0 && self.size + length > self.config.max_size;
        let rotated = if is_full { self.rotate() } else { Ok(()) };
        self.file.write_all(line).map_err(Trouble::Lost)?;
        self.size += length;
        rotated.map_err(Trouble::NotRotated)
    }

    /// Makes the full file the first of the old ones, and begins a new one.
    ///
    /// After a failure the open file is still written to, however large, and this is tried again.
    fn rotate(&mut self) -> io::Result<()> {
        self.shift()?;
        let first = self.backup(1);
        fs::rename(&self.config.file, &first)?;
        self.file = append(&self.config.file)?;
        self.size = 0;
        if self.config.compress {
            compress(&first)?;
        }
        self.remove_old(SystemTime::now());
        Ok(())
    }

    /// Frees number 1, giving the old files as far as the first free number the next one.
    ///
    /// If number 1 is free, as after a failure, none of them moves.
    fn shift(&self) -> io::Result<()> {
        let mut chain = self.backups();
        let mut last = 0;
        chain.retain(|(number, _)| {
            let is_next = *number <= last + 1;
            last = if is_next { *number } else { last };
            is_next
        });
        for (number, path) in chain.into_iter().rev() {
            let is_compressed = path.extension().is_some_and(|extension| extension == "gz");
            let next = self.backup(number + 1);
            fs::rename(&path, if is_compressed { with_gz(&next) } else { next })?;
        }
        Ok(())
    }

    /// Old files that are there, by number.
    fn backups(&self) -> Vec<(usize, PathBuf)> {
        let Some(folder) = self.config.file.parent() else { return Vec::new() };
        let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
        let mut backups: Vec<_> = entries
            .filter_map(|entry| {
                let path = entry.ok()?.path();
                path.is_file().then_some((self.number(&path)?, path))
            })
            .collect();
        backups.sort();
        backups
    }

    /// The number of an old file; none for any other file.
    fn number(&self, path: &Path) -> Option<usize> {
        let name = path.file_name()?.to_str()?;
        let rest = name.strip_prefix(self.config.file.file_name()?.to_str()?)?.strip_prefix('.')?;
        let number = rest.strip_suffix(".gz").unwrap_or(rest).parse().ok()?;
        // `app.log.20240131` is somebody else's.
        (1..=HIGHEST).contains(&number).then_some(number)
    }

    fn backup(&self, number: usize) -> PathBuf {
        let mut name = self.config.file.clone().into_os_string();
        name.push(format!(".{number}"));
        name.into()
    }

    /// Best effort: an old file that stays is no reason to lose a line.
    fn remove_old(&self, now: SystemTime) {
        let LogConfig { max_backups, max_age, .. } = self.config;
        for (number, path) in self.backups() {
            let is_over = max_backups > 0 && number > max_backups;
            let is_old = max_age.is_some_and(|max| age(&path, now).is_some_and(|age| age > max));
            if is_over || is_old {
                let _ = fs::remove_file(path);
            }
        }
    }
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).open(path)
}

fn age(path: &Path, now: SystemTime) -> Option<Duration> {
    now.duration_since(fs::metadata(path).ok()?.modified().ok()?).ok()
}

/// Replaces `path` by `path.gz`, which is whole or not there, and is as old as `path` was.
fn compress(path: &Path) -> io::Result<()> {
    let unfinished = path.with_added_extension("unfinished");
    let result = compress_into(path, &unfinished);
    if result.is_err() {
        let _ = fs::remove_file(&unfinished);
        return result;
    }
    fs::rename(&unfinished, with_gz(path))?;
    fs::remove_file(path)
}

fn compress_into(path: &Path, target: &Path) -> io::Result<()> {
    let mut source = File::open(path)?;
    let mut encoder = GzEncoder::new(File::create(target)?, Compression::default());
    io::copy(&mut source, &mut encoder)?;
    let target = encoder.finish()?;
    target.set_modified(source.metadata()?.modified()?)
}

fn with_gz(path: &Path) -> PathBuf {
    path.with_added_extension("gz")
}

#[cfg(test)]
mod tests;
