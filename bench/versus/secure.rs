//! Clients inside TLS 1.3, with HTTP/1.1 and HTTP/2. Where connections are kept, h2load asks; where
//! each request has one of its own, this program does, and every handshake is a full one.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};
use smoothserve_tests::binaries;
use tempfile::NamedTempFile;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::certificate::{GROUP, SUITE};
use crate::config::Site;
use crate::load::{self, Answers, get};
use crate::proxy::Proxy;
use crate::report::Row;
use crate::rounds;

/// How clients behave.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) name: &'static str,
    clients: Clients,
}

#[derive(Clone, Copy, Debug)]
enum Clients {
    Kept { connections: u32, protocol: Protocol },
    New { at_once: u32 },
}

/// What is spoken on connections that are kept.
#[derive(Clone, Copy, Debug)]
enum Protocol {
    Http1,
    Http2 { streams: u32 },
}

const SHAPES: [Shape; 3] = [
    Shape {
        name: "HTTP/1.1 inside TLS, 100 bytes, 64 keep-alive connections",
        clients: Clients::Kept { connections: 64, protocol: Protocol::Http1 },
    },
    Shape {
        name: "HTTP/2 inside TLS, 100 bytes, 8 connections with 8 streams each",
        clients: Clients::Kept { connections: 8, protocol: Protocol::Http2 { streams: 8 } },
    },
    Shape {
        name: "100 bytes, a new TLS connection for each, 16 at a time",
        clients: Clients::New { at_once: 16 },
    },
];
/// Asked at once times this, in the first turn of all, when nobody knows how long it takes.
const FIRST_REQUESTS: u32 = 50;
const TARGET: &str = "/bytes/100";

/// Of a turn in which all connections are new.
const NEW_CONNECTIONS_SHARE: u32 = 2;

/// What h2load says of itself; none if it is not on this machine.
pub(crate) fn h2load() -> Option<String> {
    let output = Command::new("h2load").arg("--version").output().ok()?;
    let said = String::from_utf8(output.stdout).ok()?;
    Some(said.trim().trim_start_matches("h2load ").to_owned())
}

/// What can be measured here.
pub(crate) fn shapes() -> Vec<Shape> {
    let is_there = h2load().is_some();
    let mut shapes = SHAPES.to_vec();
    shapes.retain(|shape| is_there || matches!(shape.clients, Clients::New { .. }));
    shapes
}

/// Loads the proxies, which are all inside TLS, in turns.
///
/// # Errors
/// When any answer of any proxy is missing, cut, or not 200.
pub(crate) async fn run(
    shape: Shape,
    proxies: &[&Proxy],
    rounds: u32,
    turn: Duration,
) -> anyhow::Result<Row> {
    let lasting = match shape.clients {
        Clients::Kept { .. } => turn,
        Clients::New { .. } => turn / NEW_CONNECTIONS_SHARE,
    };
    // Answers a second, as the last turn of each had them.
    let rates = RefCell::new(BTreeMap::new());
    let load = async |proxy: &Proxy, lasting| {
        let answers = match shape.clients {
            Clients::Kept { connections, protocol } => {
                let last = rates.borrow().get(&proxy.kind).copied();
                let requests = requests(connections, protocol, last, lasting);
                let began = Instant::now();
                let answers = kept(proxy, connections, protocol, requests).await;
                let rate = f64::from(requests) / began.elapsed().as_secs_f64();
                rates.borrow_mut().insert(proxy.kind, rate);
                answers
            }
            Clients::New { at_once } => new(proxy, at_once, lasting).await,
        };
        answers.with_context(|| format!("{}, {}", proxy.kind.name(), shape.name))
    };
    let all = rounds::in_turns(proxies, rounds, lasting, load).await?;
    Ok(Row { name: shape.name, bar: None, all })
}

/// How many take so long, going by the `last` rate: if h2load is told a time instead of a number, it
/// counts no request that a proxy has lost.
fn requests(connections: u32, protocol: Protocol, last: Option<f64>, lasting: Duration) -> u32 {
    let at_once = match protocol {
        Protocol::Http1 => connections,
        Protocol::Http2 { streams } => connections * streams,
    };
    match last {
        None => at_once * FIRST_REQUESTS,
        Some(rate) => at_once.max((rate * lasting.as_secs_f64()) as u32),
    }
}

async fn kept(
    proxy: &Proxy,
    connections: u32,
    protocol: Protocol,
    requests: u32,
) -> anyhow::Result<Answers> {
    let log = NamedTempFile::with_prefix_in("h2load-", binaries::scratch()?)?;
    let host = proxy.site.host();
    let mut program = tokio::process::Command::new("h2load");
    program.args([format!("--clients={connections}"), format!("--requests={requests}")]);
    program.args([format!("--tls13-ciphers={SUITE}"), format!("--groups={GROUP}")]);
    program.arg(format!("--connect-to={}", proxy.addr())).arg("--log-file").arg(log.path());
    match protocol {
        Protocol::Http1 => program.arg("--h1"),
        Protocol::Http2 { streams } => program.arg(format!("--max-concurrent-streams={streams}")),
    };
    program.arg(format!("https://{host}{TARGET}"));
    program.stdin(Stdio::null()).kill_on_drop(true);
    let output = program.output().await.context("could not start h2load")?;
    let said = String::from_utf8_lossy(&output.stdout);
    let name = match protocol {
        Protocol::Http1 => "http/1.1",
        Protocol::Http2 { .. } => "h2",
    };
    for line in [format!("Application protocol: {name}\n"), format!("Cipher: {SUITE}\n")] {
        ensure!(said.contains(&line), "h2load does not say {line:?} but:\n{said}");
    }
    let whole = format!(" {requests} succeeded, 0 failed, 0 errored, 0 timeout\n");
    ensure!(said.contains(&whole), "h2load lost requests:\n{said}");
    // A line for each request: when it began, the status, and microseconds to the end of the answer.
    let log = std::fs::read_to_string(log.path())?;
    let times = log.lines().map(|line| {
        let mut columns = line.split('\t').skip(1);
        ensure!(columns.next() == Some("200"), "answered {line:?}");
        Ok(columns.next().context("no time")?.parse::<u64>()? * 1000)
    });
    Ok(Answers::of(times.collect::<anyhow::Result<_>>()?))
}

async fn new(proxy: &Proxy, at_once: u32, lasting: Duration) -> anyhow::Result<Answers> {
    let end = Instant::now() + lasting;
    let mut clients = JoinSet::new();
    for _ in 0..at_once {
        clients.spawn_local(client(proxy.addr(), proxy.site.clone(), end));
    }
    let mut rounds = Vec::new();
    while let Some(answers) = clients.join_next().await {
        rounds.push(answers??);
    }
    Ok(Answers::all(rounds))
}

/// Times count from before the connection is made.
async fn client(addr: SocketAddr, site: Site, end: Instant) -> anyhow::Result<Answers> {
    let certificate = site.certificate.as_ref().context("a proxy without TLS")?;
    let host = site.host();
    let request = get(TARGET, &host);
    let mut times = Vec::new();
    loop {
        let began = Instant::now();
        if began >= end {
            return Ok(Answers::of(times));
        }
        let mut wire = certificate.connect(addr, &host).await?;
        load::ask(&mut wire, &request).await?;
        times.push(u64::try_from(began.elapsed().as_nanos())?);
    }
}
