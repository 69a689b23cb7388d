//! Closing: a run for a restart, the house for a shutdown.

use std::sync::Arc;

use super::*;
use crate::proxy::{Endpoint, Epoch, Inside};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const GET: &str = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";

/// An instance that answers half, and the rest when it is told.
async fn slow() -> (Backend, Arc<tokio::sync::Notify>) {
    let go_on = Arc::new(tokio::sync::Notify::new());
    let told = Arc::clone(&go_on);
    let backend = Backend::new(move |_, mut peer| {
        let told = Arc::clone(&told);
        async move {
            while peer.read_message().await.is_some() {
                peer.write("HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nhalf").await;
                told.notified().await;
                peer.write("half").await;
            }
        }
    })
    .await;
    (backend, go_on)
}

#[tokio::test]
async fn a_closed_run_rings_after_the_last_byte_and_not_before() {
    let house = House::new().await;
    let (backend, go_on) = slow().await;
    let endpoint = house.serve(&backend);
    let mut client = house.client().await;
    client.write(GET).await;
    client.read_head().await.unwrap();
    assert_eq!(client.read_exactly(4).await, "half");

    house.offer(&[]);
    assert_eq!(endpoint.close(Epoch(7)), Inside { requests: 1, tunnels: 0 });
    let mut other = house.client().await;
    other.write(GET).await;
    until(|| house.service.held_now() == 1).await;
    assert!(house.rings.lock().unwrap().is_empty());

    go_on.notify_one();
    assert_eq!(client.read_exactly(4).await, "half");
    until(|| !house.rings.lock().unwrap().is_empty()).await;
    assert_eq!(*house.rings.lock().unwrap(), [(endpoint.run(), Epoch(7))]);

    let fresh = Backend::answering(OK).await;
    house.serve(&fresh);
    assert_eq!(other.read_message().await.unwrap().body, b"ok");
    let ledger = house.settled().await;
    assert_eq!((ledger.completed, ledger.lost), (2, 0));
}

#[tokio::test]
async fn an_empty_run_rings_at_once_and_may_be_reopened() {
    let house = House::new().await;
    let backend = Backend::answering(OK).await;
    let endpoint = house.serve(&backend);
    let mut client = house.client().await;
    client.write(GET).await;
    client.read_message().await.unwrap();
    house.settled().await;
    assert_eq!(endpoint.close(Epoch(1)), Inside::default());
    assert_eq!(*house.rings.lock().unwrap(), [(endpoint.run(), Epoch(1))]);

    client.write(GET).await;
    until(|| house.service.held_now() == 1).await;
    endpoint.reopen();
    house.offer(&[&endpoint]);
    assert_eq!(client.read_message().await.unwrap().body, b"ok");
    assert_eq!(backend.connections(), 2, "idle connections are closed by a drain");
}

/// Asks until told to stop, on one connection, and says how often it was answered.
async fn customer(house: Arc<House>, stop: Arc<std::sync::atomic::AtomicBool>) -> u64 {
    let mut client = house.client().await;
    let mut answered = 0;
    while !stop.load(std::sync::atomic::Ordering::SeqCst) {
        let request = match answered % 2 {
            0 => GET,
            _ => "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nhi",
        };
        client.write(request).await;
        let answer = client.read_message().await.expect("an answer");
        assert_eq!(answer.body, b"ok", "{answer:?}");
        answered += 1;
    }
    answered
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rolling_restarts_under_load_lose_nothing() {
    for instances in [1, 3] {
        let house = Arc::new(House::new().await);
        let mut running = Vec::new();
        for _ in 0..instances {
            let backend = Backend::answering(OK).await;
            running.push((house.endpoint(backend.addr), backend));
        }
        let offer = |running: &[(Arc<Endpoint>, Backend)]| {
            house.offer(&running.iter().map(|(endpoint, _)| endpoint).collect::<Vec<_>>());
        };
        offer(&running);
        let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let customers: Vec<_> =
            (0..8).map(|_| tokio::spawn(customer(Arc::clone(&house), Arc::clone(&stop)))).collect();
        for restart in 0..60 {
            let before = house.service.ledger().completed;
            until(|| house.service.ledger().completed > before).await;
            let (old, process) = running.remove(0);
            offer(&running);
            old.close(Epoch(restart));
            until(|| house.rings.lock().unwrap().contains(&(old.run(), Epoch(restart)))).await;
            assert_eq!(old.inside(), Inside::default());
            drop(process);
            old.dead();
            let backend = Backend::answering(OK).await;
            running.push((house.endpoint(backend.addr), backend));
            offer(&running);
        }
        stop.store(true, std::sync::atomic::Ordering::SeqCst);
        let mut answered = 0;
        for customer in customers {
            answered += customer.await.unwrap();
        }
        let ledger = house.settled().await;
        assert_eq!((ledger.completed, ledger.accepted), (answered, answered), "{ledger:?}");
        assert_eq!(house.rings.lock().unwrap().len(), 60, "each closing rings once");
    }
}

#[tokio::test]
async fn cutting_a_run_ends_what_is_inside() {
    let house = House::new().await;
    let (backend, _go_on) = slow().await;
    let endpoint = house.serve(&backend);
    let mut client = house.client().await;
    client.write(GET).await;
    client.read_head().await.unwrap();
    endpoint.close(Epoch(2));
    endpoint.cut();
    assert_eq!(client.read_all().await, "half");
    let ledger = house.settled().await;
    assert_eq!((ledger.cut, ledger.lost, ledger.client_aborted), (1, 0, 0));
    until(|| *house.rings.lock().unwrap() == [(endpoint.run(), Epoch(2))]).await;
}

#[tokio::test]
async fn requests_go_to_the_least_busy_instance_and_take_turns() {
    let house = House::new().await;
    let (busy, _go_on) = slow().await;
    let idle = Backend::answering(OK).await;
    let (a, b) = (house.endpoint(busy.addr), house.endpoint(idle.addr));
    house.offer(&[&a]);
    let mut client = house.client().await;
    client.write(GET).await;
    client.read_head().await.unwrap();
    house.offer(&[&a, &b]);
    let mut other = house.client().await;
    for _ in 0..4 {
        other.write(GET).await;
        assert_eq!(other.read_message().await.unwrap().body, b"ok");
    }
    house.proxy.cut_all();
}

#[tokio::test]
async fn closing_the_doors_finishes_what_is_under_way() {
    let house = House::new().await;
    let (backend, go_on) = slow().await;
    house.serve(&backend);
    let (mut busy, mut idle) = (house.client().await, house.client().await);
    busy.write(GET).await;
    busy.read_head().await.unwrap();
    idle.write("GET / HTTP/1.1\r\n\r\n").await;
    house.proxy.close_doors();
    go_on.notify_one();
    assert_eq!(busy.read_all().await, "halfhalf");
    assert!(idle.read_all().await.starts_with("HTTP/1.1 400 "));
    tokio::time::timeout(harness::PATIENCE, house.proxy.closed()).await.unwrap();
    assert_eq!(house.settled().await.completed, 1);
    assert!(tokio::net::TcpStream::connect(house.addr).await.is_err());
}

#[tokio::test]
async fn an_answer_after_the_doors_closed_says_so_and_late_clients_in_the_queue_are_served() {
    let house = House::new().await;
    let backend = Backend::answering(OK).await;
    house.serve(&backend);
    // Connected before the doors close, and perhaps not accepted yet.
    let mut client = house.client().await;
    house.proxy.close_doors();
    client.write(GET).await;
    let answer = client.read_all().await;
    assert!(answer.ends_with("ok"), "{answer}");
    assert_eq!(header(&answer, "connection"), Some("close"));
}

#[tokio::test]
async fn cutting_all_ends_every_client() {
    let house = House::new().await;
    let (backend, _go_on) = slow().await;
    house.serve(&backend);
    let mut client = house.client().await;
    client.write(GET).await;
    client.read_head().await.unwrap();
    house.proxy.cut_all();
    assert_eq!(client.read_all().await, "half");
    tokio::time::timeout(harness::PATIENCE, house.proxy.closed()).await.unwrap();
    assert_eq!(house.settled().await.cut, 1);
}
