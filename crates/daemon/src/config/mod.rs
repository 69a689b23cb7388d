//! What the operator wrote, valid by construction: nobody re-checks a value found here.
//!
//! The way of a file: [`load()`] reads it, `yaml` makes a tree with places, `table` hands out its keys
//! to `raw`, which mirrors the two formats with the kinds of `scalar`, `resolve` adds defaults and
//! folders, `clash` compares the services, and [`ConfigErrors`] says what is wrong on the way.

mod clash;
mod error;
mod host;
mod load;
mod raw;
mod resolve;
mod scalar;
mod table;
#[cfg(test)]
mod tests;
mod yaml;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU16;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use smoothserve_protocol::id::{ServiceName, Slot};

pub use error::{Colour, ConfigErrors, Problem};
pub use load::{check, load};

/// One daemon's whole configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// `smoothserve.yaml`, absolute.
    pub source: PathBuf,
    /// Where the command port listens; always a loopback address. Port 0: any free one.
    pub command: SocketAddr,
    /// Where the token lies: `StateDir`, else `$STATE_DIRECTORY`, else the folder of `source`.
    pub state_dir: PathBuf,
    /// How long a shutdown may wait for requests.
    pub shutdown_timeout: Duration,
    /// The daemon's own log file; none: stderr alone.
    pub log: Option<LogConfig>,
    /// By name.
    pub services: Vec<Arc<ServiceConfig>>,
    /// What an operator should know although it stops nothing, such as an executable that is not
    /// there yet: one line each, fit for a terminal.
    pub warnings: Vec<String>,
}

/// The daemon's own log file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// Absolute.
    pub file: PathBuf,
    /// Begin a new file at this size, in bytes.
    pub max_size: u64,
    /// Old files to keep; 0: all.
    pub max_backups: usize,
    /// Remove old files of this age; none: never.
    pub max_age: Option<Duration>,
    /// Compress old files with gzip.
    pub compress: bool,
    /// Log per-request lines as well.
    pub debug: bool,
}

/// One service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceConfig {
    /// Its file, absolute.
    pub source: PathBuf,
    /// Unique in the daemon.
    pub name: ServiceName,
    /// Where its requests come in.
    pub listen: SocketAddr,
    /// Hosts and path prefixes it answers to; empty: it is reached as the default of `listen`.
    pub routes: Vec<Route>,
    /// It takes what no other route of `listen` takes: marked so, or alone on its port.
    pub is_default: bool,
    /// Address of its instances.
    pub instance_ip: IpAddr,
    /// Port of slot 0.
    pub first_port: u16,
    /// How many instances.
    pub instances: NonZeroU16,
    /// The program, absolute.
    pub executable: PathBuf,
    /// Arguments, with `{port}`, `{slot}`, `{name}` and `{generation}` still in them.
    pub args: Vec<String>,
    /// Added to the daemon's own environment.
    pub env: Vec<(String, String)>,
    /// `KEY=value` lines, read afresh at each launch; absolute.
    pub env_file: Option<PathBuf>,
    /// Absolute.
    pub working_dir: PathBuf,
    /// Started with the daemon.
    pub enabled: bool,
    /// Restart when `watch` changes.
    pub auto_restart: bool,
    /// Files and folders, absolute; folders with everything below them.
    pub watch: Vec<PathBuf>,
    /// When a new run is ready.
    pub ready: Readiness,
    /// Waited after the readiness probe succeeded.
    pub delay_running_time: Duration,
    /// Quiet time after the last file change.
    pub delay_update_time: Duration,
    /// The signal that asks an instance to exit.
    pub stop_signal: StopSignal,
    /// Time-outs and bounds.
    pub limits: Limits,
}

/// A host with a path prefix.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Route {
    /// What the `Host` of a request must be.
    pub host: Host,
    /// Begins with `/` and does not end with one, or is empty: every path.
    pub prefix: String,
}

/// A host pattern, lower case, without a port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// This name.
    Exact(String),
    /// Any name that ends with this, which begins with a dot: `*.example.com` is `.example.com`.
    Wildcard(String),
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Exact(name) => write!(f, "{name}{}", self.prefix),
            Host::Wildcard(end) => write!(f, "*{end}{}", self.prefix),
        }
    }
}

/// When a new run is ready to take requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// Its port accepts a connection.
    Tcp,
    /// `GET path` on its port answers with `status`.
    Http {
        /// Begins with `/`.
        path: String,
        /// 100 to 599.
        status: u16,
    },
}

/// A signal that asks a process to exit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopSignal {
    /// SIGTERM.
    Term,
    /// SIGINT.
    Int,
    /// SIGQUIT.
    Quit,
    /// SIGHUP.
    Hup,
    /// SIGUSR1.
    Usr1,
    /// SIGUSR2.
    Usr2,
}

/// Time-outs and bounds of one service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How long a drain may wait for requests in a restart.
    pub drain_timeout: Duration,
    /// How long a drain waits for tunnels before it closes them.
    pub tunnel_grace: Duration,
    /// From the stop signal to SIGKILL.
    pub stop_timeout: Duration,
    /// From launch to ready.
    pub ready_timeout: Duration,
    /// How long a new run must stay up before the next instance is touched.
    pub min_ready_time: Duration,
    /// How long a request may wait for a ready instance; none: 30 s while a start or a restart
    /// runs, else 5 s.
    pub hold_timeout: Option<Duration>,
    /// How many requests may wait at once.
    pub hold_max: usize,
    /// How long an unused connection to an instance is kept.
    pub upstream_idle_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            drain_timeout: Duration::from_secs(60),
            tunnel_grace: Duration::from_secs(15),
            stop_timeout: Duration::from_secs(10),
            ready_timeout: Duration::from_secs(30),
            min_ready_time: Duration::from_secs(1),
            hold_timeout: None,
            hold_max: 1000,
            upstream_idle_timeout: Duration::from_secs(1),
        }
    }
}

impl ServiceConfig {
    /// The fixed port of `slot`.
    pub fn port(&self, slot: Slot) -> u16 {
        self.first_port + slot.0
    }

    /// Where the instance in `slot` listens.
    pub fn instance_addr(&self, slot: Slot) -> SocketAddr {
        SocketAddr::new(self.instance_ip, self.port(slot))
    }

    /// Every slot, ascending.
    pub fn slots(&self) -> impl Iterator<Item = Slot> + use<> {
        (0..self.instances.get()).map(Slot)
    }
}
