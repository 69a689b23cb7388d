//! The same load on every proxy, in rounds that take turns, so that whatever else this machine does
//! meets all of them; and what an answer cost in each.

use std::time::{Duration, Instant};

use anyhow::Context;

use crate::load::{self, Answers, Pace, Plan, Reuse};
use crate::proxy::Proxy;
use crate::statistics::{Spread, median};

/// How clients behave.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) name: &'static str,
    connections: u32,
    reuse: Reuse,
    body: Body,
    /// The most that the processor time may be of the best peer's.
    pub(crate) bar: Option<f64>,
}

/// Whose body it is, and its bytes.
#[derive(Clone, Copy, Debug)]
enum Body {
    Download(usize),
    Upload(usize),
}

/// What is measured of every proxy.
pub(crate) const SHAPES: [Shape; 6] = [
    Shape {
        name: "100 bytes, 64 keep-alive connections",
        connections: 64,
        reuse: Reuse::KeepAlive,
        body: Body::Download(100),
        bar: Some(1.0),
    },
    Shape {
        name: "100 bytes, 1 keep-alive connection",
        connections: 1,
        reuse: Reuse::KeepAlive,
        body: Body::Download(100),
        bar: None,
    },
    Shape {
        name: "16 KiB answers, 64 connections",
        connections: 64,
        reuse: Reuse::KeepAlive,
        body: Body::Download(16 << 10),
        bar: Some(0.8),
    },
    Shape {
        name: "1 MiB answers, 16 connections",
        connections: 16,
        reuse: Reuse::KeepAlive,
        body: Body::Download(1 << 20),
        bar: Some(0.9),
    },
    Shape {
        name: "1 MiB uploads, 16 connections",
        connections: 16,
        reuse: Reuse::KeepAlive,
        body: Body::Upload(1 << 20),
        bar: None,
    },
    Shape {
        name: "100 bytes, a new connection for each, 64 at a time",
        connections: 64,
        reuse: Reuse::Never,
        body: Body::Download(100),
        bar: Some(1.0),
    },
];

/// The one that is used where only something else differs.
pub(crate) const SMALL: Shape = SHAPES[0];

impl Shape {
    fn plan(&self, proxy: &Proxy, lasting: Duration) -> Plan {
        let host = proxy.site.host();
        let request = match self.body {
            Body::Download(length) => load::get(&format!("/bytes/{length}"), &host),
            Body::Upload(length) => load::post("/", &host, length),
        };
        let (connections, reuse) = (self.connections, self.reuse);
        Plan { request, connections, reuse, pace: Pace::Full, lasting }
    }
}

/// One turn of one proxy.
#[derive(Clone, Copy, Debug)]
struct Turn {
    /// Processor time of an answer, in microseconds.
    cost: f64,
    per_second: f64,
    /// In microseconds: the half of all, 99 % and 99.9 %.
    times: [f64; 3],
    memory: u64,
}

/// All turns of one proxy.
#[derive(Debug)]
pub(crate) struct Turns {
    turns: Vec<Turn>,
}

impl Turns {
    pub(crate) fn cost(&self) -> Spread {
        Spread::of(self.turns.iter().map(|turn| turn.cost))
    }

    pub(crate) fn per_second(&self) -> f64 {
        median(self.turns.iter().map(|turn| turn.per_second))
    }

    /// Medians of the times in which 50 %, 99 % and 99.9 % were answered, in microseconds.
    pub(crate) fn times(&self) -> [f64; 3] {
        [0, 1, 2].map(|index| median(self.turns.iter().map(|turn| turn.times[index])))
    }

    /// The most, in bytes.
    pub(crate) fn memory(&self) -> u64 {
        self.turns.iter().map(|turn| turn.memory).max().unwrap_or_default()
    }

    /// What an answer cost here, of what it cost the best of `others` in the same round.
    pub(crate) fn ratio<'a>(&self, others: impl IntoIterator<Item = &'a Self> + Clone) -> Spread {
        let rounds = self.turns.iter().enumerate().map(|(round, turn)| {
            let others = others.clone().into_iter().map(|other| other.turns[round].cost);
            turn.cost / others.fold(f64::INFINITY, f64::min)
        });
        Spread::of(rounds)
    }
}

/// Loads the proxies in turns; the answer has their order.
///
/// # Errors
/// When any answer of any proxy is missing, cut, or not 200.
pub(crate) async fn run(
    shape: &Shape,
    proxies: &[&Proxy],
    rounds: u32,
    lasting: Duration,
) -> anyhow::Result<Vec<Turns>> {
    let load = async |proxy: &Proxy, lasting| {
        let answers = load::run(proxy.addr(), &shape.plan(proxy, lasting)).await;
        answers.with_context(|| format!("{}, {}", proxy.kind.name(), shape.name))
    };
    in_turns(proxies, rounds, lasting, load).await
}

/// Any load on the proxies in turns; the answer has their order.
///
/// # Errors
/// When `load` fails, or a proxy answers nothing in time.
pub(crate) async fn in_turns(
    proxies: &[&Proxy],
    rounds: u32,
    lasting: Duration,
    load: impl AsyncFn(&Proxy, Duration) -> anyhow::Result<Answers>,
) -> anyhow::Result<Vec<Turns>> {
    for proxy in proxies {
        // Its connections are made and its memory is taken before anything counts.
        turn(&load, proxy, lasting / 5).await?;
    }
    let mut all: Vec<Turns> = proxies.iter().map(|_| Turns { turns: Vec::new() }).collect();
    for _ in 0..rounds {
        for (turns, proxy) in all.iter_mut().zip(proxies) {
            turns.turns.push(turn(&load, proxy, lasting).await?);
        }
    }
    Ok(all)
}

async fn turn(
    load: &impl AsyncFn(&Proxy, Duration) -> anyhow::Result<Answers>,
    proxy: &Proxy,
    lasting: Duration,
) -> anyhow::Result<Turn> {
    let before = proxy.cost()?;
    let began = Instant::now();
    let answers = load(proxy, lasting).await?;
    let took = began.elapsed();
    let after = proxy.cost()?;
    anyhow::ensure!(answers.count() > 0, "{} answered nothing in time", proxy.kind.name());
    Ok(Turn {
        cost: (after.time - before.time).as_secs_f64() * 1e6 / answers.count() as f64,
        per_second: answers.count() as f64 / took.as_secs_f64(),
        times: [0.5, 0.99, 0.999].map(|share| answers.within(share)),
        memory: after.memory,
    })
}
