//! What is left of a rolling restart: its receipt, which outlives the daemon.

use std::fs;
use std::slice;
use std::time::Duration;

use smoothserve_protocol::event::EventKind;
use smoothserve_protocol::failure::{Exit, FailReason};
use smoothserve_protocol::id::Slot;
use smoothserve_protocol::message::{Done, Refusal, Request};
use smoothserve_protocol::snapshot::Receipt;
use smoothserve_tests::daemon::{TestDaemon, name};
use smoothserve_tests::load::{Load, LoadPlan, Mix};
use smoothserve_tests::look;
use smoothserve_tests::process::Signal;
use smoothserve_tests::setup::{Service, Setup};

async fn restarted(daemon: &TestDaemon) -> Receipt {
    match daemon.restart("shop").await {
        Ok(Done::Restarted(receipt)) => *receipt,
        other => panic!("not restarted but {other:?}"),
    }
}

async fn history(daemon: &TestDaemon, service: Option<&str>) -> Result<Vec<Receipt>, Refusal> {
    let request = Request::History { service: service.map(name), limit: 100 };
    daemon.ask(request).await.map(|done| match done {
        Done::History(receipts) => receipts,
        other => panic!("no history but {other:?}"),
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn receipts_outlive_a_daemon_that_stops_and_one_that_is_killed() {
    let service = Service::new("shop").instances(1).key("ready_timeout", "1s");
    let mut daemon = Setup::of(service).start_ready().await.unwrap();
    let first = restarted(&daemon).await;
    daemon.signal(Signal::TERM).unwrap();
    daemon.start_again().await.unwrap();
    assert_eq!(history(&daemon, None).await.unwrap(), slice::from_ref(&first));
    let shown = look::service(&daemon.snapshot().await, "shop").receipts.clone();
    assert_eq!(shown, slice::from_ref(&first));

    daemon.folder.next_build("shop", "exit-at-start=3").unwrap();
    let refusal = daemon.restart("shop").await.unwrap_err();
    let Refusal::Halted { failure, receipt, .. } = refusal else { panic!("{refusal:?}") };
    assert_eq!(failure.reason, FailReason::ExitedBeforeReady(Exit::Code(3)));
    assert_eq!(receipt.failure, Some((Slot(0), failure)));
    assert!(receipt.operation > first.operation, "{receipt:#?}");
    assert_eq!(history(&daemon, Some("shop")).await.unwrap(), [(*receipt).clone(), first.clone()]);

    // Half a line: what a daemon leaves that is killed while it writes.
    daemon.signal(Signal::KILL).unwrap();
    daemon.exited().await.unwrap();
    let file = daemon.folder.path().join("smoothserve.history");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text + "{\"operation\":9,").unwrap();
    daemon.folder.next_build("shop", "").unwrap();
    daemon.start_again().await.unwrap();
    let last = restarted(&daemon).await;
    assert_eq!(history(&daemon, None).await.unwrap(), [last, *receipt, first]);
    assert!(daemon.log().contains("lines that are no receipts are skipped"), "{}", daemon.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_history_of_nobody_is_refused_and_of_a_new_service_empty() {
    let daemon = Setup::of(Service::new("shop")).start_ready().await.unwrap();
    assert_eq!(history(&daemon, Some("shop")).await, Ok(Vec::new()));
    let refusal = history(&daemon, Some("shpo")).await.unwrap_err();
    let known = vec![name("shop")];
    assert_eq!(refusal, Refusal::UnknownService { name: name("shpo"), known });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_says_what_the_application_makes_harder() {
    let service = Service::new("shop").option("ignore-term").key("stop_timeout", "200ms");
    let daemon = Setup::of(service.instances(2)).start_ready().await.unwrap();
    let remarks = restarted(&daemon).await.remarks;
    let expected =
        ["1", "2"].map(|slot| format!("shop-{slot} ignored SIGTERM for 200 ms and was killed"));
    assert_eq!(remarks, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_says_that_connections_were_closed_under_requests() {
    let service = Service::new("shop").option("idle-ms=10").key("min_ready_time", "1s");
    let daemon = Setup::of(service).start_ready().await.unwrap();
    let mix = Mix { get: 1, post: 0, echo: 0, big: 0, stream: 0, upload: 0, web_socket: 0 };
    let plan = LoadPlan { clients: 16, mix, pause: Duration::from_millis(10), ..LoadPlan::brisk() };
    let load = Load::start(daemon.listen("shop"), plan);
    load.answered(100).await;
    let receipt = restarted(&daemon).await;
    load.stop().await.assert_nothing_lost();
    let ending = "sent again because instances close kept-alive connections early";
    assert!(receipt.remarks.iter().any(|line| line.ends_with(ending)), "{receipt:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_says_how_long_the_slowest_request_was_held() {
    let service = Service::new("shop").instances(1).option("start-ms=300");
    let daemon = Setup::of(service).start_ready().await.unwrap();
    assert_eq!(restarted(&daemon).await.slowest_held_us, None);
    let load = Load::start(daemon.listen("shop"), LoadPlan::brisk());
    load.answered(50).await;
    let receipt = restarted(&daemon).await;
    load.stop().await.assert_nothing_lost();
    let slowest = receipt.slowest_held_us.expect("requests were held");
    assert!(slowest >= 250_000 && slowest <= receipt.took_ms * 1000, "{receipt:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_says_whom_it_waits_for() {
    let service = Service::new("shop").instances(1).key("drain_timeout", "1s");
    let daemon = Setup::of(service).start_ready().await.unwrap();
    let shop = daemon.listen("shop");
    let target = "/stream?ms=4000&chunks=4";
    let stream = tokio::spawn(smoothserve_tests::http::get(shop, target));
    daemon
        .until("the stream has begun", |snapshot| {
            look::service(snapshot, "shop").row.traffic.in_flight == 1
        })
        .await;
    let restarting = daemon.restart("shop");
    let seen = daemon.until("the drain names the stream", |snapshot| {
        let drain = look::service(snapshot, "shop").instances[0].drain.as_ref();
        drain.is_some_and(|drain| !drain.blockers.is_empty())
    });
    let (refused, seen) = tokio::join!(restarting, seen);
    let drain = look::service(&seen, "shop").instances[0].drain.clone().unwrap();
    let Err(Refusal::DrainTimedOut { in_flight: 1, blockers, .. }) = refused else {
        panic!("{refused:?}");
    };
    let events = daemon.ask(Request::Events { after: None, limit: 1000 }).await.unwrap();
    let Done::Events(events) = events else { panic!("{events:?}") };
    let reopened = events.events.into_iter().find_map(|event| match event.kind {
        EventKind::Reopened { in_flight: 1, blockers } => Some(blockers),
        _ => None,
    });
    for named in [drain.blockers, blockers, reopened.unwrap()] {
        let [blocker] = &named[..] else { panic!("{named:?}") };
        assert_eq!((blocker.method.as_str(), blocker.path.as_str()), ("GET", "/stream"));
        assert!(blocker.client.starts_with("127.0.0.1:") && !blocker.tunnel, "{blocker:?}");
    }
    assert_eq!(stream.await.unwrap().unwrap().status, 200);
}
