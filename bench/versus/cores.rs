//! Which core does what: the proxy under measurement has one to itself; whatever loads it, and what
//! is behind it, share the other.

use std::io;

use rustix::thread::{CpuSet, sched_setaffinity};

/// Of the proxies, which are measured in turns.
pub(crate) const PROXY: usize = 0;
/// Of clients and web services.
pub(crate) const LOAD: usize = 1;

/// Keeps this thread, and what it launches, on one core.
///
/// # Errors
/// When this machine has no such core.
pub(crate) fn stay_on(core: usize) -> io::Result<()> {
    let mut set = CpuSet::new();
    set.set(core);
    Ok(sched_setaffinity(None, &set)?)
}
