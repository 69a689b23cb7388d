//! What instances print: who printed what and when, the newest lines in memory, all of them in files
//! if the configuration says so, each as it comes to those who follow.
//!
//! [`capture`] reads the pipes of a run, [`split`] finds its lines, [`line`](mod@line) is one of them. Then
//! [`ring`] keeps it in memory, [`follow`] tells of it, [`files`] takes it to [`shelf`], the folder,
//! and says by [`losses`] when it cannot. [`recall`] answers what was printed last, with [`chain`],
//! which reads files back. Nothing here knows what a line means, nor what a run is for.

mod capture;
mod chain;
mod files;
mod follow;
mod line;
mod losses;
mod recall;
mod ring;
mod shelf;
pub(crate) mod split;

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use smoothserve_protocol::id::{Generation, ServiceName, Slot};
use smoothserve_protocol::log::{LogBatch, Stream};
use tokio::sync::Semaphore;
use tokio::time::timeout;

pub(super) use self::capture::{Awaited, Capture};
use self::files::Files;
use self::follow::Queue;
pub(crate) use self::follow::Subscription;
use self::line::{Line, Stamp};
use self::recall::{Recall, Remembered};
use self::ring::Ring;
use self::split::Piece;
use crate::config::{OutputConfig, Pattern};

/// Answers that read files at the same time.
const READERS: usize = 2;
/// How long files are waited for, before an answer comes from memory alone.
const READ_WITHIN: Duration = Duration::from_secs(5);
/// How long the end of the daemon waits for the disk.
const FLUSH_WITHIN: Duration = Duration::from_secs(2);

/// The output of all instances.
pub(crate) struct Outputs {
    services: Mutex<BTreeMap<ServiceName, Arc<Mutex<Printed>>>>,
    /// None: there is no thread to be had.
    files: Option<Files>,
    readers: Arc<Semaphore>,
}

/// Who prints.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    pub service: ServiceName,
    pub slot: Slot,
    pub generation: Generation,
}

/// What is asked.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub service: ServiceName,
    /// Of one instance; none: of all.
    pub slot: Option<Slot>,
    /// How many lines at most, the newest.
    pub lines: usize,
    /// Only those that match.
    pub pattern: Option<Pattern>,
}

/// What the instances of one service printed, and who follows it.
#[derive(Debug, Default)]
struct Printed {
    slots: BTreeMap<Slot, Ring>,
    followers: Vec<Weak<Queue>>,
}

impl Outputs {
    /// Keeps output in memory, and in files if `config` is given. Operators are told by `warn` when
    /// files cannot be written.
    pub(super) fn new(
        config: Option<OutputConfig>,
        warn: impl Fn(String) + Send + Sync + 'static,
    ) -> Arc<Self> {
        let files = Files::start(Box::new(warn))
            .inspect_err(|error| tracing::error!("output is not kept in files: {error}"));
        let outputs = Self {
            services: Mutex::default(),
            files: files.ok(),
            readers: Arc::new(Semaphore::new(READERS)),
        };
        outputs.keep(config);
        Arc::new(outputs)
    }

    /// From now on, output is kept in files like this, or in memory alone.
    pub(super) fn keep(&self, config: Option<OutputConfig>) {
        if let Some(files) = &self.files {
            files.keep(config);
        }
    }

    /// Resolves when what was printed before is in the files, or after a moment if the disk hangs.
    pub(super) async fn flush(&self) {
        if let Some(files) = &self.files {
            let _ = timeout(FLUSH_WITHIN, files.flushed()).await;
        }
    }

    /// Takes the lines of one run.
    fn recorder(self: &Arc<Self>, origin: Origin) -> Recorder {
        let printed = self.printed(&origin.service);
        Recorder { outputs: Arc::clone(self), printed, origin }
    }

    /// What was printed last. Resolves when the answer is there, which may take files to be read.
    pub(super) fn ask(
        self: &Arc<Self>,
        question: Question,
    ) -> impl Future<Output = LogBatch> + Send + use<> {
        let printed = self.printed(&question.service);
        let recall = lock(&printed).recall(question);
        Arc::clone(self).answer(recall)
    }

    /// The same, and what is printed from then on: between the two nothing is missing, and nothing
    /// is in both.
    pub(super) fn follow(
        self: &Arc<Self>,
        question: Question,
    ) -> (impl Future<Output = LogBatch> + Send + use<>, Subscription) {
        let queue = Queue::new(question.slot);
        let subscription = Subscription::new(Arc::clone(&queue), question.pattern.clone());
        let printed = self.printed(&question.service);
        let mut printed = lock(&printed);
        printed.followers.retain(|queue| queue.strong_count() > 0);
        printed.followers.push(Arc::downgrade(&queue));
        let recall = printed.recall(question);
        drop(printed);
        (Arc::clone(self).answer(recall), subscription)
    }

    async fn answer(self: Arc<Self>, recall: Recall) -> LogBatch {
        let from_files = timeout(READ_WITHIN, self.read(recall.clone())).await;
        if let Ok(Some(batch)) = from_files {
            return batch;
        }
        let from_memory = tokio::task::spawn_blocking(|| recall.remembered());
        from_memory.await.unwrap_or_default()
    }

    /// None: output is not kept in files.
    async fn read(&self, recall: Recall) -> Option<LogBatch> {
        let files = self.files.as_ref()?;
        let config = files.config()?;
        let permit = Arc::clone(&self.readers).acquire_owned().await.ok()?;
        files.flushed().await;
        let shelves = files.shelves();
        let reading = tokio::task::spawn_blocking(move || {
            // Held to the end of the work, which goes on when nobody waits for it any more.
            let _permit = permit;
            recall.read(&config.folder, &shelves)
        });
        reading.await.ok()
    }

    fn printed(&self, service: &ServiceName) -> Arc<Mutex<Printed>> {
        let mut services = self.services.lock().unwrap_or_else(PoisonError::into_inner);
        match services.get(service) {
            Some(printed) => Arc::clone(printed),
            None => Arc::clone(services.entry(service.clone()).or_default()),
        }
    }
}

fn lock(printed: &Mutex<Printed>) -> MutexGuard<'_, Printed> {
    // Nothing under this lock can panic half-way.
    printed.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes the lines of one run.
struct Recorder {
    outputs: Arc<Outputs>,
    printed: Arc<Mutex<Printed>>,
    origin: Origin,
}

impl Recorder {
    /// Takes a line; never waits for a disk or a follower.
    fn record(&self, stream: Stream, piece: Piece) {
        let Origin { service, slot, generation } = &self.origin;
        let files = self.outputs.files.as_ref().filter(|files| files.are_kept());
        if files.is_none() {
            let text = String::from_utf8_lossy(&piece.bytes);
            let text = Escaped(text.trim_end_matches('\r'));
            tracing::info!(target: "instance", "{service}-{slot} | {text}");
        }
        let mut printed = lock(&self.printed);
        let ring = printed.slots.entry(*slot).or_default();
        let line = Line {
            stamp: ring.stamp(Stamp::now()),
            slot: *slot,
            generation: *generation,
            stream,
            is_cut: piece.is_cut,
            bytes: piece.bytes.into(),
        };
        ring.push(line.clone());
        printed.followers.iter().filter_map(Weak::upgrade).for_each(|queue| queue.offer(&line));
        // Under the lock, so that lines are in the file in the order of their stamps.
        if let Some(files) = files {
            files.write(service, line);
        }
    }
}

impl Printed {
    /// The question, with what is in memory.
    fn recall(&self, question: Question) -> Recall {
        let Question { slot, .. } = question;
        let wanted = self.slots.iter().filter(|(id, _)| slot.is_none_or(|slot| slot == **id));
        let memory = wanted.map(|(slot, ring)| Remembered { slot: *slot, lines: ring.lines() });
        Recall { question, asked: Stamp::now(), memory: memory.collect() }
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
mod tests;
