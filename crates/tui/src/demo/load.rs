//! Steady traffic: clients that keep their connections, and count what they sent and got.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep_until, timeout};

/// Requests a second, all clients together.
const RATE: u32 = 300;
/// How long one request may take; the daemon holds requests for up to 30 s.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long [`Load::finish`] waits for the last answers.
const LAST: Duration = Duration::from_secs(65);

/// What the clients counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// Requests begun.
    pub(super) sent: u64,
    /// Those that were answered in full, with 200.
    pub(super) answered: u64,
    /// Those that were not.
    pub(super) failed: u64,
    /// Why the first of them was not.
    pub(super) first_failure: Option<String>,
}

/// Clients at work.
#[derive(Debug)]
pub(super) struct Load {
    stop: watch::Sender<bool>,
    tally: Arc<Mutex<Tally>>,
    clients: JoinSet<()>,
}

impl Load {
    /// Begins with so many clients, evenly apart.
    pub(super) fn start(proxy: SocketAddr, clients: u16) -> Self {
        let (stop, stopped) = watch::channel(false);
        let tally = Arc::new(Mutex::new(Tally::default()));
        let every = Duration::from_secs(1) / RATE;
        let began = Instant::now();
        let mut tasks = JoinSet::new();
        for number in 0..u32::from(clients) {
            let client = Client {
                proxy,
                tally: tally.clone(),
                stopped: stopped.clone(),
                next: began + every * number,
                every: every * u32::from(clients),
                turn: number,
            };
            tasks.spawn(client.run());
        }
        Self { stop, tally, clients: tasks }
    }

    /// Sends nothing more, and returns when every request has been answered or has failed.
    pub(super) async fn finish(&mut self) -> Tally {
        self.stop.send_replace(true);
        let all = async { while self.clients.join_next().await.is_some() {} };
        // Whoever takes longer than its own patience shows as sent and neither answered nor failed.
        let _ = timeout(LAST, all).await;
        self.tally.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Closes every connection, whatever is under way.
    pub(super) async fn abandon(&mut self) {
        self.clients.shutdown().await;
    }
}

/// One client with one connection.
struct Client {
    proxy: SocketAddr,
    tally: Arc<Mutex<Tally>>,
    stopped: watch::Receiver<bool>,
    next: Instant,
    every: Duration,
    turn: u32,
}

/// A kept connection, whose task ends with it.
struct Connection {
    sender: SendRequest<Full<Bytes>>,
    task: AbortHandle,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Client {
    async fn run(mut self) {
        let mut connection = None;
        loop {
            tokio::select! {
                biased;
                _ = self.stopped.wait_for(|stopped| *stopped) => return,
                () = sleep_until(self.next) => {}
            }
            // A client that fell behind does not catch up in a burst.
            self.next = (self.next + self.every).max(Instant::now());
            self.turn = self.turn.wrapping_add(1);
            self.count(|tally| tally.sent += 1);
            match timeout(PATIENCE, self.exchange(connection.take())).await {
                Ok(Ok(kept)) => {
                    connection = Some(kept);
                    self.count(|tally| tally.answered += 1);
                }
                Ok(Err(error)) => self.failed(error),
                Err(_) => self.failed(format!("no answer within {} s", PATIENCE.as_secs())),
            }
        }
    }

    /// One request and its whole answer, on the kept connection if it is still open.
    async fn exchange(&self, kept: Option<Connection>) -> Result<Connection, String> {
        let mut connection = match still_open(kept).await {
            Some(kept) => kept,
            None => connect(self.proxy).await?,
        };
        let response = connection.sender.send_request(self.request()).await;
        let response = response.map_err(|error| error.to_string())?;
        let status = response.status();
        let body = response.into_body().collect().await.map_err(|error| error.to_string())?;
        if status != StatusCode::OK {
            let text = String::from_utf8_lossy(&body.to_bytes()).into_owned();
            return Err(format!("{status}: {}", text.lines().next().unwrap_or_default()));
        }
        Ok(connection)
    }

    /// Mostly short ones; some that take their time, some that trickle, some that must not be sent
    /// twice.
    fn request(&self) -> Request<Full<Bytes>> {
        let (method, path, body) = match self.turn % 50 {
            10 => (Method::GET, "/stream", ""),
            20 | 40 => (Method::GET, "/slow", ""),
            5 | 15 | 25 | 35 | 45 => (Method::POST, "/", "an order"),
            _ => (Method::GET, "/", ""),
        };
        let mut request = Request::new(Full::from(body));
        *request.method_mut() = method;
        *request.uri_mut() = hyper::Uri::from_static(path);
        let host = self.proxy.to_string().parse();
        let host = host.expect("an address and a port are a valid header value");
        request.headers_mut().insert(hyper::header::HOST, host);
        request
    }

    fn failed(&self, error: String) {
        self.count(|tally| {
            tally.failed += 1;
            tally.first_failure.get_or_insert(error);
        });
    }

    fn count(&self, change: impl FnOnce(&mut Tally)) {
        change(&mut self.tally.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

async fn still_open(kept: Option<Connection>) -> Option<Connection> {
    let mut kept = kept?;
    kept.sender.ready().await.ok()?;
    Some(kept)
}

async fn connect(proxy: SocketAddr) -> Result<Connection, String> {
    let stream = TcpStream::connect(proxy).await.map_err(|error| error.to_string())?;
    let io = TokioIo::new(stream);
    let (sender, connection) = http1::handshake(io).await.map_err(|error| error.to_string())?;
    // What goes wrong with it comes out of the request too.
    let task = tokio::spawn(async { drop(connection.await) }).abort_handle();
    Ok(Connection { sender, task })
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;
    use tokio::sync::oneshot;

    use super::*;
    use crate::demo::app;

    #[tokio::test]
    async fn every_request_to_a_service_that_is_well_is_answered() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let service = tokio::spawn(app::serve(listener, addr.port(), async {
            stopped.await.unwrap_or_default();
        }));
        let mut load = Load::start(addr, 4);
        while load.tally.lock().unwrap().sent < 120 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let tally = load.finish().await;
        assert_eq!(tally, Tally { answered: tally.sent, ..tally.clone() });
        assert_eq!((tally.failed, tally.first_failure), (0, None));
        drop(stop);
        service.await.unwrap();
    }

    #[tokio::test]
    async fn what_is_not_answered_is_counted_and_explained() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        drop(listener);
        let mut load = Load::start(addr, 2);
        while load.tally.lock().unwrap().failed < 3 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let tally = load.finish().await;
        assert_eq!((tally.answered, tally.failed), (0, tally.sent));
        assert!(tally.first_failure.unwrap().contains("refused"));
    }
}
