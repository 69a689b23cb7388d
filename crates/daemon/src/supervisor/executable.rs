//! Whether a program can be executed, and why it could not be.
//!
//! What can be known beforehand is known from files alone: modes, lists of access rights are not
//! read, and the system has the last word.

use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use procfs::process::{FDPermissions, FDTarget, Process, all_processes};
use rustix::fs::{Access, AtFlags, CWD, accessat, getxattr};
use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};

use super::ports;
use crate::config::{RunAs, ServiceConfig};

/// Where a file's list of access rights is kept (acl(5)).
const ACCESS_LIST: &str = "system.posix_acl_access";

/// Why the program of `config` cannot be executed, in words. Reads /proc.
pub(super) fn problem(config: &ServiceConfig) -> Option<String> {
    let path = &config.executable;
    let shown = path.display();
    match fs::metadata(path) {
        Err(error) => Some(format!("executable {shown}: {error}")),
        Ok(found) if !found.is_file() => Some(format!("executable {shown} is not a file")),
        Ok(found) if found.permissions().mode() & 0o111 == 0 => {
            Some(format!("{shown} is not executable; chmod +x makes it so"))
        }
        Ok(found) => config
            .run_as
            .as_ref()
            .and_then(|run_as| closed_to(run_as, path, &found))
            .or_else(|| closed_to_daemon(path))
            .or_else(|| being_written(path)),
    }
}

/// Why the folder that it is to begin in cannot be entered, in words.
pub(super) fn folder_problem(config: &ServiceConfig) -> Option<String> {
    let path = &config.working_dir;
    let shown = path.display();
    if !path.is_dir() {
        return Some(format!("working folder {shown} does not exist"));
    }
    let run_as = config.run_as.as_ref()?;
    let closed = closed_folder(run_as, path)?;
    Some(format!("working folder {shown}: {}", closed_folder_text(run_as, &closed)))
}

/// Adds to `error`, with which the program of `config` could not be started, what it was about.
///
/// The system gives a number alone, and the same one for several things.
pub(super) fn explain(error: &io::Error, config: &ServiceConfig) -> io::Error {
    let path = config.executable.display();
    let text = match Errno::from_io_error(error) {
        Some(Errno::NOENT | Errno::NOTDIR) if !config.working_dir.is_dir() => {
            format!("working folder {}: {error}", config.working_dir.display())
        }
        Some(Errno::NOENT) if config.executable.exists() => {
            let interpreter = interpreter(&config.executable);
            let interpreter = interpreter.unwrap_or_else(|| "the loader it names".to_owned());
            format!("{path}: its interpreter, {interpreter}: {error}")
        }
        Some(Errno::ACCESS) => {
            let found = fs::metadata(&config.executable).ok();
            let closed = config.run_as.as_ref().zip(found);
            let closed =
                closed.and_then(|(run_as, found)| closed_to(run_as, &config.executable, &found));
            closed
                .map_or_else(|| format!("{path}: {error}"), |why| format!("{path}: {error}; {why}"))
        }
        Some(Errno::NOEXEC) => {
            format!("{path}: {error}; neither a program of this machine nor a script with #!")
        }
        Some(Errno::MFILE) => {
            let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
            format!("{path}: {error}; the daemon's limit of open files is {limit}")
        }
        Some(Errno::AGAIN) => {
            format!("{path}: {error}; a limit of processes is reached: RLIMIT_NPROC or pids.max")
        }
        _ => format!("{path}: {error}"),
    };
    io::Error::new(error.kind(), text)
}

/// `/usr/bin/env` of a script that begins with `#!/usr/bin/env python3`.
fn interpreter(path: &Path) -> Option<String> {
    let mut begin = Vec::new();
    // More than the system reads of it.
    File::open(path).ok()?.take(512).read_to_end(&mut begin).ok()?;
    let line = begin.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    String::from_utf8_lossy(line).split_whitespace().next().map(str::to_owned)
}

/// What the daemon itself may not execute: of somebody else, or on a disk mounted `noexec`.
fn closed_to_daemon(path: &Path) -> Option<String> {
    let error = accessat(CWD, path, Access::EXEC_OK, AtFlags::EACCESS).err()?;
    Some(format!("executable {}: {}", path.display(), io::Error::from(error)))
}

fn closed_to(run_as: &RunAs, path: &Path, found: &Metadata) -> Option<String> {
    let shown = path.display();
    // Symbolic links lead through folders of their own.
    let real = path.canonicalize().ok();
    let ways = [Some(path), real.as_deref()].into_iter().flatten().filter_map(Path::parent);
    if let Some(folder) = ways.filter_map(|way| closed_folder(run_as, way)).next() {
        return Some(format!("executable {shown}: {}", closed_folder_text(run_as, &folder)));
    }
    let closed = |what: &str| {
        let mode = found.permissions().mode() & 0o7777;
        format!("executable {shown}: user {} may not {what} (mode {mode:04o})", run_as.shown)
    };
    if !may(run_as, path, found, Right::Execute) {
        return Some(closed("execute it"));
    }
    // The system reads a program; a script is read by its interpreter, which is the user.
    (interpreter(path).is_some() && !may(run_as, path, found, Right::Read))
        .then(|| closed("read it, which a script needs"))
}

fn closed_folder_text(run_as: &RunAs, folder: &Path) -> String {
    format!("user {} may not enter {}", run_as.shown, folder.display())
}

/// The outermost folder on the way into `folder` that is closed.
fn closed_folder(run_as: &RunAs, folder: &Path) -> Option<PathBuf> {
    let mut way: Vec<&Path> = folder.ancestors().collect();
    way.reverse();
    let closed = way.into_iter().find(|folder| {
        let found = fs::metadata(folder);
        found.is_ok_and(|found| !may(run_as, folder, &found, Right::Execute))
    });
    closed.map(Path::to_owned)
}

#[derive(Clone, Copy)]
enum Right {
    Read = 0o4,
    /// For a folder: to reach what is in it.
    Execute = 0o1,
}

/// Whether the mode gives the user this right.
fn may(run_as: &RunAs, path: &Path, found: &Metadata, right: Right) -> bool {
    let mode = found.permissions().mode();
    if run_as.uid == 0 {
        return true;
    }
    let shift = if found.uid() == run_as.uid {
        6
    } else if found.gid() == run_as.gid || run_as.groups.contains(&found.gid()) {
        3
    } else {
        0
    };
    // With a list of access rights, the mode does not say it all.
    (mode >> shift) & right as u32 != 0 || has_access_list(path)
}

fn has_access_list(path: &Path) -> bool {
    getxattr(path, ACCESS_LIST, &mut [0_u8; 0][..]).is_ok()
}

/// Who has the file open for writing: a copy that is under way, and no program yet.
///
/// The system would refuse to execute it, but only when an instance has gone for it.
fn being_written(path: &Path) -> Option<String> {
    let real = path.canonicalize().ok()?;
    let writes = |process: &Process| {
        let descriptors = process.fd().into_iter().flatten().flatten();
        descriptors
            .filter(|fd| fd.mode().contains(FDPermissions::WRITE))
            .any(|fd| matches!(&fd.target, FDTarget::Path(open) if *open == real))
    };
    let writer = all_processes().ok()?.flatten().find(writes)?;
    let writer = ports::describe(&writer);
    Some(format!("executable {} is being written by {writer}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder with an executable `text` in it, and its service; `as_www`: as a user who owns
    /// nothing.
    fn program(text: &str, as_www: bool) -> (tempfile::TempDir, ServiceConfig) {
        let folder = tempfile::tempdir().unwrap();
        let executable = folder.path().join("app");
        fs::write(&executable, text).unwrap();
        set_mode(&executable, 0o755);
        set_mode(folder.path(), 0o755);
        let www =
            RunAs { shown: "www".into(), uid: 4_294_967_000, gid: 4_294_967_000, groups: vec![] };
        let config = ServiceConfig {
            executable,
            working_dir: folder.path().into(),
            run_as: as_www.then_some(www),
            ..crate::core::sample_service("shop", 1)
        };
        (folder, config)
    }

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn what_the_user_may_not_execute_is_found_beforehand() {
        let (folder, config) = program("#!/bin/sh\n", true);
        assert_eq!(problem(&config), None);
        assert_eq!(folder_problem(&config), None);
        set_mode(&config.executable, 0o750);
        let found = problem(&config).unwrap();
        assert!(found.ends_with("user www may not execute it (mode 0750)"), "{found}");
        set_mode(&config.executable, 0o711);
        let found = problem(&config).unwrap();
        assert!(found.ends_with("read it, which a script needs (mode 0711)"), "{found}");
        set_mode(&config.executable, 0o755);
        set_mode(folder.path(), 0o700);
        let closed = format!("user www may not enter {}", folder.path().display());
        let found = problem(&config).unwrap();
        assert!(found.ends_with(&closed), "{found}");
        let found = folder_problem(&config).unwrap();
        assert!(found.starts_with("working folder ") && found.ends_with(&closed), "{found}");
    }

    #[test]
    fn a_group_of_the_user_counts() {
        let (_folder, mut config) = program("#!/bin/sh\n", true);
        set_mode(&config.executable, 0o750);
        let group = fs::metadata(&config.executable).unwrap().gid();
        config.run_as.as_mut().unwrap().groups = vec![group];
        assert_eq!(problem(&config), None);
    }

    #[test]
    fn the_same_number_is_explained_by_what_is_missing() {
        let (folder, mut config) = program("#!/no/such/python -u\n", false);
        let missing = || io::Error::from(Errno::NOENT);
        let said = explain(&missing(), &config).to_string();
        assert!(said.contains("its interpreter, /no/such/python: No such file"), "{said}");
        assert!(said.ends_with("(os error 2)"), "{said}");
        fs::remove_file(&config.executable).unwrap();
        let said = explain(&missing(), &config).to_string();
        assert!(said.contains("app: No such file"), "{said}");
        config.working_dir = folder.path().join("gone");
        let said = explain(&missing(), &config).to_string();
        assert!(said.starts_with("working folder ") && said.contains("gone: No such"), "{said}");
    }

    #[test]
    fn a_limit_that_is_reached_is_named() {
        let (_folder, config) = program("", false);
        let said = explain(&Errno::MFILE.into(), &config).to_string();
        assert!(said.contains("limit of open files is "), "{said}");
        let said = explain(&Errno::AGAIN.into(), &config).to_string();
        assert!(said.contains("RLIMIT_NPROC or pids.max"), "{said}");
    }
}
