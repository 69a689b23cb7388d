//! What an instance does wrong, or has every right to do, and what becomes of the requests.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::Notify;

use super::super::harness::PATIENCE;
use super::frames::{
    CANCEL, DATA, END_HEADERS, END_STREAM, HEADERS, INTERNAL_ERROR, Instance, NO_ERROR,
    REFUSED_STREAM, RST_STREAM,
};
use super::*;
use crate::config::RequestLimits;
use crate::proxy::{Epoch, Inside};

const KEPT_GET: &str = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";

/// SETTINGS_MAX_CONCURRENT_STREAMS.
const MAX_STREAMS: u16 = 3;
/// SETTINGS_INITIAL_WINDOW_SIZE.
const WINDOW: u16 = 4;

#[tokio::test]
async fn a_refused_request_is_sent_again_whole_whatever_its_method() {
    let house = House::with(h2c()).await;
    let bodies = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&bodies);
    let instance = Instance::new(&[], move |_, mut frames| {
        let seen = Arc::clone(&seen);
        async move {
            while let Some(head) = frames.head().await {
                let body = frames.body(&head).await;
                let is_first = {
                    let mut seen = seen.lock().unwrap();
                    seen.push(String::from_utf8(body).unwrap());
                    seen.len() == 1
                };
                if is_first {
                    frames.reset(head.stream, REFUSED_STREAM).await;
                } else {
                    frames.answer_with(head.stream, "ok").await;
                }
            }
        }
    })
    .await;
    serve(&house, instance.addr, PATIENCE);
    let answer = house.ask(POST).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    assert_eq!(*bodies.lock().unwrap(), ["hi", "hi"]);
    let ledger = house.settled().await;
    assert_eq!((ledger.completed, ledger.lost, ledger.retried), (1, 0, 1));
}

#[tokio::test]
async fn a_refused_request_goes_to_another_instance_if_there_is_one() {
    let house = House::with(h2c()).await;
    let refusing = Instance::new(&[], |_, mut frames| async move {
        while let Some(head) = frames.head().await {
            frames.reset(head.stream, REFUSED_STREAM).await;
        }
    })
    .await;
    let willing = Instance::new(&[], |_, frames| frames.answer_all()).await;
    let endpoints = [house.endpoint(refusing.addr), house.endpoint(willing.addr)];
    house.offer(&[&endpoints[0], &endpoints[1]]);
    for _ in 0..4 {
        assert!(house.ask(POST).await.starts_with("HTTP/1.1 200 OK"));
    }
    let ledger = house.settled().await;
    assert_eq!((ledger.completed, ledger.lost, ledger.held), (4, 0, 0));
    assert!(ledger.retried > 0);
}

#[tokio::test]
async fn an_instance_that_refuses_for_ever_is_given_up_and_the_client_told() {
    let house = House::with(h2c()).await;
    let instance = Instance::new(&[], |_, mut frames| async move {
        while let Some(head) = frames.head().await {
            frames.reset(head.stream, REFUSED_STREAM).await;
        }
    })
    .await;
    serve(&house, instance.addr, Duration::from_millis(50));
    let answer = house.ask(GET).await;
    assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
    assert!(answer.contains("refused"), "{answer}");
    assert_eq!(house.settled().await.lost, 1);
}

#[tokio::test]
async fn what_lies_above_the_last_stream_of_a_goaway_is_sent_again_on_another_connection() {
    let house = House::with(h2c()).await;
    let instance = Instance::new(&[], |number, mut frames| async move {
        if number > 0 {
            return frames.answer_all().await;
        }
        let head = frames.head().await.unwrap();
        assert_eq!(frames.body(&head).await, b"hi");
        frames.go_away(0).await;
        // Until the other side closes.
        while frames.read().await.is_some() {}
    })
    .await;
    serve(&house, instance.addr, PATIENCE);
    assert!(house.ask(POST).await.starts_with("HTTP/1.1 200 OK"));
    let ledger = house.settled().await;
    assert_eq!((ledger.completed, ledger.lost, ledger.retried), (1, 0, 1));
    assert_eq!(instance.connections(), 2);
}

#[tokio::test]
async fn after_a_goaway_the_streams_under_way_finish_and_new_ones_go_elsewhere() {
    let house = House::with(h2c()).await;
    let go_on = Arc::new(Notify::new());
    let told = Arc::clone(&go_on);
    let instance = Instance::new(&[], move |number, mut frames| {
        let told = Arc::clone(&told);
        async move {
            if number > 0 {
                return frames.answer_all().await;
            }
            let head = frames.head().await.unwrap();
            frames.answer(head.stream, &[]).await;
            frames.go_away(head.stream).await;
            frames.write(DATA, 0, head.stream, b"half").await;
            told.notified().await;
            frames.write(DATA, END_STREAM, head.stream, b"half").await;
            while frames.read().await.is_some() {}
        }
    })
    .await;
    serve(&house, instance.addr, PATIENCE);
    let mut first = house.client().await;
    first.write(GET).await;
    first.read_head().await.unwrap();
    assert_eq!(first.read_exactly(9).await, "4\r\nhalf\r\n");
    assert!(house.ask(POST).await.starts_with("HTTP/1.1 200 OK"));
    go_on.notify_one();
    assert_eq!(first.read_all().await, "4\r\nhalf\r\n0\r\n\r\n");
    let ledger = house.settled().await;
    assert_eq!((ledger.completed, ledger.lost, ledger.retried), (2, 0, 0));
    assert_eq!(instance.connections(), 2);
}

/// How an instance ends its answer after `half`.
#[derive(Clone, Copy, Debug)]
enum End {
    Reset(u32),
    Close,
    /// Cleanly, but it had promised more.
    TooSoon,
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_never_a_whole_one() {
    for end in [
        End::Reset(INTERNAL_ERROR),
        End::Reset(NO_ERROR),
        End::Reset(CANCEL),
        End::Close,
        End::TooSoon,
    ] {
        let house = House::with(h2c()).await;
        let go_on = Arc::new(Notify::new());
        let told = Arc::clone(&go_on);
        let instance = Instance::new(&[], move |_, mut frames| {
            let told = Arc::clone(&told);
            async move {
                let head = frames.head().await.unwrap();
                match end {
                    End::TooSoon => frames.answer(head.stream, &[("content-length", "8")]).await,
                    End::Reset(_) | End::Close => frames.answer(head.stream, &[]).await,
                }
                frames.write(DATA, 0, head.stream, b"half").await;
                told.notified().await;
                match end {
                    End::Reset(code) => frames.reset(head.stream, code).await,
                    End::Close => return,
                    End::TooSoon => frames.write(DATA, END_STREAM, head.stream, b"").await,
                }
                while frames.read().await.is_some() {}
            }
        })
        .await;
        serve(&house, instance.addr, PATIENCE);
        let mut client = house.client().await;
        client.write(GET).await;
        let head = client.read_head().await.unwrap();
        assert!(head.starts_with("HTTP/1.1 200 OK"), "{end:?}: {head}");
        let half = if matches!(end, End::TooSoon) { "half" } else { "4\r\nhalf\r\n" };
        assert_eq!(client.read_exactly(half.len()).await, half, "{end:?}");
        go_on.notify_one();
        assert_eq!(client.read_all().await, "", "{end:?}");
        let ledger = house.settled().await;
        assert_eq!((ledger.lost, ledger.completed), (1, 0), "{end:?}");
    }
}

#[tokio::test]
async fn an_early_answer_is_whole_although_the_stream_is_reset_behind_it() {
    let house = House::with(h2c()).await;
    let instance = Instance::new(&[(WINDOW, 4)], |_, mut frames| async move {
        let head = frames.head().await.unwrap();
        frames.answer_with(head.stream, "enough").await;
        frames.reset(head.stream, NO_ERROR).await;
        while frames.read().await.is_some() {}
    })
    .await;
    serve(&house, instance.addr, PATIENCE);
    let mut client = house.client().await;
    client.write("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 100000\r\n\r\nmuch more").await;
    let head = client.read_head().await.unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK"), "{head}");
    assert_eq!(client.read_exactly(11).await, "6\r\nenough\r\n");
    assert_eq!(house.settled().await.completed, 1);
}

#[tokio::test]
async fn a_stream_that_is_reset_before_its_answer_is_repeated_only_if_it_may_be() {
    for (request, completed) in [(GET, 1), (POST, 0)] {
        let house = House::with(h2c()).await;
        let instance = Instance::new(&[], |number, mut frames| async move {
            if number > 0 {
                return frames.answer_all().await;
            }
            let head = frames.head().await.unwrap();
            frames.reset(head.stream, INTERNAL_ERROR).await;
            frames.answer_all().await;
        })
        .await;
        serve(&house, instance.addr, PATIENCE);
        let answer = house.ask(request).await;
        assert_eq!(answer.starts_with("HTTP/1.1 200 OK"), completed == 1, "{answer}");
        let ledger = house.settled().await;
        assert_eq!((ledger.completed, ledger.lost), (completed, 1 - completed));
    }
}

#[tokio::test]
async fn as_many_connections_as_the_instance_needs_with_one_stream_each() {
    let house = House::with(h2c()).await;
    let go_on = Arc::new(Notify::new());
    let told = Arc::clone(&go_on);
    let instance = Instance::new(&[(MAX_STREAMS, 1)], move |_, mut frames| {
        let told = Arc::clone(&told);
        async move {
            while let Some(head) = frames.head().await {
                told.notified().await;
                frames.answer_with(head.stream, "ok").await;
            }
        }
    })
    .await;
    let endpoint = serve(&house, instance.addr, PATIENCE);
    let mut clients = Vec::new();
    for _ in 0..5 {
        let mut client = house.client().await;
        client.write(KEPT_GET).await;
        clients.push(client);
    }
    until(|| instance.connections() == 5).await;
    assert_eq!(endpoint.inside(), Inside { requests: 5, tunnels: 0 });
    for _ in 0..5 {
        go_on.notify_one();
        until(|| endpoint.inside().requests < 5).await;
    }
    for mut client in clients {
        go_on.notify_waiters();
        go_on.notify_one();
        assert!(client.read_head().await.unwrap().starts_with("HTTP/1.1 200 OK"));
    }
    let ledger = house.settled().await;
    assert_eq!((ledger.completed, ledger.lost, ledger.retried), (5, 0, 0));
}

#[tokio::test]
async fn a_drain_waits_for_the_streams_and_then_closes_the_connection() {
    let house = House::with(h2c()).await;
    let go_on = Arc::new(Notify::new());
    let closed = Arc::new(Notify::new());
    let (told, tell) = (Arc::clone(&go_on), Arc::clone(&closed));
    let instance = Instance::new(&[], move |_, mut frames| {
        let (told, tell) = (Arc::clone(&told), Arc::clone(&tell));
        async move {
            let head = frames.head().await.unwrap();
            frames.answer(head.stream, &[]).await;
            told.notified().await;
            frames.write(DATA, END_STREAM, head.stream, b"late").await;
            while frames.read().await.is_some() {}
            tell.notify_one();
        }
    })
    .await;
    let endpoint = serve(&house, instance.addr, PATIENCE);
    let mut client = house.client().await;
    client.write(GET).await;
    client.read_head().await.unwrap();
    house.offer(&[]);
    assert_eq!(endpoint.close(Epoch(3)), Inside { requests: 1, tunnels: 0 });
    assert!(house.rings.lock().unwrap().is_empty());
    go_on.notify_one();
    assert_eq!(client.read_all().await, "4\r\nlate\r\n0\r\n\r\n");
    until(|| !house.rings.lock().unwrap().is_empty()).await;
    tokio::time::timeout(PATIENCE, closed.notified()).await.expect("the connection stays open");
    assert_eq!(house.settled().await.completed, 1);
}

#[tokio::test]
async fn a_client_that_goes_away_has_its_stream_cancelled_and_no_other() {
    let house = House::with(h2c()).await;
    let cancelled = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&cancelled);
    let instance = Instance::new(&[], move |_, mut frames| {
        let seen = Arc::clone(&seen);
        async move {
            while let Some(frame) = frames.read().await {
                match (frame.kind, frame.stream) {
                    (RST_STREAM, stream) => {
                        let code = <[u8; 4]>::try_from(&frame.payload[..]).unwrap();
                        seen.lock().unwrap().push((stream, u32::from_be_bytes(code)));
                        frames.answer_with(3, "ok").await;
                    }
                    (_, 1) => frames.answer(1, &[]).await,
                    _ => {}
                }
            }
        }
    })
    .await;
    serve(&house, instance.addr, PATIENCE);
    let leaving = TcpStream::connect(house.addr).await.unwrap();
    assert_eq!(leaving.try_write(KEPT_GET.as_bytes()).unwrap(), KEPT_GET.len());
    leaving.readable().await.unwrap();
    let mut staying = house.client().await;
    staying.write(GET).await;
    until(|| house.service.ledger().in_flight == 2).await;
    socket2::SockRef::from(&leaving).set_linger(Some(Duration::ZERO)).unwrap();
    drop(leaving);
    assert!(staying.read_all().await.ends_with("ok\r\n0\r\n\r\n"));
    assert_eq!(*cancelled.lock().unwrap(), [(1, CANCEL)]);
    let ledger = house.settled().await;
    assert_eq!((ledger.completed, ledger.client_aborted, ledger.lost), (1, 1, 0));
    assert_eq!(instance.connections(), 1);
}

#[tokio::test]
async fn an_instance_that_takes_nothing_is_not_taken_for_a_client_that_sends_nothing() {
    let requests = RequestLimits {
        body_timeout: Duration::from_millis(40),
        response_timeout: Some(Duration::from_millis(200)),
        ..RequestLimits::default()
    };
    let config = ServiceConfig { requests, ..h2c() };
    let house = House::with(config).await;
    let instance = Instance::new(&[(WINDOW, 0)], |_, mut frames| async move {
        while frames.read().await.is_some() {}
    })
    .await;
    serve(&house, instance.addr, PATIENCE);
    let answer = house.ask(POST).await;
    assert!(answer.starts_with("HTTP/1.1 504 "), "{answer}");
    assert_eq!(house.settled().await.lost, 1);
}

#[tokio::test]
async fn a_client_that_stops_in_the_middle_of_its_body_is_told_and_nobody_else_blamed() {
    let requests =
        RequestLimits { body_timeout: Duration::from_millis(40), ..RequestLimits::default() };
    let config = ServiceConfig { requests, ..h2c() };
    let house = House::with(config).await;
    let instance = Instance::new(&[], |_, frames| frames.answer_all()).await;
    serve(&house, instance.addr, PATIENCE);
    let mut client = house.client().await;
    client.write("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nhalf").await;
    assert!(client.read_all().await.starts_with("HTTP/1.1 408 "));
    let ledger = house.settled().await;
    assert_eq!((ledger.client_aborted, ledger.lost, ledger.completed), (1, 0, 0));
    assert!(house.ask(POST).await.starts_with("HTTP/1.1 200 OK"));
    assert_eq!(instance.connections(), 1);
}

#[tokio::test]
async fn an_answer_that_pauses_for_too_long_is_given_up() {
    let requests = RequestLimits {
        upstream_body_timeout: Some(Duration::from_millis(40)),
        ..RequestLimits::default()
    };
    let config = ServiceConfig { requests, ..h2c() };
    let house = House::with(config).await;
    let instance = Instance::new(&[], |_, mut frames| async move {
        let head = frames.head().await.unwrap();
        frames.answer(head.stream, &[]).await;
        frames.write(DATA, 0, head.stream, b"half").await;
        while frames.read().await.is_some() {}
    })
    .await;
    serve(&house, instance.addr, PATIENCE);
    let answer = house.ask(GET).await;
    assert!(answer.ends_with("4\r\nhalf\r\n"), "{answer}");
    assert_eq!(house.settled().await.lost, 1);
}

#[tokio::test]
async fn an_instance_that_speaks_http_1_is_told_from_one_that_is_down() {
    let house = House::with(h2c()).await;
    let backend = Backend::new(|_, mut peer| async move {
        peer.write("HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n").await;
    })
    .await;
    serve(&house, backend.addr, Duration::from_millis(50));
    let answer = house.ask(POST).await;
    assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
    assert!(answer.contains("it does not answer in HTTP/2"), "{answer}");
}

#[tokio::test]
async fn interim_answers_end_here_and_without_an_end_they_are_a_502() {
    /// 103: a literal value, by its name in the static table (RFC 7541 6.2.2).
    const EARLY_HINTS: &[u8] = &[0x08, 3, b'1', b'0', b'3'];
    for (count, status) in [(3, "200 OK"), (3000, "502 Bad Gateway")] {
        let house = House::with(h2c()).await;
        let instance = Instance::new(&[], move |_, mut frames| async move {
            let head = frames.head().await.unwrap();
            for _ in 0..count {
                frames.write(HEADERS, END_HEADERS, head.stream, EARLY_HINTS).await;
            }
            frames.answer_with(head.stream, "ok").await;
            while frames.read().await.is_some() {}
        })
        .await;
        serve(&house, instance.addr, PATIENCE);
        let answer = house.ask(POST).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{answer}");
    }
}
