//! Accepting clients on a listener that somebody else has bound.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::client::{Admission, Entrance};
use super::handshake::Newcomer;
use super::places::Place;
use super::turn_away::{Reason, Speech, turn_away};
use super::{Proxy, proxy_protocol};
use crate::accept::{BACK_OFF, Complaints};

/// How long a client may wait for a place: as others leave all the time, most find one.
const WAIT_FOR_PLACE: Duration = Duration::from_secs(1);

/// Accepts until `closing` or the doors close, and then whoever had been waiting in the queue.
pub(crate) async fn accept(
    proxy: Arc<Proxy>,
    entrance: Arc<Entrance>,
    listener: TcpListener,
    closing: CancellationToken,
) {
    // One for all clients: to begin to wait takes longer than to look again.
    let (doors, leaving) = (Arc::clone(&proxy), closing.clone());
    let mut over = pin!(until_closing(&doors, &leaving));
    let mut reception = Reception { proxy, entrance, closing, complaints: Complaints::default() };
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => reception.receive(&listener, stream, peer).await,
                Err(error) if is_clients_fault(&error) => {}
                Err(error) => {
                    reception.complain(&error.to_string());
                    tokio::time::sleep(BACK_OFF).await;
                }
            },
            () = &mut over => break,
        }
    }
    let listen = reception.entrance.listen;
    if let Err(error) = reception.empty_queue(listener) {
        tracing::warn!(%listen, %error, "clients in the queue of a closing listener are lost");
    }
}

/// Where clients of one listener come in.
struct Reception {
    proxy: Arc<Proxy>,
    entrance: Arc<Entrance>,
    closing: CancellationToken,
    complaints: Complaints,
}

/// What became of the search for a place.
enum Search {
    Found(Place),
    /// Nobody has left for a while.
    Crowded,
    /// Who has come so far is let in, place or not.
    Closing,
}

impl Reception {
    /// Lets a client in, or turns it away.
    async fn receive(&mut self, listener: &TcpListener, stream: TcpStream, peer: SocketAddr) {
        // Whoever is introduced first is counted when it is known who that is.
        let origin = if self.introduces() { Ok(None) } else { self.proxy.origin(peer.ip()) };
        let Ok(origin) = origin else {
            return turn_away(&self.proxy, stream, self.speech(), Reason::TooManyOfOne);
        };
        let place = match self.search().await {
            Search::Found(place) => Some(place),
            Search::Closing => None,
            Search::Crowded => {
                turn_away(&self.proxy, stream, self.speech(), Reason::NoPlace);
                return self.clear_queue(listener).await;
            }
        };
        self.admit(stream, peer, Admission::new(place, origin));
    }

    /// Meanwhile others wait in the kernel's queue, where they cost no descriptor.
    async fn search(&mut self) -> Search {
        let places = Arc::clone(self.proxy.places());
        if let Some(place) = places.try_take() {
            return Search::Found(place);
        }
        self.complain("there are as many as there may be");
        tokio::select! {
            place = places.take() => Search::Found(place),
            () = tokio::time::sleep(WAIT_FOR_PLACE) => Search::Crowded,
            () = until_closing(&self.proxy, &self.closing) => Search::Closing,
        }
    }

    /// Turns everybody away who waits in the queue: they have waited as well, and there is no place
    /// for them either.
    async fn clear_queue(&self, listener: &TcpListener) {
        poll_fn(|cx| {
            while self.proxy.places().is_full()
                && let Poll::Ready(Ok((stream, _))) = listener.poll_accept(cx)
            {
                turn_away(&self.proxy, stream, self.speech(), Reason::NoPlace);
            }
            Poll::Ready(())
        })
        .await;
    }

    fn admit(&self, stream: TcpStream, addr: SocketAddr, admission: Admission) {
        let (proxy, entrance) = (Arc::clone(&self.proxy), Arc::clone(&self.entrance));
        let newcomer = Newcomer { proxy, entrance, stream, addr, admission };
        let tasks = self.proxy.tasks();
        // Tasks of their own kinds: who needs nothing of all this pays for none of it.
        if self.introduces() {
            tasks.spawn(proxy_protocol::serve(newcomer));
        } else if self.speech() == Speech::Tls {
            tasks.spawn(newcomer.serve());
        } else {
            tasks.spawn(newcomer.serve_in_the_clear(None));
        }
    }

    /// What clients of this listener speak.
    fn speech(&self) -> Speech {
        self.proxy.speech(self.entrance.listen.port())
    }

    /// Each connection begins with a header that says for whom it is.
    fn introduces(&self) -> bool {
        self.proxy.trusted().proxy_protocol.contains(&self.entrance.listen.port())
    }

    /// The kernel has completed these connections; closing the listener would reset them.
    ///
    /// Asked of the kernel itself, because the runtime may not have heard of the last ones yet.
    fn empty_queue(&self, listener: TcpListener) -> io::Result<()> {
        let listener = listener.into_std()?;
        loop {
            match listener.accept() {
                Ok((stream, peer)) => {
                    stream.set_nonblocking(true)?;
                    self.admit(TcpStream::from_std(stream)?, peer, Admission::default());
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if is_clients_fault(&error) => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn complain(&mut self, reason: &str) {
        if self.complaints.are_due() {
            tracing::error!("{}: clients are kept waiting: {reason}", self.entrance.listen);
        }
    }
}

/// Of one listener, or of all.
async fn until_closing(proxy: &Proxy, closing: &CancellationToken) {
    tokio::select! {
        () = proxy.doors().closing() => {}
        () = closing.cancelled() => {}
    }
}

/// It went away while it waited in the queue.
fn is_clients_fault(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted)
}
