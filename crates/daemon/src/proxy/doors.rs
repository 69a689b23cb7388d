//! Who is connected, and how all of them are told that the house closes.
//!
//! Connections look at one word after each step and are woken once when it changes; nothing here
//! is locked but when a client comes or goes, and for a moment in the rounds of `sweep`.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::client::Client;
use super::progress::Word;
use super::slots::Slots;
use crate::config::ClientLimits;

/// Every connection from a client, whichever port it came in on.
pub(crate) struct Doors {
    state: AtomicU8,
    clients: Mutex<Slots<Guest>>,
    /// Clients that ever came in.
    came: AtomicU64,
    /// For those who wait for a next client.
    closing: CancellationToken,
}

const OPEN: u8 = 0;
const CLOSING: u8 = 1;
const CUT: u8 = 2;

/// A client, and what the last round saw of it.
pub(super) struct Guest {
    client: Arc<Client>,
    word: Word,
    /// When it began to be like this.
    since: Duration,
    /// When it is to be looked after.
    look_at: Duration,
}

/// A client that has been silent for this long is looked after: it may be gone, or rest.
const LOOK_AFTER: Duration = Duration::from_secs(1);
/// So many are looked at in a row, while others who come or go have to wait.
const ROUND: usize = 1000;

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
        let place = self.clients().insert(Guest::new(client));
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

    /// Who has asked for nothing for a while, and keeps nothing meanwhile.
    #[cfg(test)]
    pub(crate) fn resting(&self) -> usize {
        self.clients().iter().filter(|guest| guest.client.progress().is_resting()).count()
    }

    /// Nobody new comes in, and whoever is in is asked to leave.
    pub(crate) fn close(&self) {
        self.state.fetch_max(CLOSING, Ordering::SeqCst);
        self.closing.cancel();
        for guest in self.clients().iter() {
            guest.client.wake();
        }
    }

    /// Whoever came in by `listen` is asked to leave.
    pub(crate) fn close_one(&self, listen: SocketAddr) {
        for guest in self.clients().iter().filter(|guest| guest.client.listen() == listen) {
            guest.client.wake();
        }
    }

    /// Whoever is in is thrown out.
    pub(crate) fn cut(&self) {
        self.state.store(CUT, Ordering::SeqCst);
        self.closing.cancel();
        for guest in self.clients().iter() {
            guest.client.cut();
        }
    }

    pub(crate) fn are_closing(&self) -> bool {
        self.state.load(Ordering::Relaxed) != OPEN
    }

    /// Resolves when the doors close.
    pub(crate) async fn closing(&self) {
        self.closing.cancelled().await;
    }

    /// Tells those who wait for longer than they may. `now` is the time of the rounds.
    pub(crate) fn look_round(&self, now: Duration, limits: &ClientLimits) {
        let mut next = 0;
        loop {
            let mut guests = self.clients();
            let end = guests.numbers().min(next + ROUND);
            for place in next..end {
                if let Some(guest) = guests.get_mut(place) {
                    guest.look(now, limits);
                }
            }
            if end == guests.numbers() {
                return;
            }
            next = end;
        }
    }

    fn clients(&self) -> MutexGuard<'_, Slots<Guest>> {
        // Nothing under this lock can panic half-way.
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Guest {
    pub(super) fn new(client: &Arc<Client>) -> Self {
        let (since, look_at) = (Duration::ZERO, Duration::ZERO);
        // As no round has seen it yet: its time begins with the next one.
        Self { client: Arc::clone(client), word: Word::UNSEEN, since, look_at }
    }

    pub(super) fn cut(&self) {
        self.client.cut();
    }

    pub(super) fn look(&mut self, now: Duration, limits: &ClientLimits) {
        if let Some(streams) = self.client.open_streams() {
            streams.look_round(now, limits);
        }
        let progress = self.client.progress();
        let word = progress.word();
        if !word.is_still(self.word) {
            (self.word, self.since, self.look_at) = (word, now, now + LOOK_AFTER);
            return;
        }
        let waited = now - self.since;
        if progress.limit(word, limits).is_some_and(|limit| waited >= limit) {
            progress.expire(word);
            self.client.wake();
        } else if now >= self.look_at && progress.is_worth_a_look(word) {
            progress.watch_during(word);
            self.client.wake();
            // Less and less often: whoever has been patient for long has not just left.
            self.look_at = now + waited;
        }
    }
}

impl Drop for Registered<'_> {
    fn drop(&mut self) {
        let guest = self.doors.clients().remove(self.place);
        // It may be the last that knows its client, and a client takes its time to go.
        drop(guest);
    }
}
