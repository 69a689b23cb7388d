//! Who listens where an instance should.
//!
//! A port that answers is not yet an instance that answers: a stranger may hold it.

use std::collections::HashSet;
use std::net::SocketAddr;

use procfs::process::{FDTarget, Process, all_processes};

use super::sockets::listening;
use super::{paths, users};
use crate::config::InstanceAddr;

/// Who holds a listening socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Holder {
    /// A process of this group, or a descendant of its leader.
    Own,
    /// Somebody else, [described](describe).
    Stranger(String),
}

/// Whether anybody listens where `addr` would.
pub(super) fn is_taken(addr: SocketAddr) -> bool {
    !listening(addr).is_empty()
}

/// Who listens where `addr` would; none: nobody. `leader` is the leader of the group that should.
///
/// Reads /proc, so call it off the async threads.
pub(super) fn holder(addr: &InstanceAddr, leader: Option<u32>) -> Option<Holder> {
    let inodes = match addr {
        InstanceAddr::Port(addr) => listening(*addr),
        InstanceAddr::Socket(path) => paths::listening(path),
    };
    if inodes.is_empty() {
        return None;
    }
    if let Some(leader) = leader {
        // The common case without a walk through all processes.
        let own = Process::new(leader as i32);
        if own.is_ok_and(|process| holds(&process, &inodes)) {
            return Some(Holder::Own);
        }
    }
    let Some(process) = find(&inodes) else {
        return Some(Holder::Stranger("a process that is not ours to see".to_owned()));
    };
    if leader.is_some_and(|leader| belongs(&process, leader)) {
        return Some(Holder::Own);
    }
    Some(Holder::Stranger(describe(&process)))
}

/// Who listens there, in words; none: nobody.
pub(crate) fn port_holder(addr: SocketAddr) -> Option<String> {
    holder_name(&InstanceAddr::Port(addr))
}

/// The same, of any place.
pub(super) fn holder_name(addr: &InstanceAddr) -> Option<String> {
    match holder(addr, None)? {
        Holder::Stranger(who) => Some(who),
        Holder::Own => None,
    }
}

fn find(inodes: &HashSet<u64>) -> Option<Process> {
    let mut processes = all_processes().ok()?.flatten();
    processes.find(|process| holds(process, inodes))
}

fn holds(process: &Process, inodes: &HashSet<u64>) -> bool {
    let Ok(descriptors) = process.fd() else { return false };
    descriptors
        .flatten()
        .any(|fd| matches!(fd.target, FDTarget::Socket(inode) if inodes.contains(&inode)))
}

/// In the leader's group or session, or somewhere below it.
fn belongs(process: &Process, leader: u32) -> bool {
    let leader = leader as i32;
    let mut pid = process.pid();
    // Deeper than any sane tree; a guard against a /proc that changes while it is read.
    for _ in 0..64 {
        let Ok(stat) = Process::new(pid).and_then(|process| process.stat()) else { return false };
        if stat.pid == leader || stat.pgrp == leader || stat.session == leader {
            return true;
        }
        if stat.ppid <= 1 {
            return false;
        }
        pid = stat.ppid;
    }
    false
}

/// `pid 123 nginx (www)`, or what can be known.
pub(super) fn describe(process: &Process) -> String {
    let command = process.stat().map_or_else(|_| "?".to_owned(), |stat| stat.comm);
    match process.uid() {
        Ok(uid) => format!("pid {} {command} ({})", process.pid(), users::shown(uid)),
        Err(_) => format!("pid {} {command}", process.pid()),
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_listener_is_found_and_attributed() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = &InstanceAddr::Port(listener.local_addr().unwrap());
        let me = std::process::id();
        assert_eq!(holder(addr, Some(me)), Some(Holder::Own));
        let Some(Holder::Stranger(who)) = holder(addr, None) else { panic!() };
        let user = users::shown(rustix::process::geteuid().as_raw());
        assert!(
            who.starts_with(&format!("pid {me} ")) && who.ends_with(&format!(" ({user})")),
            "{who}"
        );
        drop(listener);
        // A process that another test is just launching holds it until it executes.
        let closed = (0..5000).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(1));
            holder(addr, Some(me)).is_none()
        });
        assert!(closed);
    }

    #[test]
    fn a_listener_on_every_address_covers_this_one() {
        let listener = TcpListener::bind("0.0.0.0:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let addr = InstanceAddr::Port(SocketAddr::from(([127, 0, 0, 1], port)));
        assert_eq!(holder(&addr, Some(std::process::id())), Some(Holder::Own));
    }

    #[test]
    fn a_listener_on_a_path_is_found_and_attributed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.sock");
        let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let addr = InstanceAddr::Socket(path.into());
        let me = std::process::id();
        assert_eq!(holder(&addr, Some(me)), Some(Holder::Own));
        assert!(holder_name(&addr).unwrap().starts_with(&format!("pid {me} ")));
        drop(listener);
        // A process that another test is just launching holds it until it executes.
        let closed = (0..5000).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(1));
            holder(&addr, Some(me)).is_none()
        });
        assert!(closed);
    }
}
