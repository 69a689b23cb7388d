//! States, and how many instances serve.

use smoothserve_protocol::id::Slot;
use smoothserve_protocol::snapshot::{InstanceState, ServiceRow, ServiceState};

/// The state of a service, in a word.
pub const fn service_state(state: ServiceState) -> &'static str {
    match state {
        ServiceState::Failed => "failed",
        ServiceState::Degraded => "degraded",
        ServiceState::Restarting => "restarting",
        ServiceState::Starting => "starting",
        ServiceState::Stopping => "stopping",
        ServiceState::Ready => "ready",
        ServiceState::Stopped => "stopped",
    }
}

/// The state of an instance, in a word.
pub const fn instance_state(state: InstanceState) -> &'static str {
    match state {
        InstanceState::Stopped => "stopped",
        InstanceState::Starting => "starting",
        InstanceState::Ready => "ready",
        InstanceState::Draining => "draining",
        InstanceState::Stopping => "stopping",
        InstanceState::Backoff => "backoff",
        InstanceState::Failed => "failed",
        InstanceState::Unhealthy => "unhealthy",
    }
}

/// How many instances take requests.
pub fn ready(row: &ServiceRow) -> usize {
    row.pips.iter().filter(|pip| pip.state == InstanceState::Ready).count()
}

/// How instances are called in the log and in commands: `api-3`.
pub fn instance_name(row: &ServiceRow, slot: Slot) -> String {
    format!("{}-{slot}", row.name)
}
