//! How the drain of an instance goes, and what it waits for.

use smoothserve_protocol::snapshot::{DrainView, InstanceView, OnDrainTimeout};

use crate::fmt::{duration, took};
use crate::words::blocker;

/// `3 of 14 left after 2.4s of 1m00, then it goes back to work`; none: it does not drain.
pub(super) fn drain(instance: &InstanceView) -> Option<String> {
    let DrainView { began_with, since_ms, limit_ms, on_timeout, .. } = instance.drain.as_ref()?;
    let left = instance.in_flight.saturating_add(instance.tunnels);
    let so_far = format!("{left} of {began_with} left after {}", took(*since_ms));
    let then = match on_timeout {
        OnDrainTimeout::Abort => "then it goes back to work",
        OnDrainTimeout::Wait => "then they are waited for all the same",
        OnDrainTimeout::Cut => "then they are cut",
    };
    Some(match limit_ms {
        Some(limit_ms) => format!("{so_far} of {}, {then}", duration(*limit_ms)),
        None => so_far,
    })
}

/// What it waits for, the oldest first: `waits for GET /export 41s from 10.0.0.7:4312`.
pub(super) fn waits(instance: &InstanceView) -> impl Iterator<Item = String> {
    let blockers = instance.drain.iter().flat_map(|drain| &drain.blockers);
    blockers.map(|one| format!("waits for {}", blocker(one)))
}
