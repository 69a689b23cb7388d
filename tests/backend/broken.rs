//! Connections on which it does not speak HTTP as it should, whatever is asked.

use std::future::pending;
use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What it does with every connection.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Broken {
    /// Reads a head, answers with bytes that are no answer, and closes.
    Garbage,
    /// Reads a head, sends half an answer, and resets the connection.
    Reset,
    /// Reads a head, and then neither reads nor writes.
    Deaf,
}

/// Treats one connection like that.
pub(crate) async fn treat(broken: Broken, mut stream: TcpStream) -> io::Result<()> {
    read_head(&mut stream).await?;
    match broken {
        Broken::Garbage => {
            let garbage: Vec<u8> = (0..=u8::MAX).rev().cycle().take(10_000).collect();
            stream.write_all(&garbage).await
        }
        Broken::Reset => {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nhalf").await?;
            stream.set_zero_linger()
        }
        Broken::Deaf => pending().await,
    }
}

async fn read_head(stream: &mut TcpStream) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        if stream.read_buf(&mut head).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(())
}
