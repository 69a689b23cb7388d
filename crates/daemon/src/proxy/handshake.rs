//! The beginning of a connection inside TLS: the handshake (RFC 8446 2), and who serves what was
//! agreed on.
//!
//! It takes place in the client's own task and in the time of its first head. A client that speaks
//! plain HTTP to a port of TLS is told so.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use super::Proxy;
use super::client::{self, Admission, Client, Entrance, LAST_REQUEST};
use super::refusal::Refusal;
use super::stream::{Socket, Stream};
use crate::tls::Terms;

/// A client whose address is known, and nothing else.
pub(crate) struct Newcomer {
    pub(crate) proxy: Arc<Proxy>,
    pub(crate) entrance: Arc<Entrance>,
    pub(crate) stream: TcpStream,
    pub(crate) addr: SocketAddr,
    pub(crate) admission: Admission,
}

/// What a client inside TLS said of itself.
pub(crate) struct Secured {
    /// The host it came for (RFC 6066 3), in lower case; none: it named none.
    pub(crate) server_name: Option<Box<str>>,
    /// What was agreed on is HTTP/2 (RFC 7301).
    pub(crate) speaks_http2: bool,
}

/// How many handshakes there were.
#[derive(Default)]
pub(crate) struct Handshakes {
    done: AtomicU64,
    failed: AtomicU64,
}

impl Handshakes {
    /// Those that came to their end, and those that failed.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.done.load(Ordering::Relaxed), self.failed.load(Ordering::Relaxed))
    }
}

/// Why there is no connection inside TLS.
enum Failure {
    /// The client left before it said anything, or is to leave.
    Gone,
    /// It speaks another TLS, or none, or takes too long.
    Failed,
    /// It speaks HTTP.
    InTheClear(TcpStream),
}

impl From<io::Error> for Failure {
    fn from(_: io::Error) -> Self {
        Self::Failed
    }
}

impl Newcomer {
    /// Serves the client as its listener wants it: inside TLS or in the clear.
    pub(crate) async fn serve(self) {
        match self.proxy.terms(self.entrance.listen.port()) {
            Some(terms) => self.serve_inside(terms).await,
            None => self.serve_in_the_clear(None).await,
        }
    }

    /// Serves it in the clear, or says why not.
    ///
    /// What is waited for is no more than the connection itself.
    pub(crate) fn serve_in_the_clear(
        self,
        refusal: Option<Refusal>,
    ) -> impl Future<Output = ()> + Send {
        let Self { proxy, entrance, stream, addr, admission } = self;
        let client = Client::new(proxy, entrance, addr, admission, None);
        if let Some(refusal) = refusal {
            client.noted().set(refusal);
        }
        client::serve(client, Stream::Plain(stream))
    }

    async fn serve_inside(self, terms: Terms) {
        let Self { proxy, entrance, stream, addr, admission } = self;
        // Boxed, so that a connection needs no room for it later.
        let (stream, secured) = match Box::pin(agree(&proxy, stream, &terms)).await {
            Ok(agreed) => agreed,
            Err(Failure::Gone) => return,
            Err(Failure::Failed) => {
                proxy.handshakes().failed.fetch_add(1, Ordering::Relaxed);
                return;
            }
            Err(Failure::InTheClear(stream)) => {
                let newcomer = Self { proxy, entrance, stream, addr, admission };
                let refusal = Refusal::malformed("TLS is spoken here: ask with https://");
                return newcomer.serve_in_the_clear(Some(refusal)).await;
            }
        };
        proxy.handshakes().done.fetch_add(1, Ordering::Relaxed);
        let client = Client::new(proxy, entrance, addr, admission, Some(secured));
        client::serve(client, stream).await;
    }
}

/// The handshake, in its time. When the doors close, it may take as long as a last request.
async fn agree(
    proxy: &Proxy,
    stream: TcpStream,
    terms: &Terms,
) -> Result<(Stream, Secured), Failure> {
    let header_timeout = proxy.limits().header_timeout;
    let closing = async {
        proxy.doors().closing().await;
        sleep(LAST_REQUEST).await;
    };
    tokio::select! {
        agreed = timeout(header_timeout, shake(stream, terms)) => {
            agreed.unwrap_or(Err(Failure::Failed))
        }
        () = closing => Err(Failure::Gone),
    }
}

async fn shake(stream: TcpStream, terms: &Terms) -> Result<(Stream, Secured), Failure> {
    let mut first = [0];
    match stream.peek(&mut first).await {
        Ok(0) | Err(_) => return Err(Failure::Gone),
        // No record of TLS begins with a letter (RFC 8446 5.1), and every method does.
        Ok(_) if first[0].is_ascii_alphabetic() => return Err(Failure::InTheClear(stream)),
        Ok(_) => {}
    }
    let acceptor = TlsAcceptor::from(Arc::clone(terms.config()));
    let tls = Box::new(acceptor.accept(Socket::new(stream)).await?);
    let agreed = &tls.get_ref().1;
    let server_name = agreed.server_name().map(|name| name.to_ascii_lowercase().into());
    let speaks_http2 = agreed.alpn_protocol() == Some(b"h2");
    Ok((Stream::Tls(tls), Secured { server_name, speaks_http2 }))
}
