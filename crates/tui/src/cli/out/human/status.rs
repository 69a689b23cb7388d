//! The table of services, and of their instances.

use smoothserve_protocol::snapshot::{
    DaemonView, InstanceState, InstanceView, ServiceDetail, ServiceRow, Snapshot,
};

use super::drain::{drain, waits};
use super::{heading, state};
use crate::cli::out::text::{Cell, paint, pips, table};
use crate::fmt::{bytes, count, duration, latency, or_dash, rate, share, took};
use crate::style::{Glyphs, Role};
use crate::words::{
    doing, escape, failure_line, instance_name, instance_state, problem_line, ready, service_state,
};

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
    let services = &snapshot.services;
    let instances = match width {
        Width::Wide => instances(snapshot),
        Width::Usual => services.iter().flat_map(troubles).collect(),
    };
    let drains = match width {
        Width::Wide => services.iter().flat_map(drains).collect(),
        Width::Usual => Vec::new(),
    };
    for part in [notes(snapshot), instances, drains] {
        if !part.is_empty() {
            lines.push(String::new());
            lines.extend(part);
        }
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

fn row(service: &ServiceDetail, glyphs: &Glyphs) -> Vec<Cell> {
    let (row, traffic) = (&service.row, &service.row.traffic);
    let ready = ready(row);
    let lost = Cell::figure(count(traffic.lost));
    vec![
        Cell::word(marked(row), Role::Plain),
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

/// The name, with a mark when what runs is not what its file says.
fn marked(row: &ServiceRow) -> String {
    if row.stale_config { format!("{} !", row.name) } else { row.name.to_string() }
}

/// What an operator should know beside the figures, a line each.
fn notes(snapshot: &Snapshot) -> Vec<String> {
    let of_daemon = snapshot.daemon.config_problem.iter().map(|problem| config("", problem));
    of_daemon.chain(snapshot.services.iter().flat_map(notes_of)).collect()
}

fn notes_of(service: &ServiceDetail) -> Vec<String> {
    let name = &service.row.name;
    let problem = service.config_problem.iter();
    let problem = problem.map(|problem| config(&format!("{name}  "), problem));
    let operation = service.operation.iter();
    let steered = operation.filter(|one| one.paused_by.is_some() || one.aborting);
    let steered = steered.map(|one| format!("{name}  {} {}", one.summary.id, doing(service, one)));
    problem.chain(steered).collect()
}

fn config(whose: &str, problem: &str) -> String {
    format!("{whose}{} {}", paint("config:", Role::Bad), problem_line(problem))
}

fn instances(snapshot: &Snapshot) -> Vec<String> {
    let mut rows = vec![heading(&[
        "INSTANCE", ">GEN", "STATE", ">PID", ">PORT", ">INFLT", ">RPS", ">P99", ">CPU%", ">MEM",
        ">UP", "",
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
        Cell::figure(place(instance)),
        Cell::figure(count(u64::from(instance.in_flight))),
        Cell::figure(rate(instance.milli_rps)),
        Cell::figure(or_dash(instance.p99_us, latency)),
        Cell::figure(or_dash(instance.cpu_permille, processor)),
        Cell::figure(or_dash(instance.rss_bytes, bytes)),
        Cell::figure(or_dash(instance.up_ms, duration)),
        Cell::word(trouble(instance).unwrap_or_default(), Role::Plain),
    ]
}

/// Its port, or its path.
fn place(instance: &InstanceView) -> String {
    match &instance.socket {
        Some(path) => escape(path).into_owned(),
        None => instance.port.to_string(),
    }
}

/// Of one core, in per cent: `6.2`; two busy cores are `200.0`.
fn processor(permille: u32) -> String {
    format!("{}.{}", permille / 10, permille % 10)
}

/// The instances that drain, and what each waits for.
fn drains(service: &ServiceDetail) -> Vec<String> {
    let lines = |one: &InstanceView| -> Option<Vec<String>> {
        let (name, how) = (instance_name(&service.row, one.slot), drain(one)?);
        let heading = format!("{name}  {}, {how}", state(one));
        Some(std::iter::once(heading).chain(waits(one).map(|line| format!("  {line}"))).collect())
    };
    service.instances.iter().filter_map(lines).flatten().collect()
}

/// The instances that need attention, a line each.
fn troubles(service: &ServiceDetail) -> Vec<String> {
    let troubled = |state| {
        use InstanceState::{Backoff, Failed, Unhealthy};
        matches!(state, Backoff | Failed | Unhealthy)
    };
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
