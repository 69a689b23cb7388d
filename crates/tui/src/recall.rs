//! Commands typed in the console, kept in a file for the next time.
//!
//! It is a convenience: what cannot be read is taken for empty, what cannot be written is not kept,
//! and nobody is told. Several consoles may add to it.

use std::fs::{self, DirBuilder};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::model::palette::remember;

/// No file that was written here is larger.
const LARGEST: u64 = 1 << 20;

/// The lines that are kept, the oldest first.
pub fn read() -> Vec<String> {
    file(|name| std::env::var_os(name).map(PathBuf::from))
        .map(|file| lines(&file))
        .unwrap_or_default()
}

/// Adds `line` to them.
pub fn add(line: &str) {
    if let Some(file) = file(|name| std::env::var_os(name).map(PathBuf::from)) {
        // It is there until the console ends, and that has to do.
        let _ = write(&file, line);
    }
}

/// `$XDG_STATE_HOME/smoothtool/history`, else `~/.local/state/smoothtool/history`.
fn file(env: impl Fn(&str) -> Option<PathBuf>) -> Option<PathBuf> {
    let stated = env("XDG_STATE_HOME").filter(|folder| folder.is_absolute());
    let home =
        || env("HOME").filter(|home| home.is_absolute()).map(|home| home.join(".local/state"));
    stated.or_else(home).map(|folder| folder.join("smoothtool/history"))
}

fn lines(file: &Path) -> Vec<String> {
    let is_ours = fs::metadata(file).is_ok_and(|meta| meta.is_file() && meta.len() <= LARGEST);
    let text = if is_ours { fs::read(file).unwrap_or_default() } else { Vec::new() };
    let mut lines = Vec::new();
    for line in String::from_utf8_lossy(&text).lines().filter(|line| !line.trim().is_empty()) {
        remember(&mut lines, line);
    }
    lines
}

/// Puts a new file in the place of the old one, so that there is always a whole one.
fn write(file: &Path, line: &str) -> io::Result<()> {
    let folder = file.parent().ok_or(io::ErrorKind::NotFound)?;
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let mut kept = lines(file);
    remember(&mut kept, line);
    let mut new = tempfile::NamedTempFile::new_in(folder)?;
    new.as_file().set_permissions(fs::Permissions::from_mode(0o600))?;
    new.write_all((kept.join("\n") + "\n").as_bytes())?;
    new.persist(file)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_where_the_environment_says() {
        let of = |state: &str, home: &str| {
            file(|name| match name {
                "XDG_STATE_HOME" => Some(state.into()),
                _ => Some(home.into()),
            })
        };
        assert_eq!(of("/s", "/h"), Some("/s/smoothtool/history".into()));
        assert_eq!(of("", "/h"), Some("/h/.local/state/smoothtool/history".into()));
        assert_eq!(of("here", ""), None);
    }

    #[test]
    fn lines_are_kept_for_their_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("smoothtool/history");
        for line in ["why api", "stop www", "why api"] {
            write(&file, line).unwrap();
        }
        assert_eq!(lines(&file), ["stop www", "why api"]);
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(
            fs::read_dir(file.parent().unwrap()).unwrap().count(),
            1,
            "nothing else is left"
        );
    }

    #[test]
    fn a_file_that_cannot_be_used_is_no_history() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("history");
        assert!(lines(&file).is_empty());
        fs::write(&file, b"why \xff\n\n  \nquit").unwrap();
        assert_eq!(lines(&file), ["why \u{fffd}", "quit"]);
        assert!(write(&file.join("below/a/file"), "x").is_err());
    }
}
