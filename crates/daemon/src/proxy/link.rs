//! One connection to an instance, driven by whoever uses it.
//!
//! hyper's client splits a connection into a handle that takes requests and a future that moves
//! the bytes, and expects the future in a task of its own. Here both stay together: the exchange
//! that uses the link polls the future itself. That saves a task and two wake-ups per request.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::LazyLock;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::{Builder, Connection, SendRequest};
use tokio::task::coop::unconstrained;

use super::upload::Upload;
use super::upstream_socket::UpstreamSocket;
use super::wire::{Watch, Wire};
use crate::config::InstanceAddr;

/// Of an answer. No RFC gives a number, but what is not bounded is a way to exhaust us.
const MAX_HEAD: usize = 64 * 1024;
/// What is read at once, and what may wait in memory for a slow instance.
const MAX_BUFFER: usize = 64 * 1024;

static CLIENT: LazyLock<Builder> = LazyLock::new(|| {
    let mut builder = Builder::new();
    // One write of head and body together is cheaper than a vector of two for small messages.
    builder.writev(false).max_header_size(MAX_HEAD).max_buf_size(MAX_BUFFER);
    builder
});

/// An open connection to an instance. Dropping it closes it.
pub(crate) struct Link(Box<Ends>);

/// Boxed, because it is moved into the pool, out of it and into a body for every request.
struct Ends {
    sender: SendRequest<Upload>,
    /// None: hung up.
    connection: Option<Connection<Wire, Upload>>,
    watch: Watch,
    /// It has carried a request before.
    is_kept: bool,
    /// Its last answer had no body, whatever its head said. An instance that sent one all the same
    /// may not have sent it yet when the answer was complete.
    was_bodiless: bool,
    /// The connection's future has resolved and must not be polled again.
    over: bool,
}

impl Link {
    /// Connects to an instance, within this time.
    pub(crate) async fn connect(addr: &InstanceAddr, limit: Duration) -> io::Result<Self> {
        let connecting = UpstreamSocket::connect(addr);
        let stream = tokio::time::timeout(limit, connecting)
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))?;
        let watch = Watch::new();
        let wire = Wire::new(stream, watch.clone());
        let (sender, connection) = CLIENT.handshake(wire).await.map_err(io::Error::other)?;
        let connection = Some(connection);
        Ok(Self(Box::new(Ends {
            sender,
            connection,
            watch,
            is_kept: false,
            was_bodiless: false,
            over: false,
        })))
    }

    /// Has [`send`](Self::send) make sure that the instance has neither closed nor sent anything
    /// since its last answer, at the price of one more call to the kernel.
    pub(crate) fn suspect(&self) {
        self.0.watch.suspect();
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
    /// hyper looks for an end of file before it writes the first byte of a request; in that case,
    /// and whenever nothing was written, the error gives the request back.
    pub(crate) async fn send(
        &mut self,
        request: Request<Upload>,
    ) -> Result<Response<Incoming>, TrySendError<Request<Upload>>> {
        let is_head = request.method() == Method::HEAD;
        self.0.watch.await_head();
        // The answer comes out of a channel that only our own polling of the connection fills. So
        // it is asked right after that, and with a waker that does nothing: a real one would wake
        // this very task, once per request, for something it is about to see anyway. The channel
        // must not be subject to tokio's budget then, for it would rely on being woken.
        let mut answer = pin!(unconstrained(self.0.sender.try_send_request(request)));
        let ends = &mut *self.0;
        let answered = poll_fn(|cx| {
            ends.drive(cx);
            let mut deaf = Context::from_waker(Waker::noop());
            if let Poll::Ready(answered) = answer.as_mut().poll(&mut deaf) {
                return Poll::Ready(answered);
            }
            if !ends.over {
                return Poll::Pending;
            }
            // What was still queued comes back when the connection is dropped.
            ends.connection = None;
            answer.as_mut().poll(&mut deaf)
        })
        .await;
        ends.watch.head_has_come();
        if let Ok(answer) = &answered {
            ends.is_kept = true;
            ends.was_bodiless = is_head
                || matches!(answer.status(), StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        }
        answered
    }

    /// Moves bytes both ways; whatever comes in is then found in the answer's body.
    pub(crate) fn drive(&mut self, cx: &mut Context<'_>) {
        self.0.drive(cx);
    }

    /// Nothing more will come, and the body has been told so.
    ///
    /// To be called when the body has nothing to give after [`drive`](Self::drive); `false` means
    /// that there is still something to wait for.
    pub(crate) fn hang_up_if_over(&mut self) -> bool {
        if self.0.over {
            self.0.connection = None;
        }
        self.0.over
    }

    /// Closes the connection; its body ends with an error.
    pub(crate) fn hang_up(&mut self) {
        self.0.connection = None;
        self.0.over = true;
    }

    /// The answer was read to its end: may another request follow?
    ///
    /// Not if the request's body was still under way, if either side said `close`, or if bytes
    /// came that nobody asked for.
    pub(crate) fn is_reusable(&mut self, cx: &mut Context<'_>) -> bool {
        if !self.0.sender.is_ready() {
            self.0.drive(cx);
        }
        !self.0.over && self.0.sender.is_ready()
    }

    /// The bare stream after `101`, with what was read beyond the head.
    pub(crate) async fn into_stream(mut self) -> Option<(UpstreamSocket, Bytes)> {
        let ends = &mut *self.0;
        poll_fn(|cx| {
            ends.drive(cx);
            if ends.over { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        let parts = self.0.connection.take()?.into_parts();
        Some((parts.io.into_inner(), parts.read_buf))
    }
}

impl Ends {
    fn drive(&mut self, cx: &mut Context<'_>) {
        if self.over {
            return;
        }
        let Some(connection) = &mut self.connection else {
            return;
        };
        // An error is told to whoever waits for the answer or reads its body.
        if Pin::new(connection).poll(cx).is_ready() {
            self.over = true;
        }
    }
}
