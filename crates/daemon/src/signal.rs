//! Signals to the daemon, and the end of the one who started it.

use std::io::Read;

use smoothserve_protocol::event::Cause;
use tokio::signal::unix::{SignalKind, signal};

use crate::core::Command;
use crate::reload::Reloads;
use crate::supervisor::Handle;

/// Passes signals on for as long as it is polled: TERM, INT and QUIT shut down (again: sooner), HUP
/// has the configuration read again.
///
/// QUIT is what `^\` sends and what asks nginx for a graceful end; the default would be to die at
/// once and leave the instances behind.
///
/// # Errors
/// When the system lets no handler be installed.
pub(crate) async fn pass_on(supervisor: Handle, reloads: Reloads) -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut quit = signal(SignalKind::quit())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    loop {
        tokio::select! {
            Some(()) = terminate.recv() => shut_down(&supervisor),
            Some(()) = interrupt.recv() => shut_down(&supervisor),
            Some(()) = quit.recv() => shut_down(&supervisor),
            Some(()) = hang_up.recv() => {
                tracing::info!("SIGHUP: the configuration is read again");
                reloads.order();
            }
        }
    }
}

/// Shuts down when standard input ends: whoever holds the other end is gone.
pub(crate) fn watch_stdin(supervisor: Handle) {
    // A thread, because a read of standard input cannot be cancelled; it ends with the process.
    std::thread::spawn(move || {
        let mut ignored = [0; 256];
        while matches!(std::io::stdin().read(&mut ignored), Ok(1..)) {}
        shut_down(&supervisor);
    });
}

fn shut_down(supervisor: &Handle) {
    supervisor.order(Command::Shutdown { cause: Cause::Daemon, force: false });
}
