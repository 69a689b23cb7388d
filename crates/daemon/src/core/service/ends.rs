//! How a rollout ends: done, halted by a failure or a drain, or early because somebody wants it.

use std::time::Instant;

use smoothserve_protocol::event::{Cause, EventKind};
use smoothserve_protocol::failure::{FailReason, Failure};
use smoothserve_protocol::id::Slot;
use smoothserve_protocol::message::{Done, Refusal};
use smoothserve_protocol::snapshot::{Ledger, Receipt, StepPhase};

use super::super::effect::Effect;
use super::super::instance::State;
use super::super::rollout::{Ending, Rollout};
use super::work::who;
use super::{Ctx, Goal, Order, Service, Waiter, Work, millis};

impl Service {
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

    /// Why the new run of `slot` does not serve, wherever it sits.
    fn why_not(&self, now: Instant, slot: Slot) -> Option<Failure> {
        let beside = Some(&self.spare).filter(|spare| spare.slot == slot);
        let seats = beside.into_iter().chain([&self.instances[usize::from(slot.0)]]);
        // The newest of the two is the one that was to serve.
        let newest = seats.max_by_key(|instance| instance.generation);
        newest.and_then(|instance| {
            let unhealthy = |probe_error| Failure {
                reason: FailReason::Unhealthy { probe_error },
                uptime_ms: instance.launched.map_or(0, |at| millis(now.duration_since(at))),
                last_output: Vec::new(),
            };
            instance.unresponsive.clone().map(unhealthy).or_else(|| instance.failure.clone())
        })
    }

    /// A new run failed: end here; what was not touched serves on.
    pub(super) fn halt(&mut self, ctx: &mut Ctx<'_>, slot: Slot) {
        let failure = self.why_not(ctx.now, slot).unwrap_or(Failure {
            reason: FailReason::NotLaunched { error: "the instance is not running".to_owned() },
            uptime_ms: 0,
            last_output: Vec::new(),
        });
        let why = format!("{}-{slot} {}", self.config.name, failure);
        self.take_back(ctx, slot);
        let explained = Some((slot, failure.clone()));
        self.end_halted(ctx, slot, why, explained, |receipt| Refusal::Halted {
            slot,
            failure: failure.clone(),
            receipt,
        });
        // The run that served there fell while the next one was on its way; and a change that waited
        // may have taken the slot away since.
        let instance = self.wanted().get(usize::from(slot.0));
        if self.goal == Goal::Run && instance.is_some_and(|one| one.state == State::Stopped) {
            self.launch(ctx, slot);
        }
    }

    /// Requests outlived the deadline: end here; nothing was signalled.
    pub(super) fn halt_for_drain(&mut self, ctx: &mut Ctx<'_>, slot: Slot) {
        let Work::Rollout(rollout) = &self.work else { return };
        let in_spare =
            matches!(self.spare.state, State::Draining { .. }) && self.spare.slot == slot;
        let seat = if in_spare { &self.spare } else { &self.instances[usize::from(slot.0)] };
        // With what it was given on the way.
        let limit = match &seat.state {
            State::Draining { drain, .. } => drain.until.map(|until| until - drain.since),
            _ => None,
        };
        let limit = limit.unwrap_or(rollout.drain_timeout);
        let name = &self.config.name;
        let why = format!("{name}-{slot} still had requests after {limit:?}; it serves on");
        let limit_ms = millis(limit);
        if in_spare {
            self.swap_back(ctx, slot);
        } else {
            self.reopen(ctx, slot);
        }
        let kind = EventKind::Reopened { in_flight: 0, blockers: Vec::new() };
        self.note(ctx, Some(slot), kind);
        self.end_halted(ctx, slot, why, None, |receipt| Refusal::DrainTimedOut {
            slot,
            in_flight: 0,
            limit_ms,
            blockers: Vec::new(),
            receipt,
        });
    }

    pub(super) fn end_halted(
        &mut self,
        ctx: &mut Ctx<'_>,
        slot: Slot,
        why: String,
        failure: Option<(Slot, Failure)>,
        refusal: impl Fn(Box<Receipt>) -> Refusal,
    ) {
        let Work::Rollout(mut rollout) = std::mem::replace(&mut self.work, Work::None) else {
            return;
        };
        rollout.end_turn(slot, ctx.now, StepPhase::Failed);
        // Others that are out at the same time come back by themselves, or serve on.
        for slot in rollout.current.clone() {
            if matches!(self.at(slot).state, State::Draining { .. }) {
                self.reopen(ctx, slot);
            }
        }
        self.clear_spare(ctx);
        let mut receipt = self.receipt(ctx.now, &rollout, Some(why.clone()));
        receipt.failure = failure;
        ctx.push(Effect::CloseLedger(Box::new(receipt.clone())));
        self.note(ctx, None, EventKind::RolloutHalted { operation: rollout.operation, why });
        for waiter in &rollout.waiters {
            ctx.answer(waiter.ticket, Err(refusal(Box::new(receipt.clone()))));
        }
        self.after_rollout(ctx, &rollout.cause, rollout.again, false);
    }

    /// Nothing failed, but it goes no further.
    pub(super) fn end_early(&mut self, ctx: &mut Ctx<'_>) {
        let Work::Rollout(rollout) = std::mem::replace(&mut self.work, Work::None) else { return };
        let why = match &rollout.ending {
            Some(Ending::Aborted(cause)) => format!("aborted by {}", who(cause)),
            Some(Ending::Reconfigured) | None => "the configuration changed".to_owned(),
        };
        let receipt = Box::new(self.receipt(ctx.now, &rollout, Some(why.clone())));
        ctx.push(Effect::CloseLedger(receipt.clone()));
        let operation = rollout.operation;
        self.note(ctx, None, EventKind::RolloutHalted { operation, why });
        match rollout.ending {
            Some(Ending::Aborted(cause)) => {
                if rollout.again.is_some() {
                    // Another rollout at once is not what somebody wants who has ended one.
                    let text = "files changed during the restart that was aborted; \
                                the next restart takes them along";
                    self.note(ctx, None, EventKind::Warning { text: text.to_owned() });
                }
                let by = who(&cause);
                for waiter in rollout.waiters {
                    let receipt = receipt.clone();
                    ctx.answer(waiter.ticket, Err(Refusal::Aborted { by: by.clone(), receipt }));
                }
            }
            // What was begun is brought to its end, with the new configuration.
            Some(Ending::Reconfigured) | None => self.go_on(ctx, rollout.cause, rollout.waiters),
        }
    }

    /// Applies the configuration that waited for a rollout, and begins the next one; whoever waited
    /// for the last one waits for that.
    fn go_on(&mut self, ctx: &mut Ctx<'_>, cause: Cause, waiters: Vec<Waiter>) {
        self.apply_pending(ctx);
        match &mut self.work {
            Work::None => {
                let slots = self.config.slots().collect();
                self.roll_out(ctx, slots, Order::plain(cause), waiters);
            }
            Work::Rollout(rollout) => rollout.waiters.extend(waiters),
            Work::Start(start) => {
                start.again.get_or_insert(cause);
                start.waiters_after.extend(waiters);
            }
            Work::Stop(_) => {}
        }
    }

    pub(super) fn after_rollout(
        &mut self,
        ctx: &mut Ctx<'_>,
        cause: &Cause,
        again: Option<Cause>,
        succeeded: bool,
    ) {
        if succeeded {
            self.settle.succeeded();
        } else if matches!(cause, Cause::FilesChanged(_)) && self.settle.failed(ctx.now) {
            let text = "restarts for file changes are suspended: the last 6 failed, in 10 minutes; \
                        a restart or a start resumes them";
            self.note(ctx, None, EventKind::Warning { text: text.to_owned() });
            return;
        }
        if let Some(cause) = again.filter(|_| !self.winding_down) {
            self.go_on(ctx, cause, Vec::new());
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
            of: rollout.of,
            took_ms: millis(now.duration_since(rollout.began)),
            steps: rollout.steps(),
            ledger: Ledger::default(),
            min_ready: rollout.min_ready,
            slowest_held_us: None,
            failure: None,
            remarks: Vec::new(),
            unix_ms: 0,
        }
    }
}
