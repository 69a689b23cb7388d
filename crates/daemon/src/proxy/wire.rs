//! The socket to an instance, with a second look before something irreplaceable is written.
//!
//! tokio learns that a peer has closed when its driver next asks the kernel. Under load that may
//! be after the next request was written. A request that may be sent only once asks by itself.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use socket2::SockRef;
use tokio::net::TcpStream;

/// An instance's socket.
pub(crate) struct Wire {
    io: TokioIo<TcpStream>,
    suspicious: Suspicion,
}

/// Set by the owner of the link, which cannot reach into hyper; taken by the next read.
#[derive(Clone, Default)]
pub(crate) struct Suspicion(Arc<AtomicBool>);

impl Suspicion {
    /// Has the next read ask the kernel whether the peer has closed.
    pub(crate) fn raise(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn take(&self) -> bool {
        // Read first: nearly always it is not set, and reading is the cheaper half.
        self.0.load(Ordering::Relaxed) && self.0.swap(false, Ordering::Relaxed)
    }
}

impl Wire {
    pub(crate) fn new(stream: TcpStream, suspicious: Suspicion) -> Self {
        Self { io: TokioIo::new(stream), suspicious }
    }

    pub(crate) fn into_inner(self) -> TcpStream {
        self.io.into_inner()
    }

    fn has_ended(&self) -> bool {
        let mut byte = [MaybeUninit::uninit()];
        matches!(SockRef::from(self.io.inner()).peek(&mut byte), Ok(0))
    }
}

impl Read for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if self.suspicious.take() && self.has_ended() {
            // Ready with nothing: the end of the stream.
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.io).poll_read(cx, buffer)
    }
}

impl Write for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
