//! The body of an answer on its way to the client.
//!
//! It drives what it comes from, and it holds what must live to the last byte: the count, and the
//! pass of the run.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::exchange::Exchange;
use super::forward;
use super::progress::Awaited;
use super::upload::Uploading;
use super::upstream::{AnswerBody, BrokenOff, Upstream};

/// A body as those take it who send it to clients.
pub(crate) enum Download {
    /// From an instance.
    Guarded(GuardedBody),
    /// Our own words.
    Text(Option<Bytes>),
    /// Never sent, but its length is told: the answer to a conditional request (RFC 9110 8.6).
    /// Whoever sends it tells the length and, knowing the status, never asks for the bytes.
    Claimed(u64),
}

/// The body of an instance's answer, with everything that lives as long as it.
pub(crate) struct GuardedBody {
    incoming: AnswerBody,
    /// None: at the end.
    under_way: Option<UnderWay>,
}

struct UnderWay {
    upstream: Upstream,
    exchange: Exchange,
    /// The request's body, which may still be under way as well.
    uploading: Uploading,
}

impl Download {
    pub(crate) fn text(text: Bytes) -> Self {
        Self::Text(Some(text))
    }

    pub(crate) fn empty() -> Self {
        Self::Text(None)
    }

    /// There is nothing to send, whatever length was told.
    pub(crate) fn is_empty(&self) -> bool {
        matches!(self, Self::Claimed(_)) || self.is_end_stream()
    }

    /// The length of our own words; none if they are not ours.
    pub(crate) fn text_length(&self) -> Option<usize> {
        match self {
            Self::Text(text) => Some(text.as_ref().map_or(0, Bytes::len)),
            Self::Guarded(_) | Self::Claimed(_) => None,
        }
    }
}

impl GuardedBody {
    pub(crate) fn new(
        incoming: AnswerBody,
        upstream: Upstream,
        exchange: Exchange,
        uploading: Uploading,
    ) -> Self {
        Self { incoming, under_way: Some(UnderWay { upstream, exchange, uploading }) }
    }

    /// Ends the exchange at once if there is no body: it would only be dropped, and an exchange
    /// that is dropped counts as aborted.
    pub(crate) fn finish_if_empty(&mut self) {
        if self.incoming.is_complete() {
            self.complete();
        }
    }

    /// Accounts for what came out of the body.
    fn pass_on(
        &mut self,
        mut frame: Option<Result<Frame<Bytes>, BrokenOff>>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        if let (Some(Ok(frame)), Some(UnderWay { exchange, .. })) = (&frame, &mut self.under_way)
            && let Some(data) = frame.data_ref()
        {
            exchange.handed_over(data.len());
        }
        if let Some(Ok(frame)) = &mut frame
            && let Some(trailers) = frame.trailers_mut()
        {
            forward::trailers(trailers);
        }
        match &frame {
            // hyper does not ask again after trailers, or after the last frame of a body of known
            // length.
            Some(Ok(frame)) if frame.is_data() && !self.incoming.is_complete() => {}
            Some(Ok(_)) | None => self.complete(),
            Some(Err(_)) => self.break_off(),
        }
        if let Some(UnderWay { exchange, .. }) = &self.under_way {
            exchange.client().progress().moved();
        }
        Poll::Ready(frame)
    }

    /// An instance that got only a part of its request gives only a part of its answer: that is the
    /// client's doing, and dropped, the exchange counts as that.
    fn break_off(&mut self) {
        if let Some(UnderWay { exchange, uploading, .. }) = self.under_way.take()
            && uploading.fault().is_none()
        {
            exchange.broke_off();
        }
    }

    fn complete(&mut self) {
        if let Some(UnderWay { upstream, exchange, .. }) = self.under_way.take() {
            exchange.complete(upstream.into_reusable());
        }
    }
}

impl Body for Download {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        match self.get_mut() {
            Self::Guarded(body) => body.poll_frame(cx),
            Self::Text(text) => Poll::Ready(text.take().map(|text| Ok(Frame::data(text)))),
            Self::Claimed(_) => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Guarded(body) => body.incoming.is_end_stream(),
            Self::Text(text) => text.is_none(),
            Self::Claimed(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Guarded(body) => body.incoming.size_hint(),
            Self::Text(text) => SizeHint::with_exact(text.as_ref().map_or(0, Bytes::len) as u64),
            Self::Claimed(length) => SizeHint::with_exact(*length),
        }
    }
}

impl GuardedBody {
    fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        let Some(UnderWay { upstream, exchange, .. }) = &mut self.under_way else {
            return self.incoming.poll_rest(cx);
        };
        match upstream.poll_frame(&mut self.incoming, cx) {
            Poll::Ready(frame) => self.pass_on(frame),
            Poll::Pending if exchange.client().progress().overdue() == Some(Awaited::Rest) => {
                self.pass_on(Some(Err(BrokenOff::GivenUp)))
            }
            Poll::Pending => Poll::Pending,
        }
    }
}
