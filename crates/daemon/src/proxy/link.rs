//! One connection to an instance, driven by whoever uses it.
//!
//! It is written and read by the exchange that has it, in the exchange's own task: no channel and no
//! second task. A request is written from the head that its exchange keeps, so that another try
//! needs no copy; an answer's values and its body are slices of what was read.
//!
//! tokio learns that a peer has closed, or has sent what nobody asked for, when its driver next asks
//! the kernel. Under load that may be after the next request was written: it would be lost, or its
//! answer would be somebody else's. A request that may be sent only once asks by itself.

mod sending;
#[cfg(test)]
mod tests;

use std::future::poll_fn;
use std::io;
use std::mem::{self, MaybeUninit};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::request::Parts;
use http::{Method, Response, StatusCode};
use http_body::Frame;
use socket2::SockRef;
use tokio::task::coop;
use tokio_util::io::poll_read_buf;

use self::sending::{Sending, Stopped};
use super::answer::{Decoder, Garbled, Head};
use super::upload::Upload;
use super::upstream_socket::UpstreamSocket;
use super::{forward, spare};

/// How many reads the head of an answer may take, and every interim answer before it: an instance
/// that sends nothing else would never be found out.
const READS_OF_A_HEAD: usize = 1024;
/// A read is given no less room than this.
const MIN_ROOM: usize = 4 * 1024;

/// An open connection to an instance. Dropping it closes it.
pub(crate) struct Link(Box<Ends>);

/// Boxed, because it is moved into the pool, out of it and into a body for every request.
struct Ends {
    socket: UpstreamSocket,
    sending: Sending,
    /// What came and was not used yet. Without memory of its own while there is nothing.
    read: BytesMut,
    /// It has carried a request before.
    is_kept: bool,
    /// Whether the instance has closed or sent something is asked before the next request.
    is_suspect: bool,
    /// Its last answer had no body, whatever its head said. An instance that sent one all the same
    /// may not have sent it yet when the answer was complete.
    was_bodiless: bool,
    /// No request follows the one it has.
    is_last: bool,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unanswered {
    /// The connection had been closed, or spoilt, before a byte of the request was written.
    #[error("the connection was closed before the request was sent")]
    Unwritten,
    #[error(transparent)]
    Broken(#[from] Broken),
}

/// What ends a connection in the middle of a request or its answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Broken {
    #[error("the connection was closed")]
    Closed,
    #[error("the connection failed: {0}")]
    Failed(#[from] io::Error),
    /// What came is no HTTP.
    #[error(transparent)]
    Garbled(#[from] Garbled),
    /// The request's body broke off.
    #[error("the request is incomplete")]
    Incomplete,
}

impl Link {
    /// Connects to an instance, within this time.
    pub(crate) async fn connect(
        addr: &crate::config::InstanceAddr,
        limit: Duration,
    ) -> io::Result<Self> {
        let connecting = UpstreamSocket::connect(addr);
        let socket = tokio::time::timeout(limit, connecting)
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))?;
        Ok(Self::new(socket))
    }

    fn new(socket: UpstreamSocket) -> Self {
        Self(Box::new(Ends {
            socket,
            sending: Sending::nothing(),
            read: BytesMut::new(),
            is_kept: false,
            is_suspect: false,
            was_bodiless: false,
            is_last: false,
        }))
    }

    /// Has [`send`](Self::send) make sure that the instance has neither closed nor sent anything
    /// since its last answer, at the price of one more call to the kernel.
    pub(crate) fn suspect(&mut self) {
        self.0.is_suspect = true;
    }

    /// What may still come after its last answer is no answer to the next request.
    pub(crate) fn is_doubtful(&self) -> bool {
        self.0.was_bodiless
    }

    /// It was kept from an earlier request, which was answered.
    pub(crate) fn is_kept(&self) -> bool {
        self.0.is_kept
    }

    /// Sends a request and waits for the head of its answer.
    ///
    /// The head has its framing: a Content-Length or `Transfer-Encoding: chunked` if there is a
    /// body, whatever the method.
    pub(crate) async fn send(
        &mut self,
        head: &Parts,
        upload: Upload,
    ) -> Result<Response<Decoder>, Unanswered> {
        let ends = &mut *self.0;
        if ends.is_kept && poll_fn(|cx| Poll::Ready(ends.is_spoilt(cx))).await {
            return Err(Unanswered::Unwritten);
        }
        ends.sending.begin(head, upload);
        let mut reads = READS_OF_A_HEAD;
        let answer = poll_fn(|cx| ends.poll_answer(cx, &mut reads)).await?;
        ends.begin_to_read(answer, &head.method).map_err(Unanswered::Broken)
    }

    /// What has come of the body of the answer.
    pub(crate) fn poll_frame(
        &mut self,
        body: &mut Decoder,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let ends = &mut *self.0;
        // The request's body may still be under way, and an answer that never pauses must not stop it.
        if ends.poll_send(cx).is_err() {
            return Poll::Ready(Some(Err(Broken::Incomplete)));
        }
        loop {
            if let Some(frame) = body.take(&mut ends.read).map_err(Broken::from)? {
                return Poll::Ready(Some(Ok(frame)));
            }
            if body.is_over() {
                return Poll::Ready(None);
            }
            if ready!(ends.poll_read(cx))? == 0 {
                if !body.ends_with_the_connection() {
                    return Poll::Ready(Some(Err(Broken::Closed)));
                }
                body.end();
            }
        }
    }

    /// The answer was read to its end: may another request follow?
    ///
    /// Not if the request's body was still under way, if either side said `close`, or if bytes
    /// came that nobody asked for.
    pub(crate) fn is_reusable(&mut self) -> bool {
        let ends = &mut *self.0;
        if ends.is_last || !ends.sending.is_over() || !ends.read.is_empty() {
            return false;
        }
        ends.sending.rest();
        ends.put_down();
        true
    }

    /// The bare socket after `101`, with what was read beyond the head; none if the request is still
    /// on its way.
    pub(crate) fn into_socket(self) -> Option<(UpstreamSocket, Bytes)> {
        let Ends { socket, sending, read, .. } = *self.0;
        // It may be kept for long, and is not to hold a buffer for so little.
        sending.is_over().then(|| (socket, Bytes::copy_from_slice(&read)))
    }
}

impl Ends {
    /// Its last answer is complete, so whatever has come since belongs to nobody.
    fn is_spoilt(&mut self, cx: &mut Context<'_>) -> bool {
        // Whose turn is over is told of nothing.
        let asks = mem::take(&mut self.is_suspect) || !coop::has_budget_remaining();
        asks && SockRef::from(&self.socket).peek(&mut [MaybeUninit::uninit()]).is_ok()
            || self.poll_read(cx).is_ready()
    }

    /// The head of the final answer; those before it are not passed on.
    fn poll_answer(
        &mut self,
        cx: &mut Context<'_>,
        reads: &mut usize,
    ) -> Poll<Result<Head, Broken>> {
        loop {
            self.poll_send(cx)?;
            if !self.read.is_empty()
                && let Some(head) = Head::take(&mut self.read)?
            {
                match head.parts.status {
                    StatusCode::CONTINUE => self.sending.go_on(),
                    StatusCode::SWITCHING_PROTOCOLS => return Poll::Ready(Ok(head)),
                    status if status.is_informational() => {}
                    _ => return Poll::Ready(Ok(head)),
                }
                continue;
            }
            if ready!(self.poll_read(cx))? == 0 {
                return Poll::Ready(Err(Broken::Closed));
            }
            *reads = reads.checked_sub(1).ok_or_else(|| {
                Broken::Failed(io::Error::other("interim answers without an end"))
            })?;
        }
    }

    fn begin_to_read(
        &mut self,
        answer: Head,
        method: &Method,
    ) -> Result<Response<Decoder>, Broken> {
        let body = answer.body(method)?;
        let Head { parts, keeps_alive } = answer;
        self.is_kept = true;
        self.was_bodiless = *method == Method::HEAD || !forward::allows_content(parts.status);
        let switches = parts.status == StatusCode::SWITCHING_PROTOCOLS;
        // It may be that already, if the instance took only a part of the request.
        self.is_last |= !keeps_alive || switches || body.ends_with_the_connection();
        Ok(Response::from_parts(parts, body))
    }

    /// Writes what can be written of the request.
    ///
    /// An instance that takes no more may have answered already: what it says is read to its end.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Result<(), Broken> {
        if self.sending.is_over() {
            return Ok(());
        }
        match self.sending.poll(cx, &mut self.socket) {
            Poll::Pending | Poll::Ready(Ok(())) => Ok(()),
            Poll::Ready(Err(Stopped::Incomplete)) => Err(Broken::Incomplete),
            Poll::Ready(Err(Stopped::Refused)) => {
                self.sending.stop();
                self.is_last = true;
                Ok(())
            }
        }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.read.is_empty() {
            self.put_down();
            ready!(self.socket.poll_readable(cx))?;
            self.read = spare::buffer();
        } else if self.read.capacity() - self.read.len() < MIN_ROOM {
            self.read.reserve(spare::BUFFER);
        }
        poll_read_buf(Pin::new(&mut self.socket), cx, &mut self.read)
    }

    /// Who waits, or is idle, keeps no memory for what may come.
    fn put_down(&mut self) {
        if self.read.capacity() > 0 {
            spare::keep_buffer(mem::take(&mut self.read));
        }
    }
}
