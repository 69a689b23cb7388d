//! The reasons behind the state of a service.

use smoothserve_protocol::snapshot::{
    InstanceState, InstanceView, Receipt, ServiceDetail, ServiceState,
};

use super::drain::{drain, waits};
use super::{last_words, state};
use crate::cli::out::text::paint;
use crate::fmt::{duration, took};
use crate::style::Role;
use crate::words::{self, escape, failure_reason, instance_name, ready, service_state};

/// So many lines of output tell what happened, most often.
const LAST_LINES: usize = 10;

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
            words::doing(service, operation),
        ));
    }
    if let Some(problem) = &service.config_problem {
        lines.push("  its configuration is wrong, and the former one runs:".to_owned());
        let problem = problem.lines().map(|line| format!("    {}", escape(line)));
        lines.extend(problem);
    }
    for instance in &service.instances {
        lines.extend(why_instance(service, instance));
    }
    if let Some(receipt) = service.receipts.first() {
        lines.extend(why_halted(service, receipt));
    }
    lines.join("\n")
}

/// Why the last restart came to no end; the failure too, unless an instance has shown it already.
fn why_halted(service: &ServiceDetail, receipt: &Receipt) -> Vec<String> {
    let Receipt { operation, halted: Some(why), .. } = receipt else { return Vec::new() };
    let mut lines = vec![format!("  the last restart ({operation}) halted: {}", escape(why))];
    let shown = |failure| service.instances.iter().any(|one| one.failure.as_ref() == Some(failure));
    if let Some((slot, failure)) = receipt.failure.as_ref().filter(|(_, failure)| !shown(failure)) {
        let name = instance_name(&service.row, *slot);
        lines.push(format!("  {name} {}", failure_reason(failure)));
        lines.extend(last_words(failure, LAST_LINES));
    }
    lines
}

/// An instance that is not ready, or failed a moment ago, with its last words.
fn why_instance(service: &ServiceDetail, instance: &InstanceView) -> Vec<String> {
    let name = instance_name(&service.row, instance.slot);
    let state = state(instance);
    let Some(failure) = &instance.failure else {
        return match instance.state {
            InstanceState::Ready | InstanceState::Stopped => Vec::new(),
            InstanceState::Starting
            | InstanceState::Draining
            | InstanceState::Stopping
            | InstanceState::Backoff
            | InstanceState::Failed
            | InstanceState::Unhealthy => {
                let how = drain(instance).map(|how| format!(", {how}")).unwrap_or_default();
                let heading = format!("  {name}  {state}{how}");
                let waits = waits(instance).map(|line| format!("    {line}"));
                std::iter::once(heading).chain(waits).collect()
            }
        };
    };
    let before = if instance.state == InstanceState::Ready { ", before" } else { "" };
    let mut lines = vec![format!("  {name}  {state}{before}: {}", failure_reason(failure))];
    if let Some(retry_ms) = instance.retry_ms {
        lines.push(format!("    try {} follows in {}", instance.failures + 1, took(retry_ms)));
    }
    lines.extend(last_words(failure, LAST_LINES));
    lines
}
