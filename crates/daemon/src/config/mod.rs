//! What the operator wrote, valid by construction: nobody re-checks a value found here.
//!
//! The way of a file: `read` reads it, `yaml` makes a tree with places, `table` hands out its keys
//! to `raw`, which mirrors the two formats with the kinds of `scalar`, `resolve` adds defaults and
//! folders, `rules` holds its keys against each other, `clash` compares the services, [`load()`]
//! puts them together, and [`ConfigErrors`] says what is wrong on the way. [`reload()`] goes that way
//! while services run, and [`changes`] tells what it comes to.

mod account;
mod change;
mod clash;
mod difference;
mod edge;
mod error;
mod host;
mod https;
mod limits;
mod load;
mod logs;
mod probes;
mod quantity;
mod raw;
mod read;
mod reload;
mod resolve;
mod rules;
mod scalar;
mod sockets;
mod table;
#[cfg(test)]
mod tests;
mod tls;
mod trust;
mod yaml;

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU16;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use smoothserve_protocol::id::{ServiceName, Slot};
use smoothserve_protocol::plan::RestartOrder;
use smoothserve_protocol::snapshot::OnDrainTimeout;

pub use change::{Changes, changes};
pub use edge::{CanonicalHost, Edge, HeaderEdits, Page, PathPrefix, Sticky};
pub use error::{Colour, ConfigErrors, Problem};
pub use https::{Hsts, Https};
pub use limits::{ClientLimits, RequestLimits};
pub use load::{check, load};
pub use reload::{Rejected, Reloaded, reload};
pub use sockets::{InstanceAddr, SocketPaths};
pub use tls::TlsListener;
pub use trust::{Network, Trust};

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
    /// Whose word about clients counts.
    pub trust: Trust,
    /// How long a shutdown goes on serving before it begins, while load balancers notice.
    pub shutdown_delay: Duration,
    /// Where every public listener says whether clients are welcome; none: nowhere. Begins with `/`.
    pub ready_path: Option<String>,
    /// Where figures are read, with readiness for load balancers; none: nowhere. Port 0: any free one.
    pub metrics: Option<SocketAddr>,
    /// What clients are allowed.
    pub clients: ClientLimits,
    /// The listeners that speak TLS, by port; the others speak HTTP in the clear.
    pub tls: Vec<TlsListener>,
    /// What makes clients come by HTTPS.
    pub https: Https,
    /// The daemon's own log file; none: stderr alone.
    pub log: Option<LogConfig>,
    /// Where every request has a line; none: nowhere.
    pub access_log: Option<AccessLogConfig>,
    /// Where the output of instances is kept; none: only the last lines, in memory.
    pub output: Option<OutputConfig>,
    /// The folder of services, absolute.
    pub services_dir: PathBuf,
    /// By name.
    pub services: Vec<Arc<ServiceConfig>>,
    /// What an operator should know although it stops nothing, such as an executable that is not
    /// there yet: one line each, fit for a terminal.
    pub warnings: Vec<String>,
}

impl Config {
    /// Where clients come in: the listeners of services, and those that send them to HTTPS.
    pub fn listeners(&self) -> BTreeSet<SocketAddr> {
        let of_services = self.services.iter().map(|service| service.listen);
        of_services.chain(self.https.redirected.iter().copied()).collect()
    }
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

/// The file with a line for each request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessLogConfig {
    /// Absolute.
    pub file: PathBuf,
    /// How a request is written down.
    pub format: AccessLogFormat,
    /// Begin a new file at this size, in bytes.
    pub max_size: u64,
    /// Old files to keep; 0: all.
    pub max_backups: usize,
    /// Remove old files of this age; none: never.
    pub max_age: Option<Duration>,
    /// Compress old files with gzip.
    pub compress: bool,
}

/// How a request is written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessLogFormat {
    /// An object with all that is known of it.
    Json,
    /// As Apache and nginx do.
    Combined,
}

/// Files for the output of instances: one a slot, rotated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputConfig {
    /// Absolute.
    pub folder: PathBuf,
    /// Begin a new file at this size, in bytes.
    pub max_size: u64,
    /// Old files to keep of each slot; 0: all that `max_total` allows.
    pub max_backups: usize,
    /// Remove old files of this age; none: never.
    pub max_age: Option<Duration>,
    /// Compress old files with gzip.
    pub compress: bool,
    /// All files together, in bytes; the oldest old files go first.
    pub max_total: u64,
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
    /// What the proxy changes in its requests and answers; none: nothing.
    pub edge: Option<Arc<Edge>>,
    /// Address of its instances.
    pub instance_ip: IpAddr,
    /// Port of slot 0. Where instances listen on paths, ports only number their places.
    pub first_port: u16,
    /// Where instances listen on paths; none: on ports.
    pub sockets: Option<SocketPaths>,
    /// How many instances.
    pub instances: NonZeroU16,
    /// What is spoken with them.
    pub upstream_protocol: UpstreamProtocol,
    /// The program, absolute.
    pub executable: PathBuf,
    /// Arguments, with `{port}`, `{socket}`, `{slot}`, `{name}` and `{generation}` still in them.
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
    /// What is not watched inside `watch`, as patterns of a `.gitignore`, seen from the executable's
    /// folder.
    pub watch_ignore: Vec<String>,
    /// Honour the `.gitignore` files inside `watch`.
    pub watch_gitignore: bool,
    /// When a new run is ready.
    pub ready: Readiness,
    /// Waited after the readiness probe succeeded.
    pub delay_running_time: Duration,
    /// Quiet time after the last file change.
    pub delay_update_time: Duration,
    /// The signal that asks an instance to exit.
    pub stop_signal: StopSignal,
    /// Which comes first in a rolling restart: the end of the old run, or the start of the new one.
    pub restart_order: RestartOrder,
    /// With [`RestartOrder::StartFirst`]: the port that is free at first. It lies outside the
    /// fixed ports of the slots, and wanders as runs are replaced.
    pub surge_port: u16,
    /// Instances that a rolling restart may have out at the same time.
    pub max_unavailable: NonZeroU16,
    /// Is it still answering? None: nobody asks.
    pub liveness: Option<Liveness>,
    /// Whom instances run as; none: as the daemon does.
    pub run_as: Option<RunAs>,
    /// What the system allows an instance.
    pub resources: Resources,
    /// What its requests are allowed.
    pub requests: RequestLimits,
    /// Time-outs and bounds of its instances, and of requests that wait for one.
    pub limits: Limits,
}

/// What is spoken with an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpstreamProtocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2 without TLS, with prior knowledge (RFC 9113 3.3).
    H2c,
}

/// Asks a ready instance now and then whether it still answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Liveness {
    /// What is asked; never [`Readiness::Log`].
    pub probe: Readiness,
    /// Between two questions.
    pub interval: Duration,
    /// How long an answer may take.
    pub timeout: Duration,
    /// So many in a row without an answer make it unhealthy; at least 1.
    pub failures: u32,
}

/// A user and a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunAs {
    /// As written, for people: `www` or `www:web`.
    pub shown: String,
    /// The user's number.
    pub uid: u32,
    /// The group's number.
    pub gid: u32,
    /// The further groups of the user.
    pub groups: Vec<u32>,
}

/// What the system allows an instance; none: what it allows the daemon.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resources {
    /// Descriptors open at once.
    pub open_files: Option<u64>,
    /// The largest file it may write, in bytes.
    pub file_size: Option<u64>,
    /// Resident memory of all its processes, in bytes. Above it three samples running, the instance
    /// is replaced by a rolling restart of that instance alone.
    pub memory: Option<u64>,
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
    /// It prints a line that matches.
    Log(Pattern),
}

/// A regular expression.
#[derive(Clone, Debug)]
pub struct Pattern(regex::bytes::Regex);

impl Pattern {
    /// Reads a regular expression.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn new(text: &str) -> Result<Self, regex::Error> {
        // Large enough for any pattern that a person writes, small enough for any daemon.
        regex::bytes::RegexBuilder::new(text).size_limit(1 << 20).build().map(Self)
    }

    /// Whether it matches anywhere in `line`.
    pub fn matches(&self, line: &[u8]) -> bool {
        self.0.is_match(line)
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Pattern {}

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

/// Time-outs and bounds of the instances of one service, and of requests that wait for one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How long a drain may wait for requests in a restart.
    pub drain_timeout: Duration,
    /// What happens to requests that outlive it.
    pub on_drain_timeout: OnDrainTimeout,
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
    /// So many requests in a row that an instance fails have it left out of the choice, as long as
    /// others are not; 0: it never is.
    pub max_fails: u32,
    /// How long it is left out before one request tries it; not 0.
    pub fail_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            drain_timeout: Duration::from_secs(60),
            on_drain_timeout: OnDrainTimeout::Abort,
            tunnel_grace: Duration::from_secs(15),
            stop_timeout: Duration::from_secs(10),
            ready_timeout: Duration::from_secs(30),
            min_ready_time: Duration::from_secs(1),
            hold_timeout: None,
            hold_max: 1000,
            upstream_idle_timeout: Duration::from_secs(1),
            max_fails: 5,
            fail_timeout: Duration::from_secs(10),
        }
    }
}

impl ServiceConfig {
    /// The fixed port of `slot`.
    pub fn port(&self, slot: Slot) -> u16 {
        self.first_port + slot.0
    }

    /// Where the instance listens that has `port`.
    pub fn addr(&self, port: u16) -> InstanceAddr {
        match &self.sockets {
            Some(paths) => {
                InstanceAddr::Socket(paths.path(port.saturating_sub(self.first_port)).into())
            }
            None => InstanceAddr::Port(SocketAddr::new(self.instance_ip, port)),
        }
    }

    /// Every slot, ascending.
    pub fn slots(&self) -> impl Iterator<Item = Slot> + use<> {
        (0..self.instances.get()).map(Slot)
    }
}
