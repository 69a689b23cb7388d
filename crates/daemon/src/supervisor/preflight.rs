//! The look before a rollout: whatever is wrong now is found before anything is touched.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use procfs::process::{FDPermissions, FDTarget, Process, all_processes};
use smoothserve_protocol::id::Slot;

use super::ports::{self, Holder};
use super::process;
use crate::config::ServiceConfig;

/// A process that runs now.
pub(super) struct Leader {
    pub slot: Slot,
    /// Where it listens.
    pub addr: SocketAddr,
    pub pid: u32,
}

/// What stands in the way of replacing the runs of `config`; `leaders` are the process groups that
/// run now. Reads files and /proc, so call it off the async threads.
pub(super) fn problem(config: &ServiceConfig, leaders: &[Leader]) -> Option<String> {
    executable_problem(&config.executable)
        .or_else(|| folder_problem(&config.working_dir))
        .or_else(|| process::read_env_file(config).err().map(|error| error.to_string()))
        .or_else(|| port_problem(config, leaders))
}

fn executable_problem(path: &Path) -> Option<String> {
    let shown = path.display();
    match std::fs::metadata(path) {
        Err(error) => Some(format!("executable {shown}: {error}")),
        Ok(found) if !found.is_file() => Some(format!("executable {shown} is not a file")),
        Ok(found) if found.permissions().mode() & 0o111 == 0 => {
            Some(format!("{shown} is not executable; chmod +x makes it so"))
        }
        Ok(_) => {
            writer(path).map(|writer| format!("executable {shown} is being written by {writer}"))
        }
    }
}

/// Who has the file open for writing: a copy that is under way, and no program yet.
///
/// The system would refuse to execute it, but only when an instance has gone for it.
fn writer(path: &Path) -> Option<String> {
    let path = path.canonicalize().ok()?;
    let writes = |process: &Process| {
        let descriptors = process.fd().into_iter().flatten().flatten();
        descriptors
            .filter(|fd| fd.mode().contains(FDPermissions::WRITE))
            .any(|fd| matches!(&fd.target, FDTarget::Path(open) if *open == path))
    };
    let writer = all_processes().ok()?.flatten().find(writes)?;
    Some(ports::describe(&writer))
}

fn folder_problem(path: &Path) -> Option<String> {
    (!path.is_dir()).then(|| format!("working folder {} does not exist", path.display()))
}

fn port_problem(config: &ServiceConfig, leaders: &[Leader]) -> Option<String> {
    leaders.iter().find_map(|Leader { slot, addr, pid }| match ports::holder(*addr, Some(*pid)) {
        Some(Holder::Stranger(who)) => {
            Some(format!("port {} of {}-{slot} is held by {who}", addr.port(), config.name))
        }
        Some(Holder::Own) | None => None,
    })
}
