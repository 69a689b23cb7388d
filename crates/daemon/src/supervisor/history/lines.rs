//! A file of lines that is added to, and replaced by a new one when it is full; one older file is
//! kept. It knows sizes and line ends, and not what a line says.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::PathBuf;

/// The file and the older one.
#[derive(Debug)]
pub(super) struct Lines {
    file: PathBuf,
    older: PathBuf,
    max_size: u64,
}

/// What both files hold.
pub(super) struct Text {
    newer: Vec<u8>,
    older: Vec<u8>,
}

impl Lines {
    /// Lines in `file`, which begins anew before it would be larger than `max_size`.
    pub(super) fn new(file: PathBuf, max_size: u64) -> Self {
        Self { older: file.with_added_extension("1"), file, max_size }
    }

    /// Adds a line, given without its end.
    ///
    /// The file is opened each time: lines are rare, and somebody may have tidied up in between.
    ///
    /// # Errors
    /// What the system said; a part of the line may be in the file, and the next one begins on a
    /// line of its own.
    pub(super) fn append(&self, line: &[u8]) -> io::Result<()> {
        let mut file = self.open()?;
        let mut size = file.metadata()?.len();
        if size > 0 && size + line.len() as u64 > self.max_size {
            fs::rename(&self.file, &self.older)?;
            file = self.open()?;
            size = 0;
        }
        let end_of_half: &[u8] = if ends_its_line(&file, size)? { b"" } else { b"\n" };
        file.write_all(&[end_of_half, line, b"\n"].concat())
    }

    /// Reads both files; one that is not there is empty.
    ///
    /// # Errors
    /// One of them is there and cannot be read.
    pub(super) fn read(&self) -> io::Result<Text> {
        let read = |path: &PathBuf| match fs::read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            other => other,
        };
        Ok(Text { newer: read(&self.file)?, older: read(&self.older)? })
    }

    fn open(&self) -> io::Result<File> {
        // What an application printed before it failed is nobody else's business.
        OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(&self.file)
    }
}

impl fmt::Display for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.file.display().fmt(f)
    }
}

impl Text {
    /// The lines without their ends, the last one of the newer file first. Half a line at the end
    /// of a file is a line here.
    pub(super) fn newest_first(&self) -> impl Iterator<Item = &[u8]> {
        let files = [&self.newer, &self.older].into_iter();
        let lines = files.flat_map(|file| file.split(|byte| *byte == b'\n').rev());
        lines.filter(|line| !line.is_empty())
    }
}

/// Whether what is added begins on a new line: a daemon may have been killed, or the disk been
/// full, in the middle of one.
fn ends_its_line(file: &File, size: u64) -> io::Result<bool> {
    let Some(last) = size.checked_sub(1) else { return Ok(true) };
    let mut byte = [0];
    file.read_exact_at(&mut byte, last)?;
    Ok(byte == *b"\n")
}
