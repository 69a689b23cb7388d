//! The connections of one run: those that wait for a request, and who uses the others.
//!
//! They belong to the run and not to its address, so that no request ever rides a keep-alive
//! connection to a process that is gone. The lock is taken twice a request, for a few
//! instructions, and is shared by nobody but the requests of this run.

use std::ops::RangeInclusive;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::link::Link;
use super::slots::Slots;
use super::visit::Visit;

/// Idle connections, newest last, and who is inside.
pub(crate) struct Pool {
    state: Mutex<State>,
}

struct State {
    idle: Vec<Idle>,
    visits: Slots<Visit>,
    /// A closed pool keeps nothing: its run is draining or gone.
    closed: bool,
    /// Whoever sits down now is cut too: it entered before the gate closed.
    cut: bool,
}

struct Idle {
    link: Link,
    since: Instant,
}

/// A place among those inside.
pub(crate) struct Seat(usize);

impl Pool {
    pub(crate) fn new() -> Self {
        let state = State { idle: Vec::new(), visits: Slots::new(), closed: false, cut: false };
        Self { state: Mutex::new(state) }
    }

    /// Notes who is inside, and gives it the connection used last among those that have been idle for
    /// a time within `ages`; none: it wants none.
    ///
    /// The newest first: the others grow old together and are closed together, and the newest is
    /// the least likely to be closed by the application at this moment.
    pub(crate) fn sit(
        &self,
        visit: Visit,
        now: Instant,
        ages: Option<RangeInclusive<Duration>>,
    ) -> (Seat, Option<Link>) {
        let mut state = self.lock();
        if state.cut {
            visit.cut();
        }
        let seat = Seat(state.visits.insert(visit));
        let Some(ages) = ages else { return (seat, None) };
        let times = state.idle.iter().map(|idle| now.saturating_duration_since(idle.since));
        let newest = newest(times, &ages).map(|place| state.idle.remove(place).link);
        // The new one that is needed takes the place of the oldest, or those that are too old for this
        // use would add up.
        let oldest = match newest {
            None => state.idle.first().map(|idle| now.saturating_duration_since(idle.since)),
            Some(_) => None,
        };
        let left = oldest.is_some_and(|age| age > *ages.end()).then(|| state.idle.remove(0));
        drop(state);
        // Closing a socket takes longer than the lock should be held.
        drop(left);
        (seat, newest)
    }

    /// Gives the seat back, and the connection for the next one.
    pub(crate) fn give_back(&self, seat: Seat, link: Link, now: Instant) {
        let left = {
            let mut state = self.lock();
            let visit = state.visits.remove(seat.0);
            if state.closed {
                (visit, Some(link))
            } else {
                state.idle.push(Idle { link, since: now });
                (visit, None)
            }
        };
        // Closing a socket takes longer than the lock should be held.
        drop(left);
    }

    /// The request on this seat became a tunnel.
    pub(crate) fn become_tunnel(&self, seat: &Seat) {
        if let Some(visit) = self.lock().visits.get_mut(seat.0) {
            visit.become_tunnel();
        }
    }

    /// Gives the seat back; its connection is not worth keeping.
    pub(crate) fn stand_up(&self, seat: Seat) {
        let visit = self.lock().visits.remove(seat.0);
        // It may be the last that knows its client, and a client takes its time to go.
        drop(visit);
    }

    /// The oldest of those inside, in order, at most so many.
    pub(crate) fn oldest(&self, at_most: usize) -> Vec<Visit> {
        let mut oldest: Vec<Visit> = {
            let state = self.lock();
            let mut visits: Vec<&Visit> = state.visits.iter().collect();
            if at_most < visits.len() {
                // The others need no order, and there may be thousands.
                visits.select_nth_unstable_by_key(at_most, |visit| visit.began());
            }
            visits.into_iter().take(at_most).cloned().collect()
        };
        oldest.sort_by_key(Visit::began);
        oldest
    }

    /// Drops what is idle and keeps nothing from now on.
    pub(crate) fn close(&self) {
        let idle = {
            let mut state = self.lock();
            state.closed = true;
            std::mem::take(&mut state.idle)
        };
        drop(idle);
    }

    pub(crate) fn reopen(&self) {
        let mut state = self.lock();
        state.closed = false;
        state.cut = false;
    }

    /// Drops what has been idle for longer than `limit`.
    pub(crate) fn sweep(&self, now: Instant, limit: Duration) {
        let old: Vec<Idle> = {
            let mut state = self.lock();
            let too_old = |idle: &Idle| now.saturating_duration_since(idle.since) > limit;
            let first_young = state.idle.partition_point(too_old);
            state.idle.drain(..first_young).collect()
        };
        drop(old);
    }

    /// Ends the requests inside.
    pub(crate) fn cut(&self) {
        let mut state = self.lock();
        state.cut = true;
        for visit in state.visits.iter() {
            visit.cut();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing under this lock can panic half-way; a panic elsewhere must not end the service.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The last of `times`, which fall, that is within `ages`.
fn newest(
    times: impl DoubleEndedIterator<Item = Duration> + ExactSizeIterator,
    ages: &RangeInclusive<Duration>,
) -> Option<usize> {
    let (place, time) = times.enumerate().rev().find(|(_, time)| time >= ages.start())?;
    (time <= *ages.end()).then_some(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_connection_used_last_that_has_been_idle_for_long_enough_is_taken() {
        let ms = Duration::from_millis;
        let times = [90, 40, 7, 3, 0].map(ms);
        let newest = |from, to| newest(times.into_iter(), &(ms(from)..=ms(to)));
        assert_eq!(newest(0, 1000), Some(4));
        assert_eq!(newest(5, 100), Some(2));
        assert_eq!(newest(8, 30), None, "those that are old enough are too old");
        assert_eq!(newest(100, 1000), None);
    }
}
