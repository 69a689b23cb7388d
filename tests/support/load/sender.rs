//! What a client sends a request on: a connection of its own, or a stream of one that it shares.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;

use http::header::HOST;
use http::uri::Scheme;
use http::{Request, Response, Uri};
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::sync::Mutex;

use crate::load::order::Body;
use crate::tls::Transport;

/// A connection that takes another request.
pub(crate) enum Sender {
    Http1(http1::SendRequest<Body>),
    Http2(http2::SendRequest<Body>),
}

/// A connection of HTTP/2 for several clients, while it takes further streams.
#[derive(Clone, Default)]
pub(crate) struct Shared(Arc<Mutex<Option<http2::SendRequest<Body>>>>);

impl Sender {
    /// A connection of HTTP/1.1.
    pub(crate) async fn alone(addr: SocketAddr, transport: &Transport) -> anyhow::Result<Self> {
        let (sender, connection) =
            http1::handshake(TokioIo::new(transport.connect(addr).await?)).await?;
        // It ends with its sender or its server; what it has to say, the exchange says as well.
        tokio::spawn(connection);
        Ok(Self::Http1(sender))
    }

    /// Whether the server still takes a request.
    pub(crate) async fn is_ready(&mut self) -> bool {
        match self {
            Self::Http1(sender) => sender.ready().await.is_ok(),
            Self::Http2(sender) => sender.ready().await.is_ok(),
        }
    }

    pub(crate) async fn try_send(
        &mut self,
        request: Request<Body>,
    ) -> Result<Response<Incoming>, TrySendError<Request<Body>>> {
        match self {
            Self::Http1(sender) => sender.try_send_request(request).await,
            Self::Http2(sender) => sender.try_send_request(request).await,
        }
    }
}

impl Shared {
    /// One more client of the connection, or the first of a new one.
    pub(crate) async fn join(
        &self,
        addr: SocketAddr,
        transport: &Transport,
    ) -> anyhow::Result<Sender> {
        let mut shared = self.0.lock().await;
        if let Some(sender) = shared.as_ref().filter(|sender| !sender.is_closed()) {
            return Ok(Sender::Http2(sender.clone()));
        }
        let io = TokioIo::new(transport.connect(addr).await?);
        let (mut sender, connection) = http2::handshake(TokioExecutor::new(), io).await?;
        tokio::spawn(connection);
        sender.ready().await?;
        Ok(Sender::Http2(shared.insert(sender).clone()))
    }
}

/// With its host where HTTP/2 has it.
pub(crate) fn with_authority(mut request: Request<Body>) -> anyhow::Result<Request<Body>> {
    let mut parts = request.uri().clone().into_parts();
    parts.scheme = Some(Scheme::HTTP);
    if let Some(host) = request.headers_mut().remove(HOST) {
        parts.authority = Some(host.as_bytes().try_into()?);
    }
    *request.uri_mut() = Uri::from_parts(parts)?;
    Ok(request)
}

/// Whether the server said that it ends before it came to this request, so that it may be sent again
/// elsewhere, whatever it is (RFC 9113 6.8).
pub(crate) fn was_not_looked_at(error: &hyper::Error) -> bool {
    let error = error.source().and_then(|source| source.downcast_ref::<h2::Error>());
    error.is_some_and(|error| {
        error.is_go_away() && error.is_remote() && error.reason() == Some(h2::Reason::NO_ERROR)
    })
}
