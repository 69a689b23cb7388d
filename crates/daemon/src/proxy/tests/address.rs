//! Who asks: what an instance is told of clients and of the proxies in front.

use std::time::Instant;

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
