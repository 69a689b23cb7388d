//! Instances that fail requests: who is left out, for how long, and when nobody is.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::*;
use crate::config::ServiceConfig;
use crate::proxy::Fitness;

const GET: &str = "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
const POST: &str = "POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 2\r\n\r\nhi";
const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const ERROR: &str = "HTTP/1.1 500 Internal Server Error\r\ncontent-length: 2\r\n\r\nno";

fn config_of(max_fails: u32, fail_timeout: Duration) -> ServiceConfig {
    let mut config = config("test");
    config.limits.max_fails = max_fails;
    config.limits.fail_timeout = fail_timeout;
    config
}

async fn house(max_fails: u32) -> House {
    House::with(config_of(max_fails, Duration::from_secs(3600))).await
}

/// An instance that takes connections, and closes each without an answer until it is `well`.
async fn closing(well: &Arc<AtomicBool>) -> Backend {
    let well = Arc::clone(well);
    Backend::new(move |_, mut peer| {
        let is_well = well.load(Ordering::SeqCst);
        async move {
            while is_well && peer.read_message().await.is_some() {
                peer.write(OK).await;
            }
        }
    })
    .await
}

/// The same, never well.
async fn broken() -> Backend {
    closing(&Arc::default()).await
}

fn told(house: &House) -> Vec<Fitness> {
    house.told.lock().unwrap().iter().map(|(_, fitness)| fitness.clone()).collect()
}

#[tokio::test]
async fn an_instance_that_fails_so_many_requests_in_a_row_is_left_out() {
    let house = house(3).await;
    let (broken, well) = (broken().await, Backend::answering(OK).await);
    let (sick, fit) = (house.endpoint(broken.addr), house.endpoint(well.addr));
    house.offer(&[&sick, &fit]);
    for _ in 0..40 {
        assert!(house.ask(GET).await.ends_with("ok"));
    }
    assert_eq!(broken.connections(), 3);
    assert!(sick.is_left_out() && !fit.is_left_out());
    let told = house.told.lock().unwrap().clone();
    let [(run, Fitness::LeftOut(why))] = &told[..] else { panic!("{told:?}") };
    assert!(*run == sick.run() && !why.is_empty(), "{told:?}");
    let ledger = house.settled().await;
    assert_eq!((ledger.completed, ledger.lost, ledger.retried), (40, 0, 3));
}

#[tokio::test]
async fn refused_connections_count_as_failures_of_any_request() {
    let house = house(2).await;
    let well = Backend::answering(OK).await;
    let nobody = {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    };
    let (sick, fit) = (house.endpoint(nobody), house.endpoint(well.addr));
    house.offer(&[&sick, &fit]);
    for _ in 0..10 {
        assert!(house.ask(POST).await.ends_with("ok"));
    }
    assert!(sick.is_left_out());
    let ledger = house.settled().await;
    assert_eq!((ledger.completed, ledger.lost, ledger.retried), (10, 0, 2));
}

#[tokio::test]
async fn when_all_would_be_left_out_all_are_tried() {
    let house = house(1).await;
    let is_well = Arc::<AtomicBool>::default();
    let (one, other) = (closing(&is_well).await, closing(&is_well).await);
    let endpoints = [house.endpoint(one.addr), house.endpoint(other.addr)];
    house.offer(&[&endpoints[0], &endpoints[1]]);
    // One request is enough: it is tried here and there.
    assert!(house.ask(GET).await.starts_with("HTTP/1.1 502 "));
    assert!(endpoints.iter().all(|endpoint| endpoint.is_left_out()));
    is_well.store(true, Ordering::SeqCst);
    assert!(house.ask(GET).await.ends_with("ok"));
    // Who answered is preferred now, to whom nobody knows any good of.
    let connections = one.connections() + other.connections();
    for _ in 0..10 {
        assert!(house.ask(GET).await.ends_with("ok"));
    }
    assert_eq!(endpoints.iter().filter(|endpoint| endpoint.is_left_out()).count(), 1);
    assert!(one.connections().min(other.connections()) == 1, "{connections}");
    let ledger = house.settled().await;
    assert_eq!((ledger.completed, ledger.lost), (11, 1));
}

#[tokio::test]
async fn a_single_instance_is_never_left_out() {
    let house = house(1).await;
    let broken = broken().await;
    let endpoint = house.serve(&broken);
    for _ in 0..5 {
        assert!(house.ask(GET).await.starts_with("HTTP/1.1 502 "));
    }
    assert!(!endpoint.is_left_out() && told(&house).is_empty());
    assert_eq!(house.settled().await.lost, 5);
}

#[tokio::test]
async fn one_that_becomes_the_only_instance_is_no_longer_left_out() {
    let house = house(1).await;
    let (broken, well) = (broken().await, Backend::answering(OK).await);
    let (sick, fit) = (house.endpoint(broken.addr), house.endpoint(well.addr));
    house.offer(&[&sick, &fit]);
    for _ in 0..4 {
        house.ask(GET).await;
    }
    assert!(sick.is_left_out());
    house.offer(&[&sick]);
    assert!(!sick.is_left_out());
    assert_eq!(told(&house)[1..], [Fitness::Chosen]);
}

#[tokio::test]
async fn after_a_while_a_request_tries_it_and_an_answer_brings_it_back() {
    let house = House::with(config_of(1, Duration::from_millis(20))).await;
    let is_well = Arc::<AtomicBool>::default();
    let (broken, well) = (closing(&is_well).await, Backend::answering(OK).await);
    let (sick, fit) = (house.endpoint(broken.addr), house.endpoint(well.addr));
    house.offer(&[&sick, &fit]);
    let answered = async |condition: &dyn Fn() -> bool| {
        let asking = async {
            while !condition() {
                assert!(house.ask(GET).await.ends_with("ok"));
            }
        };
        tokio::time::timeout(harness::PATIENCE, asking).await.expect("it never came true");
    };
    // Left out, tried, left out again.
    answered(&|| broken.connections() > 3).await;
    assert!(matches!(told(&house)[..], [Fitness::LeftOut(_)]));
    is_well.store(true, Ordering::SeqCst);
    answered(&|| !sick.is_left_out()).await;
    assert_eq!(told(&house)[1..], [Fitness::Chosen]);
    assert_eq!(house.settled().await.lost, 0);
}

#[tokio::test]
async fn an_answer_is_no_failure_whatever_it_says() {
    let house = house(1).await;
    let (one, other) = (Backend::answering(ERROR).await, Backend::answering(ERROR).await);
    let endpoints = [house.endpoint(one.addr), house.endpoint(other.addr)];
    house.offer(&[&endpoints[0], &endpoints[1]]);
    for _ in 0..6 {
        assert!(house.ask(GET).await.starts_with("HTTP/1.1 500 "));
    }
    assert!(told(&house).is_empty());
}

#[tokio::test]
async fn a_kept_connection_that_is_closed_says_nothing_of_the_instance() {
    let house = house(1).await;
    // The second request on each connection gets no answer.
    let script = |_, mut peer: harness::Peer| async move {
        if peer.read_message().await.is_some() {
            peer.write(OK).await;
            let _ = peer.read_message().await;
        }
    };
    let (one, other) = (Backend::new(script).await, Backend::new(script).await);
    let endpoints = [house.endpoint(one.addr), house.endpoint(other.addr)];
    house.offer(&[&endpoints[0], &endpoints[1]]);
    for _ in 0..10 {
        assert!(house.ask(GET).await.ends_with("ok"));
    }
    let ledger = house.settled().await;
    assert!(ledger.retried > 0 && ledger.lost == 0, "{ledger:?}");
    assert!(told(&house).is_empty());
}

#[tokio::test]
async fn one_that_drains_is_not_judged() {
    let house = house(1).await;
    let backend = Backend::new(|_, mut peer| async move {
        let _ = peer.read_message().await;
        // It answers nothing until the test has seen it drain, and then it falls.
        let _ = peer.read_head().await;
    })
    .await;
    let well = Backend::answering(OK).await;
    let (drained, fit) = (house.endpoint(backend.addr), house.endpoint(well.addr));
    house.offer(&[&drained, &fit]);
    let mut clients = Vec::new();
    while drained.inside().requests == 0 {
        let mut client = house.client().await;
        client.write(POST).await;
        until(|| drained.inside().requests > 0 || house.service.ledger().in_flight == 0).await;
        clients.push(client);
    }
    until(|| backend.connections() == 1).await;
    drained.close(crate::proxy::Epoch(1));
    drop(backend);
    assert_eq!(house.settled().await.lost, 1);
    assert!(!drained.is_left_out() && told(&house).is_empty());
}

#[tokio::test]
async fn nobody_is_left_out_any_more_when_the_service_says_so() {
    let house = house(1).await;
    let (broken, well) = (broken().await, Backend::answering(OK).await);
    let (sick, fit) = (house.endpoint(broken.addr), house.endpoint(well.addr));
    house.offer(&[&sick, &fit]);
    for _ in 0..4 {
        house.ask(GET).await;
    }
    assert!(sick.is_left_out());
    house.service.reconfigure(Arc::new(config_of(0, Duration::from_secs(1))));
    assert!(!sick.is_left_out());
    let connections = broken.connections();
    for _ in 0..6 {
        assert!(house.ask(GET).await.ends_with("ok"));
    }
    assert!(broken.connections() > connections + 1 && !sick.is_left_out());
    assert_eq!(told(&house)[1..], [Fitness::Chosen]);
}

#[tokio::test]
async fn an_answer_that_is_overdue_is_a_failure() {
    let mut config = config_of(1, Duration::from_secs(3600));
    config.requests.response_timeout = Some(Duration::from_millis(50));
    let house = House::with(config).await;
    let silent = Backend::new(|_, mut peer| async move {
        let _ = peer.read_message().await;
        std::future::pending().await
    })
    .await;
    let well = Backend::answering(OK).await;
    let (sick, fit) = (house.endpoint(silent.addr), house.endpoint(well.addr));
    house.offer(&[&sick, &fit]);
    for _ in 0..10 {
        house.ask(GET).await;
    }
    assert!(sick.is_left_out() && !fit.is_left_out());
    let ledger = house.settled().await;
    assert_eq!((ledger.completed, ledger.lost, silent.connections()), (9, 1, 1));
}
