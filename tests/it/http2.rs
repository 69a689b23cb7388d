//! The promise to clients of HTTP/2: what they ask on a stream is as safe as a request of HTTP/1.1.

use std::time::Duration;

use anyhow::bail;
use http::StatusCode;
use smoothserve_protocol::message::Done;
use smoothserve_tests::daemon::TestDaemon;
use smoothserve_tests::load::{Load, LoadPlan, Mix};
use smoothserve_tests::process::{self, Signal};
use smoothserve_tests::setup::{Service, Setup};
use smoothserve_tests::{http as client, look};

use crate::agree::{assert_proof, ended_without_loss, ledger_agrees};

/// A daemon that begins to speak HTTP/2 while it runs.
async fn town(service: Service) -> anyhow::Result<TestDaemon> {
    let daemon = Setup::of(service).start_ready().await?;
    let port = daemon.listen("shop").port();
    daemon.folder.set_main("http2", &format!("[{port}]"))?;
    assert_eq!(daemon.reload().await.daemon, [format!("http2 none -> {port}")]);
    Ok(daemon)
}

/// Long answers alone.
fn streams(clients: usize, stream: Duration) -> LoadPlan {
    let mix = Mix { get: 0, post: 0, echo: 0, big: 0, stream: 1, upload: 0, web_socket: 0 };
    LoadPlan { clients, mix, stream, ..LoadPlan::default().over_http2() }
}

async fn restart(daemon: &TestDaemon, instances: u16) -> anyhow::Result<()> {
    match daemon.restart("shop").await {
        Ok(Done::Restarted(receipt)) => assert_proof(&receipt, instances),
        other => bail!("not restarted but {other:?}"),
    }
    Ok(())
}

async fn loses_nothing(service: Service, instances: u16) -> anyhow::Result<()> {
    let daemon = town(service.instances(instances)).await?;
    let shop = daemon.listen("shop");
    let load = Load::start(shop, LoadPlan::brisk().over_http2());
    load.answered(200).await;
    for _ in 0..2 {
        restart(&daemon, instances).await?;
        load.answered(200).await;
    }
    let report = ended_without_loss(load, &daemon, "shop").await;
    report.assert_executed_once(&daemon.record());
    assert_eq!(report.reopened, 0, "a restart of a service is no matter of connections: {report}");
    // Whoever speaks HTTP/1.1 there still can.
    assert_eq!(client::get(shop, "/").await?.status, StatusCode::OK);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_loses_no_stream() {
    loses_nothing(Service::new("shop"), 3).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_of_a_single_instance_lets_streams_wait() {
    loses_nothing(Service::new("shop").option("start-ms=300"), 1).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_dies_with_an_instance_is_counted_and_nothing_else() {
    let daemon = town(Service::new("shop")).await.unwrap();
    // Of one connection: each of the three instances, the least busy taken, has two.
    let load = Load::start(daemon.listen("shop"), streams(6, Duration::from_secs(3)));
    load.until("six streams", |progress| progress.answering() == 6).await;
    let snapshot = daemon
        .until("two streams each", |snapshot| {
            look::count(snapshot, "shop", |instance| instance.in_flight == 2) == 3
        })
        .await;
    let victim = look::pids(&snapshot, "shop")[1];
    process::send(victim, Signal::KILL).unwrap();
    load.until("two are lost", |progress| progress.lost() == 2).await;
    let report = load.stop().await;
    assert_eq!((report.truncated, report.lost()), (2, 2), "{report}");
    ledger_agrees(&daemon, "shop", &report).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_of_the_daemon_ends_streams_to_the_last_byte() {
    let mut daemon = town(Service::new("shop")).await.unwrap();
    let load = Load::start(daemon.listen("shop"), LoadPlan::brisk().over_http2());
    load.answered(300).await;
    daemon.signal(Signal::TERM).unwrap();
    let status = daemon.exited().await.unwrap();
    assert!(status.success(), "{status}\n{}", daemon.log());
    assert_eq!(process::running_from(daemon.folder.path()), [] as [u32; 0], "left behind");
    load.until("everybody is refused", |progress| progress.refused() >= 64).await;
    let report = load.stop().await;
    report.assert_executed_once(&daemon.record());
    report.assert_nothing_lost();
}
