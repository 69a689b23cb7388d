//! Accepting clients on a listener that somebody else has bound.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::OwnedSemaphorePermit as Place;

use tokio_util::sync::CancellationToken;

use super::client::{self, Client, Entrance};
use super::{Proxy, proxy_protocol};
use crate::accept::{BACK_OFF, Complaints};

/// Accepts until `closing` or the doors close, and then whoever had been waiting in the queue.
pub(crate) async fn accept(
    proxy: Arc<Proxy>,
    entrance: Arc<Entrance>,
    listener: TcpListener,
    closing: CancellationToken,
) {
    let (listen, mut complaints) = (entrance.listen, Complaints::default());
    loop {
        tokio::select! {
            accepted = next(&proxy, &listener, &mut complaints) => match accepted {
                Ok((stream, peer, place)) => admit(&proxy, &entrance, stream, peer, Some(place)),
                Err(error) if is_clients_fault(&error) => {}
                Err(error) => {
                    complain(&mut complaints, listen, &error.to_string());
                    tokio::time::sleep(BACK_OFF).await;
                }
            },
            () = proxy.doors().closing() => break,
            () = closing.cancelled() => break,
        }
    }
    if let Err(error) = empty_queue(&proxy, &entrance, listener) {
        tracing::warn!(%listen, %error, "clients in the queue of a closing listener are lost");
    }
}

/// The next client, once there is a place for one. Until then it waits in the kernel's queue, where
/// it costs no descriptor.
async fn next(
    proxy: &Proxy,
    listener: &TcpListener,
    complaints: &mut Complaints,
) -> io::Result<(TcpStream, SocketAddr, Place)> {
    let places = proxy.places();
    let place = match Arc::clone(places).try_acquire_owned() {
        Ok(place) => place,
        Err(_) => {
            let listen = listener.local_addr()?;
            complain(complaints, listen, "as many clients as the descriptor limit allows");
            // The places are never closed.
            Arc::clone(places).acquire_owned().await.map_err(io::Error::other)?
        }
    };
    let (stream, peer) = listener.accept().await?;
    Ok((stream, peer, place))
}

fn admit(
    proxy: &Arc<Proxy>,
    entrance: &Arc<Entrance>,
    stream: TcpStream,
    peer: SocketAddr,
    place: Option<Place>,
) {
    if proxy.trusted().proxy_protocol.contains(&entrance.listen.port()) {
        let (proxy, entrance) = (Arc::clone(proxy), Arc::clone(entrance));
        let tasks = proxy.tasks().clone();
        tasks.spawn(proxy_protocol::serve(proxy, entrance, stream, peer, place));
        return;
    }
    let client = Client::new(Arc::clone(proxy), Arc::clone(entrance), peer, place);
    proxy.tasks().spawn(client::serve(client, stream));
}

/// The kernel has completed these connections; closing the listener would reset them.
///
/// Asked of the kernel itself, because the runtime may not have heard of the last ones yet.
fn empty_queue(
    proxy: &Arc<Proxy>,
    entrance: &Arc<Entrance>,
    listener: TcpListener,
) -> io::Result<()> {
    let listener = listener.into_std()?;
    loop {
        match listener.accept() {
            Ok((stream, peer)) => {
                stream.set_nonblocking(true)?;
                admit(proxy, entrance, TcpStream::from_std(stream)?, peer, None);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) if is_clients_fault(&error) => {}
            Err(error) => return Err(error),
        }
    }
}

/// It went away while it waited in the queue.
fn is_clients_fault(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted)
}

fn complain(complaints: &mut Complaints, listen: SocketAddr, reason: &str) {
    if complaints.are_due() {
        tracing::error!("{listen}: clients wait to be accepted: {reason}");
    }
}
