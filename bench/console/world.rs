//! A made-up world of any size: what a daemon with so many services would tell, at any moment.
//!
//! Everything follows from the moment alone, so that two looks at one moment are equal.

use smoothserve_protocol::event::{Cause, Event, EventBatch, EventKind};
use smoothserve_protocol::id::{EventSeq, Generation, OperationId, Revision, RunId, Slot};
use smoothserve_protocol::snapshot::*;
use smoothserve_tests::daemon::name;

/// What moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    /// Nothing, not even the clock.
    Frozen,
    /// The clock.
    Clock,
    /// Every rate, once a second.
    Rates,
    /// That, and the first service is in a rolling restart, ten times a second.
    Restart,
    /// Every figure, ten times a second.
    Everything,
}

/// So many services of so many instances each.
#[derive(Clone, Copy, Debug)]
pub(crate) struct World {
    pub(crate) services: usize,
    pub(crate) instances: u16,
}

/// Eight services, as in the mock-ups.
pub(crate) const SMALL: World = World { services: 8, instances: 4 };
/// The largest that the console is made for.
pub(crate) const LARGE: World = World { services: 500, instances: 16 };

/// A day in January, in milliseconds since 1970.
const NOON: u64 = 1_767_362_527_000;
const DAY: u64 = 24 * 3_600 * 1_000;

/// The number that all services together have.
const ALL: u64 = 1_000;

/// Tenths of a second since the world began.
pub(crate) type Tenth = u64;

impl Mood {
    /// Whether the first service is being restarted.
    const fn restarts(self) -> bool {
        matches!(self, Self::Restart | Self::Everything)
    }

    /// The moments that figures are of; those that stand still are always of the first.
    const fn moments(self, of: u64, at: Tenth) -> Moments {
        let second = at / 10;
        // Not all of them in the same second.
        let minute = (second + of % SLOW) / SLOW;
        match self {
            Self::Frozen | Self::Clock => Moments { now: 0, second: 0, minute: 0 },
            Self::Restart if of == 0 => Moments { now: at, second, minute },
            Self::Rates | Self::Restart => Moments { now: second, second, minute },
            Self::Everything => Moments { now: at, second: at, minute: at },
        }
    }

    const fn clock(self, at: Tenth) -> u64 {
        if matches!(self, Self::Frozen) { 0 } else { at * 100 }
    }
}

/// When figures were taken: they move at different paces.
#[derive(Clone, Copy, Debug)]
struct Moments {
    /// What is counted now.
    now: Tenth,
    /// A mean of some seconds.
    second: Tenth,
    /// A percentile of a minute.
    minute: Tenth,
}

/// A percentile of a minute moves once in so many seconds.
const SLOW: u64 = 5;

/// A number below `limit` that looks like none other: of a figure, at a moment.
fn noise(of: u64, at: Tenth, limit: u64) -> u64 {
    let mut x =
        (of + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ at.wrapping_mul(0xd1b5_4a32_d192_ed03);
    x ^= x >> 29;
    x = x.wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (x ^ (x >> 32)) % limit
}

/// `base`, give or take a tenth.
fn about(base: u64, of: u64, at: Tenth) -> u64 {
    base - base / 10 + noise(of, at, (base / 5).max(1))
}

fn traffic(of: u64, moments: Moments) -> Traffic {
    let base = 1_000 + noise(of, 0, 900) * 1_000;
    let Moments { now, second, minute } = moments;
    Traffic {
        in_flight: about(40, of, now),
        milli_rps: about(base, of, second),
        p50_us: Some(about(23_000, of, minute)),
        p99_us: Some(about(84_000 + of % 1_000 * 100, of, minute)),
        errors_ppm: u32::try_from(noise(of, minute, 3) * 100).unwrap_or(0),
        ..Traffic::default()
    }
}

fn service(number: usize) -> smoothserve_protocol::id::ServiceName {
    name(&format!("service-{number:03}"))
}

const SUMMARY: OperationSummary =
    OperationSummary { id: OperationId(17), kind: OperationKind::Restart, done: 1, of: 4 };

impl World {
    fn row(self, number: usize, mood: Mood, at: Tenth) -> ServiceRow {
        let restarts = number == 0 && mood.restarts();
        let pip = |slot: u16| Pip {
            state: if restarts && slot == 1 {
                InstanceState::Draining
            } else {
                InstanceState::Ready
            },
            new: restarts && slot == 0,
        };
        ServiceRow {
            name: service(number),
            state: if restarts { ServiceState::Restarting } else { ServiceState::Ready },
            generation: Generation(if restarts { 42 } else { 41 }),
            pips: (0..self.instances).map(pip).collect(),
            traffic: traffic(number as u64, mood.moments(number as u64, at)),
            since_ms: 3 * DAY + mood.clock(at),
            operation: restarts.then_some(OperationSummary { of: self.instances, ..SUMMARY }),
            stale_config: false,
        }
    }

    /// Everything, in rows.
    pub(crate) fn overview(self, mood: Mood, at: Tenth) -> Overview {
        let total = u32::from(self.instances) * u32::try_from(self.services).unwrap_or(u32::MAX);
        Overview {
            revision: Revision(7),
            daemon: DaemonView {
                version: "0.9.2".into(),
                pid: 811,
                host: "prod-web-3".into(),
                config: "/etc/smoothserve/smoothserve.yaml".into(),
                uptime_ms: 41 * DAY + mood.clock(at),
                unix_ms: NOON + mood.clock(at),
                ready: total - u32::from(mood.restarts()),
                wanted: total,
                traffic: traffic(ALL, mood.moments(ALL, at)),
                ..DaemonView::default()
            },
            services: (0..self.services).map(|number| self.row(number, mood, at)).collect(),
        }
    }

    /// One service, whole; none: there is none of that name.
    pub(crate) fn detail(self, of: &str, mood: Mood, at: Tenth) -> Option<Box<ServiceDetail>> {
        let number: usize = of.strip_prefix("service-")?.parse().ok()?;
        if number >= self.services {
            return None;
        }
        let row = self.row(number, mood, at);
        let moments = mood.moments(number as u64, at);
        let instances: Vec<_> =
            (0..self.instances).map(|slot| instance(number, slot, &row, moments)).collect();
        let in_flight = instances.iter().map(|view| u64::from(view.in_flight)).sum();
        let completed = 1_204_118 + moments.now * 120;
        let ledger =
            Ledger { accepted: completed + in_flight, completed, in_flight, ..Ledger::default() };
        let elapsed_ms = mood.clock(at);
        Some(Box::new(ServiceDetail {
            operation: row.operation.map(|summary| self.operation(summary, ledger, elapsed_ms)),
            row,
            listen: "0.0.0.0:80".into(),
            server_names: vec![format!("{of}.example.com")],
            source: format!("/etc/smoothserve/services/{of}.yaml"),
            config_problem: None,
            executable: format!("/opt/{of}/bin/{of}"),
            auto_restart: true,
            stopped_by: None,
            ledger,
            instances,
            receipts: Vec::new(),
        }))
    }

    fn operation(
        self,
        summary: OperationSummary,
        ledger: Ledger,
        elapsed_ms: u64,
    ) -> OperationView {
        let step = |slot: u16| match slot {
            0 => StepView {
                drain_ms: Some(6_100),
                stop_ms: Some(400),
                ready_ms: Some(4_400),
                ..StepView::new(Slot(0), StepPhase::Done)
            },
            1 => StepView::new(Slot(1), StepPhase::Running),
            slot => StepView::new(Slot(slot), StepPhase::Waiting),
        };
        OperationView {
            summary,
            cause: Cause::Operator("ops@bastion".into()),
            from: Generation(41),
            to: Generation(42),
            elapsed_ms,
            eta_ms: Some(600_000_u64.saturating_sub(elapsed_ms)),
            waiting: false,
            paused_by: None,
            aborting: false,
            steps: (0..self.instances).map(step).collect(),
            ledger,
            min_ready: self.instances - 1,
            canary: Some(canary(elapsed_ms)),
        }
    }

    /// Everything, once.
    pub(crate) fn snapshot(self, mood: Mood, at: Tenth) -> Snapshot {
        let overview = self.overview(mood, at);
        let details = overview.services.iter();
        let details = details.filter_map(|row| self.detail(row.name.as_str(), mood, at));
        Snapshot {
            revision: overview.revision,
            services: details.map(|detail| *detail).collect(),
            daemon: overview.daemon,
        }
    }

    /// The event with this number: an instance became ready.
    pub(crate) fn event(self, seq: u64) -> Event {
        let services = self.services as u64;
        Event {
            seq: EventSeq(seq),
            unix_ms: NOON + seq * 10,
            service: Some(service(usize::try_from(seq % services).unwrap_or(0))),
            slot: Some(Slot(u16::try_from(seq % u64::from(self.instances)).unwrap_or(0))),
            kind: EventKind::Ready { took_ms: 4_000 + seq % 999, generation: Generation(41) },
        }
    }

    /// The events after `known` up to `newest`, no more than the daemon sends at once.
    pub(crate) fn events(self, known: u64, newest: u64) -> EventBatch {
        let first = (known + 1).max(newest.saturating_sub(499));
        EventBatch { missed: 0, events: (first..=newest).map(|seq| self.event(seq)).collect() }
    }
}

/// Both generations, whose figures move.
fn canary(elapsed_ms: u64) -> Canary {
    let view = |generation, ready, moved: u64| GenerationView {
        generation: Generation(generation),
        ready,
        milli_rps: 400_000 + moved % 9_000,
        ended: 24_000 + moved % 900,
        failed: 0,
        p99_us: Some(81_000 + moved % 7_000),
    };
    Canary { old: view(41, 14, elapsed_ms), new: view(42, 1, elapsed_ms / 3) }
}

fn instance(service: usize, slot: u16, row: &ServiceRow, moments: Moments) -> InstanceView {
    let of = service as u64 * 64 + u64::from(slot);
    let state = row.pips[usize::from(slot)].state;
    let drains = state == InstanceState::Draining;
    let (traffic, at) = (traffic(of, moments), moments.now);
    let in_flight = u32::try_from(traffic.in_flight).unwrap_or(0);
    let blocker = Blocker {
        method: "GET".into(),
        path: "/v1/export".into(),
        age_ms: 1_900 + at * 100,
        client: "10.0.0.7:4312".into(),
        tunnel: false,
    };
    InstanceView {
        slot: Slot(slot),
        state,
        run: Some(RunId(of)),
        generation: Generation(if row.pips[usize::from(slot)].new { 42 } else { 41 }),
        pid: Some(30_000 + u32::try_from(of).unwrap_or(0)),
        port: 8_000 + slot,
        socket: None,
        in_flight,
        tunnels: 0,
        drain: drains.then(|| DrainView {
            began_with: 60,
            since_ms: at * 100,
            limit_ms: Some(600_000),
            on_timeout: OnDrainTimeout::Abort,
            blockers: vec![blocker],
        }),
        milli_rps: if drains { 0 } else { traffic.milli_rps },
        p50_us: traffic.p50_us,
        p99_us: traffic.p99_us,
        errors_ppm: traffic.errors_ppm,
        up_ms: Some(12 * DAY + at * 100),
        failures: 0,
        retry_ms: None,
        failure: None,
        cpu_permille: Some(u32::try_from(about(60, of, moments.second)).unwrap_or(0)),
        rss_bytes: Some(about(49_600_000, of, moments.second)),
    }
}
