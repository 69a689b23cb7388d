//! The streams of one connection: who they are, and how all of them are ended.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::config::ClientLimits;
use crate::proxy::client::Client;
use crate::proxy::doors::Guest;
use crate::proxy::slots::Slots;

/// Everybody who asks on one connection.
pub(crate) struct Streams(Mutex<Slots<Guest>>);

/// A stream in the list of its connection, until dropped.
pub(super) struct Open {
    client: Arc<Client>,
    connection: Arc<Client>,
    place: usize,
}

impl Streams {
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(Slots::new()))
    }

    /// One more, as a client of its own.
    pub(super) fn open(&self, connection: &Arc<Client>) -> Open {
        let client = Client::of_stream(connection);
        let place = self.guests().insert(Guest::new(&client));
        Open { client, connection: Arc::clone(connection), place }
    }

    pub(super) fn are_none(&self) -> bool {
        self.guests().len() == 0
    }

    /// Ends all of them at once; what they asked for counts as cut.
    pub(super) fn cut(&self) {
        for guest in self.guests().iter() {
            guest.cut();
        }
    }

    /// Tells those who wait for longer than they may.
    pub(crate) fn look_round(&self, now: Duration, limits: &ClientLimits) {
        let mut guests = self.guests();
        for place in 0..guests.numbers() {
            if let Some(guest) = guests.get_mut(place) {
                guest.look(now, limits);
            }
        }
    }

    fn guests(&self) -> MutexGuard<'_, Slots<Guest>> {
        // Nothing under this lock can panic half-way.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    pub(super) fn client(&self) -> &Arc<Client> {
        &self.client
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let streams = self.connection.streams();
        // What is on its way to the client may still wait in the connection for that long.
        self.connection.progress().wait_as(self.client.progress());
        let guest = streams.guests().remove(self.place);
        drop(guest);
        if streams.are_none() {
            self.connection.wake();
        }
    }
}
