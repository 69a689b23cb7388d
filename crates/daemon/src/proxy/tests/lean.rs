//! Plain requests, which are served without hyper, and the others among them.

use std::sync::Arc;

use tokio::net::TcpStream;

use super::*;
use crate::proxy::client::{self, Admission, Client, Entrance};
use crate::proxy::stream::Stream;

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const GET: &str = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";

#[tokio::test]
async fn plain_requests_and_others_are_answered_in_the_order_they_came() {
    let requests = [
        "GET /1 HTTP/1.1\r\nhost: a\r\n\r\n",
        "POST /2 HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nhi",
        "GET /3 HTTP/1.1\r\nhost: a\r\n\r\n",
        "PUT /4 HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        "DELETE /5 HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n",
        "GET /6 HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n",
        "GET /7 HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
    ];
    let house = House::new().await;
    let backend = Backend::echoing().await;
    house.serve(&backend);
    // The one that hyper is given first is another each time.
    for first in 0..4 {
        let answers = house.ask(&requests[first..].concat()).await;
        let lines = requests[first..].iter().map(|request| request.lines().next().unwrap());
        let places: Vec<_> = lines.map(|line| answers.find(line)).collect();
        assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{answers}");
        assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), places.len(), "{answers}");
    }
    assert_eq!(house.settled().await.completed, 7 + 6 + 5 + 4);
}

#[tokio::test]
async fn a_head_may_come_byte_by_byte() {
    let house = House::new().await;
    let backend = Backend::answering(OK).await;
    house.serve(&backend);
    let mut client = house.client().await;
    for _ in 0..2 {
        for place in 0..GET.len() {
            client.write(&GET[place..=place]).await;
            tokio::task::yield_now().await;
        }
        assert_eq!(client.read_message().await.unwrap().body, b"ok");
    }
    assert_eq!(house.settled().await.completed, 2);
}

#[tokio::test]
async fn a_head_that_is_not_read_at_once_is_read_to_its_end_and_not_further() {
    let house = House::new().await;
    let backend = Backend::echoing().await;
    house.serve(&backend);
    let mut client = house.client().await;
    let large: String =
        (0..3).map(|number| format!("x-{number}: {}\r\n", "y".repeat(9000))).collect();
    let request = format!("GET /1 HTTP/1.1\r\nhost: a\r\n{large}\r\n");
    client.write(&[&request, GET, &request].concat()).await;
    for is_large in [true, false, true] {
        let echo = client.read_message().await.unwrap().body;
        assert_eq!(echo.len() > 27_000, is_large);
    }
    assert_eq!(house.settled().await.completed, 3);
}

#[tokio::test]
async fn what_came_of_an_answer_before_it_broke_off_is_passed_on() {
    for rest in ["content-length: 9\r\n\r\nhalf", "transfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n"]
    {
        let house = House::new().await;
        let answer: &str = format!("HTTP/1.1 200 OK\r\n{rest}").leak();
        let backend = Backend::new(move |_, mut peer| async move {
            peer.read_message().await;
            peer.write(answer).await;
        })
        .await;
        house.serve(&backend);
        let answer = house.ask(GET).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.ends_with(rest.split_once("\r\n\r\n").unwrap().1), "{answer}");
        assert_eq!(house.settled().await.lost, 1);
    }
}

#[tokio::test]
async fn an_answer_in_pieces_arrives_piece_by_piece() {
    let house = House::new().await;
    let go_on = Arc::new(tokio::sync::Notify::new());
    let told = Arc::clone(&go_on);
    let backend = Backend::new(move |_, mut peer| {
        let told = Arc::clone(&told);
        async move {
            while peer.read_message().await.is_some() {
                peer.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await;
                for piece in ["2\r\nab\r\n", "1\r\nc\r\n", "0\r\n\r\n"] {
                    told.notified().await;
                    peer.write(piece).await;
                }
            }
        }
    })
    .await;
    house.serve(&backend);
    let mut client = house.client().await;
    for _ in 0..2 {
        client.write(GET).await;
        let head = client.read_head().await.unwrap();
        assert_eq!(header(&head, "transfer-encoding"), Some("chunked"));
        for piece in ["2\r\nab\r\n", "1\r\nc\r\n", "0\r\n\r\n"] {
            go_on.notify_one();
            assert_eq!(client.read_exactly(piece.len()).await, piece);
        }
    }
    assert_eq!(house.settled().await.completed, 2);
}

#[tokio::test]
async fn who_has_been_answered_when_the_doors_close_is_listened_to_for_a_last_request() {
    let house = House::new().await;
    let backend = Backend::answering(OK).await;
    house.serve(&backend);
    let (mut one, mut other) = (house.client().await, house.client().await);
    for client in [&mut one, &mut other] {
        client.write(GET).await;
        assert_eq!(client.read_message().await.unwrap().body, b"ok");
    }
    house.proxy.close_doors();
    one.write(GET).await;
    let answer = one.read_all().await;
    assert_eq!(header(&answer, "connection"), Some("close"));
    assert!(answer.ends_with("ok"), "{answer}");
    assert_eq!(other.read_all().await, "");
    assert_eq!(house.settled().await.completed, 3);
}

#[tokio::test]
async fn an_idle_connection_has_no_room_for_a_request() {
    let house = House::new().await;
    let socket = TcpStream::connect(house.addr).await.unwrap();
    let (proxy, entrance) = (Arc::clone(&house.proxy), Entrance::new(house.addr));
    let client = Client::new(proxy, entrance, house.addr, Admission::default(), None);
    let serving = client::serve(client, Stream::Plain(socket));
    assert!(size_of_val(&serving) < 640, "{}", size_of_val(&serving));
}
