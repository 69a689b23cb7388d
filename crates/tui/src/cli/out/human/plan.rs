//! What a restart would do, and what a reload did or would do.

use smoothserve_protocol::plan::{
    ChangeKind, PlannedStep, ReloadReport, RestartOrder, RestartPlan, ServicePlan,
};
use smoothserve_protocol::snapshot::OnDrainTimeout;

use super::heading;
use crate::cli::out::text::{Cell, paint, table};
use crate::fmt::{count, duration, or_dash, plural};
use crate::style::Role;
use crate::words::{escape, instance_state};

/// `smoothtool restart NAME --plan`.
pub(crate) fn restart_plan(plan: &RestartPlan) -> String {
    let RestartPlan { service, from, to, max_unavailable, .. } = plan;
    let instances = plural(plan.steps.len() as u64, "instance");
    let mut lines = match &plan.problem {
        Some(problem) => vec![format!(
            "{service}  {} nothing would be done: {}",
            paint("refused:", Role::Bad),
            escape(problem),
        )],
        None => vec![format!(
            "{service}  would go from {from} to {to}: {instances}, {max_unavailable} at a time"
        )],
    };
    lines.push(format!("  {}", order(plan.order)));
    lines.push(format!("  {}", deadline(plan)));
    if let Some(eta_ms) = plan.eta_ms {
        lines.push(format!("  last time it took {}", duration(eta_ms)));
    }
    let mut rows = vec![heading(&["INSTANCE", "STATE", ">PORT", ">INFLT", ">TUNNELS"])];
    rows.extend(plan.steps.iter().map(|one| step(plan, one)));
    lines.extend(table(&rows));
    lines.join("\n")
}

const fn order(order: RestartOrder) -> &'static str {
    match order {
        RestartOrder::StopFirst => "stop-first: the old run ends before the new one begins",
        RestartOrder::StartFirst => "start-first: the new run is ready before the old one drains",
    }
}

fn deadline(plan: &RestartPlan) -> String {
    let then = match plan.on_drain_timeout {
        OnDrainTimeout::Abort => "then the restart ends, and nothing is lost",
        OnDrainTimeout::Wait => "then they are waited for all the same",
        OnDrainTimeout::Cut => "then they are cut",
    };
    format!("requests have {} to end, {then}", duration(plan.drain_timeout_ms))
}

fn step(plan: &RestartPlan, step: &PlannedStep) -> Vec<Cell> {
    vec![
        Cell::word(format!("{}-{}", plan.service, step.slot), Role::Plain),
        Cell::word(instance_state(step.state), Role::of_instance(step.state)),
        Cell::figure(or_dash((step.port != 0).then_some(step.port), |port| port.to_string())),
        Cell::figure(count(u64::from(step.in_flight))),
        Cell::figure(count(u64::from(step.tunnels))),
    ]
}

/// `smoothtool reload`, without what is wrong.
pub(crate) fn reload(report: &ReloadReport, planned: bool) -> String {
    let mut lines = vec![reload_summary(report, planned)];
    let mut rows = vec![heading(&["SERVICE", "CHANGE", "WHAT"])];
    // In parentheses: a service may be named daemon.
    rows.extend(change("(daemon)", "", &report.daemon));
    for ServicePlan { service, kind, what } in &report.services {
        rows.extend(change(service.as_str(), change_kind(*kind), what));
    }
    if rows.len() > 1 {
        lines.extend(table(&rows));
    }
    lines.join("\n")
}

fn reload_summary(report: &ReloadReport, planned: bool) -> String {
    let unchanged = plural(report.unchanged, "service");
    let changed = plural(report.services.len() as u64, "service");
    match (report.services.is_empty() && report.daemon.is_empty(), planned, report.applied) {
        (true, ..) => format!("nothing changes; {unchanged} as before"),
        (false, true, _) => format!("{changed} would change, {unchanged} would not"),
        (false, false, true) => format!("applied: {changed} changed, {unchanged} as before"),
        (false, false, false) => format!("not applied: {changed} would change"),
    }
}

/// One thing that changes, with a row for each line that differs.
fn change(name: &str, kind: &str, what: &[String]) -> Vec<Vec<Cell>> {
    let row = |name: &str, kind: &str, line: &str| {
        let words = [escape(name), kind.into(), escape(line)];
        words.map(|word| Cell::word(word, Role::Plain)).to_vec()
    };
    match what {
        [] if kind.is_empty() => Vec::new(),
        [] => vec![row(name, kind, "")],
        [first, others @ ..] => {
            let others = others.iter().map(|line| row("", "", line));
            std::iter::once(row(name, kind, first)).chain(others).collect()
        }
    }
}

const fn change_kind(kind: ChangeKind) -> &'static str {
    match kind {
        ChangeKind::Live => "at once",
        ChangeKind::Scale => "scale",
        ChangeKind::Restart => "rolling restart",
        ChangeKind::Added => "added",
        ChangeKind::Removed => "drained and removed",
    }
}
