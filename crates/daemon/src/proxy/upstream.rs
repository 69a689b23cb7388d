//! The way to an instance, whichever protocol it speaks: the one place where that makes a difference
//! to an exchange.
//!
//! With HTTP/1.1 it is a connection of its own, which the exchange drives and leaves to another; with
//! HTTP/2 it is a stream of a connection that many share.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;

use super::h2c::{self, Receiving};
use super::link::Link;
use super::upload::Upload;

/// Where a request is sent.
pub(crate) enum Upstream {
    Http1(Link),
    /// Boxed, as a link is.
    Http2(Box<h2c::Stream>),
}

/// The body of an instance's answer.
pub(crate) enum AnswerBody {
    Http1(Incoming),
    Http2(Receiving),
}

/// Why there is no answer.
pub(crate) enum Unanswered {
    Http1(TrySendError<Request<Upload>>),
    Http2(h2c::Unanswered),
}

/// What became of a request that was not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The instance has not seen it, or says that it has done nothing with it.
    Unprocessed,
    /// The instance says that it has done nothing with it, and might say so again.
    Refused,
    /// Nobody knows.
    Unknown,
    /// It was answered with what is no HTTP.
    Garbled,
}

/// Why an answer broke off.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BrokenOff {
    #[error(transparent)]
    Http1(#[from] hyper::Error),
    #[error(transparent)]
    Http2(#[from] h2::Error),
}

impl Upstream {
    /// Sends a request and waits for the head of its answer.
    pub(crate) async fn send(
        &mut self,
        request: Request<Upload>,
    ) -> Result<Response<AnswerBody>, Unanswered> {
        match self {
            Self::Http1(link) => {
                let answer = link.send(request).await.map_err(Unanswered::Http1)?;
                Ok(answer.map(AnswerBody::Http1))
            }
            Self::Http2(stream) => {
                let answer = stream.send(request).await.map_err(Unanswered::Http2)?;
                Ok(answer.map(AnswerBody::Http2))
            }
        }
    }

    /// It was kept from an earlier request, and might have been closed since by the instance alone.
    pub(crate) fn is_kept(&self) -> bool {
        match self {
            Self::Http1(link) => link.is_kept(),
            Self::Http2(_) => false,
        }
    }

    /// Moves what there is to move.
    pub(crate) fn drive(&mut self, cx: &mut Context<'_>) {
        match self {
            Self::Http1(link) => link.drive(cx),
            Self::Http2(stream) => stream.drive(cx),
        }
    }

    /// Nothing more will come, and the body has been told so; see [`Link::hang_up_if_over`].
    pub(crate) fn hang_up_if_over(&mut self) -> bool {
        match self {
            Self::Http1(link) => link.hang_up_if_over(),
            // Its body learns that by itself.
            Self::Http2(_) => false,
        }
    }

    /// Ends the exchange; its body ends with an error.
    pub(crate) fn hang_up(&mut self) {
        match self {
            Self::Http1(link) => link.hang_up(),
            Self::Http2(stream) => stream.hang_up(),
        }
    }

    /// The answer was read to its end: what of it serves another request. A stream serves one.
    pub(crate) fn into_reusable(self, cx: &mut Context<'_>) -> Option<Link> {
        match self {
            Self::Http1(mut link) => link.is_reusable(cx).then_some(link),
            Self::Http2(_) => None,
        }
    }
}

impl AnswerBody {
    /// What has come of it. With HTTP/1.1 whoever asks drives the link before, for nothing else fills
    /// it, and no waker is kept; see [`Link::send`].
    pub(crate) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        match self {
            Self::Http1(incoming) => {
                let mut deaf = Context::from_waker(Waker::noop());
                Pin::new(incoming).poll_frame(&mut deaf).map_err(BrokenOff::from)
            }
            Self::Http2(receiving) => receiving.poll_frame(cx).map_err(BrokenOff::from),
        }
    }

    /// Every byte of it was read, if not the trailers.
    pub(crate) fn is_complete(&self) -> bool {
        match self {
            Self::Http1(incoming) => incoming.is_end_stream(),
            Self::Http2(receiving) => receiving.is_complete(),
        }
    }

    pub(crate) fn is_end_stream(&self) -> bool {
        match self {
            Self::Http1(incoming) => incoming.is_end_stream(),
            Self::Http2(receiving) => receiving.is_end_stream(),
        }
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        match self {
            Self::Http1(incoming) => incoming.size_hint(),
            Self::Http2(receiving) => receiving.size_hint(),
        }
    }
}

impl Unanswered {
    /// The request itself, if not a byte of it was written.
    pub(crate) fn take_message(&mut self) -> Option<Request<Upload>> {
        match self {
            Self::Http1(error) => error.take_message(),
            Self::Http2(_) => None,
        }
    }

    pub(crate) fn fate(&self) -> Fate {
        match self {
            Self::Http1(error) if error.error().is_parse() => Fate::Garbled,
            Self::Http1(_) => Fate::Unknown,
            Self::Http2(unanswered) => unanswered.fate(),
        }
    }

    /// In words.
    pub(crate) fn reason(&self) -> String {
        match self {
            Self::Http1(error) => error.error().to_string(),
            Self::Http2(unanswered) => unanswered.to_string(),
        }
    }
}
