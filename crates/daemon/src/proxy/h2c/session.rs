//! One connection of HTTP/2 to an instance, shared by requests that know nothing of each other.
//!
//! What they share (frames, windows, the socket) is moved by a task, the only one that the proxy has
//! on this side. It ends with the connection, and the connection when nobody holds it any more.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use h2::client::{Builder, Connection, SendRequest};
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::socket::Socket;
use crate::config::InstanceAddr;
use crate::proxy::upstream_socket::UpstreamSocket;

/// What an instance may send of one answer before its client takes any of it.
const STREAM_WINDOW: u32 = 128 * 1024;
/// Of the connection as a whole: the largest there is. The windows of its streams are the bound; with
/// another one besides, a few slow clients would stop all the others.
const CONNECTION_WINDOW: u32 = (1 << 31) - 1;
/// Of one request, on its way to the instance.
const SEND_BUFFER: usize = 64 * 1024;
/// Of an answer; see `link`.
const MAX_HEAD: u32 = 64 * 1024;
/// How long an instance may take from the connection to its first frame. Nothing is lost by waiting,
/// nor by giving up: no request was sent.
pub(super) const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long a connection that nobody needs may take to say so.
const GOODBYE: Duration = Duration::from_secs(1);

/// An open connection, or one that was.
pub(super) struct Session {
    requests: SendRequest<Bytes>,
    /// Streams at this moment. Raised by [`enter`](Self::enter) alone.
    open: AtomicUsize,
    since: Instant,
    /// When the last stream ended, in milliseconds after `since`.
    idle_from: AtomicU64,
    _gone: DropGuard,
}

/// The right to one stream of a session.
pub(super) struct Place {
    pub(super) requests: SendRequest<Bytes>,
    session: Arc<Session>,
}

impl Session {
    /// Connects to an instance, within this time, and waits until it has spoken.
    ///
    /// Only then is it known that HTTP/2 is spoken there, and how many streams there may be.
    pub(super) async fn connect(addr: &InstanceAddr, limit: Duration) -> io::Result<Arc<Self>> {
        let stream = within(limit, UpstreamSocket::connect(addr)).await?;
        let handshake = async { client().handshake(Socket::new(stream)).await.map_err(not_http2) };
        let (requests, mut connection) = within(HANDSHAKE, handshake).await?;
        let ping = connection.ping_pong();
        let gone = CancellationToken::new();
        tokio::spawn(drive(connection, gone.clone()));
        let session = Arc::new(Self {
            requests,
            open: AtomicUsize::new(0),
            since: Instant::now(),
            idle_from: AtomicU64::new(0),
            _gone: gone.drop_guard(),
        });
        // Its settings are the first that it sends (RFC 9113 3.4), so they are there when it answers.
        if let Some(mut ping) = ping {
            let answer = async { ping.ping(h2::Ping::opaque()).await.map_err(not_http2) };
            within(HANDSHAKE, answer).await?;
        }
        Ok(session)
    }

    /// A place for one more stream; none if it has as many as the instance allows, or is over.
    ///
    /// Not to be called twice at the same time.
    pub(super) fn enter(self: &Arc<Self>) -> Option<Place> {
        let mut requests = self.requests.clone();
        let has_room = self.open.load(Ordering::Acquire) < requests.current_max_send_streams();
        if !has_room || is_over(&mut requests) {
            return None;
        }
        self.open.fetch_add(1, Ordering::AcqRel);
        Some(Place { requests, session: Arc::clone(self) })
    }

    /// It takes no further stream: the instance said so, or it is closed.
    pub(super) fn is_over(&self) -> bool {
        is_over(&mut self.requests.clone())
    }

    /// How long it has had no stream.
    pub(super) fn idle_for(&self, now: Instant) -> Duration {
        if self.open.load(Ordering::Acquire) > 0 {
            return Duration::ZERO;
        }
        let from = Duration::from_millis(self.idle_from.load(Ordering::Relaxed));
        now.saturating_duration_since(self.since).saturating_sub(from)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let idle_from = self.session.since.elapsed().as_millis();
        self.session.idle_from.store(idle_from as u64, Ordering::Relaxed);
        self.session.open.fetch_sub(1, Ordering::AcqRel);
    }
}

fn client() -> Builder {
    let mut builder = Builder::new();
    builder
        .enable_push(false)
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buffer_size(SEND_BUFFER)
        .max_header_list_size(MAX_HEAD);
    builder
}

/// Moves the frames of a connection until it ends, or is not needed any more.
async fn drive(connection: Connection<Socket, Bytes>, gone: CancellationToken) {
    let mut connection = pin!(connection);
    tokio::select! {
        // An error is told to each stream.
        _ = &mut connection => return,
        () = gone.cancelled() => {}
    }
    // Without a stream and without anybody who could open one, it says good-bye by itself.
    let _ = timeout(GOODBYE, connection).await;
}

fn is_over(requests: &mut SendRequest<Bytes>) -> bool {
    let ready = requests.poll_ready(&mut Context::from_waker(Waker::noop()));
    matches!(ready, Poll::Ready(Err(_)))
}

async fn within<T>(limit: Duration, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(limit, work).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

fn not_http2(error: h2::Error) -> io::Error {
    let reason = format!("it does not answer in HTTP/2: {error}");
    io::Error::new(io::ErrorKind::ConnectionAborted, reason)
}
