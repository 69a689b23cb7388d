//! Whoever takes over every difference has the whole, whatever happened; and what it costs.

use proptest::prelude::*;
use smoothserve_protocol::failure::{Exit, FailReason, Failure};
use smoothserve_protocol::frame;
use smoothserve_protocol::id::{Generation, OperationId, Revision, RunId, ServiceName, Slot};
use smoothserve_protocol::moved::{OverviewMoved, ServiceMoved};
use smoothserve_protocol::snapshot::{
    DaemonView, InstanceState, InstanceView, Ledger, OperationKind, OperationSummary, Overview,
    Pip, ServiceDetail, ServiceRow, ServiceState, Traffic,
};

/// One thing that happens to a world.
#[derive(Clone, Debug)]
enum Step {
    /// Time passes.
    Pass(u16),
    /// Requests come and go in one service.
    Traffic(u8, u16),
    /// One service changes its state.
    State(u8, bool),
    /// Another instance is shown.
    Pip(u8),
    /// A service appears,
    Add,
    /// or goes.
    Remove(u8),
    /// The configuration breaks, or is mended.
    Config(bool),
    /// A run of an instance fails, with last words.
    Fail(u8, String),
    /// The receiver is told.
    Tell { figures: bool },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => any::<u16>().prop_map(Step::Pass),
        4 => (any::<u8>(), any::<u16>()).prop_map(|(at, n)| Step::Traffic(at, n)),
        2 => (any::<u8>(), any::<bool>()).prop_map(|(at, ready)| Step::State(at, ready)),
        1 => any::<u8>().prop_map(Step::Pip),
        1 => Just(Step::Add),
        1 => any::<u8>().prop_map(Step::Remove),
        1 => any::<bool>().prop_map(Step::Config),
        1 => (any::<u8>(), "[a-c]{0,3}").prop_map(|(at, words)| Step::Fail(at, words)),
        6 => any::<bool>().prop_map(|figures| Step::Tell { figures }),
    ]
}

/// What a daemon knows, and what it says of it.
#[derive(Clone)]
struct World {
    overview: Overview,
    detail: ServiceDetail,
    added: u32,
}

fn row(number: u32) -> ServiceRow {
    ServiceRow {
        name: ServiceName::new(&format!("service-{number}")).expect("a valid name"),
        state: ServiceState::Ready,
        generation: Generation(1),
        pips: vec![Pip { state: InstanceState::Ready, new: false }],
        traffic: Traffic::default(),
        since_ms: 0,
        operation: None,
        stale_config: false,
    }
}

fn instance(slot: u16) -> InstanceView {
    InstanceView {
        slot: Slot(slot),
        state: InstanceState::Ready,
        run: Some(RunId(1)),
        generation: Generation(1),
        pid: Some(1),
        port: 1,
        socket: None,
        in_flight: 0,
        tunnels: 0,
        drain: None,
        milli_rps: 0,
        p50_us: None,
        p99_us: None,
        errors_ppm: 0,
        up_ms: Some(0),
        failures: 0,
        retry_ms: None,
        failure: None,
        cpu_permille: None,
        rss_bytes: None,
    }
}

impl World {
    fn new() -> Self {
        let overview = Overview {
            revision: Revision(1),
            daemon: DaemonView { uptime_ms: 1, ..DaemonView::default() },
            services: (0..4).map(row).collect(),
        };
        let detail = ServiceDetail {
            row: row(0),
            listen: String::new(),
            server_names: Vec::new(),
            source: String::new(),
            config_problem: None,
            executable: String::new(),
            auto_restart: false,
            stopped_by: None,
            ledger: Ledger::default(),
            instances: (0..3).map(instance).collect(),
            operation: None,
            receipts: Vec::new(),
        };
        Self { overview, detail, added: 4 }
    }

    fn happen(&mut self, step: &Step) {
        let count = self.overview.services.len();
        let place = |at: u8| usize::from(at) % count.max(1);
        self.overview.revision = self.overview.revision.next();
        match step {
            Step::Pass(millis) => {
                self.overview.daemon.uptime_ms += u64::from(*millis);
                for row in &mut self.overview.services {
                    row.since_ms += u64::from(*millis);
                }
            }
            Step::Traffic(at, n) => {
                if let Some(row) = self.overview.services.get_mut(place(*at)) {
                    row.traffic.milli_rps = u64::from(*n);
                }
                self.overview.daemon.traffic.in_flight = u64::from(*n);
                self.detail.ledger.accepted += u64::from(*n);
                self.detail.instances[0].in_flight = u32::from(*n);
            }
            Step::State(at, ready) => {
                if let Some(row) = self.overview.services.get_mut(place(*at)) {
                    row.state = if *ready { ServiceState::Ready } else { ServiceState::Restarting };
                    row.since_ms = 0;
                    row.operation = (!ready).then_some(OperationSummary {
                        id: OperationId(1),
                        kind: OperationKind::Restart,
                        done: 0,
                        of: 1,
                    });
                }
                self.detail.instances[1].state =
                    if *ready { InstanceState::Ready } else { InstanceState::Draining };
            }
            Step::Pip(at) => {
                if let Some(row) = self.overview.services.get_mut(place(*at)) {
                    row.pips.push(Pip { state: InstanceState::Starting, new: true });
                }
                let slot = self.detail.instances.len() as u16;
                self.detail.instances.push(instance(slot));
            }
            Step::Add => {
                self.overview.services.push(row(self.added));
                self.added += 1;
            }
            Step::Remove(at) => {
                if count > 0 {
                    self.overview.services.remove(place(*at));
                }
            }
            Step::Config(broken) => {
                self.overview.daemon.config_problem = broken.then(|| "line 3".to_owned());
                self.detail.config_problem = broken.then(|| "line 3".to_owned());
            }
            Step::Fail(at, words) => {
                let slot = usize::from(*at) % self.detail.instances.len();
                self.detail.instances[slot].failure = Some(Failure {
                    reason: FailReason::Crashed(Exit::Code(1)),
                    uptime_ms: 1,
                    last_output: vec![words.clone()],
                });
            }
            Step::Tell { .. } => {}
        }
    }
}

/// Across the wire and back.
fn sent<T: bincode::Encode + bincode::Decode<()>>(message: &T) -> T {
    let payload = frame::encode(message).expect("it fits");
    frame::decode(&payload).expect("it was encoded here")
}

proptest! {
    #[test]
    fn whoever_takes_over_every_difference_has_the_whole(
        steps in prop::collection::vec(step(), 1..60)
    ) {
        let mut world = World::new();
        let (mut overview, mut detail) = (world.overview.clone(), world.detail.clone());
        for step in steps.into_iter().chain([Step::Tell { figures: true }]) {
            world.happen(&step);
            let Step::Tell { figures } = step else { continue };
            match world.overview.moved_since(&overview) {
                None => overview = world.overview.clone(),
                Some(moved) if figures => overview.take(sent::<OverviewMoved>(&moved)),
                Some(moved) => overview.take(sent::<OverviewMoved>(&moved.without_figures())),
            }
            match world.detail.moved_since(&detail) {
                None => detail = world.detail.clone(),
                Some(moved) => detail.take(sent::<ServiceMoved>(&moved)),
            }
            prop_assert_eq!(&detail, &world.detail);
            if figures {
                prop_assert_eq!(&overview, &world.overview);
            } else {
                // All but the figures; those come later.
                let states = |overview: &Overview| {
                    let rows = overview.services.clone().into_iter();
                    let still = |row| ServiceRow { traffic: Traffic::default(), ..row };
                    (overview.daemon.clone(), rows.map(still).collect::<Vec<_>>())
                };
                prop_assert_eq!(states(&overview), states(&world.overview));
            }
        }
    }

    #[test]
    fn a_difference_that_does_not_fit_is_no_panic(place in any::<u32>()) {
        let mut overview = World::new().overview;
        let mut moved = overview.moved_since(&overview).unwrap();
        moved.rows.push((place, row(9)));
        moved.figures = Some(vec![(place, Traffic::default())]);
        moved.daemon.uptime_ms = 0;
        overview.take(moved);
        prop_assert_eq!(overview.services.len(), 4);
    }
}

#[test]
fn a_state_that_lasts_is_no_news_and_one_that_began_anew_is() {
    let before = World::new().overview;
    let mut now = before.clone();
    now.daemon.uptime_ms += 60_000;
    for row in &mut now.services {
        // Each side rounds for itself.
        row.since_ms += 60_001;
    }
    assert_eq!(now.moved_since(&before).unwrap().rows, []);
    now.services[2].since_ms = 20;
    let moved = now.moved_since(&before).unwrap();
    assert_eq!(moved.rows, [(2, now.services[2].clone())]);
}

#[test]
fn what_failed_runs_said_crosses_the_wire_once() {
    let mut world = World::new();
    let quiet = world.detail.clone();
    world.happen(&Step::Fail(1, "x".repeat(10_000)));
    assert_eq!(world.detail.moved_since(&quiet), None);
    let known = world.detail.clone();
    world.happen(&Step::Traffic(0, 7));
    let moved = world.detail.moved_since(&known).unwrap();
    assert!(frame::encode(&moved).unwrap().len() < 200);
    let other = ServiceDetail { row: row(3), ..known.clone() };
    assert_eq!(world.detail.moved_since(&other), None);
    let mut untouched = other.clone();
    untouched.take(moved);
    assert_eq!(untouched, other);
}
