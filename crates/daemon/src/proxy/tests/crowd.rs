//! More clients than there may be, in all or from one address.

use std::net::Ipv4Addr;

use tokio::net::TcpSocket;

use super::*;
use crate::config::ClientLimits;

const GET: &str = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// A client that has been answered, and stays.
async fn guest(house: &House) -> harness::Peer {
    let mut client = house.client().await;
    client.write(GET).await;
    assert_eq!(client.read_message().await.unwrap().body, b"ok");
    client
}

#[tokio::test]
async fn who_finds_no_place_for_a_while_is_told_and_so_are_those_behind() {
    let house = House::for_clients(config("test"), 1).await;
    let backend = Backend::answering(OK).await;
    house.serve(&backend);
    let first = guest(&house).await;
    let mut others = Vec::new();
    for _ in 0..100 {
        let mut other = house.client().await;
        other.write(GET).await;
        others.push(other);
    }
    for mut other in others {
        let answer = other.read_all().await;
        assert!(answer.starts_with("HTTP/1.1 503 Service Unavailable\r\n"), "{answer}");
        assert!(answer.ends_with("\r\n\r\n503 too many clients are connected\n"), "{answer}");
        assert_eq!(header(&answer, "content-length"), Some("35"));
        assert_eq!(header(&answer, "connection"), Some("close"));
        assert_eq!(header(&answer, "retry-after"), Some("5"));
    }
    assert_eq!((house.proxy.rejected(), house.service.ledger().accepted), (100, 1));
    drop(first);
    guest(&house).await;
}

#[tokio::test]
async fn more_places_let_those_in_who_wait() {
    let house = House::for_clients(config("test"), 1).await;
    let backend = Backend::answering(OK).await;
    house.serve(&backend);
    let _first = guest(&house).await;
    let mut second = house.client().await;
    second.write(GET).await;
    house.proxy.limit(2, &ClientLimits::default());
    assert_eq!(second.read_message().await.unwrap().body, b"ok");
    // Fewer take nothing away from those who are in.
    house.proxy.limit(1, &ClientLimits::default());
    second.write(GET).await;
    assert_eq!(second.read_message().await.unwrap().body, b"ok");
    drop(second);
    assert!(house.ask(GET).await.starts_with("HTTP/1.1 503 "));
}

#[tokio::test]
async fn an_address_with_too_many_connections_is_told_at_once_and_others_are_served() {
    let limits = ClientLimits { max_connections_per_client: Some(2), ..ClientLimits::default() };
    let house = House::limited(config("test"), 1000, &limits).await;
    let backend = Backend::answering(OK).await;
    house.serve(&backend);
    let (first, _second) = (guest(&house).await, guest(&house).await);
    for _ in 0..50 {
        let answer = house.ask(GET).await;
        assert!(answer.starts_with("HTTP/1.1 429 Too Many Requests\r\n"), "{answer}");
        assert!(answer.ends_with("429 your address has too many connections\n"), "{answer}");
    }
    assert_eq!(house.proxy.rejected(), 50);
    let neighbour = TcpSocket::new_v4().unwrap();
    neighbour.bind((Ipv4Addr::new(127, 0, 0, 2), 0).into()).unwrap();
    let mut neighbour = harness::Peer::new(neighbour.connect(house.addr).await.unwrap());
    neighbour.write(GET).await;
    assert_eq!(neighbour.read_message().await.unwrap().body, b"ok");
    drop(first);
    let mut refused = 0;
    let served = async {
        // Until the first has been seen to go, there is no place for a third.
        while house
            .ask(&GET.replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n"))
            .await
            .contains(" 429 ")
        {
            refused += 1;
        }
    };
    tokio::time::timeout(harness::PATIENCE, served).await.expect("whoever leaves is forgotten");
    house.proxy.limit(1000, &ClientLimits::default());
    let _many = (guest(&house).await, guest(&house).await, guest(&house).await);
    assert_eq!(house.proxy.rejected(), 50 + refused);
}
