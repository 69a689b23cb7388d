//! Where messages begin and end, and whom they are for: the rows of RFC 9110 and 9112.

use super::*;

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

async fn echo() -> (House, Backend) {
    let house = House::new().await;
    let backend = Backend::echoing().await;
    house.serve(&backend);
    (house, backend)
}

/// What the instance received.
async fn forwarded(request: &str) -> String {
    let (house, _backend) = echo().await;
    let answer = house.ask(request).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    assert_eq!(house.settled().await.completed, 1);
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}

#[tokio::test]
async fn a_body_is_forwarded_with_its_framing_whatever_the_method() {
    for method in ["GET", "POST", "DELETE", "OPTIONS"] {
        let request = format!(
            "{method} / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\
             transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
        );
        let received = forwarded(&request).await;
        assert_eq!(header(&received, "transfer-encoding"), Some("chunked"), "{received}");
        assert!(received.ends_with("3\r\nabc\r\n0\r\n\r\n"), "{received}");

        let request = format!(
            "{method} / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 3\r\n\r\nabc"
        );
        let received = forwarded(&request).await;
        assert_eq!(header(&received, "content-length"), Some("3"), "{received}");
        assert!(received.ends_with("\r\n\r\nabc"), "{received}");
    }
}

#[tokio::test]
async fn a_body_of_any_size_arrives_byte_for_byte_however_it_comes() {
    let (house, _backend) = echo().await;
    let text = "0123456789abcdefghijklmnopqrstuvwxyz".repeat(10_000);
    for size in [1, 4096, 4097, 16_383, 16_384, 16_385, 65_536, 65_537, 300_000] {
        let body = &text[..size];
        let head = "POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n";
        let sized = house.ask(&format!("{head}content-length: {size}\r\n\r\n{body}")).await;
        assert!(sized.ends_with(&format!("\r\n\r\n{body}")), "{size}");
        for piece in [7, 4096, 5000, 100_000] {
            let chunk = |chunk: &[u8]| {
                format!("{:x}\r\n{}\r\n", chunk.len(), str::from_utf8(chunk).unwrap())
            };
            let chunks: String = body.as_bytes().chunks(piece).map(chunk).collect();
            let request = format!("{head}transfer-encoding: chunked\r\n\r\n{chunks}0\r\n\r\n");
            let answer = house.ask(&request).await;
            let (_, forwarded) = answer.split_once("\r\n\r\n").unwrap();
            let (_, forwarded) = forwarded.split_once("\r\n\r\n").unwrap();
            assert_eq!(unchunked(forwarded), body, "{size} in pieces of {piece}");
        }
    }
    assert_eq!(house.settled().await.completed, 9 * 5);
}

/// What is in chunks, of which the last is the end.
fn unchunked(mut chunks: &str) -> String {
    let mut data = String::new();
    loop {
        let (size, rest) = chunks.split_once("\r\n").unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        let (piece, rest) = rest.split_at(size);
        data += piece;
        chunks = rest.strip_prefix("\r\n").unwrap();
        if size == 0 {
            assert_eq!(chunks, "");
            return data;
        }
    }
}

#[tokio::test]
async fn trailers_pass_both_ways() {
    let received = forwarded(
        "POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ntrailer: x-sum\r\n\
         transfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\nx-sum: 7\r\n\r\n",
    )
    .await;
    assert!(received.ends_with("1\r\na\r\n0\r\nx-sum: 7\r\n\r\n"), "{received}");

    let house = House::new().await;
    let backend = Backend::answering(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n\
         1\r\na\r\n0\r\nx-sum: 7\r\n\r\n",
    )
    .await;
    house.serve(&backend);
    let answer = house
        .ask("GET / HTTP/1.1\r\nhost: a\r\nte: trailers\r\nconnection: close, te\r\n\r\n")
        .await;
    assert!(answer.ends_with("1\r\na\r\n0\r\nx-sum: 7\r\n\r\n"), "{answer}");
    assert_eq!(house.settled().await.completed, 1);
}

#[tokio::test]
async fn trailers_of_a_request_never_become_headers_and_name_nobody() {
    let head = "POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ntransfer-encoding: chunked\r\n";
    let names = "x-sum, host, cookie, proxy-authorization, x-forwarded-for, content-length";
    let trailers = "x-sum: 7\r\nhost: b\r\ncookie: c\r\nproxy-authorization: d\r\n\
                    x-forwarded-for: e\r\ncontent-length: 9\r\nunannounced: f\r\n";
    let request = format!("{head}trailer: {names}\r\n\r\n1\r\na\r\n0\r\n{trailers}\r\n");
    let received = forwarded(&request).await;
    let (head, body) = received.split_once("\r\n\r\n").unwrap();
    assert_eq!(body, "1\r\na\r\n0\r\nx-sum: 7\r\n\r\n");
    assert_eq!(header(head, "host"), Some("a"));
    assert_eq!(header(head, "x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(header(head, "cookie"), None);
}

#[tokio::test]
async fn chunk_extensions_of_a_client_are_dropped() {
    let received = forwarded(
        "POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n\
         2;a=\"b;c\"\r\nhi\r\n000;d\r\n\r\n",
    )
    .await;
    assert!(received.ends_with("\r\n\r\n2\r\nhi\r\n0\r\n\r\n"), "{received}");
}

#[tokio::test]
async fn a_target_arrives_byte_for_byte() {
    for target in [
        "/",
        "//",
        "//a//b",
        "/a/./b/../c",
        "/../..",
        "/%2e%2E/%2f%00%zz%",
        "/a?",
        "/?a=[]{}|&b=\\^`'",
        "/a?b?c=/d//e/../f",
        "/a;b=c,d:e@f!$&'()*+~",
        "/{a}[b]|c",
        "/\u{fc}?\u{fc}",
    ] {
        let fields = "host: a\r\nconnection: close";
        let received = forwarded(&format!("GET {target} HTTP/1.1\r\n{fields}\r\n\r\n")).await;
        let line = received.lines().next().unwrap();
        assert_eq!(line, format!("GET {target} HTTP/1.1"));
    }
}

#[tokio::test]
async fn later_versions_of_http_1_are_answered_and_forwarded_as_1_1() {
    let (house, _backend) = echo().await;
    for version in ["1.1", "1.2", "1.9"] {
        let answer = house
            .ask(&format!("GET / HTTP/{version}\r\nhost: a\r\nconnection: close\r\n\r\n"))
            .await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{version}: {answer}");
        assert!(answer.contains("\r\n\r\nGET / HTTP/1.1\r\n"), "{version}: {answer}");
    }
    let answer = house.ask("GET / HTTP/1.0\r\nhost: a\r\n\r\n").await;
    assert!(answer.contains("\r\n\r\nGET / HTTP/1.1\r\n"), "{answer}");
    assert!(answer.contains("via: 1.0 smoothserve\r\n"), "{answer}");
}

#[tokio::test]
async fn bytes_above_ascii_pass_in_values() {
    let received = forwarded(
        "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\nx-name:\t\u{fc}\u{2028} \r\n\r\n",
    )
    .await;
    assert_eq!(header(&received, "x-name"), Some("\u{fc}\u{2028}"), "{received}");
}

#[tokio::test]
async fn empty_lines_before_a_request_are_skipped() {
    let received =
        forwarded("\r\n\r\nGET /a HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
    assert!(received.starts_with("GET /a HTTP/1.1\r\n"), "{received}");
}

#[tokio::test]
async fn connection_cannot_take_away_what_says_who_asks_for_what() {
    let received = forwarded(
        "POST / HTTP/1.1\r\nhost: a\r\ncookie: b\r\ncontent-length: 1\r\n\
         connection: close, host, cookie, content-length, x-forwarded-for, x-c\r\nx-c: d\r\n\
         keep-alive: 5\r\nproxy-connection: x\r\ntransfer-coding: e\r\n\r\nh",
    )
    .await;
    for (name, value) in [
        ("host", Some("a")),
        ("cookie", Some("b")),
        ("content-length", Some("1")),
        ("x-forwarded-for", Some("127.0.0.1")),
        ("via", Some("1.1 smoothserve")),
        ("connection", None),
        ("x-c", None),
        ("keep-alive", None),
        ("proxy-connection", None),
    ] {
        assert_eq!(header(&received, name), value, "{name}: {received}");
    }
}

#[tokio::test]
async fn an_answer_without_a_body_keeps_its_length_and_the_connection() {
    for (method, answer, length) in [
        ("HEAD", "HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\n", Some("7")),
        ("HEAD", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", None),
        ("GET", "HTTP/1.1 304 Not Modified\r\ncontent-length: 7\r\n\r\n", Some("7")),
        ("GET", "HTTP/1.1 304 Not Modified\r\n\r\n", None),
        ("GET", "HTTP/1.1 204 No Content\r\n\r\n", None),
        ("GET", "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", Some("0")),
    ] {
        let house = House::new().await;
        let backend = Backend::answering(answer).await;
        house.serve(&backend);
        let mut client = house.client().await;
        for _ in 0..2 {
            client.write(&format!("{method} / HTTP/1.1\r\nhost: a\r\n\r\n")).await;
            let head = client.read_head().await.unwrap();
            assert_eq!(header(&head, "content-length"), length, "{method} {answer}: {head}");
        }
        assert_eq!(backend.connections(), 1, "{method} {answer}");
        assert_eq!(house.settled().await.completed, 2);
    }
}

#[tokio::test]
async fn a_client_of_http_1_0_gets_plain_bytes_and_the_end() {
    let house = House::new().await;
    let backend = Backend::answering(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    )
    .await;
    house.serve(&backend);
    let answer = house.ask("GET / HTTP/1.0\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.0 200 OK\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\nok"), "{answer}");
    assert_eq!(header(&answer, "transfer-encoding"), None);
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let (house, _backend) = echo().await;
    let answers = house
        .ask(
            "GET /1 HTTP/1.1\r\nhost: a\r\n\r\nGET /2 HTTP/1.1\r\nhost: a\r\n\r\n\
             GET /3 HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
        )
        .await;
    let places: Vec<_> = ["GET /1 ", "GET /2 ", "GET /3 "].map(|line| answers.find(line)).into();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{answers}");
}

#[tokio::test]
async fn a_client_that_sends_no_more_still_gets_its_answer() {
    let (house, _backend) = echo().await;
    let mut client = house.client().await;
    client.write("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nhi").await;
    client.end_sending().await;
    let answer = client.read_all().await;
    assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("hi"), "{answer}");
    assert_eq!(house.settled().await.completed, 1);
}

#[tokio::test]
async fn the_authority_of_an_absolute_target_wins_over_host() {
    let received = forwarded(
        "GET http://shop.example:81/a?b HTTP/1.1\r\nhost: other\r\nconnection: close\r\n\r\n",
    )
    .await;
    assert!(received.starts_with("GET /a?b HTTP/1.1\r\n"), "{received}");
    assert_eq!(header(&received, "host"), Some("shop.example:81"));
    let received = forwarded("OPTIONS * HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
    assert!(received.starts_with("OPTIONS * HTTP/1.1\r\n"), "{received}");
}

#[tokio::test]
async fn a_request_without_a_route_is_not_found() {
    let mut config = config("shop");
    config.is_default = false;
    let house = House::with(config).await;
    let answer = house.ask("GET / HTTP/1.1\r\nhost: who\r\nconnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 404 Not Found"), "{answer}");
    assert!(answer.ends_with("404 no service answers to host who\n"), "{answer}");
    assert_eq!(house.proxy.rejected(), 1);
}

#[tokio::test]
async fn an_expected_body_is_asked_for_when_the_instance_asks() {
    let house = House::new().await;
    let backend = Backend::new(|_, mut peer| async move {
        let head = peer.read_head().await.unwrap();
        assert_eq!(header(&head, "expect"), Some("100-continue"));
        peer.write("HTTP/1.1 100 Continue\r\n\r\n").await;
        assert_eq!(peer.read_exactly(2).await, "hi");
        peer.write(OK).await;
    })
    .await;
    house.serve(&backend);
    let mut client = house.client().await;
    client
        .write("PUT / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n")
        .await;
    assert_eq!(client.read_head().await.unwrap(), "HTTP/1.1 100 Continue\r\n\r\n");
    client.write("hi").await;
    let answer = client.read_message().await.unwrap();
    assert!(answer.head.starts_with("HTTP/1.1 200 OK"), "{answer:?}");
    assert_eq!(house.settled().await.completed, 1);
}

#[tokio::test]
async fn a_final_answer_instead_of_100_ends_the_exchange_without_the_body() {
    let house = House::new().await;
    let backend = Backend::new(|_, mut peer| async move {
        peer.read_head().await.unwrap();
        peer.write("HTTP/1.1 413 Content Too Large\r\ncontent-length: 2\r\n\r\nno").await;
        std::future::pending::<()>().await;
    })
    .await;
    house.serve(&backend);
    let mut client = house.client().await;
    client
        .write("PUT / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 9\r\n\r\n")
        .await;
    let answer = client.read_all().await;
    assert!(answer.starts_with("HTTP/1.1 413 ") && answer.ends_with("no"), "{answer}");
    assert_eq!(header(&answer, "connection"), Some("close"));
    assert_eq!(house.settled().await.completed, 1);
}

#[tokio::test]
async fn an_instance_that_ignores_an_expectation_gets_the_body_after_a_while() {
    let house = House::new().await;
    let backend = Backend::answering(OK).await;
    house.serve(&backend);
    let mut client = house.client().await;
    client
        .write("PUT / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n")
        .await;
    assert_eq!(client.read_head().await.unwrap(), "HTTP/1.1 100 Continue\r\n\r\n");
    client.write("hi").await;
    assert!(client.read_message().await.is_some());
}

#[tokio::test]
async fn an_early_answer_arrives_although_the_body_is_still_coming() {
    let house = House::new().await;
    let backend = Backend::new(|_, mut peer| async move {
        peer.read_head().await.unwrap();
        peer.write("HTTP/1.1 413 Content Too Large\r\ncontent-length: 2\r\n\r\nno").await;
        // It stays open and reads no more.
        std::future::pending::<()>().await;
    })
    .await;
    house.serve(&backend);
    let mut client = house.client().await;
    client.write("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 900000\r\n\r\n").await;
    client.write(&"x".repeat(800_000)).await;
    let answer = client.read_all().await;
    assert!(answer.starts_with("HTTP/1.1 413 ") && answer.ends_with("no"), "{answer}");
    assert_eq!(house.settled().await.completed, 1);
}

#[tokio::test]
async fn bytes_after_an_answer_reach_nobody() {
    let house = House::new().await;
    let backend = Backend::answering(
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil",
    )
    .await;
    house.serve(&backend);
    let mut client = house.client().await;
    for asked in 1..=3 {
        client.write("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
        assert_eq!(client.read_message().await.unwrap().body, b"ok");
        assert_eq!(backend.connections(), asked);
    }
}
