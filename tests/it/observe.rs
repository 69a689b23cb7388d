//! What is said of requests must be what their clients saw: the metrics port.

use smoothserve_protocol::message::Done;
use smoothserve_tests::daemon::TestDaemon;
use smoothserve_tests::http::{self, Unfinished};
use smoothserve_tests::load::{Load, LoadPlan};
use smoothserve_tests::process::Signal;
use smoothserve_tests::prometheus::Page;
use smoothserve_tests::setup::{Service, Setup};
use smoothserve_tests::{look, ports, wait};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::agree::{assert_proof, ended_without_loss};

const ANY_PORT: &str = "127.0.0.1:0";

async fn page(daemon: &TestDaemon) -> Page {
    let answer = http::get(daemon.metrics(), "/metrics").await.expect("there is a page");
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    Page::read(&answer.text())
}

async fn status(daemon: &TestDaemon, path: &str) -> u16 {
    http::get(daemon.metrics(), path).await.expect("there is an answer").status.as_u16()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_figures_of_a_rolling_restart_are_those_of_its_clients() {
    let setup = Setup::of(Service::new("shop")).service(Service::new("idle").instances(1));
    let daemon = setup.key("metrics", ANY_PORT).start_ready().await.unwrap();
    let load = Load::start(daemon.listen("shop"), LoadPlan { clients: 8, ..LoadPlan::brisk() });
    load.answered(50).await;
    match daemon.restart("shop").await {
        Ok(Done::Restarted(receipt)) => assert_proof(&receipt, 3),
        other => panic!("not restarted but {other:?}"),
    }
    load.answered(50).await;
    let report = ended_without_loss(load, &daemon, "shop").await;

    let page = page(&daemon).await;
    let of = |name: &str| page.value(name, &[("service", "shop")]);
    let ended = |outcome| {
        let labels = [("service", "shop"), ("outcome", outcome)];
        page.value("smoothserve_requests_total", &labels)
    };
    assert_eq!(of("smoothserve_requests_accepted_total"), report.sent as f64);
    assert_eq!(ended("completed"), report.ok as f64);
    assert_eq!([ended("client_aborted"), ended("cut"), ended("lost")], [0.0; 3]);
    assert_eq!(of("smoothserve_requests_in_flight"), 0.0);
    assert_eq!(of("smoothserve_request_duration_seconds_count"), report.sent as f64);
    assert_eq!(of("smoothserve_service_launches_total"), 6.0);
    assert_eq!(of("smoothserve_service_ready_instances"), 3.0);
    assert_eq!(page.value("smoothserve_requests_accepted_total", &[("service", "idle")]), 0.0);
    // The runs of before took what they counted with them.
    let inside = page.sum("smoothserve_instance_requests_total", &[("generation", "2")]);
    assert!(inside >= 50.0 && inside <= report.sent as f64, "{inside}: {report}");
    assert!(page.value("smoothserve_connections_total", &[]) >= 8.0, "{page:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_reach_no_instance_are_counted() {
    let service = Service::new("shop").key("server_name", "shop.example").key("default", "false");
    let daemon = Setup::of(service).key("metrics", ANY_PORT).start_ready().await.unwrap();
    let ask = async |host: &str| {
        let request = ::http::Request::get("/").header("host", host).body(bytes::Bytes::new());
        http::send(daemon.listen("shop"), request.unwrap()).await.unwrap().status
    };
    assert_eq!(ask("elsewhere.example").await, 404);
    daemon.stop("shop").await.unwrap();
    assert_eq!(ask("shop.example").await, 503);
    let page = page(&daemon).await;
    assert_eq!(page.value("smoothserve_requests_rejected_total", &[]), 1.0);
    assert_eq!(page.value("smoothserve_requests_refused_total", &[("service", "shop")]), 1.0);
    assert_eq!(page.value("smoothserve_requests_accepted_total", &[("service", "shop")]), 0.0);
    let stopped = [("service", "shop"), ("state", "stopped")];
    let is_told = async || {
        let stopped = self::page(&daemon).await.sum("smoothserve_instance_state", &stopped);
        (stopped == 3.0).then_some(())
    };
    wait::until("all instances are told to be stopped", is_told).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_balancer_is_told_as_soon_as_the_daemon_is_to_stop() {
    let setup = Setup::of(Service::new("shop")).key("metrics", ANY_PORT);
    let mut daemon = setup.start_ready().await.unwrap();
    assert_eq!([status(&daemon, "/-/ready").await, status(&daemon, "/-/live").await], [200; 2]);
    let upload = Unfinished::begin(daemon.listen("shop"), "shop").await.unwrap();
    let is_inside = |daemon: &_| look::service(daemon, "shop").row.traffic.in_flight == 1;
    daemon.until("it is inside", is_inside).await;
    daemon.signal(Signal::TERM).unwrap();
    let told = async || (status(&daemon, "/-/ready").await == 503).then_some(());
    wait::until("it is said", told).await;
    assert_eq!(status(&daemon, "/-/live").await, 200);
    assert_eq!(page(&daemon).await.value("smoothserve_serving", &[]), 0.0);
    upload.finish().await.unwrap();
    assert!(daemon.exited().await.unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_metrics_port_comes_moves_and_goes_with_a_reload() {
    let daemon = Setup::of(Service::new("shop").instances(1)).start_ready().await.unwrap();
    let [first, second] = [(); 2].map(|()| format!("127.0.0.1:{}", ports::take(1)));
    for (to, line) in [
        (first.as_str(), format!("metrics none -> {first}")),
        (&second, format!("metrics {first} -> {second}")),
        ("", format!("metrics {second} -> none")),
    ] {
        daemon.folder.set_main("metrics", to).unwrap();
        assert_eq!(daemon.reload().await.daemon, [line]);
        for addr in [&first, &second] {
            let is_reached = async || {
                let answer = http::get(addr.parse().unwrap(), "/metrics").await;
                (answer.is_ok() == (addr == to)).then_some(())
            };
            wait::until("the port is open, or closed", is_reached).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_read_keeps_nobody_from_the_figures() {
    let setup = Setup::of(Service::new("shop").instances(1)).key("metrics", ANY_PORT);
    let daemon = setup.start_ready().await.unwrap();
    let mut silent = Vec::new();
    for number in 0..60 {
        let mut stream = TcpStream::connect(daemon.metrics()).await.unwrap();
        if number % 2 == 0 {
            // The daemon may have closed it already, to make room.
            let _ = stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: a\r\n").await;
        }
        silent.push(stream);
    }
    assert!(!page(&daemon).await.is_empty());
    let post = http::post(daemon.metrics(), "/metrics", "x".into()).await.unwrap();
    assert_eq!((post.status.as_u16(), post.header("allow")), (405, "GET, HEAD"));
    assert_eq!(status(&daemon, "/-/reload").await, 404);
    assert_eq!(http::get(daemon.listen("shop"), "/-/ready").await.unwrap().status, 404);
}
