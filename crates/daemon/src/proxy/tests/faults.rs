//! What goes wrong, and that no request is lost by it that need not be.

use std::time::Duration;

use super::*;
use crate::proxy::{Choice, WhenNone};

const GET: &str = "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
const POST: &str = "POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 2\r\n\r\nhi";
const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// An address where nobody listens.
async fn nobody() -> std::net::SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap()
}

#[tokio::test]
async fn a_request_is_held_until_an_instance_is_ready() {
    let house = House::new().await;
    let backend = Backend::answering(OK).await;
    let mut client = house.client().await;
    client.write(POST).await;
    until(|| house.service.held_now() == 1).await;
    assert_eq!(house.service.ledger().in_flight, 1);
    house.serve(&backend);
    let answer = client.read_all().await;
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    let ledger = house.settled().await;
    assert_eq!((ledger.completed, ledger.held, house.service.held_now()), (1, 1, 0));
}

#[tokio::test]
async fn a_client_that_resets_its_connection_leaves_the_queue() {
    let house = House::new().await;
    let client = tokio::net::TcpStream::connect(house.addr).await.unwrap();
    assert_eq!(client.try_write(POST.as_bytes()).unwrap(), POST.len());
    until(|| house.service.held_now() == 1).await;
    socket2::SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
    drop(client);
    until(|| house.service.held_now() == 0).await;
    let ledger = house.settled().await;
    assert_eq!((ledger.client_aborted, ledger.lost), (1, 0));
}

#[tokio::test]
async fn a_client_that_only_stops_sending_is_held_and_answered() {
    let house = House::new().await;
    let mut client = house.client().await;
    client.write(GET).await;
    client.end_sending().await;
    until(|| house.service.held_now() == 1).await;
    let backend = Backend::answering(OK).await;
    house.serve(&backend);
    assert!(client.read_all().await.ends_with("ok"));
    assert_eq!(house.settled().await.completed, 1);
}

#[tokio::test]
async fn a_request_held_for_too_long_gets_a_503_and_counts_as_lost() {
    let house = House::new().await;
    let when_none = WhenNone::Hold(Duration::from_millis(10));
    house.service.offer(Choice { endpoints: Vec::new(), when_none });
    let answer = house.ask(GET).await;
    assert!(answer.starts_with("HTTP/1.1 503 Service Unavailable"), "{answer}");
    assert!(header(&answer, "retry-after").is_some());
    let ledger = house.settled().await;
    assert_eq!((ledger.lost, ledger.held), (1, 1));
}

#[tokio::test]
async fn no_more_requests_are_held_than_allowed() {
    let mut config = config("test");
    config.limits.hold_max = 1;
    let house = House::with(config).await;
    let mut first = house.client().await;
    first.write(GET).await;
    until(|| house.service.held_now() == 1).await;
    let answer = house.ask(GET).await;
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("too many"), "{answer}");
    let backend = Backend::answering(OK).await;
    house.serve(&backend);
    assert!(first.read_all().await.ends_with("ok"));
    assert_eq!(house.settled().await.lost, 1);
}

#[tokio::test]
async fn a_stopped_service_refuses_and_a_failed_one_loses() {
    let house = House::new().await;
    let offer = |when_none| house.service.offer(Choice { endpoints: Vec::new(), when_none });
    offer(WhenNone::Stopped("stopped by ann".into()));
    let answer = house.ask(GET).await;
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("stopped by ann"), "{answer}");
    offer(WhenNone::Failed("10 crashes".into()));
    let answer = house.ask(GET).await;
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("10 crashes"), "{answer}");
    let ledger = house.settled().await;
    assert_eq!((ledger.refused, ledger.accepted, ledger.lost), (1, 1, 1));
}

#[tokio::test]
async fn when_an_instance_refuses_the_connection_another_gets_even_a_post() {
    let house = House::new().await;
    let backend = Backend::answering(OK).await;
    let (dead, alive) = (house.endpoint(nobody().await), house.endpoint(backend.addr));
    house.offer(&[&dead, &alive]);
    for _ in 0..4 {
        let answer = house.ask(POST).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    }
    let ledger = house.settled().await;
    assert_eq!((ledger.completed, ledger.lost, ledger.held), (4, 0, 0));
    assert!(ledger.retried > 0);
    assert_eq!(dead.inside(), Default::default());
}

#[tokio::test]
async fn when_every_instance_refuses_the_request_waits_for_another() {
    let house = House::new().await;
    let dead = house.endpoint(nobody().await);
    house.offer(&[&dead]);
    let mut client = house.client().await;
    client.write(POST).await;
    until(|| house.service.held_now() == 1).await;
    let backend = Backend::answering(OK).await;
    house.serve(&backend);
    assert!(client.read_all().await.ends_with("ok"));
    assert_eq!(house.settled().await.completed, 1);
}

#[tokio::test]
async fn when_nobody_can_be_reached_in_time_it_is_a_502() {
    let house = House::new().await;
    let endpoints = vec![house.endpoint(nobody().await)];
    let when_none = WhenNone::Hold(Duration::from_millis(10));
    house.service.offer(Choice { endpoints, when_none });
    let answer = house.ask(GET).await;
    assert!(answer.starts_with("HTTP/1.1 502 Bad Gateway"), "{answer}");
    assert_eq!(house.settled().await.lost, 1);
}

#[tokio::test]
async fn an_instance_that_closes_idle_connections_loses_no_request() {
    let house = House::new().await;
    let backend = Backend::new(|_, mut peer| async move {
        if peer.read_message().await.is_some() {
            peer.write(OK).await;
        }
    })
    .await;
    house.serve(&backend);
    let mut client = house.client().await;
    for request in 0..100 {
        let method = if request % 2 == 0 { "GET" } else { "POST" };
        client.write(&format!("{method} / HTTP/1.1\r\nhost: a\r\n\r\n")).await;
        let answer = client.read_message().await.unwrap();
        assert!(answer.head.starts_with("HTTP/1.1 200 OK"), "{request}: {answer:?}");
    }
    assert_eq!(house.settled().await.completed, 100);
}

#[tokio::test]
async fn a_get_that_dies_with_its_instance_is_sent_once_more_and_a_post_is_not() {
    let house = House::new().await;
    let murdered = Backend::new(|_, mut peer| async move {
        peer.read_message().await;
    })
    .await;
    let healthy = Backend::answering(OK).await;
    let (dying, alive) = (house.endpoint(murdered.addr), house.endpoint(healthy.addr));
    for request in
        [GET, "PUT / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 2\r\n\r\nhi"]
    {
        // Twice, so that each is chosen first once.
        for _ in 0..2 {
            house.offer(&[&dying, &alive]);
            let answer = house.ask(request).await;
            assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
        }
    }
    assert!(house.settled().await.retried > 0);
    house.offer(&[&dying]);
    let answer = house.ask(POST).await;
    assert!(answer.starts_with("HTTP/1.1 502 Bad Gateway"), "{answer}");
    let ledger = house.settled().await;
    assert_eq!((ledger.completed, ledger.lost), (4, 1));
}

#[tokio::test]
async fn a_get_whose_only_instance_dies_is_answered_by_the_next_run() {
    let house = House::new().await;
    let murdered = Backend::new(|_, mut peer| async move {
        peer.read_message().await;
        std::future::pending::<()>().await;
    })
    .await;
    let dying = house.serve(&murdered);
    let mut client = house.client().await;
    client.write(GET).await;
    until(|| murdered.connections() == 1).await;
    drop(murdered);
    until(|| house.service.held_now() == 1).await;
    dying.dead();
    house.offer(&[]);
    assert_eq!(dying.inside(), Default::default());
    let backend = Backend::answering(OK).await;
    house.serve(&backend);
    assert!(client.read_all().await.ends_with("ok"));
    let ledger = house.settled().await;
    assert_eq!((ledger.completed, ledger.retried, ledger.lost), (1, 1, 0));
    assert!(house.rings.lock().unwrap().is_empty(), "the dead owe no ring");
}

#[tokio::test]
async fn idle_connections_are_closed_after_their_time() {
    let house = House::new().await;
    let (closed, mut was_closed) = tokio::sync::mpsc::unbounded_channel();
    let backend = Backend::new(move |_, mut peer| {
        let closed = closed.clone();
        async move {
            while peer.read_message().await.is_some() {
                peer.write(OK).await;
            }
            closed.send(()).unwrap();
        }
    })
    .await;
    house.serve(&backend);
    assert!(house.ask(GET).await.ends_with("ok"));
    let closed = tokio::time::timeout(harness::PATIENCE, was_closed.recv()).await;
    assert_eq!(closed, Ok(Some(())));
}

#[tokio::test]
async fn a_truncated_answer_is_visible_and_lost() {
    for head in ["content-length: 9\r\n\r\nhalf", "transfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n"]
    {
        let house = House::new().await;
        let answer: &str = format!("HTTP/1.1 200 OK\r\n{head}").leak();
        let backend = Backend::new(move |_, mut peer| async move {
            peer.read_message().await;
            peer.write(answer).await;
        })
        .await;
        house.serve(&backend);
        let mut client = house.client().await;
        client.write("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
        let got = client.read_all().await;
        assert!(!got.contains("0\r\n\r\n"), "{got}");
        let ledger = house.settled().await;
        assert_eq!((ledger.lost, ledger.accepted, ledger.retried), (1, 1, 0), "{head}");
    }
}

#[tokio::test]
async fn a_client_that_leaves_in_the_middle_of_an_answer_has_aborted() {
    let house = House::new().await;
    let backend = Backend::new(|_, mut peer| async move {
        peer.read_message().await;
        peer.write("HTTP/1.1 200 OK\r\ncontent-length: 100000000\r\n\r\n").await;
        for _ in 0..1000 {
            peer.write(&"x".repeat(100_000)).await;
        }
    })
    .await;
    let endpoint = house.serve(&backend);
    let mut client = house.client().await;
    client.write(GET).await;
    client.read_head().await.unwrap();
    assert_eq!(endpoint.inside().requests, 1);
    drop(client);
    assert_eq!(house.settled().await.client_aborted, 1);
    until(|| endpoint.inside().requests == 0).await;
}

#[tokio::test]
async fn a_client_that_leaves_in_the_middle_of_its_request_has_aborted() {
    let house = House::new().await;
    let backend = Backend::answering(OK).await;
    house.serve(&backend);
    let mut client = house.client().await;
    client.write("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nhalf").await;
    until(|| backend.connections() == 1).await;
    drop(client);
    assert_eq!(house.settled().await.client_aborted, 1);
}

#[tokio::test]
async fn an_upload_larger_than_any_buffer_streams_through() {
    let house = House::new().await;
    let backend = Backend::answering(OK).await;
    house.serve(&backend);
    let mut client = house.client().await;
    let size = 3_000_000;
    client.write(&format!("PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: {size}\r\n\r\n")).await;
    client.write(&"x".repeat(size)).await;
    assert_eq!(client.read_message().await.unwrap().body, b"ok");
    assert_eq!(house.settled().await.completed, 1);
}

#[tokio::test]
async fn a_request_sent_again_because_a_kept_connection_was_closed_is_counted_for_its_run() {
    let house = House::new().await;
    // Answers once, and closes when the next request comes.
    let backend = Backend::new(|_, mut peer| async move {
        if peer.read_message().await.is_some() {
            peer.write(OK).await;
            peer.read_message().await;
        }
    })
    .await;
    let endpoint = house.serve(&backend);
    let mut client = house.client().await;
    for _ in 0..3 {
        client.write("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
        assert_eq!(client.read_message().await.unwrap().body, b"ok");
    }
    assert_eq!(house.settled().await.completed, 3);
    assert_eq!(endpoint.sent_again(), 2);
    // An instance that fell is not to blame for how it ends connections.
    endpoint.dead();
    assert_eq!(endpoint.sent_again(), 0);
}

#[tokio::test]
async fn a_failure_on_a_new_connection_is_not_taken_for_one_that_was_kept() {
    let house = House::new().await;
    let murdered = Backend::new(|_, mut peer| async move {
        peer.read_message().await;
    })
    .await;
    let endpoint = house.serve(&murdered);
    let answer = house.ask(GET).await;
    assert!(answer.starts_with("HTTP/1.1 502 Bad Gateway"), "{answer}");
    assert_eq!((house.settled().await.retried, endpoint.sent_again()), (1, 0));
}

#[tokio::test]
async fn the_slowest_wait_is_that_of_a_request_and_is_forgotten_when_asked() {
    let house = House::new().await;
    assert_eq!(house.service.slowest_wait(), None);
    let backend = Backend::answering(OK).await;
    let mut client = house.client().await;
    let began = std::time::Instant::now();
    client.write(GET).await;
    until(|| house.service.held_now() == 1).await;
    let is_held = std::time::Instant::now();
    until(|| is_held.elapsed() > Duration::from_millis(5)).await;
    house.serve(&backend);
    assert!(client.read_all().await.ends_with("ok"));
    let slowest = house.service.slowest_wait().unwrap();
    assert!(slowest >= Duration::from_millis(5) && slowest <= began.elapsed(), "{slowest:?}");
    house.service.forget_waits();
    assert_eq!(house.service.slowest_wait(), None);
}
