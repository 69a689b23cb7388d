//! Which commands are taken when. Stop outranks restart; the same restart is joined.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use smoothserve_protocol::event::{Cause, EventKind};
use smoothserve_protocol::id::{Generation, OperationId, Slot};
use smoothserve_protocol::message::{Done, Refusal};
use smoothserve_protocol::snapshot::OnDrainTimeout;

use super::super::effect::Effect;
use super::super::input::AnswerWhen;
use super::super::instance::{Instance, Next, State, earliest};
use super::work::who;
use super::{Ctx, Goal, Order, Patience, Service, Start, Stop, Waiter, Work};

impl Service {
    pub(in crate::core) fn start(
        &mut self,
        ctx: &mut Ctx<'_>,
        cause: Cause,
        waiter: Option<Waiter>,
    ) {
        let all_ready = self.wanted().iter().all(Instance::is_ready);
        match &mut self.work {
            Work::Start(start) => {
                let operation = start.operation;
                join(ctx, &mut start.waiters, waiter, operation);
                return;
            }
            Work::Rollout(_) => return answer_if(ctx, waiter, Ok(Done::AlreadySo)),
            Work::None if self.goal == Goal::Run && all_ready => {
                return answer_if(ctx, waiter, Ok(Done::AlreadySo));
            }
            Work::Stop(_) => {
                self.supersede(ctx, &format!("it was started again by {}", who(&cause)));
            }
            Work::None => {}
        }
        let operation = ctx.operation();
        self.goal = Goal::Run;
        self.settle.resume();
        self.note(ctx, None, EventKind::StartAsked { operation, cause: cause.clone() });
        let mut start = Start {
            operation,
            cause,
            began: ctx.now,
            waiters: Vec::new(),
            slots: self.not_running(),
            failed: BTreeMap::new(),
            again: None,
            waiters_after: Vec::new(),
        };
        join(ctx, &mut start.waiters, waiter, operation);
        let slots = start.slots.clone();
        self.work = Work::Start(start);
        for slot in slots {
            self.wake(ctx, slot);
        }
        self.advance(ctx);
    }

    /// Brings one instance that is down, or on its way down, back up.
    pub(super) fn wake(&mut self, ctx: &mut Ctx<'_>, slot: Slot) {
        match &mut self.at(slot).state {
            State::Stopped | State::BackingOff { .. } | State::Failed => {
                self.at(slot).forgive();
                self.launch(ctx, slot);
            }
            State::Draining { .. } => self.reopen(ctx, slot),
            State::Stopping { then, .. } => *then = Next::Relaunch,
            State::Starting { .. } | State::Ready { .. } | State::Unhealthy { .. } => {}
        }
    }

    pub(in crate::core) fn stop(
        &mut self,
        ctx: &mut Ctx<'_>,
        cause: Cause,
        expected: Option<Generation>,
        limit: Option<Duration>,
        waiter: Option<Waiter>,
    ) {
        if let Some(refusal) = self.moved(expected) {
            return answer_if(ctx, waiter, Err(refusal));
        }
        if let Work::Stop(stop) = &mut self.work {
            let operation = stop.operation;
            join(ctx, &mut stop.waiters, waiter, operation);
            self.hasten(ctx.now, limit);
            return self.advance(ctx);
        }
        if matches!(self.goal, Goal::Stopped { .. }) && self.is_down() {
            return answer_if(ctx, waiter, Ok(Done::AlreadySo));
        }
        self.supersede(ctx, &format!("the service was stopped by {}", who(&cause)));
        let operation = ctx.operation();
        self.goal = Goal::Stopped { by: Some(cause.clone()) };
        self.settle.clear();
        self.note(ctx, None, EventKind::StopAsked { operation, cause: cause.clone() });
        ctx.push(Effect::OpenLedger { service: self.config.name.clone(), operation });
        let slots: Vec<Slot> =
            self.wanted().iter().filter(|i| i.run().is_some()).map(|i| i.slot).collect();
        let mut stop = Stop { operation, cause, began: ctx.now, waiters: Vec::new(), slots };
        join(ctx, &mut stop.waiters, waiter, operation);
        self.work = Work::Stop(stop);
        let patience = Patience { limit, on_timeout: OnDrainTimeout::Cut };
        for seat in self.seats() {
            self.retire(ctx, seat, Next::Rest, patience);
        }
        self.advance(ctx);
    }

    /// A second, more urgent stop: the drains under way get its limit.
    pub(super) fn hasten(&mut self, now: Instant, limit: Option<Duration>) {
        let Some(until) = limit.map(|limit| now + limit) else { return };
        for seat in self.seats() {
            if let State::Draining { drain, .. } = &mut self.at(seat).state {
                drain.until = earliest(drain.until, Some(until));
                drain.on_timeout = OnDrainTimeout::Cut;
            }
        }
    }

    pub(in crate::core) fn restart(
        &mut self,
        ctx: &mut Ctx<'_>,
        order: Order,
        waiter: Option<Waiter>,
    ) {
        if let Goal::Stopped { .. } = self.goal
            && !matches!(self.work, Work::Stop(_))
        {
            return answer_if(ctx, waiter, Err(Refusal::NotRunning));
        }
        match &mut self.work {
            Work::Rollout(rollout) if order.join => {
                let operation = rollout.operation;
                match waiter {
                    Some(Waiter { when: AnswerWhen::Begun, .. }) if rollout.preflight => {
                        rollout.waiters.extend(waiter);
                    }
                    waiter => join(ctx, &mut rollout.waiters, waiter, operation),
                }
                return;
            }
            Work::Rollout(_) | Work::Start(_) | Work::Stop(_) => {
                let refusal = self.conflict(ctx.now);
                return answer_if(ctx, waiter, Err(refusal));
            }
            Work::None => {}
        }
        if let Some(refusal) = self.moved(order.expected) {
            return answer_if(ctx, waiter, Err(refusal));
        }
        self.settle.resume();
        let slots = self.config.slots().collect();
        self.roll_out(ctx, slots, order, waiter.into_iter().collect());
    }

    /// Ends whatever work is under way, because something else takes its place.
    pub(super) fn supersede(&mut self, ctx: &mut Ctx<'_>, by: &str) {
        let waiters = match std::mem::replace(&mut self.work, Work::None) {
            Work::None => return,
            Work::Rollout(rollout) => {
                if !rollout.preflight {
                    let receipt = self.receipt(ctx.now, &rollout, Some(by.to_owned()));
                    ctx.push(Effect::CloseLedger(Box::new(receipt)));
                    let (operation, why) = (rollout.operation, by.to_owned());
                    self.note(ctx, None, EventKind::RolloutHalted { operation, why });
                }
                rollout.waiters
            }
            Work::Start(start) => [start.waiters, start.waiters_after].concat(),
            Work::Stop(stop) => stop.waiters,
        };
        for waiter in waiters {
            ctx.answer(waiter.ticket, Err(Refusal::Superseded { by: by.to_owned() }));
        }
    }

    pub(super) fn moved(&self, expected: Option<Generation>) -> Option<Refusal> {
        let found = self.shown_generation();
        let expected = expected.filter(|expected| *expected != found)?;
        Some(Refusal::GenerationMoved { expected, found })
    }

    pub(super) fn conflict(&self, now: Instant) -> Refusal {
        let (operation, word, cause, began) = match &self.work {
            Work::Rollout(r) => (r.operation, "a rolling restart", &r.cause, r.began),
            Work::Start(s) => (s.operation, "a start", &s.cause, s.began),
            Work::Stop(s) => (s.operation, "a stop", &s.cause, s.began),
            Work::None => return Refusal::ShuttingDown,
        };
        let by = who(cause);
        let seconds = now.duration_since(began).as_secs();
        Refusal::Conflict { operation, what: format!("{word} by {by}, begun {seconds}s ago") }
    }
}

/// Answers at once who does not wait for the end, and keeps the others.
fn join(
    ctx: &mut Ctx<'_>,
    waiters: &mut Vec<Waiter>,
    waiter: Option<Waiter>,
    operation: OperationId,
) {
    match waiter {
        None => {}
        Some(Waiter { ticket, when: AnswerWhen::Begun }) => {
            ctx.answer(ticket, Ok(Done::Begun { operation }));
        }
        Some(waiter) => waiters.push(waiter),
    }
}

fn answer_if(ctx: &mut Ctx<'_>, waiter: Option<Waiter>, result: Result<Done, Refusal>) {
    if let Some(waiter) = waiter {
        ctx.answer(waiter.ticket, result);
    }
}
