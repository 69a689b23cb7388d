//! Listening sockets: how they are made, and why one cannot be had.

use std::io;
use std::net::SocketAddr;

use rustix::io::Errno;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;

use crate::supervisor::port_holder;

/// Connections the kernel queues for a listener before they are accepted.
const BACKLOG: i32 = 4096;

/// Why a port cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("{key}: cannot listen on {addr}: {source}{}{}", held_by(holder.as_deref()), remedy(source))]
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

/// What an operator can do about it, where the system's words do not say so.
fn remedy(error: &io::Error) -> &'static str {
    match Errno::from_io_error(error) {
        Some(Errno::ACCESS) => "; ports below 1024 are for root and for CAP_NET_BIND_SERVICE",
        Some(Errno::ADDRNOTAVAIL) => "; this machine has no such address",
        Some(Errno::AFNOSUPPORT) => "; IPv6 is switched off on this machine",
        _ => "",
    }
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

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use procfs::net::{TcpNetEntry, TcpState, tcp};
    use tokio::io::AsyncReadExt;
    use tokio::net::TcpStream;

    use super::*;

    #[tokio::test]
    async fn a_port_whose_last_connection_is_not_forgotten_yet_can_be_had_again() {
        let listener = listen("port", (Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let addr = listener.local_addr().unwrap();
        let mut client = TcpStream::connect(addr).await.unwrap();
        // The side that closes first is the one that remembers.
        drop(listener.accept().await.unwrap());
        client.read_to_end(&mut Vec::new()).await.unwrap();
        drop((client, listener));
        let remembers =
            |entry: &TcpNetEntry| entry.local_address == addr && entry.state == TcpState::TimeWait;
        assert!(tcp().unwrap().iter().any(remembers));
        let strict = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let error = strict.bind(&addr.into()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        assert!(listen("port", addr).is_ok());
    }

    #[test]
    fn what_the_system_refuses_is_said_with_what_can_be_done() {
        let said = |addr: &str, errno: Errno| {
            let (addr, source) = (addr.parse().unwrap(), errno.into());
            ListenError { key: "ProxyPort", addr, source, holder: None }.to_string()
        };
        assert_eq!(
            said("127.0.0.1:80", Errno::ACCESS),
            "ProxyPort: cannot listen on 127.0.0.1:80: Permission denied (os error 13); \
             ports below 1024 are for root and for CAP_NET_BIND_SERVICE"
        );
        assert_eq!(
            said("192.0.2.1:80", Errno::ADDRNOTAVAIL),
            "ProxyPort: cannot listen on 192.0.2.1:80: Cannot assign requested address \
             (os error 99); this machine has no such address"
        );
        assert_eq!(
            said("[::]:80", Errno::AFNOSUPPORT),
            "ProxyPort: cannot listen on [::]:80: Address family not supported by protocol \
             (os error 97); IPv6 is switched off on this machine"
        );
    }
}
