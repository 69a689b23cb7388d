//! What comes back of what was kept, whatever happened to the files in between.

use std::fs;
use std::path::PathBuf;

use smoothserve_protocol::event::Cause;
use smoothserve_protocol::failure::{Exit, FailReason, Failure};
use smoothserve_protocol::frame;
use smoothserve_protocol::id::{Generation, RequestId, Slot};
use smoothserve_protocol::message::{Done, FromDaemon};
use smoothserve_protocol::snapshot::{Ledger, StepPhase, StepView};
use tempfile::TempDir;

use super::*;

fn name(name: &str) -> ServiceName {
    ServiceName::new(name).unwrap()
}

fn receipt(service: &str, operation: u64) -> Receipt {
    Receipt {
        operation: OperationId(operation),
        service: name(service),
        cause: Cause::Operator("ops@bastion".into()),
        from: Generation(1),
        to: Generation(2),
        done: true,
        halted: None,
        replaced: 2,
        of: 2,
        took_ms: 3_000,
        steps: vec![StepView { killed: true, ..StepView::new(Slot(1), StepPhase::Done) }],
        ledger: Ledger { accepted: 3, completed: 2, in_flight: 1, ..Ledger::default() },
        min_ready: 1,
        slowest_held_us: Some(34),
        failure: None,
        remarks: vec!["shop-2 ignored SIGTERM for 10 s and was killed".into()],
        unix_ms: 1_700_000_000_000,
    }
}

/// One that failed, with everything that is known of it.
fn halted(operation: u64, reason: FailReason, last_output: Vec<String>) -> Receipt {
    Receipt {
        cause: Cause::FilesChanged(vec!["/srv/shop".into()]),
        done: false,
        halted: Some("shop-1 exited with code 3".into()),
        replaced: 0,
        failure: Some((Slot(0), Failure { reason, uptime_ms: 41, last_output })),
        ..receipt("shop", operation)
    }
}

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self) -> PathBuf {
        self.0.path().join(NAME)
    }

    /// What the thread does, without the thread.
    fn keeper(&self) -> Keeper {
        Keeper::new(Lines::new(self.file(), MAX_SIZE))
    }
}

fn operations(receipts: &[Receipt]) -> Vec<u64> {
    receipts.iter().map(|receipt| receipt.operation.0).collect()
}

#[test]
fn every_receipt_comes_back_whole_and_the_newest_first() {
    let folder = Folder::new();
    let lines = || vec!["listening\u{1b}[31m".to_owned(), "\"ü\u{0}\n".to_owned()];
    let exit = Exit::Signal { signal: 11, core: true };
    let kept = [
        receipt("shop", 1),
        halted(2, FailReason::ExitedBeforeReady(Exit::Code(3)), lines()),
        halted(
            3,
            FailReason::NotReady { after_ms: 30_000, probe_error: Some("503".into()) },
            lines(),
        ),
        halted(4, FailReason::PortTaken { port: 80, holder: "pid 1".into() }, Vec::new()),
        halted(5, FailReason::NotLaunched { error: "/x: no such file".into() }, Vec::new()),
        halted(6, FailReason::Crashed(exit), lines()),
        halted(7, FailReason::Unhealthy { probe_error: "timed out".into() }, lines()),
        halted(8, FailReason::ExitedTooSoon(exit), lines()),
    ];
    for receipt in &kept {
        folder.keeper().keep(receipt);
    }
    let mut newest_first = kept.to_vec();
    newest_first.reverse();
    assert_eq!(folder.keeper().newest(None, 100), newest_first);
    assert_eq!(fs::read(folder.file()).unwrap().iter().filter(|b| **b == b'\n').count(), 8);
}

#[test]
fn a_line_of_an_earlier_version_is_read() {
    let folder = Folder::new();
    let line = r#"{"operation":17,"service":"shop","cause":{"memory_limit":{"slot":0,"rss_bytes":9,"limit_bytes":8}},"from":1,"to":2,"done":false,"halted":"x","replaced":1,"of":3,"took_ms":54000,"steps":[{"slot":2,"phase":"failed","drain_ms":11,"stop_ms":null,"killed":true,"boot_ms":null,"ready_ms":null}],"ledger":{"accepted":31,"completed":10,"client_aborted":9,"cut":2,"lost":3,"in_flight":7,"retried":4,"held":5,"tunnels_closed":6,"refused":1},"min_ready":2,"slowest_held_us":null,"failure":[0,{"reason":{"exited_before_ready":{"code":3}},"uptime_ms":41,"last_output":["bad flag"]}],"remarks":[],"unix_ms":1700000000000}"#;
    fs::write(folder.file(), format!("{line}\n")).unwrap();
    let [receipt] = &folder.keeper().newest(None, 1)[..] else { panic!() };
    assert_eq!((receipt.operation, receipt.ledger.accepted), (OperationId(17), 31));
    assert_eq!(serde_json::to_string(receipt).unwrap(), line);
}

#[test]
fn one_service_is_asked_for_and_no_more_than_the_limit() {
    let folder = Folder::new();
    let mut keeper = folder.keeper();
    for (service, operation) in [("shop", 1), ("blog", 2), ("shop", 3), ("shop", 1)] {
        keeper.keep(&receipt(service, operation));
    }
    assert_eq!(operations(&keeper.newest(Some(&name("shop")), 100)), [1, 3, 1]);
    assert_eq!(operations(&keeper.newest(Some(&name("shop")), 2)), [1, 3]);
    assert_eq!(operations(&keeper.newest(None, 3)), [1, 3, 2]);
    assert_eq!(keeper.newest(Some(&name("none")), 100), []);
    assert_eq!(keeper.newest(None, 0), []);
}

#[test]
fn half_a_line_and_damaged_lines_cost_only_themselves() {
    let folder = Folder::new();
    folder.keeper().keep(&receipt("shop", 1));
    let mut bytes = fs::read(folder.file()).unwrap();
    bytes.extend(b"{\"operation\":\"\xff\"}\n\0\n[]\n{\"operation\":2,\"servi");
    fs::write(folder.file(), bytes).unwrap();
    let mut keeper = folder.keeper();
    assert_eq!(operations(&keeper.newest(None, 100)), [1]);
    keeper.keep(&receipt("shop", 3));
    assert_eq!(operations(&keeper.newest(None, 100)), [3, 1]);
}

#[test]
fn the_files_are_bounded_and_the_newest_survive() {
    let folder = Folder::new();
    let line = serde_json::to_vec(&receipt("shop", 100)).unwrap().len() as u64 + 1;
    let mut keeper = Keeper::new(Lines::new(folder.file(), 10 * line));
    for operation in 100..150 {
        keeper.keep(&receipt("shop", operation));
    }
    let expected: Vec<u64> = (130..150).rev().collect();
    assert_eq!(operations(&keeper.newest(None, 100)), expected);
    let older = fs::metadata(folder.file().with_added_extension("1")).unwrap().len();
    assert!(older <= 10 * line && fs::metadata(folder.file()).unwrap().len() <= 10 * line);
    assert_eq!(fs::read_dir(folder.0.path()).unwrap().count(), 2);
}

#[test]
fn the_longest_answer_fits_a_frame() {
    let folder = Folder::new();
    let mut keeper = folder.keeper();
    let output = vec!["x".repeat(512); 50];
    for operation in 0..300 {
        let reason = FailReason::ExitedBeforeReady(Exit::Code(3));
        keeper.keep(&halted(operation, reason, output.clone()));
    }
    let receipts = keeper.newest(None, usize::MAX);
    assert!(receipts.len() > 100, "{}", receipts.len());
    let result = Ok(Done::History(receipts));
    frame::encode(&FromDaemon::Response { id: RequestId(u64::MAX), result }).unwrap();

    for operation in 0..600 {
        keeper.keep(&receipt("blog", operation));
    }
    assert_eq!(keeper.newest(Some(&name("blog")), usize::MAX).len(), MOST);
}

#[test]
fn a_folder_that_is_gone_costs_lines_until_it_is_back() {
    let folder = Folder::new();
    let inner = folder.0.path().join("state");
    let mut keeper = Keeper::new(Lines::new(inner.join(NAME), MAX_SIZE));
    keeper.keep(&receipt("shop", 1));
    assert!(keeper.is_failing);
    assert_eq!(keeper.newest(None, 100), []);
    fs::create_dir(inner).unwrap();
    keeper.keep(&receipt("shop", 2));
    assert!(!keeper.is_failing);
    assert_eq!(operations(&keeper.newest(None, 100)), [2]);
}

#[test]
fn the_next_daemon_knows_the_newest_receipts_the_last_turn_and_the_last_operation() {
    let folder = Folder::new();
    let mut keeper = folder.keeper();
    for operation in 1..=7 {
        keeper.keep(&receipt("shop", operation));
    }
    keeper.keep(&Receipt { took_ms: 10_000, ..receipt("shop", 8) });
    keeper.keep(&halted(9, FailReason::Crashed(Exit::Code(1)), Vec::new()));
    keeper.keep(&receipt("blog", 3));
    let past = keeper.past(5);
    let of = |service: &str| past.receipts[&name(service)].iter().map(|r| r.operation.0);
    assert_eq!(of("shop").collect::<Vec<_>>(), [9, 8, 7, 6, 5]);
    assert_eq!(of("blog").collect::<Vec<_>>(), [3]);
    assert_eq!(past.turns[&name("shop")], Duration::from_secs(5));
    assert_eq!(past.last_operation, OperationId(9));
}

#[test]
fn numbers_that_nobody_reaches_are_not_gone_on_from() {
    let folder = Folder::new();
    let mut keeper = folder.keeper();
    keeper.keep(&receipt("shop", 5));
    keeper.keep(&Receipt { took_ms: u64::MAX, ..receipt("shop", u64::MAX) });
    keeper.keep(&Receipt { replaced: 0, ..receipt("shop", 6) });
    let past = keeper.past(5);
    assert_eq!(past.last_operation, OperationId(6));
    assert_eq!(past.turns[&name("shop")], Duration::from_millis(1500));
    assert_eq!(past.receipts[&name("shop")].len(), 3);
}

#[tokio::test]
async fn what_was_kept_before_the_end_is_there_for_the_next_one() {
    let folder = Folder::new();
    let (history, thread, past) = open(folder.0.path()).unwrap();
    assert!(past.receipts.is_empty());
    for operation in 1..=3 {
        history.keep(receipt("shop", operation));
    }
    let read = history.read(Some(name("shop")), 2).await.unwrap();
    assert_eq!(operations(&read), [3, 2]);
    thread.end().await;
    assert_eq!(history.read(None, 2).await, None);
    history.keep(receipt("shop", 4));
    let (_, _, past) = open(folder.0.path()).unwrap();
    assert_eq!(past.receipts[&name("shop")].len(), 3);
}
