//! What one console is told of the state, and when: whole at first, then what moved.
//!
//! Knows what it told last, so that nothing is told twice, and no more than that: a console that is
//! slow to take one push is told of what came meanwhile in the next. Does not send.

use std::time::Duration;

use smoothserve_protocol::id::{Revision, ServiceName};
use smoothserve_protocol::message::Push;
use smoothserve_protocol::snapshot::{Overview, ServiceDetail, Snapshot};
use tokio::time::Instant;

/// Two pushes of one kind are at least so far apart,
const FASTEST: Duration = Duration::from_millis(100);
/// and the figures are told this often.
const BEAT: Duration = Duration::from_secs(1);

/// What one console was told last.
#[derive(Debug, Default)]
pub(super) struct Feed {
    focus: Option<ServiceName>,
    overview: Option<Overview>,
    overview_pace: Pace,
    /// None: nothing of the focus was told yet; or that it does not exist.
    service: Option<Option<Box<ServiceDetail>>>,
    service_pace: Pace,
}

impl Feed {
    /// Tells of this service in detail from now on, whole at first.
    pub(super) fn look_at(&mut self, focus: Option<ServiceName>) {
        self.focus = focus;
        self.service = None;
        self.service_pace.forget();
    }

    /// When there is something to tell next.
    pub(super) fn due(&self, snapshot: &Snapshot, now: Instant) -> Instant {
        let overview = self.overview_pace.due(now, snapshot.revision, false);
        if self.focus.is_none() {
            return overview;
        }
        let moving = self.detail(snapshot).is_some_and(|detail| detail.operation.is_some());
        overview.min(self.service_pace.due(now, snapshot.revision, moving))
    }

    /// What is to be told now; it counts as told.
    pub(super) fn next(&mut self, snapshot: &Snapshot, now: Instant) -> Vec<Push> {
        let mut pushes = Vec::new();
        if self.overview_pace.due(now, snapshot.revision, false) <= now {
            let is_beat = self.overview_pace.tell(now, snapshot.revision);
            pushes.extend(self.next_overview(snapshot, is_beat));
        }
        let moving = self.detail(snapshot).is_some_and(|detail| detail.operation.is_some());
        if self.focus.is_some() && self.service_pace.due(now, snapshot.revision, moving) <= now {
            self.service_pace.tell(now, snapshot.revision);
            pushes.push(self.next_service(snapshot));
        }
        pushes
    }

    /// Between two beats there is no time for figures, and nothing to say where nothing else moved.
    fn next_overview(&mut self, snapshot: &Snapshot, is_beat: bool) -> Option<Push> {
        let now = overview_of(snapshot);
        let difference =
            self.overview.as_mut().and_then(|told| Some((now.moved_since(told)?, told)));
        let Some((moved, told)) = difference else {
            self.overview = Some(now.clone());
            return Some(Push::Overview(now));
        };
        let moved = if is_beat { moved } else { moved.without_figures() };
        let of_daemon =
            |view: &Overview| (view.daemon.stopping, view.daemon.ready, view.daemon.wanted);
        if !is_beat && moved.rows.is_empty() && of_daemon(&now) == of_daemon(told) {
            return None;
        }
        told.take(moved.clone());
        Some(Push::OverviewMoved(moved))
    }

    fn next_service(&mut self, snapshot: &Snapshot) -> Push {
        let now = self.detail(snapshot).cloned().map(Box::new);
        let moved = match (&now, &self.service) {
            (Some(now), Some(Some(told))) => now.moved_since(told),
            _ => None,
        };
        self.service = Some(now.clone());
        match moved {
            Some(moved) => Push::ServiceMoved(Box::new(moved)),
            None => Push::Service(now),
        }
    }

    fn detail<'a>(&self, snapshot: &'a Snapshot) -> Option<&'a ServiceDetail> {
        let focus = self.focus.as_ref()?;
        snapshot.services.iter().find(|service| service.row.name == *focus)
    }
}

fn overview_of(snapshot: &Snapshot) -> Overview {
    Overview {
        revision: snapshot.revision,
        daemon: snapshot.daemon.clone(),
        services: snapshot.services.iter().map(|service| service.row.clone()).collect(),
    }
}

/// When pushes of one kind went out.
#[derive(Clone, Copy, Debug, Default)]
struct Pace {
    /// The last one.
    at: Option<Instant>,
    /// The last one that had the figures.
    beat: Option<Instant>,
    revision: Option<Revision>,
}

impl Pace {
    /// When the next one is due: soon if something changed, else in its time.
    fn due(self, now: Instant, revision: Revision, moving: bool) -> Instant {
        let soonest = self.at.map_or(now, |at| at + FASTEST);
        match self.beat {
            Some(beat) if !moving && self.revision == Some(revision) => soonest.max(beat + BEAT),
            _ => soonest,
        }
    }

    /// One goes out now. True: it is time for figures.
    fn tell(&mut self, now: Instant, revision: Revision) -> bool {
        let is_beat = self.beat.is_none_or(|beat| now >= beat + BEAT);
        if is_beat {
            self.beat = Some(now);
        }
        (self.at, self.revision) = (Some(now), Some(revision));
        is_beat
    }

    /// The next one is about something else, and no sooner for that.
    const fn forget(&mut self) {
        (self.beat, self.revision) = (None, None);
    }
}

#[cfg(test)]
mod tests;
