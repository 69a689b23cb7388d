//! One run as the proxy sees it: an address, a gate, connections, figures.
//!
//! A new run gets a new endpoint, even on the same port.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use smoothserve_protocol::id::{Generation, RunId, Slot};
use smoothserve_protocol::snapshot::Blocker;
use tokio_util::sync::CancellationToken;

use super::gate::{Epoch, Gate};
use super::h2c::{self, Sessions};
use super::health::Health;
use super::link::Link;
use super::pool::{Pool, Seat};
use super::traffic::RunTraffic;
use super::upstream::Upstream;
use super::visit::Visit;
use crate::config::{InstanceAddr, Limits, UpstreamProtocol};

type Ring = Box<dyn Fn(RunId, Epoch) + Send + Sync>;
type Tell = Box<dyn Fn(Fitness) + Send + Sync>;

/// One launch of one instance.
pub struct Endpoint {
    launch: Launched,
    addr: InstanceAddr,
    idle_timeout: Duration,
    gate: Gate,
    health: Health,
    tunnels: AtomicU32,
    pool: Pool,
    /// Of a run that speaks HTTP/2; the pool keeps no connection then.
    sessions: Option<Sessions>,
    traffic: RunTraffic,
    /// Requests that found a kept connection closed, and were sent again.
    sent_again: AtomicU64,
    /// Its process exited while it was open.
    fell: AtomicBool,
    ring: Ring,
    tell: Tell,
    /// Ends the tunnels that are open, and those that are about to open. Renewed by `reopen`.
    end_of_tunnels: Mutex<CancellationToken>,
}

/// Which launch, and of what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Launched {
    /// Its number, never given again.
    pub run: RunId,
    /// The instance's place.
    pub slot: Slot,
    /// The generation it belongs to.
    pub generation: Generation,
}

/// How a run does, as its requests say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fitness {
    /// It is left out of the choice: too many requests in a row failed there; why the last one did.
    LeftOut(String),
    /// It answered again, or need no longer be left out.
    Chosen,
}

/// Who is inside a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Inside {
    /// Requests whose last byte is still owed.
    pub requests: u32,
    /// Upgraded connections.
    pub tunnels: u32,
}

impl Endpoint {
    /// An open endpoint of `launch`, which listens on `addr` and speaks `protocol` there as long as it
    /// lives.
    ///
    /// `ring` is called once per closing, when nobody is inside any more, on whatever thread that
    /// happens; it must not wait. Neither may `tell`, which is called when the run is left out of
    /// the choice for what its requests say, and when it no longer is.
    pub fn new(
        launch: Launched,
        addr: InstanceAddr,
        protocol: UpstreamProtocol,
        limits: &Limits,
        ring: impl Fn(RunId, Epoch) + Send + Sync + 'static,
        tell: impl Fn(Fitness) + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self {
            launch,
            addr,
            idle_timeout: limits.upstream_idle_timeout,
            gate: Gate::new(),
            health: Health::new(Instant::now()),
            tunnels: AtomicU32::new(0),
            pool: Pool::new(),
            sessions: match protocol {
                UpstreamProtocol::Http1 => None,
                UpstreamProtocol::H2c => Some(Sessions::new()),
            },
            traffic: RunTraffic::new(),
            sent_again: AtomicU64::new(0),
            fell: AtomicBool::new(false),
            ring: Box::new(ring),
            tell: Box::new(tell),
            end_of_tunnels: Mutex::new(CancellationToken::new()),
        })
    }

    /// Which launch this is.
    pub fn run(&self) -> RunId {
        self.launch.run
    }

    /// Which launch of which instance this is.
    pub fn launched(&self) -> Launched {
        self.launch
    }

    /// Admits nobody from now on, closes the idle connections, and says who is inside.
    ///
    /// Rings with `epoch` when the last one has left; at once, and before this returns, if nobody
    /// is inside.
    pub fn close(&self, epoch: Epoch) -> Inside {
        let closing = self.gate.close(epoch);
        self.close_connections();
        let inside = self.split(closing.inside);
        if closing.rings {
            (self.ring)(self.run(), epoch);
        }
        inside
    }

    /// Admits again, after a [`close`](Self::close) whose run was not signalled.
    ///
    /// Requests that wait for an instance learn of it by the next
    /// [`offer`](super::ServiceProxy::offer).
    pub fn reopen(&self) {
        self.pool.reopen();
        if let Some(sessions) = &self.sessions {
            sessions.reopen();
        }
        {
            let mut end = self.end_of_tunnels();
            if end.is_cancelled() {
                *end = CancellationToken::new();
            }
        }
        self.gate.reopen();
    }

    /// Closes the open tunnels; each is counted as closed by a drain.
    ///
    /// A tunnel that opens later, out of a request that was inside, is closed at once, until
    /// [`reopen`](Self::reopen).
    pub fn end_tunnels(&self) {
        let end = self.end_of_tunnels().clone();
        end.cancel();
    }

    /// Ends everything inside at once: requests count as cut, tunnels as closed.
    ///
    /// To be called on a closed endpoint; otherwise more may come in behind it.
    pub fn cut(&self) {
        self.pool.cut();
        self.end_tunnels();
    }

    /// The process has exited: admits nobody, keeps no connection, and owes no ring.
    ///
    /// Requests inside end by themselves, because their connections do.
    pub fn dead(&self) {
        self.fell.store(self.gate.load().is_some(), Ordering::Relaxed);
        self.gate.shut();
        self.close_connections();
    }

    /// Who is inside.
    pub fn inside(&self) -> Inside {
        self.split(self.gate.inside())
    }

    /// Who of them has been inside the longest, in order, at most so many.
    pub fn blockers(&self, now: Instant, at_most: usize) -> Vec<Blocker> {
        self.pool.oldest(at_most).iter().map(|visit| visit.shown(now)).collect()
    }

    /// Requests that were sent again, because a connection kept from an earlier request was closed
    /// before they were answered.
    ///
    /// None of a run that fell: its connections ended with it, and not because it ends them early.
    pub fn sent_again(&self) -> u64 {
        if self.fell.load(Ordering::Relaxed) { 0 } else { self.sent_again.load(Ordering::Relaxed) }
    }

    /// It failed too many requests in a row, and is left out as long as others are not.
    pub fn is_left_out(&self) -> bool {
        self.health.is_left_out()
    }

    /// Its figures.
    pub fn traffic(&self) -> &RunTraffic {
        &self.traffic
    }

    /// How many are inside; none if nobody may enter.
    pub(crate) fn load(&self) -> Option<u32> {
        self.gate.load()
    }

    /// It may be chosen, for all that its requests say.
    pub(crate) fn may_be_chosen(&self, now: Instant) -> bool {
        self.health.may_be_chosen(now)
    }

    /// Enters, unless closed or left out; one that is left out is entered once each `pause`.
    pub(crate) fn enter_in_turn(
        self: &Arc<Self>,
        now: Instant,
        pause: impl FnOnce() -> Duration,
    ) -> Option<Pass> {
        if self.health.take_turn(now, pause) { self.enter() } else { None }
    }

    /// A request failed here, by the fault of the run.
    pub(crate) fn failed(&self, now: Instant, limits: &Limits, why: &str) {
        if self.health.failed(now, limits.max_fails, limits.fail_timeout) {
            (self.tell)(Fitness::LeftOut(why.to_owned()));
        }
    }

    /// A request was answered here, or what failed before does not matter any more.
    pub(crate) fn answered(&self) {
        if self.health.answered() {
            (self.tell)(Fitness::Chosen);
        }
    }

    /// Enters, unless closed.
    pub(crate) fn enter(self: &Arc<Self>) -> Option<Pass> {
        self.gate.enter().then(|| Pass { endpoint: Arc::clone(self), seat: None })
    }

    pub(crate) fn sweep(&self, now: Instant) {
        self.pool.sweep(now, self.idle_timeout);
        if let Some(sessions) = &self.sessions {
            sessions.sweep(now, self.idle_timeout);
        }
    }

    /// Those that are idle; the others close when they are done.
    fn close_connections(&self) {
        self.pool.close();
        if let Some(sessions) = &self.sessions {
            sessions.close();
        }
    }

    fn end_of_tunnels(&self) -> MutexGuard<'_, CancellationToken> {
        self.end_of_tunnels.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn split(&self, inside: u32) -> Inside {
        let tunnels = self.tunnels.load(Ordering::SeqCst).min(inside);
        Inside { requests: inside - tunnels, tunnels }
    }
}

/// The right to be inside a run; while it lives, the run is not signalled.
///
/// It goes where the last byte is: into the body of the answer, or into the tunnel.
pub(crate) struct Pass {
    endpoint: Arc<Endpoint>,
    /// Where `cut` and `blockers` find it.
    seat: Option<Seat>,
}

/// How old a connection a request may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Age {
    /// None from the pool: it must be connected for this request.
    New,
    /// Used a moment ago, but not just now. For what cannot be sent twice: an application does not
    /// close a connection as idle so soon; one that closes it after so many requests does so at once,
    /// and has by then been heard. A new one to the same machine costs little.
    Recent,
    /// Any that is kept.
    Any,
}

const SETTLED: Duration = Duration::from_millis(5);
const RECENT: Duration = Duration::from_millis(20);

impl Age {
    /// How long it may have been idle, where `limit` is the longest of all; none: it must be new.
    fn longest_idle(self, limit: Duration) -> Option<Duration> {
        match self {
            Self::New => None,
            Self::Recent => Some(RECENT.min(limit)),
            Self::Any => Some(limit),
        }
    }

    /// How long it must have been idle. Of no meaning with HTTP/2, which says so when it closes.
    fn shortest_idle(self) -> Duration {
        match self {
            Self::Recent => SETTLED,
            Self::New | Self::Any => Duration::ZERO,
        }
    }
}

fn multiplexed(stream: h2c::Stream) -> Upstream {
    Upstream::Http2(Box::new(stream))
}

/// A pass that counts as a tunnel.
pub(crate) struct TunnelPass {
    pass: Pass,
}

impl Pass {
    pub(crate) fn run(&self) -> RunId {
        self.endpoint.run()
    }

    pub(crate) fn launched(&self) -> Launched {
        self.endpoint.launched()
    }

    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    pub(crate) fn traffic(&self) -> &RunTraffic {
        &self.endpoint.traffic
    }

    /// Sits down, and takes a connection that is there, if there is one young enough.
    pub(crate) fn sit(&mut self, visit: Visit, now: Instant, age: Age) -> Option<Upstream> {
        let (pool, limit) = (&self.endpoint.pool, self.endpoint.idle_timeout);
        if let Some(sessions) = &self.endpoint.sessions {
            self.seat = Some(pool.sit(visit, now, None).0);
            return sessions.open(age.longest_idle(limit).unwrap_or_default()).map(multiplexed);
        }
        let ages = age.longest_idle(limit).map(|longest| age.shortest_idle()..=longest);
        let (seat, link) = pool.sit(visit, now, ages);
        self.seat = Some(seat);
        let mut link = link?;
        if age == Age::Recent || link.is_doubtful() {
            link.suspect();
        }
        Some(Upstream::Http1(link))
    }

    pub(crate) fn addr(&self) -> &InstanceAddr {
        &self.endpoint.addr
    }

    /// A new connection, or with HTTP/2 one that became free meanwhile and is young enough.
    pub(crate) async fn connect(&self, limit: Duration, age: Age) -> std::io::Result<Upstream> {
        let Endpoint { addr, idle_timeout, sessions, .. } = &*self.endpoint;
        match sessions {
            None => Link::connect(addr, limit).await.map(Upstream::Http1),
            Some(sessions) => {
                let longest = age.longest_idle(*idle_timeout).unwrap_or_default();
                sessions.connect(addr, limit, longest).await.map(multiplexed)
            }
        }
    }

    /// Leaves the connection to the next request.
    pub(crate) fn give_back(&mut self, link: Link, now: Instant) {
        if let Some(seat) = self.seat.take() {
            self.endpoint.pool.give_back(seat, link, now);
        }
    }

    /// The request is sent again, because the connection it took had been closed.
    pub(crate) fn note_sent_again(&self) {
        self.endpoint.sent_again.fetch_add(1, Ordering::Relaxed);
    }

    /// The request became a tunnel: it no longer ends with its client's exchange.
    pub(crate) fn into_tunnel(self) -> TunnelPass {
        if let Some(seat) = &self.seat {
            self.endpoint.pool.become_tunnel(seat);
        }
        self.endpoint.tunnels.fetch_add(1, Ordering::SeqCst);
        TunnelPass { pass: self }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if let Some(seat) = self.seat.take() {
            self.endpoint.pool.stand_up(seat);
        }
        if let Some(epoch) = self.endpoint.gate.leave() {
            (self.endpoint.ring)(self.endpoint.run(), epoch);
        }
    }
}

impl TunnelPass {
    /// Cancelled when the tunnels of this run are to end.
    pub(crate) fn end(&self) -> CancellationToken {
        self.pass.endpoint.end_of_tunnels().clone()
    }
}

impl Drop for TunnelPass {
    fn drop(&mut self) {
        // Before the pass leaves, so that a tunnel is never counted that is not inside.
        self.pass.endpoint.tunnels.fetch_sub(1, Ordering::SeqCst);
    }
}
