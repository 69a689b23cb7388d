//! The socket of a connection, of which everything is read that the instance said before it closed.
//!
//! An instance that closes while requests are on their way to it resets the connection, and the next
//! write fails. What it said before is still there to be read: answers, and which requests it has not
//! processed. So nobody is told of the failed write but by the end of what there is to read.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::proxy::upstream_socket::UpstreamSocket;

pub(super) struct Socket {
    stream: UpstreamSocket,
    /// A write has failed; from then on they go nowhere.
    is_deaf: bool,
}

impl Socket {
    pub(super) fn new(stream: UpstreamSocket) -> Self {
        Self { stream, is_deaf: false }
    }

    fn swallow(&mut self, wrote: Poll<io::Result<usize>>, all: usize) -> Poll<io::Result<usize>> {
        wrote.map(|wrote| {
            self.is_deaf |= wrote.is_err();
            Ok(wrote.unwrap_or(all))
        })
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.is_deaf {
            return Poll::Ready(Ok(bytes.len()));
        }
        let wrote = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.swallow(wrote, bytes.len())
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let all = slices.iter().map(|slice| slice.len()).sum();
        if self.is_deaf {
            return Poll::Ready(Ok(all));
        }
        let wrote = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.swallow(wrote, all)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    #[tokio::test]
    async fn what_was_said_before_a_reset_is_read_although_nothing_can_be_written() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut instance, _) = listener.accept().await.unwrap();
        stream.write_all(b"never read").await.unwrap();
        instance.readable().await.unwrap();
        instance.write_all(b"last words").await.unwrap();
        // With bytes unread, this is a reset.
        drop(instance);
        let mut socket = Socket::new(UpstreamSocket::Tcp(stream));
        while !socket.is_deaf {
            socket.write_all(b"more").await.unwrap();
            tokio::task::yield_now().await;
        }
        socket.write_all(b"and more").await.unwrap();
        let mut heard = [0; 10];
        socket.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"last words");
        assert!(matches!(socket.read(&mut heard).await, Ok(0) | Err(_)));
    }
}
