//! Clients that have asked once and keep their connection: what each of them costs in memory, right
//! after its answer and once the proxy has given back what it does not need for one that waits.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, ensure};
use rustix::process::{Resource, getrlimit};
use smoothserve_tests::wait;
use tokio::net::TcpSocket;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::load;
use crate::proxy::Proxy;
use crate::wire::Wire;

/// How many there are, where the limit of descriptors allows it.
const CONNECTIONS: u32 = 10_000;
/// Connections from one address, so that neither ports run out nor a limit for one client is met.
const OF_AN_ADDRESS: u32 = 500;
/// Connections that are made at the same time.
const AT_ONCE: u32 = 200;
/// A proxy is at rest when its memory has been the same for so long, but for [`LITTLE`]. More than
/// two of the seconds in which connections to the application are closed that nobody uses.
const STILL: Duration = Duration::from_secs(3);
const LITTLE: u64 = 64 << 10;
/// What is not at rest by then is taken as it is: soon the first clients have waited for too long.
const REST_LIMIT: Duration = Duration::from_secs(15);

/// Resident memory of a proxy, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    pub(crate) without: u64,
    /// With all of them, right after the last answer.
    pub(crate) answered: u64,
    /// The same, once it does not change any more.
    pub(crate) rested: u64,
    pub(crate) connections: u32,
}

impl Memory {
    /// Bytes that one more connection takes, of `with` in all.
    pub(crate) fn each(&self, with: u64) -> f64 {
        with.saturating_sub(self.without) as f64 / f64::from(self.connections)
    }

    /// Bytes that one takes which waits.
    pub(crate) fn at_rest(&self) -> f64 {
        self.each(self.rested)
    }
}

/// As many as a proxy takes that keeps a descriptor for the instance's side of each.
pub(crate) fn connections() -> u32 {
    let descriptors = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let most = descriptors.saturating_sub(200) / 2;
    u32::try_from(most).unwrap_or(CONNECTIONS).min(CONNECTIONS)
}

/// Looks at a proxy without clients, and twice with so many that wait.
///
/// # Errors
/// When one of them is not served, or the limit of descriptors is too low.
pub(crate) async fn run(proxy: &Proxy, connections: u32) -> anyhow::Result<Memory> {
    let without = proxy.cost()?.memory;
    let mut kept = Vec::new();
    for first in (0..connections).step_by(AT_ONCE as usize) {
        let mut clients = JoinSet::new();
        for number in first..connections.min(first + AT_ONCE) {
            clients.spawn_local(asked(proxy.addr(), number, proxy.site.host()));
        }
        while let Some(wire) = clients.join_next().await {
            kept.push(wire?.with_context(|| {
                format!("{}, connection {} of {connections}", proxy.kind.name(), kept.len() + 1)
            })?);
        }
    }
    let answered = proxy.cost()?.memory;
    let rested = rest(proxy).await?;
    // One that was closed meanwhile takes no memory.
    let open = kept.iter().filter(|wire| wire.is_idle()).count();
    ensure!(open == kept.len(), "{} closed all but {open} connections", proxy.kind.name());
    Ok(Memory { without, answered, rested, connections })
}

/// What it takes when that has not changed for a while.
async fn rest(proxy: &Proxy) -> anyhow::Result<u64> {
    let (mut memory, mut since) = (proxy.cost()?.memory, Instant::now());
    let rested = wait::within(REST_LIMIT, async || match proxy.cost() {
        Ok(cost) if cost.memory.abs_diff(memory) > LITTLE => {
            (memory, since) = (cost.memory, Instant::now());
            None
        }
        Ok(cost) => (since.elapsed() >= STILL).then_some(Ok(cost.memory)),
        Err(error) => Some(Err(error)),
    });
    rested.await.unwrap_or_else(|| Ok(proxy.cost()?.memory))
}

/// A connection that has asked once.
async fn asked(addr: SocketAddr, number: u32, host: String) -> anyhow::Result<Wire> {
    let socket = TcpSocket::new_v4()?;
    let [_, _, high, low] = (number / OF_AN_ADDRESS + 1).to_be_bytes();
    socket.bind((Ipv4Addr::new(127, 1, high, low), 0).into())?;
    let mut wire = Wire::new(socket.connect(addr).await?)?;
    load::ask(&mut wire, &load::get("/", &host)).await?;
    wire.rest();
    Ok(wire)
}
