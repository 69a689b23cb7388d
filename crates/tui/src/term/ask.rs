//! Asks the terminal the questions of [`super::probe`], once, and waits a moment for its answers.

use std::io;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::hangup::terminal;
use super::out::write_within;
use super::probe::{Answers, Listener, Questions};

/// The first frame waits no longer for answers.
const CAP: Duration = Duration::from_millis(100);

/// Asks, and returns what was answered in time. Nobody else may read the terminal meanwhile.
///
/// # Errors
/// When the terminal cannot be read or written.
pub fn ask(questions: Questions) -> io::Result<Answers> {
    let until = Instant::now() + CAP;
    let mut listener = Listener::default();
    write_within(CAP, questions.text().as_bytes())?;
    let terminal = terminal()?;
    let mut bytes = [0; 256];
    while !listener.answers.complete {
        let left = Timespec::try_from(until.saturating_duration_since(Instant::now()));
        let mut fds = [PollFd::new(&terminal, PollFlags::IN)];
        match poll(&mut fds, left.ok().as_ref()) {
            Ok(0) => break,
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        }
        match rustix::io::read(&terminal, &mut bytes)? {
            0 => break,
            read => listener.take(&bytes[..read]),
        }
    }
    Ok(listener.answers)
}
