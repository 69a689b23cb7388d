//! Who holds a run back, as an operator is told.

use std::sync::Arc;
use std::time::{Duration, Instant};

use smoothserve_protocol::snapshot::Blocker;

use super::*;
use crate::proxy::client::{Admission, Client, Entrance};
use crate::proxy::endpoint::Age;
use crate::proxy::visit::{RequestLine, Visit};
use crate::proxy::{Endpoint, Epoch};

/// Says that it has the request, and no more.
async fn silent() -> Backend {
    Backend::new(|_, mut peer| async move {
        peer.read_message().await;
        std::future::pending::<()>().await;
    })
    .await
}

fn paths(blockers: &[Blocker]) -> Vec<&str> {
    blockers.iter().map(|blocker| blocker.path.as_str()).collect()
}

fn blockers(endpoint: &Endpoint) -> Vec<Blocker> {
    endpoint.blockers(Instant::now(), 10)
}

#[tokio::test]
async fn whoever_is_inside_is_named_the_oldest_first() {
    let house = House::new().await;
    let backend = silent().await;
    let endpoint = house.serve(&backend);
    let mut clients = Vec::new();
    for (number, path) in ["/a?token=secret", "/b", "/c"].into_iter().enumerate() {
        let client = tokio::net::TcpStream::connect(house.addr).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n");
        assert_eq!(client.try_write(request.as_bytes()).unwrap(), request.len());
        until(|| endpoint.blockers(Instant::now(), 10).len() == number + 1).await;
        clients.push(client);
    }
    endpoint.close(Epoch(1));
    let named = endpoint.blockers(Instant::now() + Duration::from_secs(60), 10);
    assert_eq!(paths(&named), ["/a", "/b", "/c"]);
    assert!(named.iter().all(|blocker| blocker.age_ms >= 60_000), "{named:?}");
    assert!(named.iter().all(|blocker| blocker.method == "GET" && !blocker.tunnel), "{named:?}");
    for (blocker, client) in named.iter().zip(&clients) {
        assert_eq!(blocker.client, client.local_addr().unwrap().to_string());
    }
    assert_eq!(paths(&endpoint.blockers(Instant::now(), 2)), ["/a", "/b"]);
}

#[tokio::test]
async fn a_request_that_was_held_is_as_old_as_its_client_thinks() {
    let house = House::new().await;
    let backend = silent().await;
    let mut client = house.client().await;
    client.write("POST /late HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n").await;
    until(|| house.service.held_now() == 1).await;
    let held = Instant::now();
    let endpoint = house.serve(&backend);
    until(|| blockers(&endpoint).len() == 1).await;
    let [blocker] = &endpoint.blockers(held + Duration::from_secs(5), 10)[..] else { panic!() };
    assert_eq!((blocker.method.as_str(), blocker.path.as_str()), ("POST", "/late"));
    assert!(blocker.age_ms >= 5_000, "{blocker:?}");
}

#[tokio::test]
async fn a_tunnel_is_named_by_the_request_it_came_from() {
    let house = House::new().await;
    let backend = Backend::new(|_, mut peer| async move {
        peer.read_head().await.unwrap();
        peer.write(
            "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: chat\r\n\r\n",
        )
        .await;
        peer.read_all().await;
    })
    .await;
    let endpoint = house.serve(&backend);
    let mut client = house.client().await;
    let path = format!("/{}", "x".repeat(200));
    client
        .write(&format!(
            "GET {path}?a=b HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: chat\r\n\r\n"
        ))
        .await;
    client.read_head().await.unwrap();
    until(|| house.service.tunnels_now() == 1).await;
    house.settled().await;
    let [blocker] = &blockers(&endpoint)[..] else { panic!() };
    assert!(blocker.tunnel, "{blocker:?}");
    assert_eq!((blocker.method.as_str(), blocker.path.as_str()), ("GET", &path[..128]));
    endpoint.close(Epoch(1));
    endpoint.end_tunnels();
    until(|| !house.rings.lock().unwrap().is_empty()).await;
    assert_eq!(blockers(&endpoint), []);
}

#[tokio::test]
async fn nobody_is_named_who_has_been_answered_or_has_gone() {
    let house = House::new().await;
    let backend = Backend::answering("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
    let endpoint = house.serve(&backend);
    let mut client = house.client().await;
    for _ in 0..3 {
        client.write("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
        client.read_message().await.unwrap();
    }
    house.settled().await;
    until(|| blockers(&endpoint).is_empty()).await;

    let backend = silent().await;
    let endpoint = house.serve(&backend);
    client.write("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    until(|| blockers(&endpoint).len() == 1).await;
    endpoint.close(Epoch(1));
    endpoint.cut();
    until(|| blockers(&endpoint).is_empty()).await;
    assert_eq!(house.settled().await.cut, 1);
}

#[tokio::test]
async fn a_request_whose_instance_dies_is_no_longer_named() {
    let house = House::new().await;
    let has_it = Arc::new(tokio::sync::Notify::new());
    let sign = Arc::clone(&has_it);
    let backend = Backend::new(move |_, mut peer| {
        let sign = Arc::clone(&sign);
        async move {
            peer.read_message().await;
            sign.notify_one();
            std::future::pending::<()>().await;
        }
    })
    .await;
    let endpoint = house.serve(&backend);
    let mut client = house.client().await;
    client.write("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n").await;
    // It is named before it is connected; one that was never sent would be sent elsewhere.
    has_it.notified().await;
    assert_eq!(blockers(&endpoint).len(), 1);
    drop(backend);
    until(|| blockers(&endpoint).is_empty()).await;
    assert_eq!(house.settled().await.lost, 1);
}

#[tokio::test]
async fn a_task_that_panics_leaves_nobody_behind() {
    let house = House::new().await;
    let endpoint = house.endpoint(house.addr);
    let client = Client::new(
        Arc::clone(&house.proxy),
        Entrance::new(house.addr),
        house.addr,
        Admission::default(),
        None,
    );
    let mut pass = endpoint.enter().unwrap();
    let (sat, is_seated) = tokio::sync::oneshot::channel();
    let task = tokio::spawn(async move {
        let line = RequestLine::of(&http::Request::new(()).into_parts().0);
        let now = Instant::now();
        assert!(pass.sit(Visit::new(client, None, line, now), now, Age::Any).is_none());
        sat.send(()).unwrap();
        tokio::task::yield_now().await;
        panic!("on purpose");
    });
    is_seated.await.unwrap();
    assert_eq!(blockers(&endpoint).len(), 1);
    assert!(task.await.unwrap_err().is_panic());
    assert_eq!(blockers(&endpoint), []);
    assert_eq!(endpoint.inside(), Default::default());
}
