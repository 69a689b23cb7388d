//! The seat beside the slots, for restarts that start the new run before the old one stops.
//!
//! The new run begins in the spare seat, on a port that nobody has. When it has proven itself, the
//! two change seats, and the old run drains in the spare one. So a slot's run is always found in
//! its slot, and its port wanders.

use smoothserve_protocol::id::Slot;
use smoothserve_protocol::plan::RestartOrder;
use smoothserve_protocol::snapshot::OnDrainTimeout;

use super::super::instance::{Instance, Next, State};
use super::{Ctx, Patience, SPARE, Service, Work};

impl Service {
    /// A port for the next run in `seat`: the slot's own, or else one that nobody has. None while
    /// instances that are on their way out still have them all.
    pub(super) fn free_port(&self, seat: Slot) -> Option<u16> {
        let config = &self.config;
        let is_free = |port: &u16| !self.everyone().any(|i| i.run().is_some() && i.port == *port);
        let own = config.port(self.slot_of(seat));
        let surge = (config.restart_order == RestartOrder::StartFirst).then_some(config.surge_port);
        let all = config.slots().map(|slot| config.port(slot)).chain(surge);
        std::iter::once(own).chain(all).find(is_free)
    }

    /// Starts the next run of `slot` beside the one that serves.
    pub(super) fn launch_spare(&mut self, ctx: &mut Ctx<'_>, slot: Slot) {
        self.spare = Instance { last_drain: self.spare.last_drain, ..Instance::new(slot) };
        self.launch(ctx, SPARE);
    }

    /// The run in the spare seat takes the slot, and the old one drains.
    pub(super) fn swap(&mut self, ctx: &mut Ctx<'_>, slot: Slot) {
        self.change_seats(ctx, slot);
        self.refresh_route(ctx);
        let Work::Rollout(rollout) = &self.work else { return };
        let patience = rollout.patience();
        self.retire(ctx, SPARE, Next::Rest, patience);
    }

    /// The old run is not to go after all: it takes its slot again, and the new one drains.
    pub(super) fn swap_back(&mut self, ctx: &mut Ctx<'_>, slot: Slot) {
        self.change_seats(ctx, slot);
        self.reopen(ctx, slot);
        self.retire(ctx, SPARE, Next::Rest, Patience::ENDLESS);
    }

    /// The new run has failed while the old one, in the spare seat, still drains: the old one, which
    /// was not signalled, takes its slot again, and what is left of the new one goes.
    pub(super) fn take_back(&mut self, ctx: &mut Ctx<'_>, slot: Slot) {
        if !matches!(self.spare.state, State::Draining { .. }) || self.spare.slot != slot {
            return;
        }
        self.change_seats(ctx, slot);
        self.reopen(ctx, slot);
        let limit = Some(self.config.limits.drain_timeout);
        let patience = Patience { limit, on_timeout: OnDrainTimeout::Cut };
        self.retire(ctx, SPARE, Next::Rest, patience);
    }

    fn change_seats(&mut self, ctx: &mut Ctx<'_>, slot: Slot) {
        std::mem::swap(&mut self.instances[usize::from(slot.0)], &mut self.spare);
        // A drain's number must not come twice from one seat.
        let last_drain = self.spare.last_drain.max(self.at(slot).last_drain);
        for seat in [slot, SPARE] {
            let instance = self.at(seat);
            instance.slot = slot;
            instance.last_drain = last_drain;
            if let Some(run) = instance.run() {
                ctx.runs.insert(run, (self.config.name.clone(), seat));
            }
        }
    }

    /// No new run is wanted in the spare seat any more.
    pub(super) fn clear_spare(&mut self, ctx: &mut Ctx<'_>) {
        if matches!(
            self.spare.state,
            State::Starting { .. } | State::Ready { .. } | State::Unhealthy { .. }
        ) {
            self.retire(ctx, SPARE, Next::Rest, Patience::ENDLESS);
        }
    }
}
