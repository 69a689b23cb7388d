//! Takes the terminal, and gives it back on every way out, with every mode that was set undone.

use std::io;
use std::panic;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossterm::terminal::{disable_raw_mode, enable_raw_mode};
use rustix::termios::{QueueSelector, tcflush};

use super::out::write_within;

/// Alternate screen, no cursor, pastes are marked.
const ENTER: &[u8] = b"\x1b[?1049h\x1b[?25l\x1b[?2004h\x1b[0m\x1b[2J";
/// All of that undone, in the reverse order.
const LEAVE: &[u8] = b"\x1b[0m\x1b[?2004l\x1b[?25h\x1b[?1049l";
/// Clicks and the wheel are told, in the form that knows every column.
const MOUSE: &[u8] = b"\x1b[?1000h\x1b[?1006h";
/// The mouse is the terminal's own again.
const NO_MOUSE: &[u8] = b"\x1b[?1006l\x1b[?1000l";
/// A frame that was cut is shown as far as it came.
const END_OF_FRAME: &[u8] = b"\x1b[?2026l";

/// A terminal that takes nothing for so long will not.
const PATIENCE: Duration = Duration::from_millis(200);

/// Whether the terminal is ours; the panic hook asks from any thread.
static TAKEN: AtomicBool = AtomicBool::new(false);
/// Whether frames are marked.
static SYNCHRONIZED: AtomicBool = AtomicBool::new(false);
/// Whether the mouse was ever asked for. Not whether it still is: the terminal may not know yet.
static MOUSE_USED: AtomicBool = AtomicBool::new(false);
static HOOK: Once = Once::new();

/// Holds the terminal; giving it back is dropping this.
#[derive(Debug)]
pub struct Guard {
    /// Whether clicks are told while the terminal is ours.
    mouse: bool,
}

impl Guard {
    /// Takes the terminal.
    ///
    /// # Errors
    /// When it cannot be set or written to; it is then as it was.
    pub fn enter() -> io::Result<Self> {
        HOOK.call_once(|| {
            let before = panic::take_hook();
            // First the terminal: the message should be readable where it is printed.
            panic::set_hook(Box::new(move |info| {
                leave();
                before(info);
            }));
        });
        let guard = Self { mouse: false };
        guard.resume()?;
        Ok(guard)
    }

    /// Takes the terminal again after [`Guard::suspend`].
    ///
    /// # Errors
    /// As [`Guard::enter`].
    pub fn resume(&self) -> io::Result<()> {
        TAKEN.store(true, Ordering::SeqCst);
        enable_raw_mode()?;
        write_within(PATIENCE, &[ENTER, if self.mouse { MOUSE } else { b"" }].concat())
    }

    /// Notes that frames are marked from now on.
    pub fn note_synchronized(&self) {
        SYNCHRONIZED.store(true, Ordering::SeqCst);
    }

    /// Notes whether clicks are told from now on; returns what the terminal must be sent for that.
    pub fn note_mouse(&mut self, on: bool) -> &'static [u8] {
        self.mouse = on;
        MOUSE_USED.fetch_or(on, Ordering::SeqCst);
        if on { MOUSE } else { NO_MOUSE }
    }

    /// Whether the terminal is ours; a panic elsewhere may have given it back.
    pub fn is_held(&self) -> bool {
        TAKEN.load(Ordering::SeqCst)
    }

    /// Gives the terminal to whoever comes next, for a while.
    pub fn suspend(&self) {
        leave();
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        leave();
    }
}

fn leave() {
    if !TAKEN.swap(false, Ordering::SeqCst) {
        return;
    }
    let undo = undo();
    // Where these fail there is no terminal any more, or none that listens: nothing to give back.
    if write_within(PATIENCE, &undo).is_err() {
        // What it was not sent yet is in the way, and nobody will miss it.
        let _ = tcflush(rustix::stdio::stdout(), QueueSelector::OFlush);
        let _ = write_within(PATIENCE, &undo);
    }
    let _ = disable_raw_mode();
}

/// What undoes every mode that may be set.
fn undo() -> Vec<u8> {
    let optional = [(&SYNCHRONIZED, END_OF_FRAME), (&MOUSE_USED, NO_MOUSE)];
    let set = optional.into_iter().filter(|(used, _)| used.load(Ordering::SeqCst));
    let mut undo: Vec<u8> = set.flat_map(|(_, undo)| undo).copied().collect();
    undo.extend_from_slice(LEAVE);
    undo
}
