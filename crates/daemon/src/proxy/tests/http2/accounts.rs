//! Each stream is counted, given up and cut by itself, and its connection ends when it has to.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use super::wire::{self, Ended, Wire};
use super::*;
use crate::config::RequestLimits;
use crate::proxy::{Epoch, Inside};

/// Long enough for a round or two, short enough for a test.
const SHORT: Duration = Duration::from_millis(100);

/// An instance that answers half, and the rest when it is told.
async fn slow() -> (Backend, Arc<Notify>) {
    let go_on = Arc::new(Notify::new());
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

/// Waits for the first half.
async fn half(wire: &mut Wire) {
    assert_eq!(wire.until(wire::DATA).await.payload, b"half");
}

#[tokio::test]
async fn a_stream_that_its_client_resets_is_its_clients_and_the_others_go_on() {
    let house = house().await;
    let (backend, go_on) = slow().await;
    let endpoint = house.serve(&backend);
    let mut wire = Wire::connect(&house).await;
    for stream in [1, 3] {
        wire.get(stream).await;
        half(&mut wire).await;
    }
    wire.send(wire::RST_STREAM, 0, 1, &8_u32.to_be_bytes()).await;
    until(|| endpoint.inside().requests == 1).await;
    go_on.notify_waiters();
    assert_eq!(wire.end_of(3).await, Ended::Answered("half".into()));
    let ledger = house.settled().await;
    assert_eq!((ledger.completed, ledger.client_aborted), (1, 1));
}

#[tokio::test]
async fn a_client_that_goes_away_takes_its_streams_with_it() {
    let house = house().await;
    let (backend, _go_on) = slow().await;
    house.serve(&backend);
    let mut wire = Wire::connect(&house).await;
    wire.get(1).await;
    half(&mut wire).await;
    wire.get(3).await;
    half(&mut wire).await;
    drop(wire);
    let ledger = house.settled().await;
    assert_eq!((ledger.accepted, ledger.client_aborted), (2, 2));
    until(|| house.proxy.connections().0 == 0).await;
}

#[tokio::test]
async fn a_truncated_answer_resets_its_stream_and_is_lost() {
    let house = house().await;
    let backend = Backend::new(|_, mut peer| async move {
        peer.read_message().await.unwrap();
        peer.write("HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nhalf").await;
    })
    .await;
    house.serve(&backend);
    let mut wire = Wire::connect(&house).await;
    wire.get(1).await;
    assert_eq!(wire.end_of(1).await, Ended::Reset(2));
    let ledger = house.settled().await;
    assert_eq!((ledger.lost, ledger.completed), (1, 0));
}

#[tokio::test]
async fn a_closed_run_rings_after_the_last_stream() {
    let house = house().await;
    let (backend, go_on) = slow().await;
    let endpoint = house.serve(&backend);
    let mut wire = Wire::connect(&house).await;
    wire.get(1).await;
    half(&mut wire).await;
    house.offer(&[]);
    assert_eq!(endpoint.close(Epoch(1)), Inside { requests: 1, tunnels: 0 });
    wire.get(3).await;
    until(|| house.service.held_now() == 1).await;
    let fresh = Backend::answering(OK).await;
    house.serve(&fresh);
    assert_eq!(wire.end_of(3).await, Ended::Answered("ok".into()));
    assert!(house.rings.lock().unwrap().is_empty());
    go_on.notify_one();
    assert_eq!(wire.end_of(1).await, Ended::Answered("half".into()));
    until(|| !house.rings.lock().unwrap().is_empty()).await;
    let ledger = house.settled().await;
    assert_eq!((ledger.completed, ledger.lost), (2, 0));
}

#[tokio::test]
async fn cutting_a_run_cuts_its_streams_and_no_other() {
    let house = house().await;
    let (backend, _go_on) = slow().await;
    let endpoint = house.serve(&backend);
    let mut wire = Wire::connect(&house).await;
    wire.get(1).await;
    half(&mut wire).await;
    let fresh = Backend::answering(OK).await;
    house.serve(&fresh);
    endpoint.close(Epoch(2));
    endpoint.cut();
    assert_eq!(wire.end_of(1).await, Ended::Reset(8));
    wire.get(3).await;
    assert_eq!(wire.end_of(3).await, Ended::Answered("ok".into()));
    let ledger = house.settled().await;
    assert_eq!((ledger.cut, ledger.completed, ledger.lost), (1, 1, 0));
}

#[tokio::test]
async fn cutting_all_cuts_every_stream() {
    let house = house().await;
    let (backend, _go_on) = slow().await;
    house.serve(&backend);
    let mut wire = Wire::connect(&house).await;
    for stream in [1, 3, 5] {
        wire.get(stream).await;
        half(&mut wire).await;
    }
    house.proxy.cut_all();
    assert_eq!(wire.end().await, Ended::Closed);
    patiently(house.proxy.closed()).await;
    let ledger = house.settled().await;
    assert_eq!((ledger.cut, ledger.client_aborted), (3, 0));
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_given_up_at_its_own_cost() {
    let mut config = config("test");
    config.requests = RequestLimits {
        write_timeout: SHORT,
        // None of it is the instance's fault.
        upstream_body_timeout: Some(SHORT / 2),
        ..RequestLimits::default()
    };
    let house = house_with(config, limits()).await;
    let backend = Backend::new(|_, mut peer| async move {
        peer.read_message().await.unwrap();
        peer.write("HTTP/1.1 200 OK\r\ncontent-length: 10000000\r\n\r\n").await;
        peer.write(&"x".repeat(10_000_000)).await;
    })
    .await;
    house.serve(&backend);
    let mut wire = Wire::connect(&house).await;
    wire.get(1).await;
    // The window is never opened again.
    assert_eq!(wire.end_of(1).await, Ended::Reset(8));
    let ledger = house.settled().await;
    assert_eq!((ledger.client_aborted, ledger.lost), (1, 0));
}

#[tokio::test]
async fn an_answer_of_which_nothing_is_taken_does_not_stay() {
    let mut config = config("test");
    config.requests = RequestLimits { write_timeout: SHORT, ..RequestLimits::default() };
    let house = house_with(config, limits()).await;
    let backend = Backend::answering(OK).await;
    house.serve(&backend);
    let mut wire = Wire::silent(&house).await;
    wire.write(wire::PREFACE).await;
    // SETTINGS_INITIAL_WINDOW_SIZE is 0.
    wire.send(wire::SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]).await;
    wire.get(1).await;
    assert_eq!(wire.end_of(1).await, Ended::Reset(8));
}

#[tokio::test]
async fn a_body_that_stops_is_given_up_at_its_clients_cost() {
    let mut config = config("test");
    config.requests = RequestLimits { body_timeout: SHORT, ..RequestLimits::default() };
    let house = house_with(config, limits()).await;
    let backend = Backend::new(|_, mut peer| async move {
        peer.read_all().await;
    })
    .await;
    house.serve(&backend);
    let mut wire = Wire::connect(&house).await;
    wire.send(wire::HEADERS, wire::END_HEADERS, 1, &wire::fields(wire::POST)).await;
    wire.send(wire::DATA, 0, 1, b"half").await;
    let answer = "408 nothing more came of the body of the request\n";
    assert_eq!(wire.end_of(1).await, Ended::Answered(answer.into()));
    assert_eq!(wire.end_of(1).await, Ended::Reset(0));
    let ledger = house.settled().await;
    assert_eq!((ledger.client_aborted, ledger.lost), (1, 0));
}

#[tokio::test]
async fn a_connection_without_a_stream_is_closed_after_its_time_whatever_else_it_sends() {
    let limits = ClientLimits { idle_timeout: SHORT * 3, ..limits() };
    let house = house_with(config("test"), limits).await;
    let (backend, go_on) = slow().await;
    house.serve(&backend);
    let mut wire = Wire::connect(&house).await;
    wire.get(1).await;
    half(&mut wire).await;
    tokio::time::sleep(SHORT * 5).await;
    // It has not been idle yet.
    go_on.notify_one();
    assert_eq!(wire.end_of(1).await, Ended::Answered("half".into()));
    let began = std::time::Instant::now();
    while wire.send(wire::PING, 0, 0, &[0; 8]).await && house.proxy.connections().0 > 0 {
        assert!(began.elapsed() < super::PATIENCE, "it stayed");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let goodbye = wire.until(wire::GOAWAY).await;
    assert_eq!(wire::code(&goodbye.payload[4..]), 0);
}

#[tokio::test]
async fn a_connection_that_says_nothing_or_half_a_hello_is_closed() {
    let limits = ClientLimits { header_timeout: SHORT, ..limits() };
    let house = house_with(config("test"), limits).await;
    for hello in [b"" as &[u8], b"PRI * HT", wire::PREFACE, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0"]
    {
        let mut wire = Wire::silent(&house).await;
        wire.write(hello).await;
        assert_eq!(wire.end().await, Ended::Closed);
    }
}

#[tokio::test]
async fn closing_the_doors_finishes_the_streams_and_asks_for_no_more() {
    let house = house().await;
    let (backend, go_on) = slow().await;
    house.serve(&backend);
    let mut wire = Wire::connect(&house).await;
    wire.get(1).await;
    half(&mut wire).await;
    house.proxy.close_doors();
    let goodbye = wire.until(wire::GOAWAY).await;
    assert_eq!(wire::code(&goodbye.payload), 0x7fff_ffff, "no stream is refused yet");
    let ping = wire.until(wire::PING).await;
    // Under way when the client heard of it.
    wire.get(3).await;
    half(&mut wire).await;
    wire.send(wire::PING, wire::ACK, 0, &ping.payload).await;
    let goodbye = wire.until(wire::GOAWAY).await;
    assert_eq!(wire::code(&goodbye.payload), 3, "the last stream is named");
    go_on.notify_waiters();
    for _ in 0..2 {
        half(&mut wire).await;
    }
    assert_eq!(wire.end().await, Ended::Closed);
    patiently(house.proxy.closed()).await;
    assert_eq!(house.settled().await.completed, 2);
}

#[tokio::test]
async fn leaving_one_port_asks_its_clients_to_leave_as_well() {
    let house = house().await;
    let (backend, go_on) = slow().await;
    house.serve(&backend);
    let mut wire = Wire::connect(&house).await;
    wire.get(1).await;
    half(&mut wire).await;
    house.proxy.leave(house.service.config().listen);
    let ping = wire.until(wire::PING).await;
    wire.send(wire::PING, wire::ACK, 0, &ping.payload).await;
    go_on.notify_one();
    assert_eq!(wire.end_of(1).await, Ended::Answered("half".into()));
    assert_eq!(wire.end().await, Ended::Closed);
    assert_eq!(house.settled().await.completed, 1);
}

#[tokio::test]
async fn closing_the_doors_does_not_wait_for_a_client_that_does_not_listen() {
    let house = house().await;
    let backend = Backend::answering(OK).await;
    house.serve(&backend);
    let mut wire = Wire::connect(&house).await;
    wire.get(1).await;
    assert_eq!(wire.end_of(1).await, Ended::Answered("ok".into()));
    let silent = Wire::silent(&house).await;
    house.proxy.close_doors();
    // The PING is never acknowledged.
    patiently(house.proxy.closed()).await;
    assert_eq!(wire.end().await, Ended::Closed);
    drop(silent);
}

#[tokio::test]
async fn a_client_library_hears_that_the_house_closes() {
    let house = house().await;
    let (backend, go_on) = slow().await;
    house.serve(&backend);
    let client = Polite::connect(&house).await;
    let asking = tokio::spawn({
        let sender = client.sender.clone();
        async move { Polite { sender, connection: tokio::spawn(async { Ok(()) }) }.get().await }
    });
    until(|| house.service.ledger().in_flight == 1).await;
    house.proxy.close_doors();
    go_on.notify_one();
    assert_eq!(patiently(asking).await.unwrap().unwrap().body, "halfhalf");
    patiently(client.connection).await.unwrap().unwrap();
    patiently(house.proxy.closed()).await;
}
