//! Lines of HTTP/1.1 as they are written, to clients as to instances.

use std::io::Write as _;

use bytes::BufMut;
use http::header::{
    CACHE_CONTROL, CONTENT_ENCODING, CONTENT_RANGE, CONTENT_TYPE, MAX_FORWARDS, TRAILER,
};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::forward;

/// Of a head, or a trailer.
pub(super) fn field(out: &mut impl BufMut, name: &HeaderName, value: &HeaderValue) {
    out.put_slice(name.as_str().as_bytes());
    out.put_slice(b": ");
    out.put_slice(value.as_bytes());
    out.put_slice(b"\r\n");
}

/// The first one of a chunk of this size (RFC 9112 7.1).
pub(super) fn chunk(out: &mut impl BufMut, size: usize) {
    // Memory takes whatever is written.
    let _ = write!(out.writer(), "{size:X}\r\n");
}

/// The trailers that a head announces (RFC 9110 6.6.2).
pub(super) fn announced(headers: &HeaderMap) -> Vec<HeaderName> {
    let named = headers.get_all(TRAILER).iter().flat_map(forward::options);
    named.filter_map(|name| HeaderName::from_bytes(name).ok()).collect()
}

/// The last chunk, and after it those trailers that were announced and that say nothing of a body which
/// has been used already when they come (RFC 9110 6.5.1); what else may not come so late was removed on
/// the way.
pub(super) fn last_chunk(
    out: &mut impl BufMut,
    announced: &[HeaderName],
    trailers: Option<&HeaderMap>,
) {
    const EARLY: [HeaderName; 5] =
        [CACHE_CONTROL, CONTENT_ENCODING, CONTENT_RANGE, CONTENT_TYPE, MAX_FORWARDS];
    out.put_slice(b"0\r\n");
    for (name, value) in trailers.into_iter().flatten() {
        if announced.contains(name) && !EARLY.contains(name) {
            field(out, name, value);
        }
    }
    out.put_slice(b"\r\n");
}
