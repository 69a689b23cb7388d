//! What a rolling restart takes beyond what the application itself takes to leave and to come:
//! `cargo run --release -p smoothserve-tests --example restart`. Exits with 1 when the bar is missed.
//! What came out stands in `README.md` here.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::{ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use smoothserve_protocol::message::Done;
use smoothserve_tests::binaries::{self, Program};
use smoothserve_tests::daemon::TestDaemon;
use smoothserve_tests::process::{self, Signal};
use smoothserve_tests::setup::{Service, Setup};
use smoothserve_tests::{http, ports};
use tokio::process::Command;
use tokio::time::{sleep, timeout};

/// Of each instance's turn, with a health check and no delays.
const BAR: Duration = Duration::from_millis(100);
/// How long the application takes to boot, with how often all is repeated.
const BOOTS: [(u64, usize); 4] = [(0, 15), (100, 15), (500, 9), (3000, 3)];
const INSTANCES: u16 = 4;
/// For anything that is waited for.
const LIMIT: Duration = Duration::from_secs(20);

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    tell("per instance, medians; ready by GET /healthz, min_ready_time 0, delay_running_time 0");
    tell(&format!(
        "{:>10}  {:>10}  {:>10}  {:>10}  {:>10}  {:>10}",
        "boot", "stop", "turn", "overhead", "highest", "bar"
    ));
    let mut is_kept = true;
    for (start_ms, rounds) in BOOTS {
        let (boot, stop) = alone(start_ms, rounds).await?;
        let turns = turns(start_ms, rounds).await?;
        let highest = turns.iter().max().copied().unwrap_or_default();
        let turn = median(turns);
        let beyond = |turn: Duration| turn.saturating_sub(boot + stop);
        let (overhead, highest) = (beyond(turn), beyond(highest));
        tell(&format!(
            "{boot:>10.1?}  {stop:>10.1?}  {turn:>10.1?}  {overhead:>10.1?}  {highest:>10.1?}  {BAR:>10?}"
        ));
        is_kept &= overhead <= BAR;
    }
    Ok(if is_kept { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The application by itself: from its launch to its first answer, and from TERM to its end.
async fn alone(start_ms: u64, rounds: usize) -> anyhow::Result<(Duration, Duration)> {
    let (mut boots, mut stops) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, ports::take(1)));
        let began = Instant::now();
        let mut child = Command::new(binaries::path(Program::Backend)?)
            .arg(format!("-port={}", addr.port()))
            .arg(format!("--start-ms={start_ms}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let asking = async {
            while http::get(addr, "/healthz").await.is_err() {
                sleep(Duration::from_micros(200)).await;
            }
        };
        timeout(LIMIT, asking).await.context("it does not answer")?;
        boots.push(began.elapsed());
        let began = Instant::now();
        process::send(child.id().context("it was waited for")?, Signal::TERM)?;
        timeout(LIMIT, child.wait()).await.context("it does not exit")??;
        stops.push(began.elapsed());
    }
    Ok((median(boots), median(stops)))
}

/// The mean turn of an instance in each of so many rolling restarts, nothing in flight.
async fn turns(start_ms: u64, rounds: usize) -> anyhow::Result<Vec<Duration>> {
    let service = Service::new("shop")
        .instances(INSTANCES)
        .option(&format!("start-ms={start_ms}"))
        .key("ready", "{http: /healthz}")
        .key("min_ready_time", "0")
        .key("delay_running_time", "0");
    let daemon = Setup::of(service).start_ready().await?;
    let mut turns = Vec::new();
    for _ in 0..rounds {
        turns.push(restart(&daemon).await? / u32::from(INSTANCES));
    }
    Ok(turns)
}

async fn restart(daemon: &TestDaemon) -> anyhow::Result<Duration> {
    let began = Instant::now();
    let answer = daemon.restart("shop").await;
    let took = began.elapsed();
    match answer {
        Ok(Done::Restarted(receipt)) if receipt.replaced == INSTANCES => Ok(took),
        other => bail!("not restarted but {other:?}"),
    }
}

fn median(mut values: Vec<Duration>) -> Duration {
    values.sort();
    values[values.len() / 2]
}

#[expect(clippy::print_stdout, reason = "the answer")]
fn tell(line: &str) {
    println!("{line}");
}
