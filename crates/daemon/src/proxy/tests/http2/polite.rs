//! What a request and its answer look like on the other side.

use http::{HeaderMap, HeaderValue, Method, StatusCode, Version};

use super::*;
use crate::proxy::{Text, Told};

/// What an instance was sent, as an echoing one says it.
async fn forwarded(request: Request<&'static str>) -> String {
    let house = house().await;
    let backend = Backend::echoing().await;
    house.serve(&backend);
    let answer = Polite::connect(&house).await.ask(request).await;
    assert_eq!(answer.head.status, StatusCode::OK, "{answer:?}");
    house.settled().await;
    answer.body
}

#[tokio::test]
async fn many_requests_of_one_connection_are_answered_and_counted() {
    let house = house().await;
    let backend = Backend::answering(OK).await;
    house.serve(&backend);
    let client = Polite::connect(&house).await;
    let answers = futures_util::future::join_all((0..100).map(|_| client.get())).await;
    for answer in answers {
        let answer = answer.unwrap();
        assert_eq!((answer.head.version, answer.body.as_str()), (Version::HTTP_2, "ok"));
        assert!(answer.head.headers.contains_key("date"));
        assert_eq!(answer.head.headers["via"], "1.1 smoothserve");
    }
    let ledger = house.settled().await;
    assert_eq!((ledger.accepted, ledger.completed), (100, 100));
    assert_eq!(house.proxy.connections(), (1, 1), "streams are no connections");
}

#[tokio::test]
async fn a_request_is_one_of_http_1_1_to_its_instance() {
    let request = Request::get("http://shop.example/a/./b?c=%2f").body("").unwrap();
    let head = forwarded(request).await;
    assert!(head.starts_with("GET /a/./b?c=%2f HTTP/1.1\r\n"), "{head}");
    for field in [
        "host: shop.example",
        "via: 2.0 smoothserve",
        "x-forwarded-for: 127.0.0.1",
        "x-forwarded-proto: http",
        "x-forwarded-host: shop.example",
    ] {
        assert!(head.contains(&format!("\r\n{field}\r\n")), "{field}: {head}");
    }
    for absent in ["content-length", "transfer-encoding", "connection", "te"] {
        assert!(!head.contains(&format!("\r\n{absent}:")), "{absent}: {head}");
    }
}

#[tokio::test]
async fn the_access_log_is_told_of_each_stream() {
    let house = house().await;
    let backend = Backend::answering(OK).await;
    house.serve(&backend);
    let notes = house.proxy.accesses().listen();
    house.proxy.accesses().want(true);
    let client = Polite::connect(&house).await;
    client.get().await.unwrap();
    client.ask(Request::get("http://shop.example/x?y").body("").unwrap()).await;
    house.settled().await;
    let mut hosts = Vec::new();
    for note in notes.try_iter() {
        let Told::Access(note) = note else { continue };
        assert_eq!((note.version, note.outcome, note.bytes), (Version::HTTP_2, "completed", 2));
        hosts.push(String::from_utf8(note.text(Text::Host).to_vec()).unwrap());
    }
    assert_eq!(hosts, ["a", "shop.example"]);
}

#[tokio::test]
async fn cookie_crumbs_are_one_cookie() {
    let mut request = get();
    for crumb in ["a=1", "b=2", "c=3"] {
        request.headers_mut().append("cookie", HeaderValue::from_static(crumb));
    }
    let head = forwarded(request).await;
    assert!(head.contains("\r\ncookie: a=1; b=2; c=3\r\n"), "{head}");
    assert_eq!(head.matches("cookie").count(), 1, "{head}");
}

#[tokio::test]
async fn a_body_is_framed_as_its_length_is_known_or_not() {
    let request = Request::post("http://a/").header("content-length", "5").body("hello").unwrap();
    let sent = forwarded(request).await;
    assert!(
        sent.contains("\r\ncontent-length: 5\r\n") && sent.ends_with("\r\n\r\nhello"),
        "{sent}"
    );
    for method in [Method::GET, Method::POST, Method::DELETE] {
        let request = Request::builder().method(method).uri("http://a/").body("hello").unwrap();
        let sent = forwarded(request).await;
        assert!(sent.contains("\r\ntransfer-encoding: chunked\r\n"), "{sent}");
        assert!(sent.ends_with("5\r\nhello\r\n0\r\n\r\n"), "{sent}");
    }
    let sent = forwarded(Request::post("http://a/").body("").unwrap()).await;
    assert!(sent.contains("\r\ncontent-length: 0\r\n"), "{sent}");
}

#[tokio::test]
async fn a_large_body_arrives_both_ways() {
    const MIB: usize = 1024 * 1024;
    let house = house().await;
    let backend = Backend::echoing().await;
    house.serve(&backend);
    let client = Polite::connect(&house).await;
    let text: &'static str = "x".repeat(3 * MIB).leak();
    let request = Request::post("http://a/").header("content-length", text.len());
    let answer = client.ask(request.body(text).unwrap()).await;
    assert!(answer.body.ends_with(text));
    assert_eq!(house.settled().await.completed, 1);
}

#[tokio::test]
async fn trailers_pass_both_ways() {
    let house = house().await;
    let backend = Backend::new(|_, mut peer| async move {
        let request = peer.read_message().await.unwrap();
        let body = String::from_utf8(request.body).unwrap();
        assert!(body.ends_with("0\r\nx-sum: 7\r\n\r\n"), "{body}");
        assert!(request.head.contains("te: trailers\r\n"), "{}", request.head);
        peer.write("HTTP/1.1 200 OK\r\ntrailer: x-end\r\ntransfer-encoding: chunked\r\n\r\n").await;
        peer.write("2\r\nok\r\n0\r\nx-end: yes\r\ncontent-length: 3\r\n\r\n").await;
    })
    .await;
    house.serve(&backend);
    let client = Polite::connect(&house).await;
    let request = Request::post("http://a/").header("te", "trailers").header("trailer", "x-sum");
    let mut sender = client.sender.clone().ready().await.unwrap();
    let (answer, mut sending) = sender.send_request(request.body(()).unwrap(), false).unwrap();
    sending.send_data("hello".into(), false).unwrap();
    let trailers = HeaderMap::from_iter([("x-sum".parse().unwrap(), HeaderValue::from(7))]);
    sending.send_trailers(trailers).unwrap();
    let answer = read(patiently(answer).await.unwrap()).await.unwrap();
    assert_eq!(answer.body, "ok");
    let trailers = answer.trailers.unwrap();
    assert_eq!((trailers.len(), &trailers["x-end"]), (1, &HeaderValue::from_static("yes")));
    assert!(!answer.head.headers.contains_key("transfer-encoding"));
}

#[tokio::test]
async fn an_answer_without_a_body_has_none_and_keeps_its_length() {
    for (method, answer, status) in [
        (Method::HEAD, "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n", 200),
        (Method::GET, "HTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\n\r\n", 304),
        (Method::GET, "HTTP/1.1 204 No Content\r\n\r\n", 204),
    ] {
        let house = house().await;
        let backend = Backend::answering(answer).await;
        house.serve(&backend);
        let request = Request::builder().method(method).uri("http://a/").body("").unwrap();
        let answer = Polite::connect(&house).await.ask(request).await;
        assert_eq!((answer.head.status.as_u16(), answer.body.as_str()), (status, ""));
        let length = answer.head.headers.get("content-length").map(HeaderValue::as_bytes);
        assert_eq!(length, (status != 204).then_some(b"9" as &[u8]));
        assert_eq!(house.settled().await.completed, 1);
    }
}

#[tokio::test]
async fn hop_by_hop_fields_of_an_answer_end_here() {
    let house = house().await;
    let backend = Backend::answering(
        "HTTP/1.1 200 OK\r\nconnection: close, x-hop\r\nx-hop: 1\r\nkeep-alive: timeout=5\r\n\
         proxy-connection: close\r\nupgrade: h2c\r\ncontent-length: 2\r\n\r\nok",
    )
    .await;
    house.serve(&backend);
    let answer = Polite::connect(&house).await.ask(get()).await;
    let names: Vec<_> = answer.head.headers.keys().map(http::HeaderName::as_str).collect();
    assert_eq!(names, ["content-length", "via", "date"]);
}

#[tokio::test]
async fn a_refusal_ends_its_stream_and_no_other() {
    let house = house().await;
    let backend = Backend::answering(OK).await;
    house.serve(&backend);
    let client = Polite::connect(&house).await;
    let request = |method| Request::builder().method(method).uri("http://a/").body("").unwrap();
    let answer = client.ask(request(Method::TRACE)).await;
    assert_eq!(answer.head.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(answer.body, "405 method TRACE is not allowed\n");
    assert!(!answer.head.headers.contains_key("connection"));
    assert_eq!(answer.head.headers["content-length"], "32");
    house.service.offer(crate::proxy::Choice {
        endpoints: Vec::new(),
        when_none: crate::proxy::WhenNone::Stopped("by an operator".into()),
    });
    let answer = client.ask(request(Method::HEAD)).await;
    assert_eq!((answer.head.status.as_u16(), answer.body.as_str()), (503, ""));
    assert_ne!(answer.head.headers["content-length"], "0");
    house.serve(&backend);
    assert_eq!(client.get().await.unwrap().body, "ok");
    assert_eq!(house.proxy.rejected(), 1);
}

#[tokio::test]
async fn an_expected_body_is_asked_for_when_the_instance_asks() {
    let house = house().await;
    let backend = Backend::new(|_, mut peer| async move {
        let head = peer.read_head().await.unwrap();
        assert!(head.contains("expect: 100-continue\r\n"), "{head}");
        peer.write("HTTP/1.1 100 Continue\r\n\r\n").await;
        assert_eq!(peer.read_exactly(5).await, "hello");
        peer.write(OK).await;
    })
    .await;
    house.serve(&backend);
    let client = Polite::connect(&house).await;
    let request = Request::post("http://a/").header("expect", "100-continue");
    let request = request.header("content-length", "5").body(()).unwrap();
    let mut sender = client.sender.clone().ready().await.unwrap();
    let (mut answer, mut sending) = sender.send_request(request, false).unwrap();
    let interim = patiently(std::future::poll_fn(|cx| answer.poll_informational(cx))).await;
    assert_eq!(interim.unwrap().unwrap().status(), StatusCode::CONTINUE);
    sending.send_data("hello".into(), true).unwrap();
    let answer = read(patiently(answer).await.unwrap()).await.unwrap();
    assert_eq!((answer.head.status.as_u16(), answer.body.as_str()), (200, "ok"));
}

#[tokio::test]
async fn an_early_answer_arrives_although_the_body_is_still_coming() {
    let house = house().await;
    let backend = Backend::new(|_, mut peer| async move {
        peer.read_head().await.unwrap();
        peer.write("HTTP/1.1 413 Too Large\r\ncontent-length: 3\r\nconnection: close\r\n\r\nno\n")
            .await;
    })
    .await;
    house.serve(&backend);
    let client = Polite::connect(&house).await;
    let mut sender = client.sender.clone().ready().await.unwrap();
    let request = Request::post("http://a/").body(()).unwrap();
    let (answer, mut sending) = sender.send_request(request, false).unwrap();
    sending.send_data("hello".into(), false).unwrap();
    let answer = read(patiently(answer).await.unwrap()).await.unwrap();
    assert_eq!((answer.head.status.as_u16(), answer.body.as_str()), (413, "no\n"));
    // RFC 9113 8.1: the client need not send the rest.
    let reason = patiently(std::future::poll_fn(|cx| sending.poll_reset(cx))).await.unwrap();
    assert_eq!(reason, h2::Reason::NO_ERROR);
}

#[tokio::test]
async fn http_1_is_spoken_where_http_2_may_be() {
    let house = house().await;
    let backend = Backend::answering(OK).await;
    house.serve(&backend);
    let mut client = house.client().await;
    for piece in ["P", "OST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nhi"] {
        client.write(piece).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(client.read_message().await.unwrap().body, b"ok");
    client.write("GET / HTTP/1.1\r\nhost: a\r\n\r\nGET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert_eq!(client.read_message().await.unwrap().body, b"ok");
    assert_eq!(client.read_message().await.unwrap().body, b"ok");
}

#[tokio::test]
async fn where_it_is_not_configured_the_preface_is_refused() {
    let house = House::new().await;
    let answer = house.ask("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 505 "), "{answer}");
}
