//! What those who mean harm cost clients that mean none:
//! `cargo run --release -p smoothserve-tests --example hostile`, with words of the kinds of harm that
//! are to be looked at alone. Exits with 1 when the bar is missed. What came out stands in `README.md`
//! of the folder above.
//!
//! Before each kind of harm the clients are measured alone, so that whatever else the machine does
//! meets both. Harm comes at a steady pace, for it is made on the same machine: what is measured is
//! what the proxy does about it. Who had the processors meanwhile is told as well.

// As the comparison with other proxies does it.
#[path = "../versus/cores.rs"]
mod cores;
mod floods;
mod harm;
mod place;
mod polite;
// The proxy's own tests write their frames with it.
#[path = "../../crates/daemon/src/proxy/tests/http2/wire.rs"]
#[expect(dead_code, clippy::unwrap_used, reason = "it is a part of the proxy's own tests")]
mod wire;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::ensure;
use smoothserve_protocol::snapshot::{Ledger, Snapshot};
use smoothserve_tests::daemon::TestDaemon;
use smoothserve_tests::look;
use smoothserve_tests::process::{children, processor_time, resident_memory};
use smoothserve_tests::setup::{Service, Setup};
use tokio::time::{sleep, timeout};

use crate::harm::Harm;

/// The 99th percentile under harm, as a multiple of that at rest.
const BAR: f64 = 2.0;
/// How long each is measured at a time, and how often.
const TIME: Duration = Duration::from_secs(4);
const ROUNDS: usize = 5;
/// For anything that is waited for.
const LIMIT: Duration = Duration::from_secs(20);
const MEGABYTE: f64 = 1024.0 * 1024.0;

/// Where `wire` looks for what it connects to.
mod proxy {
    pub(crate) mod tests {
        pub(crate) struct House {
            pub(crate) addr: std::net::SocketAddr,
        }
    }
}

/// What the clients met in one round, and what it took of the machine.
struct Round {
    /// Over HTTP/1.1, and over HTTP/2.
    met: [Met; 2],
    before: u64,
    most: u64,
    /// Shares of a processor while there was harm: the daemon's, its instances', and that of harm
    /// and clients together.
    processor: [f64; 3],
}

/// What one client met.
#[derive(Clone, Copy)]
struct Met {
    rest: Duration,
    harmed: Duration,
}

impl Met {
    fn ratio(self) -> f64 {
        self.harmed.as_secs_f64() / self.rest.as_secs_f64()
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<ExitCode> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let is_meant = |name: &str| words.is_empty() || words.iter().any(|word| name.contains(word));
    let harms: Vec<_> = Harm::ALL.into_iter().filter(|(_, name, _)| is_meant(name)).collect();
    ensure!(!harms.is_empty(), "no harm is called {}", words.join(" or "));
    let daemon = start().await?;
    // What the daemon takes for its work, it has taken then.
    polite::measure(daemon.listen("shop")).await?;
    tell(&format!(
        "p99 of clients with one connection, at rest and harmed; medians of {ROUNDS} rounds of {} s, bar: {BAR}",
        TIME.as_secs()
    ));
    tell(&format!(
        "{:<32}  {:>9} {:>9} {:>6}  {:>9} {:>9} {:>6}  {:>8} {:>8}  {:>6} {:>6} {:>6}",
        "",
        "HTTP/1.1",
        "",
        "ratio",
        "HTTP/2",
        "",
        "ratio",
        "memory",
        "most",
        "daemon",
        "apps",
        "here"
    ));
    let mut is_kept = true;
    for (harm, name, service) in harms {
        let mut rounds = Vec::new();
        for _ in 0..ROUNDS {
            rounds.push(round(&daemon, harm, service).await?);
        }
        is_kept &= tell_rounds(name, &rounds);
    }
    accounts(&daemon).await?;
    Ok(if is_kept { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A daemon with a service for polite clients, and those that harm is meant for.
async fn start() -> anyhow::Result<TestDaemon> {
    // It stays where it was launched.
    cores::stay_on(cores::PROXY)?;
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
    let [shop, inn] = ["shop", "inn"].map(|service| daemon.listen(service).port());
    daemon.folder.set_main("http2", &format!("[{shop}, {inn}]"))?;
    daemon.reload().await;
    place::leave_to(daemon.pid())?;
    let snapshot = daemon.snapshot().await;
    for service in ["deaf", "garbage", "reset"] {
        for instance in look::pids(&snapshot, service) {
            place::idle(instance)?;
        }
    }
    Ok(daemon)
}

/// The clients alone, and then beside those who mean harm.
async fn round(daemon: &TestDaemon, harm: Harm, service: &str) -> anyhow::Result<Round> {
    let shop = daemon.listen("shop");
    let rest = polite::measure(shop).await?;
    let before = resident_memory(daemon.pid())?;
    let crowd = harm.begin(daemon.listen(service));
    sleep(Duration::from_secs(1)).await;
    let (began, spent) = (Instant::now(), spent(daemon)?);
    let harmed = polite::measure(shop).await;
    let most = resident_memory(daemon.pid())?;
    let now = self::spent(daemon)?;
    let share = |of: usize| (now[of] - spent[of]).as_secs_f64() / began.elapsed().as_secs_f64();
    let processor = [0, 1, 2].map(share);
    ensure!(!crowd.is_closed(), "who means harm has stopped");
    drop(crowd);
    let harmed = harmed?;
    let met = [0, 1].map(|client| Met { rest: rest[client], harmed: harmed[client] });
    Ok(Round { met, before, most, processor })
}

/// Processor time so far: of the daemon, of its instances, and of this process.
fn spent(daemon: &TestDaemon) -> anyhow::Result<[Duration; 3]> {
    let instances: Duration =
        children(daemon.pid()).into_iter().map(processor_time).sum::<Result<_, _>>()?;
    Ok([processor_time(daemon.pid())?, instances, processor_time(std::process::id())?])
}

/// Says what one kind of harm did, and whether the bar was kept.
fn tell_rounds(name: &str, rounds: &[Round]) -> bool {
    let met = [0, 1].map(|client| {
        let mut met: Vec<Met> = rounds.iter().map(|round| round.met[client]).collect();
        met.sort_by(|one, other| one.ratio().total_cmp(&other.ratio()));
        met[met.len() / 2]
    });
    let before = rounds.iter().map(|round| round.before).min().unwrap_or_default();
    let most = rounds.iter().map(|round| round.most).max().unwrap_or_default();
    let share = |of: usize| {
        let sum: f64 = rounds.iter().map(|round| round.processor[of]).sum();
        100.0 * sum / rounds.len() as f64
    };
    let [http1, http2] = met.map(|met| {
        let Met { rest, harmed } = met;
        format!("{rest:>9.1?} {harmed:>9.1?} {:>6.2}", met.ratio())
    });
    tell(&format!(
        "{name:<32}  {http1}  {http2}  {:>5.1} MB {:>5.1} MB  {:>4.0} % {:>4.0} % {:>4.0} %",
        before as f64 / MEGABYTE,
        most as f64 / MEGABYTE,
        share(0),
        share(1),
        share(2),
    ));
    met.iter().all(|met| met.ratio() <= BAR)
}

/// Says what became of the requests of those who mean harm, and that no other was lost.
async fn accounts(daemon: &TestDaemon) -> anyhow::Result<()> {
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
    ensure!(ledger.lost == 0 && ledger.unaccounted() == 0, "a client lost requests: {ledger:?}");
    Ok(())
}

/// Within [`LIMIT`].
///
/// # Panics
/// After it.
async fn patiently<F: Future>(what: F) -> F::Output {
    timeout(LIMIT, what).await.expect("it never came")
}

#[expect(clippy::print_stdout, reason = "the answer")]
fn tell(line: &str) {
    println!("{line}");
}
