//! From the words of the wire to the contract.

use smoothserve_protocol::event::EventKind;
use smoothserve_protocol::failure::{self, FailReason};
use smoothserve_protocol::id::OperationId;
use smoothserve_protocol::snapshot::{self, OperationKind, StepPhase};

use super::contract::{
    Blocker, Canary, Daemon, Drain, FailedInstance, Failure, Generation, Instance, Kind, Ledger,
    Operation, Receipt, Service, Step, Traffic,
};
use super::{number, time};
use crate::canary::{Verdict, judge};
use crate::words::{self, instance_state, service_state};

impl From<&EventKind> for Kind {
    fn from(kind: &EventKind) -> Self {
        let id = |operation: &OperationId| operation.to_string();
        match kind {
            EventKind::DaemonStarted { version, services, instances } => Self::DaemonStarted {
                version: version.clone(),
                services: *services,
                instances: *instances,
            },
            EventKind::DaemonStopping { cause } => {
                Self::DaemonStopping { cause: words::cause(cause) }
            }
            EventKind::RolloutStarted { operation, from, to, instances, cause } => {
                Self::RestartStarted {
                    operation: id(operation),
                    from_generation: from.0,
                    to_generation: to.0,
                    instances: *instances,
                    cause: words::cause(cause),
                }
            }
            EventKind::RolloutDone { operation, took_ms, instances, lost } => Self::RestartDone {
                operation: id(operation),
                took_ms: *took_ms,
                instances: *instances,
                lost: *lost,
            },
            EventKind::RolloutHalted { operation, why } => {
                Self::RestartHalted { operation: id(operation), why: why.clone() }
            }
            EventKind::RolloutWaits { operation } => {
                Self::RestartWaits { operation: id(operation) }
            }
            EventKind::StartAsked { operation, cause } => {
                Self::StartAsked { operation: id(operation), cause: words::cause(cause) }
            }
            EventKind::StopAsked { operation, cause } => {
                Self::StopAsked { operation: id(operation), cause: words::cause(cause) }
            }
            EventKind::ServiceStopped { took_ms } => Self::ServiceStopped { took_ms: *took_ms },
            EventKind::Draining { in_flight } => Self::Draining { in_flight: *in_flight },
            EventKind::Drained { took_ms } => Self::Drained { took_ms: *took_ms },
            EventKind::Reopened { in_flight, blockers } => {
                Self::Reopened { in_flight: *in_flight, blockers: all(blockers) }
            }
            EventKind::Stopping => Self::Stopping,
            EventKind::Killed { after_ms } => Self::Killed { after_ms: *after_ms },
            EventKind::Exited { exit } => {
                let (exit_code, signal) = ended(*exit);
                Self::Exited { exit_code, signal }
            }
            EventKind::Launched { pid, generation } => {
                Self::Launched { pid: *pid, generation: generation.0 }
            }
            EventKind::Ready { took_ms, generation } => {
                Self::Ready { took_ms: *took_ms, generation: generation.0 }
            }
            EventKind::BackingOff { failure, retry_ms, failures } => Self::BackingOff {
                failure: failure.into(),
                retry_ms: *retry_ms,
                failures: *failures,
            },
            EventKind::GaveUp { failure, failures } => {
                Self::GaveUp { failure: failure.into(), failures: *failures }
            }
            EventKind::FilesChanged { files } => Self::FilesChanged { files: files.clone() },
            // What it says is in `text`.
            EventKind::Warning { .. } => Self::Warning,
            EventKind::FilesUnchanged { files } => Self::FilesUnchanged { files: files.clone() },
            EventKind::RolloutPaused { operation, by } => {
                Self::RestartPaused { operation: id(operation), cause: words::cause(by) }
            }
            EventKind::RolloutResumed { operation, by } => {
                Self::RestartResumed { operation: id(operation), cause: words::cause(by) }
            }
            EventKind::AbortAsked { operation, by } => {
                Self::AbortAsked { operation: id(operation), cause: words::cause(by) }
            }
            EventKind::DrainExtended { by_ms, by } => {
                Self::DrainExtended { extended_ms: *by_ms, cause: words::cause(by) }
            }
            EventKind::DrainCut { in_flight, by } => {
                Self::DrainCut { in_flight: *in_flight, cause: words::cause(by) }
            }
            EventKind::DrainWaits { overdue, in_flight, blockers } => Self::DrainWaits {
                overdue: *overdue,
                in_flight: *in_flight,
                blockers: all(blockers),
            },
            EventKind::Unhealthy { error } => Self::Unhealthy { error: error.clone() },
            EventKind::Healthy => Self::Healthy,
            EventKind::ConfigApplied { what } => Self::ConfigApplied { what: what.clone() },
            EventKind::ConfigRejected { problem } => {
                Self::ConfigRejected { problem: problem.clone() }
            }
        }
    }
}

impl From<&snapshot::DaemonView> for Daemon {
    fn from(daemon: &snapshot::DaemonView) -> Self {
        Self {
            version: daemon.version.clone(),
            pid: daemon.pid,
            host: daemon.host.clone(),
            config: daemon.config.clone(),
            config_problem: daemon.config_problem.clone(),
            uptime_ms: daemon.uptime_ms,
            stopping: daemon.stopping,
            ready: daemon.ready,
            wanted: daemon.wanted,
            rejected_total: daemon.rejected,
            traffic: (&daemon.traffic).into(),
        }
    }
}

impl From<&snapshot::Traffic> for Traffic {
    fn from(traffic: &snapshot::Traffic) -> Self {
        Self {
            in_flight: traffic.in_flight,
            held: traffic.held,
            tunnels: traffic.tunnels,
            requests_per_second: thousandths(traffic.milli_rps),
            p50_ms: traffic.p50_us.map(thousandths),
            p99_ms: traffic.p99_us.map(thousandths),
            errors_percent: f64::from(traffic.errors_ppm) / 10_000.0,
            lost_total: traffic.lost,
        }
    }
}

impl From<&snapshot::ServiceDetail> for Service {
    fn from(service: &snapshot::ServiceDetail) -> Self {
        let row = &service.row;
        Self {
            name: row.name.to_string(),
            state: service_state(row.state),
            generation: row.generation.0,
            since_ms: row.since_ms,
            listen: service.listen.clone(),
            server_names: service.server_names.clone(),
            config: service.source.clone(),
            config_problem: service.config_problem.clone(),
            executable: service.executable.clone(),
            auto_restart: service.auto_restart,
            stopped_by: service.stopped_by.as_ref().map(words::cause),
            traffic: (&row.traffic).into(),
            ledger: (&service.ledger).into(),
            instances: service.instances.iter().map(Instance::from).collect(),
            operation: service.operation.as_ref().map(Operation::from),
            receipts: service.receipts.iter().map(Receipt::from).collect(),
        }
    }
}

impl From<&snapshot::Ledger> for Ledger {
    fn from(ledger: &snapshot::Ledger) -> Self {
        Self {
            accepted: ledger.accepted,
            done: ledger.done(),
            client_aborted: ledger.client_aborted,
            cut: ledger.cut,
            lost: ledger.lost,
            in_flight: ledger.in_flight,
            retried: ledger.retried,
            held: ledger.held,
            tunnels_closed: ledger.tunnels_closed,
            refused: ledger.refused,
        }
    }
}

impl From<&snapshot::InstanceView> for Instance {
    fn from(instance: &snapshot::InstanceView) -> Self {
        Self {
            instance: number(instance.slot),
            state: instance_state(instance.state),
            generation: instance.generation.0,
            pid: instance.pid,
            port: instance.port,
            socket: instance.socket.clone(),
            in_flight: instance.in_flight,
            tunnels: instance.tunnels,
            drain: instance.drain.as_ref().map(Drain::from),
            requests_per_second: thousandths(instance.milli_rps),
            p50_ms: instance.p50_us.map(thousandths),
            p99_ms: instance.p99_us.map(thousandths),
            errors_percent: f64::from(instance.errors_ppm) / 10_000.0,
            up_ms: instance.up_ms,
            failures: instance.failures,
            retry_ms: instance.retry_ms,
            failure: instance.failure.as_ref().map(Failure::from),
            cpu_percent: instance.cpu_permille.map(|permille| f64::from(permille) / 10.0),
            rss_bytes: instance.rss_bytes,
        }
    }
}

impl From<&snapshot::DrainView> for Drain {
    fn from(drain: &snapshot::DrainView) -> Self {
        Self {
            began_with: drain.began_with,
            since_ms: drain.since_ms,
            limit_ms: drain.limit_ms,
            on_timeout: words::on_drain_timeout(drain.on_timeout),
            blockers: all(&drain.blockers),
        }
    }
}

impl From<&snapshot::Blocker> for Blocker {
    fn from(blocker: &snapshot::Blocker) -> Self {
        Self {
            method: blocker.method.clone(),
            path: blocker.path.clone(),
            age_ms: blocker.age_ms,
            client: blocker.client.clone(),
            tunnel: blocker.tunnel,
        }
    }
}

impl From<&failure::Failure> for Failure {
    fn from(failure: &failure::Failure) -> Self {
        let (reason, exit) = match &failure.reason {
            FailReason::NotLaunched { .. } => ("not_launched", None),
            FailReason::PortTaken { .. } => ("port_taken", None),
            FailReason::ExitedBeforeReady(exit) => ("exited_before_ready", Some(*exit)),
            FailReason::NotReady { .. } => ("not_ready", None),
            FailReason::ExitedTooSoon(exit) => ("exited_too_soon", Some(*exit)),
            FailReason::Crashed(exit) => ("crashed", Some(*exit)),
            FailReason::Unhealthy { .. } => ("unhealthy", None),
        };
        let (exit_code, signal) = exit.map(ended).unwrap_or_default();
        Self {
            reason,
            text: words::failure_reason(failure),
            exit_code,
            signal,
            uptime_ms: failure.uptime_ms,
            last_output: failure.last_output.clone(),
        }
    }
}

impl From<&snapshot::OperationView> for Operation {
    fn from(operation: &snapshot::OperationView) -> Self {
        let summary = operation.summary;
        Self {
            operation: summary.id.to_string(),
            kind: match summary.kind {
                OperationKind::Restart => "restart",
                OperationKind::Start => "start",
                OperationKind::Stop => "stop",
            },
            cause: words::cause(&operation.cause),
            from_generation: operation.from.0,
            to_generation: operation.to.0,
            done: summary.done,
            of: summary.of,
            elapsed_ms: operation.elapsed_ms,
            eta_ms: operation.eta_ms,
            waiting: operation.waiting,
            paused_by: operation.paused_by.as_ref().map(words::cause),
            aborting: operation.aborting,
            min_ready: operation.min_ready,
            steps: operation.steps.iter().map(Step::from).collect(),
            ledger: (&operation.ledger).into(),
            canary: operation.canary.as_ref().map(Canary::from),
        }
    }
}

impl From<&snapshot::Canary> for Canary {
    fn from(canary: &snapshot::Canary) -> Self {
        let Verdict { slower, failing } = judge(canary);
        Self { old: (&canary.old).into(), new: (&canary.new).into(), slower, failing }
    }
}

impl From<&snapshot::GenerationView> for Generation {
    fn from(view: &snapshot::GenerationView) -> Self {
        Self {
            generation: view.generation.0,
            ready: view.ready,
            requests_per_second: thousandths(view.milli_rps),
            requests: view.ended,
            p99_ms: view.p99_us.map(thousandths),
            errors_percent: f64::from(view.errors_ppm()) / 10_000.0,
        }
    }
}

impl From<&snapshot::StepView> for Step {
    fn from(step: &snapshot::StepView) -> Self {
        Self {
            instance: number(step.slot),
            phase: match step.phase {
                StepPhase::Waiting => "waiting",
                StepPhase::Running => "running",
                StepPhase::Done => "done",
                StepPhase::Failed => "failed",
            },
            drain_ms: step.drain_ms,
            stop_ms: step.stop_ms,
            killed: step.killed,
            boot_ms: step.boot_ms,
            ready_ms: step.ready_ms,
        }
    }
}

impl From<&snapshot::Receipt> for Receipt {
    fn from(receipt: &snapshot::Receipt) -> Self {
        Self {
            operation: receipt.operation.to_string(),
            cause: words::cause(&receipt.cause),
            from_generation: receipt.from.0,
            to_generation: receipt.to.0,
            done: receipt.done,
            halted: receipt.halted.clone(),
            replaced: receipt.replaced,
            of: receipt.of,
            took_ms: receipt.took_ms,
            min_ready: receipt.min_ready,
            slowest_held_ms: receipt.slowest_held_us.map(thousandths),
            ended: time(receipt.unix_ms),
            steps: receipt.steps.iter().map(Step::from).collect(),
            ledger: (&receipt.ledger).into(),
            failure: receipt.failure.as_ref().map(|(slot, failure)| FailedInstance {
                instance: number(*slot),
                failure: failure.into(),
            }),
            remarks: receipt.remarks.clone(),
        }
    }
}

fn all(blockers: &[snapshot::Blocker]) -> Vec<Blocker> {
    blockers.iter().map(Blocker::from).collect()
}

/// Exit code and signal, of which there is one.
fn ended(exit: failure::Exit) -> (Option<i32>, Option<i32>) {
    match exit {
        failure::Exit::Code(code) => (Some(code), None),
        failure::Exit::Signal { signal, .. } => (None, Some(signal)),
    }
}

fn thousandths(number: u64) -> f64 {
    number as f64 / 1000.0
}
