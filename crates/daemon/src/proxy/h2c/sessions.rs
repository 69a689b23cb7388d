//! The connections of HTTP/2 of one run: one, unless the instance allows too few streams at once, or
//! wants no more on it.
//!
//! They belong to the run and not to its address, as those of HTTP/1 do in `pool`.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::session::{HANDSHAKE, Place, Session};
use super::stream::Stream;
use crate::config::InstanceAddr;

/// Those that may be used, newest last.
pub(crate) struct Sessions {
    state: Mutex<State>,
    /// One connects, and the others wait for it: there may be room for all of them then.
    connecting: tokio::sync::Mutex<()>,
}

struct State {
    sessions: Vec<Arc<Session>>,
    /// Keeps nothing: the run is draining or gone.
    closed: bool,
}

impl Sessions {
    pub(crate) fn new() -> Self {
        let state = State { sessions: Vec::new(), closed: false };
        Self { state: Mutex::new(state), connecting: tokio::sync::Mutex::new(()) }
    }

    /// A stream of the newest connection that has room, and has not been idle for longer than
    /// `longest`; none if there is none. One that others use at this moment is not idle, and as good
    /// as a new one.
    pub(crate) fn open(&self, longest: Duration) -> Option<Stream> {
        let (now, state) = (Instant::now(), self.lock());
        let young = |session: &&Arc<Session>| session.idle_for(now) <= longest;
        let place = state.sessions.iter().rev().filter(young).find_map(Session::enter);
        place.map(Stream::new)
    }

    /// A stream of a new connection, which may take `limit`; or of one that somebody else has made
    /// meanwhile, as [`open`](Self::open) gives it.
    ///
    /// # Errors
    ///
    /// The instance could not be connected to, or does not speak HTTP/2. Nothing was sent.
    pub(crate) async fn connect(
        &self,
        addr: &InstanceAddr,
        limit: Duration,
        longest: Duration,
    ) -> io::Result<Stream> {
        let connecting = async {
            let _turn = self.connecting.lock().await;
            if let Some(stream) = self.open(longest) {
                return Ok(stream);
            }
            let session = Session::connect(addr, limit).await?;
            let no_room = || io::Error::new(io::ErrorKind::ConnectionRefused, "no stream allowed");
            self.keep(session).map(Stream::new).ok_or_else(no_room)
        };
        let connected = tokio::time::timeout(limit + HANDSHAKE, connecting).await;
        connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    fn keep(&self, session: Arc<Session>) -> Option<Place> {
        let mut state = self.lock();
        let place = session.enter();
        if place.is_some() && !state.closed {
            state.sessions.push(session);
        }
        place
    }

    /// Keeps nothing from now on; what is used ends with the last that uses it.
    pub(crate) fn close(&self) {
        let left = {
            let mut state = self.lock();
            state.closed = true;
            std::mem::take(&mut state.sessions)
        };
        drop(left);
    }

    pub(crate) fn reopen(&self) {
        self.lock().closed = false;
    }

    /// Drops what is over, and what has been idle for longer than `limit`.
    pub(crate) fn sweep(&self, now: Instant, limit: Duration) {
        let is_old =
            |session: &mut Arc<Session>| session.is_over() || session.idle_for(now) > limit;
        let old: Vec<_> = self.lock().sessions.extract_if(.., is_old).collect();
        // Whoever drops the last of it wakes its task, which is no work for under the lock.
        drop(old);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing under this lock can panic half-way; a panic elsewhere must not end the service.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
