//! Accepting clients on a listener that somebody else has bound.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::client::{self, Admission, Client, Entrance};
use super::places::Place;
use super::turn_away::{Reason, turn_away};
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
            () = reception.closing() => break,
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
            return turn_away(&self.proxy, stream, Reason::TooManyOfOne);
        };
        let place = match self.search().await {
            Search::Found(place) => Some(place),
            Search::Closing => None,
            Search::Crowded => {
                turn_away(&self.proxy, stream, Reason::NoPlace);
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
            () = self.closing() => Search::Closing,
        }
    }

    /// Turns everybody away who waits in the queue: they have waited as well, and there is no place
    /// for them either.
    async fn clear_queue(&self, listener: &TcpListener) {
        poll_fn(|cx| {
            while self.proxy.places().is_full()
                && let Poll::Ready(Ok((stream, _))) = listener.poll_accept(cx)
            {
                turn_away(&self.proxy, stream, Reason::NoPlace);
            }
            Poll::Ready(())
        })
        .await;
    }

    fn admit(&self, stream: TcpStream, peer: SocketAddr, admission: Admission) {
        let (proxy, entrance) = (Arc::clone(&self.proxy), Arc::clone(&self.entrance));
        let tasks = self.proxy.tasks();
        if self.introduces() {
            tasks.spawn(proxy_protocol::serve(proxy, entrance, stream, peer, admission));
            return;
        }
        let client = Client::new(proxy, entrance, peer, admission);
        tasks.spawn(client::serve(client, stream));
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

    async fn closing(&self) {
        tokio::select! {
            () = self.proxy.doors().closing() => {}
            () = self.closing.cancelled() => {}
        }
    }

    fn complain(&mut self, reason: &str) {
        if self.complaints.are_due() {
            tracing::error!("{}: clients are kept waiting: {reason}", self.entrance.listen);
        }
    }
}

/// It went away while it waited in the queue.
fn is_clients_fault(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted)
}
