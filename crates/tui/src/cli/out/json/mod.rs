//! JSON for scripts: a public contract with its own structs, so that the wire may change.
//!
//! Within `/1` fields are only ever added. Units stand in names, states are lower-case words.

mod contract;
mod convert;
mod log;
mod plan;

use jiff::Timestamp;
use serde::Serialize;
use smoothserve_protocol::event;
use smoothserve_protocol::snapshot::{self, Snapshot};

use self::contract::{Ended, Error, Event, Progress, Receipt, Service, Status};
use crate::cli::problem::Problem;
use crate::words::event_line;

pub(crate) use log::log_line;
pub(crate) use plan::{reload, restart_plan};

/// `smoothtool status --json`.
pub(crate) fn status(snapshot: &Snapshot) -> String {
    text(&Status {
        schema: "smoothtool.status/1",
        time: time(snapshot.daemon.unix_ms),
        daemon: (&snapshot.daemon).into(),
        services: snapshot.services.iter().map(Service::from).collect(),
    })
}

/// One of the services of `smoothtool status --json`, by itself.
pub(crate) fn service(service: &snapshot::ServiceDetail) -> String {
    text(&Service::from(service))
}

/// One line of `smoothtool events --json`.
pub(crate) fn event(event: &event::Event) -> String {
    text(&Event {
        schema: "smoothtool.event/1",
        seq: event.seq.0,
        time: time(event.unix_ms),
        service: event.service.as_ref().map(ToString::to_string),
        instance: event.slot.map(number),
        text: event_line(event).1,
        kind: (&event.kind).into(),
    })
}

/// One line of a running operation.
pub(crate) fn progress(
    verb: &str,
    service: &snapshot::ServiceDetail,
    doing: &str,
) -> Option<String> {
    let operation = service.operation.as_ref()?;
    Some(text(&Progress {
        schema: schema(verb),
        time: now(),
        kind: "progress",
        service: service.row.name.to_string(),
        doing: doing.to_owned(),
        operation: operation.into(),
    }))
}

/// What a restart did: the last line of one that was waited for, and one line of the history.
pub(crate) fn receipt(verb: &str, receipt: &snapshot::Receipt) -> String {
    text(&Ended {
        schema: schema(verb),
        time: now(),
        kind: "receipt",
        service: receipt.service.to_string(),
        outcome: Receipt::from(receipt),
    })
}

/// The last line of another command that went well: what became of `service`; none: the daemon.
pub(crate) fn outcome(verb: &str, service: Option<&str>, outcome: Outcome) -> String {
    text(&Ended { schema: schema(verb), time: now(), kind: "done", service, outcome })
}

/// An error, for stderr.
pub(crate) fn problem(problem: &Problem) -> String {
    let explained = &problem.explained;
    text(&Error {
        schema: "smoothtool.error/1",
        time: now(),
        exit: problem.exit.code(),
        error: problem.exit.word(),
        message: &explained.what,
        details: &explained.details,
        next: &explained.next,
        receipt: problem.receipt.as_deref().map(Receipt::from),
    })
}

/// What a command did.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Outcome {
    /// `started`, `stopped`, `begun`, `already_so`, `paused`, `resumed`, `aborting`, `extended`,
    /// `cut`.
    pub(crate) result: &'static str,
    /// The operation, if it goes on.
    pub(crate) operation: Option<String>,
    /// How many instances it concerned.
    pub(crate) instances: Option<u16>,
    /// Requests cut on the way.
    pub(crate) cut: Option<u64>,
    /// How long it took.
    pub(crate) took_ms: Option<u64>,
}

/// Counted from 1, as in `api-1`.
fn number(slot: smoothserve_protocol::id::Slot) -> u32 {
    u32::from(slot.0) + 1
}

fn schema(verb: &str) -> String {
    format!("smoothtool.{verb}/1")
}

/// A moment as RFC 3339 in UTC, with milliseconds.
fn time(unix_ms: u64) -> String {
    let ms = i64::try_from(unix_ms).unwrap_or(i64::MAX);
    let moment = Timestamp::from_millisecond(ms).unwrap_or(Timestamp::MAX);
    moment.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

fn now() -> String {
    let ms = Timestamp::now().as_millisecond();
    time(u64::try_from(ms).unwrap_or_default())
}

fn text<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("none of these structs can fail to be written")
}
