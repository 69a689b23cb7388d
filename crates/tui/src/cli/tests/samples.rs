//! A service in the middle of things, to show.

use smoothserve_protocol::event::Cause;
use smoothserve_protocol::failure::{Exit, FailReason, Failure};
use smoothserve_protocol::id::{Generation, OperationId, Revision, RunId, ServiceName, Slot};
use smoothserve_protocol::snapshot::{
    Blocker, Canary, DaemonView, DrainView, GenerationView, InstanceState, InstanceView, Ledger,
    OnDrainTimeout, OperationKind, OperationSummary, OperationView, Pip, Receipt, ServiceDetail,
    ServiceRow, ServiceState, Snapshot, StepPhase, StepView, Traffic,
};

/// 2026-01-02 14:02:07.123 UTC
pub(super) const NOON: u64 = 1_767_362_527_123;

pub(super) fn name(text: &str) -> ServiceName {
    ServiceName::new(text).unwrap()
}

pub(super) fn snapshot(services: Vec<ServiceDetail>) -> Snapshot {
    let traffic = Traffic { in_flight: 36, lost: 0, ..Traffic::default() };
    let daemon = DaemonView {
        version: "0.1.0".into(),
        pid: 4_242,
        host: "prod-web-3".into(),
        config: "/etc/smoothserve/smoothserve.yaml".into(),
        uptime_ms: 3_552_000_000,
        unix_ms: NOON,
        stopping: false,
        ready: 4,
        wanted: 5,
        traffic,
        rejected: 7,
        config_problem: None,
    };
    Snapshot { revision: Revision(9), daemon, services }
}

/// `api`: a rolling restart, its second instance drains.
pub(in crate::cli) fn restarting() -> ServiceDetail {
    let ledger = Ledger { accepted: 18_402, completed: 18_366, in_flight: 36, ..Ledger::default() };
    let summary =
        OperationSummary { id: OperationId(17), kind: OperationKind::Restart, done: 1, of: 3 };
    let step = |slot, phase| StepView {
        drain_ms: (phase == StepPhase::Done).then_some(6_100),
        stop_ms: (phase == StepPhase::Done).then_some(210),
        boot_ms: (phase == StepPhase::Done).then_some(3_900),
        ready_ms: (phase == StepPhase::Done).then_some(4_400),
        ..StepView::new(Slot(slot), phase)
    };
    let steps =
        vec![step(0, StepPhase::Done), step(1, StepPhase::Running), step(2, StepPhase::Waiting)];
    let operation = OperationView {
        summary,
        cause: Cause::Operator("ops@bastion".into()),
        from: Generation(41),
        to: Generation(42),
        elapsed_ms: 29_000,
        eta_ms: Some(25_000),
        waiting: false,
        paused_by: None,
        aborting: false,
        steps,
        ledger,
        min_ready: 2,
        canary: Some(Canary { old: generation(41, 2, 0), new: generation(42, 1, 12) }),
    };
    let states = [InstanceState::Ready, InstanceState::Draining, InstanceState::Ready];
    let mut detail = service("api", ServiceState::Restarting, &states);
    detail.row.pips[0].new = true;
    detail.row.operation = Some(summary);
    detail.row.generation = Generation(42);
    detail.row.traffic = Traffic {
        in_flight: 36,
        milli_rps: 1_240_000,
        p50_us: Some(23_000),
        p99_us: Some(84_000),
        ..Traffic::default()
    };
    detail.operation = Some(operation);
    detail.ledger = ledger;
    detail.instances[1].in_flight = 3;
    detail.instances[1].drain = Some(DrainView {
        began_with: 14,
        since_ms: 2_400,
        limit_ms: Some(60_000),
        on_timeout: OnDrainTimeout::Abort,
        blockers: vec![blocker()],
    });
    detail
}

/// `api`, paused by an operator, its file spoilt meanwhile.
pub(in crate::cli) fn paused() -> ServiceDetail {
    let mut detail = restarting();
    if let Some(operation) = &mut detail.operation {
        operation.paused_by = Some(Cause::Operator("ops@bastion".into()));
    }
    detail.row.stale_config = true;
    detail.config_problem = Some(
        "error: unknown key `prot`\n --> /etc/smoothserve/services/api.yaml:3:5\n  |\n3 | prot: 80"
            .into(),
    );
    detail
}

fn generation(number: u64, ready: u16, failed: u64) -> GenerationView {
    GenerationView {
        generation: Generation(number),
        ready,
        milli_rps: 413_000 * u64::from(ready),
        ended: 1_200,
        failed,
        p99_us: Some(84_000),
    }
}

pub(super) fn blocker() -> Blocker {
    Blocker {
        method: "GET".into(),
        path: "/export".into(),
        age_ms: 41_000,
        client: "10.0.0.7:4312".into(),
        tunnel: false,
    }
}

/// `billing`: its second instance crashed.
pub(super) fn degraded() -> ServiceDetail {
    let states = [InstanceState::Ready, InstanceState::Backoff];
    let mut detail = service("billing", ServiceState::Degraded, &states);
    detail.instances[1].pid = None;
    (detail.instances[1].cpu_permille, detail.instances[1].rss_bytes) = (None, None);
    detail.instances[1].failures = 2;
    detail.instances[1].retry_ms = Some(8_000);
    detail.instances[1].failure = Some(failure());
    detail
}

/// All instances in one state.
pub(super) fn service(
    text: &str,
    state: ServiceState,
    instances: &[InstanceState],
) -> ServiceDetail {
    let row = ServiceRow {
        name: name(text),
        state,
        generation: Generation(41),
        pips: instances.iter().map(|state| Pip { state: *state, new: false }).collect(),
        traffic: Traffic::default(),
        since_ms: 136_000,
        operation: None,
        stale_config: false,
    };
    let instances = instances.iter().zip(0..).map(|(state, slot)| InstanceView {
        slot: Slot(slot),
        state: *state,
        run: Some(RunId(u64::from(slot))),
        generation: Generation(41),
        pid: Some(31_000 + u32::from(slot)),
        port: 8_086 + slot,
        socket: None,
        in_flight: 10,
        tunnels: 0,
        drain: None,
        milli_rps: 413_000,
        p50_us: Some(23_000),
        p99_us: None,
        errors_ppm: 1_200,
        up_ms: (*state == InstanceState::Ready).then_some(21_000),
        failures: 0,
        retry_ms: None,
        failure: None,
        cpu_permille: Some(62),
        rss_bytes: Some(49_600_000),
    });
    ServiceDetail {
        row,
        listen: "127.0.0.1:8085".into(),
        server_names: vec!["example.com/admin".into()],
        source: format!("/etc/smoothserve/services/{text}.yaml"),
        config_problem: None,
        executable: "/srv/app".into(),
        auto_restart: false,
        stopped_by: None,
        ledger: Ledger::default(),
        instances: instances.collect(),
        operation: None,
        receipts: Vec::new(),
    }
}

pub(super) fn failure() -> Failure {
    Failure {
        reason: FailReason::Crashed(Exit::Code(1)),
        uptime_ms: 4_000,
        last_output: vec!["booting".into(), "\u{1b}[31mno database".into()],
    }
}

pub(super) fn receipt() -> Receipt {
    let step = |slot| StepView {
        drain_ms: Some(6_100),
        stop_ms: Some(210),
        boot_ms: Some(3_900),
        ready_ms: Some(4_400),
        ..StepView::new(Slot(slot), StepPhase::Done)
    };
    Receipt {
        operation: OperationId(17),
        service: name("api"),
        cause: Cause::Operator("ops@bastion".into()),
        from: Generation(41),
        to: Generation(42),
        done: true,
        halted: None,
        replaced: 3,
        of: 3,
        took_ms: 54_000,
        steps: vec![step(0), step(1), step(2)],
        ledger: Ledger { accepted: 18_911, completed: 18_911, held: 2, ..Ledger::default() },
        min_ready: 2,
        slowest_held_us: Some(180_000),
        failure: None,
        remarks: Vec::new(),
        unix_ms: NOON,
    }
}
