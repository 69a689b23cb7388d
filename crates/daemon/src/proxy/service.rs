//! One service as the proxy sees it: which runs may be chosen, and which is.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use smoothserve_protocol::id::{RunId, ServiceName, Slot};
use smoothserve_protocol::snapshot::Ledger;

use super::edge::CurrentEdge;
use super::endpoint::{Endpoint, Pass};
use super::hold::WaitingRoom;
use super::ledger::Counts;
use super::losses::Losses;
use super::progress::Patience;
use super::traffic::ServiceTraffic;
use crate::config::{Edge, ServiceConfig};

/// The proxy's side of a service. It lives as long as the service, whatever its runs do.
pub struct ServiceProxy {
    name: ServiceName,
    config: ArcSwap<ServiceConfig>,
    edge: CurrentEdge,
    choice: ArcSwap<Choice>,
    /// Where the search for the least busy one begins, so that ties are taken in turn.
    turn: AtomicUsize,
    counts: Counts,
    traffic: ServiceTraffic,
    waiting: WaitingRoom,
    patience: Patience,
    losses: Losses,
}

/// What a request may choose from; always complete, replaced as a whole.
pub struct Choice {
    /// The runs that are ready.
    pub endpoints: Vec<Arc<Endpoint>>,
    /// What becomes of a request that finds none of them open.
    pub when_none: WhenNone,
}

/// What becomes of a request for which no instance is ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WhenNone {
    /// It waits this long: an instance is expected.
    Hold(Duration),
    /// It is turned away with 503 and this reason, and does not count as accepted.
    Stopped(String),
    /// It is answered with 503 and this reason, and counts as lost.
    Failed(String),
}

impl ServiceProxy {
    /// A service without any run yet, which reads as stopped until the first offer.
    pub fn new(config: Arc<ServiceConfig>) -> Arc<Self> {
        let when_none = WhenNone::Stopped("it has not been started".into());
        Arc::new(Self {
            waiting: WaitingRoom::new(config.limits.hold_max),
            patience: Patience::new(&config.requests),
            name: config.name.clone(),
            edge: CurrentEdge::new(config.edge.clone()),
            config: ArcSwap::new(config),
            choice: ArcSwap::from_pointee(Choice { endpoints: Vec::new(), when_none }),
            turn: AtomicUsize::new(0),
            counts: Counts::default(),
            traffic: ServiceTraffic::new(),
            losses: Losses::default(),
        })
    }

    /// Replaces what may be chosen, and wakes the requests that wait for it.
    pub fn offer(&self, choice: Choice) {
        if let [only] = &choice.endpoints[..] {
            // It is chosen whatever its requests say.
            only.answered();
        }
        self.choice.store(Arc::new(choice));
        self.waiting.wake();
    }

    /// Where every request went, as of one moment.
    pub fn ledger(&self) -> Ledger {
        self.counts.read()
    }

    /// Requests that wait for an instance at this moment.
    pub fn held_now(&self) -> u64 {
        self.waiting.now()
    }

    /// The longest that a request waited for an instance, of those that have ended their wait since
    /// [`forget_waits`](Self::forget_waits); none if none did.
    pub fn slowest_wait(&self) -> Option<Duration> {
        self.waiting.slowest()
    }

    /// Measures waits anew from now on.
    pub fn forget_waits(&self) {
        self.waiting.forget();
    }

    /// Open tunnels at this moment.
    pub fn tunnels_now(&self) -> u64 {
        self.counts.tunnels()
    }

    /// Figures of the service as a whole.
    pub fn traffic(&self) -> &ServiceTraffic {
        &self.traffic
    }

    /// Takes what a new configuration says of the proxy's side.
    pub fn reconfigure(&self, config: Arc<ServiceConfig>) {
        self.waiting.resize(config.limits.hold_max);
        if config.limits.max_fails == 0 {
            self.choice.load().endpoints.iter().for_each(|endpoint| endpoint.answered());
        }
        self.patience.set(&config.requests);
        self.edge.replace(config.edge.clone());
        self.config.store(config);
    }

    /// As it is now.
    pub fn config(&self) -> Arc<ServiceConfig> {
        self.config.load_full()
    }

    /// What is changed in its requests and answers; none: nothing.
    pub(crate) fn edge(&self) -> Option<Arc<Edge>> {
        self.edge.get()
    }

    pub(crate) fn name(&self) -> &ServiceName {
        &self.name
    }

    pub(crate) fn counts(&self) -> &Counts {
        &self.counts
    }

    pub(crate) fn losses(&self) -> &Losses {
        &self.losses
    }

    /// How long its requests may wait for what.
    pub(crate) fn patience(&self) -> &Patience {
        &self.patience
    }

    pub(crate) fn waiting(&self) -> &WaitingRoom {
        &self.waiting
    }

    pub(crate) fn when_none(&self) -> WhenNone {
        self.choice.load().when_none.clone()
    }

    /// Enters the run of the slot that the client wishes for, or else the least busy of the open
    /// runs; none of those among `tried`. Ties take turns. Those that failed too often are left out,
    /// unless there is no other.
    pub(crate) fn enter(&self, tried: &[RunId], wish: Option<Slot>, now: Instant) -> Option<Pass> {
        let choice = self.choice.load();
        let endpoints = &choice.endpoints[..];
        let pause = || self.config.load().limits.fail_timeout;
        if let Some(pass) = wish.and_then(|slot| enter_slot(endpoints, tried, slot, now, pause)) {
            return Some(pass);
        }
        if let [only] = endpoints {
            return if tried.contains(&only.run()) { None } else { only.enter() };
        }
        let is_new = |endpoint: &Endpoint| !tried.contains(&endpoint.run());
        // Entering fails only if the gate closed since it was looked at, or if somebody else tries
        // one that was left out, so each round has one candidate less.
        let rounds = || 0..endpoints.len();
        rounds()
            .map_while(|_| self.least_busy(endpoints, |one| is_new(one) && one.may_be_chosen(now)))
            .find_map(|endpoint| endpoint.enter_in_turn(now, pause))
            .or_else(|| {
                rounds().map_while(|_| self.least_busy(endpoints, is_new)).find_map(Endpoint::enter)
            })
    }

    /// A request failed in `pass`, by the fault of its run. One that drains, or is the only one, is
    /// never left out.
    pub(crate) fn failed_in(&self, pass: &Pass, why: &str) {
        let endpoint = pass.endpoint();
        if self.choice.load().endpoints.len() > 1 && endpoint.load().is_some() {
            endpoint.failed(Instant::now(), &self.config.load().limits, why);
        }
    }

    fn least_busy<'a>(
        &self,
        endpoints: &'a [Arc<Endpoint>],
        may: impl Fn(&Endpoint) -> bool,
    ) -> Option<&'a Arc<Endpoint>> {
        let first = self.turn.fetch_add(1, Ordering::Relaxed) % endpoints.len().max(1);
        let (before, after) = endpoints.split_at(first);
        after
            .iter()
            .chain(before)
            .filter(|endpoint| may(endpoint))
            .filter_map(|endpoint| Some((endpoint.load()?, endpoint)))
            .min_by_key(|(load, _)| *load)
            .map(|(_, endpoint)| endpoint)
    }

    /// Drops idle connections that are past their age.
    pub(crate) fn sweep(&self, now: Instant) {
        for endpoint in &self.choice.load().endpoints {
            endpoint.sweep(now);
        }
    }
}

/// While a run takes the place of another, both may be open. One that is left out is not wished for:
/// the request is better off elsewhere.
fn enter_slot(
    endpoints: &[Arc<Endpoint>],
    tried: &[RunId],
    slot: Slot,
    now: Instant,
    pause: impl Fn() -> Duration,
) -> Option<Pass> {
    let is_wished = |endpoint: &&Arc<Endpoint>| {
        endpoint.launched().slot == slot && !tried.contains(&endpoint.run())
    };
    endpoints.iter().filter(is_wished).find_map(|one| one.enter_in_turn(now, &pause))
}
