//! A simulated machine around the core: processes with scripted behaviour, clients, a clock that
//! jumps to the next thing that happens. One seed, one history.

mod scenarios;
mod scenarios_change;
mod scenarios_faults;
mod scenarios_operator;
mod scenarios_watch;
mod sweep;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU16;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use smoothserve_protocol::event::{Cause, EventKind};
use smoothserve_protocol::failure::{Exit, FailReason};
use smoothserve_protocol::id::{Generation, RunId, ServiceName, Slot};
use smoothserve_protocol::message::{Done, Refusal};
use smoothserve_protocol::plan::RestartOrder;
use smoothserve_protocol::snapshot::{InstanceState, ServiceDetail, ServiceState};

use super::instance::{Next, State};
use super::service::Work;
use super::{
    AnswerWhen, Command, DrainId, Effect, Input, InspectionId, ShutdownTimes, Signal, Supervisor,
    Ticket, Verdict, WhenNone,
};
use crate::config::{Limits, Readiness, Resources, ServiceConfig, StopSignal};

/// How the next builds of a service behave.
#[derive(Clone, Copy, Debug)]
pub(super) struct Build {
    boots_in: Duration,
    fate: Fate,
    /// None: ignores the stop signal.
    stops_in: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Serves,
    ExitsAtOnce(i32),
    NeverAnswers,
    DiesOnceReady(Duration),
    CannotBeLaunched,
}

/// How long a look at an executable takes.
const LOOK: Duration = Duration::from_secs(1);

const GOOD: Build = Build {
    boots_in: Duration::from_millis(300),
    fate: Fate::Serves,
    stops_in: Some(Duration::from_millis(20)),
};

fn broken(fate: Fate) -> Build {
    Build { fate, ..GOOD }
}

/// What the watched files of a service hold, as a number that stands for it.
#[derive(Clone, Copy, Debug, Default)]
struct Content {
    now: u32,
    /// What it was when the first run of `generation` began, or the only one.
    runs: u32,
    generation: Generation,
    written_until: Option<Instant>,
}

struct Process {
    service: ServiceName,
    slot: Slot,
    port: u16,
    content: u32,
    build: Build,
    in_flight: u32,
    tunnels: u32,
    closed: Option<DrainId>,
    was_cut: bool,
    was_routed: bool,
    answers: bool,
    exiting: bool,
}

/// The whole simulation.
pub(super) struct World {
    start: Instant,
    now: Instant,
    core: Supervisor,
    builds: BTreeMap<ServiceName, Build>,
    contents: BTreeMap<ServiceName, Content>,
    processes: BTreeMap<RunId, Process>,
    routes: BTreeMap<ServiceName, (Vec<RunId>, WhenNone)>,
    coming: BTreeMap<(Instant, u64), Coming>,
    order: u64,
    last_ticket: u64,
    answers: BTreeMap<Ticket, Option<Result<Done, Refusal>>>,
    preflight_problem: Option<String>,
    events: Vec<(Option<Slot>, EventKind)>,
    halted: bool,
    doors_closed: bool,
    /// Nobody told load balancers otherwise.
    pub(super) welcome: bool,
    dice: u64,
    trace: Vec<String>,
    /// Steps at one moment.
    spins: u32,
}

enum Coming {
    Input(Input),
    Inspected(ServiceName, InspectionId, Vec<String>),
    RequestEnds(RunId),
    Exit(RunId, Exit),
}

pub(crate) fn service(name: &str, instances: u16) -> ServiceConfig {
    ServiceConfig {
        source: PathBuf::from(format!("/etc/{name}.yaml")),
        name: ServiceName::new(name).unwrap(),
        listen: SocketAddr::from(([127, 0, 0, 1], 80)),
        routes: Vec::new(),
        is_default: true,
        edge: None,
        instance_ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
        first_port: 9000,
        sockets: None,
        instances: NonZeroU16::new(instances).unwrap(),
        executable: PathBuf::from("/bin/true"),
        args: Vec::new(),
        env: Vec::new(),
        env_file: None,
        working_dir: PathBuf::from("/"),
        enabled: true,
        auto_restart: true,
        watch: Vec::new(),
        ready: Readiness::Tcp,
        delay_running_time: Duration::ZERO,
        delay_update_time: Duration::from_secs(2),
        stop_signal: StopSignal::Term,
        watch_ignore: Vec::new(),
        watch_gitignore: true,
        upstream_protocol: crate::config::UpstreamProtocol::Http1,
        restart_order: RestartOrder::StopFirst,
        surge_port: 0,
        max_unavailable: NonZeroU16::MIN,
        liveness: None,
        run_as: None,
        resources: Resources::default(),
        requests: crate::config::RequestLimits::default(),
        limits: Limits::default(),
    }
}

fn name(text: &str) -> ServiceName {
    ServiceName::new(text).unwrap()
}

fn operator() -> Cause {
    Cause::Operator("ops@test".into())
}

impl World {
    pub(super) fn new(services: Vec<ServiceConfig>, seed: u64) -> Self {
        let now = Instant::now();
        let builds = services.iter().map(|s| (s.name.clone(), GOOD)).collect();
        let mut core = Supervisor::new(
            services.into_iter().map(Arc::new).collect::<Vec<_>>(),
            ShutdownTimes { delay: Duration::ZERO, timeout: Duration::from_secs(60) },
            now,
        );
        core.boot(now);
        let mut world = Self {
            start: now,
            now,
            core,
            builds,
            contents: BTreeMap::new(),
            processes: BTreeMap::new(),
            routes: BTreeMap::new(),
            coming: BTreeMap::new(),
            order: 0,
            last_ticket: 0,
            answers: BTreeMap::new(),
            preflight_problem: None,
            events: Vec::new(),
            halted: false,
            welcome: true,
            doors_closed: false,
            dice: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1,
            trace: Vec::new(),
            spins: 0,
        };
        world.perform_all();
        world
    }

    fn build(&mut self, service: &str, build: Build) {
        self.builds.insert(name(service), build);
    }

    // ---- files ----------------------------------------------------------------------------

    /// Something that is watched now holds something new.
    fn change(&mut self, service: &str) {
        self.contents.entry(name(service)).or_default().now += 1;
        self.touch(service);
    }

    /// Takes back the last change.
    fn change_back(&mut self, service: &str) {
        self.contents.entry(name(service)).or_default().now -= 1;
        self.touch(service);
    }

    /// Something that is watched was written, and holds what it held.
    fn touch(&mut self, service: &str) {
        self.input(Input::FilesChanged { service: name(service), file: "/srv/app".into() });
    }

    /// A copy of the executable begins, and goes on without being heard of.
    fn write_for(&mut self, service: &str, time: Duration) {
        let until = self.now + time;
        self.contents.entry(name(service)).or_default().written_until = Some(until);
        self.change(service);
    }

    /// What the look that ends now finds.
    fn verdict(&mut self, service: &ServiceName, files: Vec<String>) -> Verdict {
        let content = self.contents.entry(service.clone()).or_default();
        if content.written_until.is_some_and(|until| until + LOOK > self.now) {
            Verdict::Unstable
        } else if content.now == content.runs {
            Verdict::Unchanged(files)
        } else {
            Verdict::Changed(files)
        }
    }

    /// The contents that the processes of a service began with, each once.
    fn contents_run(&self, service: &str) -> BTreeSet<u32> {
        let own = self.processes.values().filter(|process| process.service == name(service));
        own.map(|process| process.content).collect()
    }

    // ---- commands -------------------------------------------------------------------------

    fn ask(&mut self, command: Command) -> Ticket {
        self.last_ticket += 1;
        let ticket = Ticket(self.last_ticket);
        self.answers.insert(ticket, None);
        self.say(format!("? {command:?}"));
        self.input(Input::Command { ticket, command });
        ticket
    }

    fn restart(&mut self, service: &str) -> Ticket {
        self.ask(Command::Restart {
            service: name(service),
            cause: operator(),
            expected: None,
            join: true,
            drain_timeout: None,
            on_drain_timeout: None,
            answer: AnswerWhen::Ended,
        })
    }

    fn stop(&mut self, service: &str, limit: Option<Duration>) -> Ticket {
        self.ask(Command::Stop {
            service: name(service),
            cause: operator(),
            expected: None,
            limit,
            answer: AnswerWhen::Ended,
        })
    }

    fn start(&mut self, service: &str) -> Ticket {
        self.ask(Command::Start {
            service: name(service),
            cause: operator(),
            answer: AnswerWhen::Ended,
        })
    }

    fn answer(&self, ticket: Ticket) -> Option<&Result<Done, Refusal>> {
        self.answers[&ticket].as_ref()
    }

    // ---- the machine ----------------------------------------------------------------------

    fn say(&mut self, line: String) {
        let at = self.now.duration_since(self.start).as_millis();
        self.trace.push(format!("{at:>8} {line}"));
    }

    fn input(&mut self, input: Input) {
        if !matches!(input, Input::Command { .. }) {
            self.say(format!("> {input:?}"));
        }
        self.core.handle(self.now, input);
        self.perform_all();
        self.check();
    }

    fn later(&mut self, wait: Duration, coming: Coming) {
        self.order += 1;
        self.coming.insert((self.now + wait, self.order), coming);
    }

    fn perform_all(&mut self) {
        while let Some(effect) = self.core.poll_effect() {
            self.say(format!("  < {effect:?}"));
            self.perform(effect);
        }
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Launch { run, config, slot, port, generation } => {
                self.launch(run, config.name.clone(), slot, port, generation);
            }
            Effect::Probe { run } => {
                let process = &self.processes[&run];
                let wait = process.build.boots_in;
                if matches!(process.build.fate, Fate::Serves | Fate::DiesOnceReady(_)) {
                    self.later(wait, Coming::Input(Input::Answering { run }));
                }
            }
            Effect::Route { service, runs, when_none } => {
                for run in &runs {
                    let process = self.processes.get_mut(run).expect("a routed run exists");
                    assert!(process.answers && process.closed.is_none(), "routed: {run}");
                    process.was_routed = true;
                }
                self.routes.insert(service, (runs, when_none));
            }
            Effect::Drain { run, drain } => {
                let routed = self.routes.values().any(|(runs, _)| runs.contains(&run));
                assert!(!routed, "drained while it may still be chosen: {run}");
                self.processes.get_mut(&run).expect("a drained run exists").closed = Some(drain);
                self.ring(run);
            }
            Effect::Undrain { run } => {
                let process = self.processes.get_mut(&run).expect("a reopened run exists");
                assert!(!process.exiting, "reopened after it was signalled: {run}");
                process.closed = None;
            }
            Effect::EndTunnels { run } => {
                self.processes.get_mut(&run).expect("exists").tunnels = 0;
                self.ring(run);
            }
            Effect::Cut { run } => {
                let process = self.processes.get_mut(&run).expect("a cut run exists");
                (process.in_flight, process.tunnels, process.was_cut) = (0, 0, true);
                self.ring(run);
            }
            Effect::Signal { run, signal } => self.signal(run, signal),
            Effect::Preflight { config, operation } => {
                let service = config.name.clone();
                let problem = self.preflight_problem.clone();
                let input = Input::Preflighted { service, operation, problem };
                self.later(Duration::from_millis(1), Coming::Input(input));
            }
            Effect::Inspect { config, inspection, files } => {
                self.later(LOOK, Coming::Inspected(config.name.clone(), inspection, files));
            }
            Effect::Answer { ticket, result } => {
                let answer = self.answers.get_mut(&ticket).expect("a ticket that was given out");
                assert!(answer.is_none(), "{ticket:?} was answered twice");
                *answer = Some(result);
            }
            Effect::Note { slot, kind, .. } => self.events.push((slot, kind)),
            Effect::OpenLedger { .. } | Effect::CloseLedger(_) => {}
            Effect::Forget { service } => {
                let left = self.processes.values().any(|p| p.service == service);
                assert!(!left, "forgotten while it runs: {service}");
                self.routes.remove(&service);
            }
            Effect::Unwelcome => self.welcome = false,
            Effect::CloseDoors => {
                assert!(!self.welcome, "balancers are told first");
                self.doors_closed = true;
                let wait = Duration::from_millis(self.roll(3000));
                self.later(wait, Coming::Input(Input::DoorsClosed));
            }
            Effect::CutDoors => self.doors_closed = true,
            Effect::Halt => {
                assert!(!self.halted, "halted twice");
                self.halted = true;
            }
        }
    }

    fn launch(
        &mut self,
        run: RunId,
        service: ServiceName,
        slot: Slot,
        port: u16,
        generation: Generation,
    ) {
        let build = self.builds[&service];
        let is_alone = self.processes.values().all(|process| process.service != service);
        let content = self.contents.entry(service.clone()).or_default();
        if is_alone || content.generation != generation {
            (content.runs, content.generation) = (content.now, generation);
        }
        let content = content.now;
        let twin = self.processes.values().any(|p| p.service == service && p.port == port);
        if twin {
            let leaving = |p: &Process| p.service == service && (p.closed.is_some() || p.exiting);
            let any = self.processes.values().any(leaving);
            assert!(any, "two processes on one port: {service} {port}\n{}", self.history());
            let holder = "a run that is on its way out".to_owned();
            let reason = FailReason::PortTaken { port, holder };
            let input = Input::LaunchFailed { run, reason };
            return self.later(Duration::from_secs(5), Coming::Input(input));
        }
        let input = match build.fate {
            Fate::CannotBeLaunched => Input::LaunchFailed {
                run,
                reason: FailReason::NotLaunched { error: "no such file".into() },
            },
            _ => Input::Launched { run, pid: 1000 + run.0 as u32 },
        };
        if build.fate != Fate::CannotBeLaunched {
            let process = Process {
                service,
                slot,
                port,
                content,
                build,
                in_flight: 0,
                tunnels: 0,
                closed: None,
                was_cut: false,
                was_routed: false,
                answers: false,
                exiting: false,
            };
            self.processes.insert(run, process);
        }
        self.later(Duration::from_millis(1), Coming::Input(input));
        if let Fate::ExitsAtOnce(code) = build.fate {
            self.later(Duration::from_millis(5), Coming::Exit(run, Exit::Code(code)));
        }
    }

    fn signal(&mut self, run: RunId, signal: Signal) {
        // A run that was told to exit before it was there.
        let Some(process) = self.processes.get_mut(&run) else { return };
        let owes = process.in_flight + process.tunnels;
        if signal == Signal::Stop {
            assert!(owes == 0 || process.was_cut, "signalled while it owes {owes}: {run}");
        }
        let (stops_in, exit) = match signal {
            Signal::Stop => (process.build.stops_in, Exit::Signal { signal: 15, core: false }),
            Signal::Kill => (Some(Duration::ZERO), Exit::Signal { signal: 9, core: false }),
        };
        process.exiting = true;
        if let Some(stops_in) = stops_in {
            self.later(stops_in, Coming::Exit(run, exit));
        }
    }

    /// The gate's promise: the last one out rings, if the door is closed.
    fn ring(&mut self, run: RunId) {
        let process = &self.processes[&run];
        if let (Some(drain), 0, 0) = (process.closed, process.in_flight, process.tunnels) {
            self.later(Duration::ZERO, Coming::Input(Input::Idle { run, drain }));
        }
    }

    fn exit(&mut self, run: RunId, exit: Exit) {
        if self.processes.remove(&run).is_some() {
            self.input(Input::Exited { run, exit, last_output: vec!["last words".into()] });
        }
    }

    /// Enters one request that takes `takes`, if anybody may be chosen.
    fn request(&mut self, service: &str, takes: Duration) -> bool {
        let run = match self.routes.get(&name(service)) {
            Some((runs, _)) => runs.iter().copied().min_by_key(|run| self.processes[run].in_flight),
            None => None,
        };
        let Some(run) = run else { return false };
        self.processes.get_mut(&run).expect("a routed run exists").in_flight += 1;
        self.later(takes, Coming::RequestEnds(run));
        true
    }

    /// Kills the oldest run of a slot.
    fn crash(&mut self, service: &str, slot: u16) -> bool {
        let run = self.runs_in(service, slot).next();
        self.kill(run)
    }

    /// Kills the newest one: beside an old run, the one that is to take its place, or has.
    fn crash_newest(&mut self, service: &str, slot: u16) -> bool {
        let run = self.runs_in(service, slot).last();
        self.kill(run)
    }

    fn runs_in(&self, service: &str, slot: u16) -> impl Iterator<Item = RunId> {
        let (service, slot) = (name(service), Slot(slot));
        let here =
            self.processes.iter().filter(move |(_, p)| p.service == service && p.slot == slot);
        here.map(|(run, _)| *run)
    }

    fn kill(&mut self, found: Option<RunId>) -> bool {
        if let Some(run) = found {
            // What was inside dies with it, and leaves.
            self.exit_now(run);
        }
        found.is_some()
    }

    fn exit_now(&mut self, run: RunId) {
        self.say(format!("! {run} is killed"));
        for (runs, _) in self.routes.values_mut() {
            runs.retain(|routed| *routed != run);
        }
        self.exit(run, Exit::Signal { signal: 9, core: false });
    }

    /// Lets the next thing happen; `false` when nothing would ever happen again before `until`.
    fn step(&mut self, until: Instant) -> bool {
        let coming = self.coming.keys().next().copied();
        let timeout = self.core.poll_timeout();
        let next = match (coming, timeout) {
            (Some((at, _)), Some(due)) => at.min(due),
            (Some((at, _)), None) => at,
            (None, Some(due)) => due,
            (None, None) => return false,
        };
        if next > until {
            self.now = until;
            return false;
        }
        self.spins = if next > self.now { 0 } else { self.spins + 1 };
        assert!(self.spins < 10_000, "time stands still:\n{}", self.recent());
        self.now = self.now.max(next);
        if coming.is_some_and(|(at, _)| at <= next) {
            let (_, coming) = self.coming.pop_first().expect("there is one");
            self.arrive(coming);
        } else {
            self.core.handle_timeout(self.now);
            self.perform_all();
            self.check();
        }
        true
    }

    fn arrive(&mut self, coming: Coming) {
        match coming {
            Coming::Input(input) => {
                if let Input::Answering { run } = &input
                    && let Some(process) = self.processes.get_mut(run)
                {
                    process.answers = true;
                    if let Fate::DiesOnceReady(after) = process.build.fate {
                        let exit = Exit::Code(70);
                        self.later(after, Coming::Exit(*run, exit));
                    }
                }
                self.input(input);
            }
            Coming::Inspected(service, inspection, files) => {
                let verdict = self.verdict(&service, files);
                self.input(Input::Inspected { service, inspection, verdict });
            }
            Coming::RequestEnds(run) => {
                if let Some(process) = self.processes.get_mut(&run) {
                    process.in_flight = process.in_flight.saturating_sub(1);
                    self.ring(run);
                }
            }
            Coming::Exit(run, exit) => {
                if self.processes.contains_key(&run) {
                    for (runs, _) in self.routes.values_mut() {
                        runs.retain(|routed| *routed != run);
                    }
                    self.exit(run, exit);
                }
            }
        }
    }

    fn run_for(&mut self, time: Duration) {
        let until = self.now + time;
        while self.step(until) {}
        self.now = until;
    }

    fn run_until(&mut self, what: &str, done: impl Fn(&Self) -> bool) {
        let limit = self.now + Duration::from_secs(3600);
        while !done(self) {
            assert!(self.step(limit), "{what} never happened:\n{}", self.trace.join("\n"));
        }
    }

    fn settle_boot(&mut self) {
        self.run_until("boot", |world| {
            world.views().iter().all(|s| s.row.state == ServiceState::Ready)
        });
    }

    fn views(&self) -> Vec<ServiceDetail> {
        self.core.view(self.now)
    }

    fn view(&self, service: &str) -> ServiceDetail {
        let found = self.views().into_iter().find(|s| s.row.name == name(service));
        found.expect("a service of that name")
    }

    fn states(&self, service: &str) -> Vec<InstanceState> {
        self.view(service).instances.iter().map(|i| i.state).collect()
    }

    fn roll(&mut self, sides: u64) -> u64 {
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        self.dice % sides
    }

    // ---- what must hold after every step --------------------------------------------------

    fn check(&self) {
        for service in self.core.services.values() {
            if let Work::Rollout(rollout) = &service.work {
                // One that an earlier rollout left on its way out served nobody when this one came.
                let retiring = service.instances.iter().filter(|one| match one.state {
                    State::Draining { then: Next::Relaunch, .. } => true,
                    State::Stopping { then: Next::Relaunch, .. } => rollout.has_turn(one.slot),
                    _ => false,
                });
                let out = retiring.count();
                assert!(out <= rollout.width, "too many out at once:\n{}", self.history());
            }
            let forgotten = matches!(service.work, Work::None) && service.pending.is_some();
            assert!(!forgotten, "a change waits for nothing:\n{}", self.history());
            let runs: BTreeSet<RunId> = service.everyone().filter_map(|i| i.run()).collect();
            let (routed, _) = &self.routes[&service.config.name];
            assert!(
                routed.iter().all(|run| runs.contains(run)),
                "a run that is over may be chosen:\n{}",
                self.history()
            );
            let wanted = service.wanted().len();
            let extra = service.instances[wanted..].iter().find(|one| one.is_ready());
            assert!(extra.is_none(), "one above the count serves:\n{}", self.history());
            let view = service.everyone().filter(|i| i.is_ready()).count();
            assert!(routed.len() <= view, "{}", self.history());
        }
    }

    /// The end of the history, when it may be endless.
    fn recent(&self) -> String {
        self.trace[self.trace.len().saturating_sub(400)..].join("\n")
    }

    fn history(&self) -> String {
        self.trace.join("\n")
    }
}
