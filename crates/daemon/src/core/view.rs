//! The core's state in the words of the wire. Figures of traffic are left at zero: the core does not
//! know them, and the publisher fills them in.

use std::time::Instant;

use smoothserve_protocol::event::Cause;
use smoothserve_protocol::id::{OperationId, Slot};
use smoothserve_protocol::snapshot::{
    DrainView, InstanceState, InstanceView, Ledger, OperationKind, OperationSummary, OperationView,
    Pip, ServiceDetail, ServiceRow, StepPhase, StepView, Traffic,
};

use super::Supervisor;
use super::instance::{Instance, State};
use super::service::{Goal, Service, Work, millis};
use crate::config::InstanceAddr;

impl Supervisor {
    /// Every service, by name.
    pub(crate) fn view(&self, now: Instant) -> Vec<ServiceDetail> {
        self.services.values().map(|service| service.view(now)).collect()
    }
}

impl Service {
    fn view(&self, now: Instant) -> ServiceDetail {
        let operation = self.operation(now);
        let config = &self.config;
        ServiceDetail {
            row: ServiceRow {
                name: config.name.clone(),
                state: self.shown_state(),
                generation: self.shown_generation(),
                pips: self.shown().map(|instance| self.pip(instance)).collect(),
                traffic: Traffic::default(),
                since_ms: millis(now.duration_since(self.shown.1)),
                operation: operation.as_ref().map(|operation| operation.summary),
                stale_config: false,
            },
            listen: config.listen.to_string(),
            server_names: config.routes.iter().map(ToString::to_string).collect(),
            source: config.source.display().to_string(),
            config_problem: None,
            executable: config.executable.display().to_string(),
            auto_restart: config.auto_restart,
            stopped_by: match &self.goal {
                Goal::Run => None,
                Goal::Stopped { by } => by.clone(),
            },
            ledger: Ledger::default(),
            instances: self.instances(now),
            operation,
            receipts: Vec::new(),
        }
    }

    /// Every instance by slot; behind them the one in the spare seat, while there is one.
    fn shown(&self) -> impl Iterator<Item = &Instance> {
        let spare = (!self.spare.is_at_rest()).then_some(&self.spare);
        self.instances.iter().chain(spare)
    }

    fn instances(&self, now: Instant) -> Vec<InstanceView> {
        let views = self.shown().map(|instance| self.instance(instance, now));
        let in_order = |(index, view)| InstanceView { slot: Slot(index as u16), ..view };
        views.enumerate().map(in_order).collect()
    }

    fn pip(&self, instance: &Instance) -> Pip {
        let new = match &self.work {
            Work::Rollout(rollout) => !rollout.preflight && instance.generation == rollout.to,
            Work::None | Work::Start(_) | Work::Stop(_) => false,
        };
        Pip { state: instance.shown(), new }
    }

    fn instance(&self, instance: &Instance, now: Instant) -> InstanceView {
        let since = |at: Instant| millis(now.saturating_duration_since(at));
        let until = |at: Instant| millis(at.saturating_duration_since(now));
        let (mut up_ms, mut drain, mut retry_ms) = (None, None, None);
        match &instance.state {
            State::Ready { since: at, .. } | State::Unhealthy { since: at, .. } => {
                up_ms = Some(since(*at))
            }
            State::Draining { drain: d, .. } => {
                up_ms = Some(since(d.ready_since));
                drain = Some(DrainView {
                    began_with: 0,
                    since_ms: since(d.since),
                    limit_ms: d.until.map(|until| millis(until.duration_since(d.since))),
                    on_timeout: d.on_timeout,
                    blockers: Vec::new(),
                });
            }
            State::BackingOff { retry_at } => retry_ms = Some(until(*retry_at)),
            State::Stopped | State::Starting { .. } | State::Stopping { .. } | State::Failed => {}
        }
        let over = instance.served_long(now);
        let place =
            if instance.port == 0 { self.config.port(instance.slot) } else { instance.port };
        let (port, socket) = match self.config.addr(place) {
            InstanceAddr::Port(addr) => (addr.port(), None),
            InstanceAddr::Socket(path) => (0, Some(path.to_string_lossy().into_owned())),
        };
        InstanceView {
            slot: instance.slot,
            state: instance.shown(),
            run: instance.run(),
            generation: instance.generation,
            pid: instance.pid,
            port,
            socket,
            in_flight: 0,
            tunnels: 0,
            drain,
            milli_rps: 0,
            p50_us: None,
            p99_us: None,
            errors_ppm: 0,
            up_ms,
            failures: if over { 0 } else { instance.failures },
            retry_ms,
            failure: instance.failure.clone().filter(|_| !over),
            cpu_permille: None,
            rss_bytes: None,
        }
    }

    fn operation(&self, now: Instant) -> Option<OperationView> {
        let kind = self.operation_kind()?;
        let elapsed = |began: Instant| millis(now.duration_since(began));
        Some(match &self.work {
            Work::None => return None,
            Work::Rollout(rollout) => OperationView {
                summary: OperationSummary {
                    id: rollout.operation,
                    kind,
                    done: rollout.replaced(),
                    of: rollout.of,
                },
                cause: rollout.cause.clone(),
                from: rollout.from,
                to: rollout.to,
                elapsed_ms: elapsed(rollout.began),
                eta_ms: rollout.eta(now, self.last_turn).map(millis),
                waiting: rollout.waiting,
                paused_by: rollout.paused_by.clone(),
                aborting: rollout.ending.is_some(),
                steps: rollout.steps(),
                ledger: Ledger::default(),
                min_ready: rollout.min_ready,
                canary: None,
            },
            Work::Start(start) => OperationView {
                cause: start.cause.clone(),
                elapsed_ms: elapsed(start.began),
                ..self.all_at_once(start.operation, kind, &start.slots, InstanceState::Ready)
            },
            Work::Stop(stop) => OperationView {
                cause: stop.cause.clone(),
                elapsed_ms: elapsed(stop.began),
                ..self.all_at_once(stop.operation, kind, &stop.slots, InstanceState::Stopped)
            },
        })
    }

    /// A start or a stop: every instance at the same time, done when it is in state `end`.
    fn all_at_once(
        &self,
        id: OperationId,
        kind: OperationKind,
        slots: &[Slot],
        end: InstanceState,
    ) -> OperationView {
        let steps: Vec<StepView> = slots
            .iter()
            .map(|slot| {
                let instance = &self.instances[usize::from(slot.0)];
                let phase = match instance.shown() {
                    state if state == end => StepPhase::Done,
                    InstanceState::Backoff | InstanceState::Failed => StepPhase::Failed,
                    _ => StepPhase::Running,
                };
                StepView::new(*slot, phase)
            })
            .collect();
        let done = steps.iter().filter(|step| step.phase == StepPhase::Done).count() as u16;
        OperationView {
            summary: OperationSummary { id, kind, done, of: steps.len() as u16 },
            cause: Cause::Daemon,
            from: self.serving(),
            to: self.serving(),
            elapsed_ms: 0,
            eta_ms: None,
            waiting: false,
            paused_by: None,
            aborting: false,
            steps,
            ledger: Ledger::default(),
            min_ready: self.ready_count(),
            canary: None,
        }
    }
}
