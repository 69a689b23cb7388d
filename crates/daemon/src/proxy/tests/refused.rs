//! What could be read in two ways: refused with a reason, and nothing of it forwarded.

use super::*;

async fn echo() -> (House, Backend) {
    let house = House::new().await;
    let backend = Backend::echoing().await;
    house.serve(&backend);
    (house, backend)
}

/// Sends each request, and one more behind it, on a connection of its own: the answer is `status`
/// with a reason, the connection is closed, and no instance hears of either.
async fn refuse(status: u16, requests: &[&str]) {
    let (house, backend) = echo().await;
    for (refused, request) in (1..).zip(requests) {
        let answer = house.ask(&format!("{request}GET /next HTTP/1.1\r\nhost: a\r\n\r\n")).await;
        let request = request[..request.len().min(100)].escape_debug();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request}: {answer}");
        assert_eq!(answer.matches("\r\ndate: ").count(), 1, "{request}: {answer}");
        assert_eq!(header(&answer, "connection"), Some("close"), "{request}: {answer}");
        let body = answer.split_once("\r\n\r\n").unwrap().1;
        let reason = body.strip_prefix(&format!("{status} ")).unwrap_or_default();
        assert!(reason.len() > 10 && reason.ends_with('\n'), "{request}: {answer}");
        assert_eq!(house.proxy.rejected(), refused, "{request}");
    }
    assert_eq!(backend.connections(), 0);
    assert_eq!(house.service.ledger().accepted, 0);
}

/// `fields` in a request of `method` with a valid Host.
fn with(method: &str, fields: &str) -> String {
    format!("{method} / HTTP/1.1\r\nhost: a\r\n{fields}\r\n")
}

#[tokio::test]
async fn a_host_that_is_missing_repeated_or_no_host() {
    let hosts = [
        "",
        "host: a\r\nhost: a\r\n",
        "host: a\r\nHost: b\r\n",
        "host:\r\n",
        "host: a b\r\n",
        "host: a\tb\r\n",
        "host: a,b\r\n",
        "host: u@a\r\n",
        "host: a/b\r\n",
        "host: a\x01\r\n",
        "host: a:65536\r\n",
        "host: a:x\r\n",
        "host: a:1:2\r\n",
        "host: [::1\r\n",
    ];
    let requests = hosts.map(|host| format!("GET / HTTP/1.1\r\n{host}\r\n"));
    refuse(400, &requests.each_ref().map(String::as_str)).await;
}

#[tokio::test]
async fn a_target_that_is_no_path_and_no_http_address() {
    refuse(
        400,
        &[
            "GET a:80 HTTP/1.1\r\nhost: a\r\n\r\n",
            "GET a HTTP/1.1\r\nhost: a\r\n\r\n",
            "GET * HTTP/1.1\r\nhost: a\r\n\r\n",
            "GET ftp://a/ HTTP/1.1\r\nhost: a\r\n\r\n",
            "GET http://u@a/ HTTP/1.1\r\nhost: a\r\n\r\n",
            "GET http:///a HTTP/1.1\r\nhost: a\r\n\r\n",
            "GET http://[::1/ HTTP/1.1\r\nhost: a\r\n\r\n",
            "GET /a#b HTTP/1.1\r\nhost: a\r\n\r\n",
            "GET /a b HTTP/1.1\r\nhost: a\r\n\r\n",
            "GET /\x01 HTTP/1.1\r\nhost: a\r\n\r\n",
        ],
    )
    .await;
}

#[tokio::test]
async fn a_method_that_opens_a_tunnel_or_shows_what_was_sent() {
    refuse(
        405,
        &[
            "CONNECT a:80 HTTP/1.1\r\nhost: a\r\n\r\n",
            "CONNECT / HTTP/1.1\r\nhost: a\r\n\r\n",
            "TRACE / HTTP/1.1\r\nhost: a\r\n\r\n",
        ],
    )
    .await;
}

#[tokio::test]
async fn a_body_with_two_framings_or_a_doubtful_one() {
    let framings = [
        "content-length: 5\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: chunked\r\ncontent-length: 5\r\n",
        "content-length: 5\r\ncontent-length: 5\r\n",
        "content-length: 5\r\ncontent-length: 6\r\n",
        "content-length: 5, 5\r\n",
        "content-length: +5\r\n",
        "content-length: -5\r\n",
        "content-length: 5 5\r\n",
        "content-length: 0x5\r\n",
        "content-length:\r\n",
        "content-length: 99999999999999999999\r\n",
        "transfer-encoding: gzip\r\n",
        "transfer-encoding: gzip, chunked\r\n",
        "transfer-encoding: chunked, chunked\r\n",
        "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n",
        "transfer-encoding: \x0bchunked\r\n",
        "transfer-encoding : chunked\r\n",
    ];
    let mut requests: Vec<String> =
        framings.iter().map(|framing| with("POST", framing) + "0\r\n\r\n").collect();
    requests
        .push("POST / HTTP/1.0\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n".into());
    refuse(400, &requests.iter().map(String::as_str).collect::<Vec<_>>()).await;
}

#[tokio::test]
async fn a_chunk_that_comes_with_its_head_and_is_malformed() {
    let bodies = [
        "+1\r\na\r\n",
        "-1\r\na\r\n",
        "0x1\r\na\r\n",
        " 1\r\na\r\n",
        "1 \r\na\r\n",
        "\r\n",
        "10000000000000000\r\n",
        "1\na\r\n",
        "1\rxa\r\n",
        "1\r\nab\r\n",
        "1\r\na\n",
        "1\r\na0\r\n",
        "1;a\nb\r\na\r\n",
        "1;a\rb\r\na\r\n",
        "1;\0\r\na\r\n",
        "0\r\nx y\r\n",
        "0\r\nx: y\n\r\n",
        "0\r\nx: \0\r\n\r\n",
        "0\r\n x: y\r\n\r\n",
    ];
    let head = with("POST", "transfer-encoding: chunked\r\n");
    let requests = bodies.map(|body| [&head, body].concat());
    refuse(400, &requests.each_ref().map(String::as_str)).await;
}

#[tokio::test]
async fn a_head_line_that_is_none() {
    let fields = [
        "x: y\r\n z\r\n",
        " x: y\r\n",
        "x : y\r\n",
        "x\r\n",
        ": y\r\n",
        "x(y): z\r\n",
        "\u{e9}: y\r\n",
        "x: \0\r\n",
        "x: a\rb\r\n",
        "x: a\x1bb\r\n",
        "x: \x7f\r\n",
        "x: y\n",
        "x: y\r\r\n",
    ];
    let mut requests = fields.map(|field| with("GET", field)).to_vec();
    requests.push("GET / HTTP/1.1\nhost: a\n\n".into());
    requests.push("\r\n".repeat(99) + &with("GET", ""));
    refuse(400, &requests.iter().map(String::as_str).collect::<Vec<_>>()).await;
}

#[tokio::test]
async fn a_request_line_that_is_none_and_a_version_nobody_speaks() {
    let lines = [
        "GET /",
        "GET / http/1.1",
        "GET / HTTP/1",
        "GET / HTTP/1.11",
        "GET / HTTP/1.1 ",
        "GET  / HTTP/1.1",
        "GET /  HTTP/1.1",
        " GET / HTTP/1.1",
        "GET\t/ HTTP/1.1",
        "G\u{e9}T / HTTP/1.1",
        "GET / FTP/1.1",
    ];
    let requests = lines.map(|line| format!("{line}\r\nhost: a\r\n\r\n"));
    refuse(400, &requests.each_ref().map(String::as_str)).await;
    refuse(
        505,
        &[
            "GET / HTTP/0.9\r\nhost: a\r\n\r\n",
            "GET / HTTP/2.0\r\nhost: a\r\n\r\n",
            "GET / HTTP/3.0\r\nhost: a\r\n\r\n",
        ],
    )
    .await;
}

#[tokio::test]
async fn what_is_larger_than_its_bound() {
    refuse(414, &[&format!("GET /{} HTTP/1.1\r\nhost: a\r\n\r\n", "x".repeat(16 * 1024))]).await;
    refuse(400, &[&format!("{} / HTTP/1.1\r\nhost: a\r\n\r\n", "G".repeat(33))]).await;
    let field = format!("x: {}\r\n", "y".repeat(30 * 1024));
    refuse(
        431,
        &[
            &with("GET", &format!("x: {}\r\n", "y".repeat(32 * 1024))),
            &with("GET", &field.repeat(3)),
            &with("GET", &"x: y\r\n".repeat(100)),
        ],
    )
    .await;
}

#[tokio::test]
async fn an_expectation_that_nobody_can_meet() {
    refuse(417, &[&with("GET", "expect: a-miracle\r\n")]).await;
}

#[tokio::test]
async fn the_largest_head_that_is_allowed_arrives() {
    let (house, _backend) = echo().await;
    let target = "x".repeat(16 * 1024 - "GET / HTTP/1.1".len());
    let field = format!("x: {}\r\n", "y".repeat(31 * 1024));
    let count = 100 - "host connection x x".split(' ').count();
    let answer = house
        .ask(&format!(
            "GET /{target} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{field}{field}{}\r\n",
            "z: 1\r\n".repeat(count)
        ))
        .await;
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{}", &answer[..answer.len().min(200)]);
    assert!(answer.contains(&format!("GET /{target} HTTP/1.1\r\n")));
    assert_eq!(answer.matches(&field).count(), 2);
    assert_eq!(answer.matches("z: 1\r\n").count(), count);
}

#[tokio::test]
async fn a_refusal_comes_after_the_answers_to_what_was_sent_before() {
    let (house, _backend) = echo().await;
    let answers = house
        .ask(
            "GET /1 HTTP/1.1\r\nhost: a\r\n\r\n\
             POST /2 HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n\
             GET /3 HTTP/1.1\r\nhost: a\r\nx : y\r\n\r\n\
             GET /4 HTTP/1.1\r\nhost: a\r\n\r\n",
        )
        .await;
    let places = ["GET /1 ", "POST /2 ", "HTTP/1.1 400 "].map(|text| answers.find(text));
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{answers}");
    assert!(!answers.contains("/3") && !answers.contains("/4"), "{answers}");
    assert_eq!((house.settled().await.completed, house.proxy.rejected()), (2, 1));
}

#[tokio::test]
async fn a_refused_head_has_no_body_in_its_answer() {
    let (house, _backend) = echo().await;
    let answer = house.ask("HEAD / HTTP/1.1\r\nhost: a\r\nx : y\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.ends_with("\r\n\r\n"), "{answer}");
    assert_ne!(header(&answer, "content-length"), Some("0"), "{answer}");
}

#[tokio::test]
async fn a_head_that_comes_byte_by_byte_is_refused_at_the_byte_that_is_wrong() {
    let (house, _backend) = echo().await;
    let mut client = house.client().await;
    for byte in "GET / HTTP/1.1\r\nhost: a\n".split("").filter(|byte| !byte.is_empty()) {
        client.write(byte).await;
        tokio::task::yield_now().await;
    }
    let answer = client.read_all().await;
    assert!(answer.ends_with("400 a line does not end in CR LF\n"), "{answer}");
}

#[tokio::test]
async fn a_body_that_turns_out_malformed_ends_its_request_with_the_reason() {
    let house = House::new().await;
    let (ended, mut has_ended) = tokio::sync::mpsc::unbounded_channel();
    let backend = Backend::new(move |_, mut peer| {
        let ended = ended.clone();
        async move {
            peer.read_head().await.unwrap();
            ended.send(peer.read_all().await).unwrap();
        }
    })
    .await;
    house.serve(&backend);
    let long = format!("1;{}\r\n", "x".repeat(9000));
    for (chunk, reason) in [
        ("1;\x01\r\nb\r\n", "a chunk extension holds a control byte"),
        ("1 \r\nb\r\n", "a chunk size is not a plain hexadecimal number"),
        ("1\r\nbc\r\n", "a chunk is not followed by CR LF"),
        (&long, "the chunk extensions are larger than 8192 bytes"),
        ("0\r\nhost\r\n\r\n", "a trailer has no valid name"),
    ] {
        let mut client = house.client().await;
        client.write(&with("POST", "transfer-encoding: chunked\r\n")).await;
        until(|| house.service.ledger().in_flight == 1).await;
        client.write(&format!("1\r\na\r\n{chunk}0\r\n\r\nGET /next HTTP/1.1\r\n\r\n")).await;
        let answer = client.read_all().await;
        assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains(reason), "{answer}");
        assert_eq!(answer.matches("\r\ndate: ").count(), 1, "{answer}");
        let received = has_ended.recv().await.unwrap();
        assert!(!received.contains("0\r\n\r\n") && !received.contains(';'), "{received}");
    }
    let ledger = house.settled().await;
    assert_eq!((ledger.client_aborted, ledger.lost, ledger.accepted), (5, 0, 5));
}
