//! One line of the event log.

use smoothserve_protocol::event::{Cause, Event, EventKind};

use super::{escape, exit, failure_line};
use crate::fmt::{count, plural, took};

/// What kind of news an event is; glyph and colour are those of [`crate::style`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// Something to know, neither good nor bad.
    Note,
    /// An operation began.
    Began,
    /// Something ended as it should.
    Good,
    /// An instance starts.
    Starting,
    /// An instance drains.
    Draining,
    /// An instance goes away, as it was told to.
    Stopping,
    /// Another try follows.
    Retry,
    /// An operator should look.
    Warning,
    /// Something failed.
    Bad,
}

/// What an event is about: `api-3`, `api` or `daemon`.
pub fn subject(event: &Event) -> String {
    match (&event.service, event.slot) {
        (Some(service), Some(slot)) => format!("{service}-{slot}"),
        (Some(service), None) => service.to_string(),
        (None, _) => "daemon".to_owned(),
    }
}

/// Who or what began something, to follow a comma: `by ops@bastion`.
pub fn cause(cause: &Cause) -> String {
    match cause {
        Cause::Daemon => "by the daemon".to_owned(),
        Cause::Operator(actor) => format!("by {}", escape(actor)),
        Cause::FilesChanged(files) => format!("because files changed: {}", paths(files)),
    }
}

/// What happened, without when and to whom (see [`subject`]).
pub fn event_line(event: &Event) -> (Mark, String) {
    match &event.kind {
        EventKind::DaemonStarted { version, services, instances } => {
            let what = format!(
                "serving, version {}, {}, {}",
                escape(version),
                plural(*services, "service"),
                plural(*instances, "instance"),
            );
            (Mark::Good, what)
        }
        EventKind::DaemonStopping { cause: by } => {
            (Mark::Began, format!("stopping, {}", cause(by)))
        }
        EventKind::RolloutStarted { from, to, instances, cause: by, .. } => {
            let instances = plural(*instances, "instance");
            (Mark::Began, format!("rolling restart {from} to {to}, {instances}, {}", cause(by)))
        }
        EventKind::RolloutDone { took_ms, instances, lost, .. } => {
            let mark = if *lost == 0 { Mark::Good } else { Mark::Bad };
            let (instances, lost) = (plural(*instances, "instance"), count(*lost));
            (mark, format!("rolling restart done in {}, {instances}, {lost} lost", took(*took_ms)))
        }
        EventKind::RolloutHalted { why, .. } => {
            (Mark::Bad, format!("rolling restart halted: {}", escape(why)))
        }
        EventKind::RolloutWaits { .. } => {
            (Mark::Warning, "rolling restart waits for an instance that crashed".to_owned())
        }
        EventKind::StartAsked { cause: by, .. } => (Mark::Began, format!("start, {}", cause(by))),
        EventKind::StopAsked { cause: by, .. } => (Mark::Began, format!("stop, {}", cause(by))),
        EventKind::ServiceStopped { took_ms } => {
            (Mark::Good, format!("stopped in {}", took(*took_ms)))
        }
        EventKind::Draining { in_flight } => {
            (Mark::Draining, format!("draining, closed to new requests, {in_flight} in flight"))
        }
        EventKind::Drained { took_ms } => (Mark::Good, format!("drained in {}", took(*took_ms))),
        EventKind::Reopened { in_flight } => {
            let what = format!("not drained in time, {in_flight} in flight; open again");
            (Mark::Warning, what)
        }
        EventKind::Stopping => (Mark::Stopping, "told to exit".to_owned()),
        EventKind::Killed { after_ms } => {
            (Mark::Warning, format!("did not exit within {} and was killed", took(*after_ms)))
        }
        EventKind::Exited { exit: how } => (Mark::Note, exit(*how)),
        EventKind::Launched { pid, generation } => {
            (Mark::Starting, format!("launched on {generation}, pid {pid}"))
        }
        EventKind::Ready { took_ms, generation } => {
            (Mark::Good, format!("ready in {} on {generation}", took(*took_ms)))
        }
        EventKind::BackingOff { failure, retry_ms, failures } => {
            let (failure, retry) = (failure_line(failure), took(*retry_ms));
            let text = match failures {
                // What does not come to a launch counts as no failed run.
                0 => format!("not launched, next try in {retry}: {failure}"),
                _ => format!("try {failures} failed, next in {retry}: {failure}"),
            };
            (Mark::Retry, text)
        }
        EventKind::GaveUp { failure, failures } => {
            let runs = plural(*failures, "failed run");
            (Mark::Bad, format!("gave up after {runs}: {}", failure_line(failure)))
        }
        EventKind::FilesChanged { files } => {
            (Mark::Note, format!("watched files changed: {}", paths(files)))
        }
        EventKind::Warning { text } => (Mark::Warning, escape(text).into_owned()),
    }
}

/// The first few of a list of paths.
fn paths(files: &[String]) -> String {
    const SHOWN: usize = 3;
    let shown: Vec<_> = files.iter().take(SHOWN).map(|file| escape(file)).collect();
    match files.len().saturating_sub(SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use smoothserve_protocol::failure::{Exit, FailReason, Failure};
    use smoothserve_protocol::id::{EventSeq, Generation, OperationId, ServiceName, Slot};

    use super::*;
    use crate::style::glyphs::{ASCII, UNICODE};

    fn line(slot: Option<u16>, kind: EventKind) -> String {
        let service = Some(ServiceName::new("api").unwrap());
        let event = Event { seq: EventSeq(1), unix_ms: 0, service, slot: slot.map(Slot), kind };
        let (mark, text) = event_line(&event);
        let (unicode, ascii) = (UNICODE.mark(mark).0, ASCII.mark(mark).0);
        format!("{unicode} {ascii} {:6} {text}", subject(&event))
    }

    fn failure() -> Failure {
        Failure {
            reason: FailReason::Crashed(Exit::Code(1)),
            uptime_ms: 4_000,
            last_output: vec!["out of \u{7}memory".into()],
        }
    }

    #[test]
    fn every_event_is_one_line() {
        let operation = OperationId(17);
        let (from, to) = (Generation(41), Generation(42));
        let ops = Cause::Operator("ops@bastion".into());
        let files = vec!["a".into(), "b\n".into(), "c".into(), "d".into(), "e".into()];
        let lines = [
            line(
                None,
                EventKind::DaemonStarted { version: "0.1.0".into(), services: 1, instances: 3 },
            ),
            line(None, EventKind::DaemonStopping { cause: Cause::Daemon }),
            line(
                None,
                EventKind::RolloutStarted { operation, from, to, instances: 4, cause: ops.clone() },
            ),
            line(
                None,
                EventKind::RolloutDone { operation, took_ms: 41_000, instances: 4, lost: 0 },
            ),
            line(
                None,
                EventKind::RolloutDone { operation, took_ms: 41_000, instances: 1, lost: 1_200 },
            ),
            line(None, EventKind::RolloutHalted { operation, why: "api-2 crashed".into() }),
            line(None, EventKind::RolloutWaits { operation }),
            line(None, EventKind::StartAsked { operation, cause: ops }),
            line(
                None,
                EventKind::StopAsked { operation, cause: Cause::FilesChanged(files.clone()) },
            ),
            line(None, EventKind::ServiceStopped { took_ms: 3_210 }),
            line(Some(2), EventKind::Draining { in_flight: 14 }),
            line(Some(2), EventKind::Drained { took_ms: 9_000 }),
            line(Some(2), EventKind::Reopened { in_flight: 1 }),
            line(Some(2), EventKind::Stopping),
            line(Some(2), EventKind::Killed { after_ms: 10_000 }),
            line(Some(2), EventKind::Exited { exit: Exit::Code(0) }),
            line(Some(2), EventKind::Launched { pid: 48_211, generation: to }),
            line(Some(2), EventKind::Ready { took_ms: 4_500, generation: to }),
            line(
                Some(2),
                EventKind::BackingOff { failure: failure(), retry_ms: 8_000, failures: 3 },
            ),
            line(
                Some(2),
                EventKind::BackingOff { failure: failure(), retry_ms: 10_000, failures: 0 },
            ),
            line(Some(2), EventKind::GaveUp { failure: failure(), failures: 10 }),
            line(None, EventKind::FilesChanged { files }),
            line(None, EventKind::Warning { text: "\u{1b}[2J".into() }),
        ];
        insta::assert_snapshot!(lines.join("\n"));
    }
}
