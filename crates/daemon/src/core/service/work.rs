//! The piece of work under way, taken as far as it can go after each input.

use std::time::{Duration, Instant};

use smoothserve_protocol::event::{Cause, EventKind};
use smoothserve_protocol::failure::{FailReason, Failure};
use smoothserve_protocol::id::{OperationId, Slot};
use smoothserve_protocol::message::{Done, Refusal};
use smoothserve_protocol::snapshot::{Ledger, Receipt, StepPhase};

use super::super::effect::Effect;
use super::super::input::AnswerWhen;
use super::super::instance::{Next, State};
use super::super::rollout::{Rollout, Step, next_step};
use super::{Ctx, Service, Waiter, Work, millis};

impl Service {
    pub(super) fn begin_rollout(
        &mut self,
        ctx: &mut Ctx<'_>,
        cause: Cause,
        drain_timeout: Option<Duration>,
        waiter: Option<Waiter>,
    ) {
        let operation = ctx.operation();
        self.work = Work::Rollout(Rollout {
            operation,
            cause,
            from: self.serving(),
            to: self.generation.next(),
            began: ctx.now,
            drain_timeout: drain_timeout.unwrap_or(self.config.limits.drain_timeout),
            waiters: waiter.into_iter().collect(),
            preflight: true,
            queue: self.config.slots().collect(),
            current: None,
            turns: Vec::new(),
            min_ready: self.ready_count(),
            waiting: false,
            again: None,
        });
        ctx.push(Effect::Preflight { service: self.config.name.clone(), operation });
    }

    pub(in crate::core) fn preflighted(
        &mut self,
        ctx: &mut Ctx<'_>,
        operation: OperationId,
        problem: Option<String>,
    ) {
        let Work::Rollout(rollout) = &mut self.work else { return };
        if rollout.operation != operation || !rollout.preflight {
            return;
        }
        if let Some(problem) = problem {
            return self.refuse_rollout(ctx, problem);
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
            instances: self.config.instances.get(),
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

    pub(super) fn files_settled(&mut self, ctx: &mut Ctx<'_>, cause: Cause) {
        match &mut self.work {
            Work::None => self.begin_rollout(ctx, cause, None, None),
            Work::Rollout(rollout) => rollout.again = Some(cause),
            Work::Start(start) => start.again = Some(cause),
            Work::Stop(_) => {}
        }
    }

    /// Takes the work under way as far as it can go now, and tells the proxy who may be chosen.
    pub(super) fn advance(&mut self, ctx: &mut Ctx<'_>) {
        loop {
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
        self.refresh_route(ctx);
        let state = self.shown_state();
        if state != self.shown.0 {
            self.shown = (state, ctx.now);
        }
    }

    /// Takes one step; `false` when there is none to take.
    pub(super) fn step_rollout(&mut self, ctx: &mut Ctx<'_>) -> bool {
        let Work::Rollout(rollout) = &mut self.work else { return false };
        let now = ctx.now;
        match next_step(rollout, &self.instances, now, self.config.limits.min_ready_time) {
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
                let limit = rollout.drain_timeout;
                self.retire(ctx, slot, Next::Relaunch, Some(limit));
            }
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
            Step::Finish => self.finish(ctx),
        }
        true
    }

    pub(super) fn finish(&mut self, ctx: &mut Ctx<'_>) {
        let Work::Rollout(rollout) = std::mem::replace(&mut self.work, Work::None) else { return };
        self.last_turn = rollout.mean_turn();
        let receipt = self.receipt(ctx.now, &rollout, None);
        ctx.push(Effect::CloseLedger(Box::new(receipt.clone())));
        let kind = EventKind::RolloutDone {
            operation: rollout.operation,
            took_ms: receipt.took_ms,
            instances: receipt.replaced,
            lost: 0,
        };
        self.note(ctx, None, kind);
        for waiter in rollout.waiters {
            ctx.answer(waiter.ticket, Ok(Done::Restarted(Box::new(receipt.clone()))));
        }
        self.after_rollout(ctx, &rollout.cause, rollout.again, true);
    }

    /// A new run failed: end here; what was not touched serves on.
    pub(super) fn halt(&mut self, ctx: &mut Ctx<'_>, slot: Slot) {
        let failure = self.at(slot).failure.clone().unwrap_or(Failure {
            reason: FailReason::NotLaunched { error: "the instance is not running".to_owned() },
            uptime_ms: 0,
            last_output: Vec::new(),
        });
        let why = format!("{}-{slot} {}", self.config.name, failure);
        self.end_halted(ctx, slot, why, |receipt| Refusal::Halted {
            slot,
            failure: failure.clone(),
            receipt,
        });
    }

    /// Requests outlived the deadline: end here; nothing was signalled.
    pub(super) fn halt_for_drain(&mut self, ctx: &mut Ctx<'_>, slot: Slot) {
        let Work::Rollout(rollout) = &self.work else { return };
        let limit_ms = millis(rollout.drain_timeout);
        let why = format!(
            "{}-{slot} still had requests after {} s; it serves on",
            self.config.name,
            limit_ms / 1000
        );
        self.end_halted(ctx, slot, why, |receipt| Refusal::DrainTimedOut {
            slot,
            in_flight: 0,
            limit_ms,
            receipt,
        });
    }

    pub(super) fn end_halted(
        &mut self,
        ctx: &mut Ctx<'_>,
        slot: Slot,
        why: String,
        refusal: impl Fn(Box<Receipt>) -> Refusal,
    ) {
        let Work::Rollout(mut rollout) = std::mem::replace(&mut self.work, Work::None) else {
            return;
        };
        rollout.end_turn(slot, ctx.now, StepPhase::Failed);
        let receipt = self.receipt(ctx.now, &rollout, Some(why.clone()));
        ctx.push(Effect::CloseLedger(Box::new(receipt.clone())));
        self.note(ctx, None, EventKind::RolloutHalted { operation: rollout.operation, why });
        for waiter in &rollout.waiters {
            ctx.answer(waiter.ticket, Err(refusal(Box::new(receipt.clone()))));
        }
        self.after_rollout(ctx, &rollout.cause, rollout.again, false);
    }

    pub(super) fn after_rollout(
        &mut self,
        ctx: &mut Ctx<'_>,
        cause: &Cause,
        again: Option<Cause>,
        succeeded: bool,
    ) {
        if succeeded {
            self.settle.resume();
        } else if matches!(cause, Cause::FilesChanged(_)) && self.settle.failed(ctx.now) {
            let text = "restarts for file changes are suspended: none of the last ones succeeded; \
                        a restart or a start resumes them";
            self.note(ctx, None, EventKind::Warning { text: text.to_owned() });
            return;
        }
        if let Some(cause) = again {
            self.begin_rollout(ctx, cause, None, None);
        }
    }

    pub(super) fn receipt(
        &self,
        now: Instant,
        rollout: &Rollout,
        halted: Option<String>,
    ) -> Receipt {
        Receipt {
            operation: rollout.operation,
            service: self.config.name.clone(),
            cause: rollout.cause.clone(),
            from: rollout.from,
            to: rollout.to,
            done: halted.is_none(),
            halted,
            replaced: rollout.replaced(),
            of: self.config.instances.get(),
            took_ms: millis(now.duration_since(rollout.began)),
            steps: rollout.steps(),
            ledger: Ledger::default(),
            min_ready: rollout.min_ready,
            unix_ms: 0,
        }
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
            self.begin_rollout(ctx, cause, None, None);
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

    /// When the run in turn will have been ready for long enough.
    pub(super) fn proven_at(&self) -> Option<Instant> {
        let Work::Rollout(rollout) = &self.work else { return None };
        let State::Ready { since, .. } = self.instances[usize::from(rollout.current?.0)].state
        else {
            return None;
        };
        Some(since + self.config.limits.min_ready_time)
    }
}
