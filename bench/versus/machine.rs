//! What ran where: the lines without which no figure can be made again.

use std::fmt::Write;
use std::fs;
use std::thread;

use anyhow::Context;

use crate::Effort;
use crate::proxy::Kind;
use crate::secure;

/// How the figures were made, by whom, and on what.
///
/// # Errors
/// When the machine does not tell.
pub(crate) fn preamble(effort: &Effort, kinds: &[Kind]) -> anyhow::Result<String> {
    let mut text = format!(
        "Made by `{}`: {} rounds of {} s, in which all proxies take turns with the same load. The \
         proxy has a core to itself; load and application share another. Figures are medians of the \
         rounds, with the lowest and the highest round beside a ratio. Processor time is user and \
         system time of all processes of the proxy, without the application.\n\n",
        effort.name,
        effort.rounds,
        effort.turn.as_secs_f64(),
    );
    for kind in kinds {
        writeln!(text, "* {} {}", kind.name(), kind.version()?)?;
    }
    for kind in Kind::absent() {
        writeln!(text, "* {} is not on this machine", kind.name())?;
    }
    writeln!(text, "* {}", machine()?)?;
    match secure::h2load() {
        Some(version) => writeln!(text, "* the load inside TLS: h2load, {version}")?,
        None => {
            writeln!(text, "* h2load is not on this machine: inside TLS, only new connections")?
        }
    }
    Ok(text)
}

fn machine() -> anyhow::Result<String> {
    let processor = fs::read_to_string("/proc/cpuinfo")?;
    let model = processor.lines().find_map(|line| line.strip_prefix("model name"));
    let model = model.and_then(|rest| rest.split_once(": ")).context("no model name")?.1;
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let load = fs::read_to_string("/proc/loadavg")?;
    let load = load.split(' ').next().context("no load average")?;
    Ok(format!(
        "{} cores of {model}, Linux {}; load average {load} before it began",
        thread::available_parallelism()?,
        kernel.trim(),
    ))
}
