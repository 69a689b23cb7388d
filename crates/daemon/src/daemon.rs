//! The wiring, and only the wiring: bind everything, start everything, wait for the end.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use smoothserve_protocol::snapshot::{OperationKind, Snapshot};
use tokio::net::TcpListener;
use tokio::time::timeout;

use crate::access_log::AccessLog;
use crate::bind::{ListenError, listen};
use crate::command::{CommandPort, TokenError, TokenFile};
use crate::config::{Config, ServiceConfig};
use crate::core::{Input, ShutdownTimes};
use crate::descriptors::client_places;
use crate::files::{self, OwnFiles, Watcher};
use crate::metrics::MetricsPort;
use crate::proxy::{Proxy, RouteTable, ServiceProxy};
use crate::reload::{Reloader, Reloads};
use crate::signal;
use crate::supervisor::{
    Disk, Driver, Fixed, Handle, Inspector, Lock, LockError, Records, open_history,
};

/// The receipts of what ended last are written within this time, or not at all.
const LAST_RECEIPTS: Duration = Duration::from_secs(5);
/// Why the daemon could not begin.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// A port cannot be listened on.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// Another daemon runs with this state folder.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The command port cannot be protected.
    #[error(transparent)]
    Token(#[from] TokenError),
}

/// What runs beside the daemon's own work.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Write the bound addresses there, as one line of JSON, once everything was started.
    pub ready_file: Option<PathBuf>,
    /// Shut down when standard input ends.
    pub exit_with_stdin: bool,
}

/// A daemon that holds all its sockets and has started nothing yet.
pub struct Daemon {
    config: Config,
    lock: Lock,
    token: TokenFile,
    command: TcpListener,
    metrics: Option<TcpListener>,
    listeners: BTreeMap<SocketAddr, TcpListener>,
}

impl Daemon {
    /// Takes the lock of the state folder, and binds the command port and every listener. To be
    /// called in a tokio runtime.
    ///
    /// # Errors
    /// When one of them cannot be had; then none is kept.
    pub fn bind(config: Config) -> Result<Self, BindError> {
        let lock = Lock::take(&config.state_dir)?;
        let token = TokenFile::open(&config.state_dir)?;
        let command = listen("CommandPort", config.command)?;
        let metrics = config.metrics.map(|addr| listen("metrics", addr)).transpose()?;
        let mut listeners = BTreeMap::new();
        for addr in config.listeners() {
            listeners.insert(addr, listen("port", addr)?);
        }
        Ok(Self { config, lock, token, command, metrics, listeners })
    }

    /// Where things listen: the command port, and for each configured address the bound one.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn addresses(&self) -> io::Result<Addresses> {
        let bound = self.listeners.iter();
        Ok(Addresses {
            command: self.command.local_addr()?,
            metrics: self.metrics.as_ref().map(TcpListener::local_addr).transpose()?,
            listeners: bound
                .map(|(addr, l)| Ok((*addr, l.local_addr()?)))
                .collect::<io::Result<_>>()?,
        })
    }

    /// Starts every enabled service, serves, and returns when everything has been stopped.
    ///
    /// # Errors
    /// When the system lets no signal handler be installed, or no thread be started.
    pub async fn run(self, options: Options) -> io::Result<()> {
        let addresses = self.addresses()?;
        // The lock goes when everything else has.
        let Self { config, lock: _lock, token, command, metrics, listeners } = self;
        let services: Vec<(Arc<ServiceConfig>, Arc<ServiceProxy>)> = config
            .services
            .iter()
            .map(|service| (Arc::clone(service), ServiceProxy::new(Arc::clone(service))))
            .collect();
        let places = client_places(&config);
        let table = RouteTable::new(services.clone()).answering(config.ready_path.as_deref());
        let proxy = Proxy::new(table, places, &config.clients);
        proxy.trust(config.trust.clone());
        proxy.secure(&config.tls);
        proxy.lead_to_https(&config.https, &[]);
        let proxies = services.iter().map(|(c, proxy)| (c.name.clone(), Arc::clone(proxy)));
        let proxies = proxies.collect();
        let fixed = Fixed {
            version: env!("CARGO_PKG_VERSION"),
            host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
            config: config.source.display().to_string(),
            started: Instant::now(),
        };
        // Clients that come meanwhile wait in the queues of the listeners.
        let records = Records::new(&config.state_dir);
        records.end_leftovers().await;
        let (history, history_thread, past) = open_history(&config.state_dir)?;
        let own = Arc::new(OwnFiles::of(&config));
        let inspector = Inspector::new(Arc::clone(&own));
        let disk = Disk { records, history, output: config.output.clone(), inspector };
        let limit = shutdown_times(&config);
        let (mut driver, supervisor) =
            Driver::new(fixed, Arc::clone(&proxy), services, disk, limit);
        driver.recall(past);

        let warned = supervisor.clone();
        let accesses = Arc::clone(proxy.accesses());
        let access_log = AccessLog::start(accesses, move |text| warned.warn(None, text))?;
        access_log.keep(config.access_log.clone());

        for (addr, listener) in listeners {
            proxy.serve(addr, listener);
        }
        let (reloads, asks) = Reloads::new();
        let mut command_port = CommandPort::new(token, supervisor.clone(), reloads.clone());
        command_port.move_to(command);
        let command_end = command_port.end();
        let mut metrics_port = MetricsPort::new(supervisor.clone(), Arc::clone(&proxy));
        metrics_port.move_to(metrics);
        let metrics_end = metrics_port.end();
        let signals = tokio::spawn(signal::pass_on(supervisor.clone(), reloads.clone()));
        let ready = tokio::spawn(announce(
            supervisor.clone(),
            Arc::clone(&proxy),
            addresses,
            options.ready_file,
        ));
        if options.exit_with_stdin {
            signal::watch_stdin(supervisor.clone());
        }
        let watcher = Arc::new(watch(&config, &own, &supervisor));
        let reloader = Reloader {
            config,
            proxy,
            proxies,
            supervisor,
            command: command_port,
            metrics: metrics_port,
            access_log,
            watcher: Arc::clone(&watcher),
            handle: reloads,
        };
        let reloading = tokio::spawn(reloader.run(asks));

        driver.run().await;
        drop(metrics_end);
        // A disk that does not answer must not keep the daemon.
        let _ = timeout(LAST_RECEIPTS, history_thread.end()).await;
        reloading.abort();
        // With it ends the access log, which has its last lines to write.
        let _ = reloading.await;
        drop(watcher);
        ready.abort();
        signals.abort();
        // It is bounded by itself.
        command_end.close().await;
        if let Ok(Err(error)) = signals.await {
            return Err(error);
        }
        Ok(())
    }
}

/// Watches the files of every service, and passes on what happens to them.
fn watch(config: &Config, own: &Arc<OwnFiles>, supervisor: &Handle) -> Watcher {
    let (to_change, to_warn) = (supervisor.clone(), supervisor.clone());
    files::watch(
        &config.services,
        own,
        move |service, path| {
            let (service, file) = (service.clone(), path.display().to_string());
            to_change.notify(Input::FilesChanged { service, file });
        },
        move |service, text| to_warn.warn(service, text),
    )
}

/// How long the configuration lets a shutdown take.
pub(crate) fn shutdown_times(config: &Config) -> ShutdownTimes {
    ShutdownTimes { delay: config.shutdown_delay, timeout: config.shutdown_timeout }
}

/// Where things listen.
#[derive(Clone, Debug)]
pub struct Addresses {
    /// The command port.
    pub command: SocketAddr,
    /// Where figures are read, if anywhere.
    pub metrics: Option<SocketAddr>,
    /// By configured address: the one that was bound, which differs where port 0 was asked for.
    pub listeners: BTreeMap<SocketAddr, SocketAddr>,
}

impl Addresses {
    /// One line of JSON. Addresses need no escaping.
    fn to_json(&self) -> String {
        let listeners: Vec<String> = self
            .listeners
            .iter()
            .map(|(asked, bound)| format!("\"{asked}\":\"{bound}\""))
            .collect();
        let metrics = self.metrics.map(|addr| format!("\"metrics\":\"{addr}\","));
        format!(
            "{{\"command\":\"{}\",{}\"listeners\":{{{}}},\"pid\":{}}}\n",
            self.command,
            metrics.unwrap_or_default(),
            listeners.join(","),
            std::process::id()
        )
    }
}

/// Tells systemd, and whoever waits for the file, when the first start of everything has ended.
async fn announce(
    supervisor: Handle,
    proxy: Arc<Proxy>,
    addresses: Addresses,
    ready_file: Option<PathBuf>,
) {
    let mut snapshots = supervisor.snapshots();
    if snapshots.wait_for(|snapshot| is_up(snapshot)).await.is_err() {
        return;
    }
    drop(snapshots);
    proxy.welcome();
    tracing::info!("serving; command port {}", addresses.command);
    if let Some(path) = ready_file
        && let Err(error) = write_whole(&path, &addresses.to_json())
    {
        tracing::error!("ready file {}: {error}", path.display());
    }
    // Nobody listens unless systemd started us.
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
}

fn is_up(snapshot: &Snapshot) -> bool {
    // The very first snapshot knows of no service yet.
    let starting = |service: &smoothserve_protocol::snapshot::ServiceDetail| {
        service.operation.as_ref().is_some_and(|o| o.summary.kind == OperationKind::Start)
    };
    snapshot.daemon.pid != 0 && !snapshot.services.iter().any(starting)
}

/// Whoever reads it never sees half of it.
fn write_whole(path: &Path, text: &str) -> io::Result<()> {
    let beside = path.with_extension("new");
    std::fs::write(&beside, text)?;
    std::fs::rename(beside, path)
}
