//! One service: its goal, its instances, the piece of work under way, and what the proxy is told.
//!
//! [`commands`] says which commands are taken when, [`steer`] how a rollout changes its course,
//! [`runs`] what is made of the news of processes, [`health`] of those that do not answer or use too
//! much memory, [`watching`] of file changes, [`steps`] changes the state of one instance, [`spare`]
//! is the seat beside the slots, [`work`] takes a rollout, a start or a stop further, [`ends`] is how
//! a rollout ends, [`change`] takes a new configuration.

mod change;
mod commands;
mod ends;
mod health;
mod runs;
mod spare;
mod steer;
mod steps;
mod watching;
mod work;

pub(in crate::core) use self::change::Change;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use smoothserve_protocol::event::{Cause, EventKind};
use smoothserve_protocol::failure::Failure;
use smoothserve_protocol::id::{Generation, OperationId, RunId, ServiceName, Slot};
use smoothserve_protocol::message::{Done, Refusal};
use smoothserve_protocol::snapshot::{OnDrainTimeout, OperationKind, ServiceState};

use super::effect::{Effect, WhenNone};
use super::input::{AnswerWhen, Ticket};
use super::instance::{Instance, State, earliest};
use super::rollout::{Field, Rollout, Turn};
use super::settle::Settle;
use crate::config::ServiceConfig;

/// How long requests are held while the service is expected back, if its file does not say.
const HOLD_AT_WORK: Duration = Duration::from_secs(30);
const HOLD_ELSE: Duration = Duration::from_secs(5);

/// The seat beside the slots.
pub(in crate::core) const SPARE: Slot = Slot(u16::MAX);

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
pub(in crate::core) struct Order {
    pub cause: Cause,
    pub expected: Option<Generation>,
    pub join: bool,
    pub drain_timeout: Option<Duration>,
    pub on_drain_timeout: Option<OnDrainTimeout>,
}

impl Order {
    /// As the configuration says, for this reason.
    fn plain(cause: Cause) -> Self {
        Self { cause, expected: None, join: true, drain_timeout: None, on_drain_timeout: None }
    }
}

/// How long a drain may last, and what happens then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::core) struct Patience {
    /// None: as long as it needs.
    pub limit: Option<Duration>,
    pub on_timeout: OnDrainTimeout,
}

impl Patience {
    /// As long as it needs: whoever goes was replaced, or is not wanted any more.
    const ENDLESS: Self = Self { limit: None, on_timeout: OnDrainTimeout::Wait };
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
    /// Those who wait for that rollout.
    pub waiters_after: Vec<Waiter>,
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
    /// By slot. More than the configuration wants while those above it drain and stop.
    pub instances: Vec<Instance>,
    /// A run that is to take a slot, or that has given it up; see [`spare`].
    pub spare: Instance,
    pub work: Work,
    pub settle: Settle,
    /// When the shown state became what it is.
    pub shown: (ServiceState, Instant),
    /// Mean turn of the last rollout that succeeded.
    pub last_turn: Option<Duration>,
    /// Questions what a restart would do, whose preflight has not ended.
    plans: Vec<(OperationId, Ticket)>,
    /// A configuration that waits for the work under way.
    pub pending: Option<change::Change>,
    /// It is to end: its file is gone.
    pub leaving: bool,
    /// The daemon is on its way out.
    winding_down: bool,
    /// Every instance fails its liveness probe, and that was said.
    nobody_answers: bool,
    /// When instances were replaced for the memory they used, lately.
    memory: health::MemoryRestarts,
    /// What the proxy was told last.
    routed: Option<(Vec<RunId>, WhenNone)>,
}

impl Service {
    pub(in crate::core) fn new(config: Arc<ServiceConfig>, now: Instant) -> Self {
        Self {
            instances: config.slots().map(Instance::new).collect(),
            spare: Instance::new(Slot(0)),
            config,
            generation: Generation::default().next(),
            goal: Goal::Stopped { by: None },
            work: Work::None,
            settle: Settle::default(),
            shown: (ServiceState::Stopped, now),
            last_turn: None,
            plans: Vec::new(),
            pending: None,
            leaving: false,
            winding_down: false,
            nobody_answers: false,
            memory: health::MemoryRestarts::default(),
            routed: None,
        }
    }

    /// Does what is due.
    pub(in crate::core) fn timeout(&mut self, ctx: &mut Ctx<'_>) {
        for seat in self.seats() {
            self.look_at(ctx, seat);
        }
        self.look_at_files(ctx);
        self.advance(ctx);
    }

    /// The next moment at which something is due.
    pub(in crate::core) fn deadline(&self) -> Option<Instant> {
        let instances = self.everyone().filter_map(Instance::deadline).min();
        earliest(instances, earliest(self.settle.deadline(), self.next_proof()))
    }

    /// Tells the proxy who may be chosen, if that changed.
    pub(in crate::core) fn refresh_route(&mut self, ctx: &mut Ctx<'_>) {
        let ready = self.ready_count();
        if let Work::Rollout(rollout) = &mut self.work {
            rollout.min_ready = rollout.min_ready.min(ready);
        }
        let runs = self.everyone().filter(|i| i.is_ready()).filter_map(Instance::run).collect();
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
        if self.wanted().iter().all(|i| i.state == State::Failed) && !self.spare.is_ready() {
            return WhenNone::Failed;
        }
        let by_default = if matches!(self.work, Work::None) { HOLD_ELSE } else { HOLD_AT_WORK };
        WhenNone::Hold(self.config.limits.hold_timeout.unwrap_or(by_default))
    }

    pub(in crate::core) fn shown_state(&self) -> ServiceState {
        let all = |test: fn(&Instance) -> bool| self.wanted().iter().all(test);
        match (&self.goal, &self.work) {
            (Goal::Stopped { .. }, _) if self.is_down() => ServiceState::Stopped,
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
        let ready = self.everyone().filter(|instance| instance.is_ready());
        ready.map(|instance| instance.generation).min().unwrap_or(self.generation)
    }

    pub(in crate::core) fn is_down(&self) -> bool {
        self.everyone().all(Instance::is_at_rest)
    }

    /// It is down, and nothing is left to do.
    pub(in crate::core) fn has_ended(&self) -> bool {
        matches!(self.work, Work::None) && self.plans.is_empty() && self.is_down()
    }

    pub(in crate::core) fn ready_count(&self) -> u16 {
        self.everyone().filter(|i| i.is_ready()).count() as u16
    }

    /// The instances that the configuration wants.
    pub(in crate::core) fn wanted(&self) -> &[Instance] {
        let count = usize::from(self.config.instances.get()).min(self.instances.len());
        &self.instances[..count]
    }

    /// Every instance there is, wanted or on its way out.
    pub(in crate::core) fn everyone(&self) -> impl Iterator<Item = &Instance> {
        self.instances.iter().chain(std::iter::once(&self.spare))
    }

    /// Where [`everyone`](Self::everyone) sits.
    fn seats(&self) -> impl Iterator<Item = Slot> + use<> {
        (0..self.instances.len() as u16).map(Slot).chain(std::iter::once(SPARE))
    }

    fn field(&self, now: Instant) -> Field<'_> {
        Field {
            slots: self.wanted(),
            spare: &self.spare,
            has_port: self.free_port(SPARE).is_some(),
            now,
            min_ready_time: self.config.limits.min_ready_time,
        }
    }

    /// What a start has to start. One that does not answer is none of that: it is replaced anyway.
    fn not_running(&self) -> Vec<Slot> {
        let runs = |i: &&Instance| matches!(i.state, State::Ready { .. } | State::Unhealthy { .. });
        self.wanted().iter().filter(|i| !runs(i)).map(|i| i.slot).collect()
    }

    /// The instance in a seat.
    pub(in crate::core) fn at(&mut self, seat: Slot) -> &mut Instance {
        if seat == SPARE { &mut self.spare } else { &mut self.instances[usize::from(seat.0)] }
    }

    /// The slot that a seat is about: the spare one stands in for another.
    fn slot_of(&self, seat: Slot) -> Slot {
        if seat == SPARE { self.spare.slot } else { seat }
    }

    /// It is its turn in the rollout under way.
    fn has_turn(&self, seat: Slot) -> bool {
        let slot = self.slot_of(seat);
        matches!(&self.work, Work::Rollout(rollout) if rollout.has_turn(slot))
    }

    fn measure(&mut self, seat: Slot, measure: impl FnOnce(&mut Turn)) {
        let slot = self.slot_of(seat);
        if let Work::Rollout(rollout) = &mut self.work
            && rollout.has_turn(slot)
            && let Some(turn) = rollout.turn(slot)
        {
            measure(turn);
        }
    }

    fn note(&self, ctx: &mut Ctx<'_>, seat: Option<Slot>, kind: EventKind) {
        let slot = seat.map(|seat| self.slot_of(seat));
        ctx.push(Effect::Note { service: Some(self.config.name.clone()), slot, kind });
    }
}

pub(in crate::core) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
