//! Clients that mean no harm: one of HTTP/1.1 and one of HTTP/2, each with one connection on which it
//! asks again and again.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use http::{Request, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::sleep;

use crate::{TIME, patiently};

/// Between two requests of a client.
const PAUSE: Duration = Duration::from_millis(2);

/// The 99th percentiles of [`TIME`]: over HTTP/1.1, and over HTTP/2.
///
/// They ask on a thread of their own: whoever makes the harm does not delay them.
pub(crate) async fn measure(addr: SocketAddr) -> anyhow::Result<[Duration; 2]> {
    let asking = thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async { tokio::try_join!(over_http1(addr), over_http2(addr)) })
    });
    let joined = tokio::task::spawn_blocking(|| asking.join()).await?;
    let (http1, http2) = joined.map_err(|_| anyhow::anyhow!("a client panicked"))??;
    Ok([http1, http2])
}

async fn over_http1(addr: SocketAddr) -> anyhow::Result<Duration> {
    let mut stream = connect(addr).await?;
    percentile(async || {
        stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await?;
        read_answer(&mut stream).await
    })
    .await
}

async fn over_http2(addr: SocketAddr) -> anyhow::Result<Duration> {
    let (sender, connection) = h2::client::handshake(connect(addr).await?).await?;
    // It ends with this runtime; what it has to say, an answer says as well.
    tokio::spawn(connection);
    percentile(async || {
        let request = Request::get("http://a/").body(())?;
        let (answer, _) = sender.clone().ready().await?.send_request(request, true)?;
        let answer = answer.await?;
        ensure!(answer.status() == StatusCode::OK, "{}", answer.status());
        let mut body = answer.into_body();
        while let Some(data) = body.data().await {
            body.flow_control().release_capacity(data?.len())?;
        }
        Ok(())
    })
    .await
}

async fn connect(addr: SocketAddr) -> anyhow::Result<TcpStream> {
    let stream = TcpStream::connect(addr).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Of how long each took, one after the other.
async fn percentile(mut ask: impl AsyncFnMut() -> anyhow::Result<()>) -> anyhow::Result<Duration> {
    let (mut took, end) = (Vec::new(), Instant::now() + TIME);
    while Instant::now() < end {
        let began = Instant::now();
        patiently(ask()).await?;
        took.push(began.elapsed());
        sleep(PAUSE).await;
    }
    took.sort();
    ensure!(took.len() > 300, "{} requests are too few for a percentile", took.len());
    Ok(took[took.len() * 99 / 100])
}

/// A whole answer of 200 with its length.
async fn read_answer(stream: &mut TcpStream) -> anyhow::Result<()> {
    let mut answer = Vec::new();
    loop {
        ensure!(stream.read_buf(&mut answer).await? > 0, "the connection was closed");
        let Some(end) = answer.windows(4).position(|end| end == b"\r\n\r\n") else { continue };
        let head = str::from_utf8(&answer[..end])?;
        ensure!(head.starts_with("HTTP/1.1 200 "), "{head}");
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.context("no content-length")?.parse()?;
        if answer.len() == end + 4 + length {
            return Ok(());
        }
    }
}
