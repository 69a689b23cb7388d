//! Clients that speak HTTP/2 (RFC 9113): one connection, many requests at once.
//!
//! The frames are h2's. Here is what makes a stream of it one request as any other: each has a
//! [`Client`] of its own, so that it is counted, held, shown to an operator, given up and cut by
//! itself, and nothing behind [`request`](super::request) knows how it came. What h2 leaves open is
//! bounded here: how long a connection may stay without a stream, and how many frames it may send
//! that carry nothing.
//!
//! Knows neither how the connection was secured nor who decided that it speaks HTTP/2.

mod budget;
mod frames;
pub(super) mod preface;
mod receiving;
mod request;
mod socket;
mod stream;
mod streams;

use std::future::{Future, poll_fn};
use std::ops::ControlFlow;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use h2::Reason;
use h2::server::{self, Builder};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Sleep;

pub(crate) use self::receiving::Receiving;
pub(crate) use self::request::translate;
use self::socket::{Socket, Verdict};
pub(crate) use self::streams::Streams;
use super::client::{Client, LAST_REQUEST};
use super::progress::Awaited;

/// Requests of one connection that may be under way at once. Browsers count on a hundred.
const MAX_STREAMS: u32 = 128;
/// What may come of a body before an instance takes it.
const STREAM_WINDOW: u32 = 128 * 1024;
/// The same for all bodies of a connection. None waits for another: it would be its client's time.
const CONNECTION_WINDOW: u32 = STREAM_WINDOW * MAX_STREAMS;
/// What of one answer may wait in memory for a slow client, besides the piece that comes next.
const SEND_BUFFER: usize = 64 * 1024;
/// What a header list may have besides its fields' own bytes: the target, and 32 for each field (RFC
/// 9113 6.5.2). More than [`translate`] lets through, which says why.
const BESIDE_FIELDS: usize = 32 * 1024;
/// Streams that were reset before we have looked at them. Who sends more resets rapidly.
const MAX_UNSEEN_RESETS: usize = 64;
/// Streams of one connection that end with an error of its client; it makes us reset them.
const MAX_ERRORS: usize = 256;

/// Serves a connection until it ends. `begun` is what was read of it.
pub(crate) async fn serve<S>(client: Arc<Client>, io: S, begun: BytesMut)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let verdict = Verdict::default();
    let socket = Socket::new(io, begun, Arc::clone(&client), verdict.clone());
    let max_fields = client.proxy().limits().max_header_size;
    let greeting = builder(max_fields).handshake(socket);
    // It may never say hello, or something else.
    let Some(Ok(h2)) = client.while_welcome(greeting).await else { return };
    let streams = client.streams();
    let mut connection =
        Connection { client: &client, streams, h2, verdict, end: End::Open, is_busy: false };
    poll_fn(|cx| connection.poll(cx)).await;
}

fn builder(max_fields: usize) -> Builder {
    let mut builder = Builder::new();
    builder
        .max_concurrent_streams(MAX_STREAMS)
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buffer_size(SEND_BUFFER)
        .max_header_list_size(u32::try_from(max_fields + BESIDE_FIELDS).unwrap_or(u32::MAX))
        .max_pending_accept_reset_streams(MAX_UNSEEN_RESETS)
        .max_local_error_reset_streams(Some(MAX_ERRORS));
    builder
}

struct Connection<'a, S> {
    client: &'a Arc<Client>,
    streams: &'a Streams,
    h2: server::Connection<Socket<S>, Bytes>,
    /// What its frames came to.
    verdict: Verdict,
    end: End,
    /// It had streams when it was looked at last.
    is_busy: bool,
}

/// How far a connection is on the way to its end.
enum End {
    Open,
    /// It was asked to open no more streams, and is told to go after a while without one.
    Asked(Option<Pin<Box<Sleep>>>),
    /// It was told to go, and has so long to hear it.
    Told(Pin<Box<Sleep>>),
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<'_, S> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.client.note_waker(cx);
        loop {
            let is_over = self.poll_accept(cx).is_ready();
            if self.client.is_cut() {
                // Before h2 tells them that the connection is gone: it is not their client's doing.
                self.streams.cut();
                return Poll::Ready(());
            }
            if is_over || ready!(self.poll_end(cx)).is_break() {
                return Poll::Ready(());
            }
        }
    }

    /// Ready when nothing more comes. Errors are the client's: it went away, or was told what it did
    /// wrong.
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while let Some(Ok((request, respond))) = ready!(pin!(self.h2.accept()).poll(cx)) {
            let stream = self.streams.open(self.client);
            self.client.proxy().tasks().spawn(stream::serve(stream, request, respond));
        }
        Poll::Ready(())
    }

    /// Breaks when the connection is to be dropped, and goes on when h2 has something to say.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<ControlFlow<()>> {
        self.note_streams();
        let overdue = self.client.progress().overdue();
        if let Some(Awaited::First | Awaited::Head | Awaited::Room) = overdue {
            return Poll::Ready(ControlFlow::Break(()));
        }
        match (&mut self.end, self.verdict.get()) {
            (End::Told(time), _) => time.as_mut().poll(cx).map(ControlFlow::Break),
            (End::Open | End::Asked(_), Some(reason)) => self.tell(reason),
            (End::Open, None) if self.client.is_leaving() || overdue == Some(Awaited::Next) => {
                self.h2.graceful_shutdown();
                self.end = End::Asked(None);
                Poll::Ready(ControlFlow::Continue(()))
            }
            (End::Open, None) => Poll::Pending,
            (End::Asked(time), None) => {
                if self.is_busy || self.client.progress().word().awaited() == Awaited::Room {
                    *time = None;
                    return Poll::Pending;
                }
                ready!(time.get_or_insert_with(moment).as_mut().poll(cx));
                self.tell(Reason::NO_ERROR)
            }
        }
    }

    fn tell(&mut self, reason: Reason) -> Poll<ControlFlow<()>> {
        self.h2.abrupt_shutdown(reason);
        self.end = End::Told(moment());
        Poll::Ready(ControlFlow::Continue(()))
    }

    /// The time of a connection without streams begins when the last one ends.
    fn note_streams(&mut self) {
        let progress = self.client.progress();
        let is_busy = !self.streams.are_none();
        if is_busy != self.is_busy && progress.word().awaited() != Awaited::Room {
            progress.wait_for(if is_busy { Awaited::Streams } else { Awaited::Next });
            self.is_busy = is_busy;
        }
    }
}

fn moment() -> Pin<Box<Sleep>> {
    Box::pin(tokio::time::sleep(LAST_REQUEST))
}
