//! Clients that are sent to HTTPS, and those that come by it.

use std::sync::Arc;
use std::time::Duration;

use super::tls::{OK, Visitor, listener};
use super::*;
use crate::config::{Host, Hsts, Https, Route, ServiceConfig, Trust};
use crate::proxy::RouteTable;
use crate::tls::tests::certificate;

/// Sends the clients of the house to this port.
fn lead(house: &House, port: u16) {
    let redirected = vec![([127, 0, 0, 1], 0).into()];
    house.proxy.lead_to_https(&Https { redirected, port, hsts: None }, &[]);
}

#[tokio::test]
async fn a_client_is_sent_to_https_with_all_that_it_asked_for() {
    let house = House::new().await;
    let backend = Backend::answering(OK).await;
    house.serve(&backend);
    let mut client = house.client().await;
    for (port, line, host, location) in [
        (443, "GET /a%20b//c?d=%7B&e", "shop.example:80", "https://shop.example/a%20b//c?d=%7B&e"),
        (8443, "PUT /", "Shop.example", "https://Shop.example:8443/"),
        (443, "GET http://b.example:80/?x", "shop.example", "https://b.example/?x"),
        (443, "GET //evil.example/", "[::1]:8080", "https://[::1]//evil.example/"),
        (443, "HEAD /.well-known/acme-challenge", "a", "https://a/.well-known/acme-challenge"),
    ] {
        lead(&house, port);
        client.write(&format!("{line} HTTP/1.1\r\nhost: {host}\r\n\r\n")).await;
        let head = client.read_head().await.unwrap();
        assert!(head.starts_with("HTTP/1.1 308 "), "{line}: {head}");
        assert_eq!(header(&head, "location"), Some(location));
        assert_eq!(header(&head, "connection"), None);
        if !line.starts_with("HEAD ") {
            let length = header(&head, "content-length").unwrap().parse().unwrap();
            assert_eq!(client.read_exactly(length).await, format!("308 it is at {location}\n"));
        }
    }
    assert!(house.ask("GET / HTTP/1.0\r\n\r\n").await.starts_with("HTTP/1.0 400 "));
    assert_eq!((house.proxy.redirected(), house.proxy.rejected()), (5, 1));
    assert_eq!((backend.connections(), house.settled().await.accepted), (0, 0));
    house.proxy.lead_to_https(&Https::default(), &[]);
    client.write("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert!(client.read_head().await.unwrap().starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn who_proves_a_host_or_came_by_https_already_is_let_through() {
    let house = House::new().await;
    let backend = Backend::answering(OK).await;
    house.serve(&backend);
    lead(&house, 443);
    let trusted = vec!["127.0.0.0/8".parse().unwrap()];
    for (proxies, target, proto, status) in [
        (vec![], "/.well-known/acme-challenge/token", "http", "200"),
        (vec![], "/", "https", "308"),
        (trusted.clone(), "/", "https", "200"),
        (trusted.clone(), "/", "HTTPS, http", "200"),
        (trusted, "/", "http, https", "308"),
    ] {
        house.proxy.trust(Trust { proxies, ..Trust::default() });
        let answer = house
            .ask(&format!(
                "GET {target} HTTP/1.1\r\nhost: a\r\nx-forwarded-proto: {proto}\r\n\
                 connection: close\r\n\r\n"
            ))
            .await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{target} {proto}: {answer}");
    }
    let answer = house.ask("OPTIONS * HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

#[tokio::test]
async fn a_challenge_finds_the_service_that_listens_for_https_alone() {
    let house = House::new().await;
    let backend = Backend::answering(OK).await;
    house.serve(&backend);
    let route = Route { host: Host::Exact("shop.example".into()), prefix: String::new() };
    let routes = vec![route];
    let listen = ([127, 0, 0, 1], 8443).into();
    let config = ServiceConfig { routes, listen, is_default: false, ..config("test") };
    house.proxy.swap(RouteTable::new([(Arc::new(config), Arc::clone(&house.service))]), &[]);
    lead(&house, 8443);
    for (host, path, status) in [
        ("shop.example", "/.well-known/acme-challenge/token", "200"),
        ("shop.example", "/", "308"),
        ("other.example", "/.well-known/acme-challenge/token", "404"),
    ] {
        let ask = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        let answer = house.ask(&ask).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{host}{path}: {answer}");
    }
}

#[tokio::test]
async fn who_stays_on_a_port_that_goes_is_sent_on_as_before() {
    let house = House::new().await;
    lead(&house, 443);
    house.proxy.lead_to_https(&Https::default(), &[([127, 0, 0, 1], 0).into()]);
    let answer = house.ask("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 308 "), "{answer}");
}

#[tokio::test]
async fn browsers_are_told_to_remember_https_inside_tls_alone() {
    const STRICT: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\
                          strict-transport-security: max-age=1\r\n\r\nok";
    const HEADER: &str = "strict-transport-security";
    let house = House::new().await;
    let (simple, strict) = (Backend::answering(OK).await, Backend::answering(STRICT).await);
    let hsts = Hsts { max_age: Duration::from_secs(60), include_subdomains: true };
    house.proxy.lead_to_https(&Https { hsts: Some(hsts), ..Https::default() }, &[]);
    let ask = "GET / HTTP/1.1\r\nhost: shop.example\r\n\r\n";
    let mut plain = house.client().await;
    house.serve(&simple);
    plain.write(ask).await;
    assert_eq!(header(&plain.read_message().await.unwrap().head, HEADER), None);

    let certificates = [certificate(&["shop.example"])];
    house.proxy.secure(&[listener(&certificates)]);
    let mut client = Visitor::new(&certificates).enter(&house).await;
    for (backend, value) in [(&simple, "max-age=60; includeSubDomains"), (&strict, "max-age=1")] {
        house.serve(backend);
        client.write(ask).await;
        let answer = client.read_message().await.unwrap();
        assert_eq!(header(&answer.head, HEADER), Some(value), "{}", answer.head);
    }
    client.write("GET / HTTP/1.1\r\n\r\n").await;
    let refused = client.read_message().await.unwrap();
    assert_eq!(header(&refused.head, HEADER), Some("max-age=60; includeSubDomains"));
}
