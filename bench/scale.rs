//! What many instances cost, with the smallest application there is:
//! `cargo run --release -p smoothserve-tests --example scale`. Exits with 1 when a bar is missed at
//! the largest number. Numbers of its own choice: `-- 10 100`. What came out stands in `README.md`
//! here.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use smoothserve_protocol::id::ServiceName;
use smoothserve_protocol::message::{Done, Request};
use smoothserve_tests::command::CommandConnection;
use smoothserve_tests::daemon::{TestDaemon, name};
use smoothserve_tests::process;
use smoothserve_tests::setup::{Service, Setup};
use tokio::time::{sleep, timeout_at};

/// Processor time of the daemon at rest, of one core.
const REST_BAR: f64 = 0.01;
/// Of the daemon, for each instance, without what the instance prints.
const MEMORY_BAR: u64 = 100_000;

/// Instances of each service, as far as there are so many.
const EACH: u16 = 20;
/// Readings are taken after this: meters keep a minute, so only then nothing grows any more.
const SETTLE: Duration = Duration::from_secs(75);
const WINDOW: Duration = Duration::from_secs(10);

struct Row {
    instances: u16,
    ready: Duration,
    rest: f64,
    watched: f64,
    focused: f64,
    memory: u64,
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let mut counts: Vec<u16> =
        std::env::args().skip(1).map(|count| count.parse()).collect::<Result<_, _>>()?;
    if counts.is_empty() {
        counts = vec![10, 100, 1000];
    }
    let settle = match std::env::var("SETTLE") {
        Ok(seconds) => Duration::from_secs(seconds.parse()?),
        Err(_) => SETTLE,
    };
    let empty = empty_memory(settle).await?;
    tell(&format!("daemon without instances: {:.1} MB resident", empty as f64 / 1e6));
    tell(&format!(
        "{:>9}  {:>10}  {:>8}  {:>12}  {:>14}  {:>14}",
        "instances", "all ready", "at rest", "one console", "with a service", "kB an instance"
    ));
    let mut is_kept = true;
    for count in counts {
        let row = measure(count, settle).await?;
        let each = row.memory.saturating_sub(empty) / u64::from(count);
        tell(&format!(
            "{:>9}  {:>10.2?}  {:>7.2}%  {:>11.2}%  {:>13.2}%  {:>14.1}",
            row.instances,
            row.ready,
            row.rest * 100.0,
            row.watched * 100.0,
            row.focused * 100.0,
            each as f64 / 1e3,
        ));
        is_kept = row.rest <= REST_BAR && each <= MEMORY_BAR;
    }
    tell(&format!(
        "bars: {:.0} % of one core at rest, {} kB an instance",
        REST_BAR * 100.0,
        MEMORY_BAR / 1000
    ));
    Ok(if is_kept { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The daemon with a service that does not run.
async fn empty_memory(settle: Duration) -> anyhow::Result<u64> {
    let daemon = Setup::of(service(0).instances(1).key("enabled", "false")).start().await?;
    // Nothing is waited for: this is the idle time.
    sleep(settle.min(Duration::from_secs(5))).await;
    process::resident_memory(daemon.pid())
}

async fn measure(instances: u16, settle: Duration) -> anyhow::Result<Row> {
    let each = EACH.min(instances);
    let services = (0..instances / each).map(|number| service(number).instances(each));
    let folder = services.fold(Setup::default(), Setup::service).write()?;
    let began = Instant::now();
    let daemon = TestDaemon::start(folder).await?;
    daemon.until("all are ready", |snapshot| snapshot.daemon.ready == u32::from(instances)).await;
    let ready = began.elapsed();
    sleep(settle).await;
    let memory = process::resident_memory(daemon.pid())?;
    let began = processor_time(&daemon)?;
    sleep(WINDOW).await;
    let rest = share(processor_time(&daemon)? - began);
    let watched = look(&daemon, None).await?;
    let focused = look(&daemon, Some(name("tiny-0"))).await?;
    Ok(Row { instances, ready, rest, watched, focused, memory })
}

/// The share of a core that is used while a console looks.
async fn look(daemon: &TestDaemon, focus: Option<ServiceName>) -> anyhow::Result<f64> {
    let mut console = subscribe(daemon, focus).await?;
    console.told().await?;
    let began = processor_time(daemon)?;
    let end = tokio::time::Instant::now() + WINDOW;
    while let Ok(told) = timeout_at(end, console.told()).await {
        told?;
    }
    Ok(share(processor_time(daemon)? - began))
}

async fn subscribe(
    daemon: &TestDaemon,
    focus: Option<ServiceName>,
) -> anyhow::Result<CommandConnection> {
    let mut console = daemon.open().await?;
    let answer = console.ask(Request::Subscribe { focus, events_after: None }).await?;
    anyhow::ensure!(matches!(answer, Ok(Done::Subscribed)), "{answer:?}");
    Ok(console)
}

fn service(number: u16) -> Service {
    Service::new(&format!("tiny-{number}")).tiny()
}

fn processor_time(daemon: &TestDaemon) -> anyhow::Result<Duration> {
    process::processor_time(daemon.pid())
}

fn share(used: Duration) -> f64 {
    used.as_secs_f64() / WINDOW.as_secs_f64()
}

#[expect(clippy::print_stdout, reason = "the answer")]
fn tell(line: &str) {
    println!("{line}");
}
