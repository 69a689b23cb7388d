//! Clients that mean harm: each ends or is bounded, and others are answered meanwhile.

use super::wire::{self, Ended, Wire};
use super::*;

const CALM: Ended = Ended::GoneAway(11);

/// Sends what `piece` makes, over and over, and says how the connection ends. Somebody polite asks
/// meanwhile.
async fn flood(first: Vec<u8>, mut piece: impl FnMut(u32) -> Vec<u8>) -> (House, Ended) {
    let house = house().await;
    let backend = Backend::answering(OK).await;
    house.serve(&backend);
    let polite = Polite::connect(&house).await;
    let Wire { mut writer, mut reader } = Wire::connect(&house).await;
    writer.write(&first).await;
    let ended = tokio::spawn(async move { reader.end().await });
    let mut count = 0;
    while !ended.is_finished() && writer.write(&piece(count)).await {
        count += 1;
        assert!(count < 100_000, "it may go on for ever");
        if count % 100 == 0 {
            assert_eq!(polite.get().await.unwrap().body, "ok");
        }
    }
    assert_eq!(polite.get().await.unwrap().body, "ok");
    (house, patiently(ended).await.unwrap())
}

async fn is_calmed(first: Vec<u8>, piece: impl FnMut(u32) -> Vec<u8>) {
    let (house, ended) = flood(first, piece).await;
    assert_eq!(ended, CALM);
    house.settled().await;
}

fn frames(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    wire::frame(kind, flags, stream, payload).repeat(50)
}

fn whole_post() -> Vec<u8> {
    wire::frame(wire::HEADERS, wire::END_HEADERS, 1, &wire::fields(wire::POST))
}

#[tokio::test]
async fn pings() {
    is_calmed(Vec::new(), |_| frames(wire::PING, 0, 0, &[0; 8])).await;
}

#[tokio::test]
async fn settings() {
    is_calmed(Vec::new(), |_| frames(wire::SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 1])).await;
    is_calmed(Vec::new(), |_| frames(wire::SETTINGS, 0, 0, &[])).await;
}

#[tokio::test]
async fn priorities_and_kinds_that_nobody_knows() {
    is_calmed(Vec::new(), |_| frames(wire::PRIORITY, 0, 1, &[0, 0, 0, 0, 9])).await;
    is_calmed(Vec::new(), |_| frames(0xfa, 0, 0, &[])).await;
}

#[tokio::test]
async fn window_updates() {
    is_calmed(Vec::new(), |_| frames(wire::WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1])).await;
}

#[tokio::test]
async fn empty_data() {
    is_calmed(whole_post(), |_| frames(wire::DATA, 0, 1, &[])).await;
    is_calmed(whole_post(), |_| {
        frames(wire::DATA, wire::PADDED, 1, &[9, 0, 0, 0, 0, 0, 0, 0, 0, 0])
    })
    .await;
}

#[tokio::test]
async fn streams_that_are_reset_as_soon_as_they_are_opened() {
    let (house, ended) = flood(Vec::new(), |count| {
        let stream = 2 * count + 1;
        let get = wire::fields(wire::GET);
        let get = wire::frame(wire::HEADERS, wire::END_STREAM | wire::END_HEADERS, stream, &get);
        [get, wire::frame(wire::RST_STREAM, 0, stream, &8_u32.to_be_bytes())].concat()
    })
    .await;
    assert_eq!(ended, CALM);
    let ledger = house.settled().await;
    assert_eq!((ledger.lost, ledger.cut), (0, 0));
    assert!(ledger.client_aborted < 1000, "{ledger:?}");
}

#[tokio::test]
async fn a_request_that_comes_with_its_reset_bothers_no_instance() {
    let house = house().await;
    let backend = Backend::answering(OK).await;
    house.serve(&backend);
    let mut wire = waiting(&house).await;
    let get = |stream| {
        let get = wire::fields(wire::GET);
        wire::frame(wire::HEADERS, wire::END_STREAM | wire::END_HEADERS, stream, &get)
    };
    let reset = |stream| wire::frame(wire::RST_STREAM, 0, stream, &8_u32.to_be_bytes());
    let given_up = (1..20).step_by(2).flat_map(|stream| [get(stream), reset(stream)]);
    let asked = [given_up.collect::<Vec<_>>().concat(), get(21)].concat();
    wire.write(&asked).await;
    assert_eq!(wire.end_of(21).await, Ended::Answered("ok".into()));
    let ledger = house.settled().await;
    assert_eq!((ledger.accepted, ledger.completed, backend.connections()), (1, 1, 1));
}

#[tokio::test]
async fn streams_that_make_us_reset_them() {
    // A window that overflows, one stream after another.
    let (house, ended) = flood(Vec::new(), |count| {
        let stream = 2 * count + 1;
        let post = wire::fields(wire::POST);
        let post = wire::frame(wire::HEADERS, wire::END_HEADERS, stream, &post);
        let most = 0x7fff_ffff_u32.to_be_bytes();
        [post, wire::frame(wire::WINDOW_UPDATE, 0, stream, &most)].concat()
    })
    .await;
    assert_eq!(ended, CALM);
    assert_eq!(house.settled().await.lost, 0);
}

#[tokio::test]
async fn more_streams_than_may_be() {
    let (house, ended) = flood(Vec::new(), |count| {
        let post = wire::fields(wire::POST);
        wire::frame(wire::HEADERS, wire::END_HEADERS, 2 * count + 1, &post)
    })
    .await;
    assert_eq!(ended, CALM);
    let ledger = house.settled().await;
    assert_eq!(ledger.client_aborted, 128, "no more were let in: {ledger:?}");
}

#[tokio::test]
async fn a_header_list_that_goes_on_and_on() {
    // Each is small, and none is the last.
    is_calmed(wire::frame(wire::HEADERS, wire::END_STREAM, 1, &wire::fields(wire::GET)), |_| {
        wire::frame(wire::CONTINUATION, 0, 1, &wire::fields(&[("x", "y")]))
    })
    .await;
    is_calmed(wire::frame(wire::HEADERS, wire::END_STREAM, 1, &wire::fields(wire::GET)), |_| {
        frames(wire::CONTINUATION, 0, 1, &[])
    })
    .await;
    // Each is as large as may be.
    let large = wire::fields(&[("x", &"y".repeat(16_000))]);
    is_calmed(
        wire::frame(wire::HEADERS, wire::END_STREAM, 1, &wire::fields(wire::GET)),
        move |_| wire::frame(wire::CONTINUATION, 0, 1, &large),
    )
    .await;
}

#[tokio::test]
async fn a_header_list_that_is_small_only_on_the_wire() {
    let house = house().await;
    let mut wire = Wire::connect(&house).await;
    // Four thousand bytes that are remembered, and four thousand references to them, of a byte each.
    let mut block = wire::fields(wire::GET);
    block.extend([0x40, 1, b'x', 127, 0xa1, 0x1e]);
    block.extend([b'y'; 4000]);
    block.extend([0xbe; 4000]);
    wire.send(wire::HEADERS, wire::END_STREAM | wire::END_HEADERS, 1, &block).await;
    let ended = wire.end_of(1).await;
    assert!(
        matches!(ended, Ended::GoneAway(_) | Ended::Reset(_))
            || ended == Ended::Answered(String::new()),
        "{ended:?}"
    );
    assert_eq!(house.service.ledger().accepted, 0);
}

/// A client of a service without an instance, which has heard how large windows are.
async fn waiting(house: &House) -> Wire {
    let mut wire = Wire::connect(house).await;
    wire.until(wire::SETTINGS).await;
    wire.send(wire::SETTINGS, wire::ACK, 0, &[]).await;
    wire
}

#[tokio::test]
async fn a_body_that_nobody_reads_is_bounded_by_its_window() {
    let house = house().await;
    let mut wire = waiting(&house).await;
    wire.write(&whole_post()).await;
    until(|| house.service.held_now() == 1).await;
    for _ in 0..9 {
        wire.send(wire::DATA, 0, 1, &[b'x'; 16_384]).await;
    }
    assert_eq!(wire.end_of(1).await, Ended::Reset(3));
    let ledger = house.settled().await;
    assert_eq!((ledger.client_aborted, ledger.lost), (1, 0));
}

#[tokio::test]
async fn bodies_that_nobody_reads_leave_room_for_another() {
    let house = house().await;
    let mut wire = waiting(&house).await;
    let post = wire::fields(wire::POST);
    for stream in (1..255).step_by(2) {
        wire.send(wire::HEADERS, wire::END_HEADERS, stream, &post).await;
        for _ in 0..8 {
            wire.send(wire::DATA, 0, stream, &[b'x'; 16_384]).await;
        }
    }
    wire.send(wire::HEADERS, wire::END_HEADERS, 255, &post).await;
    wire.send(wire::DATA, wire::END_STREAM, 255, &[b'x'; 16_384]).await;
    until(|| house.service.held_now() == 128).await;
    let backend = Backend::answering(OK).await;
    house.serve(&backend);
    assert_eq!(wire.end_of(255).await, Ended::Answered("ok".into()));
    house.proxy.cut_all();
}
