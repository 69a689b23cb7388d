//! Connections that stop being HTTP.

use super::*;
use crate::proxy::{Epoch, Inside};

const ASK: &str = "GET /chat HTTP/1.1\r\nhost: a\r\nconnection: keep-alive, Upgrade\r\n\
                   upgrade: chat\r\nsec-websocket-key: x\r\n\r\n";

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// Switches protocols and sends back whatever comes.
async fn echo() -> Backend {
    Backend::new(|_, mut peer| async move {
        let head = peer.read_head().await.unwrap();
        assert_eq!(header(&head, "connection"), Some("upgrade"), "{head}");
        assert_eq!(header(&head, "upgrade"), Some("chat"), "{head}");
        // The greeting comes in the same packet as the switch.
        peer.write(
            "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: chat\r\n\
             sec-websocket-accept: y\r\n\r\nhello",
        )
        .await;
        loop {
            let text = peer.read_exactly(4).await;
            peer.write(&text).await;
        }
    })
    .await
}

#[tokio::test]
async fn a_tunnel_carries_bytes_both_ways_until_a_drain_closes_it() {
    let house = House::new().await;
    let backend = echo().await;
    let endpoint = house.serve(&backend);
    let mut client = house.client().await;
    client.write(ASK).await;
    let head = client.read_head().await.unwrap();
    assert!(head.starts_with("HTTP/1.1 101 Switching Protocols\r\n"), "{head}");
    assert_eq!(header(&head, "connection"), Some("upgrade"));
    assert_eq!(header(&head, "upgrade"), Some("chat"));
    assert_eq!(header(&head, "sec-websocket-accept"), Some("y"));
    assert_eq!(client.read_exactly(5).await, "hello");
    for text in ["ping", "pong"] {
        client.write(text).await;
        assert_eq!(client.read_exactly(4).await, text);
    }
    assert_eq!(house.settled().await.completed, 1);
    assert_eq!(house.service.tunnels_now(), 1);

    assert_eq!(endpoint.close(Epoch(1)), Inside { requests: 0, tunnels: 1 });
    assert!(house.rings.lock().unwrap().is_empty());
    endpoint.end_tunnels();
    assert_eq!(client.read_all().await, "");
    until(|| !house.rings.lock().unwrap().is_empty()).await;
    until(|| house.service.tunnels_now() == 0).await;
    assert_eq!(house.service.ledger().tunnels_closed, 1);
}

/// `ping` and `pong`, as a server frames them.
const PING: &str = "\u{1}\u{4}ping";

#[tokio::test]
async fn a_drain_says_goodbye_to_a_web_socket_between_two_frames() {
    let house = House::new().await;
    let (finish, finished) = tokio::sync::oneshot::channel::<()>();
    let finished = std::sync::Arc::new(std::sync::Mutex::new(Some(finished)));
    let backend = Backend::new(move |_, mut peer| {
        let finished = finished.lock().unwrap().take();
        async move {
            peer.read_head().await.unwrap();
            let switch = "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\n\
                          upgrade: websocket\r\n\r\n";
            peer.write(switch).await;
            peer.write(PING).await;
            // Half a frame; the other half comes when the drain has begun to end the tunnel.
            peer.write(&PING[..3]).await;
            finished.unwrap().await.unwrap();
            peer.write(&PING[3..]).await;
            peer.write(PING).await;
            // Close, masked, 1001; and then the end.
            assert_eq!(peer.read_all_bytes().await, b"\x88\x82\0\0\0\0\x03\xe9");
        }
    })
    .await;
    let endpoint = house.serve(&backend);
    let mut client = house.client().await;
    client.write(&ASK.replace("chat\r", "websocket\r")).await;
    client.read_head().await.unwrap();
    assert_eq!(client.read_exactly(9).await, format!("{PING}{}", &PING[..3]));
    endpoint.close(Epoch(1));
    endpoint.end_tunnels();
    finish.send(()).unwrap();
    let rest = client.read_all_bytes().await;
    let whole = [&PING.as_bytes()[3..], b"\x88\x02\x03\xe9"].concat();
    assert_eq!(rest, whole, "{}", String::from_utf8_lossy(&rest));
    drop(client);
    until(|| !house.rings.lock().unwrap().is_empty()).await;
    assert_eq!(house.service.ledger().tunnels_closed, 1);
}

#[tokio::test]
async fn a_tunnel_that_its_client_leaves_ends() {
    let house = House::new().await;
    let backend = echo().await;
    let endpoint = house.serve(&backend);
    let mut client = house.client().await;
    client.write(ASK).await;
    client.read_head().await.unwrap();
    until(|| house.service.tunnels_now() == 1).await;
    drop(client);
    until(|| house.service.tunnels_now() == 0).await;
    assert_eq!(endpoint.inside(), Inside::default());
    assert_eq!(house.settled().await.tunnels_closed, 0);
}

#[tokio::test]
async fn an_upgrade_that_is_not_granted_stays_http() {
    let house = House::new().await;
    let backend =
        Backend::answering("HTTP/1.1 426 Upgrade Required\r\ncontent-length: 2\r\n\r\nno").await;
    house.serve(&backend);
    let mut client = house.client().await;
    for _ in 0..2 {
        client.write(ASK).await;
        let answer = client.read_message().await.unwrap();
        assert!(answer.head.starts_with("HTTP/1.1 426 "), "{answer:?}");
        assert_eq!(answer.body, b"no");
    }
    assert_eq!(house.settled().await.completed, 2);
}

#[tokio::test]
async fn h2c_and_an_upgrade_that_connection_does_not_name_are_not_forwarded() {
    let house = House::new().await;
    let backend = Backend::echoing().await;
    house.serve(&backend);
    for asked in [
        "connection: upgrade, http2-settings, close\r\nupgrade: h2c\r\nhttp2-settings: x\r\n",
        "connection: close\r\nupgrade: websocket\r\n",
        // With a body, even an empty one that is yet to be read.
        "connection: close, upgrade\r\nupgrade: websocket\r\ntransfer-encoding: chunked\r\n",
    ] {
        let body = if asked.contains("chunked") { "0\r\n\r\n" } else { "" };
        let request = format!("GET / HTTP/1.1\r\nhost: a\r\n{asked}\r\n{body}");
        let answer = house.ask(&request).await;
        let (_, received) = answer.split_once("\r\n\r\n").unwrap();
        for gone in ["upgrade", "connection", "http2-settings"] {
            assert_eq!(header(received, gone), None, "{received}");
        }
    }
}

#[tokio::test]
async fn what_a_client_says_too_early_is_for_the_protocol_it_gets() {
    let house = House::new().await;
    let backend = echo().await;
    house.serve(&backend);
    let mut client = house.client().await;
    // No HTTP, and not looked at as such.
    client.write(&format!("{ASK}\u{1}\n\r\u{2}")).await;
    assert!(client.read_head().await.unwrap().starts_with("HTTP/1.1 101 "));
    assert_eq!(client.read_exactly(9).await, "hello\u{1}\n\r\u{2}");
    assert_eq!(house.proxy.rejected(), 0);

    let backend = Backend::answering(OK).await;
    house.serve(&backend);
    let next = "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    let answers = house.ask(&format!("{ASK}{next}")).await;
    assert_eq!(answers.matches("HTTP/1.1 200 OK\r\n").count(), 2, "{answers}");
}
