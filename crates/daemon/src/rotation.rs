//! One file that lines are appended to, and its older ones: `app.log`, then `app.log.1` or
//! `app.log.1.gz`, the newest first.
//!
//! It knows sizes, numbers and ages. Who writes, from which thread, and what becomes of a line that
//! could not be written is the business of those who use it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use flate2::Compression;
use flate2::write::GzEncoder;

/// More old files than any limit; a file with a higher number is not ours.
const HIGHEST: usize = 100_001;

/// What is kept of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Keep {
    /// Begin a new file at this size, in bytes.
    pub max_size: u64,
    /// Old files to keep; 0: all.
    pub max_backups: usize,
    /// Remove old files of this age; none: never.
    pub max_age: Option<Duration>,
    /// Compress old files with gzip.
    pub compress: bool,
}

/// What went wrong with a line.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    /// It is not in the file.
    #[error("cannot be written, lines are dropped: {0}")]
    Lost(io::Error),
    /// It is in the file, which should have been a new one.
    #[error("cannot be rotated, it grows beyond its size: {0}")]
    NotRotated(io::Error),
}

/// The open file, and the chain of its older ones.
#[derive(Debug)]
pub(crate) struct Rotation {
    path: PathBuf,
    keep: Keep,
    open: File,
    size: u64,
}

impl Rotation {
    /// Opens `path` for appending, making its folder if need be.
    ///
    /// # Errors
    /// The folder cannot be made, or the file not be opened.
    pub(crate) fn open(path: PathBuf, keep: Keep) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let open = append(&path)?;
        let size = open.metadata()?.len();
        Ok(Self { path, keep, open, size })
    }

    /// The file that is written to.
    pub(crate) fn file(&self) -> &Path {
        &self.path
    }

    /// From now on, another size is full.
    pub(crate) fn limit_size(&mut self, max_size: u64) {
        self.keep.max_size = max_size;
    }

    /// Whether the open file is the one that bears its name: an operator may have removed it.
    pub(crate) fn is_in_place(&self) -> bool {
        let identity = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
        let open = self.open.metadata().map(identity).ok();
        open.is_some() && fs::metadata(&self.path).map(identity).ok() == open
    }

    /// Appends `line`, to a new file if it does not fit into this one.
    ///
    /// # Errors
    /// The line is lost, or it is in a file that grows too large.
    pub(crate) fn write(&mut self, line: &[u8]) -> Result<(), Trouble> {
        let length = line.len() as u64;
        // A line longer than a whole file gets one to itself.
        let is_full = self.size > 0 && self.size + length > self.keep.max_size;
        let rotated = if is_full { self.rotate() } else { Ok(()) };
        if let Err(error) = self.open.write_all(line) {
            // Half a line would run into the next one. A disk that takes no more may still let go.
            let _ = self.open.set_len(self.size);
            return Err(Trouble::Lost(error));
        }
        self.size += length;
        rotated.map_err(Trouble::NotRotated)
    }

    /// Makes the full file the first of the old ones, and begins a new one.
    ///
    /// After a failure the open file is still written to, however large, and this is tried again.
    fn rotate(&mut self) -> io::Result<()> {
        self.shift()?;
        let first = self.backup(1);
        fs::rename(&self.path, &first)?;
        self.open = append(&self.path)?;
        self.size = 0;
        if self.keep.compress {
            compress(&first)?;
        }
        self.remove_old(SystemTime::now());
        Ok(())
    }

    /// Frees number 1, giving the old files as far as the first free number the next one.
    ///
    /// If number 1 is free, as after a failure, none of them moves.
    fn shift(&self) -> io::Result<()> {
        let mut chain = backups(&self.path);
        let mut last = 0;
        chain.retain(|(number, _)| {
            let is_next = *number <= last + 1;
            last = if is_next { *number } else { last };
            is_next
        });
        for (number, path) in chain.into_iter().rev() {
            let next = self.backup(number + 1);
            fs::rename(&path, if is_compressed(&path) { with_gz(&next) } else { next })?;
        }
        Ok(())
    }

    fn backup(&self, number: usize) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{number}"));
        name.into()
    }

    /// Removes old files that are too many or too old.
    ///
    /// Best effort: an old file that stays is no reason to lose a line.
    pub(crate) fn remove_old(&self, now: SystemTime) {
        let Keep { max_backups, max_age, .. } = self.keep;
        for (number, path) in backups(&self.path) {
            let is_over = max_backups > 0 && number > max_backups;
            let is_old = max_age.is_some_and(|max| age(&path, now).is_some_and(|age| age > max));
            if is_over || is_old {
                let _ = fs::remove_file(path);
            }
        }
    }
}

/// The old files of `file` that are there, by number: the newest first.
pub(crate) fn backups(file: &Path) -> Vec<(usize, PathBuf)> {
    let (Some(folder), Some(name)) = (file.parent(), file.file_name()) else { return Vec::new() };
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut backups: Vec<_> = entries
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let found = entry.file_name();
            let (base, number) = split_number(found.to_str()?)?;
            let path = (base == name).then(|| entry.path())?;
            path.is_file().then_some((number, path))
        })
        .collect();
    backups.sort();
    backups
}

/// `app.log` and 2 for `app.log.2` and `app.log.2.gz`; none for what is no old file.
pub(crate) fn split_number(name: &str) -> Option<(&str, usize)> {
    let (base, number) = name.strip_suffix(".gz").unwrap_or(name).rsplit_once('.')?;
    let number = number.parse().ok()?;
    // `app.log.20240131` is somebody else's.
    (1..=HIGHEST).contains(&number).then_some((base, number))
}

/// Whether an old file is one that was compressed.
pub(crate) fn is_compressed(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "gz")
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).open(path)
}

fn age(path: &Path, now: SystemTime) -> Option<Duration> {
    now.duration_since(fs::metadata(path).ok()?.modified().ok()?).ok()
}

/// Replaces `path` by `path.gz`, which is whole or not there, and is as old as `path` was.
fn compress(path: &Path) -> io::Result<()> {
    let unfinished = path.with_added_extension("unfinished");
    let result = compress_into(path, &unfinished);
    if result.is_err() {
        let _ = fs::remove_file(&unfinished);
        return result;
    }
    fs::rename(&unfinished, with_gz(path))?;
    fs::remove_file(path)
}

fn compress_into(path: &Path, target: &Path) -> io::Result<()> {
    let mut source = File::open(path)?;
    let mut encoder = GzEncoder::new(File::create(target)?, Compression::default());
    io::copy(&mut source, &mut encoder)?;
    let target = encoder.finish()?;
    target.set_modified(source.metadata()?.modified()?)
}

fn with_gz(path: &Path) -> PathBuf {
    path.with_added_extension("gz")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_removed_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let keep = Keep { max_size: 100, max_backups: 1, max_age: None, compress: false };
        let rotation = Rotation::open(folder.path().join("app.log"), keep).unwrap();
        assert!(rotation.is_in_place());
        fs::rename(rotation.file(), folder.path().join("elsewhere")).unwrap();
        assert!(!rotation.is_in_place());
        fs::write(rotation.file(), "another").unwrap();
        assert!(!rotation.is_in_place());
    }

    #[test]
    fn old_files_are_told_from_strangers() {
        assert_eq!(split_number("app.log.2"), Some(("app.log", 2)));
        assert_eq!(split_number("app.log.12.gz"), Some(("app.log", 12)));
        for stranger in ["app.log", "app.log.0", "app.log.20240131", "app.log.gz", "app", ""] {
            assert_eq!(split_number(stranger), None, "{stranger}");
        }
    }
}
