//! The socket to an instance, with a second look before something irreplaceable is written.
//!
//! tokio learns that a peer has closed, or has sent what nobody asked for, when its driver next asks
//! the kernel. Under load that may be after the next request was written: it would be lost, or its
//! answer would be somebody else's. A request that may be sent only once asks by itself.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use socket2::SockRef;

use super::stream::Stream;

/// An instance's socket.
pub(crate) struct Wire {
    io: TokioIo<Stream>,
    suspicious: Suspicion,
}

/// Set by the owner of the link, which cannot reach into hyper; taken by the next read.
#[derive(Clone, Default)]
pub(crate) struct Suspicion(Arc<AtomicBool>);

impl Suspicion {
    /// Has the next read ask the kernel whether the peer has closed or sent anything.
    pub(crate) fn raise(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn take(&self) -> bool {
        // Read first: nearly always it is not set, and reading is the cheaper half.
        self.0.load(Ordering::Relaxed) && self.0.swap(false, Ordering::Relaxed)
    }
}

impl Wire {
    pub(crate) fn new(stream: Stream, suspicious: Suspicion) -> Self {
        Self { io: TokioIo::new(stream), suspicious }
    }

    pub(crate) fn into_inner(self) -> Stream {
        self.io.into_inner()
    }

    /// Its last answer is complete, so whatever comes now belongs to nobody.
    fn is_spoilt(&self) -> bool {
        let mut byte = [MaybeUninit::uninit()];
        SockRef::from(self.io.inner()).peek(&mut byte).is_ok()
    }
}

impl Read for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if self.suspicious.take() && self.is_spoilt() {
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

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::task::Waker;

    use hyper::rt::ReadBuf;
    use tokio::net::TcpStream;

    use super::*;

    /// What a read gives that comes before the runtime has heard of anything.
    async fn first_read(
        suspects: bool,
        act: impl FnOnce(std::net::TcpStream),
    ) -> Poll<io::Result<usize>> {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (peer, _) = listener.accept().unwrap();
        let suspicion = Suspicion::default();
        let mut wire = Wire::new(Stream::Tcp(stream), suspicion.clone());
        act(peer.try_clone().unwrap());
        if suspects {
            suspicion.raise();
        }
        let mut bytes = [0; 8];
        let mut buffer = ReadBuf::new(&mut bytes);
        let mut cx = Context::from_waker(Waker::noop());
        let read = Pin::new(&mut wire).poll_read(&mut cx, buffer.unfilled());
        read.map_ok(|()| buffer.filled().len())
    }

    #[tokio::test]
    async fn who_suspects_sees_the_end_and_takes_stray_bytes_for_it() {
        let stray = |mut peer: std::net::TcpStream| peer.write_all(b"stray").unwrap();
        let end = |peer: std::net::TcpStream| peer.shutdown(std::net::Shutdown::Write).unwrap();
        assert!(matches!(first_read(true, stray).await, Poll::Ready(Ok(0))));
        assert!(matches!(first_read(true, end).await, Poll::Ready(Ok(0))));
        assert!(first_read(true, drop).await.is_pending());
        assert!(first_read(false, stray).await.is_pending());
    }
}
