//! The data plane: HTTP from clients to instances and back.
//!
//! It takes listeners that are already bound, an immutable route table and the runs to choose
//! from. It never binds, spawns a process, reads the configuration's files or handles a signal, and
//! it knows nothing of why runs come and go.
//!
//! Reading order: [`request`] (one request), [`service`] (what may be chosen), [`endpoint`],
//! [`gate`] and [`visit`] (who is inside a run), [`body`] and [`exchange`] (how it is counted to
//! the last byte), [`upstream`], [`link`], [`answer`], [`pool`] and [`h2c`] (connections to instances), [`tries`]
//! and [`hold`] (what makes "no request lost" true), [`health`] (which run is left out for a while),
//! [`guard`] (what of a client's bytes is let in), [`client`], [`lean`] (plain requests), [`elaborate`]
//! (the others, which are hyper's), [`http2`], [`listen`], [`handshake`], [`stream`] and [`doors`]
//! (connections from clients), [`turns`] (how long one of them keeps the others waiting), [`progress`]
//! and [`sweep`] (what ends those who wait for too long),
//! [`access`] (what is told of a request).

mod access;
pub mod answer;
mod arriving;
mod body;
mod client;
mod date;
mod doors;
mod edge;
mod elaborate;
mod endpoint;
mod exchange;
mod expect;
mod forward;
pub(crate) mod forwarded;
pub mod gate;
pub mod guard;
mod h2c;
mod handshake;
mod health;
mod hold;
mod http2;
pub(crate) mod lean;
mod ledger;
mod lines;
mod linger;
mod link;
mod listen;
mod losses;
mod origins;
mod places;
mod pool;
mod prefix;
mod progress;
pub(crate) mod proxy_protocol;
mod refusal;
mod request;
mod request_id;
mod route;
mod service;
mod slots;
mod spare;
mod standing;
pub(crate) mod sticky;
mod stream;
mod sweep;
pub(crate) mod target;
#[cfg(test)]
mod tests;
mod to_https;
mod traffic;
mod tries;
mod tunnel;
mod turn_away;
mod turns;
mod upgrade;
mod upload;
mod upstream;
mod upstream_socket;
mod visit;
pub(crate) mod websocket;

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError};

use arc_swap::{ArcSwap, ArcSwapOption};
use http::HeaderValue;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(crate) use self::access::{Access, Accesses, Text, Told};
use self::client::Entrance;
use self::doors::Doors;
pub use self::endpoint::{Endpoint, Fitness, Inside, Launched};
pub use self::gate::Epoch;
use self::handshake::Handshakes;
#[cfg(test)]
pub(crate) use self::ledger::Outcome;
use self::origins::{Origin, Origins, TooMany};
use self::places::Places;
pub use self::refusal::Refusal;
pub use self::route::RouteTable;
pub use self::service::{Choice, ServiceProxy, WhenNone};
pub use self::standing::Standing;
pub use self::traffic::{RunTraffic, ServiceTraffic, Traffic};
pub use self::turn_away::LEAVING;
use self::turn_away::Speech;
pub(crate) use self::upstream_socket::UpstreamSocket;
use crate::config::{ClientLimits, Https, TlsListener, Trust};
use crate::tls::{Terms, Tickets};

/// Serves every listener of a daemon from one route table.
pub struct Proxy {
    table: ArcSwap<RouteTable>,
    doors: Doors,
    rejected: AtomicU64,
    trust: ArcSwap<Trust>,
    limits: ArcSwap<ClientLimits>,
    /// Of the listeners that speak TLS, by port.
    terms: ArcSwap<HashMap<u16, Terms>>,
    /// The same listeners as they were told.
    tls: ArcSwap<Vec<TlsListener>>,
    tickets: Tickets,
    https: ArcSwap<Https>,
    /// What browsers are told inside TLS.
    hsts: ArcSwapOption<HeaderValue>,
    redirected: AtomicU64,
    handshakes: Handshakes,
    standing: standing::Announced,
    accesses: Arc<Accesses>,
    /// Where clients come in.
    entrances: Mutex<HashMap<SocketAddr, (Arc<Entrance>, CancellationToken)>>,
    /// Accept loops, client connections and tunnels.
    tasks: TaskTracker,
    end_of_tunnels: CancellationToken,
    /// For clients. What is left of the descriptors belongs to instances and to the operator.
    places: Arc<Places>,
    /// For those who are turned away, while they read why.
    leaving: Arc<Places>,
    origins: Arc<Origins>,
    sweeping: Once,
}

impl Proxy {
    /// A proxy with these routes, no listener, and places for so many clients at once; who comes
    /// then and finds none for a moment is turned away.
    pub fn new(table: RouteTable, places: usize, limits: &ClientLimits) -> Arc<Self> {
        Arc::new(Self {
            limits: ArcSwap::from_pointee(limits.clone()),
            table: ArcSwap::from_pointee(table),
            doors: Doors::new(),
            rejected: AtomicU64::new(0),
            trust: ArcSwap::default(),
            terms: ArcSwap::default(),
            tls: ArcSwap::default(),
            tickets: Tickets::new(),
            https: ArcSwap::default(),
            hsts: ArcSwapOption::empty(),
            redirected: AtomicU64::new(0),
            handshakes: Handshakes::default(),
            standing: standing::Announced::default(),
            accesses: Arc::default(),
            entrances: Mutex::default(),
            tasks: TaskTracker::new(),
            end_of_tunnels: CancellationToken::new(),
            places: Places::new(places),
            leaving: Places::new(LEAVING),
            origins: Origins::new(limits.max_connections_per_client),
            sweeping: Once::new(),
        })
    }

    /// Replaces the routes. A request that was routed already stays with its service, and clients
    /// that came in by an address of `left` are routed there as before.
    pub fn swap(&self, table: RouteTable, left: &[SocketAddr]) {
        let old = self.table.load();
        let table = left.iter().fold(table, |table, listen| table.keeping(&old, *listen));
        self.table.store(Arc::new(table));
    }

    /// Believes these from now on, and nobody else; at first, nobody.
    pub fn trust(&self, trust: Trust) {
        self.trust.store(Arc::new(trust));
    }

    /// Other limits, for clients that come from now on and requests that begin; and so many places.
    pub fn limit(&self, places: usize, limits: &ClientLimits) {
        self.places.resize(places);
        self.origins.limit(limits.max_connections_per_client);
        self.limits.store(Arc::new(limits.clone()));
    }

    /// These listeners speak TLS, with clients that come from now on; the others do not.
    pub fn secure(&self, listeners: &[TlsListener]) {
        let terms = |listener: &TlsListener| {
            let TlsListener { port, certificates, min_version, http2 } = listener;
            (*port, Terms::new(certificates, *min_version, *http2, &self.tickets))
        };
        self.terms.store(Arc::new(listeners.iter().map(terms).collect()));
        self.tls.store(Arc::new(listeners.to_vec()));
    }

    /// Sends clients to HTTPS from the next request on, but for those who came in by an address of
    /// `left`, with whom it stays as it is.
    pub fn lead_to_https(&self, https: &Https, left: &[SocketAddr]) {
        let hsts = https.hsts.map(|hsts| HeaderValue::from_str(&hsts.value()));
        let hsts = hsts.map(|value| value.expect("it is visible ASCII"));
        self.hsts.store(hsts.map(Arc::new));
        self.https.store(Arc::new(https.clone()));
        let entrances = self.entrances();
        let staying = entrances.iter().filter(|(listen, _)| !left.contains(listen));
        for (entrance, _) in staying.map(|(_, entrance)| entrance) {
            self.mark(entrance);
        }
    }

    /// Says to an entrance whether its clients are sent to HTTPS.
    fn mark(&self, entrance: &Entrance) {
        let https = self.https.load();
        let is_redirected = https.redirected.contains(&entrance.listen);
        let port = if is_redirected { https.port } else { 0 };
        entrance.https_port.store(port, Ordering::Relaxed);
    }

    /// Serves clients of `listener` by the routes of `listen`, the address as configured, until
    /// [`leave`](Self::leave) or [`close_doors`](Self::close_doors). To be called in a tokio runtime.
    pub fn serve(self: &Arc<Self>, listen: SocketAddr, listener: TcpListener) {
        let entrance = Entrance::new(listen);
        self.mark(&entrance);
        let closing = CancellationToken::new();
        self.entrances().insert(listen, (Arc::clone(&entrance), closing.clone()));
        self.tasks.spawn(listen::accept(Arc::clone(self), entrance, listener, closing));
        self.sweeping.call_once(|| {
            tokio::spawn(sweep::rounds(Arc::downgrade(self)));
        });
    }

    /// Stops accepting on `listen`, after those who already wait in its queue; whoever came in by it
    /// is asked to leave, as at [`close_doors`](Self::close_doors).
    pub fn leave(&self, listen: SocketAddr) {
        let Some((entrance, closing)) = self.entrances().remove(&listen) else { return };
        entrance.closed.store(true, Ordering::SeqCst);
        closing.cancel();
        self.doors.close_one(listen);
    }

    fn entrances(&self) -> MutexGuard<'_, HashMap<SocketAddr, (Arc<Entrance>, CancellationToken)>> {
        // Nothing under this lock can panic half-way.
        self.entrances.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stops accepting, after those who already wait in a queue; answers say `Connection: close`
    /// from now on, and idle clients are listened to for a second more before they are closed.
    pub fn close_doors(&self) {
        self.unwelcome();
        self.doors.close();
    }

    /// Resolves when every client connection and every tunnel has ended, after
    /// [`close_doors`](Self::close_doors) or [`cut_all`](Self::cut_all).
    pub async fn closed(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Ends every client connection and every tunnel at once, and accepts no more.
    pub fn cut_all(&self) {
        self.doors.cut();
        self.end_of_tunnels.cancel();
    }

    /// Says that clients are welcome, unless it was said already that they no longer are.
    pub fn welcome(&self) {
        self.standing.serve();
    }

    /// Says that clients are no longer welcome; those that come are served.
    pub fn unwelcome(&self) {
        self.standing.leave();
    }

    /// Whether clients are welcome.
    pub fn standing(&self) -> Standing {
        self.standing.now()
    }

    /// Connections from clients that are open, and those there were in all.
    pub fn connections(&self) -> (usize, u64) {
        self.doors.counts()
    }

    /// Requests refused before they reached a service.
    pub fn rejected(&self) -> u64 {
        self.rejected.load(Ordering::Relaxed)
    }

    /// Requests that were sent to HTTPS.
    pub(crate) fn redirected(&self) -> u64 {
        self.redirected.load(Ordering::Relaxed)
    }

    /// The listeners that speak TLS.
    pub(crate) fn tls(&self) -> Arc<Vec<TlsListener>> {
        self.tls.load_full()
    }

    /// Handshakes of TLS that came to their end, and those that failed.
    pub(crate) fn tls_handshakes(&self) -> (u64, u64) {
        self.handshakes.counts()
    }

    /// What is told of each request.
    pub(crate) fn accesses(&self) -> &Arc<Accesses> {
        &self.accesses
    }

    fn table(&self) -> arc_swap::Guard<Arc<RouteTable>> {
        self.table.load()
    }

    fn trusted(&self) -> arc_swap::Guard<Arc<Trust>> {
        self.trust.load()
    }

    /// What is offered to clients of a port that speaks TLS.
    fn terms(&self, port: u16) -> Option<Terms> {
        self.terms.load().get(&port).cloned()
    }

    fn speech(&self, port: u16) -> Speech {
        if self.terms.load().contains_key(&port) { Speech::Tls } else { Speech::Plain }
    }

    fn handshakes(&self) -> &Handshakes {
        &self.handshakes
    }

    fn doors(&self) -> &Doors {
        &self.doors
    }

    fn tasks(&self) -> &TaskTracker {
        &self.tasks
    }

    fn end_of_tunnels(&self) -> &CancellationToken {
        &self.end_of_tunnels
    }

    fn places(&self) -> &Arc<Places> {
        &self.places
    }

    fn leaving(&self) -> &Arc<Places> {
        &self.leaving
    }

    /// Counts one more connection of the client at `addr`. A trusted proxy has any number: it comes
    /// for many clients.
    fn origin(&self, addr: IpAddr) -> Result<Option<Origin>, TooMany> {
        if self.trusted().includes(addr.to_canonical()) {
            return Ok(None);
        }
        self.origins.enter(addr)
    }

    fn limits(&self) -> arc_swap::Guard<Arc<ClientLimits>> {
        self.limits.load()
    }

    /// What browsers are told inside TLS, if anything.
    fn hsts(&self) -> Option<HeaderValue> {
        self.hsts.load().as_deref().cloned()
    }

    fn redirect(&self) {
        self.redirected.fetch_add(1, Ordering::Relaxed);
    }

    fn reject(&self) {
        self.rejected.fetch_add(1, Ordering::Relaxed);
    }
}
