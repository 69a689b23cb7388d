//! Instances that run and are not well: those that do not answer their liveness probe, those that
//! fail requests, and those that use more memory than they may.

use std::time::Duration;

use smoothserve_protocol::event::{Cause, EventKind};
use smoothserve_protocol::failure::FailReason;
use smoothserve_protocol::id::Slot;
use smoothserve_protocol::snapshot::{InstanceState, Snapshot};
use smoothserve_tests::daemon::TestDaemon;
use smoothserve_tests::load::{Load, LoadPlan};
use smoothserve_tests::process::Signal;
use smoothserve_tests::setup::{Service, Setup};
use smoothserve_tests::{http, look, process};

use crate::agree::{assert_nothing_lost, ended_without_loss};

const LIVENESS: &str =
    "{http: /healthz, status: 200, interval: 200ms, timeout: 200ms, failures: 2}";

fn service() -> Service {
    Service::new("shop").key("liveness", LIVENESS)
}

fn plan() -> LoadPlan {
    LoadPlan { clients: 16, ..LoadPlan::brisk() }
}

async fn kinds(daemon: &TestDaemon) -> Vec<(Option<Slot>, EventKind)> {
    daemon.events().await.into_iter().map(|event| (event.slot, event.kind)).collect()
}

/// Waits until another process serves in the second place, and checks that the others stayed.
async fn second_replaced(daemon: &TestDaemon, before: &[u32]) -> Snapshot {
    let is_another = |snapshot: &Snapshot| {
        let now = look::pids(snapshot, "shop");
        look::ready(snapshot, "shop") == 3 && now.len() == 3 && now[1] != before[1]
    };
    let snapshot = daemon.until("the sick one is replaced", is_another).await;
    let after = look::pids(&snapshot, "shop");
    assert_eq!((after[0], after[2]), (before[0], before[2]), "{}", look::summary(&snapshot));
    snapshot
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_says_it_is_not_well_is_replaced_and_nothing_is_lost() {
    let daemon = Setup::of(service()).start_ready().await.unwrap();
    let before = look::pids(&daemon.snapshot().await, "shop");
    let load = Load::start(daemon.listen("shop"), plan());
    load.answered(50).await;
    daemon.folder.make_sick("shop", &before[1..2]).unwrap();
    second_replaced(&daemon, &before).await;
    load.answered(50).await;
    let report = ended_without_loss(load, &daemon, "shop").await;
    report.assert_executed_once(&daemon.record());

    let events = kinds(&daemon).await;
    let told = events.iter().find_map(|(slot, kind)| match kind {
        EventKind::Unhealthy { error } => Some((*slot, error.as_str())),
        _ => None,
    });
    let (slot, error) = told.expect("it was told");
    assert!(slot == Some(Slot(1)) && error.contains("503"), "{slot:?} {error}");
    let unhealthy = |kind: &EventKind| {
        matches!(kind, EventKind::BackingOff { failure, .. }
            if matches!(failure.reason, FailReason::Unhealthy { .. }))
    };
    assert!(events.iter().any(|(_, kind)| unhealthy(kind)), "{events:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_hangs_is_replaced() {
    let service = service().key("drain_timeout", "1s").key("stop_timeout", "300ms");
    let daemon = Setup::of(service).start_ready().await.unwrap();
    let before = look::pids(&daemon.snapshot().await, "shop");
    process::send(before[1], Signal::STOP).unwrap();
    let snapshot = second_replaced(&daemon, &before).await;
    assert!(!process::is_running(before[1]), "{}", look::summary(&snapshot));
    for _ in 0..6 {
        assert_eq!(http::get(daemon.listen("shop"), "/").await.unwrap().status, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_well_again_before_its_turn_stays() {
    let service = service().option("start-ms=1500");
    let daemon = Setup::of(service).start_ready().await.unwrap();
    let before = look::pids(&daemon.snapshot().await, "shop");
    // One of them goes; the other has to wait until that one is back.
    daemon.folder.make_sick("shop", &before[..2]).unwrap();
    let waiting = |snapshot: &Snapshot| {
        let instances = &look::service(snapshot, "shop").instances;
        let is_on_its_way = |at: usize| {
            !matches!(instances[at].state, InstanceState::Ready | InstanceState::Unhealthy)
        };
        let waits = |at: usize| instances[at].state == InstanceState::Unhealthy;
        [(0, 1), (1, 0)].into_iter().find(|(one, other)| is_on_its_way(*one) && waits(*other))
    };
    let is_waiting = |snapshot: &Snapshot| waiting(snapshot).is_some();
    let snapshot = daemon.until("the other waits for its turn", is_waiting).await;
    let (_, other) = waiting(&snapshot).unwrap();
    daemon.folder.make_sick("shop", &[]).unwrap();
    let snapshot =
        daemon.until("all are ready", |snapshot| look::ready(snapshot, "shop") == 3).await;
    let after = look::pids(&snapshot, "shop");
    let stayed = (after[other], after[2]) == (before[other], before[2]);
    assert!(stayed && after != before, "{}", look::summary(&snapshot));
    let other = Some(Slot(other as u16));
    let healthy = |(slot, kind): &(_, _)| *slot == other && *kind == EventKind::Healthy;
    assert!(kinds(&daemon).await.iter().any(healthy));
}

#[tokio::test(flavor = "multi_thread")]
async fn when_nobody_is_well_they_are_left_to_serve_and_it_is_said() {
    let daemon = Setup::of(service()).start_ready().await.unwrap();
    let load = Load::start(daemon.listen("shop"), plan());
    load.answered(50).await;
    let before = look::pids(&daemon.snapshot().await, "shop");
    daemon.folder.make_sick("shop", &before).unwrap();
    let said = |(_, kind): &(Option<Slot>, EventKind)| matches!(kind, EventKind::Warning { text } if text.contains("left to serve"));
    smoothserve_tests::wait::until("it is said", async || {
        // One of them may have been replaced before the others fell ill: it is as sick.
        let pids = look::pids(&daemon.snapshot().await, "shop");
        daemon.folder.make_sick("shop", &[&before[..], &pids[..]].concat()).unwrap();
        kinds(&daemon).await.iter().any(said).then_some(())
    })
    .await;
    load.answered(100).await;
    daemon.folder.make_sick("shop", &[]).unwrap();
    daemon.until("all are ready", |snapshot| look::ready(snapshot, "shop") == 3).await;
    ended_without_loss(load, &daemon, "shop").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_instance_that_is_not_well_serves_on() {
    let daemon = Setup::of(service().instances(1)).start_ready().await.unwrap();
    let before = look::pids(&daemon.snapshot().await, "shop");
    daemon.folder.make_sick("shop", &before).unwrap();
    let said = |(_, kind): &(Option<Slot>, EventKind)| matches!(kind, EventKind::Warning { text } if text.contains("left to serve"));
    smoothserve_tests::wait::until("it is said", async || {
        kinds(&daemon).await.iter().any(said).then_some(())
    })
    .await;
    assert_eq!(http::get(daemon.listen("shop"), "/").await.unwrap().status, 200);
    assert_eq!(look::pids(&daemon.snapshot().await, "shop"), before);
    // It can be restarted by hand, and the new one is well.
    assert!(daemon.restart("shop").await.is_ok());
    assert_eq!(look::ready(&daemon.snapshot().await, "shop"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_uses_more_memory_than_it_may_is_restarted_alone() {
    let daemon =
        Setup::of(Service::new("shop").key("memory_limit", "60MiB")).start_ready().await.unwrap();
    let before = look::pids(&daemon.snapshot().await, "shop");
    let load = Load::start(daemon.listen("shop"), plan());
    load.answered(50).await;
    let port = look::service(&daemon.snapshot().await, "shop").instances[1].port;
    // Straight to that instance.
    let direct = std::net::SocketAddr::from(([127, 0, 0, 1], port));
    http::get(direct, "/hoard?mib=80").await.unwrap();
    let snapshot = second_replaced(&daemon, &before).await;
    let is_over = |snapshot: &Snapshot| look::service(snapshot, "shop").receipts.len() == 1;
    let receipts = &daemon.until("it is over", is_over).await.services[0].receipts.clone();
    let receipt = &receipts[0];
    assert!(receipt.done && (receipt.replaced, receipt.of) == (1, 1), "{receipt:#?}");
    assert_nothing_lost(&receipt.ledger);
    let Cause::MemoryLimit { slot, rss_bytes, limit_bytes } = receipt.cause else {
        panic!("{receipt:#?}");
    };
    assert_eq!((slot, limit_bytes), (Slot(1), 60 << 20));
    assert!(rss_bytes > 80 << 20, "{rss_bytes} {}", look::summary(&snapshot));
    load.answered(50).await;
    ended_without_loss(load, &daemon, "shop").await;
}

/// What is asked from now on counts, without a restart.
#[tokio::test(flavor = "multi_thread")]
async fn a_liveness_probe_that_is_added_later_asks_those_who_run() {
    let daemon = Setup::of(Service::new("shop")).start_ready().await.unwrap();
    let before = look::pids(&daemon.snapshot().await, "shop");
    daemon.folder.make_sick("shop", &before[1..2]).unwrap();
    daemon.folder.set("shop", "liveness", LIVENESS).unwrap();
    let report = daemon.reload().await;
    assert!(report.applied && report.problems.is_empty(), "{report:#?}");
    tokio::time::timeout(Duration::from_secs(60), second_replaced(&daemon, &before)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_fails_requests_is_left_out_until_it_answers_and_nothing_is_lost() {
    let service = Service::new("shop").key("max_fails", "3").key("fail_timeout", "200ms");
    let daemon = Setup::of(service).start_ready().await.unwrap();
    let before = look::pids(&daemon.snapshot().await, "shop");
    daemon.folder.make_sick("shop", &before[1..2]).unwrap();
    let ask = async || http::get(daemon.listen("shop"), "/fragile").await.unwrap().status;
    let seen = async |ready: usize| {
        let asking = async {
            while look::ready(&daemon.snapshot().await, "shop") != ready {
                assert_eq!(ask().await, 200);
            }
        };
        let limit = Duration::from_secs(30);
        tokio::time::timeout(limit, asking).await.expect("it is never seen");
    };
    seen(2).await;
    let snapshot = daemon.snapshot().await;
    assert_eq!(look::service(&snapshot, "shop").instances[1].state, InstanceState::Unhealthy);
    assert_eq!(look::service(&snapshot, "shop").row.pips[1].state, InstanceState::Unhealthy);
    daemon.folder.make_sick("shop", &[]).unwrap();
    seen(3).await;

    assert_eq!(look::pids(&daemon.snapshot().await, "shop"), before, "none was replaced");
    let warnings: Vec<String> = kinds(&daemon).await.into_iter().filter_map(warning).collect();
    assert!(
        matches!(&warnings[..], [left_out, back]
            if left_out.contains("left out for a while") && back.contains("no longer left out")),
        "{warnings:#?}"
    );
    assert_nothing_lost(&look::service(&daemon.snapshot().await, "shop").ledger);
}

/// What the second instance is warned of.
fn warning((slot, kind): (Option<Slot>, EventKind)) -> Option<String> {
    match kind {
        EventKind::Warning { text } if slot == Some(Slot(1)) => Some(text),
        _ => None,
    }
}
