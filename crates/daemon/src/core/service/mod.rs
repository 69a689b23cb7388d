//! One service: its goal, its instances, the piece of work under way, and what the proxy is told.
//!
//! [`commands`] says which commands are taken when, [`runs`] what is made of the news of processes,
//! [`steps`] changes the state of one instance, [`work`] takes a rollout, a start or a stop further.

mod commands;
mod runs;
mod steps;
mod work;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use smoothserve_protocol::event::{Cause, EventKind};
use smoothserve_protocol::failure::Failure;
use smoothserve_protocol::id::{Generation, OperationId, RunId, ServiceName, Slot};
use smoothserve_protocol::message::{Done, Refusal};
use smoothserve_protocol::snapshot::{OperationKind, ServiceState};

use super::effect::{Effect, WhenNone};
use super::input::{AnswerWhen, Ticket};
use super::instance::{Instance, State, earliest};
use super::rollout::{Rollout, Turn};
use super::settle::Settle;
use crate::config::ServiceConfig;

/// How long requests are held while the service is expected back, if its file does not say.
const HOLD_AT_WORK: Duration = Duration::from_secs(30);
const HOLD_ELSE: Duration = Duration::from_secs(5);

/// What a service needs from the supervisor while it handles one input.
pub(in crate::core) struct Ctx<'a> {
    pub now: Instant,
    pub effects: &'a mut VecDeque<Effect>,
    pub last_run: &'a mut RunId,
    pub last_operation: &'a mut OperationId,
    /// Which service a run belongs to.
    pub runs: &'a mut BTreeMap<RunId, (ServiceName, Slot)>,
}

impl Ctx<'_> {
    fn push(&mut self, effect: Effect) {
        self.effects.push_back(effect);
    }

    fn answer(&mut self, ticket: Ticket, result: Result<Done, Refusal>) {
        self.push(Effect::Answer { ticket, result });
    }

    fn operation(&mut self) -> OperationId {
        *self.last_operation = self.last_operation.next();
        *self.last_operation
    }
}

/// Somebody who waits for an answer.
#[derive(Clone, Copy, Debug)]
pub(in crate::core) struct Waiter {
    pub ticket: Ticket,
    pub when: AnswerWhen,
}

/// What is asked of a rolling restart.
#[derive(Clone, Debug)]
pub(in crate::core) struct RestartOrder {
    pub cause: Cause,
    pub expected: Option<Generation>,
    pub join: bool,
    pub drain_timeout: Option<Duration>,
}

/// Whether the service is meant to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::core) enum Goal {
    Run,
    /// `by` is none when it was never started.
    Stopped {
        by: Option<Cause>,
    },
}

/// The piece of work under way.
#[derive(Clone, Debug)]
pub(in crate::core) enum Work {
    None,
    Rollout(Rollout),
    Start(Start),
    Stop(Stop),
}

/// A start under way.
#[derive(Clone, Debug)]
pub(in crate::core) struct Start {
    pub operation: OperationId,
    pub cause: Cause,
    pub began: Instant,
    pub waiters: Vec<Waiter>,
    /// Those that did not run when it began.
    pub slots: Vec<Slot>,
    /// Those whose first try failed.
    pub failed: BTreeMap<Slot, Failure>,
    /// Files changed since it began: a rollout follows.
    pub again: Option<Cause>,
}

/// A stop under way.
#[derive(Clone, Debug)]
pub(in crate::core) struct Stop {
    pub operation: OperationId,
    pub cause: Cause,
    pub began: Instant,
    pub waiters: Vec<Waiter>,
    /// Those that ran when it began.
    pub slots: Vec<Slot>,
}

/// One service.
#[derive(Clone, Debug)]
pub(in crate::core) struct Service {
    pub config: Arc<ServiceConfig>,
    /// The last one given out.
    pub generation: Generation,
    pub goal: Goal,
    pub instances: Vec<Instance>,
    pub work: Work,
    pub settle: Settle,
    /// When the shown state became what it is.
    pub shown: (ServiceState, Instant),
    /// Mean turn of the last rollout that succeeded.
    pub last_turn: Option<Duration>,
    /// What the proxy was told last.
    routed: Option<(Vec<RunId>, WhenNone)>,
}

impl Service {
    pub(in crate::core) fn new(config: Arc<ServiceConfig>, now: Instant) -> Self {
        Self {
            instances: config.slots().map(Instance::new).collect(),
            config,
            generation: Generation::default().next(),
            goal: Goal::Stopped { by: None },
            work: Work::None,
            settle: Settle::default(),
            shown: (ServiceState::Stopped, now),
            last_turn: None,
            routed: None,
        }
    }

    /// Does what is due.
    pub(in crate::core) fn timeout(&mut self, ctx: &mut Ctx<'_>) {
        for slot in self.config.slots() {
            self.look_at(ctx, slot);
        }
        if let Some(files) = self.settle.take(ctx.now) {
            self.files_settled(ctx, Cause::FilesChanged(files));
        }
        self.advance(ctx);
    }

    /// The next moment at which something is due.
    pub(in crate::core) fn deadline(&self) -> Option<Instant> {
        let instances = self.instances.iter().filter_map(Instance::deadline).min();
        earliest(instances, earliest(self.settle.deadline(), self.proven_at()))
    }

    /// Tells the proxy who may be chosen, if that changed.
    pub(in crate::core) fn refresh_route(&mut self, ctx: &mut Ctx<'_>) {
        let ready = self.ready_count();
        if let Work::Rollout(rollout) = &mut self.work {
            rollout.min_ready = rollout.min_ready.min(ready);
        }
        let runs =
            self.instances.iter().filter(|i| i.is_ready()).filter_map(Instance::run).collect();
        let route = (runs, self.when_none());
        if self.routed.as_ref() != Some(&route) {
            self.routed = Some(route.clone());
            let (runs, when_none) = route;
            ctx.push(Effect::Route { service: self.config.name.clone(), runs, when_none });
        }
    }

    fn when_none(&self) -> WhenNone {
        if matches!(self.goal, Goal::Stopped { .. }) {
            return WhenNone::Stopped;
        }
        if self.instances.iter().all(|i| i.state == State::Failed) {
            return WhenNone::Failed;
        }
        let by_default = if matches!(self.work, Work::None) { HOLD_ELSE } else { HOLD_AT_WORK };
        WhenNone::Hold(self.config.limits.hold_timeout.unwrap_or(by_default))
    }

    pub(in crate::core) fn shown_state(&self) -> ServiceState {
        let all = |test: fn(&Instance) -> bool| self.instances.iter().all(test);
        match (&self.goal, &self.work) {
            (Goal::Stopped { .. }, _) if all(Instance::is_at_rest) => ServiceState::Stopped,
            (Goal::Stopped { .. }, _) | (_, Work::Stop(_)) => ServiceState::Stopping,
            (Goal::Run, Work::Rollout(r)) if !r.preflight => ServiceState::Restarting,
            (Goal::Run, Work::Start(_)) => ServiceState::Starting,
            (Goal::Run, _) if all(Instance::is_ready) => ServiceState::Ready,
            (Goal::Run, _) if all(|i| i.state == State::Failed) => ServiceState::Failed,
            (Goal::Run, _) => ServiceState::Degraded,
        }
    }

    pub(in crate::core) fn operation_kind(&self) -> Option<OperationKind> {
        match self.work {
            Work::None => None,
            Work::Rollout(_) => Some(OperationKind::Restart),
            Work::Start(_) => Some(OperationKind::Start),
            Work::Stop(_) => Some(OperationKind::Stop),
        }
    }

    /// The generation that serves, or that a rollout under way brings: the oldest that is ready,
    /// so that one that failed does not count.
    pub(in crate::core) fn shown_generation(&self) -> Generation {
        match &self.work {
            Work::Rollout(rollout) if !rollout.preflight => rollout.to,
            _ => self.serving(),
        }
    }

    pub(in crate::core) fn serving(&self) -> Generation {
        let ready = self.instances.iter().filter(|instance| instance.is_ready());
        ready.map(|instance| instance.generation).min().unwrap_or(self.generation)
    }

    pub(in crate::core) fn is_down(&self) -> bool {
        self.instances.iter().all(Instance::is_at_rest)
    }

    pub(in crate::core) fn ready_count(&self) -> u16 {
        self.instances.iter().filter(|i| i.is_ready()).count() as u16
    }

    fn not_ready(&self) -> Vec<Slot> {
        self.instances.iter().filter(|i| !i.is_ready()).map(|i| i.slot).collect()
    }

    pub(in crate::core) fn at(&mut self, slot: Slot) -> &mut Instance {
        &mut self.instances[usize::from(slot.0)]
    }

    fn measure(&mut self, slot: Slot, measure: impl FnOnce(&mut Turn)) {
        if let Work::Rollout(rollout) = &mut self.work
            && rollout.current == Some(slot)
            && let Some(turn) = rollout.turn(slot)
        {
            measure(turn);
        }
    }

    fn note(&self, ctx: &mut Ctx<'_>, slot: Option<Slot>, kind: EventKind) {
        ctx.push(Effect::Note { service: Some(self.config.name.clone()), slot, kind });
    }
}

pub(in crate::core) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
