//! The daemon's times and memory, as an operator meets them, each with the bar it has to keep:
//! `cargo run --release -p smoothserve-tests --example figures`. Exits with 1 when a bar is missed.
//! What came out stands in `README.md` here.

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;
use smoothserve_protocol::message::{Done, Push, Request};
use smoothserve_protocol::snapshot::InstanceState;
use smoothserve_tests::binaries::{self, Program};
use smoothserve_tests::daemon::{TestDaemon, name};
use smoothserve_tests::process::{self, Signal};
use smoothserve_tests::setup::{Service, Setup};
use smoothserve_tests::{http, look, ports};
use tokio::process::Command;
use tokio::time::{sleep, timeout};

/// From the launch of the daemon to the first answer, without the application's own start.
const START_BAR: Duration = Duration::from_millis(100);
/// From the death of an instance to the console that shows it.
const PUSH_BAR: Duration = Duration::from_millis(150);
/// The daemon with three idle services.
const MEMORY_BAR: u64 = 25_000_000;

const ROUNDS: u32 = 21;
/// For anything that is waited for.
const LIMIT: Duration = Duration::from_secs(20);

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let boot = median(rounds(application_start).await?);
    let start = median(rounds(daemon_start).await?);
    let start = start.saturating_sub(boot);
    let (event, state) = state_change().await?;
    let memory = idle_memory().await?;

    tell(&format!("medians of {ROUNDS} rounds"));
    tell(&format!("application: launch to first answer          {boot:>10.1?}"));
    tell(&format!(
        "daemon: launch to first answer, without that {start:>10.1?}  bar {START_BAR:?}"
    ));
    tell(&format!("instance killed to event at a console        {event:>10.1?}"));
    tell(&format!("instance killed to state at a console        {state:>10.1?}  bar {PUSH_BAR:?}"));
    let megabytes = |bytes: u64| bytes as f64 / 1e6;
    let (memory_now, memory_bar) = (megabytes(memory), megabytes(MEMORY_BAR));
    tell(&format!(
        "resident, 3 idle services                    {memory_now:>8.1}MB  bar {memory_bar}MB"
    ));
    let is_kept = start <= START_BAR && state <= PUSH_BAR && memory <= MEMORY_BAR;
    Ok(if is_kept { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The fixture web service by itself, from launch to its first answer.
async fn application_start() -> anyhow::Result<Duration> {
    let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, ports::take(1)));
    let began = Instant::now();
    let mut child = Command::new(binaries::path(Program::Backend)?)
        .arg(format!("-port={}", addr.port()))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    first_answer(addr).await?;
    let took = began.elapsed();
    child.kill().await?;
    Ok(took)
}

/// The daemon with one instance of the same, from its launch to the first answer through it.
async fn daemon_start() -> anyhow::Result<Duration> {
    let folder = Setup::of(Service::new("shop").instances(1)).write()?;
    let addr = folder.listen("shop")?;
    let program = binaries::path(Program::Daemon)?;
    let began = Instant::now();
    let mut child = Command::new(program)
        .arg("--config")
        .arg(folder.config_file())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    first_answer(addr).await?;
    let took = began.elapsed();
    process::send(child.id().context("the daemon was waited for")?, Signal::TERM)?;
    timeout(LIMIT, child.wait()).await.context("the daemon does not stop")??;
    Ok(took)
}

/// Asks until something answers.
async fn first_answer(addr: SocketAddr) -> anyhow::Result<()> {
    let asking = async {
        while http::get(addr, "/").await.is_err() {
            sleep(Duration::from_micros(200)).await;
        }
    };
    timeout(LIMIT, asking).await.with_context(|| format!("nothing answers at {addr}"))
}

/// An instance is killed: when a console is told of the event, and when it is shown the new state.
async fn state_change() -> anyhow::Result<(Duration, Duration)> {
    let daemon = Setup::of(Service::new("shop").instances(3)).start_ready().await?;
    let (mut events, mut states) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let snapshot = daemon
            .until("all are ready", |snapshot| {
                look::ready(snapshot, "shop") == 3 && snapshot.daemon.ready == 3
            })
            .await;
        let pid = look::pids(&snapshot, "shop")[0];
        let mut console = daemon.open().await?;
        let request = Request::Subscribe { focus: Some(name("shop")), events_after: None };
        anyhow::ensure!(matches!(console.ask(request).await?, Ok(Done::Subscribed)));
        // At another moment of the beat in which states are pushed each time.
        sleep(Duration::from_millis(200) + Duration::from_millis(13) * round).await;

        let began = Instant::now();
        process::send(pid, Signal::KILL)?;
        let (mut event, mut state) = (None, None);
        while event.is_none() || state.is_none() {
            match console.told().await? {
                Push::Events(_) => event = event.or(Some(began.elapsed())),
                Push::Service(Some(service)) => {
                    let others = service.instances.iter().filter(|instance| {
                        instance.pid != Some(pid) || instance.state != InstanceState::Ready
                    });
                    if others.count() == service.instances.len() {
                        state = state.or(Some(began.elapsed()));
                    }
                }
                _ => {}
            }
        }
        events.extend(event);
        states.extend(state);
        // A crash too many, and the service is given up.
        restart(&daemon).await?;
    }
    Ok((median(events), median(states)))
}

/// Takes back that an instance has crashed.
async fn restart(daemon: &TestDaemon) -> anyhow::Result<()> {
    daemon
        .ask(Request::Stop {
            service: name("shop"),
            force: true,
            timeout_ms: None,
            expected: None,
            wait: true,
        })
        .await
        .map_err(|refusal| anyhow::anyhow!("{refusal:?}"))?;
    daemon.start_service("shop").await.map_err(|refusal| anyhow::anyhow!("{refusal:?}"))?;
    Ok(())
}

async fn idle_memory() -> anyhow::Result<u64> {
    let services = ["shop", "blog", "mail"].map(|name| Service::new(name).instances(1));
    let setup = services.into_iter().fold(Setup::default(), Setup::service);
    let daemon = setup.start_ready().await?;
    // Nothing is waited for: this is the idle time.
    sleep(Duration::from_secs(3)).await;
    process::resident_memory(daemon.pid())
}

async fn rounds<F>(mut once: impl FnMut() -> F) -> anyhow::Result<Vec<Duration>>
where
    F: Future<Output = anyhow::Result<Duration>>,
{
    // The first is not counted: programs are read from the disk.
    once().await?;
    let mut took = Vec::new();
    for _ in 0..ROUNDS {
        took.push(once().await?);
    }
    Ok(took)
}

fn median(mut values: Vec<Duration>) -> Duration {
    values.sort();
    values[values.len() / 2]
}

#[expect(clippy::print_stdout, reason = "the answer")]
fn tell(line: &str) {
    println!("{line}");
}
