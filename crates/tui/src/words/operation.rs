//! What an operation is, what it does just now, and what it did to an instance.

use smoothserve_protocol::id::OperationId;
use smoothserve_protocol::message::Steer;
use smoothserve_protocol::snapshot::{
    InstanceState, InstanceView, OperationKind, OperationView, ServiceDetail, StepPhase, StepView,
};

use super::{cause, instance_name};
use crate::fmt::took;

/// What an operation is called inside a sentence.
pub const fn operation_kind(kind: OperationKind) -> &'static str {
    match kind {
        OperationKind::Restart => "rolling restart",
        OperationKind::Start => "start",
        OperationKind::Stop => "stop",
    }
}

/// What becomes of an operation whose course was changed.
pub fn course(operation: OperationId, steer: Steer) -> String {
    match steer {
        Steer::Pause => format!("{operation} is paused; the turn under way is finished first"),
        Steer::Resume => format!("{operation} goes on"),
        Steer::Abort => format!("{operation} ends at the nearest safe point"),
        Steer::Extend { by_ms } => format!("{operation} has {} more to drain", took(by_ms)),
        Steer::Cut => format!("{operation} cuts what it waits for"),
    }
}

/// What `operation` of `service` does just now: `draining api-3`, `starting 2 instances`.
pub fn doing(service: &ServiceDetail, operation: &OperationView) -> String {
    if operation.waiting {
        return "waits for an instance that crashed".to_owned();
    }
    let turn = turn(service, operation);
    let paused = operation.paused_by.as_ref().map(|by| format!("paused {}", cause(by)));
    match (operation.aborting, turn, paused) {
        (true, Some(turn), _) => format!("aborting, {turn}"),
        (true, None, _) => "aborting".to_owned(),
        (false, Some(turn), Some(paused)) => format!("{turn}, then {paused}"),
        (false, None, Some(paused)) => paused,
        (false, Some(turn), None) => turn,
        (false, None, None) => match operation.summary.kind {
            OperationKind::Restart => "restarting".to_owned(),
            OperationKind::Start => "starting".to_owned(),
            OperationKind::Stop => "stopping".to_owned(),
        },
    }
}

/// What is done to the instances whose turn it is; none: it is nobody's.
fn turn(service: &ServiceDetail, operation: &OperationView) -> Option<String> {
    Some(match under_way(service, operation).as_slice() {
        [] => return None,
        [one] => format!("{} {}", step_state(one.state), instance_name(&service.row, one.slot)),
        [first, others @ ..] => {
            // The one that is behind tells best what is waited for.
            let states = others.iter().map(|one| one.state);
            let slowest =
                states.fold(first.state, |a, b| if behind(b) < behind(a) { b } else { a });
            let number = others.iter().chain([first]).filter(|one| one.state == slowest).count();
            let plural = if number == 1 { "" } else { "s" };
            format!("{} {number} instance{plural}", step_state(slowest))
        }
    })
}

/// The instances whose turn it is.
pub fn under_way<'a>(
    service: &'a ServiceDetail,
    operation: &OperationView,
) -> Vec<&'a InstanceView> {
    let running = operation.steps.iter().filter(|step| step.phase == StepPhase::Running);
    running.filter_map(|step| service.instances.iter().find(|one| one.slot == step.slot)).collect()
}

/// What is done to an instance in this state while it is its turn.
pub const fn step_state(state: InstanceState) -> &'static str {
    match state {
        InstanceState::Draining => "draining",
        InstanceState::Stopping => "stopping",
        InstanceState::Stopped => "launching",
        InstanceState::Starting => "starting",
        // It serves, and has yet to show that it does not fall over at once.
        InstanceState::Ready => "watching",
        InstanceState::Backoff => "trying again with",
        InstanceState::Failed => "failed:",
        InstanceState::Unhealthy => "waiting for",
    }
}

const fn behind(state: InstanceState) -> u8 {
    match state {
        InstanceState::Draining => 0,
        InstanceState::Stopping => 1,
        InstanceState::Stopped => 2,
        InstanceState::Backoff | InstanceState::Failed => 3,
        InstanceState::Starting | InstanceState::Unhealthy => 4,
        InstanceState::Ready => 5,
    }
}

/// How long each part of a step took, as far as it went: `drained in 6.1s`, `ready in 84ms`.
pub fn step_parts(step: &StepView) -> Vec<String> {
    let parts = [("drained in", step.drain_ms), end(step), ("ready in", step.ready_ms)];
    timed(&parts)
}

/// The same, with the time until it first answered the probe.
pub fn step_times(step: &StepView) -> Vec<String> {
    let (boot, ready) = (("answered in", step.boot_ms), ("ready in", step.ready_ms));
    timed(&[("drained in", step.drain_ms), end(step), boot, ready])
}

const fn end(step: &StepView) -> (&'static str, Option<u64>) {
    (if step.killed { "killed after" } else { "stopped in" }, step.stop_ms)
}

fn timed(parts: &[(&str, Option<u64>)]) -> Vec<String> {
    let known = parts.iter().filter_map(|(word, millis)| Some((word, (*millis)?)));
    known.map(|(word, millis)| format!("{word} {}", took(millis))).collect()
}
