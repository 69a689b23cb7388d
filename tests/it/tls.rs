//! Clients inside TLS: what is promised to others is promised to them, and certificates are renewed
//! under them.

use std::fs;
use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use smoothserve_protocol::event::EventKind;
use smoothserve_protocol::message::Done;
use smoothserve_tests::daemon::{TestDaemon, run_to_exit};
use smoothserve_tests::load::{Load, LoadPlan, Mix};
use smoothserve_tests::process::resident_memory;
use smoothserve_tests::prometheus::Page;
use smoothserve_tests::setup::{Folder, Service, Setup};
use smoothserve_tests::tls::{Connection, Issued, Transport, issue, key};
use smoothserve_tests::{http, ports, wait};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::agree::{assert_proof, ended_without_loss};

const HOST: &str = "shop.example";

/// The folder of a daemon whose service `shop` is inside TLS, and the certificate.
fn folder(setup: Setup) -> anyhow::Result<(Folder, Issued)> {
    let folder = setup.key("metrics", "127.0.0.1:0").write()?;
    let issued = issue(folder.path(), HOST)?;
    folder.set_main("tls", &key(folder.listen("shop")?.port()))?;
    Ok((folder, issued))
}

async fn start(service: Service) -> anyhow::Result<(TestDaemon, Issued)> {
    let (folder, issued) = folder(Setup::of(service))?;
    let daemon = TestDaemon::start(folder).await?;
    daemon.until("all are ready", |snapshot| snapshot.daemon.ready == snapshot.daemon.wanted).await;
    Ok((daemon, issued))
}

fn believing(issued: &[&Issued]) -> Transport {
    Transport::tls(HOST, issued).expect("it is the name of a host")
}

fn plan(issued: &[&Issued]) -> LoadPlan {
    LoadPlan { clients: 16, transport: believing(issued), ..LoadPlan::brisk() }
}

async fn page(daemon: &TestDaemon) -> Page {
    let answer = http::get(daemon.metrics(), "/metrics").await.expect("there is a page");
    Page::read(&answer.text())
}

/// What the instance saw of a request, as it tells it.
async fn headers(connection: Box<dyn Connection>) -> anyhow::Result<String> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(connection)).await?;
    let request = hyper::Request::get("/headers").header("host", HOST);
    let request = request.body(Full::new(Bytes::new()))?;
    let answer = async move {
        let body = sender.send_request(request).await?.into_body().collect().await?;
        anyhow::Ok(String::from_utf8_lossy(&body.to_bytes()).into_owned())
    };
    tokio::join!(answer, connection).0
}

/// Waits until clients are shown this certificate.
async fn shown(addr: SocketAddr, issued: &Issued) {
    let transport = believing(&[issued]);
    wait::until("the certificate is shown", async || transport.connect(addr).await.ok()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_loses_nothing_inside_tls() {
    let (daemon, issued) = start(Service::new("shop")).await.unwrap();
    let load = Load::start(daemon.listen("shop"), plan(&[&issued]));
    load.answered(100).await;
    for _ in 0..2 {
        match daemon.restart("shop").await {
            Ok(Done::Restarted(receipt)) => assert_proof(&receipt, 3),
            other => panic!("not restarted but {other:?}"),
        }
        load.answered(100).await;
    }
    let report = ended_without_loss(load, &daemon, "shop").await;
    report.assert_executed_once(&daemon.record());
    assert!(report.ws_ok + report.ws_closed_by_drain > 0, "{report}");
    let page = page(&daemon).await;
    assert!(page.value("smoothserve_tls_handshakes_total", &[]) >= 16.0);
    assert_eq!(page.value("smoothserve_tls_handshakes_failed_total", &[]), 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_is_told_that_its_client_is_inside_tls() {
    let (daemon, issued) = start(Service::new("shop").instances(1)).await.unwrap();
    let connection = believing(&[&issued]).connect(daemon.listen("shop")).await.unwrap();
    let told = headers(connection).await.unwrap();
    assert!(told.contains("\"https\""), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_renewed_under_load_and_no_request_fails() {
    let (daemon, old) = start(Service::new("shop")).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let new = issue(folder.path(), HOST).unwrap();
    let load = Load::start(daemon.listen("shop"), plan(&[&old, &new]));
    load.answered(50).await;
    // The key comes first, and for a moment it belongs to nothing.
    for file in ["shop.key", "shop.pem"] {
        fs::copy(folder.path().join(file), daemon.folder.path().join(file)).unwrap();
    }
    shown(daemon.listen("shop"), &new).await;
    load.answered(50).await;
    ended_without_loss(load, &daemon, "shop").await;
    let late = believing(&[&old]).connect(daemon.listen("shop")).await;
    assert!(late.is_err(), "the old one is shown still");
    let log = daemon.log();
    assert!(log.contains("shop.pem: a new certificate for shop.example"), "{log}");
    assert!(!log.contains("stays in use"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_is_wrong_is_told_and_the_last_good_one_stays() {
    let (daemon, good) = start(Service::new("shop").instances(1)).await.unwrap();
    let addr = daemon.listen("shop");
    fs::write(daemon.folder.path().join("shop.pem"), "half a certif").unwrap();
    wait::until("it is told", async || {
        let is_told = |kind: &EventKind| {
            matches!(kind, EventKind::Warning { text }
                if text.contains("shop.pem: there is no certificate in it"))
        };
        daemon.events().await.iter().any(|event| is_told(&event.kind)).then_some(())
    })
    .await;
    shown(addr, &good).await;
    let report = daemon.reload().await;
    assert!(!report.applied && report.problems[0].contains("cannot be used"), "{report:?}");
    shown(addr, &good).await;
    let better = issue(daemon.folder.path(), HOST).unwrap();
    shown(addr, &better).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_begins_and_ends_to_speak_tls_at_a_reload() {
    let setup = Setup::of(Service::new("shop").instances(1));
    let daemon = setup.start_ready().await.unwrap();
    let addr = daemon.listen("shop");
    let early = Transport::Plain.connect(addr).await.unwrap();
    let issued = issue(daemon.folder.path(), HOST).unwrap();
    daemon.folder.set_main("tls", &key(addr.port())).unwrap();
    let report = daemon.reload().await;
    let line = format!("tls.{} added: for shop.example, until 4096-01-01", addr.port());
    assert_eq!(report.daemon, [line]);
    shown(addr, &issued).await;
    // Who was there before is served as before.
    assert!(headers(early).await.unwrap().contains("\"http\""));
    let answer = http::get(addr, "/").await.unwrap();
    assert_eq!((answer.status.as_u16(), answer.header("connection")), (400, "close"));

    daemon.folder.set_main("tls", "{}").unwrap();
    let report = daemon.reload().await;
    assert_eq!(report.daemon, [format!("tls.{} removed: plain HTTP from now on", addr.port())]);
    assert_eq!(http::get(addr, "/").await.unwrap().status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_without_services_sends_clients_to_https() {
    let (daemon, issued) = start(Service::new("shop").instances(1)).await.unwrap();
    let (secure, port) = (daemon.listen("shop").port(), ports::take(1));
    let addr = SocketAddr::from(([127, 0, 0, 1], port));
    assert!(http::get(addr, "/").await.is_err());
    daemon.folder.set_main("redirect_https", &format!("[{port}]")).unwrap();
    daemon.folder.set_main("hsts", "{max_age: 1h}").unwrap();
    let told = daemon.reload().await.daemon;
    let lines = [
        format!("redirect_https none -> {port} (to {secure})"),
        "hsts none -> {max_age: 3600s, include_subdomains: false}".to_owned(),
        format!("listens on {addr}"),
    ];
    assert_eq!(told, lines);
    let moved = http::get(addr, "/echo?a=b").await.unwrap();
    let location = format!("https://127.0.0.1:{secure}/echo?a=b");
    assert_eq!((moved.status.as_u16(), moved.header("location")), (308, location.as_str()));
    assert_eq!(moved.header("strict-transport-security"), "");
    // To the service that is reached by HTTPS alone, which knows no such path.
    let challenge = http::get(addr, "/.well-known/acme-challenge/token").await.unwrap();
    assert_eq!(
        (challenge.status.as_u16(), challenge.header("x-instance").is_empty()),
        (404, false)
    );
    assert_eq!(page(&daemon).await.value("smoothserve_requests_redirected_total", &[]), 1.0);

    let mut client = believing(&[&issued]).connect(daemon.listen("shop")).await.unwrap();
    client.write_all(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    assert!(answer.contains("\r\nstrict-transport-security: max-age=3600\r\n"), "{answer}");

    daemon.folder.set_main("redirect_https", "[]").unwrap();
    let told = daemon.reload().await.daemon;
    assert_eq!(told[1..], [format!("no longer listens on {addr}")]);
    wait::until("nobody listens", async || http::get(addr, "/").await.is_err().then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_does_not_begin_without_its_certificates() {
    let (folder, _) = folder(Setup::of(Service::new("shop"))).unwrap();
    fs::remove_file(folder.path().join("shop.key")).unwrap();
    let output = run_to_exit(&folder.config_file()).await.unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("the file of the key cannot be used: it does not exist"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_read_a_large_answer_inside_tls_costs_little_and_is_cut() {
    const CLIENTS: u64 = 40;
    // What the daemon itself takes more or less, from one moment to the next.
    const OWN: u64 = 8 * 1024 * 1024;
    let service = Service::new("shop").instances(1).key("write_timeout", "2s");
    let (daemon, issued) = start(service).await.unwrap();
    let mix = Mix { web_socket: 0, stream: 0, upload: 0, ..Mix::default() };
    let load = Load::start(daemon.listen("shop"), LoadPlan { mix, clients: 2, ..plan(&[&issued]) });
    // As much as those take who behave well, before anybody else is there.
    let mut before = 0;
    for _ in 0..10 {
        load.answered(50).await;
        before = before.max(resident_memory(daemon.pid()).unwrap());
    }
    let mut idle = Vec::new();
    for _ in 0..CLIENTS {
        let mut client = believing(&[&issued]).connect(daemon.listen("shop")).await.unwrap();
        let request = format!("GET /big?bytes=100000000 HTTP/1.1\r\nhost: {HOST}\r\n\r\n");
        client.write_all(request.as_bytes()).await.unwrap();
        client.flush().await.unwrap();
        idle.push(client);
    }
    let ledger = |snapshot: &smoothserve_protocol::snapshot::Snapshot| {
        smoothserve_tests::look::service(snapshot, "shop").ledger
    };
    let mut most = before;
    wait::until("all of them are cut", async || {
        most = most.max(resident_memory(daemon.pid()).unwrap());
        (ledger(&daemon.snapshot().await).client_aborted == CLIENTS).then_some(())
    })
    .await;
    let allowed = OWN + CLIENTS * 384 * 1024;
    assert!(most - before <= allowed, "{} bytes more, and {allowed} allowed", most - before);
    let report = load.stop().await;
    report.assert_nothing_lost();
    let ledger = ledger(&daemon.snapshot().await);
    assert_eq!((ledger.unaccounted(), ledger.all_lost()), (0, 0), "{ledger:?}");
}
