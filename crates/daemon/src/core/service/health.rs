//! Instances that run and yet are not well: they do not answer their liveness probe, or use more
//! memory than they may.
//!
//! Such an instance is drained and replaced, one at a time, and never the last one that serves: a
//! probe that fails everywhere says more of the probe than of the instances.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use smoothserve_protocol::event::{Cause, EventKind};
use smoothserve_protocol::failure::FailReason;
use smoothserve_protocol::id::Slot;
use smoothserve_protocol::snapshot::OnDrainTimeout;

use super::super::instance::{Instance, Next, State};
use super::{Ctx, Goal, Patience, SPARE, Service, Work};

/// So many samples in a row above the limit are no passing peak.
const SAMPLES_OVER: u32 = 3;
/// So many replacements within [`MEMORY_WINDOW`] say that the limit does not fit the program.
const MEMORY_LIMIT: usize = 5;
const MEMORY_WINDOW: Duration = Duration::from_secs(10 * 60);

/// When instances were replaced for the memory they used.
#[derive(Clone, Debug, Default)]
pub(super) struct MemoryRestarts {
    at: VecDeque<Instant>,
    told: bool,
}

impl MemoryRestarts {
    /// Whether one more is sensible now, and if not, whether that is news.
    fn may_follow(&mut self, now: Instant) -> Result<(), bool> {
        while self.at.front().is_some_and(|at| now.duration_since(*at) > MEMORY_WINDOW) {
            self.at.pop_front();
        }
        if self.at.len() >= MEMORY_LIMIT {
            return Err(!std::mem::replace(&mut self.told, true));
        }
        self.told = false;
        self.at.push_back(now);
        Ok(())
    }
}

impl Service {
    /// The liveness probe has given up on a run.
    pub(in crate::core) fn unresponsive(&mut self, ctx: &mut Ctx<'_>, seat: Slot, error: String) {
        let instance = self.at(seat);
        if !matches!(instance.state, State::Ready { .. } | State::Unhealthy { .. }) {
            return;
        }
        if instance.unresponsive.replace(error.clone()).is_none() {
            self.note(ctx, Some(seat), EventKind::Unhealthy { error });
        }
        self.advance(ctx);
    }

    /// It answers again.
    pub(in crate::core) fn responsive(&mut self, ctx: &mut Ctx<'_>, seat: Slot) {
        let instance = self.at(seat);
        if instance.unresponsive.take().is_some() {
            if let State::Unhealthy { run, since } = instance.state {
                instance.state = State::Ready { run, since };
            }
            self.note(ctx, Some(seat), EventKind::Healthy);
        }
        self.advance(ctx);
    }

    /// Sees to the instances that do not answer.
    pub(super) fn tend(&mut self, ctx: &mut Ctx<'_>) {
        if self.everyone().all(|instance| instance.unresponsive.is_none()) {
            self.nobody_answers = false;
            return;
        }
        let answers = |instance: &Instance| instance.is_ready() && instance.unresponsive.is_none();
        if self.everyone().any(answers) {
            self.nobody_answers = false;
            self.set_aside();
            self.replace_one(ctx);
        } else {
            self.serve_on(ctx);
        }
    }

    /// Somebody else answers: those who do not are not chosen.
    fn set_aside(&mut self) {
        for seat in self.seats() {
            let instance = self.at(seat);
            if let State::Ready { run, since } = instance.state
                && instance.unresponsive.is_some()
            {
                instance.state = State::Unhealthy { run, since };
            }
        }
    }

    fn replace_one(&mut self, ctx: &mut Ctx<'_>) {
        let was_unwell = |instance: &Instance| {
            let failure = instance.failure.as_ref();
            failure.is_some_and(|f| matches!(f.reason, FailReason::Unhealthy { .. }))
        };
        let is_moving = |instance: &Instance| match instance.state {
            State::Starting { .. } | State::Draining { .. } | State::Stopping { .. } => true,
            // Another one that was replaced is not back yet.
            State::BackingOff { .. } => was_unwell(instance),
            State::Stopped | State::Ready { .. } | State::Unhealthy { .. } | State::Failed => false,
        };
        if !matches!(self.work, Work::None | Work::Start(_))
            || self.winding_down
            || self.goal != Goal::Run
            || self.everyone().any(is_moving)
        {
            return;
        }
        let unhealthy = |instance: &&Instance| matches!(instance.state, State::Unhealthy { .. });
        let Some(instance) = self.wanted().iter().find(unhealthy) else { return };
        let slot = instance.slot;
        let probe_error = instance.unresponsive.clone().unwrap_or_default();
        let limit = Some(self.config.limits.drain_timeout);
        // Whoever does not answer a probe will hardly answer them.
        let patience = Patience { limit, on_timeout: OnDrainTimeout::Cut };
        self.retire(ctx, slot, Next::Retry(FailReason::Unhealthy { probe_error }), patience);
    }

    /// Nobody answers: a poor service is better than none.
    fn serve_on(&mut self, ctx: &mut Ctx<'_>) {
        if self.everyone().any(Instance::is_ready) && self.nobody_answers {
            return;
        }
        let mut serving = false;
        for seat in self.seats() {
            match self.at(seat).state {
                State::Unhealthy { run, since } => {
                    self.at(seat).state = State::Ready { run, since };
                    serving = true;
                }
                State::Draining { then: Next::Retry(FailReason::Unhealthy { .. }), .. } => {
                    self.reopen(ctx, seat);
                    serving = true;
                }
                State::Ready { .. } => serving = true,
                _ => {}
            }
        }
        if serving && !std::mem::replace(&mut self.nobody_answers, true) {
            let text = "no instance answers its liveness probe; they are left to serve";
            self.note(ctx, None, EventKind::Warning { text: text.to_owned() });
        }
    }

    // ---- memory ---------------------------------------------------------------------------

    /// A sample of the memory that a run uses.
    pub(in crate::core) fn memory_used(&mut self, ctx: &mut Ctx<'_>, seat: Slot, rss_bytes: u64) {
        let Some(limit_bytes) = self.config.resources.memory else { return };
        let instance = self.at(seat);
        let samples = if rss_bytes > limit_bytes { instance.over_memory.0 + 1 } else { 0 };
        instance.over_memory = (samples, rss_bytes);
        let idle = matches!(self.work, Work::None) && self.goal == Goal::Run && !self.winding_down;
        if samples < SAMPLES_OVER || !idle || seat == SPARE || !self.at(seat).is_ready() {
            return;
        }
        match self.memory.may_follow(ctx.now) {
            Ok(()) => {
                let cause = Cause::MemoryLimit { slot: seat, rss_bytes, limit_bytes };
                self.begin_rollout_of(ctx, vec![seat], cause);
            }
            Err(true) => {
                let text = format!(
                    "instance {seat} uses {} MiB, {} MiB are allowed; it is not replaced again: \
                     {MEMORY_LIMIT} replacements in 10 minutes did not help; raise memory_limit",
                    rss_bytes >> 20,
                    limit_bytes >> 20,
                );
                self.note(ctx, None, EventKind::Warning { text });
            }
            Err(false) => {}
        }
    }
}
