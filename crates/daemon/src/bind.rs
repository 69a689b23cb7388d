//! Listening sockets: how they are made, and why one cannot be had.

use std::io;
use std::net::SocketAddr;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;

use crate::supervisor::port_holder;

/// Connections the kernel queues for a listener before they are accepted.
const BACKLOG: i32 = 4096;

/// Why a port cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("{key}: cannot listen on {addr}: {source}{}", held_by(holder.as_deref()))]
pub struct ListenError {
    /// The configuration key it comes from.
    pub key: &'static str,
    /// The address.
    pub addr: SocketAddr,
    /// What the system said.
    pub source: io::Error,
    /// Who listens there already, if that is the reason and can be known.
    pub holder: Option<String>,
}

fn held_by(holder: Option<&str>) -> String {
    holder.map_or_else(String::new, |holder| format!(", held by {holder}"))
}

/// A listener on `addr`, which `key` of the configuration asks for. To be called in a tokio runtime.
///
/// # Errors
/// What the system said, and who holds the port if somebody does.
pub(crate) fn listen(key: &'static str, addr: SocketAddr) -> Result<TcpListener, ListenError> {
    bind(addr).map_err(|source| {
        let taken = source.kind() == io::ErrorKind::AddrInUse;
        let holder = taken.then(|| port_holder(addr)).flatten();
        ListenError { key, addr, source, holder }
    })
}

/// A listening socket. `SO_REUSEADDR`, so that a restart need not wait for old connections;
/// never `SO_REUSEPORT`, which loses what is queued on a socket that closes.
fn bind(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}
