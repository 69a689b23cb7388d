//! One request and its answer on a connection that others use as well.
//!
//! The exchange that has the stream moves both bodies, as it does with HTTP/1: so the client's task
//! alone reads from the client, and what it waits for is known. Dropped before its end, a stream is
//! cancelled; the connection goes on.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::{Reason, RecvStream, SendStream};
use http::header::CONTENT_LENGTH;
use http::request::Parts;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};

use super::head;
use super::session::Place;
use crate::proxy::forward;
use crate::proxy::upload::Upload;
use crate::proxy::upstream::Fate;

/// Interim answers to one request, of which none is passed on. Without a bound, an instance that sends
/// nothing else would keep its client waiting for as long as it likes.
const MAX_INTERIM: usize = 1024;

/// A place on a connection, and the request that is sent there.
pub(crate) struct Stream {
    sending: Option<Sending>,
    place: Place,
}

/// The body of a request.
struct Sending {
    half: SendStream<Bytes>,
    upload: Upload,
    /// What of it was read, and has no room yet.
    rest: Bytes,
    /// Nothing more is to be sent.
    is_over: bool,
}

/// The body of an answer.
pub(crate) struct Receiving {
    half: RecvStream,
    /// How much is still to come, if that was said.
    left: Option<u64>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unanswered {
    /// The connection took no further request.
    #[error("the connection closes: {0}")]
    Unsent(h2::Error),
    #[error(transparent)]
    Sent(h2::Error),
}

impl Stream {
    pub(super) fn new(place: Place) -> Self {
        Self { sending: None, place }
    }

    /// Sends a request and waits for the head of its answer.
    pub(crate) async fn send(
        &mut self,
        head: &Parts,
        upload: Upload,
    ) -> Result<Response<Receiving>, Unanswered> {
        let is_head = head.method == Method::HEAD;
        let is_over = upload.is_end_stream();
        let request = Request::from_parts(head::translate(head.clone()), ());
        let sent = self.place.requests.send_request(request, is_over);
        let (answer, half) = sent.map_err(Unanswered::Unsent)?;
        let sending = Sending { half, upload, rest: Bytes::new(), is_over };
        let sending = self.sending.insert(sending);
        let (mut answer, mut interim) = (answer, 0);
        let answered = poll_fn(|cx| {
            sending.drive(cx);
            while let Poll::Ready(Some(Ok(_))) = answer.poll_informational(cx) {
                interim += 1;
                if interim > MAX_INTERIM {
                    sending.cancel();
                }
            }
            Pin::new(&mut answer).poll(cx)
        });
        let (mut head, half) = answered.await.map_err(Unanswered::Sent)?.into_parts();
        head::announce_trailers(&mut head.headers);
        let body = match head.status {
            StatusCode::NO_CONTENT => {
                // There must be none (RFC 9110 8.6).
                head.headers.remove(CONTENT_LENGTH);
                Receiving::nothing(half)
            }
            StatusCode::NOT_MODIFIED => Receiving::nothing(half),
            _ if is_head => Receiving::nothing(half),
            _ => Receiving::new(half, &head.headers),
        };
        Ok(Response::from_parts(head, body))
    }

    /// Sends on what there is of the request's body.
    pub(crate) fn drive(&mut self, cx: &mut Context<'_>) {
        if let Some(sending) = &mut self.sending {
            sending.drive(cx);
        }
    }
}

impl Sending {
    fn drive(&mut self, cx: &mut Context<'_>) {
        while !self.is_over {
            let moved = if self.rest.is_empty() { self.read(cx) } else { self.write(cx) };
            if moved.is_pending() {
                return;
            }
        }
    }

    fn read(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match ready!(Pin::new(&mut self.upload).poll_frame(cx)) {
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => self.rest = data,
                Err(frame) => self.end(frame.into_trailers().ok()),
            },
            None => self.end(None),
            // A part of a request must not pass for the whole.
            Some(Err(_)) => self.cancel(),
        }
        Poll::Ready(())
    }

    /// Errors mean that the instance wants no more of it; what else they mean, the answer tells.
    fn write(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.half.reserve_capacity(self.rest.len());
        if self.half.capacity() == 0 && !matches!(ready!(self.half.poll_capacity(cx)), Some(Ok(_)))
        {
            self.is_over = true;
            return Poll::Ready(());
        }
        let room = self.half.capacity().min(self.rest.len());
        let piece = self.rest.split_to(room);
        let is_last = self.rest.is_empty() && self.upload.is_end_stream();
        self.is_over = self.half.send_data(piece, is_last).is_err() || is_last;
        Poll::Ready(())
    }

    fn end(&mut self, trailers: Option<HeaderMap>) {
        self.is_over = true;
        // As in `write`.
        let _ = match trailers {
            Some(trailers) => self.half.send_trailers(trailers),
            None => self.half.send_data(Bytes::new(), true),
        };
    }

    fn cancel(&mut self) {
        self.is_over = true;
        self.half.send_reset(Reason::CANCEL);
    }
}

impl Receiving {
    fn new(half: RecvStream, headers: &HeaderMap) -> Self {
        let left = if half.is_end_stream() { Some(0) } else { forward::content_length(headers) };
        Self { half, left }
    }

    /// Of an answer that has no body, whatever its head says.
    fn nothing(half: RecvStream) -> Self {
        Self { half, left: Some(0) }
    }

    pub(crate) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
        if let Some(data) = ready!(self.half.poll_data(cx)) {
            return Poll::Ready(Some(data.map(|data| self.take(data))));
        }
        let trailers = ready!(self.half.poll_trailers(cx));
        Poll::Ready(trailers.map(|trailers| trailers.map(Frame::trailers)).transpose())
    }

    fn take(&mut self, data: Bytes) -> Frame<Bytes> {
        // As much more may come now. An error means that the stream has ended, as the next look
        // tells.
        let _ = self.half.flow_control().release_capacity(data.len());
        self.left = self.left.map(|left| left.saturating_sub(data.len() as u64));
        Frame::data(data)
    }

    /// All of it was read: the instance said that it is the end, or had said before how much there
    /// would be. Whoever has got so much does not ask for more, and the end may come in a frame of
    /// its own.
    pub(crate) fn is_complete(&self) -> bool {
        self.left == Some(0) || self.half.is_end_stream()
    }

    /// Nothing more will come, no trailers either.
    pub(crate) fn is_end_stream(&self) -> bool {
        self.half.is_end_stream()
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

impl Unanswered {
    /// What became of the request, as far as the instance has said it.
    pub(crate) fn fate(&self) -> Fate {
        let error = match self {
            Self::Unsent(_) => return Fate::Unprocessed,
            Self::Sent(error) => error,
        };
        let reason = error.reason();
        if error.is_remote() && error.is_go_away() {
            // h2 ends with it only those above the last stream that the instance has processed.
            Fate::Unprocessed
        } else if error.is_remote() && reason == Some(Reason::REFUSED_STREAM) {
            Fate::Refused
        } else if error.is_library() && error.is_reset() {
            Fate::Garbled
        } else {
            Fate::Unknown
        }
    }
}
