//! Why an instance is not serving: the reason, and what is known about it.

use std::fmt;

use bincode::{Decode, Encode};

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
pub enum Exit {
    /// It returned this code.
    Code(i32),
    /// This signal ended it.
    Signal {
        /// The signal's number.
        signal: i32,
        /// Whether a core file was written.
        core: bool,
    },
}

/// Why a run failed.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
pub enum FailReason {
    /// The process could not be started at all.
    NotLaunched {
        /// What the system said, with the path.
        error: String,
    },
    /// Its port is in use by a process that is not its own.
    PortTaken {
        /// The port.
        port: u16,
        /// Who holds it: pid, command and user, as far as they can be known.
        holder: String,
    },
    /// It exited before it was ready.
    ExitedBeforeReady(Exit),
    /// It was not ready within `ready_timeout`.
    NotReady {
        /// How long it was given, in milliseconds.
        after_ms: u64,
        /// What the last probe found.
        probe_error: Option<String>,
    },
    /// It became ready, and exited within `min_ready_time`.
    ExitedTooSoon(Exit),
    /// It exited although nobody asked it to.
    Crashed(Exit),
    /// It ran, and no longer answered its liveness probe.
    Unhealthy {
        /// What the last probe found.
        probe_error: String,
    },
}

/// A failed run, explained.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Failure {
    /// What went wrong.
    pub reason: FailReason,
    /// Milliseconds from launch to the end of the run; 0 if it was not launched.
    pub uptime_ms: u64,
    /// The last lines the run wrote to stdout or stderr, oldest first; at most 50.
    pub last_output: Vec<String>,
}

/// `exited with code 3`, `was killed by signal 9 (SIGKILL)`: fits after a name.
impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Code(code) => write!(f, "exited with code {code}"),
            Self::Signal { signal, core } => {
                write!(f, "was ended by signal {signal}")?;
                if let Some(name) = signal_name(signal) {
                    write!(f, " ({name})")?;
                }
                if core { f.write_str(", core dumped") } else { Ok(()) }
            }
        }
    }
}

/// Names of the signals that end processes, as Linux numbers them.
fn signal_name(signal: i32) -> Option<&'static str> {
    Some(match signal {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        13 => "SIGPIPE",
        15 => "SIGTERM",
        24 => "SIGXCPU",
        _ => return None,
    })
}

/// One line that fits after the name of an instance.
impl fmt::Display for FailReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotLaunched { error } => write!(f, "could not be launched: {error}"),
            Self::PortTaken { port, holder } => write!(f, "found port {port} held by {holder}"),
            Self::ExitedBeforeReady(exit) => write!(f, "{exit} before it was ready"),
            Self::NotReady { after_ms, probe_error } => {
                write!(f, "was not ready after {}", seconds(*after_ms))?;
                match probe_error {
                    Some(error) => write!(f, ": {error}"),
                    None => Ok(()),
                }
            }
            Self::ExitedTooSoon(exit) => write!(f, "{exit} right after it was ready"),
            Self::Crashed(exit) => write!(f, "{exit}, unasked"),
            Self::Unhealthy { probe_error } => {
                write!(f, "no longer answered its liveness probe: {probe_error}")
            }
        }
    }
}

fn seconds(millis: u64) -> String {
    if millis < 10_000 {
        format!("{:.1}s", millis as f64 / 1000.0)
    } else {
        format!("{}s", millis / 1000)
    }
}

/// The reason and, if there is one, the last line of output.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.reason)?;
        match self.last_output.last() {
            Some(line) => write!(f, "; its last line: {line}"),
            None => Ok(()),
        }
    }
}
