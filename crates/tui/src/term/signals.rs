//! The signals that are about the console, as what they ask for.

use std::io;

use rustix::process::Signal as Posix;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that end, suspend or continue the console.
#[derive(Debug)]
pub struct Signals {
    hangup: Signal,
    interrupt: Signal,
    terminate: Signal,
    stop: Signal,
    resume: Signal,
}

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// To end, because of this one.
    Leave(Posix),
    /// To give the terminal to the shell.
    Suspend,
    /// To go on.
    Resume,
}

impl Signals {
    /// Watches for them from now on.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn watch() -> io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            stop: signal(SignalKind::from_raw(Posix::TSTP.as_raw()))?,
            resume: signal(SignalKind::from_raw(Posix::CONT.as_raw()))?,
        })
    }

    /// What the next one asks for.
    ///
    /// # Cancel safety
    /// A dropped call loses nothing.
    pub async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.hangup.recv() => Asked::Leave(Posix::HUP),
            _ = self.interrupt.recv() => Asked::Leave(Posix::INT),
            _ = self.terminate.recv() => Asked::Leave(Posix::TERM),
            _ = self.stop.recv() => Asked::Suspend,
            _ = self.resume.recv() => Asked::Resume,
        }
    }
}
