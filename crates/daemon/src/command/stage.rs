//! A large daemon to be told of: 500 services of 16 instances each, all of them busy.

use std::time::Duration;

use smoothserve_protocol::event::Cause;
use smoothserve_protocol::failure::{Exit, FailReason, Failure};
use smoothserve_protocol::id::{Generation, OperationId, Revision, RunId, ServiceName, Slot};
use smoothserve_protocol::snapshot::{
    Blocker, Canary, DaemonView, DrainView, GenerationView, InstanceState, InstanceView, Ledger,
    OnDrainTimeout, OperationKind, OperationSummary, OperationView, Pip, Receipt, ServiceDetail,
    ServiceRow, ServiceState, Snapshot, StepPhase, StepView, Traffic,
};

pub(super) const SERVICES: u64 = 500;
pub(super) const INSTANCES: u16 = 16;

const DAY: u64 = 24 * 60 * 60 * 1000;

pub(super) fn name(number: u64) -> ServiceName {
    ServiceName::new(&format!("checkout-{number:03}")).unwrap()
}

/// What it looks like `at`; `restarting` is in the middle of a rolling restart.
pub(super) fn world(at: Duration, restarting: Option<u64>) -> Snapshot {
    let millis = at.as_millis() as u64;
    let services = (0..SERVICES).map(|number| match restarting == Some(number) {
        true => restart(number, millis),
        false => busy(number, millis),
    });
    let services: Vec<_> = services.collect();
    // Of the restart, something changes at every look; of the others, only figures do.
    let revision = Revision(if restarting.is_some() { 1 + millis / 100 } else { 1 });
    let daemon = DaemonView {
        version: "1.0.0".into(),
        pid: 811,
        host: "prod-web-3".into(),
        config: "/etc/smoothserve/smoothserve.yaml".into(),
        uptime_ms: 41 * DAY + millis,
        unix_ms: 1_767_362_527_000 + millis,
        stopping: false,
        ready: SERVICES as u32 * u32::from(INSTANCES),
        wanted: SERVICES as u32 * u32::from(INSTANCES),
        traffic: traffic(9, millis),
        rejected: 3,
        config_problem: None,
    };
    Snapshot { revision, daemon, services }
}

/// Figures are measured once a second, what is in flight at every look.
fn traffic(number: u64, millis: u64) -> Traffic {
    let wave = (millis / 1000 * 7 + number) % 60;
    Traffic {
        in_flight: 20 + (millis / 100 + number) % 13,
        held: 0,
        tunnels: 2,
        milli_rps: 1_220_000 + wave * 1_000,
        p50_us: Some(23_000 + wave * 100),
        p99_us: Some(84_000 + wave * 1_000),
        errors_ppm: 300 + wave as u32,
        lost: 12,
    }
}

fn ledger(millis: u64) -> Ledger {
    let completed = 20_000_000 + millis * 12 / 10;
    Ledger { accepted: completed + 36, completed, in_flight: 36, ..Ledger::default() }
}

fn instance(number: u64, slot: u16, millis: u64) -> InstanceView {
    let Traffic { milli_rps, p50_us, p99_us, .. } = traffic(number + u64::from(slot), millis);
    InstanceView {
        slot: Slot(slot),
        state: InstanceState::Ready,
        run: Some(RunId(100_000 + number)),
        generation: Generation(41),
        pid: Some(48_211 + u32::from(slot)),
        port: 20_000 + slot,
        socket: None,
        in_flight: 2 + (millis / 100) as u32 % 7,
        tunnels: 0,
        drain: None,
        milli_rps: milli_rps / 16,
        p50_us,
        p99_us,
        errors_ppm: 300,
        up_ms: Some(12 * DAY + millis),
        failures: 0,
        retry_ms: None,
        failure: None,
        cpu_permille: Some(620),
        rss_bytes: Some(49_600_000),
    }
}

fn busy(number: u64, millis: u64) -> ServiceDetail {
    let pip = Pip { state: InstanceState::Ready, new: false };
    ServiceDetail {
        row: ServiceRow {
            name: name(number),
            state: ServiceState::Ready,
            generation: Generation(41),
            pips: vec![pip; usize::from(INSTANCES)],
            traffic: traffic(number, millis),
            since_ms: 12 * DAY + millis,
            operation: None,
            stale_config: false,
        },
        listen: "0.0.0.0:80".into(),
        server_names: vec![format!("checkout-{number:03}.example.com"), "a.example".into()],
        source: format!("/etc/smoothserve/services/checkout-{number:03}.yaml"),
        config_problem: None,
        executable: format!("/opt/checkout-{number:03}/bin/checkout"),
        auto_restart: true,
        stopped_by: None,
        ledger: ledger(millis),
        instances: (0..INSTANCES).map(|slot| instance(number, slot, millis)).collect(),
        operation: None,
        receipts: vec![receipt(number); 5],
    }
}

fn generation(number: u64) -> GenerationView {
    GenerationView {
        generation: Generation(number),
        ready: 8,
        milli_rps: 610_000,
        ended: 36_600,
        failed: 12,
        p99_us: Some(84_000),
    }
}

fn steps() -> Vec<StepView> {
    let step = |slot| StepView {
        drain_ms: Some(6_100),
        stop_ms: Some(400),
        boot_ms: Some(1_900),
        ready_ms: Some(4_400),
        ..StepView::new(Slot(slot), StepPhase::Done)
    };
    (0..INSTANCES).map(step).collect()
}

fn receipt(number: u64) -> Receipt {
    Receipt {
        operation: OperationId(12),
        service: name(number),
        cause: Cause::Operator("ci-deploy@build-7".into()),
        from: Generation(40),
        to: Generation(41),
        done: true,
        halted: None,
        replaced: INSTANCES,
        of: INSTANCES,
        took_ms: 41_000,
        steps: steps(),
        ledger: ledger(0),
        min_ready: INSTANCES - 1,
        slowest_held_us: None,
        failure: None,
        remarks: Vec::new(),
        unix_ms: 1_767_300_000_000,
    }
}

/// The same in the middle of its restart: one drains, and everything it waits for has a long name.
fn restart(number: u64, millis: u64) -> ServiceDetail {
    let mut detail = busy(number, millis);
    let blocker = |n: u64| Blocker {
        method: "POST".into(),
        path: format!("/v1/customers/{n:06}/orders/2026/export/{}", "x".repeat(60)),
        age_ms: 1_900 + n * 100 + millis,
        client: "10.200.117.204:54312".into(),
        tunnel: false,
    };
    let drain = DrainView {
        began_with: 34,
        since_ms: millis,
        limit_ms: Some(300_000),
        on_timeout: OnDrainTimeout::Abort,
        blockers: (0..10).map(blocker).collect(),
    };
    (detail.instances[8].state, detail.instances[8].drain) = (InstanceState::Draining, Some(drain));
    let summary =
        OperationSummary { id: OperationId(17), kind: OperationKind::Restart, done: 8, of: 16 };
    detail.row.state = ServiceState::Restarting;
    detail.row.pips[8].state = InstanceState::Draining;
    detail.row.operation = Some(summary);
    detail.operation = Some(OperationView {
        summary,
        cause: Cause::Operator("ops@bastion".into()),
        from: Generation(40),
        to: Generation(41),
        elapsed_ms: 29_000 + millis,
        eta_ms: Some(25_000),
        waiting: false,
        paused_by: None,
        aborting: false,
        steps: steps(),
        ledger: ledger(millis),
        min_ready: 15,
        canary: Some(Canary { old: generation(40), new: generation(41) }),
    });
    detail
}

/// Every instance failed, and had a lot to say before.
pub(super) fn failing() -> Snapshot {
    let mut snapshot = world(Duration::ZERO, None);
    let failure = Failure {
        reason: FailReason::Crashed(Exit::Code(1)),
        uptime_ms: 4_000,
        last_output: (0..50).map(|n| format!("{n:02} {}", "ä".repeat(250))).collect(),
    };
    for service in &mut snapshot.services {
        for instance in &mut service.instances {
            instance.failure = Some(failure.clone());
        }
        for receipt in &mut service.receipts {
            receipt.failure = Some((Slot(0), failure.clone()));
        }
    }
    snapshot
}
