//! Who a client is, from a load balancer that passes bytes on and says so first: the PROXY protocol,
//! versions 1 and 2.
//!
//! A listener either demands its header or does not know it; one that took both would believe
//! whoever writes one. Not a byte after the header is read here: it is the client's, whatever
//! protocol it speaks.

pub(crate) mod header;

use std::net::SocketAddr;

use memchr::memchr;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use self::header::Step;
use super::Proxy;
use super::client::LAST_REQUEST;
use super::handshake::Newcomer;
use super::refusal::Refusal;
use super::turn_away::{Reason, turn_away};

/// Why nobody was introduced.
enum Failure {
    /// It went away, or took too long: nobody waits for an answer.
    Gone,
    Refused(Refusal),
}

/// Serves the client that `newcomer` introduces, in place of itself.
pub(crate) async fn serve(mut newcomer: Newcomer) {
    let peer = newcomer.addr;
    let (addr, refusal) = match introduced(&newcomer.proxy, &mut newcomer.stream, peer).await {
        Ok(addr) => (addr.unwrap_or(peer), None),
        Err(Failure::Refused(refusal)) => (peer, Some(refusal)),
        Err(Failure::Gone) => return,
    };
    let Ok(origin) = newcomer.proxy.origin(addr.ip()) else {
        let speech = newcomer.proxy.speech(newcomer.entrance.listen.port());
        return turn_away(&newcomer.proxy, newcomer.stream, speech, Reason::TooManyOfOne);
    };
    newcomer.addr = addr;
    newcomer.admission = newcomer.admission.of(origin);
    match refusal {
        None => newcomer.serve().await,
        // Where TLS would begin in bytes that are no header, nobody knows.
        Some(_) => newcomer.serve_in_the_clear(refusal).await,
    }
}

/// The address in the header; none if the peer speaks for itself.
async fn introduced(
    proxy: &Proxy,
    stream: &mut TcpStream,
    peer: SocketAddr,
) -> Result<Option<SocketAddr>, Failure> {
    if !may_introduce(proxy, peer) {
        let reason = "only trusted proxies may connect here, by the PROXY protocol";
        return Err(Failure::Refused(Refusal::forbidden(reason)));
    }
    let header_timeout = proxy.limits().header_timeout;
    let closing = async {
        proxy.doors().closing().await;
        sleep(LAST_REQUEST).await;
    };
    tokio::select! {
        read = timeout(header_timeout, read(stream)) => read.unwrap_or(Err(Failure::Gone)),
        () = closing => Err(Failure::Gone),
    }
}

fn may_introduce(proxy: &Proxy, peer: SocketAddr) -> bool {
    let trust = proxy.trusted();
    trust.proxies.is_empty() || trust.includes(peer.ip().to_canonical())
}

/// Reads the header and not a byte more.
async fn read(stream: &mut TcpStream) -> Result<Option<SocketAddr>, Failure> {
    let mut header = Vec::new();
    loop {
        let count = match header::next(&header) {
            Ok(Step::Done(addr)) => return Ok(addr),
            Ok(Step::More(count)) => count,
            Ok(Step::Line(most)) => rest_of_line(stream, most).await?,
            Err(reason) => return Err(Failure::Refused(Refusal::malformed(reason))),
        };
        let mut part = (&mut *stream).take(count as u64);
        if part.read_buf(&mut header).await.map_err(|_| Failure::Gone)? == 0 {
            return Err(Failure::Gone);
        }
    }
}

/// How many of the bytes that have arrived belong to the line.
async fn rest_of_line(stream: &TcpStream, most: usize) -> Result<usize, Failure> {
    let mut ahead = [0; header::LONGEST_LINE];
    let count = stream.peek(&mut ahead[..most]).await.map_err(|_| Failure::Gone)?;
    let end = memchr(b'\n', &ahead[..count]);
    Ok(end.map_or(count, |end| end + 1).max(1))
}
