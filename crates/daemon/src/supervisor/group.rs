//! A process group: signalled as a whole, and alive as long as one of its members is.

use procfs::process::{Process, Stat};
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, kill_process_group, pidfd_open,
    pidfd_send_signal, test_kill_process_group, waitid,
};

/// Signals every member.
pub(super) fn signal(group: Pid, signal: Signal) {
    // It may have ended this very moment, which is what the signal is for.
    let _ = kill_process_group(group, signal);
}

/// Signals every member but the leader, each through a descriptor of its own.
///
/// For a group whose leader is no child of ours, and is told by other means.
pub(super) async fn signal_followers(group: Pid, number: Signal) {
    // Reads all of /proc. A panic there has been reported.
    let _ = tokio::task::spawn_blocking(move || {
        for pid in members(group).filter(|pid| *pid != group) {
            let Ok(pidfd) = pidfd_open(pid, PidfdFlags::empty()) else { continue };
            // Looked at again: only now is it certain whom the descriptor holds.
            if stat_of(pid).is_some_and(|stat| is_member(&stat, group)) {
                let _ = pidfd_send_signal(pidfd, number);
            }
        }
    })
    .await;
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
    members(group).next().is_some()
}

/// Those that live. One that vanishes while it is looked at does not; if none can be looked at, the
/// leader is taken to live.
fn members(group: Pid) -> impl Iterator<Item = Pid> {
    let (processes, unseen) = match procfs::process::all_processes() {
        Ok(processes) => (Some(processes), None),
        Err(_) => (None, Some(group)),
    };
    let stats = processes.into_iter().flatten().flatten().filter_map(|process| process.stat().ok());
    let found = stats.filter(move |stat| is_member(stat, group));
    unseen.into_iter().chain(found.filter_map(|stat| Pid::from_raw(stat.pid)))
}

fn stat_of(pid: Pid) -> Option<Stat> {
    Process::new(pid.as_raw_nonzero().get()).and_then(|process| process.stat()).ok()
}

fn is_member(stat: &Stat, group: Pid) -> bool {
    stat.pgrp == group.as_raw_nonzero().get() && !matches!(stat.state, 'Z' | 'X')
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::os::unix::process::CommandExt;
    use std::process::{Command, Stdio};

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

    #[tokio::test]
    async fn followers_are_signalled_and_their_leader_is_not() {
        let script = "trap 'exit 9' TERM; sleep 600 & echo $!; wait $!; exit 3";
        let mut leader = Command::new("/bin/sh")
            .args(["-c", script])
            .process_group(0)
            .stdout(Stdio::piped())
            // The shell remarks on it.
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let group = Pid::from_child(&leader);
        let mut line = String::new();
        BufReader::new(leader.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let follower = Pid::from_raw(line.trim().parse().unwrap()).unwrap();
        // It may still be the shell that is about to become it.
        while stat_of(follower).is_none_or(|stat| stat.comm != "sleep") {
            tokio::task::yield_now().await;
        }
        signal_followers(group, Signal::TERM).await;
        // The shell saw its child go, and was not told itself.
        assert_eq!(leader.wait().unwrap().code(), Some(3));
    }
}
