//! The head of an answer: its bytes, and how its body is framed (RFC 9112 4, 6).

use bytes::{BufMut, BytesMut};
use http::header::{CONNECTION, CONTENT_LENGTH, DATE, HeaderName, TRAILER, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue, StatusCode, response};
use http_body::Body;
use hyper::ext::ReasonPhrase;

use crate::proxy::{date, forward, lines};

/// What of a request decides how its answer is written.
pub(crate) struct Manner {
    /// It is to have no body.
    pub(super) is_head: bool,
    /// No request follows.
    pub(super) is_last: bool,
    pub(super) takes_trailers: bool,
}

/// How the body of an answer is written.
pub(super) enum Framing {
    /// So many bytes are still to come; often none.
    Sized(u64),
    /// In chunks, and after the last one these trailers if they come.
    Chunked(Vec<HeaderName>),
}

impl Manner {
    /// Whether a body may follow (RFC 9112 6.3).
    fn allows_body(&self, status: StatusCode) -> bool {
        !self.is_head && forward::allows_content(status)
    }
}

/// Writes the head of an answer with this body. Says how the body is to be written, and whether
/// another request may follow.
pub(super) fn write(
    out: &mut BytesMut,
    manner: &Manner,
    head: &mut response::Parts,
    body: &impl Body,
) -> (Framing, bool) {
    if manner.is_last {
        forward::close(&mut head.headers);
    }
    let allows_body = manner.allows_body(head.status);
    // Without a body, only the answer to a HEAD has a length to tell that is not its own.
    let tells_length = manner.is_head || !body.is_end_stream();
    let (mut told, mut is_dated, mut is_last) = (None, false, false);
    status_line(out, head);
    for (name, value) in &head.headers {
        match *name {
            CONTENT_LENGTH => match forward::length(value).filter(|_| tells_length) {
                Some(length) if told.is_none() => told = Some(length),
                Some(_) | None => continue,
            },
            TRANSFER_ENCODING => continue,
            TRAILER if !allows_body => continue,
            DATE => is_dated = true,
            CONNECTION => is_last |= forward::says_close(value),
            _ => {}
        }
        lines::field(out, name, value);
    }
    let framing = frame(out, manner, head, told, body);
    if !is_dated {
        date::with(|date| lines::field(out, &DATE, date));
    }
    out.put_slice(b"\r\n");
    (if allows_body { framing } else { Framing::Sized(0) }, !is_last)
}

fn status_line(out: &mut BytesMut, head: &response::Parts) {
    let reason = head.extensions.get::<ReasonPhrase>().map(ReasonPhrase::as_bytes);
    if head.status == StatusCode::OK && reason.is_none() {
        return out.put_slice(b"HTTP/1.1 200 OK\r\n");
    }
    out.put_slice(b"HTTP/1.1 ");
    out.put_slice(head.status.as_str().as_bytes());
    out.put_slice(b" ");
    // Many a client wants one.
    let usual = || head.status.canonical_reason().unwrap_or("<none>").as_bytes();
    out.put_slice(reason.unwrap_or_else(usual));
    out.put_slice(b"\r\n");
}

/// Says how the body is framed, if nothing has `told` its length yet.
fn frame(
    out: &mut BytesMut,
    manner: &Manner,
    head: &response::Parts,
    told: Option<u64>,
    body: &impl Body,
) -> Framing {
    if let Some(told) = told {
        return Framing::Sized(told);
    }
    let length = if body.is_end_stream() { Some(0) } else { body.size_hint().exact() };
    let allows_body = manner.allows_body(head.status);
    match length {
        Some(length) => {
            if allows_body || length > 0 && forward::allows_content(head.status) {
                lines::field(out, &CONTENT_LENGTH, &length.into());
            }
            Framing::Sized(length)
        }
        None if allows_body => {
            lines::field(out, &TRANSFER_ENCODING, &HeaderValue::from_static("chunked"));
            Framing::Chunked(announced(manner, &head.headers))
        }
        None => Framing::Sized(0),
    }
}

/// The trailers that may be sent: to clients that want them, and those that were announced.
fn announced(manner: &Manner, headers: &HeaderMap) -> Vec<HeaderName> {
    if !manner.takes_trailers {
        return Vec::new();
    }
    lines::announced(headers)
}
