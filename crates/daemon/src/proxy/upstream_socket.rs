//! A connection to an instance, over TCP or over a path.
//!
//! Bytes and nothing else: what is said on it is the business of whoever has it.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use super::turns;
use crate::config::InstanceAddr;

/// A connection to an instance.
#[derive(Debug)]
pub(crate) enum UpstreamSocket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// The kernel lets nobody wait for a place in the queue of a path who does not block: it is asked
/// again so soon.
const QUEUE_FULL: Duration = Duration::from_millis(2);

impl UpstreamSocket {
    /// Connects, and takes as long as it takes: whoever calls bounds the time.
    pub(crate) async fn connect(addr: &InstanceAddr) -> io::Result<Self> {
        match addr {
            InstanceAddr::Port(addr) => {
                let stream = TcpStream::connect(addr).await?;
                stream.set_nodelay(true)?;
                Ok(Self::Tcp(stream))
            }
            InstanceAddr::Socket(path) => connect_to_path(path).await.map(Self::Unix),
        }
    }
}

async fn connect_to_path(path: &Path) -> io::Result<UnixStream> {
    loop {
        match UnixStream::connect(path).await {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                tokio::time::sleep(QUEUE_FULL).await;
            }
            connected => return connected,
        }
    }
}

impl UpstreamSocket {
    /// Ready when there is something to read, if only the end or what is wrong.
    pub(crate) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => stream.poll_read_ready(cx),
            Self::Unix(stream) => stream.poll_read_ready(cx),
        }
    }
}

impl AsFd for UpstreamSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(stream) => stream.as_fd(),
            Self::Unix(stream) => stream.as_fd(),
        }
    }
}

impl AsyncRead for UpstreamSocket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        turns::read(buffer, cx, |buffer, cx| match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, buffer),
        })
    }
}

impl AsyncWrite for UpstreamSocket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, bytes),
        };
        turns::wrote(written, cx)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, pieces),
            Self::Unix(stream) => Pin::new(stream).poll_write_vectored(cx, pieces),
        };
        turns::wrote(written, cx)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Self::Unix(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use socket2::{Domain, SockAddr, Socket, Type};

    use super::*;

    #[tokio::test]
    async fn who_finds_the_queue_of_a_path_full_waits_for_a_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("full.sock");
        let listener = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
        listener.bind(&SockAddr::unix(&path).unwrap()).unwrap();
        listener.listen(0).unwrap();
        let addr = InstanceAddr::Socket(path.into());
        let _first = UpstreamSocket::connect(&addr).await.unwrap();
        let mut second = std::pin::pin!(UpstreamSocket::connect(&addr));
        let waits = tokio::time::timeout(QUEUE_FULL * 5, &mut second).await;
        assert!(waits.is_err(), "{waits:?}");
        let _taken = listener.accept().unwrap();
        assert!(second.await.is_ok());
    }

    #[tokio::test]
    async fn a_path_where_nobody_listens_refuses() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("left.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let refused =
            UpstreamSocket::connect(&InstanceAddr::Socket(path.into())).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        let nothing = InstanceAddr::Socket(folder.path().join("none.sock").into());
        assert_eq!(
            UpstreamSocket::connect(&nothing).await.unwrap_err().kind(),
            io::ErrorKind::NotFound
        );
    }
}
