//! Requests that wait for a ready instance: bounded in number and in time.
//!
//! What makes a restart of a single instance invisible. The oldest waits at the front: all are
//! woken in the order they came.

use std::pin::pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::endpoint::Pass;
use super::exchange::Exchange;
use super::refusal::Refusal;
use super::service::WhenNone;
use super::tries::Tries;

/// The requests of one service that wait.
pub(crate) struct WaitingRoom {
    places: AtomicUsize,
    taken: AtomicUsize,
    changed: Notify,
    /// The longest wait that has ended since [`WaitingRoom::forget`], in microseconds.
    slowest_us: AtomicU64,
}

/// A place in the waiting room.
struct Place<'a> {
    room: &'a WaitingRoom,
    /// When its request was first held.
    since: Instant,
}

/// A run that refused connections may be about to listen, and nobody will tell: it is tried again
/// this often.
const TRY_AGAIN: Duration = Duration::from_millis(100);

impl WaitingRoom {
    pub(crate) fn new(places: usize) -> Self {
        Self {
            places: AtomicUsize::new(places),
            taken: AtomicUsize::new(0),
            changed: Notify::new(),
            slowest_us: AtomicU64::new(0),
        }
    }

    /// From now on so many may wait.
    pub(crate) fn resize(&self, places: usize) {
        self.places.store(places, Ordering::SeqCst);
    }

    /// Something changed: everybody looks again.
    pub(crate) fn wake(&self) {
        self.changed.notify_waiters();
    }

    /// How many wait.
    pub(crate) fn now(&self) -> u64 {
        self.taken.load(Ordering::SeqCst) as u64
    }

    /// The longest wait that has ended since it was last [forgotten](Self::forget), however it
    /// ended; none if none did.
    pub(crate) fn slowest(&self) -> Option<Duration> {
        let slowest = self.slowest_us.load(Ordering::Relaxed);
        (slowest > 0).then_some(Duration::from_micros(slowest))
    }

    /// Forgets the waits that have ended.
    pub(crate) fn forget(&self) {
        self.slowest_us.store(0, Ordering::Relaxed);
    }

    fn take_place(&self, since: Instant) -> Option<Place<'_>> {
        let places = self.places.load(Ordering::SeqCst);
        let more = |taken| if taken < places { Some(taken + 1) } else { None };
        let taken = self.taken.fetch_update(Ordering::SeqCst, Ordering::SeqCst, more);
        // Lazily: a place that is dropped gives itself back.
        taken.is_ok().then(|| Place { room: self, since })
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.room.taken.fetch_sub(1, Ordering::SeqCst);
        let waited = self.since.elapsed().as_micros().max(1);
        self.room.slowest_us.fetch_max(waited as u64, Ordering::Relaxed);
    }
}

/// Waits until a run can be entered.
///
/// # Errors
///
/// The service is not expected back, too many wait already, or the time is over.
pub(crate) async fn wait(exchange: &Exchange, tries: &mut Tries) -> Result<Pass, Refusal> {
    let service = exchange.service();
    // Nothing is read from it meanwhile: somebody has to look whether it is still there.
    exchange.client().progress().watch();
    let mut place = None;
    loop {
        // Before the look, not after it: an offer in between must wake us.
        let mut changed = pin!(service.waiting().changed.notified());
        changed.as_mut().enable();
        if let Some(pass) = tries.enter(service, std::time::Instant::now()) {
            return Ok(pass);
        }
        let limit = match service.when_none() {
            WhenNone::Hold(limit) => limit,
            WhenNone::Stopped(reason) | WhenNone::Failed(reason) => {
                return Err(tries.nobody(format!("service {} is down: {reason}", name(exchange))));
            }
        };
        let (began, first) = tries.held_since();
        if place.is_none() {
            let free = service.waiting().take_place(began);
            place = Some(free.ok_or_else(|| full(exchange))?);
        }
        if first {
            service.counts().held();
        }
        let (now, deadline) = (Instant::now(), began + limit);
        if now >= deadline {
            return Err(tries.nobody(format!("no instance of {} became ready", name(exchange))));
        }
        let until = if tries.was_refused() { deadline.min(now + TRY_AGAIN) } else { deadline };
        tokio::select! {
            () = &mut changed => {}
            () = sleep_until(until) => {}
        }
        tries.ask_again();
    }
}

fn full(exchange: &Exchange) -> Refusal {
    Refusal::unavailable(format!("too many requests wait for {}", name(exchange)))
}

fn name(exchange: &Exchange) -> &str {
    exchange.service().name().as_str()
}
