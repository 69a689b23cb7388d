//! Passive health: what becomes of requests says how the run is that they were sent to.
//!
//! A run that fails so many requests in a row is left out of the choice for a while. Then one
//! request tries it, and what becomes of that one decides. Everything here is decided from
//! arguments, time included; it is not known here who else may be chosen, and why requests fail.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How one run does.
///
/// All of it is in one word, which is 0 as long as all is well: an answer costs one load then, and
/// so does a choice.
pub(crate) struct Health {
    /// What times are counted from.
    since: Instant,
    word: AtomicU64,
}

/// What the word says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Record {
    /// Requests that failed since the last that was answered.
    failures: u64,
    /// While it is left out: when it may be tried, in milliseconds since `Health::since`, not 0.
    try_at: Option<u64>,
}

/// The lower bits of the word are failures, the others time: 544 years of it.
const FAILURE_BITS: u32 = 20;
const FAILURES: u64 = (1 << FAILURE_BITS) - 1;

impl Record {
    const fn unpack(word: u64) -> Self {
        let try_at = match word >> FAILURE_BITS {
            0 => None,
            at => Some(at),
        };
        Self { failures: word & FAILURES, try_at }
    }

    fn pack(self) -> u64 {
        (self.try_at.unwrap_or(0) << FAILURE_BITS) | self.failures.min(FAILURES)
    }
}

impl Health {
    pub(crate) fn new(now: Instant) -> Self {
        Self { since: now, word: AtomicU64::new(0) }
    }

    /// It failed too many requests in a row, and has answered none since.
    pub(crate) fn is_left_out(&self) -> bool {
        self.record().try_at.is_some()
    }

    /// It is not left out, or it is time to try it.
    pub(crate) fn may_be_chosen(&self, now: Instant) -> bool {
        self.record().try_at.is_none_or(|at| at <= self.millis(now))
    }

    /// Takes the right to send it a request: anybody's if it is not left out, else that of one, and
    /// of the next one after `pause`.
    pub(crate) fn take_turn(&self, now: Instant, pause: impl FnOnce() -> Duration) -> bool {
        let word = self.word.load(Ordering::Relaxed);
        let record = Record::unpack(word);
        let Some(at) = record.try_at else { return true };
        if at > self.millis(now) {
            return false;
        }
        let next = Record { try_at: Some(self.millis(now + pause())), ..record }.pack();
        self.word.compare_exchange(word, next, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// A request was answered, whatever the answer; `true` if it was left out until now.
    pub(crate) fn answered(&self) -> bool {
        self.word.load(Ordering::Relaxed) != 0
            && Record::unpack(self.word.swap(0, Ordering::Relaxed)).try_at.is_some()
    }

    /// A request failed; `true` if it is left out from now on, for `pause`: it was the last of
    /// `max_fails` in a row. With 0, it never is.
    pub(crate) fn failed(&self, now: Instant, max_fails: u32, pause: Duration) -> bool {
        if max_fails == 0 {
            return false;
        }
        let later = self.millis(now + pause);
        let one_more = |word| {
            let Record { failures, try_at } = Record::unpack(word);
            let failures = failures + 1;
            let is_out = try_at.is_some() || failures >= u64::from(max_fails);
            Some(Record { failures, try_at: is_out.then_some(later) }.pack())
        };
        let before = self.word.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more);
        let before = Record::unpack(before.unwrap_or_else(|word| word));
        before.try_at.is_none() && before.failures + 1 >= u64::from(max_fails)
    }

    fn record(&self) -> Record {
        Record::unpack(self.word.load(Ordering::Relaxed))
    }

    /// Never 0, which means that it is not left out.
    fn millis(&self, at: Instant) -> u64 {
        let millis = at.saturating_duration_since(self.since).as_millis();
        u64::try_from(millis).unwrap_or(u64::MAX).clamp(1, u64::MAX >> FAILURE_BITS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: Duration = Duration::from_secs(10);
    const MOMENT: Duration = Duration::from_millis(1);

    fn after_three_failures() -> (Health, Instant) {
        let now = Instant::now();
        let health = Health::new(now);
        assert!(!health.failed(now, 3, PAUSE) && !health.failed(now, 3, PAUSE));
        assert!(health.may_be_chosen(now) && !health.is_left_out());
        assert!(health.failed(now, 3, PAUSE));
        (health, now)
    }

    #[test]
    fn so_many_failures_in_a_row_leave_it_out_and_that_is_said_once() {
        let (health, now) = after_three_failures();
        assert!(health.is_left_out());
        assert!(!health.may_be_chosen(now + PAUSE - MOMENT));
        assert!(!health.take_turn(now + PAUSE - MOMENT, || PAUSE));
        // Of a request that was under way.
        assert!(!health.failed(now, 3, PAUSE));
    }

    #[test]
    fn an_answer_in_between_begins_the_count_anew() {
        let now = Instant::now();
        let health = Health::new(now);
        for _ in 0..10 {
            assert!(!health.failed(now, 3, PAUSE) && !health.failed(now, 3, PAUSE));
            assert!(!health.answered());
        }
        assert!(health.may_be_chosen(now));
    }

    #[test]
    fn after_the_pause_one_request_tries_it() {
        let (health, now) = after_three_failures();
        let later = now + PAUSE;
        assert!(health.may_be_chosen(later));
        assert!(health.take_turn(later, || PAUSE));
        assert!(!health.may_be_chosen(later) && !health.take_turn(later, || PAUSE));
        assert!(health.is_left_out());
        // That one was never heard of again: another tries it.
        assert!(health.take_turn(later + PAUSE, || PAUSE));
    }

    #[test]
    fn one_failure_of_the_trial_is_enough_to_leave_it_out_again() {
        let (health, now) = after_three_failures();
        let later = now + PAUSE;
        assert!(health.take_turn(later, || PAUSE));
        assert!(!health.failed(later + MOMENT, 3, PAUSE), "it was left out all the while");
        assert!(!health.may_be_chosen(later + PAUSE));
        assert!(health.may_be_chosen(later + MOMENT + PAUSE));
    }

    #[test]
    fn an_answer_ends_it_and_that_is_said_once() {
        let (health, now) = after_three_failures();
        assert!(health.answered());
        assert!(!health.answered());
        assert!(!health.is_left_out() && health.take_turn(now, || unreachable!()));
        assert!(!health.failed(now, 3, PAUSE), "the count began anew");
    }

    #[test]
    fn none_is_never_too_many_and_there_is_no_number_that_overflows() {
        let now = Instant::now();
        let health = Health::new(now);
        assert!((0..100).all(|_| !health.failed(now, 0, PAUSE)));
        assert!(!health.is_left_out());
        health.word.store(FAILURES, Ordering::Relaxed);
        assert!(!health.failed(now, u32::MAX, PAUSE));
        assert_eq!(health.record(), Record { failures: FAILURES, try_at: None });
    }
}
