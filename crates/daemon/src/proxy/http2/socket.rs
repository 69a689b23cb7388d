//! A client's socket as h2 sees it, with an eye on the frames that come.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use h2::Reason;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::budget::Budget;
use super::frames::{ACK, Frame, Frames, SETTINGS};
use crate::proxy::client::Client;
use crate::proxy::linger::LastWords;
use crate::proxy::progress::Awaited;

/// Bytes both ways, until a verdict is given.
pub(super) struct Socket<S> {
    io: S,
    /// What was read before.
    begun: BytesMut,
    client: Arc<Client>,
    frames: Frames,
    budget: Budget,
    verdict: Verdict,
    /// No frame has come yet.
    is_new: bool,
    /// The sending side is closed.
    last_words: Option<LastWords>,
}

/// Why nothing more is read, if that is so. Given by the socket, to the connection around it, in the
/// same task.
#[derive(Clone, Default)]
pub(super) struct Verdict(Arc<AtomicU32>);

impl Verdict {
    pub(super) fn get(&self) -> Option<Reason> {
        match self.0.load(Ordering::Relaxed) {
            0 => None,
            reason => Some(reason.into()),
        }
    }

    fn give(&self, reason: Reason) {
        self.0.store(reason.into(), Ordering::Relaxed);
    }
}

impl<S> Socket<S> {
    pub(super) fn new(io: S, begun: BytesMut, client: Arc<Client>, verdict: Verdict) -> Self {
        let (frames, budget) = (Frames::new(), Budget::new());
        Self { io, begun, client, frames, budget, verdict, is_new: true, last_words: None }
    }

    /// Looks at what was read.
    fn follow(&mut self, mut bytes: &[u8]) {
        while let Some(frame) = self.frames.next(&mut bytes) {
            if let Err(reason) = self.meet(frame) {
                return self.verdict.give(reason);
            }
        }
    }

    fn meet(&mut self, frame: Frame) -> Result<(), Reason> {
        if self.is_new {
            // RFC 9113 3.4. From here on it may be idle.
            if frame.kind != SETTINGS || frame.flags & ACK != 0 {
                return Err(Reason::PROTOCOL_ERROR);
            }
            self.is_new = false;
            self.client.progress().wait_for(Awaited::Next);
        }
        if !frame.is_sized() {
            return Err(Reason::FRAME_SIZE_ERROR);
        }
        let is_paid = self.budget.pay(frame);
        is_paid.then_some(()).ok_or(Reason::ENHANCE_YOUR_CALM)
    }

    fn written(&mut self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match &written {
            Poll::Pending => self.client.progress().blocked(),
            Poll::Ready(Ok(count)) => {
                self.budget.earn(*count);
                self.client.progress().wrote();
            }
            Poll::Ready(Err(_)) => {}
        }
        written
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Socket<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.verdict.get().is_some() {
            // The connection looks at it next, and nothing is waited for.
            return Poll::Pending;
        }
        let start = buffer.filled().len();
        if this.begun.is_empty() {
            ready!(Pin::new(&mut this.io).poll_read(cx, buffer))?;
        } else {
            let count = this.begun.len().min(buffer.remaining());
            buffer.put_slice(&this.begun[..count]);
            this.begun.advance(count);
        }
        if this.is_new {
            this.client.progress().heard();
        }
        this.follow(&buffer.filled()[start..]);
        if this.verdict.get().is_some() {
            // What came with it is not served either.
            buffer.set_filled(start);
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Socket<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(cx, bytes);
        self.written(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write_vectored(cx, pieces);
        self.written(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.last_words.is_none() {
            ready!(Pin::new(&mut this.io).poll_shutdown(cx))?;
        }
        let last_words = this.last_words.get_or_insert_with(LastWords::new);
        last_words.poll_listen(&mut this.io, cx).map(Ok)
    }
}
