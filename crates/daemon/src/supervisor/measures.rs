//! What is measured, for those who read the counters themselves: handles to them, and no text.

use std::sync::Arc;
use std::time::Duration;

use smoothserve_protocol::event::EventKind;
use smoothserve_protocol::id::ServiceName;
use smoothserve_protocol::snapshot::Snapshot;

use super::usage;
use crate::proxy::{Endpoint, ServiceProxy};

/// Everything that is measured. What the proxy counts is read where it is counted; the rest is that
/// of the snapshot published last, at most a second old.
pub(crate) struct Measures {
    pub snapshot: Arc<Snapshot>,
    /// By name.
    pub services: Vec<ServiceMeasures>,
}

/// One service.
pub(crate) struct ServiceMeasures {
    pub name: ServiceName,
    pub proxy: Arc<ServiceProxy>,
    pub turns: Turns,
    /// Those that have a process, by place and generation.
    pub runs: Vec<RunMeasures>,
}

/// One run.
pub(crate) struct RunMeasures {
    pub endpoint: Arc<Endpoint>,
    /// Processor time since its processes began; none before the first reading.
    pub cpu: Option<Duration>,
    /// Their resident memory, in bytes.
    pub rss_bytes: Option<u64>,
}

/// How often runs of a service began and failed, since the daemon started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Turns {
    pub launched: u64,
    pub failed: u64,
}

impl RunMeasures {
    pub(super) fn new(endpoint: &Arc<Endpoint>, used: Option<usage::Figures>) -> Self {
        Self {
            endpoint: Arc::clone(endpoint),
            cpu: used.map(|used| used.cpu),
            rss_bytes: used.map(|used| used.rss_bytes),
        }
    }
}

impl Turns {
    /// Counts what an event tells.
    pub(super) fn note(&mut self, kind: &EventKind) {
        match kind {
            EventKind::BackingOff { .. } | EventKind::GaveUp { .. } => self.failed += 1,
            // Most of what happens is told by the counts of requests, or by nothing.
            _ => {}
        }
    }
}
