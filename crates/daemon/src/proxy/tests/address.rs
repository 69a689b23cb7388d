//! Who asks: what an instance is told of clients and of the proxies in front.

use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::harness::PATIENCE;
use super::*;
use crate::config::Trust;

fn loopback_is_trusted() -> Trust {
    Trust { proxies: vec!["127.0.0.0/8".parse().unwrap()], ..Trust::default() }
}

/// One request on a connection that stays; what the instance saw of it.
async fn seen(client: &mut harness::Peer, fields: &str) -> String {
    client.write(&format!("GET / HTTP/1.1\r\nhost: shop\r\n{fields}\r\n")).await;
    String::from_utf8(client.read_message().await.unwrap().body).unwrap()
}

#[tokio::test]
async fn trust_is_in_force_for_the_next_request_of_a_connection() {
    let house = House::new().await;
    let backend = Backend::echoing().await;
    house.serve(&backend);
    let mut client = house.client().await;
    let fields = "x-forwarded-for: 192.0.2.1\r\nx-forwarded-proto: https\r\n";
    for (trust, list, scheme) in [
        (Trust::default(), "127.0.0.1", "http"),
        (loopback_is_trusted(), "192.0.2.1, 127.0.0.1", "https"),
        (Trust::default(), "127.0.0.1", "http"),
    ] {
        house.proxy.trust(trust);
        let request = seen(&mut client, fields).await;
        assert_eq!(header(&request, "x-forwarded-for"), Some(list), "{request}");
        assert_eq!(header(&request, "x-forwarded-proto"), Some(scheme), "{request}");
        assert_eq!(header(&request, "host"), Some("shop"));
    }
    assert_eq!(house.settled().await.completed, 3);
}

#[tokio::test]
async fn what_a_trusted_proxy_says_of_the_host_leads_nowhere_else() {
    let mut config = config("test");
    config.is_default = false;
    config.routes = vec![crate::config::Route {
        host: crate::config::Host::Exact("shop".into()),
        prefix: String::new(),
    }];
    let house = House::with(config).await;
    house.proxy.trust(loopback_is_trusted());
    let backend = Backend::echoing().await;
    house.serve(&backend);
    for (fields, status) in [
        ("host: shop\r\nx-forwarded-host: blog\r\nforwarded: host=blog\r\n", "200"),
        ("host: blog\r\nx-forwarded-host: shop\r\nforwarded: host=shop\r\n", "404"),
    ] {
        let answer =
            house.ask(&format!("GET / HTTP/1.1\r\nconnection: close\r\n{fields}\r\n")).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    }
}

#[tokio::test]
async fn an_operator_is_shown_who_asks_behind_a_trusted_proxy() {
    let house = House::new().await;
    house.proxy.trust(loopback_is_trusted());
    let backend = Backend::new(|_, mut peer| async move {
        peer.read_message().await;
        std::future::pending::<()>().await;
    })
    .await;
    let endpoint = house.serve(&backend);
    let mut client = house.client().await;
    client.write("GET / HTTP/1.1\r\nhost: a\r\nx-forwarded-for: 6.6.6.6, 192.0.2.1\r\n\r\n").await;
    until(|| !endpoint.blockers(Instant::now(), 1).is_empty()).await;
    assert_eq!(endpoint.blockers(Instant::now(), 1)[0].client, "192.0.2.1");
}

#[tokio::test]
async fn a_request_has_one_name_to_the_instance_and_to_the_client() {
    let house = House::new().await;
    let backend = Backend::echoing().await;
    house.serve(&backend);
    let mut client = house.client().await;
    let ask = "GET / HTTP/1.1\r\nhost: shop\r\nconnection: x-request-id\r\n\
               x-request-id: mine\r\n\r\n";
    let mut names = Vec::new();
    for trust in [Trust::default(), loopback_is_trusted()] {
        house.proxy.trust(Trust { request_id: true, ..trust });
        client.write(ask).await;
        let answer = client.read_message().await.unwrap();
        let request = String::from_utf8(answer.body).unwrap();
        let name = header(&answer.head, "x-request-id").unwrap();
        assert_eq!(header(&request, "x-request-id"), Some(name), "{request}");
        names.push(name.to_owned());
    }
    assert_ne!(names[0], "mine");
    assert_eq!(names[1], "mine");
}

#[tokio::test]
async fn a_refusal_has_a_name_too() {
    let house = House::new().await;
    house.proxy.trust(Trust { request_id: true, ..Trust::default() });
    for request in ["GET / HTTP/1.1\r\n\r\n", "CONNECT a:1 HTTP/1.1\r\nhost: a:1\r\n\r\n"] {
        let answer = house.ask(request).await;
        assert_eq!(header(&answer, "x-request-id").map(str::len), Some(32), "{answer}");
    }
}

#[tokio::test]
async fn without_the_key_a_request_id_is_a_header_as_any_other() {
    let house = House::new().await;
    let backend = Backend::echoing().await;
    house.serve(&backend);
    let mut client = house.client().await;
    let request = seen(&mut client, "x-request-id: mine\r\n").await;
    assert_eq!(header(&request, "x-request-id"), Some("mine"));
    let answer = house.ask("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
    let (head, request) = answer.split_once("\r\n\r\n").unwrap();
    assert_eq!((header(head, "x-request-id"), header(request, "x-request-id")), (None, None));
}

/// A house that demands the PROXY protocol, and an instance that says what it received.
async fn introducing(proxies: &[&str]) -> (House, Backend) {
    let house = House::new().await;
    // The port as configured.
    let proxies = proxies.iter().map(|network| network.parse().unwrap()).collect();
    house.proxy.trust(Trust { proxies, proxy_protocol: vec![0], ..Trust::default() });
    let backend = Backend::echoing().await;
    house.serve(&backend);
    (house, backend)
}

const LAST_REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";

/// Sends each part by itself, and gives all that comes back.
async fn answer_to(house: &House, parts: impl IntoIterator<Item = &[u8]>) -> String {
    let mut stream = TcpStream::connect(house.addr).await.unwrap();
    stream.set_nodelay(true).unwrap();
    for part in parts {
        stream.write_all(part).await.unwrap();
        tokio::task::yield_now().await;
    }
    let mut answer = String::new();
    let reading = stream.read_to_string(&mut answer);
    tokio::time::timeout(PATIENCE, reading).await.expect("no end came").unwrap();
    answer
}

fn binary(command: u8, source: [u8; 4]) -> Vec<u8> {
    let addresses = [&source[..], &[10, 0, 0, 1], &[0x12, 0x34], &[0, 80]].concat();
    let extra = [&[0xee, 0, 30][..], &[b'\n'; 30]].concat();
    let length = [0, u8::try_from(addresses.len() + extra.len()).unwrap()];
    [b"\r\n\r\n\0\r\nQUIT\n", &[command, 0x11][..], &length, &addresses, &extra].concat()
}

#[tokio::test]
async fn a_load_balancer_introduces_its_client_in_either_version() {
    let (house, _backend) = introducing(&[]).await;
    for (header_of_proxy, client) in [
        (b"PROXY TCP4 192.0.2.1 10.0.0.1 4660 80\r\n".to_vec(), "192.0.2.1"),
        (b"PROXY TCP6 2001:db8::1 ::1 4660 80\r\n".to_vec(), "2001:db8::1"),
        (b"PROXY TCP6 ::ffff:192.0.2.1 ::1 4660 80\r\n".to_vec(), "192.0.2.1"),
        (b"PROXY UNKNOWN\r\n".to_vec(), "127.0.0.1"),
        (binary(0x21, [192, 0, 2, 1]), "192.0.2.1"),
        (binary(0x20, [192, 0, 2, 1]), "127.0.0.1"),
    ] {
        let whole = [&header_of_proxy, LAST_REQUEST].concat();
        for parts in [1, 5, 40, whole.len()] {
            let answer = answer_to(&house, whole.chunks(parts)).await;
            assert_eq!(header(&answer, "x-forwarded-for"), Some(client), "{answer}");
        }
    }
    assert_eq!(house.proxy.rejected(), 0);
    assert_eq!(house.settled().await.completed, 24);
}

#[tokio::test]
async fn nothing_of_a_first_pipeline_is_lost_behind_the_header() {
    let (house, _backend) = introducing(&[]).await;
    let pipeline = b"POST /1 HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc";
    let whole = [&binary(0x21, [192, 0, 2, 1])[..], pipeline, LAST_REQUEST].concat();
    let answer = answer_to(&house, [&whole[..]]).await;
    assert_eq!(answer.matches("HTTP/1.1 200 OK").count(), 2, "{answer}");
    assert!(answer.contains("\r\n\r\nabcHTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn a_connection_that_is_not_introduced_is_told_why_it_is_refused() {
    let (house, backend) = introducing(&[]).await;
    for (refused, start) in (1..).zip(["", "PROXY TCP4 1.1.1.1\r\n", "\r\n\r\nGET / HTTP/1.1\r\n"])
    {
        let answer = answer_to(&house, [start.as_bytes(), LAST_REQUEST]).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{start:?}: {answer}");
        assert!(answer.contains("the PROXY protocol"), "{answer}");
        assert_eq!(header(&answer, "connection"), Some("close"));
        assert_eq!(house.proxy.rejected(), refused);
    }
    assert_eq!((backend.connections(), house.service.ledger().accepted), (0, 0));
}

#[tokio::test]
async fn only_a_trusted_proxy_introduces_clients_if_there_are_any() {
    let (house, backend) = introducing(&["10.0.0.0/8"]).await;
    let answer = answer_to(&house, [&binary(0x21, [10, 0, 0, 9])[..], LAST_REQUEST]).await;
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    assert_eq!((backend.connections(), house.proxy.rejected()), (0, 1));

    let (house, _backend) = introducing(&["127.0.0.0/8"]).await;
    let answer = answer_to(&house, [&binary(0x21, [192, 0, 2, 1])[..], LAST_REQUEST]).await;
    assert_eq!(header(&answer, "x-forwarded-for"), Some("192.0.2.1"), "{answer}");
}

#[tokio::test]
async fn the_introduced_client_is_the_one_whose_word_counts_or_not() {
    let (house, _backend) = introducing(&["127.0.0.0/8", "10.0.0.0/8"]).await;
    let ask = b"GET / HTTP/1.1\r\nhost: a\r\nx-forwarded-for: 6.6.6.6\r\nconnection: close\r\n\r\n";
    for (source, list) in [([192, 0, 2, 1], "192.0.2.1"), ([10, 0, 0, 9], "6.6.6.6, 10.0.0.9")] {
        let answer = answer_to(&house, [&binary(0x21, source)[..], ask]).await;
        assert_eq!(header(&answer, "x-forwarded-for"), Some(list), "{answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_does_not_introduce_anybody_is_not_waited_for() {
    let (house, _backend) = introducing(&[]).await;
    let mut silent = TcpStream::connect(house.addr).await.unwrap();
    silent.write_all(b"PROXY TCP4 1").await.unwrap();
    let began = tokio::time::Instant::now();
    assert_eq!(silent.read(&mut [0]).await.unwrap(), 0);
    assert!(began.elapsed() >= std::time::Duration::from_secs(30));
    assert_eq!(house.proxy.rejected(), 0);
}

#[tokio::test]
async fn the_doors_close_on_who_has_not_introduced_anybody() {
    let (house, _backend) = introducing(&[]).await;
    let mut late = TcpStream::connect(house.addr).await.unwrap();
    let _silent = TcpStream::connect(house.addr).await.unwrap();
    house.proxy.close_doors();
    late.write_all(&[&binary(0x21, [192, 0, 2, 1])[..], LAST_REQUEST].concat()).await.unwrap();
    let mut answer = String::new();
    late.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    tokio::time::timeout(PATIENCE, house.proxy.closed()).await.expect("somebody stays");
}
