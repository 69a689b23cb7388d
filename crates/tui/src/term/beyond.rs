//! What the reader of keys leaves in the terminal.
//!
//! It takes 1 KiB at a time, and is told of what comes, not of what is left: the rest of a long paste
//! would lie there until the next key, and then be taken for many. Nobody types so much at once: it
//! is read here, counted, and thrown away.

use std::io;

use rustix::io::{ioctl_fionread, read};

use super::hangup::terminal;

/// From so many events in one batch on, the reader may have left something. Fewer are no full read.
pub const FULL: usize = 64;

/// Reads what is left, and returns how many characters that was.
///
/// # Errors
/// When the terminal cannot be read.
pub fn throw_away() -> io::Result<usize> {
    let terminal = terminal()?;
    let mut bytes = [0; 4_096];
    let mut characters = 0;
    while ioctl_fionread(&terminal)? > 0 {
        let length = read(&terminal, &mut bytes)?;
        // All bytes of a character but the first begin with the bits 10.
        characters += bytes[..length].iter().filter(|byte| **byte & 0xc0 != 0x80).count();
    }
    Ok(characters)
}
