//! A new configuration while everything runs: what it touches changes without a loss, and what it
//! does not touch is not touched.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::symlink;
use std::process::Output;

use bytes::Bytes;
use http::Request as HttpRequest;
use smoothserve_protocol::event::{Cause, EventKind};
use smoothserve_protocol::id::Generation;
use smoothserve_protocol::message::{Done, Push, Request};
use smoothserve_protocol::plan::{ChangeKind, ReloadReport};
use smoothserve_protocol::snapshot::{ServiceState, Snapshot};
use smoothserve_tests::command::CommandConnection;
use smoothserve_tests::daemon::{TestDaemon, name, tool_at};
use smoothserve_tests::http::Unfinished;
use smoothserve_tests::load::{Load, LoadPlan};
use smoothserve_tests::process::Signal;
use smoothserve_tests::setup::{Service, Setup};
use smoothserve_tests::{http as client, look, ports, wait};
use tokio::net::TcpStream;

use crate::agree::{assert_nothing_lost, assert_proof, ended_without_loss, ledger_agrees};

fn plan() -> LoadPlan {
    LoadPlan { clients: 16, ..LoadPlan::brisk() }
}

fn said(output: &Output) -> String {
    let [out, err] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    format!("{}\nstdout:\n{out}\nstderr:\n{err}", output.status)
}

fn is_known(snapshot: &Snapshot, service: &str) -> bool {
    snapshot.services.iter().any(|one| one.row.name.as_str() == service)
}

fn is_quiet(snapshot: &Snapshot, service: &str) -> bool {
    look::service(snapshot, service).operation.is_none()
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// The kind of change that a report tells for each service.
fn kinds(report: &ReloadReport) -> Vec<(&str, ChangeKind)> {
    report.services.iter().map(|plan| (plan.service.as_str(), plan.kind)).collect()
}

/// Reloads, and checks that nothing was wrong.
async fn reloaded(daemon: &TestDaemon) -> ReloadReport {
    let report = daemon.reload().await;
    assert!(report.applied && report.problems.is_empty(), "{report:#?}");
    report
}

/// A request that is inside an instance of a service until the test ends it.
async fn inside(daemon: &TestDaemon, service: &str) -> Unfinished {
    let host = format!("{service}.example");
    let request = Unfinished::begin(daemon.listen(service), &host).await.expect("it listens");
    let is_inside = |snapshot: &Snapshot| {
        look::service(snapshot, service).instances.iter().any(|one| one.in_flight > 0)
    };
    daemon.until("the request is inside", is_inside).await;
    request
}

/// Waits until nobody listens at `addr`.
async fn refused_at(addr: SocketAddr) {
    let refuses = async || TcpStream::connect(addr).await.is_err().then_some(());
    wait::until("connections are refused", refuses).await;
}

async fn shop_and_blog() -> TestDaemon {
    let setup = Setup::of(Service::new("shop").instances(2).room_for(4));
    setup.service(Service::new("blog").instances(1)).start_ready().await.expect("they serve")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_says_what_would_be_done_and_does_nothing() {
    let daemon = shop_and_blog().await;
    let before = daemon.snapshot().await;
    let file = daemon.folder.service_file("shop");
    let (text, new) = (fs::read_to_string(&file).unwrap(), daemon.folder.service_file("new"));
    daemon.folder.set("shop", "instance_count", "4").unwrap();
    daemon.folder.add(&Service::new("new").instances(1)).unwrap();
    let output = daemon.tool(&["reload", "--plan"]).await.unwrap();
    // Before they have been there for long enough to be acted on.
    fs::write(&file, text).unwrap();
    fs::remove_file(new).unwrap();

    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(shown.contains("shop") && shown.contains("instance_count 2 -> 4"), "{shown}");
    assert!(shown.contains("new") && shown.contains("added, 1 instance on port"), "{shown}");
    let report = reloaded(&daemon).await;
    assert_eq!((kinds(&report), report.unchanged), (Vec::new(), 2), "{report:#?}");
    let after = daemon.snapshot().await;
    assert_eq!(after.services.len(), 2, "{}", look::summary(&after));
    for service in ["shop", "blog"] {
        assert_eq!(look::pids(&after, service), look::pids(&before, service));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_appears_is_a_service_that_is_served() {
    let daemon = shop_and_blog().await;
    let before = look::pids(&daemon.snapshot().await, "shop");
    daemon.folder.add(&Service::new("asked").instances(1).option("start-ms=300")).unwrap();
    let output = daemon.tool(&["reload"]).await.unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    // The first request waits for the first instance.
    assert_eq!(client::get(daemon.listen("asked"), "/").await.unwrap().status, 200);

    daemon.folder.add(&Service::new("seen").instances(1)).unwrap();
    let is_ready =
        |snapshot: &Snapshot| is_known(snapshot, "seen") && look::ready(snapshot, "seen") == 1;
    let snapshot = daemon.until("the other one is there by itself", is_ready).await;
    assert_eq!(client::get(daemon.listen("seen"), "/").await.unwrap().status, 200);
    assert_eq!(look::pids(&snapshot, "shop"), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_not_enabled_is_added_and_not_started() {
    let daemon = shop_and_blog().await;
    daemon.folder.add(&Service::new("idle").instances(1).key("enabled", "false")).unwrap();
    reloaded(&daemon).await;
    let snapshot = daemon.snapshot().await;
    assert_eq!(look::service(&snapshot, "idle").row.state, ServiceState::Stopped);
    assert_eq!(client::get(daemon.listen("idle"), "/").await.unwrap().status, 503);
    assert!(daemon.start_service("idle").await.is_ok());
    assert_eq!(client::get(daemon.listen("idle"), "/").await.unwrap().status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_whose_file_is_gone_finishes_what_it_has_and_stops() {
    let daemon = shop_and_blog().await;
    let snapshot = daemon.snapshot().await;
    let (shop, blog) = (look::pids(&snapshot, "shop"), look::pids(&snapshot, "blog"));
    let (addr, request) = (daemon.listen("blog"), inside(&daemon, "blog").await);
    fs::remove_file(daemon.folder.service_file("blog")).unwrap();
    let report = reloaded(&daemon).await;
    assert_eq!(kinds(&report), [("blog", ChangeKind::Removed)]);
    refused_at(addr).await;
    request.finish().await.unwrap();
    let snapshot = daemon.until("it is forgotten", |snapshot| !is_known(snapshot, "blog")).await;
    assert!(!smoothserve_tests::process::is_running(blog[0]));
    assert_eq!(look::pids(&snapshot, "shop"), shop);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_comes_back_in_time_was_never_gone() {
    let daemon = shop_and_blog().await;
    let before = look::pids(&daemon.snapshot().await, "shop");
    let load = Load::start(daemon.listen("shop"), plan());
    let [shop, blog] = ["shop", "blog"].map(|name| daemon.folder.service_file(name));
    let text = fs::read_to_string(&shop).unwrap();
    fs::remove_file(&shop).unwrap();
    // Somebody else's file, seen with it: the loss was noticed.
    daemon.folder.set("blog", "drain_timeout", "7s").unwrap();
    let is_applied = |kind: &EventKind| matches!(kind, EventKind::ConfigApplied { .. });
    wait::until("it was noticed", async || {
        daemon.events().await.iter().any(|event| is_applied(&event.kind)).then_some(())
    })
    .await;
    fs::remove_file(&blog).unwrap();
    fs::write(&shop, text).unwrap();

    let snapshot = daemon.until("the other is gone", |snapshot| !is_known(snapshot, "blog")).await;
    assert_eq!(look::pids(&snapshot, "shop"), before, "{}", look::summary(&snapshot));
    load.answered(50).await;
    let report = load.stop().await;
    report.assert_nothing_lost();
    assert_eq!(report.refused, 0, "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn instances_are_added_and_taken_away_under_load_and_the_others_are_not_touched() {
    let daemon = shop_and_blog().await;
    let before = look::pids(&daemon.snapshot().await, "shop");
    let load = Load::start(daemon.listen("shop"), plan());
    load.answered(50).await;
    for count in [4, 2, 3, 1, 2] {
        daemon.folder.set("shop", "instance_count", &count.to_string()).unwrap();
        let report = reloaded(&daemon).await;
        assert_eq!(kinds(&report), [("shop", ChangeKind::Scale)]);
        let fits = |snapshot: &Snapshot| {
            look::service(snapshot, "shop").instances.len() == count
                && look::ready(snapshot, "shop") == count
                && is_quiet(snapshot, "shop")
        };
        let snapshot = daemon.until(&format!("there are {count}"), fits).await;
        assert_eq!(look::pids(&snapshot, "shop")[0], before[0]);
        if count > 1 {
            load.answered(50).await;
        }
    }
    let report = ended_without_loss(load, &daemon, "shop").await;
    report.assert_executed_once(&daemon.record());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_environment_is_brought_by_a_rolling_restart_that_loses_nothing() {
    let daemon = shop_and_blog().await;
    let blog = look::pids(&daemon.snapshot().await, "blog");
    let load = Load::start(daemon.listen("shop"), plan());
    load.answered(50).await;
    let env =
        format!("{{FIXTURE_RECORD: \"{}\", MODE: new}}", daemon.folder.record_file().display());
    daemon.folder.set("shop", "env", &env).unwrap();
    let report = reloaded(&daemon).await;
    assert_eq!(kinds(&report), [("shop", ChangeKind::Restart)]);
    let is_done = |snapshot: &Snapshot| look::service(snapshot, "shop").receipts.len() == 1;
    let snapshot = daemon.until("it is restarted", is_done).await;
    let receipt = &look::service(&snapshot, "shop").receipts[0];
    assert_proof(receipt, 2);
    let Cause::ConfigChanged(what) = &receipt.cause else { panic!("{receipt:#?}") };
    assert!(what.iter().any(|line| line.contains("MODE")), "{what:?}");
    for pid in look::pids(&snapshot, "shop") {
        let set = fs::read_to_string(format!("/proc/{pid}/environ")).unwrap();
        assert!(set.split('\0').any(|pair| pair == "MODE=new"), "{set}");
    }
    assert_eq!(look::pids(&snapshot, "blog"), blog);
    load.answered(50).await;
    let report = ended_without_loss(load, &daemon, "shop").await;
    report.assert_executed_once(&daemon.record());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_concerns_no_process_takes_effect_at_once_and_touches_nobody() {
    let daemon = shop_and_blog().await;
    let before = daemon.snapshot().await;
    daemon.folder.set("shop", "drain_timeout", "7s").unwrap();
    let report = reloaded(&daemon).await;
    assert_eq!(kinds(&report), [("shop", ChangeKind::Live)]);
    let Ok(Done::RestartPlan(plan)) =
        daemon.ask(Request::PlanRestart { service: name("shop") }).await
    else {
        panic!("no plan");
    };
    assert_eq!(plan.drain_timeout_ms, 7000);
    let after = daemon.snapshot().await;
    let [old, new] = [&before, &after].map(|snapshot| {
        (look::pids(snapshot, "shop"), look::service(snapshot, "shop").row.generation)
    });
    assert_eq!(old, new);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_file_leaves_its_service_as_it_was_and_everybody_is_told() {
    let daemon = shop_and_blog().await;
    let before = look::pids(&daemon.snapshot().await, "shop");
    daemon.folder.set("shop", "instance_count", "many").unwrap();
    daemon.folder.set("blog", "drain_timeout", "7s").unwrap();
    let output = daemon.tool(&["reload"]).await.unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    let file = daemon.folder.service_file("shop").display().to_string();
    let names_it = |text: &str| text.contains(&file) && text.contains("many");
    assert!(names_it(&String::from_utf8_lossy(&output.stderr)), "{}", said(&output));
    assert!(daemon.log().contains("many"), "{}", daemon.log());

    let snapshot = daemon.snapshot().await;
    let shop = look::service(&snapshot, "shop");
    assert!(shop.row.stale_config, "{shop:#?}");
    assert!(shop.config_problem.as_deref().is_some_and(names_it), "{shop:#?}");
    assert!(look::service(&snapshot, "blog").config_problem.is_none());
    assert_eq!(look::pids(&snapshot, "shop"), before);
    let status = daemon.tool(&["status"]).await.unwrap();
    assert!(said(&status).contains("many"), "{}", said(&status));
    let events = daemon.events().await;
    let rejected = events.iter().filter(|event| {
        let tells = |problem: &str| event.service == Some(name("shop")) && names_it(problem);
        matches!(&event.kind, EventKind::ConfigRejected { problem } if tells(problem))
    });
    assert_eq!(rejected.count(), 1, "{events:#?}");
    let applied = events.iter().filter(|event| {
        event.service == Some(name("blog")) && matches!(event.kind, EventKind::ConfigApplied { .. })
    });
    assert_eq!(applied.count(), 1, "{events:#?}");

    // It can still be restarted: with what it had.
    let Ok(Done::Restarted(receipt)) = daemon.restart("shop").await else { panic!() };
    assert_proof(&receipt, 2);
    daemon.folder.set("shop", "instance_count", "2").unwrap();
    let report = reloaded(&daemon).await;
    assert_eq!((kinds(&report), report.unchanged), (Vec::new(), 2));
    let snapshot = daemon.snapshot().await;
    let shop = look::service(&snapshot, "shop");
    assert!(!shop.row.stale_config && shop.config_problem.is_none(), "{shop:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_main_file_changes_nothing_at_all() {
    let daemon = shop_and_blog().await;
    let before = daemon.snapshot().await;
    daemon.folder.set_main("ProxyPrt", "1").unwrap();
    daemon.folder.set("blog", "drain_timeout", "7s").unwrap();
    let output = daemon.tool(&["reload"]).await.unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains("ProxyPrt"), "{}", said(&output));
    let snapshot = daemon.snapshot().await;
    let problem = snapshot.daemon.config_problem.as_deref().unwrap_or_default();
    assert!(problem.contains("ProxyPrt"), "{problem}");
    let applied = |kind: &EventKind| matches!(kind, EventKind::ConfigApplied { .. });
    assert!(!daemon.events().await.iter().any(|event| applied(&event.kind)));
    assert_eq!(look::pids(&snapshot, "shop"), look::pids(&before, "shop"));

    let file = daemon.folder.config_file();
    let text = fs::read_to_string(&file).unwrap().replace("ProxyPrt: 1\n", "");
    fs::write(&file, text).unwrap();
    let report = reloaded(&daemon).await;
    assert_eq!(kinds(&report), [("blog", ChangeKind::Live)]);
    assert_eq!(daemon.snapshot().await.daemon.config_problem, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_moves_to_another_port_loses_nothing() {
    let daemon = shop_and_blog().await;
    let before = look::pids(&daemon.snapshot().await, "shop");
    let (old, port) = (daemon.listen("shop"), ports::take(1));
    let at_old = Load::start(old, plan());
    at_old.answered(100).await;
    daemon.folder.set("shop", "port", &port.to_string()).unwrap();
    let output = daemon.tool(&["reload"]).await.unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    // It is bound when the reload is done: nobody is refused there.
    let at_new = Load::start(daemon.listen("shop"), plan());
    at_new.answered(100).await;
    refused_at(old).await;
    at_old.until("the clients of the old one are sent away", |one| one.refused() >= 16).await;
    let (at_old, at_new) = (at_old.stop().await, at_new.stop().await);
    at_old.assert_nothing_lost();
    at_new.assert_nothing_lost();
    assert_eq!(at_new.refused, 0, "{at_new}");
    let record = daemon.record();
    at_old.assert_executed_once(&record);
    at_new.assert_executed_once(&record);
    let snapshot = daemon.snapshot().await;
    assert_eq!(look::pids(&snapshot, "shop"), before);
    assert_nothing_lost(&look::service(&snapshot, "shop").ledger);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_is_taken_refuses_the_whole_reload() {
    let daemon = shop_and_blog().await;
    let before = daemon.snapshot().await;
    let (old, port) = (daemon.listen("shop"), ports::take(1));
    let stranger = std::net::TcpListener::bind(loopback(port)).unwrap();
    daemon.folder.set("shop", "port", &port.to_string()).unwrap();
    daemon.folder.set("blog", "drain_timeout", "7s").unwrap();
    let output = daemon.tool(&["reload"]).await.unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains(&port.to_string()), "{}", said(&output));
    let snapshot = daemon.snapshot().await;
    assert!(snapshot.daemon.config_problem.is_some(), "{}", look::summary(&snapshot));
    for service in ["shop", "blog"] {
        assert_eq!(look::pids(&snapshot, service), look::pids(&before, service));
    }
    assert_eq!(client::get(old, "/").await.unwrap().status, 200);
    let applied = |kind: &EventKind| matches!(kind, EventKind::ConfigApplied { .. });
    assert!(!daemon.events().await.iter().any(|event| applied(&event.kind)));

    drop(stranger);
    let report = reloaded(&daemon).await;
    assert_eq!(kinds(&report), [("blog", ChangeKind::Live), ("shop", ChangeKind::Live)]);
    assert_eq!(client::get(loopback(port), "/").await.unwrap().status, 200);
    assert_eq!(daemon.snapshot().await.daemon.config_problem, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_port_moves_while_a_console_stays_on_the_old_one() {
    let daemon = shop_and_blog().await;
    let mut console = daemon.open().await.unwrap();
    let subscribe = Request::Subscribe { focus: None, events_after: None };
    assert_eq!(console.ask(subscribe).await.unwrap(), Ok(Done::Subscribed));
    let (old, new) = (daemon.command(), loopback(ports::take(1)));
    daemon.folder.set_main("CommandPort", &new.port().to_string()).unwrap();
    // The answer comes on the connection on which it was asked.
    let output = daemon.tool(&["reload"]).await.unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let token = daemon.folder.token_file();
    let status = tool_at(&new.to_string(), &token, &["status"]).await.unwrap();
    assert_eq!(status.status.code(), Some(0), "{}", said(&status));
    refused_at(old).await;

    // What happens is still told there, and asked there.
    let mut there = CommandConnection::open(new, &token).await.unwrap();
    let stop = Request::Stop {
        service: name("blog"),
        force: false,
        timeout_ms: None,
        expected: None,
        wait: true,
    };
    assert!(matches!(there.ask(stop).await.unwrap(), Ok(Done::Stopped { .. })));
    let is_stopped = |push: &Push| match push {
        Push::Overview(overview) => overview
            .services
            .iter()
            .any(|row| row.name == name("blog") && row.state == ServiceState::Stopped),
        Push::Bye { reason } => panic!("sent away: {reason}"),
        _ => false,
    };
    while !is_stopped(&console.told().await.unwrap()) {}
    let start = Request::Start { service: name("blog"), wait: true };
    assert!(matches!(console.ask(start).await.unwrap(), Ok(Done::Started { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hangup_reads_the_configuration_again() {
    let daemon = shop_and_blog().await;
    daemon.folder.set("shop", "instance_count", "3").unwrap();
    daemon.signal(Signal::HUP).unwrap();
    daemon.until("there are three", |snapshot| look::ready(snapshot, "shop") == 3).await;
    assert_eq!(client::get(daemon.listen("shop"), "/").await.unwrap().status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_gets_another_name_keeps_its_ports_and_loses_nothing() {
    let setup = Setup::of(Service::new("shop").instances(2).option("exit-on-term-ms=50"));
    let daemon = setup.start_ready().await.unwrap();
    let addr = daemon.listen("shop");
    let mut before = look::pids(&daemon.snapshot().await, "shop");
    let load = Load::start(addr, plan());
    load.answered(50).await;
    let request = inside(&daemon, "shop").await;
    daemon.folder.set("shop", "name", "store").unwrap();
    let report = reloaded(&daemon).await;
    assert_eq!(kinds(&report), [("shop", ChangeKind::Removed), ("store", ChangeKind::Added)]);
    request.finish().await.unwrap();
    let is_swapped =
        |snapshot: &Snapshot| !is_known(snapshot, "shop") && look::ready(snapshot, "store") == 2;
    let snapshot = daemon.until("the one is gone and the other serves", is_swapped).await;
    load.answered(50).await;
    let report = load.stop().await;
    report.assert_nothing_lost();
    assert_eq!(report.refused, 0, "{report}");
    report.assert_executed_once(&daemon.record());
    before.retain(|pid| look::pids(&snapshot, "store").contains(pid));
    assert!(before.is_empty(), "{}", look::summary(&snapshot));
    assert_nothing_lost(&look::service(&daemon.snapshot().await, "store").ledger);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_gets_another_name_touches_nobody() {
    let daemon = shop_and_blog().await;
    let before = look::pids(&daemon.snapshot().await, "shop");
    let load = Load::start(daemon.listen("shop"), plan());
    load.answered(20).await;
    let moved = daemon.folder.service_file("moved");
    fs::rename(daemon.folder.service_file("shop"), &moved).unwrap();
    reloaded(&daemon).await;
    let snapshot = daemon.snapshot().await;
    assert_eq!(look::pids(&snapshot, "shop"), before, "{}", look::summary(&snapshot));
    let shop = look::service(&snapshot, "shop");
    assert_eq!(shop.source, moved.display().to_string());
    assert!(shop.operation.is_none() && shop.config_problem.is_none(), "{shop:#?}");
    load.answered(20).await;
    load.stop().await.assert_nothing_lost();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_count_that_changes_during_a_restart_waits_for_the_turn_under_way() {
    let service = Service::new("shop").instances(2).room_for(4).key("min_ready_time", "500ms");
    let daemon = Setup::of(service).start_ready().await.unwrap();
    let load = Load::start(daemon.listen("shop"), plan());
    load.answered(50).await;
    let restart = daemon.restart("shop");
    let change = async {
        let is_under_way = |snapshot: &Snapshot| !is_quiet(snapshot, "shop");
        daemon.until("it restarts", is_under_way).await;
        daemon.folder.set("shop", "instance_count", "4").unwrap();
        reloaded(&daemon).await;
    };
    let (restarted, ()) = tokio::join!(restart, change);
    // Whoever waited for the restart has got one: of all four.
    let Ok(Done::Restarted(receipt)) = restarted else { panic!("{restarted:?}") };
    assert_proof(&receipt, 4);
    let fits =
        |snapshot: &Snapshot| look::ready(snapshot, "shop") == 4 && is_quiet(snapshot, "shop");
    let snapshot = daemon.until("there are four", fits).await;
    let shop = look::service(&snapshot, "shop");
    let generations: Vec<Generation> = shop.instances.iter().map(|one| one.generation).collect();
    assert!(generations.iter().all(|one| *one == shop.row.generation), "{generations:?}");
    load.answered(50).await;
    ended_without_loss(load, &daemon, "shop").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_names_lead_to_other_services_and_what_is_inside_goes_on() {
    let port = ports::take(1).to_string();
    let [shop, blog] = ["shop", "blog"].map(|name| {
        let host = format!("{name}.example");
        Service::new(name).instances(1).key("port", &port).key("server_name", &host)
    });
    let daemon = Setup::of(shop).service(blog).start_ready().await.unwrap();
    let addr = daemon.listen("shop");
    let whose = async |host: &str| {
        let request = HttpRequest::get("/").header("host", host).body(Bytes::new()).unwrap();
        let answer = client::send(addr, request).await.unwrap();
        (answer.status.as_u16(), answer.header("x-instance").to_owned())
    };
    let snapshot = daemon.snapshot().await;
    let [shop, blog] = ["shop", "blog"]
        .map(|name| (200, look::service(&snapshot, name).instances[0].port.to_string()));
    assert_eq!((whose("shop.example").await, whose("blog.example").await), (shop, blog.clone()));

    let request = inside(&daemon, "shop").await;
    daemon.folder.set("shop", "server_name", "new.example").unwrap();
    daemon.folder.set("blog", "server_name", "\"blog.example, shop.example\"").unwrap();
    let report = reloaded(&daemon).await;
    assert_eq!(kinds(&report), [("blog", ChangeKind::Live), ("shop", ChangeKind::Live)]);
    assert_eq!(whose("shop.example").await, blog);
    assert_eq!(whose("new.example").await.0, 200);
    assert_eq!(whose("else.example").await.0, 404);
    request.finish().await.unwrap();
    let after = daemon.snapshot().await;
    assert_eq!(look::pids(&after, "shop"), look::pids(&snapshot, "shop"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_service_stays_stopped_whatever_its_file_says() {
    let daemon = shop_and_blog().await;
    daemon.stop("shop").await.unwrap();
    daemon.folder.set("shop", "instance_count", "3").unwrap();
    daemon.folder.set("shop", "stop_timeout", "5s").unwrap();
    reloaded(&daemon).await;
    let snapshot = daemon.snapshot().await;
    assert_eq!(look::service(&snapshot, "shop").row.state, ServiceState::Stopped);
    assert!(look::pids(&snapshot, "shop").is_empty());
    assert!(daemon.start_service("shop").await.is_ok());
    assert_eq!(look::ready(&daemon.snapshot().await, "shop"), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_reload_after_the_other_loses_nothing() {
    let daemon = shop_and_blog().await;
    let load = Load::start(daemon.listen("shop"), plan());
    for turn in 0..10 {
        daemon.folder.set("shop", "drain_timeout", &format!("{}s", 60 + turn)).unwrap();
        reloaded(&daemon).await;
        load.answered(20).await;
    }
    ended_without_loss(load, &daemon, "shop").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_file_that_is_seen_and_mended_by_itself_leaves_no_trace() {
    let daemon = shop_and_blog().await;
    let before = look::pids(&daemon.snapshot().await, "shop");
    daemon.folder.set("shop", "instance_count", "many").unwrap();
    let is_stale = |snapshot: &Snapshot| look::service(snapshot, "shop").row.stale_config;
    daemon.until("it is seen", is_stale).await;
    daemon.folder.set("shop", "instance_count", "2").unwrap();
    let snapshot = daemon.until("it is mended", |snapshot| !is_stale(snapshot)).await;
    assert_eq!(look::pids(&snapshot, "shop"), before);
    let plain = daemon.tool(&["status", "--plain"]).await.unwrap();
    assert!(!said(&plain).contains("stale"), "{}", said(&plain));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_is_not_there_takes_nobody_away() {
    let daemon = shop_and_blog().await;
    let before = look::pids(&daemon.snapshot().await, "shop");
    let program = daemon.folder.program("shop");
    let nothing = program.with_extension("gone");
    daemon.folder.set("shop", "executable_path", &nothing.display().to_string()).unwrap();
    daemon.reload().await;
    let is_told = async || daemon.log().contains("fixture-backend.gone").then_some(());
    wait::until("it is told", is_told).await;
    let snapshot = daemon.until("it is quiet", |snapshot| is_quiet(snapshot, "shop")).await;
    assert_eq!(look::pids(&snapshot, "shop"), before, "{}", look::summary(&snapshot));
    daemon.folder.set("shop", "executable_path", &program.display().to_string()).unwrap();
    reloaded(&daemon).await;
    let is_done =
        |snapshot: &Snapshot| is_quiet(snapshot, "shop") && look::ready(snapshot, "shop") == 2;
    daemon.until("it is quiet", is_done).await;
    let Ok(Done::Restarted(receipt)) = daemon.restart("shop").await else { panic!() };
    assert_proof(&receipt, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_comes_back_while_it_goes_is_served_again() {
    let daemon = shop_and_blog().await;
    let before = look::pids(&daemon.snapshot().await, "blog");
    let request = inside(&daemon, "blog").await;
    let file = daemon.folder.service_file("blog");
    let text = fs::read_to_string(&file).unwrap();
    fs::remove_file(&file).unwrap();
    reloaded(&daemon).await;
    fs::write(&file, text).unwrap();
    let report = reloaded(&daemon).await;
    assert_eq!(kinds(&report), [("blog", ChangeKind::Added)]);
    // Whoever comes now waits until the one before it has gone, unless it is that one.
    let next = client::get(daemon.listen("blog"), "/");
    let (next, finished) = tokio::join!(next, request.finish());
    finished.unwrap();
    assert_eq!(next.unwrap().status, 200);
    let snapshot = daemon
        .until("it is ready", |snapshot| {
            is_known(snapshot, "blog") && look::ready(snapshot, "blog") == 1
        })
        .await;
    let after = look::pids(&snapshot, "blog");
    let running = smoothserve_tests::process::running_from(&daemon.folder.app("blog"));
    assert_eq!(running, after, "{before:?}");
    assert!(daemon.restart("blog").await.is_ok());
}

/// Waits for the end of the rolling restart that a reload began, and checks it.
async fn restarted(daemon: &TestDaemon, service: &str, instances: u16) {
    let is_done = |snapshot: &Snapshot| {
        !look::service(snapshot, service).receipts.is_empty() && is_quiet(snapshot, service)
    };
    let snapshot = daemon.until("it is restarted", is_done).await;
    assert_proof(&look::service(&snapshot, service).receipts[0], instances);
}

#[tokio::test(flavor = "multi_thread")]
async fn instances_that_move_on_by_one_port_lose_nothing() {
    let setup = Setup::of(Service::new("shop").room_for(4));
    let daemon = setup.start_ready().await.unwrap();
    let load = Load::start(daemon.listen("shop"), plan());
    load.answered(50).await;
    let first = look::service(&daemon.snapshot().await, "shop").instances[0].port;
    daemon.folder.set("shop", "start_instance_port", &(first + 1).to_string()).unwrap();
    let report = reloaded(&daemon).await;
    assert_eq!(kinds(&report), [("shop", ChangeKind::Restart)]);
    restarted(&daemon, "shop", 3).await;
    let snapshot = daemon.snapshot().await;
    let mut ports: Vec<u16> =
        look::service(&snapshot, "shop").instances.iter().map(|one| one.port).collect();
    ports.sort_unstable();
    assert_eq!(ports, [first + 1, first + 2, first + 3]);
    load.answered(50).await;
    let report = load.stop().await;
    report.assert_nothing_lost();
    ledger_agrees(&daemon, "shop", &report).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn services_that_exchange_the_ports_of_their_instances_get_them() {
    let setup = Setup::of(Service::new("shop").instances(2));
    let daemon = setup.service(Service::new("blog").instances(2)).start_ready().await.unwrap();
    let loads = ["shop", "blog"].map(|service| Load::start(daemon.listen(service), plan()));
    let before = daemon.snapshot().await;
    let first = |snapshot: &Snapshot, service| look::service(snapshot, service).instances[0].port;
    let (shop, blog) = (first(&before, "shop"), first(&before, "blog"));
    daemon.folder.set("shop", "start_instance_port", &blog.to_string()).unwrap();
    daemon.folder.set("blog", "start_instance_port", &shop.to_string()).unwrap();
    reloaded(&daemon).await;
    let is_done = |snapshot: &Snapshot| {
        [("shop", blog), ("blog", shop)].into_iter().all(|(service, port)| {
            let detail = look::service(snapshot, service);
            let ports: Vec<u16> = detail.instances.iter().map(|one| one.port).collect();
            look::ready(snapshot, service) == 2
                && is_quiet(snapshot, service)
                && ports == [port, port + 1]
        })
    };
    daemon.until("they have exchanged them", is_done).await;
    for load in loads {
        load.answered(20).await;
        load.stop().await.assert_nothing_lost();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ports_that_have_wandered_are_not_in_the_way_of_other_instances() {
    let service = Service::new("shop").room_for(6).key("restart_order", "start-first");
    let daemon = Setup::of(service).start_ready().await.unwrap();
    let load = Load::start(daemon.listen("shop"), plan());
    load.answered(50).await;
    for count in [4, 2, 3] {
        let Ok(Done::Restarted(receipt)) = daemon.restart("shop").await else { panic!() };
        assert!(receipt.min_ready >= receipt.of && receipt.ledger.held == 0, "{receipt:#?}");
        daemon.folder.set("shop", "instance_count", &count.to_string()).unwrap();
        reloaded(&daemon).await;
        let fits = |snapshot: &Snapshot| {
            look::service(snapshot, "shop").instances.len() == count
                && look::ready(snapshot, "shop") == count
                && is_quiet(snapshot, "shop")
        };
        daemon.until(&format!("there are {count}"), fits).await;
    }
    // The other order finds its way back.
    daemon.folder.set("shop", "restart_order", "stop-first").unwrap();
    reloaded(&daemon).await;
    daemon.until("it is quiet", |snapshot| is_quiet(snapshot, "shop")).await;
    let Ok(Done::Restarted(receipt)) = daemon.restart("shop").await else { panic!() };
    assert_proof(&receipt, 3);
    load.answered(50).await;
    let report = load.stop().await;
    report.assert_nothing_lost();
    ledger_agrees(&daemon, "shop", &report).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn service_files_that_move_to_another_folder_touch_nobody() {
    let daemon = shop_and_blog().await;
    let before = daemon.snapshot().await;
    let (old, new) = (daemon.folder.path().join("services"), daemon.folder.path().join("moved"));
    fs::rename(old, &new).unwrap();
    daemon.folder.set_main("SubConfigDir", "moved").unwrap();
    let output = daemon.tool(&["reload"]).await.unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    // What appears there is seen.
    let text = fs::read_to_string(new.join("shop.yaml")).unwrap();
    let text = text.replace("instance_count: 2", "instance_count: 3");
    fs::write(new.join("shop.yaml"), text).unwrap();
    let is_more = |snapshot: &Snapshot| look::ready(snapshot, "shop") == 3;
    let after = daemon.until("there are three", is_more).await;
    assert_eq!(look::pids(&after, "shop")[..2], look::pids(&before, "shop"));
    assert_eq!(look::pids(&after, "blog"), look::pids(&before, "blog"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_removed_during_its_restart_ends_it_and_goes() {
    let daemon = shop_and_blog().await;
    let load = Load::start(daemon.listen("shop"), plan());
    load.answered(20).await;
    let request = inside(&daemon, "blog").await;
    let change = async {
        daemon.until("it restarts", |snapshot| !is_quiet(snapshot, "blog")).await;
        fs::remove_file(daemon.folder.service_file("blog")).unwrap();
        reloaded(&daemon).await;
    };
    let (refused, ()) = tokio::join!(daemon.restart("blog"), change);
    assert!(refused.is_err(), "{refused:?}");
    request.finish().await.unwrap();
    daemon.until("it is gone", |snapshot| !is_known(snapshot, "blog")).await;
    load.stop().await.assert_nothing_lost();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_is_missing_for_a_moment_takes_no_service_away() {
    let daemon = shop_and_blog().await;
    let before = daemon.snapshot().await;
    let folder = daemon.folder.path().join("services");
    let away = folder.with_extension("away");
    fs::rename(&folder, &away).unwrap();
    let is_told = |snapshot: &Snapshot| snapshot.daemon.config_problem.is_some();
    daemon.until("it is told", is_told).await;
    fs::rename(&away, &folder).unwrap();
    daemon.until("it is mended", |snapshot| !is_told(snapshot)).await;
    daemon.folder.set("shop", "instance_count", "3").unwrap();
    let is_more = |snapshot: &Snapshot| look::ready(snapshot, "shop") == 3;
    let after = daemon.until("what changes is seen again", is_more).await;
    assert_eq!(look::pids(&after, "shop")[..2], look::pids(&before, "shop"));
    assert_eq!(look::pids(&after, "blog"), look::pids(&before, "blog"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_linked_folder_that_is_switched_is_read_again() {
    let folder = Setup::of(Service::new("shop").instances(2).room_for(4)).write().unwrap();
    let path = folder.path().to_owned();
    fs::rename(path.join("services"), path.join("one")).unwrap();
    fs::create_dir(path.join("two")).unwrap();
    let text = fs::read_to_string(path.join("one/shop.yaml")).unwrap();
    let text = text.replace("instance_count: 2", "instance_count: 3");
    fs::write(path.join("two/shop.yaml"), text).unwrap();
    symlink("one", path.join("services")).unwrap();
    let daemon = TestDaemon::start(folder).await.unwrap();
    daemon.until("there are two", |snapshot| look::ready(snapshot, "shop") == 2).await;
    symlink("two", path.join("next")).unwrap();
    fs::rename(path.join("next"), path.join("services")).unwrap();
    daemon.until("there are three", |snapshot| look::ready(snapshot, "shop") == 3).await;
    daemon.folder.set("shop", "instance_count", "4").unwrap();
    daemon.until("there are four", |snapshot| look::ready(snapshot, "shop") == 4).await;
}
