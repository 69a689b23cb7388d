//! A new configuration of a service that runs.
//!
//! What needs no instance takes effect at once. The rest waits for the turn under way, so that no
//! instance is caught between two configurations.

use std::sync::Arc;

use smoothserve_protocol::event::{Cause, EventKind};
use smoothserve_protocol::id::Slot;
use smoothserve_protocol::plan::ChangeKind;

use super::super::instance::{Instance, Next, State};
use super::super::rollout::Ending;
use super::{Ctx, Goal, Patience, Service, Start, Work};
use crate::config::ServiceConfig;

/// What is to change.
#[derive(Clone, Debug)]
pub(in crate::core) struct Change {
    pub config: Arc<ServiceConfig>,
    pub kind: ChangeKind,
    /// What differs, a line each.
    pub what: Vec<String>,
}

impl Service {
    /// Takes a new configuration, now or after the work under way.
    pub(in crate::core) fn reconfigure(&mut self, ctx: &mut Ctx<'_>, change: Change) {
        self.note(ctx, None, EventKind::ConfigApplied { what: change.what.clone() });
        // An earlier change that still waits is part of this one, or was taken back.
        let change = match self.pending.take() {
            Some(earlier) => Change {
                kind: earlier.kind.max(change.kind),
                what: once_each(earlier.what, change.what),
                config: change.config,
            },
            None => change,
        };
        if change.kind == ChangeKind::Live || matches!(self.work, Work::None) {
            self.apply(ctx, change);
        } else {
            if let Work::Rollout(rollout) = &mut self.work {
                rollout.ending.get_or_insert(Ending::Reconfigured);
            }
            self.pending = Some(change);
        }
        self.advance(ctx);
    }

    /// Applies what has waited, if nothing is under way any more.
    pub(super) fn apply_pending(&mut self, ctx: &mut Ctx<'_>) {
        if matches!(self.work, Work::None)
            && let Some(change) = self.pending.take()
        {
            self.apply(ctx, change);
        }
    }

    fn apply(&mut self, ctx: &mut Ctx<'_>, change: Change) {
        let Change { config, kind, what } = change;
        self.config = config;
        if !self.config.auto_restart {
            self.settle.clear();
        }
        let cause = Cause::ConfigChanged(what);
        let added = self.resize(ctx);
        if self.goal != Goal::Run || kind == ChangeKind::Live {
            return;
        }
        let again = (kind == ChangeKind::Restart).then(|| cause.clone());
        if added.is_empty() {
            if let Some(cause) = again {
                self.begin_rollout(ctx, cause);
            }
        } else {
            self.start_slots(ctx, cause, added, again);
        }
    }

    /// Makes the seats fit the count; the new ones.
    fn resize(&mut self, ctx: &mut Ctx<'_>) -> Vec<Slot> {
        let count = self.config.instances.get();
        for slot in count..self.instances.len() as u16 {
            self.retire(ctx, Slot(slot), Next::Rest, Patience::ENDLESS);
        }
        // One that is on its way out may be wanted again.
        let returning = |instance: &Instance| {
            matches!(
                instance.state,
                State::Stopped
                    | State::Draining { then: Next::Rest, .. }
                    | State::Stopping { then: Next::Rest, .. }
            )
        };
        let known = self.instances.len() as u16;
        self.instances.extend((known..count).map(|slot| Instance::new(Slot(slot))));
        let wanted = self.wanted().iter();
        wanted.filter(|instance| returning(instance)).map(|instance| instance.slot).collect()
    }

    fn start_slots(
        &mut self,
        ctx: &mut Ctx<'_>,
        cause: Cause,
        slots: Vec<Slot>,
        again: Option<Cause>,
    ) {
        let operation = ctx.operation();
        self.note(ctx, None, EventKind::StartAsked { operation, cause: cause.clone() });
        let failed = std::collections::BTreeMap::new();
        let (began, waiters) = (ctx.now, Vec::new());
        let (slots_to_start, waiters_after) = (slots.clone(), Vec::new());
        let start = Start { operation, cause, began, waiters, slots, failed, again, waiters_after };
        self.work = Work::Start(start);
        for slot in slots_to_start {
            self.wake(ctx, slot);
        }
    }

    /// Lets go of the seats above the count that are empty.
    pub(super) fn drop_seats(&mut self) {
        let count = usize::from(self.config.instances.get());
        while self.instances.len() > count
            && self.instances.last().is_some_and(Instance::is_at_rest)
        {
            self.instances.pop();
        }
    }
}

fn once_each(mut lines: Vec<String>, more: Vec<String>) -> Vec<String> {
    for line in more {
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    lines
}
