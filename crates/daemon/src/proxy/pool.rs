//! The connections of one run: those that wait for a request, and who uses the others.
//!
//! They belong to the run and not to its address, so that no request ever rides a keep-alive
//! connection to a process that is gone. The lock is taken twice a request, for a few
//! instructions, and is shared by nobody but the requests of this run.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::client::Client;
use super::link::Link;
use super::slots::Slots;

/// Idle connections, newest last, and the clients whose requests are inside.
pub(crate) struct Pool {
    state: Mutex<State>,
}

struct State {
    idle: Vec<Idle>,
    users: Slots<Arc<Client>>,
    /// A closed pool keeps nothing: its run is draining or gone.
    closed: bool,
    /// Whoever sits down now is cut too: it entered before the gate closed.
    cut: bool,
}

struct Idle {
    link: Link,
    since: Instant,
}

/// A place among the users of the pool.
pub(crate) struct Seat(usize);

impl Pool {
    pub(crate) fn new() -> Self {
        let state = State { idle: Vec::new(), users: Slots::new(), closed: false, cut: false };
        Self { state: Mutex::new(state) }
    }

    /// Notes that `client` is inside, and gives it the connection used last if that was not longer
    /// ago than `oldest`; none: it wants none.
    ///
    /// The newest first: the others grow old together and are closed together, and the newest is
    /// the least likely to be closed by the application at this moment.
    pub(crate) fn sit(
        &self,
        client: &Arc<Client>,
        now: Instant,
        oldest: Option<Duration>,
    ) -> (Seat, Option<Link>) {
        let mut state = self.lock();
        if state.cut {
            client.cut();
        }
        let seat = Seat(state.users.insert(Arc::clone(client)));
        let newest = oldest.and_then(|oldest| {
            let young = |idle: &mut Idle| now.saturating_duration_since(idle.since) <= oldest;
            state.idle.pop_if(young)
        });
        (seat, newest.map(|idle| idle.link))
    }

    /// Gives the seat back, and the connection for the next one.
    pub(crate) fn give_back(&self, seat: Seat, link: Link, now: Instant) {
        let refused = {
            let mut state = self.lock();
            state.users.remove(seat.0);
            if state.closed {
                Some(link)
            } else {
                state.idle.push(Idle { link, since: now });
                None
            }
        };
        // Closing a socket takes longer than the lock should be held.
        drop(refused);
    }

    /// Gives the seat back; its connection is not worth keeping.
    pub(crate) fn stand_up(&self, seat: Seat) {
        self.lock().users.remove(seat.0);
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
        for client in state.users.iter() {
            client.cut();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing under this lock can panic half-way; a panic elsewhere must not end the service.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
