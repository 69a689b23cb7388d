//! What a command would do, for scripts: part of the same contract.

use serde::Serialize;
use smoothserve_protocol::plan::{self, ChangeKind, RestartOrder};

use super::{now, number, schema, text};
use crate::words::{instance_state, on_drain_timeout};

#[derive(Serialize)]
struct RestartPlan {
    schema: String,
    time: String,
    #[serde(rename = "type")]
    kind: &'static str,
    service: String,
    problem: Option<String>,
    from_generation: u64,
    to_generation: u64,
    restart_order: &'static str,
    max_unavailable: u16,
    drain_timeout_ms: u64,
    on_drain_timeout: &'static str,
    eta_ms: Option<u64>,
    steps: Vec<PlannedStep>,
}

#[derive(Serialize)]
struct PlannedStep {
    instance: u32,
    state: &'static str,
    port: u16,
    in_flight: u32,
    tunnels: u32,
}

#[derive(Serialize)]
struct Reload {
    schema: String,
    time: String,
    applied: bool,
    problems: Vec<String>,
    daemon: Vec<String>,
    services: Vec<ServicePlan>,
    unchanged: u32,
}

#[derive(Serialize)]
struct ServicePlan {
    name: String,
    change: &'static str,
    what: Vec<String>,
}

/// One line of `smoothtool restart --plan --json`.
pub(crate) fn restart_plan(plan: &plan::RestartPlan) -> String {
    text(&RestartPlan {
        schema: schema("restart"),
        time: now(),
        kind: "plan",
        service: plan.service.to_string(),
        problem: plan.problem.clone(),
        from_generation: plan.from.0,
        to_generation: plan.to.0,
        restart_order: match plan.order {
            RestartOrder::StopFirst => "stop-first",
            RestartOrder::StartFirst => "start-first",
        },
        max_unavailable: plan.max_unavailable,
        drain_timeout_ms: plan.drain_timeout_ms,
        on_drain_timeout: on_drain_timeout(plan.on_drain_timeout),
        eta_ms: plan.eta_ms,
        steps: plan.steps.iter().map(PlannedStep::from).collect(),
    })
}

/// `smoothtool reload --json`.
pub(crate) fn reload(report: &plan::ReloadReport) -> String {
    text(&Reload {
        schema: schema("reload"),
        time: now(),
        applied: report.applied,
        problems: report.problems.clone(),
        daemon: report.daemon.clone(),
        services: report.services.iter().map(ServicePlan::from).collect(),
        unchanged: report.unchanged,
    })
}

impl From<&plan::PlannedStep> for PlannedStep {
    fn from(step: &plan::PlannedStep) -> Self {
        Self {
            instance: number(step.slot),
            state: instance_state(step.state),
            port: step.port,
            in_flight: step.in_flight,
            tunnels: step.tunnels,
        }
    }
}

impl From<&plan::ServicePlan> for ServicePlan {
    fn from(plan: &plan::ServicePlan) -> Self {
        Self {
            name: plan.service.to_string(),
            change: match plan.kind {
                ChangeKind::Live => "live",
                ChangeKind::Scale => "scale",
                ChangeKind::Restart => "restart",
                ChangeKind::Added => "added",
                ChangeKind::Removed => "removed",
            },
            what: plan.what.clone(),
        }
    }
}
