//! As much of HTTP/1.1 as both ends of the measurements speak: heads, and bodies whose length is
//! told. It knows neither what is asked nor why.

use std::io;

use anyhow::{Context, ensure};
use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

const MOST_OF_A_HEAD: usize = 64 << 10;
/// Read at once of a body that nobody looks at.
const PIECE: usize = 64 << 10;

/// One connection, at either end.
pub(crate) struct Wire<S = TcpStream> {
    stream: S,
    buffer: BytesMut,
}

/// What a request or an answer begins with.
pub(crate) struct Head {
    text: Bytes,
    /// Of the body that follows; none if it ends with the connection.
    pub(crate) length: Option<u64>,
}

impl Wire {
    /// # Errors
    /// When the connection cannot be told to send at once.
    pub(crate) fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self::over(stream))
    }

    /// Whether the other end keeps the connection, and says nothing.
    pub(crate) fn is_idle(&self) -> bool {
        let read = self.stream.try_read(&mut [0]);
        read.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    /// Over what sends at once.
    pub(crate) fn over(stream: S) -> Self {
        Self { stream, buffer: BytesMut::with_capacity(PIECE) }
    }

    /// The next head; none if the other end closed before the first byte of it.
    ///
    /// # Errors
    /// When the connection breaks, or what comes is no head.
    pub(crate) async fn head(&mut self) -> anyhow::Result<Option<Head>> {
        loop {
            if let Some(end) = self.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                return Head::parse(self.buffer.split_to(end + 4).freeze()).map(Some);
            }
            ensure!(self.buffer.len() < MOST_OF_A_HEAD, "a head without an end");
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                ensure!(self.buffer.is_empty(), "closed in the middle of a head");
                return Ok(None);
            }
        }
    }

    /// Reads a body to its end.
    ///
    /// # Errors
    /// When the connection breaks or ends before it.
    pub(crate) async fn body(&mut self, head: &Head) -> anyhow::Result<()> {
        let mut owed = head.length.context("a body without a length")?;
        loop {
            let piece = owed.min(self.buffer.len() as u64);
            self.buffer.advance(usize::try_from(piece)?);
            owed -= piece;
            if owed == 0 {
                return Ok(());
            }
            self.buffer.reserve(PIECE);
            let read = self.stream.read_buf(&mut self.buffer).await?;
            ensure!(read > 0, "closed {owed} bytes before the end of a body");
        }
    }

    /// A body as text.
    ///
    /// # Errors
    /// When the connection breaks or ends before its end, or it is no text.
    pub(crate) async fn text(&mut self, head: &Head) -> anyhow::Result<String> {
        let length = usize::try_from(head.length.context("a body without a length")?)?;
        while self.buffer.len() < length {
            let read = self.stream.read_buf(&mut self.buffer).await?;
            ensure!(read > 0, "closed in the middle of a body");
        }
        Ok(String::from_utf8(self.buffer.split_to(length).to_vec())?)
    }

    /// Gives its buffer back until the next head.
    pub(crate) fn rest(&mut self) {
        self.buffer = BytesMut::new();
    }

    /// # Errors
    /// When the connection breaks.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await?;
        // What TLS has not sent yet waits in it.
        self.stream.flush().await
    }
}

impl Head {
    fn parse(text: Bytes) -> anyhow::Result<Self> {
        let mut length = None;
        for line in text.split(|byte| *byte == b'\n').skip(1) {
            let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
            let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
            if name.eq_ignore_ascii_case(b"content-length") {
                length = Some(str::from_utf8(value)?.parse().context("no length")?);
            } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
                return Ok(Self { text, length: None });
            }
        }
        Ok(Self { text, length })
    }

    /// The words of its first line.
    pub(crate) fn words(&self) -> impl Iterator<Item = &str> {
        let line = self.text.split(|byte| *byte == b'\r').next().unwrap_or_default();
        str::from_utf8(line).unwrap_or_default().split(' ')
    }

    /// Whether it is that of an answer that went well.
    pub(crate) fn is_ok(&self) -> bool {
        self.words().nth(1) == Some("200")
    }
}
