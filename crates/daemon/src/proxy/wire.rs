//! The socket to an instance, with a second look before something irreplaceable is written.
//!
//! tokio learns that a peer has closed, or has sent what nobody asked for, when its driver next asks
//! the kernel. Under load that may be after the next request was written: it would be lost, or its
//! answer would be somebody else's. A request that may be sent only once asks by itself.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use socket2::SockRef;

use super::upstream_socket::UpstreamSocket;

/// How many reads the head of an answer may take, and every interim answer before it. hyper skips
/// those without an end, and an instance that sends nothing else would never be found out.
const READS_OF_A_HEAD: u64 = 1024;

/// An instance's socket.
pub(crate) struct Wire {
    io: TokioIo<UpstreamSocket>,
    watch: Watch,
}

/// What the owner of the link, which cannot reach into hyper, wants its socket to look out for.
#[derive(Clone)]
pub(crate) struct Watch(Arc<Watched>);

struct Watched {
    /// Taken by the next read.
    suspicious: AtomicBool,
    /// How many reads there may still be.
    reads: AtomicU64,
}

impl Watch {
    pub(crate) fn new() -> Self {
        let (suspicious, reads) = (AtomicBool::new(false), AtomicU64::new(u64::MAX));
        Self(Arc::new(Watched { suspicious, reads }))
    }

    /// Has the next read ask the kernel whether the peer has closed or sent anything.
    pub(crate) fn suspect(&self) {
        self.0.suspicious.store(true, Ordering::Relaxed);
    }

    /// The head of an answer is awaited: it must come within a bounded number of reads.
    pub(crate) fn await_head(&self) {
        self.0.reads.store(READS_OF_A_HEAD, Ordering::Relaxed);
    }

    /// It has come.
    pub(crate) fn head_has_come(&self) {
        self.0.reads.store(u64::MAX, Ordering::Relaxed);
    }

    fn take_suspicion(&self) -> bool {
        // Read first: nearly always it is not set, and reading is the cheaper half.
        let suspicious = &self.0.suspicious;
        suspicious.load(Ordering::Relaxed) && suspicious.swap(false, Ordering::Relaxed)
    }

    fn count_read(&self) -> io::Result<()> {
        // One task has the socket and the link: nothing comes between these two.
        let left = self.0.reads.load(Ordering::Relaxed).checked_sub(1);
        let left = left.ok_or_else(|| io::Error::other("interim answers without an end"))?;
        self.0.reads.store(left, Ordering::Relaxed);
        Ok(())
    }
}

impl Wire {
    pub(crate) fn new(stream: UpstreamSocket, watch: Watch) -> Self {
        Self { io: TokioIo::new(stream), watch }
    }

    pub(crate) fn into_inner(self) -> UpstreamSocket {
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
        if self.watch.take_suspicion() && self.is_spoilt() {
            // Ready with nothing: the end of the stream.
            return Poll::Ready(Ok(()));
        }
        ready!(Pin::new(&mut self.io).poll_read(cx, buffer))?;
        Poll::Ready(self.watch.count_read())
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
        let watch = Watch::new();
        let mut wire = Wire::new(UpstreamSocket::Tcp(stream), watch.clone());
        act(peer.try_clone().unwrap());
        if suspects {
            watch.suspect();
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
