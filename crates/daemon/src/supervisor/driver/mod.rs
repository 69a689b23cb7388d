//! The one task that owns the core: takes inputs, carries out effects, tells consoles.
//!
//! It never waits for anything but the next input: what takes time is a task of its own that
//! reports back.

mod answers;
mod runs;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use smoothserve_protocol::event::EventKind;
use smoothserve_protocol::id::{RunId, ServiceName, Slot};
use smoothserve_protocol::message::{Done, Refusal};
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;
use tokio::time::{MissedTickBehavior, interval, sleep_until};

use super::configuration::{Configuration, Problems};
use super::drain::Door;
use super::journal::Journal;
use super::output::Outputs;
use super::process::Launch;
pub(crate) use super::publish::Fixed;
use super::publish::Publisher;
use super::usage::{self, Purpose, Usage};
use super::{Handle, History, Inbox, Inspector, Message, Past, Records, meter};
use crate::config::{InstanceAddr, Liveness, OutputConfig, ServiceConfig};
use crate::core::{Effect, Input, ShutdownTimes, Signal, Supervisor, Ticket};
use crate::proxy::{Endpoint, Proxy, ServiceProxy};

/// Two snapshots are at least so far apart, however fast things change.
const PUBLISH: Duration = Duration::from_millis(25);
/// While somebody looks, figures are fresh to a tenth of a second.
const LOOK: Duration = Duration::from_millis(100);

/// Owns the core.
pub(crate) struct Driver {
    core: Supervisor,
    inbox: mpsc::UnboundedReceiver<Message>,
    reports: Inbox,
    services: BTreeMap<ServiceName, Arc<ServiceProxy>>,
    runs: HashMap<RunId, Run>,
    records: Records,
    outputs: Arc<Outputs>,
    inspector: Inspector,
    waiting: HashMap<Ticket, Waiting>,
    last_ticket: u64,
    proxy: Arc<Proxy>,
    publisher: Publisher,
    usage: Usage,
    published: Option<Instant>,
    journal: Arc<Journal>,
    history: History,
    watchers: Arc<AtomicUsize>,
    halted: bool,
}

/// What is kept on disk.
pub(crate) struct Disk {
    /// Of what runs.
    pub records: Records,
    /// Of restarts that have ended.
    pub history: History,
    /// Of what instances print.
    pub output: Option<OutputConfig>,
    /// What watched files hold.
    pub inspector: Inspector,
}

/// Somebody who asked for something.
struct Waiting {
    /// The service it is about.
    service: Option<ServiceName>,
    answer: oneshot::Sender<Result<Done, Refusal>>,
}

/// What the shell holds of a run.
struct Run {
    service: ServiceName,
    slot: Slot,
    /// As it was launched.
    config: Arc<ServiceConfig>,
    addr: InstanceAddr,
    endpoint: Arc<Endpoint>,
    door: Door,
    /// To the task that owns the process.
    signals: mpsc::UnboundedSender<Signal>,
    leader: Option<u32>,
    /// Asks whether it answers yet.
    probe: Option<AbortHandle>,
    /// Asks whether it still does, from when it is first chosen on.
    /// It may be chosen, or was.
    routed: bool,
    /// Who asks whether it still answers, and how.
    liveness: Option<(Liveness, AbortHandle)>,
}

impl Driver {
    /// A driver of `services`, nothing started yet, and the handle that reaches it.
    pub(crate) fn new(
        fixed: Fixed,
        proxy: Arc<Proxy>,
        services: Vec<(Arc<ServiceConfig>, Arc<ServiceProxy>)>,
        disk: Disk,
        shutdown_times: ShutdownTimes,
    ) -> (Self, Handle) {
        let Disk { records, history, output, inspector } = disk;
        let (sender, inbox) = mpsc::unbounded_channel();
        let reports = Inbox(sender);
        let configs = services.iter().map(|(config, _)| Arc::clone(config));
        let core = Supervisor::new(configs, shutdown_times, Instant::now());
        let proxies = services.iter().map(|(c, proxy)| (c.name.clone(), Arc::clone(proxy)));
        let publisher = Publisher::new(fixed, Arc::clone(&proxy), proxies);
        let journal = Arc::new(Journal::new());
        let warned = Arc::clone(&journal);
        let warn = move |text| warned.note(None, None, EventKind::Warning { text });
        let outputs = Outputs::new(output, warn);
        let watchers = Arc::new(AtomicUsize::new(0));
        let handle = Handle {
            inbox: reports.clone(),
            snapshots: publisher.snapshots(),
            journal: Arc::clone(&journal),
            history: history.clone(),
            outputs: Arc::clone(&outputs),
            watchers: Arc::clone(&watchers),
        };
        let driver = Self {
            core,
            inbox,
            reports,
            services: services.into_iter().map(|(c, proxy)| (c.name.clone(), proxy)).collect(),
            runs: HashMap::new(),
            records,
            outputs,
            inspector,
            waiting: HashMap::new(),
            last_ticket: 0,
            proxy,
            publisher,
            usage: Usage::default(),
            published: None,
            journal,
            history,
            watchers,
            halted: false,
        };
        (driver, handle)
    }

    /// Takes over what earlier daemons knew. To be called before [`run`](Self::run).
    pub(crate) fn recall(&mut self, past: Past) {
        let Past { receipts, turns, last_operation } = past;
        self.core.recall(last_operation, turns);
        self.publisher.recall(receipts);
    }

    /// Starts what is enabled, and goes on until everything has been stopped.
    pub(crate) async fn run(mut self) {
        self.note_start();
        self.core.boot(Instant::now());
        let mut sample = interval(meter::SAMPLE);
        let mut look = interval(LOOK);
        for ticks in [&mut sample, &mut look] {
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        }
        let mut stale = true;
        while !self.halted {
            stale |= self.perform_all();
            if stale && self.may_publish() {
                self.publish();
                stale = false;
            }
            let due = self.core.poll_timeout();
            let unseen = stale.then(|| self.published.map(|at| at + PUBLISH)).flatten();
            tokio::select! {
                biased;
                () = until(due), if due.is_some() => self.core.handle_timeout(Instant::now()),
                message = self.inbox.recv() => {
                    // The driver holds a sender itself, so the channel never closes.
                    let Some(message) = message else { return };
                    self.take(message);
                    // What came together is seen together.
                    while let Ok(message) = self.inbox.try_recv() {
                        self.perform_all();
                        self.take(message);
                    }
                    stale = true;
                }
                () = until(unseen), if unseen.is_some() => {}
                _ = sample.tick() => {
                    self.publisher.sample(Instant::now());
                    self.read_usage();
                    stale = true;
                }
                _ = look.tick(), if self.is_watched() => stale = true,
            }
        }
        self.publish();
        self.outputs.flush().await;
    }

    fn is_watched(&self) -> bool {
        self.watchers.load(Ordering::Relaxed) > 0
    }

    fn may_publish(&self) -> bool {
        self.published.is_none_or(|at| at.elapsed() >= PUBLISH)
    }

    fn publish(&mut self) {
        let now = Instant::now();
        let (revision, stopping) = (self.core.revision(), self.core.is_stopping());
        self.publisher.publish(now, revision, stopping, self.core.view(now));
        self.published = Some(now);
    }

    fn take(&mut self, message: Message) {
        let now = Instant::now();
        match message {
            Message::Ask(command, answer) => {
                self.last_ticket += 1;
                let ticket = Ticket(self.last_ticket);
                let service = command.service().cloned();
                self.waiting.insert(ticket, Waiting { service, answer });
                self.core.handle(now, Input::Command { ticket, command });
            }
            Message::Look(show) => {
                self.publish();
                // Whoever looked may have gone.
                let _ = show.send(self.publisher.newest());
            }
            Message::Measure(show) => {
                // As above.
                let _ = show.send(self.publisher.measures());
            }
            Message::Warn(service, slot, text) => {
                self.journal.note(Some(service), Some(slot), EventKind::Warning { text });
            }
            Message::Used(reading) => self.take_usage(now, reading),
            Message::Configure(configuration) => self.configure(now, *configuration),
            Message::Problems(problems) => self.tell_problems(problems),
            Message::Input(input) => {
                self.note_process(&input);
                self.core.handle(now, input);
            }
        }
    }

    /// Has what the runs use read, when it is time to.
    fn read_usage(&mut self) {
        let Some(purpose) = self.usage.due(self.is_watched()) else { return };
        let leaders = self.runs.iter().filter_map(|(id, run)| Some((run.leader? as i32, *id)));
        let groups: HashMap<i32, RunId> = leaders.collect();
        let reports = self.reports.clone();
        tokio::task::spawn_blocking(move || reports.put_usage(usage::read(&groups, purpose)));
    }

    fn take_usage(&mut self, now: Instant, reading: usage::Reading) {
        let (purpose, figures) = self.usage.take(reading);
        for (run, used) in figures {
            self.publisher.used(run, used);
            if purpose == Purpose::Steady {
                let rss_bytes = used.rss_bytes;
                self.core.handle(now, Input::MemoryUsed { run, rss_bytes });
            }
        }
    }

    /// Keeps what the shell knows of a run in step with what happened to it.
    fn note_process(&mut self, input: &Input) {
        match input {
            Input::Launched { run, pid } => {
                if let Some(run) = self.runs.get_mut(run) {
                    run.leader = Some(*pid);
                }
            }
            Input::Exited { run, .. } | Input::LaunchFailed { run, .. } => {
                if let Some(gone) = self.runs.remove(run) {
                    gone.endpoint.dead();
                    let liveness = gone.liveness.map(|(_, asking)| asking);
                    for asking in gone.probe.into_iter().chain(liveness) {
                        asking.abort();
                    }
                }
                self.publisher.remove_run(*run);
            }
            Input::Answering { .. }
            | Input::ProbeFailed { .. }
            | Input::Idle { .. }
            | Input::Unresponsive { .. }
            | Input::Responsive { .. }
            | Input::MemoryUsed { .. }
            | Input::Preflighted { .. }
            | Input::FilesChanged { .. }
            | Input::Inspected { .. }
            | Input::Command { .. }
            | Input::Configured(_)
            | Input::DoorsClosed => {}
        }
    }

    fn perform_all(&mut self) -> bool {
        let mut any = false;
        while let Some(effect) = self.core.poll_effect() {
            self.perform(effect);
            any = true;
        }
        any
    }

    /// Spawns or sends; never waits.
    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Launch { run, config, slot, port, generation } => {
                self.launch(Launch {
                    run,
                    config,
                    slot,
                    port,
                    generation,
                    records: self.records.clone(),
                    outputs: Arc::clone(&self.outputs),
                });
            }
            Effect::Probe { run } => self.probe(run),
            Effect::Route { service, runs, when_none } => {
                for run in &runs {
                    self.watch_liveness(*run);
                }
                self.route(&service, &runs, when_none);
            }
            Effect::Drain { run, drain } => self.drain(run, drain),
            Effect::Undrain { run } => self.undrain(run),
            Effect::EndTunnels { run } => self.with(run, |run| run.endpoint.end_tunnels()),
            Effect::Cut { run } => self.with(run, |run| run.endpoint.cut()),
            Effect::Signal { run, signal } => self.with(run, |run| {
                // The task is gone: the process is too, and the report of that is on its way.
                let _ = run.signals.send(signal);
            }),
            Effect::Preflight { config, operation } => self.preflight(config, operation),
            Effect::Inspect { config, inspection, files } => {
                self.inspector.inspect(&config, inspection, files, &self.reports);
            }
            Effect::OpenLedger { service, operation } => self.publisher.open(&service, operation),
            Effect::CloseLedger(receipt) => self.close_ledger(*receipt),
            Effect::Answer { ticket, result } => self.answer(ticket, result),
            Effect::Note { service, slot, kind } => {
                let kind = self.counted(service.as_ref(), slot, kind);
                if let Some(service) = &service {
                    self.publisher.count(service, &kind);
                }
                self.journal.note(service, slot, kind);
            }
            Effect::Unwelcome => self.proxy.unwelcome(),
            Effect::CloseDoors => self.close_doors(),
            Effect::CutDoors => self.proxy.cut_all(),
            Effect::Forget { service } => self.forget(&service),
            Effect::Halt => self.halted = true,
        }
    }

    fn with(&self, run: RunId, act: impl FnOnce(&Run)) {
        if let Some(run) = self.runs.get(&run) {
            act(run);
        }
    }

    fn configure(&mut self, now: Instant, configuration: Configuration) {
        let Configuration { changes, services, shutdown_times, output, daemon, problems } =
            configuration;
        for (config, proxy) in services {
            if !self.services.contains_key(&config.name) {
                self.publisher.add_service(config.name.clone(), Arc::clone(&proxy));
                self.services.insert(config.name.clone(), proxy);
            }
        }
        self.outputs.keep(output);
        if !daemon.is_empty() {
            self.journal.note(None, None, EventKind::ConfigApplied { what: daemon });
        }
        self.tell_problems(problems);
        self.core.set_shutdown_times(shutdown_times);
        self.core.handle(now, Input::Configured(changes));
        let routed: Vec<RunId> =
            self.runs.iter().filter(|(_, run)| run.routed).map(|(id, _)| *id).collect();
        for run in routed {
            self.watch_liveness(run);
        }
    }

    /// What is new is an event; all of it is shown until it is mended.
    fn tell_problems(&mut self, problems: Problems) {
        for (service, problem) in problems.since(self.publisher.problems()) {
            let kind = EventKind::ConfigRejected { problem: problem.clone() };
            self.journal.note(service.cloned(), None, kind);
        }
        self.publisher.show_problems(problems);
    }

    fn forget(&mut self, service: &ServiceName) {
        self.services.remove(service);
        self.publisher.remove_service(service);
    }

    fn close_doors(&self) {
        self.proxy.close_doors();
        let (proxy, reports) = (Arc::clone(&self.proxy), self.reports.clone());
        // It ends at the latest when the core has the connections cut.
        tokio::spawn(async move {
            proxy.closed().await;
            reports.put(Input::DoorsClosed);
        });
    }

    fn note_start(&self) {
        let views = self.core.view(Instant::now());
        let instances = views.iter().map(|service| service.instances.len() as u32).sum();
        let kind = EventKind::DaemonStarted {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            services: self.services.len() as u32,
            instances,
        };
        self.journal.note(None, None, kind);
    }
}

async fn until(at: Option<Instant>) {
    if let Some(at) = at {
        sleep_until(at.into()).await;
    }
}
