//! Instances that listen on paths in place of ports.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use smoothserve_protocol::message::Done;
use smoothserve_protocol::snapshot::{InstanceState, InstanceView, Receipt, Snapshot};
use smoothserve_tests::daemon::TestDaemon;
use smoothserve_tests::load::{Load, LoadPlan};
use smoothserve_tests::process::{self, Signal};
use smoothserve_tests::setup::{Service, Setup};
use smoothserve_tests::{http, look};

use crate::agree::{assert_nothing_lost, assert_proof, ended_without_loss};

fn service() -> Service {
    Service::new("shop").on_sockets()
}

/// The names of the paths of a service, by slot.
fn names(snapshot: &Snapshot) -> Vec<String> {
    let instances = &look::service(snapshot, "shop").instances;
    let name = |one: &InstanceView| {
        let path = one.socket.as_deref().and_then(|path| Path::new(path).file_name()?.to_str());
        path.expect("it has a path").to_owned()
    };
    instances.iter().map(name).collect()
}

async fn restarted(daemon: &TestDaemon) -> Receipt {
    match daemon.restart("shop").await {
        Ok(Done::Restarted(receipt)) => *receipt,
        other => panic!("not restarted but {other:?}"),
    }
}

/// Restarts `service` twice under every kind of request, and gives the paths of before, between and
/// after.
async fn loses_nothing(service: Service, instances: u16) -> [Vec<String>; 3] {
    let daemon = Setup::of(service.instances(instances)).start_ready().await.expect("it serves");
    let load = Load::start(daemon.listen("shop"), LoadPlan { clients: 32, ..LoadPlan::brisk() });
    load.answered(100).await;
    let mut seen = vec![names(&daemon.snapshot().await)];
    for _ in 0..2 {
        assert_proof(&restarted(&daemon).await, instances);
        load.answered(100).await;
        seen.push(names(&daemon.snapshot().await));
    }
    let report = ended_without_loss(load, &daemon, "shop").await;
    report.assert_executed_once(&daemon.record());
    seen.try_into().expect("there are three")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_of_instances_on_paths_loses_nothing() {
    let service = service().key("ready", "{http: /healthz, status: 200}");
    let paths = ["shop-0.sock", "shop-1.sock", "shop-2.sock"].map(str::to_owned).to_vec();
    assert_eq!(loses_nothing(service, 3).await, [paths.clone(), paths.clone(), paths]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_of_apps_on_paths_that_exit_at_once_and_close_early_loses_nothing() {
    let service = service().option("exit-on-term-ms=50").option("close-after=7");
    loses_nothing(service, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_started_first_has_a_path_of_its_own() {
    let seen = loses_nothing(service().key("restart_order", "start-first"), 1).await;
    assert_eq!(seen, [["shop-0.sock"], ["shop-1.sock"], ["shop-0.sock"]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_shows_paths_and_an_instance_is_told_its_own() {
    let daemon = Setup::of(service()).start_ready().await.unwrap();
    let snapshot = daemon.snapshot().await;
    let status = daemon.tool(&["status", "--wide"]).await.unwrap();
    let status = String::from_utf8(status.stdout).unwrap();
    for (instance, number) in look::service(&snapshot, "shop").instances.iter().zip(0..) {
        let path = daemon.folder.sockets().join(format!("shop-{number}.sock"));
        assert_eq!((instance.socket.as_deref(), instance.port), (path.to_str(), 0));
        assert!(status.contains(path.to_str().unwrap()), "{status}");
        let pid = instance.pid.unwrap();
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap();
        let variables: BTreeSet<_> = environment.split(|byte| *byte == 0).collect();
        let own = format!("SOCKET={}", path.display());
        assert!(variables.contains(own.as_bytes()));
        assert!(variables.iter().all(|variable| !variable.starts_with(b"PORT=")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_falls_comes_back_on_the_path_it_left_behind() {
    let daemon = Setup::of(service()).start_ready().await.unwrap();
    let before = look::pids(&daemon.snapshot().await, "shop");
    process::send(before[1], Signal::KILL).unwrap();
    let is_back = |snapshot: &Snapshot| {
        let pids = look::pids(snapshot, "shop");
        look::ready(snapshot, "shop") == 3 && pids.len() == 3 && pids[1] != before[1]
    };
    let snapshot = daemon.until("it is back", is_back).await;
    assert_eq!(names(&snapshot)[1], "shop-1.sock");
    for _ in 0..6 {
        assert_eq!(http::get(daemon.listen("shop"), "/").await.unwrap().status, 200);
    }
    assert_nothing_lost(&look::service(&daemon.snapshot().await, "shop").ledger);
}

/// Starts a service whose second path `occupy` has taken, and gives why that instance fails while
/// the others serve.
async fn second_fails<T>(occupy: impl FnOnce(PathBuf) -> T) -> (TestDaemon, T, String) {
    let folder = Setup::of(service()).write().expect("it can be written");
    let occupied = occupy(folder.sockets().join("shop-1.sock"));
    let daemon = TestDaemon::start(folder).await.expect("it serves");
    let has_failed = |snapshot: &Snapshot| {
        let second = &look::service(snapshot, "shop").instances[1];
        look::ready(snapshot, "shop") == 2 && second.state == InstanceState::Backoff
    };
    let snapshot = daemon.until("the others serve", has_failed).await;
    let failure = look::service(&snapshot, "shop").instances[1].failure.clone().expect("it failed");
    for _ in 0..6 {
        assert_eq!(http::get(daemon.listen("shop"), "/").await.expect("an answer").status, 200);
    }
    (daemon, occupied, failure.reason.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_that_a_stranger_listens_on_is_left_to_it_and_it_is_named() {
    let (daemon, _stranger, why) = second_fails(|path| UnixListener::bind(path).unwrap()).await;
    let path = daemon.folder.sockets().join("shop-1.sock");
    let named = format!("socket {} is held by pid {} ", path.display(), std::process::id());
    assert!(why.contains(&named), "{why}");
    assert!(path.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_no_socket_is_never_removed() {
    let (daemon, (), why) = second_fails(|path| fs::write(path, "precious").unwrap()).await;
    assert!(why.contains("is no socket"), "{why}");
    let path = daemon.folder.sockets().join("shop-1.sock");
    assert_eq!(fs::read(&path).unwrap(), b"precious");
    // Once it is away, the instance comes by itself.
    fs::remove_file(path).unwrap();
    daemon.until("all serve", |snapshot| look::ready(snapshot, "shop") == 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_paths_are_taken_by_a_rolling_restart() {
    let daemon = Setup::of(service()).start_ready().await.unwrap();
    let load = Load::start(daemon.listen("shop"), LoadPlan { clients: 16, ..LoadPlan::brisk() });
    load.answered(50).await;
    daemon.folder.set("shop", "instance_socket", "\"./run/new-{slot}\"").unwrap();
    let report = daemon.reload().await;
    assert!(report.applied && report.problems.is_empty(), "{report:#?}");
    let said = format!("{report:?}");
    assert!(said.contains("instance_socket ") && said.contains("/run/new-{slot}"), "{said}");
    let have_moved = |snapshot: &Snapshot| {
        let service = look::service(snapshot, "shop");
        service.receipts.len() == 1 && look::ready(snapshot, "shop") == 3
    };
    let snapshot = daemon.until("it was restarted", have_moved).await;
    assert_eq!(names(&snapshot), ["new-0", "new-1", "new-2"]);
    load.answered(50).await;
    ended_without_loss(load, &daemon, "shop").await;
}
