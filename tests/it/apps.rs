//! Instances as people really run them: scripts of Node and Python, and shells around them. Each is
//! restarted under load and nothing is lost; what an application does wrong stands in the receipt.
//!
//! The scripts are in `tests/apps`. Without their interpreter, a test says so and passes.

use std::env;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use smoothserve_protocol::message::Done;
use smoothserve_protocol::snapshot::Receipt;
use smoothserve_tests::daemon::TestDaemon;
use smoothserve_tests::load::{Load, LoadPlan, Mix};
use smoothserve_tests::setup::{Service, Setup};
use smoothserve_tests::{look, process};

use crate::agree::{assert_proof, ledger_agrees};

const INSTANCES: u16 = 3;

/// What all of these applications answer, at a pace at which they need no core to themselves.
fn plan() -> LoadPlan {
    let mix = Mix { get: 10, post: 0, echo: 3, big: 1, stream: 1, upload: 0, web_socket: 0 };
    LoadPlan { clients: 12, mix, pause: Duration::from_millis(20), ..LoadPlan::brisk() }
}

/// The same, without what may not be sent twice.
fn repeatable() -> LoadPlan {
    let plan = plan();
    LoadPlan { mix: Mix { echo: 0, ..plan.mix }, ..plan }
}

/// Whether `program` can be run here; if not, says why nothing is tested.
#[expect(clippy::print_stderr, reason = "whoever runs the tests must know")]
fn is_here(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&path).any(|folder| folder.join(program).is_file());
    if !found {
        eprintln!("skipped: there is no {program} on this machine");
    }
    found
}

/// A daemon with this script as its service, ready.
async fn start(service: Service, scripts: &[&str]) -> anyhow::Result<TestDaemon> {
    let folder = Setup::of(service.instances(INSTANCES)).write()?;
    let app = folder.app("shop");
    for script in scripts {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("apps").join(script);
        fs::copy(&source, app.join(script)).with_context(|| source.display().to_string())?;
    }
    let file = folder.service_file("shop");
    let (fixture, script) = (folder.program("shop"), app.join(scripts[0]));
    let text = fs::read_to_string(&file)?;
    let text = text.replace(&fixture.display().to_string(), &script.display().to_string());
    fs::write(&file, text)?;
    let daemon = TestDaemon::start(folder).await?;
    daemon
        .until("every instance is ready", |snapshot| {
            look::ready(snapshot, "shop") == usize::from(INSTANCES)
        })
        .await;
    Ok(daemon)
}

/// Restarts the service under load, checks that nothing was lost and nobody stayed behind, and
/// gives the receipt.
async fn restarted_under(daemon: &TestDaemon, plan: LoadPlan) -> anyhow::Result<Receipt> {
    let before = process::working_in(&daemon.folder.apps());
    let load = Load::start(daemon.listen("shop"), plan);
    load.answered(100).await;
    let receipt = match daemon.restart("shop").await {
        Ok(Done::Restarted(receipt)) => *receipt,
        other => bail!("not restarted but {other:?}"),
    };
    load.answered(100).await;
    let report = load.stop().await;
    report.assert_nothing_lost();
    assert_eq!(report.refused, 0, "{report}");
    assert_proof(&receipt, INSTANCES);
    ledger_agrees(daemon, "shop", &report).await;
    assert!(before.len() >= usize::from(INSTANCES), "{before:?}");
    assert!(!before.iter().any(|pid| process::is_running(*pid)), "left behind: {before:?}");
    Ok(receipt)
}

/// An application that does nothing wrong is not remarked on.
async fn loses_nothing(service: Service, scripts: &[&str]) -> anyhow::Result<()> {
    let daemon = start(service, scripts).await?;
    let receipt = restarted_under(&daemon, plan()).await?;
    assert_eq!(receipt.remarks, [""; 0], "{receipt:#?}");
    stops_whole(&daemon).await
}

/// A stop leaves no process of the service behind.
async fn stops_whole(daemon: &TestDaemon) -> anyhow::Result<()> {
    let stopped = daemon.stop("shop").await;
    anyhow::ensure!(stopped.is_ok(), "{stopped:?}");
    assert_eq!(process::working_in(&daemon.folder.apps()), [] as [u32; 0], "left behind");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_server_is_restarted_without_loss() {
    if is_here("node") {
        loses_nothing(Service::new("shop"), &["server.mjs"]).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_python_server_that_closes_after_each_answer_is_restarted_without_loss() {
    if is_here("python3") {
        loses_nothing(Service::new("shop"), &["server.py"]).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_python_server_that_keeps_connections_is_restarted_without_loss() {
    if is_here("python3") {
        loses_nothing(Service::new("shop").option("http11"), &["server.py"]).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shell_around_a_python_server_is_restarted_with_it() {
    if !is_here("python3") {
        return;
    }
    let daemon = start(Service::new("shop"), &["wrapper.sh", "server.py"]).await.unwrap();
    // Each shell, and its server.
    assert_eq!(process::working_in(&daemon.folder.apps()).len(), 2 * usize::from(INSTANCES));
    let receipt = restarted_under(&daemon, plan()).await.unwrap();
    assert_eq!(receipt.remarks, [""; 0], "{receipt:#?}");
    stops_whole(&daemon).await.unwrap();
}

/// It is killed after its time, with all it started, and the receipt says of which it was true.
async fn is_killed(service: Service, scripts: &[&str]) -> anyhow::Result<()> {
    let service = service.option("ignore-term").key("stop_timeout", "300ms");
    let daemon = start(service, scripts).await?;
    let receipt = restarted_under(&daemon, plan()).await?;
    let remarks =
        [1, 2, 3].map(|slot| format!("shop-{slot} ignored SIGTERM for 300 ms and was killed"));
    assert_eq!(receipt.remarks, remarks, "{receipt:#?}");
    stops_whole(&daemon).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_server_that_ignores_term_is_remarked_on() {
    if is_here("node") {
        is_killed(Service::new("shop"), &["server.mjs"]).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_python_server_that_ignores_term_is_remarked_on() {
    if is_here("python3") {
        is_killed(Service::new("shop"), &["server.py"]).await.unwrap();
    }
}

/// The shell goes at once; what it started does not.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_outlives_the_shell_around_it_is_remarked_on() {
    if is_here("python3") {
        is_killed(Service::new("shop"), &["wrapper.sh", "server.py"]).await.unwrap();
    }
}

/// Nothing is lost of what may be sent again, and the receipt says why it had to be.
async fn is_sent_again(service: Service, scripts: &[&str]) -> anyhow::Result<()> {
    let daemon = start(service.option("drop-kept"), scripts).await?;
    let receipt = restarted_under(&daemon, repeatable()).await?;
    let [remark] = &receipt.remarks[..] else { panic!("{receipt:#?}") };
    let told = "sent again because instances close kept-alive connections early";
    assert!(remark.ends_with(told), "{remark}");
    stops_whole(&daemon).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_server_that_closes_kept_connections_is_remarked_on() {
    if is_here("node") {
        is_sent_again(Service::new("shop"), &["server.mjs"]).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_python_server_that_closes_kept_connections_is_remarked_on() {
    if is_here("python3") {
        is_sent_again(Service::new("shop").option("http11"), &["server.py"]).await.unwrap();
    }
}
