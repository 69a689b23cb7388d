//! Why a run failed, and how a process ended.

use smoothserve_protocol::failure::{Exit, FailReason, Failure};

use super::escape;
use crate::fmt::took;

/// How a process ended: `exited with code 1`, `was ended by signal 9 (KILL)`.
pub fn exit(exit: Exit) -> String {
    match exit {
        Exit::Code(code) => format!("exited with code {code}"),
        Exit::Signal { signal, core } => {
            let name = signal_name(signal).map(|name| format!(" ({name})")).unwrap_or_default();
            let core = if core { ", core written" } else { "" };
            format!("was ended by signal {signal}{name}{core}")
        }
    }
}

/// Why a run failed, without what it wrote.
pub fn failure_reason(failure: &Failure) -> String {
    let after = took(failure.uptime_ms);
    match &failure.reason {
        FailReason::NotLaunched { error } => format!("could not be launched: {}", escape(error)),
        FailReason::PortTaken { port, holder } => {
            format!("port {port} is held by {}", escape(holder))
        }
        FailReason::ExitedBeforeReady(how) => {
            format!("{} after {after}, before it was ready", exit(*how))
        }
        FailReason::NotReady { after_ms, probe_error } => {
            let probe = probe_error.as_deref().map(|error| format!(": {}", escape(error)));
            format!("was not ready within {}{}", took(*after_ms), probe.unwrap_or_default())
        }
        FailReason::ExitedTooSoon(how) => {
            format!("{} {after} after its launch, too soon after it was ready", exit(*how))
        }
        FailReason::Crashed(how) => format!("{} after {after}", exit(*how)),
        FailReason::Unhealthy { probe_error } => {
            format!("no longer answered its liveness probe after {after}: {}", escape(probe_error))
        }
    }
}

/// The last line that the run wrote and that is not blank.
pub fn last_output(failure: &Failure) -> Option<String> {
    let line = failure.last_output.iter().rev().find(|line| !line.trim().is_empty())?;
    Some(escape(line.trim_end()).into_owned())
}

/// Why a run failed, with the last line it wrote.
pub fn failure_line(failure: &Failure) -> String {
    match last_output(failure) {
        Some(line) => format!("{}; last output: {line}", failure_reason(failure)),
        None => failure_reason(failure),
    }
}

/// The short name of a signal, as `kill -l` has it on Linux.
fn signal_name(signal: i32) -> Option<&'static str> {
    Some(match signal {
        1 => "HUP",
        2 => "INT",
        3 => "QUIT",
        4 => "ILL",
        5 => "TRAP",
        6 => "ABRT",
        7 => "BUS",
        8 => "FPE",
        9 => "KILL",
        10 => "USR1",
        11 => "SEGV",
        12 => "USR2",
        13 => "PIPE",
        14 => "ALRM",
        15 => "TERM",
        24 => "XCPU",
        25 => "XFSZ",
        31 => "SYS",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_tells_how_it_ended_and_its_last_words() {
        let failure = |reason| Failure {
            reason,
            uptime_ms: 412,
            last_output: vec!["boot".into(), "no \u{1b}[31mdatabase".into(), "  ".into()],
        };
        let killed = Exit::Signal { signal: 9, core: false };
        let crashed = Exit::Signal { signal: 11, core: true };
        let reasons = [
            FailReason::NotLaunched { error: "/opt/api: no such file".into() },
            FailReason::PortTaken { port: 8087, holder: "pid 12 nginx (www)".into() },
            FailReason::ExitedBeforeReady(Exit::Code(3)),
            FailReason::NotReady { after_ms: 30_000, probe_error: Some("status 500".into()) },
            FailReason::NotReady { after_ms: 30_000, probe_error: None },
            FailReason::ExitedTooSoon(killed),
            FailReason::Crashed(crashed),
            FailReason::Unhealthy { probe_error: "status 503".into() },
        ];
        let lines: Vec<_> = reasons.map(|reason| failure_reason(&failure(reason))).into();
        insta::assert_snapshot!(lines.join("\n"), @r"
        could not be launched: /opt/api: no such file
        port 8087 is held by pid 12 nginx (www)
        exited with code 3 after 412ms, before it was ready
        was not ready within 30s: status 500
        was not ready within 30s
        was ended by signal 9 (KILL) 412ms after its launch, too soon after it was ready
        was ended by signal 11 (SEGV), core written after 412ms
        no longer answered its liveness probe after 412ms: status 503
        ");
        let line = failure_line(&failure(FailReason::Crashed(Exit::Code(1))));
        assert_eq!(line, r"exited with code 1 after 412ms; last output: no \x1b[31mdatabase");
    }
}
