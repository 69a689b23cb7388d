//! Notices that the terminal is gone.
//!
//! A thread of its own asks the system, because the reader of keys does not notice: it spins on a
//! terminal that hung up, and whoever waits for it spins too. The thread sleeps until that happens or
//! the watch is dropped.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::thread;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pipe::pipe;
use rustix::termios::isatty;
use tokio::sync::oneshot;

/// Whoever is not caught has left by then.
const SOON: Timespec = Timespec { tv_sec: 0, tv_nsec: 25_000_000 };

/// Watches the terminal.
#[derive(Debug)]
pub struct Hangup {
    gone: oneshot::Receiver<()>,
    /// Closing it ends the thread.
    _stop: OwnedFd,
}

impl Hangup {
    /// Begins to watch the terminal that keys come from.
    ///
    /// # Errors
    /// When there is none, or the system is out of descriptors or threads.
    pub fn watch() -> io::Result<Self> {
        let terminal = terminal()?;
        let (stopped, stop) = pipe()?;
        let (tell, gone) = oneshot::channel();
        thread::Builder::new().name("hangup".to_owned()).spawn(move || {
            if wait(&terminal, &stopped) {
                // Nobody listens any more: then we are on our way out already.
                let _ = tell.send(());
                leave_anyway(&stopped);
            }
        })?;
        Ok(Self { gone, _stop: stop })
    }

    /// Resolves when the terminal is gone; never, if the thread could not find out.
    ///
    /// # Cancel safety
    /// A dropped call loses nothing.
    pub async fn gone(&mut self) {
        if (&mut self.gone).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// The terminal that keys come from.
///
/// # Errors
/// When there is none.
pub fn terminal() -> io::Result<OwnedFd> {
    let stdin = rustix::stdio::stdin();
    if isatty(stdin) {
        return stdin.try_clone_to_owned();
    }
    Ok(File::open("/dev/tty")?.into())
}

/// Ends the program unless the watch is dropped soon: whoever should do so may be caught by the
/// reader of keys. There is no terminal to give back.
#[expect(clippy::disallowed_methods, reason = "whoever would return from main does not come back")]
fn leave_anyway(stopped: &OwnedFd) {
    let mut fds = [PollFd::from_borrowed_fd(stopped.as_fd(), PollFlags::empty())];
    if poll(&mut fds, Some(&SOON)) == Ok(0) {
        std::process::exit(0);
    }
}

/// Sleeps until the terminal hung up (true) or the watch was dropped (false).
fn wait(terminal: &OwnedFd, stopped: &OwnedFd) -> bool {
    loop {
        // No event is asked for: hanging up and errors are always told.
        let mut fds = [
            PollFd::from_borrowed_fd(terminal.as_fd(), PollFlags::empty()),
            PollFd::from_borrowed_fd(stopped.as_fd(), PollFlags::empty()),
        ];
        match poll(&mut fds, None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(_) => return false,
        }
        if !fds[1].revents().is_empty() {
            return false;
        }
        if !fds[0].revents().is_empty() {
            return true;
        }
    }
}
