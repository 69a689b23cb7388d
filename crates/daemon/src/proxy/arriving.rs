//! The body of a request as it comes from a client, whichever version of HTTP brings it.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame};
use hyper::body::Incoming;

use super::http2::Receiving;

/// What of a request follows its head.
pub(crate) enum Arriving {
    /// There is no body.
    Nothing,
    /// Out of hyper, which has taken the framing off.
    Http1(Incoming),
    /// One stream of many.
    Http2(Receiving),
}

/// The client did not send all of it.
#[derive(Debug)]
pub(crate) struct Incomplete;

impl From<Incoming> for Arriving {
    fn from(body: Incoming) -> Self {
        Self::Http1(body)
    }
}

impl From<Receiving> for Arriving {
    fn from(body: Receiving) -> Self {
        Self::Http2(body)
    }
}

impl Body for Arriving {
    type Data = Bytes;
    type Error = Incomplete;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Incomplete>>> {
        let frame = match self.get_mut() {
            Self::Nothing => return Poll::Ready(None),
            Self::Http1(body) => ready!(Pin::new(body).poll_frame(cx)),
            Self::Http2(body) => return body.poll_frame(cx),
        };
        Poll::Ready(frame.map(|frame| frame.map_err(|_| Incomplete)))
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Nothing => true,
            Self::Http1(body) => body.is_end_stream(),
            Self::Http2(body) => body.is_over(),
        }
    }
}
