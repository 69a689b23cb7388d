//! Connections that stop being HTTP: WebSocket and whatever else both ends agree on.
//!
//! The exchange ends with the `101`; the pass goes on with the tunnel, so that a run is not
//! signalled while it has one. Only here does the proxy use a task of its own: the connection's
//! task ends when HTTP does.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;
use http::{HeaderValue, Method, Response, Version, header};
use http_body::Body;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::arriving::Arriving;
use super::body::Download;
use super::client::Client;
use super::endpoint::TunnelPass;
use super::exchange::Exchange;
use super::forward;
use super::linger::Lingering;
use super::link::Link;
use super::service::ServiceProxy;
use super::tunnel::{self, Ends, Speaks};
use super::upstream::AnswerBody;

/// How long a tunnel that was told to end may take: for the frame under way, and the good-bye.
const PATIENCE: Duration = Duration::from_secs(2);

/// The protocol a request asks for, and the client's side of the switch.
///
/// One with a body asks in vain: what of it came after the `101` would be taken for the other
/// protocol.
pub(crate) fn wanted(head: &mut Parts, body: &Arriving) -> Option<(HeaderValue, OnUpgrade)> {
    let client_side = head.extensions.remove::<OnUpgrade>()?;
    if head.method != Method::GET || head.version != Version::HTTP_11 || !body.is_end_stream() {
        return None;
    }
    Some((forward::wanted_upgrade(&head.headers)?, client_side))
}

/// Turns an answered exchange into a tunnel, and gives the `101` for the client.
pub(crate) fn switch(
    answer: Response<AnswerBody>,
    link: Link,
    exchange: Exchange,
    client_side: OnUpgrade,
) -> Response<Download> {
    let (mut head, _) = answer.into_parts();
    let protocol = head.headers.get(header::UPGRADE).cloned();
    let is_websocket = |name: &HeaderValue| name.as_bytes().eq_ignore_ascii_case(b"websocket");
    let speaks = match &protocol {
        Some(name) if is_websocket(name) => Speaks::WebSocket,
        Some(_) | None => Speaks::SomethingElse,
    };
    forward::response(&mut head.headers);
    forward::via(&mut head.headers, head.version);
    if let Some(protocol) = protocol {
        forward::upgrade(&mut head.headers, protocol);
    }
    head.version = Version::HTTP_11;
    let proxy = Arc::clone(exchange.client().proxy());
    if let Some(tunnel) = Tunnel::open(exchange) {
        let all_end = proxy.end_of_tunnels().clone();
        proxy.tasks().spawn(tunnel.run(link, client_side, speaks, all_end));
    }
    Response::from_parts(head, Download::empty())
}

/// Counts as an open tunnel while it lives.
struct Tunnel {
    service: Arc<ServiceProxy>,
    pass: TunnelPass,
    /// It keeps its client's place.
    _client: Arc<Client>,
}

impl Tunnel {
    fn open(exchange: Exchange) -> Option<Self> {
        let service = Arc::clone(exchange.service());
        let client = Arc::clone(exchange.client());
        // The tunnel is counted before the exchange ends, so that the two together never read as
        // nobody.
        service.counts().tunnel_opened();
        let pass = exchange.upgrade().map(super::endpoint::Pass::into_tunnel);
        if pass.is_none() {
            service.counts().tunnel_ended();
        }
        Some(Self { service, pass: pass?, _client: client })
    }

    async fn run(
        self,
        link: Link,
        client_side: OnUpgrade,
        speaks: Speaks,
        all_end: CancellationToken,
    ) {
        let (end, goodbye) = (self.pass.end(), CancellationToken::new());
        let mut carried = pin!(relay(link, client_side, speaks, goodbye.clone()));
        tokio::select! {
            () = &mut carried => return,
            () = end.cancelled() => {}
            () = all_end.cancelled() => {}
        }
        self.service.counts().tunnel_closed_by_us();
        goodbye.cancel();
        // A frame that is never finished is cut.
        let _ = timeout(PATIENCE, carried).await;
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        self.service.counts().tunnel_ended();
    }
}

/// Joins both ends, and carries what they say until `goodbye` or until they are done.
async fn relay(link: Link, client_side: OnUpgrade, speaks: Speaks, goodbye: CancellationToken) {
    // An error on either side ends the tunnel; there is nobody left to tell.
    let (Ok(client), Some((mut instance, from_instance))) = (client_side.await, link.into_socket())
    else {
        return;
    };
    let Ok(client) = client.downcast::<TokioIo<Lingering>>() else {
        unreachable!("every client is served on a lingering socket");
    };
    // The guard gives hyper one message at a time, so what the client said after it is all here.
    let (mut client_stream, from_client) = client.io.into_inner().into_parts();
    // Either side may have begun to speak in the same packet as the switch.
    let begun = [&from_client[..], &from_instance[..]];
    if client_stream.write_all(&from_instance).await.is_err()
        || client_stream.flush().await.is_err()
        || instance.write_all(&from_client).await.is_err()
    {
        return;
    }
    let mut ends = Ends { client: client_stream, instance, speaks };
    let _ = tunnel::carry(&mut ends, begun, &goodbye).await;
}
