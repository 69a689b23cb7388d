//! What is done to one instance, and when it is due.

use std::time::{Duration, Instant};

use smoothserve_protocol::event::{Cause, EventKind};
use smoothserve_protocol::failure::FailReason;
use smoothserve_protocol::id::{RunId, Slot};
use smoothserve_protocol::snapshot::OnDrainTimeout;

use super::super::effect::{Effect, Signal};
use super::super::input::DrainId;
use super::super::instance::{Drain, Instance, Next, State};
use super::{Ctx, Patience, Service, Work, millis};

/// A drain that takes so long says what it waits for.
const LONG_DRAIN: Duration = Duration::from_secs(10);

impl Service {
    /// Does what is due for one instance.
    pub(super) fn look_at(&mut self, ctx: &mut Ctx<'_>, slot: Slot) {
        let now = ctx.now;
        let due = |at: &Option<Instant>| at.is_some_and(|at| at <= now);
        match self.at(slot).state.clone() {
            State::Starting { run, ready_at, .. } if due(&ready_at) => {
                self.become_ready(ctx, slot, run);
            }
            State::Starting { run, ready_at: None, give_up_at } if give_up_at <= now => {
                self.give_up(ctx, slot, run);
            }
            State::Draining { run, drain, then } if due(&drain.until) => {
                self.drain_timed_out(ctx, slot, run, drain.on_timeout, then);
            }
            State::Draining { drain, .. } if due(&drain.told_at) => {
                if let State::Draining { drain, .. } = &mut self.at(slot).state {
                    drain.told_at = None;
                }
                let (overdue, in_flight, blockers) = (false, 0, Vec::new());
                self.note(ctx, Some(slot), EventKind::DrainWaits { overdue, in_flight, blockers });
            }
            State::Draining { run, drain, .. } if due(&drain.tunnels_until) => {
                if let State::Draining { drain, .. } = &mut self.at(slot).state {
                    drain.tunnels_until = None;
                }
                ctx.push(Effect::EndTunnels { run });
            }
            State::Stopping { run, kill_at, since, .. } if due(&kill_at) => {
                if let State::Stopping { kill_at, .. } = &mut self.at(slot).state {
                    *kill_at = None;
                }
                ctx.push(Effect::Signal { run, signal: Signal::Kill });
                self.measure(slot, |turn| turn.killed = true);
                let after_ms = millis(now.duration_since(since));
                self.note(ctx, Some(slot), EventKind::Killed { after_ms });
            }
            State::BackingOff { retry_at } if retry_at <= now => self.launch(ctx, slot),
            _ => {}
        }
    }

    pub(super) fn become_ready(&mut self, ctx: &mut Ctx<'_>, slot: Slot, run: RunId) {
        let now = ctx.now;
        let instance = self.at(slot);
        instance.state = State::Ready { run, since: now };
        let generation = instance.generation;
        let took_ms = instance.launched.map_or(0, |at| millis(now.duration_since(at)));
        self.measure(slot, |turn| turn.ready = Some(now));
        if let Work::Start(start) = &mut self.work {
            start.failed.remove(&slot);
        }
        self.refresh_route(ctx);
        self.note(ctx, Some(slot), EventKind::Ready { took_ms, generation });
    }

    pub(super) fn give_up(&mut self, ctx: &mut Ctx<'_>, slot: Slot, run: RunId) {
        let reason = FailReason::NotReady {
            after_ms: millis(self.config.limits.ready_timeout),
            probe_error: self.at(slot).probe_error.clone(),
        };
        self.tell_to_exit(ctx, slot, run, Next::Retry(reason));
    }

    /// The drain deadline has passed, and somebody is still inside.
    pub(super) fn drain_timed_out(
        &mut self,
        ctx: &mut Ctx<'_>,
        slot: Slot,
        run: RunId,
        policy: OnDrainTimeout,
        then: Next,
    ) {
        // Without a rollout to end, there is nothing to give up: its old run is left to finish.
        let in_turn = self.has_turn(slot);
        match policy {
            OnDrainTimeout::Cut => {
                let kind = EventKind::DrainCut { in_flight: 0, by: Cause::Daemon };
                self.note(ctx, Some(slot), kind);
                ctx.push(Effect::Cut { run });
                self.tell_to_exit(ctx, slot, run, then);
            }
            OnDrainTimeout::Abort if in_turn => {
                let slot = self.slot_of(slot);
                // A restart is not worth a request: the process was not signalled, so nothing is
                // lost.
                self.halt_for_drain(ctx, slot);
            }
            OnDrainTimeout::Wait | OnDrainTimeout::Abort => {
                if let State::Draining { drain, .. } = &mut self.at(slot).state {
                    drain.until = None;
                }
                let kind =
                    EventKind::DrainWaits { overdue: true, in_flight: 0, blockers: Vec::new() };
                self.note(ctx, Some(slot), kind);
            }
        }
    }

    pub(super) fn launch(&mut self, ctx: &mut Ctx<'_>, slot: Slot) {
        *ctx.last_run = ctx.last_run.next();
        let run = *ctx.last_run;
        ctx.runs.insert(run, (self.config.name.clone(), slot));
        let (generation, limit) = (self.generation, self.config.limits.ready_timeout);
        // One that is still taken is waited for by whoever launches.
        let own = self.config.port(self.slot_of(slot));
        let port = self.free_port(slot).unwrap_or(own);
        self.at(slot).begin(ctx.now, run, generation, port, limit);
        let now = ctx.now;
        self.measure(slot, |turn| turn.launched = Some(now));
        let (config, slot) = (self.config.clone(), self.slot_of(slot));
        ctx.push(Effect::Launch { run, config, slot, port, generation });
    }

    /// Takes an instance out, politely: drain, then exit, then `then`.
    pub(super) fn retire(&mut self, ctx: &mut Ctx<'_>, slot: Slot, then: Next, patience: Patience) {
        match self.at(slot).state.clone() {
            State::Ready { run, since } | State::Unhealthy { run, since } => {
                self.drain(ctx, slot, run, since, then, patience);
            }
            State::Starting { run, .. } => self.tell_to_exit(ctx, slot, run, then),
            State::Draining { run, mut drain, .. } => {
                drain.until = patience.limit.map(|limit| ctx.now + limit);
                drain.on_timeout = patience.on_timeout;
                self.at(slot).state = State::Draining { run, drain, then };
            }
            State::Stopping { run, since, kill_at, .. } => {
                self.at(slot).state = State::Stopping { run, since, kill_at, then };
            }
            State::Stopped | State::BackingOff { .. } | State::Failed => {
                self.at(slot).state = State::Stopped;
                if then == Next::Relaunch {
                    self.launch(ctx, slot);
                }
            }
        }
    }

    pub(super) fn drain(
        &mut self,
        ctx: &mut Ctx<'_>,
        slot: Slot,
        run: RunId,
        ready_since: Instant,
        then: Next,
        Patience { limit, on_timeout }: Patience,
    ) {
        let now = ctx.now;
        // Tunnels go before the deadline does, so that they alone never make it pass.
        let grace = self.config.limits.tunnel_grace;
        let tunnels = limit.map_or(grace, |limit| grace.min(limit - limit / 4));
        let instance = self.at(slot);
        instance.last_drain = DrainId(instance.last_drain.0.wrapping_add(1));
        let drain = Drain {
            id: instance.last_drain,
            since: now,
            until: limit.map(|limit| now + limit),
            on_timeout,
            told_at: Some(now + LONG_DRAIN),
            tunnels_until: Some(now + tunnels),
            ready_since,
        };
        let id = drain.id;
        instance.state = State::Draining { run, drain, then };
        self.measure(slot, |turn| turn.closed = Some(now));
        // Out of the choice first: a request that comes now must go elsewhere, or be held.
        self.refresh_route(ctx);
        ctx.push(Effect::Drain { run, drain: id });
    }

    /// Gives a draining instance back to the choice.
    pub(super) fn reopen(&mut self, ctx: &mut Ctx<'_>, slot: Slot) {
        if let State::Draining { run, drain, .. } = &self.at(slot).state {
            let (run, since) = (*run, drain.ready_since);
            self.at(slot).state = State::Ready { run, since };
            ctx.push(Effect::Undrain { run });
            self.refresh_route(ctx);
        }
    }

    pub(super) fn tell_to_exit(&mut self, ctx: &mut Ctx<'_>, slot: Slot, run: RunId, then: Next) {
        let now = ctx.now;
        self.measure(slot, |turn| turn.drained = Some(now));
        let kill_at = Some(now + self.config.limits.stop_timeout);
        self.at(slot).state = State::Stopping { run, since: now, kill_at, then };
        self.refresh_route(ctx);
        ctx.push(Effect::Signal { run, signal: Signal::Stop });
        self.note(ctx, Some(slot), EventKind::Stopping);
    }

    /// SIGKILL to everything that runs: the third request to shut down.
    pub(in crate::core) fn kill_all(&mut self, ctx: &mut Ctx<'_>) {
        for slot in self.seats() {
            if let Some(run) = self.at(slot).run() {
                let since = ctx.now;
                self.at(slot).state =
                    State::Stopping { run, since, kill_at: None, then: Next::Rest };
                ctx.push(Effect::Cut { run });
                ctx.push(Effect::Signal { run, signal: Signal::Kill });
            }
        }
        self.advance(ctx);
    }

    /// Closes every tunnel, drained or not: the daemon goes.
    pub(in crate::core) fn end_tunnels(&mut self, ctx: &mut Ctx<'_>) {
        for run in self.everyone().filter_map(Instance::run) {
            ctx.push(Effect::EndTunnels { run });
        }
    }
}
