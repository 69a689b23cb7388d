//! One verb after the other.

use smoothserve_protocol::event::{Cause, Event, EventBatch, EventKind};
use smoothserve_protocol::failure::{FailReason, Failure};
use smoothserve_protocol::id::{EventSeq, Generation, OperationId, Slot};
use smoothserve_protocol::message::{Done, Push, Refusal, Request};
use smoothserve_protocol::snapshot::{InstanceState, OnDrainTimeout, ServiceDetail, ServiceState};

use super::fake::{Act, Fake, answer, ended, run};
use super::samples::{
    NOON, degraded, failure, name, paused, receipt, restarting, service, snapshot,
};
use crate::cli::target::Place;

fn push(service: ServiceDetail) -> Act {
    Act::Push(Push::Service(Some(Box::new(service))))
}

/// Shows these services and refuses everything else.
fn showing(services: fn() -> Vec<ServiceDetail>) -> impl FnMut(&Request) -> Vec<Act> + Send {
    move |request| match request {
        Request::Status => answer(Ok(Done::Status(Box::new(snapshot(services()))))),
        _ => answer(Err(Refusal::NotPermitted)),
    }
}

fn three() -> Vec<ServiceDetail> {
    let stopped = service("worker", ServiceState::Stopped, &[InstanceState::Stopped]);
    vec![restarting(), degraded(), stopped]
}

#[tokio::test]
async fn status_shows_a_table() {
    let fake = Fake::start(showing(three)).await;
    let usual = fake.run("status").await;
    ended(&usual, 0);
    let wide = fake.run("status --wide billing").await;
    insta::assert_snapshot!(format!("{}\n{}", usual.stdout, wide.stdout));
}

#[tokio::test]
async fn status_names_what_is_paused_stale_or_waited_for() {
    let mut ill = service("ill", ServiceState::Failed, &[InstanceState::Unhealthy]);
    let reason = FailReason::Unhealthy { probe_error: "status 503".into() };
    ill.instances[0].failure = Some(Failure { reason, uptime_ms: 9_000, last_output: Vec::new() });
    let mut shown = snapshot(vec![paused(), ill]);
    shown.daemon.config_problem = Some("error: no such folder\n --> /srv/smooth.yaml:1:1".into());
    let fake = Fake::start(move |_| answer(Ok(Done::Status(Box::new(shown.clone()))))).await;
    let (usual, wide) = (fake.run("status").await, fake.run("status --wide api").await);
    ended(&usual, 0);
    ended(&wide, 0);
    let (plain, why) = (fake.run("status --plain api").await, fake.run("why api").await);
    assert!(plain.stdout.ends_with("\top-17\tstale\n"), "{}", plain.stdout);
    insta::assert_snapshot!([usual.stdout, wide.stdout, why.stdout].join("\n"));
}

#[tokio::test]
async fn why_tells_how_the_last_restart_failed() {
    let mut failed = receipt();
    (failed.done, failed.halted) = (false, Some("api-2 crashed".into()));
    failed.failure = Some((Slot(1), failure()));
    let recovered = ServiceDetail { receipts: vec![failed], ..ready() };
    let mut still_failing = recovered.clone();
    still_failing.instances[0].failure = Some(failure());
    let mut text = String::new();
    for detail in [recovered, still_failing] {
        let shown = snapshot(vec![detail]);
        let fake = Fake::start(move |_| answer(Ok(Done::Status(Box::new(shown.clone()))))).await;
        text += &fake.run("why api").await.stdout;
    }
    insta::assert_snapshot!(text);
}

#[tokio::test]
async fn status_in_json_is_a_contract() {
    let fake = Fake::start(showing(three)).await;
    let ran = fake.run("status --json").await;
    ended(&ran, 0);
    let value: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    insta::assert_snapshot!(serde_json::to_string_pretty(&value).unwrap());
}

#[tokio::test]
async fn status_in_plain_is_tab_separated() {
    let fake = Fake::start(showing(three)).await;
    let ran = fake.run("status --plain").await;
    insta::assert_snapshot!(ran.stdout.replace('\t', "|"));
}

#[tokio::test]
async fn status_check_tells_by_its_exit_code() {
    let fake = Fake::start(showing(three)).await;
    ended(&fake.run("status --check").await, 3);
    ended(&fake.run("status --check api").await, 0);
    ended(&fake.run("status --check worker").await, 3);
    let unknown = fake.run("status biling").await;
    ended(&unknown, 4);
    assert!(unknown.stderr.contains("did you mean billing?"), "{}", unknown.stderr);
}

#[tokio::test]
async fn a_restart_shows_how_it_goes_and_its_receipt() {
    let fake = Fake::start(|request| match request {
        Request::Restart { .. } => {
            vec![push(restarting()), Act::Answer(Ok(Done::Restarted(Box::new(receipt()))))]
        }
        _ => Vec::new(),
    })
    .await;
    let line = "restart api --drain-timeout 2m --on-drain-timeout wait --no-join";
    let ran = fake.run(line).await;
    ended(&ran, 0);
    assert_eq!(ran.stdout, "");
    insta::assert_snapshot!(ran.stderr);
    let expected = Request::Restart {
        service: name("api"),
        drain_timeout_ms: Some(120_000),
        on_drain_timeout: Some(OnDrainTimeout::Wait),
        expected: None,
        join: false,
        wait: true,
    };
    assert_eq!(fake.asked(), [expected]);
}

#[tokio::test]
async fn a_restart_in_json_is_one_object_a_line() {
    let fake = Fake::start(|request| match request {
        Request::Restart { .. } => {
            vec![push(restarting()), Act::Answer(Ok(Done::Restarted(Box::new(receipt()))))]
        }
        _ => Vec::new(),
    })
    .await;
    let ran = fake.run("restart api --json").await;
    ended(&ran, 0);
    assert_eq!(ran.stdout.lines().count(), 2, "{}", ran.stdout);
    insta::with_settings!({filters => vec![(r#""time":"[^"]*""#, r#""time":"[time]""#)]}, {
        insta::assert_snapshot!(ran.stdout);
    });
}

#[tokio::test]
async fn a_halted_restart_says_why_and_what_still_serves() {
    let mut receipt = receipt();
    receipt.done = false;
    receipt.replaced = 1;
    let refusal = Refusal::Halted { slot: Slot(1), failure: failure(), receipt: Box::new(receipt) };
    let fake = Fake::start(move |request| match request {
        Request::Restart { .. } => answer(Err(refusal.clone())),
        _ => Vec::new(),
    })
    .await;
    let words = fake.run("restart api").await;
    ended(&words, 1);
    let json = fake.run("restart api --json").await;
    ended(&json, 1);
    assert_eq!(json.stdout, "");
    insta::with_settings!({filters => vec![(r#""time":"[^"]*""#, r#""time":"[time]""#)]}, {
        insta::assert_snapshot!(format!("{}{}", words.stderr, json.stderr));
    });
}

#[tokio::test]
async fn several_restarts_stop_at_the_first_failure_unless_told_otherwise() {
    let fake = Fake::start(|request| match request {
        Request::Restart { service, .. } if *service == name("b") => {
            let what = "stop, by ops@b".into();
            answer(Err(Refusal::Conflict { operation: OperationId(5), what }))
        }
        Request::Restart { service, .. } if *service == name("c") => {
            answer(Err(Refusal::UnknownService { name: name("c"), known: Vec::new() }))
        }
        Request::Restart { .. } => answer(Ok(Done::Restarted(Box::new(receipt())))),
        _ => Vec::new(),
    })
    .await;
    ended(&fake.run("restart a b c d").await, 5);
    assert_eq!(fake.asked().len(), 2);
    ended(&fake.run("restart a c b d --keep-going").await, 5);
    assert_eq!(fake.asked().len(), 2 + 4);
}

#[tokio::test]
async fn all_means_every_service_that_is_not_stopped() {
    let fake = Fake::start(|request| match request {
        Request::Status => answer(Ok(Done::Status(Box::new(snapshot(three()))))),
        Request::Restart { .. } => answer(Ok(Done::Begun { operation: OperationId(18) })),
        _ => Vec::new(),
    })
    .await;
    let ran = fake.run("restart all --no-wait").await;
    ended(&ran, 0);
    assert_eq!(fake.asked().len(), 1 + 2);
    assert!(ran.stderr.contains("worker  stopped, not restarted"), "{}", ran.stderr);
    assert!(ran.stderr.contains("billing  restart begun, op-18"), "{}", ran.stderr);
}

/// Begins a restart that never ends.
fn endless(request: &Request) -> Vec<Act> {
    match request {
        Request::Restart { .. } => vec![push(restarting())],
        _ => Vec::new(),
    }
}

#[tokio::test]
async fn when_the_wait_runs_out_the_operation_goes_on() {
    let fake = Fake::start(endless).await;
    let ran = fake.run("restart api --timeout 200ms").await;
    ended(&ran, 124);
    assert!(ran.stderr.contains("the restart of api goes on"), "{}", ran.stderr);
    assert!(ran.stderr.contains("next: smoothtool wait op-17"), "{}", ran.stderr);
}

#[tokio::test]
async fn ctrl_c_detaches() {
    let fake = Fake::start(endless).await;
    let soon = tokio::time::sleep(std::time::Duration::from_millis(200));
    let ran = fake.run_until("restart api", Box::pin(soon)).await;
    ended(&ran, 130);
    assert!(ran.stderr.contains("next: smoothtool wait op-17"), "{}", ran.stderr);
}

#[tokio::test]
async fn start_and_stop_say_what_was_done() {
    let fake = Fake::start(|request| match request {
        Request::Start { service, .. } if *service == name("b") => answer(Ok(Done::AlreadySo)),
        Request::Start { .. } => answer(Ok(Done::Started { instances: 3, took_ms: 4_500 })),
        Request::Stop { .. } => answer(Ok(Done::Stopped { instances: 1, cut: 2, took_ms: 12_000 })),
        _ => Vec::new(),
    })
    .await;
    let start = fake.run("start a b").await;
    ended(&start, 0);
    assert_eq!(start.stderr, "a  3 instances ready in 4.5s\nb  already running\n");
    let stop = fake.run("stop a --timeout 5m").await;
    ended(&stop, 0);
    assert_eq!(stop.stderr, "a  1 instance stopped in 12s, 2 cut\n");
    let expected = Request::Stop {
        service: name("a"),
        force: false,
        timeout_ms: Some(300_000),
        expected: None,
        wait: true,
    };
    assert_eq!(fake.asked().last(), Some(&expected));
    let json = fake.run("start b --json").await;
    assert!(json.stdout.contains(r#""service":"b","result":"already_so""#), "{}", json.stdout);
}

#[tokio::test]
async fn stopping_the_daemon_waits_until_it_is_gone() {
    let fake = Fake::start(|request| match request {
        Request::Shutdown { .. } => vec![Act::Answer(Ok(Done::ShuttingDown)), Act::Leave],
        _ => Vec::new(),
    })
    .await;
    let ran = fake.run("stop").await;
    ended(&ran, 0);
    assert!(ran.stderr.starts_with("smoothserve stopped in "), "{}", ran.stderr);
    assert_eq!(fake.asked(), [Request::Shutdown { force: false }]);
    let again = fake.run("stop").await;
    ended(&again, 0);
    assert!(again.stderr.starts_with("smoothserve does not run at "), "{}", again.stderr);
}

#[tokio::test]
async fn refusals_have_their_exit_codes() {
    let (expected, found) = (Generation(1), Generation(2));
    for (refusal, code) in [
        (Refusal::UnknownService { name: name("api"), known: Vec::new() }, 4),
        (Refusal::Conflict { operation: OperationId(1), what: "restart".into() }, 5),
        (Refusal::GenerationMoved { expected, found }, 5),
        (Refusal::NotPermitted, 6),
        (Refusal::Preflight { problem: "no program".into() }, 1),
    ] {
        let fake = Fake::start(move |request| match request {
            Request::Subscribe { .. } => Vec::new(),
            _ => answer(Err(refusal.clone())),
        })
        .await;
        ended(&fake.run("restart api").await, code);
    }
}

#[tokio::test]
async fn a_daemon_that_is_not_there_is_an_error_of_its_own() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap().to_string();
    drop(listener);
    let place = Place { addr: Some(addr.clone()), config: None, token_file: Some("/none".into()) };
    for (line, code) in [("status", 7), ("restart api", 7), ("stop", 0)] {
        let ran = run(place.clone(), line, Box::pin(std::future::pending())).await;
        ended(&ran, code);
    }
    let ran = run(place.clone(), "status", Box::pin(std::future::pending())).await;
    insta::assert_snapshot!(ran.stderr.replace(&addr, "[addr]"));
    let json = run(place, "status --json", Box::pin(std::future::pending())).await;
    assert!(json.stderr.contains(r#""exit":7,"error":"unreachable""#), "{}", json.stderr);
    assert_eq!(json.stdout, "");
}

#[tokio::test]
async fn another_token_is_refused_with_its_file() {
    let (fake, other) = (Fake::start(endless).await, Fake::start(endless).await);
    let ran = fake.run_with_token_of(&other, "status").await;
    ended(&ran, 6);
    assert!(ran.stderr.contains("did not accept the token"), "{}", ran.stderr);
}

fn event(seq: u64, slot: Option<u16>, kind: EventKind) -> Event {
    let service = Some(name("api"));
    Event { seq: EventSeq(seq), unix_ms: NOON, service, slot: slot.map(Slot), kind }
}

#[tokio::test]
async fn events_are_lines_or_objects() {
    let fake = Fake::start(|request| match request {
        Request::Events { .. } => {
            let began = EventKind::StopAsked {
                operation: OperationId(17),
                cause: Cause::Operator("ops@b".into()),
            };
            let failed = EventKind::BackingOff { failure: failure(), retry_ms: 8_000, failures: 2 };
            let events = vec![event(4, None, began), event(5, Some(1), failed)];
            answer(Ok(Done::Events(EventBatch { missed: 0, events })))
        }
        _ => Vec::new(),
    })
    .await;
    let words = fake.run("events -n 7").await;
    ended(&words, 0);
    let words: Vec<_> = words.stdout.lines().map(|line| &line[19..]).collect();
    let json = fake.run("events --json").await;
    insta::assert_snapshot!(format!("{}\n{}", words.join("\n"), json.stdout));
    assert_eq!(fake.asked()[0], Request::Events { after: None, limit: 7 });
    let recent = fake.run("events --since 1h").await;
    assert_eq!(recent.stdout, "");
}

#[tokio::test]
async fn why_explains_what_is_not_ready() {
    let fake = Fake::start(showing(three)).await;
    let mut text = String::new();
    for name in ["api", "billing", "worker"] {
        let ran = fake.run(&format!("why {name}")).await;
        ended(&ran, 0);
        text += &ran.stdout;
    }
    insta::assert_snapshot!(text);
    ended(&fake.run("why nobody").await, 4);
}

#[tokio::test]
async fn every_shell_learns_the_verbs_without_a_daemon() {
    for shell in ["bash", "zsh", "fish"] {
        let nowhere = Place { addr: None, config: None, token_file: None };
        let never = Box::pin(std::future::pending());
        let ran = run(nowhere, &format!("completions {shell}"), never).await;
        ended(&ran, 0);
        for word in ["on-drain-timeout", "history", "reload", "pause"] {
            assert!(ran.stdout.contains(word), "{shell}: {word}");
        }
    }
}

/// Shows a service, and its later states to whoever subscribes.
fn becoming(
    now: fn() -> ServiceDetail,
    later: fn() -> Vec<ServiceDetail>,
) -> impl FnMut(&Request) -> Vec<Act> + Send {
    move |request| match request {
        Request::Status => answer(Ok(Done::Status(Box::new(snapshot(vec![now()]))))),
        Request::Subscribe { .. } => later().into_iter().map(push).collect(),
        Request::Events { .. } => answer(Ok(Done::Events(EventBatch::default()))),
        _ => answer(Err(Refusal::NotPermitted)),
    }
}

fn ready() -> ServiceDetail {
    service("api", ServiceState::Ready, &[InstanceState::Ready])
}

fn replaced() -> ServiceDetail {
    ServiceDetail { receipts: vec![receipt()], ..ready() }
}

fn halted() -> ServiceDetail {
    let mut receipt = receipt();
    receipt.done = false;
    receipt.halted = Some("api-2 crashed".into());
    ServiceDetail { receipts: vec![receipt], ..degraded() }
}

fn failed() -> ServiceDetail {
    service("api", ServiceState::Failed, &[InstanceState::Failed])
}

#[tokio::test]
async fn wait_ends_with_what_came_of_it() {
    let fake = Fake::start(becoming(restarting, || vec![restarting(), replaced()])).await;
    ended(&fake.run("wait op-17").await, 0);
    ended(&fake.run("wait api").await, 0);
    ended(&fake.run("wait api --for done").await, 0);
    ended(&fake.run("wait api --for stopped").await, 3);
    ended(&fake.run("wait op-99").await, 4);
    ended(&fake.run("wait shop").await, 4);

    let fake = Fake::start(becoming(restarting, || vec![halted()])).await;
    let ran = fake.run("wait op-17").await;
    ended(&ran, 1);
    assert!(ran.stderr.contains("op-17 halted: api-2 crashed"), "{}", ran.stderr);

    let fake = Fake::start(becoming(failed, || vec![failed()])).await;
    ended(&fake.run("wait api").await, 3);

    let fake = Fake::start(becoming(restarting, || vec![restarting()])).await;
    ended(&fake.run("wait op-17 --timeout 100ms").await, 124);
}
