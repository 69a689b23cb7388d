//! An instance dies that nobody asked to: what it owed is lost and counted, nothing else is.

use std::time::Duration;

use smoothserve_protocol::failure::{Exit, FailReason};
use smoothserve_protocol::snapshot::InstanceState;
use smoothserve_tests::load::{Load, LoadPlan, Mix};
use smoothserve_tests::process::{self, Signal};
use smoothserve_tests::setup::{Service, Setup};
use smoothserve_tests::{http, look};

use crate::agree::{ledger_agrees, others_take_over};

#[tokio::test(flavor = "multi_thread")]
async fn what_dies_with_an_instance_is_counted_and_nothing_else() {
    let daemon = Setup::of(Service::new("shop")).start_ready().await.unwrap();
    // Six streams: each of the three instances, the least busy taken, has two.
    let mix = Mix { get: 0, post: 0, echo: 0, big: 0, stream: 1, upload: 0, web_socket: 0 };
    let stream = Duration::from_secs(3);
    let plan = LoadPlan { clients: 6, mix, stream, ..LoadPlan::default() };
    let load = Load::start(daemon.listen("shop"), plan);
    load.until("six streams", |progress| progress.answering() == 6).await;
    let snapshot = daemon
        .until("two streams each", |snapshot| {
            look::count(snapshot, "shop", |instance| instance.in_flight == 2) == 3
        })
        .await;
    let victim = look::pids(&snapshot, "shop")[1];
    process::send(victim, Signal::KILL).unwrap();
    load.until("two are lost", |progress| progress.lost() == 2).await;

    let snapshot = daemon
        .until("all three are ready again", |snapshot| {
            look::ready(snapshot, "shop") == 3 && !look::pids(snapshot, "shop").contains(&victim)
        })
        .await;
    let failure = look::service(&snapshot, "shop").instances[1].failure.clone().unwrap();
    let killed = FailReason::Crashed(Exit::Signal { signal: 9, core: false });
    assert_eq!(failure.reason, killed);
    let report = load.stop().await;
    assert_eq!((report.truncated, report.lost()), (2, 2), "{report}");
    ledger_agrees(&daemon, "shop", &report).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_others_take_over_under_every_kind_of_load() {
    let daemon = Setup::of(Service::new("shop")).start_ready().await.unwrap();
    let load = Load::start(daemon.listen("shop"), LoadPlan::brisk());
    others_take_over(&daemon, load).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_keeps_crashing_backs_off_and_the_others_serve() {
    let daemon = Setup::of(Service::new("shop")).start_ready().await.unwrap();
    daemon.folder.next_build("shop", "exit-at-start=1").unwrap();
    let victim = look::pids(&daemon.snapshot().await, "shop")[2];
    process::send(victim, Signal::KILL).unwrap();
    let snapshot = daemon
        .until("it has failed three times", |snapshot| {
            let instance = &look::service(snapshot, "shop").instances[2];
            instance.failures >= 3 && instance.state == InstanceState::Backoff
        })
        .await;
    let instance = &look::service(&snapshot, "shop").instances[2];
    assert!(instance.retry_ms.is_some(), "{}", look::summary(&snapshot));
    assert_eq!(look::ready(&snapshot, "shop"), 2);
    for _ in 0..10 {
        assert_eq!(http::get(daemon.listen("shop"), "/").await.unwrap().status, 200);
    }
    daemon.folder.next_build("shop", "").unwrap();
    daemon.until("it is back", |snapshot| look::ready(snapshot, "shop") == 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_wait_while_the_only_instance_comes_back() {
    let daemon = Setup::of(Service::new("shop").instances(1)).start_ready().await.unwrap();
    let victim = look::pids(&daemon.snapshot().await, "shop")[0];
    process::send(victim, Signal::KILL).unwrap();
    daemon.until("it is gone", |snapshot| !look::pids(snapshot, "shop").contains(&victim)).await;
    assert_eq!(http::get(daemon.listen("shop"), "/").await.unwrap().status, 200);
}
