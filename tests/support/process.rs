//! Processes seen from outside: their signals, their memory, and whose they are.

use std::fs;
use std::io;
use std::path::Path;

use anyhow::Context;
pub use rustix::process::Signal;
use rustix::process::{Pid, kill_process};

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

/// Running processes whose program lies in `folder`.
pub fn running_from(folder: &Path) -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|pid| {
            fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe.starts_with(folder))
        })
        .filter(|pid| is_running(*pid))
        .collect()
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
    }
}
