//! The way of lines to the disk: a bounded queue, and one thread that writes for all instances.
//!
//! Whoever brings a line never waits. When the queue is full, or the disk takes nothing, lines are
//! lost, counted, and an operator is told when that begins and when it is over.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use arc_swap::ArcSwapOption;
use smoothserve_protocol::id::ServiceName;
use tokio::sync::oneshot;

use super::line::Line;
use super::losses::Losses;
use super::shelf::{Shelf, Shelves};
use crate::config::OutputConfig;
use crate::rotation::Trouble;

/// Bytes that may wait for the disk, with what a line takes beside its own; more are lost.
const QUEUE: usize = 8 * 1024 * 1024;
/// How often old files are looked after.
const TIDY: Duration = Duration::from_secs(60);
/// How often a disk that took nothing is looked at while no line comes.
const LOOK: Duration = Duration::from_secs(1);

/// Says something to the operators.
pub(super) type Warn = Box<dyn Fn(String) + Send + Sync>;

/// Where lines go that are to be kept.
pub(super) struct Files {
    config: ArcSwapOption<OutputConfig>,
    messages: Sender<Message>,
    shared: Arc<Shared>,
}

/// What both ends of the queue know.
struct Shared {
    /// Bytes in the queue.
    waiting: AtomicUsize,
    losses: Mutex<Losses>,
    warn: Warn,
    shelves: Shelves,
}

enum Message {
    Line(ServiceName, Line),
    /// From now on, files are kept like this, or not at all.
    Keep(Option<Arc<OutputConfig>>),
    /// Everything before this has been written.
    Mark(oneshot::Sender<()>),
}

impl Files {
    /// Starts the thread; it ends when this is dropped and everything is written.
    ///
    /// # Errors
    /// When no thread can be started.
    pub(super) fn start(warn: Warn) -> io::Result<Self> {
        let (files, thread) = Self::new(warn);
        std::thread::Builder::new().name("output".into()).spawn(move || thread.run())?;
        Ok(files)
    }

    fn new(warn: Warn) -> (Self, Writer) {
        let (messages, queue) = channel();
        let shared = Arc::new(Shared {
            waiting: AtomicUsize::new(0),
            losses: Mutex::default(),
            warn,
            shelves: Shelves::default(),
        });
        let writer = Writer { queue, shared: Arc::clone(&shared), shelf: None };
        (Self { config: ArcSwapOption::empty(), messages, shared }, writer)
    }

    /// From now on, files are kept like this, or not at all.
    pub(super) fn keep(&self, config: Option<OutputConfig>) {
        let config = config.map(Arc::new);
        self.config.store(config.clone());
        // The thread ends when this is dropped, and not before.
        let _ = self.messages.send(Message::Keep(config));
    }

    /// Whether lines are kept in files.
    pub(super) fn are_kept(&self) -> bool {
        self.config.load().is_some()
    }

    /// How files are kept; none: they are not.
    pub(super) fn config(&self) -> Option<Arc<OutputConfig>> {
        self.config.load_full()
    }

    /// Files stay where they are as long as this is held.
    pub(super) fn shelves(&self) -> Shelves {
        self.shared.shelves.clone()
    }

    /// Takes a line; never waits.
    pub(super) fn write(&self, service: &ServiceName, line: Line) {
        let cost = line.cost();
        if self.shared.waiting.load(Ordering::Relaxed) + cost > QUEUE {
            return self.shared.lost(|| "they come faster than the disk takes them".to_owned());
        }
        self.shared.waiting.fetch_add(cost, Ordering::Relaxed);
        let _ = self.messages.send(Message::Line(service.clone(), line));
    }

    /// Resolves when everything that was written before is in the files, or lost.
    pub(super) async fn flushed(&self) {
        let (mark, reached) = oneshot::channel();
        if self.messages.send(Message::Mark(mark)).is_ok() {
            let _ = reached.await;
        }
    }
}

impl Shared {
    fn lost(&self, why: impl FnOnce() -> String) {
        let warning = self.losses().lost(Instant::now(), why);
        if let Some(warning) = warning {
            (self.warn)(warning);
        }
    }

    fn losses(&self) -> MutexGuard<'_, Losses> {
        // Nothing under this lock can panic half-way.
        self.losses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The thread's side.
struct Writer {
    queue: Receiver<Message>,
    shared: Arc<Shared>,
    shelf: Option<Shelf>,
}

impl Writer {
    fn run(mut self) {
        let (mut tidied, mut is_writing) = (Instant::now(), true);
        loop {
            if tidied.elapsed() >= TIDY
                && let Some(shelf) = &mut self.shelf
            {
                tidied = Instant::now();
                shelf.tidy(tidied, SystemTime::now());
            }
            let is_losing = self.shared.losses().is_ongoing();
            match self.queue.recv_timeout(if is_losing { LOOK } else { TIDY }) {
                Ok(Message::Line(service, line)) => is_writing = self.write(&service, &line),
                Ok(Message::Keep(config)) => self.keep(config),
                // Whoever waited may have gone.
                Ok(Message::Mark(reached)) => drop(reached.send(())),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if is_losing && is_writing {
                let over = self.shared.losses().all_is_well(Instant::now());
                over.into_iter().for_each(&self.shared.warn);
            }
        }
    }

    /// Whether the disk took it.
    fn write(&mut self, service: &ServiceName, line: &Line) -> bool {
        self.shared.waiting.fetch_sub(line.cost(), Ordering::Relaxed);
        // It came before files were given up.
        let Some(shelf) = &mut self.shelf else { return true };
        match shelf.write(service, line.slot, &line.to_file(), Instant::now()) {
            Ok(()) => true,
            Err(Trouble::Lost(error)) => {
                self.shared.lost(|| format!("{}: {error}", shelf.folder().display()));
                false
            }
            Err(trouble @ Trouble::NotRotated(_)) => {
                (self.shared.warn)(format!("output of {service}-{}: {trouble}", line.slot));
                true
            }
        }
    }

    fn keep(&mut self, config: Option<Arc<OutputConfig>>) {
        self.shelf = config.map(|config| {
            let mut shelf = Shelf::new(config, self.shared.shelves.clone());
            shelf.tidy(Instant::now(), SystemTime::now());
            shelf
        });
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::mpsc;

    use super::super::line::{LONGEST, sample};
    use super::*;

    #[test]
    fn a_full_queue_costs_lines_and_nobody_waits() {
        let folder = tempfile::tempdir().unwrap();
        let (warn, warned) = mpsc::channel();
        let (files, writer) = Files::new(Box::new(move |warning| warn.send(warning).unwrap()));
        files.keep(Some(OutputConfig {
            folder: folder.path().to_owned(),
            max_size: u64::MAX,
            max_backups: 0,
            max_age: None,
            compress: false,
            max_total: u64::MAX,
        }));
        let service = ServiceName::new("shop").unwrap();
        let text = "x".repeat(LONGEST);
        // Nobody writes meanwhile: what does not fit would wait for ever, if it waited.
        for stamp in 0..1000 {
            files.write(&service, sample(stamp, 0, &text));
        }
        let shared = Arc::clone(&files.shared);
        drop(files);
        writer.run();
        let lines = fs::read(folder.path().join("shop-1.log")).unwrap();
        let lines = lines.iter().filter(|byte| **byte == b'\n').count();
        assert_eq!(lines, QUEUE / sample(0, 0, &text).cost());
        let warning = warned.try_recv().unwrap();
        assert!(warning.contains("faster than the disk"), "{warning}");
        assert!(warned.try_recv().is_err());
        let over = shared.losses().all_is_well(Instant::now() + Duration::from_secs(10));
        let over = over.unwrap();
        assert!(over.contains(&format!("again; {} lines", 1000 - lines)), "{over}");
        assert_eq!(shared.waiting.load(Ordering::Relaxed), 0);
    }
}
