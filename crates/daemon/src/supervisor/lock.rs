//! One daemon for one state folder: who comes second goes, and names the first.
//!
//! The lock is the system's, on an open file (flock(2)), so it ends with its daemon however that
//! ends. The file stays, and means nothing by itself.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use procfs::process::Process;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::ports;

/// Its name in the state folder.
const NAME: &str = "smoothserve.lock";
/// More than a process id takes.
const LONGEST: u64 = 32;

/// Why the daemon may not begin.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another daemon holds it.
    #[error(
        "smoothserve is already running with this configuration: {holder}, lock file {}; \
         another configuration needs a `StateDir` of its own",
        path.display()
    )]
    Held {
        /// The file.
        path: PathBuf,
        /// Who: pid, command and user, as far as they can be known.
        holder: String,
    },
    /// It can be neither made nor locked.
    #[error("lock file {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Held as long as it lives.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock of `state_dir`, which is made if there is none.
    ///
    /// # Errors
    /// At once, when another process has it. Nothing was changed then.
    pub(crate) fn take(state_dir: &Path) -> Result<Self, LockError> {
        let path = state_dir.join(NAME);
        let io = |source| LockError::Io { path: path.clone(), source };
        fs::create_dir_all(state_dir).map_err(io)?;
        // Not emptied: it may tell of a daemon that lives.
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let mut file = options.open(&path).map_err(io)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                return Err(LockError::Held { holder: holder(&mut file), path });
            }
            Err(error) => return Err(io(error.into())),
        }
        note(&mut file).map_err(io)?;
        Ok(Self { _file: file })
    }
}

/// Says in the file who holds it, for whoever comes second.
fn note(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

fn holder(file: &mut File) -> String {
    let mut text = String::new();
    let read = file.take(LONGEST).read_to_string(&mut text);
    match (read, text.trim().parse()) {
        (Ok(_), Ok(pid)) => Process::new(pid)
            .map_or_else(|_| format!("pid {pid}"), |process| ports::describe(&process)),
        // It has taken the lock this very moment and not said so yet.
        _ => "another process".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_comes_second_names_the_first_and_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("made/on/the/way");
        let first = Lock::take(&state).unwrap();
        let file = state.join(NAME);
        let before = fs::read(&file).unwrap();
        let error = Lock::take(&state).unwrap_err().to_string();
        let pid = format!("configuration: pid {} ", std::process::id());
        assert!(error.contains(&pid), "{error}");
        assert!(error.contains(&format!("lock file {}", file.display())), "{error}");
        assert_eq!(fs::read(&file).unwrap(), before);
        drop(first);
        Lock::take(&state).unwrap();
    }

    #[test]
    fn what_a_dead_daemon_left_is_no_lock() {
        for left in
            ["4194304\n", "garbage", "", "a line that is longer than any number of a process\n"]
        {
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join(NAME), left).unwrap();
            let _lock = Lock::take(folder.path()).unwrap();
            let noted = fs::read_to_string(folder.path().join(NAME)).unwrap();
            assert_eq!(noted, format!("{}\n", std::process::id()));
        }
    }

    #[test]
    fn a_holder_that_says_nothing_is_still_a_holder() {
        let folder = tempfile::tempdir().unwrap();
        let _lock = Lock::take(folder.path()).unwrap();
        fs::write(folder.path().join(NAME), "").unwrap();
        let error = Lock::take(folder.path()).unwrap_err().to_string();
        assert!(error.contains("configuration: another process, lock file"), "{error}");
    }

    #[test]
    fn a_folder_that_cannot_be_had_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = Lock::take(file.path()).unwrap_err().to_string();
        let expected = format!("lock file {}", file.path().join(NAME).display());
        assert!(error.starts_with(&expected), "{error}");
    }
}
