//! Closing a client's connection so that the last answer arrives.
//!
//! A socket closed with unread bytes in it is reset, and a reset destroys what the client has not
//! read yet: the 413 that explains why we stopped reading. So the sending side is closed first,
//! and what still comes is read and thrown away, for a bounded time and amount (RFC 9112 9.6).
//!
//! Here is also where a client that sends or takes nothing for too long meets its end.

use std::future::{Future, poll_fn};
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::BytesMut;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;

use super::client::Client;
use super::guard::Guarded;
use super::progress::Awaited;
use super::refusal::Refusal;
use super::stream::Stream;

/// One write of so few bytes is cheaper than a list of pieces for the kernel to go through.
pub(super) const SMALL: usize = 1024;
/// What of a message is read at once. It is on the stack, so that nobody keeps it who only waits.
const ROOM: usize = 8 * 1024;
const LINGER_TIME: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 1024 * 1024;

/// A client's socket.
pub(crate) struct Lingering {
    io: Guarded<Stream>,
    client: Arc<Client>,
    writes: Writes,
    /// The sending side is closed, or about to be.
    last_words: Option<LastWords>,
}

/// What is known of how the client is written to.
enum Writes {
    /// Not yet.
    None,
    /// Once: nothing had to wait.
    One,
    /// Small pieces are not to wait until the last one is acknowledged.
    Undelayed,
}

/// What a client still says that was told to go.
pub(super) struct LastWords {
    until: Pin<Box<Sleep>>,
    budget: usize,
    /// All that we had to say is said.
    said: bool,
}

impl Lingering {
    /// The headers of a request may take `max_fields` bytes together.
    pub(crate) fn new(stream: Stream, max_fields: usize, client: Arc<Client>) -> Self {
        // Inside TLS, the handshake was the first that was written.
        let writes = match &stream {
            Stream::Plain(_) => Writes::None,
            Stream::Tls(_) => Writes::One,
        };
        let io = Guarded::new(stream, max_fields, client.noted().clone());
        Self { io, client, writes, last_words: None }
    }

    /// Takes back what was read before it.
    pub(crate) fn give_back(&mut self, begun: BytesMut) {
        self.io.give_back(begun);
    }

    /// The socket, and what came out of it that nobody has read.
    pub(crate) fn into_parts(mut self) -> (Stream, BytesMut) {
        self.do_not_delay();
        self.io.into_parts()
    }
}

impl Lingering {
    /// Ready when there is something to read, if only the end.
    pub(crate) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.io.has_begun() {
            return Poll::Ready(());
        }
        self.io.get_ref().poll_readable(cx)
    }

    /// All that was read has been passed on, and is whole requests.
    pub(crate) fn is_between_messages(&self) -> bool {
        self.last_words.is_none() && !self.io.has_begun() && !self.io.is_inside()
    }

    /// In the middle of a body.
    pub(crate) fn is_inside(&self) -> bool {
        self.io.is_inside()
    }

    /// Reads the next head, and what of its body came with it. Nothing: the client has ended.
    pub(crate) fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<BytesMut>> {
        let mut read = BytesMut::new();
        loop {
            let mut bytes = [MaybeUninit::uninit(); ROOM];
            let mut buffer = ReadBuf::uninit(&mut bytes);
            ready!(Pin::new(&mut *self).poll_read(cx, &mut buffer))?;
            read.extend_from_slice(buffer.filled());
            if !self.io.has_cleared() {
                return Poll::Ready(Ok(read));
            }
        }
    }

    /// Takes back what [`poll_head`](Self::poll_head) gave, for another reader.
    pub(crate) fn take_back(&mut self, read: BytesMut) {
        self.io.take_back(read);
    }

    /// An error if the client has reset the connection; otherwise its task is woken when it does.
    ///
    /// Nothing is read while an answer is awaited, and a client that merely closed its sending
    /// side still wants the answer. A reset is the one certain sign that nobody does.
    fn look_for_reset(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let mut byte = [0];
        match self.io.get_ref().socket().poll_peek(cx, &mut ReadBuf::new(&mut byte)) {
            Poll::Ready(Err(error)) => Err(error),
            Poll::Ready(Ok(_)) | Poll::Pending => Ok(()),
        }
    }
}

impl Lingering {
    /// Nothing came: fine, or too late?
    fn poll_late(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.client.progress().overdue() {
            // It asked for nothing, so there is nothing to answer.
            Some(Awaited::First | Awaited::Next) => {
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
            Some(Awaited::Head) => {
                let page = Refusal::head_timeout().into_bytes();
                self.client.proxy().reject();
                // Whoever has no room for these few bytes does not read at all.
                let _ = Pin::new(&mut self.io).poll_write(cx, &page);
                self.poll_farewell(cx)
            }
            _ => Poll::Pending,
        }
    }

    fn poll_farewell(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(self).poll_shutdown(cx))?;
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    /// To be called before each write. A client that is written to once is spared a call to the kernel.
    fn prepare_to_write(&mut self) {
        match self.writes {
            Writes::None => self.writes = Writes::One,
            Writes::One => self.do_not_delay(),
            Writes::Undelayed => {}
        }
    }

    fn do_not_delay(&mut self) {
        // If it cannot be set, the connection is broken, and reading will say so.
        let _ = self.io.get_ref().socket().set_nodelay(true);
        self.writes = Writes::Undelayed;
    }

    /// Nothing was taken: fine, or for too long?
    fn poll_stuck<T>(&mut self) -> Poll<io::Result<T>> {
        if self.io.get_mut().took_more() {
            self.client.progress().wrote();
        }
        self.client.progress().blocked();
        if self.client.progress().overdue() != Some(Awaited::Room) {
            return Poll::Pending;
        }
        // What the kernel holds for it goes too. If that fails, the connection is gone already.
        let _ = SockRef::from(self.io.get_ref().socket()).set_linger(Some(Duration::ZERO));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl LastWords {
    pub(super) fn new() -> Self {
        let until = Box::pin(tokio::time::sleep(LINGER_TIME));
        Self { until, budget: LINGER_BYTES, said: false }
    }

    /// Ready when the client has closed its side, or has been listened to for long enough.
    pub(super) fn poll_listen<S: AsyncRead + Unpin>(
        &mut self,
        stream: &mut S,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
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

/// Puts pieces together if all of them fit, and says how long they are.
fn join(pieces: &[IoSlice<'_>], whole: &mut [u8]) -> Option<usize> {
    let mut length = 0;
    for piece in pieces {
        let end = length + piece.len();
        whole.get_mut(length..end)?.copy_from_slice(piece);
        length = end;
    }
    Some(length)
}

/// Listens to a client that was told to go, until it has gone or for a bounded time.
pub(crate) async fn listen(mut stream: TcpStream) {
    let mut last_words = LastWords::new();
    poll_fn(|cx| last_words.poll_listen(&mut stream, cx)).await;
}

impl AsyncRead for Lingering {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.last_words.is_some() {
            return self.poll_farewell(cx);
        }
        match Pin::new(&mut self.io).poll_read(cx, buffer) {
            Poll::Pending => {
                if self.io.has_begun() {
                    self.client.progress().heard();
                }
                self.poll_late(cx)
            }
            Poll::Ready(read) => {
                self.client.progress().heard();
                Poll::Ready(read)
            }
        }
    }
}

impl AsyncWrite for Lingering {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.prepare_to_write();
        match Pin::new(&mut self.io).poll_write(cx, bytes) {
            Poll::Pending => self.poll_stuck(),
            Poll::Ready(written) => {
                self.client.progress().wrote();
                Poll::Ready(written)
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut small = [0; SMALL];
        if let Some(length) = join(pieces, &mut small) {
            return self.poll_write(cx, &small[..length]);
        }
        self.prepare_to_write();
        match Pin::new(&mut self.io).poll_write_vectored(cx, pieces) {
            Poll::Pending => self.poll_stuck(),
            Poll::Ready(written) => {
                self.client.progress().wrote();
                Poll::Ready(written)
            }
        }
    }

    /// Called after each look at an answer that is awaited, also when there is nothing to write.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.io).poll_flush(cx) {
            Poll::Pending => return self.poll_stuck(),
            Poll::Ready(flushed) => flushed?,
        }
        if self.io.get_mut().took_more() {
            self.client.progress().wrote();
        }
        if self.client.progress().is_watched() {
            self.look_for_reset(cx)?;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let is_plain = matches!(this.io.get_ref(), Stream::Plain(_));
        if is_plain && this.client.has_finished() && this.is_between_messages() {
            // It sends nothing more that could be lost: closing the socket does the rest.
            return Poll::Ready(Ok(()));
        }
        let last_words = this.last_words.get_or_insert_with(LastWords::new);
        if !last_words.said {
            match Pin::new(&mut this.io).poll_shutdown(cx) {
                // The good-bye of TLS finds no room. It is not waited for longer than anything else.
                Poll::Pending => return last_words.until.as_mut().poll(cx).map(Ok),
                Poll::Ready(closed) => closed?,
            }
            last_words.said = true;
        }
        last_words.poll_listen(this.io.get_mut().socket_mut(), cx).map(Ok)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_put_together_in_order_if_all_of_them_fit() {
        let mut whole = [0; 8];
        let pieces = [b"head" as &[u8], b"", b"body"].map(IoSlice::new);
        assert_eq!(join(&pieces, &mut whole), Some(8));
        assert_eq!(&whole, b"headbody");
        let pieces = [b"head" as &[u8], b"body!"].map(IoSlice::new);
        assert_eq!(join(&pieces, &mut whole), None);
        assert_eq!(join(&[], &mut whole), Some(0));
    }
}
