//! What changes in the headers on the way through: pure functions on a header map.
//!
//! Hop-by-hop fields end here, both ways (RFC 9110 7.6.1). Who asks is told in
//! [`forwarded`](super::forwarded).
//! Everything is edited in place and nothing is formatted: this runs for every request.

use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, COOKIE, EXPECT, Entry, HOST, PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION, SET_COOKIE, TE, TRAILER, TRANSFER_ENCODING, UPGRADE, VIA,
    WWW_AUTHENTICATE,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Version};

use super::forwarded::FORWARDED;

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

const CLOSE: HeaderValue = HeaderValue::from_static("close");
const TRAILERS: HeaderValue = HeaderValue::from_static("trailers");
const TE_OPTION: HeaderValue = HeaderValue::from_static("te");
const UPGRADE_OPTION: HeaderValue = HeaderValue::from_static("upgrade");

/// Prepares a request for an instance.
///
/// Framing stays as it came: a lone `Transfer-Encoding: chunked` is what makes hyper's client
/// forward the body of a GET at all, and `Trailer` what makes it forward trailers.
pub(crate) fn request(headers: &mut HeaderMap) {
    let trailers = accepts_trailers(headers);
    remove_hop_by_hop(headers);
    if trailers {
        headers.insert(TE, TRAILERS);
        // RFC 9110 10.1.4: whoever sends TE says so in Connection.
        headers.insert(CONNECTION, TE_OPTION);
    }
}

/// Prepares an answer for the client.
pub(crate) fn response(headers: &mut HeaderMap) {
    remove_hop_by_hop(headers);
    headers.remove(TRANSFER_ENCODING);
}

/// Adds who passes a message on, and in which version it came (RFC 9110 7.6.3).
pub(crate) fn via(headers: &mut HeaderMap, version: Version) {
    let by = match version {
        Version::HTTP_2 => "2.0 smoothserve",
        Version::HTTP_10 => "1.0 smoothserve",
        _ => "1.1 smoothserve",
    };
    headers.append(VIA, HeaderValue::from_static(by));
}

/// Leaves of trailers what may come after a body. Whoever merges them into the headers (RFC 9110
/// 6.5.1 allows it) must not find another framing, another host, or another client there.
pub(crate) fn trailers(trailers: &mut HeaderMap) {
    const EARLY: [HeaderName; 19] = [
        CONNECTION,
        KEEP_ALIVE,
        PROXY_CONNECTION,
        TE,
        TRAILER,
        TRANSFER_ENCODING,
        UPGRADE,
        CONTENT_LENGTH,
        HOST,
        EXPECT,
        AUTHORIZATION,
        PROXY_AUTHORIZATION,
        WWW_AUTHENTICATE,
        PROXY_AUTHENTICATE,
        COOKIE,
        SET_COOKIE,
        FORWARDED,
        VIA,
        X_REAL_IP,
    ];
    for name in EARLY {
        trailers.remove(name);
    }
    let is_forwarded = |name: &&HeaderName| name.as_str().starts_with("x-forwarded-");
    let forwarded: Vec<HeaderName> = trailers.keys().filter(is_forwarded).cloned().collect();
    for name in forwarded {
        trailers.remove(name);
    }
}

/// Does this message say that its connection carries no further request (RFC 9112 9.3)?
pub(crate) fn is_last(headers: &HeaderMap, version: Version) -> bool {
    let said = |wanted: &[u8]| {
        let mut said = headers.get_all(CONNECTION).iter().flat_map(options);
        said.any(|option| option.eq_ignore_ascii_case(wanted))
    };
    said(b"close") || version == Version::HTTP_10 && !said(b"keep-alive")
}

/// Does a Connection field of an answer say that none follows?
pub(crate) fn says_close(connection: &HeaderValue) -> bool {
    options(connection).any(|option| option.eq_ignore_ascii_case(b"close"))
}

/// Says that the connection ends with this answer.
pub(crate) fn close(headers: &mut HeaderMap) {
    headers.insert(CONNECTION, CLOSE);
}

/// Asks for, or agrees to, `protocol`; after hop-by-hop fields were removed.
pub(crate) fn upgrade(headers: &mut HeaderMap, protocol: HeaderValue) {
    headers.insert(CONNECTION, UPGRADE_OPTION);
    headers.insert(UPGRADE, protocol);
}

/// The protocol a request asks for, if Connection names Upgrade.
///
/// `h2c` is not one: behind it, requests would pass that nobody here has looked at.
pub(crate) fn wanted_upgrade(headers: &HeaderMap) -> Option<HeaderValue> {
    let mut protocols = headers.get_all(UPGRADE).iter();
    let (protocol, None) = (protocols.next()?, protocols.next()) else {
        return None;
    };
    let named = headers.get_all(CONNECTION).iter().flat_map(options);
    let h2c = |option: &[u8]| option.eq_ignore_ascii_case(b"h2c");
    let wanted = named.into_iter().any(|option| option.eq_ignore_ascii_case(b"upgrade"));
    (wanted && !options(protocol).any(h2c)).then(|| protocol.clone())
}

/// Whether an answer with this status may have a body (RFC 9110 6.4.1).
pub(crate) fn allows_content(status: StatusCode) -> bool {
    !status.is_informational()
        && !matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
}

/// The length of an answer's body as its framing says; none if there is a doubt.
///
/// hyper reads Transfer-Encoding and ignores a Content-Length beside it, but leaves both in the
/// map; forwarded, they would be two answers to whoever reads them the other way round.
pub(crate) fn is_framed(headers: &HeaderMap, status: StatusCode) -> bool {
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    match (lengths.next(), codings.next()) {
        (None, None) => true,
        (Some(length), None) => {
            let digits = !length.is_empty() && length.as_bytes().iter().all(u8::is_ascii_digit);
            digits && lengths.next().is_none()
        }
        (None, Some(coding)) => {
            let chunked = coding.as_bytes().eq_ignore_ascii_case(b"chunked");
            chunked && codings.next().is_none() && status != StatusCode::SWITCHING_PROTOCOLS
        }
        (Some(_), Some(_)) => false,
    }
}

/// The value of the first Content-Length, if it is one (RFC 9110 8.6).
pub(crate) fn content_length(headers: &HeaderMap) -> Option<u64> {
    length(headers.get(CONTENT_LENGTH)?)
}

pub(crate) fn length(value: &HeaderValue) -> Option<u64> {
    let digits = value.to_str().ok()?;
    // Rust takes a sign as well.
    if digits.starts_with('+') { None } else { digits.parse().ok() }
}

/// Does a client take trailers (RFC 9110 10.1.4)?
pub(crate) fn accepts_trailers(headers: &HeaderMap) -> bool {
    headers
        .get_all(TE)
        .iter()
        .flat_map(options)
        .any(|coding| coding.eq_ignore_ascii_case(b"trailers"))
}

fn remove_hop_by_hop(headers: &mut HeaderMap) {
    static OTHERS: [HeaderName; 4] = [KEEP_ALIVE, PROXY_CONNECTION, TE, UPGRADE];
    // Many messages have none of them, and to compare names costs less than to look for each.
    let (mut connection, mut other) = (false, false);
    for name in headers.keys() {
        connection |= *name == CONNECTION;
        other |= OTHERS.contains(name);
    }
    if connection {
        remove_named(headers);
    }
    if other {
        for name in &OTHERS {
            headers.remove(name);
        }
    }
}

/// Removes Connection and what it names.
fn remove_named(headers: &mut HeaderMap) {
    let mut values = headers.get_all(CONNECTION).iter();
    if let (Some(only), None) = (values.next(), values.next())
        && (only == "keep-alive" || only == "close")
    {
        headers.remove(CONNECTION);
        return;
    }
    let Entry::Occupied(connection) = headers.entry(CONNECTION) else {
        return;
    };
    let (_, values) = connection.remove_entry_mult();
    let values: Vec<HeaderValue> = values.collect();
    for option in values.iter().flat_map(options) {
        if !is_end_to_end(option) {
            // A name that is no header name names no header.
            if let Ok(name) = HeaderName::from_bytes(option) {
                headers.remove(name);
            }
        }
    }
}

/// Fields that must arrive whatever Connection says: without them a request would be another one,
/// or would seem to come from somebody else.
fn is_end_to_end(option: &[u8]) -> bool {
    const PROTECTED: [HeaderName; 6] =
        [HOST, CONTENT_LENGTH, COOKIE, TRANSFER_ENCODING, TRAILER, FORWARDED];
    PROTECTED.iter().any(|name| option.eq_ignore_ascii_case(name.as_str().as_bytes()))
        || option.get(..12).is_some_and(|start| start.eq_ignore_ascii_case(b"x-forwarded-"))
}

/// The elements of a comma-separated list.
pub(crate) fn options(value: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    value.as_bytes().split(|&byte| byte == b',').map(<[u8]>::trim_ascii)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        lines.iter().map(pair).collect()
    }

    fn check(before: &[(&'static str, &'static str)], after: &[(&'static str, &'static str)]) {
        let mut found = headers(before);
        request(&mut found);
        assert_eq!(found, headers(after), "{before:?}");
    }

    #[test]
    fn hop_by_hop_fields_are_removed_and_so_is_what_connection_names() {
        check(
            &[("connection", "close, X-Private"), ("x-private", "1"), ("accept", "*/*")],
            &[("accept", "*/*")],
        );
        check(
            &[("connection", "keep-alive"), ("keep-alive", "timeout=5"), ("proxy-connection", "x")],
            &[],
        );
        check(&[("upgrade", "websocket")], &[]);
    }

    #[test]
    fn connection_cannot_remove_what_says_who_asks_for_what() {
        check(
            &[("connection", "host, Cookie, content-length"), ("host", "a"), ("cookie", "b")],
            &[("host", "a"), ("cookie", "b")],
        );
        check(
            &[("connection", "Forwarded, x-forwarded-for"), ("forwarded", "for=192.0.2.1")],
            &[("forwarded", "for=192.0.2.1")],
        );
    }

    #[test]
    fn only_trailers_is_kept_of_te() {
        check(&[("te", "gzip, trailers")], &[("te", "trailers"), ("connection", "te")]);
        check(&[("te", "gzip")], &[]);
    }

    #[test]
    fn trailers_frame_nothing_and_name_nobody() {
        let mut found = headers(&[
            ("x-sum", "1"),
            ("content-length", "3"),
            ("transfer-encoding", "chunked"),
            ("host", "b"),
            ("authorization", "basic x"),
            ("cookie", "a=b"),
            ("x-forwarded-for", "10.0.0.1"),
            ("x-forwarded-anything", "1"),
            ("connection", "x-sum"),
            ("server-timing", "a"),
        ]);
        trailers(&mut found);
        assert_eq!(found, headers(&[("x-sum", "1"), ("server-timing", "a")]));
    }

    #[test]
    fn via_is_added_to_what_others_said() {
        let mut found = headers(&[("via", "1.1 edge")]);
        via(&mut found, Version::HTTP_11);
        via(&mut found, Version::HTTP_10);
        let by: Vec<_> = found.get_all(VIA).iter().collect();
        assert_eq!(by, ["1.1 edge", "1.1 smoothserve", "1.0 smoothserve"]);
    }

    #[test]
    fn an_upgrade_needs_connection_and_is_never_h2c() {
        let upgrade = |lines| wanted_upgrade(&headers(lines));
        assert!(
            upgrade(&[("connection", "keep-alive, Upgrade"), ("upgrade", "websocket")]).is_some()
        );
        assert!(upgrade(&[("upgrade", "websocket")]).is_none());
        assert!(upgrade(&[("connection", "upgrade")]).is_none());
        assert!(upgrade(&[("connection", "upgrade"), ("upgrade", "websocket, H2C")]).is_none());
    }

    #[test]
    fn an_answer_with_two_framings_is_not_framed() {
        let framed = |lines| is_framed(&headers(lines), StatusCode::OK);
        assert!(framed(&[]) && framed(&[("content-length", "3")]));
        assert!(framed(&[("transfer-encoding", "Chunked")]));
        assert!(!framed(&[("content-length", "3"), ("transfer-encoding", "chunked")]));
        assert!(!framed(&[("content-length", "3"), ("content-length", "3")]));
        assert!(!framed(&[("content-length", "3, 3")]));
        assert!(!framed(&[("transfer-encoding", "gzip, chunked")]));
    }
}
