//! Where an instance listens: on a port, or on a path.

use std::io;
use std::path::PathBuf;

use rustix::net::{RecvFlags, recv};
use tokio::io::Interest;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

/// Where it is to listen.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    Port(u16),
    Path(PathBuf),
}

pub(crate) enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// A connection from a client.
pub(crate) enum Connection {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Place {
    /// What is left on a path by an earlier process is not removed, as many programs do not.
    pub(crate) async fn listen(&self) -> io::Result<Listener> {
        match self {
            Self::Port(port) => TcpListener::bind(("127.0.0.1", *port)).await.map(Listener::Tcp),
            Self::Path(path) => UnixListener::bind(path).map(Listener::Unix),
        }
    }
}

impl Listener {
    pub(crate) async fn accept(&self) -> io::Result<Connection> {
        match self {
            Self::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                // Without delay, as a web service would: the answer's head and body are two writes
                // at times.
                stream.set_nodelay(true)?;
                Ok(Connection::Tcp(stream))
            }
            Self::Unix(listener) => Ok(Connection::Unix(listener.accept().await?.0)),
        }
    }
}

impl Connection {
    /// Waits until the client has said something, or has gone.
    pub(crate) async fn begun(&self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.peek(&mut [0]).await.map(drop),
            Self::Unix(stream) => {
                // To be told that there is something to read is not to have seen it.
                let peek = || Ok(recv(stream, &mut [0_u8; 1][..], RecvFlags::PEEK).map(drop)?);
                stream.async_io(Interest::READABLE, peek).await
            }
        }
    }
}
