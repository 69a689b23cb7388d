//! One request on a connection of its own, for tests that look at a single answer.

use std::net::SocketAddr;

use anyhow::Context;
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::contract::{self, Checksum};
use crate::wait::LIMIT;

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its head.
    pub headers: HeaderMap,
    /// Its body, to the last byte.
    pub body: Bytes,
    /// Its trailers; none: it has none.
    pub trailers: Option<HeaderMap>,
}

impl Answer {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A header as text; empty: there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// A `POST /upload` of which the last bytes are still to come: inside for as long as a test wants.
#[derive(Debug)]
pub struct Unfinished(TcpStream);

impl Unfinished {
    /// What its body is.
    const BODY: &str = "to the end";

    /// Sends all but the body to `addr`, as a request to `host`.
    ///
    /// # Errors
    /// When it cannot be sent.
    pub async fn begin(addr: SocketAddr, host: &str) -> anyhow::Result<Self> {
        let mut stream = TcpStream::connect(addr).await?;
        let length = Self::BODY.len();
        let head = format!(
            "POST /upload HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\
             content-length: {length}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await?;
        Ok(Self(stream))
    }

    /// Sends the rest, and reads the answer.
    ///
    /// # Errors
    /// When it is not a whole one within [`LIMIT`].
    pub async fn finish(mut self) -> anyhow::Result<()> {
        let mut answer = String::new();
        let exchange = async {
            self.0.write_all(Self::BODY.as_bytes()).await?;
            self.0.read_to_string(&mut answer).await
        };
        timeout(LIMIT, exchange).await.context("no whole answer in time")??;
        let body = Self::BODY.as_bytes();
        let receipt = contract::receipt("upload", body.len() as u64, Checksum::of(body));
        let is_whole = answer.starts_with("HTTP/1.1 200 ") && answer.ends_with(&receipt);
        is_whole.then_some(()).with_context(|| format!("no whole answer: {answer:?}"))
    }
}

/// Gets `path` from `addr`.
///
/// # Errors
/// When there is no whole answer within [`LIMIT`].
pub async fn get(addr: SocketAddr, path: &str) -> anyhow::Result<Answer> {
    send(addr, Request::get(path).body(Bytes::new())?).await
}

/// Posts `body` to `path` at `addr`.
///
/// # Errors
/// When there is no whole answer within [`LIMIT`].
pub async fn post(addr: SocketAddr, path: &str, body: Bytes) -> anyhow::Result<Answer> {
    send(addr, Request::post(path).body(body)?).await
}

/// Sends `request` to `addr`; without a Host it gets the address.
///
/// # Errors
/// When there is no whole answer within [`LIMIT`].
pub async fn send(addr: SocketAddr, request: Request<Bytes>) -> anyhow::Result<Answer> {
    timeout(LIMIT, exchange(addr, request)).await.context("no whole answer in time")?
}

async fn exchange(addr: SocketAddr, request: Request<Bytes>) -> anyhow::Result<Answer> {
    let stream = TcpStream::connect(addr).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let mut request = request.map(Full::new);
    if !request.headers().contains_key(http::header::HOST) {
        request.headers_mut().insert(http::header::HOST, addr.to_string().parse()?);
    }
    let answer = async move {
        let (head, body) = sender.send_request(request).await?.into_parts();
        let body = body.collect().await?;
        anyhow::Ok(Answer {
            status: head.status,
            headers: head.headers,
            trailers: body.trailers().cloned(),
            body: body.to_bytes(),
        })
    };
    // The connection has nothing to say but what the answer says as well; it ends with its sender.
    tokio::join!(answer, connection).0
}
