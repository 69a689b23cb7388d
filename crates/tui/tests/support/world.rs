//! The fixed world of the screens: eight services, one of them in the middle of a rolling restart.

use smoothserve_protocol::event::{Cause, Event, EventBatch, EventKind};
use smoothserve_protocol::failure::{Exit, FailReason, Failure};
use smoothserve_protocol::id::{
    EventSeq, Generation, OperationId, Revision, RunId, ServiceName, Slot,
};
use smoothserve_protocol::log::{LogBatch, LogLine, Stream};
use smoothserve_protocol::message::Done;
use smoothserve_protocol::plan::{PlannedStep, RestartOrder, RestartPlan};
use smoothserve_protocol::snapshot::*;

/// 14:02:07 UTC on a day in January.
pub(crate) const NOON: u64 = 1_767_362_527_000;

const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

pub(crate) fn name(text: &str) -> ServiceName {
    ServiceName::new(text).unwrap()
}

fn pips(states: &str) -> Vec<Pip> {
    states
        .chars()
        .map(|c| {
            let state = match c {
                'r' | 'n' => InstanceState::Ready,
                's' => InstanceState::Starting,
                'd' => InstanceState::Draining,
                't' => InstanceState::Stopping,
                '0' => InstanceState::Stopped,
                'b' => InstanceState::Backoff,
                'u' => InstanceState::Unhealthy,
                _ => InstanceState::Failed,
            };
            Pip { state, new: c == 'n' }
        })
        .collect()
}

fn traffic(in_flight: u64, milli_rps: u64, p50_us: u64, p99_us: u64, errors_ppm: u32) -> Traffic {
    Traffic {
        in_flight,
        milli_rps,
        p50_us: (p50_us > 0).then_some(p50_us),
        p99_us: (p99_us > 0).then_some(p99_us),
        errors_ppm,
        ..Traffic::default()
    }
}

fn row(text: &str, state: ServiceState, states: &str, traffic: Traffic, since: u64) -> ServiceRow {
    ServiceRow {
        name: name(text),
        state,
        generation: Generation(13),
        pips: pips(states),
        traffic,
        since_ms: since,
        operation: None,
        stale_config: false,
    }
}

/// The overview of the mock-ups.
pub(crate) fn overview() -> Overview {
    use ServiceState::{Degraded, Ready, Restarting, Stopped};
    let mut services = vec![
        row("api", Restarting, "nndr", traffic(36, 1_220_000, 23_000, 84_000, 0), 29 * SECOND),
        row("assets", Ready, "rr", traffic(2, 905_000, 2_600, 9_300, 0), 3 * DAY + 2 * HOUR),
        row("auth", Ready, "rrr", traffic(5, 401_000, 8_600, 31_000, 0), 6 * HOUR + 11 * MINUTE),
        row("billing", Degraded, "rb", traffic(1, 37_000, 59_000, 212_000, 3_100), 136 * SECOND),
        row("search", Ready, "rrrr", traffic(21, 645_000, 33_000, 119_000, 0), DAY + 4 * HOUR),
        row("webhooks", Ready, "rr", traffic(0, 9_300, 94_000, 337_000, 0), 9 * DAY + 11 * HOUR),
        row("www", Ready, "rrrrrr", traffic(4, 209_000, 13_000, 46_000, 0), 235 * SECOND),
        row("worker-ui", Stopped, "000", traffic(0, 0, 0, 0, 0), 12 * DAY),
    ];
    services[0].generation = Generation(42);
    services[0].operation = Some(SUMMARY);
    Overview {
        revision: Revision(7),
        daemon: DaemonView {
            version: "0.9.2".into(),
            pid: 811,
            host: "prod-web-3".into(),
            config: "/etc/smoothserve/smoothserve.yaml".into(),
            uptime_ms: 41 * DAY + 6 * HOUR,
            unix_ms: NOON,
            stopping: false,
            ready: 21,
            wanted: 23,
            traffic: traffic(69, 3_430_000, 23_000, 84_000, 100),
            rejected: 3,
            config_problem: None,
        },
        services,
    }
}

const SUMMARY: OperationSummary =
    OperationSummary { id: OperationId(17), kind: OperationKind::Restart, done: 2, of: 4 };

fn instance(slot: u16, state: InstanceState, generation: u64, in_flight: u32) -> InstanceView {
    InstanceView {
        slot: Slot(slot),
        state,
        run: Some(RunId(100 + u64::from(slot))),
        generation: Generation(generation),
        pid: Some(48_211 + u32::from(slot) * 29),
        port: 8_086 + slot,
        socket: None,
        in_flight,
        tunnels: 0,
        drain: None,
        milli_rps: if state == InstanceState::Ready { 413_000 } else { 0 },
        p50_us: Some(23_000),
        p99_us: Some(81_000 + u64::from(slot) * 1_000),
        errors_ppm: 0,
        up_ms: Some(if generation == 42 { 21 * SECOND } else { 12 * DAY + 4 * HOUR }),
        failures: 0,
        retry_ms: None,
        failure: None,
        cpu_permille: Some(62),
        rss_bytes: Some(49_600_000),
    }
}

/// The generations of `api`, of which the new one has this percentile, and so many failed requests.
pub(crate) fn canary(p99_ms: u64, failed: u64) -> Canary {
    let view = |generation, ready: u16, p99_ms: u64, failed| GenerationView {
        generation: Generation(generation),
        ready,
        milli_rps: 408_000 * u64::from(ready),
        ended: 24_480 * u64::from(ready),
        failed,
        p99_us: Some(p99_ms * 1_000),
    };
    Canary { old: view(41, 1, 91, 0), new: view(42, 2, p99_ms, failed) }
}

/// `api` in the middle of its restart.
pub(crate) fn api() -> ServiceDetail {
    let overview = overview();
    let mut draining = instance(2, InstanceState::Draining, 41, 3);
    let export = Blocker {
        method: "GET".into(),
        path: "/v1/export".into(),
        age_ms: 1_900,
        client: "10.0.0.7:4312".into(),
        tunnel: false,
    };
    draining.drain = Some(DrainView {
        began_with: 14,
        since_ms: 2_400,
        limit_ms: Some(30_000),
        on_timeout: OnDrainTimeout::Abort,
        blockers: vec![export],
    });
    let ledger = Ledger {
        accepted: 18_402,
        completed: 18_360,
        client_aborted: 6,
        in_flight: 36,
        ..Ledger::default()
    };
    let step = |slot: u16, phase, times: Option<(u64, u64, u64)>| StepView {
        drain_ms: times.map(|times| times.0),
        stop_ms: times.map(|times| times.1),
        ready_ms: times.map(|times| times.2),
        ..StepView::new(Slot(slot), phase)
    };
    let steps = vec![
        step(0, StepPhase::Done, Some((6_100, 400, 4_400))),
        step(1, StepPhase::Done, Some((9_000, 300, 4_500))),
        step(2, StepPhase::Running, None),
        step(3, StepPhase::Waiting, None),
    ];
    ServiceDetail {
        row: overview.services[0].clone(),
        listen: "0.0.0.0:80".into(),
        server_names: vec!["api.example.com".into()],
        source: "/etc/smoothserve/services/api.yaml".into(),
        config_problem: None,
        executable: "/opt/api/bin/api".into(),
        auto_restart: true,
        stopped_by: None,
        ledger,
        instances: vec![
            instance(0, InstanceState::Ready, 42, 10),
            instance(1, InstanceState::Ready, 42, 13),
            draining,
            instance(3, InstanceState::Ready, 41, 10),
        ],
        operation: Some(OperationView {
            summary: SUMMARY,
            cause: Cause::Operator("ops@bastion".into()),
            from: Generation(41),
            to: Generation(42),
            elapsed_ms: 29_000,
            eta_ms: Some(25_000),
            waiting: false,
            paused_by: None,
            aborting: false,
            steps: steps.clone(),
            ledger,
            min_ready: 3,
            canary: Some(canary(82, 0)),
        }),
        receipts: Vec::new(),
    }
}

/// A service where nothing happens, with a receipt of its last restart.
pub(crate) fn quiet(text: &str) -> ServiceDetail {
    let row = overview().services.into_iter().find(|row| row.name.as_str() == text).unwrap();
    let instances: Vec<InstanceView> = (0..)
        .zip(&row.pips)
        .map(|(slot, pip)| {
            let mut view = instance(slot, pip.state, 13, 4);
            match pip.state {
                InstanceState::Stopped => {
                    (view.pid, view.up_ms, view.run, view.in_flight) = (None, None, None, 0);
                    (view.p50_us, view.p99_us) = (None, None);
                }
                InstanceState::Backoff => {
                    (view.pid, view.up_ms, view.in_flight) = (None, None, 0);
                    view.retry_ms = Some(8_000);
                    view.failures = 3;
                    view.failure = Some(failure());
                }
                _ => {}
            }
            view
        })
        .collect();
    let in_flight = instances.iter().map(|view| u64::from(view.in_flight)).sum();
    let ledger = Ledger {
        accepted: 1_204_118,
        completed: 1_204_118 - in_flight,
        in_flight,
        held: 2,
        ..Ledger::default()
    };
    let receipt = Receipt {
        operation: OperationId(12),
        service: row.name.clone(),
        cause: Cause::Operator("ci-deploy".into()),
        from: Generation(12),
        to: Generation(13),
        done: true,
        halted: None,
        replaced: 4,
        of: 4,
        took_ms: 41_000,
        steps: Vec::new(),
        ledger,
        min_ready: 3,
        slowest_held_us: None,
        failure: None,
        remarks: Vec::new(),
        unix_ms: NOON - 2 * HOUR,
    };
    ServiceDetail {
        row,
        listen: "0.0.0.0:80".into(),
        server_names: vec![format!("{text}.example.com"), "a.example".into(), "b.example".into()],
        source: format!("/etc/smoothserve/services/{text}.yaml"),
        config_problem: None,
        executable: format!("/opt/{text}/bin/{text}"),
        auto_restart: false,
        stopped_by: None,
        ledger,
        instances,
        operation: None,
        receipts: vec![receipt],
    }
}

/// `billing` after a restart that halted.
pub(crate) fn halted() -> ServiceDetail {
    let mut detail = quiet("billing");
    let mut receipt = detail.receipts[0].clone();
    receipt.operation = OperationId(15);
    (receipt.from, receipt.to) = (Generation(13), Generation(14));
    (receipt.done, receipt.replaced, receipt.of) = (false, 1, 2);
    receipt.halted = Some("billing-2 exited with code 1".into());
    receipt.failure = Some((Slot(1), failure()));
    receipt.remarks = vec!["billing-1 took 9.0s to exit after it was told to".into()];
    receipt.steps = vec![
        StepView {
            drain_ms: Some(6_100),
            stop_ms: Some(9_000),
            boot_ms: Some(1_900),
            ready_ms: Some(4_400),
            ..StepView::new(Slot(0), StepPhase::Done)
        },
        StepView { drain_ms: Some(900), ..StepView::new(Slot(1), StepPhase::Failed) },
    ];
    (receipt.slowest_held_us, receipt.min_ready) = (Some(84_000), 1);
    receipt.unix_ms = NOON - 4 * MINUTE;
    detail.receipts.insert(0, receipt);
    detail
}

fn failure() -> Failure {
    Failure {
        reason: FailReason::Crashed(Exit::Code(1)),
        uptime_ms: 4_000,
        last_output: vec!["database\u{1b}[2J is not there".into()],
    }
}

/// The detail of any service of [`overview`].
pub(crate) fn detail(text: &str) -> ServiceDetail {
    match text {
        "api" => api(),
        "billing" => halted(),
        _ => quiet(text),
    }
}

/// Everything, as a status question is answered.
pub(crate) fn status() -> Done {
    let Overview { revision, daemon, services } = overview();
    let services = services.iter().map(|row| detail(row.name.as_str())).collect();
    Done::Status(Box::new(Snapshot { revision, daemon, services }))
}

/// Rolling restarts that have ended, newest first.
pub(crate) fn past() -> Vec<Receipt> {
    let mut receipts = halted().receipts;
    let mut cut = receipts[1].clone();
    (cut.service, cut.operation, cut.unix_ms) = (name("search"), OperationId(9), NOON - 2 * DAY);
    let files = ["/opt/search/bin/search", "/opt/search/lib/libindex.so"];
    cut.cause = Cause::FilesChanged(files.map(str::to_owned).into());
    (cut.ledger.cut, cut.ledger.completed) = (2, cut.ledger.completed - 2);
    receipts.push(cut);
    receipts
}

/// What a restart of any service of [`overview`] would do.
pub(crate) fn plan(text: &str) -> RestartPlan {
    let detail = quiet(text);
    let steps = detail.instances.iter().map(|instance| PlannedStep {
        slot: instance.slot,
        state: instance.state,
        port: instance.port,
        in_flight: instance.in_flight,
        tunnels: instance.tunnels,
    });
    RestartPlan {
        service: detail.row.name.clone(),
        problem: None,
        from: detail.row.generation,
        to: Generation(detail.row.generation.0 + 1),
        order: RestartOrder::StopFirst,
        max_unavailable: 1,
        drain_timeout_ms: 30_000,
        on_drain_timeout: OnDrainTimeout::Abort,
        eta_ms: Some(41_000),
        steps: steps.collect(),
    }
}

/// The overview while the configuration on disk cannot be used.
pub(crate) fn misconfigured() -> Overview {
    let mut overview = overview();
    let place = "/etc/smoothserve/smoothserve.yaml:3:1";
    let problem = format!("error: unknown key `command_prot`\n --> {place}\n  |\n3 | command_prot");
    overview.daemon.config_problem = Some(problem);
    overview.services[4].stale_config = true;
    overview
}

/// What `api` printed.
pub(crate) fn logs() -> LogBatch {
    let story: [(u64, u16, Stream, &str); 12] = [
        (
            1_090,
            3,
            Stream::Out,
            "\u{1b}[32minfo\u{1b}[39m  GET \u{1b}[4m/v1/items/88\u{1b}[24m \u{1b}[43;30m404\u{1b}[0m 3ms",
        ),
        (1_069, 1, Stream::Out, "\u{1b}[38;5;28minfo\u{1b}[0m  GET /v1/items 200 \u{1b}[2m19ms"),
        (1_046, 0, Stream::Out, "\u{1b}[90mdebug GET /healthz 200 \u{1b}[94m0.4ms"),
        (1_010, 2, Stream::Err, "info  SIGTERM received, closing listener, 14 in flight"),
        (829, 1, Stream::Out, "info  POST /v1/cart 201 31ms"),
        (813, 3, Stream::Err, "\u{1b}[33mwarn\u{1b}[0m  slow query 412ms orders_by_day"),
        (802, 0, Stream::Out, "info  GET /v1/items 200 22ms"),
        (
            801,
            3,
            Stream::Err,
            "\u{1b}[1;31mERROR\u{1b}[0m pool timeout: no connection of 20 was free",
        ),
        (800, 3, Stream::Err, "    at pool.get (/opt/api/lib/pool.js:88:13)\u{1b}[2J\u{7}"),
        (799, 3, Stream::Err, "    at Orders.byDay (/opt/api/lib/orders.js:12:40)"),
        (786, 2, Stream::Out, "info  GET /v1/export 200 1.84s"),
        (
            90,
            0,
            Stream::Out,
            "info  GET /v1/search?q=a+query+that+is+so+long+that+no+terminal+has+room+for+it+in+one+row+and+that+somebody+may+want+to+read+to+its+end 200 31ms",
        ),
    ];
    let line = |(ago, slot, stream, text): (u64, u16, Stream, &str)| LogLine {
        unix_ms: NOON - ago,
        slot: Slot(slot),
        generation: Generation(42),
        stream,
        bytes: text.into(),
    };
    LogBatch { missed: 0, lines: story.map(line).into() }
}

/// What happened.
pub(crate) fn events() -> EventBatch {
    let ops = || Cause::Operator("ops@bastion".into());
    let operation = OperationId(17);
    let story: Vec<(u64, Option<&str>, Option<u16>, EventKind)> = vec![
        (31_266, Some("webhooks"), None, EventKind::StartAsked { operation, cause: ops() }),
        (7_917, Some("www"), Some(0), EventKind::Killed { after_ms: 10_000 }),
        (
            857,
            None,
            None,
            EventKind::DaemonStarted { version: "0.9.2".into(), services: 8, instances: 26 },
        ),
        (
            136,
            Some("billing"),
            Some(1),
            EventKind::BackingOff { failure: failure(), retry_ms: 8_000, failures: 3 },
        ),
        (
            29,
            Some("api"),
            None,
            EventKind::RolloutStarted {
                operation,
                from: Generation(41),
                to: Generation(42),
                instances: 4,
                cause: ops(),
            },
        ),
        (17, Some("api"), Some(0), EventKind::Ready { took_ms: 4_400, generation: Generation(42) }),
        (2, Some("api"), Some(1), EventKind::Ready { took_ms: 4_500, generation: Generation(42) }),
        (2, Some("api"), Some(2), EventKind::Draining { in_flight: 14 }),
    ];
    let events = (1..)
        .zip(story)
        .map(|(seq, (ago, service, slot, kind))| Event {
            seq: EventSeq(seq),
            unix_ms: NOON - ago * SECOND,
            service: service.map(name),
            slot: slot.map(Slot),
            kind,
        })
        .collect();
    EventBatch { missed: 0, events }
}
