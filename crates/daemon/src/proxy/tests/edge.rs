//! What a service's file has changed in its requests and answers.

use std::sync::Arc;

use http::{HeaderName, HeaderValue, StatusCode};
use smoothserve_protocol::id::Slot;
use tokio::sync::Notify;

use super::*;
use crate::config::{
    CanonicalHost, Edge, HeaderEdits, Page, PathPrefix, ServiceConfig, Sticky, Trust,
};
use crate::proxy::{Choice, Epoch, WhenNone};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nserver: app\r\nx-frame-options: no\r\n\
                  x-frame-options: none\r\n\r\nok";

fn with_edge(edge: Edge) -> ServiceConfig {
    ServiceConfig { edge: Some(Arc::new(edge)), ..config("test") }
}

/// Has the service of `house` configured anew.
fn reload(house: &House, edge: Option<Edge>) {
    house
        .service
        .reconfigure(Arc::new(ServiceConfig { edge: edge.map(Arc::new), ..config("test") }));
}

fn edits(set: &[(&'static str, &'static str)], remove: &[&'static str]) -> HeaderEdits {
    let pair = |(name, value): &(&'static str, &'static str)| {
        (HeaderName::from_static(name), HeaderValue::from_static(value))
    };
    HeaderEdits {
        set: set.iter().map(pair).collect(),
        remove: remove.iter().map(|name| HeaderName::from_static(name)).collect(),
    }
}

fn values<'a>(head: &'a str, name: &str) -> Vec<&'a str> {
    let lines = head.lines().filter_map(|line| line.split_once(": "));
    lines.filter(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value).collect()
}

#[tokio::test]
async fn headers_of_requests_are_set_and_removed() {
    let request_headers =
        edits(&[("x-tenant", "blue"), ("x-forwarded-proto", "https")], &["cookie", "x-debug"]);
    let house = House::with(with_edge(Edge { request_headers, ..Edge::default() })).await;
    let backend = Backend::echoing().await;
    house.serve(&backend);
    let answer = house
        .ask(
            "GET / HTTP/1.1\r\nhost: shop\r\nX-Tenant: red\r\nx-tenant: green\r\ncookie: a=b\r\n\
             X-Debug: 1\r\naccept: */*\r\nconnection: close, x-tenant\r\n\r\n",
        )
        .await;
    let (_, request) = answer.split_once("\r\n\r\n").unwrap();
    assert_eq!(values(request, "x-tenant"), ["blue"]);
    assert_eq!(values(request, "x-forwarded-proto"), ["https"]);
    assert_eq!(values(request, "accept"), ["*/*"]);
    assert_eq!((header(request, "cookie"), header(request, "x-debug")), (None, None));
}

#[tokio::test]
async fn headers_of_answers_are_set_and_removed_from_the_next_request_on() {
    let house = House::new().await;
    let backend = Backend::answering(OK).await;
    house.serve(&backend);
    let response_headers = edits(&[("x-frame-options", "DENY")], &["server"]);
    let edge = Edge { response_headers, ..Edge::default() };
    let mut client = house.client().await;
    for (edge, frames, server) in [
        (None, &["no", "none"][..], Some("app")),
        (Some(edge), &["DENY"], None),
        (None, &["no", "none"], Some("app")),
    ] {
        reload(&house, edge);
        client.write("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
        let answer = client.read_message().await.unwrap();
        assert_eq!(values(&answer.head, "x-frame-options"), frames);
        assert_eq!(header(&answer.head, "server"), server);
        assert_eq!(answer.body, b"ok");
    }
    assert_eq!(backend.connections(), 1);
    assert_eq!(house.settled().await.completed, 3);
}

#[tokio::test]
async fn a_protocol_switch_is_an_answer_too() {
    let response_headers = edits(&[("x-frame-options", "DENY")], &["server"]);
    let house = House::with(with_edge(Edge { response_headers, ..Edge::default() })).await;
    let backend = Backend::new(|_, mut peer| async move {
        peer.read_head().await.unwrap();
        peer.write(
            "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\
             server: app\r\n\r\n",
        )
        .await;
        peer.read_all().await;
    })
    .await;
    house.serve(&backend);
    let mut client = house.client().await;
    let ask = "GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n";
    client.write(ask).await;
    let head = client.read_head().await.unwrap();
    assert_eq!(header(&head, "x-frame-options"), Some("DENY"), "{head}");
    assert_eq!((header(&head, "server"), header(&head, "upgrade")), (None, Some("x")));
}

#[tokio::test]
async fn our_own_pages_of_a_service_have_its_headers_beside_their_own() {
    let response_headers =
        edits(&[("x-frame-options", "DENY"), ("content-type", "text/html")], &["retry-after"]);
    let house = House::with(with_edge(Edge { response_headers, ..Edge::default() })).await;
    let when_none = WhenNone::Stopped("by the test".into());
    house.service.offer(Choice { endpoints: Vec::new(), when_none });
    let answer = house.ask("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert_eq!(header(&answer, "x-frame-options"), Some("DENY"));
    assert_eq!(values(&answer, "content-type"), ["text/plain; charset=utf-8"]);
    assert_eq!(header(&answer, "retry-after"), Some("5"));
}

#[tokio::test]
async fn an_instance_does_not_see_the_prefix_it_is_reached_at() {
    let strip_prefix = Some(PathPrefix::sample("/api"));
    let house = House::with(with_edge(Edge { strip_prefix, ..Edge::default() })).await;
    let backend = Backend::echoing().await;
    house.serve(&backend);
    let mut client = house.client().await;
    for (target, seen, prefix) in [
        ("/api/a%20b?c=%7B", "/a%20b?c=%7B", Some("/api")),
        ("http://shop/api?x", "/?x", Some("/api")),
        ("/apis", "/apis", None),
    ] {
        let ask = format!("GET {target} HTTP/1.1\r\nhost: shop\r\nx-forwarded-prefix: /a\r\n\r\n");
        client.write(&ask).await;
        let request = String::from_utf8(client.read_message().await.unwrap().body).unwrap();
        assert!(request.starts_with(&format!("GET {seen} HTTP/1.1\r\n")), "{request}");
        assert_eq!(header(&request, "x-forwarded-prefix"), prefix);
    }
}

fn canonical(name: &str, port: Option<u16>) -> Edge {
    let canonical_host = Some(CanonicalHost { name: name.into(), port });
    Edge { canonical_host, ..Edge::default() }
}

#[tokio::test]
async fn another_host_is_sent_to_the_canonical_one_with_path_and_query() {
    let house = House::with(with_edge(canonical("www.example.com", None))).await;
    let backend = Backend::answering(OK).await;
    house.serve(&backend);
    let mut client = house.client().await;
    for (line, host, location) in [
        ("GET /a%20b//c?d=%7B&e", "example.com", "http://www.example.com/a%20b//c?d=%7B&e"),
        ("POST /", "evil.example:81", "http://www.example.com/"),
        ("GET //evil.example/x", "www.example.com.", "http://www.example.com//evil.example/x"),
        ("GET http://b.example/?x", "www.example.com", "http://www.example.com/?x"),
        ("HEAD /h", "127.0.0.1", "http://www.example.com/h"),
    ] {
        client.write(&format!("{line} HTTP/1.1\r\nhost: {host}\r\n\r\n")).await;
        let head = client.read_head().await.unwrap();
        assert!(head.starts_with("HTTP/1.1 308 "), "{line}: {head}");
        assert_eq!(header(&head, "location"), Some(location));
        if !line.starts_with("HEAD ") {
            let length = header(&head, "content-length").unwrap().parse().unwrap();
            assert_eq!(client.read_exactly(length).await, format!("308 it is at {location}\n"));
        }
    }
    assert_eq!(backend.connections(), 0);
    let ledger = house.settled().await;
    assert_eq!((ledger.accepted, ledger.completed), (5, 5));
}

#[tokio::test]
async fn whoever_asks_for_the_canonical_host_or_for_none_is_served() {
    let house = House::with(with_edge(canonical("www.example.com", Some(8443)))).await;
    let backend = Backend::answering(OK).await;
    house.serve(&backend);
    for request in [
        "GET / HTTP/1.1\r\nhost: WWW.example.com\r\nconnection: close\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: www.example.com:80\r\nconnection: close\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nhost: example.com\r\nconnection: close\r\n\r\n",
    ] {
        let answer = house.ask(request).await;
        assert!(answer.starts_with("HTTP/1.1 200 ") || answer.starts_with("HTTP/1.0 200 "));
    }
    let answer = house.ask("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
    assert_eq!(header(&answer, "location"), Some("http://www.example.com:8443/"));
}

#[tokio::test]
async fn a_trusted_proxy_says_which_host_and_scheme_the_client_came_by() {
    let house = House::with(with_edge(canonical("www.example.com", None))).await;
    let backend = Backend::answering(OK).await;
    house.serve(&backend);
    let trusted = vec!["127.0.0.0/8".parse().unwrap()];
    let fields = |host: &str| {
        format!("host: origin.example\r\nx-forwarded-host: {host}\r\nx-forwarded-proto: https\r\n")
    };
    for (proxies, host, outcome) in [
        (vec![], "www.example.com", Err("http://www.example.com/x")),
        (trusted.clone(), "www.example.com", Ok("200")),
        (trusted.clone(), "www.example.com, cdn.example", Ok("200")),
        (trusted, "example.com", Err("https://www.example.com/x")),
    ] {
        house.proxy.trust(Trust { proxies, ..Trust::default() });
        let fields = fields(host);
        let answer =
            house.ask(&format!("GET /x HTTP/1.1\r\n{fields}connection: close\r\n\r\n")).await;
        match outcome {
            Ok(status) => assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}"),
            Err(location) => assert_eq!(header(&answer, "location"), Some(location), "{answer}"),
        }
    }
}

#[tokio::test]
async fn a_body_that_nobody_wants_does_not_become_a_request() {
    let house = House::with(with_edge(canonical("www.example.com", None))).await;
    let backend = Backend::answering(OK).await;
    house.serve(&backend);
    let smuggled = "GET /inner HTTP/1.1\r\nhost: www.example.com\r\n\r\n";
    let length = smuggled.len();
    let answer = house
        .ask(&format!(
            "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {length}\r\n\r\n{smuggled}\
             GET / HTTP/1.1\r\nhost: b\r\nconnection: close\r\n\r\n"
        ))
        .await;
    assert!(!answer.contains(" 200 "), "{answer}");
    assert_eq!(answer.matches("HTTP/1.1 308 ").count(), 2, "{answer}");
}

/// Pages for two of the answers that are ours.
fn pages() -> Edge {
    let page = |status, body: &'static str| {
        let (file, content_type) = ("/page".into(), HeaderValue::from_static("text/html"));
        (status, Page { file, content_type, body: body.into() })
    };
    let pages = [
        page(StatusCode::BAD_GATEWAY, "<p>broken"),
        page(StatusCode::SERVICE_UNAVAILABLE, "<p>down"),
    ];
    Edge { error_pages: pages.into(), ..Edge::default() }
}

#[tokio::test]
async fn our_own_answers_have_the_pages_of_the_service() {
    let house = House::with(with_edge(pages())).await;
    let garbage = Backend::answering("HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n").await;
    house.serve(&garbage);
    let mut client = house.client().await;
    client.write("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let answer = client.read_message().await.unwrap();
    assert!(answer.head.starts_with("HTTP/1.1 502 "), "{answer:?}");
    assert_eq!(header(&answer.head, "content-type"), Some("text/html"));
    assert_eq!(answer.body, b"<p>broken");

    let when_none = WhenNone::Stopped("by the test".into());
    house.service.offer(Choice { endpoints: Vec::new(), when_none });
    client.write("HEAD / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let head = client.read_head().await.unwrap();
    assert!(head.starts_with("HTTP/1.1 503 "), "{head}");
    assert_eq!(
        (header(&head, "content-length"), header(&head, "retry-after")),
        (Some("7"), Some("5"))
    );
    // Nothing of the page follows an answer to HEAD.
    client.write("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let answer = client.read_message().await.unwrap();
    assert!(answer.head.starts_with("HTTP/1.1 503 "), "{answer:?}");
    assert_eq!(answer.body, b"<p>down");
    let ledger = house.settled().await;
    assert_eq!((ledger.lost, ledger.refused), (1, 2));
}

#[tokio::test]
async fn an_instance_says_in_its_own_words_what_is_wrong() {
    let house = House::with(with_edge(pages())).await;
    let backend = Backend::answering("HTTP/1.1 503 Busy\r\ncontent-length: 4\r\n\r\nbusy").await;
    house.serve(&backend);
    let answer = house.ask("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.ends_with("\r\n\r\nbusy"), "{answer}");
    assert_eq!(house.settled().await.completed, 1);
}

#[tokio::test]
async fn maintenance_turns_away_whoever_comes_and_nobody_who_is_in() {
    let house = House::new().await;
    let (go_on, waits) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (gate, sign) = (Arc::clone(&go_on), Arc::clone(&waits));
    let backend = Backend::new(move |_, mut peer| {
        let (gate, sign) = (Arc::clone(&gate), Arc::clone(&sign));
        async move {
            while peer.read_message().await.is_some() {
                sign.notify_one();
                gate.notified().await;
                peer.write(OK).await;
            }
        }
    })
    .await;
    house.serve(&backend);
    let ask = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";
    let (mut inside, mut outside) = (house.client().await, house.client().await);
    inside.write(ask).await;
    waits.notified().await;

    reload(&house, Some(Edge { maintenance: true, ..pages() }));
    outside.write(ask).await;
    let answer = outside.read_message().await.unwrap();
    assert!(answer.head.starts_with("HTTP/1.1 503 "), "{answer:?}");
    assert_eq!(header(&answer.head, "retry-after"), Some("5"));
    assert_eq!(answer.body, b"<p>down");
    go_on.notify_one();
    assert_eq!(inside.read_message().await.unwrap().body, b"ok");
    let ledger = house.settled().await;
    assert_eq!((ledger.accepted, ledger.completed, ledger.refused), (1, 1, 1));

    reload(&house, None);
    go_on.notify_one();
    outside.write(ask).await;
    assert_eq!(outside.read_message().await.unwrap().body, b"ok");
}

#[tokio::test]
async fn maintenance_without_a_page_says_so_in_one_line() {
    let edge = Edge { maintenance: true, ..canonical("www.example.com", None) };
    let house = House::with(with_edge(edge)).await;
    let answer = house.ask("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
    assert!(answer.ends_with("\r\n\r\n503 service test is in maintenance\n"), "{answer}");
}

/// One request that has these fields besides; which instance answered, and the cookie it came with.
async fn served(client: &mut harness::Peer, fields: &str) -> (String, Option<String>) {
    client.write(&format!("GET / HTTP/1.1\r\nhost: a\r\n{fields}\r\n")).await;
    let answer = client.read_message().await.unwrap();
    assert!(answer.head.starts_with("HTTP/1.1 200 "), "{answer:?}");
    let cookie = values(&answer.head, "set-cookie").pop().map(str::to_owned);
    (String::from_utf8(answer.body).unwrap(), cookie)
}

/// A house whose clients stay, with instances that answer with the number of their slot.
async fn sticky(slots: u16) -> (House, Vec<Backend>) {
    let sticky = Some(Sticky { cookie: "at".into() });
    let house = House::with(with_edge(Edge { sticky, ..Edge::default() })).await;
    let answers = ["0", "1", "2"].map(|slot| {
        let answer =
            format!("HTTP/1.1 200 OK\r\ncontent-length: 1\r\nset-cookie: a=b\r\n\r\n{slot}");
        &*answer.leak()
    });
    let mut backends = Vec::new();
    for slot in 0..slots {
        backends.push(Backend::answering(answers[usize::from(slot)]).await);
    }
    (house, backends)
}

const COOKIE_0: &str = "at=0; Path=/; HttpOnly; SameSite=Lax";
const COOKIE_1: &str = "at=1; Path=/; HttpOnly; SameSite=Lax";

#[tokio::test]
async fn a_client_stays_with_its_instance_and_gets_one_cookie() {
    let (house, backends) = sticky(3).await;
    let endpoints: Vec<_> =
        (0..).zip(&backends).map(|(slot, it)| house.endpoint_of(Slot(slot), it.addr)).collect();
    house.offer(&endpoints.iter().collect::<Vec<_>>());
    let mut client = house.client().await;
    let (first, cookie) = served(&mut client, "").await;
    assert_eq!(cookie.unwrap(), format!("at={first}; Path=/; HttpOnly; SameSite=Lax"));
    for slot in ["2", "0", "1", "1", "1"] {
        let fields = format!("cookie: x=y; at={slot}\r\n");
        let (answered, cookie) = served(&mut client, &fields).await;
        // What the instance sets itself is still there.
        assert_eq!((&*answered, cookie.as_deref()), (slot, Some("a=b")));
    }
    let made_up = "cookie: at=99; at=-1\r\n";
    let (answered, cookie) = served(&mut client, made_up).await;
    assert!(cookie.unwrap().starts_with(&format!("at={answered}; ")));
}

#[tokio::test]
async fn a_client_of_https_gets_a_cookie_for_https_alone() {
    let (house, backends) = sticky(1).await;
    house.serve(&backends[0]);
    let mut client = house.client().await;
    let fields = "x-forwarded-proto: https\r\n";
    assert_eq!(served(&mut client, fields).await.1.as_deref(), Some(COOKIE_0));
    let proxies = vec!["127.0.0.0/8".parse().unwrap()];
    house.proxy.trust(Trust { proxies, ..Trust::default() });
    let (_, cookie) = served(&mut client, fields).await;
    assert_eq!(cookie.unwrap(), format!("{COOKIE_0}; Secure"));
}

#[tokio::test]
async fn a_client_whose_instance_drains_or_is_away_moves_and_stays_there() {
    let (house, backends) = sticky(2).await;
    let [zero, one] =
        [0, 1].map(|slot| house.endpoint_of(Slot(slot), backends[usize::from(slot)].addr));
    house.offer(&[&zero, &one]);
    let mut client = house.client().await;
    let moved = ("0".to_owned(), Some(COOKIE_0.to_owned()));
    // It drains, and is offered still.
    one.close(Epoch(1));
    assert_eq!(served(&mut client, "cookie: at=1\r\n").await, moved);
    house.offer(&[&zero]);
    assert_eq!(served(&mut client, "cookie: at=1\r\n").await, moved);
    // Its successor is ready: who has moved stays, and who kept the cookie comes back.
    let next = house.endpoint_of(Slot(1), backends[1].addr);
    house.offer(&[&zero, &next]);
    assert_eq!(served(&mut client, "cookie: at=0\r\n").await.0, "0");
    assert_eq!(served(&mut client, "cookie: at=1\r\n").await.0, "1");
    let ledger = house.settled().await;
    assert_eq!((ledger.completed, ledger.held, ledger.lost), (4, 0, 0));
}

#[tokio::test]
async fn an_instance_that_cannot_be_reached_is_a_wish_that_does_not_come_true() {
    let (house, backends) = sticky(2).await;
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let (dead, alive) =
        (house.endpoint_of(Slot(0), nobody), house.endpoint_of(Slot(1), backends[1].addr));
    house.offer(&[&dead, &alive]);
    let mut client = house.client().await;
    let moved = ("1".to_owned(), Some(COOKIE_1.to_owned()));
    assert_eq!(served(&mut client, "cookie: at=0\r\n").await, moved);
    let ledger = house.settled().await;
    assert_eq!((ledger.completed, ledger.retried, ledger.lost), (1, 1, 0));
}
