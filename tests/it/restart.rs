//! The promise itself: a service is replaced under load, and no client notices.
//!
//! `SMOOTH_LONG=1` takes the full time: five restarts under two-second streams.

use std::env;
use std::time::Duration;

use anyhow::bail;
use smoothserve_protocol::message::{Done, Request};
use smoothserve_protocol::snapshot::Receipt;
use smoothserve_tests::daemon::{TestDaemon, name};
use smoothserve_tests::load::{Load, LoadPlan, LoadReport, Mix};
use smoothserve_tests::setup::{Service, Setup};
use smoothserve_tests::{http, look};

use crate::agree::{assert_proof, ledger_agrees};

/// How often a service is restarted under one load, and with which load.
fn course() -> (usize, LoadPlan) {
    if env::var_os("SMOOTH_LONG").is_some() {
        (5, LoadPlan::default())
    } else {
        (2, LoadPlan::brisk())
    }
}

async fn restarted(daemon: &TestDaemon) -> anyhow::Result<Receipt> {
    match daemon.restart("shop").await {
        Ok(Done::Restarted(receipt)) => Ok(*receipt),
        other => bail!("not restarted but {other:?}"),
    }
}

/// Restarts `service` under load, and checks that nobody lost anything and that both sides agree.
async fn loses_nothing(service: Service, instances: u16) -> anyhow::Result<LoadReport> {
    let (restarts, plan) = course();
    let daemon = Setup::of(service.instances(instances)).start_ready().await?;
    let load = Load::start(daemon.listen("shop"), plan);
    load.answered(100).await;
    for _ in 0..restarts {
        assert_proof(&restarted(&daemon).await?, instances);
        load.answered(100).await;
    }
    let report = load.stop().await;
    report.assert_nothing_lost();
    assert_eq!(report.refused, 0, "{report}");
    report.assert_executed_once(&daemon.record());
    ledger_agrees(&daemon, "shop", &report).await;
    Ok(report)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_loses_nothing() {
    loses_nothing(Service::new("shop"), 3).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_loses_nothing_of_apps_that_exit_at_once_on_term() {
    let service = Service::new("shop").option("exit-on-term-ms=50");
    loses_nothing(service, 3).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_loses_nothing_of_apps_that_close_idle_connections() {
    loses_nothing(Service::new("shop").option("idle-ms=1000"), 3).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_loses_nothing_of_apps_that_close_after_some_requests() {
    loses_nothing(Service::new("shop").option("close-after=7"), 3).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_of_a_single_instance_lets_requests_wait() {
    // Slow enough that every client meets the gap.
    let service = Service::new("shop").option("start-ms=300");
    let report = loses_nothing(service, 1).await.unwrap();
    assert!(report.slowest >= Duration::from_millis(300), "nobody waited:\n{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_ignores_term_is_killed_and_nothing_is_lost() {
    let service = Service::new("shop").option("ignore-term").key("stop_timeout", "200ms");
    loses_nothing(service, 3).await.unwrap();
}

/// The race at its worst: the instance closes each connection at about the moment at which the next
/// request comes. A GET may be sent again, so none is lost.
#[tokio::test(flavor = "multi_thread")]
async fn connections_that_close_under_the_write_lose_no_get() {
    let service = Service::new("shop").option("idle-ms=10");
    let daemon = Setup::of(service).start_ready().await.unwrap();
    let mix = Mix { get: 1, post: 0, echo: 0, big: 0, stream: 0, upload: 0, web_socket: 0 };
    let plan = LoadPlan { clients: 16, mix, pause: Duration::from_millis(10), ..course().1 };
    let load = Load::start(daemon.listen("shop"), plan);
    load.answered(2000).await;
    let report = load.stop().await;
    report.assert_nothing_lost();
    ledger_agrees(&daemon, "shop", &report).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn long_conversations_are_ended_with_a_goodbye() {
    let service = Service::new("shop").key("tunnel_grace", "100ms");
    let daemon = Setup::of(service).start_ready().await.unwrap();
    let mix = Mix { get: 0, post: 0, echo: 0, big: 0, stream: 0, upload: 0, web_socket: 1 };
    let conversation = Duration::from_secs(2);
    let plan = LoadPlan { clients: 9, mix, conversation, ..LoadPlan::default() };
    let load = Load::start(daemon.listen("shop"), plan);
    load.until("everybody talks", |progress| progress.conversing() == 9).await;
    assert_proof(&restarted(&daemon).await.unwrap(), 3);
    let report = load.stop().await;
    report.assert_nothing_lost();
    assert!(report.ws_closed_by_drain >= 3, "{report}");
    ledger_agrees(&daemon, "shop", &report).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_instance_is_replaced_one_at_a_time() {
    let daemon = Setup::of(Service::new("shop")).start_ready().await.unwrap();
    let before = look::pids(&daemon.snapshot().await, "shop");
    let receipt = restarted(&daemon).await.unwrap();
    assert_proof(&receipt, 3);
    assert_eq!(receipt.min_ready, 2, "{receipt:#?}");
    let snapshot = daemon.snapshot().await;
    let after = look::pids(&snapshot, "shop");
    assert_eq!((before.len(), after.len()), (3, 3));
    assert!(before.iter().all(|pid| !after.contains(pid)), "{before:?} {after:?}");
    assert_eq!(look::service(&snapshot, "shop").receipts.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_new_build_is_what_serves_afterwards() {
    let daemon = Setup::of(Service::new("shop")).start_ready().await.unwrap();
    daemon.folder.next_build("shop", "generation=new").unwrap();
    let shop = daemon.listen("shop");
    assert_ne!(http::get(shop, "/").await.unwrap().header("x-generation"), "new");
    restarted(&daemon).await.unwrap();
    for _ in 0..6 {
        assert_eq!(http::get(shop, "/").await.unwrap().header("x-generation"), "new");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_restart_joins_the_first() {
    let daemon = Setup::of(Service::new("shop")).start_ready().await.unwrap();
    let (first, second) = tokio::join!(restarted(&daemon), restarted(&daemon));
    let (first, second) = (first.unwrap(), second.unwrap());
    assert_eq!(first.operation, second.operation);
    assert_proof(&first, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_asker_that_goes_away_changes_nothing() {
    let daemon = Setup::of(Service::new("shop")).start_ready().await.unwrap();
    let request = Request::Restart {
        service: name("shop"),
        drain_timeout_ms: None,
        on_drain_timeout: None,
        expected: None,
        join: true,
        wait: false,
    };
    let mut connection = daemon.open().await.unwrap();
    let begun = connection.ask(request).await.unwrap();
    assert!(matches!(begun, Ok(Done::Begun { .. })), "{begun:?}");
    drop(connection);
    let snapshot = daemon
        .until("the restart is done", |snapshot| {
            !look::service(snapshot, "shop").receipts.is_empty()
        })
        .await;
    assert_proof(&look::service(&snapshot, "shop").receipts[0], 3);
}
