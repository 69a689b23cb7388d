//! One connection from a client: its socket, its task, and how both end.

use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering, fence};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::BytesMut;
use http::HeaderValue;
use tokio::time::Sleep;

use super::forwarded::{Peer, Scheme};
use super::guard::Noted;
use super::handshake::Secured;
use super::http2::preface::Spoken;
use super::http2::{self, Streams};
use super::lean::{self, Turn};
use super::linger::Lingering;
use super::origins::Origin;
use super::places::Place;
use super::progress::Progress;
use super::stream::Stream;
use super::turns::in_turns;
use super::{Proxy, elaborate};

/// What the requests of one connection have in common; with HTTP/2, those of one stream.
pub(crate) struct Client {
    proxy: Arc<Proxy>,
    /// Where it came in.
    entrance: Arc<Entrance>,
    /// Where the client connects from.
    addr: SocketAddr,
    /// Its address, formatted once for all its requests.
    peer: HeaderValue,
    /// What it said of itself inside TLS; none: it is in the clear.
    secured: Option<Arc<Secured>>,
    cut: AtomicBool,
    /// The request it has is its last.
    has_finished: AtomicBool,
    /// Why it is read no further.
    noted: Noted,
    progress: Progress,
    /// Of the task that serves it; the same for all its life.
    waker: OnceLock<Waker>,
    /// Of a connection of HTTP/2: who asks on it.
    streams: OnceLock<Box<Streams>>,
    _admission: Admission,
}

/// What a client holds as long as it is there; the last ones of a closing listener need none.
#[derive(Default)]
pub(crate) struct Admission {
    /// Among the clients there may be at once.
    _place: Option<Place>,
    /// Among those of its address.
    _origin: Option<Origin>,
}

impl Admission {
    pub(crate) fn new(place: Option<Place>, origin: Option<Origin>) -> Self {
        Self { _place: place, _origin: origin }
    }

    /// The same, for a client that was introduced.
    pub(crate) fn of(self, origin: Option<Origin>) -> Self {
        Self { _origin: origin, ..self }
    }
}

/// A listener, as those see it who came in by it.
pub(crate) struct Entrance {
    /// As configured.
    pub(crate) listen: SocketAddr,
    /// It is no longer an entrance: whoever is in is asked to leave.
    pub(crate) closed: AtomicBool,
    /// The port of HTTPS that clients are sent to; 0: they are served.
    pub(crate) https_port: AtomicU16,
}

impl Entrance {
    pub(crate) fn new(listen: SocketAddr) -> Arc<Self> {
        let (closed, https_port) = (AtomicBool::new(false), AtomicU16::new(0));
        Arc::new(Self { listen, closed, https_port })
    }
}

/// When the doors close, an idle client may have a request under way: so long is it listened to.
pub(super) const LAST_REQUEST: Duration = Duration::from_secs(1);
impl Client {
    pub(crate) fn new(
        proxy: Arc<Proxy>,
        entrance: Arc<Entrance>,
        peer: SocketAddr,
        admission: Admission,
        secured: Option<Secured>,
    ) -> Arc<Self> {
        let addr = SocketAddr::new(peer.ip().to_canonical(), peer.port());
        let peer = HeaderValue::try_from(addr.ip().to_string());
        let peer = peer.expect("an address is visible ASCII");
        let secured = secured.map(Arc::new);
        Self::admitted(proxy, entrance, addr, peer, secured, Noted::default(), admission)
    }

    /// One stream of `connection`, which has the admission.
    pub(crate) fn of_stream(connection: &Self) -> Arc<Self> {
        let Self { proxy, entrance, addr, peer, secured, noted, .. } = connection;
        let (proxy, entrance) = (Arc::clone(proxy), Arc::clone(entrance));
        let (peer, secured, noted) = (peer.clone(), secured.clone(), noted.clone());
        Self::admitted(proxy, entrance, *addr, peer, secured, noted, Admission::default())
    }

    fn admitted(
        proxy: Arc<Proxy>,
        entrance: Arc<Entrance>,
        addr: SocketAddr,
        peer: HeaderValue,
        secured: Option<Arc<Secured>>,
        noted: Noted,
        _admission: Admission,
    ) -> Arc<Self> {
        Arc::new(Self {
            proxy,
            entrance,
            addr,
            peer,
            secured,
            cut: AtomicBool::new(false),
            has_finished: AtomicBool::new(false),
            noted,
            progress: Progress::new(),
            waker: OnceLock::new(),
            streams: OnceLock::new(),
            _admission,
        })
    }

    /// Who asks on it, from now on more than one.
    pub(crate) fn streams(&self) -> &Streams {
        self.streams.get_or_init(|| Box::new(Streams::new()))
    }

    /// Who asks on it, if it is a connection of HTTP/2.
    pub(crate) fn open_streams(&self) -> Option<&Streams> {
        self.streams.get().map(Box::as_ref)
    }

    /// Whether it may speak HTTP/2 in the clear without more ado, where it came in.
    fn may_speak_http2(&self) -> bool {
        self.secured.is_none()
            && self.noted.get().is_none()
            && self.proxy.limits().http2.contains(&self.entrance.listen.port())
    }

    /// Whether that was agreed on inside TLS.
    fn agreed_on_http2(&self) -> bool {
        self.secured.as_ref().is_some_and(|secured| secured.speaks_http2)
    }

    /// What its connection waits for.
    pub(crate) fn progress(&self) -> &Progress {
        &self.progress
    }

    pub(crate) fn proxy(&self) -> &Arc<Proxy> {
        &self.proxy
    }

    pub(crate) fn listen(&self) -> SocketAddr {
        self.entrance.listen
    }

    pub(crate) fn noted(&self) -> &Noted {
        &self.noted
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub(crate) fn peer(&self) -> Peer<'_> {
        let scheme = if self.is_secured() { Scheme::Https } else { Scheme::Http };
        Peer { addr: self.addr.ip(), text: &self.peer, scheme }
    }

    pub(crate) fn is_secured(&self) -> bool {
        self.secured.is_some()
    }

    /// The port of HTTPS that it is sent to, if it is not to be served here.
    pub(crate) fn https_port(&self) -> Option<u16> {
        match self.entrance.https_port.load(Ordering::Relaxed) {
            0 => None,
            // A port that has just begun to redirect may have clients inside TLS.
            port => (!self.is_secured()).then_some(port),
        }
    }

    /// The host it came for inside TLS, if it named one there.
    pub(crate) fn server_name(&self) -> Option<&str> {
        self.secured.as_ref()?.server_name.as_deref()
    }

    /// It is to leave after the request it has.
    pub(crate) fn is_leaving(&self) -> bool {
        self.proxy.doors().are_closing() || self.entrance.closed.load(Ordering::Relaxed)
    }

    /// It says that no request will follow the one it has.
    pub(crate) fn finish(&self) {
        self.has_finished.store(true, Ordering::Relaxed);
    }

    pub(crate) fn has_finished(&self) -> bool {
        self.has_finished.load(Ordering::Relaxed)
    }

    /// Ends the connection at once; the request inside counts as cut.
    pub(crate) fn cut(&self) {
        self.cut.store(true, Ordering::SeqCst);
        self.wake();
    }

    pub(crate) fn is_cut(&self) -> bool {
        self.cut.load(Ordering::Relaxed)
    }

    /// Has the connection look at the doors again.
    pub(crate) fn wake(&self) {
        // Pairs with `note_waker`: either we find the waker, or its task finds what we changed.
        fence(Ordering::SeqCst);
        if let Some(waker) = self.waker.get() {
            waker.wake_by_ref();
        }
    }

    /// To be called before each look at what `cut` and the doors say.
    pub(crate) fn note_waker(&self, cx: &Context<'_>) {
        if self.waker.get().is_none() && self.waker.set(cx.waker().clone()).is_ok() {
            fence(Ordering::SeqCst);
        }
    }

    /// `future`, which is a part of the connection's beginning; none: the connection is to end before.
    pub(crate) async fn while_welcome<F: Future>(&self, future: F) -> Option<F::Output> {
        let mut future = pin!(future);
        let mut last = None;
        poll_fn(|cx| {
            self.note_waker(cx);
            if let Poll::Ready(output) = future.as_mut().poll(cx) {
                return Poll::Ready(Some(output));
            }
            if self.is_cut() || self.progress.overdue().is_some() {
                return Poll::Ready(None);
            }
            self.poll_leave(&mut last, cx).map(|()| None)
        })
        .await
    }

    /// Ready when it is to leave, and has been listened to for long enough since that was seen: until
    /// `last`, at first none.
    pub(crate) fn poll_leave(
        &self,
        last: &mut Option<Pin<Box<Sleep>>>,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        if !self.is_leaving() {
            return Poll::Pending;
        }
        let last = last.get_or_insert_with(|| Box::pin(tokio::time::sleep(LAST_REQUEST)));
        last.as_mut().poll(cx)
    }
}

/// Serves a connection until it ends.
pub(crate) async fn serve(client: Arc<Client>, mut stream: Stream) {
    let _registered = client.proxy.doors().register(&client);
    let spoken = if client.agreed_on_http2() {
        Some(Spoken::Http2(BytesMut::new()))
    } else if client.may_speak_http2() {
        Box::pin(http2::preface::sniff(&client, &mut stream)).await
    } else {
        Some(Spoken::Http1(BytesMut::new()))
    };
    match spoken {
        Some(Spoken::Http1(begun)) => serve_http1(&client, stream, begun).await,
        // Boxed, so that other connections need no room for it.
        Some(Spoken::Http2(begun)) => {
            // If it cannot be set, the connection is broken, and reading will say so.
            let _ = stream.socket().set_nodelay(true);
            Box::pin(http2::serve(Arc::clone(&client), stream, begun)).await;
        }
        None => {}
    }
}

/// `begun` is what was read of it.
async fn serve_http1(client: &Arc<Client>, stream: Stream, begun: BytesMut) {
    let max_fields = client.proxy.limits().max_header_size;
    let mut io = Lingering::new(stream, max_fields, Arc::clone(client));
    if !begun.is_empty() {
        io.give_back(begun);
    }
    while wait_for_request(client, &io).await {
        // Boxed, both, so that an idle connection needs no room for them.
        match Box::pin(lean::serve(client, &mut io)).await {
            Turn::Answered => {}
            Turn::Over => return,
            Turn::Elaborate => {
                let elaborate = elaborate::serve(client, io, max_fields);
                match Box::pin(in_turns(elaborate)).await {
                    Some(idle) => io = idle,
                    None => return,
                }
            }
        }
    }
}

/// Waits as cheaply as can be: what a request needs is many times as large as its client's socket.
/// False if the connection is to end instead.
async fn wait_for_request(client: &Client, io: &Lingering) -> bool {
    poll_fn(|cx| {
        client.note_waker(cx);
        if client.is_cut() {
            return Poll::Ready(false);
        }
        if client.is_leaving() || io.poll_readable(cx).is_ready() {
            return Poll::Ready(true);
        }
        match client.progress.overdue() {
            // It asked for nothing, so there is nothing to answer.
            Some(_) => Poll::Ready(false),
            None => Poll::Pending,
        }
    })
    .await
}
