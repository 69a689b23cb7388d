//! What an instance gets of a request, and a client of its answer.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use h2::server::SendResponse;
use http::{HeaderMap, Request, Response};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::super::harness::PATIENCE;
use super::frames::{DATA, END_STREAM, Instance};
use super::*;

/// What an instance got.
#[derive(Debug)]
struct Call {
    head: http::request::Parts,
    body: String,
    trailers: Option<HeaderMap>,
}

/// An instance of gRPC, as far as HTTP goes: it answers each call with its own message and a status.
struct Grpc {
    addr: std::net::SocketAddr,
    calls: Arc<Mutex<Vec<Call>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Grpc {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Grpc {
    async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let calls = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&calls);
        let task = tokio::spawn(async move {
            let mut serving = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let noted = Arc::clone(&noted);
                serving.spawn(async move {
                    let mut connection = h2::server::handshake(stream).await.unwrap();
                    let mut calls = JoinSet::new();
                    while let Some(Ok((request, respond))) = connection.accept().await {
                        calls.spawn(call(request, respond, Arc::clone(&noted)));
                    }
                });
            }
        });
        Self { addr, calls, task }
    }
}

async fn call(
    request: Request<h2::RecvStream>,
    mut respond: SendResponse<Bytes>,
    noted: Arc<Mutex<Vec<Call>>>,
) {
    let (head, mut incoming) = request.into_parts();
    let answer = Response::builder().header("content-type", "application/grpc").body(()).unwrap();
    let mut sending = respond.send_response(answer, false).unwrap();
    let mut body = Vec::new();
    // Message by message, as both sides of a stream of messages speak.
    while let Some(Ok(data)) = incoming.data().await {
        let _ = incoming.flow_control().release_capacity(data.len());
        body.extend_from_slice(&data);
        sending.send_data(data, false).unwrap();
    }
    let trailers = incoming.trailers().await.unwrap();
    let body = String::from_utf8(body).unwrap();
    noted.lock().unwrap().push(Call { head, body, trailers });
    let mut status = HeaderMap::new();
    status.insert("grpc-status", "0".parse().unwrap());
    sending.send_trailers(status).unwrap();
}

#[tokio::test]
async fn a_call_arrives_in_http_2_and_its_status_in_http_1() {
    let house = House::with(h2c()).await;
    let instance = Grpc::new().await;
    serve(&house, instance.addr, PATIENCE);
    let answer = house
        .ask(
            "POST /shop.Cart/Add HTTP/1.1\r\nhost: shop.example:80\r\nte: trailers\r\n\
             connection: te, close\r\ncontent-type: application/grpc\r\nx-own: 1\r\n\
             transfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n\
             5\r\nhello\r\n0\r\nx-sum: 7\r\n\r\n",
        )
        .await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("\r\nvia: 2.0 smoothserve\r\n"), "{answer}");
    assert!(answer.contains("5\r\nhello\r\n0\r\ngrpc-status: 0\r\n"), "{answer}");

    let calls = std::mem::take(&mut *instance.calls.lock().unwrap());
    let [Call { head, body, trailers }] = &calls[..] else { panic!("{calls:?}") };
    assert_eq!(head.uri, "http://shop.example:80/shop.Cart/Add");
    assert_eq!(body, "hello");
    assert_eq!(trailers.as_ref().unwrap()["x-sum"], "7");
    let fields = [
        ("te", "trailers"),
        ("content-type", "application/grpc"),
        ("x-own", "1"),
        ("trailer", "x-sum"),
        ("via", "1.1 smoothserve"),
        ("x-forwarded-for", "127.0.0.1"),
        ("x-forwarded-host", "shop.example:80"),
        ("x-forwarded-proto", "http"),
    ];
    for (name, value) in fields {
        assert_eq!(head.headers[name], value, "{name}");
    }
    for name in ["connection", "host", "transfer-encoding", "keep-alive"] {
        assert!(!head.headers.contains_key(name), "{name}");
    }
    assert_eq!(house.settled().await.completed, 1);
}

#[tokio::test]
async fn both_sides_of_a_stream_of_messages_speak_in_turn() {
    let house = House::with(h2c()).await;
    let instance = Grpc::new().await;
    serve(&house, instance.addr, PATIENCE);
    let mut client = house.client().await;
    client
        .write(
            "POST / HTTP/1.1\r\nhost: a\r\nte: trailers\r\nconnection: te, close\r\n\
             transfer-encoding: chunked\r\n\r\n",
        )
        .await;
    client.read_head().await.unwrap();
    for message in ["5\r\nfirst\r\n", "6\r\nsecond\r\n"] {
        client.write(message).await;
        assert_eq!(client.read_exactly(message.len()).await, message);
    }
    client.write("0\r\n\r\n").await;
    assert_eq!(client.read_all().await, "0\r\ngrpc-status: 0\r\n\r\n");
    assert_eq!(house.settled().await.completed, 1);
}

#[tokio::test]
async fn a_body_of_any_length_arrives_whole() {
    let house = House::with(h2c()).await;
    let instance = Grpc::new().await;
    serve(&house, instance.addr, PATIENCE);
    let body = "0123456789abcdef".repeat(64 * 1024);
    let head = format!(
        "POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let mut client = house.client().await;
    let asking = async {
        client.write(&format!("{head}{body}")).await;
        client.read_all().await
    };
    let answer = asking.await;
    assert!(answer.ends_with("0\r\n\r\n"), "{}", answer.len());
    let calls = instance.calls.lock().unwrap();
    assert_eq!(calls[0].head.headers["content-length"], body.len().to_string());
    assert!(calls[0].body == body);
}

#[tokio::test]
async fn the_requests_of_many_clients_share_one_connection() {
    let house = Arc::new(House::with(h2c()).await);
    let instance = Instance::new(&[], |_, frames| frames.answer_all()).await;
    serve(&house, instance.addr, PATIENCE);
    let mut asking = JoinSet::new();
    for _ in 0..20 {
        let house = Arc::clone(&house);
        asking.spawn(async move { house.ask(POST).await });
    }
    for answer in asking.join_all().await {
        assert!(answer.ends_with("2\r\nok\r\n0\r\n\r\n"), "{answer}");
    }
    let ledger = house.settled().await;
    assert_eq!((ledger.completed, ledger.retried, ledger.held), (20, 0, 0));
    assert_eq!(instance.connections(), 1);
}

#[tokio::test]
async fn an_expectation_is_met_here_and_an_upgrade_is_not_asked_for() {
    let house = House::with(h2c()).await;
    let instance = Grpc::new().await;
    serve(&house, instance.addr, PATIENCE);
    let mut client = house.client().await;
    client
        .write(
            "POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\nconnection: close\r\n\
             content-length: 2\r\n\r\n",
        )
        .await;
    assert_eq!(client.read_head().await.unwrap(), "HTTP/1.1 100 Continue\r\n\r\n");
    client.write("hi").await;
    assert!(client.read_all().await.contains("\r\nhi\r\n"));

    let answer = house
        .ask(
            "GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade, close\r\nupgrade: websocket\r\n\
             sec-websocket-key: x\r\n\r\n",
        )
        .await;
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    for Call { head, .. } in instance.calls.lock().unwrap().iter() {
        assert!(!head.headers.contains_key("expect") && !head.headers.contains_key("upgrade"));
    }
    assert_eq!(house.settled().await.completed, 2);
}

/// An instance may say how much there is, send it, and say in a frame of its own, or later, that it is
/// the end.
#[tokio::test]
async fn an_answer_of_known_length_is_complete_with_its_last_byte() {
    for (method, status, sent) in
        [("GET", 0x88, "ok"), ("HEAD", 0x88, ""), ("GET", 0x89, ""), ("GET", 0x8b, "")]
    {
        for is_last in [false, true] {
            let house = House::with(h2c()).await;
            let instance = Instance::new(&[], move |_, mut frames| async move {
                let head = frames.head().await.unwrap();
                let is_all = is_last && sent.is_empty();
                frames.answer_as(status, is_all, head.stream, &[("content-length", "2")]).await;
                if !is_all {
                    let flags = if is_last { END_STREAM } else { 0 };
                    frames.write(DATA, flags, head.stream, sent.as_bytes()).await;
                }
                while frames.read().await.is_some() {}
            })
            .await;
            serve(&house, instance.addr, PATIENCE);
            let request = format!("{method} / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
            let answer = house.ask(&request).await;
            assert!(answer.ends_with(&format!("\r\n\r\n{sent}")), "{method} {status}: {answer}");
            assert_eq!(answer.contains("content-length: 2\r\n"), status != 0x89, "{answer}");
            let ledger = house.settled().await;
            assert_eq!((ledger.completed, ledger.client_aborted), (1, 0), "{method} {status}");
        }
    }
}
