//! Who has which processor, and before whom.
//!
//! The proxy has one to itself. Polite clients, their web services and whoever means harm have the
//! other one: those who mean harm only while nobody else wants it, for in truth they have machines of
//! their own, and what their work costs others is not the proxy's doing.

use std::fmt::Display;
use std::process::Command;

use anyhow::ensure;
use rustix::thread::gettid;
use smoothserve_tests::process::children;

use crate::cores;

/// Everybody but the proxy goes to the other processor.
pub(crate) fn leave_to(proxy: u32) -> anyhow::Result<()> {
    cores::stay_on(cores::LOAD)?;
    let core = cores::LOAD.to_string();
    for service in children(proxy) {
        run(Command::new("taskset").args(["--all-tasks", "--cpu-list", "--pid", &core]), service)?;
    }
    Ok(())
}

/// A process gives way to all others.
pub(crate) fn idle(process: u32) -> anyhow::Result<()> {
    run(Command::new("chrt").args(["--all-tasks", "--idle", "--pid", "0"]), process)
}

/// This thread gives way to all others.
pub(crate) fn idle_thread() -> anyhow::Result<()> {
    let thread = gettid().as_raw_nonzero();
    run(Command::new("chrt").args(["--idle", "--pid", "0"]), thread)
}

fn run(program: &mut Command, whom: impl Display) -> anyhow::Result<()> {
    let output = program.arg(whom.to_string()).output()?;
    ensure!(output.status.success(), "{program:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}
