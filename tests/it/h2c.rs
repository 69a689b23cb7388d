//! Instances that speak HTTP/2: the promise itself, and what HTTP/2 adds to it.

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use smoothserve_protocol::message::Done;
use smoothserve_tests::contract::CHECKSUM;
use smoothserve_tests::daemon::TestDaemon;
use smoothserve_tests::load::{Load, LoadPlan, LoadReport, Mix};
use smoothserve_tests::setup::{Service, Setup};
use smoothserve_tests::{http as client, look};

use crate::agree::{assert_proof, ended_without_loss, others_take_over};

fn shop() -> Service {
    Service::new("shop")
        .option("h2c")
        .key("upstream_protocol", "h2c")
        .key("ready", "{http: /healthz, status: 200}")
}

/// Everything but WebSockets, which HTTP/2 does not switch to.
fn plan() -> LoadPlan {
    let mix = Mix { web_socket: 0, ..Mix::default() };
    LoadPlan { mix, ..LoadPlan::brisk() }
}

async fn restart(daemon: &TestDaemon, instances: u16) {
    match daemon.restart("shop").await {
        Ok(Done::Restarted(receipt)) => assert_proof(&receipt, instances),
        other => panic!("not restarted but {other:?}"),
    }
}

/// Restarts `service` under load, and checks that nobody lost anything and that both sides agree.
async fn loses_nothing(service: Service, instances: u16, plan: LoadPlan) -> LoadReport {
    let daemon = Setup::of(service.instances(instances)).start_ready().await;
    let daemon = daemon.expect("it starts");
    let load = Load::start(daemon.listen("shop"), plan);
    load.answered(100).await;
    restart(&daemon, instances).await;
    load.answered(100).await;
    let report = ended_without_loss(load, &daemon, "shop").await;
    report.assert_executed_once(&daemon.record());
    report
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_loses_nothing() {
    loses_nothing(shop(), 3, plan()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_of_a_single_instance_lets_requests_wait() {
    // Slow enough that every client meets the gap.
    let report = loses_nothing(shop().option("start-ms=300"), 1, plan()).await;
    assert!(report.slowest >= Duration::from_millis(300), "nobody waited:\n{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_loses_nothing_of_apps_that_take_one_request_at_a_time() {
    loses_nothing(shop().option("max-streams=1"), 3, plan()).await;
}

/// Bodies are sent again here all the time, so there are none of more than what is kept for that.
#[tokio::test(flavor = "multi_thread")]
async fn a_restart_loses_nothing_of_apps_that_send_a_goaway_after_some_requests() {
    let mix = Mix { post: 0, echo: 10, ..plan().mix };
    let plan = LoadPlan { mix, ..plan() };
    loses_nothing(shop().option("close-after=7"), 3, plan).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_loses_nothing_of_apps_that_exit_at_once_on_term() {
    loses_nothing(shop().option("exit-on-term-ms=50"), 3, plan()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_dies_with_an_instance_is_counted_and_nothing_else() {
    let daemon = Setup::of(shop()).start_ready().await.unwrap();
    let load = Load::start(daemon.listen("shop"), plan());
    others_take_over(&daemon, load).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_head_of_a_call_arrives_in_http_2_and_its_trailers_at_the_client() {
    let daemon = Setup::of(shop().instances(1)).start_ready().await.unwrap();
    let addr = daemon.listen("shop");
    let ask = async |path: &str| {
        let request = Request::get(path)
            .header("host", "shop.example")
            .header("te", "trailers")
            .header("connection", "te")
            .body(Bytes::new());
        client::send(addr, request.unwrap()).await.unwrap()
    };
    let head = ask("/headers?a=%2F").await.text();
    for part in ["\"HTTP/2.0\"", "\"http://shop.example/headers?a=%2F\"", "[\"te\",\"trailers\"]"] {
        assert!(head.contains(part), "{part} in {head}");
    }
    assert!(!head.contains("\"host\"") && !head.contains("\"connection\""), "{head}");
    let answer = ask("/trailers").await;
    assert!(answer.trailers.unwrap().contains_key(CHECKSUM));
}

/// The plan of a reload says so, and old and new runs speak differently for a while.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_the_protocol_is_a_rolling_restart_that_loses_nothing() {
    let daemon = Setup::of(Service::new("shop")).start_ready().await.unwrap();
    let load = Load::start(daemon.listen("shop"), plan());
    load.answered(100).await;
    daemon.folder.next_build("shop", "h2c").unwrap();
    daemon.folder.set("shop", "upstream_protocol", "h2c").unwrap();
    let report = daemon.reload().await;
    let planned = format!("{report:?}");
    assert!(planned.contains("upstream_protocol http1 -> h2c"), "{planned}");
    let snapshot = daemon
        .until("all are replaced", |snapshot| !look::service(snapshot, "shop").receipts.is_empty())
        .await;
    assert_proof(&look::service(&snapshot, "shop").receipts[0], 3);
    let head = client::get(daemon.listen("shop"), "/headers").await.unwrap().text();
    assert!(head.contains("\"HTTP/2.0\""), "{head}");
    load.answered(100).await;
    let report = load.stop().await;
    report.assert_nothing_lost();
    assert_eq!(report.refused, 0, "{report}");
}
