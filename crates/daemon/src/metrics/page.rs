//! What is measured, under which names: the page that `GET /metrics` shows.
//!
//! Names and units follow the conventions of Prometheus. An instance is told by its `slot`, counted
//! from 1, because `instance` is what Prometheus calls the daemon.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use smoothserve_protocol::id::{Generation, ServiceName, Slot};
use smoothserve_protocol::snapshot::{InstanceState, Ledger, OperationKind, ServiceDetail};

use super::exposition::{Exposition, Kind};
use crate::proxy::{Proxy, ServiceTraffic, Standing};
use crate::supervisor::{Measures, ServiceMeasures};

/// Writes the page of this moment.
pub(super) fn write(measures: &Measures, proxy: &Proxy) -> String {
    let mut page = Exposition::default();
    daemon(&mut page, measures, proxy);
    let views = &measures.snapshot.services;
    let views: HashMap<&ServiceName, _> = views.iter().map(|view| (&view.row.name, view)).collect();
    let services: Vec<Service<'_>> =
        measures.services.iter().map(|service| Service::read(service, &views)).collect();
    requests(&mut page, &services);
    services_themselves(&mut page, &services);
    instances(&mut page, &services);
    runs(&mut page, &services);
    page.into_text()
}

/// A service with its counts of one moment, so that they agree wherever they are shown.
struct Service<'a> {
    name: &'a str,
    measures: &'a ServiceMeasures,
    ledger: Ledger,
    view: Option<&'a ServiceDetail>,
    runs: BTreeMap<(Slot, Generation), Run>,
}

/// What the runs of one place and generation did; there are two while one replaces the other.
#[derive(Default)]
struct Run {
    slot: String,
    generation: String,
    ended: [(&'static str, u64); 4],
    failed: u64,
    in_flight: u32,
    tunnels: u32,
    cpu: Option<Duration>,
    rss_bytes: Option<u64>,
}

impl<'a> Service<'a> {
    fn read(
        measures: &'a ServiceMeasures,
        views: &HashMap<&ServiceName, &'a ServiceDetail>,
    ) -> Self {
        let mut runs: BTreeMap<_, Run> = BTreeMap::new();
        for run in &measures.runs {
            let launched = run.endpoint.launched();
            let sum = runs.entry((launched.slot, launched.generation)).or_default();
            sum.slot = launched.slot.to_string();
            sum.generation = launched.generation.0.to_string();
            let traffic = run.endpoint.traffic();
            for (sum, (outcome, count)) in sum.ended.iter_mut().zip(traffic.by_outcome()) {
                *sum = (outcome, sum.1 + count);
            }
            sum.failed += traffic.errors();
            let inside = run.endpoint.inside();
            sum.in_flight += inside.requests;
            sum.tunnels += inside.tunnels;
            sum.cpu = add(sum.cpu, run.cpu);
            sum.rss_bytes = add(sum.rss_bytes, run.rss_bytes);
        }
        let name = measures.name.as_str();
        let (ledger, view) = (measures.proxy.ledger(), views.get(&measures.name).copied());
        Self { name, measures, ledger, view, runs }
    }
}

/// Two figures of which either may be missing.
fn add<T: std::ops::Add<Output = T>>(one: Option<T>, other: Option<T>) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one + other),
        (one, other) => one.or(other),
    }
}

fn daemon(page: &mut Exposition, measures: &Measures, proxy: &Proxy) {
    use Kind::{Counter, Gauge};
    let view = &measures.snapshot.daemon;
    let mut one = |name, kind, help, value: f64| page.family(name, kind, help).add(&[], value);
    let (open, came) = proxy.connections();
    let is_serving = proxy.standing() == Standing::Serving;
    let uptime = Duration::from_millis(view.uptime_ms).as_secs_f64();
    one("smoothserve_uptime_seconds", Gauge, "Time since the daemon started.", uptime);
    let help = "Whether clients are welcome, as /-/ready says.";
    one("smoothserve_serving", Gauge, help, flag(is_serving));
    let help = "Whether the daemon runs with its configuration as it is on disk.";
    one("smoothserve_config_ok", Gauge, help, flag(view.config_problem.is_none()));
    let help = "Connections from clients that are open; tunnels are counted apart.";
    one("smoothserve_connections", Gauge, help, open as f64);
    one("smoothserve_connections_total", Counter, "Connections from clients.", came as f64);
    let help = "Requests that reached no service: no route, or refused as malformed.";
    one("smoothserve_requests_rejected_total", Counter, help, proxy.rejected() as f64);
    let help = "Requests that were sent to HTTPS.";
    one("smoothserve_requests_redirected_total", Counter, help, proxy.redirected() as f64);
    let (done, failed) = proxy.tls_handshakes();
    let help = "Handshakes of TLS that came to their end.";
    one("smoothserve_tls_handshakes_total", Counter, help, done as f64);
    let help = "Handshakes of TLS that failed: another version, no common cipher, or too slow.";
    one("smoothserve_tls_handshakes_failed_total", Counter, help, failed as f64);
    let (written, dropped) = proxy.accesses().counts();
    let help = "Requests written to the access log.";
    one("smoothserve_access_log_lines_total", Counter, help, written as f64);
    let help = "Requests that should be in the access log and are not: the disk takes nothing, or \
                too little.";
    one("smoothserve_access_log_dropped_total", Counter, help, dropped as f64);
    page.family("smoothserve_build_info", Gauge, "The daemon's version.")
        .add(&[("version", &view.version)], 1);
    certificates(page, proxy);
}

fn certificates(page: &mut Exposition, proxy: &Proxy) {
    let listeners = proxy.tls();
    let files: BTreeMap<(u16, String), u64> = listeners
        .iter()
        .flat_map(|listener| listener.certificates.iter().map(|one| (listener.port, one)))
        .map(|(port, one)| ((port, one.files().certificate.display().to_string()), one.expires()))
        .collect();
    let help = "When a certificate that is in use expires, in seconds of Unix time.";
    let name = "smoothserve_tls_certificate_expiry_timestamp_seconds";
    let mut family = page.family(name, Kind::Gauge, help);
    for ((port, file), expires) in &files {
        family.add(&[("port", &port.to_string()), ("file", file)], *expires);
    }
}

/// What a service's ledger says, each count under a name of its own.
type Count = (&'static str, Kind, &'static str, fn(&Service<'_>) -> u64);

fn requests(page: &mut Exposition, services: &[Service<'_>]) {
    use Kind::{Counter, Gauge};
    const COUNTS: [Count; 9] = [
        (
            "smoothserve_requests_accepted_total",
            Counter,
            "Requests admitted: those that ended, by outcome, and those in flight.",
            |service| service.ledger.accepted,
        ),
        (
            "smoothserve_requests_in_flight",
            Gauge,
            "Requests whose last byte is still owed, waiting ones included, tunnels not.",
            |service| service.ledger.in_flight,
        ),
        (
            "smoothserve_requests_waiting",
            Gauge,
            "Requests that wait for a ready instance now.",
            |service| service.measures.proxy.held_now(),
        ),
        (
            "smoothserve_requests_held_total",
            Counter,
            "Requests that waited for a ready instance.",
            |service| service.ledger.held,
        ),
        (
            "smoothserve_requests_retried_total",
            Counter,
            "Requests sent to a second instance after the first failed.",
            |service| service.ledger.retried,
        ),
        (
            "smoothserve_requests_refused_total",
            Counter,
            "Requests turned away without being admitted, because the service is stopped.",
            |service| service.ledger.refused,
        ),
        (
            "smoothserve_requests_failed_total",
            Counter,
            "Requests answered with a status of 500 and above, and requests lost.",
            |service| service.measures.proxy.traffic().errors(),
        ),
        ("smoothserve_tunnels", Gauge, "Upgraded connections that are open.", |service| {
            service.measures.proxy.tunnels_now()
        }),
        (
            "smoothserve_tunnels_closed_total",
            Counter,
            "Upgraded connections that a drain closed.",
            |service| service.ledger.tunnels_closed,
        ),
    ];
    let help = "Requests that ended, by outcome: completed, client_aborted, cut (by us at a \
                deadline or by force) or lost (by us or an instance).";
    let mut family = page.family("smoothserve_requests_total", Counter, help);
    for Service { name, ledger, .. } in services {
        for (outcome, count) in [
            ("completed", ledger.completed),
            ("client_aborted", ledger.client_aborted),
            ("cut", ledger.cut),
            ("lost", ledger.lost),
        ] {
            family.add(&[("service", name), ("outcome", outcome)], count);
        }
    }
    for (name, kind, help, count) in COUNTS {
        let mut family = page.family(name, kind, help);
        for service in services {
            family.add(&[("service", service.name)], count(service));
        }
    }
    durations(page, services);
}

fn durations(page: &mut Exposition, services: &[Service<'_>]) {
    let help = "Time from the head of a request to the last byte of its answer. The sum is within \
                2 percent.";
    let mut family = page.family("smoothserve_request_duration_seconds", Kind::Histogram, help);
    for service in services {
        let (buckets, count, sum) = histogram(service.measures.proxy.traffic());
        family.histogram(&[("service", service.name)], &buckets, count, sum);
    }
}

/// Upper bounds are powers of two, in microseconds: there the buckets that are counted in end, so
/// that nothing is guessed. From half a millisecond to a minute.
const BOUNDS: std::ops::RangeInclusive<u32> = 9..=26;

/// The requests below each bound, all of them, and the sum of their times.
fn histogram(traffic: &ServiceTraffic) -> (Vec<(f64, u64)>, u64, f64) {
    let counted = traffic.latency().load();
    let (mut buckets, mut bounds) = (Vec::new(), BOUNDS.map(|power| 1_u64 << power).peekable());
    let (mut below, mut sum) = (0, 0.0);
    for bucket in &counted {
        while let Some(bound) = bounds.next_if(|bound| *bound <= bucket.start()) {
            buckets.push((seconds(bound as f64), below));
        }
        below += bucket.count();
        sum += bucket.count() as f64 * bucket.start().midpoint(bucket.end()) as f64;
    }
    (buckets, below, seconds(sum))
}

fn seconds(micros: f64) -> f64 {
    micros / 1e6
}

fn services_themselves(page: &mut Exposition, services: &[Service<'_>]) {
    use Kind::{Counter, Gauge};
    const COUNTS: [Count; 5] = [
        ("smoothserve_service_instances", Gauge, "Instances there are to be.", |service| {
            service.view.map_or(0, |view| view.instances.len() as u64)
        }),
        (
            "smoothserve_service_ready_instances",
            Gauge,
            "Instances that take requests.",
            |service| {
                let ready = |view: &ServiceDetail| {
                    view.instances.iter().filter(|i| i.state == InstanceState::Ready).count()
                };
                service.view.map_or(0, ready) as u64
            },
        ),
        (
            "smoothserve_service_config_ok",
            Gauge,
            "Whether the service runs with its file as it is on disk.",
            |service| service.view.is_none_or(|view| view.config_problem.is_none()).into(),
        ),
        ("smoothserve_service_launches_total", Counter, "Processes launched.", |service| {
            service.measures.turns.launched
        }),
        (
            "smoothserve_service_failures_total",
            Counter,
            "Processes that failed: exited unasked, or never became ready.",
            |service| service.measures.turns.failed,
        ),
    ];
    for (name, kind, help, count) in COUNTS {
        let mut family = page.family(name, kind, help);
        for service in services {
            family.add(&[("service", service.name)], count(service));
        }
    }
    let help = "1 for the operation that runs on a service; nothing while none does.";
    let mut family = page.family("smoothserve_service_operation", Gauge, help);
    for service in services {
        if let Some(operation) = service.view.and_then(|view| view.row.operation) {
            let kind = match operation.kind {
                OperationKind::Restart => "restart",
                OperationKind::Start => "start",
                OperationKind::Stop => "stop",
            };
            family.add(&[("service", service.name), ("operation", kind)], 1);
        }
    }
}

fn instances(page: &mut Exposition, services: &[Service<'_>]) {
    let views = || {
        let views = services.iter().filter_map(|service| Some((service.name, service.view?)));
        views.flat_map(|(name, view)| view.instances.iter().map(move |view| (name, view)))
    };
    let help = "1 for the state that an instance is in.";
    let mut family = page.family("smoothserve_instance_state", Kind::Gauge, help);
    for (service, view) in views() {
        let (slot, state) = (view.slot.to_string(), state_name(view.state));
        family.add(&[("service", service), ("slot", &slot), ("state", state)], 1);
    }
    let help = "Whether an instance takes requests.";
    let mut family = page.family("smoothserve_instance_up", Kind::Gauge, help);
    for (service, view) in views() {
        let is_up = flag(view.state == InstanceState::Ready);
        family.add(&[("service", service), ("slot", &view.slot.to_string())], is_up);
    }
    let help = "Processes of an instance that failed in a row.";
    let mut family = page.family("smoothserve_instance_failures_in_a_row", Kind::Gauge, help);
    for (service, view) in views() {
        family.add(&[("service", service), ("slot", &view.slot.to_string())], view.failures);
    }
}

fn runs(page: &mut Exposition, services: &[Service<'_>]) {
    use Kind::{Counter, Gauge};
    type Figure = (&'static str, Kind, &'static str, fn(&Run) -> Option<f64>);
    const FIGURES: [Figure; 5] = [
        (
            "smoothserve_instance_requests_failed_total",
            Counter,
            "Requests that a process answered with 500 and above, or lost.",
            |run| Some(run.failed as f64),
        ),
        (
            "smoothserve_instance_requests_in_flight",
            Gauge,
            "Requests inside a process whose last byte is still owed.",
            |run| Some(run.in_flight.into()),
        ),
        ("smoothserve_instance_tunnels", Gauge, "Upgraded connections to a process.", |run| {
            Some(run.tunnels.into())
        }),
        (
            "smoothserve_instance_resident_memory_bytes",
            Gauge,
            "Resident memory of a process and its children.",
            |run| run.rss_bytes.map(|bytes| bytes as f64),
        ),
        (
            "smoothserve_instance_cpu_seconds_total",
            Counter,
            "Processor time of a process and its children.",
            |run| run.cpu.map(|cpu| cpu.as_secs_f64()),
        ),
    ];
    let all =
        || services.iter().flat_map(|service| service.runs.values().map(|run| (service.name, run)));
    let help = "Requests that ended inside a process, by outcome.";
    let mut family = page.family("smoothserve_instance_requests_total", Counter, help);
    for (service, run) in all() {
        for (outcome, count) in run.ended {
            let [slot, generation] = [("slot", &*run.slot), ("generation", &*run.generation)];
            family.add(&[("service", service), slot, generation, ("outcome", outcome)], count);
        }
    }
    for (name, kind, help, figure) in FIGURES {
        let mut family = page.family(name, kind, help);
        for (service, run) in all() {
            if let Some(value) = figure(run) {
                let [slot, generation] = [("slot", &*run.slot), ("generation", &*run.generation)];
                family.add(&[("service", service), slot, generation], value);
            }
        }
    }
}

fn flag(is: bool) -> f64 {
    f64::from(u8::from(is))
}

fn state_name(state: InstanceState) -> &'static str {
    match state {
        InstanceState::Stopped => "stopped",
        InstanceState::Starting => "starting",
        InstanceState::Ready => "ready",
        InstanceState::Draining => "draining",
        InstanceState::Stopping => "stopping",
        InstanceState::Backoff => "backoff",
        InstanceState::Failed => "failed",
        InstanceState::Unhealthy => "unhealthy",
    }
}
