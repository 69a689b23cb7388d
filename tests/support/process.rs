//! Processes seen from outside: their signals, their memory, and whose they are.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
pub use rustix::process::Signal;
use rustix::process::{Pid, kill_process};

/// The unit in which the system tells processor time (USER_HZ): the same on every machine we run on.
const TICK: Duration = Duration::from_millis(10);

/// Sends `signal` to the process `pid`; one that is gone is no error.
///
/// # Errors
/// When the signal may not be sent.
pub fn send(pid: u32, signal: Signal) -> io::Result<()> {
    let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else {
        return Err(io::Error::other(format!("{pid} is no process id")));
    };
    match kill_process(pid, signal) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Whether the process runs; one that only waits to be reaped does not.
pub fn is_running(pid: u32) -> bool {
    match fs::read_to_string(format!("/proc/{pid}/stat")) {
        // The command is in parentheses and may hold anything; the state follows it.
        Ok(stat) => stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z')),
        Err(_) => false,
    }
}

/// Resident memory of a process, in bytes.
///
/// # Errors
/// When it does not run.
pub fn resident_memory(pid: u32) -> anyhow::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))
        .with_context(|| format!("process {pid} does not run"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()).context("no VmRSS")?;
    Ok(kilobytes.parse::<u64>()? * 1024)
}

/// Processor time of a process since it began, all its threads and both kinds together, to a
/// hundredth of a second.
///
/// # Errors
/// When it does not run.
pub fn processor_time(pid: u32) -> anyhow::Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))
        .with_context(|| format!("process {pid} does not run"))?;
    let (_, rest) = stat.rsplit_once(") ").context("no state")?;
    // The first of them is the third of the line; user time is the fourteenth.
    let times: Vec<u64> = rest.split(' ').skip(11).take(2).flat_map(str::parse).collect();
    Ok(TICK * u32::try_from(times.iter().sum::<u64>())?)
}

/// What the descriptors of a process are open on.
///
/// # Errors
/// When it does not run.
pub fn open_files(pid: u32) -> anyhow::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd"));
    let entries = entries.with_context(|| format!("process {pid} does not run"))?;
    // One that is closed meanwhile is none.
    Ok(entries.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok()).collect())
}

/// Children of a process, those included that only wait to be reaped.
pub fn children(parent: u32) -> Vec<u32> {
    all().filter(|pid| parent_of(*pid) == Some(parent)).collect()
}

/// Running processes whose program lies in `folder`.
pub fn running_from(folder: &Path) -> Vec<u32> {
    linked(folder, "exe")
}

/// Running processes that work in `folder`, whatever their program is: scripts, say.
pub fn working_in(folder: &Path) -> Vec<u32> {
    linked(folder, "cwd")
}

fn linked(folder: &Path, link: &str) -> Vec<u32> {
    all()
        .filter(|pid| {
            fs::read_link(format!("/proc/{pid}/{link}")).is_ok_and(|path| path.starts_with(folder))
        })
        .filter(|pid| is_running(*pid))
        .collect()
}

/// Running processes that name `text` in their arguments or their environment.
pub fn mentioning(text: &str) -> Vec<u32> {
    let mentions = |file: String| {
        fs::read(file).is_ok_and(|bytes| String::from_utf8_lossy(&bytes).contains(text))
    };
    all()
        .filter(|pid| {
            mentions(format!("/proc/{pid}/cmdline")) || mentions(format!("/proc/{pid}/environ"))
        })
        .filter(|pid| is_running(*pid))
        .collect()
}

fn all() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten();
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

fn parent_of(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // After the command: the state, then the parent.
    stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_runs_and_takes_memory() {
        let pid = std::process::id();
        assert!(is_running(pid));
        assert!(resident_memory(pid).unwrap() > 100_000);
        let program = std::env::current_exe().unwrap();
        assert!(running_from(program.parent().unwrap()).contains(&pid));
        assert!(mentioning(program.to_str().unwrap()).contains(&pid));
        assert!(working_in(&std::env::current_dir().unwrap()).contains(&pid));
        assert!(processor_time(pid).unwrap() < Duration::from_secs(3600));
    }

    #[test]
    fn this_process_is_a_child_of_its_parent_and_has_files_open() {
        let pid = std::process::id();
        let parent = parent_of(pid).unwrap();
        assert!(children(parent).contains(&pid));
        let file = std::env::current_exe().unwrap();
        let _open = fs::File::open(&file).unwrap();
        assert!(open_files(pid).unwrap().contains(&file));
    }
}
