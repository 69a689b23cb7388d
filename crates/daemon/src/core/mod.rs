//! The pure half of the daemon: decides, and does nothing.
//!
//! [`Input`]s go in, [`Effect`]s come out, time is an argument. No clock, no file, no process, no
//! task, no randomness: whatever happens here can be replayed to the letter, and the simulator in
//! `world` does so for hundreds of seeds.
//!
//! Reading order: [`input`], [`effect`], [`instance`] (the transition table), [`service`] (who may
//! do what when), [`rollout`] (the planner), [`shutdown`], [`reconfigure`], [`view`].

mod effect;
mod input;
mod instance;
mod reconfigure;
mod rollout;
mod service;
mod settle;
mod shutdown;
mod view;
#[cfg(test)]
mod world;

#[cfg(test)]
pub(crate) use self::world::service as sample_service;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use smoothserve_protocol::event::Cause;
use smoothserve_protocol::id::{OperationId, Revision, RunId, ServiceName, Slot};
use smoothserve_protocol::message::{Done, Refusal};

pub(crate) use self::effect::{Effect, Signal, WhenNone};
pub(crate) use self::input::{
    AnswerWhen, Command, DrainId, Input, InspectionId, Reconfigure, Ticket, Verdict,
};
use self::instance::earliest;
use self::service::{Ctx, Order, Service, Waiter};
pub(crate) use self::shutdown::ShutdownTimes;
use self::shutdown::{Phase, Shutdown};
use crate::config::ServiceConfig;

/// Decides what happens to every service.
#[derive(Clone, Debug)]
pub(crate) struct Supervisor {
    services: BTreeMap<ServiceName, Service>,
    effects: VecDeque<Effect>,
    last_run: RunId,
    last_operation: OperationId,
    runs: BTreeMap<RunId, (ServiceName, Slot)>,
    revision: Revision,
    shutdown_times: ShutdownTimes,
    shutdown: Option<Shutdown>,
}

impl Supervisor {
    /// Everything stopped, and the proxy told so. [`boot`](Self::boot) starts what is enabled.
    pub(crate) fn new(
        services: impl IntoIterator<Item = Arc<ServiceConfig>>,
        shutdown_times: ShutdownTimes,
        now: Instant,
    ) -> Self {
        let services = services
            .into_iter()
            .map(|config| (config.name.clone(), Service::new(config, now)))
            .collect();
        let mut supervisor = Self {
            services,
            effects: VecDeque::new(),
            last_run: RunId::default(),
            last_operation: OperationId::default(),
            runs: BTreeMap::new(),
            revision: Revision::default(),
            shutdown_times,
            shutdown: None,
        };
        supervisor.each(now, |service, ctx| service.refresh_route(ctx));
        supervisor
    }

    /// Takes over what earlier daemons knew: numbers of operations are not given out twice, and a
    /// first rollout has a guess of how long its turns take.
    pub(crate) fn recall(
        &mut self,
        last_operation: OperationId,
        turns: impl IntoIterator<Item = (ServiceName, Duration)>,
    ) {
        self.last_operation = self.last_operation.max(last_operation);
        for (name, turn) in turns {
            if let Some(service) = self.services.get_mut(&name) {
                service.last_turn = Some(turn);
            }
        }
    }

    /// Starts every enabled service.
    pub(crate) fn boot(&mut self, now: Instant) {
        self.each(now, |service, ctx| {
            if service.config.enabled {
                service.start(ctx, Cause::Daemon, None);
            }
        });
    }

    /// From now on a shutdown may take so long.
    pub(crate) fn set_shutdown_times(&mut self, times: ShutdownTimes) {
        self.shutdown_times = times;
    }

    /// Takes in what happened at `now`.
    pub(crate) fn handle(&mut self, now: Instant, input: Input) {
        match input {
            Input::Command { ticket, command } => self.command(now, ticket, command),
            Input::Launched { run, pid } => {
                self.on_run(now, run, |service, ctx, slot| service.launched(ctx, slot, run, pid));
            }
            Input::LaunchFailed { run, reason } => self.on_run(now, run, |service, ctx, slot| {
                service.launch_failed(ctx, slot, run, reason);
            }),
            Input::Answering { run } => {
                self.on_run(now, run, |service, ctx, slot| service.answering(ctx, slot));
            }
            Input::ProbeFailed { run, error } => self.on_run(now, run, |service, _, slot| {
                service.at(slot).probe_error = Some(error);
            }),
            Input::Exited { run, exit, last_output } => {
                self.on_run(now, run, |service, ctx, slot| {
                    service.exited(ctx, slot, run, exit, last_output);
                });
            }
            Input::Idle { run, drain } => {
                self.on_run(now, run, |service, ctx, slot| service.idle(ctx, slot, drain));
            }
            Input::Preflighted { service, operation, problem } => {
                self.on_service(now, &service, |service, ctx| {
                    service.preflighted(ctx, operation, problem);
                });
            }
            Input::FilesChanged { service, file } => {
                if self.shutdown.is_none() {
                    self.on_service(now, &service, |service, ctx| {
                        service.files_changed(ctx, file);
                    });
                }
            }
            Input::Inspected { service, inspection, verdict } => {
                if self.shutdown.is_none() {
                    self.on_service(now, &service, |service, ctx| {
                        service.inspected(ctx, inspection, verdict);
                    });
                }
            }
            Input::Unresponsive { run, error } => {
                self.on_run(now, run, |service, ctx, slot| service.unresponsive(ctx, slot, error));
            }
            Input::Responsive { run } => {
                self.on_run(now, run, |service, ctx, slot| service.responsive(ctx, slot));
            }
            Input::MemoryUsed { run, rss_bytes } => {
                self.on_run(now, run, |service, ctx, slot| {
                    service.memory_used(ctx, slot, rss_bytes);
                });
            }
            Input::Configured(changes) => {
                if self.shutdown.is_none() {
                    for change in changes {
                        self.configure(now, change);
                    }
                }
            }
            Input::DoorsClosed => self.stop_services(now),
        }
        self.settle_down(now);
    }

    /// Does what is due at `now`. Early or repeated calls do nothing.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        self.each(now, |service, ctx| {
            if service.deadline().is_some_and(|due| due <= ctx.now) {
                service.timeout(ctx);
            }
        });
        self.shutdown_timeout(now);
        self.settle_down(now);
    }

    /// The next thing to be done; ask until there is none.
    pub(crate) fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let services = self.services.values().filter_map(Service::deadline).min();
        let shutdown = self.shutdown.as_ref().and_then(|shutdown| match shutdown.phase {
            Phase::Notice { until } => Some(until),
            Phase::Doors { tunnels_until } => earliest(Some(shutdown.deadline), tunnels_until),
            Phase::Services | Phase::Down => None,
        });
        earliest(services, shutdown)
    }

    /// Grows with each change that a console would want to see at once.
    pub(crate) fn revision(&self) -> Revision {
        self.revision
    }

    /// It was told to stop.
    pub(crate) fn is_stopping(&self) -> bool {
        self.shutdown.is_some()
    }

    fn command(&mut self, now: Instant, ticket: Ticket, command: Command) {
        if let Command::Shutdown { cause, force } = command {
            self.begin_shutdown(now, cause, force);
            return self.answer(ticket, Ok(Done::ShuttingDown));
        }
        if self.shutdown.is_some() {
            return self.answer(ticket, Err(Refusal::ShuttingDown));
        }
        match command {
            Command::Start { service, cause, answer } => {
                let waiter = Waiter { ticket, when: answer };
                self.asked(now, service, ticket, |service, ctx| {
                    service.start(ctx, cause, Some(waiter));
                });
            }
            Command::Stop { service, cause, expected, limit, answer } => {
                let waiter = Waiter { ticket, when: answer };
                self.asked(now, service, ticket, |service, ctx| {
                    service.stop(ctx, cause, expected, limit, Some(waiter));
                });
            }
            Command::Restart {
                service,
                cause,
                expected,
                join,
                drain_timeout,
                on_drain_timeout,
                answer,
            } => {
                let waiter = Waiter { ticket, when: answer };
                let order = Order { cause, expected, join, drain_timeout, on_drain_timeout };
                self.asked(now, service, ticket, |service, ctx| {
                    service.restart(ctx, order, Some(waiter));
                });
            }
            Command::PlanRestart { service } => {
                self.asked(now, service, ticket, |service, ctx| service.plan(ctx, ticket));
            }
            Command::Steer { service, cause, operation, steer } => {
                self.asked(now, service, ticket, |service, ctx| {
                    service.steer(ctx, cause, operation, steer, ticket);
                });
            }
            Command::Shutdown { .. } => {}
        }
    }

    /// After every input: has something changed, and is everything down that was to go down?
    fn settle_down(&mut self, now: Instant) {
        self.forget(now);
        if let Some(shutdown) = &mut self.shutdown
            && shutdown.phase == Phase::Services
            && self.services.values().all(Service::is_down)
        {
            shutdown.phase = Phase::Down;
            self.effects.push_back(Effect::Halt);
        }
        if !self.effects.is_empty() {
            self.revision = self.revision.next();
        }
    }

    // ---- plumbing -------------------------------------------------------------------------

    fn answer(&mut self, ticket: Ticket, result: Result<Done, Refusal>) {
        self.effects.push_back(Effect::Answer { ticket, result });
    }

    /// Runs `ask` on the service, or answers that there is none.
    fn asked(
        &mut self,
        now: Instant,
        name: ServiceName,
        ticket: Ticket,
        ask: impl FnOnce(&mut Service, &mut Ctx<'_>),
    ) {
        if self.services.get(&name).is_some_and(|service| !service.leaving) {
            self.on_service(now, &name, ask);
        } else {
            let known = self.services.keys().cloned().collect();
            self.answer(ticket, Err(Refusal::UnknownService { name, known }));
        }
    }

    fn on_service(
        &mut self,
        now: Instant,
        name: &ServiceName,
        act: impl FnOnce(&mut Service, &mut Ctx<'_>),
    ) {
        let Self { services, effects, last_run, last_operation, runs, .. } = self;
        if let Some(service) = services.get_mut(name) {
            act(service, &mut Ctx { now, effects, last_run, last_operation, runs });
        }
    }

    /// Runs `act` on the service and slot that `run` belongs to. A run that is over is dropped
    /// here: whatever is still said of it is late.
    fn on_run(
        &mut self,
        now: Instant,
        run: RunId,
        act: impl FnOnce(&mut Service, &mut Ctx<'_>, Slot),
    ) {
        let Some((name, slot)) = self.runs.get(&run).cloned() else { return };
        self.on_service(now, &name, |service, ctx| {
            if service.at(slot).run() == Some(run) {
                act(service, ctx, slot);
            }
        });
    }

    fn each(&mut self, now: Instant, mut act: impl FnMut(&mut Service, &mut Ctx<'_>)) {
        let Self { services, effects, last_run, last_operation, runs, .. } = self;
        let mut ctx = Ctx { now, effects, last_run, last_operation, runs };
        for service in services.values_mut() {
            act(service, &mut ctx);
        }
    }
}
