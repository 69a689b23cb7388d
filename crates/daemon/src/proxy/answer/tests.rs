//! Any split of an answer gives the same, and what is whole to us reads the same in hyper.

use bytes::{BufMut as _, Bytes, BytesMut};
use http::{HeaderMap, Method, Request, StatusCode, Version};
use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::TokioIo;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use tokio::io::AsyncWriteExt as _;

use super::{Decoder, Head};
use crate::proxy::forward::is_framed;
use crate::proxy::tests::mangled::{Input, mangled, places};

/// A final answer to its last byte.
#[derive(Debug, PartialEq, Eq)]
struct Whole {
    status: StatusCode,
    version: Version,
    headers: HeaderMap,
    body: Vec<u8>,
    trailers: Option<HeaderMap>,
}

/// What comes out of the pieces that an instance sends before it closes; none: it breaks off.
fn read(method: &Method, pieces: &[&[u8]]) -> Result<Option<Whole>, String> {
    let (mut buffer, mut head, mut body) = (BytesMut::new(), None, None);
    let (mut data, mut trailers) = (Vec::new(), None);
    for piece in pieces {
        buffer.put_slice(piece);
        if body.is_none() {
            let Some(taken) = take_final(&mut buffer)? else { continue };
            body = Some(taken.body(method).map_err(|error| error.to_string())?);
            head = Some(taken);
        }
        let body: &mut Decoder = body.as_mut().unwrap();
        while let Some(frame) = body.take(&mut buffer).map_err(|error| error.to_string())? {
            match frame.into_data() {
                Ok(piece) => data.extend_from_slice(&piece),
                Err(frame) => trailers = frame.into_trailers().ok(),
            }
        }
    }
    let (Some(head), Some(body)) = (head, body) else { return Ok(None) };
    if !body.is_over() && !body.ends_with_the_connection() {
        return Ok(None);
    }
    let (status, version, headers) = (head.parts.status, head.parts.version, head.parts.headers);
    Ok(Some(Whole { status, version, headers, body: data, trailers }))
}

fn take_final(buffer: &mut BytesMut) -> Result<Option<Head>, String> {
    while !buffer.is_empty() {
        match Head::take(buffer).map_err(|error| error.to_string())? {
            None => break,
            Some(head) if head.parts.status.is_informational() && head.parts.status != 101 => {}
            Some(head) => return Ok(Some(head)),
        }
    }
    Ok(None)
}

/// The same, as hyper's client has it.
async fn read_by_hyper(method: &Method, sent: &[u8]) -> Option<Whole> {
    let (mut instance, near) = tokio::io::duplex(1024 * 1024);
    let client = hyper::client::conn::http1::Builder::new().handshake(TokioIo::new(near));
    let (mut sender, connection) = client.await.unwrap();
    let request = Request::builder().method(method).uri("/").header("host", "a");
    let request = request.body(Empty::<Bytes>::new()).unwrap();
    let asking = async move {
        let (head, body) = sender.send_request(request).await.ok()?.into_parts();
        let body = body.collect().await.ok()?;
        let trailers = body.trailers().cloned();
        let (status, version, headers) = (head.status, head.version, head.headers);
        Some(Whole { status, version, headers, body: body.to_bytes().to_vec(), trailers })
    };
    let answering = async {
        // Only when it was asked does it answer.
        let mut request = [0; 64];
        let _ = tokio::io::AsyncReadExt::read(&mut instance, &mut request).await;
        instance.write_all(sent).await.unwrap();
        instance.shutdown().await.unwrap();
        instance
    };
    let (whole, _, _instance) = tokio::join!(asking, connection, answering);
    whole
}

fn field() -> impl Strategy<Value = &'static str> {
    select(vec![
        "Content-Length: 3\r\n",
        "content-length:3\r\n",
        "content-length: 0\r\n",
        "content-length: +3\r\n",
        "transfer-encoding: chunked\r\n",
        "Transfer-Encoding:\tChunked \r\n",
        "connection: keep-alive, x\r\n",
        "connection: close\r\n",
        "set-cookie: a=b\r\n",
        "set-cookie: c=d\r\n",
        "X-Odd_Name!: \u{e9}\t\u{1f980} \r\n",
        "x:\r\n",
        "x: y\n",
        " folded\r\n",
        "x : y\r\n",
    ])
}

fn answer() -> impl Strategy<Value = String> {
    let lines = vec![
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\n",
        "HTTP/1.0 404 Gone Fishing\r\n",
        "HTTP/1.1 204 No Content\r\n",
        "HTTP/1.1 304 Not Modified\r\n",
        "HTTP/1.1 299\r\n",
        "HTTP/1.1 500 \r\n",
        "\r\nHTTP/1.1 200 OK\n",
        "HTTP/1.1 99 x\r\n",
        "HTTP/2.0 200 OK\r\n",
    ];
    let bodies = vec![
        "",
        "abc",
        "abcdef",
        "3\r\nabc\r\n0\r\n\r\n",
        "3\r\nabc\r\n2;x=y\r\nde\r\n00\r\nx-sum: 1\r\nx-sum: 2\r\nz:\r\n\r\n",
        "3  \r\nabc\r\n0\t;x\r\n\r\nHTTP/1.1 200 OK\r\n",
        "3\nabc\n0\n\n",
        "3\r\nabcd\r\n0\r\n\r\n",
    ];
    (select(lines), vec(field(), 0..4), select(bodies))
        .prop_map(|(line, fields, body)| [line, &fields.concat(), "\r\n", body].concat())
}

/// An answer, some of them with bytes changed.
fn input() -> impl Strategy<Value = Input> {
    mangled(answer())
}

fn method() -> impl Strategy<Value = Method> {
    select(vec![Method::GET, Method::GET, Method::HEAD, Method::POST])
}

proptest! {
    #[test]
    fn any_split_gives_the_same_answer(
        input in input(),
        method in method(),
        cuts in vec(any::<Index>(), 0..20),
    ) {
        let cuts = [vec![0], places(&input.0, &cuts), vec![input.0.len()]].concat();
        let pieces: Vec<&[u8]> = cuts.windows(2).map(|cut| &input.0[cut[0]..cut[1]]).collect();
        let (at_once, in_pieces) = (read(&method, &[&input.0]), read(&method, &pieces));
        prop_assert_eq!(at_once.ok(), in_pieces.ok());
    }

    #[test]
    fn what_is_whole_reads_the_same_in_hyper(input in input(), method in method()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let by_hyper = runtime.block_on(read_by_hyper(&method, &input.0));
        match read(&method, &[&input.0]) {
            // It switched protocols: what follows belongs to another one.
            Ok(Some(whole)) if whole.status == StatusCode::SWITCHING_PROTOCOLS => {}
            Ok(Some(whole)) => prop_assert_eq!(Some(whole), by_hyper),
            // We are stricter where a body is cut into chunks, or framed in two ways.
            Ok(None) | Err(_) => {
                let is_doubtful = |Whole { status, headers, .. }: &Whole| {
                    headers.contains_key("transfer-encoding") || !is_framed(headers, *status)
                };
                prop_assert!(by_hyper.as_ref().is_none_or(is_doubtful), "{:?}", by_hyper);
            }
        }
    }

    #[test]
    fn nothing_panics(input in vec(any::<u8>(), 0..300)) {
        let _ = read(&Method::GET, &[&input]);
        let _ = read(&Method::GET, &[b"HTTP/1.1 200 \r\ntransfer-encoding: chunked\r\n\r\n", &input]);
    }
}

#[test]
fn a_head_is_bounded_whether_it_is_complete_or_not() {
    let padding = "x".repeat(64 * 1024);
    let line = format!("HTTP/1.1 200 OK\r\nx: {padding}");
    for end in ["", "\r\n\r\n"] {
        let error = read(&Method::GET, &[line.as_bytes(), end.as_bytes()]).unwrap_err();
        assert_eq!(error, "not HTTP: the head is larger than 65536 bytes");
    }
    let fields = "x: y\r\n".repeat(101);
    let many = format!("HTTP/1.1 200 OK\r\n{fields}\r\n");
    assert_eq!(read(&Method::GET, &[many.as_bytes()]).unwrap_err(), "not HTTP: too many headers");
    let allowed = format!("HTTP/1.1 204 OK\r\n{}\r\n", "x: y\r\n".repeat(100));
    let whole = read(&Method::GET, &[allowed.as_bytes()]).unwrap().unwrap();
    assert_eq!(whole.headers.len(), 100);
}

#[test]
fn whether_another_request_may_follow_is_read_off_every_line() {
    for (version, lines, expected) in [
        ("1.1", "", true),
        ("1.0", "", false),
        ("1.0", "connection: keep-alive\r\n", true),
        ("1.0", "connection: x\r\nConnection: y , Keep-Alive\r\n", true),
        ("1.1", "connection: keep-alive\r\nconnection: x, CLOSE\r\n", false),
        ("1.1", "connection: close\r\nconnection: keep-alive\r\n", false),
        ("1.1", "connection: closer\r\n", true),
    ] {
        let text = format!("HTTP/{version} 200 OK\r\n{lines}\r\n");
        let head = Head::take(&mut BytesMut::from(text.as_bytes())).unwrap().unwrap();
        assert_eq!(head.keeps_alive, expected, "{text}");
    }
}

#[test]
fn an_unusual_reason_is_kept_and_the_usual_one_is_not() {
    let reason = |line: &str| {
        let head = Head::take(&mut BytesMut::from(line.as_bytes())).unwrap().unwrap();
        let reason = head.parts.extensions.get::<hyper::ext::ReasonPhrase>().cloned();
        reason.map(|reason| String::from_utf8(reason.as_bytes().to_vec()).unwrap())
    };
    assert_eq!(reason("HTTP/1.1 200 OK\r\n\r\n"), None);
    assert_eq!(reason("HTTP/1.1 200 Fine\r\n\r\n").as_deref(), Some("Fine"));
    assert_eq!(reason("HTTP/1.1 299 \r\n\r\n").as_deref(), Some(""));
}
