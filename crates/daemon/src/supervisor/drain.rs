//! Whom a drain waits for: looked up while the door of a run is closed, and remembered when it is
//! opened again, because behind an open door there are others.

use std::time::Instant;

use smoothserve_protocol::event::EventKind;
use smoothserve_protocol::snapshot::Blocker;

use crate::proxy::Endpoint;

/// Blockers named in views and in answers,
pub(super) const NAMED: usize = 10;
/// and in events, of which thousands are kept.
const NAMED_IN_EVENTS: usize = 3;

/// The door of a run.
#[derive(Debug)]
pub(super) enum Door {
    /// It has always been open.
    Open,
    /// The run drains, or has drained.
    Closed,
    /// A drain was given up.
    Reopened(WaitedFor),
}

/// Who is inside a run that drains.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct WaitedFor {
    /// Requests whose last byte is still owed.
    pub requests: u32,
    /// Open tunnels.
    pub tunnels: u32,
    /// Some of both, the oldest first.
    pub blockers: Vec<Blocker>,
}

impl Door {
    /// Whom the last drain waits for, or waited for to its end; none: there was no drain.
    pub(super) fn waited_for(&self, endpoint: &Endpoint) -> Option<WaitedFor> {
        match self {
            Self::Open => None,
            Self::Closed => Some(WaitedFor::look(endpoint)),
            Self::Reopened(waited_for) => Some(waited_for.clone()),
        }
    }
}

impl WaitedFor {
    pub(super) fn look(endpoint: &Endpoint) -> Self {
        let inside = endpoint.inside();
        let blockers = endpoint.blockers(Instant::now(), NAMED);
        Self { requests: inside.requests, tunnels: inside.tunnels, blockers }
    }

    /// `kind` with what it lacks, if it tells of a drain.
    pub(super) fn complete(mut self, kind: EventKind) -> EventKind {
        self.blockers.truncate(NAMED_IN_EVENTS);
        let Self { requests, tunnels, blockers } = self;
        match kind {
            EventKind::Reopened { .. } => EventKind::Reopened { in_flight: requests, blockers },
            EventKind::DrainWaits { overdue, .. } => {
                EventKind::DrainWaits { overdue, in_flight: requests, blockers }
            }
            EventKind::DrainCut { by, .. } => {
                EventKind::DrainCut { in_flight: requests + tunnels, by }
            }
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use smoothserve_protocol::event::Cause;
    use smoothserve_protocol::id::{Generation, RunId, Slot};

    use super::*;
    use crate::config::{Limits, UpstreamProtocol};
    use crate::proxy::{Epoch, Launched};

    fn blocker(path: &str) -> Blocker {
        let (method, client) = ("GET".to_owned(), "127.0.0.1:4000".to_owned());
        Blocker { method, path: path.to_owned(), age_ms: 1, client, tunnel: false }
    }

    #[test]
    fn an_event_names_three_and_counts_all() {
        let blockers: Vec<Blocker> = ["/1", "/2", "/3", "/4"].map(blocker).to_vec();
        let waited_for = WaitedFor { requests: 4, tunnels: 2, blockers: blockers.clone() };
        let reopened = EventKind::Reopened { in_flight: 0, blockers: Vec::new() };
        assert_eq!(
            waited_for.clone().complete(reopened),
            EventKind::Reopened { in_flight: 4, blockers: blockers[..3].to_vec() }
        );
        let cut = EventKind::DrainCut { in_flight: 0, by: Cause::Daemon };
        assert_eq!(
            waited_for.clone().complete(cut),
            EventKind::DrainCut { in_flight: 6, by: Cause::Daemon }
        );
        assert_eq!(waited_for.complete(EventKind::Healthy), EventKind::Healthy);
    }

    #[test]
    fn a_reopened_door_remembers_whom_its_drain_waited_for() {
        let addr = std::net::SocketAddr::from(([127, 0, 0, 1], 1));
        let launch = Launched { run: RunId(1), slot: Slot(0), generation: Generation(1) };
        let endpoint = Endpoint::new(
            launch,
            crate::config::InstanceAddr::Port(addr),
            UpstreamProtocol::Http1,
            &Limits::default(),
            |_, _| {},
            |_| {},
        );
        assert_eq!(Door::Open.waited_for(&endpoint), None);
        endpoint.close(Epoch(1));
        assert_eq!(Door::Closed.waited_for(&endpoint), Some(WaitedFor::default()));
        let before = WaitedFor { requests: 1, tunnels: 0, blockers: vec![blocker("/export")] };
        endpoint.reopen();
        assert_eq!(Door::Reopened(before.clone()).waited_for(&endpoint), Some(before));
    }
}
