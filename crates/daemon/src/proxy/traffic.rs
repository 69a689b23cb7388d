//! How much, how fast, how well: figures that are added to by requests and sampled by others.
//!
//! Atomics only. Adding never waits, and a sampler may read at any time.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use histogram::AtomicHistogram;

use super::ledger::Outcome;

/// Figures of one run or of one service, since it began.
pub struct Traffic {
    completed: AtomicU64,
    client_aborted: AtomicU64,
    cut: AtomicU64,
    lost: AtomicU64,
    errors: AtomicU64,
    latency: AtomicHistogram,
}

/// Figures of one run.
pub type RunTraffic = Traffic;

/// Figures of one service, whichever run answered, requests that none answered included.
pub type ServiceTraffic = Traffic;

/// Buckets are at most 1/32 wide: 3 % is finer than any two runs of a service differ.
const GROUPING_POWER: u8 = 5;
/// 2^32 microseconds are 71 minutes; what takes longer counts as that.
const MAX_VALUE_POWER: u8 = 32;

impl Traffic {
    pub(crate) fn new() -> Self {
        Self {
            completed: AtomicU64::new(0),
            client_aborted: AtomicU64::new(0),
            cut: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            latency: AtomicHistogram::new(GROUPING_POWER, MAX_VALUE_POWER)
                .expect("the powers are constants that fit each other"),
        }
    }

    /// Requests that ended, however they did.
    pub fn ended(&self) -> u64 {
        self.by_outcome().into_iter().map(|(_, count)| count).sum()
    }

    /// The same, by how they ended, in the words of the ledger.
    pub fn by_outcome(&self) -> [(&'static str, u64); 4] {
        [
            (Outcome::Completed, &self.completed),
            (Outcome::ClientAborted, &self.client_aborted),
            (Outcome::Cut, &self.cut),
            (Outcome::Lost, &self.lost),
        ]
        .map(|(outcome, count)| (outcome.name(), count.load(Ordering::Relaxed)))
    }

    /// Answers with status 500 and above, and requests lost.
    pub fn errors(&self) -> u64 {
        self.errors.load(Ordering::Relaxed)
    }

    /// Microseconds from the head of the request to the last byte of the answer.
    pub fn latency(&self) -> &AtomicHistogram {
        &self.latency
    }

    /// Adds one request.
    pub(crate) fn add(&self, took: Duration, outcome: Outcome, failed: bool) {
        let count = match outcome {
            Outcome::Completed => &self.completed,
            Outcome::ClientAborted => &self.client_aborted,
            Outcome::Cut => &self.cut,
            Outcome::Lost => &self.lost,
            Outcome::Ended => return,
        };
        count.fetch_add(1, Ordering::Relaxed);
        if failed {
            self.errors.fetch_add(1, Ordering::Relaxed);
        }
        let micros = took.as_micros().min((1 << MAX_VALUE_POWER) - 1) as u64;
        // It cannot fail below the maximum, and a lost sample would be no reason to lose a request.
        let _ = self.latency.increment(micros);
    }
}
