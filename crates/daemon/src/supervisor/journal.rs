//! The event log: a bounded ring with numbers, so that whoever missed something knows it.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use smoothserve_protocol::event::{Event, EventBatch, EventKind};
use smoothserve_protocol::id::{EventSeq, ServiceName, Slot};
use tokio::sync::watch;

/// Events kept.
const KEPT: usize = 5_000;

#[derive(Debug)]
pub(super) struct Journal {
    events: Mutex<VecDeque<Event>>,
    newest: watch::Sender<EventSeq>,
}

impl Journal {
    pub(super) fn new() -> Self {
        Self { events: Mutex::default(), newest: watch::Sender::new(EventSeq::default()) }
    }

    /// Adds one event, and logs it.
    pub(super) fn note(&self, service: Option<ServiceName>, slot: Option<Slot>, kind: EventKind) {
        log(service.as_ref(), slot, &kind);
        let mut events = self.events();
        let seq = self.newest.borrow().next();
        if events.len() == KEPT {
            events.pop_front();
        }
        events.push_back(Event { seq, unix_ms: unix_ms(), service, slot, kind: brief(kind) });
        // Under the lock, so that numbers and events come in one order.
        self.newest.send_replace(seq);
    }

    /// Events after `after`, at most `limit`, the newest of them.
    pub(super) fn after(&self, after: Option<EventSeq>, limit: usize) -> EventBatch {
        let events = self.events();
        let wanted = events.iter().rev().take_while(|event| Some(event.seq) > after).take(limit);
        let mut chosen: Vec<Event> = wanted.cloned().collect();
        chosen.reverse();
        let newest = self.newest.borrow().0;
        let asked = after.map_or(0, |after| newest.saturating_sub(after.0));
        let missed = asked.saturating_sub(chosen.len() as u64);
        EventBatch { missed, events: chosen }
    }

    fn events(&self) -> MutexGuard<'_, VecDeque<Event>> {
        // Nothing under this lock can panic half-way.
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn numbers(&self) -> watch::Receiver<EventSeq> {
        self.newest.subscribe()
    }
}

/// Of a failure, the log keeps the last line alone; the instance's own view has them all.
fn brief(mut kind: EventKind) -> EventKind {
    if let EventKind::BackingOff { failure, .. } | EventKind::GaveUp { failure, .. } = &mut kind {
        let lines = failure.last_output.len().saturating_sub(1);
        failure.last_output.drain(..lines);
    }
    kind
}

/// Milliseconds since 1970-01-01 UTC, for people to read; nothing is decided by it.
pub(super) fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as u64)
}

fn log(service: Option<&ServiceName>, slot: Option<Slot>, kind: &EventKind) {
    let who = match (service, slot) {
        (Some(service), Some(slot)) => format!("{service}-{slot}"),
        (Some(service), None) => service.to_string(),
        (None, _) => "daemon".to_owned(),
    };
    match kind {
        EventKind::BackingOff { failure, retry_ms, failures } => {
            tracing::warn!("{who}: {failure}; try {} in {retry_ms} ms", failures + 1);
        }
        EventKind::GaveUp { failure, failures } => {
            tracing::error!("{who}: {failure}; gave up after {failures} failed runs");
        }
        EventKind::RolloutHalted { operation, why } => {
            tracing::error!("{who}: {operation} halted: {why}");
        }
        EventKind::Warning { text } => tracing::warn!("{who}: {text}"),
        EventKind::DrainWaits { overdue: true, in_flight, .. } => {
            tracing::warn!("{who}: the drain deadline has passed, waits on for {in_flight}");
        }
        EventKind::DrainWaits { overdue: false, in_flight, .. } => {
            tracing::info!("{who}: still drains, waits for {in_flight}");
        }
        EventKind::Unhealthy { error } => {
            tracing::warn!("{who}: does not answer its liveness probe: {error}");
        }
        EventKind::ConfigRejected { problem } => {
            tracing::error!("{who}: the former configuration stays: {problem}");
        }
        EventKind::Killed { after_ms } => {
            tracing::warn!("{who}: ignored the stop signal for {after_ms} ms, killed");
        }
        kind => tracing::info!("{who}: {}", plain(kind)),
    }
}

/// What happened, for the daemon's own log.
fn plain(kind: &EventKind) -> String {
    match kind {
        EventKind::DaemonStarted { version, services, instances } => {
            format!("started, version {version}, {services} services, {instances} instances")
        }
        EventKind::DaemonStopping { cause } => format!("stopping, {}", by(cause)),
        EventKind::RolloutStarted { operation, from, to, instances, cause } => format!(
            "{operation}: rolling restart {from} to {to}, {instances} instances, {}",
            by(cause)
        ),
        EventKind::RolloutDone { operation, took_ms, instances, lost } => {
            format!("{operation}: {instances} replaced in {took_ms} ms, {lost} lost")
        }
        EventKind::RolloutWaits { operation } => {
            format!("{operation}: waits for an instance that fell meanwhile")
        }
        EventKind::StartAsked { operation, cause } => format!("{operation}: start, {}", by(cause)),
        EventKind::StopAsked { operation, cause } => format!("{operation}: stop, {}", by(cause)),
        EventKind::ServiceStopped { took_ms } => format!("stopped in {took_ms} ms"),
        EventKind::Draining { in_flight } => {
            format!("draining, closed to new requests, {in_flight} in flight")
        }
        EventKind::Drained { took_ms } => format!("drained in {took_ms} ms"),
        EventKind::Reopened { in_flight, .. } => {
            format!("reopened, {in_flight} still in flight at the deadline")
        }
        EventKind::Stopping => "told to exit".to_owned(),
        EventKind::Exited { exit } => exit.to_string(),
        EventKind::Launched { pid, generation } => format!("launched as pid {pid}, {generation}"),
        EventKind::Ready { took_ms, generation } => format!("ready in {took_ms} ms, {generation}"),
        EventKind::FilesChanged { files } => format!("changed: {}", files.join(", ")),
        EventKind::FilesUnchanged { files } => {
            format!("touched, same content, nothing follows: {}", files.join(", "))
        }
        EventKind::RolloutPaused { operation, by: cause } => {
            format!("{operation}: paused, {}", by(cause))
        }
        EventKind::RolloutResumed { operation, by: cause } => {
            format!("{operation}: resumed, {}", by(cause))
        }
        EventKind::AbortAsked { operation, by: cause } => {
            format!("{operation}: ends at the nearest safe point, {}", by(cause))
        }
        EventKind::DrainExtended { by_ms, by: cause } => {
            format!("drain given {by_ms} ms more, {}", by(cause))
        }
        EventKind::DrainCut { in_flight, by: cause } => {
            format!("{in_flight} in flight cut, {}", by(cause))
        }
        EventKind::Healthy => "answers its liveness probe again".to_owned(),
        EventKind::ConfigApplied { what } => format!("configuration: {}", what.join("; ")),
        EventKind::BackingOff { .. }
        | EventKind::GaveUp { .. }
        | EventKind::RolloutHalted { .. }
        | EventKind::Warning { .. }
        | EventKind::DrainWaits { .. }
        | EventKind::Unhealthy { .. }
        | EventKind::ConfigRejected { .. }
        | EventKind::Killed { .. } => String::new(),
    }
}

fn by(cause: &smoothserve_protocol::event::Cause) -> String {
    use smoothserve_protocol::event::Cause;
    match cause {
        Cause::Daemon => "by the daemon".to_owned(),
        Cause::Operator(actor) => format!("by {}", actor.escape_debug()),
        Cause::FilesChanged(files) => format!("because {} changed", files.join(", ")),
        Cause::ConfigChanged(what) => {
            format!("because the configuration changed: {}", what.join(", "))
        }
        Cause::MemoryLimit { slot, rss_bytes, limit_bytes } => {
            format!(
                "because instance {slot} uses {rss_bytes} bytes of memory, {limit_bytes} allowed"
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_missed_events_is_told_how_many() {
        let journal = Journal::new();
        for n in 0..KEPT + 10 {
            journal.note(None, None, EventKind::Warning { text: n.to_string() });
        }
        let batch = journal.after(Some(EventSeq(5)), usize::MAX);
        assert_eq!(batch.missed, 5);
        assert_eq!(batch.events.len(), KEPT);
        assert_eq!(batch.events[0].seq, EventSeq(11));
        let newest = journal.after(None, 3);
        assert_eq!(newest.missed, 0);
        assert_eq!(newest.events.len(), 3);
        assert_eq!(newest.events[2].seq, EventSeq(KEPT as u64 + 10));
    }
}
