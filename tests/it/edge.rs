//! What a service's file has changed at the edge: in force by a reload, and no reason for a loss.

use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;
use http::Request;
use smoothserve_protocol::event::EventKind;
use smoothserve_protocol::message::Done;
use smoothserve_tests::contract::INSTANCE;
use smoothserve_tests::daemon::TestDaemon;
use smoothserve_tests::http::{self as client, Answer};
use smoothserve_tests::setup::{Service, Setup};
use smoothserve_tests::{look, wait};

use crate::agree::assert_proof;

/// Sets keys of `shop`'s file and reloads; what is wrong with them.
async fn set(daemon: &TestDaemon, keys: &[(&str, &str)]) -> Vec<String> {
    for (key, yaml) in keys {
        daemon.folder.set("shop", key, yaml).expect("the file can be written");
    }
    daemon.reload().await.problems
}

async fn get(addr: SocketAddr, path: &str, host: &str) -> Answer {
    let request =
        Request::get(path).header("host", host).body(Bytes::new()).expect("it is a request");
    client::send(addr, request).await.expect("there is an answer")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_changed_on_the_way_follows_the_file_and_restarts_nobody() {
    let daemon = Setup::of(Service::new("shop").instances(2)).start_ready().await.unwrap();
    let before = look::pids(&daemon.snapshot().await, "shop");
    let addr = daemon.listen("shop");
    let keys = [
        ("request_headers", "{set: {X-Tenant: blue}, remove: [X-Debug]}"),
        ("response_headers", "{set: {X-Frame-Options: DENY}}"),
        ("strip_prefix", "/shop"),
        ("canonical_host", "www.shop.example"),
    ];
    assert_eq!(set(&daemon, &keys).await, [""; 0]);
    let request = Request::get("/shop/headers?a=%2F")
        .header("host", "www.shop.example")
        .header("x-debug", "1")
        .body(Bytes::new());
    let answer = client::send(addr, request.unwrap()).await.unwrap();
    assert_eq!((answer.status.as_u16(), answer.header("x-frame-options")), (200, "DENY"));
    let head = answer.text();
    for part in
        ["\"/headers?a=%2F\"", "[\"x-tenant\",\"blue\"]", "[\"x-forwarded-prefix\",\"/shop\"]"]
    {
        assert!(head.contains(part), "{part} in {head}");
    }
    assert!(!head.contains("x-debug"), "{head}");

    let answer = get(addr, "/shop/?b", "shop.example").await;
    assert_eq!((answer.status.as_u16(), answer.header("x-frame-options")), (308, "DENY"));
    assert_eq!(answer.header("location"), "http://www.shop.example/shop/?b");
    let snapshot = daemon.snapshot().await;
    assert_eq!(look::pids(&snapshot, "shop"), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn maintenance_is_begun_and_ended_by_a_reload_and_noted() {
    let daemon = Setup::of(Service::new("shop").instances(1)).start_ready().await.unwrap();
    let before = look::pids(&daemon.snapshot().await, "shop");
    let addr = daemon.listen("shop");
    fs::write(daemon.folder.path().join("closed.html"), "<p>Back at noon.").unwrap();
    let keys = [("error_pages", "{503: ./closed.html}"), ("maintenance", "true")];
    assert_eq!(set(&daemon, &keys).await, [""; 0]);
    let answer = get(addr, "/", "shop.example").await;
    assert_eq!((answer.status.as_u16(), answer.text().as_str()), (503, "<p>Back at noon."));
    assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
    assert_eq!(answer.header("retry-after"), "5");

    assert_eq!(set(&daemon, &[("maintenance", "false")]).await, [""; 0]);
    assert_eq!(get(addr, "/", "shop.example").await.status, 200);
    let snapshot = daemon
        .until("all is answered", |snapshot| look::service(snapshot, "shop").ledger.completed == 1);
    let snapshot = snapshot.await;
    assert_eq!(look::pids(&snapshot, "shop"), before);
    let ledger = look::service(&snapshot, "shop").ledger;
    assert_eq!((ledger.refused, ledger.accepted, ledger.lost), (1, 1, 0));
    let events = daemon.events().await.into_iter();
    let told: Vec<String> = events
        .filter_map(|event| match event.kind {
            EventKind::ConfigApplied { what } => Some(what.join("; ")),
            _ => None,
        })
        .collect();
    for line in ["maintenance false -> true", "maintenance true -> false"] {
        assert!(told.iter().any(|what| what.contains(line)), "{line} in {told:?}");
    }

    // A page that is gone is a mistake, and mistakes change nothing.
    fs::remove_file(daemon.folder.path().join("closed.html")).unwrap();
    let problems = set(&daemon, &[("maintenance", "true")]).await;
    assert!(problems[0].contains("closed.html"), "{problems:?}");
    assert_eq!(get(addr, "/", "shop.example").await.status, 200);
}

/// A browser: it brings the cookie that it was given last.
struct Browser {
    addr: SocketAddr,
    cookie: Option<String>,
}

impl Browser {
    /// Which instance served it.
    async fn visit(&mut self) -> String {
        let mut request = Request::get("/").header("host", "shop.example");
        if let Some(cookie) = &self.cookie {
            request = request.header("cookie", cookie);
        }
        let request = request.body(Bytes::new()).expect("it is a request");
        let answer = client::send(self.addr, request).await.expect("there is an answer");
        assert_eq!(answer.status, 200, "{}", answer.text());
        if let Some((cookie, _)) = answer.header("set-cookie").split_once(';') {
            self.cookie = Some(cookie.to_owned());
        }
        answer.header(INSTANCE).to_owned()
    }
}

/// Visits until it is over; the browser, and how often it was served by another instance than before.
async fn wander(
    mut browser: Browser,
    is_over: Arc<AtomicBool>,
    visits: Arc<AtomicU64>,
) -> (Browser, u64) {
    let (mut at, mut moves) = (browser.visit().await, 0);
    while !is_over.load(Ordering::Relaxed) {
        let now = browser.visit().await;
        visits.fetch_add(1, Ordering::Relaxed);
        moves += u64::from(now != at);
        at = now;
    }
    (browser, moves)
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_stay_with_their_instance_and_a_rolling_restart_loses_none_of_them() {
    let service = Service::new("shop").instances(3).key("sticky", "{cookie: at}");
    let daemon = Setup::of(service).start_ready().await.unwrap();
    let (is_over, visits) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let browsers = (0..8).map(|_| Browser { addr: daemon.listen("shop"), cookie: None });
    let wandering: Vec<_> = browsers
        .map(|browser| tokio::spawn(wander(browser, is_over.clone(), visits.clone())))
        .collect();
    let visited = async || {
        let goal = visits.load(Ordering::Relaxed) + 100;
        let is_there = async || (visits.load(Ordering::Relaxed) >= goal).then_some(());
        wait::until("they visit", is_there).await;
    };
    visited().await;
    match daemon.restart("shop").await {
        Ok(Done::Restarted(receipt)) => assert_proof(&receipt, 3),
        other => panic!("not restarted but {other:?}"),
    }
    visited().await;
    is_over.store(true, Ordering::Relaxed);
    let mut moves = 0;
    for wanderer in wandering {
        let (mut browser, moved) = wanderer.await.unwrap();
        moves += moved;
        let at = browser.visit().await;
        for _ in 0..5 {
            assert_eq!(browser.visit().await, at);
        }
    }
    // Each instance was away once, and nobody can have been told to go but by that.
    assert!((1..=24).contains(&moves), "{moves} moves in {visits:?} visits");
    let snapshot = daemon
        .until("all is answered", |snapshot| look::service(snapshot, "shop").ledger.in_flight == 0);
    let ledger = look::service(&snapshot.await, "shop").ledger;
    assert_eq!((ledger.lost, ledger.refused, ledger.accepted), (0, 0, ledger.completed));
}
