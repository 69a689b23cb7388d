//! What goes wrong on a server sooner or later: taken ports, programs that will not go, names
//! nobody knows. Each is named, and costs nobody else anything.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use smoothserve_protocol::event::EventKind;
use smoothserve_protocol::failure::FailReason;
use smoothserve_protocol::id::Slot;
use smoothserve_protocol::message::{Done, Refusal, Request as Question};
use smoothserve_protocol::snapshot::{InstanceState, ServiceState};
use smoothserve_tests::daemon::{TestDaemon, run_to_exit};
use smoothserve_tests::http::Answer;
use smoothserve_tests::load::{Load, LoadPlan};
use smoothserve_tests::process::{self, Signal};
use smoothserve_tests::setup::{Folder, Service, Setup};
use smoothserve_tests::{http as client, look, ports, wait};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::agree::{assert_proof, ledger_agrees};

fn is_long() -> bool {
    env::var_os("SMOOTH_LONG").is_some()
}

async fn get_host(daemon: &TestDaemon, service: &str, host: &str, path: &str) -> Answer {
    let request = Request::get(path).header("host", host).body(Bytes::new());
    let request = request.expect("a test names its hosts well");
    client::send(daemon.listen(service), request).await.expect("there is an answer")
}

/// What the daemon noted so far.
async fn events(daemon: &TestDaemon) -> Vec<EventKind> {
    match daemon.ask(Question::Events { after: None, limit: 500 }).await {
        Ok(Done::Events(batch)) => batch.events.into_iter().map(|event| event.kind).collect(),
        other => panic!("no events but {other:?}"),
    }
}

/// The first port of a service's instances.
fn first_port(folder: &Folder, service: &str) -> anyhow::Result<u16> {
    let text = fs::read_to_string(folder.service_file(service))?;
    let line = text.lines().find_map(|line| line.strip_prefix("start_instance_port: "));
    Ok(line.unwrap_or_default().parse()?)
}

// ---- ports ------------------------------------------------------------------------------------

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_on_a_port_is_named_and_stands_in_nobody_elses_way() {
    let folder = Setup::of(Service::new("shop")).write().unwrap();
    let taken = first_port(&folder, "shop").unwrap() + 1;
    let stranger = TcpListener::bind((Ipv4Addr::LOCALHOST, taken)).unwrap();
    let daemon = TestDaemon::start(folder).await.unwrap();
    let snapshot = daemon
        .until("it is noticed", |snapshot| {
            look::service(snapshot, "shop").instances[1].failure.is_some()
        })
        .await;
    let shop = look::service(&snapshot, "shop");
    assert_eq!((look::ready(&snapshot, "shop"), shop.row.state), (2, ServiceState::Degraded));
    let instance = &shop.instances[1];
    let Some(FailReason::PortTaken { port, holder }) =
        instance.failure.as_ref().map(|failure| failure.reason.clone())
    else {
        panic!("{}", look::summary(&snapshot));
    };
    assert_eq!(port, taken);
    assert!(holder.starts_with(&format!("pid {} ", std::process::id())), "{holder}");
    // It is no crash, so it never ends the tries.
    assert_eq!((instance.failures, instance.state), (0, InstanceState::Backoff));
    assert!(instance.retry_ms.is_some_and(|retry| retry <= 10_000), "{instance:?}");
    for _ in 0..6 {
        assert_eq!(client::get(daemon.listen("shop"), "/").await.unwrap().status, 200);
    }

    drop(stranger);
    // By itself within ten seconds; a start does not wait for them.
    if !is_long() {
        let started = daemon.start_service("shop").await;
        assert!(matches!(started, Ok(Done::Started { instances: 1, .. })), "{started:?}");
    }
    daemon.until("it is back", |snapshot| look::ready(snapshot, "shop") == 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_public_port_that_is_taken_starts_nothing() {
    let folder = Setup::of(Service::new("shop")).write().unwrap();
    let stranger = TcpListener::bind(folder.listen("shop").unwrap()).unwrap();
    let output = run_to_exit(&folder.config_file()).await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    let addr = stranger.local_addr().unwrap().to_string();
    let holder = format!("held by pid {} ", std::process::id());
    assert!(said.contains(&addr) && said.contains(&holder), "{said}");
    assert_eq!(said.matches("already in use").count(), 1, "{said}");
    assert_eq!(process::running_from(folder.path()), [] as [u32; 0], "an instance was started");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_the_machine_has_not_starts_nothing() {
    let folder = Setup::of(Service::new("shop")).write().unwrap();
    // Kept for documents (RFC 5737 3): no machine has it.
    folder.set_main("ProxyAddr", "192.0.2.1").unwrap();
    let output = run_to_exit(&folder.config_file()).await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    let addr = format!("192.0.2.1:{}", folder.listen("shop").unwrap().port());
    assert!(said.contains(&format!("cannot listen on {addr}")), "{said}");
    assert!(said.contains("this machine has no such address"), "{said}");
    assert_eq!(process::running_from(folder.path()), [] as [u32; 0], "an instance was started");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_daemon_names_the_first_and_leaves_it_alone() {
    let daemon = Setup::of(Service::new("shop")).start_ready().await.unwrap();
    let before = look::pids(&daemon.snapshot().await, "shop");
    let left = || {
        let folder = daemon.folder.path();
        let records = fs::read_dir(folder.join("smoothserve.runs")).unwrap();
        let names = records.map(|record| record.unwrap().file_name().into_string().unwrap());
        let records: BTreeSet<String> = names.filter(|name| !name.ends_with(".new")).collect();
        (fs::read(folder.join("smoothserve.token")).unwrap(), records)
    };
    let whole = async || Some(left()).filter(|(_, records)| records.len() == 3);
    let (token, records) = wait::until("each has a record", whole).await;

    let output = run_to_exit(&daemon.folder.config_file()).await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    let holder =
        format!("already running with this configuration: pid {} smoothserve", daemon.pid());
    let lock = daemon.folder.path().join("smoothserve.lock").display().to_string();
    assert!(said.contains(&holder) && said.contains(&lock), "{said}");
    assert_eq!(look::pids(&daemon.snapshot().await, "shop"), before);
    assert_eq!(left(), (token, records));
    assert_eq!(client::get(daemon.listen("shop"), "/").await.unwrap().status, 200);
}

// ---- programs ---------------------------------------------------------------------------------

fn variable(pid: u32, name: &str) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/environ")).ok()?;
    let mut pairs = text.split('\0').filter_map(|pair| pair.split_once('='));
    pairs.find(|(found, _)| *found == name).map(|(_, value)| value.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_instances_use_of_the_machine_is_seen() {
    let daemon = Setup::of(Service::new("shop").instances(2)).start_ready().await.unwrap();
    let snapshot = daemon
        .until("their memory was read", |snapshot| {
            look::service(snapshot, "shop").instances.iter().all(|i| i.rss_bytes.is_some())
        })
        .await;
    for instance in &look::service(&snapshot, "shop").instances {
        let rss_bytes = instance.rss_bytes.unwrap();
        assert!((1 << 20..1 << 30).contains(&rss_bytes), "{rss_bytes}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_env_file_is_read_afresh_at_each_restart() {
    let folder =
        Setup::of(Service::new("shop").instances(2).key("env_file", "./shop.env")).write().unwrap();
    let file = folder.path().join("shop.env");
    fs::write(&file, "MODE=first\n").unwrap();
    let daemon = TestDaemon::start(folder).await.unwrap();
    let modes = async || {
        let pids = look::pids(&daemon.snapshot().await, "shop");
        pids.into_iter().map(|pid| variable(pid, "MODE").unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(modes().await, ["first", "first"]);
    fs::write(&file, "MODE=second\n").unwrap();
    assert!(daemon.restart("shop").await.is_ok());
    assert_eq!(modes().await, ["second", "second"]);

    // What is wrong with it is found before anything is touched.
    for (text, problem) in [(Some("MODE"), "line 1"), (None, "No such file")] {
        match text {
            Some(text) => fs::write(&file, text).unwrap(),
            None => fs::remove_file(&file).unwrap(),
        }
        let refusal = daemon.restart("shop").await.unwrap_err();
        let Refusal::Preflight { problem: found } = &refusal else { panic!("{refusal:?}") };
        assert!(found.contains("shop.env") && found.contains(problem), "{found}");
        assert_eq!(modes().await, ["second", "second"]);
    }
}

/// Restarts three instances of the shop while clients are at it, and counts with them.
async fn restart_under_load(daemon: &TestDaemon) {
    let load = Load::start(daemon.listen("shop"), LoadPlan { clients: 8, ..LoadPlan::brisk() });
    load.answered(50).await;
    let Ok(Done::Restarted(receipt)) = daemon.restart("shop").await else { panic!() };
    assert_proof(&receipt, 3);
    let report = load.stop().await;
    report.assert_nothing_lost();
    ledger_agrees(daemon, "shop", &report).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrapper_that_does_not_exec_is_restarted_with_its_program() {
    let folder = Setup::of(Service::new("shop")).write().unwrap();
    let wrapper = folder.app("shop").join("run.sh");
    // A last command of its own, or the shell would exec the other.
    fs::write(&wrapper, "#!/bin/sh\n./fixture-backend \"$@\"\nexit $?\n").unwrap();
    fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755)).unwrap();
    let file = folder.service_file("shop");
    let program = folder.program("shop").display().to_string();
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace(&program, &wrapper.display().to_string())).unwrap();

    let daemon = TestDaemon::start(folder).await.unwrap();
    let snapshot = daemon.until("it is up", |snapshot| look::ready(snapshot, "shop") == 3).await;
    let shells = look::pids(&snapshot, "shop");
    let programs = process::running_from(daemon.folder.path());
    assert!(shells.iter().all(|shell| !programs.contains(shell)), "{shells:?} {programs:?}");
    assert_eq!(programs.len(), 3);

    restart_under_load(&daemon).await;
    assert!(programs.iter().all(|pid| !process::is_running(*pid)), "left behind");
    daemon.stop("shop").await.unwrap();
    assert_eq!(process::running_from(daemon.folder.path()), [] as [u32; 0], "left behind");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_ignores_term_is_killed_after_its_time() {
    let service = Service::new("shop").option("ignore-term").key("stop_timeout", "300ms");
    let daemon = Setup::of(service).start_ready().await.unwrap();
    let before = look::pids(&daemon.snapshot().await, "shop");
    restart_under_load(&daemon).await;
    assert!(!before.iter().any(|pid| process::is_running(*pid)));
    let is_kill = |kind: &EventKind| matches!(kind, EventKind::Killed { after_ms: 300.. });
    assert_eq!(events(&daemon).await.iter().filter(|kind| is_kill(kind)).count(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_crashes_ten_times_is_left_until_it_is_started() {
    // Two minutes of waiting between the crashes.
    if !is_long() {
        return;
    }
    let daemon = Setup::of(Service::new("shop")).start_ready().await.unwrap();
    daemon.folder.next_build("shop", "exit-at-start=1").unwrap();
    let victim = look::pids(&daemon.snapshot().await, "shop")[2];
    process::send(victim, Signal::KILL).unwrap();
    let has_failed = async || {
        let snapshot = daemon.snapshot().await;
        (look::service(&snapshot, "shop").instances[2].state == InstanceState::Failed).then_some(())
    };
    assert!(wait::within(Duration::from_secs(180), has_failed).await.is_some());
    let snapshot = daemon.snapshot().await;
    assert_eq!(look::service(&snapshot, "shop").instances[2].failures, 10);
    assert_eq!(look::ready(&snapshot, "shop"), 2);
    daemon.folder.next_build("shop", "").unwrap();
    let started = daemon.start_service("shop").await;
    assert!(matches!(started, Ok(Done::Started { instances: 1, .. })), "{started:?}");
    assert_eq!(look::ready(&daemon.snapshot().await, "shop"), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_third_term_ends_everything_at_once() {
    let service = Service::new("shop").option("ignore-term").key("stop_timeout", "60");
    let mut daemon = Setup::of(service).start_ready().await.unwrap();
    let shop = daemon.listen("shop");
    let stream = tokio::spawn(client::get(shop, "/stream?ms=60000&chunks=60"));
    daemon
        .until("the stream has begun", |snapshot| {
            look::service(snapshot, "shop").row.traffic.in_flight == 1
        })
        .await;
    daemon.signal(Signal::TERM).unwrap();
    daemon.until("it stops", |snapshot| snapshot.daemon.stopping).await;
    // Two more; a signal that is still pending would swallow the next.
    wait::until("it has gone", async || {
        daemon.signal(Signal::TERM).expect("it may be signalled");
        (!process::is_running(daemon.pid())).then_some(())
    })
    .await;
    daemon.exited().await.unwrap();
    assert!(stream.await.unwrap().is_err(), "a cut answer must not look whole");
    assert_eq!(process::running_from(daemon.folder.path()), [] as [u32; 0], "left behind");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_daemon_left_behind_stands_in_nobodys_way() {
    let mut daemon = Setup::of(Service::new("shop")).start_ready().await.unwrap();
    let left = look::pids(&daemon.snapshot().await, "shop");
    daemon.signal(Signal::KILL).unwrap();
    daemon.exited().await.unwrap();
    assert!(left.iter().all(|pid| process::is_running(*pid)), "they go with their daemon");

    daemon.start_again().await.unwrap();
    let snapshot = daemon.snapshot().await;
    assert_eq!(look::ready(&snapshot, "shop"), 3, "{}", look::summary(&snapshot));
    assert!(!left.iter().any(|pid| process::is_running(*pid)), "they are still there");
    assert_eq!(client::get(daemon.listen("shop"), "/").await.unwrap().status, 200);

    // A daemon that ends by itself leaves nothing to be ended.
    daemon.signal(Signal::TERM).unwrap();
    daemon.exited().await.unwrap();
    let records = daemon.folder.path().join("smoothserve.runs");
    assert_eq!(fs::read_dir(records).unwrap().count(), 0);
}

// ---- requests ---------------------------------------------------------------------------------

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_that_would_cut_a_request_says_which_and_changes_nothing() {
    let service = Service::new("shop").instances(1).key("drain_timeout", "700ms");
    let service = service.key("tunnel_grace", "0");
    let daemon = Setup::of(service).start_ready().await.unwrap();
    let shop = daemon.listen("shop");
    let before = look::pids(&daemon.snapshot().await, "shop");
    let stream = tokio::spawn(client::get(shop, "/stream?ms=4000&chunks=4"));
    daemon
        .until("the stream has begun", |snapshot| {
            look::service(snapshot, "shop").row.traffic.in_flight == 1
        })
        .await;
    let refusal = daemon.restart("shop").await.unwrap_err();
    let Refusal::DrainTimedOut { slot, in_flight, limit_ms, receipt, .. } = refusal else {
        panic!("{refusal:?}");
    };
    assert_eq!((slot, in_flight, limit_ms, receipt.done), (Slot(0), 1, 700, false));
    let said = daemon.tool(&["restart", "shop"]).await.unwrap();
    assert_eq!(said.status.code(), Some(1), "{said:?}");
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    for part in ["shop-1", "1 request", "700ms"] {
        assert!(said.contains(part), "{part} is not in {said}");
    }
    assert_eq!(client::get(shop, "/").await.unwrap().status, 200);
    assert_eq!(stream.await.unwrap().unwrap().status, 200);
    assert_eq!(look::pids(&daemon.snapshot().await, "shop"), before);
}

/// A service of one instance that is away, and will be for a while.
async fn away(service: Service) -> anyhow::Result<TestDaemon> {
    let daemon = Setup::of(service.instances(1)).start_ready().await?;
    daemon.folder.next_build("shop", "start-ms=3000")?;
    let request = Question::Restart {
        service: smoothserve_tests::daemon::name("shop"),
        drain_timeout_ms: None,
        on_drain_timeout: None,
        expected: None,
        join: true,
        wait: false,
    };
    anyhow::ensure!(daemon.ask(request).await.is_ok());
    daemon.until("it is away", |snapshot| look::ready(snapshot, "shop") == 0).await;
    Ok(daemon)
}

fn assert_unavailable(answer: &Answer, reason: &str) {
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{answer:?}");
    assert!(answer.header("retry-after").parse::<u32>().is_ok(), "{answer:?}");
    assert!(answer.text().contains(reason), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_waited_for_hold_timeout_is_told_to_come_back() {
    let daemon = away(Service::new("shop").key("hold_timeout", "200ms")).await.unwrap();
    let answer = client::get(daemon.listen("shop"), "/").await.unwrap();
    assert_unavailable(&answer, "no instance of shop became ready");
    daemon.until("it is back", |snapshot| look::ready(snapshot, "shop") == 1).await;
    assert_eq!(client::get(daemon.listen("shop"), "/").await.unwrap().status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_when_hold_max_wait_is_told_to_come_back() {
    let daemon = away(Service::new("shop").key("hold_max", "2")).await.unwrap();
    let shop = daemon.listen("shop");
    let waiting = [tokio::spawn(client::get(shop, "/")), tokio::spawn(client::get(shop, "/"))];
    daemon
        .until("two wait", |snapshot| look::service(snapshot, "shop").row.traffic.held == 2)
        .await;
    let answer = client::get(shop, "/").await.unwrap();
    assert_unavailable(&answer, "too many requests wait for shop");
    for answer in waiting {
        assert_eq!(answer.await.unwrap().unwrap().status, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_service_says_so_at_once() {
    let daemon = Setup::of(Service::new("shop")).start_ready().await.unwrap();
    daemon.stop("shop").await.unwrap();
    let answer = client::get(daemon.listen("shop"), "/").await.unwrap();
    assert_unavailable(&answer, "503 service shop is stopped: it serves again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_without_end_is_refused_and_kept_nowhere() {
    let daemon = Setup::of(Service::new("shop")).start_ready().await.unwrap();
    let stream = TcpStream::connect(daemon.listen("shop")).await.unwrap();
    let (mut reading, mut writing) = stream.into_split();
    let said = tokio::spawn(async move {
        writing.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: ").await?;
        writing.write_all(&vec![b'a'; 1024 * 1024]).await?;
        writing.write_all(b"\r\n\r\n").await
    });
    let mut heard = Vec::new();
    let closed = timeout(wait::LIMIT, reading.read_to_end(&mut heard)).await.unwrap();
    let heard = String::from_utf8_lossy(&heard);
    assert!(heard.starts_with("HTTP/1.1 431 "), "{closed:?} {heard}");
    // It may have been sent away before it had said everything.
    let _ = said.await.unwrap();
    let snapshot = daemon.snapshot().await;
    assert_eq!(look::service(&snapshot, "shop").ledger.accepted, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn services_on_one_port_are_told_apart_by_host_and_path() {
    let port = ports::take(1).to_string();
    let service = |name: &str, hosts: &str| {
        let service = Service::new(name).instances(1).key("port", &port);
        service.key("server_name", &format!("\"{hosts}\"")).option(&format!("generation={name}"))
    };
    let setup = Setup::of(service("shop", "example.com, www.example.com"))
        .service(service("admin", "example.com/admin, *.example.com/admin"))
        .service(service("wild", "*.example.com"));
    let daemon = setup.start_ready().await.unwrap();
    let answered = async |host: &str, path: &str| {
        let answer = get_host(&daemon, "shop", host, path).await;
        match answer.status.as_u16() {
            404 if answer.header("x-generation").is_empty() => "nobody".to_owned(),
            _ => answer.header("x-generation").to_owned(),
        }
    };
    for (host, path, service) in [
        ("example.com", "/", "shop"),
        ("EXAMPLE.com:8080", "/adm", "shop"),
        ("www.example.com", "/", "shop"),
        ("example.com", "/admin", "admin"),
        ("example.com", "/admin/users?a=b", "admin"),
        ("example.com", "/administrator", "shop"),
        ("other.example.com", "/", "wild"),
        ("other.example.com", "/admin/", "admin"),
        ("a.b.example.com", "/", "wild"),
        ("example.org", "/", "nobody"),
        ("badexample.com", "/", "nobody"),
    ] {
        assert_eq!(answered(host, path).await, service, "{host}{path}");
    }
    // One of them is away: its requests go to no other.
    daemon.stop("admin").await.unwrap();
    let answer = get_host(&daemon, "shop", "example.com", "/admin").await;
    assert_unavailable(&answer, "admin");
    assert_eq!(answered("example.com", "/").await, "shop");
}
