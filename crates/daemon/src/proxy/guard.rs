//! What a client sends, looked at before anybody reads it: hyper, or [`lean`](super::lean).
//!
//! hyper reads leniently: it hides a Content-Length beside a Transfer-Encoding, merges repeated
//! lengths, and takes a line feed for the end of a line. Whoever stands before or behind us may read
//! such a message otherwise, and a second request may hide in the difference (RFC 9112 11.2). So the
//! bytes of each message are followed by a stricter reader as they come out of the socket, and readers
//! see only what it lets through: whole heads, and no byte of the next message before the answer to
//! this one.
//!
//! What is refused is noted for the request's answer, and its reader gets a harmless head in its place, so
//! that the refusal comes in its turn, after the answers to what was sent before. Then nothing more
//! is read.
//!
//! It knows neither routes nor instances, and of the headers those alone that frame a message. Whom
//! a request is for is [`target`](super::target)'s.

mod chunks;
mod framer;
mod head;
#[cfg(test)]
mod tests;

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

pub(crate) use self::chunks::{Chunks, MAX_TRAILER_COUNT};
pub use self::framer::{Framer, Step};
pub(crate) use self::head::{MAX_FIELD_COUNT, MAX_METHOD, MAX_REQUEST_LINE, is_path, is_token};
use super::refusal::Refusal;

/// Stands for a head that was refused. Its answer says `close`, whatever stands here.
const STAND_IN: &[u8] = b"GET / HTTP/1.1\r\nhost: refused\r\n\r\n";
/// The same, when the client expects an answer without a body.
const STAND_IN_FOR_HEAD: &[u8] = b"HEAD / HTTP/1.1\r\nhost: refused\r\n\r\n";

/// Why a client is read no further; set at most once in the life of its connection.
#[derive(Clone, Default)]
pub(crate) struct Noted(Arc<OnceLock<Refusal>>);

/// A client's socket. Writing passes through.
pub(crate) struct Guarded<S> {
    io: S,
    framer: Framer,
    /// Read, and not yet given to a reader: a head that is not complete, or what follows a message.
    held: BytesMut,
    /// How much at the beginning of `held` a reader may have.
    cleared: usize,
    noted: Noted,
}

impl Noted {
    pub(crate) fn get(&self) -> Option<&Refusal> {
        self.0.get()
    }

    pub(crate) fn set(&self, refusal: Refusal) {
        // It cannot fail: nothing is looked at after the first.
        let _ = self.0.set(refusal);
    }
}

impl<S> Guarded<S> {
    /// If something is noted already, nothing is read, and that is what the client is told.
    pub(crate) fn new(io: S, max_fields: usize, noted: Noted) -> Self {
        let framer = Framer::new(max_fields);
        let mut guarded = Self { io, framer, held: BytesMut::new(), cleared: 0, noted };
        if guarded.noted.get().is_some() {
            guarded.stand_in(STAND_IN);
        }
        guarded
    }

    /// Takes back what was read before it, and reads it first.
    pub(crate) fn give_back(&mut self, begun: BytesMut) {
        self.held = begun;
    }

    /// Takes back what was read last, and gives it again: it was looked at already.
    pub(crate) fn take_back(&mut self, mut read: BytesMut) {
        self.cleared += read.len();
        read.extend_from_slice(&self.held);
        self.held = read;
    }

    /// There is more of the same message that can be read at once.
    pub(crate) fn has_cleared(&self) -> bool {
        self.cleared > 0
    }

    pub(crate) fn get_ref(&self) -> &S {
        &self.io
    }

    pub(crate) fn get_mut(&mut self) -> &mut S {
        &mut self.io
    }

    /// A head has begun, and is not complete.
    pub(crate) fn has_begun(&self) -> bool {
        !self.held.is_empty()
    }

    /// In the middle of a body.
    pub(crate) fn is_inside(&self) -> bool {
        self.framer.is_inside()
    }

    /// The socket, and what came out of it beyond the last message.
    pub(crate) fn into_parts(self) -> (S, BytesMut) {
        (self.io, self.held)
    }

    /// Looks at what was just read, where it is going to be read: nothing is copied as long as it
    /// is one message or a part of its body.
    fn clear(&mut self, buffer: &mut ReadBuf<'_>, start: usize) {
        let fresh = &mut buffer.filled_mut()[start..];
        let is_inside = self.framer.is_inside();
        match self.framer.next(fresh) {
            Ok(Step::Pass(count)) => {
                self.held.extend_from_slice(&fresh[count..]);
                buffer.set_filled(start + count);
            }
            Ok(Step::More) => {
                self.held.extend_from_slice(fresh);
                buffer.set_filled(start);
            }
            Err(refusal) => {
                let stand_in = if is_inside { &[] } else { stand_in(fresh) };
                buffer.set_filled(start);
                self.refuse(refusal, stand_in);
            }
        }
    }

    /// The same for what is held.
    fn clear_held(&mut self) {
        let is_inside = self.framer.is_inside();
        match self.framer.next(&mut self.held) {
            Ok(Step::Pass(count)) => self.cleared = count,
            Ok(Step::More) => {}
            Err(refusal) => {
                let stand_in = if is_inside { &[] } else { stand_in(&self.held) };
                self.refuse(refusal, stand_in);
            }
        }
    }

    /// Without a stand-in, its reader sees the body break off.
    fn refuse(&mut self, refusal: Refusal, stand_in: &'static [u8]) {
        self.stand_in(stand_in);
        self.noted.set(refusal);
    }

    fn stand_in(&mut self, head: &'static [u8]) {
        self.held = head.into();
        self.cleared = head.len();
    }

    /// Gives what was cleared of what is held.
    fn pass_held(&mut self, buffer: &mut ReadBuf<'_>) {
        let count = self.cleared.min(buffer.remaining());
        buffer.put_slice(&self.held[..count]);
        self.held.advance(count);
        self.cleared -= count;
        if self.held.is_empty() {
            // An idle connection keeps no memory.
            self.held = BytesMut::new();
        }
    }
}

fn stand_in(head: &[u8]) -> &'static [u8] {
    if head.starts_with(b"HEAD ") { STAND_IN_FOR_HEAD } else { STAND_IN }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let start = buffer.filled().len();
        if this.cleared == 0 && !this.held.is_empty() {
            this.clear_held();
        }
        while this.cleared == 0 && this.noted.get().is_none() {
            ready!(Pin::new(&mut this.io).poll_read(cx, buffer))?;
            if buffer.filled().len() == start {
                // The end, perhaps in the middle of a head. Then nobody waits for an answer.
                return Poll::Ready(Ok(()));
            }
            if this.held.is_empty() {
                this.clear(buffer, start);
                if buffer.filled().len() > start {
                    return Poll::Ready(Ok(()));
                }
            } else {
                this.held.extend_from_slice(&buffer.filled()[start..]);
                buffer.set_filled(start);
                this.clear_held();
            }
        }
        this.pass_held(buffer);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, pieces)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
