//! Who is connected, and how all of them are told that the house closes.
//!
//! Connections look at one word after each step and are woken once when it changes; nothing here
//! is locked but when a client comes or goes.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use super::client::Client;
use super::slots::Slots;

/// Every connection from a client, whichever port it came in on.
pub(crate) struct Doors {
    state: AtomicU8,
    clients: Mutex<Slots<Arc<Client>>>,
    /// Clients that ever came in.
    came: AtomicU64,
    /// For those who wait for a next client.
    closing: CancellationToken,
}

const OPEN: u8 = 0;
const CLOSING: u8 = 1;
const CUT: u8 = 2;

/// A client in the list, until dropped.
pub(crate) struct Registered<'a> {
    doors: &'a Doors,
    place: usize,
}

impl Doors {
    pub(crate) fn new() -> Self {
        Self {
            state: AtomicU8::new(OPEN),
            clients: Mutex::new(Slots::new()),
            came: AtomicU64::new(0),
            closing: CancellationToken::new(),
        }
    }

    pub(crate) fn register(&self, client: &Arc<Client>) -> Registered<'_> {
        let place = self.clients().insert(Arc::clone(client));
        self.came.fetch_add(1, Ordering::Relaxed);
        // It may have come through just as everybody was cut.
        if self.state.load(Ordering::SeqCst) == CUT {
            client.cut();
        }
        Registered { doors: self, place }
    }

    /// Who is in, and who ever came in.
    pub(crate) fn counts(&self) -> (usize, u64) {
        (self.clients().len(), self.came.load(Ordering::Relaxed))
    }

    /// Nobody new comes in, and whoever is in is asked to leave.
    pub(crate) fn close(&self) {
        self.state.fetch_max(CLOSING, Ordering::SeqCst);
        self.closing.cancel();
        for client in self.clients().iter() {
            client.wake();
        }
    }

    /// Whoever came in by `listen` is asked to leave.
    pub(crate) fn close_one(&self, listen: SocketAddr) {
        for client in self.clients().iter().filter(|client| client.listen() == listen) {
            client.wake();
        }
    }

    /// Whoever is in is thrown out.
    pub(crate) fn cut(&self) {
        self.state.store(CUT, Ordering::SeqCst);
        self.closing.cancel();
        for client in self.clients().iter() {
            client.cut();
        }
    }

    pub(crate) fn are_closing(&self) -> bool {
        self.state.load(Ordering::Relaxed) != OPEN
    }

    /// Resolves when the doors close.
    pub(crate) async fn closing(&self) {
        self.closing.cancelled().await;
    }

    fn clients(&self) -> MutexGuard<'_, Slots<Arc<Client>>> {
        // Nothing under this lock can panic half-way.
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Registered<'_> {
    fn drop(&mut self) {
        self.doors.clients().remove(self.place);
    }
}
