//! What those who mean harm cost a client that means none:
//! `cargo run --release -p smoothserve-tests --example hostile`. Exits with 1 when the bar is missed.
//! What came out stands in `README.md` here.
//!
//! The client asks again and again on one connection; before each kind of harm it is measured alone,
//! so that whatever else the machine does meets both. Harm comes at a steady pace, for it is made on
//! the same processors: what is measured is what the proxy does about it.

use std::future::pending;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use smoothserve_protocol::snapshot::{Ledger, Snapshot};
use smoothserve_tests::daemon::TestDaemon;
use smoothserve_tests::look;
use smoothserve_tests::process::resident_memory;
use smoothserve_tests::setup::{Service, Setup};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{interval, sleep, timeout};

/// The 99th percentile under harm, as a multiple of that at rest.
const BAR: f64 = 2.0;
/// How long each is measured at a time, and how often.
const TIME: Duration = Duration::from_secs(4);
const ROUNDS: usize = 3;
/// Between two requests of the client.
const PAUSE: Duration = Duration::from_millis(2);
/// For anything that is waited for.
const LIMIT: Duration = Duration::from_secs(20);
const MEGABYTE: f64 = 1024.0 * 1024.0;

/// Who means harm, to which service.
#[derive(Clone, Copy)]
enum Harm {
    SlowHeads,
    Aborts,
    Bombs,
    Uploads,
    Garbage,
    Resets,
}

impl Harm {
    const ALL: [(Self, &str, &str); 6] = [
        (Self::SlowHeads, "200 heads that trickle", "inn"),
        (Self::Aborts, "1,000 clients that abort", "inn"),
        (Self::Bombs, "heads without an end", "inn"),
        (Self::Uploads, "an instance that stops reading", "deaf"),
        (Self::Garbage, "an instance that sends garbage", "garbage"),
        (Self::Resets, "an instance that resets", "reset"),
    ];

    /// How many do it, and how long each rests between two times.
    fn crowd(self) -> (usize, Duration) {
        match self {
            Self::SlowHeads => (200, Duration::from_millis(100)),
            Self::Aborts => (100, TIME / 10),
            Self::Bombs | Self::Uploads => (20, Duration::from_millis(500)),
            Self::Garbage | Self::Resets => (20, Duration::from_millis(100)),
        }
    }

    /// Does it once. That it ends badly is what it is for.
    async fn once(self, addr: SocketAddr) -> std::io::Result<()> {
        let mut stream = TcpStream::connect(addr).await?;
        match self {
            Self::SlowHeads => {
                stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\nx: ").await?;
                loop {
                    sleep(Duration::from_millis(100)).await;
                    stream.write_all(b"y").await?;
                }
            }
            Self::Aborts => {
                let head = "POST /upload HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nhalf";
                stream.write_all(head.as_bytes()).await?;
                sleep(Duration::from_millis(20)).await;
                stream.set_zero_linger()
            }
            Self::Bombs => {
                stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n").await?;
                stream.write_all("a: b\r\n".repeat(50_000).as_bytes()).await?;
                stream.read_to_end(&mut Vec::new()).await.map(drop)
            }
            Self::Uploads => {
                let head = "PUT /upload HTTP/1.1\r\nhost: a\r\ncontent-length: 5000000000\r\n\r\n";
                stream.write_all(head.as_bytes()).await?;
                let piece = vec![b'x'; 64 * 1024];
                loop {
                    stream.write_all(&piece).await?;
                }
            }
            Self::Garbage | Self::Resets => {
                let ask = "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
                stream.write_all(ask.as_bytes()).await?;
                stream.read_to_end(&mut Vec::new()).await.map(drop)
            }
        }
    }

    /// Goes on doing it until it is dropped.
    async fn go_on(self, addr: SocketAddr) {
        let (count, rest) = self.crowd();
        let mut crowd = JoinSet::new();
        for number in 0..count {
            crowd.spawn(async move {
                // One after the other, not all in the same moment.
                sleep(rest * number as u32 / count as u32).await;
                let mut turns = interval(rest);
                loop {
                    turns.tick().await;
                    // It is meant to fail.
                    let _ = self.once(addr).await;
                }
            });
        }
        pending().await
    }
}

/// What the client met in one round, and the memory of the daemon.
struct Round {
    rest: Duration,
    harmed: Duration,
    ratio: f64,
    before: u64,
    most: u64,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 1)]
async fn main() -> anyhow::Result<ExitCode> {
    let broken = |name: &str| {
        let service = Service::new(name).instances(1).option(&format!("broken={name}"));
        service.key("response_timeout", "2")
    };
    let setup = Setup::of(Service::new("shop"))
        .service(Service::new("inn"))
        .service(broken("deaf"))
        .service(broken("garbage"))
        .service(broken("reset"))
        .key("header_timeout", "2");
    let daemon = setup.start_ready().await?;
    let shop = daemon.listen("shop");
    // What the daemon takes for its work, it has taken then.
    measure(shop).await?;
    tell(&format!(
        "p99 of a client with one connection; medians of {ROUNDS} rounds of {} s, bar: {BAR}",
        TIME.as_secs()
    ));
    tell(&format!(
        "{:<32}  {:>9}  {:>9}  {:>6}  {:>10}  {:>10}",
        "", "at rest", "harmed", "ratio", "memory", "most"
    ));
    let mut is_kept = true;
    for (harm, name, service) in Harm::ALL {
        let mut rounds = Vec::new();
        for _ in 0..ROUNDS {
            rounds.push(round(&daemon, harm, service).await?);
        }
        is_kept &= tell_rounds(name, &mut rounds);
    }
    let settled = |snapshot: &Snapshot| look::service(snapshot, "inn").ledger.in_flight == 0;
    let snapshot = daemon.until("nobody is inside", settled).await;
    tell(&format!("refused before a service: {}", snapshot.daemon.rejected));
    for service in ["inn", "deaf", "garbage", "reset"] {
        let ledger = look::service(&snapshot, service).ledger;
        ensure!(ledger.unaccounted() == 0, "{service}: {ledger:?}");
        let Ledger { accepted, client_aborted, lost, .. } = ledger;
        tell(&format!("{service}: {accepted} accepted, {client_aborted} aborted, {lost} lost"));
    }
    let ledger = look::service(&snapshot, "shop").ledger;
    ensure!(ledger.lost == 0 && ledger.unaccounted() == 0, "the client lost requests: {ledger:?}");
    Ok(if is_kept { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The client alone, and then beside those who mean harm.
async fn round(daemon: &TestDaemon, harm: Harm, service: &str) -> anyhow::Result<Round> {
    let shop = daemon.listen("shop");
    let rest = measure(shop).await?;
    let before = resident_memory(daemon.pid())?;
    let crowd = tokio::spawn(harm.go_on(daemon.listen(service)));
    sleep(Duration::from_secs(1)).await;
    let harmed = measure(shop).await;
    let most = resident_memory(daemon.pid())?;
    crowd.abort();
    let harmed = harmed?;
    let ratio = harmed.as_secs_f64() / rest.as_secs_f64();
    Ok(Round { rest, harmed, ratio, before, most })
}

/// Says what one kind of harm did, and whether the bar was kept.
fn tell_rounds(name: &str, rounds: &mut [Round]) -> bool {
    rounds.sort_by(|one, other| one.ratio.total_cmp(&other.ratio));
    let Round { rest, harmed, ratio, .. } = rounds[rounds.len() / 2];
    let before = rounds.iter().map(|round| round.before).min().unwrap_or_default();
    let most = rounds.iter().map(|round| round.most).max().unwrap_or_default();
    tell(&format!(
        "{name:<32}  {rest:>9.1?}  {harmed:>9.1?}  {ratio:>6.2}  {:>7.1} MB  {:>7.1} MB",
        before as f64 / MEGABYTE,
        most as f64 / MEGABYTE,
    ));
    ratio <= BAR
}

/// The 99th percentile of [`TIME`], asked for on a thread of its own: whoever makes the harm does not delay it.
async fn measure(addr: SocketAddr) -> anyhow::Result<Duration> {
    let asking = thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(ask(addr))
    });
    let mut took = tokio::task::spawn_blocking(|| asking.join())
        .await?
        .map_err(|_| anyhow::anyhow!("the client panicked"))??;
    took.sort();
    ensure!(took.len() > 300, "{} requests are too few for a percentile", took.len());
    Ok(took[took.len() * 99 / 100])
}

async fn ask(addr: SocketAddr) -> anyhow::Result<Vec<Duration>> {
    let mut stream = TcpStream::connect(addr).await?;
    stream.set_nodelay(true)?;
    let (mut took, end) = (Vec::new(), Instant::now() + TIME);
    while Instant::now() < end {
        let began = Instant::now();
        stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await?;
        timeout(LIMIT, read_answer(&mut stream)).await.context("no answer")??;
        took.push(began.elapsed());
        sleep(PAUSE).await;
    }
    Ok(took)
}

/// A whole answer of 200 with its length.
async fn read_answer(stream: &mut TcpStream) -> anyhow::Result<()> {
    let mut answer = Vec::new();
    loop {
        ensure!(stream.read_buf(&mut answer).await? > 0, "the connection was closed");
        let Some(end) = answer.windows(4).position(|end| end == b"\r\n\r\n") else { continue };
        let head = str::from_utf8(&answer[..end])?;
        ensure!(head.starts_with("HTTP/1.1 200 "), "{head}");
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.context("no content-length")?.parse()?;
        if answer.len() == end + 4 + length {
            return Ok(());
        }
    }
}

#[expect(clippy::print_stdout, reason = "the answer")]
fn tell(line: &str) {
    println!("{line}");
}
