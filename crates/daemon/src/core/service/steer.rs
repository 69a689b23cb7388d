//! How a rollout changes its course, and what it would do if it were asked for.

use std::time::Duration;

use smoothserve_protocol::event::{Cause, EventKind};
use smoothserve_protocol::id::{OperationId, Slot};
use smoothserve_protocol::message::{Done, Refusal, Steer};
use smoothserve_protocol::plan::{PlannedStep, RestartPlan};

use super::super::effect::Effect;
use super::super::input::Ticket;
use super::super::instance::State;
use super::super::rollout::Ending;
use super::{Ctx, Service, Work, millis};

impl Service {
    pub(in crate::core) fn steer(
        &mut self,
        ctx: &mut Ctx<'_>,
        cause: Cause,
        wanted: Option<OperationId>,
        steer: Steer,
        ticket: Ticket,
    ) {
        let result = match self.steerable(wanted) {
            Err(refusal) => Err(refusal),
            Ok(operation) => match steer {
                Steer::Pause => self.pause(ctx, operation, cause),
                Steer::Resume => self.resume(ctx, operation, cause),
                Steer::Abort => self.abort(ctx, operation, cause),
                Steer::Extend { by_ms } => self.extend(ctx, operation, by_ms, &cause),
                Steer::Cut => self.cut(ctx, operation, &cause),
            },
        };
        ctx.answer(ticket, result);
        self.advance(ctx);
    }

    fn steerable(&self, wanted: Option<OperationId>) -> Result<OperationId, Refusal> {
        let Work::Rollout(rollout) = &self.work else {
            let why = format!("no rolling restart of {} runs", self.config.name);
            return Err(Refusal::NothingToSteer { why });
        };
        match wanted {
            Some(wanted) if wanted != rollout.operation => Err(self.other_operation(wanted)),
            Some(_) | None => Ok(rollout.operation),
        }
    }

    fn other_operation(&self, wanted: OperationId) -> Refusal {
        let why = match &self.work {
            Work::Rollout(rollout) => format!("{wanted} has ended; {} runs", rollout.operation),
            Work::None | Work::Start(_) | Work::Stop(_) => format!("{wanted} has ended"),
        };
        Refusal::NothingToSteer { why }
    }

    fn pause(&mut self, ctx: &mut Ctx<'_>, operation: OperationId, by: Cause) -> Steered {
        if let Work::Rollout(rollout) = &mut self.work
            && rollout.paused_by.is_none()
        {
            rollout.paused_by = Some(by.clone());
            self.note(ctx, None, EventKind::RolloutPaused { operation, by });
        }
        Ok(Done::Steered { operation })
    }

    fn resume(&mut self, ctx: &mut Ctx<'_>, operation: OperationId, by: Cause) -> Steered {
        if let Work::Rollout(rollout) = &mut self.work
            && rollout.paused_by.take().is_some()
        {
            self.note(ctx, None, EventKind::RolloutResumed { operation, by });
        }
        Ok(Done::Steered { operation })
    }

    /// Brings every turn to the nearest safe point: what drains and was not signalled serves on,
    /// a new run beside its old one goes, and what was signalled is brought back.
    fn abort(&mut self, ctx: &mut Ctx<'_>, operation: OperationId, by: Cause) -> Steered {
        let Work::Rollout(rollout) = &mut self.work else { return Ok(Done::Steered { operation }) };
        if matches!(rollout.ending, Some(Ending::Aborted(_))) {
            return Ok(Done::Steered { operation });
        }
        rollout.ending = Some(Ending::Aborted(by.clone()));
        rollout.paused_by = None;
        let (current, to) = (rollout.current.clone(), rollout.to);
        self.note(ctx, None, EventKind::AbortAsked { operation, by });
        for slot in current {
            let is_new = self.at(slot).generation == to;
            match self.at(slot).state {
                State::Draining { .. } => {
                    self.give_back(slot);
                    self.reopen(ctx, slot);
                }
                State::Ready { .. } | State::Unhealthy { .. } if !is_new => {
                    self.give_back(slot);
                    self.clear_spare(ctx);
                }
                _ => {}
            }
        }
        Ok(Done::Steered { operation })
    }

    /// The daemon goes: it serves on until its clients have gone, and replaces no instance any more.
    pub(in crate::core) fn wind_down(&mut self, ctx: &mut Ctx<'_>, cause: &Cause) {
        self.winding_down = true;
        if let Work::Rollout(rollout) = &self.work {
            // It is always taken.
            let _ = self.abort(ctx, rollout.operation, cause.clone());
            self.advance(ctx);
        }
    }

    fn give_back(&mut self, slot: Slot) {
        if let Work::Rollout(rollout) = &mut self.work {
            rollout.give_back(slot);
        }
    }

    fn extend(
        &mut self,
        ctx: &mut Ctx<'_>,
        operation: OperationId,
        by_ms: u64,
        by: &Cause,
    ) -> Steered {
        let more = Duration::from_millis(by_ms);
        let mut any = false;
        for seat in self.draining() {
            any = true;
            if let State::Draining { drain, .. } = &mut self.at(seat).state
                && let Some(until) = &mut drain.until
            {
                // Centuries from now is as good as never.
                drain.until = until.checked_add(more);
                self.note(ctx, Some(seat), EventKind::DrainExtended { by_ms, by: by.clone() });
            }
        }
        self.if_any(any, operation)
    }

    fn cut(&mut self, ctx: &mut Ctx<'_>, operation: OperationId, by: &Cause) -> Steered {
        let mut any = false;
        for seat in self.draining() {
            if let Some(run) = self.at(seat).run() {
                any = true;
                let kind = EventKind::DrainCut { in_flight: 0, by: by.clone() };
                self.note(ctx, Some(seat), kind);
                ctx.push(Effect::Cut { run });
            }
        }
        self.if_any(any, operation)
    }

    fn if_any(&self, any: bool, operation: OperationId) -> Steered {
        if any {
            return Ok(Done::Steered { operation });
        }
        let why = format!("no instance of {} drains now", self.config.name);
        Err(Refusal::NothingToSteer { why })
    }

    fn draining(&self) -> Vec<Slot> {
        let seated = self.seats().zip(self.everyone());
        let draining = seated.filter(|(_, one)| matches!(one.state, State::Draining { .. }));
        draining.map(|(seat, _)| seat).collect()
    }

    // ---- what a restart would do ----------------------------------------------------------

    /// Answered when the preflight that it asks for has ended.
    pub(in crate::core) fn plan(&mut self, ctx: &mut Ctx<'_>, ticket: Ticket) {
        let operation = ctx.operation();
        self.plans.push((operation, ticket));
        ctx.push(Effect::Preflight { config: self.config.clone(), operation });
    }

    /// Answers the question that `operation` stands for; `false` if it stands for none.
    pub(super) fn planned(
        &mut self,
        ctx: &mut Ctx<'_>,
        operation: OperationId,
        problem: Option<&String>,
    ) -> bool {
        let Some(index) = self.plans.iter().position(|(id, _)| *id == operation) else {
            return false;
        };
        let (_, ticket) = self.plans.swap_remove(index);
        let standing = self.what_stands_in_the_way(ctx.now);
        let plan = self.restart_plan(standing.or_else(|| problem.cloned()));
        ctx.answer(ticket, Ok(Done::RestartPlan(Box::new(plan))));
        true
    }

    fn what_stands_in_the_way(&self, now: std::time::Instant) -> Option<String> {
        match (&self.work, &self.goal) {
            (Work::None, super::Goal::Run) => None,
            (Work::None, super::Goal::Stopped { .. }) => {
                Some("the service is stopped; it can only be started".to_owned())
            }
            (Work::Rollout(_) | Work::Start(_) | Work::Stop(_), _) => match self.conflict(now) {
                Refusal::Conflict { operation, what } => Some(format!("{operation} runs: {what}")),
                _ => None,
            },
        }
    }

    fn restart_plan(&self, problem: Option<String>) -> RestartPlan {
        let config = &self.config;
        let wanted = self.wanted();
        let step = |instance: &super::Instance| PlannedStep {
            slot: instance.slot,
            state: instance.shown(),
            port: if self.config.sockets.is_some() { 0 } else { instance.port },
            in_flight: 0,
            tunnels: 0,
        };
        // Those that serve nobody go first: that costs nobody anything.
        let down = wanted.iter().filter(|instance| !instance.is_ready());
        let ready = wanted.iter().filter(|instance| instance.is_ready());
        let rounds = wanted.len().div_ceil(usize::from(config.max_unavailable.get())) as u32;
        RestartPlan {
            service: config.name.clone(),
            problem,
            from: self.serving(),
            to: self.generation.next(),
            order: config.restart_order,
            max_unavailable: config.max_unavailable.get(),
            drain_timeout_ms: millis(config.limits.drain_timeout),
            on_drain_timeout: config.limits.on_drain_timeout,
            eta_ms: self.last_turn.map(|turn| millis(turn * rounds)),
            steps: down.chain(ready).map(step).collect(),
        }
    }
}

type Steered = Result<Done, Refusal>;
