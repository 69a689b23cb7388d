//! What happens to runs: they are launched, answer, empty, end.

use std::time::Instant;

use smoothserve_protocol::event::EventKind;
use smoothserve_protocol::failure::{Exit, FailReason, Failure};
use smoothserve_protocol::id::{RunId, Slot};

use super::super::effect::Effect;
use super::super::input::DrainId;
use super::super::instance::{Next, State};
use super::{Ctx, SPARE, Service, Work, millis};

impl Service {
    pub(in crate::core) fn launched(
        &mut self,
        ctx: &mut Ctx<'_>,
        slot: Slot,
        run: RunId,
        pid: u32,
    ) {
        let generation = self.at(slot).generation;
        self.at(slot).pid = Some(pid);
        self.note(ctx, Some(slot), EventKind::Launched { pid, generation });
        if let State::Starting { .. } = self.at(slot).state {
            ctx.push(Effect::Probe { run });
        }
    }

    pub(in crate::core) fn answering(&mut self, ctx: &mut Ctx<'_>, slot: Slot) {
        let delay = self.config.delay_running_time;
        if let State::Starting { ready_at: ready_at @ None, .. } = &mut self.at(slot).state {
            *ready_at = Some(ctx.now + delay);
            let now = ctx.now;
            self.measure(slot, |turn| turn.answering = Some(now));
            self.look_at(ctx, slot);
        }
        self.advance(ctx);
    }

    pub(in crate::core) fn idle(&mut self, ctx: &mut Ctx<'_>, slot: Slot, drained: DrainId) {
        if let State::Draining { drain, then, run } = &self.at(slot).state
            && drain.id == drained
        {
            let (run, then, since) = (*run, then.clone(), drain.since);
            let took_ms = millis(ctx.now.duration_since(since));
            self.note(ctx, Some(slot), EventKind::Drained { took_ms });
            self.tell_to_exit(ctx, slot, run, then);
        }
        self.advance(ctx);
    }

    pub(in crate::core) fn exited(
        &mut self,
        ctx: &mut Ctx<'_>,
        slot: Slot,
        run: RunId,
        exit: Exit,
        last_output: Vec<String>,
    ) {
        let proven = self.is_proven(ctx.now, slot);
        let instance = self.at(slot);
        let failed = |reason| {
            let uptime_ms = instance.launched.map_or(0, |at| millis(ctx.now.duration_since(at)));
            Failure { reason, uptime_ms, last_output }
        };
        match instance.state.clone() {
            State::Starting { .. } => {
                let failure = failed(FailReason::ExitedBeforeReady(exit));
                self.fail(ctx, slot, run, failure);
            }
            State::Ready { .. } if proven => {
                let failure = failed(FailReason::Crashed(exit));
                self.fail(ctx, slot, run, failure);
            }
            State::Ready { .. } => {
                let failure = failed(FailReason::ExitedTooSoon(exit));
                self.fail(ctx, slot, run, failure);
            }
            State::Unhealthy { .. } => {
                let failure = failed(FailReason::Crashed(exit));
                self.fail(ctx, slot, run, failure);
            }
            State::Stopping { then: Next::Retry(reason), .. }
            | State::Draining { then: Next::Retry(reason), .. } => {
                let failure = failed(reason);
                self.fail(ctx, slot, run, failure);
            }
            State::Draining { then, .. } | State::Stopping { then, .. } => {
                self.note(ctx, Some(slot), EventKind::Exited { exit });
                self.gone(ctx, slot, &then);
            }
            State::Stopped | State::BackingOff { .. } | State::Failed => {}
        }
        ctx.runs.remove(&run);
        self.advance(ctx);
    }

    pub(in crate::core) fn launch_failed(
        &mut self,
        ctx: &mut Ctx<'_>,
        slot: Slot,
        run: RunId,
        reason: FailReason,
    ) {
        match self.at(slot).state.clone() {
            State::Starting { .. } => {
                let failure = Failure { reason, uptime_ms: 0, last_output: Vec::new() };
                self.fail(ctx, slot, run, failure);
            }
            // It was told to exit before it was there.
            State::Stopping { then, .. } => self.gone(ctx, slot, &then),
            _ => {}
        }
        ctx.runs.remove(&run);
        self.advance(ctx);
    }

    /// Ports that others had may be free now: those who wait for one need not wait for their time.
    pub(in crate::core) fn ports_were_left(&mut self, ctx: &mut Ctx<'_>) {
        for seat in self.seats() {
            let instance = self.at(seat);
            let reason = instance.failure.as_ref().map(|failure| &failure.reason);
            let waits = matches!(instance.state, State::BackingOff { .. });
            if waits && matches!(reason, Some(FailReason::PortTaken { .. })) {
                self.launch(ctx, seat);
            }
        }
    }

    /// The process that was told to exit is gone, or never was.
    pub(super) fn gone(&mut self, ctx: &mut Ctx<'_>, slot: Slot, then: &Next) {
        let now = ctx.now;
        self.measure(slot, |turn| {
            turn.drained.get_or_insert(now);
            turn.exited = Some(now);
        });
        let instance = self.at(slot);
        instance.state = State::Stopped;
        instance.pid = None;
        instance.launched = None;
        match then {
            Next::Rest => {}
            Next::Relaunch | Next::Retry(_) => self.launch(ctx, slot),
        }
    }

    /// Whether an exit now would be a crash, rather than a failure of the rollout under way.
    pub(super) fn is_proven(&self, now: Instant, seat: Slot) -> bool {
        !self.has_turn(seat) || self.proven_at(seat).is_none_or(|at| at <= now)
    }

    /// The next run of `slot` is on its way, in the spare seat.
    fn is_being_replaced(&self, slot: Slot) -> bool {
        let Work::Rollout(rollout) = &self.work else { return false };
        let is_new = self.spare.generation == rollout.to && self.spare.run().is_some();
        rollout.has_turn(slot) && self.spare.slot == slot && is_new
    }

    pub(super) fn fail(&mut self, ctx: &mut Ctx<'_>, slot: Slot, run: RunId, failure: Failure) {
        if let Work::Start(start) = &mut self.work
            && start.slots.contains(&slot)
        {
            start.failed.insert(slot, failure.clone());
        }
        let instance = self.at(slot);
        instance.fail(ctx.now, run, failure.clone());
        let failures = instance.failures;
        if slot == SPARE || self.is_being_replaced(slot) {
            // It is not tried again: whoever serves in its stead, or is about to, is enough.
            self.at(slot).state = State::Stopped;
        }
        let kind = match self.at(slot).state {
            State::BackingOff { retry_at } => {
                let retry_ms = millis(retry_at.duration_since(ctx.now));
                EventKind::BackingOff { failure, retry_ms, failures }
            }
            _ => EventKind::GaveUp { failure, failures },
        };
        self.refresh_route(ctx);
        self.note(ctx, Some(slot), kind);
    }
}
