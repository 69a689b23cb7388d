//! One message of every kind, with every field set to something that can be told apart.

use smoothserve_protocol::event::{Cause, Event, EventBatch, EventKind};
use smoothserve_protocol::failure::{Exit, FailReason, Failure};
use smoothserve_protocol::id::{
    EventSeq, Generation, OperationId, RequestId, Revision, RunId, ServiceName, Slot,
};
use smoothserve_protocol::log::{LogBatch, LogLine, Stream};
use smoothserve_protocol::message::{Done, FromDaemon, FromTool, Push, Refusal, Request, Steer};
use smoothserve_protocol::moved::{DaemonMoved, OverviewMoved, ServiceMoved};
use smoothserve_protocol::plan::{
    ChangeKind, PlannedStep, ReloadReport, RestartOrder, RestartPlan, ServicePlan,
};
use smoothserve_protocol::snapshot::{
    Blocker, Canary, DaemonView, DrainView, GenerationView, InstanceState, InstanceView, Ledger,
    OnDrainTimeout, OperationKind, OperationSummary, OperationView, Overview, Pip, Receipt,
    ServiceDetail, ServiceRow, ServiceState, Snapshot, StepPhase, StepView, Traffic,
};

fn name() -> ServiceName {
    ServiceName::new("shop").expect("a valid name")
}

fn operator() -> Cause {
    Cause::Operator("ops@bastion".into())
}

fn failure() -> Failure {
    Failure {
        reason: FailReason::ExitedBeforeReady(Exit::Code(3)),
        uptime_ms: 41,
        last_output: vec!["listening".into(), "bad flag".into()],
    }
}

fn traffic() -> Traffic {
    Traffic {
        in_flight: 1,
        held: 2,
        tunnels: 3,
        milli_rps: 4000,
        p50_us: Some(5),
        p99_us: None,
        errors_ppm: 7,
        lost: 8,
    }
}

fn ledger() -> Ledger {
    Ledger {
        accepted: 31,
        completed: 10,
        client_aborted: 9,
        cut: 2,
        lost: 3,
        in_flight: 7,
        retried: 4,
        held: 5,
        tunnels_closed: 6,
        refused: 1,
    }
}

fn summary() -> OperationSummary {
    OperationSummary { id: OperationId(17), kind: OperationKind::Restart, done: 1, of: 3 }
}

fn step() -> StepView {
    StepView {
        slot: Slot(2),
        phase: StepPhase::Running,
        drain_ms: Some(11),
        stop_ms: None,
        killed: true,
        boot_ms: Some(32),
        ready_ms: Some(12),
    }
}

fn blocker() -> Blocker {
    Blocker {
        method: "GET".into(),
        path: "/export".into(),
        age_ms: 33,
        client: "127.0.0.1:40000".into(),
        tunnel: true,
    }
}

fn receipt() -> Receipt {
    Receipt {
        operation: OperationId(17),
        service: name(),
        cause: operator(),
        from: Generation(1),
        to: Generation(2),
        done: false,
        halted: Some("shop-1 exited with code 3".into()),
        replaced: 1,
        of: 3,
        took_ms: 54_000,
        steps: vec![step()],
        ledger: ledger(),
        min_ready: 2,
        slowest_held_us: Some(34),
        failure: Some((Slot(0), failure())),
        remarks: vec!["shop-1 ignored SIGTERM".into()],
        unix_ms: 1_700_000_000_000,
    }
}

fn row() -> ServiceRow {
    ServiceRow {
        name: name(),
        state: ServiceState::Restarting,
        generation: Generation(2),
        pips: vec![Pip { state: InstanceState::Draining, new: true }],
        traffic: traffic(),
        since_ms: 13,
        operation: Some(summary()),
        stale_config: true,
    }
}

fn generation(number: u64) -> GenerationView {
    GenerationView {
        generation: Generation(number),
        ready: 46,
        milli_rps: 47,
        ended: 48,
        failed: 49,
        p99_us: Some(50),
    }
}

fn detail() -> ServiceDetail {
    ServiceDetail {
        row: row(),
        listen: "127.0.0.1:8085".into(),
        server_names: vec!["example.com/admin".into()],
        source: "/etc/shop.yaml".into(),
        config_problem: Some("shop.yaml:3".into()),
        executable: "/srv/shop".into(),
        auto_restart: true,
        stopped_by: Some(Cause::Daemon),
        ledger: ledger(),
        instances: vec![InstanceView {
            slot: Slot(0),
            state: InstanceState::Backoff,
            run: Some(RunId(9)),
            generation: Generation(1),
            pid: Some(123),
            port: 8086,
            socket: None,
            in_flight: 2,
            tunnels: 1,
            drain: Some(DrainView {
                began_with: 14,
                since_ms: 15,
                limit_ms: Some(16),
                on_timeout: OnDrainTimeout::Wait,
                blockers: vec![blocker()],
            }),
            milli_rps: 17,
            p50_us: Some(18),
            p99_us: Some(19),
            errors_ppm: 45,
            up_ms: None,
            failures: 20,
            retry_ms: Some(21),
            failure: Some(failure()),
            cpu_permille: Some(35),
            rss_bytes: Some(36),
        }],
        operation: Some(OperationView {
            summary: summary(),
            cause: Cause::FilesChanged(vec!["/srv/shop".into()]),
            from: Generation(1),
            to: Generation(2),
            elapsed_ms: 22,
            eta_ms: Some(23),
            waiting: true,
            paused_by: Some(operator()),
            aborting: true,
            steps: vec![step()],
            ledger: ledger(),
            min_ready: 2,
            canary: Some(Canary { old: generation(1), new: generation(2) }),
        }),
        receipts: vec![receipt()],
    }
}

fn daemon() -> DaemonView {
    DaemonView {
        version: "0.1.0".into(),
        pid: 811,
        host: "web-3".into(),
        config: "/etc/smoothserve/smoothserve.yaml".into(),
        uptime_ms: 24,
        unix_ms: 1_700_000_000_001,
        stopping: true,
        ready: 2,
        wanted: 3,
        traffic: traffic(),
        rejected: 25,
        config_problem: Some("smoothserve.yaml:1".into()),
    }
}

fn overview_moved() -> OverviewMoved {
    let daemon = DaemonMoved {
        uptime_ms: 42,
        unix_ms: 1_700_000_000_004,
        stopping: true,
        ready: 2,
        wanted: 3,
        traffic: traffic(),
        rejected: 43,
    };
    let (rows, figures) = (vec![(1, row())], Some(vec![(300, traffic())]));
    OverviewMoved { revision: Revision(44), daemon, rows, figures }
}

fn service_moved() -> ServiceMoved {
    let ServiceDetail { row, stopped_by, ledger, instances, operation, .. } = detail();
    ServiceMoved { row, stopped_by, ledger, instances, operation }
}

fn batch() -> EventBatch {
    let kinds = [
        EventKind::DaemonStarted { version: "0.1.0".into(), services: 1, instances: 3 },
        EventKind::DaemonStopping { cause: operator() },
        EventKind::RolloutStarted {
            operation: OperationId(17),
            from: Generation(1),
            to: Generation(2),
            instances: 3,
            cause: operator(),
        },
        EventKind::RolloutDone { operation: OperationId(17), took_ms: 1, instances: 3, lost: 0 },
        EventKind::RolloutHalted { operation: OperationId(17), why: "why".into() },
        EventKind::RolloutWaits { operation: OperationId(17) },
        EventKind::StartAsked { operation: OperationId(1), cause: Cause::Daemon },
        EventKind::StopAsked { operation: OperationId(2), cause: operator() },
        EventKind::ServiceStopped { took_ms: 2 },
        EventKind::Draining { in_flight: 14 },
        EventKind::Drained { took_ms: 3 },
        EventKind::Reopened { in_flight: 4, blockers: vec![blocker()] },
        EventKind::Stopping,
        EventKind::Killed { after_ms: 10_000 },
        EventKind::Exited { exit: Exit::Signal { signal: 15, core: false } },
        EventKind::Launched { pid: 5, generation: Generation(2) },
        EventKind::Ready { took_ms: 6, generation: Generation(2) },
        EventKind::BackingOff { failure: failure(), retry_ms: 500, failures: 1 },
        EventKind::GaveUp { failure: failure(), failures: 10 },
        EventKind::FilesChanged { files: vec!["/srv/shop".into()] },
        EventKind::Warning { text: "text".into() },
        EventKind::FilesUnchanged { files: vec!["/srv/shop".into()] },
        EventKind::RolloutPaused { operation: OperationId(17), by: operator() },
        EventKind::RolloutResumed { operation: OperationId(17), by: operator() },
        EventKind::AbortAsked { operation: OperationId(17), by: operator() },
        EventKind::DrainExtended { by_ms: 60_000, by: operator() },
        EventKind::DrainCut {
            in_flight: 3,
            by: Cause::MemoryLimit { slot: Slot(1), rss_bytes: 2, limit_bytes: 1 },
        },
        EventKind::DrainWaits { overdue: true, in_flight: 3, blockers: vec![blocker()] },
        EventKind::Unhealthy { error: "timed out".into() },
        EventKind::Healthy,
        EventKind::ConfigApplied { what: vec!["shop: env.X changed".into()] },
        EventKind::ConfigRejected { problem: "shop.yaml:3".into() },
    ];
    let event = |(index, kind)| Event {
        seq: EventSeq(index as u64 + 1),
        unix_ms: 1_700_000_000_002,
        service: Some(name()),
        slot: Some(Slot(1)),
        kind,
    };
    EventBatch { missed: 12, events: kinds.into_iter().enumerate().map(event).collect() }
}

fn steer(steer: Steer) -> Request {
    Request::Steer { service: name(), operation: Some(OperationId(17)), steer }
}

fn restart_plan() -> RestartPlan {
    RestartPlan {
        service: name(),
        problem: Some("no such file".into()),
        from: Generation(1),
        to: Generation(2),
        order: RestartOrder::StartFirst,
        max_unavailable: 1,
        drain_timeout_ms: 60_000,
        on_drain_timeout: OnDrainTimeout::Cut,
        eta_ms: Some(37),
        steps: vec![PlannedStep {
            slot: Slot(0),
            state: InstanceState::Unhealthy,
            port: 8086,
            in_flight: 38,
            tunnels: 39,
        }],
    }
}

fn reload_report() -> ReloadReport {
    let kinds = [
        ChangeKind::Live,
        ChangeKind::Scale,
        ChangeKind::Restart,
        ChangeKind::Added,
        ChangeKind::Removed,
    ];
    let plan = |kind| ServicePlan { service: name(), kind, what: vec!["env.X changed".into()] };
    ReloadReport {
        applied: true,
        problems: vec!["shop.yaml:3".into()],
        daemon: vec!["CommandPort 8000 -> 8001".into()],
        services: kinds.map(plan).into(),
        unchanged: 40,
    }
}

fn log_batch() -> LogBatch {
    let line = |stream, bytes: &[u8]| LogLine {
        unix_ms: 1_700_000_000_003,
        slot: Slot(0),
        generation: Generation(2),
        stream,
        bytes: bytes.into(),
    };
    LogBatch {
        missed: 41,
        lines: vec![line(Stream::Out, b"GET /"), line(Stream::Err, &[0xff, 0x00])],
    }
}

/// What a tool may send.
pub(crate) fn from_tool() -> Vec<FromTool> {
    let requests = [
        Request::Start { service: name(), wait: true },
        Request::Stop {
            service: name(),
            force: true,
            timeout_ms: Some(300_000),
            expected: Some(Generation(2)),
            wait: false,
        },
        Request::Restart {
            service: name(),
            drain_timeout_ms: Some(30_000),
            on_drain_timeout: Some(OnDrainTimeout::Cut),
            expected: None,
            join: true,
            wait: true,
        },
        Request::Shutdown { force: false },
        Request::Status,
        Request::Events { after: Some(EventSeq(3)), limit: 100 },
        Request::Subscribe { focus: Some(name()), events_after: None },
        Request::PlanRestart { service: name() },
        steer(Steer::Pause),
        steer(Steer::Resume),
        steer(Steer::Abort),
        steer(Steer::Extend { by_ms: 60_000 }),
        steer(Steer::Cut),
        Request::Reload { plan: true },
        Request::History { service: Some(name()), limit: 20 },
        Request::Logs {
            service: name(),
            slot: Some(Slot(1)),
            lines: 200,
            grep: Some("error".into()),
            follow: true,
        },
    ];
    let asked = requests
        .into_iter()
        .enumerate()
        .map(|(id, request)| FromTool::Request { id: RequestId(id as u64), request });
    let hello = FromTool::Introduce { actor: "ops@bastion".into(), read_only: true };
    std::iter::once(hello).chain(asked).collect()
}

/// What a daemon may send.
pub(crate) fn from_daemon() -> Vec<FromDaemon> {
    let snapshot = Snapshot { revision: Revision(26), daemon: daemon(), services: vec![detail()] };
    let overview = Overview { revision: Revision(27), daemon: daemon(), services: vec![row()] };
    let failures = [
        FailReason::NotLaunched { error: "no such file".into() },
        FailReason::PortTaken { port: 8087, holder: "pid 123 nginx (uid 33)".into() },
        FailReason::NotReady { after_ms: 30_000, probe_error: Some("refused".into()) },
        FailReason::ExitedTooSoon(Exit::Signal { signal: 11, core: true }),
        FailReason::Crashed(Exit::Code(1)),
        FailReason::Unhealthy { probe_error: "timed out".into() },
    ];
    let failures =
        failures.into_iter().map(|reason| (Slot(1), Failure { reason, ..failure() })).collect();
    let receipt = || Box::new(receipt());
    let results = [
        Ok(Done::AlreadySo),
        Ok(Done::Begun { operation: OperationId(17) }),
        Ok(Done::Started { instances: 3, took_ms: 28 }),
        Ok(Done::Stopped { instances: 3, cut: 1, took_ms: 29 }),
        Ok(Done::Restarted(receipt())),
        Ok(Done::ShuttingDown),
        Ok(Done::Status(Box::new(snapshot))),
        Ok(Done::Events(batch())),
        Ok(Done::Subscribed),
        Ok(Done::RestartPlan(Box::new(restart_plan()))),
        Ok(Done::Steered { operation: OperationId(17) }),
        Ok(Done::Reloaded(Box::new(reload_report()))),
        Ok(Done::History(vec![*receipt()])),
        Ok(Done::Logs(log_batch())),
        Err(Refusal::UnknownService { name: name(), known: vec![name()] }),
        Err(Refusal::Preflight { problem: "no such file".into() }),
        Err(Refusal::Halted { slot: Slot(0), failure: failure(), receipt: receipt() }),
        Err(Refusal::DrainTimedOut {
            slot: Slot(0),
            in_flight: 2,
            limit_ms: 60_000,
            blockers: vec![blocker()],
            receipt: receipt(),
        }),
        Err(Refusal::StartFailed { failures }),
        Err(Refusal::Conflict { operation: OperationId(17), what: "a stop".into() }),
        Err(Refusal::Superseded { by: "the service was stopped".into() }),
        Err(Refusal::GenerationMoved { expected: Generation(1), found: Generation(2) }),
        Err(Refusal::NotRunning),
        Err(Refusal::NotPermitted),
        Err(Refusal::ShuttingDown),
        Err(Refusal::Aborted { by: "ops@bastion".into(), receipt: receipt() }),
        Err(Refusal::NothingToSteer { why: "no rolling restart runs".into() }),
        Err(Refusal::BadPattern { error: "unclosed group".into() }),
    ];
    let answers = results
        .into_iter()
        .enumerate()
        .map(|(id, result)| FromDaemon::Response { id: RequestId(id as u64), result });
    let pushes = [
        Push::Overview(overview),
        Push::Service(Some(Box::new(detail()))),
        Push::Service(None),
        Push::Events(batch()),
        Push::Logs(log_batch()),
        Push::Bye { reason: "the daemon has stopped".into() },
        Push::OverviewMoved(overview_moved()),
        Push::ServiceMoved(Box::new(service_moved())),
    ];
    answers.chain(pushes.into_iter().map(FromDaemon::Push)).collect()
}
