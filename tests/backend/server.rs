//! Connections: accepted, served and, when the instance leaves, ended as it wants them to end.

use std::io;
use std::pin::pin;
use std::sync::{Arc, Mutex};

use http::header::{CONNECTION, HeaderValue};
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::answer::{self, Fixture};
use crate::body::Body;
use crate::broken;
use crate::h2c;
use crate::lifetime::{self, Phase};
use crate::listener::{Connection, Listener};
use crate::web_socket;

/// Serves until the phase says otherwise and the last connection has ended.
pub(crate) async fn serve(
    listener: Listener,
    fixture: Arc<Fixture>,
    mut phase: watch::Receiver<Phase>,
) {
    let mut connections = JoinSet::new();
    let watched = phase.clone();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(connection) => {
                    connections.spawn(serve_connection(connection, fixture.clone(), watched.clone()));
                }
                Err(error) => eprintln!("fixture: could not accept: {error}"),
            },
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            () = lifetime::deaf(&mut phase) => break,
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// What a connection remembers from one request to the next.
#[derive(Default)]
struct Memory {
    requests: u64,
    /// Set by the request that asked for a WebSocket.
    upgrade: Option<OnUpgrade>,
}

async fn serve_connection(
    connection: Connection,
    fixture: Arc<Fixture>,
    mut phase: watch::Receiver<Phase>,
) {
    if fixture.options.idle.is_some() {
        // A connection is idle after a request, not before its first one: an application that
        // closes in the face of whoever has just come is none that anybody runs.
        tokio::select! {
            begun = connection.begun() => if begun.is_err() { return },
            () = lifetime::finishing(&mut phase) => return,
        }
    }
    match connection {
        Connection::Tcp(stream) => match fixture.options.broken {
            // A client that goes away is its own business.
            Some(broken) => drop(broken::treat(broken, stream).await),
            None => converse(stream, fixture, phase).await,
        },
        Connection::Unix(stream) => converse(stream, fixture, phase).await,
    }
}

async fn converse(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    fixture: Arc<Fixture>,
    mut phase: watch::Receiver<Phase>,
) {
    if fixture.options.is_h2c {
        return h2c::serve(stream, fixture, phase).await;
    }
    let memory = Mutex::new(Memory::default());
    let service = service_fn(|request| answer_one(&fixture, &memory, request));
    let mut builder = http1::Builder::new();
    if let Some(idle) = fixture.options.idle {
        builder.timer(TokioTimer::new()).header_read_timeout(idle);
    }
    let mut connection = pin!(
        builder.half_close(true).serve_connection(TokioIo::new(stream), service).with_upgrades()
    );
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = lifetime::finishing(&mut phase) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    // A client that went away, or was idle for too long: the connection is gone, and that is all.
    if ended.is_err() {
        return;
    }
    let upgrade = memory.lock().expect("nobody panics with it").upgrade.take();
    if let Some(upgrade) = upgrade {
        web_socket::echo(upgrade, phase).await;
    }
}

async fn answer_one(
    fixture: &Fixture,
    memory: &Mutex<Memory>,
    mut request: Request<Incoming>,
) -> io::Result<Response<Body>> {
    let is_last = {
        let mut memory = memory.lock().expect("nobody panics with it");
        if web_socket::is_asked_for(&request) {
            memory.upgrade = Some(hyper::upgrade::on(&mut request));
        }
        memory.requests += 1;
        fixture.options.requests_per_connection == Some(memory.requests)
    };
    let mut response = answer::answer(fixture, request).await?;
    if is_last {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(response)
}
