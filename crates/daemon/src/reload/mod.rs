//! A new configuration while everything runs: read, compared, and made so.
//!
//! One task owns the configuration that is in force. Whatever can fail comes first: a file that is
//! wrong, a port that cannot be had. What follows cannot fail: routes are swapped, new listeners
//! serve, the supervisor is told, old listeners close.

mod renewal;
mod timing;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use smoothserve_protocol::id::ServiceName;
use smoothserve_protocol::plan::{ChangeKind, ReloadReport, ServicePlan};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

use self::renewal::{Found, Renewal};
use self::timing::{Gone, Quiet};
use crate::access_log::AccessLog;
use crate::bind::{ListenError, listen};
use crate::command::CommandPort;
use crate::config::{self, Changes, Colour, Config, Reloaded, ServiceConfig};
use crate::core::Reconfigure;
use crate::daemon::shutdown_times;
use crate::descriptors::client_places;
use crate::files::{self, ConfigWatcher, OwnFiles, Watcher};
use crate::metrics::MetricsPort;
use crate::proxy::{Choice, Proxy, RouteTable, ServiceProxy, WhenNone};
use crate::supervisor::{Configuration, Handle, Problems};

/// Requests of a new service wait so long for its first instance, until the supervisor says more.
const FIRST_HOLD: Duration = Duration::from_secs(30);
/// What may wait to be read again; one more adds nothing.
const QUEUE: usize = 64;

/// Reaches the task that reloads; cheap to clone.
#[derive(Clone)]
pub(crate) struct Reloads(mpsc::Sender<Ask>);

/// What is asked of the task that reloads.
pub(crate) struct Asks(mpsc::Receiver<Ask>);

enum Ask {
    /// Somebody wants it, and may wait for the report.
    Now { plan: bool, answer: Option<oneshot::Sender<ReloadReport>> },
    /// A file of the configuration has changed.
    Changed,
}

impl Reloads {
    /// The handle, and what comes in by it.
    pub(crate) fn new() -> (Self, Asks) {
        let (sender, asks) = mpsc::channel(QUEUE);
        (Self(sender), Asks(asks))
    }

    /// Reads the configuration again; with `plan`, only says what that would do. None when the
    /// daemon is on its way out.
    pub(crate) async fn reload(&self, plan: bool) -> Option<ReloadReport> {
        let (answer, answered) = oneshot::channel();
        self.0.send(Ask::Now { plan, answer: Some(answer) }).await.ok()?;
        answered.await.ok()
    }

    /// The same, for nobody who waits.
    pub(crate) fn order(&self) {
        // Full: as many reloads follow already.
        let _ = self.0.try_send(Ask::Now { plan: false, answer: None });
    }

    fn changed(&self) {
        // Full: whatever is in the queue will see this change too.
        let _ = self.0.try_send(Ask::Changed);
    }
}

/// Owns the configuration in force.
pub(crate) struct Reloader {
    pub config: Config,
    pub proxy: Arc<Proxy>,
    /// Those of services that are gone as well: one that comes back finds its counts.
    pub proxies: BTreeMap<ServiceName, Arc<ServiceProxy>>,
    pub supervisor: Handle,
    pub command: CommandPort,
    pub metrics: MetricsPort,
    pub access_log: AccessLog,
    pub watcher: Arc<Watcher>,
    pub handle: Reloads,
}

/// Where the configuration lies.
type Place = (PathBuf, PathBuf);

/// Sockets that are bound and not in use yet.
struct Bound {
    command: Option<TcpListener>,
    /// Where the metrics port moves, if it does; there may be none any more.
    metrics: Option<Option<TcpListener>>,
    listeners: Vec<(SocketAddr, TcpListener)>,
}

impl Reloader {
    /// Serves until whoever spawned it ends it; the daemon's exit does.
    pub(crate) async fn run(mut self, Asks(mut asks): Asks) {
        let (mut place, mut _watching) = self.watch_files();
        let (mut quiet, mut gone) = (Quiet::default(), Gone::default());
        let (mut renewal, mut look_at) = (Renewal::default(), Instant::now());
        loop {
            let due = quiet.due;
            tokio::select! {
                ask = asks.recv() => match ask {
                    Some(Ask::Now { plan, answer }) => {
                        if !plan {
                            (quiet, gone) = (Quiet::default(), Gone::default());
                        }
                        let report = self.reload(plan, None).await;
                        renewal.begin_anew();
                        if let Some(answer) = answer {
                            // Whoever asked may have gone; it is done all the same.
                            let _ = answer.send(report);
                        }
                    }
                    Some(Ask::Changed) => quiet.changed(Instant::now()),
                    None => return,
                },
                () = until(due), if due.is_some() => {
                    quiet.over();
                    self.reload(false, Some(&mut gone)).await;
                    renewal.begin_anew();
                    if let Some(at) = gone.due() {
                        quiet.again_at(at);
                    }
                }
                () = sleep_until(look_at) => {
                    renewal = self.renew(renewal).await;
                    look_at = Instant::now() + renewal::PAUSE;
                }
            }
            if place != self.place() {
                (place, _watching) = self.watch_files();
            }
        }
    }

    /// Takes certificates that were renewed.
    async fn renew(&mut self, mut renewal: Renewal) -> Renewal {
        if self.config.tls.is_empty() {
            return renewal;
        }
        let listeners = self.config.tls.clone();
        let look = tokio::task::spawn_blocking(move || {
            let found = renewal.look(&listeners);
            (renewal, found)
        });
        // It ends early only when the daemon does.
        let Ok((renewal, Found { renewed, news, warnings })) = look.await else {
            return Renewal::default();
        };
        if let Some(renewed) = renewed {
            self.proxy.secure(&renewed);
            self.config.tls = renewed;
        }
        for line in news {
            tracing::info!("{line}");
        }
        for warning in warnings {
            self.supervisor.warn(None, warning);
        }
        renewal
    }

    fn place(&self) -> Place {
        (self.config.services_dir.clone(), self.config.source.clone())
    }

    fn watch_files(&self) -> (Place, ConfigWatcher) {
        let ((folder, main), handle) = (self.place(), self.handle.clone());
        let watching = files::watch_config(folder, main, move |_| handle.changed());
        (self.place(), watching)
    }

    /// With `gone`, a service whose file was removed is given time to come back.
    async fn reload(&mut self, plan: bool, gone: Option<&mut Gone>) -> ReloadReport {
        if !plan {
            // Whatever the configuration says: the file may have been moved away.
            self.access_log.reopen();
        }
        let (source, running) = (self.config.source.clone(), self.config.clone());
        let read = tokio::task::spawn_blocking(move || config::reload(&source, &running));
        let Reloaded { config: mut next, rejected } = match read.await {
            Ok(Ok(reloaded)) => reloaded,
            Ok(Err(errors)) => return self.refuse(plan, errors.render(Colour::Never)),
            Err(error) => return self.refuse(plan, format!("error: {error}")),
        };
        if let Some(gone) = gone {
            gone.spare(&self.config, &mut next, Instant::now());
        }
        let changes = config::changes(&self.config, &next);
        let mut problems = Problems::default();
        for rejected in rejected {
            problems.add(rejected.service, rejected.rendered);
        }
        let report = ReloadReport {
            applied: !plan,
            problems: problems.all(),
            daemon: changes.daemon.clone(),
            services: changes.services.clone(),
            unchanged: changes.unchanged,
        };
        if plan {
            return report;
        }
        match self.bind(&next) {
            Ok(bound) => self.apply(next, changes, bound, problems).await,
            Err(error) => return self.refuse(plan, format!("error: {error}")),
        }
        report
    }

    /// Nothing is changed.
    fn refuse(&self, plan: bool, problem: String) -> ReloadReport {
        if !plan {
            let mut problems = Problems::default();
            problems.add(None, problem.clone());
            self.supervisor.tell_problems(problems);
        }
        ReloadReport { problems: vec![problem], ..ReloadReport::default() }
    }

    /// Binds what `next` listens on and the present configuration does not.
    fn bind(&self, next: &Config) -> Result<Bound, ListenError> {
        let command = if next.command == self.config.command {
            None
        } else {
            Some(listen("CommandPort", next.command)?)
        };
        let metrics = if next.metrics == self.config.metrics {
            None
        } else {
            Some(next.metrics.map(|addr| listen("metrics", addr)).transpose()?)
        };
        let old = self.config.listeners();
        let new = next.listeners().into_iter().filter(|addr| !old.contains(addr));
        let listeners = new.map(|addr| Ok((addr, listen("port", addr)?)));
        Ok(Bound { command, metrics, listeners: listeners.collect::<Result<_, _>>()? })
    }

    async fn apply(&mut self, next: Config, changes: Changes, bound: Bound, problems: Problems) {
        let now_listening = next.listeners();
        let left: Vec<SocketAddr> =
            self.config.listeners().into_iter().filter(|a| !now_listening.contains(a)).collect();
        let proxies = self.dress(&next);
        let table = RouteTable::new(proxies.clone()).answering(next.ready_path.as_deref());
        self.proxy.swap(table, &left);
        self.proxy.trust(next.trust.clone());
        self.proxy.secure(&next.tls);
        self.proxy.lead_to_https(&next.https, &left);
        self.proxy.limit(client_places(&next), &next.clients);
        for (addr, listener) in bound.listeners {
            self.proxy.serve(addr, listener);
        }
        let own = Arc::new(OwnFiles::of(&next));
        self.supervisor.configure(Configuration {
            changes: reconfigures(&next, changes.services),
            services: proxies,
            shutdown_times: shutdown_times(&next),
            output: next.output.clone(),
            daemon: changes.daemon,
            problems,
        });
        if next.access_log != self.config.access_log {
            self.access_log.keep(next.access_log.clone());
        }
        for addr in left {
            self.proxy.leave(addr);
        }
        if let Some(listener) = bound.command {
            self.command.move_to(listener);
        }
        if let Some(listener) = bound.metrics {
            self.metrics.move_to(listener);
        }
        let (watcher, services) = (Arc::clone(&self.watcher), next.services.clone());
        self.config = next;
        // It ends early only when the daemon does.
        let _ = tokio::task::spawn_blocking(move || watcher.update(&services, &own)).await;
    }

    /// The proxy's side of every service of `next`.
    fn dress(&mut self, next: &Config) -> Vec<(Arc<ServiceConfig>, Arc<ServiceProxy>)> {
        let is_new =
            |name: &ServiceName| self.config.services.iter().all(|service| service.name != *name);
        let added: BTreeSet<ServiceName> =
            next.services.iter().map(|s| s.name.clone()).filter(|name| is_new(name)).collect();
        let mut all = Vec::new();
        for config in &next.services {
            let proxy = self.proxies.entry(config.name.clone());
            let proxy = proxy.or_insert_with(|| ServiceProxy::new(Arc::clone(config)));
            proxy.reconfigure(Arc::clone(config));
            if config.enabled && added.contains(&config.name) {
                // Its routes are in force before it is: who comes in between waits.
                let when_none = WhenNone::Hold(FIRST_HOLD);
                proxy.offer(Choice { endpoints: Vec::new(), when_none });
            }
            all.push((Arc::clone(config), Arc::clone(proxy)));
        }
        all
    }
}

/// What the supervisor is to do; whoever goes does so first, since ports may change hands.
fn reconfigures(next: &Config, plans: Vec<ServicePlan>) -> Vec<Reconfigure> {
    let find = |name: &ServiceName| next.services.iter().find(|service| service.name == *name);
    let (removed, others): (Vec<_>, Vec<_>) =
        plans.into_iter().partition(|plan| plan.kind == ChangeKind::Removed);
    let removed = removed.into_iter().map(|plan| Reconfigure::Remove(plan.service));
    let others = others.into_iter().filter_map(|ServicePlan { service, kind, what }| {
        let config = Arc::clone(find(&service)?);
        Some(match kind {
            ChangeKind::Added => Reconfigure::Add(config),
            ChangeKind::Live | ChangeKind::Scale | ChangeKind::Restart | ChangeKind::Removed => {
                Reconfigure::Change { config, kind, what }
            }
        })
    });
    removed.chain(others).collect()
}

async fn until(at: Option<Instant>) {
    if let Some(at) = at {
        sleep_until(at).await;
    }
}
