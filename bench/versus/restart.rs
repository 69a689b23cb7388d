//! The tail of the answers while smoothserve replaces all instances of a service, beside the same
//! load at rest.

use std::time::Duration;

use crate::load::{self, Answers, Pace, Plan, Reuse};
use crate::proxy::Proxy;
use crate::statistics::Spread;

pub(crate) const INSTANCES: u16 = 3;
pub(crate) const RATE: u32 = 4000;
pub(crate) const CONNECTIONS: u32 = 32;
/// From one instance's start to the next one's turn a second passes, `min_ready_time`.
pub(crate) const WINDOW: Duration = Duration::from_secs(4);

/// The time in which 99.9 % were answered, in microseconds.
#[derive(Debug)]
pub(crate) struct Tail {
    pub(crate) at_rest: f64,
    pub(crate) restarting: f64,
    /// Of each restart to the rest before it.
    pub(crate) ratio: Spread,
    pub(crate) answers: usize,
}

const TAIL: f64 = 0.999;

/// Loads without and with a rolling restart, in turns.
///
/// # Errors
/// When a request is lost, or the restart is refused or fails.
pub(crate) async fn run(proxy: &Proxy, rounds: u32) -> anyhow::Result<Tail> {
    let plan = Plan {
        request: load::get("/bytes/100", &proxy.site.host()),
        connections: CONNECTIONS,
        reuse: Reuse::KeepAlive,
        pace: Pace::PerSecond(RATE),
        lasting: WINDOW,
    };
    let (mut rests, mut restarts, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        let rest = load::run(proxy.addr(), &plan).await?;
        let (restart, restarted) = tokio::join!(load::run(proxy.addr(), &plan), proxy.restart());
        restarted?;
        let restart = restart?;
        ratios.push(restart.within(TAIL) / rest.within(TAIL));
        rests.push(rest);
        restarts.push(restart);
    }
    let (rests, restarts) = (Answers::all(rests), Answers::all(restarts));
    Ok(Tail {
        at_rest: rests.within(TAIL),
        restarting: restarts.within(TAIL),
        ratio: Spread::of(ratios),
        answers: rests.count() + restarts.count(),
    })
}
