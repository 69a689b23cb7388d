//! The web service that the demo runs: small, honest about who it is, and polite when told to go.

use std::convert::Infallible;
use std::future::Future;
use std::net::Ipv4Addr;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::cli::{Exit, Problem};
use crate::words::reason;

/// How long `/slow` takes.
const SLOW: Duration = Duration::from_millis(300);
/// How many pieces `/stream` sends, and how far apart.
const PIECES: u32 = 10;
const APART: Duration = Duration::from_millis(50);
/// How long the last answers may take after TERM.
const LAST: Duration = Duration::from_secs(5);

type Body = BoxBody<Bytes, Infallible>;

/// Serves on loopback until TERM or Ctrl-C.
pub(crate) async fn run(port: u16) -> Result<Exit, Problem> {
    let unable = |what: String| {
        move |error| Problem::new(Exit::Failed, format!("could not {what}: {}", reason(&error)))
    };
    let signals = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()));
    let mut terminate = signals.0.map_err(unable("listen for TERM".to_owned()))?;
    let mut interrupt = signals.1.map_err(unable("listen for Ctrl-C".to_owned()))?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
    let listener = listener.map_err(unable(format!("listen on 127.0.0.1:{port}")))?;
    let told = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    serve(listener, port, told).await;
    Ok(Exit::Done)
}

/// Serves until `told`, then answers what it has.
pub(super) async fn serve(listener: TcpListener, port: u16, told: impl Future<Output = ()>) {
    let (leave, leaving) = watch::channel(false);
    let mut connections = JoinSet::new();
    tokio::pin!(told);
    loop {
        tokio::select! {
            biased;
            () = &mut told => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(talk(stream, port, leaving.clone()));
                }
                // Out of descriptors, most likely; those in use come back.
                Err(_) => sleep(Duration::from_millis(10)).await,
            },
        }
    }
    drop(listener);
    leave.send_replace(true);
    let all = async { while connections.join_next().await.is_some() {} };
    // Whoever is not done by then is cut, as the daemon would do soon.
    let _ = timeout(LAST, all).await;
}

/// One connection, until it ends or we leave.
async fn talk(stream: TcpStream, port: u16, mut leaving: watch::Receiver<bool>) {
    let service =
        service_fn(move |request| async move { Ok::<_, Infallible>(answer(request, port).await) });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    tokio::select! {
        // The client went away; nobody is left to be told.
        _ = connection.as_mut() => return,
        _ = leaving.wait_for(|leaving| *leaving) => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = connection.await;
}

async fn answer(request: Request<Incoming>, port: u16) -> Response<Body> {
    let path = request.uri().path().to_owned();
    // A body that is left unread would end the connection.
    let _ = request.into_body().collect().await;
    match path.as_str() {
        "/" => html(page(port)),
        "/healthz" => text(StatusCode::OK, "ok\n"),
        "/slow" => {
            sleep(SLOW).await;
            text(StatusCode::OK, "slowly, but surely\n")
        }
        "/stream" => trickle(),
        _ => text(StatusCode::NOT_FOUND, "not found\n"),
    }
}

fn page(port: u16) -> String {
    let pid = std::process::id();
    format!(
        "<!doctype html>\n<title>smoothserve demo</title>\n\
         <h1>Hello from port {port}, process {pid}</h1>\n\
         <p>Reload while smoothtool restarts this service: the process changes, and no request is \
         lost.</p>\n<p><a href=\"/slow\">slow</a> <a href=\"/stream\">stream</a></p>\n"
    )
}

fn html(page: String) -> Response<Body> {
    let mut response = Response::new(Full::from(page).boxed());
    let kind = HeaderValue::from_static("text/html; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

fn text(status: StatusCode, text: &'static str) -> Response<Body> {
    let mut response = Response::new(Full::from(text).boxed());
    *response.status_mut() = status;
    response
}

/// An answer of unknown length, piece by piece.
fn trickle() -> Response<Body> {
    let pieces = stream::unfold(0, |sent| async move {
        if sent == PIECES {
            return None;
        }
        sleep(APART).await;
        Some((Ok(Frame::data(Bytes::from(format!("piece {sent}\n")))), sent + 1))
    });
    Response::new(BodyExt::boxed(StreamBody::new(pieces)))
}
