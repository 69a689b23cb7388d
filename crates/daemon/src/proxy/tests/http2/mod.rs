//! Clients that speak HTTP/2: some through a library that keeps to the rules, some frame by frame.

mod abuse;
mod accounts;
mod cases;
mod conformance;
mod polite;
mod refused;
mod wire;

use bytes::Bytes;
use h2::client::SendRequest;
use http::{HeaderMap, Request, Response};
use tokio::net::TcpStream;

use super::harness::PATIENCE;
use super::{Backend, House, config, until};
use crate::config::{ClientLimits, ServiceConfig};

pub(super) const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// What clients may do where HTTP/2 is spoken.
fn limits() -> ClientLimits {
    ClientLimits { http2: vec![0], ..ClientLimits::default() }
}

async fn house() -> House {
    house_with(config("test"), limits()).await
}

async fn house_with(config: ServiceConfig, limits: ClientLimits) -> House {
    House::limited(config, 1000, &limits).await
}

/// A client that keeps to the rules.
struct Polite {
    sender: SendRequest<Bytes>,
    /// Its connection, which runs by itself until the other side ends it.
    connection: tokio::task::JoinHandle<Result<(), h2::Error>>,
}

/// An answer to its last byte.
#[derive(Debug)]
struct Answer {
    head: http::response::Parts,
    body: String,
    trailers: Option<HeaderMap>,
}

impl Polite {
    async fn connect(house: &House) -> Self {
        Self::with(house, &mut h2::client::Builder::new()).await
    }

    async fn with(house: &House, builder: &mut h2::client::Builder) -> Self {
        let stream = TcpStream::connect(house.addr).await.unwrap();
        let (sender, connection) = builder.handshake(stream).await.unwrap();
        Self { sender, connection: tokio::spawn(connection) }
    }

    /// Asks and reads the answer.
    async fn ask(&self, request: Request<&'static str>) -> Answer {
        self.try_ask(request).await.unwrap()
    }

    async fn try_ask(&self, request: Request<&'static str>) -> Result<Answer, h2::Error> {
        let (head, body) = request.into_parts();
        let mut sender = self.sender.clone().ready().await?;
        let request = Request::from_parts(head, ());
        let (answer, mut sending) = sender.send_request(request, body.is_empty())?;
        if !body.is_empty() {
            sending.send_data(body.into(), true)?;
        }
        read(patiently(answer).await?).await
    }

    async fn get(&self) -> Result<Answer, h2::Error> {
        self.try_ask(get()).await
    }
}

fn get() -> Request<&'static str> {
    Request::get("http://a/").body("").unwrap()
}

async fn read(answer: Response<h2::RecvStream>) -> Result<Answer, h2::Error> {
    let (head, mut stream) = answer.into_parts();
    let mut body = Vec::new();
    while let Some(data) = patiently(stream.data()).await {
        let data = data?;
        stream.flow_control().release_capacity(data.len())?;
        body.extend_from_slice(&data);
    }
    let trailers = stream.trailers().await?;
    Ok(Answer { head, body: String::from_utf8(body).unwrap(), trailers })
}

async fn patiently<F: Future>(what: F) -> F::Output {
    tokio::time::timeout(PATIENCE, what).await.expect("it never came")
}
