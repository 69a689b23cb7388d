//! Stopping, of one service and of everything: what is inside ends well, what comes is told so.

use std::time::Duration;

use anyhow::Context;
use http::StatusCode;
use smoothserve_protocol::message::{Done, Request};
use smoothserve_protocol::snapshot::ServiceState;
use smoothserve_tests::daemon::TestDaemon;
use smoothserve_tests::load::{Load, LoadPlan, LoadReport, Mix};
use smoothserve_tests::process::{self, Signal};
use smoothserve_tests::setup::{Service, Setup};
use smoothserve_tests::{http as client, look};

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_ends_what_is_inside_and_turns_the_rest_away() {
    let setup = Setup::of(Service::new("shop")).service(Service::new("blog").instances(1));
    let daemon = setup.start_ready().await.unwrap();
    let shop = daemon.listen("shop");
    let instances = look::pids(&daemon.snapshot().await, "shop");
    let streams = tokio::spawn(client::get(shop, "/stream?ms=1500&chunks=3"));
    daemon
        .until("the stream has begun", |snapshot| {
            look::service(snapshot, "shop").row.traffic.in_flight == 1
        })
        .await;

    let turned_away = async {
        daemon
            .until("it stops", |snapshot| {
                look::service(snapshot, "shop").row.state == ServiceState::Stopping
            })
            .await;
        client::get(shop, "/").await
    };
    let (stopped, turned_away) = tokio::join!(daemon.stop("shop"), turned_away);
    let turned_away = turned_away.unwrap();
    assert_eq!(turned_away.status, StatusCode::SERVICE_UNAVAILABLE, "{turned_away:?}");
    assert!(matches!(stopped, Ok(Done::Stopped { instances: 3, cut: 0, .. })), "{stopped:?}");
    let stream = streams.await.unwrap().unwrap();
    assert_eq!(stream.status, StatusCode::OK);
    assert!(stream.text().ends_with(smoothserve_tests::contract::LAST_LINE), "{stream:?}");
    assert!(!instances.iter().any(|pid| process::is_running(*pid)));

    assert_eq!(client::get(shop, "/").await.unwrap().status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(client::get(daemon.listen("blog"), "/").await.unwrap().status, StatusCode::OK);
    assert!(matches!(daemon.stop("shop").await, Ok(Done::AlreadySo)));

    let started = daemon.start_service("shop").await;
    assert!(matches!(started, Ok(Done::Started { instances: 3, .. })), "{started:?}");
    assert_eq!(client::get(shop, "/").await.unwrap().status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forced_stop_cuts_and_counts() {
    let daemon = Setup::of(Service::new("shop").instances(1)).start_ready().await.unwrap();
    let stream = tokio::spawn(client::get(daemon.listen("shop"), "/stream?ms=20000&chunks=20"));
    daemon
        .until("the stream has begun", |snapshot| {
            look::service(snapshot, "shop").row.traffic.in_flight == 1
        })
        .await;
    let request = Request::Stop {
        service: smoothserve_tests::daemon::name("shop"),
        force: true,
        timeout_ms: None,
        expected: None,
        wait: true,
    };
    let stopped = daemon.ask(request).await;
    assert!(matches!(stopped, Ok(Done::Stopped { instances: 1, cut: 1, .. })), "{stopped:?}");
    assert!(stream.await.unwrap().is_err(), "a cut answer must not look whole");
    let ledger = look::service(&daemon.snapshot().await, "shop").ledger;
    assert_eq!((ledger.cut, ledger.unaccounted()), (1, 0), "{ledger:?}");
}

/// Ends the daemon under load in the way that `end` does, and gives what the clients saw.
async fn ended_under_load(
    end: impl AsyncFnOnce(&TestDaemon) -> anyhow::Result<()>,
) -> anyhow::Result<LoadReport> {
    let mut daemon = Setup::of(Service::new("shop")).start_ready().await?;
    let load = Load::start(daemon.listen("shop"), LoadPlan::brisk());
    load.answered(300).await;
    end(&daemon).await?;
    let status = daemon.exited().await?;
    assert!(status.success(), "{status}\n{}", daemon.log());
    assert_eq!(process::running_from(daemon.folder.path()), [] as [u32; 0], "left behind");
    load.until("everybody is refused", |progress| progress.refused() >= 64).await;
    let report = load.stop().await;
    report.assert_executed_once(&daemon.record());
    Ok(report)
}

#[tokio::test(flavor = "multi_thread")]
async fn term_ends_everything_and_loses_nothing() {
    let report = ended_under_load(async |daemon| daemon.signal(Signal::TERM)).await.unwrap();
    report.assert_nothing_lost();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_ends_everything_and_loses_nothing() {
    let report = ended_under_load(async |daemon| {
        let done = daemon.ask(Request::Shutdown { force: false }).await;
        matches!(done, Ok(Done::ShuttingDown)).then_some(()).with_context(|| format!("{done:?}"))
    });
    report.await.unwrap().assert_nothing_lost();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_term_does_not_wait_for_long_answers() {
    let mut daemon = Setup::of(Service::new("shop")).start_ready().await.unwrap();
    let mix = Mix { get: 0, post: 0, echo: 0, big: 0, stream: 1, upload: 0, web_socket: 0 };
    let stream = Duration::from_secs(25);
    let plan = LoadPlan { clients: 3, mix, stream, ..LoadPlan::default() };
    let load = Load::start(daemon.listen("shop"), plan);
    load.until("streams", |progress| progress.answering() == 3).await;
    daemon.signal(Signal::TERM).unwrap();
    daemon.until("it stops", |snapshot| snapshot.daemon.stopping).await;
    daemon.signal(Signal::TERM).unwrap();
    daemon.exited().await.unwrap();
    assert_eq!(process::running_from(daemon.folder.path()), [] as [u32; 0], "left behind");
    load.until("all are lost", |progress| progress.lost() == 3).await;
    let report = load.stop().await;
    assert_eq!((report.truncated, report.ok), (3, 0), "{report}");
}
