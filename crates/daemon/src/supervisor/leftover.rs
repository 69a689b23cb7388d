//! The end of a run whose daemon was killed.
//!
//! It is no child of ours, so nothing keeps its number from being given away. Each process is
//! signalled through a descriptor of it, which was opened before it was recognised: whoever has the
//! number then and began when the record says is the one that the descriptor holds.

use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::time::{Instant, sleep};

use super::group;
use super::records::{Being, Traits};

const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// From SIGKILL to the end of the wait for it.
const KILLED_WITHIN: Duration = Duration::from_secs(5);

/// Tells the run of `leader` to exit, and returns when it has, with everything in its group.
pub(super) async fn end(leader: Being, traits: &Traits) {
    let Some((pidfd, members)) = hold(leader) else { return };
    let Traits { name, generation, port: _, signal, stop_timeout } = traits;
    let (pid, place) = (leader.pid, traits.place());
    tracing::warn!(
        "{name}, generation {generation}, on {place}: pid {pid} was left behind by a daemon \
         that was killed; told to exit"
    );
    // It may have ended this very moment, which is what the signals are for.
    let _ = pidfd_send_signal(&pidfd, *signal);
    group::signal_followers(members, *signal).await;
    if is_gone_within(members, *stop_timeout).await {
        return;
    }
    let _ = pidfd_send_signal(&pidfd, Signal::KILL);
    group::signal(members, Signal::KILL);
    if !is_gone_within(members, KILLED_WITHIN).await {
        tracing::error!("{name}, on {place}: pid {pid} was killed and does not go");
    }
}

/// A descriptor of the leader, and its group; none: it has ended.
fn hold(leader: Being) -> Option<(OwnedFd, Pid)> {
    let pid = Pid::from_raw(leader.pid)?;
    let pidfd = pidfd_open(pid, PidfdFlags::empty()).ok()?;
    leader.lives().then_some((pidfd, pid))
}

async fn is_gone_within(members: Pid, limit: Duration) -> bool {
    let deadline = Instant::now() + limit;
    while group::lives(members).await {
        if Instant::now() >= deadline {
            return false;
        }
        sleep(LOOK_AGAIN).await;
    }
    true
}
