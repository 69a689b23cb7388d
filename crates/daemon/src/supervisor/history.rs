//! What rolling restarts did, on disk: their receipts, a line of JSON each, in the order they ended.
//!
//! One thread owns the files, so that a slow disk or a full one costs lines and never a request or
//! a decision. Receipts come to it complete; it does not know what is in them.

mod lines;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::Path;
use std::time::Duration;

use smoothserve_protocol::frame::MAX_FRAME;
use smoothserve_protocol::id::{OperationId, ServiceName};
use smoothserve_protocol::snapshot::Receipt;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

use self::lines::Lines;
use super::publish::RECEIPTS;

/// Its name in the state folder.
const NAME: &str = "smoothserve.history";
/// Of the file; one older one is kept.
const MAX_SIZE: u64 = 4 * 1024 * 1024;
/// What may wait for the disk; a receipt that finds no room is dropped.
const QUEUE: usize = 1024;
/// Receipts in one answer,
const MOST: usize = 500;
/// and their bytes as JSON, which never has fewer of them than the same receipt on the wire.
const MOST_BYTES: usize = MAX_FRAME - 1024;
/// A turn that took longer says nothing about the next one.
const LONGEST_TURN: Duration = Duration::from_secs(24 * 60 * 60);
/// No daemon gets there; whoever wrote a higher number leaves none for us.
const HIGHEST_OPERATION: OperationId = OperationId(u64::MAX / 2);

/// Keeps receipts and reads them; clones write to the same file.
#[derive(Clone, Debug)]
pub(crate) struct History(mpsc::Sender<Message>);

/// The thread behind a [`History`].
#[derive(Debug)]
pub(crate) struct HistoryThread {
    messages: mpsc::Sender<Message>,
    ended: oneshot::Receiver<()>,
}

/// What earlier daemons left.
#[derive(Debug, Default)]
pub(crate) struct Past {
    /// The newest of each service, newest first.
    pub receipts: BTreeMap<ServiceName, VecDeque<Receipt>>,
    /// How long a turn took, on average, when a rollout last succeeded.
    pub turns: BTreeMap<ServiceName, Duration>,
    /// The highest one of all receipts.
    pub last_operation: OperationId,
}

#[derive(Debug)]
enum Message {
    Keep(Box<Receipt>),
    Read { service: Option<ServiceName>, limit: usize, answer: oneshot::Sender<Vec<Receipt>> },
    End,
}

/// Reads what is kept in `state_dir`, and starts the thread that adds to it.
///
/// # Errors
/// No thread can be started. A file that cannot be read is a warning.
pub(crate) fn open(state_dir: &Path) -> io::Result<(History, HistoryThread, Past)> {
    let mut keeper = Keeper::new(Lines::new(state_dir.join(NAME), MAX_SIZE));
    let past = keeper.past(RECEIPTS);
    let (messages, queue) = mpsc::channel(QUEUE);
    let (end, ended) = oneshot::channel();
    std::thread::Builder::new().name("history".into()).spawn(move || {
        keeper.run(queue);
        // Whoever waits for it may have lost patience.
        let _ = end.send(());
    })?;
    Ok((History(messages.clone()), HistoryThread { messages, ended }, past))
}

impl History {
    /// Keeps a receipt. Never waits and never fails: what goes wrong is a warning.
    pub(super) fn keep(&self, receipt: Receipt) {
        match self.0.try_send(Message::Keep(Box::new(receipt))) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => {
                tracing::warn!("{NAME}: the disk is too slow, a receipt is not kept");
            }
            // It ended after the driver said so, or by a panic that has been told.
            Err(TrySendError::Closed(_)) => {}
        }
    }

    /// What is kept of one service or of all, newest first, at most `limit` and no more than fits
    /// an answer; none when the daemon is on its last step.
    pub(super) async fn read(
        &self,
        service: Option<ServiceName>,
        limit: usize,
    ) -> Option<Vec<Receipt>> {
        let (answer, answered) = oneshot::channel();
        self.0.send(Message::Read { service, limit, answer }).await.ok()?;
        answered.await.ok()
    }
}

impl HistoryThread {
    /// Resolves when every receipt kept so far is in the file, or has been given up.
    pub(crate) async fn end(self) {
        if self.messages.send(Message::End).await.is_ok() {
            // An error means that it panicked, which has been told.
            let _ = self.ended.await;
        }
    }
}

/// The thread's side.
struct Keeper {
    lines: Lines,
    /// The last write failed, and a warning was given.
    is_failing: bool,
    /// A warning was given about lines that are no receipts, or cannot be read.
    has_complained: bool,
}

impl Keeper {
    fn new(lines: Lines) -> Self {
        Self { lines, is_failing: false, has_complained: false }
    }

    fn run(&mut self, mut queue: mpsc::Receiver<Message>) {
        while let Some(message) = queue.blocking_recv() {
            match message {
                Message::Keep(receipt) => self.keep(&receipt),
                Message::Read { service, limit, answer } => {
                    // Whoever asked may have gone.
                    let _ = answer.send(self.newest(service.as_ref(), limit));
                }
                Message::End => return,
            }
        }
    }

    fn keep(&mut self, receipt: &Receipt) {
        let line = serde_json::to_vec(receipt).map_err(io::Error::from);
        match line.and_then(|line| self.lines.append(&line)) {
            Ok(()) => self.is_failing = false,
            Err(error) => {
                if !std::mem::replace(&mut self.is_failing, true) {
                    tracing::warn!("{}: receipts are not kept: {error}", self.lines);
                }
            }
        }
    }

    fn newest(&mut self, service: Option<&ServiceName>, limit: usize) -> Vec<Receipt> {
        let mut room = MOST_BYTES;
        let mut newest = Vec::new();
        self.read(|receipt, length| {
            if service.is_some_and(|service| *service != receipt.service) {
                return true;
            }
            if newest.len() == limit.min(MOST) || length > room {
                return false;
            }
            room -= length;
            newest.push(receipt);
            true
        });
        newest
    }

    fn past(&mut self, recent: usize) -> Past {
        let mut past = Past::default();
        self.read(|receipt, _| {
            if receipt.operation <= HIGHEST_OPERATION {
                past.last_operation = past.last_operation.max(receipt.operation);
            }
            if let Some(turn) = mean_turn(&receipt) {
                past.turns.entry(receipt.service.clone()).or_insert(turn);
            }
            let kept = past.receipts.entry(receipt.service.clone()).or_default();
            if kept.len() < recent {
                kept.push_back(receipt);
            }
            true
        });
        past
    }

    /// Shows every receipt with the length of its line, newest first, until `take` says enough.
    fn read(&mut self, mut take: impl FnMut(Receipt, usize) -> bool) {
        let text = match self.lines.read() {
            Ok(text) => text,
            Err(error) => return self.complain(&error.to_string()),
        };
        let mut is_damaged = false;
        for line in text.newest_first() {
            let Ok(receipt) = serde_json::from_slice(line) else {
                is_damaged = true;
                continue;
            };
            if !take(receipt, line.len()) {
                break;
            }
        }
        if is_damaged {
            self.complain("lines that are no receipts are skipped");
        }
    }

    fn complain(&mut self, problem: &str) {
        if !std::mem::replace(&mut self.has_complained, true) {
            tracing::warn!("{}: {problem}", self.lines);
        }
    }
}

/// What one turn of a rollout that succeeded took, on average.
fn mean_turn(receipt: &Receipt) -> Option<Duration> {
    let took = receipt.done.then(|| Duration::from_millis(receipt.took_ms))?;
    took.checked_div(u32::from(receipt.replaced)).filter(|turn| *turn <= LONGEST_TURN)
}
