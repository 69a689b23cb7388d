//! Requests that wait for a ready instance: bounded in number and in time.
//!
//! What makes a restart of a single instance invisible. The oldest waits at the front: all are
//! woken in the order they came.

use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
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
    places: usize,
    taken: AtomicUsize,
    changed: Notify,
}

/// A place in the waiting room.
struct Place<'a>(&'a WaitingRoom);

/// A run that refused connections may be about to listen, and nobody will tell: it is tried again
/// this often.
const TRY_AGAIN: Duration = Duration::from_millis(100);

impl WaitingRoom {
    pub(crate) fn new(places: usize) -> Self {
        Self { places, taken: AtomicUsize::new(0), changed: Notify::new() }
    }

    /// Something changed: everybody looks again.
    pub(crate) fn wake(&self) {
        self.changed.notify_waiters();
    }

    /// How many wait.
    pub(crate) fn now(&self) -> u64 {
        self.taken.load(Ordering::SeqCst) as u64
    }

    fn take_place(&self) -> Option<Place<'_>> {
        let more = |taken| if taken < self.places { Some(taken + 1) } else { None };
        let taken = self.taken.fetch_update(Ordering::SeqCst, Ordering::SeqCst, more);
        taken.is_ok().then(|| Place(self))
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Waits until a run can be entered.
///
/// # Errors
///
/// The service is not expected back, too many wait already, or the time is over.
pub(crate) async fn wait(exchange: &Exchange, tries: &mut Tries) -> Result<Pass, Refusal> {
    let service = exchange.service();
    let _held = exchange.client().hold();
    let mut place = None;
    loop {
        // Before the look, not after it: an offer in between must wake us.
        let mut changed = pin!(service.waiting().changed.notified());
        changed.as_mut().enable();
        if let Some(pass) = tries.enter(service) {
            return Ok(pass);
        }
        let limit = match service.when_none() {
            WhenNone::Hold(limit) => limit,
            WhenNone::Stopped(reason) | WhenNone::Failed(reason) => {
                return Err(tries.nobody(format!("service {} is down: {reason}", name(exchange))));
            }
        };
        if place.is_none() {
            let free = service.waiting().take_place();
            place = Some(free.ok_or_else(|| full(exchange))?);
        }
        let (began, first) = tries.held_since();
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
    exchange.service().config().name.as_str()
}
