//! Which sockets listen, asked of the kernel by sock_diag(7).
//!
//! /proc/net/tcp says the same, but walks every connection there is to say it: seconds, on a busy
//! machine. sock_diag is asked for listeners on one port and answers in microseconds. Where it is
//! not allowed, /proc answers.

use std::collections::HashSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use procfs::net::{TcpNetEntry, TcpState};
use rustix::net::netlink::{SOCK_DIAG, SocketAddrNetlink};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, sendto, socket_with,
};

/// The inodes of the sockets that listen on `addr`, or on every address of its kind.
pub(super) fn listening(addr: SocketAddr) -> HashSet<u64> {
    ask_kernel(addr.port()).map_or_else(
        |_| read_proc(addr),
        |found| found.into_iter().filter(|l| covers(l.ip, addr.ip())).map(|l| l.inode).collect(),
    )
}

/// Whether a socket bound to `listens` takes connections to `wanted`.
fn covers(listens: IpAddr, wanted: IpAddr) -> bool {
    listens.is_unspecified() || listens.to_canonical() == wanted.to_canonical()
}

fn read_proc(addr: SocketAddr) -> HashSet<u64> {
    let matches = |entry: &TcpNetEntry| {
        entry.state == TcpState::Listen
            && entry.local_address.port() == addr.port()
            && covers(entry.local_address.ip(), addr.ip())
    };
    let tcp = procfs::net::tcp().unwrap_or_default();
    let tcp6 = procfs::net::tcp6().unwrap_or_default();
    tcp.iter().chain(&tcp6).filter(|entry| matches(entry)).map(|entry| entry.inode).collect()
}

/// One listening socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Listener {
    ip: IpAddr,
    inode: u64,
}

const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
const IPPROTO_TCP: u8 = 6;
const TCP_LISTEN: u32 = 10;
/// linux/sock_diag.h
const SOCK_DIAG_BY_FAMILY: u16 = 20;
/// linux/netlink.h: NLM_F_REQUEST | NLM_F_DUMP
const REQUEST_DUMP: u16 = 0x301;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
/// Length of `struct nlmsghdr`.
const HEADER: usize = 16;
/// Length of `struct inet_diag_msg`.
const MESSAGE: usize = 72;

fn ask_kernel(port: u16) -> io::Result<Vec<Listener>> {
    let mut found = Vec::new();
    for family in [AF_INET, AF_INET6] {
        ask_family(family, port, &mut found)?;
    }
    Ok(found)
}

fn ask_family(family: u8, port: u16, found: &mut Vec<Listener>) -> io::Result<()> {
    let socket = socket_with(
        AddressFamily::NETLINK,
        SocketType::DGRAM,
        SocketFlags::CLOEXEC,
        Some(SOCK_DIAG),
    )?;
    sendto(&socket, &request(family, port), SendFlags::empty(), &SocketAddrNetlink::new(0, 0))?;
    let mut buffer = vec![0; 32 * 1024];
    loop {
        let (read, _) = recv(&socket, buffer.as_mut_slice(), RecvFlags::empty())?;
        if read == 0 || take_messages(&buffer[..read], port, found)? {
            return Ok(());
        }
    }
}

/// `struct nlmsghdr` and `struct inet_diag_req_v2`: all listeners of a family on a port.
fn request(family: u8, port: u16) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER + 56);
    bytes.extend_from_slice(&((HEADER + 56) as u32).to_ne_bytes());
    bytes.extend_from_slice(&SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    bytes.extend_from_slice(&REQUEST_DUMP.to_ne_bytes());
    bytes.extend_from_slice(&[0; 8]);
    bytes.extend_from_slice(&[family, IPPROTO_TCP, 0, 0]);
    bytes.extend_from_slice(&(1u32 << TCP_LISTEN).to_ne_bytes());
    bytes.extend_from_slice(&port.to_be_bytes());
    bytes.resize(HEADER + 56, 0);
    bytes
}

/// Takes the listeners out of one datagram; `true` when the kernel has said everything.
fn take_messages(mut bytes: &[u8], port: u16, found: &mut Vec<Listener>) -> io::Result<bool> {
    let broken = || io::Error::from(io::ErrorKind::InvalidData);
    while bytes.len() >= HEADER {
        let length = u32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as usize;
        let message = bytes.get(HEADER..length).ok_or_else(broken)?;
        match u16::from_ne_bytes([bytes[4], bytes[5]]) {
            NLMSG_DONE => return Ok(true),
            NLMSG_ERROR => return Err(io::Error::other("sock_diag refused the question")),
            _ => found.extend(listener(message, port)),
        }
        // Messages begin at multiples of four.
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(false)
}

/// Reads a `struct inet_diag_msg`.
fn listener(message: &[u8], port: u16) -> Option<Listener> {
    let message: &[u8; MESSAGE] = message.get(..MESSAGE)?.try_into().ok()?;
    if message[4..6] != port.to_be_bytes() {
        return None;
    }
    let address: [u8; 16] = message[8..24].try_into().ok()?;
    let ip = match message[0] {
        AF_INET => IpAddr::V4(Ipv4Addr::new(address[0], address[1], address[2], address[3])),
        AF_INET6 => IpAddr::V6(Ipv6Addr::from(address)),
        _ => return None,
    };
    let inode = u32::from_ne_bytes(message[68..72].try_into().ok()?);
    Some(Listener { ip, inode: inode.into() })
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn the_kernel_and_proc_agree() {
        for bind in ["127.0.0.1:0", "0.0.0.0:0", "[::1]:0", "[::]:0"] {
            let Ok(listener) = TcpListener::bind(bind) else { continue };
            let addr = listener.local_addr().unwrap();
            let asked = ask_kernel(addr.port()).unwrap();
            assert_eq!(asked.len(), 1, "{bind}");
            assert_eq!(listening(addr), read_proc(addr), "{bind}");
            assert_eq!(listening(addr).len(), 1, "{bind}");
            drop(listener);
            // A process that another test is just launching holds it until it executes.
            let closed = (0..5000).any(|_| {
                std::thread::sleep(std::time::Duration::from_millis(1));
                listening(addr).is_empty()
            });
            assert!(closed, "{bind}");
        }
    }

    #[test]
    fn an_ipv6_listener_on_every_address_covers_ipv4() {
        assert!(covers("::".parse().unwrap(), "127.0.0.1".parse().unwrap()));
        assert!(covers("::ffff:127.0.0.1".parse().unwrap(), "127.0.0.1".parse().unwrap()));
        assert!(!covers("127.0.0.2".parse().unwrap(), "127.0.0.1".parse().unwrap()));
    }

    #[test]
    fn half_an_answer_is_an_error_and_no_panic() {
        let whole = request(AF_INET, 80);
        for cut in 0..whole.len() {
            let _ = take_messages(&whole[..cut], 80, &mut Vec::new());
        }
    }
}
