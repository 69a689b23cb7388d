//! The rolling restart: what to do next, given what every instance does now.
//!
//! A rollout is data. [`next_step`] reads it and the instances and says one step; the service takes
//! it and asks again. One instance at a time is out because of a rollout, and an instance that
//! serves nobody anyway goes first, because that costs nobody anything.

use std::time::{Duration, Instant};

use smoothserve_protocol::event::Cause;
use smoothserve_protocol::id::{Generation, OperationId, Slot};
use smoothserve_protocol::snapshot::{StepPhase, StepView};

use super::instance::{Instance, State};
use super::service::Waiter;

/// A rolling restart under way.
#[derive(Clone, Debug)]
pub(super) struct Rollout {
    pub operation: OperationId,
    pub cause: Cause,
    pub from: Generation,
    pub to: Generation,
    pub began: Instant,
    pub drain_timeout: Duration,
    pub waiters: Vec<Waiter>,
    /// The check before the first step has not ended.
    pub preflight: bool,
    /// Not begun, in the order they will be taken unless one of them falls out first.
    pub queue: Vec<Slot>,
    /// Whose turn it is.
    pub current: Option<Slot>,
    /// Begun, in order.
    pub turns: Vec<Turn>,
    /// The least instances that were ready at any moment since `began`.
    pub min_ready: u16,
    /// It waits for an instance that crashed meanwhile.
    pub waiting: bool,
    /// Files changed since it began: one more rollout follows.
    pub again: Option<Cause>,
}

/// One instance's turn, as it was measured.
#[derive(Clone, Debug)]
pub(super) struct Turn {
    pub slot: Slot,
    pub began: Instant,
    pub drained: Option<Instant>,
    pub exited: Option<Instant>,
    pub launched: Option<Instant>,
    pub ready: Option<Instant>,
    pub ended: Option<Instant>,
    pub phase: StepPhase,
}

impl Turn {
    fn new(slot: Slot, now: Instant) -> Self {
        Self {
            slot,
            began: now,
            drained: None,
            exited: None,
            launched: None,
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
            drain_ms: between(Some(self.began), self.drained),
            stop_ms: between(self.drained, self.exited),
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
    /// Nobody else serves: give this one back to the choice, and take it later.
    Reopen(Slot),
    /// This instance is replaced.
    TurnDone(Slot),
    /// This instance failed: end the rollout.
    Halt(Slot),
    /// Every instance is replaced.
    Finish,
}

/// What to do now. `min_ready_time` is how long a new run must have been ready to count.
pub(super) fn next_step(
    rollout: &Rollout,
    instances: &[Instance],
    now: Instant,
    min_ready_time: Duration,
) -> Step {
    if rollout.preflight {
        return Step::Wait;
    }
    let find = |slot: Slot| &instances[usize::from(slot.0)];
    match rollout.current {
        Some(slot) => in_turn(rollout, find(slot), instances, now, min_ready_time),
        None => between_turns(rollout, instances),
    }
}

fn in_turn(
    rollout: &Rollout,
    instance: &Instance,
    instances: &[Instance],
    now: Instant,
    min_ready_time: Duration,
) -> Step {
    match instance.state {
        State::Draining { .. } if nobody_else_serves(instance, instances) => {
            Step::Reopen(instance.slot)
        }
        State::Draining { .. } | State::Stopping { .. } | State::Starting { .. } => Step::Wait,
        State::Ready { since, .. } if instance.generation == rollout.to => {
            if now >= since + min_ready_time { Step::TurnDone(instance.slot) } else { Step::Wait }
        }
        State::BackingOff { .. } | State::Failed => Step::Halt(instance.slot),
        State::Ready { .. } | State::Stopped => Step::Wait,
    }
}

/// Others exist, and all of them fell while this one drains. A service of one instance has no
/// others: there, requests are held.
fn nobody_else_serves(instance: &Instance, instances: &[Instance]) -> bool {
    let mut others = instances.iter().filter(|other| other.slot != instance.slot).peekable();
    others.peek().is_some() && !others.any(Instance::is_ready)
}

fn between_turns(rollout: &Rollout, instances: &[Instance]) -> Step {
    let in_queue = |instance: &&Instance| rollout.queue.contains(&instance.slot);
    let is_new = |instance: &Instance| instance.generation == rollout.to;

    let down = instances.iter().filter(in_queue).find(|instance| !instance.is_ready());
    if let Some(instance) = down {
        return match instance.state {
            State::Stopped | State::BackingOff { .. } | State::Failed => {
                Step::Launch(instance.slot)
            }
            // Its start began before the rollout did, perhaps with the build that is to go.
            State::Starting { .. } if !is_new(instance) => Step::Retire(instance.slot),
            _ => Step::WaitForOthers,
        };
    }
    let fallen = instances.iter().find(|i| !in_queue(i) && !i.is_ready());
    if let Some(instance) = fallen {
        return match instance.state {
            State::Failed => Step::Halt(instance.slot),
            _ => Step::WaitForOthers,
        };
    }
    match rollout.queue.first() {
        None => Step::Finish,
        Some(slot) if is_new(&instances[usize::from(slot.0)]) => Step::TurnDone(*slot),
        Some(slot) => Step::Retire(*slot),
    }
}

impl Rollout {
    /// It is this instance's turn now.
    pub(super) fn take_turn(&mut self, slot: Slot, now: Instant) {
        self.queue.retain(|waiting| *waiting != slot);
        self.turns.retain(|turn| turn.slot != slot);
        self.turns.push(Turn::new(slot, now));
        self.current = Some(slot);
        self.waiting = false;
    }

    /// The turn is given back, to be taken again later.
    pub(super) fn give_back(&mut self, slot: Slot) {
        self.turns.retain(|turn| turn.slot != slot);
        self.queue.insert(0, slot);
        self.current = None;
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
        self.current = None;
    }

    /// The turn of `slot`, if it has begun.
    pub(super) fn turn(&mut self, slot: Slot) -> Option<&mut Turn> {
        self.turns.iter_mut().find(|turn| turn.slot == slot)
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
        let turn = self.mean_turn().or(before)?;
        let spent = self
            .current
            .and_then(|slot| self.turns.iter().find(|turn| turn.slot == slot))
            .map(|current| turn.saturating_sub(now.duration_since(current.began)));
        Some(turn * self.queue.len() as u32 + spent.unwrap_or_default())
    }

    /// Every step, those begun first.
    pub(super) fn steps(&self) -> Vec<StepView> {
        let waiting = self.queue.iter().map(|slot| StepView {
            slot: *slot,
            phase: StepPhase::Waiting,
            drain_ms: None,
            stop_ms: None,
            ready_ms: None,
        });
        self.turns.iter().map(Turn::shown).chain(waiting).collect()
    }
}
