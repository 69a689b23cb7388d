//! The daemon's own counts against those of the clients: they must be the same numbers.

use smoothserve_protocol::snapshot::{Ledger, Receipt};
use smoothserve_tests::daemon::TestDaemon;
use smoothserve_tests::load::{Load, LoadReport};
use smoothserve_tests::look;
use smoothserve_tests::process::{self, Signal};

/// Checks that a service's ledger says what its clients say, who were all of its clients.
pub(crate) async fn ledger_agrees(daemon: &TestDaemon, service: &str, report: &LoadReport) {
    report.assert_consistent();
    // The client has its last byte a moment before the proxy has counted it.
    let snapshot = daemon
        .until("nothing is in flight", |snapshot| {
            let service = look::service(snapshot, service);
            service.ledger.in_flight == 0 && service.row.traffic.tunnels == 0
        })
        .await;
    let ledger = look::service(&snapshot, service).ledger;
    let said = format!("{ledger:#?}\n{report}");
    assert_eq!(ledger.unaccounted(), 0, "{said}");
    assert_eq!(ledger.accepted, report.sent, "accepted: {said}");
    assert_eq!(ledger.completed, report.ok, "completed: {said}");
    assert_eq!(ledger.client_aborted, 0, "no client went away: {said}");
    assert_eq!(ledger.all_lost(), report.lost(), "lost: {said}");
    // A client may say goodbye in the very moment in which the drain does.
    let closed = report.ws_closed_by_drain..=report.ws_closed_by_drain + report.ws_ok;
    assert!(closed.contains(&ledger.tunnels_closed), "tunnels closed: {said}");
}

/// Ends the load of a service, and checks that nothing was lost or turned away, and that its ledger
/// says the same.
pub(crate) async fn ended_without_loss(
    load: Load,
    daemon: &TestDaemon,
    service: &str,
) -> LoadReport {
    let report = load.stop().await;
    report.assert_nothing_lost();
    assert_eq!(report.refused, 0, "{report}");
    ledger_agrees(daemon, service, &report).await;
    report
}

/// Checks that a rolling restart replaced everything, and lost nothing.
pub(crate) fn assert_proof(receipt: &Receipt, instances: u16) {
    assert!(receipt.done && receipt.halted.is_none(), "{receipt:#?}");
    assert_eq!((receipt.replaced, receipt.of), (instances, instances), "{receipt:#?}");
    // Generations that failed lie between them.
    assert!(receipt.to > receipt.from, "{receipt:#?}");
    assert_eq!(receipt.steps.len(), usize::from(instances), "{receipt:#?}");
    assert_nothing_lost(&receipt.ledger);
}

/// Checks that a ledger adds up, and that nothing was lost.
pub(crate) fn assert_nothing_lost(ledger: &Ledger) {
    assert_eq!((ledger.unaccounted(), ledger.all_lost()), (0, 0), "{ledger:#?}");
}

/// An instance of `shop` is killed under `load`: the others go on, it comes back, and what is lost is
/// what it had at that moment, by everybody's count.
pub(crate) async fn others_take_over(daemon: &TestDaemon, load: Load) {
    load.answered(200).await;
    let victim = look::pids(&daemon.snapshot().await, "shop")[0];
    process::send(victim, Signal::KILL).expect("it runs");
    daemon
        .until("it is back", |snapshot| {
            look::ready(snapshot, "shop") == 3 && !look::pids(snapshot, "shop").contains(&victim)
        })
        .await;
    load.answered(200).await;
    let report = load.stop().await;
    // At most one request a client was inside, so no more can have died with it.
    assert!(report.lost() < 64 && report.timed_out == 0 && report.wrong == 0, "{report}");
    assert_eq!(report.refused, 0, "{report}");
    report.assert_executed_once(&daemon.record());
    ledger_agrees(daemon, "shop", &report).await;
}
