//! What reads bytes of strangers, as the targets in `fuzz/` call it: in plain types, and with nothing
//! of its own. It is no part of the API, and nobody else may use it.
//!
//! What is public anyway is called where it is: the guard, the configuration and the protocol.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderValue};
use smoothserve_protocol::id::Slot;

use crate::access_log::format::{self, Clock};
use crate::config::{AccessLogFormat, Trust};
use crate::proxy::Access;
use crate::proxy::forwarded::{self, Peer, Scheme};
use crate::proxy::lean::plain;
use crate::proxy::proxy_protocol::header;
use crate::proxy::sticky;
use crate::proxy::target;
pub use crate::proxy::websocket::Frames;
use crate::supervisor::output::split::Splitter;

/// What is to be done to have a header of the PROXY protocol whole.
pub enum Header {
    /// Read so many bytes at most.
    More(usize),
    /// Read to the end of the line, and so many bytes at most.
    Line(usize),
    /// It is whole, and names this address or nobody.
    Done(Option<SocketAddr>),
}

/// What follows when `bytes` is all that was read of a header of the PROXY protocol.
///
/// # Errors
/// Why it will never be one.
pub fn proxy_header(bytes: &[u8]) -> Result<Header, &'static str> {
    header::next(bytes).map(|step| match step {
        header::Step::More(most) => Header::More(most),
        header::Step::Line(most) => Header::Line(most),
        header::Step::Done(addr) => Header::Done(addr),
    })
}

/// Tells the instance who asks, if `peer` came in the clear; gives who asks behind it.
pub fn tell_forwarded(headers: &mut HeaderMap, peer: IpAddr, trust: &Trust) -> Option<IpAddr> {
    let text = HeaderValue::try_from(peer.to_string()).expect("an address is a value");
    let peer = Peer { addr: peer, text: &text, scheme: Scheme::Http };
    forwarded::tell(headers, &peer, trust)
}

/// Checks whom a request is for, and leaves it in origin-form.
///
/// # Errors
/// Why it is refused.
pub fn check_target(head: &mut Parts) -> Result<(), String> {
    target::check(head).map_err(|refusal| refusal.reason().to_owned())
}

/// The request that is served without hyper, if these bytes, which the guard let through, are one.
pub fn plain_request(bytes: &Bytes) -> Option<Parts> {
    plain::read(bytes).map(|(request, _)| request.into_parts().0)
}

/// The host of a `Host` value, without its port.
pub fn host_of(value: &[u8]) -> Option<&[u8]> {
    target::host_of(value)
}

/// The slot that a request asks for by the cookie `name`.
pub fn sticky_wish(headers: &HeaderMap, name: &str) -> Option<u16> {
    sticky::wish(headers, name).map(|Slot(slot)| slot)
}

/// The lines of what an instance prints in such portions, and whether each goes on in the next.
pub fn printed_lines<'a>(portions: impl IntoIterator<Item = &'a [u8]>) -> Vec<(Vec<u8>, bool)> {
    let (mut splitter, mut lines) = (Splitter::default(), Vec::new());
    for portion in portions {
        splitter.take(portion, |piece| lines.push((piece.bytes, piece.is_cut)));
    }
    lines.extend(splitter.finish().map(|piece| (piece.bytes, piece.is_cut)));
    lines
}

/// The line of a request with this method, host, path, id, referer and user agent.
pub fn access_line(texts: [&[u8]; 6], format: AccessLogFormat) -> Vec<u8> {
    let mut line = Vec::new();
    format::line(&mut line, format, &Clock::now(), &Access::sample(texts, Instant::now()));
    line
}
