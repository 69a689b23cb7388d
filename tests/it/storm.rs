//! The storm: everything that can happen, at random, to twenty services at once, under load; then
//! peace, and the books.
//!
//! `SMOOTH_SEED=17` throws the dice of one storm again, although no two are the same to the letter:
//! what meets what, the machine decides. `SMOOTH_LONG=1` takes a minute, `SMOOTH_STORM=600` ten.

mod dice;
mod operator;
mod site;

use std::env;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::Context;
use smoothserve_protocol::message::{Done, Request, Steer};
use smoothserve_protocol::snapshot::{ServiceDetail, ServiceState, Snapshot};
use smoothserve_tests::daemon::TestDaemon;
use smoothserve_tests::load::{Load, LoadPlan, LoadReport};
use smoothserve_tests::process::{self, Signal};
use smoothserve_tests::setup::Setup;
use smoothserve_tests::{look, wait};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use self::dice::Dice;
use self::operator::{Operator, Tally};
use self::site::{INSTANCES, Site};

const SERVICES: usize = 20;
const OPERATORS: u64 = 3;
/// Of each service.
const CLIENTS: usize = 3;
/// How long it takes until everything stands still after the storm.
const CALM_LIMIT: Duration = Duration::from_secs(120);
/// Descriptors the daemon may have more than before: a connection that is still closing.
const FILES_MORE: usize = 4;
/// How much the daemon may grow in the last two thirds of the storm.
const GROWTH: u64 = 32 * 1024 * 1024;

fn length() -> Duration {
    let asked = env::var("SMOOTH_STORM").ok();
    let seconds = asked.map(|text| text.parse().expect("SMOOTH_STORM is a number of seconds"));
    let by_default = if env::var_os("SMOOTH_LONG").is_some() { 60 } else { 20 };
    Duration::from_secs(seconds.unwrap_or(by_default))
}

fn seed() -> u64 {
    match env::var("SMOOTH_SEED") {
        Ok(text) => text.parse().expect("SMOOTH_SEED is a number"),
        Err(_) => {
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
            now.expect("it is after 1970").as_millis() as u64 % 1_000_000
        }
    }
}

async fn start() -> anyhow::Result<(TestDaemon, Arc<Vec<Site>>)> {
    let setup = (0..SERVICES).map(site::service).fold(Setup::default(), Setup::service);
    let folder = setup.write()?;
    let sites: Vec<Site> =
        (0..SERVICES).map(|number| Site::new(&folder, number)).collect::<Result<_, _>>()?;
    Ok((TestDaemon::start(folder).await?, Arc::new(sites)))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_loses_only_what_is_accounted_for_and_leaves_nothing_behind() {
    let (seed, length) = (seed(), length());
    eprintln!("storm of {length:?}; again with SMOOTH_SEED={seed}");
    let (mut daemon, sites) = start().await.unwrap();
    calm(&daemon).await;
    let files_before = process::open_files(daemon.pid()).unwrap().len();
    let memory_before = process::resident_memory(daemon.pid()).unwrap();

    let loads: Vec<Load> = sites.iter().map(|site| load(&daemon, site)).collect();
    let (operators, memory) = blow(&daemon, &sites, seed, length).await.unwrap();
    let tally = end(&daemon, &sites, operators).await.unwrap();
    eprintln!("{tally:?}");

    for load in &loads {
        load.answered(3).await;
    }
    let mut reports = Vec::new();
    for load in loads {
        reports.push(load.stop().await);
    }
    let snapshot = calm(&daemon).await;
    let record = daemon.record();
    for (site, report) in sites.iter().zip(&reports) {
        settle_accounts(site, look::service(&snapshot, site.name.as_str()), report);
        report.assert_executed_once(&record);
    }
    let mut total = LoadReport::default();
    reports.into_iter().for_each(|report| total.add(report));
    eprintln!("{total}");
    nothing_is_left_open(&daemon, files_before).await;
    let mut after = 0;
    // What threads needed for a moment goes with them.
    let given_back = wait::within(wait::LIMIT, async || {
        after = process::resident_memory(daemon.pid()).unwrap();
        (after < memory + GROWTH).then_some(())
    });
    let given_back = given_back.await;
    eprintln!(
        "memory: {memory_before} bytes, {memory} after a third of the storm, {after} after it"
    );
    assert!(given_back.is_some(), "memory: {memory} bytes became {after}");

    daemon.signal(Signal::TERM).unwrap();
    let status = daemon.exited().await.unwrap();
    assert!(status.success(), "{status}");
    let folder = daemon.folder.path().to_str().unwrap();
    assert_eq!(process::mentioning(folder), [0; 0], "processes are left of {folder}");
    let log = daemon.log();
    let panics: Vec<&str> = log.lines().filter(|line| line.contains("panicked")).collect();
    assert!(panics.is_empty(), "{panics:?}");
}

fn load(daemon: &TestDaemon, site: &Site) -> Load {
    let pause = Duration::from_millis(150);
    let plan = LoadPlan { clients: CLIENTS, pause, ..LoadPlan::brisk() };
    Load::start(daemon.listen(site.name.as_str()), plan)
}

/// The storm itself; those who made it, and the daemon's memory after a third of it.
async fn blow(
    daemon: &TestDaemon,
    sites: &Arc<Vec<Site>>,
    seed: u64,
    length: Duration,
) -> anyhow::Result<(Vec<Operator>, u64)> {
    let begin = Instant::now();
    let mut operators = JoinSet::new();
    for number in 0..OPERATORS {
        let dice = Dice::new(seed, number);
        let operator = Operator::new(daemon, Arc::clone(sites), dice).await?;
        operators.spawn(operator.run(begin + length));
    }
    // By then whatever is kept of the past is about as large as it gets.
    sleep_until(begin + length / 3).await;
    let memory = process::resident_memory(daemon.pid())?;
    let operators = operators.join_all().await.into_iter().collect::<Result<_, _>>()?;
    Ok((operators, memory))
}

/// Peace, while the operators hear what they are still owed; what they did, together.
async fn end(
    daemon: &TestDaemon,
    sites: &[Site],
    operators: Vec<Operator>,
) -> anyhow::Result<Tally> {
    let mut answers: JoinSet<_> = operators.into_iter().map(Operator::finish).collect();
    pacify(daemon, sites).await?;
    let mut total = Tally::default();
    while let Some(tally) = answers.join_next().await {
        total.add(tally.context("an operator panicked")??);
    }
    Ok(total)
}

/// Gives every service a good build and a good file, and brings it up.
async fn pacify(daemon: &TestDaemon, sites: &[Site]) -> anyhow::Result<()> {
    for site in sites {
        site.build(site::Build::Good)?;
        site.settle()?;
    }
    match daemon.ask(Request::Reload { plan: false }).await {
        Ok(Done::Reloaded(report)) => assert!(report.applied, "{report:?}"),
        other => panic!("not reloaded but {other:?}"),
    }
    let up = wait::within(CALM_LIMIT, async || {
        let snapshot = daemon.snapshot().await;
        for service in &snapshot.services {
            push(daemon, service).await;
        }
        is_up(&snapshot).then_some(())
    });
    if up.await.is_none() {
        panic!("no peace:\n{}", look::summary(&daemon.snapshot().await));
    }
    Ok(())
}

/// Takes what was left halfway a step further.
async fn push(daemon: &TestDaemon, service: &ServiceDetail) {
    let name = service.row.name.clone();
    match &service.operation {
        Some(operation) if operation.paused_by.is_some() => {
            let steer = Steer::Resume;
            // It may have ended meanwhile.
            let _ = daemon.ask(Request::Steer { service: name, operation: None, steer }).await;
        }
        None if service.row.state != ServiceState::Ready => {
            let started = daemon.ask(Request::Start { service: name, wait: false }).await;
            assert!(started.is_ok(), "{started:?}");
        }
        Some(_) | None => {}
    }
}

/// Every service has all its instances, and nothing is under way.
fn is_up(snapshot: &Snapshot) -> bool {
    let is_up = |service: &ServiceDetail| {
        service.row.state == ServiceState::Ready
            && service.operation.is_none()
            && service.instances.len() == usize::from(INSTANCES)
            && service.config_problem.is_none()
    };
    snapshot.services.len() == SERVICES && snapshot.services.iter().all(is_up)
}

/// Nobody is inside, or waits to be.
fn is_idle(service: &ServiceDetail) -> bool {
    let traffic = service.row.traffic;
    service.ledger.in_flight == 0
        && (traffic.in_flight, traffic.held, traffic.tunnels) == (0, 0, 0)
        && service.instances.iter().all(|i| (i.in_flight, i.tunnels) == (0, 0))
}

/// Waits until every service is up, and idle.
async fn calm(daemon: &TestDaemon) -> Snapshot {
    let calm = wait::within(CALM_LIMIT, async || {
        let snapshot = daemon.snapshot().await;
        (is_up(&snapshot) && snapshot.services.iter().all(is_idle)).then_some(snapshot)
    });
    match calm.await {
        Some(snapshot) => snapshot,
        None => panic!("no calm:\n{}", look::summary(&daemon.snapshot().await)),
    }
}

/// What the clients of a service saw is what its ledger says, and only what was done to it cost any
/// of them anything.
fn settle_accounts(site: &Site, service: &ServiceDetail, report: &LoadReport) {
    let (ledger, trouble) = (service.ledger, site.went_through());
    let said = format!("{} {:?} {trouble:?}\n{ledger:#?}\n{report}", site.name, site.lot);
    report.assert_consistent();
    assert_eq!(ledger.unaccounted(), 0, "{said}");
    // Whom a stopped service turns away was never accepted.
    assert_eq!(ledger.accepted + ledger.refused, report.sent, "accepted: {said}");
    assert_eq!(ledger.completed, report.ok, "completed: {said}");
    assert_eq!(ledger.client_aborted, 0, "no client went away: {said}");
    assert_eq!(ledger.all_lost() + ledger.refused, report.lost(), "lost: {said}");
    let closed = report.ws_closed_by_drain..=report.ws_closed_by_drain + report.ws_ok;
    assert!(trouble.is_harsh() || closed.contains(&ledger.tunnels_closed), "tunnels: {said}");

    assert_eq!((report.wrong, report.timed_out, report.refused), (0, 0, 0), "{said}");
    let unanswered = report.server_errors.iter().filter(|error| error.contains(": 502 "));
    let broken = report.reset + report.truncated + report.ws_broken + unanswered.count() as u64;
    if trouble.stops + trouble.cuts + trouble.crashing_builds == 0 {
        // A client is inside of one instance at a time.
        assert!(broken <= trouble.kills * CLIENTS as u64, "more broke than was killed: {said}");
    }
    if trouble.stops == 0 {
        assert_eq!(ledger.refused, 0, "refused, and never stopped: {said}");
    }
    if !trouble.is_harsh() {
        assert_eq!((report.lost(), ledger.all_lost()), (0, 0), "lost without a reason: {said}");
    }
}

/// The daemon holds no more than before the storm: neither descriptors nor processes.
async fn nothing_is_left_open(daemon: &TestDaemon, files_before: usize) {
    let open = || process::open_files(daemon.pid()).expect("the daemon runs");
    let closed = wait::within(wait::LIMIT, async || {
        Some(open().len()).filter(|files| *files <= files_before + FILES_MORE)
    });
    let Some(files) = closed.await else {
        panic!("{files_before} descriptors became {:#?}", open());
    };
    eprintln!("descriptors: {files_before} before, {files} after");
    let snapshot = calm(daemon).await;
    let mut known: Vec<u32> = snapshot
        .services
        .iter()
        .flat_map(|service| service.instances.iter())
        .filter_map(|i| i.pid)
        .collect();
    let mut children = process::children(daemon.pid());
    known.sort_unstable();
    children.sort_unstable();
    assert_eq!(children, known, "the daemon's children are its instances");
}
