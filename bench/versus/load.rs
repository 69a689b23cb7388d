//! The load: connections that ask one thing after another, and how long each answer took. A single
//! answer that is not whole and well ends the measurement.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use anyhow::Context;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::wire::Wire;

/// Who asks what, and for how long.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) request: Vec<u8>,
    pub(crate) connections: u32,
    pub(crate) reuse: Reuse,
    pub(crate) pace: Pace,
    pub(crate) lasting: Duration,
}

/// Whether a connection serves for more than one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reuse {
    KeepAlive,
    Never,
}

/// When a connection asks again.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pace {
    /// At once.
    Full,
    /// So many requests a second in all. One that comes late because the answer before it was late
    /// counts from when it should have been sent.
    PerSecond(u32),
}

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    /// In nanoseconds, ascending.
    times: Vec<u64>,
}

impl Answers {
    pub(crate) fn count(&self) -> usize {
        self.times.len()
    }

    /// The time in which this share of all answers was whole, in microseconds.
    pub(crate) fn within(&self, share: f64) -> f64 {
        let last = self.times.len().saturating_sub(1);
        let index = (share * self.times.len() as f64).ceil() as usize;
        let time = self.times.get(index.saturating_sub(1).min(last));
        *time.unwrap_or(&0) as f64 / 1e3
    }

    /// Of answers that took so many nanoseconds, in any order.
    pub(crate) fn of(mut times: Vec<u64>) -> Self {
        times.sort_unstable();
        Self { times }
    }

    fn add(&mut self, other: Self) {
        self.times.extend(other.times);
    }

    pub(crate) fn all(rounds: impl IntoIterator<Item = Self>) -> Self {
        let mut all = Self::default();
        for answers in rounds {
            all.add(answers);
        }
        all.times.sort_unstable();
        all
    }
}

/// Text of a request without a body.
pub(crate) fn get(target: &str, host: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n").into_bytes()
}

/// Text of a request with so many bytes.
pub(crate) fn post(target: &str, host: &str, length: usize) -> Vec<u8> {
    let head =
        format!("POST {target} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\n\r\n");
    let mut request = head.into_bytes();
    request.resize(request.len() + length, b'x');
    request
}

/// Loads the proxy at `addr`.
///
/// # Errors
/// When an answer is missing, cut, or not 200.
pub(crate) async fn run(addr: SocketAddr, plan: &Plan) -> anyhow::Result<Answers> {
    let end = Instant::now() + plan.lasting;
    let shared = Rc::new(plan.clone());
    let mut clients = JoinSet::new();
    for number in 0..plan.connections {
        clients.spawn_local(client(addr, shared.clone(), number, end));
    }
    let mut rounds = Vec::new();
    while let Some(answers) = clients.join_next().await {
        rounds.push(answers??);
    }
    Ok(Answers::all(rounds))
}

async fn client(
    addr: SocketAddr,
    plan: Rc<Plan>,
    number: u32,
    end: Instant,
) -> anyhow::Result<Answers> {
    let mut answers = Answers::default();
    let mut kept = None;
    let mut clock = Clock::new(plan.pace, plan.connections, number);
    loop {
        let began = clock.next().await;
        if began >= end {
            return Ok(answers);
        }
        let mut wire = match kept.take() {
            Some(wire) => wire,
            None => connect(addr).await?,
        };
        ask(&mut wire, &plan.request).await?;
        answers.times.push(u64::try_from(began.elapsed().as_nanos())?);
        kept = (plan.reuse == Reuse::KeepAlive).then_some(wire);
    }
}

/// A new connection.
///
/// # Errors
/// When there is none to be had.
pub(crate) async fn connect(addr: SocketAddr) -> anyhow::Result<Wire> {
    let stream = TcpStream::connect(addr).await.context("could not connect")?;
    Ok(Wire::new(stream)?)
}

/// Sends a request and reads its answer to the end.
///
/// # Errors
/// When the answer is missing, cut, or not 200.
pub(crate) async fn ask<S: AsyncRead + AsyncWrite + Unpin>(
    wire: &mut Wire<S>,
    request: &[u8],
) -> anyhow::Result<()> {
    wire.send(request).await?;
    let head = wire.head().await?.context("closed before the answer")?;
    anyhow::ensure!(head.is_ok(), "answered {:?}", head.words().collect::<Vec<_>>());
    wire.body(&head).await
}

/// When one connection asks.
struct Clock {
    step: Option<Duration>,
    due: Instant,
}

impl Clock {
    fn new(pace: Pace, connections: u32, number: u32) -> Self {
        let now = Instant::now();
        match pace {
            Pace::Full => Self { step: None, due: now },
            Pace::PerSecond(rate) => {
                let between = Duration::from_secs(1) / rate;
                Self { step: Some(between * connections), due: now + between * number }
            }
        }
    }

    /// Waits until the next request is due, and says from when on its answer is waited for.
    async fn next(&mut self) -> Instant {
        let Some(step) = self.step else { return Instant::now() };
        let due = self.due;
        self.due += step;
        if Instant::now() >= due {
            return due;
        }
        // The timer's own lateness is not the proxy's.
        sleep_until(due).await;
        Instant::now()
    }
}
