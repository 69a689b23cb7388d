//! What a command would do: shown before it is given.

use bincode::{Decode, Encode};

use crate::id::{Generation, ServiceName, Slot};
use crate::snapshot::{InstanceState, OnDrainTimeout};

/// In which order an instance is replaced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub enum RestartOrder {
    /// The old run ends before the new one begins: constant memory, fixed ports.
    #[default]
    StopFirst,
    /// The new run is ready, on a port of its own, before the old one drains.
    StartFirst,
}

/// What a rolling restart would do.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct RestartPlan {
    /// The service.
    pub service: ServiceName,
    /// What stands in the way; then nothing would be done.
    pub problem: Option<String>,
    /// The generation that serves
    pub from: Generation,
    /// and the one that would.
    pub to: Generation,
    /// What comes first.
    pub order: RestartOrder,
    /// Instances that may be out at the same time.
    pub max_unavailable: u16,
    /// How long an instance may take to finish its requests, in milliseconds.
    pub drain_timeout_ms: u64,
    /// What happens to those that outlive it.
    pub on_drain_timeout: OnDrainTimeout,
    /// What it took last time, in milliseconds; none if it never ran.
    pub eta_ms: Option<u64>,
    /// In the order they would be taken.
    pub steps: Vec<PlannedStep>,
}

/// One instance's turn, planned.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct PlannedStep {
    /// Whose turn.
    pub slot: Slot,
    /// What it does now.
    pub state: InstanceState,
    /// Its port now; 0 if it listens on a path.
    pub port: u16,
    /// Requests whose last byte is still owed, as of now.
    pub in_flight: u32,
    /// Open tunnels, as of now.
    pub tunnels: u32,
}

/// What a reload of the configuration did, or would do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct ReloadReport {
    /// It was done; else it was only planned, or refused.
    pub applied: bool,
    /// What is wrong, rendered with file and line. A service whose file is wrong keeps its former
    /// configuration.
    pub problems: Vec<String>,
    /// What changes in the daemon itself, a line each.
    pub daemon: Vec<String>,
    /// By name; services that stay as they are are left out.
    pub services: Vec<ServicePlan>,
    /// How many stay as they are.
    pub unchanged: u32,
}

/// What a reload does to one service.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct ServicePlan {
    /// The service.
    pub service: ServiceName,
    /// What it amounts to.
    pub kind: ChangeKind,
    /// What differs, a line each, such as `instance_count 3 -> 5`.
    pub what: Vec<String>,
}

/// What a change amounts to: the heaviest thing that it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub enum ChangeKind {
    /// It takes effect at once, and no instance is touched.
    Live,
    /// Instances are added or taken away; the others are not touched.
    Scale,
    /// A rolling restart brings it.
    Restart,
    /// The service is new.
    Added,
    /// The service is gone: it drains and stops.
    Removed,
}
