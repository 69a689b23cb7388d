//! One line of the event log.

use smoothserve_protocol::event::{Cause, Event, EventKind};
use smoothserve_protocol::snapshot::Blocker;

use super::{blockers, escape, exit, failure_line, problem_line};
use crate::fmt::{bytes, count, plural, took};

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
        Cause::FilesChanged(files) => format!("because files changed: {}", first_of(files)),
        Cause::ConfigChanged(what) => {
            format!("because the configuration changed: {}", first_of(what))
        }
        Cause::MemoryLimit { slot, rss_bytes, limit_bytes } => {
            let (used, limit) = (bytes(*rss_bytes), bytes(*limit_bytes));
            format!("because instance {slot} used {used}, more than {limit}")
        }
    }
}

/// What happened, without when and to whom (see [`subject`]).
pub fn event_line(event: &Event) -> (Mark, String) {
    let told = told(event);
    (told.mark, told.text)
}

/// An event in words: as one line, and in parts for where there are columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// What kind of news it is.
    pub mark: Mark,
    /// All of it.
    pub text: String,
    /// The same without what follows here.
    pub what: String,
    /// How long it took, in milliseconds.
    pub took_ms: Option<u64>,
    /// Who asked for it.
    pub by: Option<String>,
}

impl Told {
    fn new(mark: Mark, what: impl Into<String>) -> Self {
        let what = what.into();
        Self { mark, text: what.clone(), what, took_ms: None, by: None }
    }

    fn took(mut self, took_ms: u64) -> Self {
        self.text = format!("{} in {}", self.text, took(took_ms));
        self.took_ms = Some(took_ms);
        self
    }

    fn and(mut self, more: &str) -> Self {
        self.text.push_str(more);
        self.what.push_str(more);
        self
    }

    /// A cause that is no name is a part of what happened.
    fn because(mut self, by: &Cause) -> Self {
        let text = cause(by);
        let (Cause::Operator(_) | Cause::Daemon, Some(who)) = (by, text.strip_prefix("by ")) else {
            return self.and(&format!(", {text}"));
        };
        self.text = format!("{}, {text}", self.text);
        self.by = Some(who.to_owned());
        self
    }
}

/// What happened, in full and in parts.
pub fn told(event: &Event) -> Told {
    match &event.kind {
        EventKind::DaemonStarted { version, services, instances } => {
            let what = format!(
                "serving, version {}, {}, {}",
                escape(version),
                plural(*services, "service"),
                plural(*instances, "instance"),
            );
            Told::new(Mark::Good, what)
        }
        EventKind::DaemonStopping { cause: by } => Told::new(Mark::Began, "stopping").because(by),
        EventKind::RolloutStarted { from, to, instances, cause: by, .. } => {
            let instances = plural(*instances, "instance");
            let what = format!("rolling restart {from} to {to}, {instances}");
            Told::new(Mark::Began, what).because(by)
        }
        EventKind::RolloutDone { took_ms, instances, lost, .. } => {
            let mark = if *lost == 0 { Mark::Good } else { Mark::Bad };
            let (instances, lost) = (plural(*instances, "instance"), count(*lost));
            let told = Told::new(mark, "rolling restart done").took(*took_ms);
            told.and(&format!(", {instances}, {lost} lost"))
        }
        EventKind::RolloutHalted { why, .. } => {
            Told::new(Mark::Bad, format!("rolling restart halted: {}", escape(why)))
        }
        EventKind::RolloutWaits { .. } => {
            Told::new(Mark::Warning, "rolling restart waits for an instance that crashed")
        }
        EventKind::StartAsked { cause: by, .. } => Told::new(Mark::Began, "start").because(by),
        EventKind::StopAsked { cause: by, .. } => Told::new(Mark::Began, "stop").because(by),
        EventKind::ServiceStopped { took_ms } => Told::new(Mark::Good, "stopped").took(*took_ms),
        EventKind::Draining { in_flight } => Told::new(
            Mark::Draining,
            format!("draining, closed to new requests, {in_flight} in flight"),
        ),
        EventKind::Drained { took_ms } => Told::new(Mark::Good, "drained").took(*took_ms),
        EventKind::Reopened { in_flight, blockers } => {
            let waited = waited_for(blockers, *in_flight);
            Told::new(Mark::Warning, format!("not drained in time, open again; {waited}"))
        }
        EventKind::Stopping => Told::new(Mark::Stopping, "told to exit"),
        EventKind::Killed { after_ms } => Told::new(
            Mark::Warning,
            format!("did not exit within {} and was killed", took(*after_ms)),
        ),
        EventKind::Exited { exit: how } => Told::new(Mark::Note, exit(*how)),
        EventKind::Launched { pid, generation } => {
            Told::new(Mark::Starting, format!("launched on {generation}, pid {pid}"))
        }
        EventKind::Ready { took_ms, generation } => {
            Told::new(Mark::Good, "ready").took(*took_ms).and(&format!(" on {generation}"))
        }
        EventKind::BackingOff { failure, retry_ms, failures } => {
            let (failure, retry) = (failure_line(failure), took(*retry_ms));
            let text = match failures {
                // What does not come to a launch counts as no failed run.
                0 => format!("not launched, next try in {retry}: {failure}"),
                _ => format!("try {failures} failed, next in {retry}: {failure}"),
            };
            Told::new(Mark::Retry, text)
        }
        EventKind::GaveUp { failure, failures } => {
            let runs = plural(*failures, "failed run");
            Told::new(Mark::Bad, format!("gave up after {runs}: {}", failure_line(failure)))
        }
        EventKind::FilesChanged { files } => {
            Told::new(Mark::Note, format!("watched files changed: {}", first_of(files)))
        }
        EventKind::Warning { text } => Told::new(Mark::Warning, escape(text).into_owned()),
        EventKind::FilesUnchanged { files } => {
            Told::new(Mark::Note, format!("touched, same content, skipped: {}", first_of(files)))
        }
        EventKind::RolloutPaused { by, .. } => {
            Told::new(Mark::Warning, "rolling restart paused").because(by)
        }
        EventKind::RolloutResumed { by, .. } => {
            Told::new(Mark::Began, "rolling restart goes on").because(by)
        }
        EventKind::AbortAsked { by, .. } => {
            Told::new(Mark::Warning, "rolling restart to end at a safe point").because(by)
        }
        EventKind::DrainExtended { by_ms, by } => {
            Told::new(Mark::Note, format!("given {} more to drain", took(*by_ms))).because(by)
        }
        EventKind::DrainCut { in_flight, by } => {
            Told::new(Mark::Bad, format!("{in_flight} in flight cut")).because(by)
        }
        EventKind::DrainWaits { overdue, in_flight, blockers } => {
            let waits = waited_for(blockers, *in_flight);
            let so_far = if *overdue { "not drained in time, waits on" } else { "still drains" };
            Told::new(Mark::Warning, format!("{so_far}; {waits}"))
        }
        EventKind::Unhealthy { error } => {
            Told::new(Mark::Bad, format!("does not answer its liveness probe: {}", escape(error)))
        }
        EventKind::Healthy => Told::new(Mark::Good, "answers its liveness probe again"),
        EventKind::ConfigApplied { what } if what.is_empty() => {
            Told::new(Mark::Good, "configuration read, nothing changed")
        }
        EventKind::ConfigApplied { what } => {
            Told::new(Mark::Good, format!("configuration applied: {}", first_of(what)))
        }
        EventKind::ConfigRejected { problem } => {
            let what = problem_line(problem);
            Told::new(Mark::Bad, format!("configuration not applied: {what}"))
        }
    }
}

/// How many were inside, and what the oldest of them was.
fn waited_for(known: &[Blocker], in_flight: u32) -> String {
    match blockers(known, in_flight) {
        Some(named) => format!("{in_flight} in flight: {named}"),
        None => format!("{in_flight} in flight"),
    }
}

/// The first few lines of a list, such as paths.
fn first_of(lines: &[String]) -> String {
    const SHOWN: usize = 3;
    let shown: Vec<_> = lines.iter().take(SHOWN).map(|line| escape(line)).collect();
    match lines.len().saturating_sub(SHOWN) {
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

    fn blocker() -> Blocker {
        Blocker {
            method: "GET".into(),
            path: "/export".into(),
            age_ms: 41_000,
            client: "10.0.0.7:4312".into(),
            tunnel: false,
        }
    }

    /// As the daemon renders it.
    fn rejected() -> String {
        "error: `prot` is not a key of a service\n --> /srv/api.yaml:3:5\n  |\n3 | prot: 80".into()
    }

    #[test]
    fn every_event_is_one_line() {
        let operation = OperationId(17);
        let (from, to) = (Generation(41), Generation(42));
        let ops = Cause::Operator("ops@bastion".into());
        let files = vec!["a".into(), "b\n".into(), "c".into(), "d".into(), "e".into()];
        let config = Cause::ConfigChanged(vec!["env.LEVEL changed".into()]);
        let memory = Cause::MemoryLimit {
            slot: Slot(2),
            rss_bytes: 1_600_000_000,
            limit_bytes: 1_073_741_824,
        };
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
            line(None, EventKind::StartAsked { operation, cause: ops.clone() }),
            line(
                None,
                EventKind::StopAsked { operation, cause: Cause::FilesChanged(files.clone()) },
            ),
            line(None, EventKind::ServiceStopped { took_ms: 3_210 }),
            line(Some(2), EventKind::Draining { in_flight: 14 }),
            line(Some(2), EventKind::Drained { took_ms: 9_000 }),
            line(Some(2), EventKind::Reopened { in_flight: 3, blockers: vec![blocker()] }),
            line(
                Some(2),
                EventKind::DrainWaits { overdue: false, in_flight: 1, blockers: vec![blocker()] },
            ),
            line(
                Some(2),
                EventKind::DrainWaits { overdue: true, in_flight: 2, blockers: Vec::new() },
            ),
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
            line(None, EventKind::FilesUnchanged { files: vec!["bin/api".into()] }),
            line(None, EventKind::RolloutPaused { operation, by: ops.clone() }),
            line(None, EventKind::RolloutResumed { operation, by: ops.clone() }),
            line(None, EventKind::AbortAsked { operation, by: ops.clone() }),
            line(Some(2), EventKind::DrainExtended { by_ms: 60_000, by: ops.clone() }),
            line(Some(2), EventKind::DrainCut { in_flight: 2, by: Cause::Daemon }),
            line(Some(2), EventKind::Unhealthy { error: "status 503\n".into() }),
            line(Some(2), EventKind::Healthy),
            line(None, EventKind::ConfigApplied { what: Vec::new() }),
            line(None, EventKind::ConfigApplied { what: vec!["instance_count 3 -> 5".into()] }),
            line(None, EventKind::ConfigRejected { problem: rejected() }),
            line(None, EventKind::StartAsked { operation, cause: config }),
            line(None, EventKind::StartAsked { operation, cause: memory }),
        ];
        insta::assert_snapshot!(lines.join("\n"));
    }
}
