//! Why a command was not carried out: what, why, and what next.

use smoothserve_protocol::failure::Failure;
use smoothserve_protocol::id::{ServiceName, Slot};
use smoothserve_protocol::message::Refusal;
use smoothserve_protocol::snapshot::{Blocker, Receipt};

use super::nearest::nearest;
use super::{blocker, escape, failure_reason, last_output};
use crate::fmt::{count, plural, took};

/// Something that went wrong, in lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Explained {
    /// The whole story in one line.
    pub what: String,
    /// More of it, a line each.
    pub details: Vec<String>,
    /// What to do now, a line each.
    pub next: Vec<String>,
}

/// Explains a refusal of a command about `service`; none: about the daemon.
pub fn refusal(service: Option<&ServiceName>, refusal: &Refusal) -> Explained {
    let name = service.map_or("smoothserve", ServiceName::as_str);
    match refusal {
        Refusal::UnknownService { name, known } => unknown(name, known),
        Refusal::Preflight { problem } => Explained {
            what: format!("{name}: the restart was not begun: {}", escape(problem)),
            details: vec!["nothing was changed".to_owned()],
            next: Vec::new(),
        },
        Refusal::Halted { slot, failure, receipt } => halted(name, *slot, failure, receipt),
        Refusal::DrainTimedOut { slot, in_flight, limit_ms, blockers, receipt } => Explained {
            what: format!(
                "{name}-{slot} was not drained within {}: {} still in flight; the restart stopped",
                took(*limit_ms),
                plural(*in_flight, "request"),
            ),
            details: not_drained(name, *slot, blockers, receipt),
            next: vec![format!("smoothtool restart {name} --drain-timeout 10m")],
        },
        Refusal::StartFailed { failures } => start_failed(name, failures),
        Refusal::Conflict { operation, what } => Explained {
            what: format!("{name} is busy with {operation}: {}", escape(what)),
            details: Vec::new(),
            next: vec![format!("smoothtool wait {operation}")],
        },
        Refusal::Superseded { by } => Explained {
            what: format!("{name}: another command took over: {}", escape(by)),
            ..Explained::default()
        },
        Refusal::GenerationMoved { expected, found } => Explained {
            what: format!("{name} moved on meanwhile: {found} serves, {expected} was expected"),
            details: Vec::new(),
            next: vec![format!("smoothtool status {name}")],
        },
        Refusal::NotRunning => Explained {
            what: format!("{name} is stopped, there is nothing to restart"),
            details: Vec::new(),
            next: vec![format!("smoothtool start {name}")],
        },
        Refusal::NotPermitted => Explained {
            what: format!("{name}: this connection may only look"),
            ..Explained::default()
        },
        Refusal::ShuttingDown => {
            Explained { what: "smoothserve is shutting down".to_owned(), ..Explained::default() }
        }
        Refusal::Aborted { by, receipt } => Explained {
            what: format!("the restart of {name} was ended by {}", escape(by)),
            details: vec![standing(receipt, 0)],
            next: vec![format!("smoothtool restart {name}")],
        },
        Refusal::NothingToSteer { why } => {
            Explained { what: format!("{name}: {}", escape(why)), ..Explained::default() }
        }
        Refusal::BadPattern { error } => bad_pattern(error),
    }
}

fn unknown(name: &ServiceName, known: &[ServiceName]) -> Explained {
    let names: Vec<_> = known.iter().map(ServiceName::as_str).collect();
    let meant = nearest(name.as_str(), names.iter().copied());
    let hint = meant.map(|meant| format!("; did you mean {meant}?")).unwrap_or_default();
    let list = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    Explained {
        what: format!("no service is named {name}{hint}"),
        details: vec![format!("known: {list}")],
        next: Vec::new(),
    }
}

/// What outlived the deadline, and what was done about it.
fn not_drained(name: &str, slot: Slot, blockers: &[Blocker], receipt: &Receipt) -> Vec<String> {
    let waited = blockers.iter().map(|one| format!("waited for {}", blocker(one)));
    let end = [
        format!("{name}-{slot} takes requests again; its process was not signalled"),
        standing(receipt, 0),
    ];
    waited.chain(end).collect()
}

/// What the author of the pattern is told ends with a line that says what is wrong; those before
/// point at the place.
fn bad_pattern(error: &str) -> Explained {
    let mut lines: Vec<_> = error.lines().collect();
    let what = lines.pop().unwrap_or_default();
    let what = what.strip_prefix("error: ").unwrap_or(what);
    Explained {
        what: format!("the pattern is no regular expression: {}", escape(what)),
        details: lines.into_iter().map(|line| escape(line).into_owned()).collect(),
        next: Vec::new(),
    }
}

fn halted(name: &str, slot: Slot, failure: &Failure, receipt: &Receipt) -> Explained {
    let mut details: Vec<_> =
        last_output(failure).map(|line| format!("its last output: {line}")).into_iter().collect();
    details.push(standing(receipt, 1));
    Explained {
        what: format!("the restart of {name} halted: {name}-{slot} {}", failure_reason(failure)),
        details,
        next: vec![format!("smoothtool why {name}")],
    }
}

/// How far a restart came that did not reach its end, and left so many instances down. What was not
/// touched need not be of the generation before: a restart may have halted then, too.
fn standing(receipt: &Receipt, down: u16) -> String {
    let Receipt { replaced, of, to, ledger, .. } = receipt;
    let on = if *replaced > 0 { format!(" and on {to}") } else { String::new() };
    let untouched = of.saturating_sub(replaced + down);
    let lost = count(ledger.all_lost());
    format!("{replaced} of {of} replaced{on}, {untouched} not touched, {lost} lost")
}

fn start_failed(name: &str, failures: &[(Slot, Failure)]) -> Explained {
    let story = |(slot, failure): &(Slot, Failure)| {
        let words = last_output(failure).map(|line| format!("; last output: {line}"));
        format!("{name}-{slot} {}{}", failure_reason(failure), words.unwrap_or_default())
    };
    let next = vec![format!("smoothtool why {name}")];
    match failures {
        [one] => Explained {
            what: format!("{name} did not start: {}", story(one)),
            details: Vec::new(),
            next,
        },
        many => Explained {
            what: format!("{name}: {} did not become ready", plural(many.len() as u64, "instance")),
            details: many.iter().map(story).collect(),
            next,
        },
    }
}

#[cfg(test)]
mod tests {
    use smoothserve_protocol::event::Cause;
    use smoothserve_protocol::failure::{Exit, FailReason};
    use smoothserve_protocol::id::{Generation, OperationId};
    use smoothserve_protocol::snapshot::Ledger;

    use super::*;

    fn name(text: &str) -> ServiceName {
        ServiceName::new(text).unwrap()
    }

    fn failure() -> Failure {
        Failure {
            reason: FailReason::ExitedBeforeReady(Exit::Code(3)),
            uptime_ms: 412,
            last_output: vec!["no such table: users".into()],
        }
    }

    fn receipt() -> Box<Receipt> {
        Box::new(Receipt {
            operation: OperationId(17),
            service: name("api"),
            cause: Cause::Daemon,
            from: Generation(41),
            to: Generation(42),
            done: false,
            halted: None,
            replaced: 1,
            of: 4,
            took_ms: 9_000,
            steps: Vec::new(),
            ledger: Ledger::default(),
            min_ready: 3,
            slowest_held_us: None,
            failure: None,
            remarks: Vec::new(),
            unix_ms: 0,
        })
    }

    #[test]
    fn every_refusal_says_what_why_and_what_next() {
        let (slot, failure, receipt) = (Slot(1), failure(), receipt());
        let (expected, found) = (Generation(41), Generation(42));
        let known = vec![name("api"), name("billing")];
        let export = Blocker {
            method: "GET".into(),
            path: "/export".into(),
            age_ms: 75_000,
            client: "10.0.0.7:4312".into(),
            tunnel: false,
        };
        let socket = Blocker { path: "/socket".into(), tunnel: true, ..export.clone() };
        let blockers = vec![export, socket];
        let pattern = "regex parse error:\n    (a\n    ^\nerror: unclosed group";
        let refusals = [
            Refusal::UnknownService { name: name("apu"), known },
            Refusal::UnknownService { name: name("shop"), known: Vec::new() },
            Refusal::Preflight { problem: "/srv/api is not executable".into() },
            Refusal::Halted { slot, failure: failure.clone(), receipt: receipt.clone() },
            Refusal::Aborted { by: "ops@b".into(), receipt: receipt.clone() },
            Refusal::DrainTimedOut { slot, in_flight: 2, limit_ms: 60_000, blockers, receipt },
            Refusal::StartFailed { failures: vec![(slot, failure.clone())] },
            Refusal::StartFailed { failures: vec![(Slot(0), failure.clone()), (slot, failure)] },
            Refusal::Conflict { operation: OperationId(17), what: "stop, by ops@b, 4s ago".into() },
            Refusal::Superseded { by: "stop, by ops@b".into() },
            Refusal::GenerationMoved { expected, found },
            Refusal::NotRunning,
            Refusal::NotPermitted,
            Refusal::ShuttingDown,
            Refusal::NothingToSteer { why: "no rolling restart runs".into() },
            Refusal::BadPattern { error: pattern.into() },
        ];
        let mut text = String::new();
        for asked in &refusals {
            let Explained { what, details, next } = refusal(Some(&name("api")), asked);
            let details = details.into_iter().map(|line| format!("  {line}\n"));
            let next = next.into_iter().map(|line| format!("  next: {line}\n"));
            text += &format!("{what}\n{}", details.chain(next).collect::<String>());
        }
        insta::assert_snapshot!(text);
    }
}
