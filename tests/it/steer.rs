//! A rolling restart in the operator's hand: held, ended, given time, cut short, or done in another
//! order.

use std::process::Output;
use std::time::Duration;

use smoothserve_protocol::event::{Cause, EventKind};
use smoothserve_protocol::failure::{Exit, FailReason};
use smoothserve_protocol::id::{OperationId, Slot};
use smoothserve_protocol::message::{Done, Refusal, Request, Steer};
use smoothserve_protocol::snapshot::{InstanceState, OnDrainTimeout, Receipt, Snapshot, StepPhase};
use smoothserve_tests::binaries::{self, Program};
use smoothserve_tests::daemon::{TestDaemon, name};
use smoothserve_tests::http::Unfinished;
use smoothserve_tests::load::{Load, LoadPlan};
use smoothserve_tests::process::Signal;
use smoothserve_tests::setup::{Service, Setup};
use smoothserve_tests::{http, look, process, wait};
use tokio::process::Command;

use crate::agree::{assert_nothing_lost, assert_proof, ended_without_loss, ledger_agrees};

fn plan() -> LoadPlan {
    LoadPlan { clients: 16, ..LoadPlan::brisk() }
}

fn said(output: &Output) -> String {
    let [out, err] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    format!("{}\nstdout:\n{out}\nstderr:\n{err}", output.status)
}

/// Checks a command's exit code, and gives all it said.
async fn run(daemon: &TestDaemon, arguments: &[&str], code: i32) -> String {
    let output = daemon.tool(arguments).await.expect("the tool runs");
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", said(&output));
    said(&output)
}

fn restart(drain_timeout_ms: Option<u64>, on_drain_timeout: Option<OnDrainTimeout>) -> Request {
    Request::Restart {
        service: name("shop"),
        drain_timeout_ms,
        on_drain_timeout,
        expected: None,
        join: true,
        wait: true,
    }
}

fn is_quiet(snapshot: &Snapshot) -> bool {
    look::service(snapshot, "shop").operation.is_none()
}

fn is_draining(snapshot: &Snapshot) -> bool {
    look::count(snapshot, "shop", |one| one.state == InstanceState::Draining) > 0
}

fn ports(snapshot: &Snapshot) -> Vec<u16> {
    look::service(snapshot, "shop").instances.iter().map(|one| one.port).collect()
}

fn is_running(snapshot: &Snapshot) -> bool {
    let operation = look::service(snapshot, "shop").operation.as_ref();
    operation.is_some_and(|one| one.steps.iter().any(|step| step.phase == StepPhase::Running))
}

/// One instance, with a request inside that ends when the test wants.
async fn busy(service: Service) -> (TestDaemon, Unfinished) {
    let daemon = Setup::of(service.instances(1)).start_ready().await.expect("it serves");
    let request = Unfinished::begin(daemon.listen("shop"), "shop").await.expect("it listens");
    let is_inside =
        |snapshot: &Snapshot| look::count(snapshot, "shop", |one| one.in_flight > 0) > 0;
    daemon.until("the request is inside", is_inside).await;
    (daemon, request)
}

/// Waits until something happened.
async fn happened(daemon: &TestDaemon, what: &str, condition: impl Fn(&EventKind) -> bool) {
    wait::until(what, async || holds_event(daemon, &condition).await.then_some(())).await;
}

async fn holds_event(daemon: &TestDaemon, condition: impl Fn(&EventKind) -> bool) -> bool {
    daemon.events().await.iter().any(|event| condition(&event.kind))
}

fn proof(result: Result<Done, Refusal>, instances: u16) -> Receipt {
    let Ok(Done::Restarted(receipt)) = result else { panic!("not restarted but {result:?}") };
    assert_eq!((receipt.done, receipt.replaced), (true, instances), "{receipt:#?}");
    *receipt
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_restart_takes_no_further_turn_until_it_is_resumed() {
    let service = Service::new("shop").key("min_ready_time", "300ms");
    let daemon = Setup::of(service).start_ready().await.unwrap();
    let load = Load::start(daemon.listen("shop"), plan());
    load.answered(50).await;
    let steer = async {
        daemon.until("it restarts", is_running).await;
        let shown = run(&daemon, &["pause", "shop"], 0).await;
        assert!(shown.contains("is paused"), "{shown}");
        daemon.until("the turn under way is finished", |one| !is_running(one)).await;
        // Long enough for another turn, as the load goes.
        load.answered(400).await;
        let snapshot = daemon.snapshot().await;
        let operation = look::service(&snapshot, "shop").operation.clone().unwrap();
        assert!(!is_running(&snapshot) && operation.summary.done < 3, "{operation:#?}");
        assert!(matches!(operation.paused_by, Some(Cause::Operator(_))), "{operation:#?}");
        assert_eq!(look::ready(&snapshot, "shop"), 3, "{}", look::summary(&snapshot));
        let status = run(&daemon, &["status", "shop"], 0).await;
        assert!(status.contains("paused"), "{status}");
        run(&daemon, &["resume", &operation.summary.id.to_string()], 0).await;
    };
    let (restarted, ()) = tokio::join!(daemon.restart("shop"), steer);
    assert_proof(&proof(restarted, 3), 3);
    let report = load.stop().await;
    report.assert_nothing_lost();
    ledger_agrees(&daemon, "shop", &report).await;
    let kinds: Vec<bool> = daemon
        .events()
        .await
        .iter()
        .filter_map(|event| match &event.kind {
            EventKind::RolloutPaused { .. } => Some(true),
            EventKind::RolloutResumed { .. } => Some(false),
            _ => None,
        })
        .collect();
    assert_eq!(kinds, [true, false]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_abort_during_a_drain_reopens_the_door_and_signals_nobody() {
    let (daemon, request) = busy(Service::new("shop")).await;
    let before = look::pids(&daemon.snapshot().await, "shop");
    let steer = async {
        daemon.until("it drains", is_draining).await;
        run(&daemon, &["abort", "shop"], 0).await;
    };
    let (output, ()) = tokio::join!(daemon.tool(&["restart", "shop"]), steer);
    let output = output.unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("was ended by"), "{}", said(&output));
    let snapshot = daemon.snapshot().await;
    assert!(is_quiet(&snapshot) && look::ready(&snapshot, "shop") == 1);
    assert_eq!(look::pids(&snapshot, "shop"), before);
    assert!(!holds_event(&daemon, |kind| matches!(kind, EventKind::Stopping)).await);
    // At once, although another one is still inside.
    assert_eq!(http::get(daemon.listen("shop"), "/").await.unwrap().status, 200);
    request.finish().await.unwrap();
    let receipt = look::service(&snapshot, "shop").receipts[0].clone();
    assert!(!receipt.done && receipt.replaced == 0, "{receipt:#?}");
    assert_proof(&proof(daemon.restart("shop").await, 1), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_abort_after_the_signal_brings_the_instance_back_and_touches_no_other() {
    let daemon =
        Setup::of(Service::new("shop").option("start-ms=700")).start_ready().await.unwrap();
    let before = look::pids(&daemon.snapshot().await, "shop");
    let load = Load::start(daemon.listen("shop"), plan());
    load.answered(50).await;
    let steer = async {
        let starts = |one: &Snapshot| {
            look::count(one, "shop", |one| one.state == InstanceState::Starting) == 1
        };
        daemon.until("the new one starts", starts).await;
        daemon.steer("shop", Steer::Abort).await.unwrap();
    };
    let (restarted, ()) = tokio::join!(daemon.restart("shop"), steer);
    let Err(Refusal::Aborted { receipt, .. }) = restarted else { panic!("{restarted:?}") };
    assert_eq!((receipt.done, receipt.replaced), (false, 1), "{receipt:#?}");
    let snapshot = daemon.snapshot().await;
    assert_eq!(look::ready(&snapshot, "shop"), 3, "{}", look::summary(&snapshot));
    assert_eq!(look::pids(&snapshot, "shop")[1..], before[1..]);
    let report = load.stop().await;
    report.assert_nothing_lost();
    ledger_agrees(&daemon, "shop", &report).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_that_is_given_more_time_goes_on_beyond_its_deadline() {
    let service = Service::new("shop").key("drain_timeout", "5s");
    let (daemon, request) = busy(service).await;
    let steer = async {
        daemon.until("it drains", is_draining).await;
        run(&daemon, &["drain", "shop", "--extend", "60s"], 0).await;
        let is_late = |one: &Snapshot| {
            let drain = look::service(one, "shop").instances[0].drain.as_ref();
            drain.is_some_and(|drain| drain.since_ms > 5500)
        };
        daemon.until("its deadline has passed", is_late).await;
        request.finish().await.unwrap();
    };
    let (restarted, ()) = tokio::join!(daemon.restart("shop"), steer);
    let receipt = proof(restarted, 1);
    assert_proof(&receipt, 1);
    assert!(receipt.steps[0].drain_ms.is_some_and(|ms| ms > 5000), "{receipt:#?}");
    let extended =
        |kind: &EventKind| matches!(kind, EventKind::DrainExtended { by_ms: 60_000, .. });
    assert!(holds_event(&daemon, extended).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_operator_cuts_is_counted_as_cut() {
    let (daemon, request) = busy(Service::new("shop")).await;
    let steer = async {
        daemon.until("it drains", is_draining).await;
        // Nobody cuts by a slip of the hand.
        run(&daemon, &["drain", "shop", "--cut"], 2).await;
        run(&daemon, &["drain", "shop", "--cut", "--yes"], 0).await;
    };
    let (restarted, ()) = tokio::join!(daemon.restart("shop"), steer);
    let receipt = proof(restarted, 1);
    assert_eq!((receipt.ledger.cut, receipt.ledger.unaccounted()), (1, 0), "{receipt:#?}");
    assert!(request.finish().await.is_err());
    let cut = |kind: &EventKind| {
        matches!(kind, EventKind::DrainCut { in_flight: 1, by: Cause::Operator(_) })
    };
    assert!(holds_event(&daemon, cut).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_that_is_to_wait_waits_beyond_its_deadline() {
    let service = Service::new("shop").key("drain_timeout", "300ms").key("tunnel_grace", "100ms");
    let (daemon, request) = busy(service.key("on_drain_timeout", "wait")).await;
    let finish = async {
        let waits = |kind: &EventKind| match kind {
            EventKind::DrainWaits { overdue: true, in_flight: 1, blockers } => {
                blockers[0].path == "/upload"
            }
            _ => false,
        };
        happened(&daemon, "it waits on", waits).await;
        request.finish().await.unwrap();
    };
    let (restarted, ()) = tokio::join!(daemon.restart("shop"), finish);
    assert_proof(&proof(restarted, 1), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_that_is_to_cut_cuts_at_its_deadline() {
    let service = Service::new("shop").key("drain_timeout", "300ms").key("tunnel_grace", "100ms");
    let (daemon, request) = busy(service.key("on_drain_timeout", "cut")).await;
    let receipt = proof(daemon.restart("shop").await, 1);
    assert_eq!((receipt.ledger.cut, receipt.ledger.unaccounted()), (1, 0), "{receipt:#?}");
    assert!(request.finish().await.is_err());
    let cut =
        |kind: &EventKind| matches!(kind, EventKind::DrainCut { in_flight: 1, by: Cause::Daemon });
    assert!(holds_event(&daemon, cut).await, "{:#?}", daemon.events().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_restart_is_told_of_its_drains_counts_for_that_one() {
    let (daemon, request) = busy(Service::new("shop")).await;
    let before = look::pids(&daemon.snapshot().await, "shop");
    let refused = daemon.ask(restart(Some(200), None)).await;
    let Err(Refusal::DrainTimedOut { limit_ms: 200, .. }) = refused else { panic!("{refused:?}") };
    assert_eq!(look::pids(&daemon.snapshot().await, "shop"), before);
    let finish = async {
        let waits = |kind: &EventKind| matches!(kind, EventKind::DrainWaits { overdue: true, .. });
        happened(&daemon, "it waits on", waits).await;
        request.finish().await.unwrap();
    };
    let waiting = daemon.ask(restart(Some(200), Some(OnDrainTimeout::Wait)));
    let (waited, ()) = tokio::join!(waiting, finish);
    assert_proof(&proof(waited, 1), 1);
    let shown = run(&daemon, &["restart", "shop", "--plan"], 0).await;
    assert!(shown.contains("1m00 to end, then the restart ends"), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_holds_a_drain_is_named_in_the_wide_status() {
    let (daemon, request) = busy(Service::new("shop")).await;
    let steer = async {
        let is_named = |one: &Snapshot| {
            let drain = look::service(one, "shop").instances[0].drain.as_ref();
            drain.is_some_and(|drain| !drain.blockers.is_empty())
        };
        daemon.until("it is named", is_named).await;
        let shown = run(&daemon, &["status", "--wide"], 0).await;
        assert!(shown.contains("POST /upload") && shown.contains("127.0.0.1:"), "{shown}");
        daemon.steer("shop", Steer::Cut).await.unwrap();
    };
    let (restarted, ()) = tokio::join!(daemon.restart("shop"), steer);
    proof(restarted, 1);
    drop(request);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_course_can_only_be_changed_where_there_is_one() {
    let daemon = Setup::of(Service::new("shop")).start_ready().await.unwrap();
    for verb in ["pause", "resume", "abort"] {
        run(&daemon, &[verb, "shop"], 3).await;
        run(&daemon, &[verb, "shpo"], 4).await;
        run(&daemon, &[verb, "op-999"], 4).await;
    }
    run(&daemon, &["drain", "shop", "--extend", "5s"], 3).await;
    let begun = Request::Steer {
        service: name("shop"),
        operation: Some(OperationId(999)),
        steer: Steer::Abort,
    };
    let steer = async {
        daemon.until("it restarts", is_running).await;
        let refused = daemon.ask(begun).await;
        assert!(matches!(refused, Err(Refusal::NothingToSteer { .. })), "{refused:?}");
        run(&daemon, &["restart", "shop", "--no-join"], 5).await;
    };
    let (restarted, ()) = tokio::join!(daemon.restart("shop"), steer);
    assert_proof(&proof(restarted, 3), 3);
}

/// Restarts a service twice in the other order, under load, and gives its ports before, between and
/// after.
async fn start_first(instances: u16, port: u16) -> [Vec<u16>; 3] {
    let service = Service::new("shop")
        .instances(instances)
        .option("start-ms=200")
        .option("exit-on-term-ms=50")
        .key("start_instance_port", &port.to_string())
        .key("restart_order", "start-first");
    let daemon = Setup::of(service).start_ready().await.expect("it serves");
    let load = Load::start(daemon.listen("shop"), plan());
    load.answered(50).await;
    let mut seen = vec![ports(&daemon.snapshot().await)];
    for _ in 0..2 {
        let receipt = proof(daemon.restart("shop").await, instances);
        assert_proof(&receipt, instances);
        assert!(receipt.min_ready >= instances, "{receipt:#?}");
        assert_eq!(receipt.ledger.held, 0, "{receipt:#?}");
        load.answered(50).await;
        seen.push(ports(&daemon.snapshot().await));
    }
    let report = ended_without_loss(load, &daemon, "shop").await;
    report.assert_executed_once(&daemon.record());
    let running = process::running_from(daemon.folder.path());
    assert_eq!(running.len(), usize::from(instances), "{running:?}");
    seen.try_into().expect("there are three")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_instance_that_is_started_first_lets_nobody_wait() {
    let port = smoothserve_tests::ports::take(2);
    let seen = start_first(1, port).await;
    assert_eq!(seen, [vec![port], vec![port + 1], vec![port]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn three_instances_that_are_started_first_are_never_fewer_than_three() {
    let port = smoothserve_tests::ports::take(4);
    let seen = start_first(3, port).await;
    // Each takes the port that the one before it has left.
    let expected = [[0, 1, 2], [3, 0, 1], [2, 3, 0]];
    assert_eq!(seen, expected.map(|offsets| offsets.map(|offset| port + offset).to_vec()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_build_that_is_started_first_takes_nobody_away() {
    let service = Service::new("shop").room_for(4).key("restart_order", "start-first");
    let daemon = Setup::of(service).start_ready().await.unwrap();
    let before = daemon.snapshot().await;
    let load = Load::start(daemon.listen("shop"), plan());
    load.answered(50).await;
    daemon.folder.next_build("shop", "exit-at-start=3").unwrap();
    let refused = daemon.restart("shop").await;
    let Err(Refusal::Halted { slot: Slot(0), failure, receipt }) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(failure.reason, FailReason::ExitedBeforeReady(Exit::Code(3)), "{failure:?}");
    assert_eq!((receipt.replaced, receipt.min_ready), (0, 3), "{receipt:#?}");
    assert_nothing_lost(&receipt.ledger);
    load.answered(50).await;
    let after = daemon.snapshot().await;
    assert_eq!(look::ready(&after, "shop"), 3, "{}", look::summary(&after));
    assert_eq!(look::pids(&after, "shop"), look::pids(&before, "shop"));
    assert_eq!(ports(&after), ports(&before));
    let report = load.stop().await;
    report.assert_nothing_lost();
    ledger_agrees(&daemon, "shop", &report).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_abort_while_the_new_one_starts_beside_the_old_leaves_the_old() {
    let service = Service::new("shop").room_for(4).key("restart_order", "start-first");
    let daemon = Setup::of(service).start_ready().await.unwrap();
    let before = look::pids(&daemon.snapshot().await, "shop");
    daemon.folder.next_build("shop", "start-ms=20000").unwrap();
    let steer = async {
        daemon.until("it restarts", is_running).await;
        daemon.steer("shop", Steer::Abort).await.unwrap();
    };
    let (restarted, ()) = tokio::join!(daemon.restart("shop"), steer);
    assert!(matches!(restarted, Err(Refusal::Aborted { .. })), "{restarted:?}");
    let alone = |one: &Snapshot| look::pids(one, "shop") == before;
    daemon.until("the new one is gone", alone).await;
    assert_eq!(process::running_from(daemon.folder.path()).len(), 3);
    daemon.folder.next_build("shop", "").unwrap();
    assert_proof(&proof(daemon.restart("shop").await, 3), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_in_the_other_order_that_takes_too_long_leaves_the_old_one() {
    let service = Service::new("shop").room_for(2).key("restart_order", "start-first");
    let service = service.key("drain_timeout", "300ms").key("tunnel_grace", "100ms");
    let (daemon, request) = busy(service).await;
    let before = look::pids(&daemon.snapshot().await, "shop");
    let refused = daemon.restart("shop").await;
    let Err(Refusal::DrainTimedOut { in_flight: 1, blockers, receipt, .. }) = refused else {
        panic!("{refused:?}");
    };
    // That of the old one, although the new one drains by then.
    assert_eq!((blockers[0].path.as_str(), receipt.replaced), ("/upload", 0), "{receipt:#?}");
    let alone = |one: &Snapshot| look::pids(one, "shop") == before && look::ready(one, "shop") == 1;
    daemon.until("the old one serves alone", alone).await;
    request.finish().await.unwrap();
    assert_proof(&proof(daemon.restart("shop").await, 1), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn as_many_as_may_be_away_are_replaced_at_once() {
    let service = Service::new("shop").instances(4).key("max_unavailable", "2");
    let daemon = Setup::of(service.option("start-ms=300")).start_ready().await.unwrap();
    let load = Load::start(daemon.listen("shop"), plan());
    load.answered(50).await;
    let receipt = proof(daemon.restart("shop").await, 4);
    assert_proof(&receipt, 4);
    assert_eq!(receipt.min_ready, 2, "{receipt:#?}");
    load.answered(50).await;
    ended_without_loss(load, &daemon, "shop").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_says_what_stands_in_the_way_and_does_nothing() {
    let daemon = Setup::of(Service::new("shop")).start_ready().await.unwrap();
    let before = daemon.snapshot().await;
    let shown = run(&daemon, &["restart", "shop", "--plan"], 0).await;
    assert!(shown.contains("g1") && shown.contains("g2"), "{shown}");
    let program = daemon.folder.program("shop");
    std::fs::remove_file(&program).unwrap();
    let shown = run(&daemon, &["restart", "shop", "--plan"], 3).await;
    assert!(shown.contains(&program.display().to_string()), "{shown}");
    let after = daemon.snapshot().await;
    assert_eq!(look::pids(&after, "shop"), look::pids(&before, "shop"));
    assert!(is_quiet(&after) && look::service(&after, "shop").receipts.is_empty());
    let started = |kind: &EventKind| matches!(kind, EventKind::RolloutStarted { .. });
    assert!(!holds_event(&daemon, started).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_no_longer_changes_nothing() {
    let (daemon, request) = busy(Service::new("shop")).await;
    run(&daemon, &["restart", "shop", "--timeout", "300ms"], 124).await;
    request.finish().await.unwrap();
    let is_done = |one: &Snapshot| look::service(one, "shop").receipts.len() == 1;
    let snapshot = daemon.until("it is restarted all the same", is_done).await;
    assert_proof(&look::service(&snapshot, "shop").receipts[0], 1);
    // By then there is nothing to wait for.
    tokio::time::timeout(Duration::from_secs(30), run(&daemon, &["wait", "shop"], 0))
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_who_leaves_with_ctrl_c_changes_nothing() {
    let (daemon, request) = busy(Service::new("shop")).await;
    let mut tool = Command::new(binaries::path(Program::Tool).unwrap())
        .args(["restart", "shop", "--addr", &daemon.command().to_string(), "--token-file"])
        .arg(daemon.folder.token_file())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    daemon.until("it drains", is_draining).await;
    process::send(tool.id().unwrap(), Signal::INT).unwrap();
    let status = tokio::time::timeout(Duration::from_secs(30), tool.wait()).await.unwrap();
    assert_eq!(status.unwrap().code(), Some(130));
    assert!(!is_quiet(&daemon.snapshot().await));
    request.finish().await.unwrap();
    let is_done = |one: &Snapshot| look::service(one, "shop").receipts.len() == 1;
    let snapshot = daemon.until("it is restarted all the same", is_done).await;
    assert_proof(&look::service(&snapshot, "shop").receipts[0], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_build_takes_away_no_more_than_may_be_away() {
    let service = Service::new("shop").instances(4).key("max_unavailable", "2");
    let daemon = Setup::of(service).start_ready().await.unwrap();
    let before = look::pids(&daemon.snapshot().await, "shop");
    let load = Load::start(daemon.listen("shop"), plan());
    load.answered(50).await;
    daemon.folder.next_build("shop", "exit-at-start=3").unwrap();
    let refused = daemon.restart("shop").await;
    let Err(Refusal::Halted { receipt, .. }) = refused else { panic!("{refused:?}") };
    assert!(receipt.replaced == 0 && receipt.min_ready >= 2, "{receipt:#?}");
    load.answered(50).await;
    daemon.folder.next_build("shop", "").unwrap();
    let snapshot = daemon.until("all are back", |one| look::ready(one, "shop") == 4).await;
    assert_eq!(look::pids(&snapshot, "shop")[2..], before[2..]);
    let report = load.stop().await;
    report.assert_nothing_lost();
    ledger_agrees(&daemon, "shop", &report).await;
}

/// The daemon with a restart that was paused after its first turn, and its process ids by then.
async fn paused(daemon: &TestDaemon) -> Vec<u32> {
    daemon.until("it restarts", is_running).await;
    daemon.steer("shop", Steer::Pause).await.expect("there is one to pause");
    let snapshot = daemon.until("the turn is finished", |one| !is_running(one)).await;
    assert!(!is_quiet(&snapshot), "{}", look::summary(&snapshot));
    look::pids(&snapshot, "shop")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_restart_stays_so_whatever_the_configuration_does() {
    let service = Service::new("shop").key("min_ready_time", "300ms");
    let daemon = Setup::of(service).start_ready().await.unwrap();
    let load = Load::start(daemon.listen("shop"), plan());
    let steer = async {
        let before = paused(&daemon).await;
        daemon.folder.set("shop", "stop_signal", "INT").unwrap();
        daemon.folder.set("shop", "args", "[\"-port={port}\", \"--idle-ms=60000\"]").unwrap();
        assert!(daemon.reload().await.applied);
        load.answered(400).await;
        let snapshot = daemon.snapshot().await;
        assert_eq!(look::pids(&snapshot, "shop"), before, "{}", look::summary(&snapshot));
        daemon.steer("shop", Steer::Resume).await.unwrap();
    };
    let (restarted, ()) = tokio::join!(daemon.restart("shop"), steer);
    assert_proof(&proof(restarted, 3), 3);
    for pid in look::pids(&daemon.snapshot().await, "shop") {
        let words = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap();
        assert!(words.contains("--idle-ms=60000"), "{words}");
    }
    load.stop().await.assert_nothing_lost();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_outranks_a_pause() {
    let service = Service::new("shop").key("min_ready_time", "300ms");
    let daemon = Setup::of(service).start_ready().await.unwrap();
    let steer = async {
        paused(&daemon).await;
        assert!(daemon.stop("shop").await.is_ok());
    };
    let (restarted, ()) = tokio::join!(daemon.restart("shop"), steer);
    assert!(matches!(restarted, Err(Refusal::Superseded { .. })), "{restarted:?}");
    assert!(daemon.start_service("shop").await.is_ok());
    assert_eq!(look::ready(&daemon.snapshot().await, "shop"), 3);
    assert_proof(&proof(daemon.restart("shop").await, 3), 3);
}
