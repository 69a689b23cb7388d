//! What is told of each request for the access log, and the queue it goes by.
//!
//! A request notes what its head says when it comes, and hands the note over when it ends; whoever
//! takes notes out of the queue formats and writes them. Nobody waits: what finds the queue full is
//! dropped and counted. While no log is kept, a request looks at one flag and no more.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use http::header::{HOST, REFERER, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode, Version};

use super::client::Client;
use super::endpoint::Launched;
use super::ledger::Outcome;
use super::refusal::Refusal;
use super::service::ServiceProxy;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Notes that may wait to be written. With the bounds below they take 28 MiB at most, and a hundredth
/// of that as a rule.
const QUEUE: usize = 8192;
/// Bytes that are kept of each text, in the order of [`Text`].
const KEPT: [usize; 6] = [32, 256, 2048, 128, 512, 512];

/// A text of a request's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Text {
    Method,
    Host,
    /// Without what follows the `?`, which may be a secret.
    Path,
    /// Its `X-Request-Id`: as it was given, or as it came.
    RequestId,
    Referer,
    UserAgent,
}

/// One request, as the access log tells it.
pub(crate) struct Access {
    pub client: IpAddr,
    pub version: Version,
    pub service: Option<Arc<ServiceProxy>>,
    /// Where it was tried last.
    pub instance: Option<Launched>,
    pub began: Instant,
    pub ended: Instant,
    /// From when it was sent last to the head of the answer.
    pub upstream: Option<Duration>,
    /// It waited so long for a ready instance.
    pub held: Duration,
    pub retries: u32,
    /// Of the answer; none: there was none.
    pub status: Option<StatusCode>,
    /// Of the answer's body.
    pub bytes: u64,
    pub outcome: &'static str,
    entered: Instant,
    texts: Box<[u8]>,
    ends: [u16; KEPT.len()],
}

/// What comes out of the queue.
pub(crate) enum Told {
    Access(Box<Access>),
    /// Something else is to be done; whoever sent this has left it elsewhere.
    Look,
}

/// Takes notes, while somebody wants them.
#[derive(Default)]
pub(crate) struct Accesses {
    wanted: AtomicBool,
    queue: OnceLock<SyncSender<Told>>,
    written: AtomicU64,
    dropped: AtomicU64,
}

impl Accesses {
    /// The other end of the queue; to be called once.
    pub(crate) fn listen(&self) -> Receiver<Told> {
        let (queue, notes) = sync_channel(QUEUE);
        // Whoever calls again gets an end that nothing comes out of.
        let _ = self.queue.set(queue);
        notes
    }

    /// Whether notes are wanted from now on.
    pub(crate) fn want(&self, wanted: bool) {
        self.wanted.store(wanted, Ordering::Relaxed);
    }

    /// Has whoever listens look around.
    pub(crate) fn nudge(&self) {
        if let Some(queue) = self.queue.get() {
            // Full: it looks around between any two of those that wait.
            let _ = queue.try_send(Told::Look);
        }
    }

    /// So many were written.
    pub(crate) fn note_written(&self, count: u64) {
        self.written.fetch_add(count, Ordering::Relaxed);
    }

    /// So many were not, though they came out of the queue.
    pub(crate) fn note_dropped(&self, count: u64) {
        self.dropped.fetch_add(count, Ordering::Relaxed);
    }

    /// Requests that are in the log, and those that should be and are not.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.written.load(Ordering::Relaxed), self.dropped.load(Ordering::Relaxed))
    }

    /// Notes what the head of a request says, if that is wanted. `id` is the name it was given; none:
    /// requests are not named, and it keeps its own.
    pub(crate) fn note<B>(
        &self,
        client: &Client,
        request: &Request<B>,
        id: Option<&HeaderValue>,
        began: Instant,
    ) -> Option<Box<Access>> {
        let is_wanted = self.wanted.load(Ordering::Relaxed);
        is_wanted.then(|| Box::new(Access::new(client, request, id, began)))
    }

    /// A request that was not admitted.
    pub(crate) fn turned_away(
        &self,
        note: Option<Box<Access>>,
        outcome: &'static str,
        service: Option<&Arc<ServiceProxy>>,
        refusal: &Refusal,
    ) {
        if let Some(mut note) = note {
            note.service = service.cloned();
            note.refused(refusal);
            self.tell(note, Instant::now(), outcome);
        }
    }

    /// Hands a note over, or drops it.
    pub(crate) fn tell(&self, mut note: Box<Access>, ended: Instant, outcome: &'static str) {
        note.ended = ended;
        note.outcome = outcome;
        let Some(queue) = self.queue.get() else { return };
        match queue.try_send(Told::Access(note)) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => self.note_dropped(1),
        }
    }
}

impl Access {
    fn new<B>(
        client: &Client,
        request: &Request<B>,
        id: Option<&HeaderValue>,
        began: Instant,
    ) -> Self {
        let mut access = Self::of(client.addr().ip(), request.version(), began);
        // Of what is refused unread, hyper sees a stand-in.
        if client.noted().get().is_none() {
            access.keep(texts(request, id));
        }
        access
    }

    /// Of a request of which nothing else is known.
    fn of(client: IpAddr, version: Version, began: Instant) -> Self {
        Self {
            client,
            version,
            service: None,
            instance: None,
            began,
            ended: began,
            upstream: None,
            held: Duration::ZERO,
            retries: 0,
            status: None,
            bytes: 0,
            outcome: Outcome::ClientAborted.name(),
            entered: began,
            texts: Box::default(),
            ends: [0; KEPT.len()],
        }
    }

    /// A note as a client at 192.0.2.1 might have left it.
    pub(crate) fn sample(texts: [&[u8]; KEPT.len()], began: Instant) -> Self {
        let mut access = Self::of([192, 0, 2, 1].into(), Version::HTTP_11, began);
        access.keep(texts);
        access
    }

    /// One allocation for all of them.
    fn keep(&mut self, texts: [&[u8]; KEPT.len()]) {
        let mut kept = texts;
        for (text, most) in kept.iter_mut().zip(KEPT) {
            *text = &text[..text.len().min(most)];
        }
        let mut end = 0;
        for (place, text) in self.ends.iter_mut().zip(kept) {
            // The bounds together are far below the largest.
            end += text.len() as u16;
            *place = end;
        }
        self.texts = kept.concat().into();
    }

    /// As it came, cut to its bound; empty: there was none.
    pub(crate) fn text(&self, which: Text) -> &[u8] {
        let index = which as usize;
        let from = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.texts[from.into()..self.ends[index].into()]
    }

    /// It is sent to an instance now.
    pub(crate) fn entered(&mut self, instance: Launched) {
        self.instance = Some(instance);
        self.entered = Instant::now();
    }

    /// The head of the answer is there.
    pub(crate) fn answered(&mut self, status: StatusCode) {
        self.status = Some(status);
        self.upstream = Some(self.entered.elapsed());
    }

    /// The answer is ours.
    pub(crate) fn refused(&mut self, refusal: &Refusal) {
        self.status = Some(refusal.status());
        self.bytes = refusal.body().len() as u64;
    }
}

/// In the order of [`Text`].
fn texts<'a, B>(request: &'a Request<B>, id: Option<&'a HeaderValue>) -> [&'a [u8]; KEPT.len()] {
    let (headers, uri) = (request.headers(), request.uri());
    // The target's authority wins over Host (RFC 9112 3.2.2).
    let host =
        uri.authority().map_or_else(|| value(headers, &HOST), |host| host.as_str().as_bytes());
    [
        request.method().as_str().as_bytes(),
        host,
        uri.path().as_bytes(),
        id.map_or_else(|| value(headers, &REQUEST_ID), HeaderValue::as_bytes),
        value(headers, &REFERER),
        value(headers, &USER_AGENT),
    ]
}

fn value<'a>(headers: &'a HeaderMap, name: &HeaderName) -> &'a [u8] {
    headers.get(name).map_or(&[], |value| value.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_kept_up_to_their_bounds() {
        let long = [b'x'; 5000];
        let access = Access::sample([b"GET", b"", &long, b"id", &long, &long], Instant::now());
        assert_eq!(access.text(Text::Method), b"GET");
        assert_eq!(access.text(Text::Host), b"");
        assert_eq!(access.text(Text::Path), &long[..2048]);
        assert_eq!(access.text(Text::RequestId), b"id");
        assert_eq!(access.text(Text::Referer), &long[..512]);
        assert_eq!(access.text(Text::UserAgent), &long[..512]);
    }

    #[test]
    fn what_finds_the_queue_full_is_dropped_and_counted() {
        let accesses = Accesses::default();
        let notes = accesses.listen();
        let tell = |count: usize| {
            for _ in 0..count {
                let note = Box::new(Access::sample([b""; 6], Instant::now()));
                accesses.tell(note, Instant::now(), "completed");
            }
        };
        tell(QUEUE + 3);
        assert_eq!(accesses.counts(), (0, 3));
        assert_eq!(notes.try_iter().count(), QUEUE);
        drop(notes);
        tell(2);
        assert_eq!(accesses.counts(), (0, 5));
    }
}
