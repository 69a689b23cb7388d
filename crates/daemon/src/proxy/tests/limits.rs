//! Clients and instances that are too slow or too large, each at its own cost.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Notify, mpsc};

use super::*;
use crate::config::{ClientLimits, RequestLimits};

const GET: &str = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
/// Long enough for a round or two, short enough for a test.
const SHORT: Duration = Duration::from_millis(100);
/// What nobody in a test waits for.
const LONG: Duration = Duration::from_secs(3600);

/// Nobody has to hurry.
fn patient() -> RequestLimits {
    RequestLimits {
        max_body_size: None,
        body_timeout: LONG,
        write_timeout: LONG,
        connect_timeout: LONG,
        response_timeout: None,
        upstream_body_timeout: None,
    }
}

async fn house(requests: RequestLimits) -> House {
    let mut config = config("test");
    config.requests = requests;
    House::with(config).await
}

async fn house_for(clients: ClientLimits) -> House {
    House::limited(config("test"), 1000, &clients).await
}

fn clients(header_timeout: Duration, idle_timeout: Duration) -> ClientLimits {
    ClientLimits { header_timeout, idle_timeout, ..ClientLimits::default() }
}

/// Reads requests, answers nothing, and tells when a connection has ended.
async fn silent() -> (Backend, mpsc::UnboundedReceiver<()>) {
    let (ended, has_ended) = mpsc::unbounded_channel();
    let backend = Backend::new(move |_, mut peer| {
        let ended = ended.clone();
        async move {
            peer.read_all().await;
            // A test that is over does not listen.
            let _ = ended.send(());
        }
    })
    .await;
    (backend, has_ended)
}

async fn came(mut what: mpsc::UnboundedReceiver<()>) {
    let came = tokio::time::timeout(harness::PATIENCE, what.recv()).await;
    assert_eq!(came, Ok(Some(())));
}

// ---- heads --------------------------------------------------------------------------------------

#[tokio::test]
async fn a_connection_that_says_nothing_is_closed_without_a_word() {
    let house = house_for(clients(SHORT, LONG)).await;
    assert_eq!(house.client().await.read_all().await, "");
    assert_eq!(house.proxy.rejected(), 0);
}

#[tokio::test]
async fn a_head_has_its_time_however_its_bytes_trickle() {
    let house = house_for(clients(SHORT * 3, LONG)).await;
    let mut client = house.client().await;
    client.write("GET / HTTP/1.1\r\nhost: a\r\n").await;
    let began = Instant::now();
    while house.proxy.rejected() == 0 {
        client.write("x: y\r\n").await;
        tokio::time::sleep(Duration::from_millis(5)).await;
        assert!(began.elapsed() < harness::PATIENCE, "the head was never given up");
    }
    let answer = client.read_all().await;
    assert!(answer.starts_with("HTTP/1.1 408 Request Timeout\r\n"), "{answer}");
    assert!(answer.ends_with("408 the head of the request was not complete in time\n"), "{answer}");
    assert_eq!(header(&answer, "connection"), Some("close"));
    assert_eq!(house.service.ledger().accepted, 0);
}

#[tokio::test]
async fn a_connection_is_kept_between_requests_for_its_time() {
    let house = house_for(clients(LONG, SHORT * 3)).await;
    let backend = Backend::answering(OK).await;
    house.serve(&backend);
    let mut client = house.client().await;
    let began = Instant::now();
    // Each request begins its time anew.
    while began.elapsed() < SHORT * 6 {
        client.write(GET).await;
        assert_eq!(client.read_message().await.unwrap().body, b"ok");
        tokio::time::sleep(SHORT / 2).await;
    }
    assert_eq!(client.read_all().await, "");
    assert_eq!(house.proxy.rejected(), 0);
}

#[tokio::test]
async fn headers_are_as_large_as_they_may_be() {
    let limits = ClientLimits { max_header_size: 1024, ..ClientLimits::default() };
    let house = house_for(limits).await;
    let backend = Backend::answering(OK).await;
    house.serve(&backend);
    let with =
        |fields: String| format!("GET / HTTP/1.1\r\nhost: a\r\n{fields}connection: close\r\n\r\n");
    let answer = house.ask(&with(format!("x: {}\r\n", "y".repeat(500)))).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    let answer = house.ask(&with(format!("x: {}\r\n", "y".repeat(512)))).await;
    assert!(answer.starts_with("HTTP/1.1 431 ") && answer.contains("header x is larger than 512"));
    let answer = house.ask(&with(format!("x: {}\r\n", "y".repeat(400)).repeat(3))).await;
    assert!(answer.starts_with("HTTP/1.1 431 ") && answer.contains("are larger than 1024"));
    assert_eq!((house.service.ledger().accepted, house.proxy.rejected()), (1, 2));
}

// ---- bodies -------------------------------------------------------------------------------------

#[tokio::test]
async fn a_body_that_stops_is_given_up_at_its_clients_cost() {
    let house = house(RequestLimits { body_timeout: SHORT, ..patient() }).await;
    let (backend, has_ended) = silent().await;
    let endpoint = house.serve(&backend);
    let answer = house.ask("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nhalf").await;
    assert!(answer.starts_with("HTTP/1.1 408 Request Timeout\r\n"), "{answer}");
    assert!(answer.ends_with("408 nothing more came of the body of the request\n"), "{answer}");
    assert_eq!(header(&answer, "connection"), Some("close"));
    came(has_ended).await;
    let ledger = house.settled().await;
    assert_eq!((ledger.client_aborted, ledger.lost), (1, 0));
    assert_eq!(endpoint.inside(), Default::default());
}

#[tokio::test]
async fn a_body_that_trickles_in_is_taken_to_its_end() {
    let limits =
        RequestLimits { body_timeout: SHORT * 3, response_timeout: Some(SHORT * 3), ..patient() };
    let house = house(limits).await;
    let backend = Backend::answering(OK).await;
    house.serve(&backend);
    let mut client = house.client().await;
    client.write("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 20\r\n\r\n").await;
    for _ in 0..20 {
        // Together several times what it may stop for.
        tokio::time::sleep(SHORT / 2).await;
        client.write("x").await;
    }
    assert_eq!(client.read_message().await.unwrap().body, b"ok");
    assert_eq!(house.settled().await.completed, 1);
}

#[tokio::test]
async fn an_instance_that_takes_its_time_with_a_body_is_not_held_against_the_client() {
    let house = house(RequestLimits { body_timeout: SHORT, ..patient() }).await;
    let go_on = Arc::new(Notify::new());
    let told = Arc::clone(&go_on);
    let backend = Backend::new(move |_, mut peer| {
        let told = Arc::clone(&told);
        async move {
            told.notified().await;
            peer.read_message().await;
            peer.write(OK).await;
        }
    })
    .await;
    house.serve(&backend);
    let size = 20_000_000;
    let mut client = house.client().await;
    let sending = async {
        client.write(&format!("PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: {size}\r\n\r\n")).await;
        client.write(&"x".repeat(size)).await;
        client.read_message().await.unwrap().body
    };
    let waiting = async {
        tokio::time::sleep(SHORT * 5).await;
        go_on.notify_one();
    };
    let (answer, ()) = tokio::join!(sending, waiting);
    assert_eq!(answer, b"ok");
    assert_eq!(house.settled().await.completed, 1);
}

#[tokio::test]
async fn a_body_that_says_that_it_is_too_large_reaches_no_instance() {
    let house = house(RequestLimits { max_body_size: Some(1000), ..patient() }).await;
    let backend = Backend::echoing().await;
    house.serve(&backend);
    let post = |size: usize, more: &str| {
        format!("POST / HTTP/1.1\r\nhost: a\r\n{more}content-length: {size}\r\n\r\n")
    };
    let answer = house.ask(&(post(1001, "") + &"x".repeat(1001))).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert!(answer.ends_with("the body of the request is larger than 1000 bytes\n"), "{answer}");
    // Nobody asks for a body that is refused.
    let answer = house.ask(&post(1001, "expect: 100-continue\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert_eq!((backend.connections(), house.service.ledger().accepted), (0, 0));
    assert_eq!(house.proxy.rejected(), 2);
    let answer = house.ask(&(post(1000, "connection: close\r\n") + &"x".repeat(1000))).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
}

#[tokio::test]
async fn a_body_that_turns_out_too_large_is_given_up_at_its_clients_cost() {
    let house = house(RequestLimits { max_body_size: Some(1000), ..patient() }).await;
    let (backend, has_ended) = silent().await;
    let endpoint = house.serve(&backend);
    let chunk = format!("1f4\r\n{}\r\n", "x".repeat(500));
    let mut client = house.client().await;
    client
        .write(&format!(
            "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n{chunk}{chunk}"
        ))
        .await;
    until(|| backend.connections() == 1).await;
    client.write("1\r\nx\r\n0\r\n\r\n").await;
    let answer = client.read_all().await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert_eq!(header(&answer, "connection"), Some("close"));
    came(has_ended).await;
    let ledger = house.settled().await;
    assert_eq!((ledger.client_aborted, ledger.lost, ledger.retried), (1, 0, 0));
    assert_eq!(endpoint.inside(), Default::default());
    // Nobody else is given that connection.
    let echo = Backend::echoing().await;
    house.serve(&echo);
    let exact = format!(
        "POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n\
         {chunk}{chunk}0\r\n\r\n"
    );
    assert!(house.ask(&exact).await.starts_with("HTTP/1.1 200 OK"));
}

#[tokio::test]
async fn a_client_that_breaks_off_its_body_while_it_is_answered_has_aborted() {
    let house = House::new().await;
    let backend = Backend::new(|_, mut peer| async move {
        peer.read_head().await.unwrap();
        peer.write("HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nhalf").await;
        peer.read_all().await;
    })
    .await;
    house.serve(&backend);
    let mut client = house.client().await;
    client.write("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nhalf").await;
    client.read_head().await.unwrap();
    client.end_sending().await;
    assert_eq!(client.read_all().await, "half");
    let ledger = house.settled().await;
    assert_eq!((ledger.client_aborted, ledger.lost), (1, 0));
}

// ---- answers ------------------------------------------------------------------------------------

#[tokio::test]
async fn an_instance_that_gives_no_answer_in_time_is_left_and_the_request_is_lost() {
    let house = house(RequestLimits { response_timeout: Some(SHORT), ..patient() }).await;
    let (backend, has_ended) = silent().await;
    let endpoint = house.serve(&backend);
    let mut client = house.client().await;
    client.write(GET).await;
    let answer = client.read_message().await.unwrap();
    assert!(answer.head.starts_with("HTTP/1.1 504 Gateway Timeout\r\n"), "{answer:?}");
    let body = String::from_utf8(answer.body).unwrap();
    assert!(body.ends_with("gave no answer in time\n"), "{body}");
    came(has_ended).await;
    // It may not even be idempotent, and another instance would take as long.
    let ledger = house.settled().await;
    assert_eq!((ledger.lost, ledger.client_aborted, ledger.retried), (1, 0, 0));
    assert_eq!(endpoint.inside(), Default::default());
    // The client did nothing wrong.
    let backend = Backend::answering(OK).await;
    house.serve(&backend);
    client.write(GET).await;
    assert_eq!(client.read_message().await.unwrap().body, b"ok");
}

#[tokio::test]
async fn an_instance_that_stops_reading_a_body_is_left_in_time() {
    let limits = RequestLimits { response_timeout: Some(SHORT), body_timeout: SHORT, ..patient() };
    let house = house(limits).await;
    let backend = Backend::new(|_, peer| async move {
        std::future::pending::<()>().await;
        drop(peer);
    })
    .await;
    house.serve(&backend);
    let mut client = house.client().await;
    let size = 50_000_000;
    client.write(&format!("PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: {size}\r\n\r\n")).await;
    // It breaks off as soon as nobody takes any more.
    client.write(&"x".repeat(size)).await;
    house.settled().await;
    let ledger = house.service.ledger();
    assert_eq!((ledger.lost, ledger.client_aborted), (1, 0));
}

#[tokio::test]
async fn an_answer_that_stops_is_cut_visibly_if_it_has_a_limit() {
    let limits = RequestLimits {
        upstream_body_timeout: Some(SHORT),
        response_timeout: Some(SHORT),
        ..patient()
    };
    let house = house(limits).await;
    let (ended, has_ended) = mpsc::unbounded_channel();
    let backend = Backend::new(move |_, mut peer| {
        let ended = ended.clone();
        async move {
            peer.read_message().await;
            peer.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await;
            for _ in 0..10 {
                // Together several times what it may stop for.
                tokio::time::sleep(SHORT / 4).await;
                peer.write("2\r\nhi\r\n").await;
            }
            peer.read_all().await;
            // A test that is over does not listen.
            let _ = ended.send(());
        }
    })
    .await;
    house.serve(&backend);
    let answer = house.ask(GET).await;
    assert_eq!(answer.matches("hi").count(), 10, "{answer}");
    assert!(!answer.ends_with("0\r\n\r\n"), "{answer}");
    came(has_ended).await;
    assert_eq!(house.settled().await.lost, 1);
}

/// Where nobody accepts, and no more connections fit into the queue, which are all there as well.
async fn full_queue() -> (socket2::Socket, Vec<tokio::net::TcpStream>) {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let addr = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    socket.bind(&addr.into()).unwrap();
    socket.listen(0).unwrap();
    let addr = socket.local_addr().unwrap().as_socket().unwrap();
    let mut queue = Vec::new();
    let connect = || tokio::time::timeout(SHORT * 3, tokio::net::TcpStream::connect(addr));
    while let Ok(connected) = connect().await {
        queue.push(connected.unwrap());
    }
    (socket, queue)
}

#[tokio::test]
async fn an_instance_whose_queue_is_full_is_passed_over_in_time() {
    let house = house(RequestLimits { connect_timeout: SHORT, ..patient() }).await;
    let (socket, _queue) = full_queue().await;
    let full = house.endpoint(socket.local_addr().unwrap().as_socket().unwrap());
    let backend = Backend::answering(OK).await;
    let free = house.endpoint(backend.addr);
    for _ in 0..2 {
        house.offer(&[&full, &free]);
        let answer = house
            .ask("POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 2\r\n\r\nhi")
            .await;
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    }
    let ledger = house.settled().await;
    assert_eq!((ledger.completed, ledger.lost), (2, 0));
    assert!(ledger.retried > 0, "{ledger:?}");
    assert_eq!(full.inside(), Default::default());
}

/// Answers with more than any buffer holds.
async fn endless() -> Backend {
    Backend::new(|_, mut peer| async move {
        while peer.read_message().await.is_some() {
            peer.write("HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n").await;
            let piece = "x".repeat(100_000);
            for _ in 0..10_000 {
                peer.write(&piece).await;
            }
        }
    })
    .await
}

#[tokio::test]
async fn a_client_that_takes_nothing_of_its_answer_is_given_up() {
    let limits = RequestLimits {
        write_timeout: SHORT * 2,
        upstream_body_timeout: Some(SHORT * 2),
        ..patient()
    };
    let house = house(limits).await;
    let backend = endless().await;
    let endpoint = house.serve(&backend);
    let mut client = house.client().await;
    client.write(GET).await;
    client.read_head().await.unwrap();
    assert_eq!(endpoint.inside().requests, 1);
    let ledger = house.settled().await;
    assert_eq!((ledger.client_aborted, ledger.lost), (1, 0));
    assert_eq!(endpoint.inside(), Default::default());
    // What the kernel held for it is gone too.
    assert!(client.read_all_bytes().await.len() < 1_000_000_000);
}

#[tokio::test]
async fn a_client_that_takes_its_answer_slowly_gets_all_of_it() {
    let limits =
        RequestLimits { write_timeout: SHORT * 3, upstream_body_timeout: Some(SHORT), ..patient() };
    let house = house(limits).await;
    let size = 30_000_000;
    let backend = Backend::new(move |_, mut peer| async move {
        peer.read_message().await;
        peer.write(&format!("HTTP/1.1 200 OK\r\ncontent-length: {size}\r\n\r\n")).await;
        peer.write(&"x".repeat(size)).await;
    })
    .await;
    house.serve(&backend);
    let mut client = house.client().await;
    client.write(GET).await;
    client.read_head().await.unwrap();
    let mut left = size;
    while left > 0 {
        let piece = left.min(3_000_000);
        tokio::time::sleep(SHORT).await;
        client.read_exactly(piece).await;
        left -= piece;
    }
    assert_eq!(house.settled().await.completed, 1);
}

// ---- clients that go ----------------------------------------------------------------------------

/// A client that asked, and is reset when dropped.
async fn asked(house: &House) -> tokio::net::TcpStream {
    let client = tokio::net::TcpStream::connect(house.addr).await.unwrap();
    socket2::SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
    assert_eq!(client.try_write(GET.as_bytes()).unwrap(), GET.len());
    client
}

#[tokio::test]
async fn a_client_that_resets_while_an_answer_is_awaited_frees_its_instance() {
    let house = House::new().await;
    let (backend, has_ended) = silent().await;
    let endpoint = house.serve(&backend);
    let client = asked(&house).await;
    until(|| endpoint.inside().requests == 1 && backend.connections() == 1).await;
    drop(client);
    came(has_ended).await;
    let ledger = house.settled().await;
    assert_eq!((ledger.client_aborted, ledger.lost), (1, 0));
    assert_eq!(endpoint.inside(), Default::default());
}

#[tokio::test]
async fn a_reset_in_the_middle_of_a_body_reaches_the_instance() {
    let house = house(patient()).await;
    let (backend, has_ended) = silent().await;
    house.serve(&backend);
    let client = tokio::net::TcpStream::connect(house.addr).await.unwrap();
    socket2::SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
    let half = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nhalf";
    assert_eq!(client.try_write(half).unwrap(), half.len());
    until(|| backend.connections() == 1).await;
    drop(client);
    came(has_ended).await;
    let ledger = house.settled().await;
    assert_eq!((ledger.client_aborted, ledger.lost), (1, 0));
}

#[tokio::test]
async fn a_client_that_resets_in_a_silent_answer_frees_its_instance() {
    let house = House::new().await;
    let backend = Backend::new(|_, mut peer| async move {
        peer.read_message().await;
        peer.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n").await;
        peer.read_all().await;
    })
    .await;
    let endpoint = house.serve(&backend);
    let client = asked(&house).await;
    client.readable().await.unwrap();
    drop(client);
    let ledger = house.settled().await;
    assert_eq!((ledger.client_aborted, ledger.lost), (1, 0));
    until(|| endpoint.inside() == Default::default()).await;
}

#[tokio::test]
async fn a_tunnel_may_be_idle_for_longer_than_a_connection() {
    let house = house_for(clients(LONG, SHORT)).await;
    let backend = Backend::new(|_, mut peer| async move {
        peer.read_head().await.unwrap();
        peer.write("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n")
            .await;
        let said = peer.read_exactly(2).await;
        peer.write(&said).await;
    })
    .await;
    house.serve(&backend);
    let mut client = house.client().await;
    client.write("GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n").await;
    client.read_head().await.unwrap();
    tokio::time::sleep(SHORT * 4).await;
    client.write("hi").await;
    assert_eq!(client.read_exactly(2).await, "hi");
}

#[tokio::test]
async fn another_configuration_is_for_the_requests_that_begin_then() {
    let house = house(patient()).await;
    let (backend, _has_ended) = silent().await;
    let endpoint = house.serve(&backend);
    let mut first = house.client().await;
    first.write(GET).await;
    until(|| endpoint.inside().requests == 1).await;
    let mut config = config("test");
    config.requests = RequestLimits { response_timeout: Some(SHORT), ..patient() };
    house.service.reconfigure(Arc::new(config));
    let mut second = house.client().await;
    second.write(GET).await;
    assert!(second.read_head().await.unwrap().starts_with("HTTP/1.1 504 "));
    assert_eq!(endpoint.inside().requests, 1, "the first one is not touched");
    drop(first);
}
