//! What consoles see: the core's view with the figures of the proxy beside it, complete each time.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use smoothserve_protocol::event::EventKind;
use smoothserve_protocol::id::{OperationId, Revision, RunId, ServiceName};
use smoothserve_protocol::snapshot::{
    DaemonView, InstanceState, InstanceView, Ledger, Receipt, ServiceDetail, ServiceState,
    Snapshot, Traffic,
};
use tokio::sync::watch;

use super::canary;
use super::configuration::Problems;
use super::drain;
use super::journal::unix_ms;
use super::measures::{Measures, RunMeasures, ServiceMeasures, Turns};
use super::meter::{Figures, Meter};
use super::remarks::remarks;
use super::usage;
use crate::proxy::{Endpoint, Proxy, ServiceProxy};

/// Receipts shown of each service.
pub(super) const RECEIPTS: usize = 5;

/// What does not change while the daemon runs.
#[derive(Clone, Debug)]
pub(crate) struct Fixed {
    pub version: &'static str,
    pub host: String,
    pub config: String,
    pub started: Instant,
}

/// One service's share.
struct ServiceFigures {
    proxy: Arc<ServiceProxy>,
    meter: Meter,
    receipts: VecDeque<Receipt>,
    /// Requests that runs of earlier had sent again because a kept connection was closed.
    sent_again: u64,
    opened: Option<Opened>,
    turns: Turns,
}

/// The counts as they were when the operation under way began.
struct Opened {
    operation: OperationId,
    ledger: Ledger,
    sent_again: u64,
}

impl ServiceFigures {
    fn new(proxy: Arc<ServiceProxy>) -> Self {
        let (meter, receipts) = (Meter::default(), VecDeque::new());
        Self { proxy, meter, receipts, sent_again: 0, opened: None, turns: Turns::default() }
    }
}

/// One run's share.
struct RunFigures {
    service: ServiceName,
    endpoint: Arc<Endpoint>,
    meter: Meter,
    drain_began_with: u32,
    used: Option<usage::Figures>,
}

/// Adds figures to views, and tells consoles.
pub(super) struct Publisher {
    fixed: Fixed,
    proxy: Arc<Proxy>,
    services: BTreeMap<ServiceName, ServiceFigures>,
    runs: HashMap<RunId, RunFigures>,
    problems: Problems,
    snapshots: watch::Sender<Arc<Snapshot>>,
}

impl Publisher {
    pub(super) fn new(
        fixed: Fixed,
        proxy: Arc<Proxy>,
        services: impl IntoIterator<Item = (ServiceName, Arc<ServiceProxy>)>,
    ) -> Self {
        let empty = Snapshot {
            revision: Revision::default(),
            daemon: DaemonView::default(),
            services: Vec::new(),
        };
        let services = services.into_iter().map(|(name, proxy)| (name, ServiceFigures::new(proxy)));
        Self {
            fixed,
            proxy,
            services: services.collect(),
            runs: HashMap::new(),
            problems: Problems::default(),
            snapshots: watch::Sender::new(Arc::new(empty)),
        }
    }

    pub(super) fn snapshots(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.snapshots.subscribe()
    }

    /// The snapshot published last.
    pub(super) fn newest(&self) -> Arc<Snapshot> {
        Arc::clone(&self.snapshots.borrow())
    }

    pub(super) fn add_service(&mut self, name: ServiceName, proxy: Arc<ServiceProxy>) {
        self.services.insert(name, ServiceFigures::new(proxy));
    }

    /// What is wrong with the configuration on disk, as it is shown.
    pub(super) fn problems(&self) -> &Problems {
        &self.problems
    }

    pub(super) fn show_problems(&mut self, problems: Problems) {
        self.problems = problems;
    }

    pub(super) fn remove_service(&mut self, name: &ServiceName) {
        self.services.remove(name);
    }

    /// Takes over the receipts of earlier daemons.
    pub(super) fn recall(&mut self, mut receipts: BTreeMap<ServiceName, VecDeque<Receipt>>) {
        for (name, figures) in &mut self.services {
            figures.receipts = receipts.remove(name).unwrap_or_default();
        }
    }

    pub(super) fn add_run(&mut self, run: RunId, service: &ServiceName, endpoint: Arc<Endpoint>) {
        if let Some(figures) = self.services.get_mut(service) {
            figures.turns.launched += 1;
        }
        let (service, meter) = (service.clone(), Meter::default());
        let figures = RunFigures { service, endpoint, meter, drain_began_with: 0, used: None };
        self.runs.insert(run, figures);
    }

    /// Counts what happened to a service.
    pub(super) fn count(&mut self, service: &ServiceName, kind: &EventKind) {
        if let Some(figures) = self.services.get_mut(service) {
            figures.turns.note(kind);
        }
    }

    pub(super) fn remove_run(&mut self, run: RunId) {
        let Some(gone) = self.runs.remove(&run) else { return };
        if let Some(figures) = self.services.get_mut(&gone.service) {
            figures.sent_again += gone.endpoint.sent_again();
        }
    }

    pub(super) fn drain_began(&mut self, run: RunId, with: u32) {
        if let Some(figures) = self.runs.get_mut(&run) {
            figures.drain_began_with = with;
        }
    }

    /// What a run uses of processor and memory.
    pub(super) fn used(&mut self, run: RunId, used: usage::Figures) {
        if let Some(figures) = self.runs.get_mut(&run) {
            figures.used = Some(used);
        }
    }

    /// Notes the counts at the beginning of an operation.
    pub(super) fn open(&mut self, service: &ServiceName, operation: OperationId) {
        let sent_again = self.sent_again(service);
        if let Some(figures) = self.services.get_mut(service) {
            let ledger = figures.proxy.ledger();
            figures.opened = Some(Opened { operation, ledger, sent_again });
            figures.proxy.forget_waits();
        }
    }

    /// What was counted since the operation began.
    pub(super) fn ledger_of(&self, service: &ServiceName) -> Ledger {
        let Some(figures) = self.services.get(service) else { return Ledger::default() };
        let now = figures.proxy.ledger();
        figures.opened.as_ref().map_or(now, |before| now.since(&before.ledger))
    }

    /// Requests sent again because a kept connection was closed, since the daemon started. Less
    /// than before when a run falls: its connections were not closed early.
    fn sent_again(&self, service: &ServiceName) -> u64 {
        let gone = self.services.get(service).map_or(0, |figures| figures.sent_again);
        let here = self.runs.values().filter(|run| run.service == *service);
        gone + here.map(|run| run.endpoint.sent_again()).sum::<u64>()
    }

    /// Completes a receipt, shows it from now on, and gives it back.
    pub(super) fn close(&mut self, mut receipt: Receipt) -> Receipt {
        receipt.ledger = self.ledger_of(&receipt.service);
        receipt.unix_ms = unix_ms();
        let sent_again = self.sent_again(&receipt.service);
        if let Some(figures) = self.services.get_mut(&receipt.service) {
            let before = figures.opened.take().map_or(sent_again, |opened| opened.sent_again);
            let sent_again = sent_again.saturating_sub(before);
            receipt.remarks = remarks(&receipt, &figures.proxy.config(), sent_again);
            let slowest = figures.proxy.slowest_wait();
            receipt.slowest_held_us = slowest.map(|wait| wait.as_micros() as u64);
            figures.receipts.truncate(RECEIPTS - 1);
            figures.receipts.push_front(receipt.clone());
        }
        receipt
    }

    /// The completed receipt of an operation.
    pub(super) fn receipt(&self, like: &Receipt) -> Receipt {
        let kept = self.services.get(&like.service).and_then(|figures| {
            figures.receipts.iter().find(|kept| kept.operation == like.operation)
        });
        kept.unwrap_or(like).clone()
    }

    /// Requests that a rollout that has ended lost.
    pub(super) fn lost_in(&self, service: &ServiceName, operation: OperationId) -> u64 {
        let kept = self.services.get(service).and_then(|figures| {
            figures.receipts.iter().find(|receipt| receipt.operation == operation)
        });
        kept.map_or(0, |receipt| receipt.ledger.all_lost())
    }

    /// Everything that is measured, without reading any of it.
    pub(super) fn measures(&self) -> Measures {
        let mut runs: HashMap<&ServiceName, Vec<RunMeasures>> = HashMap::new();
        for run in self.runs.values() {
            let measures = RunMeasures::new(&run.endpoint, run.used);
            runs.entry(&run.service).or_default().push(measures);
        }
        let services = self.services.iter().map(|(name, figures)| {
            let mut runs = runs.remove(name).unwrap_or_default();
            runs.sort_by_key(|run| {
                let launched = run.endpoint.launched();
                (launched.slot, launched.generation, launched.run)
            });
            let (name, proxy) = (name.clone(), Arc::clone(&figures.proxy));
            ServiceMeasures { name, proxy, turns: figures.turns, runs }
        });
        Measures { snapshot: self.newest(), services: services.collect() }
    }

    /// Reads all counters; once a second.
    pub(super) fn sample(&mut self, now: Instant) {
        for figures in self.services.values_mut() {
            figures.meter.sample(now, figures.proxy.traffic());
        }
        for figures in self.runs.values_mut() {
            figures.meter.sample(now, figures.endpoint.traffic());
        }
    }

    /// Makes the newest snapshot of `views`, and lets it be seen.
    pub(super) fn publish(
        &self,
        now: Instant,
        revision: Revision,
        stopping: bool,
        mut views: Vec<ServiceDetail>,
    ) {
        for view in &mut views {
            self.complete(view, now);
        }
        let daemon = self.daemon(now, stopping, &views);
        self.snapshots.send_replace(Arc::new(Snapshot { revision, daemon, services: views }));
    }

    fn complete(&self, view: &mut ServiceDetail, now: Instant) {
        // Both are by slot.
        for (instance, pip) in view.instances.iter_mut().zip(&mut view.row.pips) {
            self.complete_instance(instance, now);
            pip.state = instance.state;
        }
        view.config_problem = self.problems.of_service(&view.row.name).cloned();
        view.row.stale_config = view.config_problem.is_some();
        let Some(figures) = self.services.get(&view.row.name) else { return };
        view.ledger = figures.proxy.ledger();
        view.receipts = figures.receipts.iter().cloned().collect();
        if let Some(operation) = &mut view.operation {
            operation.ledger = match &figures.opened {
                Some(opened) if opened.operation == operation.summary.id => {
                    view.ledger.since(&opened.ledger)
                }
                _ => Ledger::default(),
            };
            let meter = |run| self.runs.get(&run).map(|figures| &figures.meter);
            operation.canary =
                canary::side_by_side(&view.instances, operation.from, operation.to, meter);
        }
        let Figures { milli_rps, p50_us, p99_us, errors_ppm } = figures.meter.figures();
        view.row.traffic = Traffic {
            in_flight: view.ledger.in_flight,
            held: figures.proxy.held_now(),
            tunnels: figures.proxy.tunnels_now(),
            milli_rps,
            p50_us,
            p99_us,
            errors_ppm,
            lost: view.ledger.all_lost(),
        };
    }

    fn complete_instance(&self, instance: &mut InstanceView, now: Instant) {
        let Some(figures) = instance.run.and_then(|run| self.runs.get(&run)) else { return };
        let inside = figures.endpoint.inside();
        instance.in_flight = inside.requests;
        instance.tunnels = inside.tunnels;
        if instance.state == InstanceState::Ready && figures.endpoint.is_left_out() {
            instance.state = InstanceState::Unhealthy;
        }
        if let Some(drain) = &mut instance.drain {
            drain.began_with = figures.drain_began_with;
            drain.blockers = figures.endpoint.blockers(now, drain::NAMED);
        }
        let measured = figures.meter.figures();
        instance.milli_rps = measured.milli_rps;
        instance.p50_us = measured.p50_us;
        instance.p99_us = measured.p99_us;
        instance.errors_ppm = measured.errors_ppm;
        instance.cpu_permille = figures.used.and_then(|used| used.cpu_permille);
        instance.rss_bytes = figures.used.map(|used| used.rss_bytes);
    }

    fn daemon(&self, now: Instant, stopping: bool, views: &[ServiceDetail]) -> DaemonView {
        let wanted = views.iter().filter(|view| view.row.state != ServiceState::Stopped);
        let (mut ready, mut wanted_count) = (0, 0);
        for view in wanted {
            wanted_count += view.instances.len() as u32;
            ready +=
                view.instances.iter().filter(|i| i.up_ms.is_some() && i.drain.is_none()).count()
                    as u32;
        }
        DaemonView {
            version: self.fixed.version.to_owned(),
            pid: std::process::id(),
            host: self.fixed.host.clone(),
            config: self.fixed.config.clone(),
            uptime_ms: now.duration_since(self.fixed.started).as_millis() as u64,
            unix_ms: unix_ms(),
            stopping,
            ready,
            wanted: wanted_count,
            traffic: sum(views),
            rejected: self.proxy.rejected(),
            config_problem: self.problems.of_daemon(),
        }
    }
}

/// All services together. The percentiles are those of the slowest service: percentiles do not add
/// up, and the slowest is the one to look at.
fn sum(views: &[ServiceDetail]) -> Traffic {
    let mut all = Traffic::default();
    let mut errors = 0;
    for Traffic { in_flight, held, tunnels, milli_rps, p50_us, p99_us, errors_ppm, lost } in
        views.iter().map(|view| view.row.traffic)
    {
        all.in_flight += in_flight;
        all.held += held;
        all.tunnels += tunnels;
        all.milli_rps += milli_rps;
        all.p50_us = all.p50_us.max(p50_us);
        all.p99_us = all.p99_us.max(p99_us);
        errors += milli_rps * u64::from(errors_ppm);
        all.lost += lost;
    }
    all.errors_ppm = errors.checked_div(all.milli_rps).unwrap_or(0) as u32;
    all
}
