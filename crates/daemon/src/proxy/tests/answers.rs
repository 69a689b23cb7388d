//! What an instance answers, as it should be and otherwise, and what its client sees of it.

use super::*;

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const ASK: &str = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";
const ASK_ONCE: &str = "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";

/// What a client gets that sends `request`, from an instance that answers `answer` to everything.
async fn answered(request: &str, answer: &str) -> String {
    let house = House::new().await;
    let backend = Backend::answering(answer.to_owned().leak()).await;
    house.serve(&backend);
    let got = house.ask(request).await;
    let ledger = house.settled().await;
    assert_eq!((ledger.completed, ledger.lost), (1, 0), "{answer}: {got}");
    got
}

/// The instance answers each request with `answer`, which nobody can forward: its clients are told
/// so, and no connection is used twice.
async fn bad_gateway(answer: &str) {
    let house = House::new().await;
    let backend = Backend::answering(answer.to_owned().leak()).await;
    house.serve(&backend);
    let shown = &answer[..answer.len().min(100)];
    for asked in 1..=2 {
        let got = house.ask(ASK_ONCE).await;
        assert!(got.starts_with("HTTP/1.1 502 Bad Gateway\r\n"), "{shown}: {got}");
        let reason = got.split_once("\r\n\r\n").unwrap().1;
        assert!(reason.starts_with("502 ") && reason.len() > 20, "{shown}: {got}");
        assert_eq!(backend.connections(), asked, "{shown}");
    }
    assert_eq!(house.settled().await.lost, 2, "{shown}");
}

#[tokio::test]
async fn what_could_be_read_in_two_ways_is_a_502_and_its_connection_is_not_used_again() {
    let chunked = "transfer-encoding: chunked\r\n";
    for head in [
        &format!("content-length: 2\r\n{chunked}"),
        &format!("{chunked}content-length: 2\r\n"),
        &format!("{chunked}{chunked}"),
        "content-length: 2\r\ncontent-length: 3\r\n",
        "content-length: 2\r\ncontent-length: 2\r\n",
        "content-length: 2, 2\r\n",
        "content-length: x\r\n",
        "content-length: +2\r\n",
        "content-length:\r\n",
        "content-length: 99999999999999999999\r\n",
        "transfer-encoding: gzip, chunked\r\n",
        "transfer-encoding: identity\r\n",
        "x: \0\r\n",
        "x: a\rb\r\n",
        "x : y\r\n",
        " x: y\r\n",
        "x: y\r\n folded\r\n",
        ": y\r\n",
    ] {
        bad_gateway(&format!("HTTP/1.1 200 OK\r\n{head}\r\n0\r\n\r\n")).await;
    }
    for line in [
        "garbage",
        "\0",
        "HTTP/2.0 200 OK",
        "HTTP/1.1 2000 OK",
        "HTTP/1.1 xyz OK",
        "http/1.1 200 OK",
    ] {
        bad_gateway(&format!("{line}\r\ncontent-length: 0\r\n\r\n")).await;
    }
    bad_gateway(&format!("HTTP/1.0 200 OK\r\n{chunked}\r\n0\r\n\r\n")).await;
    bad_gateway(&format!("garbage{OK}")).await;
}

#[tokio::test]
async fn a_head_of_more_than_64_kib_is_a_502() {
    bad_gateway(&format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "y".repeat(64 * 1024))).await;
    let field = format!("x: {}\r\n", "y".repeat(1024));
    bad_gateway(&format!("HTTP/1.1 200 OK\r\n{}\r\n", field.repeat(70))).await;
}

#[tokio::test]
async fn protocols_switched_unasked_are_a_502() {
    bad_gateway("HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n")
        .await;
    bad_gateway("HTTP/1.1 101 Switching Protocols\r\n\r\n").await;
}

#[tokio::test]
async fn chunks_that_are_none_end_the_answer_visibly() {
    for chunks in ["x\r\n", "2\r\nokk\r\n", "+2\r\nok\r\n", "2\nok\r\n", "2;x\ny\r\nok\r\n"] {
        let house = House::new().await;
        let answer =
            format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{chunks}0\r\n\r\n");
        let backend = Backend::answering(answer.leak()).await;
        house.serve(&backend);
        for asked in 1..=2 {
            let got = house.ask(ASK).await;
            assert!(!got.ends_with("0\r\n\r\n"), "{chunks}: {got}");
            assert_eq!(backend.connections(), asked, "{chunks}");
        }
        assert_eq!(house.settled().await.lost, 2, "{chunks}");
    }
}

#[tokio::test]
async fn chunk_extensions_of_an_instance_are_dropped() {
    let got = answered(
        ASK_ONCE,
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2;a=b\r\nok\r\n0;c\r\n\r\n",
    )
    .await;
    assert!(got.ends_with("\r\n\r\n2\r\nok\r\n0\r\n\r\n"), "{got}");
}

#[tokio::test]
async fn what_comes_after_an_answer_without_a_body_is_nobodys_answer() {
    let house = House::new().await;
    let (go_on, gone_on) = tokio::sync::mpsc::unbounded_channel::<()>();
    let gone_on = std::sync::Arc::new(tokio::sync::Mutex::new(gone_on));
    let (spoilt, mut is_spoilt) = tokio::sync::mpsc::unbounded_channel();
    let backend = Backend::new(move |_, mut peer| {
        let (gone_on, spoilt) = (std::sync::Arc::clone(&gone_on), spoilt.clone());
        async move {
            peer.read_message().await;
            peer.write("HTTP/1.1 304 Not Modified\r\ncontent-length: 43\r\n\r\n").await;
            // Its client has the answer, and now comes the body that should not be there.
            gone_on.lock().await.recv().await;
            peer.write("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil").await;
            spoilt.send(()).unwrap();
            peer.read_all().await;
        }
    })
    .await;
    house.serve(&backend);
    let mut client = house.client().await;
    for asked in 1..=3 {
        client.write(ASK).await;
        let head = client.read_head().await.unwrap();
        assert!(head.starts_with("HTTP/1.1 304 "), "{head}");
        assert_eq!(backend.connections(), asked);
        until(|| house.service.ledger().in_flight == 0).await;
        go_on.send(()).unwrap();
        is_spoilt.recv().await.unwrap();
    }
    assert_eq!(house.settled().await.completed, 3);
}

#[tokio::test]
async fn an_answer_without_a_body_has_none_whatever_its_head_says() {
    for (status, length) in [("204 No Content", None), ("304 Not Modified", Some("5"))] {
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 5\r\n\r\n");
        let got = answered(ASK_ONCE, &answer).await;
        assert!(got.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{got}");
        assert!(got.ends_with("\r\n\r\n"), "{got}");
        assert_eq!(header(&got, "content-length"), length, "{got}");
        let answer = format!("HTTP/1.1 {status}\r\ntransfer-encoding: chunked\r\n\r\n");
        let got = answered(ASK_ONCE, &answer).await;
        assert_eq!(header(&got, "transfer-encoding"), None, "{got}");
        assert!(got.ends_with("\r\n\r\n"), "{got}");
    }
    let head = "HEAD / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    let got = answered(head, "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n").await;
    assert_eq!(header(&got, "content-length"), Some("5"));
    assert!(got.ends_with("\r\n\r\n"), "{got}");
}

#[tokio::test]
async fn interim_answers_are_followed_by_the_answer() {
    let interim = "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n";
    for request in [ASK_ONCE, "GET / HTTP/1.0\r\nhost: a\r\n\r\n"] {
        let got = answered(request, &format!("{interim}{OK}")).await;
        assert!(got.starts_with("HTTP/1.") && got[8..].starts_with(" 200 OK\r\n"), "{got}");
        assert!(got.ends_with("ok") && !got.contains("link"), "{got}");
    }
}

#[tokio::test]
async fn interim_answers_without_an_end_are_a_502() {
    let house = House::new().await;
    let backend = Backend::new(|_, mut peer| async move {
        peer.read_message().await;
        // A write that fails tells nothing: it ends with the connection, or with the test.
        loop {
            peer.write("HTTP/1.1 102 Processing\r\n\r\n").await;
            tokio::task::yield_now().await;
        }
    })
    .await;
    house.serve(&backend);
    let got = house.ask("POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
    assert!(got.starts_with("HTTP/1.1 502 Bad Gateway\r\n"), "{got}");
    assert_eq!(house.settled().await.lost, 1);
}

#[tokio::test]
async fn an_instance_that_asks_twice_for_a_body_asks_its_client_once() {
    let house = House::new().await;
    let backend = Backend::new(|_, mut peer| async move {
        peer.read_head().await.unwrap();
        peer.write("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n").await;
        peer.read_exactly(2).await;
        peer.write("HTTP/1.1 100 Continue\r\n\r\n").await;
        peer.write(OK).await;
    })
    .await;
    house.serve(&backend);
    let mut client = house.client().await;
    let fields = "host: a\r\nexpect: 100-continue\r\ncontent-length: 2\r\nconnection: close";
    client.write(&format!("PUT / HTTP/1.1\r\n{fields}\r\n\r\n")).await;
    assert_eq!(client.read_head().await.unwrap(), "HTTP/1.1 100 Continue\r\n\r\n");
    client.write("hi").await;
    let rest = client.read_all().await;
    assert!(rest.starts_with("HTTP/1.1 200 OK") && !rest.contains(" 100 "), "{rest}");
}

#[tokio::test]
async fn a_client_of_http_1_0_is_not_asked_for_its_body() {
    let house = House::new().await;
    let backend = Backend::echoing().await;
    house.serve(&backend);
    let answer = house
        .ask("PUT / HTTP/1.0\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\nhi")
        .await;
    assert!(answer.starts_with("HTTP/1.0 200 OK\r\n"), "{answer}");
    assert_eq!(header(answer.split_once("\r\n\r\n").unwrap().1, "expect"), None, "{answer}");
}

#[tokio::test]
async fn hop_by_hop_fields_of_an_answer_end_here() {
    let house = House::new().await;
    let backend = Backend::answering(
        "HTTP/1.1 200 OK\r\nconnection: x-y, close\r\nx-y: 1\r\nkeep-alive: timeout=5\r\n\
         proxy-connection: z\r\nupgrade: h2c\r\nte: gzip\r\nset-cookie: a=b\r\nset-cookie: c=d\r\n\
         via: 1.1 app\r\ncontent-length: 0\r\n\r\n",
    )
    .await;
    house.serve(&backend);
    let mut client = house.client().await;
    // It is the instance that closes; its client stays.
    for asked in 1..=2 {
        client.write(ASK).await;
        let head = client.read_head().await.unwrap();
        for gone in ["connection", "x-y", "keep-alive", "proxy-connection", "upgrade", "te"] {
            assert_eq!(header(&head, gone), None, "{head}");
        }
        assert!(head.contains("set-cookie: a=b\r\nset-cookie: c=d\r\n"), "{head}");
        assert!(head.contains("via: 1.1 app\r\nvia: 1.1 smoothserve\r\n"), "{head}");
        assert_eq!(backend.connections(), asked);
    }
}

#[tokio::test]
async fn trailers_reach_who_can_take_them_and_frame_nothing() {
    let answer = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\
                  trailer: x-sum, host, cookie, content-length, x-forwarded-for\r\n\r\n\
                  2\r\nok\r\n0\r\nx-sum: 7\r\nhost: b\r\ncookie: c\r\ncontent-length: 9\r\n\
                  x-forwarded-for: d\r\nunannounced: e\r\n\r\n";
    let takes = "GET / HTTP/1.1\r\nhost: a\r\nte: trailers\r\nconnection: close, te\r\n\r\n";
    let got = answered(takes, answer).await;
    assert!(got.ends_with("\r\n\r\n2\r\nok\r\n0\r\nx-sum: 7\r\n\r\n"), "{got}");
    let got = answered(ASK_ONCE, answer).await;
    assert!(got.ends_with("\r\n\r\n2\r\nok\r\n0\r\n\r\n"), "{got}");
    let got = answered("GET / HTTP/1.0\r\nhost: a\r\n\r\n", answer).await;
    assert!(got.ends_with("\r\n\r\nok"), "{got}");
}
