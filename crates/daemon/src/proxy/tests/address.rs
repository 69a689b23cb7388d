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
