//! Requests and answers as they should be.

use super::*;

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

#[tokio::test]
async fn both_sides_are_kept_alive() {
    let house = House::new().await;
    let backend = Backend::answering(OK).await;
    house.serve(&backend);
    let mut client = house.client().await;
    for method in ["GET", "PUT", "GET", "DELETE"] {
        client.write(&format!("{method} / HTTP/1.1\r\nhost: a\r\n\r\n")).await;
        let answer = client.read_message().await.unwrap();
        assert!(answer.head.starts_with("HTTP/1.1 200 OK"), "{answer:?}");
        assert_eq!(answer.body, b"ok");
    }
    assert_eq!(backend.connections(), 1);
    assert_eq!(house.settled().await.completed, 4);
}

#[tokio::test]
async fn an_instance_sees_who_asks_and_no_hop_by_hop_field() {
    let house = House::new().await;
    let backend = Backend::echoing().await;
    house.serve(&backend);
    let answer = house
        .ask(
            "GET /a%20b?c=%7B HTTP/1.1\r\nHost: Shop.example:80\r\nConnection: close, x-y\r\n\
             X-Y: 1\r\nX-Forwarded-For: 10.0.0.1\r\nTE: gzip\r\nAccept: */*\r\n\r\n",
        )
        .await;
    let (head, request) = answer.split_once("\r\n\r\n").unwrap();
    assert_eq!(header(head, "connection"), Some("close"));
    assert!(request.starts_with("GET /a%20b?c=%7B HTTP/1.1\r\n"), "{request}");
    assert_eq!(header(request, "host"), Some("Shop.example:80"));
    assert_eq!(header(request, "x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(header(request, "x-forwarded-host"), Some("Shop.example:80"));
    assert_eq!(header(request, "x-forwarded-proto"), Some("http"));
    for gone in ["connection", "x-y", "te"] {
        assert_eq!(header(request, gone), None, "{request}");
    }
}

#[tokio::test]
async fn who_finds_no_place_waits_until_a_client_or_its_tunnel_leaves() {
    let house = House::for_clients(config("test"), 1).await;
    let backend = Backend::new(|_, mut peer| async move {
        peer.read_head().await.unwrap();
        peer.write("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n")
            .await;
        peer.read_all().await;
    })
    .await;
    house.serve(&backend);
    let ask = "GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n";
    let mut first = house.client().await;
    first.write(ask).await;
    first.read_head().await.unwrap();
    until(|| house.service.tunnels_now() == 1).await;
    let mut second = house.client().await;
    second.write(ask).await;
    let waiting = tokio::time::timeout(std::time::Duration::from_millis(100), second.read_head());
    assert!(waiting.await.is_err());
    assert_eq!(house.service.ledger().accepted, 1);
    drop(first);
    let head = second.read_head().await.unwrap();
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
}
