//! A build that is no good: the restart halts at its first instance, says why, and the others serve
//! on.

use smoothserve_protocol::failure::{Exit, FailReason, Failure};
use smoothserve_protocol::id::Slot;
use smoothserve_protocol::message::Refusal;
use smoothserve_tests::daemon::TestDaemon;
use smoothserve_tests::load::{Load, LoadPlan};
use smoothserve_tests::look;
use smoothserve_tests::setup::{Service, Setup};

use crate::agree::{assert_nothing_lost, ledger_agrees};

/// Brings the build that `options` describe to a service under load, and gives why it was halted.
async fn halted_under_load(service: Service, options: &str) -> anyhow::Result<Failure> {
    let daemon = Setup::of(service).start_ready().await?;
    let load = Load::start(daemon.listen("shop"), LoadPlan { clients: 16, ..LoadPlan::brisk() });
    load.answered(50).await;
    let failure = halted(&daemon, options).await?;
    load.answered(50).await;
    let report = load.stop().await;
    report.assert_nothing_lost();
    report.assert_executed_once(&daemon.record());
    ledger_agrees(&daemon, "shop", &report).await;
    recovers(&daemon).await?;
    Ok(failure)
}

/// Brings the build that `options` describe, and gives why it was halted.
async fn halted(daemon: &TestDaemon, options: &str) -> anyhow::Result<Failure> {
    let untouched = look::pids(&daemon.snapshot().await, "shop").split_off(1);
    daemon.folder.next_build("shop", options)?;
    let refusal = daemon.restart("shop").await.expect_err("the build is no good");
    let Refusal::Halted { slot, failure, receipt } = refusal else {
        anyhow::bail!("not halted but {refusal:?}");
    };
    assert_eq!(slot, Slot(0));
    assert!(!receipt.done && receipt.halted.is_some(), "{receipt:#?}");
    assert_eq!((receipt.replaced, receipt.of), (0, 3), "{receipt:#?}");
    assert_nothing_lost(&receipt.ledger);

    let snapshot = daemon.snapshot().await;
    assert_eq!(look::ready(&snapshot, "shop"), 2, "{}", look::summary(&snapshot));
    let pids = look::pids(&snapshot, "shop");
    assert!(untouched.iter().all(|pid| pids.contains(pid)), "{}", look::summary(&snapshot));
    Ok(failure)
}

/// The good build is put back: the failed instance is tried again without being asked for.
async fn recovers(daemon: &TestDaemon) -> anyhow::Result<()> {
    daemon.folder.next_build("shop", "")?;
    daemon.until("all three are ready", |snapshot| look::ready(snapshot, "shop") == 3).await;
    Ok(())
}

fn service() -> Service {
    Service::new("shop").key("ready_timeout", "1s")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_exits_at_once_halts_the_restart_with_its_last_words() {
    let failure = halted_under_load(service(), "exit-at-start=3").await.unwrap();
    assert_eq!(failure.reason, FailReason::ExitedBeforeReady(Exit::Code(3)), "{failure:?}");
    let last = failure.last_output.last().map(String::as_str).unwrap_or_default();
    assert!(last.contains("fixture: refusing to start"), "{failure:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_never_listens_halts_the_restart() {
    let failure = halted_under_load(service(), "never-listen").await.unwrap();
    assert!(matches!(failure.reason, FailReason::NotReady { after_ms: 1000, .. }), "{failure:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_fails_its_health_check_halts_the_restart() {
    let service = service().key("ready", "{http: /healthz, status: 200}");
    let failure = halted_under_load(service, "unhealthy").await.unwrap();
    let FailReason::NotReady { probe_error: Some(error), .. } = &failure.reason else {
        panic!("{failure:?}");
    };
    assert!(error.contains("503"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_dies_soon_after_it_was_ready_halts_the_restart() {
    let service = service().key("min_ready_time", "2s");
    // Without load: what such a build has taken dies with it.
    let daemon = Setup::of(service).start_ready().await.unwrap();
    let failure = halted(&daemon, "crash-after-ms=500").await.unwrap();
    assert_eq!(failure.reason, FailReason::ExitedTooSoon(Exit::Code(70)), "{failure:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_that_takes_too_long_reopens_the_door() {
    let service = Service::new("shop").key("drain_timeout", "300ms").key("tunnel_grace", "0");
    let daemon = Setup::of(service).start_ready().await.unwrap();
    let before = look::pids(&daemon.snapshot().await, "shop");
    let load = Load::start(daemon.listen("shop"), LoadPlan::default());
    load.until("streams", |progress| progress.answering() >= 30).await;
    let refusal = daemon.restart("shop").await.unwrap_err();
    let Refusal::DrainTimedOut { slot, in_flight, limit_ms, receipt, .. } = refusal else {
        panic!("{refusal:?}");
    };
    assert_eq!((slot, limit_ms, receipt.replaced), (Slot(0), 300, 0));
    assert!(in_flight > 0);
    let snapshot = daemon.snapshot().await;
    assert_eq!(look::pids(&snapshot, "shop"), before, "a process was signalled");
    assert_eq!(look::ready(&snapshot, "shop"), 3, "{}", look::summary(&snapshot));
    let report = load.stop().await;
    report.assert_nothing_lost();
    ledger_agrees(&daemon, "shop", &report).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tool_says_why_and_exits_with_1() {
    let daemon = Setup::of(service()).start_ready().await.unwrap();
    daemon.folder.next_build("shop", "exit-at-start=3").unwrap();
    let output = daemon.tool(&["restart", "shop"]).await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("fixture: refusing to start"), "{said}");
    recovers(&daemon).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_program_refuses_the_restart_and_changes_nothing() {
    let daemon = Setup::of(service()).start_ready().await.unwrap();
    let before = look::pids(&daemon.snapshot().await, "shop");
    let program = daemon.folder.program("shop");
    std::fs::remove_file(&program).unwrap();
    let refusal = daemon.restart("shop").await.unwrap_err();
    let Refusal::Preflight { problem } = refusal else { panic!("{refusal:?}") };
    assert!(problem.contains(&program.display().to_string()), "{problem}");
    assert_eq!(look::pids(&daemon.snapshot().await, "shop"), before);
}
