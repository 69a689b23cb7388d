//! Clients inside TLS, and those who do not get that far.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWrite as _, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{ClientConfig, HandshakeKind, RootCertStore, SupportedProtocolVersion};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::harness::{PATIENCE, Peer};
use super::*;
use crate::config::{ClientLimits, Host, RequestLimits, Route, ServiceConfig, TlsListener, Trust};
use crate::proxy::client::{Admission, Client, Entrance};
use crate::proxy::linger::Lingering;
use crate::proxy::progress::Awaited;
use crate::proxy::stream::{Socket, Stream};
use crate::proxy::{RouteTable, ServiceProxy};
use crate::tls::tests::certificate;
use crate::tls::{Certificate, MinVersion, Terms, Tickets};

const SHORT: Duration = Duration::from_millis(150);
pub(super) const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const GET: &str = "GET / HTTP/1.1\r\nhost: shop.example\r\n\r\n";

/// What a client of a test knows, and wants.
#[derive(Clone)]
pub(super) struct Visitor {
    believes: Vec<CertificateDer<'static>>,
    versions: Vec<&'static SupportedProtocolVersion>,
    protocols: Vec<Vec<u8>>,
    name: ServerName<'static>,
}

impl Visitor {
    pub(super) fn new(certificates: &[Arc<Certificate>]) -> Self {
        let believes = certificates.iter().map(|one| one.signed().cert[0].clone()).collect();
        let name = ServerName::try_from("shop.example").unwrap();
        let protocols = vec![b"http/1.1".to_vec()];
        Self { believes, versions: vec![&TLS13, &TLS12], protocols, name }
    }

    fn asking_for(&self, name: &'static str) -> Self {
        Self { name: ServerName::try_from(name).unwrap(), ..self.clone() }
    }

    fn connector(&self) -> TlsConnector {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(self.believes.iter().cloned());
        let provider = Arc::new(aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&self.versions)
            .unwrap();
        let mut config = config.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = self.protocols.clone();
        TlsConnector::from(Arc::new(config))
    }

    async fn connect(&self, stream: TcpStream) -> std::io::Result<TlsStream<TcpStream>> {
        let connecting = self.connector().connect(self.name.clone(), stream);
        tokio::time::timeout(PATIENCE, connecting).await.expect("the handshake has no end")
    }

    async fn stream(&self, house: &House) -> TlsStream<TcpStream> {
        self.connect(TcpStream::connect(house.addr).await.unwrap()).await.unwrap()
    }

    pub(super) async fn enter(&self, house: &House) -> Peer {
        Peer::on(self.stream(house).await)
    }
}

pub(super) fn listener(certificates: &[Arc<Certificate>]) -> TlsListener {
    let (certificates, min_version) = (certificates.to_vec(), MinVersion::Tls12);
    TlsListener { port: 0, certificates, min_version, http2: true }
}

/// Lets the house speak TLS, and gives a client that believes it.
fn secure(house: &House) -> Visitor {
    let certificates = [certificate(&["shop.example"])];
    house.proxy.secure(&[listener(&certificates)]);
    Visitor::new(&certificates)
}

async fn house_for(requests: RequestLimits, clients: ClientLimits) -> House {
    House::limited(ServiceConfig { requests, ..config("test") }, 1000, &clients).await
}

#[tokio::test]
async fn a_client_that_offers_http_2_is_spoken_to_in_it() {
    let house = House::new().await;
    let backend = Backend::echoing().await;
    house.serve(&backend);
    let protocols = [&b"h2"[..], b"http/1.1"].map(<[u8]>::to_vec).to_vec();
    let visitor = Visitor { protocols, ..secure(&house) };
    let stream = visitor.stream(&house).await;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let (requests, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    for _ in 0..2 {
        let request = http::Request::get("https://shop.example/").body(()).unwrap();
        let mut requests = requests.clone().ready().await.unwrap();
        let (answer, _) = requests.send_request(request, true).unwrap();
        let answer = tokio::time::timeout(PATIENCE, answer).await.unwrap().unwrap();
        assert_eq!(answer.status(), 200);
        let (mut body, mut told) = (answer.into_body(), Vec::new());
        while let Some(data) = body.data().await {
            told.extend(data.unwrap());
        }
        let told = String::from_utf8(told).unwrap();
        assert!(told.contains("x-forwarded-proto: https\r\n"), "{told}");
    }
    assert_eq!(house.settled().await.completed, 2);
}

#[tokio::test]
async fn where_http_2_is_not_wanted_it_is_not_offered() {
    let house = House::new().await;
    let certificates = [certificate(&["shop.example"])];
    house.proxy.secure(&[TlsListener { http2: false, ..listener(&certificates) }]);
    let protocols = [&b"h2"[..], b"http/1.1"].map(<[u8]>::to_vec).to_vec();
    let visitor = Visitor { protocols, ..Visitor::new(&certificates) };
    let stream = visitor.stream(&house).await;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
}

/// What a connection keeps for its requests is given back while none comes.
#[tokio::test]
async fn a_client_that_rested_is_served_again() {
    let house = House::new().await;
    let backend = Backend::echoing().await;
    house.serve(&backend);
    let mut plain = house.client().await;
    plain.write(GET).await;
    assert!(plain.read_message().await.is_some());
    let mut inside = secure(&house).enter(&house).await;
    inside.write(GET).await;
    assert!(inside.read_message().await.is_some());
    until(|| house.proxy.doors().resting() == 2).await;
    for client in [&mut plain, &mut inside] {
        // In two pieces: the first ends the rest, and is kept.
        let (begun, rest) = GET.split_at(9);
        client.write(begun).await;
        until(|| house.proxy.doors().resting() < 2).await;
        client.write(rest).await;
        let answer = client.read_message().await.unwrap();
        assert!(answer.head.starts_with("HTTP/1.1 200 OK"), "{answer:?}");
    }
    assert_eq!(house.settled().await.completed, 4);
}

#[tokio::test]
async fn a_request_inside_tls_is_answered_and_its_instance_is_told() {
    let house = House::new().await;
    house.proxy.trust(Trust { forwarded: true, ..Trust::default() });
    let backend = Backend::echoing().await;
    house.serve(&backend);
    let visitor = secure(&house);
    for versions in [vec![&TLS13], vec![&TLS12]] {
        let visitor = Visitor { versions, ..visitor.clone() };
        let mut client = visitor.enter(&house).await;
        for _ in 0..2 {
            client.write(GET).await;
            let answer = client.read_message().await.unwrap();
            let request = String::from_utf8(answer.body).unwrap();
            assert_eq!(header(&request, "x-forwarded-proto"), Some("https"), "{request}");
            let forwarded = "for=127.0.0.1;host=\"shop.example\";proto=https";
            assert_eq!(header(&request, "forwarded"), Some(forwarded), "{request}");
        }
    }
    assert_eq!(house.settled().await.completed, 4);
    assert_eq!(house.proxy.tls_handshakes(), (2, 0));
}

#[tokio::test]
async fn the_protocol_is_agreed_on() {
    let house = House::new().await;
    let visitor = secure(&house);
    for (asked, agreed) in [
        (&["http/1.1"][..], Ok(Some("http/1.1"))),
        (&["spdy/3", "http/1.0", "http/1.1"], Ok(Some("http/1.1"))),
        (&["http/1.0"], Ok(Some("http/1.0"))),
        (&[], Ok(None)),
        (&["spdy/3"], Err(())),
    ] {
        let protocols = asked.iter().map(|name| name.as_bytes().to_vec()).collect();
        let visitor = Visitor { protocols, ..visitor.clone() };
        let stream = visitor.connect(TcpStream::connect(house.addr).await.unwrap()).await;
        let found = stream.map_err(drop);
        let found = found.as_ref().map(|stream| stream.get_ref().1.alpn_protocol());
        assert_eq!(found, agreed.as_ref().map(|name| name.map(str::as_bytes)), "{asked:?}");
    }
}

#[tokio::test]
async fn a_client_is_shown_the_certificate_for_the_host_it_names() {
    let house = House::new().await;
    let names = [
        &["first.example"][..],
        &["shop.example", "*.shop.example"],
        &["admin.shop.example"],
        &["*.eu.shop.example"],
    ];
    let certificates = names.map(certificate);
    house.proxy.secure(&[listener(&certificates)]);
    let visitor = Visitor::new(&certificates);
    for (asked, shown) in [
        ("first.example", 0),
        ("shop.example", 1),
        ("SHOP.example", 1),
        ("www.shop.example", 1),
        ("admin.shop.example", 2),
        ("a.eu.shop.example", 3),
    ] {
        let stream = visitor.asking_for(asked).stream(&house).await;
        let certificate = &stream.get_ref().1.peer_certificates().unwrap()[0];
        assert_eq!(*certificate, certificates[shown].signed().cert[0], "{asked}");
    }
    // What is shown then is the first one, which no such client believes.
    for asked in ["other.example", "a.b.shop.example", "127.0.0.1"] {
        let stream = TcpStream::connect(house.addr).await.unwrap();
        let refused = visitor.asking_for(asked).connect(stream).await.map(drop).unwrap_err();
        assert!(refused.to_string().contains("first.example"), "{asked}: {refused}");
    }
}

#[tokio::test]
async fn another_certificate_is_for_those_who_come_then() {
    let house = House::new().await;
    let backend = Backend::answering(OK).await;
    house.serve(&backend);
    let old = secure(&house);
    let mut early = old.enter(&house).await;
    let new = secure(&house);
    let mut late = new.enter(&house).await;
    let stream = TcpStream::connect(house.addr).await.unwrap();
    assert!(old.connect(stream).await.is_err(), "the old one is shown no more");
    for client in [&mut early, &mut late] {
        client.write(GET).await;
        assert!(client.read_message().await.is_some());
    }
    house.proxy.secure(&[]);
    early.write(GET).await;
    assert!(early.read_message().await.is_some(), "who is inside stays inside");
    assert!(house.ask("GET / HTTP/1.0\r\n\r\n").await.starts_with("HTTP/1.0 200 "));
}

#[tokio::test]
async fn plain_http_is_told_that_tls_is_spoken() {
    let house = House::new().await;
    let backend = Backend::answering(OK).await;
    house.serve(&backend);
    secure(&house);
    for request in [GET, "POST / HTTP/1.0\r\ncontent-length: 3\r\n\r\nabc", "g"] {
        let answer = house.ask(request).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
        assert!(answer.ends_with("400 TLS is spoken here: ask with https://\n"), "{answer}");
        assert_eq!(header(&answer, "connection"), Some("close"));
    }
    assert_eq!(house.proxy.rejected(), 3);
    assert_eq!(house.proxy.tls_handshakes(), (0, 0));
    assert_eq!(backend.connections(), 0);
}

/// A ClientHello of TLS 1.1.
fn hello_of_1_1() -> Vec<u8> {
    let groups = [0, 10, 0, 4, 0, 2, 0, 29];
    let signatures = [0, 13, 0, 4, 0, 2, 4, 3];
    let extensions = [&[0, 16][..], &groups, &signatures].concat();
    let ciphers = [0, 2, 0xc0, 0x13];
    let body = [&[3, 2][..], &[7; 32], &[0], &ciphers, &[1, 0], &extensions].concat();
    let handshake = [&[1, 0, 0, body.len() as u8][..], &body].concat();
    [&[22, 3, 1, 0, handshake.len() as u8][..], &handshake].concat()
}

#[tokio::test]
async fn who_speaks_no_tls_that_we_speak_is_told_so_and_counted() {
    let house = House::new().await;
    let visitor = secure(&house);
    let mut old = TcpStream::connect(house.addr).await.unwrap();
    old.write_all(&hello_of_1_1()).await.unwrap();
    let mut alert = Vec::new();
    old.read_to_end(&mut alert).await.unwrap();
    // A fatal alert, `protocol_version` (RFC 8446 6.2).
    assert_eq!((alert[0], &alert[5..]), (21, &[2, 70][..]), "{alert:?}");
    until(|| house.proxy.tls_handshakes() == (0, 1)).await;

    for garbage in [&[0x80, 0x2e, 1, 0, 2][..], &[22; 100], &[0; 20_000]] {
        let mut stranger = TcpStream::connect(house.addr).await.unwrap();
        stranger.write_all(garbage).await.unwrap();
        let _ = stranger.read_to_end(&mut Vec::new()).await;
    }
    until(|| house.proxy.tls_handshakes() == (0, 4)).await;

    let certificates = [certificate(&["shop.example"])];
    let min_version = MinVersion::Tls13;
    house.proxy.secure(&[TlsListener { min_version, ..listener(&certificates) }]);
    let late = Visitor { versions: vec![&TLS12], ..visitor };
    assert!(late.connect(TcpStream::connect(house.addr).await.unwrap()).await.is_err());
    until(|| house.proxy.tls_handshakes() == (0, 5)).await;
    assert_eq!(house.proxy.rejected(), 0);
}

#[tokio::test]
async fn a_handshake_that_stops_is_ended_in_its_time() {
    let limits = ClientLimits { header_timeout: SHORT, ..ClientLimits::default() };
    let house = house_for(RequestLimits::default(), limits).await;
    secure(&house);
    let hello = hello_of_1_1();
    for begun in [&b""[..], &hello[..1], &hello[..20]] {
        let mut client = TcpStream::connect(house.addr).await.unwrap();
        client.write_all(begun).await.unwrap();
        let mut said = Vec::new();
        let reading = client.read_to_end(&mut said);
        let _ = tokio::time::timeout(PATIENCE, reading).await.expect("it is kept for ever");
        assert!(said.is_empty(), "{said:?}");
    }
    until(|| house.proxy.tls_handshakes() == (0, 3)).await;
    // A port that is merely looked at is no news.
    drop(TcpStream::connect(house.addr).await.unwrap());
    let mut last = TcpStream::connect(house.addr).await.unwrap();
    last.write_all(&[0; 64]).await.unwrap();
    until(|| house.proxy.tls_handshakes() == (0, 4)).await;
}

#[tokio::test]
async fn the_last_answer_ends_with_a_good_bye() {
    let requests = RequestLimits { max_body_size: Some(10), ..RequestLimits::default() };
    let house = house_for(requests, ClientLimits::default()).await;
    let visitor = secure(&house);
    let mut client = visitor.stream(&house).await;
    let head = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 300000\r\n\r\n";
    client.write_all(head.as_bytes()).await.unwrap();
    client.write_all(&[b'x'; 300_000]).await.unwrap();
    let mut answer = String::new();
    // An end without `close_notify` would be an error here, and so would be a reset.
    client.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
}

#[tokio::test]
async fn a_client_that_ends_its_sending_side_still_gets_its_answer() {
    let house = House::new().await;
    let backend = Backend::answering(OK).await;
    house.serve(&backend);
    let mut client = secure(&house).stream(&house).await;
    client.write_all(GET.as_bytes()).await.unwrap();
    client.shutdown().await.unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    assert!(answer.ends_with("\r\n\r\nok"), "{answer}");
    assert_eq!(house.settled().await.completed, 1);
}

/// Answers with so many bytes.
async fn large(size: usize) -> Backend {
    Backend::new(move |_, mut peer| async move {
        peer.read_message().await;
        peer.write(&format!("HTTP/1.1 200 OK\r\ncontent-length: {size}\r\n\r\n")).await;
        for _ in 0..size / 100_000 {
            peer.write(&"x".repeat(100_000)).await;
        }
    })
    .await
}

#[tokio::test]
async fn who_takes_nothing_of_an_answer_inside_tls_is_given_up() {
    let requests = RequestLimits { write_timeout: SHORT * 2, ..RequestLimits::default() };
    let house = house_for(requests, ClientLimits::default()).await;
    let backend = large(1_000_000_000).await;
    let endpoint = house.serve(&backend);
    let mut client = secure(&house).enter(&house).await;
    client.write(GET).await;
    client.read_head().await.unwrap();
    let ledger = house.settled().await;
    assert_eq!((ledger.client_aborted, ledger.lost), (1, 0));
    assert_eq!(endpoint.inside(), Default::default());
    assert!(client.read_all_bytes().await.len() < 1_000_000_000);
}

#[tokio::test]
async fn who_takes_an_answer_inside_tls_slowly_gets_all_of_it() {
    let requests = RequestLimits {
        write_timeout: SHORT * 3,
        upstream_body_timeout: Some(SHORT),
        ..RequestLimits::default()
    };
    let house = house_for(requests, ClientLimits::default()).await;
    let size = 30_000_000;
    let backend = large(size).await;
    house.serve(&backend);
    let mut client = secure(&house).enter(&house).await;
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

#[tokio::test]
async fn plain_requests_and_others_inside_tls_are_answered_in_the_order_they_came() {
    let house = House::new().await;
    let backend = Backend::echoing().await;
    house.serve(&backend);
    let mut client = secure(&house).enter(&house).await;
    let post = "POST / HTTP/1.1\r\nhost: shop.example\r\ncontent-length: 2\r\n\r\nhi";
    client.write(&[GET, GET, post, GET].concat()).await;
    for method in ["GET", "GET", "POST", "GET"] {
        let echo = client.read_message().await.unwrap().body;
        assert!(echo.starts_with(method.as_bytes()), "{}", String::from_utf8_lossy(&echo));
    }
    assert_eq!(house.settled().await.completed, 4);
}

#[tokio::test]
async fn an_instance_that_falls_silent_is_not_the_clients_fault_inside_tls() {
    let requests = RequestLimits {
        write_timeout: SHORT,
        upstream_body_timeout: Some(SHORT * 4),
        ..RequestLimits::default()
    };
    let house = house_for(requests, ClientLimits::default()).await;
    let size = 8_000_000;
    let backend = Backend::new(move |_, mut peer| async move {
        peer.read_message().await;
        peer.write(&format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", size + 1)).await;
        peer.write(&"x".repeat(size)).await;
        std::future::pending::<()>().await;
    })
    .await;
    house.serve(&backend);
    let mut client = secure(&house).enter(&house).await;
    client.write(GET).await;
    client.read_head().await.unwrap();
    client.read_exactly(size).await;
    let ledger = house.settled().await;
    assert_eq!((ledger.client_aborted, ledger.lost), (0, 1), "{ledger:?}");
}

/// A client inside TLS that takes nothing, the proxy's side of its connection, filled to the brim,
/// and what the proxy knows of it.
async fn brimful(house: &House) -> (TlsStream<TcpStream>, Lingering, Arc<Client>) {
    let certificates = [certificate(&["shop.example"])];
    let terms = Terms::new(&certificates, MinVersion::Tls12, true, &Tickets::new());
    let sockets = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = sockets.local_addr().unwrap();
    let accepting = async {
        let (socket, _) = sockets.accept().await.unwrap();
        let acceptor = TlsAcceptor::from(Arc::clone(terms.config()));
        acceptor.accept(Socket::new(socket)).await.unwrap()
    };
    let visitor = Visitor::new(&certificates);
    let connecting = async { visitor.connect(TcpStream::connect(addr).await.unwrap()).await };
    let (tls, taker) = tokio::join!(accepting, connecting);

    let (proxy, entrance) = (Arc::clone(&house.proxy), Entrance::new(house.addr));
    let client = Client::new(proxy, entrance, house.addr, Admission::default(), None);
    let mut io = Lingering::new(Stream::Tls(Box::new(tls)), 1 << 16, Arc::clone(&client));
    client.progress().wait_for(Awaited::Rest);
    let piece = vec![b'x'; 100_000];
    poll_fn(|cx| {
        while let Poll::Ready(written) = Pin::new(&mut io).poll_write(cx, &piece) {
            written.unwrap();
        }
        Poll::Ready(())
    })
    .await;
    assert_eq!(client.progress().word().awaited(), Awaited::Room);
    (taker.unwrap(), io, client)
}

#[tokio::test]
async fn what_tls_keeps_back_is_owed_until_the_client_takes_it() {
    let house = House::new().await;
    let (mut taker, mut io, client) = brimful(&house).await;
    let awaited = || client.progress().word().awaited();
    // Written it is, but not taken.
    client.progress().wait_for(Awaited::Rest);
    poll_fn(|cx| {
        assert!(Pin::new(&mut io).poll_flush(cx).is_pending());
        Poll::Ready(())
    })
    .await;
    assert_eq!(awaited(), Awaited::Room);
    let taking = async {
        let mut bytes = vec![0; 1 << 20];
        while taker.read(&mut bytes).await.is_ok() {}
    };
    tokio::select! {
        flushed = poll_fn(|cx| Pin::new(&mut io).poll_flush(cx)) => flushed.unwrap(),
        () = taking => panic!("the connection broke"),
        () = tokio::time::sleep(PATIENCE) => panic!("it is kept back for ever"),
    }
    assert_eq!(awaited(), Awaited::Rest, "now it is the instance that is waited for");
}

#[tokio::test]
async fn a_good_bye_that_finds_no_room_is_not_waited_for_for_ever() {
    let house = House::new().await;
    let (_taker, mut io, _client) = brimful(&house).await;
    let closing = poll_fn(|cx| Pin::new(&mut io).poll_shutdown(cx));
    tokio::time::timeout(PATIENCE, closing).await.expect("it is waited for").unwrap();
}

#[tokio::test]
async fn a_reset_inside_tls_frees_the_instance() {
    let house = House::new().await;
    let backend = Backend::new(|_, mut peer| async move {
        peer.read_message().await;
        std::future::pending::<()>().await;
    })
    .await;
    let endpoint = house.serve(&backend);
    let mut client = secure(&house).stream(&house).await;
    client.write_all(GET.as_bytes()).await.unwrap();
    until(|| endpoint.inside().requests == 1 && backend.connections() == 1).await;
    socket2::SockRef::from(client.get_ref().0).set_linger(Some(Duration::ZERO)).unwrap();
    drop(client);
    assert_eq!(house.settled().await.client_aborted, 1);
    assert_eq!(endpoint.inside(), Default::default());
}

#[tokio::test]
async fn a_tunnel_inside_tls_carries_bytes_both_ways() {
    let house = House::new().await;
    let backend = Backend::new(|_, mut peer| async move {
        peer.read_head().await.unwrap();
        peer.write(
            "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: chat\r\n\r\nhello",
        )
        .await;
        loop {
            let text = peer.read_exactly(100_000).await;
            peer.write(&text).await;
        }
    })
    .await;
    let endpoint = house.serve(&backend);
    let mut client = secure(&house).enter(&house).await;
    client
        .write("GET /chat HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: chat\r\n\r\n")
        .await;
    assert!(client.read_head().await.unwrap().starts_with("HTTP/1.1 101 "));
    assert_eq!(client.read_exactly(5).await, "hello");
    for letter in ["a", "b"] {
        client.write(&letter.repeat(100_000)).await;
        assert_eq!(client.read_exactly(100_000).await, letter.repeat(100_000));
    }
    endpoint.end_tunnels();
    assert_eq!(client.read_all().await, "");
    until(|| house.service.tunnels_now() == 0).await;
    assert_eq!(house.service.ledger().tunnels_closed, 1);
}

#[tokio::test]
async fn closing_doors_let_a_handshake_come_to_its_end() {
    let house = House::new().await;
    let backend = Backend::answering(OK).await;
    house.serve(&backend);
    let visitor = secure(&house);
    let idle = TcpStream::connect(house.addr).await.unwrap();
    let mut silent = TcpStream::connect(house.addr).await.unwrap();
    silent.write_all(&[22]).await.unwrap();
    house.proxy.close_doors();
    let mut client = visitor.connect(idle).await.unwrap();
    client.write_all(GET.as_bytes()).await.unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    assert!(answer.ends_with("\r\n\r\nok"), "{answer}");
    assert_eq!(header(&answer, "connection"), Some("close"), "{answer}");
    tokio::time::timeout(PATIENCE, house.proxy.closed()).await.expect("somebody is kept");
    assert_eq!(house.proxy.tls_handshakes(), (1, 0));
}

#[tokio::test]
async fn a_balancer_introduces_its_client_before_the_handshake() {
    let house = House::new().await;
    house.proxy.trust(Trust { proxy_protocol: vec![0], ..Trust::default() });
    let backend = Backend::echoing().await;
    house.serve(&backend);
    let visitor = secure(&house);
    let mut stream = TcpStream::connect(house.addr).await.unwrap();
    stream.write_all(b"PROXY TCP4 192.0.2.1 10.0.0.1 4660 443\r\n").await.unwrap();
    let mut client = Peer::on(visitor.connect(stream).await.unwrap());
    client.write(GET).await;
    let request = String::from_utf8(client.read_message().await.unwrap().body).unwrap();
    assert_eq!(header(&request, "x-forwarded-for"), Some("192.0.2.1"), "{request}");
    assert_eq!(header(&request, "x-forwarded-proto"), Some("https"), "{request}");
}

#[tokio::test]
async fn who_is_turned_away_at_a_port_of_tls_gets_an_alert() {
    let house = House::for_clients(config("test"), 1).await;
    let backend = Backend::answering(OK).await;
    house.serve(&backend);
    let visitor = secure(&house);
    let _guest = visitor.enter(&house).await;
    let stream = TcpStream::connect(house.addr).await.unwrap();
    let refused = visitor.connect(stream).await.map(drop).unwrap_err();
    assert!(refused.to_string().contains("InternalError"), "{refused}");
    assert_eq!(house.proxy.rejected(), 1);
}

/// A house whose service answers to `shop.example` and as the default, beside a service on another
/// address.
async fn two_listeners() -> House {
    let route = |name: &str| vec![Route { host: Host::Exact(name.into()), prefix: String::new() }];
    let here = ServiceConfig { routes: route("shop.example"), ..config("test") };
    let there = ServiceConfig {
        routes: route("admin.example"),
        listen: ([127, 0, 0, 2], 0).into(),
        ..config("admin")
    };
    let house = House::with(here.clone()).await;
    let services = [(here, Arc::clone(&house.service))];
    let there = (Arc::new(there.clone()), ServiceProxy::new(Arc::new(there)));
    let services = services.map(|(config, service)| (Arc::new(config), service));
    house.proxy.swap(RouteTable::new(services.into_iter().chain([there])), &[]);
    house
}

#[tokio::test]
async fn who_asks_for_a_host_of_another_listener_is_misdirected() {
    let house = two_listeners().await;
    let backend = Backend::answering(OK).await;
    house.serve(&backend);
    let certificates = [certificate(&["shop.example", "admin.example", "127.0.0.1"])];
    house.proxy.secure(&[listener(&certificates)]);
    let visitor = Visitor::new(&certificates);
    for (name, host, status) in [
        ("shop.example", "shop.example", "200"),
        ("shop.example", "SHOP.example:443", "200"),
        ("shop.example", "other.example", "200"),
        ("shop.example", "admin.example", "421"),
        // It came for that name, and gets what there is; so does who named none.
        ("admin.example", "admin.example", "200"),
        ("admin.example", "shop.example", "200"),
        ("127.0.0.1", "admin.example", "200"),
    ] {
        let mut client = visitor.asking_for(name).enter(&house).await;
        client.write(&format!("GET / HTTP/1.1\r\nhost: {host}\r\n\r\n")).await;
        let answer = client.read_message().await.unwrap();
        assert!(answer.head.starts_with(&format!("HTTP/1.1 {status} ")), "{name} {host}");
        // A request for the right host may follow.
        client.write(GET).await;
        assert!(client.read_message().await.unwrap().head.starts_with("HTTP/1.1 200 "));
    }
    assert_eq!(house.proxy.rejected(), 1);
}

#[tokio::test]
async fn a_client_that_comes_back_is_known_though_certificates_were_renewed() {
    let house = House::new().await;
    let backend = Backend::answering(OK).await;
    house.serve(&backend);
    let certificates = [certificate(&["shop.example"])];
    house.proxy.secure(&[listener(&certificates)]);
    for versions in [vec![&TLS13], vec![&TLS12]] {
        let connector = Visitor { versions, ..Visitor::new(&certificates) }.connector();
        let mut kinds = Vec::new();
        for _ in 0..2 {
            let stream = TcpStream::connect(house.addr).await.unwrap();
            let name = ServerName::try_from("shop.example").unwrap();
            let mut client = connector.connect(name, stream).await.unwrap();
            kinds.push(client.get_ref().1.handshake_kind().unwrap());
            // Tickets come with the first answer.
            client.write_all(GET.as_bytes()).await.unwrap();
            client.read_exact(&mut [0; OK.len()]).await.unwrap();
            house.proxy.secure(&[listener(&certificates)]);
        }
        assert_eq!(kinds, [HandshakeKind::Full, HandshakeKind::Resumed]);
    }
}
