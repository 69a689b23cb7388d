//! Sockets on disk: who listens on a path, and what an earlier run left there.
//!
//! A path outlives whoever listened on it, and nobody can listen there until it is removed. It is
//! removed if it is a socket that nobody has; whatever else it is belongs to somebody.

use std::collections::HashSet;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use procfs::net::{UnixNetEntry, UnixState};
use socket2::{Domain, SockAddr, Socket, Type};

/// What stands in the way of a run that is to listen on a path.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Obstacle {
    /// Somebody listens there.
    Listener,
    /// It cannot be had; why.
    Other(String),
}

/// Makes the path free: removes a socket that nobody has any more.
///
/// # Errors
/// What is there instead, which stays as it is.
pub(super) fn make_free(path: &Path) -> Result<(), Obstacle> {
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Obstacle::Other(format!("{}: {error}", path.display()))),
    };
    if !found.file_type().is_socket() {
        let text = format!("{} exists and is no socket; it stays as it is", path.display());
        return Err(Obstacle::Other(text));
    }
    if has_holder(path) {
        return Err(Obstacle::Listener);
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(Obstacle::Other(format!("could not remove {}: {error}", path.display())))
        }
        _ => Ok(()),
    }
}

/// The inodes of the sockets that listen on `path`.
pub(super) fn listening(path: &Path) -> HashSet<u64> {
    let all = procfs::net::unix().unwrap_or_default().into_iter();
    // One that was accepted has the path too, but is connected.
    let listens = |entry: &UnixNetEntry| {
        entry.state == UnixState::UNCONNECTED && entry.path.as_deref() == Some(path)
    };
    all.filter(listens).map(|entry| entry.inode).collect()
}

/// Whether anybody has a socket on `path`. Only a refusal says that nobody listens; and a path that
/// was bound by another name, or in another namespace, is found by asking alone.
fn has_holder(path: &Path) -> bool {
    !is_refused(path) || !listening(path).is_empty()
}

fn is_refused(path: &Path) -> bool {
    let asked = Socket::new(Domain::UNIX, Type::STREAM, None).and_then(|socket| {
        // Who has a full queue has it by listening.
        socket.set_nonblocking(true)?;
        socket.connect(&SockAddr::unix(path)?)
    });
    asked.is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};

    use super::*;

    #[test]
    fn a_socket_that_an_earlier_run_left_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.sock");
        assert_eq!(make_free(&path), Ok(()));
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        assert_eq!(make_free(&path), Ok(()));
        assert!(!path.exists());
    }

    #[test]
    fn a_socket_that_somebody_has_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.sock");
        let listener = UnixListener::bind(&path).unwrap();
        assert_eq!(make_free(&path), Err(Obstacle::Listener));
        let _client = UnixStream::connect(&path).unwrap();
        assert_eq!(listening(&path).len(), 1, "those that were accepted do not listen");
        drop(listener);
        let path = folder.path().join("b.sock");
        let _datagrams = UnixDatagram::bind(&path).unwrap();
        assert_eq!(make_free(&path), Err(Obstacle::Listener));
        assert!(path.exists());
    }

    #[test]
    fn what_is_no_socket_stays() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "precious").unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(folder.path().join("a.sock"), &link).unwrap();
        for path in [&*file, &*link, folder.path()] {
            assert!(matches!(make_free(path), Err(Obstacle::Other(_))), "{}", path.display());
        }
        assert_eq!(fs::read(&file).unwrap(), b"precious");
        assert!(link.symlink_metadata().is_ok());
    }
}
