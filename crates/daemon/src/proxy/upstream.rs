//! The way to an instance, whichever protocol it speaks: the one place where that makes a difference
//! to an exchange.
//!
//! With HTTP/1.1 it is a connection of its own, which the exchange drives and leaves to another; with
//! HTTP/2 it is a stream of a connection that many share.

use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::Response;
use http::request::Parts;
use http_body::{Frame, SizeHint};

use super::answer::Decoder;
use super::h2c::{self, Receiving};
use super::link::{self, Broken, Link};
use super::upload::Upload;

/// Where a request is sent.
pub(crate) enum Upstream {
    Http1(Link),
    /// Boxed, as a link is.
    Http2(Box<h2c::Stream>),
}

/// The body of an instance's answer.
pub(crate) enum AnswerBody {
    Http1(Decoder),
    Http2(Receiving),
}

/// Why there is no answer.
pub(crate) enum Unanswered {
    Http1(link::Unanswered),
    Http2(h2c::Unanswered),
}

/// What became of a request that was not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Not a byte of it was written, and nothing of its body was asked for.
    Unwritten,
    /// The instance says that it has done nothing with it.
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
    Http1(#[from] Broken),
    #[error(transparent)]
    Http2(#[from] h2::Error),
    /// Nothing more came for too long.
    #[error("nothing more came")]
    GivenUp,
}

impl Upstream {
    /// Sends a request and waits for the head of its answer.
    pub(crate) async fn send(
        &mut self,
        head: &Parts,
        upload: Upload,
    ) -> Result<Response<AnswerBody>, Unanswered> {
        match self {
            Self::Http1(link) => {
                let answer = link.send(head, upload).await.map_err(Unanswered::Http1)?;
                Ok(answer.map(AnswerBody::Http1))
            }
            Self::Http2(stream) => {
                let answer = stream.send(head, upload).await.map_err(Unanswered::Http2)?;
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

    /// What has come of the body of the answer; meanwhile, that of the request goes on.
    pub(crate) fn poll_frame(
        &mut self,
        body: &mut AnswerBody,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        match (self, body) {
            (Self::Http1(link), AnswerBody::Http1(decoder)) => {
                let frame = ready!(link.poll_frame(decoder, cx));
                Poll::Ready(frame.map(|frame| frame.map_err(BrokenOff::from)))
            }
            (Self::Http2(stream), body) => {
                // A stream moves the request's body here alone.
                stream.drive(cx);
                body.poll_rest(cx)
            }
            (Self::Http1(_), AnswerBody::Http2(_)) => {
                unreachable!("a body is read where it comes from")
            }
        }
    }

    /// The answer was read to its end: what of it serves another request. A stream serves one.
    pub(crate) fn into_reusable(self) -> Option<Link> {
        match self {
            Self::Http1(mut link) => link.is_reusable().then_some(link),
            Self::Http2(_) => None,
        }
    }
}

impl AnswerBody {
    /// What comes after its last byte: with HTTP/2, trailers may.
    pub(crate) fn poll_rest(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        match self {
            Self::Http1(_) => Poll::Ready(None),
            Self::Http2(receiving) => receiving.poll_frame(cx).map_err(BrokenOff::from),
        }
    }

    /// Every byte of it was read, if not the trailers.
    pub(crate) fn is_complete(&self) -> bool {
        match self {
            Self::Http1(decoder) => decoder.is_over(),
            Self::Http2(receiving) => receiving.is_complete(),
        }
    }

    pub(crate) fn is_end_stream(&self) -> bool {
        match self {
            Self::Http1(decoder) => decoder.is_over(),
            Self::Http2(receiving) => receiving.is_end_stream(),
        }
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        match self {
            Self::Http1(decoder) => decoder.size_hint(),
            Self::Http2(receiving) => receiving.size_hint(),
        }
    }
}

impl Unanswered {
    pub(crate) fn fate(&self) -> Fate {
        match self {
            Self::Http1(link::Unanswered::Unwritten) => Fate::Unwritten,
            Self::Http1(link::Unanswered::Broken(Broken::Garbled(_))) => Fate::Garbled,
            Self::Http1(link::Unanswered::Broken(_)) => Fate::Unknown,
            Self::Http2(unanswered) => unanswered.fate(),
        }
    }

    /// In words.
    pub(crate) fn reason(&self) -> String {
        match self {
            Self::Http1(unanswered) => unanswered.to_string(),
            Self::Http2(unanswered) => unanswered.to_string(),
        }
    }
}
