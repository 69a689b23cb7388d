//! What is said of requests must be what their clients saw: the metrics port and the access log.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

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
async fn a_balancer_has_time_to_notice_at_the_public_port() {
    let setup = Setup::of(Service::new("shop")).key("ready_path", "/-/ready");
    let mut daemon = setup.key("shutdown_delay", "30s").start_ready().await.unwrap();
    let shop = daemon.listen("shop");
    let get = async |path| http::get(shop, path).await.unwrap().status.as_u16();
    assert_eq!([get("/-/ready").await, get("/-/ready?now").await], [200; 2]);
    assert_eq!([get("/-/ready/x").await, get("/-/live").await], [404; 2]);
    let post = http::post(shop, "/-/ready", "x".into()).await.unwrap();
    assert_eq!(post.status, 404, "it is the service's");
    let load = Load::start(shop, LoadPlan { clients: 8, ..LoadPlan::brisk() });
    load.answered(50).await;
    daemon.signal(Signal::TERM).unwrap();
    wait::until("it is said", async || (get("/-/ready").await == 503).then_some(())).await;
    load.answered(50).await;
    let report = load.stop().await;
    report.assert_nothing_lost();
    assert_eq!(report.refused, 0, "{report}");
    // Neither the questions nor their answers are requests of anybody.
    let ledger = daemon.snapshot().await.services[0].ledger;
    assert_eq!(ledger.accepted, report.sent + 3, "{ledger:#?}");
    daemon.signal(Signal::TERM).unwrap();
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

/// The lines of an access log, each of them whole.
fn lines(file: &Path) -> Vec<serde_json::Value> {
    let text = fs::read_to_string(file).unwrap_or_default();
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let line = |line| serde_json::from_str(line).expect("a line is an object");
    whole.lines().map(line).collect()
}

/// Waits until there are so many.
async fn logged(file: &Path, count: usize) -> Vec<serde_json::Value> {
    let all = async || {
        let lines = lines(file);
        (lines.len() >= count).then_some(lines)
    };
    let lines = wait::until("every request is in the log", all).await;
    assert_eq!(lines.len(), count, "{lines:#?}");
    lines
}

fn count(lines: &[serde_json::Value], key: &str) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for line in lines {
        *counts.entry(line[key].to_string()).or_default() += 1;
    }
    counts
}

#[tokio::test(flavor = "multi_thread")]
async fn every_request_of_a_rolling_restart_has_one_line() {
    let setup = Setup::of(Service::new("shop")).key("metrics", ANY_PORT);
    let setup = setup.key("access_log", "{file_path: log/access.log}");
    let daemon = setup.start_ready().await.unwrap();
    let load = Load::start(daemon.listen("shop"), LoadPlan { clients: 8, ..LoadPlan::brisk() });
    load.answered(50).await;
    match daemon.restart("shop").await {
        Ok(Done::Restarted(receipt)) => assert_proof(&receipt, 3),
        other => panic!("not restarted but {other:?}"),
    }
    load.answered(50).await;
    let report = ended_without_loss(load, &daemon, "shop").await;

    let file = daemon.folder.path().join("log/access.log");
    let lines = logged(&file, report.sent as usize).await;
    let of_all = |value: &str| BTreeMap::from([(value.to_owned(), report.sent as usize)]);
    assert_eq!(count(&lines, "outcome"), of_all("\"completed\""));
    assert_eq!(count(&lines, "service"), of_all("\"shop\""));
    let posts = lines.iter().filter(|line| line["method"] == "POST" && line["path"] == "/echo");
    assert!(posts.count() >= report.posts.len().min(1), "{report}");
    let generations: Vec<String> = count(&lines, "generation").into_keys().collect();
    assert_eq!(generations, ["1", "2"]);
    let instances: Vec<String> = count(&lines, "instance").into_keys().collect();
    assert_eq!(instances, ["\"shop-1\"", "\"shop-2\"", "\"shop-3\""]);
    for line in &lines {
        let number = |key: &str| line[key].as_f64().unwrap_or_else(|| panic!("{key}: {line}"));
        assert!(number("upstream_ms") <= number("duration_ms"), "{line}");
        assert!(number("status") < 500.0 && line["client"] == "127.0.0.1", "{line}");
    }
    let page = page(&daemon).await;
    assert_eq!(page.value("smoothserve_access_log_lines_total", &[]), report.sent as f64);
    assert_eq!(page.value("smoothserve_access_log_dropped_total", &[]), 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_has_the_name_and_the_client_that_the_instance_was_told() {
    let setup = Setup::of(Service::new("shop")).key("access_log", "{file_path: log/access.log}");
    let setup = setup.key("request_id", "true").key("trusted_proxies", "[127.0.0.1]");
    let daemon = setup.start_ready().await.unwrap();
    let request = ::http::Request::get("/").header("host", "a");
    let request = request.header("x-forwarded-for", "192.0.2.9").body(bytes::Bytes::new());
    let answer = http::send(daemon.listen("shop"), request.unwrap()).await.unwrap();
    let line = logged(&daemon.folder.path().join("log/access.log"), 1).await.remove(0);
    assert_eq!(line["request_id"], answer.header("x-request-id"), "{line}");
    assert_eq!(line["client"], "192.0.2.9", "{line}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_ends_otherwise_is_told_so() {
    let service = Service::new("shop").key("server_name", "shop").key("default", "false");
    let setup = Setup::of(service.instances(1)).key("access_log", "{file_path: access.log}");
    let daemon = setup.start_ready().await.unwrap();
    let (addr, file) = (daemon.listen("shop"), daemon.folder.path().join("access.log"));
    let ask = async |host: &str, path: &str| {
        let request = ::http::Request::get(path).header("host", host);
        let request = request.header("x-request-id", "a\"b").header("user-agent", "test");
        http::send(addr, request.body(bytes::Bytes::new()).unwrap()).await
    };
    let mut told = Vec::new();
    let mut next = async || {
        let mut all = logged(&file, told.len() + 1).await;
        let last = all.pop().unwrap();
        told = all;
        told.push(last.clone());
        last
    };
    let whole = ask("shop", "/status/418?secret=1").await.unwrap();
    let line = next().await;
    assert_eq!((&line["status"], &line["path"]), (&418.into(), &"/status/418".into()));
    assert_eq!((&line["bytes"], &line["host"]), (&whole.body.len().into(), &"shop".into()));
    assert_eq!((&line["request_id"], &line["user_agent"]), (&"a\"b".into(), &"test".into()));

    ask("elsewhere", "/").await.unwrap();
    let line = next().await;
    assert_eq!((&line["outcome"], &line["status"]), (&"rejected".into(), &404.into()));
    assert!(line["service"].is_null() && line["instance"].is_null(), "{line}");

    // The head may be gone with the body, and then there is an answer of ours.
    let status = ask("shop", "/abort-mid-body").await.map_or(200, |answer| answer.status.as_u16());
    let line = next().await;
    assert_eq!((&line["outcome"], &line["status"]), (&"lost".into(), &status.into()));

    drop(Unfinished::begin(addr, "shop").await.unwrap());
    let line = next().await;
    assert_eq!((&line["outcome"], &line["path"]), (&"client_aborted".into(), &"/upload".into()));
    assert!(line["status"].is_null(), "{line}");

    let mut stream = TcpStream::connect(addr).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\nhost : b\r\n\r\n").await.unwrap();
    let line = next().await;
    assert_eq!((&line["outcome"], &line["status"]), (&"rejected".into(), &400.into()));
    assert!(line["method"].is_null() && line["path"].is_null(), "{line}");

    daemon.stop("shop").await.unwrap();
    ask("shop", "/").await.unwrap();
    let line = next().await;
    assert_eq!((&line["outcome"], &line["status"]), (&"refused".into(), &503.into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_was_moved_away_is_begun_anew_at_a_signal() {
    let setup = Setup::of(Service::new("shop").instances(1)).key("metrics", ANY_PORT);
    let daemon = setup.start_ready().await.unwrap();
    let (first, second) = ("access.log", "other.log");
    let [first, second] = [first, second].map(|name| daemon.folder.path().join(name));
    let get = async || http::get(daemon.listen("shop"), "/").await.unwrap();
    get().await;
    daemon.folder.set_main("access_log", "{file_path: access.log}").unwrap();
    assert_eq!(daemon.reload().await.daemon, ["access_log changed"]);
    get().await;
    logged(&first, 1).await;

    // As logrotate does it, while the configuration is broken.
    let moved = first.with_extension("moved");
    fs::rename(&first, &moved).unwrap();
    let sound = fs::read(daemon.folder.config_file()).unwrap();
    daemon.folder.set_main("ProxyPrt", "1").unwrap();
    daemon.signal(Signal::HUP).unwrap();
    wait::until("the file is there", async || first.exists().then_some(())).await;
    get().await;
    logged(&first, 1).await;
    assert_eq!(lines(&moved).len(), 1);

    fs::write(daemon.folder.config_file(), sound).unwrap();
    daemon.folder.set_main("access_log", "{file_path: other.log, format: combined}").unwrap();
    daemon.reload().await;
    get().await;
    let is_combined = async || {
        let text = fs::read_to_string(&second).unwrap_or_default();
        text.contains("\"GET / HTTP/1.1\" 200 ").then_some(())
    };
    wait::until("the other log has a line", is_combined).await;

    daemon.folder.set_main("access_log", "").unwrap();
    daemon.reload().await;
    get().await;
    let written = page(&daemon).await.value("smoothserve_access_log_lines_total", &[]);
    assert_eq!((written, lines(&first).len()), (3.0, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_costs_lines_of_the_access_log_and_no_request() {
    let setup = Setup::of(Service::new("shop")).key("metrics", ANY_PORT);
    let daemon = setup.key("access_log", "{file_path: /dev/full}").start_ready().await.unwrap();
    let load = Load::start(daemon.listen("shop"), LoadPlan { clients: 8, ..LoadPlan::brisk() });
    load.answered(100).await;
    let report = ended_without_loss(load, &daemon, "shop").await;
    let is_counted = async || {
        let dropped = page(&daemon).await.value("smoothserve_access_log_dropped_total", &[]);
        (dropped == report.sent as f64).then_some(())
    };
    wait::until("every line is counted", is_counted).await;
    let log = daemon.log();
    let told = log.lines().filter(|line| line.contains("access log /dev/full: ")).count();
    assert_eq!(told, 1, "{log}");
}
