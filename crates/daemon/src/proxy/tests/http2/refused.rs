//! Heads that no instance sees: what would be ambiguous or too large as a request of HTTP/1.1.

use super::wire::{self, Ended, Wire};
use super::*;

const METHOD: (&str, &str) = (":method", "GET");
const SCHEME: (&str, &str) = (":scheme", "http");
const PATH: (&str, &str) = (":path", "/");
const AUTHORITY: (&str, &str) = (":authority", "a");

/// How a request of these fields ends, in a house where any other is answered with `ok`.
async fn ends(fields: &[(&str, &str)], body: &[u8]) -> Ended {
    let house = house().await;
    let backend = Backend::answering(OK).await;
    house.serve(&backend);
    let mut wire = Wire::connect(&house).await;
    let block = wire::fields(fields);
    // Pieces no larger than a frame may be.
    let mut pieces = block.chunks(16_384).peekable();
    let mut kind = wire::HEADERS;
    while let Some(piece) = pieces.next() {
        let last = if pieces.peek().is_none() { wire::END_HEADERS } else { 0 };
        let whole = if kind == wire::HEADERS && body.is_empty() { wire::END_STREAM } else { 0 };
        wire.send(kind, last | whole, 1, piece).await;
        kind = wire::CONTINUATION;
    }
    if !body.is_empty() {
        wire.send(wire::DATA, wire::END_STREAM, 1, body).await;
    }
    let ended = wire.end_of(1).await;
    if let Ended::Answered(text) = &ended
        && text != "ok"
    {
        assert_eq!((house.proxy.rejected(), house.settled().await.accepted), (1, 0), "{text}");
        assert_eq!(backend.connections(), 0, "{text}");
        // Only the stream is over.
        wire.get(3).await;
        assert_eq!(wire.end_of(3).await, Ended::Answered("ok".into()));
    }
    ended
}

async fn check(fields: &[(&str, &str)], answer: &str) {
    let shown: Vec<_> = fields.iter().map(|(name, value)| (name, value.get(..40))).collect();
    assert_eq!(ends(fields, b"").await, Ended::Answered(answer.into()), "{shown:?}");
}

/// A request with these fields besides its pseudo-fields.
async fn check_with(more: &[(&str, &str)], answer: &str) {
    check(&[&[METHOD, SCHEME, PATH, AUTHORITY], more].concat(), answer).await;
}

#[tokio::test]
async fn an_authority_and_a_host_that_differ_or_are_none() {
    let differs = "400 the host header is not the authority\n";
    check_with(&[("host", "b")], differs).await;
    check_with(&[("host", "a:80")], differs).await;
    check_with(&[("host", "a"), ("host", "b")], differs).await;
    check_with(&[("host", "a"), ("host", "a")], "400 there is more than one host header\n").await;
    check_with(&[("host", "A")], "ok").await;
    check(&[METHOD, SCHEME, PATH], "400 the host header is missing\n").await;
    check(&[METHOD, SCHEME, PATH, ("host", "a")], "ok").await;
    let invalid = "400 the host header is invalid\n";
    for authority in ["u@h", "a,b", "h:65536", "[::g]"] {
        let ended = ends(&[METHOD, SCHEME, PATH, (":authority", authority)], b"").await;
        let refused = [Ended::Answered(invalid.into()), Ended::Reset(1)];
        assert!(refused.contains(&ended), "{authority}: {ended:?}");
    }
}

#[tokio::test]
async fn a_target_that_is_no_path() {
    let none = "400 the target is not a path\n";
    for path in ["a", "http://b/", "*x", "/a<b", "/a>", "/\"", "/a\u{fc}"] {
        let ended = ends(&[METHOD, SCHEME, (":path", path), AUTHORITY], b"").await;
        let refused = [Ended::Answered(none.into()), Ended::Reset(1)];
        assert!(refused.contains(&ended), "{path}: {ended:?}");
    }
    // h2 itself refuses what would be another line, or another word, of a head.
    for path in ["/a b", "/a\r\nx: y", "/a\n", "/\0"] {
        let ended = ends(&[METHOD, SCHEME, (":path", path), AUTHORITY], b"").await;
        assert!(matches!(ended, Ended::Reset(_) | Ended::GoneAway(_)), "{path}: {ended:?}");
    }
    check(&[METHOD, SCHEME, (":path", "*"), AUTHORITY], "400 the target * is for OPTIONS only\n")
        .await;
    check(&[(":method", "OPTIONS"), SCHEME, (":path", "*"), AUTHORITY], "ok").await;
    let scheme = "400 the scheme is neither http nor https\n";
    check(&[METHOD, (":scheme", "ftp"), PATH, AUTHORITY], scheme).await;
    check(&[METHOD, (":scheme", "https"), PATH, AUTHORITY], "ok").await;
    check(&[METHOD, SCHEME, (":path", "/a?b={c}|[d]"), AUTHORITY], "ok").await;
}

#[tokio::test]
async fn a_method_that_opens_a_tunnel_or_shows_what_was_sent() {
    check(&[(":method", "CONNECT"), AUTHORITY], "405 method CONNECT is not allowed\n").await;
    let trace = [(":method", "TRACE"), SCHEME, PATH, AUTHORITY];
    check(&trace, "405 method TRACE is not allowed\n").await;
    let long = "M".repeat(33);
    let long = [(":method", &long[..]), SCHEME, PATH, AUTHORITY];
    check(&long, "400 the method is longer than 32 bytes\n").await;
}

#[tokio::test]
async fn a_value_that_would_read_as_another_one() {
    let blank = "400 a header value begins or ends with a blank\n";
    for value in [" x", "x ", "\tx", "x\t"] {
        check_with(&[("x", value)], blank).await;
    }
    for value in ["x\r\ny: z", "x\n", "\0", "x\u{7f}"] {
        let fields = [METHOD, SCHEME, PATH, AUTHORITY, ("x", value)];
        let ended = ends(&fields, b"").await;
        assert!(matches!(ended, Ended::Reset(_) | Ended::GoneAway(_)), "{value:?}: {ended:?}");
    }
    check_with(&[("x", "\u{fc}")], "ok").await;
}

#[tokio::test]
async fn a_length_that_is_told_twice() {
    let post = [(":method", "POST"), SCHEME, PATH, AUTHORITY];
    let length = ("content-length", "2");
    let ended = ends(&[&post[..], &[length, length]].concat(), b"hi").await;
    assert_eq!(ended, Ended::Answered("400 there is more than one content-length\n".into()));
    assert_eq!(ends(&[&post[..], &[length]].concat(), b"hi").await, Ended::Answered("ok".into()));
}

#[tokio::test]
async fn what_is_larger_than_its_bound() {
    let path = format!("/{}", "x".repeat(16_384));
    let fields = [METHOD, SCHEME, (":path", path.as_str()), AUTHORITY];
    check(&fields, "414 the request line is longer than 16384 bytes\n").await;
    let large = "y".repeat(32 * 1024);
    check_with(&[("x", &large)], "431 header x is larger than 32768 bytes\n").await;
    let part = "y".repeat(22 * 1024);
    let parts = [("x", part.as_str()); 3];
    check_with(&parts, "431 the headers are larger than 65536 bytes\n").await;
    check_with(&[("x", "y"); 101], "431 there are more than 100 headers\n").await;
    check_with(&[("x", "y"); 99], "ok").await;
}

#[tokio::test]
async fn an_expectation_that_nobody_can_meet() {
    check_with(&[("expect", "wonders")], "417 no expectation but 100-continue can be met\n").await;
}
