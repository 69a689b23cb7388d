//! The body of a request on its way to an instance.
//!
//! It streams. The first frames are kept besides, up to a bound, so that a request that may be
//! repeated can be repeated; and it knows whether it ended by the client's fault, because then nobody
//! else is to blame for what follows.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};

use super::arriving::Arriving;
use super::client::Client;
use super::expect::Expectation;
use super::forward;
use super::progress::Awaited;
use super::refusal::Refusal;

/// How much of a body is kept for another try.
pub(crate) const REPLAY_WINDOW: usize = 64 * 1024;
/// How many pieces: each may hold a whole read buffer in memory.
const REPLAY_FRAMES: usize = 64;

/// A body as an instance is sent it.
pub(crate) enum Upload {
    /// There is none.
    Nothing,
    /// Read from the client as the instance takes it.
    Streaming {
        /// Shared with the exchange, which may need it for another try.
        source: Arc<Mutex<Source>>,
        /// How many of the kept frames this try has had.
        position: usize,
    },
}

/// Where a body comes from, whichever try reads it.
pub(crate) struct Source {
    incoming: Arriving,
    client: Arc<Client>,
    expectation: Option<Expectation>,
    /// How much more of it may come; none: any amount.
    allowance: Option<Allowance>,
    kept: Vec<Bytes>,
    kept_bytes: usize,
    /// Everything read so far is in `kept`.
    replayable: bool,
    trailers: Option<HeaderMap>,
    ended: bool,
    fault: Option<Fault>,
}

struct Allowance {
    most: u64,
    left: u64,
}

/// The exchange's side of a body.
pub(crate) struct Uploading(Option<Arc<Mutex<Source>>>);

/// What a client did wrong in the middle of its request, so that nobody got all of it.
#[derive(Clone, Copy, Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// It broke off.
    #[error("the client broke off its request")]
    BrokenOff,
    /// It sent nothing for too long.
    #[error("the client stopped in the middle of its request")]
    Stopped,
    /// It sent more than this many bytes.
    #[error("the client sent more than {0} bytes")]
    TooLarge(u64),
}

impl Fault {
    /// What the client is told, if it is still there.
    pub(crate) fn refusal(self) -> Refusal {
        match self {
            Self::BrokenOff => Refusal::malformed("the body is incomplete"),
            Self::Stopped => Refusal::body_timeout(),
            Self::TooLarge(most) => Refusal::body_too_large(most),
        }
    }
}

impl Uploading {
    /// The body of a request of `client`, of which `most` bytes are taken.
    pub(crate) fn new(
        incoming: Arriving,
        client: &Arc<Client>,
        expectation: Option<Expectation>,
        most: Option<u64>,
    ) -> Self {
        if incoming.is_end_stream() {
            return Self(None);
        }
        Self(Some(Arc::new(Mutex::new(Source {
            incoming,
            client: Arc::clone(client),
            expectation,
            allowance: most.map(|most| Allowance { most, left: most }),
            kept: Vec::new(),
            kept_bytes: 0,
            replayable: true,
            trailers: None,
            ended: false,
            fault: None,
        }))))
    }

    /// The body from its beginning, for one try.
    pub(crate) fn begin(&self) -> Upload {
        match &self.0 {
            None => Upload::Nothing,
            Some(source) => Upload::Streaming { source: Arc::clone(source), position: 0 },
        }
    }

    /// There is no body.
    pub(crate) fn is_nothing(&self) -> bool {
        self.0.is_none()
    }

    /// Could [`begin`](Self::begin) be called once more?
    pub(crate) fn is_replayable(&self) -> bool {
        self.0.as_ref().is_none_or(|source| lock(source).replayable)
    }

    /// It will not be sent twice: nothing more needs to be kept. What is kept already stays, for it
    /// was sent in vain, and this time it is to come from there.
    pub(crate) fn forget(&self) {
        if let Some(source) = &self.0 {
            let mut source = lock(source);
            if source.kept.is_empty() {
                source.forget();
            }
        }
    }

    /// What the client did wrong, if it did.
    pub(crate) fn fault(&self) -> Option<Fault> {
        self.0.as_ref().and_then(|source| lock(source).fault)
    }
}

impl Upload {
    /// The instance has asked for the body.
    pub(crate) fn go_on(&self) {
        if let Self::Streaming { source, .. } = self
            && let Some(expectation) = &lock(source).expectation
        {
            expectation.go_on();
        }
    }
}

impl Source {
    fn poll_fresh(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        if let Some(fault) = self.fault {
            return Poll::Ready(Some(Err(fault)));
        }
        if self.ended {
            return Poll::Ready(
                self.trailers.clone().map(|trailers| Ok(Frame::trailers(trailers))),
            );
        }
        if let Some(expectation) = &mut self.expectation {
            ready!(expectation.poll_go_on(cx));
            self.expectation = None;
        }
        let Poll::Ready(frame) = Pin::new(&mut self.incoming).poll_frame(cx) else {
            return self.poll_owed();
        };
        self.client.progress().sent_body();
        match frame {
            None => {
                self.ended = true;
                Poll::Ready(None)
            }
            Some(Err(_)) => self.fail(Fault::BrokenOff),
            Some(Ok(frame)) => match self.excess(&frame) {
                Some(fault) => self.fail(fault),
                None => Poll::Ready(Some(Ok(self.keep(frame)))),
            },
        }
    }

    /// Nothing came: fine, or for too long?
    fn poll_owed(&mut self) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        let progress = self.client.progress();
        progress.owes_body();
        match progress.overdue() {
            Some(Awaited::Body) => self.fail(Fault::Stopped),
            _ => Poll::Pending,
        }
    }

    fn excess(&mut self, frame: &Frame<Bytes>) -> Option<Fault> {
        let (allowance, data) = (self.allowance.as_mut()?, frame.data_ref()?);
        match allowance.left.checked_sub(data.len() as u64) {
            Some(left) => {
                allowance.left = left;
                None
            }
            None => Some(Fault::TooLarge(allowance.most)),
        }
    }

    fn fail<T>(&mut self, fault: Fault) -> Poll<Option<Result<T, Fault>>> {
        self.fault = Some(fault);
        Poll::Ready(Some(Err(fault)))
    }

    fn keep(&mut self, mut frame: Frame<Bytes>) -> Frame<Bytes> {
        if let Some(trailers) = frame.trailers_mut() {
            forward::trailers(trailers);
            self.ended = true;
            self.trailers = Some(trailers.clone());
        }
        if let Some(data) = frame.data_ref() {
            self.kept_bytes += data.len();
            if self.kept_bytes > REPLAY_WINDOW || self.kept.len() == REPLAY_FRAMES {
                self.forget();
            }
            if self.replayable {
                self.kept.push(data.clone());
            }
        }
        frame
    }

    fn forget(&mut self) {
        self.replayable = false;
        self.kept = Vec::new();
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        let Self::Streaming { source, position } = self.get_mut() else {
            return Poll::Ready(None);
        };
        let mut source = lock(source);
        if let Some(data) = source.kept.get(*position) {
            *position += 1;
            return Poll::Ready(Some(Ok(Frame::data(data.clone()))));
        }
        let fresh = ready!(source.poll_fresh(cx));
        *position = source.kept.len();
        Poll::Ready(fresh)
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Nothing => true,
            Self::Streaming { source, position } => {
                let source = lock(source);
                let read =
                    source.ended && source.trailers.is_none() || source.incoming.is_end_stream();
                read && *position >= source.kept.len()
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Nothing => SizeHint::with_exact(0),
            // Content-Length and Transfer-Encoding are forwarded as they came, and whoever sends it
            // goes by them.
            Self::Streaming { .. } => SizeHint::default(),
        }
    }
}

fn lock(source: &Mutex<Source>) -> MutexGuard<'_, Source> {
    // Only one task ever has it; it is shared in place, not in time.
    source.lock().unwrap_or_else(PoisonError::into_inner)
}
