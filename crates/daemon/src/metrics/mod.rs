//! The metrics port: figures for Prometheus, and readiness for load balancers.
//!
//! `GET /metrics`, `/-/ready` and `/-/live`, and nothing else. It has a server of its own: no
//! connection, limit or route of the public listeners reaches here. It only reads; what is done to
//! services is the command port's business.

mod exposition;
mod page;
#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::accept::{BACK_OFF, Complaints, Newest};
use crate::proxy::{Proxy, Standing};
use crate::supervisor::Handle;

/// Connections at once; the oldest makes room for the newest, so that one who reads slowly keeps
/// nobody from asking.
const CONNECTIONS: usize = 8;
/// How long a request may take to arrive.
const HEAD: Duration = Duration::from_secs(5);
/// How long a connection may take in all. Prometheus gives up after 10 s by default.
const WHOLE: Duration = Duration::from_secs(15);

const EXPOSITION: HeaderValue =
    HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
const PLAIN_TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD");

/// One request a connection: whoever comes every few seconds needs no more.
static SERVER: LazyLock<http1::Builder> = LazyLock::new(|| {
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD).keep_alive(false);
    builder.max_headers(64).max_buf_size(16 * 1024);
    builder
});

/// Where figures are read.
pub(crate) struct MetricsPort {
    desk: Arc<Desk>,
    tasks: TaskTracker,
    closing: CancellationToken,
    /// Ends the accepting at the present port.
    leaving: CancellationToken,
}

/// What every connection needs.
struct Desk {
    supervisor: Handle,
    proxy: Arc<Proxy>,
    /// One page is made at a time, however many ask.
    pen: Arc<Semaphore>,
}

impl MetricsPort {
    /// A port that nobody can reach yet.
    pub(crate) fn new(supervisor: Handle, proxy: Arc<Proxy>) -> Self {
        let desk = Arc::new(Desk { supervisor, proxy, pen: Arc::new(Semaphore::new(1)) });
        let (closing, leaving) = (CancellationToken::new(), CancellationToken::new());
        Self { desk, tasks: TaskTracker::new(), closing, leaving }
    }

    /// Answers by `listener` from now on and by no other; none: nobody is answered.
    pub(crate) fn move_to(&mut self, listener: Option<TcpListener>) {
        self.leaving.cancel();
        self.leaving = self.closing.child_token();
        if let Some(listener) = listener {
            let (desk, leaving) = (Arc::clone(&self.desk), self.leaving.clone());
            self.tasks.spawn(serve(listener, desk, leaving));
        }
    }

    /// Ends it, wherever it is by then, when dropped.
    pub(crate) fn end(&self) -> impl Drop + use<> {
        self.closing.clone().drop_guard()
    }
}

/// Answers whoever comes, until `leaving`; who is being answered then has no time left.
async fn serve(listener: TcpListener, desk: Arc<Desk>, leaving: CancellationToken) {
    let mut open = Newest::new(CONNECTIONS);
    let mut tasks = JoinSet::new();
    let mut complaints = Complaints::default();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    open.admit(tasks.spawn(connection(Arc::clone(&desk), stream)));
                }
                Err(error) => {
                    // Out of descriptors, most likely: those in use will come back.
                    if complaints.are_due() {
                        tracing::warn!("metrics port: {error}");
                    }
                    sleep(BACK_OFF).await;
                }
            },
            Some(_) = tasks.join_next() => {}
            () = leaving.cancelled() => return,
        }
    }
}

async fn connection(desk: Arc<Desk>, stream: TcpStream) {
    let service = service_fn(move |request| answer(Arc::clone(&desk), request));
    let served = SERVER.serve_connection(TokioIo::new(stream), service);
    // Whatever went wrong, it was the client's connection, and it comes again.
    let _ = timeout(WHOLE, served).await;
}

async fn answer(
    desk: Arc<Desk>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut refusal = plain(StatusCode::METHOD_NOT_ALLOWED, "only GET is answered here\n");
        refusal.headers_mut().insert(ALLOW, METHODS);
        return Ok(refusal);
    }
    Ok(match request.uri().path() {
        "/metrics" => desk.metrics().await,
        "/-/ready" => desk.readiness(),
        "/-/live" => plain(StatusCode::OK, "live\n"),
        _ => plain(StatusCode::NOT_FOUND, "/metrics, /-/ready and /-/live are here\n"),
    })
}

impl Desk {
    async fn metrics(&self) -> Response<Full<Bytes>> {
        // The semaphore is never closed.
        let (Ok(pen), Some(measures)) =
            (Arc::clone(&self.pen).acquire_owned().await, self.supervisor.measure().await)
        else {
            return plain(StatusCode::SERVICE_UNAVAILABLE, "the daemon is on its way out\n");
        };
        let proxy = Arc::clone(&self.proxy);
        // A thousand services take some milliseconds, which are not those of requests.
        let written = tokio::task::spawn_blocking(move || {
            let _pen = pen;
            page::write(&measures, &proxy)
        });
        match written.await {
            Ok(text) => respond(StatusCode::OK, EXPOSITION, Bytes::from(text)),
            Err(error) => {
                tracing::error!("metrics port: {error}");
                plain(StatusCode::INTERNAL_SERVER_ERROR, "the page could not be made\n")
            }
        }
    }

    fn readiness(&self) -> Response<Full<Bytes>> {
        match self.proxy.standing() {
            Standing::Serving => plain(StatusCode::OK, "ready\n"),
            Standing::Starting => plain(StatusCode::SERVICE_UNAVAILABLE, "starting\n"),
            Standing::Leaving => plain(StatusCode::SERVICE_UNAVAILABLE, "stopping\n"),
        }
    }
}

fn plain(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    respond(status, PLAIN_TEXT, Bytes::from_static(text.as_bytes()))
}

fn respond(status: StatusCode, kind: HeaderValue, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}
