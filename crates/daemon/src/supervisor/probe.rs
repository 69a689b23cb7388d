//! Is it answering yet? Asks a new run until it does.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use smoothserve_protocol::id::RunId;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use super::Inbox;
use super::ports::{self, Holder};
use crate::config::{Readiness, ServiceConfig};
use crate::core::Input;

/// Between two looks: a twentieth of the time the run has taken so far, within these limits, so
/// that it is found ready soon after it is, however long it takes.
const SHORTEST_WAIT: Duration = Duration::from_millis(5);
const LONGEST_WAIT: Duration = Duration::from_millis(100);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// Longer than any status line that means something.
const STATUS_LINE: u64 = 512;

/// Asks until the run answers, then says so once. Whoever spawned this ends it when the run ends.
///
/// Of a service that says by a line of its output when it is ready, nothing is asked.
pub(super) async fn until_answering(
    inbox: Inbox,
    run: RunId,
    config: Arc<ServiceConfig>,
    addr: SocketAddr,
    leader: u32,
) {
    if matches!(config.ready, Readiness::Log(_)) {
        return;
    }
    let (began, mut last_error) = (Instant::now(), String::new());
    loop {
        match ask(&config, addr, leader).await {
            Ok(()) => return inbox.put(Input::Answering { run }),
            Err(error) if error != last_error => {
                last_error.clone_from(&error);
                inbox.put(Input::ProbeFailed { run, error });
            }
            Err(_) => {}
        }
        sleep((began.elapsed() / 20).clamp(SHORTEST_WAIT, LONGEST_WAIT)).await;
    }
}

async fn ask(config: &ServiceConfig, addr: SocketAddr, leader: u32) -> Result<(), String> {
    let answer = async {
        let stream = TcpStream::connect(addr)
            .await
            .map_err(|error| format!("connecting to port {}: {error}", addr.port()))?;
        match &config.ready {
            Readiness::Tcp => Ok(()),
            Readiness::Log(_) => Err("not asked".to_owned()),
            Readiness::Http { path, status } => http(stream, addr, path, *status).await,
        }
    };
    timeout(ANSWER_TIMEOUT, answer)
        .await
        .map_err(|_| format!("no answer within {} s", ANSWER_TIMEOUT.as_secs()))??;
    own_port(addr, leader).await
}

/// Whether the one that answered is ours.
async fn own_port(addr: SocketAddr, leader: u32) -> Result<(), String> {
    if !addr.ip().is_loopback() && !is_local(addr) {
        // Behind another address (a container's, say) nobody can tell from here.
        return Ok(());
    }
    let holder = tokio::task::spawn_blocking(move || ports::holder(addr, Some(leader))).await;
    match holder {
        Ok(Some(Holder::Stranger(who))) => {
            Err(format!("port {} is answered by {who}, not by this instance", addr.port()))
        }
        _ => Ok(()),
    }
}

fn is_local(addr: SocketAddr) -> bool {
    std::net::UdpSocket::bind((addr.ip(), 0)).is_ok()
}

async fn http(
    mut stream: TcpStream,
    addr: SocketAddr,
    path: &str,
    wanted: u16,
) -> Result<(), String> {
    let broken = |error: std::io::Error| format!("GET {path}: {error}");
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {addr}\r\nUser-Agent: smoothserve\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.map_err(broken)?;
    let mut line = Vec::new();
    let mut stream = BufReader::new(stream).take(STATUS_LINE);
    stream.read_until(b'\n', &mut line).await.map_err(broken)?;
    match status(&line) {
        Some(status) if status == wanted => Ok(()),
        Some(status) => Err(format!("GET {path}: status {status}, {wanted} expected")),
        None => Err(format!("GET {path}: the answer is not HTTP")),
    }
}

/// The status in `HTTP/1.1 200 OK` (RFC 9112 section 4).
fn status(line: &[u8]) -> Option<u16> {
    let line = std::str::from_utf8(line).ok()?;
    let mut words = line.split_ascii_whitespace();
    words.next().filter(|version| version.starts_with("HTTP/1."))?;
    words.next().filter(|code| code.len() == 3)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_line_is_read_strictly() {
        assert_eq!(status(b"HTTP/1.1 200 OK\r\n"), Some(200));
        assert_eq!(status(b"HTTP/1.0 503\r\n"), Some(503));
        for bad in [&b"SSH-2.0-x\r\n"[..], b"HTTP/1.1 2000 x", b"HTTP/1.1", b"\xff\xff", b""] {
            assert_eq!(status(bad), None);
        }
    }
}
