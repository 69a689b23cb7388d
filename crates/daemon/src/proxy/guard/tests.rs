//! Any split of the input gives the same result, and what is let through reads the same in hyper.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Collected, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf};

use super::{Framer, Guarded, Noted, STAND_IN, Step};
use crate::proxy::elaborate::server;
use crate::proxy::tests::mangled::{Input, mangled, places};

/// All headers of a request together.
const MAX_FIELDS: usize = 64 * 1024;

/// What became of a connection's bytes.
#[derive(Debug, PartialEq, Eq)]
struct Followed {
    /// Where each message ends that is complete.
    ends: Vec<usize>,
    /// Why the rest was refused.
    refused: Option<String>,
}

/// Follows `input`, which arrives in pieces that end at `cuts`; with 1.x made 1.1 in it.
fn follow(input: &mut [u8], cuts: &[usize]) -> Followed {
    let mut framer = Framer::new(MAX_FIELDS);
    let (mut ends, mut passed) = (Vec::new(), 0);
    for &cut in cuts.iter().chain([&input.len()]) {
        while passed < cut {
            match framer.next(&mut input[passed..cut]) {
                Ok(Step::Pass(count)) => passed += count,
                Ok(Step::More) => break,
                Err(refusal) => {
                    return Followed { ends, refused: Some(refusal.reason().to_owned()) };
                }
            }
            if !framer.is_inside() {
                ends.push(passed);
            }
        }
    }
    Followed { ends, refused: None }
}

fn whole(input: &str) -> Followed {
    follow(&mut input.as_bytes().to_vec(), &[])
}

/// A socket out of which come these pieces, and then the end.
struct Pieces(Vec<Vec<u8>>);

impl AsyncRead for Pieces {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        if let Some(piece) = self.0.first_mut() {
            let count = piece.len().min(buffer.remaining());
            buffer.put_slice(&piece[..count]);
            piece.drain(..count);
            if piece.is_empty() {
                self.0.remove(0);
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// What hyper is given of `pieces`, read by read, and why the rest was refused.
fn passed(pieces: Vec<Vec<u8>>, room: usize) -> (Vec<Vec<u8>>, Option<String>) {
    let noted = Noted::default();
    let mut guarded = Guarded::new(Pieces(pieces), MAX_FIELDS, noted.clone());
    let mut cx = Context::from_waker(Waker::noop());
    let mut reads = Vec::new();
    loop {
        let mut bytes = vec![0; room];
        let mut buffer = ReadBuf::new(&mut bytes);
        let read = Pin::new(&mut guarded).poll_read(&mut cx, &mut buffer);
        assert!(matches!(read, Poll::Ready(Ok(()))), "these pieces are always ready");
        if buffer.filled().is_empty() {
            return (reads, noted.get().map(|refusal| refusal.reason().to_owned()));
        }
        reads.push(buffer.filled().to_vec());
    }
}

fn pieces(input: &[u8], cuts: &[usize]) -> Vec<Vec<u8>> {
    let mut begin = 0;
    let ends = cuts.iter().copied().chain([input.len()]);
    ends.map(|end| input[std::mem::replace(&mut begin, end)..end].to_vec())
        .filter(|piece| !piece.is_empty())
        .collect()
}

/// How hyper answers `input`, and the bodies it found in it; none: one that broke off.
async fn read_by_hyper(input: &[u8]) -> (String, Vec<Option<Bytes>>) {
    let (mut client, far) = tokio::io::duplex(1024 * 1024);
    client.write_all(input).await.unwrap();
    client.shutdown().await.unwrap();
    let found: Arc<Mutex<Vec<Option<Bytes>>>> = Arc::default();
    let service = service_fn(|request: Request<Incoming>| {
        let found = Arc::clone(&found);
        async move {
            let body = request.into_body().collect().await;
            found.lock().unwrap().push(body.ok().map(Collected::to_bytes));
            Ok::<_, Infallible>(Response::new(Full::new(Bytes::new())))
        }
    });
    let connection = server(MAX_FIELDS).serve_connection(TokioIo::new(far), service);
    let mut answers = String::new();
    let (served, read) = tokio::join!(connection, client.read_to_string(&mut answers));
    read.unwrap();
    if let Err(error) = served {
        answers += &format!("hyper gave up: {error}");
    }
    let found = std::mem::take(&mut *found.lock().unwrap());
    (answers, found)
}

/// A line of a head, most of them as they should be.
fn field() -> impl Strategy<Value = String> {
    let fields = vec![
        "host: a\r\n",
        "Content-Length: 3\r\n",
        "content-length:3\r\n",
        "content-length: 0\r\n",
        "Content-Length: 3, 3\r\n",
        "content-length: 03\t\r\n",
        "transfer-encoding: chunked\r\n",
        "Transfer-Encoding:\tChunked \r\n",
        "transfer-encoding: identity\r\n",
        "connection: keep-alive\r\n",
        "connection: close\r\n",
        "expect: 100-continue\r\n",
        "upgrade: x\r\n",
        "x: \u{e9}\r\n",
        "x:\r\n",
        "x: y\n",
        " folded\r\n",
        "x : y\r\n",
    ];
    select(fields).prop_map(str::to_owned)
}

fn message() -> impl Strategy<Value = String> {
    let lines = vec![
        "GET / HTTP/1.1\r\n",
        "POST /a?b=[]{}| HTTP/1.1\r\n",
        "HEAD //x/../%2e HTTP/1.0\r\n",
        "PUT http://a:80/b HTTP/1.1\r\n",
        "OPTIONS * HTTP/1.1\r\n",
        "GET / HTTP/1.7\r\n",
        "\r\nGET /\u{fc} HTTP/1.1\r\n",
        "GET /a#b HTTP/1.1\r\n",
        "GET  / HTTP/1.1\r\n",
    ];
    let bodies = vec![
        "",
        "",
        "abc",
        "3\r\nabc\r\n0\r\n\r\n",
        "1;x=y\r\na\r\n02\r\nbc\r\n0\r\n\r\n",
        "0\r\nx-sum: 1\r\ny: 2\r\n\r\n",
        "3 \r\nabc\r\n0\r\n\r\n",
        "3\nabc\n0\n\n",
    ];
    (select(lines), vec(field(), 0..4), select(bodies))
        .prop_map(|(line, fields, body)| [line, &fields.concat(), "\r\n", body].concat())
}

/// Messages, some of them with bytes changed.
fn input() -> impl Strategy<Value = Input> {
    mangled(vec(message(), 1..4).prop_map(|messages| messages.concat()))
}

proptest! {
    #[test]
    fn any_split_gives_the_same_result(input in input(), cuts in vec(any::<Index>(), 0..20)) {
        let cuts = places(&input.0, &cuts);
        let (mut at_once, mut in_pieces) = (input.0.clone(), input.0);
        prop_assert_eq!(follow(&mut at_once, &[]), follow(&mut in_pieces, &cuts));
        prop_assert_eq!(at_once, in_pieces);
    }

    #[test]
    fn what_is_let_through_reads_the_same_in_hyper(input in input()) {
        let Input(mut input) = input;
        let followed = follow(&mut input, &[]);
        let complete = followed.ends.last().copied().unwrap_or(0);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (answers, found) = runtime.block_on(read_by_hyper(&input[..complete]));
        let is_content = !answers.contains("hyper gave up") && !answers.contains("HTTP/1.1 4");
        prop_assert!(is_content, "{}", answers);
        prop_assert!(found.iter().all(Option::is_some), "{:?}", found);
        // Whoever says `close`, or speaks HTTP/1.0, is answered once and no more.
        let closes = String::from_utf8_lossy(&input).to_ascii_lowercase();
        if !closes.contains("close") && !closes.contains("http/1.0") {
            prop_assert_eq!(found.len(), followed.ends.len(), "{:?}", found);
        }
    }

    #[test]
    fn hyper_is_given_one_message_at_a_time_and_nothing_else(
        input in input(),
        cuts in vec(any::<Index>(), 0..6),
        room in 1..300_usize,
    ) {
        let Input(input) = input;
        let mut changed = input.clone();
        let followed = follow(&mut changed, &[]);
        let (reads, refused) = passed(pieces(&input, &places(&input, &cuts)), room);
        prop_assert_eq!(&refused, &followed.refused);
        let complete = followed.ends.last().copied().unwrap_or(0);
        let all = reads.concat();
        prop_assert_eq!(&all[..complete], &changed[..complete]);
        let mut place = 0;
        for read in &reads {
            let reaches = place + read.len();
            let crosses = |end: &usize| place < *end && *end < reaches;
            prop_assert!(!followed.ends.iter().any(crosses), "{:?}", reads);
            place = reaches;
        }
        if refused.is_some() {
            let rest = &all[complete..];
            let stands_in = rest == STAND_IN || rest == super::STAND_IN_FOR_HEAD;
            // Or it broke off in a body: what came before that is all there is.
            prop_assert!(stands_in || changed[complete..].starts_with(rest), "{:?}", rest);
        }
    }

    #[test]
    fn what_is_taken_back_is_given_again_and_looked_at_once(
        input in input(),
        cuts in vec(any::<Index>(), 0..6),
        room in 1..300_usize,
    ) {
        let pieces = pieces(&input.0, &places(&input.0, &cuts));
        let (expected, refused) = passed(pieces.clone(), room);
        let noted = Noted::default();
        let mut guarded = Guarded::new(Pieces(pieces), MAX_FIELDS, noted.clone());
        for read in &expected {
            for is_kept in [false, true] {
                let mut bytes = vec![0; room];
                let mut buffer = ReadBuf::new(&mut bytes);
                let mut cx = Context::from_waker(Waker::noop());
                let polled = Pin::new(&mut guarded).poll_read(&mut cx, &mut buffer);
                prop_assert!(matches!(polled, Poll::Ready(Ok(()))));
                prop_assert_eq!(buffer.filled(), read);
                if !is_kept {
                    guarded.take_back(buffer.filled().into());
                }
            }
        }
        let reason = noted.get().map(|refusal| refusal.reason().to_owned());
        prop_assert!(reason.is_none() || reason == refused);
    }

    #[test]
    fn nothing_panics(mut input in vec(any::<u8>(), 0..300)) {
        follow(&mut input, &[]);
    }
}

#[test]
fn a_body_ends_where_its_framing_says() {
    for (head, body) in [
        ("GET / HTTP/1.1\r\n\r\n", ""),
        ("\r\n\r\nGET / HTTP/1.1\r\nx:\r\n\r\n", ""),
        ("POST / HTTP/1.0\r\nCONTENT-LENGTH:\t 3 \r\n\r\n", "abc"),
        ("GET / HTTP/1.1\r\ntransfer-encoding: Chunked\r\n\r\n", "0\r\n\r\n"),
        ("GET / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n", "00a\r\n0123456789\r\n0\r\n\r\n"),
        (
            "GET / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n",
            "3;a=\"b;c\";d\r\nabc\r\n0;e\r\nx: y\r\nz:\r\n\r\n",
        ),
        ("GET http://[::1]:80/?a=[]{}|^`\u{fc} HTTP/1.1\r\n\r\n", ""),
        ("X!#$%&'*+-.^_`|~9 /a%00//../{} HTTP/1.9\r\n\r\n", ""),
    ] {
        let message = [head, body].concat();
        let end = message.len();
        let followed = whole(&format!("{message}{message}"));
        assert_eq!(followed, Followed { ends: vec![end, 2 * end], refused: None }, "{message}");
    }
}

#[test]
fn what_is_wrong_is_said_when_it_comes_and_not_when_all_has_come() {
    let no_line = "the request line is not `METHOD target HTTP/1.1`";
    for (beginning, reason) in [
        ("\x16\x03\x01", no_line),
        ("\n", no_line),
        ("\r\n\n", no_line),
        ("\r\r\n", no_line),
        ("GET / HTTP/1.1\n", "a line does not end in CR LF"),
        ("GET / HTTP/1.1\r\nx: y\n", "a line does not end in CR LF"),
        ("GET /\r\n", no_line),
        ("GET / HTTP/1.1 \r\n", no_line),
        ("GET /a b HTTP/1.1\r\n", no_line),
        ("GET\t/ HTTP/1.1\r\n", no_line),
        (" GET / HTTP/1.1\r\n", no_line),
        ("GET  HTTP/1.1\r\n", no_line),
        ("GET / http/1.1\r\n", no_line),
        ("GET / HTTP/1.10\r\n", no_line),
        ("GET / HTTP/1\r\n", no_line),
        ("GET /\0 HTTP/1.1\r\n", "the target is neither a path nor an address"),
        ("GET /#a HTTP/1.1\r\n", "the target is neither a path nor an address"),
        ("GET /\r HTTP/1.1\r\n", "the target is neither a path nor an address"),
        ("G(T / HTTP/1.1\r\n", no_line),
        ("GET / HTTP/2.0\r\n", "HTTP/1.0 and HTTP/1.1 are spoken here"),
        ("GET / HTTP/0.9\r\n", "HTTP/1.0 and HTTP/1.1 are spoken here"),
        ("GET / HTTP/1.1\r\nx\r\n", "a header line has no valid name"),
        ("GET / HTTP/1.1\r\n: y\r\n", "a header line has no valid name"),
        ("GET / HTTP/1.1\r\nx : y\r\n", "a header line has no valid name"),
        ("GET / HTTP/1.1\r\n x: y\r\n", "a header line has no valid name"),
        ("GET / HTTP/1.1\r\nx: y\r\n\tz\r\n", "a header line has no valid name"),
        ("GET / HTTP/1.1\r\n\u{e9}: y\r\n", "a header line has no valid name"),
        ("GET / HTTP/1.1\r\nx: a\rb\r\n\r\n", "a header value holds a control byte"),
        ("GET / HTTP/1.1\r\nx: a\r\r\n\r\n", "a header value holds a control byte"),
        ("GET / HTTP/1.1\r\nx: \x7f\r\n\r\n", "a header value holds a control byte"),
        ("GET / HTTP/1.1\r\nx: \x0b\r\n\r\n", "a header value holds a control byte"),
    ] {
        assert_eq!(whole(beginning).refused.as_deref(), Some(reason), "{beginning:?}");
    }
}

#[test]
fn a_length_is_digits_and_stands_alone() {
    let lengths = [
        "",
        "+3",
        "-3",
        "3 3",
        "3,3",
        "3, 3",
        "0x3",
        "3.0",
        "3;",
        "\"3\"",
        "\u{b2}",
        "9223372036854775808",
        "99999999999999999999999",
    ];
    for length in lengths {
        let head = format!("POST / HTTP/1.1\r\ncontent-length: {length}\r\n");
        let refused = whole(&head).refused;
        assert_eq!(refused.as_deref(), Some("the content-length is no number"), "{length}");
    }
    for (fields, reason) in [
        ("content-length: 3\r\nContent-Length: 3\r\n", "there is more than one content-length"),
        (
            "content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n",
            "there are a content-length and a transfer-encoding",
        ),
        (
            "transfer-encoding: chunked\r\ncontent-length: 0\r\n\r\n",
            "there are a content-length and a transfer-encoding",
        ),
    ] {
        let head = format!("POST / HTTP/1.1\r\n{fields}");
        assert_eq!(whole(&head).refused.as_deref(), Some(reason), "{fields}");
    }
}

#[test]
fn a_transfer_encoding_is_exactly_one_chunked() {
    for codings in [
        "transfer-encoding: gzip\r\n",
        "transfer-encoding: gzip, chunked\r\n",
        "transfer-encoding: chunked, chunked\r\n",
        "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: identity\r\n",
        "transfer-encoding:\r\n",
        "transfer-encoding: xchunked\r\n",
        "transfer-encoding: \"chunked\"\r\n",
        "transfer-encoding: chunked;q=1\r\n",
    ] {
        let refused = whole(&format!("POST / HTTP/1.1\r\n{codings}")).refused;
        let reason = "transfer-encoding is not exactly one chunked";
        assert_eq!(refused.as_deref(), Some(reason), "{codings}");
    }
    let refused = whole("POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n").refused;
    assert_eq!(refused.as_deref(), Some("HTTP/1.0 has no transfer-encoding"));
}

#[test]
fn chunks_are_what_they_say_to_the_byte() {
    let size = "a chunk size is not a plain hexadecimal number";
    let line = "a line of a chunked body does not end in CR LF";
    let data = "a chunk is not followed by CR LF";
    let name = "a trailer has no valid name";
    for (body, reason) in [
        ("+1\r\n", size),
        ("-1\r\n", size),
        (" 1\r\n", size),
        ("1 \r\n", size),
        ("1 ;x\r\n", size),
        ("0x1\r\n", size),
        ("\r\n", size),
        (";x\r\n", size),
        ("1\n", size),
        ("00000000000000001\r\n", size),
        ("10000000000000000\r\n", size),
        ("1\rx", line),
        ("1\r\nab", data),
        ("1\r\na\n", data),
        ("1\r\na\rx", data),
        ("1;x\n", "a chunk extension holds a control byte"),
        ("1;x\0\r\n", "a chunk extension holds a control byte"),
        ("1;x\ry", line),
        ("0\r\n\n", name),
        ("0\r\n\rx", line),
        ("0\r\nx: y\n", "a trailer holds a control byte"),
        ("0\r\nx: y\rz", line),
        ("0\r\nx: y\r\n z\r\n", name),
        ("0\r\n: y\r\n", name),
        ("0\r\nx\r\n", name),
        ("0\r\nx : y\r\n", name),
    ] {
        let head = "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n";
        let refused = whole(&[head, body].concat()).refused;
        assert_eq!(refused.as_deref(), Some(reason), "{body:?}");
    }
}

#[test]
fn what_may_be_held_is_bounded() {
    let head = "POST / HTTP/1.1\r\n";
    let chunked = "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n";
    let field = format!("x: {}\r\n", "y".repeat(30 * 1024));
    for (input, reason) in [
        (format!("GET /{}", "x".repeat(16 * 1024)), "the request line is longer"),
        (format!("{} / HTTP/1.1\r\n", "G".repeat(33)), "the method is longer"),
        ("\r\n".repeat(9), "there are empty lines before the request"),
        (format!("{head}{}: {}", "x".repeat(99), "y".repeat(32 * 1024)), "header xxxxx"),
        (format!("{head}{}", "x".repeat(32 * 1024 + 2)), "a header is larger"),
        (format!("{head}{field}{field}{field}"), "the headers are larger"),
        (format!("{head}{field}{field}x: {}", "y".repeat(8 * 1024)), "the headers are larger"),
        (format!("{head}{}", "x: y\r\n".repeat(101)), "there are more than 100 headers"),
        (format!("{chunked}1;{}", "x".repeat(8 * 1024 + 1)), "the chunk extensions are larger"),
        (
            format!("{chunked}{}", format!("1;{}\r\na\r\n", "x".repeat(99)).repeat(99)),
            "the chunk extensions are larger",
        ),
        (format!("{chunked}0\r\nx: {}", "y".repeat(16 * 1024)), "the trailers are larger"),
        (format!("{chunked}0\r\n{}", "x: y\r\n".repeat(65)), "the trailers are larger"),
    ] {
        let refused = whole(&input).refused.unwrap_or_default();
        assert!(refused.starts_with(reason), "{}: {refused}", &input[..input.len().min(60)]);
    }
    let most = format!("{head}{}\r\n", "x: y\r\n".repeat(100));
    assert_eq!(whole(&most), Followed { ends: vec![most.len()], refused: None });
}
