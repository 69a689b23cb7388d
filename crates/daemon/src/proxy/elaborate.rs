//! Requests of HTTP/1.1 and HTTP/1.0 that are not plain: hyper's.
//!
//! Once it has a connection it answers plain requests as well, until the client rests: to change hands
//! is not worth more than that.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Poll, ready};

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWrite as _;

use super::client::Client;
use super::linger::Lingering;
use super::request;

/// What a head may take besides its fields: the request line, colons and line ends. More than the
/// guard lets through.
const BESIDE_FIELDS: usize = 32 * 1024;

/// hyper as it is here. Has no time-out of its own: see `progress`.
pub(super) fn server(max_fields: usize) -> http1::Builder {
    let max_head = max_fields + BESIDE_FIELDS;
    let mut builder = http1::Builder::new();
    builder
        // A client that says "no more requests" still gets its answer (RFC 9112 9.6).
        .half_close(true)
        // In pieces, as they came: copied together, they would be in memory twice. Small ones are
        // put together when they are written.
        .writev(true)
        .max_header_size(max_head)
        // And what may wait in memory for a slow client.
        .max_buf_size(max_head);
    builder
}

/// Serves requests until the connection ends, or until none has come for a while: then it is given
/// back as it is.
pub(super) async fn serve(
    client: &Arc<Client>,
    io: Lingering,
    max_fields: usize,
) -> Option<Lingering> {
    let service = {
        let client = Arc::clone(client);
        service_fn(move |request| request::answer(Arc::clone(&client), request))
    };
    let connection = server(max_fields).serve_connection(TokioIo::new(io), service).with_upgrades();
    let mut connection = Box::new(connection);
    let mut last = None;
    let mut told = false;
    let is_idle = poll_fn(|cx| {
        client.note_waker(cx);
        // Errors are the client's: it went away, or sent what no answer can be given to.
        if Pin::new(&mut *connection).poll(cx).is_ready() || client.is_cut() {
            return Poll::Ready(false);
        }
        if told || !client.is_leaving() {
            return if client.progress().is_resting() { Poll::Ready(true) } else { Poll::Pending };
        }
        ready!(client.poll_leave(&mut last, cx));
        told = true;
        Pin::new(&mut *connection).graceful_shutdown();
        Pin::new(&mut *connection).poll(cx).map(|_| false)
    })
    .await;
    if !is_idle {
        return None;
    }
    let parts = connection.into_parts()?;
    let mut io = parts.io.into_inner();
    if io.is_between_messages() && parts.read_buf.is_empty() {
        return Some(io);
    }
    // hyper was about to close it, and so do we. Errors: then it is closed already.
    let _ = poll_fn(|cx| Pin::new(&mut io).poll_shutdown(cx)).await;
    None
}
