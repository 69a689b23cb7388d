//! Is it answering yet, and does it still? Asks a new run until it does, and a ready one again and
//! again.
//!
//! What is to be done with one that does not answer is decided elsewhere.

mod h2c;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use smoothserve_protocol::id::RunId;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::time::{Instant, sleep, timeout};

use super::Inbox;
use super::ports::{self, Holder};
use crate::config::{InstanceAddr, Liveness, Readiness, ServiceConfig, UpstreamProtocol};
use crate::core::Input;
use crate::proxy::UpstreamSocket;

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
    addr: InstanceAddr,
    leader: u32,
) {
    if matches!(config.ready, Readiness::Log(_)) {
        return;
    }
    let (began, mut last_error) = (Instant::now(), String::new());
    loop {
        match ask(&config, &addr, leader).await {
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

/// Asks a ready run now and then whether it still answers, and says so when that changes.
///
/// Never ends by itself; whoever spawned this ends it when the run ends.
pub(super) async fn watch_liveness(
    inbox: Inbox,
    run: RunId,
    addr: InstanceAddr,
    protocol: UpstreamProtocol,
    liveness: Liveness,
) {
    let mut health = Health::new(liveness.failures);
    loop {
        sleep(liveness.interval).await;
        match health.take(answer(&liveness.probe, &addr, protocol, liveness.timeout).await) {
            Some(Change::Lost(error)) => inbox.put(Input::Unresponsive { run, error }),
            Some(Change::Found) => inbox.put(Input::Responsive { run }),
            None => {}
        }
    }
}

/// Makes of single answers a judgement that does not flutter.
#[derive(Debug)]
struct Health {
    /// So many in a row without an answer are taken for more than a hiccup.
    patience: u32,
    missed: u32,
}

#[derive(Debug, PartialEq, Eq)]
enum Change {
    /// It no longer answers; what the last probe found.
    Lost(String),
    /// It answers again.
    Found,
}

impl Health {
    fn new(patience: u32) -> Self {
        Self { patience, missed: 0 }
    }

    fn take(&mut self, answer: Result<(), String>) -> Option<Change> {
        match answer {
            Ok(()) => {
                let was_lost = self.missed >= self.patience;
                self.missed = 0;
                was_lost.then_some(Change::Found)
            }
            Err(error) => {
                self.missed = self.missed.saturating_add(1);
                (self.missed == self.patience).then_some(Change::Lost(error))
            }
        }
    }
}

async fn ask(config: &ServiceConfig, addr: &InstanceAddr, leader: u32) -> Result<(), String> {
    answer(&config.ready, addr, config.upstream_protocol, ANSWER_TIMEOUT).await?;
    is_own(addr, leader).await
}

/// Whether the right answer comes from `addr` within `limit`.
async fn answer(
    probe: &Readiness,
    addr: &InstanceAddr,
    protocol: UpstreamProtocol,
    limit: Duration,
) -> Result<(), String> {
    let answer = async {
        let stream = UpstreamSocket::connect(addr)
            .await
            .map_err(|error| format!("connecting to {addr}: {error}"))?;
        match probe {
            Readiness::Tcp => Ok(()),
            Readiness::Log(_) => Err("not asked".to_owned()),
            Readiness::Http { path, status: wanted } => {
                let status = match protocol {
                    UpstreamProtocol::Http1 => http(stream, &host_of(addr), path).await,
                    UpstreamProtocol::H2c => h2c::status(stream, &host_of(addr), path).await,
                };
                judge(path, *wanted, status)
            }
        }
    };
    timeout(limit, answer).await.map_err(|_| {
        let limit = limit.as_secs_f64();
        format!("no answer within {limit} s")
    })?
}

/// Whether the one that answered is ours.
async fn is_own(addr: &InstanceAddr, leader: u32) -> Result<(), String> {
    if let InstanceAddr::Port(addr) = addr
        && !addr.ip().is_loopback()
        && !is_local(*addr)
    {
        // Behind another address (a container's, say) nobody can tell from here.
        return Ok(());
    }
    let place = addr.clone();
    let holder = tokio::task::spawn_blocking(move || ports::holder(&place, Some(leader))).await;
    match holder {
        Ok(Some(Holder::Stranger(who))) => {
            Err(format!("{addr} is answered by {who}, not by this instance"))
        }
        _ => Ok(()),
    }
}

fn is_local(addr: SocketAddr) -> bool {
    std::net::UdpSocket::bind((addr.ip(), 0)).is_ok()
}

fn judge(path: &str, wanted: u16, status: Result<u16, String>) -> Result<(), String> {
    match status {
        Ok(status) if status == wanted => Ok(()),
        Ok(status) => Err(format!("GET {path}: status {status}, {wanted} expected")),
        Err(error) => Err(format!("GET {path}: {error}")),
    }
}

/// What a probe calls the instance.
fn host_of(addr: &InstanceAddr) -> String {
    match addr {
        InstanceAddr::Port(addr) => addr.to_string(),
        InstanceAddr::Socket(_) => "localhost".to_owned(),
    }
}

async fn http(mut stream: UpstreamSocket, host: &str, path: &str) -> Result<u16, String> {
    let broken = |error: std::io::Error| error.to_string();
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: smoothserve\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.map_err(broken)?;
    let mut line = Vec::new();
    let mut stream = BufReader::new(stream).take(STATUS_LINE);
    stream.read_until(b'\n', &mut line).await.map_err(broken)?;
    status(&line).ok_or_else(|| "the answer is not HTTP".to_owned())
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
    use futures_util::FutureExt;
    use tokio::net::TcpListener;
    use tokio::sync::{mpsc, watch};

    use super::super::Message;
    use super::*;

    #[test]
    fn a_status_line_is_read_strictly() {
        assert_eq!(status(b"HTTP/1.1 200 OK\r\n"), Some(200));
        assert_eq!(status(b"HTTP/1.0 503\r\n"), Some(503));
        for bad in [&b"SSH-2.0-x\r\n"[..], b"HTTP/1.1 2000 x", b"HTTP/1.1", b"\xff\xff", b""] {
            assert_eq!(status(bad), None);
        }
    }

    #[test]
    fn so_many_failures_in_a_row_are_said_once_and_so_is_the_recovery() {
        let mut health = Health::new(3);
        let mut after = |answers: &str| -> Vec<Option<Change>> {
            let answers = answers.chars().map(|c| if c == '+' { Ok(()) } else { Err(c.into()) });
            answers.map(|answer| health.take(answer)).collect()
        };
        assert_eq!(
            after("+1212+12"),
            [
                None,
                None,
                None,
                Some(Change::Lost("1".into())),
                None,
                Some(Change::Found),
                None,
                None
            ]
        );
        assert_eq!(after("+12+"), [None, None, None, None]);
        assert_eq!(after("123456")[2], Some(Change::Lost("3".into())));
        assert_eq!(after("78"), [None, None]);
        assert_eq!(after("++"), [Some(Change::Found), None]);
    }

    #[test]
    fn the_first_failure_counts_when_one_is_enough() {
        let mut health = Health::new(1);
        assert_eq!(health.take(Err("refused".into())), Some(Change::Lost("refused".into())));
        assert_eq!(health.take(Err("refused".into())), None);
    }

    /// Answers every connection with the bytes of the moment; none: it takes them and says nothing.
    async fn backend(says: watch::Receiver<Option<&'static str>>) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let mut kept = Vec::new();
            loop {
                let (mut client, _) = listener.accept().await.unwrap();
                if let Some(text) = *says.borrow() {
                    let _ = client.try_write(text.as_bytes());
                    let _ = client.shutdown().now_or_never();
                }
                kept.push(client);
            }
        });
        addr
    }

    #[tokio::test]
    async fn a_ready_run_is_asked_until_it_ends() {
        let (says, said) = watch::channel(Some("HTTP/1.1 204 No Content\r\n\r\n"));
        let addr = backend(said).await;
        let liveness = Liveness {
            probe: Readiness::Http { path: "/healthz".into(), status: 204 },
            interval: Duration::from_millis(2),
            timeout: Duration::from_millis(200),
            failures: 2,
        };
        let (sender, mut inbox) = mpsc::unbounded_channel();
        let addr = InstanceAddr::Port(addr);
        let watching =
            watch_liveness(Inbox(sender), RunId(1), addr, UpstreamProtocol::Http1, liveness);
        let watching = tokio::spawn(watching).abort_handle();
        let mut news = async || match inbox.recv().await {
            Some(Message::Input(Input::Unresponsive { run: RunId(1), error })) => Some(error),
            Some(Message::Input(Input::Responsive { run: RunId(1) })) => None,
            _ => panic!(),
        };

        says.send_replace(Some("HTTP/1.1 500 Internal Server Error\r\n\r\n"));
        let error = news().await.unwrap();
        assert_eq!(error, "GET /healthz: status 500, 204 expected");
        says.send_replace(Some("HTTP/1.1 204 No Content\r\n\r\n"));
        assert_eq!(news().await, None);
        // It still takes connections, as an app does that hangs.
        says.send_replace(None);
        assert_eq!(news().await.unwrap(), "no answer within 0.2 s");
        says.send_replace(Some("HTTP/1.1 204 No Content\r\n\r\n"));
        assert_eq!(news().await, None);
        watching.abort();
        assert!(inbox.recv().await.is_none());
    }
}
