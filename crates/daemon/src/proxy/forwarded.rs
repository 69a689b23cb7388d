//! Who asks, as an instance is told: X-Forwarded-For, -Proto and -Host, and Forwarded (RFC 7239).
//!
//! What a client says of itself is replaced. What a trusted proxy says is kept as far as it is well
//! formed, seen from the end nearest to us, and the proxy itself is added to it. The two headers may
//! tell two stories, because a proxy that writes one of them passes the other on as its own client
//! sent it; so one of them is believed, and the other one kept only where it agrees.
//!
//! Nothing of it decides which service a request is for.

mod elements;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use http::header::HOST;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::target;
use crate::config::Trust;

pub(super) const FORWARDED: HeaderName = HeaderName::from_static("forwarded");
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Proxies before ours that are told of; a longer chain is a loop, or made up.
const MAX_HOPS: usize = 32;
/// Bytes of what is kept of one header.
const MAX_KEPT: usize = 4096;

/// Who is at the other end of the connection.
pub(crate) struct Peer<'a> {
    /// One of IPv4 is not written as one of IPv6.
    pub(crate) addr: IpAddr,
    /// The same as text.
    pub(crate) text: &'a HeaderValue,
    pub(crate) scheme: Scheme,
}

/// Whether a connection is inside TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    Http,
    Https,
}

impl Scheme {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    fn value(self) -> HeaderValue {
        HeaderValue::from_static(self.name())
    }
}

/// What one of the two headers says of those before the peer.
struct Told<'a> {
    /// As it may be passed on.
    text: Cow<'a, [u8]>,
    /// Addresses, the nearest first, as far as they are known without a gap.
    chain: Vec<IpAddr>,
}

/// Tells the instance who asks. If the peer is a trusted proxy that asks for somebody else, gives
/// who that is: the nearest address before it that is not trusted.
pub(crate) fn tell(headers: &mut HeaderMap, peer: &Peer<'_>, trust: &Trust) -> Option<IpAddr> {
    if trust.includes(peer.addr) {
        return extend(headers, peer, trust);
    }
    replace(headers, peer, trust);
    None
}

/// The host that the client asked for, without its port, after [`tell`]: a proxy in front may have
/// asked us for another one.
pub(crate) fn host(headers: &HeaderMap) -> Option<&[u8]> {
    target::host_of(first(headers.get(X_FORWARDED_HOST)?))
}

/// How the client itself came in, after [`tell`].
pub(crate) fn scheme(headers: &HeaderMap) -> &'static str {
    let told = headers.get(X_FORWARDED_PROTO).map(first);
    if told.is_some_and(|told| told.eq_ignore_ascii_case(b"https")) { "https" } else { "http" }
}

/// Whether the client of a trusted proxy came to that by HTTPS; to be asked before [`tell`].
pub(crate) fn is_by_https(headers: &HeaderMap, peer: &Peer<'_>, trust: &Trust) -> bool {
    trust.includes(peer.addr) && scheme(headers) == "https"
}

/// Of a list that proxies in a row have added to: what the one next to the client said.
fn first(value: &HeaderValue) -> &[u8] {
    value.as_bytes().split(|&byte| byte == b',').next().unwrap_or_default().trim_ascii()
}

fn replace(headers: &mut HeaderMap, peer: &Peer<'_>, trust: &Trust) {
    headers.insert(X_FORWARDED_FOR, peer.text.clone());
    headers.insert(X_FORWARDED_PROTO, peer.scheme.value());
    insert_host(headers);
    if trust.forwarded {
        let element = element(peer, headers);
        insert(headers, FORWARDED, element);
    } else {
        headers.remove(FORWARDED);
    }
}

fn extend(headers: &mut HeaderMap, peer: &Peer<'_>, trust: &Trust) -> Option<IpAddr> {
    let (addresses, elements) = (in_addresses(headers), in_elements(headers));
    let by_preference =
        if trust.forwarded { [&elements, &addresses] } else { [&addresses, &elements] };
    let believed = by_preference.into_iter().flatten().next();
    let chain = believed.map_or(&[][..], |told| &told.chain);
    let text_of = |told: &Option<Told<'_>>| {
        told.as_ref().filter(|told| told.chain == chain).map(|told| told.text.to_vec())
    };

    let before = text_of(&addresses).unwrap_or_else(|| listed(chain, |addr| addr.to_string()));
    let list = appended(before, peer.text.as_bytes());
    let before = text_of(&elements).filter(|text| !text.is_empty());
    let before = before.or_else(|| trust.forwarded.then(|| listed(chain, node)));
    let forwarded = before.map(|before| appended(before, &element(peer, headers)));
    let behind = chain.iter().find(|addr| !trust.includes(**addr)).or(chain.last()).copied();

    insert(headers, X_FORWARDED_FOR, list);
    match forwarded {
        Some(forwarded) => insert(headers, FORWARDED, forwarded),
        None => drop(headers.remove(FORWARDED)),
    }
    if !is_list_of(headers, &X_FORWARDED_PROTO, is_scheme) {
        headers.insert(X_FORWARDED_PROTO, peer.scheme.value());
    }
    if !is_list_of(headers, &X_FORWARDED_HOST, |host| target::host_of(host).is_some()) {
        insert_host(headers);
    }
    behind
}

/// What X-Forwarded-For says, from the last element that is no address on.
fn in_addresses(headers: &HeaderMap) -> Option<Told<'_>> {
    let mut lines = headers.get_all(X_FORWARDED_FOR).iter().map(HeaderValue::as_bytes);
    let first = Cow::Borrowed(lines.next()?);
    let mut text = lines.fold(first, |text, line| appended(text.into_owned(), line).into());
    let (mut chain, mut kept, mut end) = (Vec::new(), text.len(), text.len());
    for element in text.rsplit(|&byte| byte == b',') {
        let begin = end - element.len();
        let Some(addr) = address(element.trim_ascii()) else { break };
        if chain.len() == MAX_HOPS || text.len() - begin > MAX_KEPT {
            break;
        }
        chain.push(addr);
        kept = begin;
        end = begin.saturating_sub(1);
    }
    text = match text {
        Cow::Borrowed(text) => text[kept..].trim_ascii().into(),
        Cow::Owned(text) => text[kept..].trim_ascii().to_vec().into(),
    };
    Some(Told { text, chain })
}

/// What Forwarded says, from after the last line that is malformed.
fn in_elements(headers: &HeaderMap) -> Option<Told<'_>> {
    let lines = headers.get_all(FORWARDED).iter().map(HeaderValue::as_bytes);
    let (mut text, mut nodes): (Cow<'_, [u8]>, _) = (Cow::default(), None);
    for line in lines.rev() {
        let nodes = nodes.get_or_insert_with(Vec::new);
        let Some(mut named) = elements::nodes(line) else { break };
        if text.len() + line.len() > MAX_KEPT {
            break;
        }
        named.reverse();
        nodes.append(&mut named);
        text = if text.is_empty() { line.into() } else { appended(line.to_vec(), &text).into() };
    }
    let chain = nodes?.into_iter().map_while(|node| node).take(MAX_HOPS).collect();
    Some(Told { text, chain })
}

/// An address, perhaps with a port: how RFC 7239 6 writes it, or plainly.
fn address(text: &[u8]) -> Option<IpAddr> {
    let text = str::from_utf8(text).ok()?;
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    let addr = match bare {
        Some(bare) => bare.parse().map(IpAddr::V6).ok(),
        None => text.parse().ok().or_else(|| Some(text.parse::<SocketAddr>().ok()?.ip())),
    };
    addr.map(|addr| addr.to_canonical())
}

/// The peer as an element of Forwarded, with what it asked for.
fn element(peer: &Peer<'_>, headers: &HeaderMap) -> Vec<u8> {
    let mut element = node(&peer.addr).into_bytes();
    if let Some(host) = headers.get(HOST) {
        // A host holds neither a quote nor a backslash.
        element.extend_from_slice(b";host=\"");
        element.extend_from_slice(host.as_bytes());
        element.push(b'"');
    }
    element.extend_from_slice(b";proto=");
    element.extend_from_slice(peer.scheme.name().as_bytes());
    element
}

fn node(addr: &IpAddr) -> String {
    match addr {
        IpAddr::V4(addr) => format!("for={addr}"),
        IpAddr::V6(addr) => format!("for=\"[{addr}]\""),
    }
}

/// The farthest first, as both headers have it.
fn listed(chain: &[IpAddr], shown: impl Fn(&IpAddr) -> String) -> Vec<u8> {
    let shown: Vec<String> = chain.iter().rev().map(shown).collect();
    shown.join(", ").into_bytes()
}

fn appended(mut list: Vec<u8>, last: &[u8]) -> Vec<u8> {
    if !list.is_empty() {
        list.extend_from_slice(b", ");
    }
    list.extend_from_slice(last);
    list
}

fn insert(headers: &mut HeaderMap, name: HeaderName, value: Vec<u8>) {
    let value = HeaderValue::from_maybe_shared(Bytes::from(value));
    headers.insert(name, value.expect("it is made of parts of valid values"));
}

fn insert_host(headers: &mut HeaderMap) {
    match headers.get(HOST).cloned() {
        Some(host) => headers.insert(X_FORWARDED_HOST, host),
        None => headers.remove(X_FORWARDED_HOST),
    };
}

/// Whether `name` is there once, and each part of it is valid: proxies in a row may add to it.
fn is_list_of(headers: &HeaderMap, name: &HeaderName, is_valid: impl Fn(&[u8]) -> bool) -> bool {
    let mut lines = headers.get_all(name).iter().map(HeaderValue::as_bytes);
    let (Some(line), None) = (lines.next(), lines.next()) else { return false };
    let mut parts = line.split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
    line.len() <= MAX_KEPT && parts.all(is_valid)
}

/// RFC 3986 3.1.
fn is_scheme(text: &[u8]) -> bool {
    let is_rest = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
    text.first().is_some_and(u8::is_ascii_alphabetic) && text.iter().all(is_rest)
}
