//! How long to wait: file changes until they have settled, failed runs until the next try.
//! Arithmetic on instants.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use smoothserve_protocol::id::RunId;

use super::input::InspectionId;

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

/// A burst of changes is looked at after so long, however it goes on.
const BURST_LONGEST: Duration = Duration::from_secs(60);
/// So many rollouts for file changes that failed, within [`WATCH_WINDOW`] and with no success
/// between them, suspend watching.
const WATCH_LIMIT: usize = 5;
const WATCH_WINDOW: Duration = Duration::from_secs(10 * 60);
/// More rollouts for file changes than this, within [`OFTEN_WINDOW`], are taken for a service that
/// writes what it watches.
const OFTEN_LIMIT: usize = 5;
const OFTEN_WINDOW: Duration = Duration::from_secs(60);
/// How long file changes wait after that.
pub(super) const OFTEN_PAUSE: Duration = Duration::from_secs(5 * 60);
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

/// File changes of one service on their way to becoming a rollout: a burst of them, a look at what
/// the files hold once it is over, and a limit on how many rollouts come of that.
#[derive(Clone, Debug, Default)]
pub(super) struct Settle {
    burst: Option<Burst>,
    /// The look under way, and what it is about.
    look: Option<(InspectionId, Vec<String>)>,
    last_look: InspectionId,
    /// When the last rollouts began.
    began: VecDeque<Instant>,
    paused_until: Option<Instant>,
    failed: VecDeque<Instant>,
    suspended: bool,
}

/// Changes that come one after the other.
#[derive(Clone, Debug)]
struct Burst {
    since: Instant,
    quiet_at: Instant,
    files: Vec<String>,
}

impl Settle {
    /// Notes a change; `true` for the first of a burst.
    pub(super) fn changed(&mut self, now: Instant, quiet: Duration, file: String) -> bool {
        let first = self.burst.is_none();
        self.extend(now, quiet, vec![file]);
        first
    }

    /// Takes back what a look was about: it was too early, or nothing may come of it yet.
    pub(super) fn put_back(&mut self, now: Instant, quiet: Duration, files: Vec<String>) {
        let later = self.burst.take().map_or_else(Vec::new, |burst| burst.files);
        self.extend(now, quiet, files.into_iter().chain(later).collect());
    }

    fn extend(&mut self, now: Instant, quiet: Duration, files: Vec<String>) {
        let burst = self.burst.get_or_insert_with(|| Burst {
            since: now,
            quiet_at: now,
            files: Vec::new(),
        });
        burst.quiet_at = (now + quiet).min(burst.since + BURST_LONGEST.max(quiet));
        for file in files {
            if burst.files.len() < FILES_NAMED && !burst.files.contains(&file) {
                burst.files.push(file);
            }
        }
    }

    /// When the burst will be over, if nothing more comes. Never while a look is under way, as its
    /// end comes first.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let burst = self.burst.as_ref().filter(|_| self.look.is_none())?;
        Some(self.paused_until.map_or(burst.quiet_at, |paused| paused.max(burst.quiet_at)))
    }

    /// Begins the look at a burst that is over.
    pub(super) fn look(&mut self, now: Instant) -> Option<(InspectionId, Vec<String>)> {
        self.deadline().filter(|at| *at <= now)?;
        self.paused_until = None;
        self.last_look = InspectionId(self.last_look.0.wrapping_add(1));
        self.look = Some((self.last_look, self.burst.take()?.files));
        self.look.clone()
    }

    /// Ends the look; none if it is not the one under way. What it was about.
    pub(super) fn looked(&mut self, look: InspectionId) -> Option<Vec<String>> {
        self.look.take_if(|(id, _)| *id == look).map(|(_, files)| files)
    }

    /// Forgets what is under way.
    pub(super) fn clear(&mut self) {
        self.burst = None;
        self.look = None;
    }

    /// Whether one more rollout for file changes may begin. When there were too many lately, it may
    /// not for [`OFTEN_PAUSE`].
    pub(super) fn admit(&mut self, now: Instant) -> bool {
        forget(&mut self.began, now, OFTEN_WINDOW);
        if self.began.len() >= OFTEN_LIMIT {
            self.began.clear();
            self.paused_until = Some(now + OFTEN_PAUSE);
            return false;
        }
        self.began.push_back(now);
        true
    }

    /// Rollouts for file changes are suspended.
    pub(super) fn is_suspended(&self) -> bool {
        self.suspended
    }

    /// A rollout for file changes failed; `true` if watching is suspended by that.
    pub(super) fn failed(&mut self, now: Instant) -> bool {
        self.failed.push_back(now);
        forget(&mut self.failed, now, WATCH_WINDOW);
        let suspend = !self.suspended && self.failed.len() > WATCH_LIMIT;
        self.suspended |= suspend;
        suspend
    }

    /// A rollout succeeded: watching goes on.
    pub(super) fn succeeded(&mut self) {
        self.failed.clear();
        self.suspended = false;
    }

    /// An operator took over: whatever went before does not count.
    pub(super) fn resume(&mut self) {
        self.succeeded();
        self.began.clear();
        self.paused_until = None;
    }
}

fn forget(moments: &mut VecDeque<Instant>, now: Instant, window: Duration) {
    while moments.front().is_some_and(|at| now.duration_since(*at) > window) {
        moments.pop_front();
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
        assert_eq!(settle.look(start + quiet), None);
        let over = start + Duration::from_secs(3);
        let (look, files) = settle.look(over).unwrap();
        assert_eq!(files, ["a", "b"]);
        assert_eq!(settle.look(over), None);
        assert_eq!(settle.looked(look), Some(files));
        assert_eq!(settle.looked(look), None);
    }

    #[test]
    fn a_trickle_of_changes_is_a_burst_a_minute() {
        let (start, quiet) = (Instant::now(), Duration::from_secs(2));
        let second = |n: u64| start + Duration::from_secs(n);
        let mut settle = Settle::default();
        assert!((0..60).all(|n| settle.changed(second(n), quiet, "a".into()) == (n == 0)));
        assert_eq!(settle.deadline(), Some(second(60)));
        let patient = Duration::from_secs(300);
        let mut settle = Settle::default();
        settle.changed(start, patient, "a".into());
        assert_eq!(settle.deadline(), Some(start + patient), "a longer wait was asked for");
    }

    #[test]
    fn a_change_during_a_look_waits_for_its_end() {
        let (start, quiet) = (Instant::now(), Duration::from_secs(2));
        let late = start + Duration::from_secs(600);
        let mut settle = Settle::default();
        settle.changed(start, quiet, "a".into());
        let (look, files) = settle.look(late).unwrap();
        assert!(settle.changed(late, quiet, "b".into()));
        assert_eq!((settle.deadline(), settle.look(late + quiet)), (None, None));
        assert_eq!(settle.looked(look), Some(files.clone()));
        settle.put_back(late, quiet, files);
        assert_eq!(settle.look(late + quiet).unwrap().1, ["a", "b"]);
    }

    #[test]
    fn what_was_forgotten_is_not_looked_at_any_more() {
        let (start, quiet) = (Instant::now(), Duration::from_secs(2));
        let mut settle = Settle::default();
        settle.changed(start, quiet, "a".into());
        let (old, _) = settle.look(start + quiet).unwrap();
        settle.clear();
        settle.changed(start + quiet, quiet, "b".into());
        let (new, files) = settle.look(start + 2 * quiet).unwrap();
        assert_eq!(settle.looked(old), None, "the late end of an earlier look");
        assert_eq!(settle.looked(new), Some(files));
    }

    #[test]
    fn the_sixth_rollout_within_a_minute_waits() {
        let start = Instant::now();
        let second = |n: u64| start + Duration::from_secs(n);
        let mut settle = Settle::default();
        assert!((0..5).all(|n| settle.admit(second(n * 10))));
        assert!(!settle.admit(second(50)));
        settle.put_back(second(50), Duration::from_secs(2), vec!["a".into()]);
        assert_eq!(settle.deadline(), Some(second(50) + OFTEN_PAUSE));
        settle.succeeded();
        assert_eq!(settle.deadline(), Some(second(50) + OFTEN_PAUSE), "success is part of it");
        settle.resume();
        assert_eq!(settle.deadline(), Some(second(52)));
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
