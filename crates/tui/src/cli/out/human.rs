//! Answers for people.

use jiff::tz::TimeZone;
use smoothserve_protocol::event::Event;
use smoothserve_protocol::snapshot::{
    DaemonView, InstanceState, InstanceView, Receipt, ServiceDetail, ServiceState, Snapshot,
    StepView,
};

use super::text::{Cell, paint, pips, table};
use crate::cli::problem::Problem;
use crate::fmt::{count, day_and_clock, duration, latency, or_dash, rate, share, took};
use crate::style::{Glyphs, Role};
use crate::words::{
    self, escape, event_line, failure_line, failure_reason, instance_name, instance_state, ready,
    service_state,
};

/// An error: what, why, what next; the first line alone is enough.
pub(crate) fn problem(problem: &Problem) -> String {
    let explained = &problem.explained;
    let mut text = format!("{} {}", paint("error:", Role::Bad), explained.what);
    for line in &explained.details {
        text += &format!("\n  {line}");
    }
    for (position, line) in explained.next.iter().enumerate() {
        let label = if position == 0 { "next:" } else { "" };
        text += &format!("\n  {label:5} {line}");
    }
    text
}

/// Whether a table of services shows every instance too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Width {
    /// A line a service, and one for each instance that needs attention.
    Usual,
    /// Every instance.
    Wide,
}

/// `smoothtool status`.
pub(crate) fn status(snapshot: &Snapshot, width: Width, glyphs: &Glyphs) -> String {
    let mut lines = vec![daemon(&snapshot.daemon)];
    let mut rows = vec![heading(&[
        "SERVICE",
        "STATE",
        "INSTANCES",
        ">READY",
        ">INFLT",
        ">RPS",
        ">P50",
        ">P99",
        ">ERR%",
        ">LOST",
        ">SINCE",
    ])];
    rows.extend(snapshot.services.iter().map(|service| row(service, glyphs)));
    lines.extend(table(&rows));
    let instances = match width {
        Width::Wide => instances(snapshot),
        Width::Usual => snapshot.services.iter().flat_map(troubles).collect(),
    };
    if !instances.is_empty() {
        lines.push(String::new());
        lines.extend(instances);
    }
    lines.join("\n")
}

fn daemon(daemon: &DaemonView) -> String {
    let DaemonView { version, host, pid, uptime_ms, ready, wanted, traffic, .. } = daemon;
    let stopping = if daemon.stopping { "   stopping" } else { "" };
    format!(
        "smoothserve {} on {}, pid {pid}, up {}   ready {ready}/{wanted}   in flight {}   lost {}{stopping}",
        escape(version),
        escape(host),
        duration(*uptime_ms),
        count(traffic.in_flight),
        count(traffic.lost),
    )
}

/// Headings; those of figures begin with `>`.
fn heading(names: &[&str]) -> Vec<Cell> {
    let cell = |name: &&str| match name.strip_prefix('>') {
        Some(name) => Cell::figure(name).in_role(Role::Strong),
        None => Cell::word(*name, Role::Strong),
    };
    names.iter().map(cell).collect()
}

fn row(service: &ServiceDetail, glyphs: &Glyphs) -> Vec<Cell> {
    let (row, traffic) = (&service.row, &service.row.traffic);
    let ready = ready(row);
    let lost = Cell::figure(count(traffic.lost));
    vec![
        Cell::word(row.name.as_str(), Role::Plain),
        Cell::word(service_state(row.state), Role::of_service(row.state)),
        Cell::word(pips(&row.pips, glyphs), Role::Plain),
        Cell::figure(format!("{ready}/{}", row.pips.len())),
        Cell::figure(count(traffic.in_flight)),
        Cell::figure(rate(traffic.milli_rps)),
        Cell::figure(or_dash(traffic.p50_us, latency)),
        Cell::figure(or_dash(traffic.p99_us, latency)),
        Cell::figure(share(traffic.errors_ppm)),
        if traffic.lost > 0 { lost.in_role(Role::Bad) } else { lost },
        Cell::figure(duration(row.since_ms)),
    ]
}

fn instances(snapshot: &Snapshot) -> Vec<String> {
    let mut rows = vec![heading(&[
        "INSTANCE", ">GEN", "STATE", ">PID", ">PORT", ">INFLT", ">RPS", ">P99", ">UP", "",
    ])];
    for service in &snapshot.services {
        rows.extend(service.instances.iter().map(|one| instance(service, one)));
    }
    table(&rows)
}

fn instance(service: &ServiceDetail, instance: &InstanceView) -> Vec<Cell> {
    vec![
        Cell::word(instance_name(&service.row, instance.slot), Role::Plain),
        Cell::figure(instance.generation.to_string()),
        Cell::word(instance_state(instance.state), Role::of_instance(instance.state)),
        Cell::figure(or_dash(instance.pid, |pid| pid.to_string())),
        Cell::figure(instance.port.to_string()),
        Cell::figure(count(u64::from(instance.in_flight))),
        Cell::figure(rate(instance.milli_rps)),
        Cell::figure(or_dash(instance.p99_us, latency)),
        Cell::figure(or_dash(instance.up_ms, duration)),
        Cell::word(trouble(instance).unwrap_or_default(), Role::Plain),
    ]
}

/// The state of an instance, as it looks.
fn state(instance: &InstanceView) -> String {
    paint(instance_state(instance.state), Role::of_instance(instance.state))
}

/// The instances that need attention, a line each.
fn troubles(service: &ServiceDetail) -> Vec<String> {
    let troubled = |state| matches!(state, InstanceState::Backoff | InstanceState::Failed);
    let instances = service.instances.iter().filter(|one| troubled(one.state));
    let line = |one: &InstanceView| {
        let state = state(one);
        let why = trouble(one).unwrap_or_default();
        format!("{}  {state}  {why}", instance_name(&service.row, one.slot))
    };
    instances.map(line).collect()
}

/// Why an instance is not ready, or was not a moment ago.
fn trouble(instance: &InstanceView) -> Option<String> {
    let failure = failure_line(instance.failure.as_ref()?);
    Some(match (instance.retry_ms, instance.state) {
        (Some(retry_ms), _) => {
            format!("try {} follows in {}: {failure}", instance.failures + 1, took(retry_ms))
        }
        (None, InstanceState::Ready) => format!("before: {failure}"),
        (None, _) => failure,
    })
}

/// The line that stays after a restart.
pub(crate) fn receipt(receipt: &Receipt) -> String {
    let Receipt { service, replaced, of, to, took_ms, ledger, .. } = receipt;
    let ended = if receipt.done { "done in" } else { "halted after" };
    let cut = if ledger.cut > 0 { format!(", {} cut", count(ledger.cut)) } else { String::new() };
    format!(
        "{service}  {ended} {}   {replaced} of {of} on {to}   {} requests during it, {} lost{cut}, {} held",
        took(*took_ms),
        count(ledger.accepted),
        count(ledger.lost),
        count(ledger.held),
    )
}

/// What a restart did to each instance, and how many were ready throughout.
pub(crate) fn receipt_steps(receipt: &Receipt) -> Vec<String> {
    let mut lines: Vec<_> = receipt.steps.iter().map(|one| step(receipt, one)).collect();
    lines.push(format!("  at least {} of {} ready throughout", receipt.min_ready, receipt.of));
    lines
}

fn step(receipt: &Receipt, step: &StepView) -> String {
    let parts = words::step_parts(step);
    let parts = if parts.is_empty() { "not touched".to_owned() } else { parts.join(", ") };
    format!("  {}-{}  {parts}", receipt.service, step.slot)
}

/// One line of `smoothtool events`.
pub(crate) fn event(event: &Event, zone: &TimeZone, glyphs: &Glyphs) -> String {
    let (mark, what) = event_line(event);
    let (glyph, role) = glyphs.mark(mark);
    let glyph = paint(glyph, role);
    format!("{}  {glyph}  {:12}  {what}", day_and_clock(event.unix_ms, zone), words::subject(event))
}

/// `smoothtool why NAME`.
pub(crate) fn why(service: &ServiceDetail) -> String {
    let row = &service.row;
    let ready = ready(row);
    let mut lines = vec![format!(
        "{} is {} for {}, {ready} of {} ready on {}",
        row.name,
        paint(service_state(row.state), Role::of_service(row.state)),
        duration(row.since_ms),
        row.pips.len(),
        row.generation,
    )];
    if row.state == ServiceState::Stopped {
        let by = service.stopped_by.as_ref().map(words::cause);
        lines.push(format!("  stopped {}", by.unwrap_or_else(|| "from the beginning".to_owned())));
        lines.push(format!("  next: smoothtool start {}", row.name));
    }
    if let Some(operation) = &service.operation {
        let summary = operation.summary;
        lines.push(format!(
            "  {}: {} {}, {} of {} done, {}",
            summary.id,
            words::operation_kind(summary.kind),
            words::cause(&operation.cause),
            summary.done,
            summary.of,
            if operation.waiting { "waits for an instance that crashed" } else { "under way" },
        ));
    }
    for instance in &service.instances {
        lines.extend(why_instance(service, instance));
    }
    if let Some(Receipt { operation, halted: Some(why), .. }) = service.receipts.first() {
        lines.push(format!("  the last restart ({operation}) halted: {}", escape(why)));
    }
    lines.join("\n")
}

/// An instance that is not ready, or failed a moment ago, with its last words.
fn why_instance(service: &ServiceDetail, instance: &InstanceView) -> Vec<String> {
    const LAST_LINES: usize = 10;
    let name = instance_name(&service.row, instance.slot);
    let state = state(instance);
    let drain = instance.drain.map(|drain| {
        format!(
            ", {} of {} left after {}",
            instance.in_flight,
            drain.began_with,
            took(drain.since_ms)
        )
    });
    let Some(failure) = &instance.failure else {
        return match instance.state {
            InstanceState::Ready | InstanceState::Stopped => Vec::new(),
            InstanceState::Starting
            | InstanceState::Draining
            | InstanceState::Stopping
            | InstanceState::Backoff
            | InstanceState::Failed => {
                vec![format!("  {name}  {state}{}", drain.unwrap_or_default())]
            }
        };
    };
    let before = if instance.state == InstanceState::Ready { ", before" } else { "" };
    let mut lines = vec![format!("  {name}  {state}{before}: {}", failure_reason(failure))];
    if let Some(retry_ms) = instance.retry_ms {
        lines.push(format!("    try {} follows in {}", instance.failures + 1, took(retry_ms)));
    }
    let skipped = failure.last_output.len().saturating_sub(LAST_LINES);
    let output = failure.last_output.iter().skip(skipped);
    lines.extend(output.map(|line| paint(&format!("    | {}", escape(line)), Role::Quiet)));
    lines
}
