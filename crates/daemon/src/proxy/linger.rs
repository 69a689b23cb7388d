//! Closing a client's connection so that the last answer arrives.
//!
//! A socket closed with unread bytes in it is reset, and a reset destroys what the client has not
//! read yet: the 413 that explains why we stopped reading. So the sending side is closed first,
//! and what still comes is read and thrown away, for a bounded time and amount (RFC 9112 9.6).

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::BytesMut;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;

use super::client::{Client, MAX_FIELDS};
use super::guard::Guarded;

const LINGER_TIME: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 1024 * 1024;

/// A client's socket.
pub(crate) struct Lingering {
    io: TokioIo<Guarded<TcpStream>>,
    client: Arc<Client>,
    /// The sending side is closed.
    last_words: Option<LastWords>,
}

struct LastWords {
    until: Pin<Box<Sleep>>,
    budget: usize,
}

impl Lingering {
    pub(crate) fn new(stream: TcpStream, client: Arc<Client>) -> Self {
        let io = TokioIo::new(Guarded::new(stream, MAX_FIELDS, client.noted().clone()));
        Self { io, client, last_words: None }
    }

    /// The socket, and what came out of it that hyper has not seen.
    pub(crate) fn into_parts(self) -> (TcpStream, BytesMut) {
        self.io.into_inner().into_parts()
    }
}

impl Lingering {
    /// An error if the client has reset the connection; otherwise its task is woken when it does.
    ///
    /// hyper reads nothing while an answer is awaited, and a client that merely closed its sending
    /// side still wants the answer. A reset is the one certain sign that nobody does.
    fn look_for_reset(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let mut byte = [0];
        match self.io.inner().get_ref().poll_peek(cx, &mut ReadBuf::new(&mut byte)) {
            Poll::Ready(Err(error)) => Err(error),
            Poll::Ready(Ok(_)) | Poll::Pending => Ok(()),
        }
    }
}

impl LastWords {
    fn new() -> Self {
        Self { until: Box::pin(tokio::time::sleep(LINGER_TIME)), budget: LINGER_BYTES }
    }

    /// Ready when the client has closed its side, or has been listened to for long enough.
    fn poll_listen(&mut self, stream: &mut TcpStream, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let mut bytes = [0; 4096];
            let mut buffer = ReadBuf::new(&mut bytes);
            match Pin::new(&mut *stream).poll_read(cx, &mut buffer) {
                Poll::Pending => return self.until.as_mut().poll(cx),
                Poll::Ready(Err(_)) => return Poll::Ready(()),
                Poll::Ready(Ok(())) => {}
            }
            let read = buffer.filled().len();
            self.budget = self.budget.saturating_sub(read);
            if read == 0 || self.budget == 0 {
                return Poll::Ready(());
            }
        }
    }
}

impl Read for Lingering {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buffer)
    }
}

impl Write for Lingering {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    /// hyper flushes after each look at the service, also when there is nothing to write.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.io).poll_flush(cx))?;
        if self.client.is_held() {
            self.look_for_reset(cx)?;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.last_words.is_none() {
            ready!(Pin::new(&mut this.io).poll_shutdown(cx))?;
        }
        let last_words = this.last_words.get_or_insert_with(LastWords::new);
        last_words.poll_listen(this.io.inner_mut().get_mut(), cx).map(Ok)
    }
}
