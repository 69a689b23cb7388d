//! A process group: signalled as a whole, and alive as long as one of its members is.

use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, kill_process_group, test_kill_process_group, waitid,
};

/// Signals every member.
pub(super) fn signal(group: Pid, signal: Signal) {
    // It may have ended this very moment, which is what the signal is for.
    let _ = kill_process_group(group, signal);
}

/// Whether somebody lives in it. Only to be asked when its leader has been reaped.
///
/// A member that has ended and that nobody reaps is still a member to the kernel: in a container
/// whose first process does not reap orphans, for ever.
pub(super) async fn lives(group: Pid) -> bool {
    if test_kill_process_group(group).is_err() {
        return false;
    }
    // Reads all of /proc. Whoever cannot be looked at is taken to be alive.
    let looked = tokio::task::spawn_blocking(move || has_living_member(group)).await;
    reap_orphans(group);
    looked.unwrap_or(true)
}

/// Reaps members that were adopted by us, as the first process of a container does.
fn reap_orphans(group: Pid) {
    let ended = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
    while let Ok(Some(_)) = waitid(WaitId::Pgid(Some(group)), ended) {}
}

fn has_living_member(group: Pid) -> bool {
    let Ok(processes) = procfs::process::all_processes() else { return true };
    // One that vanishes while it is looked at does not live.
    let mut stats = processes.flatten().filter_map(|process| process.stat().ok());
    stats.any(|stat| stat.pgrp == group.as_raw_nonzero().get() && !matches!(stat.state, 'Z' | 'X'))
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt;
    use std::process::Command;

    use super::*;

    #[tokio::test]
    async fn who_has_ended_does_not_live_reaped_or_not() {
        let mut child = Command::new("/bin/sleep").arg("600").process_group(0).spawn().unwrap();
        let group = Pid::from_child(&child);
        assert!(has_living_member(group) && lives(group).await);
        signal(group, Signal::KILL);
        while has_living_member(group) {
            tokio::task::yield_now().await;
        }
        // Not reaped yet, so the kernel still knows it.
        assert!(test_kill_process_group(group).is_ok());
        assert!(!lives(group).await);
        assert!(test_kill_process_group(group).is_err());
        // It was reaped in its stead, which an orphan would have been.
        assert!(child.wait().is_err());
    }
}
