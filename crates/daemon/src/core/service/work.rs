//! The piece of work under way, taken as far as it can go after each input.

use std::time::Instant;

use smoothserve_protocol::event::{Cause, EventKind};
use smoothserve_protocol::id::{OperationId, Slot};
use smoothserve_protocol::message::{Done, Refusal};
use smoothserve_protocol::snapshot::StepPhase;

use super::super::effect::Effect;
use super::super::input::AnswerWhen;
use super::super::instance::{Next, State};
use super::super::rollout::{Rollout, Step, next_step};
use super::{Ctx, Order, SPARE, Service, Waiter, Work, millis};

impl Service {
    /// Replaces every instance.
    pub(super) fn begin_rollout(&mut self, ctx: &mut Ctx<'_>, cause: Cause) {
        self.begin_rollout_of(ctx, self.config.slots().collect(), cause);
    }

    /// Replaces some.
    pub(super) fn begin_rollout_of(&mut self, ctx: &mut Ctx<'_>, slots: Vec<Slot>, cause: Cause) {
        self.roll_out(ctx, slots, Order::plain(cause), Vec::new());
    }

    pub(super) fn roll_out(
        &mut self,
        ctx: &mut Ctx<'_>,
        slots: Vec<Slot>,
        order: Order,
        waiters: Vec<Waiter>,
    ) {
        let operation = ctx.operation();
        let limits = &self.config.limits;
        self.work = Work::Rollout(Rollout {
            operation,
            cause: order.cause,
            from: self.serving(),
            to: self.generation.next(),
            began: ctx.now,
            drain_timeout: order.drain_timeout.unwrap_or(limits.drain_timeout),
            on_drain_timeout: order.on_drain_timeout.unwrap_or(limits.on_drain_timeout),
            order: self.config.restart_order,
            width: usize::from(self.config.max_unavailable.get()),
            waiters,
            preflight: true,
            of: slots.len() as u16,
            queue: slots,
            current: Vec::new(),
            turns: Vec::new(),
            min_ready: self.ready_count(),
            waiting: false,
            paused_by: None,
            ending: None,
            again: None,
        });
        ctx.push(Effect::Preflight { config: self.config.clone(), operation });
    }

    pub(in crate::core) fn preflighted(
        &mut self,
        ctx: &mut Ctx<'_>,
        operation: OperationId,
        problem: Option<String>,
    ) {
        if self.planned(ctx, operation, problem.as_ref()) {
            return;
        }
        let Work::Rollout(rollout) = &mut self.work else { return };
        if rollout.operation != operation || !rollout.preflight {
            return;
        }
        if let Some(problem) = problem {
            self.refuse_rollout(ctx, problem);
            return self.advance(ctx);
        }
        rollout.preflight = false;
        rollout.began = ctx.now;
        let (begun, ended) = std::mem::take(&mut rollout.waiters)
            .into_iter()
            .partition(|waiter| waiter.when == AnswerWhen::Begun);
        rollout.waiters = ended;
        let kind = EventKind::RolloutStarted {
            operation,
            from: rollout.from,
            to: rollout.to,
            instances: rollout.of,
            cause: rollout.cause.clone(),
        };
        self.generation = rollout.to;
        let begun: Vec<Waiter> = begun;
        for waiter in begun {
            ctx.answer(waiter.ticket, Ok(Done::Begun { operation }));
        }
        ctx.push(Effect::OpenLedger { service: self.config.name.clone(), operation });
        self.note(ctx, None, kind);
        self.advance(ctx);
    }

    pub(super) fn refuse_rollout(&mut self, ctx: &mut Ctx<'_>, problem: String) {
        let Work::Rollout(rollout) = std::mem::replace(&mut self.work, Work::None) else { return };
        for waiter in rollout.waiters {
            ctx.answer(waiter.ticket, Err(Refusal::Preflight { problem: problem.clone() }));
        }
        let text = format!("restart refused, nothing was changed: {problem}");
        self.note(ctx, None, EventKind::Warning { text });
        self.after_rollout(ctx, &rollout.cause, rollout.again, false);
    }

    /// Takes the work under way as far as it can go now, and tells the proxy who may be chosen.
    pub(super) fn advance(&mut self, ctx: &mut Ctx<'_>) {
        self.tend(ctx);
        loop {
            // Whatever ended the work that a change waited for, be it a step or not.
            self.apply_pending(ctx);
            let went_on = match &self.work {
                Work::None => false,
                Work::Rollout(_) => self.step_rollout(ctx),
                Work::Start(_) => self.step_start(ctx),
                Work::Stop(_) => self.step_stop(ctx),
            };
            if !went_on {
                break;
            }
        }
        self.drop_seats();
        self.refresh_route(ctx);
        let state = self.shown_state();
        if state != self.shown.0 {
            self.shown = (state, ctx.now);
        }
    }

    /// Takes one step; `false` when there is none to take.
    pub(super) fn step_rollout(&mut self, ctx: &mut Ctx<'_>) -> bool {
        let field = self.field(ctx.now);
        let Work::Rollout(rollout) = &self.work else { return false };
        let step = next_step(rollout, field);
        let Work::Rollout(rollout) = &mut self.work else { return false };
        let now = ctx.now;
        match step {
            Step::Wait => return false,
            Step::WaitForOthers => {
                if !std::mem::replace(&mut rollout.waiting, true) {
                    let operation = rollout.operation;
                    self.note(ctx, None, EventKind::RolloutWaits { operation });
                }
                return false;
            }
            Step::Retire(slot) => {
                rollout.take_turn(slot, now);
                let patience = rollout.patience();
                self.retire(ctx, slot, Next::Relaunch, patience);
            }
            Step::LaunchSpare(slot) => {
                rollout.take_turn(slot, now);
                self.launch_spare(ctx, slot);
            }
            Step::Swap(slot) => self.swap(ctx, slot),
            Step::Launch(slot) => {
                rollout.take_turn(slot, now);
                self.at(slot).forgive();
                self.launch(ctx, slot);
            }
            Step::Reopen(slot) => {
                rollout.give_back(slot);
                self.reopen(ctx, slot);
            }
            Step::TurnDone(slot) => rollout.end_turn(slot, now, StepPhase::Done),
            Step::Halt(slot) => self.halt(ctx, slot),
            Step::EndEarly => self.end_early(ctx),
            Step::Finish => self.finish(ctx),
        }
        true
    }

    pub(super) fn step_start(&mut self, ctx: &mut Ctx<'_>) -> bool {
        let Work::Start(start) = &self.work else { return false };
        let settled = |slot: &Slot| {
            self.instances[usize::from(slot.0)].is_ready() || start.failed.contains_key(slot)
        };
        if !start.slots.iter().all(settled) {
            return false;
        }
        let Work::Start(start) = std::mem::replace(&mut self.work, Work::None) else {
            return false;
        };
        let result = if start.failed.is_empty() {
            let instances = start.slots.len() as u16;
            Ok(Done::Started { instances, took_ms: millis(ctx.now.duration_since(start.began)) })
        } else {
            Err(Refusal::StartFailed { failures: start.failed.into_iter().collect() })
        };
        for waiter in start.waiters {
            ctx.answer(waiter.ticket, result.clone());
        }
        if let Some(cause) = start.again {
            let slots = self.config.slots().collect();
            self.roll_out(ctx, slots, Order::plain(cause), start.waiters_after);
        }
        true
    }

    pub(super) fn step_stop(&mut self, ctx: &mut Ctx<'_>) -> bool {
        if !self.is_down() {
            return false;
        }
        let Work::Stop(stop) = std::mem::replace(&mut self.work, Work::None) else { return false };
        let took_ms = millis(ctx.now.duration_since(stop.began));
        self.note(ctx, None, EventKind::ServiceStopped { took_ms });
        let instances = stop.slots.len() as u16;
        for waiter in stop.waiters {
            ctx.answer(waiter.ticket, Ok(Done::Stopped { instances, cut: 0, took_ms }));
        }
        true
    }

    /// When the run in `seat` will have been ready for long enough.
    pub(super) fn proven_at(&self, seat: Slot) -> Option<Instant> {
        let instance =
            if seat == SPARE { &self.spare } else { &self.instances[usize::from(seat.0)] };
        let State::Ready { since, .. } = instance.state else { return None };
        Some(since + self.config.limits.min_ready_time)
    }

    /// The next moment at which a run in turn will have proven itself.
    pub(super) fn next_proof(&self) -> Option<Instant> {
        let Work::Rollout(rollout) = &self.work else { return None };
        let seats = rollout.current.iter().copied().chain(std::iter::once(SPARE));
        let in_turn = |seat: &Slot| rollout.has_turn(self.slot_of(*seat));
        // A slot whose old run is still on its way out, in the spare seat, waits for that instead.
        let awaited = |seat: &Slot| {
            *seat == SPARE
                || self.spare.is_at_rest()
                    && self.instances[usize::from(seat.0)].generation == rollout.to
        };
        seats.filter(in_turn).filter(awaited).filter_map(|seat| self.proven_at(seat)).min()
    }
}

/// Who began something, for a sentence.
pub(super) fn who(cause: &Cause) -> String {
    match cause {
        Cause::Daemon => "the daemon".to_owned(),
        Cause::Operator(actor) => actor.clone(),
        Cause::FilesChanged(_) => "a file change".to_owned(),
        Cause::ConfigChanged(_) => "a changed configuration".to_owned(),
        Cause::MemoryLimit { .. } => "a memory limit".to_owned(),
    }
}
