//! Processes that an instance leaves behind outside its group, where no signal of ours reaches them.
//!
//! They are known by the pipes of the run, which they still hold; who closed those as well is not
//! found. They are named, and left alone: an application may have wanted them.

use procfs::process::{FDTarget, Process, all_processes};

use super::ports;

/// Who holds one of these pipes, in words. Reads /proc, so call it off the async threads.
pub(super) fn holders(pipes: &[u64]) -> Vec<String> {
    let us = std::process::id() as i32;
    let holds = |process: &Process| {
        let descriptors = process.fd().into_iter().flatten().flatten();
        descriptors
            .map(|fd| fd.target)
            .any(|target| matches!(target, FDTarget::Pipe(inode) if pipes.contains(&inode)))
    };
    let processes = all_processes().into_iter().flatten().flatten();
    let strays = processes.filter(|process| process.pid() != us && holds(process));
    strays.map(|process| ports::describe(&process)).collect()
}
