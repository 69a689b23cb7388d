//! One keep-alive client: one request at a time, every answer checked to the last byte.

use std::net::SocketAddr;
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::CONNECTION;
use http::{Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use crate::contract::INSTANCE;
use crate::load::order::Order;
use crate::load::plan::Kind;
use crate::load::report::Post;
use crate::load::sender::{self, Sender, Shared};
use crate::load::web_socket::{self, Conversation};
use crate::load::{LoadPlan, LoadReport, Progress};

/// Before a client whose connection was refused tries again.
const AFTER_REFUSAL: Duration = Duration::from_millis(20);

/// One keep-alive client.
pub(crate) struct Client {
    addr: SocketAddr,
    host: String,
    number: usize,
    /// The connection it shares with others; none: it has its own.
    shared: Option<Shared>,
    plan: Arc<LoadPlan>,
    progress: Arc<Progress>,
    stopped: watch::Receiver<bool>,
    /// Kept from the last request, if the server agreed.
    idle: Option<Sender>,
    report: LoadReport,
}

/// What became of a request.
enum Outcome {
    Answered,
    /// Nothing was written, because there was no connection to write on.
    Refused(String),
    Reset(String),
    Truncated(String),
    Wrong(String),
    ServerError(String),
    TimedOut,
}

impl Client {
    pub(crate) fn new(
        addr: SocketAddr,
        number: usize,
        shared: Option<Shared>,
        plan: Arc<LoadPlan>,
        progress: Arc<Progress>,
        stopped: watch::Receiver<bool>,
    ) -> Self {
        let host = plan.host.clone().unwrap_or_else(|| addr.to_string());
        let report = LoadReport::default();
        Self { addr, host, number, shared, plan, progress, stopped, idle: None, report }
    }

    /// Asks one thing after another until it is stopped; what it does then, it ends.
    pub(crate) async fn run(mut self) -> LoadReport {
        let round = self.plan.mix.round(self.number);
        for (turn, kind) in (0..).zip(round.iter().cycle()) {
            if *self.stopped.borrow() {
                break;
            }
            self.take_turn(turn, *kind).await;
            sleep(self.plan.pause).await;
        }
        self.report
    }

    async fn take_turn(&mut self, turn: u64, kind: Kind) {
        match Order::new(kind, turn, unique_id(), &self.plan) {
            Some(order) => self.place(&order).await,
            None => self.converse().await,
        }
    }

    async fn place(&mut self, order: &Order) {
        let began = Instant::now();
        let outcome =
            timeout(self.plan.limit, self.exchange(order)).await.unwrap_or(Outcome::TimedOut);
        self.report.slowest = self.report.slowest.max(began.elapsed());
        let refused = matches!(outcome, Outcome::Refused(_));
        if let (Some(id), false) = (&order.id, refused) {
            let is_answered = matches!(outcome, Outcome::Answered);
            self.report.posts.push(Post { id: id.clone(), is_answered });
        }
        self.count(&format!("{} {}", order.method, order.target), outcome);
        if refused {
            sleep(AFTER_REFUSAL).await;
        }
    }

    async fn exchange(&mut self, order: &Order) -> Outcome {
        let mut request = order.request(&self.host);
        if self.shared.is_some() {
            request = sender::with_authority(request).expect("a test names a valid host");
        }
        if let Some(mut sender) = self.idle.take() {
            // Not ready: the server has closed it meanwhile.
            if sender.is_ready().await {
                match sender.try_send(request).await {
                    Ok(response) => return self.check(order, response, sender).await,
                    Err(mut error) => match error.take_message() {
                        // The server closed before a byte was written.
                        Some(unwritten) => request = unwritten,
                        None if sender::was_not_looked_at(error.error()) => {
                            return Outcome::Refused("the server said that it ends".to_owned());
                        }
                        None => return Outcome::Reset(format!("reused: {:?}", error.error())),
                    },
                }
            }
            self.report.reopened += 1;
        }
        let mut sender = match self.connect().await {
            Ok(sender) => sender,
            Err(error) => return Outcome::Refused(error.to_string()),
        };
        match sender.try_send(request).await {
            Ok(response) => self.check(order, response, sender).await,
            Err(mut error) => match error.take_message() {
                Some(_) => Outcome::Refused(format!("before any byte: {}", error.error())),
                None => Outcome::Reset(format!("fresh: {}", error.error())),
            },
        }
    }

    async fn connect(&self) -> anyhow::Result<Sender> {
        let transport = &self.plan.transport;
        match &self.shared {
            Some(shared) => shared.join(self.addr, transport).await,
            None => Sender::alone(self.addr, transport).await,
        }
    }

    /// Reads the answer to its end, and keeps the connection if the server does.
    async fn check(
        &mut self,
        order: &Order,
        response: Response<Incoming>,
        sender: Sender,
    ) -> Outcome {
        let (head, body) = response.into_parts();
        self.progress.answering.fetch_add(1, Ordering::Relaxed);
        let body = read(body).await;
        self.progress.answering.fetch_sub(1, Ordering::Relaxed);
        let body = match body {
            Ok(body) => body,
            Err((error, read)) => {
                return Outcome::Truncated(format!(
                    "status {}, {read} bytes, then {error}",
                    head.status
                ));
            }
        };
        let closes = head.headers.get(CONNECTION).is_some_and(|value| value == "close");
        if !closes {
            self.idle = Some(sender);
        }
        let instance = head.headers.get(INSTANCE).and_then(|value| value.to_str().ok());
        let from = instance.unwrap_or("the proxy");
        if head.status.is_server_error() {
            let text = String::from_utf8_lossy(&body);
            return Outcome::ServerError(format!("{} from {from}: {}", head.status, text.trim()));
        }
        if head.status != StatusCode::OK || body != order.answer {
            return Outcome::Wrong(format!("{} from {from}, {} bytes", head.status, body.len()));
        }
        Outcome::Answered
    }

    async fn converse(&mut self) {
        let conversation = web_socket::converse(self.addr, &self.host, &self.plan, &self.progress);
        let limit = self.plan.limit + self.plan.conversation;
        let conversation = timeout(limit, conversation).await.unwrap_or(Conversation::TimedOut);
        let outcome = match conversation {
            Conversation::Ended => {
                self.report.ws_ok += 1;
                Outcome::Answered
            }
            Conversation::ClosedByDrain => {
                self.report.ws_closed_by_drain += 1;
                Outcome::Answered
            }
            Conversation::Broken(why) => {
                self.report.ws_broken += 1;
                self.progress.lost.fetch_add(1, Ordering::Relaxed);
                self.report.describe(format!("conversation: {why}"));
                Outcome::Answered
            }
            Conversation::Refused(why) => Outcome::Refused(why),
            Conversation::Reset(why) => Outcome::Reset(why),
            Conversation::ServerError(why) => Outcome::ServerError(why),
            Conversation::TimedOut => Outcome::TimedOut,
        };
        let refused = matches!(outcome, Outcome::Refused(_));
        self.count("GET /ws", outcome);
        if refused {
            sleep(AFTER_REFUSAL).await;
        }
    }

    fn count(&mut self, request: &str, outcome: Outcome) {
        let report = &mut self.report;
        let (counter, why) = match outcome {
            Outcome::Refused(why) => {
                report.refused += 1;
                self.progress.refused.fetch_add(1, Ordering::Relaxed);
                report.describe(format!("{request}: refused: {why}"));
                return;
            }
            Outcome::Answered => {
                report.sent += 1;
                report.ok += 1;
                self.progress.ok.fetch_add(1, Ordering::Relaxed);
                return;
            }
            Outcome::ServerError(why) => {
                report.sent += 1;
                self.progress.lost.fetch_add(1, Ordering::Relaxed);
                report.describe(format!("{request}: {why}"));
                report.server_errors.push(format!("{request}: {why}"));
                return;
            }
            Outcome::Reset(why) => (&mut report.reset, format!("reset: {why}")),
            Outcome::Truncated(why) => (&mut report.truncated, format!("truncated: {why}")),
            Outcome::Wrong(why) => (&mut report.wrong, format!("wrong answer: {why}")),
            Outcome::TimedOut => (&mut report.timed_out, "no whole answer in time".to_owned()),
        };
        *counter += 1;
        report.sent += 1;
        self.progress.lost.fetch_add(1, Ordering::Relaxed);
        report.describe(format!("{request}: {why}"));
    }
}

/// Never the same twice, in all tests of a run.
fn unique_id() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("{}-{}", process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// The whole body, or why it broke off after how many bytes.
async fn read(mut body: Incoming) -> Result<Bytes, (hyper::Error, usize)> {
    let mut bytes = BytesMut::new();
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => {
                if let Some(piece) = frame.data_ref() {
                    bytes.extend_from_slice(piece);
                }
            }
            Err(error) => return Err((error, bytes.len())),
        }
    }
    Ok(bytes.freeze())
}
