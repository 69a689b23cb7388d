//! How long to wait: quiet periods for file changes, and restart backoff. Arithmetic on instants.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use smoothserve_protocol::id::RunId;

/// So many failed runs within [`CRASH_WINDOW`] end the tries.
pub(super) const CRASH_LIMIT: usize = 10;
/// See [`CRASH_LIMIT`].
pub(super) const CRASH_WINDOW: Duration = Duration::from_secs(5 * 60);
/// An instance that was ready so long starts again with a clean record.
pub(super) const CRASH_FORGOTTEN: Duration = Duration::from_secs(60);
/// Between two looks at a port that a stranger holds.
pub(super) const PORT_RETRY: Duration = Duration::from_secs(10);

const BACKOFF_FIRST: Duration = Duration::from_millis(500);
const BACKOFF_MOST: Duration = Duration::from_secs(30);

/// So many rollouts for file changes that failed, within [`WATCH_WINDOW`] and with no success
/// between them, suspend watching.
const WATCH_LIMIT: usize = 5;
const WATCH_WINDOW: Duration = Duration::from_secs(10 * 60);
/// Paths kept of one burst of changes.
const FILES_NAMED: usize = 10;

/// The wait after the `failures`-th failed run in a row: 0.5 s doubled each time, at most 30 s, and
/// up to a tenth less, so that instances that fell together do not rise together. The jitter comes
/// from the run's number: the core has no dice.
pub(super) fn backoff(failures: u32, run: RunId) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    let full = BACKOFF_FIRST.saturating_mul(1 << doublings).min(BACKOFF_MOST);
    let thousandth = (run.0.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) % 100;
    full - full.mul_f64(thousandth as f64 / 1000.0)
}

/// File changes of one service on their way to becoming a rollout.
#[derive(Clone, Debug, Default)]
pub(super) struct Settle {
    quiet_at: Option<Instant>,
    files: Vec<String>,
    failed: VecDeque<Instant>,
    suspended: bool,
}

impl Settle {
    /// Notes a change; `true` for the first of a burst.
    pub(super) fn changed(&mut self, now: Instant, quiet: Duration, file: String) -> bool {
        let first = self.quiet_at.is_none();
        self.quiet_at = Some(now + quiet);
        if self.files.len() < FILES_NAMED && !self.files.contains(&file) {
            self.files.push(file);
        }
        first
    }

    /// When the burst will be over, if nothing more comes.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.quiet_at
    }

    /// The files of a burst that is over.
    pub(super) fn take(&mut self, now: Instant) -> Option<Vec<String>> {
        self.quiet_at.is_some_and(|at| at <= now).then(|| {
            self.quiet_at = None;
            std::mem::take(&mut self.files)
        })
    }

    /// Forgets a burst under way.
    pub(super) fn clear(&mut self) {
        self.quiet_at = None;
        self.files.clear();
    }

    /// Rollouts for file changes are suspended.
    pub(super) fn is_suspended(&self) -> bool {
        self.suspended
    }

    /// A rollout for file changes failed; `true` if watching is suspended by that.
    pub(super) fn failed(&mut self, now: Instant) -> bool {
        self.failed.push_back(now);
        while self.failed.front().is_some_and(|at| now.duration_since(*at) > WATCH_WINDOW) {
            self.failed.pop_front();
        }
        let suspend = !self.suspended && self.failed.len() > WATCH_LIMIT;
        self.suspended |= suspend;
        suspend
    }

    /// Something succeeded, or an operator took over: watching goes on.
    pub(super) fn resume(&mut self) {
        self.failed.clear();
        self.suspended = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_doubles_from_half_a_second_to_thirty() {
        let at = |failures| backoff(failures, RunId(0));
        assert_eq!(at(1), Duration::from_millis(500));
        assert_eq!(at(2), Duration::from_secs(1));
        assert_eq!(at(5), Duration::from_secs(8));
        assert_eq!(at(7), BACKOFF_MOST);
        assert_eq!(at(1000), BACKOFF_MOST);
    }

    #[test]
    fn jitter_takes_at_most_a_tenth() {
        for run in 0..1000 {
            let wait = backoff(3, RunId(run));
            assert!(wait > Duration::from_millis(1800) && wait <= Duration::from_secs(2));
        }
    }

    #[test]
    fn a_burst_is_over_when_it_has_been_quiet() {
        let (start, quiet) = (Instant::now(), Duration::from_secs(2));
        let mut settle = Settle::default();
        assert!(settle.changed(start, quiet, "a".into()));
        assert!(!settle.changed(start + Duration::from_secs(1), quiet, "b".into()));
        assert_eq!(settle.take(start + quiet), None);
        let over = start + Duration::from_secs(3);
        assert_eq!(settle.take(over), Some(vec!["a".into(), "b".into()]));
        assert_eq!(settle.take(over), None);
    }

    #[test]
    fn six_failed_rollouts_in_ten_minutes_suspend_watching() {
        let start = Instant::now();
        let mut settle = Settle::default();
        let minute = |n: u64| start + Duration::from_secs(60 * n);
        assert!((0..5).all(|n| !settle.failed(minute(n))));
        assert!(settle.failed(minute(5)));
        assert!(settle.is_suspended());
        settle.resume();
        assert!(!settle.failed(minute(6)));
    }
}
