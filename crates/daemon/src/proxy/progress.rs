//! What a client's connection waits for, and whether any of it comes.
//!
//! No timer is armed for a request. The task of a connection keeps one word: what it waits for, and
//! a number that changes with each piece of it that comes. The rounds of `sweep` compare the words
//! of all connections with what they were; whoever waits for too long has its word repeated to it,
//! and is woken. What came in between has changed the word, so nobody is ended for what is over.
//! Knows neither sockets nor messages: whoever waits there ends what is to be ended.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use crate::config::{ClientLimits, RequestLimits};

/// What a connection waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Awaited {
    /// The first byte of its first request.
    First,
    /// The first byte of a further request.
    Next,
    /// The rest of a head.
    Head,
    /// An instance that takes the request.
    Instance,
    /// The head of the answer.
    Answer,
    /// More of the answer.
    Rest,
    /// More of the request's body, from the client.
    Body,
    /// That the client takes what it was sent.
    Room,
    /// The streams of a connection of HTTP/2, of which each has a word of its own.
    Streams,
}

/// What a connection waits for, and how often that has changed.
///
/// Bits 0 to 2: which of the first six it is, or that it is the streams. Bit 3: rather the body. Bit 4: rather the room. The
/// rest is the number of the step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Word(u64);

const PHASE: u64 = 0b111;
const BODY: u64 = 1 << 3;
const ROOM: u64 = 1 << 4;
const STEP: u64 = 1 << 5;
/// Is never the word of a connection: there is no such phase.
const NOTHING: u64 = u64::MAX;

/// The word of one connection. Its own task alone changes it, in plain loads and stores.
pub(crate) struct Progress {
    word: AtomicU64,
    /// The word that has stayed for too long.
    overdue: AtomicU64,
    /// The word during which the client is looked after: it may have reset its connection, or rest.
    watched: AtomicU64,
    patience: Patience,
}

/// How long a request may wait for what, in milliseconds; 0: for ever.
pub(crate) struct Patience {
    body: AtomicU32,
    room: AtomicU32,
    answer: AtomicU32,
    rest: AtomicU32,
}

impl Word {
    /// Before the first look.
    pub(crate) const UNSEEN: Self = Self(NOTHING);

    pub(crate) fn awaited(self) -> Awaited {
        match self.0 & (PHASE | BODY | ROOM) {
            flags if flags & ROOM != 0 => Awaited::Room,
            flags if flags & BODY != 0 => Awaited::Body,
            0 => Awaited::First,
            1 => Awaited::Next,
            2 => Awaited::Head,
            3 => Awaited::Instance,
            4 => Awaited::Answer,
            6 => Awaited::Streams,
            _ => Awaited::Rest,
        }
    }

    /// Nothing has come since it was `earlier`.
    pub(crate) fn is_still(self, earlier: Self) -> bool {
        self.0 / STEP == earlier.0 / STEP
    }
}

impl Awaited {
    fn phase(self) -> u64 {
        match self {
            Self::First => 0,
            Self::Next => 1,
            Self::Head => 2,
            Self::Instance => 3,
            Self::Answer => 4,
            Self::Rest => 5,
            Self::Body => 4 | BODY,
            Self::Room => 5 | ROOM,
            Self::Streams => 6,
        }
    }
}

impl Progress {
    pub(crate) fn new() -> Self {
        Self {
            word: AtomicU64::new(Awaited::First.phase()),
            overdue: AtomicU64::new(NOTHING),
            watched: AtomicU64::new(NOTHING),
            patience: Patience::new(&RequestLimits::default()),
        }
    }

    /// Bytes came from the client.
    pub(crate) fn heard(&self) {
        let word = self.load();
        match word & (PHASE | BODY | ROOM) {
            // The time of a first head begins with the connection: the step stays.
            0 => self.store(word | Awaited::Head.phase()),
            1 => self.wait_for(Awaited::Head),
            _ => {}
        }
    }

    /// A request begins, which may wait as its service says.
    pub(crate) fn begin(&self, patience: &Patience) {
        self.patience.copy(patience);
        self.wait_for(Awaited::Instance);
    }

    /// Waits as long as `other` may, from now on.
    pub(crate) fn wait_as(&self, other: &Self) {
        self.patience.copy(&other.patience);
    }

    /// From now on it waits for this.
    pub(crate) fn wait_for(&self, awaited: Awaited) {
        self.store((self.load() & !(STEP - 1)).wrapping_add(STEP) | awaited.phase());
    }

    /// A piece of what is waited for came.
    pub(crate) fn moved(&self) {
        self.store(self.load().wrapping_add(STEP));
    }

    /// The client owes more of its body, which has not come yet.
    pub(crate) fn owes_body(&self) {
        self.raise(BODY);
    }

    /// A piece of the body came.
    pub(crate) fn sent_body(&self) {
        self.store((self.load() & !BODY).wrapping_add(STEP));
    }

    /// The client takes no more for now.
    pub(crate) fn blocked(&self) {
        self.raise(ROOM);
    }

    /// The client took something.
    pub(crate) fn wrote(&self) {
        let word = self.load();
        if word & ROOM != 0 {
            self.store((word & !ROOM).wrapping_add(STEP));
        }
    }

    /// What has been waited for too long, if it has not come until now. To be asked where it would
    /// come in, after a last look.
    pub(crate) fn overdue(&self) -> Option<Awaited> {
        let word = self.load();
        (self.overdue.load(Ordering::Relaxed) == word).then(|| Word(word).awaited())
    }

    /// `future`, or none as soon as `awaited` is overdue. It is pinned already: handed over, it would
    /// be copied, and there would be room for it twice.
    pub(crate) async fn unless_overdue<F: Future>(
        &self,
        awaited: Awaited,
        mut future: Pin<&mut F>,
    ) -> Option<F::Output> {
        poll_fn(|cx| match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if self.overdue() == Some(awaited) => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        })
        .await
    }

    /// Whether a client that still waits like this is to be looked after. One that has asked could go
    /// away unnoticed, since nothing is read from it or written to it; one that has not may rest.
    pub(crate) fn is_worth_a_look(&self, word: Word) -> bool {
        match word.awaited() {
            Awaited::Instance | Awaited::Answer | Awaited::Rest => true,
            Awaited::Next => !self.is_watched(),
            Awaited::First | Awaited::Head | Awaited::Body | Awaited::Room | Awaited::Streams => {
                false
            }
        }
    }

    /// Until something comes, the client is looked after.
    pub(crate) fn watch(&self) {
        self.watched.store(self.load(), Ordering::Relaxed);
    }

    pub(crate) fn is_watched(&self) -> bool {
        self.watched.load(Ordering::Relaxed) == self.load()
    }

    /// No further request has come for a while, and none is expected soon.
    pub(crate) fn is_resting(&self) -> bool {
        self.word().awaited() == Awaited::Next && self.is_watched()
    }

    /// As it is now, for whoever makes the rounds.
    pub(crate) fn word(&self) -> Word {
        Word(self.load())
    }

    /// How long a connection may wait like this.
    pub(crate) fn limit(&self, word: Word, clients: &ClientLimits) -> Option<Duration> {
        match word.awaited() {
            Awaited::First | Awaited::Head => Some(clients.header_timeout),
            Awaited::Next => Some(clients.idle_timeout),
            Awaited::Instance | Awaited::Streams => None,
            Awaited::Answer => time(&self.patience.answer),
            Awaited::Rest => time(&self.patience.rest),
            Awaited::Body => time(&self.patience.body),
            Awaited::Room => time(&self.patience.room),
        }
    }

    /// Says that `word` has stayed for too long.
    pub(crate) fn expire(&self, word: Word) {
        self.overdue.store(word.0, Ordering::Relaxed);
    }

    /// Has the client looked after as long as it is `word`.
    pub(crate) fn watch_during(&self, word: Word) {
        self.watched.store(word.0, Ordering::Relaxed);
    }

    fn raise(&self, flag: u64) {
        let word = self.load();
        if word & flag == 0 {
            self.store(word.wrapping_add(STEP) | flag);
        }
    }

    fn load(&self) -> u64 {
        self.word.load(Ordering::Relaxed)
    }

    fn store(&self, word: u64) {
        self.word.store(word, Ordering::Relaxed);
    }
}

impl Patience {
    pub(crate) fn new(limits: &RequestLimits) -> Self {
        let [body, room, answer, rest] = Self::milliseconds(limits).map(AtomicU32::new);
        Self { body, room, answer, rest }
    }

    /// From now on, requests that begin may wait so long.
    pub(crate) fn set(&self, limits: &RequestLimits) {
        let [body, room, answer, rest] = Self::milliseconds(limits);
        self.body.store(body, Ordering::Relaxed);
        self.room.store(room, Ordering::Relaxed);
        self.answer.store(answer, Ordering::Relaxed);
        self.rest.store(rest, Ordering::Relaxed);
    }

    fn copy(&self, from: &Self) {
        let copy = |to: &AtomicU32, from: &AtomicU32| {
            to.store(from.load(Ordering::Relaxed), Ordering::Relaxed);
        };
        copy(&self.body, &from.body);
        copy(&self.room, &from.room);
        copy(&self.answer, &from.answer);
        copy(&self.rest, &from.rest);
    }

    fn milliseconds(limits: &RequestLimits) -> [u32; 4] {
        let milliseconds = |time: Duration| u32::try_from(time.as_millis()).unwrap_or(u32::MAX);
        [
            milliseconds(limits.body_timeout),
            milliseconds(limits.write_timeout),
            limits.response_timeout.map_or(0, milliseconds),
            limits.upstream_body_timeout.map_or(0, milliseconds),
        ]
    }
}

fn time(milliseconds: &AtomicU32) -> Option<Duration> {
    match milliseconds.load(Ordering::Relaxed) {
        0 => None,
        milliseconds => Some(Duration::from_millis(milliseconds.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wait_is_read_as_it_was_written() {
        use Awaited::{Answer, Body, First, Head, Instance, Next, Rest, Room, Streams};
        let progress = Progress::new();
        assert_eq!(progress.word().awaited(), First);
        for awaited in [First, Next, Head, Instance, Answer, Rest, Body, Room, Streams] {
            progress.wait_for(awaited);
            assert_eq!(progress.word().awaited(), awaited);
        }
    }

    #[test]
    fn the_time_of_a_first_head_begins_with_the_connection_and_of_another_with_its_first_byte() {
        let progress = Progress::new();
        let connected = progress.word();
        progress.heard();
        assert_eq!(progress.word().awaited(), Awaited::Head);
        assert!(progress.word().is_still(connected));
        progress.wait_for(Awaited::Next);
        let idle = progress.word();
        progress.heard();
        assert_eq!(progress.word().awaited(), Awaited::Head);
        assert!(!progress.word().is_still(idle));
        let begun = progress.word();
        progress.heard();
        assert!(progress.word().is_still(begun), "the time of a head is its whole time");
    }

    #[test]
    fn what_came_in_time_is_not_overdue_any_more() {
        let progress = Progress::new();
        progress.wait_for(Awaited::Answer);
        progress.expire(progress.word());
        assert_eq!(progress.overdue(), Some(Awaited::Answer));
        progress.moved();
        assert_eq!(progress.overdue(), None);
    }

    #[test]
    fn what_the_client_owes_comes_before_what_the_instance_owes() {
        let progress = Progress::new();
        progress.wait_for(Awaited::Answer);
        progress.owes_body();
        assert_eq!(progress.word().awaited(), Awaited::Body);
        let owed = progress.word();
        progress.owes_body();
        assert_eq!(progress.word(), owed, "to wait on is no progress");
        progress.sent_body();
        assert_eq!(progress.word().awaited(), Awaited::Answer);
        progress.blocked();
        assert_eq!(progress.word().awaited(), Awaited::Room);
        progress.wrote();
        assert_eq!(progress.word().awaited(), Awaited::Answer);
    }

    #[test]
    fn each_wait_has_its_limit() {
        let (clients, progress) = (ClientLimits::default(), Progress::new());
        let limits = RequestLimits { response_timeout: None, ..RequestLimits::default() };
        progress.begin(&Patience::new(&limits));
        let limit = |awaited| {
            progress.wait_for(awaited);
            progress.limit(progress.word(), &clients)
        };
        assert_eq!(limit(Awaited::Head), Some(clients.header_timeout));
        assert_eq!(limit(Awaited::Next), Some(clients.idle_timeout));
        assert_eq!(limit(Awaited::Instance), None);
        assert_eq!(limit(Awaited::Answer), None);
        assert_eq!(limit(Awaited::Rest), None);
        assert_eq!(limit(Awaited::Body), Some(limits.body_timeout));
        assert_eq!(limit(Awaited::Room), Some(limits.write_timeout));
    }
}
