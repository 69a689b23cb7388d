//! Those who want each line as it comes: a bounded queue for each, so that who is slow loses lines,
//! and nobody waits.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use smoothserve_protocol::id::Slot;
use smoothserve_protocol::log::LogBatch;
use tokio::sync::Notify;

use super::line::Line;
use crate::config::Pattern;

/// What may wait for a follower, in bytes with what a line takes beside them.
const WAITING: usize = 1024 * 1024;

/// Lines that came, for one follower.
#[derive(Debug)]
pub(super) struct Queue {
    /// Of one slot; none: of all.
    slot: Option<Slot>,
    waiting: Mutex<Waiting>,
    news: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    lines: VecDeque<Line>,
    cost: usize,
    missed: u64,
}

impl Queue {
    pub(super) fn new(slot: Option<Slot>) -> Arc<Self> {
        Arc::new(Self { slot, waiting: Mutex::default(), news: Notify::new() })
    }

    /// Takes a line, if it is wanted; when there is no room, the oldest are lost and counted.
    pub(super) fn offer(&self, line: &Line) {
        if self.slot.is_some_and(|slot| slot != line.slot) {
            return;
        }
        let mut waiting = self.waiting();
        waiting.cost += line.cost();
        waiting.lines.push_back(line.clone());
        while waiting.cost > WAITING {
            let Some(oldest) = waiting.lines.pop_front() else { break };
            waiting.cost -= oldest.cost();
            waiting.missed += 1;
        }
        drop(waiting);
        self.news.notify_one();
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        // Nothing under this lock can panic half-way.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lines as they come; ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Subscription {
    queue: Arc<Queue>,
    pattern: Option<Pattern>,
}

impl Subscription {
    pub(super) fn new(queue: Arc<Queue>, pattern: Option<Pattern>) -> Self {
        Self { queue, pattern }
    }

    /// Waits until something came, and gives what is wanted of it: maybe nothing.
    ///
    /// # Cancel safety
    /// None: what came may be lost. Belongs into a task of its own.
    pub(crate) async fn next(&mut self) -> LogBatch {
        let Waiting { lines, missed, .. } = loop {
            let waiting = std::mem::take(&mut *self.queue.waiting());
            if waiting.missed > 0 || !waiting.lines.is_empty() {
                break waiting;
            }
            self.queue.news.notified().await;
        };
        let Some(pattern) = self.pattern.clone() else {
            return LogBatch { missed, lines: lines.iter().map(Line::to_wire).collect() };
        };
        let wanted = move || {
            let wanted = lines.iter().filter(|line| pattern.matches(&line.bytes));
            wanted.map(Line::to_wire).collect()
        };
        // There are patterns that take long, and other work that must not wait for them.
        let lines = tokio::task::spawn_blocking(wanted).await.unwrap_or_default();
        LogBatch { missed, lines }
    }
}

#[cfg(test)]
mod tests {
    use super::super::line::sample;
    use super::*;

    fn subscription(slot: Option<Slot>, pattern: Option<&str>) -> Subscription {
        let pattern = pattern.map(|text| Pattern::new(text).unwrap());
        Subscription::new(Queue::new(slot), pattern)
    }

    fn texts(batch: &LogBatch) -> Vec<&str> {
        batch.lines.iter().map(|line| std::str::from_utf8(&line.bytes).unwrap()).collect()
    }

    #[tokio::test]
    async fn a_slow_follower_loses_the_oldest_and_is_told_how_many() {
        let mut subscription = subscription(None, None);
        let text = "x".repeat(1000);
        for stamp in 0..5000 {
            subscription.queue.offer(&sample(stamp * 1000, 0, &text));
        }
        let batch = subscription.next().await;
        assert_eq!(batch.missed + batch.lines.len() as u64, 5000);
        assert_eq!(batch.lines[0].unix_ms, batch.missed);
        assert!(batch.missed > 0 && batch.lines.len() > 900, "{}", batch.missed);
        subscription.queue.offer(&sample(5000, 0, "more"));
        let batch = subscription.next().await;
        assert_eq!((batch.missed, texts(&batch)), (0, vec!["more"]));
    }

    #[tokio::test]
    async fn only_what_is_wanted_is_told() {
        let mut subscription = subscription(Some(Slot(1)), Some("^y"));
        subscription.queue.offer(&sample(1, 0, "yes, but of another slot"));
        subscription.queue.offer(&sample(2, 1, "no"));
        subscription.queue.offer(&sample(3, 1, "yes"));
        assert_eq!(texts(&subscription.next().await), ["yes"]);
    }
}
