//! The rolling restart: what to do next, given what every instance does now.
//!
//! A rollout is data. [`next_step`] reads it and the instances and says one step; the service takes
//! it and asks again. At most `max_unavailable` instances are out because of a rollout, and an
//! instance that serves nobody anyway goes first, because that costs nobody anything.
//!
//! With `start-first`, nobody is out: the new run begins in the *spare* seat, takes the slot's seat
//! when it has proven itself, and the old run drains in the spare one.

use std::time::{Duration, Instant};

use smoothserve_protocol::event::Cause;
use smoothserve_protocol::id::{Generation, OperationId, Slot};
use smoothserve_protocol::plan::RestartOrder;
use smoothserve_protocol::snapshot::{OnDrainTimeout, StepPhase, StepView};

use super::instance::{Instance, State};
use super::service::{Patience, Waiter};

/// A rolling restart under way.
#[derive(Clone, Debug)]
pub(super) struct Rollout {
    pub operation: OperationId,
    pub cause: Cause,
    pub from: Generation,
    pub to: Generation,
    pub began: Instant,
    pub drain_timeout: Duration,
    pub on_drain_timeout: OnDrainTimeout,
    pub order: RestartOrder,
    /// How many may be out at the same time.
    pub width: usize,
    pub waiters: Vec<Waiter>,
    /// The check before the first step has not ended.
    pub preflight: bool,
    /// Not begun, in the order they will be taken unless one of them falls out first.
    pub queue: Vec<Slot>,
    /// Whose turn it is, in the order it came.
    pub current: Vec<Slot>,
    /// Begun, in order.
    pub turns: Vec<Turn>,
    /// The least instances that were ready at any moment since `began`.
    pub min_ready: u16,
    /// It waits for an instance that crashed meanwhile.
    pub waiting: bool,
    /// No turn begins until it is resumed.
    pub paused_by: Option<Cause>,
    /// It ends as soon as the turns under way have ended.
    pub ending: Option<Ending>,
    /// How many instances it is about.
    pub of: u16,
    /// Files changed since it began: one more rollout follows.
    pub again: Option<Cause>,
}

/// Why a rollout ends before it has replaced everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// Somebody wants it to.
    Aborted(Cause),
    /// The configuration has changed: it is applied, and another rollout brings it.
    Reconfigured,
}

/// One instance's turn, as it was measured.
#[derive(Clone, Debug)]
pub(super) struct Turn {
    pub slot: Slot,
    pub began: Instant,
    /// Its door closed.
    pub closed: Option<Instant>,
    pub drained: Option<Instant>,
    pub exited: Option<Instant>,
    pub killed: bool,
    pub launched: Option<Instant>,
    pub answering: Option<Instant>,
    pub ready: Option<Instant>,
    pub ended: Option<Instant>,
    pub phase: StepPhase,
}

impl Turn {
    fn new(slot: Slot, now: Instant) -> Self {
        Self {
            slot,
            began: now,
            closed: None,
            drained: None,
            exited: None,
            killed: false,
            launched: None,
            answering: None,
            ready: None,
            ended: None,
            phase: StepPhase::Running,
        }
    }

    fn shown(&self) -> StepView {
        let between = |from: Option<Instant>, to: Option<Instant>| {
            Some(to?.duration_since(from?).as_millis() as u64)
        };
        StepView {
            slot: self.slot,
            phase: self.phase,
            drain_ms: between(self.closed.or(Some(self.began)), self.drained),
            stop_ms: between(self.drained, self.exited),
            killed: self.killed,
            boot_ms: between(self.launched, self.answering),
            ready_ms: between(self.launched, self.ready),
        }
    }
}

/// One step of a rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing to do until an input comes, or the run in turn has been ready for long enough.
    Wait,
    /// Nothing to do until an instance that crashed meanwhile is back.
    WaitForOthers,
    /// Take this instance out of the choice, then replace it.
    Retire(Slot),
    /// This instance does not run: start it.
    Launch(Slot),
    /// Start the next run of this instance in the spare seat.
    LaunchSpare(Slot),
    /// The run in the spare seat has proven itself: it takes this slot, and the old one drains.
    Swap(Slot),
    /// Nobody else serves: give this one back to the choice, and take it later.
    Reopen(Slot),
    /// This instance is replaced.
    TurnDone(Slot),
    /// This instance failed: end the rollout.
    Halt(Slot),
    /// Every turn is at a safe point, and no other is wanted: end the rollout.
    EndEarly,
    /// Every instance is replaced.
    Finish,
}

/// The instances as the planner sees them.
#[derive(Clone, Copy)]
pub(super) struct Field<'a> {
    /// By slot.
    pub slots: &'a [Instance],
    /// The seat beside them, for [`RestartOrder::StartFirst`].
    pub spare: &'a Instance,
    /// There is a port for a run in it.
    pub has_port: bool,
    pub now: Instant,
    /// How long a new run must have been ready to count.
    pub min_ready_time: Duration,
}

/// What to do now.
pub(super) fn next_step(rollout: &Rollout, field: Field<'_>) -> Step {
    if rollout.preflight {
        return Step::Wait;
    }
    let in_turn = rollout.current.iter().map(|slot| in_turn(rollout, *slot, field));
    if let Some(step) = in_turn.into_iter().find(|step| *step != Step::Wait) {
        return step;
    }
    if let Some(ending) = &rollout.ending {
        // What follows a new configuration is the next rollout: whoever paused this one wants none.
        let may_end = match ending {
            Ending::Aborted(_) => true,
            Ending::Reconfigured => rollout.paused_by.is_none(),
        };
        let ends = may_end && rollout.current.is_empty();
        return if ends { Step::EndEarly } else { Step::Wait };
    }
    if rollout.current.len() >= rollout.width {
        return Step::Wait;
    }
    match between_turns(rollout, field) {
        // The end comes when the last turn has ended, and it needs no permission.
        Step::Finish if rollout.current.is_empty() => Step::Finish,
        Step::Finish => Step::Wait,
        step @ Step::Halt(_) => step,
        Step::WaitForOthers if !rollout.current.is_empty() => Step::Wait,
        _ if rollout.paused_by.is_some() => Step::Wait,
        step => step,
    }
}

fn in_turn(rollout: &Rollout, slot: Slot, field: Field<'_>) -> Step {
    let instance = &field.slots[usize::from(slot.0)];
    let is_new = instance.generation == rollout.to;
    let proven = |since: Instant| field.now >= since + field.min_ready_time;
    match instance.state {
        State::Draining { .. } if nobody_else_serves(instance, field.slots) => Step::Reopen(slot),
        State::Draining { .. } | State::Stopping { .. } | State::Starting { .. } => Step::Wait,
        // The old run of a start-first turn is on its way out.
        State::Ready { since, .. } if is_new && field.spare.is_at_rest() => {
            if proven(since) {
                Step::TurnDone(slot)
            } else {
                Step::Wait
            }
        }
        State::Ready { .. } | State::Unhealthy { .. } if !is_new => spare_turn(slot, field),
        // The old run fell while the new one, in the spare seat, was on its way.
        State::Stopped if !is_new => spare_turn(slot, field),
        State::BackingOff { .. } | State::Failed | State::Unhealthy { .. } => Step::Halt(slot),
        State::Ready { .. } | State::Stopped => Step::Wait,
    }
}

/// The old run serves; what of the new one, in the spare seat?
fn spare_turn(slot: Slot, field: Field<'_>) -> Step {
    match field.spare.state {
        State::Ready { since, .. } if field.now >= since + field.min_ready_time => Step::Swap(slot),
        // One that failed is not tried again: the old one serves.
        State::Stopped | State::BackingOff { .. } | State::Failed | State::Unhealthy { .. } => {
            Step::Halt(slot)
        }
        State::Ready { .. }
        | State::Starting { .. }
        | State::Draining { .. }
        | State::Stopping { .. } => Step::Wait,
    }
}

/// Others exist, and all of them fell while this one drains. A service of one instance has no
/// others: there, requests are held.
fn nobody_else_serves(instance: &Instance, instances: &[Instance]) -> bool {
    let mut others = instances.iter().filter(|other| other.slot != instance.slot).peekable();
    others.peek().is_some() && !others.any(Instance::is_ready)
}

fn between_turns(rollout: &Rollout, field: Field<'_>) -> Step {
    let in_queue = |instance: &&Instance| rollout.queue.contains(&instance.slot);
    let is_new = |instance: &Instance| instance.generation == rollout.to;

    let down = field.slots.iter().filter(in_queue).find(|instance| !instance.is_ready());
    if let Some(instance) = down {
        return match instance.state {
            State::Stopped | State::BackingOff { .. } | State::Failed => {
                Step::Launch(instance.slot)
            }
            // Its start began before the rollout did, perhaps with the build that is to go.
            State::Starting { .. } if !is_new(instance) => Step::Retire(instance.slot),
            State::Unhealthy { .. } => Step::Retire(instance.slot),
            _ => Step::WaitForOthers,
        };
    }
    let has_turn = |instance: &Instance| rollout.current.contains(&instance.slot);
    let fallen = field.slots.iter().find(|i| !in_queue(i) && !has_turn(i) && !i.is_ready());
    if let Some(instance) = fallen {
        return match instance.state {
            State::Failed | State::Unhealthy { .. } if is_new(instance) => {
                Step::Halt(instance.slot)
            }
            State::Failed => Step::Halt(instance.slot),
            _ => Step::WaitForOthers,
        };
    }
    match rollout.queue.first() {
        None => Step::Finish,
        Some(slot) if is_new(&field.slots[usize::from(slot.0)]) => Step::TurnDone(*slot),
        Some(slot) => match rollout.order {
            // With several out at once, somebody must be left.
            RestartOrder::StopFirst if would_be_the_last(rollout, field.slots) => Step::Wait,
            RestartOrder::StopFirst => Step::Retire(*slot),
            RestartOrder::StartFirst if field.spare.is_at_rest() && field.has_port => {
                Step::LaunchSpare(*slot)
            }
            RestartOrder::StartFirst => Step::Wait,
        },
    }
}

/// Others are out, and whoever is next is the last one that serves.
fn would_be_the_last(rollout: &Rollout, instances: &[Instance]) -> bool {
    !rollout.current.is_empty() && instances.iter().filter(|i| i.is_ready()).count() <= 1
}

impl Rollout {
    /// It is this instance's turn now.
    pub(super) fn take_turn(&mut self, slot: Slot, now: Instant) {
        self.queue.retain(|waiting| *waiting != slot);
        self.turns.retain(|turn| turn.slot != slot);
        self.turns.push(Turn::new(slot, now));
        self.current.push(slot);
        self.waiting = false;
    }

    /// The turn is given back, to be taken again later.
    pub(super) fn give_back(&mut self, slot: Slot) {
        self.turns.retain(|turn| turn.slot != slot);
        self.queue.insert(0, slot);
        self.current.retain(|current| *current != slot);
    }

    /// The turn has ended.
    pub(super) fn end_turn(&mut self, slot: Slot, now: Instant, phase: StepPhase) {
        self.queue.retain(|waiting| *waiting != slot);
        if !self.turns.iter().any(|turn| turn.slot == slot) {
            self.turns.push(Turn::new(slot, now));
        }
        if let Some(turn) = self.turn(slot) {
            turn.phase = phase;
            turn.ended = Some(now);
        }
        self.current.retain(|current| *current != slot);
    }

    /// The turn of `slot`, if it has begun.
    pub(super) fn turn(&mut self, slot: Slot) -> Option<&mut Turn> {
        self.turns.iter_mut().find(|turn| turn.slot == slot)
    }

    /// How long its drains may last.
    pub(super) fn patience(&self) -> Patience {
        Patience { limit: Some(self.drain_timeout), on_timeout: self.on_drain_timeout }
    }

    /// Whether it is this instance's turn.
    pub(super) fn has_turn(&self, slot: Slot) -> bool {
        self.current.contains(&slot)
    }

    /// How many instances are replaced.
    pub(super) fn replaced(&self) -> u16 {
        self.turns.iter().filter(|turn| turn.phase == StepPhase::Done).count() as u16
    }

    /// Mean length of a turn that has ended well.
    pub(super) fn mean_turn(&self) -> Option<Duration> {
        let ended: Vec<Duration> = self
            .turns
            .iter()
            .filter(|turn| turn.phase == StepPhase::Done)
            .filter_map(|turn| Some(turn.ended?.duration_since(turn.began)))
            .collect();
        let count = u32::try_from(ended.len()).ok().filter(|count| *count > 0)?;
        Some(ended.iter().sum::<Duration>() / count)
    }

    /// A guess of the time still to go; `before` is the length of a turn last time.
    pub(super) fn eta(&self, now: Instant, before: Option<Duration>) -> Option<Duration> {
        let usual = self.mean_turn().or(before)?;
        let current = self.turns.iter().filter(|turn| self.current.contains(&turn.slot));
        let current: Vec<_> = current.map(|turn| now.duration_since(turn.began)).collect();
        let left = current.iter().map(|so_far| usual.saturating_sub(*so_far)).max();
        let rounds = self.queue.len().div_ceil(self.width.max(1)) as u32;
        Some(self.expected_turn(usual, &current) * rounds + left.unwrap_or_default())
    }

    /// How long the next turns may take when they have taken `usual` so far. One that is under way
    /// and takes longer counts as if it had just ended, lest the guess stand still until it does and
    /// leap then.
    fn expected_turn(&self, usual: Duration, current: &[Duration]) -> Duration {
        let late: Vec<_> = current.iter().filter(|so_far| **so_far > usual).collect();
        let ended = u32::from(self.replaced());
        match ended + late.len() as u32 {
            0 => usual,
            counted => (usual * ended + late.into_iter().sum::<Duration>()) / counted,
        }
    }

    /// Every step, those begun first.
    pub(super) fn steps(&self) -> Vec<StepView> {
        let waiting = self.queue.iter().map(|slot| StepView::new(*slot, StepPhase::Waiting));
        self.turns.iter().map(Turn::shown).chain(waiting).collect()
    }
}
